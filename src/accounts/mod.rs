//! People: who they are, how they prove it, and the tokens that say so.
//!
//! `types` parses what clients send; `password` judges and hashes; `hasher` keeps
//! bcrypt off the server's threads; `tokens` signs and verifies with the ring of keys,
//! `signing` is what keys are made of, `keys` stores them; `refresh` makes refresh
//! tokens, `codes` the codes that are sent, `letters` sends them and notices; `users`,
//! `sessions` and `audit` store; `known` remembers live sessions;
//! `caller` guards routes, `visitor` is from where they are called; `routes` and
//! `keys_routes` speak HTTP.

pub mod audit;
pub mod caller;
pub mod codes;
pub mod events;
pub mod hasher;
pub mod keys;
pub mod keys_routes;
pub mod known;
pub mod letters;
pub mod password;
pub mod refresh;
pub mod routes;
pub mod sessions;
pub mod signing;
pub mod tokens;
pub mod types;
pub mod users;
pub mod visitor;

use std::sync::Arc;

use diesel::result::QueryResult;

use self::codes::CodeKeys;
use self::events::UserChanged;
use self::hasher::Hasher;
use self::known::KnownSessions;
use self::refresh::RefreshKeys;
use self::tokens::Tokens;
use crate::core::bus::Bus;
use crate::core::clock::Clock;
use crate::core::db::{Conn, Db, DbError};
use crate::core::rate_limits::RateLimits;
use crate::core::settings::Lifetimes;
use crate::posts::events::AnythingChanged;

/// What the room works with.
pub struct Accounts {
    pub db: Db,
    pub clock: Clock,
    pub bus: Arc<Bus>,
    pub hasher: Hasher,
    pub tokens: Tokens,
    pub refresh_keys: RefreshKeys,
    pub code_keys: Arc<CodeKeys>,
    pub known: Arc<KnownSessions>,
    pub limits: Arc<RateLimits>,
    pub lifetimes: Lifetimes,
}

impl Accounts {
    /// [`Db::write`] for a write that may change what any finished answer shows, such as
    /// the name of an author; `also` gives what else has happened when it is done.
    pub async fn write_shown<T, F, A>(&self, work: F, also: A) -> Result<T, DbError>
    where
        T: Send + 'static,
        F: Fn(&mut Conn) -> QueryResult<T> + Send + 'static,
        A: FnOnce(&T) -> Option<UserChanged> + Send + 'static,
    {
        let bus = Arc::clone(&self.bus);
        self.db
            .write_then(work, move |done| {
                bus.publish(&AnythingChanged {});
                if let Some(event) = done.as_ref().ok().and_then(also) {
                    bus.publish(&event);
                }
            })
            .await
    }
}
