//! Accounts: who people are, how they prove it, and the tokens that say so.
//!
//! - [`types`]: identifiers and what else describes an account; [`password`] and
//!   [`hasher`]: the rules of passwords, and bcrypt on threads of its own; [`tokens`]:
//!   access tokens and the ring of keys, which [`signing`] makes; `jwt_algorithms`: how
//!   they sign and verify; [`refresh`]: refresh tokens; [`codes`]: verification codes;
//!   [`session_cache`]: live sessions; [`client_info`]: from where a request comes;
//!   [`views`]: what users look like in the answers of several rooms;
//!   [`failure`]: what stops an action; [`events`]: what others hear of it.
//! - [`storage`]: the rows.
//! - [`actions`]: what happens to accounts; [`notifications`]: what is sent about it, enqueued
//!   with its cause; [`jobs`]: what sends it. [`limits`]: the rate limits.
//! - [`routes`] and [`extract`]: how it is spoken over HTTP.

pub mod actions;
pub mod client_info;
pub mod codes;
mod common_passwords;
pub mod events;
pub mod extract;
pub mod failure;
pub mod hasher;
pub mod jobs;
mod jwt_algorithms;
pub mod limits;
pub mod notifications;
pub mod password;
pub mod refresh;
pub mod routes;
pub mod session_cache;
pub mod signing;
pub mod storage;
pub mod tokens;
pub mod types;
pub mod views;

use std::future::Future;
use std::sync::Arc;

use diesel::result::QueryResult;

use self::codes::CodeKeys;
use self::hasher::Hasher;
use self::refresh::RefreshKeys;
use self::session_cache::SessionCache;
use self::tokens::Tokens;
use crate::core::bus::Bus;
use crate::core::clock::Clock;
use crate::core::db::{Conn, Db, DbError};
use crate::core::rate_limits::RateLimits;
use crate::core::settings::{Lifetimes, MessageLimits};

/// What the room works with.
pub struct Accounts {
    pub directory: Directory,
    pub tokens: Tokens,
    pub refresh_keys: Arc<RefreshKeys>,
    pub code_keys: Arc<CodeKeys>,
    pub session_cache: Arc<SessionCache>,
    pub limits: Arc<RateLimits>,
    pub lifetimes: Lifetimes,
}

/// The user directory: what actions work with that need no secret of the installation.
/// The command line has no more.
#[derive(Clone)]
pub struct Directory {
    pub db: Db,
    pub clock: Clock,
    pub bus: Arc<Bus>,
    pub hasher: Hasher,
    /// How many messages may be sent.
    pub messages: MessageLimits,
}

impl Directory {
    /// [`Db::write`], after which `publish` says what has happened, or may have where the
    /// answer to `COMMIT` was lost. It runs on the thread that committed: before anybody is
    /// answered, and also when the request that asked for the write is given up.
    #[track_caller]
    pub fn write<T, F, P>(&self, work: F, publish: P) -> impl Future<Output = Result<T, DbError>>
    where
        T: Send + 'static,
        F: Fn(&mut Conn) -> QueryResult<T> + Send + 'static,
        P: FnOnce(&Bus, &T) + Send + 'static,
    {
        let bus = Arc::clone(&self.bus);
        self.db.write_then(work, move |done| publish(&bus, done))
    }
}
