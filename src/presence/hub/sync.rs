//! What the hub knows of other processes, and they of it.

use std::time::Duration;

use tokio::time::Instant;

use super::Hub;
use crate::presence::membership::{Member, Membership};

/// A process that says nothing for so long is gone, and its users with it.
const LEASE: Duration = Duration::from_secs(10);
/// From the connection until every other process is connected too, and was heard: before
/// that a list of who is online may lack whole processes.
const SYNC_TIME: Duration = Duration::from_millis(1500);

impl Hub {
    /// Applies what other processes say, at a time of the monotonic clock.
    pub fn update<T>(&self, apply: impl FnOnce(&mut Membership, Duration) -> T) -> T {
        let mut state = self.lock();
        let applied = apply(&mut state.membership, self.clock.steady());
        let is_dirty = state.membership.is_dirty();
        drop(state);
        if is_dirty {
            self.changed.notify_one();
        }
        applied
    }

    /// Sets whether other processes should be heard and are not.
    pub fn set_partial(&self, is_partial: bool) {
        let mut state = self.lock();
        state.is_partial = is_partial;
        state.syncing_since = None;
        if is_partial {
            state.membership.forget_all();
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Other processes are heard from now on, and asked who is online there. That a
    /// session ended meanwhile was not heard.
    pub fn connected(&self) {
        self.lock().syncing_since = Some(Instant::now());
        self.revalidate_all();
    }

    /// Forgets processes whose lease has ended. When all that were heard have told who is
    /// online there, the list is whole.
    pub fn expire_leases(&self) {
        let is_synced = self.update(|membership, now| {
            membership.forget_silent(now.saturating_sub(LEASE));
            membership.is_synced()
        });
        let since = self.lock().syncing_since;
        if is_synced && since.is_some_and(|since| since.elapsed() > SYNC_TIME) {
            self.set_partial(false);
        }
    }

    /// How many changes were sent to other processes, and all who have sockets here: nobody
    /// when the server stops, since others will not be told when they leave.
    pub fn own(&self) -> (u64, Vec<Member>) {
        let state = self.lock();
        let own = match state.frames {
            Some(_) => state
                .membership
                .all_own()
                .map(|user| state.member(user))
                .collect(),
            None => Vec::new(),
        };
        (state.version, own)
    }

    /// How many changes were sent to other processes.
    pub fn version(&self) -> u64 {
        self.lock().version
    }
}
