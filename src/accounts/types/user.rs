//! Users: their row, and what is said to make or to change one.

use chrono::NaiveDateTime;
use diesel::prelude::*;

pub use crate::http::body::Change;

use super::identifiers::{Email, Mobile, Name, Username};
use super::profile::{Bio, ImageUrl};
use super::session::Session;
use crate::accounts::password::Password;
use crate::core::db::schema::user;
use crate::error::Code;

/// A user's row, without the canonical columns, which only queries need.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = user)]
pub struct User {
    pub user_id: i64,
    pub email: String,
    pub name: String,
    pub username: Option<String>,
    pub mobile: Option<String>,
    #[diesel(column_name = password)]
    pub password_hash: String,
    pub role: String,
    pub is_active: bool,
    pub email_verified: bool,
    pub mobile_verified: bool,
    pub created: NaiveDateTime,
    pub updated: NaiveDateTime,
    pub bio: Option<String>,
    pub image: Option<String>,
}

/// The id that no user has: ids begin at 1. A query for it finds nothing and costs what a
/// query for a user costs.
pub const NOBODY: i64 = 0;

/// The role that may do everything; any other may not.
pub const ADMIN: &str = "admin";

/// The role of what is left of a user who was deleted, while their posts are being deleted:
/// a row without a person, which refers to nobody and which nobody is shown.
pub const DELETED: &str = "deleted";

impl User {
    pub fn is_admin(&self) -> bool {
        self.role == ADMIN
    }

    /// The mobile number in E.164.
    pub fn number(&self) -> Option<String> {
        self.mobile.as_deref().and_then(Mobile::key_of)
    }

    fn has_verified_mobile(&self) -> bool {
        self.mobile.is_some() && self.mobile_verified
    }

    /// Whether a code that recovers the account goes to its mobile number and not to its
    /// e-mail address: to what is verified, and to what it was asked by where both are. An
    /// account that has nothing verified recovers by its address.
    pub fn recovers_by_mobile(&self, is_asked_by_mobile: bool) -> bool {
        self.has_verified_mobile() && (is_asked_by_mobile || !self.email_verified)
    }

    /// What a code proves that was sent to `target` to recover the account; `None` when it
    /// would not be sent there any more.
    pub fn recovered_by(&self, target: &str) -> Option<Identifier> {
        if self.has_verified_mobile() && self.number().as_deref() == Some(target) {
            return Some(Identifier::Mobile);
        }
        let is_way = self.email_verified || !self.has_verified_mobile();
        (is_way && self.email == target).then_some(Identifier::Email)
    }
}

/// What the administration knows of one user.
#[derive(Clone, Debug)]
pub struct AccountDetails {
    pub user: User,
    /// When they logged in last, or registered; `None` for who never did.
    pub last_login: Option<NaiveDateTime>,
    /// Live ones, the last used first.
    pub sessions: Vec<Session>,
}

/// What anyone may know of a user.
#[derive(Clone, Debug)]
pub struct PublicUser {
    pub user_id: i64,
    pub name: String,
    pub username: Option<String>,
    /// What they say of themselves.
    pub bio: Option<String>,
    /// Where a picture of them is.
    pub image: Option<String>,
    pub created: NaiveDateTime,
    /// Published posts.
    pub posts: i64,
    /// How many follow them, and how many they follow.
    pub follows: FollowCounts,
}

/// How many follow somebody, and how many they follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FollowCounts {
    pub followers: i64,
    pub following: i64,
}

/// An account that is asked for.
#[derive(Clone, Debug)]
pub struct NewAccount {
    pub email: Email,
    pub name: Name,
    pub username: Option<Username>,
    pub mobile: Option<Mobile>,
    pub password: Password,
}

/// A user who is to be inserted.
#[derive(Clone, Debug)]
pub struct NewUser {
    pub email: Email,
    pub name: Name,
    pub username: Option<Username>,
    pub mobile: Option<Mobile>,
    pub password_hash: String,
    pub now: NaiveDateTime,
}

/// The identifiers of which no two users have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identifier {
    Email,
    Username,
    Mobile,
}

impl Identifier {
    /// The field of a body that has it.
    pub fn field(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Username => "username",
            Self::Mobile => "mobile",
        }
    }

    /// The refusal of one that another user has.
    pub fn taken(self) -> Code {
        match self {
            Self::Email => Code::EmailTaken,
            Self::Username => Code::UsernameTaken,
            Self::Mobile => Code::MobileTaken,
        }
    }
}

/// What came of an admin's change.
#[derive(Debug)]
pub enum Administered {
    Done {
        before: Box<User>,
        after: Box<User>,
    },
    NotFound,
    /// It would leave no active admin.
    LastAdmin,
}

/// What a user changes of themselves.
#[derive(Clone, Debug)]
pub struct ProfileChange {
    pub name: Option<Name>,
    pub email: Option<Email>,
    pub username: Change<Username>,
    pub mobile: Change<Mobile>,
    pub bio: Change<Bio>,
    pub image: Change<ImageUrl>,
}

/// One thing that a user changes of themselves; `None` takes it away.
#[derive(Clone, Copy, Debug)]
pub enum Part<'a> {
    Name(&'a Name),
    Email(&'a Email),
    Username(Option<&'a Username>),
    Mobile(Option<&'a Mobile>),
    Bio(Option<&'a str>),
    Image(Option<&'a str>),
}

impl Part<'_> {
    /// The field, as the audit names it.
    pub fn field(self) -> &'static str {
        match self {
            Self::Name(_) => "name",
            Self::Email(_) => "email",
            Self::Username(_) => "username",
            Self::Mobile(_) => "mobile",
            Self::Bio(_) => "bio",
            Self::Image(_) => "image",
        }
    }

    /// Whether it names the account: what no two users have alike.
    pub fn is_identifier(self) -> bool {
        matches!(self, Self::Email(_) | Self::Username(_) | Self::Mobile(_))
    }

    /// Whether it could be used to take the account over: an address or a number.
    pub fn needs_password(self) -> bool {
        matches!(self, Self::Email(_) | Self::Mobile(_))
    }
}

/// The part that a change makes of a text, where it is another one than before.
fn differing<'a, T>(
    change: &'a Change<T>,
    before: Option<&str>,
    text: impl Fn(&'a T) -> &'a str,
    part: impl Fn(Option<&'a str>) -> Part<'a>,
) -> Option<Part<'a>> {
    let wanted = match change {
        Change::Keep => return None,
        Change::Clear => None,
        Change::Set(new) => Some(text(new)),
    };
    (wanted != before).then(|| part(wanted))
}

impl ProfileChange {
    /// What is not as it is already. The same number in another spelling is the same.
    pub fn parts_that_differ(&self, before: &User) -> Vec<Part<'_>> {
        let mut parts = Vec::new();
        parts.extend(
            self.name
                .as_ref()
                .filter(|new| new.0 != before.name)
                .map(Part::Name),
        );
        let email = self.email.as_ref();
        parts.extend(
            email
                .filter(|new| new.text != before.email)
                .map(Part::Email),
        );
        match &self.username {
            Change::Set(new) if before.username.as_ref() != Some(&new.text) => {
                parts.push(Part::Username(Some(new)));
            }
            Change::Clear if before.username.is_some() => parts.push(Part::Username(None)),
            _ => {}
        }
        let number = before.number();
        match &self.mobile {
            Change::Set(new) if number.as_ref() != Some(&new.key) => {
                parts.push(Part::Mobile(Some(new)));
            }
            Change::Clear if before.mobile.is_some() => parts.push(Part::Mobile(None)),
            _ => {}
        }
        let (bio, image) = (before.bio.as_deref(), before.image.as_deref());
        parts.extend(differing(&self.bio, bio, |bio| &bio.0, Part::Bio));
        parts.extend(differing(&self.image, image, |image| &image.0, Part::Image));
        parts
    }
}

/// What an admin changes of a user.
#[derive(Clone, Debug, Default)]
pub struct AdminChange {
    pub is_active: Option<bool>,
    pub is_admin: Option<bool>,
    pub name: Option<Name>,
}
