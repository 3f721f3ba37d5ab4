//! What admins, and the operator, change of users.

use chrono::NaiveDateTime;
use diesel::result::QueryResult;

use crate::accounts::Directory;
use crate::accounts::client_info::ClientInfo;
use crate::accounts::events::{SessionEnded, UserChanged};
use crate::accounts::failure::Failure;
use crate::accounts::storage::{audit, sessions, users};
use crate::accounts::types::{
    Action, Actor, AdminChange, Administered, NewAuditEntry, Revocation, User,
};
use crate::core::db::Conn;
use crate::jobs::events::JobWritten;
use crate::posts::events::AnythingChanged;
use crate::posts::jobs::index_author::enqueue_renamed;

/// Changes a user as an admin may. The sessions of one who is not active any more end.
pub async fn administer(
    directory: &Directory,
    user_id: i64,
    change: AdminChange,
    (actor, client): (Actor, ClientInfo),
) -> Result<Administered, Failure> {
    let now = directory.clock.now();
    let done = directory
        .write(
            move |conn| self::change(conn, user_id, &change, (actor, &client), now),
            move |bus, done| {
                if let Administered::Done { before, after } = done
                    && before != after
                {
                    if before.name != after.name {
                        bus.publish(&AnythingChanged {});
                    }
                    bus.publish(&UserChanged { user_id });
                    bus.publish(&SessionEnded::all_of(user_id));
                    bus.publish(&JobWritten {});
                }
            },
        )
        .await?;
    Ok(done)
}

/// The transaction of [`administer`]. What changes nothing leaves no trace.
pub(super) fn change(
    conn: &mut Conn,
    user_id: i64,
    change: &AdminChange,
    (actor, client): (Actor, &ClientInfo),
    now: NaiveDateTime,
) -> QueryResult<Administered> {
    let done = users::administer(conn, user_id, change, now)?;
    if let Administered::Done { before, after } = &done
        && trace(conn, (before, after), (actor, client), now)?
    {
        if before.name != after.name {
            enqueue_renamed(conn, user_id, now)?;
        }
        if after.is_active {
            sessions::announce(conn, Revocation::User(user_id), now)?;
        } else {
            sessions::end_all(conn, user_id, None, now)?;
        }
    }
    Ok(done)
}

/// Writes a row of the audit for each thing that has changed; false when nothing has.
fn trace(
    conn: &mut Conn,
    (before, after): (&User, &User),
    (actor, client): (Actor, &ClientInfo),
    now: NaiveDateTime,
) -> QueryResult<bool> {
    let mut has_changed = false;
    let mut write = |action, detail: &str| {
        has_changed = true;
        let entry = NewAuditEntry {
            detail,
            ..NewAuditEntry::new(action, after.user_id, actor)
        };
        audit::insert(conn, entry, client, now)
    };
    if before.name != after.name {
        write(Action::ProfileChanged, "name")?;
    }
    if before.role != after.role {
        let roles = format!("{} to {}", before.role, after.role);
        write(Action::RoleChanged, &roles)?;
    }
    if before.is_active != after.is_active {
        let action = if after.is_active {
            Action::Activated
        } else {
            Action::Deactivated
        };
        write(action, "")?;
    }
    Ok(has_changed)
}
