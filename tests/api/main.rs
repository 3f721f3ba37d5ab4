//! The whole suite in one binary; every test runs on SQLite and on MySQL, with a
//! database of its own.

// Tests say what went wrong by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod harness;

mod accounts;
mod contract;
mod edge;
mod migrations;
mod outage;
mod passwords;
mod posts;
mod process;
mod readme;
mod text;
mod tokens;
mod validation;
