//! Sessions: their row, whose they are, and what revocation says of them.

use chrono::NaiveDateTime;
use diesel::prelude::*;

use super::user::User;
use crate::core::db::schema::session;

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
pub struct OpenSession {
    pub session_id: i64,
    pub remembered: bool,
    pub refresh_token: String,
    pub expires: NaiveDateTime,
}

/// What came of a refresh.
#[derive(Debug)]
pub enum Refreshed {
    /// The session goes on with this token.
    Rotated(Box<User>, OpenSession),
    /// No live session has, or had, this token.
    Unknown,
    /// The token was used before: the session was ended.
    Reused { owner: Box<User>, session_id: i64 },
}

/// Whose a live session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionOwner {
    pub user_id: i64,
    pub is_admin: bool,
}

/// What a revocation is about: what processes know of it may have ended, or be another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// Anything, of which others could not be told in another way.
    Anything,
    /// The user and every session of theirs.
    User(i64),
    /// One session.
    Session { user_id: i64, session_id: i64 },
}

impl Revocation {
    /// Of one session of a user, or of all of them.
    pub fn of(user_id: i64, session_id: Option<i64>) -> Self {
        match session_id {
            Some(session_id) => Self::Session {
                user_id,
                session_id,
            },
            None => Self::User(user_id),
        }
    }
}

/// A revocation as other processes read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionEvent {
    /// Grows; a number may become visible after higher ones.
    pub event_id: i64,
    pub revocation: Revocation,
}
