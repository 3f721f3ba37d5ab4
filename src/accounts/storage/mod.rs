//! How accounts are kept: rows, and the queries on them. Each function works inside of
//! its caller's transaction.

pub mod audit;
pub mod codes;
pub mod message_budget;
pub mod sessions;
pub mod signing_keys;
pub mod users;
