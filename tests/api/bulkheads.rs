//! One kind of work does not take the connections of another, nothing waits without a
//! bound, and every error of the database is told as what it is.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use futures_util::future::join_all;
use inkpot::core::db::{Bulkhead, Conn, Db, DbError, deadline};
use serde_json::json;

use crate::harness::{Backend, TestApp, TestDatabase, on_both_databases};

on_both_databases!(
    searches_that_hang_leave_the_rest_alone,
    what_waits_is_bounded_in_number,
    a_write_that_hangs_is_given_up_by_those_who_wait,
);

/// Units of work that hold their connection until they are told to end.
struct Held {
    begun: Receiver<()>,
    end: Vec<Sender<()>>,
}

impl Held {
    /// Begins `count` of them, each on a connection of its own.
    async fn begin(db: &Db, count: usize, is_write: bool) -> Self {
        let (tell, begun) = channel();
        let mut end = Vec::new();
        for _ in 0..count {
            let (ending, ended) = channel::<()>();
            let ended = std::sync::Mutex::new(ended);
            let tell = tell.clone();
            let hold = move |_: &mut Conn| {
                tell.send(()).unwrap();
                // An error is the end as well.
                let _ = ended.lock().unwrap().recv();
                Ok(())
            };
            let db = db.clone();
            actix_web::rt::spawn(async move {
                if is_write {
                    db.write(hold).await.unwrap();
                } else {
                    db.read(hold).await.unwrap();
                }
            });
            end.push(ending);
        }
        let held = Self { begun, end };
        for _ in 0..count {
            while held.begun.try_recv().is_err() {
                actix_web::rt::task::yield_now().await;
            }
        }
        held
    }
}

/// The app has four connections for reads, one for searches.
async fn searches_that_hang_leave_the_rest_alone(app: TestApp) {
    let (ann, root) = (app.user("ann").await, app.admin("root").await);
    let id = ann.publish("the title", "words").await;
    let searches = app.state.db.reading_by(Bulkhead::Searches);
    let held = Held::begin(&searches, 1, false).await;
    let anonymous = app.anonymous();
    let refused = anonymous.get("/post/?q=words").await;
    refused.expect(503);
    assert!(!refused.header("retry-after").is_empty());
    anonymous.get(&format!("/post/{id}")).await.expect(200);
    anonymous.get("/post/?page=2").await.expect(200);
    let author_and_tag = format!("/post/?author={}&tag=x", ann.user_id);
    anonymous.get(&author_and_tag).await.expect(200);
    for path in ["/user/", "/audit/", "/jobs/"] {
        root.get(path).await.expect(200);
    }
    // All names are read for it.
    root.get("/user/?q=ann").await.expect(503);
    anonymous.get("/readyz").await.expect(200);
    ann.get("/user/me").await.expect(200);
    app.login("ann").await;
    ann.publish("another", "text").await;
    drop(held.end);
    anonymous.get("/post/?q=words").await.expect(200);
}

async fn what_waits_is_bounded_in_number(app: TestApp) {
    let searches = app.state.db.reading_by(Bulkhead::Searches);
    let held = Held::begin(&searches, 1, false).await;
    let asked = join_all((0..40).map(|n| {
        let searches = searches.clone();
        async move { searches.read(move |_| Ok(n)).await }
    }));
    let outcomes = {
        let mut asked = std::pin::pin!(asked);
        // All wait, or are refused, before the place is free.
        assert!(futures_util::poll!(&mut asked).is_pending());
        drop(held.end);
        asked.await
    };
    // Sixteen may wait for the one connection: those who came last.
    for (n, outcome) in outcomes.into_iter().enumerate() {
        match outcome {
            Ok(done) => assert!(done == n && n >= 24, "{n} was done"),
            Err(error) => assert!(
                matches!(error, DbError::Unavailable(_)) && n < 24,
                "{n}: {error:?}"
            ),
        }
    }
}

async fn a_write_that_hangs_is_given_up_by_those_who_wait(app: TestApp) {
    let ann = app.user("ann").await;
    let id = ann.publish("the title", "words").await;
    let writers = if app.database.backend == Backend::Sqlite {
        1
    } else {
        4
    };
    let held = Held::begin(&app.state.db, writers, true).await;
    let refused = ann
        .post("/post", json!({ "title": "t", "content": "c" }))
        .await;
    refused.expect(503);
    app.anonymous()
        .get(&format!("/post/{id}"))
        .await
        .expect(200);
    app.anonymous().get("/readyz").await.expect(200);
    drop(held.end);
    ann.publish("after", "text").await;
}

/// Another session that holds something until it is told to end.
fn hold(database: &TestDatabase, statements: &'static [&'static str]) -> impl FnOnce() + use<> {
    let database = database.shared();
    let (holding, held) = channel();
    let (end, ended) = channel::<()>();
    let thread = std::thread::spawn(move || {
        database.with(move |conn| {
            for statement in statements {
                conn.batch_execute(statement).unwrap();
            }
            holding.send(()).unwrap();
            let _ = ended.recv();
            conn.batch_execute("ROLLBACK").unwrap();
            conn.batch_execute("UNLOCK TABLES").unwrap();
        });
    });
    held.recv().unwrap();
    move || {
        drop(end);
        thread.join().unwrap();
    }
}

/// Row locks of somebody else: reads go on, writes are told to come back, and it is well
/// again by itself.
#[actix_web::test]
async fn rows_that_somebody_holds_stop_nobody_who_reads() {
    // Together: they have nothing in common, and wait for most of their time.
    join_all(
        [
            (
                &["BEGIN", "SELECT * FROM user FOR UPDATE"] as &'static [&'static str],
                [503, 503],
            ),
            // Whether a write needs what is held depends on its number.
            (
                &["BEGIN", "SELECT * FROM post_count FOR UPDATE"],
                [201, 503],
            ),
            (&["BEGIN", "SELECT * FROM post FOR UPDATE"], [201, 503]),
            (
                &["LOCK TABLES user READ, post READ, content READ"],
                [503, 503],
            ),
        ]
        .map(|(statements, expected)| stops_nobody_who_reads(statements, expected)),
    )
    .await;
}

async fn stops_nobody_who_reads(statements: &'static [&'static str], expected: [u16; 2]) {
    let Some(database) = TestDatabase::create(Backend::Mysql) else {
        return;
    };
    let app = TestApp::start(database, &[]).await;
    let ann = app.user("ann").await;
    let id = ann.publish("the title", "words").await;
    let release = hold(&app.database, statements);
    let post = json!({ "title": "t", "content": "c" });
    // More than there are connections for writes.
    let writes = join_all((0..8).map(|_| ann.post("/post", post.clone())));
    let reads = async {
        for n in 1..20 {
            let anonymous = app.anonymous();
            anonymous.get(&format!("/post/{id}")).await.expect(200);
            anonymous.get(&format!("/post/?page={n}")).await.expect(200);
            anonymous.get("/post/?q=words").await.expect(200);
            anonymous.get("/readyz").await.expect(200);
            ann.get("/user/me").await.expect(200);
        }
    };
    let (written, ()) = futures_util::future::join(writes, reads).await;
    for answer in written {
        let status = answer.status.as_u16();
        assert!(
            expected.contains(&status),
            "{statements:?}: {}",
            answer.text()
        );
        if status == 503 {
            answer.problem("unavailable");
        }
    }
    release();
    ann.publish("after", "text").await;
}

/// A lock of the table of keys says nothing of the key of a request: no first one is under way.
#[actix_web::test]
async fn a_locked_table_is_no_request_under_way() {
    let Some(database) = TestDatabase::create(Backend::Mysql) else {
        return;
    };
    let app = TestApp::start(database, &[]).await;
    let ann = app.user("ann").await.with_header("idempotency-key", "a");
    let release = hold(&app.database, &["LOCK TABLES idempotency READ"]);
    let post = json!({ "title": "t", "content": "c" });
    let refused = ann.post("/post", post.clone()).await;
    refused.expect(503);
    refused.problem("unavailable");
    release();
    ann.post("/post", post).await.expect(201);
}

/// An `ALTER` that waits for somebody's open transaction has everybody wait behind it: what
/// is kept is served, what does not read the table goes on, the rest is told to come back.
#[actix_web::test]
async fn a_table_that_is_about_to_be_altered_stops_only_who_reads_it_anew() {
    let Some(database) = TestDatabase::create(Backend::Mysql) else {
        return;
    };
    let app = TestApp::start(database, &[]).await;
    let ann = app.user("ann").await;
    let id = ann.publish("the title", "words").await;
    let kept = format!("/post/{id}");
    app.anonymous().get(&kept).await.expect(200);
    let release = hold(&app.database, &["BEGIN", "SELECT * FROM post LIMIT 1"]);
    let altering = {
        let database = app.database.shared();
        std::thread::spawn(move || {
            database.with(|conn| {
                conn.batch_execute("ALTER TABLE post ADD COLUMN another INT NULL")
                    .unwrap();
            });
        })
    };
    let waiting = || {
        app.database.with(|conn| {
            select(
                conn,
                "SELECT COUNT(*) AS number FROM information_schema.processlist \
                 WHERE db = DATABASE() AND info LIKE 'ALTER TABLE%' \
                 AND state LIKE 'Waiting for table metadata lock%'",
            )
            .unwrap()
        })
    };
    while waiting() == 0 {
        std::thread::yield_now();
    }
    app.clock.advance(chrono::Duration::seconds(5));
    let anonymous = app.anonymous();
    let stale = anonymous.get(&kept).await;
    assert_eq!(stale.status, 200, "{}", stale.text());
    assert_eq!(stale.header("age"), "5");
    // One has waited for all: the others have the old answer at once, and one a second looks again.
    let begun = app.state.db.units();
    for _ in 0..100 {
        let stale = anonymous.get(&kept).await;
        assert_eq!(stale.header("age"), "5");
    }
    // What was given up in vain may begin once more behind it.
    assert!(app.state.db.units() - begun < 50);
    app.clock.advance(chrono::Duration::seconds(1));
    assert_eq!(anonymous.get(&kept).await.header("age"), "6");
    assert_ne!(app.state.db.units(), begun);
    let anew = anonymous.get("/post/999").await;
    anew.expect(503);
    anew.problem("unavailable");
    anonymous.get("/readyz").await.expect(200);
    ann.get("/user/me").await.expect(200);
    release();
    altering.join().unwrap();
    anonymous.get("/post/999").await.expect(404);
    let fresh = anonymous.get(&kept).await;
    fresh.expect(200);
    assert_eq!(fresh.header("age"), "");
    ann.publish("after", "text").await;
}

fn kill(database: &TestDatabase, what: &str, id: u64) {
    let sql = format!("KILL {what} {id}");
    database.with(move |conn| conn.batch_execute(&sql).unwrap());
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    number: i64,
}

fn select(conn: &mut Conn, sql: &str) -> QueryResult<i64> {
    let query = diesel::sql_query(sql);
    let row: Number = match conn {
        Conn::Mysql(conn) => query.get_result(conn)?,
        Conn::Sqlite(conn) => query.get_result(conn)?,
    };
    Ok(row.number)
}

/// A read that takes for ever.
pub const LONG: &str = "SELECT COUNT(*) AS number FROM information_schema.collations a, \
     information_schema.collations b, information_schema.collations c, \
     information_schema.collations d";

/// The errors that a server can be made to give for real, each on the connection of a
/// unit of work.
#[actix_web::test]
async fn errors_of_the_server_are_told_as_what_they_are() {
    let Some(database) = TestDatabase::create(Backend::Mysql) else {
        return;
    };
    let app = TestApp::start(database, &[]).await;
    let db = &app.state.db;
    // 1114: a table is full.
    let full = db
        .write(|conn| {
            conn.batch_execute("SET max_heap_table_size = 16384")?;
            conn.batch_execute("CREATE TEMPORARY TABLE full (a CHAR(250)) ENGINE = MEMORY")?;
            for _ in 0..10_000 {
                conn.batch_execute("INSERT INTO full VALUES (REPEAT('x', 250))")?;
            }
            Ok(())
        })
        .await;
    assert!(matches!(full, Err(DbError::Unavailable(_))), "{full:?}");
    // 1317: its statement was ended from outside. 1927: its connection was.
    for what in ["QUERY", ""] {
        let (number, told) = channel();
        let killer = {
            let database = app.database.shared();
            std::thread::spawn(move || {
                // Again for each try: a read whose connection is lost is tried twice.
                while let Ok(id) = told.recv() {
                    kill(&database, what, id);
                }
            })
        };
        let ended = db
            .read(move |conn| {
                let id = select(conn, "SELECT CAST(CONNECTION_ID() AS SIGNED) AS number")?;
                number.send(u64::try_from(id).unwrap()).unwrap();
                select(conn, LONG)
            })
            .await;
        killer.join().unwrap();
        assert!(
            matches!(ended, Err(DbError::Unavailable(_))),
            "{what} {ended:?}"
        );
    }
    // A fault of ours stays one.
    let wrong = db
        .read(|conn| select(conn, "SELECT nothing AS number"))
        .await;
    assert!(matches!(wrong, Err(DbError::Fault(_))), "{wrong:?}");
}

/// 1969 and 3024: the server itself ends a read that takes longer than it may, and it is
/// not tried again.
#[actix_web::test]
async fn the_server_ends_a_read_that_takes_too_long() {
    let Some(database) = TestDatabase::create(Backend::Mysql) else {
        return;
    };
    let mut url = url::Url::parse(&database.url()).unwrap();
    url.query_pairs_mut().append_pair("deadline", "1");
    let app = TestApp::start(database, &["--database-url", url.as_str()]).await;
    let limits = app
        .state
        .db
        .read(|conn| {
            let tries = "SET @tries = COALESCE(@tries, 0) + 1";
            conn.batch_execute(tries)?;
            select(conn, LONG)
        })
        .await;
    assert!(matches!(limits, Err(DbError::Unavailable(_))), "{limits:?}");
    // Nothing runs on.
    let running = || {
        app.database.with(|conn| {
            select(
                conn,
                "SELECT COUNT(*) AS number FROM information_schema.processlist \
                 WHERE db = DATABASE() AND info LIKE '%collations d%' AND id <> CONNECTION_ID()",
            )
            .unwrap()
        })
    };
    while running() > 0 {
        std::thread::yield_now();
    }
}

/// SQLite has no server that would end it: the statement does.
#[actix_web::test]
async fn a_read_of_sqlite_ends_with_its_time() {
    let database = TestDatabase::create(Backend::Sqlite).unwrap();
    let app = TestApp::start(database, &[]).await;
    let ended = app.state.db.read(|conn| {
        deadline::within_time(Duration::from_millis(20), || {
            select(
                conn,
                "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) \
                 SELECT COUNT(*) AS number FROM n WHERE in_time(x)",
            )
        })
    });
    let ended = ended.await;
    assert!(matches!(ended, Err(DbError::Unavailable(_))), "{ended:?}");
    // The connection is as good as before, in a transaction too.
    let again = app.state.db.snapshot(|conn| {
        let ended = deadline::within_time(Duration::ZERO, || {
            select(conn, "SELECT 1 AS number WHERE in_time(1)")
        });
        assert!(ended.is_err());
        select(conn, "SELECT 2 AS number WHERE in_time(1)")
    });
    assert_eq!(again.await.unwrap(), 2);
}

/// Deadlocks are settled by repeating, at other connections as may be.
#[actix_web::test]
async fn a_deadlock_is_repeated() {
    let Some(database) = TestDatabase::create(Backend::Mysql) else {
        return;
    };
    let app = TestApp::start(database, &[]).await;
    let (ann, ben) = (app.user("ann").await, app.user("ben").await);
    // Each has its first row before either asks for its second.
    let both = Arc::new(Barrier::new(2));
    let tries = Arc::new(AtomicUsize::new(0));
    let update = |first: i64, second: i64| {
        let (both, tries) = (Arc::clone(&both), Arc::clone(&tries));
        app.state.db.write(move |conn| {
            let set = |conn: &mut Conn, id: i64| {
                conn.batch_execute(&format!("UPDATE user SET name = 'x' WHERE user_id = {id}"))
            };
            set(conn, first)?;
            if tries.fetch_add(1, Ordering::SeqCst) < 2 {
                both.wait();
            }
            set(conn, second)
        })
    };
    let (one, other) = futures_util::future::join(
        update(ann.user_id, ben.user_id),
        update(ben.user_id, ann.user_id),
    )
    .await;
    one.unwrap();
    other.unwrap();
    assert_eq!(tries.load(Ordering::SeqCst), 3);
}
