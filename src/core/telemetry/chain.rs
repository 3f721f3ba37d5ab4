//! An error with all that is behind it, in one line.

use std::error::Error;
use std::fmt;

/// Displays an error and its sources, separated by colons.
pub struct Chain<'a>(pub &'a dyn Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::db::DbError;

    #[test]
    fn an_error_is_told_with_all_its_sources() {
        let line = line!() + 1;
        let error = DbError::fault(std::io::Error::other("no space"));
        assert_eq!(Chain(&error).to_string(), "a unit of work failed: no space");
        assert!(error.source().unwrap().is::<std::io::Error>());
        assert_eq!(
            (error.place().file(), error.place().line()),
            (file!(), line)
        );
    }
}
