//! The listener for those who watch: metrics for Prometheus, and the health of the process
//! until its very end. It has a thread of its own, so that it answers while the others are
//! busy.

use std::net::TcpListener;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web::{self, Data};
use actix_web::{App, HttpResponse, HttpServer};

use crate::core::metrics;
use crate::error::Error;
use crate::meta;
use crate::state::AppState;

/// Connections at once: few ask.
const CONNECTIONS: usize = 64;

/// Serves metrics, `/livez` and `/readyz` on a port, for as long as the server is awaited.
pub fn serve_metrics(
    app: &AppState,
    listener: TcpListener,
) -> std::io::Result<actix_web::dev::Server> {
    let app = app.clone();
    let server = HttpServer::new(move || {
        let health = app.health.clone();
        App::new()
            .app_data(Data::new(app.clone()))
            .app_data(health)
            .route("/metrics", web::get().to(metrics))
            .route("/livez", web::get().to(meta::livez))
            .route("/readyz", web::get().to(meta::readyz))
    })
    .workers(1)
    .max_connections(CONNECTIONS)
    .disable_signals()
    .shutdown_timeout(1)
    .listen(listener)?
    .run();
    Ok(server)
}

async fn metrics(app: Data<AppState>) -> Result<HttpResponse, Error> {
    let text = app.measure().await.map_err(|e| Error::internal(e))?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, metrics::CONTENT_TYPE))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(text))
}
