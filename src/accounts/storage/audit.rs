//! The audit as it is kept: rows that stay, and log lines. Neither has a mail address, a
//! password or a token in it.

use chrono::NaiveDateTime;
use diesel::prelude::*;

use crate::accounts::client_info::ClientInfo;
use crate::accounts::types::{Action, AuditEntry, NewAuditEntry};
use crate::core::db::Conn;
use crate::core::db::dialect::{any_of, in_time};
use crate::core::db::schema::{audit, installation};
use crate::core::page::{ListPart, Listed, find_keys};

/// Writes a row and a log line. Inside of the transaction of the action itself.
pub fn insert(
    conn: &mut Conn,
    entry: NewAuditEntry<'_>,
    client: &ClientInfo,
    now: NaiveDateTime,
) -> QueryResult<()> {
    // Whole: no field is left out unnoticed.
    let NewAuditEntry {
        action,
        user_id,
        actor,
        detail,
    } = entry;
    let ClientInfo {
        ip,
        user_agent: _,
        request_id,
    } = client;
    let actor_id = actor.user_id();
    diesel::insert_into(audit::table)
        .values((
            audit::at.eq(now),
            audit::user_id.eq(user_id),
            audit::actor_id.eq(actor_id),
            audit::action.eq(action.name()),
            audit::ip.eq(ip),
            audit::request_id.eq(request_id),
            audit::detail.eq(detail),
        ))
        .execute(conn)?;
    let is_alarm = action == Action::RefreshReused;
    if is_alarm {
        tracing::warn!(
            target: "inkpot::audit", action = action.name(), user_id,
            ip, request_id, "a used refresh token came back: the session was ended"
        );
    } else {
        tracing::info!(
            target: "inkpot::audit", action = action.name(), user_id,
            actor_id, ip, request_id,
            detail, "audit"
        );
    }
    Ok(())
}

/// When a user logged in last, or registered by themselves. Refused tries since then are read
/// one by one.
pub fn find_last_login(conn: &mut Conn, user_id: i64) -> QueryResult<Option<NaiveDateTime>> {
    let registered = (audit::action.eq(Action::Registered.name())).and(audit::actor_id.eq(user_id));
    audit::table
        .filter(audit::user_id.eq(user_id))
        .filter((audit::action.eq(Action::LoggedIn.name()).nullable()).or(registered))
        .order(audit::audit_id.desc())
        .select(audit::at)
        .first(conn)
        .optional()
}

/// Takes the addresses off some entries of a user who is deleted; gives off how many.
pub fn forget_some_addresses_of(conn: &mut Conn, user_id: i64, limit: i64) -> QueryResult<usize> {
    let ids: Vec<i64> = audit::table
        .filter(audit::user_id.eq(user_id))
        .filter(audit::ip.ne(""))
        .order(audit::audit_id)
        .limit(limit)
        .select(audit::audit_id)
        .load(conn)?;
    if ids.is_empty() {
        return Ok(0);
    }
    diesel::update(audit::table.filter(audit::audit_id.eq_any(&ids)))
        .set(audit::ip.eq(""))
        .execute(conn)?;
    Ok(ids.len())
}

/// Takes the addresses off the next entries that are from before a time, so many at most; gives
/// how many were looked at. Goes on where it was last, along the ids, which are in the order of
/// time but for what was written at once: no entry is read twice.
pub fn forget_old_addresses(
    conn: &mut Conn,
    before: NaiveDateTime,
    limit: i64,
) -> QueryResult<usize> {
    let from: i64 = installation::table
        .select(installation::audit_forgotten)
        .first(conn)?;
    let next: Vec<(i64, NaiveDateTime)> = audit::table
        .filter(audit::audit_id.gt(from))
        .order(audit::audit_id)
        .limit(limit)
        .select((audit::audit_id, audit::at))
        .load(conn)?;
    let old: Vec<i64> = next
        .into_iter()
        .take_while(|(_, at)| *at < before)
        .map(|(id, _)| id)
        .collect();
    let Some(last) = old.last() else {
        return Ok(0);
    };
    diesel::update(
        audit::table
            .filter(audit::audit_id.gt(from))
            .filter(audit::audit_id.le(*last))
            .filter(audit::ip.ne("")),
    )
    .set(audit::ip.eq(""))
    .execute(conn)?;
    diesel::update(installation::table)
        .set(installation::audit_forgotten.eq(*last))
        .execute(conn)?;
    Ok(old.len())
}

/// Part of the entries of one user or of all, newest first. Call it in a snapshot.
pub fn load_part(
    conn: &mut Conn,
    user_id: Option<i64>,
    part: ListPart,
) -> QueryResult<Listed<AuditEntry>> {
    let found = find_keys(part, |below, limit| {
        let newest = audit::table
            .filter(audit::audit_id.lt(below))
            .filter(in_time(audit::audit_id))
            .order(audit::audit_id.desc())
            .limit(limit)
            .select(audit::audit_id);
        match user_id {
            Some(id) => newest.filter(audit::user_id.eq(id)).load(conn),
            None => newest.load(conn),
        }
    })?;
    let entries = audit::table
        .filter(any_of(audit::audit_id, &found.rows))
        .order(audit::audit_id.desc())
        .select(AuditEntry::as_select())
        .load(conn)?;
    Ok(found.with(entries))
}

/// Everything of one user, oldest first, a thousand at a time: those after
/// `after`.
pub fn load_after(conn: &mut Conn, user_id: i64, after: i64) -> QueryResult<Vec<AuditEntry>> {
    audit::table
        .filter(audit::user_id.eq(user_id))
        .filter(audit::audit_id.gt(after))
        .order(audit::audit_id)
        .limit(1000)
        .select(AuditEntry::as_select())
        .load(conn)
}
