//! The types of an account: what it is, as every floor of the room knows it.

mod audit;
mod identifiers;
mod message;
mod numbering;
mod profile;
mod session;
mod signing_key;
mod user;

pub use audit::{Action, Actor, AuditEntry, NewAuditEntry};
pub use identifiers::{
    Account, EMAIL_MAX, Email, Mobile, NAME_MAX, Name, RESERVED, USERNAME_MAX, USERNAME_MIN,
    Username, former_keys,
};
pub use message::{Cause, Channel, Counted};
pub use profile::{BIO_MAX, Bio, IMAGE_MAX, ImageUrl};
pub use session::{OpenSession, Refreshed, Revocation, Session, SessionEvent, SessionOwner};
pub use signing_key::{NewKey, StoredKey};
pub use user::{
    ADMIN, AccountDetails, AdminChange, Administered, Change, DELETED, FollowCounts, Identifier,
    NOBODY, NewAccount, NewUser, Part, ProfileChange, PublicUser, User,
};
