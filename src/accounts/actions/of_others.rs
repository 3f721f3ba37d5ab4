//! What other rooms ask of users, in a transaction of theirs.

use diesel::result::QueryResult;

use super::find::public_views;
use crate::accounts::storage::users;
use crate::accounts::types::PublicUser;
use crate::core::db::Conn;

/// Whether there is such a user, active or not.
pub fn is_somebody(conn: &mut Conn, user_id: i64) -> QueryResult<bool> {
    Ok(!users::load_users(conn, &[user_id])?.is_empty())
}

/// Has two users stay until the transaction ends, the first of them for this transaction alone; gives which of them are
/// there.
pub fn hold_in_turn(conn: &mut Conn, alone: i64, shared: i64) -> QueryResult<Vec<i64>> {
    users::hold_somebodies(conn, alone, shared)
}

/// What anyone may know of these users, in this order, but for those who are gone.
pub fn load_public(conn: &mut Conn, user_ids: &[i64]) -> QueryResult<Vec<PublicUser>> {
    let mut found = users::load_users(conn, user_ids)?;
    found.sort_by_key(|user| user_ids.iter().position(|id| *id == user.user_id));
    public_views(conn, found)
}
