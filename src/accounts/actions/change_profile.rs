//! What users change of themselves.

use std::net::IpAddr;

use chrono::NaiveDateTime;
use diesel::result::QueryResult;

use super::confirm::{Confirmation, confirm};
use super::find::find_active_user;
use super::register::taken;
use crate::accounts::Accounts;
use crate::accounts::client_info::ClientInfo;
use crate::accounts::events::UserChanged;
use crate::accounts::failure::Failure;
use crate::accounts::limits;
use crate::accounts::notifications;
use crate::accounts::password::Password;
use crate::accounts::storage::{audit, sessions, users};
use crate::accounts::types::{
    Account, Action, Change, Identifier, Mobile, NewAuditEntry, Part, ProfileChange, Revocation,
    User,
};
use crate::core::db::{Conn, dialect};
use crate::core::rate_limits::{Decision, LimitExceeded};
use crate::core::settings::MessageLimits;
use crate::jobs::events::JobWritten;
use crate::notify::Language;
use crate::posts::events::AnythingChanged;
use crate::posts::jobs::index_author::enqueue_renamed;

/// What came of changing one's profile.
pub enum ProfileChanged {
    /// The user as they are now.
    Done(Box<User>),
    /// The user is gone, or not active any more.
    NotFound,
    /// A new address or number needs the password.
    PasswordMissing,
    WrongPassword,
    /// The new username is nobody's.
    Reserved,
    /// The new number is none that its country has.
    NoNumber(Mobile),
    /// Other users have these identifiers, one at least.
    Taken(Vec<Identifier>),
    RateLimited(LimitExceeded),
}

/// Changes a user's profile; `password` is asked for when the change needs it.
pub async fn change_profile(
    accounts: &Accounts,
    user_id: i64,
    (change, password): (ProfileChange, Option<Password>),
    (client, address): (ClientInfo, IpAddr),
    language: Language,
) -> Result<ProfileChanged, Failure> {
    let directory = &accounts.directory;
    let Some(user) = find_active_user(directory, user_id).await? else {
        return Ok(ProfileChanged::NotFound);
    };
    if wants_reserved(&user, &change) {
        return Ok(ProfileChanged::Reserved);
    }
    if let Some(mobile) = wants_no_number(&user, &change) {
        return Ok(ProfileChanged::NoNumber(mobile.clone()));
    }
    let is_confirmed = needs_password(&user, &change);
    if is_confirmed {
        let Some(password) = password else {
            return Ok(ProfileChanged::PasswordMissing);
        };
        match confirm(accounts, &user, password, (&client, address)).await? {
            Confirmation::Right => {}
            Confirmation::Wrong => return Ok(ProfileChanged::WrongPassword),
            Confirmation::RateLimited(limited) => return Ok(ProfileChanged::RateLimited(limited)),
        }
    }
    if let Some(limited) = limit(accounts, &user, &change, address).await {
        return Ok(ProfileChanged::RateLimited(limited));
    }
    let now = directory.clock.now();
    let limits = directory.messages;
    let wanted = identifiers_of(&change);
    let done = directory
        .write(
            move |conn| {
                let whose = (user_id, is_confirmed);
                write(conn, &limits, whose, &change, (&client, language), now)
            },
            move |bus, done| {
                let Written::Done { before, after } = done else {
                    return;
                };
                if is_shown_otherwise(before, after) {
                    bus.publish(&AnythingChanged {});
                    bus.publish(&UserChanged { user_id });
                }
                if before != after {
                    bus.publish(&JobWritten {});
                }
            },
        )
        .await;
    match done {
        Ok(Written::Done { after, .. }) => Ok(ProfileChanged::Done(after)),
        Ok(Written::NotFound) => Ok(ProfileChanged::NotFound),
        Ok(Written::PasswordMissing) => Ok(ProfileChanged::PasswordMissing),
        Err(error) => taken(directory, error, (wanted, Some(user_id)))
            .await
            .map(ProfileChanged::Taken),
    }
}

/// The refusal of a user who changes all the time, or asks for identifiers: the answer says which
/// are taken.
async fn limit(
    accounts: &Accounts,
    user: &User,
    change: &ProfileChange,
    address: IpAddr,
) -> Option<LimitExceeded> {
    let parts = change.parts_that_differ(user);
    if !parts.is_empty() {
        let taken = accounts.limits.take(&limits::PROFILE, &user.user_id);
        if let Err(limited) = taken.await {
            return Some(limited);
        }
    }
    if !parts.into_iter().any(Part::is_identifier) {
        return None;
    }
    let limit = &limits::NEW_IDENTIFIER;
    let tried = accounts.limits.check_subject(limit, &user.user_id, address);
    match tried.await {
        Decision::Limited(refused) => Some(refused.into()),
        Decision::Allowed => None,
    }
}

/// What came of the transaction.
enum Written {
    Done {
        before: Box<User>,
        after: Box<User>,
    },
    NotFound,
    /// What was no change a moment ago is one now.
    PasswordMissing,
}

/// The transaction. What changes nothing leaves no trace.
fn write(
    conn: &mut Conn,
    limits: &MessageLimits,
    (user_id, is_confirmed): (i64, bool),
    change: &ProfileChange,
    (client, language): (&ClientInfo, Language),
    now: NaiveDateTime,
) -> QueryResult<Written> {
    // Of two changes at once the second begins with what the first left.
    dialect::lock_user(conn, user_id)?;
    let Some(before) = users::find_user(conn, user_id)? else {
        return Ok(Written::NotFound);
    };
    if !is_confirmed && needs_password(&before, change) {
        return Ok(Written::PasswordMissing);
    }
    let fields: Vec<&str> = change
        .parts_that_differ(&before)
        .into_iter()
        .map(Part::field)
        .collect();
    let after = users::change_profile(conn, before.clone(), change, now)?;
    if !fields.is_empty() {
        notifications::profile_changed(conn, limits, (&before, &after), language, now)?;
        if is_shown_otherwise(&before, &after) {
            sessions::announce(conn, Revocation::User(user_id), now)?;
        }
        if before.name != after.name {
            enqueue_renamed(conn, user_id, now)?;
        }
        let fields = fields.join(", ");
        let entry = NewAuditEntry {
            detail: &fields,
            ..NewAuditEntry::by_user(Action::ProfileChanged, user_id)
        };
        audit::insert(conn, entry, client, now)?;
    }
    Ok(Written::Done {
        before: Box::new(before),
        after: Box::new(after),
    })
}

/// Whether the answers that show a user, posts among them, are others.
fn is_shown_otherwise(before: &User, after: &User) -> bool {
    before.name != after.name
        || before.username != after.username
        || before.bio != after.bio
        || before.image != after.image
}

fn identifiers_of(change: &ProfileChange) -> Vec<Account> {
    let username = match &change.username {
        Change::Set(username) => Some(username),
        Change::Keep | Change::Clear => None,
    };
    let mobile = match &change.mobile {
        Change::Set(mobile) => Some(mobile),
        Change::Keep | Change::Clear => None,
    };
    Account::all_of(change.email.as_ref(), username, mobile)
}

fn needs_password(user: &User, change: &ProfileChange) -> bool {
    let mut parts = change.parts_that_differ(user).into_iter();
    parts.any(Part::needs_password)
}

/// Whether it asks for a username that is reserved, and not in another spelling for one that
/// the user has already.
fn wants_reserved(user: &User, change: &ProfileChange) -> bool {
    let Change::Set(new) = &change.username else {
        return false;
    };
    let own = user.username.as_deref().map(str::to_ascii_lowercase);
    new.is_reserved() && own.as_deref() != Some(new.key.as_str())
}

/// A number that it asks for and nobody may take, if the user does not have it already.
fn wants_no_number<'a>(user: &User, change: &'a ProfileChange) -> Option<&'a Mobile> {
    let Change::Set(new) = &change.mobile else {
        return None;
    };
    let is_own = user.number().as_ref() == Some(&new.key);
    (!is_own && new.fault().is_some()).then_some(new)
}
