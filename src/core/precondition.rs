//! Preconditions: the states that a write is meant for, by their ETags (RFC 9110 §13.1).

use crate::core::compression;

/// The states that a write is meant for (`If-Match`, §13.1.1), and those that it is not
/// meant for (`If-None-Match`, §13.1.2). `None`: any.
#[derive(Clone, Debug, Default)]
pub struct Precondition {
    pub only: Option<Vec<String>>,
    pub never: Option<Vec<String>>,
}

impl Precondition {
    /// The same with every ETag as `rename` has it.
    #[must_use]
    pub fn renamed(self, rename: impl Fn(&str) -> String) -> Self {
        let all = |etags: Vec<String>| etags.iter().map(|etag| rename(etag)).collect();
        Self {
            only: self.only.map(all),
            never: self.never.map(all),
        }
    }

    /// Whether the present state must be known to tell if the write may go on.
    pub fn is_particular(&self) -> bool {
        let any = |etags: &Vec<String>| etags.iter().any(|etag| etag == "*");
        self.never.is_some() || self.only.as_ref().is_some_and(|etags| !any(etags))
    }

    /// Whether the write may go on when the plain form of the present state has `etag`.
    ///
    /// A weak form of it is taken as well: a proxy that compresses a response makes its
    /// ETag weak, and ours names the bytes of the whole representation in either form.
    pub fn matches(&self, etag: &str) -> bool {
        let names = |given: &String| {
            let strong = given.strip_prefix("W/").unwrap_or(given);
            given == "*" || compression::names(strong, etag)
        };
        let is_one_of = |etags: &Vec<String>| etags.iter().any(names);
        self.only.as_ref().is_none_or(is_one_of) && !self.never.as_ref().is_some_and(is_one_of)
    }
}
