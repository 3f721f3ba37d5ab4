//! Redis, for what processes share in the moment: where it is ([`url`]) and whether it
//! is away ([`health`]).

pub mod health;
pub mod url;
