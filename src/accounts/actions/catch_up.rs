//! Session lookup through the cache, and catching up with the revocations of other
//! processes.

use crate::accounts::Accounts;
use crate::accounts::session_cache::SessionCache;
use crate::accounts::storage::sessions;
use crate::accounts::tokens::Subject;
use crate::accounts::types::{Revocation, SessionOwner};
use crate::core::clock::Clock;
use crate::core::db::{Db, DbError};

/// How many events before the newest the first reading begins: numbers are given before
/// they are visible.
const FIRST_OVERLAP: i64 = 1000;

/// Whose the token's session is; `None` when it is not live. No query for a session that
/// is cached.
pub async fn find_session_owner(
    accounts: &Accounts,
    subject: Subject,
) -> Result<Option<SessionOwner>, DbError> {
    let cache = &accounts.session_cache;
    if let Some(owner) = cache.lookup(subject) {
        return Ok(Some(owner));
    }
    let generation = cache.generation();
    let now = accounts.directory.clock.now();
    let found = accounts
        .directory
        .db
        .read(move |conn| sessions::find_owner(conn, subject.session_id, now))
        .await?;
    let owner = found.filter(|owner| owner.user_id == subject.user_id);
    if let Some(owner) = owner {
        cache.insert(subject.session_id, owner, generation);
    }
    Ok(owner)
}

/// Applies to the cache what other processes revoked since the last time, and gives it.
/// One query. Without the database cached sessions go on.
pub async fn catch_up(db: &Db, cache: &SessionCache) -> Result<Vec<Revocation>, DbError> {
    let from = cache.read_from();
    let (events, newest) = db
        .read(move |conn| {
            let from = match from {
                Some(from) => from,
                None => (sessions::newest_event(conn)? - FIRST_OVERLAP).max(0),
            };
            let events = sessions::load_events(conn, from)?;
            let newest = events.last().map_or(from, |event| event.event_id);
            Ok((events, newest))
        })
        .await?;
    Ok(cache.apply(events, newest))
}

/// Tells all other processes, by the database, that anything may have changed.
pub async fn announce_anything(db: &Db, clock: &Clock) -> Result<(), DbError> {
    let now = clock.now();
    db.write(move |conn| sessions::announce(conn, Revocation::Anything, now))
        .await
}
