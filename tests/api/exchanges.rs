//! What each request costs at the database: statements, and on MySQL round trips. Whoever adds one sees it
//! here, and whoever takes one away writes the smaller number down. `--nocapture` prints the statements.

use actix_web::http::Method;
use serde_json::json;

use crate::harness::wire::{Exchange, Wire};
use crate::harness::{Backend, Client, PASSWORD, TestApp, TestDatabase};

/// Statements and round trips of each request of [`all`], in that order; `BEGIN` and `COMMIT` count, where they are sent. There is no trip to
/// SQLite, and on MySQL each statement is one. A trip more prepares a statement that is not kept prepared.
type Costs = [(&'static str, usize, usize)];
const ON_SQLITE: &Costs = &[
    ("publish", 11, 0),
    ("publish with a key", 15, 0),
    ("change the title", 8, 0),
    ("change the content and a tag", 12, 0),
    ("a post", 1, 0),
    ("the first page", 1, 0),
    ("a page in the middle", 1, 0),
    ("an author's posts", 1, 0),
    ("a tag's posts", 1, 0),
    ("a search", 1, 0),
    ("delete a post", 9, 0),
    ("log in", 8, 0),
    ("refresh", 4, 0),
    ("the own profile, a new token", 2, 0),
    ("the own profile, again", 1, 0),
    ("log out", 6, 0),
    ("register", 10, 0),
];
const ON_MYSQL: &Costs = &[
    ("publish", 10, 10),
    ("publish with a key", 15, 15),
    ("change the title", 7, 7),
    ("change the content and a tag", 11, 11),
    ("a post", 1, 1),
    ("the first page", 1, 1),
    ("a page in the middle", 1, 1),
    ("an author's posts", 1, 1),
    ("a tag's posts", 1, 1),
    ("a search", 1, 1),
    ("delete a post", 8, 8),
    ("log in", 7, 7),
    ("refresh", 3, 3),
    ("the own profile, a new token", 2, 2),
    ("the own profile, again", 1, 1),
    ("log out", 5, 5),
    ("register", 9, 9),
];

#[test]
fn the_documents_have_these_numbers() {
    let text = crate::readme::read("docs/performance.md");
    let (_, rows) = text.split_once("| request | SQLite: statements |").unwrap();
    let mut told = 0;
    for row in rows.lines().skip(2).take_while(|row| row.starts_with('|')) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let of = |costs: &Costs| *costs.iter().find(|(name, ..)| *name == cells[0]).unwrap();
        let (_, on_sqlite, _) = of(ON_SQLITE);
        let (_, on_mysql, trips) = of(ON_MYSQL);
        assert_eq!(
            [cells[1], cells[4], cells[5]],
            [on_sqlite, on_mysql, trips].map(|number| number.to_string()),
            "{row}"
        );
        told += 1;
    }
    assert_eq!(told, 14);
}

#[actix_web::test]
async fn statements_of_each_request_on_sqlite() {
    counted(Backend::Sqlite, ON_SQLITE).await;
}

#[actix_web::test]
async fn statements_of_each_request_on_mysql() {
    counted(Backend::Mysql, ON_MYSQL).await;
}

#[expect(clippy::print_stdout, reason = "for whoever asks for it")]
async fn counted(backend: Backend, expected: &Costs) {
    let Some(database) = TestDatabase::create(backend) else {
        return;
    };
    let wire = Wire::to(&database);
    // One connection of each kind, which has prepared what it needs after the first round; and nothing that is
    // read is kept.
    let flags = [
        "--database-url",
        &wire.url,
        "--db-pool",
        "1",
        "--cache-mb",
        "0",
    ];
    let app = TestApp::start(database, &flags).await;
    let mut counted = Vec::new();
    let ann = app.user("ann").await;
    for round in 0..3 {
        counted.clear();
        all(&ann, &wire, round, &mut counted).await;
    }
    for (name, exchanges) in &counted {
        println!("{}", told(name, exchanges));
    }
    let costs: Vec<(&str, usize, usize)> = (counted.iter())
        .map(|(name, exchanges)| {
            let statements = exchanges.iter().filter(|one| !one.is_preparation).count();
            let trips = if backend == Backend::Mysql {
                exchanges.len()
            } else {
                0
            };
            (*name, statements, trips)
        })
        .collect();
    assert_eq!(costs, expected);
}

/// One request of each kind.
async fn all(
    ann: &Client<'_>,
    wire: &Wire,
    round: usize,
    counted: &mut Vec<(&'static str, Vec<Exchange>)>,
) {
    let app = ann.app();
    let mut count = |name| counted.push((name, wire.take()));
    let post =
        json!({ "title": "A title", "content": "word ".repeat(300), "tags": ["one", "two"] });
    // A moment of their own each, as it is but for a crowd.
    app.clock.advance(chrono::TimeDelta::seconds(1));
    wire.take();
    let answer = ann.post("/post", post.clone()).await.expect(201);
    count("publish");
    let id = answer["post_id"].as_i64().unwrap();
    let path = format!("/post/{id}");
    app.clock.advance(chrono::TimeDelta::seconds(1));
    let keyed = (ann.request(Method::POST, "/post"))
        .insert_header(("Idempotency-Key", format!("key-{round}")))
        .set_json(&post);
    let second = app.send(keyed).await.expect(201)["post_id"]
        .as_i64()
        .unwrap();
    count("publish with a key");
    ann.patch(&path, json!({ "title": "Another title" }))
        .await
        .expect(200);
    count("change the title");
    ann.patch(
        &path,
        json!({ "content": "words ".repeat(300), "tags": ["two", "three"] }),
    )
    .await
    .expect(200);
    count("change the content and a tag");
    let anonymous = app.anonymous();
    for (name, path) in [
        ("a post", path.as_str()),
        ("the first page", "/post/?page=1&size=2"),
        ("a page in the middle", "/post/?page=2&size=2"),
        ("an author's posts", "/post/?author=1&size=2"),
        ("a tag's posts", "/post/?tag=one&size=2"),
        ("a search", "/post/?q=words&size=2"),
    ] {
        anonymous.get(path).await.expect(200);
        count(name);
    }
    ann.delete(&format!("/post/{second}"))
        .await
        .expect_empty(204);
    count("delete a post");
    let login = json!({ "account": "ann@example.org", "password": PASSWORD });
    let answer = anonymous.post("/user/login", login).await.expect(200);
    count("log in");
    let answer = anonymous
        .post(
            "/user/refresh",
            json!({ "refresh_token": answer["refresh_token"] }),
        )
        .await
        .expect(200);
    count("refresh");
    let other = app.client_of(&answer);
    other.get("/user/me").await.expect(200);
    count("the own profile, a new token");
    other.get("/user/me").await.expect(200);
    count("the own profile, again");
    other
        .post("/user/logout", json!({}))
        .await
        .expect_empty(204);
    count("log out");
    let new =
        json!({ "email": format!("ben-{round}@example.org"), "name": "Ben", "password": PASSWORD });
    anonymous.post("/user/reg", new).await.expect(201);
    count("register");
}

/// A heading for people, and the statements.
fn told(name: &str, exchanges: &[Exchange]) -> String {
    let sum = |of: fn(&Exchange) -> usize| exchanges.iter().map(of).sum::<usize>();
    let (sent, received) = (sum(|one| one.sent), sum(|one| one.received));
    let again = sum(|one| usize::from(one.is_preparation));
    let statements = exchanges.len() - again;
    let mut lines = vec![format!(
        "## {name}: {statements} statements, {again} prepared; bytes {sent} there, {received} back"
    )];
    lines.extend(exchanges.iter().map(|one| {
        let sql = one.sql.split_whitespace().collect::<Vec<_>>().join(" ");
        let what = if one.is_preparation {
            "prepare"
        } else {
            "       "
        };
        format!("   {what} {}", sql.chars().take(200).collect::<String>())
    }));
    lines.join("\n")
}
