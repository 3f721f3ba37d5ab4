//! The composition root: puts the parts of a process together. Only the server and the
//! command line know it; handlers take the parts that they need.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::web::{Data, ServiceConfig};

use crate::accounts::codes::CodeKeys;
use crate::accounts::events::{SessionEnded, UserChanged};
use crate::accounts::hasher::Hasher;
use crate::accounts::refresh::RefreshKeys;
use crate::accounts::session_cache::SessionCache;
use crate::accounts::tokens::Tokens;
use crate::accounts::types::Revocation;
use crate::accounts::{self, Accounts, Directory};
use crate::core::bus::redis::RedisTransport;
use crate::core::bus::{Bus, Outbox, Report, Subscribers};
use crate::core::clock::Clock;
use crate::core::clock_sync;
use crate::core::cpu_pool::CpuPool;
use crate::core::db::{Bulkhead, DatabaseUrl, Db};
use crate::core::metrics::{Families, Metrics, describe_process};
use crate::core::rate_limits::RateLimits;
use crate::core::redis::health::RedisHealth;
use crate::core::replica::Replica;
use crate::core::settings::public_url::PublicUrl;
use crate::core::settings::{Settings, Switch, processors};
use crate::core::telemetry::chain::Chain;
use crate::http::drain::Drain;
use crate::http::metrics::RequestMetrics;
use crate::http::middleware;
use crate::jobs::events::JobWritten;
use crate::jobs::handler::Registry;
use crate::jobs::worker::Worker;
use crate::jobs::{self, JobNotifier, Jobs};
use crate::maintenance::Maintenance;
use crate::maintenance::jobs::check::ConsistencyCheck;
use crate::maintenance::jobs::sweep::Sweep;
use crate::meta::{Health, Rendered};
use crate::notify::{Deliveries, Notifier};
use crate::page::{self, Site};
use crate::posts::Posts;
use crate::posts::actions::EXPIRED_KEYS;
use crate::posts::actions::publish::publisher;
use crate::posts::actions::read::{post_reader, replica_reader};
use crate::posts::events::{AnythingChanged, PostChanged, PostsCounted};
use crate::posts::feed::Blog;
use crate::posts::jobs::publish_post;
use crate::posts::routes::response_cache::{self, ResponseCache};
use crate::posts::tag_board::TagBoard;
use crate::presence::{Hub, messages};
use crate::social::events::{CommentsChanged, FollowsChanged};
use crate::social::routes::response_cache as social_cache;
use crate::social::{self, Social};
use crate::{openapi, routes};

/// How long finished responses are kept where other processes may write.
const OTHERS_WRITE: Duration = Duration::from_secs(1);

/// The parts of a process; one for all workers.
#[derive(Clone)]
pub struct AppState {
    pub settings: Data<Settings>,
    pub db: Db,
    /// The same database, with connections that no client's request uses.
    pub housekeeping: Db,
    /// A replica of it, if there is one.
    pub replica: Option<Arc<Replica>>,
    pub clock: Clock,
    /// Says what has happened, here and in other processes.
    pub bus: Arc<Bus>,
    /// Whether Redis is away; `None` where it is not set up.
    pub redis_health: Option<Arc<RedisHealth>>,
    /// What the transport between processes is to send; its own once it runs.
    outbox: Arc<Mutex<Option<Outbox>>>,
    pub cpu_pool: Data<CpuPool>,
    pub limits: Data<RateLimits>,
    pub accounts: Data<Accounts>,
    pub posts: Data<Posts>,
    pub social: Data<Social>,
    /// Finished responses with posts.
    pub response_cache: Data<ResponseCache>,
    pub jobs: Data<Jobs>,
    pub maintenance: Data<Maintenance>,
    /// Who is online.
    pub presence: Data<Hub>,
    pub health: Data<Health>,
    metrics: Arc<Metrics>,
    deliveries: Arc<Deliveries>,
    description: Data<Rendered>,
    middleware: Data<middleware::Shared>,
    site: Data<Site>,
    /// The connections, and whether the server stops.
    pub drain: Drain,
    /// The base of absolute links.
    pub public_url: PublicUrl,
    /// The random name of the database.
    installation: String,
}

impl AppState {
    /// Puts the parts together. `secrets` sign and verify tokens until the
    /// database's keys are read ([`keys`](crate::accounts::actions::keys)). `installation` is the name of the
    /// database, and `address` what it listens on. The error is one line.
    pub fn new(
        settings: Settings,
        secrets: &[Vec<u8>],
        (db, installation): (Db, &str),
        clock: Clock,
        address: SocketAddr,
    ) -> Result<Self, String> {
        let is_mysql = matches!(db.url(), DatabaseUrl::Mysql(_));
        let others_write = is_mysql.then_some(OTHERS_WRITE);
        let response_cache = response_cache_of(&settings, others_write, &clock);
        let replica = replica_of(&settings, (&db, installation), &clock)?;
        let session_cache = Arc::new(SessionCache::default());
        let notifier = JobNotifier::default();
        let is_limited = settings.rate_limits == Switch::On;
        let presence = Hub::new(clock.clone(), is_limited);
        let redis_health = settings.redis_url().map(RedisHealth::new);
        let has_transport = redis_health.is_some();
        if has_transport {
            presence.set_partial(true);
        }
        let tag_board = Arc::new(TagBoard::default());
        let subscribers = subscribers(
            (&response_cache, &tag_board),
            &session_cache,
            &notifier,
            &presence,
        );
        let (bus, outbox) = Bus::new(subscribers, has_transport, others_write.is_some());
        let redis = settings.redis_url().zip(redis_health.as_ref());
        let secret = secrets.first().ok_or("there is no secret")?;
        let limits = Data::new(RateLimits::new(is_limited, &clock, redis, secret)?);
        let cpu_pool = CpuPool::start(processors(), clock.clone(), is_limited)?;
        let public_url =
            (settings.public_url.clone()).unwrap_or_else(|| PublicUrl::of_address(address));
        let directory = Directory {
            db: db.clone(),
            clock: clock.clone(),
            bus: Arc::clone(&bus),
            hasher: Hasher::new(cpu_pool.clone(), settings.bcrypt_cost),
            messages: settings.message_limits(),
        };
        let accounts = Data::new(Accounts {
            directory,
            tokens: Tokens::new(secrets, settings.token_ttl, clock.clone())?
                .signing_with(settings.jwt_alg),
            refresh_keys: Arc::new(RefreshKeys::new(secrets)?),
            code_keys: Arc::new(CodeKeys::new(secrets)?),
            session_cache,
            limits: Arc::clone(&limits),
            lifetimes: settings.lifetimes(),
        });
        let blog = Blog::new(&settings, public_url.clone(), installation);
        let connections = settings.db_pool as usize;
        let source = (&db, replica.as_ref(), connections);
        let posts = posts_of(source, (&clock, &bus), blog, tag_board);
        let social = Data::new(Social::new(&db, &clock, &bus, &limits));
        let jobs = Data::new(Jobs {
            db: db.clone(),
            clock: clock.clone(),
            bus: Arc::clone(&bus),
            notifier,
            metrics: Arc::default(),
        });
        let housekeeping = db.reading_by(Bulkhead::Housekeeping);
        let health = Data::new(Health {
            db: housekeeping.clone(),
            bus: Arc::clone(&bus),
            redis: redis_health.clone(),
            replica: replica.clone(),
            is_draining: AtomicBool::new(false),
        });
        let description = Data::new(openapi::render(settings.base_path())?);
        let settings = Data::new(settings);
        let site = Data::new(Site::new(&settings, public_url.clone()));
        let (requests, drain) = (requests(), Drain::default());
        let middleware = middleware_of(&settings, &response_cache, &site, &requests, &drain);
        let middleware = Data::new(middleware);
        let mut app = Self {
            maintenance: Data::new(Maintenance::new(&db, &clock, &bus)),
            settings,
            db,
            housekeeping,
            replica,
            clock,
            bus,
            redis_health,
            outbox: Arc::new(Mutex::new(outbox)),
            cpu_pool: Data::new(cpu_pool),
            limits,
            accounts,
            posts,
            social,
            response_cache: Data::from(response_cache),
            jobs,
            presence: Data::from(presence),
            health,
            metrics: Arc::default(),
            deliveries: Arc::default(),
            description,
            middleware,
            site,
            drain,
            public_url,
            installation: installation.to_owned(),
        };
        app.metrics = Arc::new(app.register(&requests));
        Ok(app)
    }

    /// Has every part tell of itself when metrics are asked for.
    fn register(&self, requests: &Arc<RequestMetrics>) -> Metrics {
        let mut metrics = Metrics::default();
        metrics.register(describe_process);
        told(&mut metrics, requests, RequestMetrics::describe);
        told(&mut metrics, &self.health, Health::describe);
        told(&mut metrics, &Arc::new(self.db.clone()), Db::describe);
        told(&mut metrics, &self.response_cache, |cache, to| {
            cache.describe("inkpot_response_cache", to)
        });
        told(&mut metrics, &self.accounts, |accounts, to| {
            accounts.session_cache.describe(to)
        });
        told(&mut metrics, &self.posts, Posts::describe);
        told(&mut metrics, &self.presence, Hub::describe);
        told(&mut metrics, &self.cpu_pool, CpuPool::describe);
        told(&mut metrics, &self.limits, RateLimits::describe);
        told(&mut metrics, &self.jobs, |jobs, to| {
            jobs.metrics.describe(&jobs.clock, to)
        });
        told(&mut metrics, &self.deliveries, Deliveries::describe);
        told(&mut metrics, &Arc::new(self.clock.clone()), Clock::describe);
        if let Some(redis) = &self.redis_health {
            told(&mut metrics, redis, RedisHealth::describe);
        }
        if let Some(replica) = &self.replica {
            told(&mut metrics, replica, Replica::describe);
        }
        metrics
    }

    /// Gives an application the parts that its middleware and its handlers take.
    pub fn share(&self, config: &mut ServiceConfig) {
        if let Some(replica) = &self.replica {
            config.app_data(Data::from(Arc::clone(replica)));
        }
        config
            .app_data(self.settings.clone())
            .app_data(self.cpu_pool.clone())
            .app_data(self.limits.clone())
            .app_data(self.accounts.clone())
            .app_data(self.posts.clone())
            .app_data(self.social.clone())
            .app_data(self.response_cache.clone())
            .app_data(self.jobs.clone())
            .app_data(self.maintenance.clone())
            .app_data(self.presence.clone())
            .app_data(self.health.clone())
            .app_data(self.description.clone())
            .app_data(self.middleware.clone())
            .app_data(self.site.clone());
    }

    /// What connects the bus to other processes, if Redis is set up; once. Asks the
    /// database: not in async tasks. The error is one line.
    pub fn transport(&self) -> Result<Option<RedisTransport>, String> {
        let outbox = (self.outbox.lock())
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let redis = self.settings.redis_url().zip(self.redis_health.clone());
        let (Some((url, health)), Some(outbox)) = (redis, outbox) else {
            return Ok(None);
        };
        Ok(Some(RedisTransport::new(
            url.client()?,
            health,
            &self.installation,
            Arc::clone(&self.bus),
            outbox,
        )))
    }

    /// What sends messages. The error is one line.
    pub fn notifier(&self) -> Result<Notifier, String> {
        let notifier = Notifier::new(&self.settings, self.public_url.clone())?;
        Ok(notifier.measured_by(Arc::clone(&self.deliveries)))
    }

    /// All metrics of the process as they are now, in the text format of `OpenMetrics`.
    pub async fn measure(&self) -> Result<String, fmt::Error> {
        jobs::actions::measure(&self.jobs, &self.housekeeping).await;
        self.metrics.encode()
    }

    /// A worker that knows all kinds of jobs, and sends messages by `notifier`.
    pub fn worker(&self, notifier: Notifier) -> Worker {
        let (accounts, job_notifier) = (self.accounts.clone(), &self.jobs.notifier);
        let sweep = Sweep {
            db: self.db.clone(),
            clock: self.clock.clone(),
            expired: [
                jobs::actions::expired::EXPIRED_ROWS.as_slice(),
                &accounts::jobs::EXPIRED_ROWS,
                &[
                    EXPIRED_KEYS,
                    social::jobs::EXPIRED_ROWS,
                    accounts::jobs::expired_addresses(self.settings.audit_addresses()),
                ],
            ]
            .concat(),
            lost: vec![publish_post::LOST],
        };
        let check = ConsistencyCheck {
            maintenance: self.maintenance.clone().into_inner(),
        };
        let registry = accounts::jobs::register(
            Registry::default().with(sweep).with(check),
            &accounts.into_inner(),
            &Arc::new(notifier),
            job_notifier,
        );
        let registry = crate::posts::jobs::register(registry, &self.posts.clone().into_inner());
        let registry = social::jobs::register(registry, &self.db, &self.clock);
        let (db, clock) = (self.db.clone(), self.clock.clone());
        Worker::new(db, clock, job_notifier.clone(), registry)
            .measured_by(Arc::clone(&self.jobs.metrics))
    }
}

/// What the middleware takes of the rooms and of the page.
fn middleware_of(
    settings: &Data<Settings>,
    cache: &Arc<ResponseCache>,
    site: &Data<Site>,
    requests: &Arc<RequestMetrics>,
    drain: &Drain,
) -> middleware::Shared {
    let (cache, site) = (Data::from(Arc::clone(cache)), site.clone());
    let has_page = site.is_on;
    middleware::Shared {
        settings: settings.clone(),
        lookup: Box::new(move |request| {
            let api = response_cache::lookup(cache.clone().into_inner(), request);
            if api.is_some() || !has_page {
                return api;
            }
            page::routes::lookup(cache.clone(), request)
        }),
        dress: Box::new(move |refusal, response| {
            if has_page {
                page::routes::dress_refusal(&site, refusal, response)
            } else {
                response
            }
        }),
        metrics: Arc::clone(requests),
        drain: drain.clone(),
        refused_origins: Mutex::default(),
    }
}

/// The metrics of requests to all routes.
fn requests() -> Arc<RequestMetrics> {
    let paths = (routes::endpoints().into_iter()).map(|endpoint| endpoint.path());
    Arc::new(RequestMetrics::new(paths.chain(page::routes::PATHS)))
}

/// Has a part tell of itself when metrics are asked for.
fn told<T: Send + Sync + 'static>(
    metrics: &mut Metrics,
    part: &Arc<T>,
    describe: impl Fn(&T, &mut Families<'_>) -> fmt::Result + Send + Sync + 'static,
) {
    let part = Arc::clone(part);
    metrics.register(move |families| describe(&part, families));
}

/// Has a clock tell the time of the database. The error is one line.
pub fn compare_clocks(db: &Db, clock: &Clock) -> Result<(), String> {
    clock_sync::compare_blocking(db, clock)
        .map_err(|error| format!("cannot ask the database for the time: {}", Chain(&error)))
}

/// The user directory for a process that serves nothing, such as the command line's:
/// nobody in it listens, and others learn from the database what it does. The error is
/// one line.
pub fn directory(settings: &Settings, db: Db) -> Result<Directory, String> {
    let (bus, _) = Bus::new(Subscribers::default(), false, false);
    let clock = Clock::system();
    compare_clocks(&db, &clock)?;
    let cpu_pool = CpuPool::start(1, clock.clone(), true)?;
    Ok(Directory {
        db,
        hasher: Hasher::new(cpu_pool, settings.bcrypt_cost),
        messages: settings.message_limits(),
        clock,
        bus,
    })
}

/// The finished responses of a process, which hold for so long where others write.
fn response_cache_of(
    settings: &Settings,
    others_write: Option<Duration>,
    clock: &Clock,
) -> Arc<ResponseCache> {
    let bytes = u64::from(settings.cache_mb) << 20;
    let cache = ResponseCache::new(bytes, others_write, clock.clone())
        .stale_if_error(Duration::from_secs(settings.stale_if_error.into()))
        .replica_lifetime(Duration::from_secs(settings.read_staleness.into()));
    Arc::new(cache)
}

/// The replica of the database of that name, if there is one. The error is one line.
fn replica_of(
    settings: &Settings,
    database: (&Db, &str),
    clock: &Clock,
) -> Result<Option<Arc<Replica>>, String> {
    let bound = Duration::from_secs(settings.read_staleness.into());
    (settings.database_to_read())
        .map(|url| Replica::new((url, settings.db_pool), database, bound, clock))
        .transpose()
}

/// The room of posts, with at most so many connections at once for what is gathered.
fn posts_of(
    (db, replica, connections): (&Db, Option<&Arc<Replica>>, usize),
    (clock, bus): (&Clock, &Arc<Bus>),
    blog: Blog,
    tag_board: Arc<TagBoard>,
) -> Data<Posts> {
    Data::new(Posts {
        db: db.clone(),
        reader: post_reader(db, connections),
        replica_reader: replica.map(|replica| replica_reader(replica, connections)),
        publisher: publisher(db, bus, connections),
        clock: clock.clone(),
        bus: Arc::clone(bus),
        blog,
        tag_board,
    })
}

/// Who acts on what happens, in this process and in others.
fn subscribers(
    (cache, tag_board): (&Arc<ResponseCache>, &Arc<TagBoard>),
    session_cache: &Arc<SessionCache>,
    notifier: &JobNotifier,
    presence: &Arc<Hub>,
) -> Subscribers {
    let mut to = Subscribers::default();
    // Before the cache, which goes on with what the board has.
    to.on(tag_board, |board, changed: &PostChanged| {
        board.changed(&changed.states);
    });
    to.on(cache, |cache, changed: &PostChanged| {
        response_cache::post_changed(cache, &changed.states);
        social_cache::post_changed(cache, &changed.states);
    });
    to.on(cache, |cache, counted: &PostsCounted| {
        response_cache::posts_counted(cache, &counted.post_ids);
    });
    to.on(cache, |cache, changed: &CommentsChanged| {
        social_cache::comments_changed(cache, changed);
    });
    to.on(cache, |cache, changed: &FollowsChanged| {
        social_cache::follows_changed(cache, &changed.user_ids);
    });
    to.on(cache, |cache, AnythingChanged {}| anything_changed(cache));
    to.on(session_cache, |cache, ended: &SessionEnded| {
        cache.invalidate(Revocation::of(ended.user_id, ended.session_id));
    });
    to.on(presence, |presence, ended: &SessionEnded| {
        presence.session_ended(ended);
    });
    to.on(presence, |presence, changed: &UserChanged| {
        presence.invalidate_name(changed.user_id);
    });
    to.on(&Arc::new(notifier.clone()), |notifier, JobWritten {}| {
        notifier.notify();
    });
    to.on_report(cache, |cache, bus, report| match report {
        // What either side changed in the gap, the other one did not hear.
        Report::Connected => bus.publish(&AnythingChanged {}),
        // It may have been killed between a commit and its event.
        Report::Missed(_) => anything_changed(cache),
        Report::Isolated(is_isolated, at) => cache.others_write(is_isolated, at),
        Report::Disconnected | Report::Heartbeat | Report::Left(_) => {}
    });
    messages::subscribe(presence, &mut to);
    to
}

/// Invalidates every response.
fn anything_changed(cache: &ResponseCache) {
    response_cache::anything_changed(cache);
    social_cache::anything_changed(cache);
}
