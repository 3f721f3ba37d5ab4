//! Pagination: which page of a list is asked for.

/// Which page was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PageRequest {
    /// From 1.
    pub page: i64,
    /// Items a page, 1 to 100.
    pub size: u32,
}

impl PageRequest {
    /// Rows before the page; `i64::MAX` for pages that no table reaches.
    pub fn offset(&self) -> i64 {
        (self.page - 1).saturating_mul(i64::from(self.size))
    }
}
