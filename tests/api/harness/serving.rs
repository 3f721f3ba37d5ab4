//! A test's own service at a real port: its clock, its database and its parts are at
//! hand, and clients connect as to the program.

use actix_server::ServerHandle;
use inkpot::presence::actions::refresh_names::refresh_names;
use inkpot::server;
use tokio::task::JoinHandle;

use super::{Client, TestApp};

/// A service that is served; it ends with the test.
pub struct Serving {
    pub app: TestApp,
    /// `127.0.0.1:port`.
    pub address: String,
    handle: ServerHandle,
    told: JoinHandle<()>,
}

impl Serving {
    pub fn start(app: TestApp) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = server::serve(&app.state, listener).unwrap();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        let state = app.state.clone();
        let told = actix_web::rt::spawn(async move {
            // There is no other process to tell.
            let told = state.presence.run(|_, _| {});
            let named = refresh_names(&state.presence, &state.db);
            futures_util::future::join(told, named).await;
        });
        Self {
            app,
            address,
            handle,
            told,
        }
    }

    /// The token of somebody who calls.
    pub fn token<'a>(client: &'a Client<'_>) -> &'a str {
        client.token.as_deref().unwrap()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.told.abort();
        // It is told to stop at once; nobody needs to wait for it.
        drop(self.handle.stop(false));
    }
}
