//! What users change of themselves.

use super::confirm::confirm;
use super::find::find_active_user;
use super::register::taken;
use crate::accounts::Directory;
use crate::accounts::client_info::ClientInfo;
use crate::accounts::events::UserChanged;
use crate::accounts::failure::Failure;
use crate::accounts::notifications;
use crate::accounts::password::Password;
use crate::accounts::storage::{audit, sessions, users};
use crate::accounts::types::{
    Action, Change, Identifier, NewAuditEntry, ProfileChange, Revocation, User,
};
use crate::core::bus::Bus;
use crate::core::db::{Conn, dialect};
use crate::jobs::events::JobWritten;
use crate::notify::Language;

/// What came of changing one's profile.
pub enum ProfileChanged {
    /// The user as they are now.
    Done(Box<User>),
    /// The user is gone, or not active any more.
    NotFound,
    /// A new address or number needs the password.
    PasswordMissing,
    WrongPassword,
    /// Another user has this identifier.
    Taken(Identifier),
}

/// Changes a user's profile; `password` is asked for when the change needs it.
pub async fn change_profile(
    directory: &Directory,
    user_id: i64,
    (change, password): (ProfileChange, Option<Password>),
    client: ClientInfo,
    language: Language,
) -> Result<ProfileChanged, Failure> {
    let Some(user) = find_active_user(directory, user_id).await? else {
        return Ok(ProfileChanged::NotFound);
    };
    if needs_password(&user, &change) {
        let Some(password) = password else {
            return Ok(ProfileChanged::PasswordMissing);
        };
        if !confirm(directory, &user, password, &client).await? {
            return Ok(ProfileChanged::WrongPassword);
        }
    }
    let now = directory.clock.now();
    let is_shown = change.name.is_some();
    let work = move |conn: &mut Conn| {
        // Of two changes at once the second begins with what the first left.
        dialect::lock_user(conn, user_id)?;
        let before = users::find_user(conn, user_id)?;
        let after = users::change_profile(conn, user_id, &change, now)?;
        if let (Some(before), Some(after)) = (&before, &after) {
            notifications::profile_changed(conn, (before, after), language, now)?;
            if before.name != after.name {
                sessions::announce(conn, Revocation::User(user_id), now)?;
            }
        }
        let entry = NewAuditEntry::by_user(Action::ProfileChanged, user_id);
        audit::insert(conn, entry, &client, now)?;
        Ok(after)
    };
    let publish = move |bus: &Bus, after: &Option<User>| {
        if after.is_none() {
            return;
        }
        if is_shown {
            bus.publish(&UserChanged { user_id });
        }
        bus.publish(&JobWritten {});
    };
    let done = if is_shown {
        directory.write_shown(work, publish).await
    } else {
        directory.write(work, publish).await
    };
    match done {
        Ok(Some(user)) => Ok(ProfileChanged::Done(Box::new(user))),
        Ok(None) => Ok(ProfileChanged::NotFound),
        Err(error) => taken(error).map(ProfileChanged::Taken),
    }
}

/// Whether a change gives the user another address or number, which could be used to
/// take the account over.
fn needs_password(user: &User, change: &ProfileChange) -> bool {
    let is_new_email = change
        .email
        .as_ref()
        .is_some_and(|email| email.text != user.email);
    let is_new_mobile = match &change.mobile {
        Change::Keep => false,
        Change::Clear => user.mobile.is_some(),
        Change::Set(mobile) => user.mobile.as_deref() != Some(mobile.text.as_str()),
    };
    is_new_email || is_new_mobile
}
