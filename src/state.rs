//! What all requests share.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::web::Data;
use diesel::result::QueryResult;
use tokio::sync::mpsc;

use crate::accounts::codes::CodeKeys;
use crate::accounts::hasher::Hasher;
use crate::accounts::known::KnownSessions;
use crate::accounts::letters::Letters;
use crate::accounts::refresh::RefreshKeys;
use crate::accounts::tokens::Tokens;
use crate::core::bus::redis::Carrier;
use crate::core::bus::{Bus, Event, Listeners, Said};
use crate::core::clock::Clock;
use crate::core::db::{Conn, DatabaseUrl, Db, DbError, migrations};
use crate::core::rate_limits::Limits;
use crate::core::redis::health::RedisHealth;
use crate::core::settings::public_url::PublicUrl;
use crate::core::settings::{Settings, Switch, processors};
use crate::jobs::Waker;
use crate::notify::Notifier;
use crate::openapi;
use crate::posts::answers::{self, Answers, Recalled};
use crate::presence::Hub;

/// How long finished answers are kept where other processes may write.
const OTHERS_WRITE: Duration = Duration::from_secs(1);

/// The application's state; one for all workers.
pub struct AppState {
    pub settings: Settings,
    pub db: Db,
    pub hasher: Hasher,
    pub tokens: Tokens,
    pub refresh_keys: RefreshKeys,
    pub code_keys: Arc<CodeKeys>,
    pub known: Arc<KnownSessions>,
    /// Woken by the bus when something was committed that has jobs.
    pub jobs: Waker,
    /// Says what has happened, here and in other processes.
    pub bus: Arc<Bus>,
    /// Whether Redis is away; `None` where it is not set up.
    pub redis_health: Option<Arc<RedisHealth>>,
    /// What the carrier between processes is to say; its own once it runs.
    said: Mutex<Option<mpsc::Receiver<Said>>>,
    /// Finished answers about posts.
    pub answers: Arc<Answers>,
    pub limits: Limits,
    /// Who is online.
    pub presence: Arc<Hub>,
    pub clock: Clock,
    /// The base of absolute links.
    pub public_url: PublicUrl,
    /// The API's description, rendered once.
    pub description: openapi::Rendered,
}

impl AppState {
    /// Puts the parts together. `secrets` sign and verify tokens until the
    /// database's keys are read ([`keys`](crate::accounts::keys)).
    pub fn new(
        settings: Settings,
        secrets: &[Vec<u8>],
        db: Db,
        clock: Clock,
    ) -> Result<Self, String> {
        let others_write = match db.url() {
            DatabaseUrl::Sqlite(_) => None,
            DatabaseUrl::Mysql(_) => Some(OTHERS_WRITE),
        };
        let cache_bytes = u64::from(settings.cache_mb) << 20;
        let answers = Arc::new(Answers::new(cache_bytes, others_write, clock.clone()));
        let known = Arc::new(KnownSessions::default());
        let jobs = Waker::default();
        let limits_addresses = settings.rate_limits == Switch::On;
        let presence = Hub::new(clock.clone(), limits_addresses);
        let listeners = Listeners {
            answers: Arc::clone(&answers),
            known: Arc::clone(&known),
            jobs: jobs.clone(),
            presence: Arc::clone(&presence),
        };
        let redis_health = settings.redis_url().map(RedisHealth::new);
        let has_carrier = redis_health.is_some();
        let (bus, said) = Bus::new(listeners, has_carrier, others_write.is_some());
        let redis = settings.redis_url().zip(redis_health.as_ref());
        let secret = secrets.first().ok_or("there is no secret")?;
        let limits = Limits::new(settings.rate_limits == Switch::On, &clock, redis, secret)?;
        Ok(Self {
            hasher: Hasher::start(settings.bcrypt_cost, processors())?,
            tokens: Tokens::new(secrets, settings.token_ttl, clock.clone())?
                .signing_with(settings.jwt_alg),
            refresh_keys: RefreshKeys::new(secrets)?,
            code_keys: Arc::new(CodeKeys::new(secrets)?),
            known,
            jobs,
            bus,
            said: Mutex::new(said),
            redis_health,
            answers,
            presence,
            limits,
            description: openapi::render()?,
            public_url: (settings.public_url.clone())
                .unwrap_or_else(|| PublicUrl::of_address(settings.listen)),
            settings,
            db,
            clock,
        })
    }
}

impl AppState {
    /// What carries events between processes, if Redis is set up; once. Asks the
    /// database: not in async tasks. The error is one line.
    pub fn carrier(&self) -> Result<Option<Carrier>, String> {
        let said = (self.said.lock())
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let redis = self.settings.redis_url().zip(self.redis_health.clone());
        let (Some((url, health)), Some(said)) = (redis, said) else {
            return Ok(None);
        };
        let installation = self
            .db
            .read_blocking(&migrations::installation)
            .map_err(|error| format!("cannot name the installation: {error:?}"))?;
        Ok(Some(Carrier::new(
            url.client()?,
            health,
            &installation,
            said,
        )))
    }

    /// What does the jobs that this service writes. The error is one line.
    pub fn letters(&self) -> Result<Letters, String> {
        Ok(Letters {
            db: self.db.clone(),
            clock: self.clock.clone(),
            code_keys: Arc::clone(&self.code_keys),
            notifier: Notifier::new(&self.settings, self.public_url.clone())?,
            waker: self.jobs.clone(),
        })
    }

    /// The finished answer to a GET, if it is there and asked for plainly.
    pub fn recall(&self, path: &str, query: &str) -> Option<Recalled> {
        answers::recall(&self.answers, path, query)
    }
}

/// [`Db::write`] for a write that may change what any finished answer shows, such as
/// the name of an author; `also` gives what else has happened when it is done.
pub async fn write_shown<T, F, A>(app: &Data<AppState>, work: F, also: A) -> Result<T, DbError>
where
    T: Send + 'static,
    F: Fn(&mut Conn) -> QueryResult<T> + Send + 'static,
    A: FnOnce(&T) -> Option<Event> + Send + 'static,
{
    let bus = Arc::clone(&app.bus);
    app.db
        .write_then(work, move |done| {
            bus.publish(Event::AnythingChanged);
            if let Some(event) = done.as_ref().ok().and_then(also) {
                bus.publish(event);
            }
        })
        .await
}
