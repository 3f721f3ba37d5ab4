//! From settings to a server or a worker that is ready to run.

use std::convert::Infallible;
use std::future::ready;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_http::{HttpService, Request};
use actix_server::{Server, ServerHandle};
use actix_service::{IntoServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::dev::AppConfig;
use actix_web::middleware::from_fn;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpStream;

use super::follow::{FOLLOW, Others};
use super::metrics::serve_metrics;
use super::signals::Signals;
use crate::accounts::actions::keys;
use crate::core::bus::redis::RedisTransport;
use crate::core::clock::Clock;
use crate::core::db::migrations::Standing;
use crate::core::db::{DatabaseUrl, Db, OpenError, migrations};
use crate::core::owner_only;
use crate::core::process_lock::ProcessLock;
use crate::core::secret;
use crate::core::settings::{Settings, Switch};
use crate::core::telemetry::chain::Chain;
use crate::http::expectation::Expectation;
use crate::http::middleware;
use crate::http::transport::{HEAD_TIME, Wire};
use crate::jobs::worker::Worker;
use crate::routes;
use crate::state::{AppState, compare_clocks};

/// Seconds that requests in flight get to end when the server stops.
pub(super) const DRAIN_SECONDS: u64 = 10;
/// How long a connection may be silent before its first byte and between requests.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// Files that the process may have open beside connections of clients and of the database.
const OTHER_FILES: u64 = 128;
/// Of a connection to the database: on SQLite the file, its log and the memory they share; for reads,
/// writes and searches.
const FILES_OF_THE_POOL: u64 = 8;
/// Connections that a thread has at most, whatever the system lets the process have.
const CONNECTIONS_MAX: u64 = 25_600;
/// How long a connection that is closed may take to read its last answer.
const CLOSE_TIME: Duration = Duration::from_secs(5);

/// A server that has its port and is ready to run.
pub struct Bound {
    /// The address in use, port 0 resolved.
    pub address: SocketAddr,
    pub handle: ServerHandle,
    pub server: Server,
    /// For those who watch, if that is set up, and its address.
    pub watched: Option<(Server, SocketAddr)>,
    /// The server's own, once more.
    pub(super) listener: TcpListener,
    pub(super) signals: Signals,
    pub(super) app: AppState,
    pub(super) others: Others,
    /// `None` when jobs are left to other processes.
    pub(super) worker: Option<Worker>,
    pub(super) transport: Option<RedisTransport>,
}

/// What a server needs, put together.
pub struct Prepared {
    app: AppState,
    others: Others,
    worker: Option<Worker>,
    transport: Option<RedisTransport>,
    /// Takes connections already; they wait until the server runs.
    listener: TcpListener,
    address: SocketAddr,
    watched: Option<(TcpListener, SocketAddr)>,
}

/// What a worker needs, put together.
pub struct PreparedWorker {
    pub(super) worker: Worker,
    pub(super) app: AppState,
    pub(super) transport: Option<RedisTransport>,
    /// For those who watch, if that is set up, and its address.
    pub watched: Option<(TcpListener, SocketAddr)>,
}

/// Opens and migrates the database, which must be there. The error is one line.
pub fn open_database(settings: &Settings) -> Result<Db, String> {
    // Whoever is in another directory than they think would get a second blog, and not notice.
    if let DatabaseUrl::Sqlite(path) = settings.database()
        && !path.exists()
    {
        let path = std::path::absolute(&path).unwrap_or(path);
        return Err(format!(
            "there is no database {}; start inkpot, or run inkpot migrate run, to make one, or say \
             by INKPOT_DATA_DIR or DATABASE_URL where it is",
            path.display()
        ));
    }
    open_and_migrate(settings, Duration::ZERO)
}

/// The same for what is started with the machine, perhaps before the database: waits for
/// it for as long as the setting says.
fn await_database(settings: &Settings) -> Result<Db, String> {
    open_and_migrate(settings, Duration::from_secs(settings.db_wait.into()))
}

fn open_and_migrate(settings: &Settings, wait: Duration) -> Result<Db, String> {
    let url = settings.database();
    let failed = |why: String| format!("database {}: {why}", url.redacted());
    let db = open_within(settings, wait).map_err(|error| failed(error.to_string()))?;
    migrate(&db).map_err(failed)?;
    Ok(db)
}

/// Between two attempts to open the database.
const OPEN_PAUSE: Duration = Duration::from_millis(500);

fn open_within(settings: &Settings, wait: Duration) -> Result<Db, OpenError> {
    let url = settings.database();
    #[expect(
        clippy::disallowed_methods,
        reason = "how long an operator really waits"
    )]
    let begun = Instant::now();
    let mut is_told = false;
    loop {
        match Db::open(&url, settings.db_pool) {
            Err(OpenError::Away(why)) if begun.elapsed() < wait => {
                if !is_told {
                    let database = url.redacted();
                    let seconds = wait.as_secs();
                    tracing::warn!(database, error = why, seconds, "waiting for the database");
                    is_told = true;
                }
                std::thread::sleep(OPEN_PAUSE);
            }
            opened => return opened,
        }
    }
}

/// How long a migration that failed here is watched for another process that makes it.
const OTHER_MIGRATES: Duration = Duration::from_secs(5);

/// Applies the migrations that are missing. Where there are none nothing is written, so a
/// server needs no right to create tables.
fn migrate(db: &Db) -> Result<(), String> {
    let standing = || -> Result<Standing, String> {
        (db.read_blocking(&migrations::standing)).map_err(|error| Chain(&error).to_string())
    };
    let mut applied = match standing()? {
        Standing::Current { newer: None } => return Ok(()),
        Standing::Current {
            newer: Some(version),
        } => {
            return Err(migrations::newer_refused(&version));
        }
        Standing::Pending { applied } => applied,
    };
    let why = match migrations::run(&mut db.dedicated()?) {
        Ok(names) => {
            for name in names {
                tracing::info!(migration = name, "applied a migration");
            }
            return Ok(());
        }
        Err(why) => why.to_string(),
    };
    // In a cluster locks are each node's own: a process at another node may have migrated
    // at the same time, and have been first.
    loop {
        std::thread::sleep(OTHER_MIGRATES);
        match standing()? {
            Standing::Pending { applied: now } if now > applied => applied = now,
            Standing::Pending { .. } => return Err(why),
            Standing::Current { .. } => return Ok(()),
        }
    }
}

/// Puts everything together that a server needs; with `does_jobs` it is a worker as
/// well. Blocks: call it outside of async tasks. The error is one line.
pub fn prepare(settings: Settings, does_jobs: bool) -> Result<Prepared, String> {
    let db = await_database(&settings)?;
    let lock = ProcessLock::acquire(db.url(), 2 * FOLLOW)?;
    let secrets = secret::load(&settings)?;
    let (listener, address) = take_port(settings.listen)?;
    let watched = settings.metrics_listen().map(take_port).transpose()?;
    warn_of_own_address(&settings, address);
    warn_of_no_page(&settings);
    warn_of_open_file(&settings);
    let clock = Clock::system();
    compare_clocks(&db, &clock)?;
    let installation = name_of(&db)?;
    let app = AppState::new(settings, &secrets, (db, &installation), clock, address)?;
    keys::start(&app.db, &app.accounts.tokens)?;
    let others = Others::of(&app, lock);
    others.tell(&app);
    let worker = if does_jobs {
        Some(worker_of(&app)?)
    } else {
        None
    };
    let transport = app.transport()?;
    Ok(Prepared {
        app,
        others,
        worker,
        transport,
        listener,
        address,
        watched,
    })
}

/// The random name of a database.
fn name_of(db: &Db) -> Result<String, String> {
    db.read_blocking(&migrations::installation)
        .map_err(|error| format!("cannot name the installation: {}", Chain(&error)))
}

/// Warns when people are to read posts nowhere.
fn warn_of_no_page(settings: &Settings) {
    if settings.blog.page == Switch::Off && settings.blog.post_url().is_none() {
        tracing::warn!(
            "INKPOT_PAGE is off and INKPOT_POST_URL is not set: feeds lead nowhere, and there is no \
             sitemap"
        );
    }
}

/// Warns when others are to reach this server, and what they are sent leads to the address
/// that it listens on.
fn warn_of_own_address(settings: &Settings, address: SocketAddr) {
    if settings.public_url.is_some() {
        return;
    }
    let why = if settings.smtp_url().is_some() {
        "mails are sent (INKPOT_SMTP_URL)"
    } else if !address.ip().is_loopback() {
        "others can connect (INKPOT_LISTEN)"
    } else {
        return;
    };
    tracing::warn!(
        "INKPOT_PUBLIC_URL is not set, and {why}: links in mails and feeds lead to http://{address}"
    );
}

/// Warns when other users of the machine can open the embedded database.
fn warn_of_open_file(settings: &Settings) {
    if let DatabaseUrl::Sqlite(path) = settings.database()
        && let Some(path) = owner_only::is_open(&path)
    {
        let path = path.display();
        tracing::warn!("{path} can be read by others of this machine: chmod 600 {path}*");
    }
}

/// Takes the port, and gives the address in use with it.
fn take_port(listen: SocketAddr) -> Result<(TcpListener, SocketAddr), String> {
    let failed = |error: std::io::Error| format!("cannot listen on {listen}: {error}");
    let listener = TcpListener::bind(listen).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// Puts together what does jobs and nothing else. Blocks. The error is one line.
pub fn prepare_worker(mut settings: Settings) -> Result<PreparedWorker, String> {
    settings.without_replica();
    let db = await_database(&settings)?;
    let secrets = secret::load(&settings)?;
    let watched = settings.metrics_listen().map(take_port).transpose()?;
    // It serves nothing, and hears of jobs as servers do.
    let address = settings.listen;
    if settings.smtp_url().is_some() {
        warn_of_own_address(&settings, address);
    }
    let clock = Clock::system();
    compare_clocks(&db, &clock)?;
    let installation = name_of(&db)?;
    let app = AppState::new(settings, &secrets, (db, &installation), clock, address)?;
    // Nobody is online at a worker, so nobody is to wait for its list or to miss it.
    app.bus.leave();
    let transport = app.transport()?;
    Ok(PreparedWorker {
        worker: worker_of(&app)?,
        app,
        transport,
        watched,
    })
}

/// A worker, which says where what it sends goes, and whose periodic jobs are there.
fn worker_of(app: &AppState) -> Result<Worker, String> {
    let notifier = app.notifier()?;
    for line in notifier.describe() {
        tracing::info!("{line}");
    }
    let worker = app.worker(notifier);
    worker
        .enqueue_periodic()
        .map_err(|error| format!("cannot plan jobs: {}", Chain(&error)))?;
    Ok(worker)
}

/// Makes a server of its parts; to be called where a runtime is entered. The error is one
/// line.
pub fn bind(prepared: Prepared) -> Result<Bound, String> {
    allow_open_files();
    let Prepared {
        app,
        others,
        worker,
        transport,
        listener,
        address,
        watched,
    } = prepared;
    let kept = listener.try_clone().map_err(|e| e.to_string())?;
    let server = serve(&app, listener).map_err(|e| e.to_string())?;
    let watched = watched.map(|watched| watch(&app, watched)).transpose()?;
    Ok(Bound {
        address,
        handle: server.handle(),
        server,
        watched,
        listener: kept,
        signals: Signals::listen().map_err(|e| e.to_string())?,
        app,
        others,
        worker,
        transport,
    })
}

/// Serves those who watch. The error is one line.
pub(super) fn watch(
    app: &AppState,
    (listener, address): (TcpListener, SocketAddr),
) -> Result<(Server, SocketAddr), String> {
    let server = serve_metrics(app, listener).map_err(|e| e.to_string())?;
    Ok((server, address))
}

/// Has as many files open at once as the system lets this process: each connection is
/// one, and what shells give to start with is often a thousand.
fn allow_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let all = Rlimit {
        current: limit.maximum,
        ..limit
    };
    // Some systems want a number where there is no limit: then it stays as it was.
    let _ = setrlimit(Resource::Nofile, all);
}

/// Connections that each of so many threads takes: as many as there are files left for. Whoever comes
/// then waits until another one leaves; who is there is served, for the database has its files.
fn connections_of_a_thread(threads: usize, db_pool: u32) -> usize {
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let kept = OTHER_FILES + FILES_OF_THE_POOL * u64::from(db_pool);
    let left = files - kept.min(files / 2);
    let each = left / u64::try_from(threads).unwrap_or(u64::MAX).max(1);
    usize::try_from(each.clamp(1, CONNECTIONS_MAX)).unwrap_or(1)
}

/// Serves HTTP on a port, for as long as the server is awaited.
pub fn serve(app: &AppState, listener: TcpListener) -> std::io::Result<Server> {
    let address = listener.local_addr()?;
    let workers = app.settings.worker_threads();
    let shared = app.clone();
    let builder = Server::build();
    let stopping = builder.graceful_shutdown_signal();
    let server = builder
        .workers(workers)
        .max_concurrent_connections(connections_of_a_thread(workers, app.settings.db_pool))
        .shutdown_timeout(DRAIN_SECONDS)
        .disable_signals()
        .listen("inkpot", listener, move || {
            let app = shared.clone();
            let stopping = stopping.clone();
            let service = actix_web::App::new()
                .configure(|config| app.share(config))
                .wrap(from_fn(middleware::handle))
                .configure(routes::register)
                .into_factory()
                .map_err(|error| error.error_response());
            let http = HttpService::build()
                .keep_alive(KEEP_ALIVE)
                .client_request_timeout(HEAD_TIME)
                .client_disconnect_timeout(CLOSE_TIME)
                .graceful_shutdown_signal(move || {
                    let stopping = stopping.clone();
                    async move { stopping.notified().await }
                })
                .local_addr(address)
                .on_connect_ext(|wire: &Wire, data| {
                    data.insert(wire.takeover());
                    data.insert(wire.last_reads());
                    data.insert(wire.expectation());
                })
                .expect(fn_service(|request: Request| {
                    if let Some(expectation) = request.conn_data::<Expectation>() {
                        expectation.begin();
                    }
                    ready(Ok::<_, Infallible>(request))
                }))
                .h1(map_config(service, |()| AppConfig::default()));
            let base: Arc<str> = shared.settings.base_path().into();
            let drain = shared.drain.clone();
            fn_service(move |stream: TcpStream| {
                // Answers are written whole; waiting for more would delay them.
                let _ = stream.set_nodelay(true);
                let peer = stream.peer_addr().ok();
                ready(Ok((
                    Wire::new(stream, Arc::clone(&base), drain.opened()),
                    peer,
                )))
            })
            .and_then(http)
        })?
        .run();
    Ok(server)
}
