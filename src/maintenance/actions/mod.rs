//! What is done for the upkeep of the database that somebody asks for: a check of what is kept.

pub mod check;
mod examine;
pub mod findings;

pub use check::{ask, find};
