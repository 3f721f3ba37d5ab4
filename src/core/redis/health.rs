//! Whether Redis is away, by the word of all that use it: said in the log once when it
//! goes and once when it is back for all of them.

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;

use crate::core::metrics::Families;
use crate::core::redis::url::RedisUrl;

/// Who uses Redis, each over connections of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User {
    Bus,
    Limits,
}

/// What all users say of the Redis that a process has.
#[derive(Debug)]
pub struct RedisHealth {
    /// For the log.
    name: String,
    state: watch::Sender<State>,
}

#[derive(Debug, Default)]
struct State {
    bus_is_away: bool,
    limits_are_away: bool,
    /// How often the bus has lost it.
    losses: u64,
}

impl State {
    fn of(&mut self, user: User) -> &mut bool {
        match user {
            User::Bus => &mut self.bus_is_away,
            User::Limits => &mut self.limits_are_away,
        }
    }

    fn is_away(&self) -> bool {
        self.bus_is_away || self.limits_are_away
    }
}

impl RedisHealth {
    /// Of whom nobody has said anything yet.
    pub fn new(url: &RedisUrl) -> Arc<Self> {
        Arc::new(Self {
            name: url.redacted(),
            state: watch::Sender::default(),
        })
    }

    /// A user cannot reach it.
    pub fn lost(&self, user: User, why: &str) {
        let mut is_news = false;
        self.state.send_modify(|state| {
            is_news = !state.is_away();
            let was_away = std::mem::replace(state.of(user), true);
            if !was_away && user == User::Bus {
                state.losses += 1;
            }
        });
        if is_news {
            let so = match user {
                User::Bus => "other processes are heard by the database alone",
                User::Limits => "limits are this process's own",
            };
            tracing::warn!(why, "Redis at {} is away: {so}", self.name);
        }
    }

    /// A user reaches it, perhaps again.
    pub fn reached(&self, user: User) {
        let is_news = self.state.send_if_modified(|state| {
            let was_away = state.is_away();
            *state.of(user) = false;
            was_away && !state.is_away()
        });
        if is_news {
            tracing::info!("Redis at {} is back", self.name);
        }
    }

    /// Whether any of its users cannot reach it.
    pub fn is_away(&self) -> bool {
        self.state.borrow().is_away()
    }

    /// Tells whether it is there.
    pub fn describe(&self, families: &mut Families<'_>) -> fmt::Result {
        families.flag(
            "inkpot_redis_up",
            "Whether all that use Redis reach it.",
            !self.is_away(),
        )?;
        families.counter(
            "inkpot_redis_losses",
            "How often the bus between processes has lost Redis.",
            self.losses(),
        )
    }

    /// How often the bus has lost it, for [`Self::lost_since`].
    pub fn losses(&self) -> u64 {
        self.state.borrow().losses
    }

    /// Returns when the bus, which notices at once, has lost it since there were so many
    /// losses.
    pub async fn lost_since(&self, losses: u64) {
        let mut state = self.state.subscribe();
        // The sender is our own, so there is no other end.
        let _ = state.wait_for(|state| state.losses != losses).await;
    }
}
