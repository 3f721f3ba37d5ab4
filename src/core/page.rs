//! Pagination: which part of a list is asked for, and what it has.

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

/// Which part of a list, whose cursors are positions or what stands for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListPart<C = i64> {
    /// By number, with the count of all.
    Page(PageRequest),
    /// What comes after a cursor; from the top without one.
    Below { position: Option<C>, size: u32 },
}

impl<C> ListPart<C> {
    /// The same with at most so many rows.
    pub fn at_most(self, most: u32) -> Self {
        match self {
            Self::Page(request) => Self::Page(PageRequest {
                size: request.size.min(most),
                ..request
            }),
            Self::Below { position, size } => Self::Below {
                position,
                size: size.min(most),
            },
        }
    }
}

/// A part of a list.
#[derive(Debug)]
pub struct Listed<T, C = i64> {
    pub rows: Vec<T>,
    /// All rows of the list; only for pages.
    pub count: Option<i64>,
    /// The cursor for what follows, where there is more.
    pub next: Option<C>,
}

impl<T, C> Listed<T, C> {
    /// The same part with other rows in place of these.
    pub fn with<U>(self, rows: Vec<U>) -> Listed<U, C> {
        Listed {
            rows,
            count: self.count,
            next: self.next,
        }
    }
}

/// Rows of a list that keeps no count, as far as they are counted and pages reach: what is
/// behind them costs too much to pass over, and is found by cursor.
pub const DEPTH: i64 = 100_000;

/// The keys of a part of a list that keeps no count. `newest` reads at most so many keys
/// below one, in falling order. A count above [`DEPTH`] becomes that; a page behind it is empty.
pub fn find_keys<E>(
    part: ListPart,
    newest: impl FnOnce(i64, i64) -> Result<Vec<i64>, E>,
) -> Result<Listed<i64>, E> {
    let (mut rows, counted, offset, size) = match part {
        ListPart::Page(request) => {
            // One more tells whether there is more.
            let rows = newest(i64::MAX, DEPTH + 1)?;
            let counted = rows.len().min(usize::try_from(DEPTH).unwrap_or(0));
            (rows, Some(counted), request.offset(), request.size)
        }
        ListPart::Below { position, size } => {
            let rows = newest(position.unwrap_or(i64::MAX), i64::from(size) + 1)?;
            (rows, None, 0, size)
        }
    };
    let reach = counted.unwrap_or(rows.len());
    let skip = usize::try_from(offset).map_or(reach, |offset| offset.min(reach));
    let end = usize::try_from(size).map_or(reach, |size| (skip + size).min(reach));
    let has_more = end < rows.len();
    rows.truncate(end);
    rows.drain(..skip);
    let next = rows.last().copied().filter(|_| has_more);
    let count = counted.and_then(|counted| i64::try_from(counted).ok());
    Ok(Listed { rows, count, next })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A part of a list with the keys `number` down to 1.
    fn part(part: ListPart, number: i64) -> (Vec<i64>, Option<i64>, Option<i64>) {
        let newest = |below: i64, limit: i64| {
            let first = number.min(below.saturating_sub(1));
            let keys = (1..=first).rev().take(usize::try_from(limit).unwrap());
            Ok::<Vec<i64>, ()>(keys.collect())
        };
        let Listed { rows, count, next } = find_keys(part, newest).unwrap();
        (rows, count, next)
    }

    fn page(page: i64, size: u32) -> ListPart {
        ListPart::Page(PageRequest { page, size })
    }

    #[test]
    fn pages_have_the_count_and_cursors_do_not() {
        assert_eq!(part(page(1, 2), 5), (vec![5, 4], Some(5), Some(4)));
        assert_eq!(part(page(3, 2), 5), (vec![1], Some(5), None));
        assert_eq!(part(page(4, 2), 5), (vec![], Some(5), None));
        assert_eq!(part(page(1, 2), 0), (vec![], Some(0), None));
        let below = |position| ListPart::Below { position, size: 2 };
        assert_eq!(part(below(None), 5), (vec![5, 4], None, Some(4)));
        assert_eq!(part(below(Some(4)), 5), (vec![3, 2], None, Some(2)));
        assert_eq!(part(below(Some(3)), 5), (vec![2, 1], None, None));
        assert_eq!(part(below(Some(1)), 5), (vec![], None, None));
    }

    #[test]
    fn the_count_ends_where_pages_do() {
        let (rows, count, next) = part(page(1000, 100), DEPTH + 50);
        assert_eq!((rows.len(), rows[0]), (100, 150));
        assert_eq!((count, next), (Some(DEPTH), Some(51)));
        let (rows, count, next) = part(page(1000, 100), DEPTH);
        assert_eq!((rows.len(), rows[99]), (100, 1));
        assert_eq!((count, next), (Some(DEPTH), None));
        assert!(part(page(i64::MAX, 100), DEPTH + 50).0.is_empty());
    }
}
