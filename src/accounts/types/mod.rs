//! What an account is, as every floor of the room knows it.

mod identifiers;
mod signing_key;

pub use identifiers::{Account, EMAIL_MAX, Email, Mobile, NAME_MAX, Name, Username};
pub use signing_key::{NewKey, StoredKey};
