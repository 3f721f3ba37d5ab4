//! Actions: one function a unit of work, without HTTP.
//!
//! An action has its transaction inside, and publishes its events before it returns, on
//! the thread that committed. Those that take a connection are part of another
//! room's unit of work.

pub mod check;
pub mod comments;
pub mod follows;
pub mod leftovers;
pub mod likes;
pub mod of_posts;
pub mod of_users;
pub mod read;
