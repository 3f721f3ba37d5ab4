//! What all requests share.

use crate::accounts::hasher::Hasher;
use crate::accounts::known::KnownSessions;
use crate::accounts::refresh::RefreshKeys;
use crate::accounts::tokens::Tokens;
use crate::clock::Clock;
use crate::config::{Settings, Switch, processors};
use crate::db::Db;
use crate::limits::Limits;
use crate::openapi;

/// The application's state; one for all workers.
pub struct App {
    pub settings: Settings,
    pub db: Db,
    pub hasher: Hasher,
    pub tokens: Tokens,
    pub refresh_keys: RefreshKeys,
    pub known: KnownSessions,
    pub limits: Limits,
    pub clock: Clock,
    /// The API's description, rendered once.
    pub description: openapi::Rendered,
}

impl App {
    /// Puts the parts together. `secrets` sign and verify tokens until the
    /// database's keys are read ([`keys`](crate::accounts::keys)).
    pub fn new(
        settings: Settings,
        secrets: &[Vec<u8>],
        db: Db,
        clock: Clock,
    ) -> Result<Self, String> {
        Ok(Self {
            hasher: Hasher::start(settings.bcrypt_cost, processors())?,
            tokens: Tokens::new(secrets, settings.token_ttl, clock.clone())?
                .signing_with(settings.jwt_alg),
            refresh_keys: RefreshKeys::new(secrets)?,
            known: KnownSessions::default(),
            limits: Limits::new(settings.rate_limits == Switch::On, &clock)?,
            description: openapi::render()?,
            settings,
            db,
            clock,
        })
    }
}
