//! From settings to a running server, and the order in which things stop.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use actix_web::middleware::from_fn;
use actix_web::web::Data;
use actix_web::{HttpServer, body::BoxBody};

use crate::app::App;
use crate::clock::Clock;
use crate::config::Settings;
use crate::db::{Db, migrations};
use crate::http::edge;
use crate::{routes, secret};

/// Seconds that requests in flight get to end when the server stops.
const DRAIN_SECONDS: u64 = 10;
/// How long a connection may be silent before its first byte and between requests.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long the head of a request may take to arrive.
const HEAD_TIME: Duration = Duration::from_secs(10);

/// A server that has its port and is ready to run.
pub struct Bound {
    /// The address in use, port 0 resolved.
    pub address: SocketAddr,
    pub handle: ServerHandle,
    pub server: Server,
}

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

/// Takes the port and puts everything together. The error is one line.
pub fn build(settings: Settings) -> Result<Bound, String> {
    let db = open_database(&settings)?;
    let secrets = secret::load(&settings)?;
    let listener = TcpListener::bind(settings.listen)
        .map_err(|e| format!("cannot listen on {}: {e}", settings.listen))?;
    let address = listener.local_addr().map_err(|e| e.to_string())?;
    let workers = settings.worker_threads();
    let app = Data::from(Arc::new(App::new(settings, &secrets, db, Clock::system())?));
    let server = HttpServer::new(move || {
        actix_web::App::new()
            .app_data(app.clone())
            .wrap(from_fn(edge::handle))
            .configure(routes::register)
    })
    .workers(workers)
    .keep_alive(KEEP_ALIVE)
    .client_request_timeout(HEAD_TIME)
    .shutdown_timeout(DRAIN_SECONDS)
    .disable_signals()
    .listen(listener)
    .map_err(|e| e.to_string())?
    .run();
    Ok(Bound {
        address,
        handle: server.handle(),
        server,
    })
}

/// Runs until SIGTERM or Ctrl-C, then lets requests in flight end.
pub async fn run(bound: Bound) -> std::io::Result<()> {
    let handle = bound.handle;
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let stopper = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        tracing::info!("stopping: requests in flight have {DRAIN_SECONDS} seconds to end");
        handle.stop(true).await;
    };
    let (served, ()) = futures_util::future::join(bound.server, stopper).await;
    tracing::info!("stopped");
    served
}

/// The body type of every answer, as the edge leaves it.
pub type AnswerBody = BoxBody;
