//! Costly work of one visitor does not reach another: the queue before the threads that hash
//! passwords.

use std::cell::Cell;
use std::io::Write;
use std::net::TcpStream;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use futures_util::future::{join, join_all};
use inkpot::core::cpu_pool::Requester;
use inkpot::core::cpu_pool::queue::{LONGEST_WAIT, SUBJECT_WAITING};
use serde_json::json;

use crate::harness::serving::Serving;
use crate::harness::{Answer, Client, PASSWORD, TestApp, on_both_databases};

on_both_databases![
    wrong_passwords_of_one_account_stop_nobody_elses_login,
    who_waited_too_long_is_refused_and_nothing_is_hashed,
    a_login_that_is_given_up_is_not_hashed,
];

/// How long anything may take that a test waits for.
const PATIENCE: Duration = Duration::from_secs(60);

/// The service once more, with limits.
async fn limited(app: TestApp) -> TestApp {
    TestApp::start(app.database, &["--rate-limits", "on"]).await
}

async fn until(is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "it did not come so");
        tokio::task::yield_now().await;
    }
}

/// Keeps every thread of the pool busy until what it gives is dropped.
async fn keep_busy(app: &TestApp) -> Vec<mpsc::Sender<()>> {
    let pool = &app.state.cpu_pool;
    let mut held = Vec::new();
    for _ in 0..pool.threads() {
        let (release, released) = mpsc::channel();
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let pool = pool.clone();
        actix_web::rt::spawn(async move {
            let work = move || {
                begun.send(()).unwrap();
                let _ = released.recv();
            };
            pool.run(&Requester::operator(), work).await.unwrap();
        });
        has_begun.await.unwrap();
        held.push(release);
    }
    held
}

async fn try_a_password(client: &Client<'_>) -> Answer {
    let new = "another horse, another staple";
    let body = json!({ "current_password": "not the password", "new_password": new });
    client.put("/user/me/password", body).await
}

async fn wrong_passwords_of_one_account_stop_nobody_elses_login(app: TestApp) {
    let app = limited(app).await;
    let ann = app.user("ann").await.at("192.0.2.1");
    app.user("bob").await;
    let pool = &app.state.cpu_pool;
    let held = keep_busy(&app).await;
    let refused = Cell::new(0);
    let eight = join_all((0..8).map(|_| async {
        let answer = try_a_password(&ann).await;
        if answer.status == 503 {
            refused.set(refused.get() + 1);
        }
        answer
    }));
    let bob = async {
        until(|| refused.get() == 8 - SUBJECT_WAITING && pool.waiting() == SUBJECT_WAITING).await;
        let client = app.anonymous().at("192.0.2.2");
        let body = json!({ "account": "bob@example.org", "password": PASSWORD });
        let login = client.post("/user/login", body);
        let release = async {
            until(|| pool.waiting() == SUBJECT_WAITING + 1).await;
            drop(held);
        };
        join(login, release).await.0
    };
    let (eight, bob) = join(eight, bob).await;
    bob.expect(200);
    let mut overloaded = 0;
    for answer in eight {
        if answer.status == 503 {
            answer.problem("overloaded");
            assert!(answer.header("retry-after").parse::<u64>().unwrap() > 0);
            overloaded += 1;
        } else {
            answer.problem("wrong_password");
        }
    }
    assert_eq!(overloaded, 8 - SUBJECT_WAITING);
}

async fn who_waited_too_long_is_refused_and_nothing_is_hashed(app: TestApp) {
    let app = limited(app).await;
    let ann = app.user("ann").await;
    let (pool, before) = (&app.state.cpu_pool, app.state.cpu_pool.done());
    let held = keep_busy(&app).await;
    let busy = u64::try_from(held.len()).unwrap();
    let tried = join_all((0..3).map(|_| try_a_password(&ann)));
    let release = async {
        until(|| pool.waiting() == 3).await;
        app.clock
            .advance(TimeDelta::from_std(LONGEST_WAIT).unwrap());
        drop(held);
    };
    let (tried, ()) = join(tried, release).await;
    for answer in tried {
        answer.problem("overloaded");
    }
    until(|| pool.done() - before == busy).await;
    // Nothing was tried, so nothing was refused, and the next is served.
    try_a_password(&ann).await.problem("wrong_password");
    assert_eq!(pool.done() - before, busy + 1);
}

async fn a_login_that_is_given_up_is_not_hashed(app: TestApp) {
    let app = limited(app).await;
    app.user("ann").await;
    let serving = Serving::start(app);
    let app = &serving.app;
    let (pool, before) = (&app.state.cpu_pool, app.state.cpu_pool.done());
    let held = keep_busy(app).await;
    let busy = u64::try_from(held.len()).unwrap();
    let body = json!({ "account": "ann@example.org", "password": PASSWORD }).to_string();
    let request = format!(
        "POST /user/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let clients: Vec<TcpStream> = (0..3)
        .map(|_| {
            let mut client = TcpStream::connect(&serving.address).unwrap();
            client.write_all(request.as_bytes()).unwrap();
            client
        })
        .collect();
    until(|| pool.waiting() == 3).await;
    drop(clients);
    until(|| pool.waiting() == 0).await;
    drop(held);
    app.login("ann").await;
    assert_eq!(pool.done() - before, busy + 1);
}
