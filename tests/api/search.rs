//! What the search's index holds of a post, and what a search may ask for.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use inkpot::accounts::types::DELETED;
use inkpot::core::db::dialect::{Phrase, SearchQuery};
use inkpot::core::db::schema::post;
use inkpot::core::db::{Conn, dialect};
use inkpot::posts::actions::check;
use inkpot::posts::list::Filter;
use inkpot::posts::routes::response_cache::tags_of_list;
use inkpot::posts::search::words_of;
use inkpot::posts::search::{Query, Scope};
use inkpot::posts::storage::check as stored;
use serde_json::{Value, json};

use crate::harness::{Client, TestApp, on_both_databases};

on_both_databases![
    a_text_that_repeats_itself_is_indexed_once,
    a_query_of_more_words_is_refused_by_name,
    a_draft_is_in_nobody_elses_index,
    drafts_that_were_indexed_as_before_are_indexed_anew,
    what_was_kept_does_not_outlive_the_indexing,
    the_posts_themselves_find_what_the_index_finds,
    what_is_too_many_is_not_counted,
];

async fn count(reader: &Client<'_>, query: &str) -> i64 {
    let query: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
    let page = reader.get(&format!("/post/?q={query}")).await.expect(200);
    count_of(&page)
}

async fn count_drafts(reader: &Client<'_>, query: &str) -> i64 {
    let path = format!("/post/?status=draft&q={query}");
    let page = reader.get(&path).await.expect(200);
    count_of(&page)
}

/// How many posts have the words, not the last one as a beginning.
fn count_of(page: &Value) -> i64 {
    if page.get("as_beginning").is_some() {
        return 0;
    }
    page["pagination"]["count"].as_i64().unwrap()
}

/// The index: every place and token, in no order.
fn index(app: &TestApp) -> Vec<(i64, String)> {
    app.database.with(|conn| {
        let mut tokens = Vec::new();
        let mut hear = |place, token: &str, _| {
            tokens.push((place, token.to_owned()));
            Ok(())
        };
        dialect::read_words(conn, &mut hear).unwrap();
        tokens
    })
}

/// What a post costs whoever searches is bounded by what it says, not by how long it is.
async fn a_text_that_repeats_itself_is_indexed_once(app: TestApp) {
    let ann = app.user("ann").await;
    for text in ["中", "ab ", "日本語", "one two three four five "] {
        let content = text.repeat((1 << 20) / text.len());
        ann.publish("long", &content).await;
    }
    let tokens = index(&app).len();
    assert!(tokens < 4 * 4 * 64, "{tokens}");
    let reader = app.anonymous();
    assert_eq!(count(&reader, &"中".repeat(65)).await, 1);
    assert_eq!(
        count(&reader, &format!("\"{}\"", "ab ".repeat(64))).await,
        1
    );
    assert_eq!(count(&reader, &"本語日".repeat(21)).await, 1);
    assert_eq!(count(&reader, "\"five one two\"").await, 1);
    assert_eq!(count(&reader, "\"five two\"").await, 0);
}

async fn a_query_of_more_words_is_refused_by_name(app: TestApp) {
    let ann = app.user("ann").await;
    ann.publish("x", &"中".repeat(100)).await;
    let words = |count: usize| {
        let words: Vec<String> = (0..count).map(|n| format!("w{n}+")).collect();
        words.concat()
    };
    let phrases = |count: usize| {
        let phrases: Vec<String> = (0..count).map(|n| format!("%22{n}+x%22")).collect();
        phrases.concat()
    };
    let chinese = |count: usize| "%E4%B8%AD".repeat(count);
    for (query, is_taken) in [
        (words(64), true),
        (words(65), false),
        (words(64).repeat(3), true),
        (phrases(32), true),
        (phrases(33), false),
        (chinese(65), true),
        (chinese(66), false),
    ] {
        for way in ["page=1", "before="] {
            let answer = app
                .anonymous()
                .get(&format!("/post/?{way}&q={query}"))
                .await;
            if is_taken {
                answer.expect(200);
            } else {
                answer.expect(400);
                let problem = answer.problem("query_invalid");
                let detail = problem["detail"].as_str().unwrap();
                assert!(detail.contains("parameter q has more than 64"), "{detail}");
            }
        }
    }
}

async fn a_draft_is_in_nobody_elses_index(app: TestApp) {
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let body = json!({ "title": "Sketch", "content": "hidden 草稿 words", "status": "draft" });
    let made = ann.post("/post", body.clone()).await.expect(201);
    let id = made["post_id"].as_i64().unwrap();
    bob.post("/post", body).await.expect(201);
    let found = async |published: i64, drafts: i64, others: i64| {
        for query in [
            "hidden",
            "sket*",
            "%22hidden+%E8%8D%89%22",
            "%E8%8D%89%E7%A8%BF",
        ] {
            assert_eq!(count_drafts(&ann, query).await, drafts, "{query}");
            assert_eq!(count_drafts(&bob, query).await, others, "{query}");
        }
        for query in ["hidden", "sket*", "\"hidden 草\"", "草稿"] {
            assert_eq!(count(&bob, query).await, published, "{query}");
        }
    };
    found(0, 1, 1).await;
    // A search of what is published reads no word of theirs, and neither of each other's.
    let at: i64 = app.database.with(move |conn| {
        post::table
            .find(id)
            .select(post::place)
            .first(conn)
            .unwrap()
    });
    for (place, token) in index(&app) {
        let author = if place == at {
            ann.user_id
        } else {
            bob.user_id
        };
        assert!(token.starts_with(&format!("d{author}")), "{place} {token}");
    }
    let path = format!("/post/{id}");
    ann.patch(&path, json!({ "status": "published" }))
        .await
        .expect(200);
    found(1, 0, 1).await;
    ann.patch(&path, json!({ "content": "hidden 草稿 words, more" }))
        .await
        .expect(200);
    found(1, 0, 1).await;
    ann.patch(&path, json!({ "status": "draft" }))
        .await
        .expect(200);
    found(0, 1, 1).await;
    ann.patch(&path, json!({ "content": "another" }))
        .await
        .expect(200);
    assert_eq!(count_drafts(&ann, "hidden").await, 0);
    assert_eq!(count_drafts(&ann, "another").await, 1);
}

async fn drafts_that_were_indexed_as_before_are_indexed_anew(app: TestApp) {
    let ann = app.user("ann").await;
    let body = json!({ "title": "Sketch", "content": "hidden words", "status": "draft" });
    ann.post("/post", body).await.expect(201);
    ann.publish("Public", "shown words").await;
    app.database.with(|conn| {
        let at: i64 = post::table.find(1).select(post::place).first(conn).unwrap();
        dialect::delete_words(conn, &[at]).unwrap();
        dialect::insert_words(conn, at, &words_of("Sketch", &[], "hidden words").text).unwrap();
        stored::unindex_all(conn).unwrap();
    });
    // What was published is found all the time, and no draft ever is.
    assert_eq!(count(&ann, "words").await, 1);
    assert_eq!(count_drafts(&ann, "words").await, 0);
    let db = app.state.db.clone();
    let indexing =
        std::thread::spawn(move || check::index_pending(&db, usize::MAX, &|_| {}).unwrap());
    assert_eq!(indexing.join().unwrap(), 2);
    assert_eq!(count(&ann, "words").await, 1);
    assert_eq!(count_drafts(&ann, "words").await, 1);
}

async fn what_was_kept_does_not_outlive_the_indexing(app: TestApp) {
    let ann = app.user("ann").await;
    ann.publish("x", "sought").await;
    app.database.with(|conn| {
        conn.batch_execute("DELETE FROM post_words").unwrap();
        stored::unindex_all(conn).unwrap();
    });
    assert_eq!(count(&ann, "sought").await, 0);
    let posts = app.state.posts.clone().into_inner();
    let indexing =
        std::thread::spawn(move || check::index_and_announce(&posts, usize::MAX, &|_| {}));
    assert_eq!(indexing.join().unwrap().unwrap(), 1);
    assert_eq!(count(&ann, "sought").await, 1);
    // With nothing to do nothing is said: what is kept stays.
    let before = app.state.db.units();
    let posts = app.state.posts.clone().into_inner();
    let indexing =
        std::thread::spawn(move || check::index_and_announce(&posts, usize::MAX, &|_| {}));
    assert_eq!(indexing.join().unwrap().unwrap(), 0);
    assert_eq!(count(&ann, "sought").await, 1);
    assert_eq!(app.state.db.units(), before);
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

/// What the other program of this machine is told when the command line has mended.
#[test]
fn a_repair_is_told_to_servers_through_the_database() {
    use crate::harness::{Backend, TestDatabase};
    for backend in [Backend::Sqlite, Backend::Mysql] {
        let Some(database) = TestDatabase::create(backend) else {
            continue;
        };
        let system = actix_web::rt::System::new();
        system.block_on(async {
            let app = TestApp::start(database.shared(), &[]).await;
            app.user("ann").await.publish("x", "y").await;
            let settings = app.state.settings.clone().into_inner();
            let db = app.state.db.clone();
            let told = async || {
                let cache = &app.state.accounts.session_cache;
                let changes = inkpot::accounts::actions::catch_up(&db, cache)
                    .await
                    .unwrap();
                changes.contains(&inkpot::accounts::types::Revocation::Anything)
            };
            told().await;
            let form = inkpot::cli::args::Form { is_json: false };
            let run = |repair| {
                let settings = settings.clone();
                std::thread::spawn(move || {
                    let mut out = Vec::new();
                    inkpot::cli::check::run(repair, form, &settings, &mut out)
                        .map(|()| String::from_utf8(out).unwrap())
                })
                .join()
                .unwrap()
            };
            let right = "the counts, the tags and the search are right\n";
            assert_eq!(run(false).as_deref(), Ok(right));
            assert!(!told().await);
            database.with(|conn| conn.batch_execute("DELETE FROM post_words").unwrap());
            assert!(run(false).unwrap_err().contains("1 differences"));
            assert!(!told().await);
            assert_eq!(
                run(true)
                    .as_deref()
                    .map(|said| said.contains("1 differences were mended")),
                Ok(true)
            );
            assert!(told().await);
            assert_eq!(run(false).as_deref(), Ok(right));
            let words: i64 = database.with(|conn| {
                let sql = "SELECT COUNT(*) AS number FROM post_words";
                match conn {
                    Conn::Sqlite(c) => diesel::sql_query(sql).get_result::<Number>(c),
                    Conn::Mysql(c) => diesel::sql_query(sql).get_result::<Number>(c),
                }
                .unwrap()
                .number
            });
            assert_eq!(words, 1);
        });
    }
}

/// Ids by both ways to find what matches, and the count.
fn both_ways(
    app: &TestApp,
    text: &str,
    (author, tag): (Option<i64>, Option<&'static str>),
    part: (i64, i64, i64),
) -> [Vec<i64>; 2] {
    let query = Query::parse(text).unwrap();
    let scope = Scope::Published;
    let pieces: Vec<Phrase> = (query.pieces(scope))
        .map(|(tokens, prefix)| Phrase { tokens, prefix })
        .collect();
    let (fts5, mysql) = (query.to_fts5(scope), query.to_mysql(scope));
    app.database.with(move |conn| {
        let query = SearchQuery {
            fts5: &fts5,
            mysql: &mysql,
            pieces: &pieces,
            published: true,
            author,
            but_role: DELETED,
            follower: None,
            tags: tag.as_slice(),
            between: None,
            is_ascending: false,
        };
        let part = (Some(part.0), part.1, part.2);
        [false, true].map(|are_many| {
            query
                .load::<_, i64>(conn, part, are_many, post::post_id)
                .unwrap()
        })
    })
}

async fn the_posts_themselves_find_what_the_index_finds(app: TestApp) {
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let words = [
        "garden",
        "gardens",
        "Ärger",
        "don't",
        "3.14",
        "我们在北京",
        "ภาษาไทย",
        "c",
        "two words",
    ];
    for n in 0..60_usize {
        let text: Vec<&str> = (0..4)
            .map(|k| words[(n * 7 + k * (n / 9 + 1)) % words.len()])
            .collect();
        let body = json!({
            "title": words[n % words.len()], "content": text.join(" "),
            "tags": [if n % 2 == 0 { "even" } else { "odd" }],
            "status": if n % 11 == 0 { "draft" } else { "published" },
        });
        let author = if n % 3 == 0 { &bob } else { &ann };
        author.post("/post", body).await.expect(201);
    }
    let mut found = 0;
    for text in [
        "garden",
        "garden*",
        "gard*",
        "ärger",
        "don't",
        "3.14",
        "北京",
        "我们在北",
        "ภาษา",
        "\"two words\"",
        "\"words two\"",
        "two garden",
        "\"garden two\"*",
        "c",
        "c*",
        "nothing",
        "ärger 北京 c",
    ] {
        for filter in [
            (None, None),
            (Some(ann.user_id), None),
            (None, Some("even")),
            (Some(bob.user_id), Some("odd")),
        ] {
            for part in [
                (i64::MAX, 0, 100),
                (40, 0, 5),
                (i64::MAX, 3, 4),
                (30, 2, 100),
            ] {
                let [index, posts] = both_ways(&app, text, filter, part);
                assert_eq!(index, posts, "{text} {filter:?} {part:?}");
                found += index.len();
            }
        }
    }
    assert!(found > 500, "{found}");
}

async fn what_is_too_many_is_not_counted(app: TestApp) {
    let ann = app.user("ann").await;
    for n in 0..5 {
        let body = json!({ "title": format!("{n}"), "content": "x", "tags": ["t"] });
        ann.post("/post", body).await.expect(201);
    }
    let (anyone, id) = (app.anonymous(), ann.user_id);
    let path = |page: i64| format!("/post/?author={id}&tag=t&page={page}&size=2");
    let counted = anyone.get(&path(1)).await;
    assert_eq!(counted.expect(200)["pagination"]["count"], 5);
    // Rows of tags behind all posts, as many as somebody's busy years leave behind.
    app.database.with(|conn| {
        for shift in 0..15 {
            conn.batch_execute(&format!(
                "INSERT INTO post_tag (tag, published, place, post_id, author_id) \
                 SELECT tag, published, place - {}, post_id, author_id FROM post_tag",
                1_000_000_000_i64 << shift
            ))
            .unwrap();
        }
    });
    app.state
        .response_cache
        .invalidate(&tags_of_list(&Filter::default()));
    let first = anyone.get(&path(1)).await;
    let pagination = &first.expect(200)["pagination"];
    assert!(pagination.get("count").is_none() && pagination.get("pages").is_none());
    assert!(pagination["next"].is_string(), "{pagination}");
    let link = first.header("link");
    assert!(
        link.contains("rel=\"next\"") && !link.contains("rel=\"last\""),
        "{link}"
    );
    // The database passes over no more than it counts.
    for page in [50_001, 1_000_000, i64::MAX] {
        let far = anyone.get(&path(page)).await;
        let answer = far.expect(200);
        assert_eq!(answer["posts"], json!([]), "{page}");
        assert!(answer["pagination"]["next"].is_null(), "{answer}");
        assert!(!far.header("link").contains("rel=\"next\""));
    }
}
