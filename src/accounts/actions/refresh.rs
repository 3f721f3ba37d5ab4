//! A new pair of tokens for a refresh token.

use std::sync::Arc;

use super::logged_in::LoggedIn;
use crate::accounts::Accounts;
use crate::accounts::client_info::ClientInfo;
use crate::accounts::events::SessionEnded;
use crate::accounts::failure::Failure;
use crate::accounts::jobs::send_notice::Notice;
use crate::accounts::notifications;
use crate::accounts::storage::{audit, sessions};
use crate::accounts::types::{Action, NewAuditEntry, Refreshed};
use crate::jobs::events::JobWritten;
use crate::notify::Language;

/// What came of a refresh.
pub enum Refresh {
    LoggedIn(Box<LoggedIn>),
    /// No live session has, or had, this token.
    Unknown,
    /// The token was used before: its session was ended, and the owner is told.
    Reused,
}

/// Takes a refresh token for its successor and a new access token.
pub async fn refresh(
    accounts: &Accounts,
    token: String,
    client: ClientInfo,
    language: Language,
) -> Result<Refresh, Failure> {
    let now = accounts.directory.clock.now();
    let limits = accounts.directory.messages;
    let (keys, times) = (
        Arc::clone(&accounts.refresh_keys),
        (now, accounts.lifetimes),
    );
    let outcome = accounts
        .directory
        .write(
            move |conn| {
                let outcome = sessions::refresh(conn, &keys, &token, &client, times)?;
                if let Refreshed::Reused { owner, .. } = &outcome {
                    let entry = NewAuditEntry::by_user(Action::RefreshReused, owner.user_id);
                    audit::insert(conn, entry, &client, now)?;
                    let notice = Notice::SessionEnded;
                    notifications::tell(conn, &limits, notice, owner, language, now)?;
                }
                Ok(outcome)
            },
            |bus, outcome| {
                if let Refreshed::Reused { owner, session_id } = outcome {
                    bus.publish(&SessionEnded::one(owner.user_id, *session_id));
                    bus.publish(&JobWritten {});
                }
            },
        )
        .await?;
    match outcome {
        Refreshed::Rotated(user, session) => {
            LoggedIn::new(accounts, *user, session).map(Refresh::LoggedIn)
        }
        Refreshed::Unknown => Ok(Refresh::Unknown),
        Refreshed::Reused { .. } => Ok(Refresh::Reused),
    }
}
