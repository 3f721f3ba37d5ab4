//! Accounts: who people are, how they prove it, and the tokens that say so.
//!
//! - [`types`]: identifiers and what else describes an account; [`password`] and
//!   [`hasher`]: the rules of passwords, and bcrypt on threads of its own; [`tokens`]:
//!   access tokens and the ring of keys, which [`signing`] makes; [`refresh`]: refresh
//!   tokens; [`session_cache`]: live sessions; [`client_info`]: from where a request comes.
//! - [`storage`]: the rows.
//! - [`actions`]: what happens to accounts; [`letters`]: the mails and texts about it.
//! - [`routes`] and [`extract`]: how it is spoken over HTTP.

pub mod actions;
pub mod client_info;
pub mod events;
pub mod extract;
pub mod hasher;
pub mod letters;
pub mod password;
pub mod refresh;
pub mod routes;
pub mod session_cache;
pub mod signing;
pub mod storage;
pub mod tokens;
pub mod types;

use std::sync::Arc;

use diesel::result::QueryResult;

use self::events::UserChanged;
use self::hasher::Hasher;
use self::refresh::RefreshKeys;
use self::session_cache::KnownSessions;
use self::storage::codes::CodeKeys;
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
