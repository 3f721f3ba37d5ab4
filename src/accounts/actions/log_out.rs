//! Logging out.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::NaiveDateTime;
use diesel::result::QueryResult;

use crate::accounts::Accounts;
use crate::accounts::client_info::ClientInfo;
use crate::accounts::events::SessionEnded;
use crate::accounts::failure::Failure;
use crate::accounts::refresh::{RefreshKeys, RefreshToken};
use crate::accounts::storage::{audit, sessions};
use crate::accounts::tokens::Subject;
use crate::accounts::types::{Action, NewAuditEntry};
use crate::core::db::Conn;

/// By what it is known who logs out.
pub enum WhoLogsOut {
    /// By an access token, which may have expired.
    Session(Subject),
    /// By any refresh token that the session has had.
    RefreshToken(String),
}

impl WhoLogsOut {
    /// The live session that is named, if there is one.
    fn find(
        &self,
        conn: &mut Conn,
        keys: &RefreshKeys,
        now: NaiveDateTime,
    ) -> QueryResult<Option<Subject>> {
        match self {
            Self::Session(subject) => {
                let is_live = sessions::is_live(conn, *subject, now)?;
                Ok(is_live.then_some(*subject))
            }
            Self::RefreshToken(text) => match RefreshToken::parse(text) {
                Some(token) => sessions::find_by_refresh_token(conn, keys, &token, now),
                None => Ok(None),
            },
        }
    }
}

/// Ends the sessions that are named and live, or with `everywhere` all of their users.
pub async fn log_out(
    accounts: &Accounts,
    who: Vec<WhoLogsOut>,
    everywhere: bool,
    client: ClientInfo,
) -> Result<(), Failure> {
    let now = accounts.directory.clock.now();
    let keys = Arc::clone(&accounts.refresh_keys);
    accounts
        .directory
        .write(
            move |conn| {
                // A page sends the token and the cookie of one session.
                let mut ended = BTreeSet::new();
                for one in &who {
                    if let Some(subject) = one.find(conn, &keys, now)? {
                        end(conn, subject, everywhere, &client, now)?;
                        ended.insert((subject.user_id, subject.session_id));
                    }
                }
                Ok(ended)
            },
            move |bus, ended| {
                for &(user_id, session_id) in ended {
                    bus.publish(&SessionEnded {
                        user_id,
                        session_id: (!everywhere).then_some(session_id),
                    });
                }
            },
        )
        .await?;
    Ok(())
}

fn end(
    conn: &mut Conn,
    subject: Subject,
    everywhere: bool,
    client: &ClientInfo,
    now: NaiveDateTime,
) -> QueryResult<()> {
    let Subject {
        user_id,
        session_id,
    } = subject;
    let action = if everywhere {
        sessions::end_all(conn, user_id, None, now)?;
        Action::LoggedOutEverywhere
    } else {
        if !sessions::end(conn, user_id, session_id, now)? {
            return Ok(());
        }
        Action::LoggedOut
    };
    let entry = NewAuditEntry::by_user(action, user_id);
    audit::insert(conn, entry, client, now)
}
