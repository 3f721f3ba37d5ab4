//! What other processes changed, read in the database, and told to this one as events.

use std::time::Duration;

use crate::accounts::actions::{self, keys};
use crate::accounts::events::{SessionEnded, UserChanged};
use crate::accounts::session_cache::FOLLOWED;
use crate::accounts::types::Revocation;
use crate::core::db::DbError;
use crate::core::db::alone::{self, Company, Watch};
use crate::core::freshness::{self, Freshness};
use crate::core::process_lock::ProcessLock;
use crate::core::telemetry::chain::Chain;
use crate::posts::events::AnythingChanged;
use crate::state::AppState;

/// How often a process asks what others changed: what is ended elsewhere is refused
/// here within a second.
pub const FOLLOW: Duration = Duration::from_millis(250);

/// How this process learns whether others write to the database.
pub enum Others {
    /// By the locks of an embedded database.
    Locks(ProcessLock),
    /// By the connections of the database server.
    Connections,
    /// They do, and the bus tells of it.
    Heard,
}

impl Others {
    /// That of a process, with its lock.
    pub fn of(app: &AppState, lock: ProcessLock) -> Self {
        match lock {
            ProcessLock::NotNeeded if app.bus.has_transport() => Self::Heard,
            ProcessLock::NotNeeded => Self::Connections,
            lock => Self::Locks(lock),
        }
    }

    /// Tells the bus what is known without asking the database.
    pub fn tell(&self, app: &AppState) {
        match self {
            Self::Locks(lock) => (app.bus).set_others_write(lock.has_others(), freshness::now()),
            Self::Heard => app.bus.set_others_write(true, freshness::now()),
            Self::Connections => {}
        }
    }

    /// Looks at the connections, if that is how it is known, and tells the bus. While there is no
    /// telling, what was known ends by itself.
    async fn look(&self, app: &AppState, watch: &mut Watch) {
        if !matches!(self, Self::Connections) {
            return;
        }
        let company = match app.housekeeping.read(alone::look).await {
            Ok(Some(look)) => {
                let company = watch.judge(&look);
                if watch.has_lost() {
                    app.db.close_dead();
                }
                company
            }
            Ok(None) => Company::Others,
            Err(error) => {
                tracing::debug!(error = %Chain(&error), "cannot see who is connected to the database");
                return;
            }
        };
        match company {
            Company::Alone(at) => app.bus.set_others_write(false, at),
            Company::Others => app.bus.set_others_write(true, freshness::now()),
            Company::NotKnown => {}
        }
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
pub async fn follow(app: AppState, others: Others) {
    let mut is_lost = false;
    let mut watch = Watch::default();
    // Nothing is known yet, so nothing is missed until now.
    others.tell(&app);
    app.accounts.session_cache.followed();
    loop {
        tokio::time::sleep(FOLLOW).await;
        let attempt = Freshness::default();
        attempt.renew();
        let mut catching_up = std::pin::pin!(async {
            let caught_up = catch_up(&app).await;
            others.look(&app, &mut watch).await;
            caught_up
        });
        let caught_up = loop {
            // Neither a slow database nor one that is away makes what is known unknown: only
            // a process that stood still does not come by here.
            others.tell(&app);
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
