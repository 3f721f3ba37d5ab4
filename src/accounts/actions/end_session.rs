//! Ending sessions of one's own.

use crate::accounts::Directory;
use crate::accounts::client_info::ClientInfo;
use crate::accounts::events::SessionEnded;
use crate::accounts::failure::Failure;
use crate::accounts::storage::{audit, sessions};
use crate::accounts::types::{Action, NewAuditEntry};

/// Ends a session of the user; false when they have no such session.
pub async fn end_session(
    directory: &Directory,
    user_id: i64,
    session_id: i64,
    client: ClientInfo,
) -> Result<bool, Failure> {
    let now = directory.clock.now();
    let is_done = directory
        .write(
            move |conn| {
                let is_done = sessions::end(conn, user_id, session_id, now)?;
                if is_done {
                    let entry = NewAuditEntry::by_user(Action::SessionEnded, user_id);
                    audit::insert(conn, entry, &client, now)?;
                }
                Ok(is_done)
            },
            move |bus, is_done| {
                if *is_done {
                    bus.publish(&SessionEnded::one(user_id, session_id));
                }
            },
        )
        .await?;
    Ok(is_done)
}

/// Ends every session of the user but `session_id`.
pub async fn end_other_sessions(
    directory: &Directory,
    user_id: i64,
    session_id: i64,
    client: ClientInfo,
) -> Result<(), Failure> {
    let now = directory.clock.now();
    directory
        .write(
            move |conn| {
                let entry = NewAuditEntry::by_user(Action::SessionEnded, user_id);
                audit::insert(conn, entry, &client, now)?;
                sessions::end_all(conn, user_id, Some(session_id), now)
            },
            move |bus, _| bus.publish(&SessionEnded::all_of(user_id)),
        )
        .await?;
    Ok(())
}
