//! What is done together: requests that share a transaction or a query, and what of one of them must not
//! reach the others.

use std::cell::Cell;
use std::time::{Duration, Instant};

use actix_web::http::Method;
use diesel::connection::SimpleConnection;
use diesel::result::QueryResult;
use futures_util::future::{join, join_all};
use inkpot::core::db::connection::{self, DatabaseUrl};
use inkpot::core::db::{Conn, dialect};
use inkpot::posts::actions::check;
use inkpot::posts::storage::check::{tags, words};
use serde_json::json;

use crate::harness::{Answer, Backend, Client, TestApp, on_both_databases, posts};

on_both_databases![
    a_hundred_publish_in_few_transactions,
    what_one_cannot_do_the_others_can,
    a_row_that_is_held_holds_one_up,
    a_hundred_readers_get_each_their_own,
    a_key_and_a_slug_that_come_again_are_one_post,
];

/// The number `n` of many: with or without a key, tags and publication.
async fn publish(author: &Client<'_>, n: usize) -> Answer {
    let body = json!({
        "title": format!("t{n} \u{1F600}"), "content": format!("c{n} it's \\ 中文\n"),
        "tags": if n.is_multiple_of(3) { vec![] } else { vec![format!("x{}", n % 7), "all".to_owned()] },
        "status": if n.is_multiple_of(5) { "draft" } else { "published" },
    });
    let mut request = author.request(Method::POST, "/post/pub");
    if n.is_multiple_of(2) {
        request = request.insert_header(("Idempotency-Key", format!("key-{n}")));
    }
    author.app().send(request.set_json(body)).await
}

/// A connection that has locked something.
struct Holder {
    release: std::sync::mpsc::Sender<()>,
    thread: std::thread::JoinHandle<()>,
}

fn hold(app: &TestApp, lock: impl Fn(&mut Conn) -> QueryResult<()> + Send + 'static) -> Holder {
    let url = DatabaseUrl::parse(&app.database.url()).unwrap();
    let (told, is_held) = std::sync::mpsc::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        let mut conn = connection::open(&url).unwrap();
        lock(&mut conn).unwrap();
        told.send(()).unwrap();
        released.recv().unwrap();
    });
    is_held.recv().unwrap();
    Holder { release, thread }
}

impl Holder {
    fn release(self) {
        self.release.send(()).unwrap();
        self.thread.join().unwrap();
    }
}

/// Whether counts, tags and words are those of the posts.
fn is_right(app: &TestApp) -> bool {
    let db = app.state.db.clone();
    let checking = std::thread::spawn(move || check::check(&db, &|_, _| {}));
    let report = checking.join().unwrap().unwrap();
    report.missing.is_empty()
        && report.tags == tags::Found::default()
        && report.words == words::Found::default()
        && report.unindexed == 0
}

async fn a_hundred_publish_in_few_transactions(app: TestApp) {
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let authors = [&ann, &bob];
    // On SQLite somebody writes until all have come: the first is alone, 32 are together then.
    let holder = (app.database.backend == Backend::Sqlite)
        .then(|| hold(&app, |conn| conn.batch_execute("BEGIN IMMEDIATE")));
    let are_answered = Cell::new(false);
    let publishing = async {
        let answers = join_all((0..100).map(|n| publish(authors[n % 2], n))).await;
        are_answered.set(true);
        answers
    };
    let releasing = async {
        let holder = holder?;
        let since = Instant::now();
        let mut have_come = false;
        // Who waits for two seconds is refused: a machine that is too slow has fewer of them together.
        while !have_come && !are_answered.get() && since.elapsed() < Duration::from_secs(1) {
            have_come = app.state.posts.publisher.waiting() >= 99;
            tokio::task::yield_now().await;
        }
        let begun = app.state.db.units();
        holder.release();
        Some((begun, if have_come { 8 } else { 60 }))
    };
    let (answers, begun) = join(publishing, releasing).await;
    if let Some((begun, most)) = begun {
        let units = app.state.db.units() - begun;
        assert!(units <= most, "{units} transactions");
    }
    for (n, answer) in answers.iter().enumerate() {
        let made = answer.expect(201);
        let id = made["post_id"].as_i64().unwrap();
        let post = authors[n % 2].get(&format!("/post/{id}")).await;
        assert_eq!(post.expect(200)["post"], made["post"]);
        assert_eq!(post.header("etag"), answer.header("etag"));
        let post = &made["post"];
        assert_eq!(post["post_title"], format!("t{n} \u{1F600}"));
        assert_eq!(post["post_content"], format!("c{n} it's \\ 中文\n"));
        assert_eq!(post["author_id"], authors[n % 2].user_id);
        assert_eq!(
            post["tags"].as_array().unwrap().len(),
            if n % 3 == 0 { 0 } else { 2 }
        );
    }
    let anyone = app.anonymous();
    for (path, count) in [
        ("/post", 80),
        ("/post?tag=all", 53),
        ("/post?q=c7", 1),
        ("/post?q=%E4%B8%AD%E6%96%87", 80),
    ] {
        let page = anyone.get(path).await;
        assert_eq!(page.expect(200)["pagination"]["count"], count, "{path}");
    }
    assert!(is_right(&app));
    // Again, in another order: those with a key are what they were.
    let again = join_all((0..100).rev().map(|n| publish(authors[n % 2], n))).await;
    for (n, answer) in (0..100).rev().zip(&again) {
        answer.expect(201);
        assert_eq!(answer.body == answers[n].body, n % 2 == 0, "{n}");
    }
    let page = anyone.get("/post").await;
    assert_eq!(page.expect(200)["pagination"]["count"], 120);
    assert!(is_right(&app));
}

async fn what_one_cannot_do_the_others_can(app: TestApp) {
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    ann.publish("x", "y").await;
    app.database.with(|conn| posts::refuse_tag(conn, "broken"));
    let broken = json!({ "title": "x", "content": "y", "tags": ["broken"] });
    let fine = json!({ "title": "x", "content": "y", "tags": ["fine"] });
    let answers = join_all(
        (0..20).map(|n| bob.post("/post", if n == 7 { broken.clone() } else { fine.clone() })),
    )
    .await;
    for (n, answer) in answers.iter().enumerate() {
        if n == 7 {
            answer.problem("internal");
        } else {
            answer.expect(201);
        }
    }
    let page = app.anonymous().get("/post?tag=fine").await;
    assert_eq!(page.expect(200)["pagination"]["count"], 19);
    // An author who is gone at the same moment.
    let leaving = app.admin("root").await;
    let path = format!("/user/{}", bob.user_id);
    let both = || async {
        let publishing = join_all(
            (0..20).map(|n| ann.post("/post", json!({ "title": format!("{n}"), "content": "z" }))),
        );
        let late = join_all((0..20).map(|_| bob.post("/post", fine.clone())));
        join(publishing, late).await
    };
    let (_, (done, late)) = join(leaving.delete(&path), both()).await;
    for answer in done {
        answer.expect(201);
    }
    for answer in late {
        assert!(
            [201, 401].contains(&answer.status.as_u16()),
            "{}",
            answer.status
        );
    }
}

async fn a_row_that_is_held_holds_one_up(app: TestApp) {
    if app.database.backend == Backend::Sqlite {
        // There one writer has all rows.
        return;
    }
    let (ann, eve) = (app.user("ann").await, app.user("eve").await);
    let eve_id = eve.user_id;
    let holder = hold(&app, move |conn| {
        conn.batch_execute("BEGIN")?;
        dialect::lock_user(conn, eve_id).map(drop)
    });
    let answers = join_all((0..30).map(|n| {
        let author = if n == 11 { &eve } else { &ann };
        author.post("/post", json!({ "title": format!("{n}"), "content": "z" }))
    }))
    .await;
    for (n, answer) in answers.iter().enumerate() {
        if n == 11 {
            answer.problem("unavailable");
        } else {
            answer.expect(201);
        }
    }
    holder.release();
    eve.publish("x", "y").await;
    assert!(is_right(&app));
}

async fn a_hundred_readers_get_each_their_own(app: TestApp) {
    let ann = app.user("ann").await;
    let mut ids = Vec::new();
    for n in 0..40 {
        ids.push(ann.publish(&format!("t{n}"), &format!("c{n}")).await);
    }
    let draft = ann
        .post(
            "/post",
            json!({ "title": "d", "content": "d", "status": "draft" }),
        )
        .await;
    let draft = draft.expect(201)["post_id"].as_i64().unwrap();
    ids.extend([draft, 4711]);
    let bob = app.user("bob").await;
    // With a token each reads for itself.
    let anyone = app.anonymous();
    let answers = join_all((0..126).map(|n| {
        let (id, reader) = (ids[n / 3], [&ann, &bob, &anyone][n % 3]);
        async move { reader.get(&format!("/post/{id}")).await }
    }))
    .await;
    for (n, answer) in answers.iter().enumerate() {
        match (n / 3, n % 3) {
            (40, 0) => assert_eq!(answer.expect(200)["post"]["post_title"], "d"),
            (40.., _) => drop(answer.problem("post_not_found")),
            (post, _) => assert_eq!(answer.expect(200)["post"]["post_title"], format!("t{post}")),
        }
    }
}

/// A request that is repeated finds its slug taken, by its own post.
async fn a_key_and_a_slug_that_come_again_are_one_post(app: TestApp) {
    let ann = app.user("ann").await;
    let publish = async |n: usize| {
        let body = json!({ "title": "t", "content": format!("c{n}"), "slug": format!("s{n}") });
        let request = ann
            .request(Method::POST, "/post")
            .insert_header(("Idempotency-Key", format!("key-{n}")));
        app.send(request.set_json(body)).await
    };
    let twins = join_all((0..60).map(|n| publish(n / 2))).await;
    for pair in twins.chunks(2) {
        let [one, other] = pair else { unreachable!() };
        let is_made = |answer: &Answer| answer.status == 201;
        if is_made(one) && is_made(other) {
            assert_eq!(one.body, other.body);
        } else {
            let (made, late) = if is_made(one) {
                (one, other)
            } else {
                (other, one)
            };
            made.expect(201);
            late.problem("idempotency_key_in_use");
        }
    }
    let made = |n: usize| {
        twins[2 * n..]
            .iter()
            .find(|answer| answer.status == 201)
            .unwrap()
    };
    for (n, again) in join_all((0..30).map(&publish)).await.iter().enumerate() {
        again.expect(201);
        assert_eq!(again.body, made(n).body);
    }
    let page = app.anonymous().get("/post").await;
    assert_eq!(page.expect(200)["pagination"]["count"], 30);
    // Another key, or none, finds them taken still, and keeps nobody else's from being done.
    let others = join_all((0..30).map(|n| {
        let body = json!({ "title": "t", "content": "c", "slug": format!("s{n}") });
        let request = ann.request(Method::POST, "/post");
        let request = match n % 3 {
            0 => request.set_json(body),
            1 => (request.insert_header(("Idempotency-Key", format!("new-{n}")))).set_json(body),
            _ => request.set_json(json!({ "title": "t", "content": "c" })),
        };
        app.send(request)
    }))
    .await;
    for (n, answer) in others.iter().enumerate() {
        if n % 3 == 2 {
            answer.expect(201);
        } else {
            answer.problem("slug_taken");
        }
    }
    assert!(is_right(&app));
}
