//! Whatever locks rows finds them along an index: every statement that changes or deletes
//! rows, or holds them, in the storage of accounts, posts and jobs, by what the databases
//! themselves say they would do, and by the rows that they read to do it. A statement without
//! an index reads and, for a moment each, locks all rows of its table, and waits for whoever
//! holds one of them.

use diesel::connection::{Connection, SimpleConnection, TransactionManager};
use inkpot::accounts::actions::deletion;
use inkpot::accounts::client_info::ClientInfo;
use inkpot::accounts::codes::{CodeKeys, Order, Purpose};
use inkpot::accounts::refresh::{RefreshKeys, RefreshToken};
use inkpot::accounts::storage::{audit, codes, sessions, users};
use inkpot::accounts::types::{
    ADMIN, Action, Actor, AdminChange, Change, Email, Identifier, Mobile, Name, NewAuditEntry,
    ProfileChange, Username,
};
use inkpot::core::db::{Conn, DatabaseUrl, connection, dialect};
use inkpot::core::settings::Lifetimes;
use inkpot::jobs::storage::{admin, queue};
use inkpot::jobs::types::{Disposition, Settled};
use inkpot::jobs::{JobStatus, Queue};
use inkpot::posts::actions::publish::prepare_request;
use inkpot::posts::jobs::publish_post;
use inkpot::posts::publication::Publish;
use inkpot::posts::search;
use inkpot::posts::storage::scheduled::{self, ScheduledPost};
use inkpot::posts::storage::slugs::LastNumbers;
use inkpot::posts::storage::{check, filling, idempotency, moving, places, posts as store};
use inkpot::posts::types::{Format, IdempotencyKey, NewPost, Status, Tag, Title};

use crate::harness::{Backend, SECRET, TestDatabase, posts};
use crate::plans::{all_statements, faults, insert_jobs, rows_read};

/// Users, of whom two have all posts and number 3 all that users have else.
const USERS: i64 = 20_000;
const POSTS: i64 = 30_000;
/// Rows that a statement may read beside those that it deletes.
const READ_MAX: i64 = 400;

const NOW: &str = "'2026-06-01 00:00:00'";

fn fill(conn: &mut Conn) {
    let rows = |conn: &mut Conn, table: &str, columns: &str, values: &str, number: i64| {
        // `n` counts from 1, by doubling what is there.
        let counted = "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ";
        let limit = if matches!(conn, Conn::Mysql(_)) {
            conn.batch_execute("SET SESSION max_recursive_iterations = 1000000")
                .or_else(|_| conn.batch_execute("SET SESSION cte_max_recursion_depth = 1000000"))
                .unwrap();
            format!(
                "INSERT INTO {table} ({columns}) {counted}{number}) SELECT {values} FROM numbers"
            )
        } else {
            format!(
                "{counted}{number}) INSERT INTO {table} ({columns}) SELECT {values} FROM numbers"
            )
        };
        conn.batch_execute(&limit).unwrap();
    };
    let text = |conn: &Conn, prefix: &str| match conn {
        Conn::Sqlite(_) => format!("'{prefix}' || n"),
        Conn::Mysql(_) => format!("CONCAT('{prefix}', n)"),
    };
    let (mail, key) = (text(conn, "u"), text(conn, "key"));
    rows(
        conn,
        "user",
        "email, email_key, name, password, role, is_active, email_verified, mobile_verified, created, updated",
        &format!(
            "{mail}, {mail}, {mail}, 'hash', CASE WHEN n % 10000 = 9 THEN 'admin' ELSE 'user' END, \
             1, 0, 0, {NOW}, {NOW}"
        ),
        USERS,
    );
    posts::insert_many(conn, 2, POSTS);
    // Some stand where a program of before put them.
    let some = "BETWEEN 1000 AND 1400";
    if let Conn::Mysql(_) = conn {
        conn.batch_execute(&format!(
            "UPDATE post_words w JOIN post p ON p.published = 1 AND p.place = w.place \
             SET w.place = p.post_id WHERE p.post_id {some}"
        ))
        .unwrap();
    }
    for table in ["post_tag", "post"] {
        let sql = format!("UPDATE {table} SET place = post_id WHERE post_id {some}");
        conn.batch_execute(&sql).unwrap();
    }
    conn.batch_execute("INSERT INTO post_unindexed (post_id) SELECT post_id FROM post")
        .unwrap();
    for (user, number) in [("3", 2000), ("n", USERS)] {
        rows(
            conn,
            "session",
            "user_id, remembered, nonce, generation, refresh_hash, user_agent, ip, created, rotated, expires",
            &format!("{user}, 0, 'nonce', 0, '', '', '', {NOW}, {NOW}, {NOW}"),
            number,
        );
    }
    rows(
        conn,
        "code",
        "user_id, purpose, target, nonce, code_hash, tries, created, expires",
        &format!("n, 'reset', 'target', 'nonce', '', 0, {NOW}, {NOW}"),
        USERS,
    );
    rows(
        conn,
        "session_event",
        "user_id, at",
        &format!("n, {NOW}"),
        USERS,
    );
    rows(
        conn,
        "idempotency",
        "user_id, idempotency_key, request_hash, post_id, etag, answer, created",
        &format!("1 + n % 3, {key}, '', 0, '', '', {NOW}"),
        USERS,
    );
    for (user, number) in [("1", 3000), ("n", USERS)] {
        rows(
            conn,
            "audit",
            "at, user_id, action, ip, request_id, detail",
            &format!("{NOW}, {user}, 'logged_in', '192.0.2.1', '', ''"),
            number,
        );
    }
    insert_jobs(conn, USERS, "'done', NULL");
    insert_jobs(conn, 3000, "'dead', NULL");
    insert_jobs(conn, 3000, "'waiting', '2026-01-01 00:00:00'");
}

type Transactions = <Conn as Connection>::TransactionManager;
type Work = Box<dyn Fn(&mut Conn)>;

fn client() -> ClientInfo {
    ClientInfo::new("192.0.2.1".parse().unwrap(), "agent", "id".to_owned())
}

fn time(text: &str) -> chrono::NaiveDateTime {
    text.parse().unwrap()
}

fn case(name: &'static str, work: impl Fn(&mut Conn) + 'static) -> (&'static str, Work) {
    (name, Box::new(work))
}

fn of_users() -> Vec<(&'static str, Work)> {
    let now = time("2026-05-01T00:00:00");
    let profile = move || ProfileChange {
        name: Some(Name("new".to_owned())),
        email: Email::parse("new@example.org").ok(),
        username: Username::parse("new-name").map_or(Change::Keep, Change::Set),
        mobile: Mobile::parse("+31612345678").map_or(Change::Keep, Change::Set),
        bio: Change::Clear,
        image: Change::Clear,
    };
    let user = |conn: &mut Conn, id| users::find_user(conn, id).unwrap().unwrap();
    vec![
        case("hold", |conn| {
            assert!(users::hold(conn, 3, "hash").unwrap());
        }),
        case("change a profile", move |conn| {
            dialect::lock_user(conn, 3).unwrap();
            let before = user(conn, 3);
            users::change_profile(conn, before, &profile(), now).unwrap();
        }),
        case("verify", move |conn| {
            let what = (Purpose::VerifyEmail, "u3");
            assert!(users::set_verified(conn, 3, what, now).unwrap().is_some());
            users::set_verified(conn, 3, (Purpose::VerifyMobile, "+316"), now).unwrap();
        }),
        case("recover", move |conn| {
            let before = user(conn, 3);
            users::keep_what_is_proved(conn, &before, Identifier::Email, now).unwrap();
            users::set_password_hash(conn, 3, "other", now).unwrap();
            users::replace_password_hash(conn, 3, "other", "another").unwrap();
        }),
        case("demote an admin", move |conn| {
            let change = AdminChange {
                is_admin: Some(false),
                ..AdminChange::default()
            };
            assert_eq!(user(conn, 9).role, ADMIN);
            users::administer(conn, 9, &change, now).unwrap();
        }),
        case("delete an author of many posts", move |conn| {
            dialect::lock_user(conn, 1).unwrap();
            assert!(!deletion::delete_some(conn, 1, now).unwrap().is_all);
            users::empty(conn, 1, now).unwrap();
            assert!(deletion::go_on(conn, 1, now).unwrap().is_some());
            assert!(deletion::delete_forgotten(conn, now).unwrap() > 0);
        }),
        case("delete a user", move |conn| {
            assert!(deletion::delete_some(conn, 5, now).unwrap().is_all);
            assert!(users::delete_user(conn, 5).unwrap());
        }),
        case("audit", move |conn| {
            let entry = NewAuditEntry::new(Action::Deleted, 3, Actor::User(3));
            audit::insert(conn, entry, &client(), now).unwrap();
        }),
    ]
}

fn of_sessions() -> Vec<(&'static str, Work)> {
    let now = time("2026-05-01T00:00:00");
    let secret = || vec![SECRET.as_bytes().to_vec()];
    let lifetimes = || Lifetimes {
        plain: chrono::TimeDelta::days(1),
        remembered: chrono::TimeDelta::days(1),
        longest: chrono::TimeDelta::days(1),
        token: chrono::TimeDelta::days(1),
    };
    vec![
        case("refresh", move |conn| {
            let keys = RefreshKeys::new(&secret()).unwrap();
            let times = (now, lifetimes());
            let opened = sessions::open(conn, &keys, 3, false, "nonce", &client(), times).unwrap();
            let first = opened.refresh_token;
            let refresh = |conn: &mut Conn, token: &str| {
                sessions::refresh(conn, &keys, token, &client(), (now, lifetimes())).unwrap()
            };
            for _ in 0..3 {
                refresh(conn, &first);
            }
            let token = RefreshToken::parse(&first).unwrap();
            sessions::find_by_refresh_token(conn, &keys, &token, now).unwrap();
            sessions::end(conn, 3, opened.session_id, now).unwrap();
        }),
        case("end all sessions", move |conn| {
            sessions::end_all(conn, 7, None, now).unwrap();
        }),
        case("codes", move |conn| {
            let keys = CodeKeys::new(&secret()).unwrap();
            let whose = (3, Purpose::ResetPassword, "other");
            let order = Order {
                nonce: "nonce".to_owned(),
                order_hash: "order".to_owned(),
                is_invitation: false,
            };
            codes::wait(conn, whose, now).unwrap();
            codes::issue(conn, &keys, whose, &order, now).unwrap();
            let whose = (Some(3), Purpose::ResetPassword);
            codes::try_code(conn, &keys, whose, "order", "123456", now).unwrap();
            codes::try_any_code(conn, &keys, whose, "123456", now).unwrap();
            codes::consume(conn, 3, now).unwrap();
            codes::revoke(
                conn,
                4,
                &[Purpose::VerifyEmail, Purpose::ResetPassword],
                now,
            )
            .unwrap();
        }),
        case("sweep", move |conn| {
            let late = time("2027-01-01T00:00:00");
            assert_eq!(codes::delete_expired(conn, late, 50).unwrap(), 50);
            assert_eq!(sessions::delete_expired(conn, late, 50).unwrap(), 50);
            assert_eq!(sessions::delete_events(conn, late, 50).unwrap(), 50);
            // All of one moment go at once; here nothing is old enough.
            assert_eq!(idempotency::delete_expired(conn, now, 50).unwrap(), 0);
        }),
    ]
}

fn of_posts() -> Vec<(&'static str, Work)> {
    let now = time("2026-05-01T00:00:00");
    vec![
        case("publish with a key", move |conn| {
            let key = IdempotencyKey("fresh".to_owned());
            idempotency::claim(conn, 2, &key, "hash", now).unwrap();
            idempotency::release(conn, 2, &key).unwrap();
            // One from before that is kept no longer.
            let old = IdempotencyKey("key1".to_owned());
            idempotency::claim(conn, 2, &old, "hash", time("2027-01-01T00:00:00")).unwrap();
        }),
        case("publish, change and delete", move |conn| {
            let new = NewPost {
                title: Title("x".to_owned()),
                content: "y".to_owned(),
                status: Status::Published,
                publish_at: None,
                date: None,
                tags: vec![Tag("all".to_owned()), Tag("even".to_owned())],
                format: Format::Markdown,
                slug: None,
                summary: None,
            };
            let request = Publish {
                author_id: 2,
                post: new,
                key: None,
            };
            let words = search::words_of("x", &[], "y");
            let job = prepare_request(request, now);
            let post = store::insert_post(conn, &job, Some("x".to_owned()), 0)
                .unwrap()
                .unwrap();
            let before = store::lock_post(conn, post.post_id).unwrap().unwrap();
            let mut after = before.clone();
            after.summary.slug = Some("z".to_owned());
            after.summary.position =
                places::take(conn, &[(true, now - chrono::TimeDelta::days(1))], 0).unwrap()[0];
            store::update_post(conn, &before, &after, Some(&words)).unwrap();
            store::index_again(conn, post.post_id, None).unwrap();
            store::delete_post(conn, &after.summary).unwrap();
        }),
        case("move posts of before", move |conn| {
            let mut next = moving::load_next(conn).unwrap();
            next.prepare();
            assert!(moving::move_some(conn, &next, 0).unwrap().unwrap() >= 50);
        }),
        case("schedule a post and take it back", move |conn| {
            for publish_at in [now, now + chrono::TimeDelta::days(1)] {
                let post = ScheduledPost {
                    post_id: 4,
                    author_id: 2,
                    publish_at,
                };
                publish_post::plan_all(conn, &[post], now).unwrap();
                publish_post::plan(conn, &post, now).unwrap();
            }
            publish_post::cancel(conn, &[4, 5]).unwrap();
            scheduled::forget(conn, 4).unwrap();
        }),
        case("index", move |conn| {
            let pending = check::load_pending(conn).unwrap();
            assert_eq!(check::index_some(conn, &pending).unwrap(), 16);
        }),
        case("fill with slugs and summaries", move |conn| {
            let found = filling::load_some(conn, 0).unwrap();
            let fillings = filling::load_fillings(conn, &found.ids).unwrap();
            assert_eq!(
                filling::fill(conn, &fillings, (0, &LastNumbers::default())).unwrap(),
                100
            );
        }),
    ]
}

fn of_jobs() -> Vec<(&'static str, Work)> {
    let now = time("2026-05-01T00:00:00");
    vec![
        case("claim, renew and settle", move |conn| {
            let free = [(Queue::Mail, 6)];
            let claimed = queue::settle_and_claim(conn, "lease", &[], &free, now).unwrap();
            let ids: Vec<i64> = claimed.iter().map(|job| job.job_id).collect();
            assert_eq!(queue::renew(conn, "lease", &ids, now).unwrap(), 6);
            let ways = [
                Disposition::Done(None),
                Disposition::Done(Some("note")),
                Disposition::Reschedule(now),
                Disposition::Retry(now, "why".to_owned()),
                Disposition::Dead("why".to_owned()),
                Disposition::Released,
            ];
            let settled: Vec<Settled> = (ids.into_iter().zip(ways))
                .map(|(job_id, disposition)| Settled {
                    job_id,
                    disposition,
                })
                .collect();
            queue::settle_and_claim(conn, "lease", &settled, &[], now).unwrap();
        }),
        case("retry", move |conn| {
            admin::retry(conn, USERS + 5, now).unwrap();
            assert_eq!(admin::retry_dead(conn, 50, now).unwrap(), 50);
        }),
        case("purge", move |conn| {
            conn.batch_execute(
                "UPDATE job SET finished = '2026-01-01 00:00:00' WHERE job_id <= 10",
            )
            .unwrap();
            assert!(admin::delete_some(conn, JobStatus::Done, now, 50).unwrap() > 0);
        }),
    ]
}

/// Statements that lock rows, without those that are not explained: inserts, and sweeping
/// statements of tests.
fn locks(sql: &str) -> bool {
    let starts = |word: &str| sql.trim_start_matches('(').starts_with(word);
    starts("UPDATE") || starts("DELETE") || sql.contains("FOR UPDATE")
}

/// Tables that have a row or a few whatever happens.
const SMALL: [&str; 3] = ["installation", "signing_key", "count_upkeep"];

fn what_locks_goes_along_an_index(backend: Backend) {
    let Some(database) = TestDatabase::create(backend) else {
        return;
    };
    let url = DatabaseUrl::parse(&database.url()).unwrap();
    let mut conn = connection::open(&url).unwrap();
    fill(&mut conn);
    judge(&mut conn);
    let analyze = match &conn {
        Conn::Sqlite(_) => "ANALYZE",
        Conn::Mysql(_) => {
            "ANALYZE TABLE post, post_tag, post_count, post_words, content, user, session, \
             session_event, code, job, idempotency, post_unindexed, audit"
        }
    };
    conn.batch_execute(analyze).unwrap();
    judge(&mut conn);

    // And what is judged here can be judged.
    for sql in [
        "UPDATE user SET name = 'x' WHERE name = 'y'",
        "DELETE FROM post WHERE tags = ''",
        "UPDATE job SET state = 'x' WHERE kind = 'y'",
    ] {
        assert!(!faults(&mut conn, sql).is_empty(), "{sql}");
    }
}

fn judge(conn: &mut Conn) {
    let mut wrong = Vec::new();
    let mut seen = 0;
    let cases = [of_users(), of_sessions(), of_posts(), of_jobs()];
    for (name, work) in cases.into_iter().flatten() {
        let before = rows_read(conn);
        Transactions::begin_transaction(conn).unwrap();
        let statements = all_statements(conn, |conn| work(conn));
        let read = rows_read(conn) - before;
        let sweeps = [
            "sweep",
            "retry",
            "delete an author of many posts",
            "fill with slugs and summaries",
            "move posts of before",
        ];
        // Each row that goes is read in its tables and in the index that found it.
        let most = if sweeps.contains(&name) { 40 } else { 1 } * READ_MAX;
        if read > most {
            wrong.push(format!("{name} read {read} rows"));
        }
        // A batch is one text.
        let all = statements.iter().flat_map(|text| text.split(";\n"));
        for sql in all.filter(|sql| locks(sql)) {
            seen += 1;
            let is_small = |table: &&str| sql.contains(&format!("`{table}`"));
            // The first few in the order of the table, which no index makes shorter.
            let is_first = is_small(&"post_unindexed") && sql.contains("LIMIT");
            if is_first || SMALL.iter().any(is_small) {
                continue;
            }
            for fault in faults(conn, sql) {
                wrong.push(format!("{name}\n    {sql:.300}\n    {fault}"));
            }
        }
        Transactions::rollback_transaction(conn).unwrap();
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 50, "{seen}");
}

#[test]
fn what_locks_goes_along_an_index_on_sqlite() {
    what_locks_goes_along_an_index(Backend::Sqlite);
}

#[test]
fn what_locks_goes_along_an_index_on_mysql() {
    what_locks_goes_along_an_index(Backend::Mysql);
}

/// An author who has half of all posts is deleted while others hold theirs. (SQLite has one
/// writer at a time.)
#[test]
fn a_piece_waits_for_nobody_elses_row() {
    let Some(database) = TestDatabase::create(Backend::Mysql) else {
        return;
    };
    let url = DatabaseUrl::parse(&database.url()).unwrap();
    let mut conn = connection::open(&url).unwrap();
    fill(&mut conn);
    let mut other = connection::open(&url).unwrap();
    other.begin_test_transaction().unwrap();
    for id in [1, 5, 7, POSTS - 1] {
        assert_eq!(
            store::lock_post(&mut other, id)
                .unwrap()
                .unwrap()
                .summary
                .author_id,
            2
        );
    }
    for user in [2, 3, 4, USERS] {
        assert!(dialect::lock_user(&mut other, user).unwrap());
    }
    conn.batch_execute("SET SESSION innodb_lock_wait_timeout = 1")
        .unwrap();
    let now = time("2026-05-01T00:00:00");
    conn.transaction(|conn| {
        dialect::lock_user(conn, 1)?;
        assert!(!deletion::delete_some(conn, 1, now)?.is_all);
        users::empty(conn, 1, now)
    })
    .unwrap();
    let piece = conn
        .transaction(|conn| deletion::go_on(conn, 1, now))
        .unwrap();
    assert_eq!(piece.unwrap().posts, deletion::PIECE);
}
