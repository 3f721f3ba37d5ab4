//! The names of those who have sockets here. Every process looks up a name after it heard
//! that it may be another one, one reading after the other: the last begins after the
//! last change was committed, in whatever order they are heard of.

use std::time::Duration;

use super::Hub;
use super::roster::Online;
use crate::accounts::actions;
use crate::core::db::Db;

/// Names that one query looks up.
const TOGETHER: usize = 500;
/// Before they are looked up again when the database could not be asked.
const AGAIN: Duration = Duration::from_secs(1);

impl Hub {
    /// Somebody has another name, perhaps: it is looked up,
    /// never told, since what is told may be older than what was told before it.
    pub fn doubt_name(&self, user_id: i64) {
        let mut state = self.lock();
        state.renames += 1;
        if !state.of_user.contains_key(&user_id) {
            return;
        }
        state.doubted.insert(user_id);
        drop(state);
        self.doubted.notify_one();
    }

    /// How many names were doubted, for who reads a name and enters with it.
    pub fn renames(&self) -> u64 {
        self.lock().renames
    }

    /// Waits for users whose names are to be looked up.
    pub async fn doubted(&self) -> Vec<i64> {
        loop {
            let doubted = std::mem::take(&mut self.lock().doubted);
            if !doubted.is_empty() {
                return doubted.into_iter().collect();
            }
            self.doubted.notified().await;
        }
    }

    /// Gives somebody who has sockets here a name.
    pub fn name(&self, user_id: i64, name: &str) {
        let mut state = self.lock();
        let own = state.roster.own(user_id);
        let Some(user) = own.filter(|user| user.name != name) else {
            return;
        };
        let user = Online {
            name: name.to_owned(),
            ..user.clone()
        };
        state.roster.came(user);
        state.untold.insert(user_id);
        drop(state);
        self.changed.notify_one();
    }
}

/// Looks names up for as long as the server runs.
pub async fn follow(hub: &Hub, db: &Db) {
    loop {
        for some in hub.doubted().await.chunks(TOGETHER) {
            match actions::load_names(db, some.to_vec()).await {
                Ok(names) => {
                    for (user_id, name) in names {
                        hub.name(user_id, &name);
                    }
                }
                Err(_) => {
                    // The follower of other processes says that the database is away.
                    tokio::time::sleep(AGAIN).await;
                    for user_id in some {
                        hub.doubt_name(*user_id);
                    }
                }
            }
        }
    }
}
