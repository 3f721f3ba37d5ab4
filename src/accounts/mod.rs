//! People: who they are, how they prove it, and the tokens that say so.
//!
//! `types` parses what clients send; `password` judges and hashes; `hasher` keeps
//! bcrypt off the server's threads; `tokens` signs and verifies; `users` stores;
//! `caller` guards routes; `routes` speaks HTTP.

pub mod caller;
pub mod hasher;
pub mod password;
pub mod routes;
pub mod tokens;
pub mod types;
pub mod users;
