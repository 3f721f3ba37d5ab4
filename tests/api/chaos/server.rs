//! Faults of the database's server.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use super::seen::Table;
use super::world::{EVERYBODY, JSON, Kind, READERS, WITHOUT_DATABASE, World};
use super::{CALM, FAULT, lasting, pause};
use crate::harness::mariadb::Mariadb;
use crate::harness::process::{Process, inkpot};
use crate::harness::proxy::Proxy;
use crate::harness::{PASSWORD, SECRET};
use crate::process::register;

/// It is killed, restarted, and stands still.
pub fn ends(world: &World, database: &mut Mariadb, table: &mut Table) {
    let seen = world.observe(|| {
        database.kill();
        pause(FAULT);
        database.restart();
        Instant::now()
    });
    seen.spares(&WITHOUT_DATABASE);
    seen.refuses(Kind::Write);
    table.row(
        "the database is killed",
        "`kill -9` of MariaDB, started again after 4 s",
        &seen,
    );

    let seen = world.observe(|| {
        database.stop();
        database.restart();
        Instant::now()
    });
    seen.spares(&WITHOUT_DATABASE);
    table.row(
        "the database is restarted",
        "`SIGTERM` to MariaDB, started again when it has ended",
        &seen,
    );

    let seen = world.observe(|| {
        let (stop, go_on) = (|| database.signal("STOP"), || database.signal("CONT"));
        lasting(2 * FAULT, stop, go_on)
    });
    seen.spares(&WITHOUT_DATABASE);
    table.row(
        "the database stands still",
        "`SIGSTOP` of MariaDB, 8 s; `&deadline=4`",
        &seen,
    );
}

/// It does not take writes.
pub fn refuses(world: &World, database: &Mariadb, table: &mut Table) {
    let seen = world.observe(|| {
        let set = |value: &str| database.sql(&format!("SET GLOBAL read_only = {value}"));
        lasting(FAULT, || set("ON"), || set("OFF"))
    });
    seen.spares(&READERS);
    seen.refuses(Kind::Write);
    table.row("the database is read-only", "`read_only = ON`, 4 s", &seen);

    let seen = world.observe(|| held(database, READ_LOCK));
    seen.spares(&READERS);
    seen.refuses(Kind::Write);
    table.row(
        "all tables are locked, as by a backup",
        "`FLUSH TABLES WITH READ LOCK`, 4 s",
        &seen,
    );
}

const READ_LOCK: &str = "FLUSH TABLES WITH READ LOCK";
const COUNTS: &str = "BEGIN; SELECT COUNT(*) FROM inkpot.post_count FOR UPDATE";

/// For as long as a session has said this.
fn held(database: &Mariadb, sql: &str) -> Instant {
    let mut session = database.session(sql);
    pause(FAULT);
    let ended = Instant::now();
    session.kill().unwrap();
    session.wait().unwrap();
    ended
}

/// What writes a good deal, so that it is not the one who is rolled back, and takes the locks of a
/// publication in another order.
const RIVAL: &str = "\
BEGIN;
INSERT INTO rival.ballast SELECT seq FROM rival.seq_1_to_1000;
SELECT COUNT(*) FROM inkpot.post_count FOR UPDATE;
DO SLEEP(0.05);
SELECT COUNT(*) FROM inkpot.user FOR UPDATE;
ROLLBACK;
DO SLEEP(0.1);
";

/// Others hold what writes need.
pub fn waits(world: &World, database: &Mariadb, table: &mut Table) {
    let seen = world.observe(|| held(database, COUNTS));
    seen.spares(&READERS);
    seen.refuses(Kind::Write);
    table.row(
        "writes wait for locks",
        "another session holds the rows of the counts, 4 s",
        &seen,
    );

    database.sql("CREATE DATABASE rival; CREATE TABLE rival.ballast (number INT)");
    let deadlocks = || -> u64 {
        let row = database.ask("SHOW GLOBAL STATUS LIKE 'Innodb_deadlocks'");
        row.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    let before = deadlocks();
    let mut lost_by_rival = 0;
    let seen = world.observe(|| {
        let (_, said) = database.try_sql(&RIVAL.repeat(25));
        lost_by_rival = u64::try_from(said.matches("Deadlock found").count()).unwrap();
        Instant::now()
    });
    let number = deadlocks() - before - lost_by_rival;
    assert!(number > 5, "{number} deadlocks");
    seen.spares(&EVERYBODY);
    let how = format!(
        "another session takes the locks of publications in another order, 25 times; \
         {number} publications were rolled back by the database"
    );
    table.row("deadlocks", &how, &seen);
}

/// It has no connections left.
pub fn is_full(world: &World, database: &Mariadb, proxy: &Proxy, table: &mut Table) {
    let seen = world.observe(|| {
        database.sql("SET GLOBAL max_connections = 10");
        let mut taken = Vec::new();
        let begun = Instant::now();
        // Whoever is quicker has them: these are, once the server's own are cut.
        while begun.elapsed() < FAULT {
            taken.push(TcpStream::connect(&database.address).unwrap());
            if begun.elapsed() < CALM {
                proxy.cut();
            }
            pause(Duration::from_millis(10));
        }
        drop(taken);
        let ended = Instant::now();
        database.sql("SET GLOBAL max_connections = 150");
        ended
    });
    seen.spares(&WITHOUT_DATABASE);
    seen.refuses(Kind::Read);
    table.row(
        "the database has no connection left",
        "`max_connections = 10`, all taken by others, those of the server cut, 4 s",
        &seen,
    );
}

/// A database that takes no writes refuses them, at once or after the two seconds that a lock is
/// waited for; reading and what is known go on, and its first request afterwards is well.
#[test]
fn a_database_that_takes_no_writes_is_read() {
    let Some(database) = Mariadb::start() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let url = Mariadb::url_at(&database.address);
    let server = Process::start(
        inkpot(dir.path())
            .env("DATABASE_URL", url)
            .env("INKPOT_JWT_SECRET", SECRET),
    );
    let token = register(&server, "ann");
    let bearer = format!("{JSON}Authorization: Bearer {token}\r\n");
    let publish = |title: &str| {
        let body = json!({ "title": title, "content": "x" }).to_string();
        server.raw_call("POST", "/post", &bearer, &body)
    };
    let password = json!({ "account": "ann@example.org", "password": PASSWORD }).to_string();
    let log_in = || server.raw_call("POST", "/user/login", JSON, &password);
    assert_eq!(publish("first").0, 201);
    let refused = |said: &str| {
        for (status, head, body) in [publish("refused"), log_in()] {
            assert_eq!(status, 503, "{said}: {body}");
            assert!(head.contains("retry-after: "), "{said}: {head}");
        }
        assert_eq!(server.call("GET", "/post/?q=first", "", "").0, 200);
        assert_eq!(server.call("GET", "/user/me", &bearer, "").0, 200);
        assert_eq!(server.call("GET", "/readyz", "", "").0, 200);
    };
    let well = |title: &str| {
        let (status, _, body) = publish(title);
        assert_eq!(status, 201, "{body}");
        assert_eq!(log_in().0, 200);
    };
    database.sql("SET GLOBAL read_only = ON");
    refused("read-only");
    database.sql("SET GLOBAL read_only = OFF");
    well("second");
    let mut session = database.session(READ_LOCK);
    refused(READ_LOCK);
    session.kill().unwrap();
    session.wait().unwrap();
    well("third");
    let (_, list) = server.call("GET", "/post/", "", "");
    assert!(list.contains("\"count\":3"), "{list}");
}
