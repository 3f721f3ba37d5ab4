//! The names of those who have sockets here. Every process looks up a name after it heard
//! that it may be another one, one reading after the other: the last begins after the
//! last change was committed, in whatever order they are heard of.

use super::Hub;
use crate::presence::membership::Online;

impl Hub {
    /// Somebody has another name, perhaps: it is looked up, never told, since what is told
    /// may be older than what was told before it.
    pub fn invalidate_name(&self, user_id: i64) {
        let mut state = self.lock();
        state.names_version += 1;
        if !state.of_user.contains_key(&user_id) {
            return;
        }
        state.stale_names.insert(user_id);
        drop(state);
        self.names_invalidated.notify_one();
    }

    /// Grows with every name that is invalidated, for who reads a name and joins with it.
    pub fn names_version(&self) -> u64 {
        self.lock().names_version
    }

    /// Waits for users whose names are to be looked up.
    pub async fn stale_names(&self) -> Vec<i64> {
        loop {
            let stale = std::mem::take(&mut self.lock().stale_names);
            if !stale.is_empty() {
                return stale.into_iter().collect();
            }
            self.names_invalidated.notified().await;
        }
    }

    /// Gives somebody who has sockets here a name.
    pub fn rename(&self, user_id: i64, name: &str) {
        let mut state = self.lock();
        let own = state.membership.own(user_id);
        let Some(user) = own.filter(|user| user.name != name) else {
            return;
        };
        let user = Online {
            name: name.to_owned(),
            ..user.clone()
        };
        state.membership.join(user);
        state.unsent.insert(user_id);
        drop(state);
        self.changed.notify_one();
    }
}
