//! A test's own service: in-process HTTP over a database of its own, a clock that
//! is moved by hand, and clients that check every answer against the description.

pub mod answer;
pub mod contract;
pub mod database;
pub mod jobs;
pub mod left_out;
pub mod mariadb;
pub mod nginx;
pub mod outbox;
pub mod people;
pub mod posts;
pub mod process;
pub mod proxy;
pub mod python;
pub mod redis;
pub mod serving;
pub mod sinks;
pub mod socket;
pub mod wire;

use std::cell::Cell;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use actix_http::Request;
use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::Method;
use actix_web::middleware::from_fn;
use actix_web::test::{TestRequest, init_service};
use actix_web::web;
use actix_web::{HttpResponse, body};
use clap::Parser;
use diesel::prelude::*;
use inkpot::accounts::actions::keys;
use inkpot::accounts::storage::users;
use inkpot::accounts::types::AdminChange;
use inkpot::cli::args::Cli;
use inkpot::core::clock::Clock;
use inkpot::core::db::schema::job;
use inkpot::core::db::{Db, migrations};
use inkpot::jobs::JobStatus;
use inkpot::jobs::worker::Worker;
use inkpot::state::AppState;
use serde_json::{Value, json};

pub use answer::Answer;
pub use database::{Backend, TestDatabase};
pub use outbox::Sent;

/// The secret of every test's service; the token tests forge with it.
pub const SECRET: &str = "a-secret-for-tests-0123456789-abcdef";
/// A password that every rule takes.
pub const PASSWORD: &str = "correct horse battery staple";

type Outcome = Result<ServiceResponse, actix_web::Error>;
type Called = Pin<Box<dyn Future<Output = Outcome>>>;

/// A service of a test's own.
pub struct TestApp {
    service: Rc<dyn Fn(Request) -> Called>,
    pub state: AppState,
    pub clock: Clock,
    pub database: TestDatabase,
    // Dropped after the database's own field, which the last of its holders drops.
    jobs: Jobs,
}

/// The jobs of a service. No one is forgotten: at the end what the test has caused
/// must be possible.
struct Jobs {
    worker: Arc<Worker>,
    database: TestDatabase,
    /// Whether jobs that are not done at the end are what the test wants.
    are_left: Cell<bool>,
}

/// Runs a test on one database; used through [`on_both_databases`].
pub async fn run<F: AsyncFnOnce(TestApp)>(backend: Backend, test: F) {
    if let Some(database) = TestDatabase::create(backend) {
        test(TestApp::start(database, &[]).await).await;
    }
}

/// Makes every listed `async fn(TestApp)` a test on SQLite and a test on MySQL.
/// One that is not listed is dead code, which fails the build of the suite.
macro_rules! on_both_databases {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[actix_web::test]
            async fn $name() {
                crate::harness::run(crate::harness::Backend::Sqlite, super::$name).await;
            })*
        }
        mod mysql {
            $(#[actix_web::test]
            async fn $name() {
                crate::harness::run(crate::harness::Backend::Mysql, super::$name).await;
            })*
        }
    };
}
pub(crate) use on_both_databases;

impl TestApp {
    /// Starts a service with `flags` beside those of every test.
    pub async fn start(database: TestDatabase, flags: &[&str]) -> Self {
        Self::start_at(database, flags, Clock::by_hand(chrono::Utc::now())).await
    }

    /// Another process on the same database, as far as one can tell; the clock is the
    /// same.
    pub async fn second(&self, flags: &[&str]) -> Self {
        Self::start_at(self.database.shared(), flags, self.clock.clone()).await
    }

    async fn start_at(database: TestDatabase, flags: &[&str], clock: Clock) -> Self {
        let url = database.url();
        let data = database.directory.path().join("data").display().to_string();
        let own = [
            ("--data-dir", data.as_str()),
            ("--database-url", url.as_str()),
            ("--bcrypt-cost", "4"),
            ("--jwt-secret", SECRET),
            ("--db-pool", "4"),
            // The limits have tests of their own.
            ("--rate-limits", "off"),
        ];
        let mut line = vec!["inkpot"];
        for (flag, value) in own.iter().filter(|(flag, _)| !flags.contains(flag)) {
            line.extend([flag, value]);
        }
        line.extend(flags);
        let settings = Cli::parse_from(line).settings;
        let secrets = settings.jwt_secret.clone().unwrap().0;
        let (url, size) = (settings.database(), settings.db_pool);
        let address = settings.listen;
        // Opening blocks, which an async task must not.
        let open = move || {
            let db = Db::open(&url, size).unwrap();
            let name = db.read_blocking(&migrations::installation).unwrap();
            (db, name)
        };
        let (db, name) = std::thread::spawn(open).join().unwrap();
        let state = AppState::new(settings, &secrets, (db, &name), clock.clone(), address).unwrap();
        keys::catch_up(&state.db, &state.accounts.tokens)
            .await
            .unwrap();
        let worker = Arc::new(state.worker(state.notifier().unwrap()));
        let service = init_service(
            actix_web::App::new()
                .configure(|config| state.share(config))
                .wrap(from_fn(inkpot::http::middleware::handle))
                .route("/panics", web::get().to(panics))
                .configure(inkpot::routes::register),
        )
        .await;
        Self {
            service: Rc::new(move |request| Box::pin(service.call(request))),
            state,
            clock,
            jobs: Jobs {
                worker,
                database: database.shared(),
                are_left: Cell::new(false),
            },
            database,
        }
    }

    /// Does all jobs that are due, and gives how many there were.
    pub async fn work(&self) -> usize {
        self.jobs.worker.step().await.unwrap()
    }

    /// Says that jobs which are not done at the end are what the test wants.
    pub fn leave_jobs(&self) {
        self.jobs.are_left.set(true);
    }

    /// What was sent so far, in the order of the jobs.
    pub fn outbox(&self) -> Vec<Sent> {
        outbox::read(&self.state.settings.data_dir)
    }

    /// A client without a token.
    pub fn anonymous(&self) -> Client<'_> {
        Client {
            app: self,
            token: None,
            user_id: 0,
            peer: None,
            headers: Vec::new(),
        }
    }

    /// Registers `name` and gives a client with their token.
    pub async fn user(&self, name: &str) -> Client<'_> {
        let answer = self
            .anonymous()
            .post(
                "/user/reg",
                json!({ "email": format!("{name}@example.org"), "name": name, "password": PASSWORD }),
            )
            .await
            .expect(201);
        self.client_of(&answer)
    }

    /// Registers `name` and makes them an admin.
    pub async fn admin(&self, name: &str) -> Client<'_> {
        let admin = self.user(name).await;
        let id = admin.user_id;
        self.database.with(move |conn| {
            let change = AdminChange {
                is_admin: Some(true),
                ..AdminChange::default()
            };
            users::administer(conn, id, &change, chrono::Utc::now().naive_utc()).unwrap();
        });
        admin
    }

    /// A client with the token of a token answer.
    pub fn client_of(&self, answer: &Value) -> Client<'_> {
        Client {
            app: self,
            token: Some(answer["token"].as_str().unwrap().to_owned()),
            user_id: answer["userinfo"]["user_id"].as_i64().unwrap(),
            peer: None,
            headers: Vec::new(),
        }
    }

    /// Logs `name` in once more.
    pub async fn login(&self, name: &str) -> Value {
        let body = json!({ "account": format!("{name}@example.org"), "password": PASSWORD });
        self.anonymous().post("/user/login", body).await.expect(200)
    }

    /// Sends a request and checks the answer against the description.
    pub async fn send(&self, request: TestRequest) -> Answer {
        let request = request.to_request();
        let method = request.method().clone();
        let path = request.path().to_owned();
        let answer = match (self.service)(request).await {
            Ok(answered) => {
                let pattern = answered.request().match_pattern();
                Answer::read(method, path, pattern, answered.into_parts().1).await
            }
            Err(error) => Answer::read(method, path, None, HttpResponse::from_error(error)).await,
        };
        contract::check(&answer);
        answer
    }
}

impl Drop for Jobs {
    fn drop(&mut self) {
        if self.are_left.get() || std::thread::panicking() {
            return;
        }
        let worker = Arc::clone(&self.worker);
        let stepped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(worker.step()).map(drop)
        });
        let stepped = stepped.join().unwrap();
        assert!(stepped.is_ok(), "the jobs of a test: {stepped:?}");
        let open = self.database.with(|conn| {
            let open: Vec<(i64, String, Option<String>)> = job::table
                .filter(job::state.ne(JobStatus::Done.name()))
                .select((job::job_id, job::kind, job::last_error))
                .load(conn)
                .unwrap();
            open
        });
        assert!(open.is_empty(), "jobs that were not done: {open:?}");
    }
}

async fn panics() -> HttpResponse {
    panic!("a secret inside of the server")
}

/// Somebody who calls.
pub struct Client<'a> {
    app: &'a TestApp,
    pub token: Option<String>,
    pub user_id: i64,
    peer: Option<IpAddr>,
    headers: Vec<(&'static str, String)>,
}

impl Client<'_> {
    /// Calls from this address.
    pub fn at(mut self, address: &str) -> Self {
        self.peer = Some(address.parse().unwrap());
        self
    }

    /// Sends a line of a header with every request.
    pub fn with_header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub fn app(&self) -> &TestApp {
        self.app
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.app.send(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, body).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.call(Method::PUT, path, body).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.call(Method::PATCH, path, body).await
    }

    /// Without a body.
    pub async fn delete(&self, path: &str) -> Answer {
        self.app.send(self.request(Method::DELETE, path)).await
    }

    /// Sends a body; one that is taken must be one that is described.
    pub async fn call(&self, method: Method, path: &str, body: Value) -> Answer {
        let answer = self
            .app
            .send(self.request(method, path).set_json(&body))
            .await;
        if answer.status.is_success() {
            contract::check_request(&answer, &body);
        }
        answer
    }

    /// Publishes and gives the post's id.
    pub async fn publish(&self, title: &str, content: &str) -> i64 {
        let body = json!({ "title": title, "content": content });
        self.post("/post/pub", body).await.expect(201)["post_id"]
            .as_i64()
            .unwrap()
    }

    pub fn request(&self, method: Method, path: &str) -> TestRequest {
        let mut request = TestRequest::with_uri(path).method(method);
        if let Some(peer) = self.peer {
            request = request.peer_addr((peer, 4711).into());
        }
        for (name, value) in &self.headers {
            request = request.append_header((*name, value.as_str()));
        }
        match &self.token {
            Some(token) => request.insert_header(("Authorization", format!("Bearer {token}"))),
            None => request,
        }
    }
}

/// The bytes of a response's body.
pub async fn bytes_of(response: HttpResponse) -> Vec<u8> {
    body::to_bytes(response.into_body()).await.unwrap().to_vec()
}
