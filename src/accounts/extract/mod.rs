//! The extractors of the room, which the routes of every room may take: who calls, and
//! from where.

mod caller;
mod client_info;

pub use caller::{
    Admin, Caller, MaybeCaller, TokenSubject, identify, identify_if_any, identify_offered,
};
