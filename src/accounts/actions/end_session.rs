//! Ending sessions: one's own, and as an admin all of somebody's.

use crate::accounts::Directory;
use crate::accounts::client_info::ClientInfo;
use crate::accounts::events::SessionEnded;
use crate::accounts::failure::Failure;
use crate::accounts::storage::{audit, sessions, users};
use crate::accounts::types::{Action, Actor, NewAuditEntry};

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

/// Ends every session of a user, as an admin; false when there is no such user. The session that it is
/// asked with stays, if it is one of them.
pub async fn end_sessions_of(
    directory: &Directory,
    user_id: i64,
    asked_with: i64,
    (actor, client): (Actor, ClientInfo),
) -> Result<bool, Failure> {
    let now = directory.clock.now();
    let is_done = directory
        .write(
            move |conn| {
                if users::find_user(conn, user_id)?.is_none() {
                    return Ok(false);
                }
                let entry = NewAuditEntry::new(Action::SessionEnded, user_id, actor);
                audit::insert(conn, entry, &client, now)?;
                sessions::end_all(conn, user_id, Some(asked_with), now)?;
                Ok(true)
            },
            move |bus, is_done| {
                if *is_done {
                    bus.publish(&SessionEnded::all_of(user_id));
                }
            },
        )
        .await?;
    Ok(is_done)
}
