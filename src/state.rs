//! The composition root: puts the parts of a process together. Only the server and the
//! command line know it; handlers take the parts that they need.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::web::{Data, ServiceConfig};
use tokio::sync::mpsc;

use crate::accounts::Accounts;
use crate::accounts::codes::CodeKeys;
use crate::accounts::hasher::Hasher;
use crate::accounts::known::KnownSessions;
use crate::accounts::letters::Letters;
use crate::accounts::refresh::RefreshKeys;
use crate::accounts::tokens::Tokens;
use crate::core::bus::redis::Carrier;
use crate::core::bus::{Bus, Listeners, Said};
use crate::core::clock::Clock;
use crate::core::cpu_pool::CpuPool;
use crate::core::db::{DatabaseUrl, Db, migrations};
use crate::core::rate_limits::RateLimits;
use crate::core::redis::health::RedisHealth;
use crate::core::settings::public_url::PublicUrl;
use crate::core::settings::{Settings, Switch, processors};
use crate::http::middleware;
use crate::jobs::{Jobs, Waker};
use crate::meta::{Health, Rendered};
use crate::notify::Notifier;
use crate::openapi;
use crate::posts::Posts;
use crate::posts::answers::{self, Answers};
use crate::presence::Hub;

/// How long finished answers are kept where other processes may write.
const OTHERS_WRITE: Duration = Duration::from_secs(1);

/// The parts of a process; one for all workers.
#[derive(Clone)]
pub struct AppState {
    pub settings: Data<Settings>,
    pub db: Db,
    pub clock: Clock,
    /// Says what has happened, here and in other processes.
    pub bus: Arc<Bus>,
    /// Whether Redis is away; `None` where it is not set up.
    pub redis_health: Option<Arc<RedisHealth>>,
    /// What the carrier between processes is to say; its own once it runs.
    said: Arc<Mutex<Option<mpsc::Receiver<Said>>>>,
    pub cpu_pool: Data<CpuPool>,
    pub limits: Data<RateLimits>,
    pub accounts: Data<Accounts>,
    pub posts: Data<Posts>,
    pub jobs: Data<Jobs>,
    /// Who is online.
    pub presence: Data<Hub>,
    health: Data<Health>,
    description: Data<Rendered>,
    middleware: Data<middleware::Shared>,
    /// The base of absolute links.
    pub public_url: PublicUrl,
}

impl AppState {
    /// Puts the parts together. `secrets` sign and verify tokens until the
    /// database's keys are read ([`keys`](crate::accounts::keys)). `address` is what it
    /// listens on. The error is one line.
    pub fn new(
        settings: Settings,
        secrets: &[Vec<u8>],
        db: Db,
        clock: Clock,
        address: SocketAddr,
    ) -> Result<Self, String> {
        let others_write = match db.url() {
            DatabaseUrl::Sqlite(_) => None,
            DatabaseUrl::Mysql(_) => Some(OTHERS_WRITE),
        };
        let cache_bytes = u64::from(settings.cache_mb) << 20;
        let answers = Arc::new(Answers::new(cache_bytes, others_write, clock.clone()));
        let known = Arc::new(KnownSessions::default());
        let waker = Waker::default();
        let is_limited = settings.rate_limits == Switch::On;
        let presence = Hub::new(clock.clone(), is_limited);
        let listeners = Listeners {
            answers: Arc::clone(&answers),
            known: Arc::clone(&known),
            jobs: waker.clone(),
            presence: Arc::clone(&presence),
        };
        let redis_health = settings.redis_url().map(RedisHealth::new);
        let has_carrier = redis_health.is_some();
        let (bus, said) = Bus::new(listeners, has_carrier, others_write.is_some());
        let redis = settings.redis_url().zip(redis_health.as_ref());
        let secret = secrets.first().ok_or("there is no secret")?;
        let limits = Data::new(RateLimits::new(is_limited, &clock, redis, secret)?);
        let cpu_pool = CpuPool::start(processors())?;
        let public_url =
            (settings.public_url.clone()).unwrap_or_else(|| PublicUrl::of_address(address));
        let accounts = Data::new(Accounts {
            db: db.clone(),
            clock: clock.clone(),
            bus: Arc::clone(&bus),
            hasher: Hasher::new(cpu_pool.clone(), settings.bcrypt_cost)?,
            tokens: Tokens::new(secrets, settings.token_ttl, clock.clone())?
                .signing_with(settings.jwt_alg),
            refresh_keys: RefreshKeys::new(secrets)?,
            code_keys: Arc::new(CodeKeys::new(secrets)?),
            known,
            limits: Arc::clone(&limits),
            lifetimes: settings.lifetimes(),
        });
        let posts = Data::new(Posts {
            db: db.clone(),
            clock: clock.clone(),
            bus: Arc::clone(&bus),
            answers,
            public_url: public_url.clone(),
        });
        let jobs = Data::new(Jobs {
            db: db.clone(),
            clock: clock.clone(),
            bus: Arc::clone(&bus),
            waker,
        });
        let health = Data::new(Health {
            db: db.clone(),
            bus: Arc::clone(&bus),
            redis: redis_health.clone(),
        });
        let settings = Data::new(settings);
        let kept = Arc::clone(&posts);
        let middleware = Data::new(middleware::Shared {
            settings: settings.clone(),
            lookup: Box::new(move |request| answers::lookup(Arc::clone(&kept), request)),
            refused_origins: Mutex::default(),
        });
        Ok(Self {
            settings,
            db,
            clock,
            bus,
            redis_health,
            said: Arc::new(Mutex::new(said)),
            cpu_pool: Data::new(cpu_pool),
            limits,
            accounts,
            posts,
            jobs,
            presence: Data::from(presence),
            health,
            description: Data::new(openapi::render()?),
            middleware,
            public_url,
        })
    }

    /// Gives an application the parts that its middleware and its handlers take.
    pub fn share(&self, config: &mut ServiceConfig) {
        config
            .app_data(self.settings.clone())
            .app_data(self.cpu_pool.clone())
            .app_data(self.limits.clone())
            .app_data(self.accounts.clone())
            .app_data(self.posts.clone())
            .app_data(self.jobs.clone())
            .app_data(self.presence.clone())
            .app_data(self.health.clone())
            .app_data(self.description.clone())
            .app_data(self.middleware.clone());
    }

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
            .read_now(&migrations::installation)
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
            code_keys: Arc::clone(&self.accounts.code_keys),
            notifier: Notifier::new(&self.settings, self.public_url.clone())?,
            waker: self.jobs.waker.clone(),
        })
    }
}
