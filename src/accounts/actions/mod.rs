//! What happens to accounts.

pub mod keys;
