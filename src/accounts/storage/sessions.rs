//! Sessions as they are stored: each login is one, until it is ended or expires.
//!
//! Ending deletes the row and leaves an event, in one transaction; the events are
//! what other processes learn of it by.

use chrono::{Duration, NaiveDateTime};
use diesel::prelude::*;

use super::users::{User, find_by_account};
use crate::accounts::client_info::ClientInfo;
use crate::accounts::refresh::{RefreshKeys, RefreshToken, hash_of};
use crate::accounts::types::Account;
use crate::core::db::schema::{session, session_event, user};
use crate::core::db::{Conn, dialect};
use crate::core::settings::Lifetimes;

/// How long after its use a refresh token still gets the same successor: two tabs
/// of one browser refresh at once.
pub const GRACE: Duration = Duration::seconds(10);

/// A session's row.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = session)]
pub struct Session {
    pub session_id: i64,
    pub user_id: i64,
    pub remembered: bool,
    pub nonce: String,
    pub generation: i32,
    pub refresh_hash: String,
    pub user_agent: String,
    pub ip: String,
    pub created: NaiveDateTime,
    /// When its refresh token was last changed, which is its last use.
    pub rotated: NaiveDateTime,
    pub expires: NaiveDateTime,
}

/// A session with the refresh token that goes to the client.
#[derive(Clone, Debug)]
pub struct Opened {
    pub session_id: i64,
    pub remembered: bool,
    pub refresh_token: String,
    pub expires: NaiveDateTime,
}

/// Opens a session. `nonce`: 256 random bits.
pub fn open(
    conn: &mut Conn,
    keys: &RefreshKeys,
    user_id: i64,
    remembered: bool,
    nonce: &str,
    client: &ClientInfo,
    (now, lifetimes): (NaiveDateTime, Lifetimes),
) -> QueryResult<Opened> {
    let expires = now + lifetimes.of(remembered);
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
    Ok(Opened {
        session_id,
        remembered,
        refresh_token,
        expires,
    })
}

/// What came of a refresh.
#[derive(Debug)]
pub enum Refreshed {
    /// The session goes on with this token.
    Opened(Box<User>, Opened),
    /// No live session has, or had, this token.
    Unknown,
    /// The token was used before: the session was ended.
    Reused {
        user_id: i64,
        session_id: i64,
        email: String,
    },
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
        let opened = |refresh_token, expires| Opened {
            session_id: row.session_id,
            remembered: row.remembered,
            refresh_token,
            expires,
        };
        if token.generation == row.generation {
            let next = keys.make(row.session_id, row.generation + 1, &row.nonce);
            let expires = now + lifetimes.of(row.remembered);
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
                return Ok(Refreshed::Opened(Box::new(owner), opened(next, expires)));
            }
            continue;
        }
        let is_in_grace = token.generation + 1 == row.generation && now - row.rotated <= GRACE;
        let successor = is_in_grace
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
            return Ok(Refreshed::Opened(
                Box::new(owner),
                opened(successor, row.expires),
            ));
        }
        end(conn, row.user_id, row.session_id, now)?;
        return Ok(Refreshed::Reused {
            user_id: row.user_id,
            session_id: row.session_id,
            email: owner.email,
        });
    }
    // Twice in one moment another was faster and changed the token, which no two
    // honest clients do.
    Ok(Refreshed::Unknown)
}

/// The user and the id of the live session that a refresh token is, or was, of.
pub fn find_genuine(
    conn: &mut Conn,
    keys: &RefreshKeys,
    token: &RefreshToken,
    now: NaiveDateTime,
) -> QueryResult<Option<(i64, i64)>> {
    let row: Option<Session> = session::table
        .find(token.session_id)
        .filter(session::expires.gt(now))
        .select(Session::as_select())
        .first(conn)
        .optional()?;
    Ok(row
        .filter(|row| keys.is_genuine(token, &row.nonce))
        .map(|row| (row.user_id, row.session_id)))
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
        announce(conn, user_id, Some(session_id), now)?;
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
    announce(conn, user_id, None, now)?;
    Ok(ended)
}

/// Tells all processes to forget what they know of a session, or of all sessions
/// of a user. Late in its transaction, so that the time between the event's number
/// and its being visible is short.
pub fn announce(
    conn: &mut Conn,
    user_id: i64,
    session_id: Option<i64>,
    now: NaiveDateTime,
) -> QueryResult<()> {
    diesel::insert_into(session_event::table)
        .values((
            session_event::user_id.eq(user_id),
            session_event::session_id.eq(session_id),
            session_event::at.eq(now),
        ))
        .execute(conn)?;
    Ok(())
}

/// The live sessions of a user, the last used first.
pub fn load_live(conn: &mut Conn, user_id: i64, now: NaiveDateTime) -> QueryResult<Vec<Session>> {
    session::table
        .filter(session::user_id.eq(user_id))
        .filter(session::expires.gt(now))
        .order((session::rotated.desc(), session::session_id.desc()))
        .select(Session::as_select())
        .load(conn)
}

/// Whether whoever the account names has a live session that was last used from
/// this address.
pub fn is_live_at(
    conn: &mut Conn,
    account: &Account,
    ip: &str,
    now: NaiveDateTime,
) -> QueryResult<bool> {
    let owner = find_by_account(conn, account)?.map_or(0, |user| user.user_id);
    let live: i64 = session::table
        .filter(session::user_id.eq(owner))
        .filter(session::ip.eq(ip))
        .filter(session::expires.gt(now))
        .count()
        .get_result(conn)?;
    Ok(live > 0)
}

/// Whose a session is and what they may do; `None` when it has ended or its user
/// is not active.
pub fn find_owner(
    conn: &mut Conn,
    session_id: i64,
    now: NaiveDateTime,
) -> QueryResult<Option<(i64, bool)>> {
    let found: Option<(i64, String)> = session::table
        .inner_join(user::table)
        .filter(session::session_id.eq(session_id))
        .filter(session::expires.gt(now))
        .filter(user::is_active.eq(true))
        .select((user::user_id, user::role))
        .first(conn)
        .optional()?;
    Ok(found.map(|(user_id, role)| (user_id, role == super::users::ADMIN)))
}

/// The user of an event that is about no user: anything may have changed, of which
/// others could not be told in another way.
pub const ANYTHING: i64 = 0;

/// An event: its number, the user, and the session if it is about one only.
pub type Event = (i64, i64, Option<i64>);

/// Events after a number, in order.
pub fn load_events(conn: &mut Conn, after: i64) -> QueryResult<Vec<Event>> {
    session_event::table
        .filter(session_event::event_id.gt(after))
        .order(session_event::event_id)
        .select((
            session_event::event_id,
            session_event::user_id,
            session_event::session_id,
        ))
        .load(conn)
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
