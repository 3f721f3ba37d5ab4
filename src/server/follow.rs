//! What other processes changed, read in the database, and told to this one as events.

use std::time::Duration;

use crate::accounts::actions::{self, keys};
use crate::accounts::events::{SessionEnded, UserChanged};
use crate::accounts::session_cache::FOLLOWED;
use crate::accounts::types::Revocation;
use crate::core::db::{DatabaseUrl, Db, DbError};
use crate::core::freshness::Freshness;
use crate::core::process_lock::ProcessLock;
use crate::core::telemetry::chain::Chain;
use crate::posts::events::AnythingChanged;
use crate::state::AppState;

/// How often a process asks what others changed: what is ended elsewhere is refused
/// here within a second.
pub const FOLLOW: Duration = Duration::from_millis(250);

/// Whether other processes write to the database, as far as it is known.
pub fn others_write(db: &Db, lock: &ProcessLock) -> bool {
    match db.url() {
        DatabaseUrl::Sqlite(_) => lock.has_others(),
        DatabaseUrl::Mysql(_) => true,
    }
}

/// Learns from the database what other processes changed, and tells them through it what
/// they missed.
async fn catch_up(app: &AppState) -> Result<(), DbError> {
    deliver_changes(app).await?;
    announce_missed(app).await?;
    keys::catch_up(&app.housekeeping, &app.accounts.tokens).await
}

/// Delivers as events what other processes wrote down.
async fn deliver_changes(app: &AppState) -> Result<(), DbError> {
    for revocation in actions::catch_up(&app.housekeeping, &app.accounts.session_cache).await? {
        match revocation {
            Revocation::Anything => app.bus.deliver(&AnythingChanged {}),
            Revocation::User(user_id) => {
                app.bus.deliver(&SessionEnded::all_of(user_id));
                app.bus.deliver(&UserChanged { user_id });
            }
            Revocation::Session {
                user_id,
                session_id,
            } => app.bus.deliver(&SessionEnded::one(user_id, session_id)),
        }
    }
    Ok(())
}

/// Writes down that other processes missed an event of this one, if they did.
async fn announce_missed(app: &AppState) -> Result<(), DbError> {
    if !app.bus.take_missed() {
        return Ok(());
    }
    let announced = actions::announce_anything(&app.db, &app.clock).await;
    if announced.is_err() {
        // It is still to be told, next time.
        app.bus.missed();
    }
    announced
}

/// Learns what other processes changed, again and again, for as long as the server
/// runs. Each reading is two queries, the first of which is empty nearly always.
pub async fn follow(app: AppState, lock: ProcessLock) {
    let mut is_lost = false;
    // Nothing is known yet, so nothing is missed until now.
    app.bus.set_others_write(others_write(&app.db, &lock));
    app.accounts.session_cache.followed();
    loop {
        tokio::time::sleep(FOLLOW).await;
        let attempt = Freshness::default();
        attempt.renew();
        let mut catching_up = std::pin::pin!(catch_up(&app));
        let caught_up = loop {
            // Neither a slow database nor one that is away makes what is known unknown: only
            // a process that stood still does not come by here.
            app.bus.set_others_write(others_write(&app.db, &lock));
            app.accounts.session_cache.following();
            if let Ok(caught_up) = tokio::time::timeout(FOLLOW, &mut catching_up).await {
                break caught_up;
            }
        };
        // What was read before a pause says nothing of it.
        if caught_up.is_ok() && attempt.is_fresh(FOLLOWED) {
            app.accounts.session_cache.followed();
        }
        // Said once when it begins and once when it ends.
        match &caught_up {
            Ok(()) if is_lost => tracing::info!("the changes of other processes are seen again"),
            Err(error) if !is_lost => {
                tracing::warn!(error = %Chain(&error), place = %error.place(), "cannot see the changes of other processes");
            }
            _ => {}
        }
        is_lost = caught_up.is_err();
    }
}
