//! From settings to a running server, and the order in which things stop.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use actix_http::HttpService;
use actix_server::{Server, ServerHandle};
use actix_service::{IntoServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::dev::AppConfig;
use actix_web::middleware::from_fn;
use futures_util::FutureExt;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::accounts::actions::{self, keys};
use crate::accounts::events::{SessionEnded, UserChanged};
use crate::accounts::letters::Letters;
use crate::accounts::types::Revocation;
use crate::core::bus::redis::RedisTransport;
use crate::core::clock::Clock;
use crate::core::db::{DatabaseUrl, Db, DbError, migrations};
use crate::core::process_lock::Company;
use crate::core::secret;
use crate::core::settings::Settings;
use crate::core::telemetry::chain::Chain;
use crate::http::middleware;
use crate::http::transport::Wire;
use crate::jobs::worker::Worker;
use crate::posts::check;
use crate::posts::events::AnythingChanged;
use crate::presence::messages::Change;
use crate::presence::names;
use crate::state::AppState;
use crate::{routes, work};

/// Seconds that requests in flight get to end when the server stops.
const DRAIN_SECONDS: u64 = 10;
/// How long a connection may be silent before its first byte and between requests.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long the head of a request may take to arrive.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// How long a connection that is closed may take to read its last answer.
const CLOSE_TIME: Duration = Duration::from_secs(5);

/// A server that has its port and is ready to run.
pub struct Bound {
    /// The address in use, port 0 resolved.
    pub address: SocketAddr,
    pub handle: ServerHandle,
    pub server: Server,
    app: AppState,
    company: Company,
    /// `None` when jobs are left to other processes.
    worker: Option<Worker>,
    transport: Option<RedisTransport>,
}

/// What a server needs, put together.
pub struct Prepared {
    app: AppState,
    company: Company,
    does_jobs: bool,
    transport: Option<RedisTransport>,
    /// Takes connections already; they wait until the server runs.
    listener: TcpListener,
    address: SocketAddr,
}

/// What a worker needs, put together.
pub struct PreparedWorker {
    worker: Worker,
    transport: Option<RedisTransport>,
}

/// How often a process asks what others changed: what is ended elsewhere is refused
/// here within a second.
const FOLLOW: Duration = Duration::from_millis(250);

/// Opens and migrates the database. The error is one line.
pub fn open_database(settings: &Settings) -> Result<Db, String> {
    let url = settings.database();
    let failed = |why: String| format!("database {}: {why}", url.redacted());
    let db = Db::open(&url, settings.db_pool).map_err(failed)?;
    let applied =
        migrations::run(&mut db.dedicated().map_err(failed)?).map_err(|e| failed(e.to_string()))?;
    for name in applied {
        tracing::info!(migration = name, "applied a migration");
    }
    Ok(db)
}

/// Puts everything together that a server needs; with `does_jobs` it is a worker as
/// well. Blocks: call it outside of async tasks. The error is one line.
pub fn prepare(settings: Settings, does_jobs: bool) -> Result<Prepared, String> {
    let db = open_database(&settings)?;
    let company = Company::join(db.url(), 2 * FOLLOW)?;
    let secrets = secret::load(&settings)?;
    let (listener, address) = take_port(settings.listen)?;
    let app = AppState::new(settings, &secrets, db, Clock::system(), address)?;
    keys::start(&app.db, &app.accounts.tokens)?;
    app.bus.set_others_write(others_write(&app.db, &company));
    if does_jobs {
        plan(&app.db)?;
    }
    let transport = app.transport()?;
    Ok(Prepared {
        app,
        company,
        does_jobs,
        transport,
        listener,
        address,
    })
}

/// Takes the port, and gives the address in use with it.
fn take_port(listen: SocketAddr) -> Result<(TcpListener, SocketAddr), String> {
    let failed = |error: std::io::Error| format!("cannot listen on {listen}: {error}");
    let listener = TcpListener::bind(listen).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// Puts together what does jobs and nothing else. Blocks. The error is one line.
pub fn prepare_worker(settings: Settings) -> Result<PreparedWorker, String> {
    let db = open_database(&settings)?;
    plan(&db)?;
    let secrets = secret::load(&settings)?;
    // It serves nothing, and hears of jobs as servers do.
    let address = settings.listen;
    let app = AppState::new(settings, &secrets, db, Clock::system(), address)?;
    // Nobody is online at a worker, so nobody is to wait for its list or to miss it.
    app.bus.leave();
    let transport = app.transport()?;
    Ok(PreparedWorker {
        worker: worker_of(app.letters()?),
        transport,
    })
}

fn plan(db: &Db) -> Result<(), String> {
    work::plan(db, &Clock::system()).map_err(|error| format!("cannot plan jobs: {}", Chain(&error)))
}

/// A worker, which says where what it sends goes.
fn worker_of(letters: Letters) -> Worker {
    for line in letters.notifier.describe() {
        tracing::info!("{line}");
    }
    work::worker(letters)
}

/// Makes a server of its parts. The error is one line.
pub fn bind(prepared: Prepared) -> Result<Bound, String> {
    allow_open_files();
    let Prepared {
        app,
        company,
        does_jobs,
        transport,
        listener,
        address,
    } = prepared;
    let worker = if does_jobs {
        Some(worker_of(app.letters()?))
    } else {
        None
    };
    let server = serve(&app, listener).map_err(|e| e.to_string())?;
    Ok(Bound {
        address,
        handle: server.handle(),
        server,
        app,
        company,
        worker,
        transport,
    })
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

/// Serves HTTP on a port, for as long as the server is awaited.
pub fn serve(app: &AppState, listener: TcpListener) -> std::io::Result<Server> {
    let address = listener.local_addr()?;
    let workers = app.settings.worker_threads();
    let shared = app.clone();
    let builder = Server::build();
    let stopping = builder.graceful_shutdown_signal();
    let server = builder
        .workers(workers)
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
                })
                .h1(map_config(service, |()| AppConfig::default()));
            fn_service(|stream: TcpStream| async move {
                // Answers are written whole; waiting for more would delay them.
                let _ = stream.set_nodelay(true);
                let peer = stream.peer_addr().ok();
                Ok((Wire::new(stream), peer))
            })
            .and_then(http)
        })?
        .run();
    Ok(server)
}

/// Whether other processes write to the database, as far as it is known.
fn others_write(db: &Db, company: &Company) -> bool {
    match db.url() {
        DatabaseUrl::Sqlite(_) => company.has_others(),
        DatabaseUrl::Mysql(_) => true,
    }
}

/// Learns from the database what other processes changed, and tells them by it what
/// they could not hear otherwise.
async fn catch_up(app: &AppState) -> Result<(), DbError> {
    for revocation in actions::catch_up(&app.db, &app.accounts.session_cache).await? {
        match revocation {
            Revocation::Anything => app.bus.deliver(&AnythingChanged {}),
            Revocation::User(user_id) => {
                app.bus.deliver(&SessionEnded::all_of(user_id));
                app.bus.deliver(&UserChanged { user_id });
            }
            Revocation::Session {
                user_id,
                session_id,
            } => app.bus.deliver(&SessionEnded::one(user_id, session_id)),
        }
    }
    if app.bus.take_missed() {
        actions::announce_anything(&app.db, &app.clock).await?;
    }
    keys::catch_up(&app.db, &app.accounts.tokens).await
}

/// Learns what other processes changed, again and again, for as long as the server
/// runs. Each reading is two queries, the first of which is empty nearly always.
async fn follow(app: AppState, company: Company) {
    let mut is_lost = false;
    loop {
        tokio::time::sleep(FOLLOW).await;
        app.bus.set_others_write(others_write(&app.db, &company));
        let caught_up = catch_up(&app).await;
        // Said once when it begins and once when it ends.
        match &caught_up {
            Ok(()) if is_lost => tracing::info!("the changes of other processes are seen again"),
            Err(error) if !is_lost => {
                tracing::warn!(error = %Chain(&error), place = %error.place(), "cannot see the changes of other processes");
            }
            _ => {}
        }
        is_lost = caught_up.is_err();
    }
}

/// Indexes posts from before there was a search, beside the requests.
fn index_pending(app: &AppState) {
    let done = check::index_pending(&app.db, &|done| {
        if done % 1024 == 0 {
            tracing::info!(done, "indexing posts for the search");
        }
    });
    match done {
        Ok(0) => {}
        Ok(done) => tracing::info!(done, "indexed posts for the search"),
        Err(error) => tracing::warn!(
            error = %Chain(&error), place = %error.place(),
            "cannot index posts for the search; the next start goes on with it"
        ),
    }
}

/// SIGTERM or Ctrl-C.
async fn signal() -> std::io::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    Ok(())
}

/// Runs until SIGTERM or Ctrl-C, then lets requests and jobs that are under way end.
pub async fn run(bound: Bound) -> std::io::Result<()> {
    let handle = bound.handle;
    let indexed = bound.app.clone();
    // Ends with the process, in the middle of the work too: each step is whole.
    std::thread::spawn(move || index_pending(&indexed));
    let (bus, presence) = (Arc::clone(&bound.app.bus), Arc::clone(&bound.app.presence));
    let transport = bound
        .transport
        .map(|transport| actix_web::rt::spawn(transport.run()));
    let (hub, others) = (Arc::clone(&presence), Arc::clone(&bus));
    let told = actix_web::rt::spawn(async move {
        hub.run(|version, delta| others.send(&Change { version, delta }))
            .await;
    });
    let named = bound.app.clone();
    let named =
        actix_web::rt::spawn(async move { names::follow(&named.presence, &named.db).await });
    let follower = actix_web::rt::spawn(follow(bound.app, bound.company));
    let (stop_jobs, jobs_stop) = oneshot::channel::<()>();
    let jobs = match bound.worker {
        Some(worker) => Some(start(worker, jobs_stop)?),
        None => None,
    };
    let stopper = async move {
        let signalled = signal().await;
        tracing::info!("stopping: requests and jobs under way have {DRAIN_SECONDS} seconds to end");
        drop(stop_jobs);
        // First nobody is here any more, or who asks after the good-bye would hear of them.
        presence.stop();
        bus.leave();
        presence.parted().await;
        handle.stop(true).await;
        signalled
    };
    let (served, signalled) = futures_util::future::join(bound.server, stopper).await;
    follower.abort();
    told.abort();
    named.abort();
    if let Some(transport) = transport {
        transport.abort();
    }
    if let Some(jobs) = jobs {
        ended(jobs).await?;
    }
    tracing::info!("stopped");
    served.and(signalled)
}

/// Does jobs until SIGTERM or Ctrl-C, then lets those that are under way end.
pub async fn run_worker(prepared: PreparedWorker) -> std::io::Result<()> {
    let PreparedWorker { worker, transport } = prepared;
    let transport = transport.map(|transport| actix_web::rt::spawn(transport.run()));
    let (stop_jobs, jobs_stop) = oneshot::channel::<()>();
    let jobs = start(worker, jobs_stop)?;
    let signalled = signal().await;
    tracing::info!("stopping: jobs under way have {DRAIN_SECONDS} seconds to end");
    drop(stop_jobs);
    ended(jobs).await?;
    if let Some(transport) = transport {
        transport.abort();
    }
    tracing::info!("stopped");
    signalled
}

fn start(worker: Worker, stop: oneshot::Receiver<()>) -> std::io::Result<JoinHandle<()>> {
    work::start(worker, stop.map(drop)).map_err(std::io::Error::other)
}

/// Waits for the worker's threads.
async fn ended(jobs: JoinHandle<()>) -> std::io::Result<()> {
    tokio::task::spawn_blocking(move || jobs.join())
        .await?
        .map_err(|_| std::io::Error::other("the worker panicked"))
}
