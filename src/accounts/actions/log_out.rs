//! Logging out.

use std::sync::Arc;

use crate::accounts::Accounts;
use crate::accounts::client_info::ClientInfo;
use crate::accounts::events::SessionEnded;
use crate::accounts::failure::Failure;
use crate::accounts::refresh::RefreshToken;
use crate::accounts::storage::{audit, sessions};
use crate::accounts::types::{Action, NewAuditEntry};

/// By what it is known who logs out.
pub enum WhoLogsOut {
    Session { user_id: i64, session_id: i64 },
    RefreshToken(String),
}

/// What came of logging out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogOut {
    Done,
    /// No live session has, or had, this refresh token.
    Unknown,
}

/// Ends a session, or with `everywhere` every one of its user.
pub async fn log_out(
    accounts: &Accounts,
    who: WhoLogsOut,
    everywhere: bool,
    client: ClientInfo,
) -> Result<LogOut, Failure> {
    let now = accounts.directory.clock.now();
    let keys = Arc::clone(&accounts.refresh_keys);
    let ended = accounts
        .directory
        .write(
            move |conn| {
                let owner = match &who {
                    WhoLogsOut::Session {
                        user_id,
                        session_id,
                    } => Some((*user_id, *session_id)),
                    WhoLogsOut::RefreshToken(text) => match RefreshToken::parse(text) {
                        Some(token) => sessions::find_by_refresh_token(conn, &keys, &token, now)?,
                        None => None,
                    },
                };
                let Some((user_id, session_id)) = owner else {
                    return Ok(None);
                };
                let action = if everywhere {
                    sessions::end_all(conn, user_id, None, now)?;
                    Action::LoggedOutEverywhere
                } else {
                    sessions::end(conn, user_id, session_id, now)?;
                    Action::LoggedOut
                };
                let entry = NewAuditEntry::by_user(action, user_id);
                audit::insert(conn, entry, &client, now)?;
                Ok(owner)
            },
            move |bus, ended| {
                if let Some((user_id, session_id)) = *ended {
                    bus.publish(&SessionEnded {
                        user_id,
                        session_id: (!everywhere).then_some(session_id),
                    });
                }
            },
        )
        .await?;
    Ok(ended.map_or(LogOut::Unknown, |_| LogOut::Done))
}
