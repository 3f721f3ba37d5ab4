//! `/user…` and `/audit` over HTTP: `access` is coming and going, `own` what users
//! do with their own account, `codes` verifying and recovering, `admin` what admins do
//! with all.

mod access;
mod access_bodies;
mod admin;
mod code_bodies;
mod codes;
mod cookie;
mod export;
mod fields;
pub mod keys;
mod own;
mod views;

use crate::accounts::storage::users;
use crate::core::db::{DbError, dialect};
use crate::error::{Code, Error};
use crate::http::endpoint::Endpoint;

pub use admin::record;

const TAG: &str = "users";

/// The endpoints of this module. Fixed paths stand before `/user/{id}`.
pub fn endpoints() -> Vec<Endpoint> {
    [
        access::endpoints(),
        codes::endpoints(),
        own::endpoints(),
        admin::endpoints(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The refusal for the unique index that an insert ran into.
fn taken(error: DbError) -> Error {
    let DbError::Unique(message) = error else {
        return error.into();
    };
    match dialect::unique_index(&message, &users::UNIQUE) {
        Some("user_email_key") => Error::new(Code::EmailTaken),
        Some("user_username_key") => Error::new(Code::UsernameTaken),
        Some("user_mobile_key") => Error::new(Code::MobileTaken),
        _ => DbError::Unique(message).into(),
    }
}
