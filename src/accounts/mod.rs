//! People: who they are, how they prove it, and the tokens that say so.
//!
//! `types` parses what clients send; `password` judges and hashes; `hasher` keeps
//! bcrypt off the server's threads; `tokens` signs and verifies with the ring of keys,
//! `signing` is what keys are made of, `keys` stores them; `refresh` makes refresh
//! tokens, `codes` the codes that are sent, `letters` sends them and notices; `users`,
//! `sessions` and `audit` store; `known` remembers live sessions;
//! `caller` guards routes, `visitor` is from where they are called; `routes` and
//! `keys_routes` speak HTTP.

pub mod audit;
pub mod caller;
pub mod codes;
pub mod hasher;
pub mod keys;
pub mod keys_routes;
pub mod known;
pub mod letters;
pub mod password;
pub mod refresh;
pub mod routes;
pub mod sessions;
pub mod signing;
pub mod tokens;
pub mod types;
pub mod users;
pub mod visitor;
