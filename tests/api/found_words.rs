//! Which words find which posts: without case and accents, in title, content, tags and the author's
//! name, the same ones on both databases.

use inkpot::posts::storage::check::{self, words};
use serde_json::json;

use crate::harness::{Backend, Client, TestApp, TestDatabase, on_both_databases};

on_both_databases![
    a_word_is_found_however_it_is_written,
    some_words_have_signs,
    tags_and_the_author_are_found,
    a_renamed_author_is_found_by_the_new_name,
    an_author_has_one_job_however_often_they_are_renamed,
    what_is_marked_twice_is_marked,
    the_posts_of_an_author_are_marked_in_pieces,
];

/// The ids that a query finds, what fits best first, and whether its last word counts as a
/// beginning.
async fn ranked(reader: &Client<'_>, query: &str) -> (Vec<i64>, bool) {
    let query: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
    let page = reader
        .get(&format!("/post/?q={query}&size=100"))
        .await
        .expect(200);
    let posts = page["posts"].as_array().unwrap();
    let ids = posts.iter().map(|post| post["post_id"].as_i64().unwrap());
    (ids.collect(), page.get("as_beginning").is_some())
}

/// The ids that a query finds by whole words, the smallest first.
async fn found(reader: &Client<'_>, query: &str) -> Vec<i64> {
    let (mut ids, is_beginning) = ranked(reader, query).await;
    if is_beginning {
        return Vec::new();
    }
    ids.sort_unstable();
    ids
}

async fn a_word_is_found_however_it_is_written(app: TestApp) {
    let ann = app.user("ann").await;
    for text in [
        "Ein Café in İstanbul",
        "Lange Straße",
        "Ёжик в тумане",
        "Łódź and Đà Nẵng",
        "مُحَمَّد كـــتب",
        "שָׁלוֹם",
        "ΟΔΟΣ",
        "smørrebrød",
    ] {
        ann.publish("x", text).await;
    }
    let reader = app.anonymous();
    for (query, ids) in [
        ("cafe", 1),
        ("CAFÉ", 1),
        ("istanbul", 1),
        ("ISTANBUL", 1),
        ("STRASSE", 2),
        ("straße", 2),
        ("ежик", 3),
        ("ЁЖИК", 3),
        ("lodz \"da nang\"", 4),
        ("Łódź", 4),
        ("محمد كتب", 5),
        ("שלום", 6),
        ("οδός", 7),
        ("SMORREBROD", 8),
        ("\"café in ist*\"", 1),
    ] {
        assert_eq!(found(&reader, query).await, [ids], "{query}");
    }
}

async fn some_words_have_signs(app: TestApp) {
    let ann = app.user("ann").await;
    for text in [
        "the letter c",
        "C++ and more",
        "C# for .NET",
        "the net",
        "Released: v1.2.3.",
        "Pi is 3.14, three 3 and 14",
    ] {
        ann.publish("x", text).await;
    }
    let reader = app.anonymous();
    for (query, ids) in [
        ("c", vec![1]),
        ("c++", vec![2]),
        ("C#", vec![3]),
        (".net", vec![3]),
        ("net", vec![4]),
        ("c*", vec![1, 2, 3]),
        ("1.2.3", vec![5]),
        ("v1.2.3", vec![5]),
        ("1.2*", vec![5]),
        ("1.2", vec![]),
        ("3.14", vec![6]),
        ("\"3 and 14\"", vec![6]),
        ("\"c# for .net\"", vec![3]),
    ] {
        assert_eq!(found(&reader, query).await, ids, "{query}");
    }
}

async fn tags_and_the_author_are_found(app: TestApp) {
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let name = json!({ "name": "Zoë O'Neil" });
    ann.patch("/user/me", name).await.expect(200);
    let body = |status: &str| {
        json!({ "title": "One", "content": "two", "tags": ["Jardín botánico", "roses"],
                "status": status })
    };
    ann.post("/post", body("published")).await.expect(201);
    let draft = ann.post("/post", body("draft")).await.expect(201);
    bob.publish("Other", "text").await;
    for (query, ids) in [
        ("jardin", vec![1]),
        ("\"jardin botanico\"", vec![1]),
        ("roses one zoe two", vec![1]),
        // Phrases end where a field does.
        ("\"botanico roses\"", vec![]),
        ("\"one jardin\"", vec![]),
        ("\"roses two\"", vec![]),
        ("\"neil one\"", vec![]),
        ("zoe", vec![1]),
        ("\"zoe o neil\"", vec![1]),
        ("o'neil", vec![1]),
    ] {
        assert_eq!(found(&bob, query).await, ids, "{query}");
    }
    let change = json!({ "tags": ["lilies"] });
    ann.patch("/post/1", change).await.expect(200);
    assert_eq!(found(&bob, "roses").await, [0; 0]);
    assert_eq!(found(&bob, "lilies").await, [1]);
    let drafts = ann.get("/post/?status=draft&q=zoe+roses").await.expect(200);
    assert_eq!(drafts["posts"][0]["post_id"], draft["post_id"]);
    let differences = app
        .database
        .with(|conn| words::compare(conn, &|_| Ok(())).unwrap());
    assert_eq!(differences, words::Found::default());
}

async fn a_renamed_author_is_found_by_the_new_name(app: TestApp) {
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let admin = app.admin("root").await;
    ann.publish("One", "text").await;
    let draft = json!({ "title": "Two", "content": "text", "status": "draft" });
    ann.post("/post", draft).await.expect(201);
    bob.publish("Three", "text").await;
    let name = json!({ "name": "Quirin" });
    ann.patch("/user/me", name.clone()).await.expect(200);
    while app.work().await > 0 {}
    assert_eq!(found(&bob, "quirin").await, [1]);
    let drafts = ann.get("/post/?status=draft&q=quirin").await.expect(200);
    assert_eq!(drafts["pagination"]["count"], 1);
    // The same name again is no work, nor is the name of somebody who has written nothing.
    ann.patch("/user/me", name).await.expect(200);
    let change = json!({ "name": "Ruth" });
    admin
        .patch(&format!("/user/{}", admin.user_id), change.clone())
        .await
        .expect(200);
    let jobs = admin.get("/jobs/?state=waiting").await;
    let waiting = jobs.json()["jobs"].as_array().unwrap().clone();
    assert!(waiting.iter().all(|job| job["kind"] != "index_author"));
    // An admin does it as well.
    admin
        .patch(&format!("/user/{}", bob.user_id), change)
        .await
        .expect(200);
    while app.work().await > 0 {}
    assert_eq!(found(&bob, "ruth").await, [3]);
    let differences = app
        .database
        .with(|conn| words::compare(conn, &|_| Ok(())).unwrap());
    assert_eq!(differences, words::Found::default());
}

/// Whoever changes their name all the time fills no queue.
async fn an_author_has_one_job_however_often_they_are_renamed(app: TestApp) {
    let (ann, root) = (app.user("ann").await, app.admin("root").await);
    ann.publish("One", "text").await;
    while app.work().await > 0 {}
    for n in 0..10 {
        let name = json!({ "name": format!("Quirin{n}") });
        ann.patch("/user/me", name).await.expect(200);
    }
    let jobs = root.get("/jobs/?state=waiting").await.expect(200);
    let jobs = jobs["jobs"].as_array().unwrap().iter();
    let of_name = jobs.filter(|job| job["kind"] == "index_author");
    assert_eq!(of_name.count(), 1);
    while app.work().await > 0 {}
    assert_eq!(found(&ann, "quirin9").await, [1]);
    assert!(found(&ann, "quirin8").await.is_empty());
    // The next name is a job again.
    ann.patch("/user/me", json!({ "name": "Ruth" }))
        .await
        .expect(200);
    while app.work().await > 0 {}
    assert_eq!(found(&ann, "ruth").await, [1]);
}

/// Two workers mark the posts of an author.
async fn what_is_marked_twice_is_marked(app: TestApp) {
    let ann = app.user("ann").await;
    let id = ann.publish("One", "text").await;
    let mark = || app.state.db.write(move |conn| check::unindex(conn, &[id]));
    for done in futures_util::future::join_all((0..16).map(|_| mark())).await {
        done.unwrap();
    }
    let count = app.state.db.read(check::count_unindexed).await.unwrap();
    assert_eq!(count, 1);
}

async fn the_posts_of_an_author_are_marked_in_pieces(app: TestApp) {
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    for n in 0..5 {
        ann.publish("x", &n.to_string()).await;
        bob.publish("x", "y").await;
    }
    let author = ann.user_id;
    let read = |after| {
        app.database
            .with(move |conn| check::load_written(conn, (author, true), after, 2).unwrap())
    };
    let mut after = Some(0);
    for ids in [vec![1, 3], vec![5, 7], vec![9]] {
        let (found, last) = read(after.unwrap());
        assert_eq!(found, ids);
        after = last;
    }
    assert_eq!(after, None);
}

/// Numbers of a simple generator, so that a failure can be seen again.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = (self.0)
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    /// Some pieces, with something between them.
    fn text(&mut self, pieces: &[&str], between: &[&str], most: usize) -> String {
        let mut text = String::new();
        for n in 0..=self.below(most) {
            if n > 0 {
                text.push_str(between[self.below(between.len())]);
            }
            text.push_str(pieces[self.below(pieces.len())]);
        }
        text
    }
}

const PIECES: [&str; 36] = [
    "alpha",
    "beta",
    "gamma",
    "gam",
    "al",
    "Straße",
    "strasse",
    "café",
    "cafe",
    "c",
    "c++",
    "c#",
    ".net",
    "net",
    "3",
    "3.14",
    "14",
    "v1.2",
    "1.2.3",
    "第",
    "第3章",
    "章",
    "中文",
    "中",
    "iPhone",
    "手",
    "手机",
    "Ёж",
    "еж",
    "हिन्दी",
    "ไทย",
    "한국어",
    "don't",
    "か\u{3099}",
    "ｶﾞ",
    "q",
];
const BETWEEN: [&str; 8] = [" ", "", " - ", ". ", "+", "\n", "; ", "."];

/// What is typed: some pieces, stars, quotes.
fn query(dice: &mut Dice) -> String {
    let mut query = dice.text(&PIECES, &[" ", "", " ", "-"], 3);
    if dice.below(3) == 0 {
        query.push('*');
    }
    if dice.below(3) == 0 {
        query = format!("\"{query}\"");
    }
    if dice.below(4) == 0 {
        query.push(' ');
        query.push_str(PIECES[dice.below(PIECES.len())]);
    }
    query
}

/// Whatever is written and whatever is asked for.
#[actix_web::test]
async fn both_databases_find_the_same() {
    let mut apps = Vec::new();
    for backend in [Backend::Sqlite, Backend::Mysql] {
        let Some(database) = TestDatabase::create(backend) else {
            return;
        };
        apps.push(TestApp::start(database, &[]).await);
    }
    let mut answers = [Vec::new(), Vec::new()];
    for (app, all) in apps.iter().zip(&mut answers) {
        let dice = &mut Dice(7);
        let ann = app.user("ann").await;
        for _ in 0..60 {
            let title = dice.text(&PIECES, &BETWEEN, 3).replace('\n', " ");
            let content = dice.text(&PIECES, &BETWEEN, 12);
            ann.publish(&title, &content).await;
        }
        let mut some = 0;
        for _ in 0..200 {
            let query = query(dice);
            let (ids, is_beginning) = ranked(&ann, &query).await;
            some += usize::from(!ids.is_empty());
            all.push(format!("{query}: {ids:?} {is_beginning}"));
        }
        assert!(some > 50, "{some}");
    }
    let [sqlite, mysql] = answers;
    for (one, other) in sqlite.iter().zip(&mysql) {
        assert_eq!(one, other);
    }
    assert_eq!(sqlite.len(), mysql.len());
}
