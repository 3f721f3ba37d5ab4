//! Sessions as they are stored: each login is one, until it is ended or expires.
//!
//! Ending deletes the row and leaves an event, in one transaction; the events are
//! what other processes learn of it by.

use chrono::NaiveDateTime;
use diesel::prelude::*;

use super::users::find_by_account;
use crate::accounts::client_info::ClientInfo;
use crate::accounts::refresh::{RefreshKeys, RefreshToken, hash_of};
use crate::accounts::tokens::Subject;
use crate::accounts::types::{
    ADMIN, Account, NOBODY, OpenSession, Refreshed, Revocation, Session, SessionEvent,
    SessionOwner, User,
};
use crate::core::db::schema::{session, session_event, user};
use crate::core::db::{Conn, dialect};
use crate::core::settings::Lifetimes;

/// Opens a session. `nonce`: 256 random bits.
pub fn open(
    conn: &mut Conn,
    keys: &RefreshKeys,
    user_id: i64,
    remembered: bool,
    nonce: &str,
    client: &ClientInfo,
    (now, lifetimes): (NaiveDateTime, Lifetimes),
) -> QueryResult<OpenSession> {
    // Settings that leave no time for a token are refused.
    let expires = lifetimes.end(remembered, now, now).unwrap_or(now);
    diesel::insert_into(session::table)
        .values((
            session::user_id.eq(user_id),
            session::remembered.eq(remembered),
            session::nonce.eq(nonce),
            session::generation.eq(0),
            // The token holds the id, which the row is given just now.
            session::refresh_hash.eq(""),
            session::user_agent.eq(&client.user_agent),
            session::ip.eq(&client.ip),
            session::created.eq(now),
            session::rotated.eq(now),
            session::expires.eq(expires),
        ))
        .execute(conn)?;
    let session_id = dialect::last_insert(conn)?;
    let refresh_token = keys.make(session_id, 0, nonce);
    diesel::update(session::table.find(session_id))
        .set(session::refresh_hash.eq(hash_of(&refresh_token)))
        .execute(conn)?;
    Ok(OpenSession {
        session_id,
        remembered,
        refresh_token,
        expires,
    })
}

/// Takes a refresh token for its successor.
pub fn refresh(
    conn: &mut Conn,
    keys: &RefreshKeys,
    text: &str,
    client: &ClientInfo,
    (now, lifetimes): (NaiveDateTime, Lifetimes),
) -> QueryResult<Refreshed> {
    let Some(token) = RefreshToken::parse(text) else {
        return Ok(Refreshed::Unknown);
    };
    // A second look when another refresh of the same token came in between.
    for _ in 0..2 {
        let found: Option<(Session, User)> = session::table
            .inner_join(user::table)
            .filter(session::session_id.eq(token.session_id))
            .filter(session::expires.gt(now))
            .filter(user::is_active.eq(true))
            .select((Session::as_select(), User::as_select()))
            .first(conn)
            .optional()?;
        let Some((row, owner)) = found else {
            return Ok(Refreshed::Unknown);
        };
        if !keys.is_genuine(&token, &row.nonce) || token.generation > row.generation {
            return Ok(Refreshed::Unknown);
        }
        let Some(expires) = lifetimes.end(row.remembered, row.created, now) else {
            return Ok(Refreshed::Unknown);
        };
        let opened = |refresh_token, expires| OpenSession {
            session_id: row.session_id,
            remembered: row.remembered,
            refresh_token,
            expires,
        };
        if token.generation == row.generation {
            let next = keys.make(row.session_id, row.generation + 1, &row.nonce);
            let is_ours = diesel::update(
                session::table
                    .find(row.session_id)
                    .filter(session::refresh_hash.eq(hash_of(text))),
            )
            .set((
                session::generation.eq(row.generation + 1),
                session::refresh_hash.eq(hash_of(&next)),
                session::user_agent.eq(&client.user_agent),
                session::ip.eq(&client.ip),
                session::rotated.eq(now),
                session::expires.eq(expires),
            ))
            .execute(conn)?;
            if is_ours == 1 {
                return Ok(Refreshed::Rotated(Box::new(owner), opened(next, expires)));
            }
            continue;
        }
        // Its successor was not used, or the session would be a generation further. So two
        // tabs may come at once, and a client again whose answer was lost.
        let is_successor_unused = token.generation + 1 == row.generation;
        let successor = is_successor_unused
            .then(|| {
                keys.make_hashed(
                    row.session_id,
                    row.generation,
                    &row.nonce,
                    &row.refresh_hash,
                )
            })
            .flatten();
        if let Some(successor) = successor {
            return Ok(Refreshed::Rotated(
                Box::new(owner),
                opened(successor, row.expires),
            ));
        }
        end(conn, row.user_id, row.session_id, now)?;
        return Ok(Refreshed::Reused {
            owner: Box::new(owner),
            session_id: row.session_id,
        });
    }
    // Twice in one moment another was faster and changed the token, which no two
    // honest clients do.
    Ok(Refreshed::Unknown)
}

/// Whether a session is the user's and live.
pub fn is_live(conn: &mut Conn, subject: Subject, now: NaiveDateTime) -> QueryResult<bool> {
    let found: Option<i64> = session::table
        .find(subject.session_id)
        .filter(session::user_id.eq(subject.user_id))
        .filter(session::expires.gt(now))
        .select(session::session_id)
        .first(conn)
        .optional()?;
    Ok(found.is_some())
}

/// The live session that a refresh token is, or was, of.
pub fn find_by_refresh_token(
    conn: &mut Conn,
    keys: &RefreshKeys,
    token: &RefreshToken,
    now: NaiveDateTime,
) -> QueryResult<Option<Subject>> {
    let row: Option<Session> = session::table
        .find(token.session_id)
        .filter(session::expires.gt(now))
        .select(Session::as_select())
        .first(conn)
        .optional()?;
    Ok(row
        .filter(|row| keys.is_genuine(token, &row.nonce))
        .map(|row| Subject {
            user_id: row.user_id,
            session_id: row.session_id,
        }))
}

/// Ends a session of the user; false when it is not there.
pub fn end(
    conn: &mut Conn,
    user_id: i64,
    session_id: i64,
    now: NaiveDateTime,
) -> QueryResult<bool> {
    let ended = diesel::delete(
        session::table
            .find(session_id)
            .filter(session::user_id.eq(user_id)),
    )
    .execute(conn)?;
    if ended == 1 {
        announce(
            conn,
            Revocation::Session {
                user_id,
                session_id,
            },
            now,
        )?;
    }
    Ok(ended == 1)
}

/// Ends every session of the user, but `except`.
pub fn end_all(
    conn: &mut Conn,
    user_id: i64,
    except: Option<i64>,
    now: NaiveDateTime,
) -> QueryResult<usize> {
    let ended = diesel::delete(
        session::table
            .filter(session::user_id.eq(user_id))
            .filter(session::session_id.ne(except.unwrap_or(0))),
    )
    .execute(conn)?;
    announce(conn, Revocation::User(user_id), now)?;
    Ok(ended)
}

/// Deletes some sessions of a user who is gone; gives how many.
pub fn delete_some_of(conn: &mut Conn, user_id: i64, limit: i64) -> QueryResult<usize> {
    let ids: Vec<i64> = session::table
        .filter(session::user_id.eq(user_id))
        .limit(limit)
        .select(session::session_id)
        .load(conn)?;
    if ids.is_empty() {
        return Ok(0);
    }
    diesel::delete(session::table.filter(session::session_id.eq_any(ids))).execute(conn)
}

/// The user of an event's row that is about anything.
const ANYTHING: i64 = NOBODY;

/// Tells all processes to forget what they know of what was revoked. Late in its
/// transaction, so that the time between the event's number and its being visible is
/// short.
pub fn announce(conn: &mut Conn, revocation: Revocation, now: NaiveDateTime) -> QueryResult<()> {
    let (user_id, session_id) = match revocation {
        Revocation::Anything => (ANYTHING, None),
        Revocation::User(user_id) => (user_id, None),
        Revocation::Session {
            user_id,
            session_id,
        } => (user_id, Some(session_id)),
    };
    diesel::insert_into(session_event::table)
        .values((
            session_event::user_id.eq(user_id),
            session_event::session_id.eq(session_id),
            session_event::at.eq(now),
        ))
        .execute(conn)?;
    Ok(())
}

/// The live sessions of a user, the last used first: all of them, or so many.
pub fn load_live(
    conn: &mut Conn,
    user_id: i64,
    limit: Option<i64>,
    now: NaiveDateTime,
) -> QueryResult<Vec<Session>> {
    session::table
        .filter(session::user_id.eq(user_id))
        .filter(session::expires.gt(now))
        .order((session::rotated.desc(), session::session_id.desc()))
        .limit(limit.unwrap_or(i64::MAX))
        .select(Session::as_select())
        .load(conn)
}

/// Whose live sessions were last used from an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveAt {
    /// One of whoever an account names.
    pub owners: bool,
    /// One of anybody.
    pub anybodys: bool,
}

/// Whose live sessions were last used from this address, as whoever the account names sees it.
pub fn live_at(
    conn: &mut Conn,
    account: &Account,
    ip: &str,
    now: NaiveDateTime,
) -> QueryResult<LiveAt> {
    let owner = find_by_account(conn, account)?.map_or(NOBODY, |user| user.user_id);
    let live = || {
        session::table
            .filter(session::ip.eq(ip))
            .filter(session::expires.gt(now))
            .select(session::session_id)
    };
    let owners: Option<i64> = live()
        .filter(session::user_id.eq(owner))
        .first(conn)
        .optional()?;
    let anybodys: Option<i64> = live().first(conn).optional()?;
    Ok(LiveAt {
        owners: owners.is_some(),
        anybodys: anybodys.is_some(),
    })
}

/// Whose a session is and what they may do; `None` when it has ended or its user
/// is not active.
pub fn find_owner(
    conn: &mut Conn,
    session_id: i64,
    now: NaiveDateTime,
) -> QueryResult<Option<SessionOwner>> {
    let found: Option<(i64, String)> = session::table
        .inner_join(user::table)
        .filter(session::session_id.eq(session_id))
        .filter(session::expires.gt(now))
        .filter(user::is_active.eq(true))
        .select((user::user_id, user::role))
        .first(conn)
        .optional()?;
    Ok(found.map(|(user_id, role)| SessionOwner {
        user_id,
        is_admin: role == ADMIN,
    }))
}

/// Events after a number, in order.
pub fn load_events(conn: &mut Conn, after: i64) -> QueryResult<Vec<SessionEvent>> {
    let rows: Vec<(i64, i64, Option<i64>)> = session_event::table
        .filter(session_event::event_id.gt(after))
        .order(session_event::event_id)
        .select((
            session_event::event_id,
            session_event::user_id,
            session_event::session_id,
        ))
        .load(conn)?;
    Ok(rows
        .into_iter()
        .map(|(event_id, user_id, session_id)| SessionEvent {
            event_id,
            revocation: match user_id {
                ANYTHING => Revocation::Anything,
                user_id => Revocation::of(user_id, session_id),
            },
        })
        .collect())
}

/// The number of the newest event; 0 when there is none.
pub fn newest_event(conn: &mut Conn) -> QueryResult<i64> {
    let newest: Option<i64> = session_event::table
        .select(diesel::dsl::max(session_event::event_id))
        .first(conn)?;
    Ok(newest.unwrap_or(0))
}

/// Deletes some sessions that have expired; gives how many. Nobody has to be told: a
/// token lives no longer than its session.
pub fn delete_expired(conn: &mut Conn, now: NaiveDateTime, limit: i64) -> QueryResult<usize> {
    let ids: Vec<i64> = session::table
        .filter(session::expires.le(now))
        .limit(limit)
        .select(session::session_id)
        .load(conn)?;
    // Not one that was refreshed in this moment.
    diesel::delete(
        session::table
            .filter(session::session_id.eq_any(ids))
            .filter(session::expires.le(now)),
    )
    .execute(conn)
}

/// Deletes some events from before a time; gives how many.
pub fn delete_events(conn: &mut Conn, before: NaiveDateTime, limit: i64) -> QueryResult<usize> {
    let ids: Vec<i64> = session_event::table
        .filter(session_event::at.lt(before))
        .limit(limit)
        .select(session_event::event_id)
        .load(conn)?;
    diesel::delete(session_event::table.filter(session_event::event_id.eq_any(ids))).execute(conn)
}
