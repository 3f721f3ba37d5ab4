//! Lists: filters, both ways of paging, and what they cost.

use actix_web::http::Method;
use futures_util::future::join_all;
use inkpot::core::page::{ListPart, PageRequest};
use inkpot::posts::list::Filter;
use inkpot::posts::storage::at_once;
use serde_json::{Value, json};

use crate::harness::{Client, TestApp, on_both_databases, posts};

on_both_databases![
    filters_are_combined,
    words_are_found_in_every_language,
    a_query_of_anything_is_no_error,
    a_cursor_meets_every_post_once,
    a_cursor_is_stable_while_others_publish_and_delete,
    links_keep_the_filters,
    parameters_that_cannot_be_read_are_refused,
    deep_pages_are_exact,
    a_page_of_a_list_that_changed_since_its_counts_is_not_taken,
];

async fn ids(reader: &Client<'_>, path: &str) -> (Vec<i64>, Value) {
    let page = reader.get(path).await.expect(200);
    let id = |post: &Value| post["post_id"].as_i64().unwrap();
    let posts = page["posts"].as_array().unwrap();
    (posts.iter().map(id).collect(), page["pagination"].clone())
}

/// Follows `next` from the top to the end.
async fn follow(reader: &Client<'_>, filter: &str, size: usize) -> Vec<i64> {
    let mut cursor = String::new();
    let mut seen = Vec::new();
    loop {
        let path = format!("/post/?before={cursor}&size={size}&{filter}");
        let (some, pagination) = ids(reader, &path).await;
        assert!(some.len() == size || pagination["next"].is_null(), "{path}");
        let members: Vec<&String> = pagination.as_object().unwrap().keys().collect();
        assert_eq!(members, ["next", "size"]);
        seen.extend(some);
        match pagination["next"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => return seen,
        }
    }
}

/// Which of the numbers a filter takes.
type Fits = fn(&i64) -> bool;

async fn filters_are_combined(app: TestApp) {
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    // Number n: by bob if odd, with tag "third" if divisible by 3, the word "fifth" by 5.
    for n in 1..=60 {
        let author = if n % 2 == 1 { &bob } else { &ann };
        let mut tags = vec!["all".to_owned(), format!("n{n}")];
        if n % 3 == 0 {
            tags.push("third".to_owned());
        }
        let word = if n % 5 == 0 { "fifth" } else { "other" };
        let body = json!({ "title": format!("Post {n}"), "content": word, "tags": tags });
        author.post("/post", body).await.expect(201);
    }
    let bob_id = bob.user_id;
    let cases: [(String, Fits); 11] = [
        (String::new(), |_| true),
        (format!("author={bob_id}"), |n| n % 2 == 1),
        ("tag=third".to_owned(), |n| n % 3 == 0),
        ("tag=all".to_owned(), |_| true),
        ("q=fifth&sort=newest".to_owned(), |n| n % 5 == 0),
        (format!("author={bob_id}&tag=third"), |n| n % 6 == 3),
        (format!("author={bob_id}&q=fifth&sort=newest"), |n| {
            n % 10 == 5
        }),
        ("tag=third&q=fifth&sort=newest".to_owned(), |n| n % 15 == 0),
        (
            format!("author={bob_id}&tag=third&q=post+fifth&sort=newest"),
            |n| n % 30 == 15,
        ),
        ("author=999".to_owned(), |_| false),
        ("tag=none&q=fifth&sort=newest".to_owned(), |_| false),
    ];
    for (filter, fits) in cases {
        let expected: Vec<i64> = (1..=60).rev().filter(fits).collect();
        for size in [1, 7, 20, 100] {
            let mut seen = Vec::new();
            let pages = expected.len().div_ceil(size);
            for page in 1..=pages.max(1) {
                let path = format!("/post/?page={page}&size={size}&{filter}");
                let (some, pagination) = ids(&app.anonymous(), &path).await;
                assert_eq!(pagination["count"], expected.len(), "{path}");
                assert_eq!(pagination["pages"], pages, "{path}");
                let is_last = page >= pages;
                assert_eq!(pagination["next"].is_null(), is_last, "{path}");
                seen.extend(some);
                // From a page one goes on by cursor.
                if let (Some(next), 7) = (pagination["next"].as_str(), size) {
                    let path = format!("/post/?before={next}&size={size}&{filter}");
                    let (some, _) = ids(&app.anonymous(), &path).await;
                    assert_eq!(some[0], expected[seen.len()], "{path}");
                }
            }
            assert_eq!(seen, expected, "{filter} by {size}");
            let scrolled = follow(&app.anonymous(), &filter, size).await;
            assert_eq!(scrolled, expected, "{filter} by {size}");
        }
    }
    let page = "/post/?page=99&tag=third";
    assert_eq!(ids(&app.anonymous(), page).await.0, Vec::<i64>::new());
}

async fn words_are_found_in_every_language(app: TestApp) {
    let ann = app.user("ann").await;
    let posts = [
        (
            "The wor of a cat",
            "It sat on the mat, the cat; don't worry.",
        ),
        (
            "World news",
            "A WORLD of its own: Ωμέγα, naïve café, straße.",
        ),
        ("中文標題", "我喜歡在北京的咖啡館裡寫程式。"),
        ("日本語", "東京タワーで写真を撮りました。"),
        ("Привет", "Съешь же ещё этих мягких французских булок."),
        ("हिन्दी", "नमस्ते दुनिया, यह एक परीक्षण है।"),
        ("ไทย", "สวัสดีชาวโลก"),
        ("한국어", "서울은 한국의 수도입니다."),
        ("C++ & more", "foo-bar e-mail a_b 3.14 x86_64"),
        ("Mixed", "我的iPhone手機"),
    ];
    for (title, text) in posts {
        ann.publish(title, text).await;
    }
    for (query, expected) in [
        ("cat", vec![1]),
        ("CAT mat", vec![1]),
        ("cat dog", vec![]),
        ("\"sat on the mat\"", vec![1]),
        ("\"mat on the sat\"", vec![]),
        ("the", vec![1]),
        ("of a", vec![2, 1]),
        ("wor*", vec![2, 1]),
        ("wor", vec![1]),
        // The beginning of a word, as no post has the word itself.
        ("worl", vec![2]),
        ("don't", vec![1]),
        ("dont", vec![]),
        ("\"of its ow*\"", vec![2]),
        ("ωμέγα", vec![2]),
        ("café", vec![2]),
        ("cafe", vec![2]),
        ("straße", vec![2]),
        ("北京", vec![3]),
        ("咖啡館", vec![3]),
        ("京", vec![4, 3]),
        ("館", vec![3]),
        ("京北", vec![]),
        ("標題", vec![3]),
        ("題我", vec![]),
        ("東京タワー", vec![4]),
        ("写真", vec![4]),
        ("булок", vec![5]),
        ("мяг*", vec![5]),
        ("नमस्ते", vec![6]),
        ("ชาวโลก", vec![7]),
        ("한국", vec![8]),
        ("foo-bar", vec![9]),
        ("bar-foo", vec![]),
        ("3.14", vec![9]),
        ("手機", vec![10]),
        ("iphone手機", vec![10]),
        ("iphone", vec![10]),
        ("我", vec![10, 3]),
    ] {
        let request = url(query);
        for way in ["page=1", "before="] {
            let (found, _) = ids(
                &app.anonymous(),
                &format!("/post/?{way}&sort=newest&q={request}"),
            )
            .await;
            let mut expected: Vec<i64> = expected.clone();
            expected.sort_unstable_by_key(|id| std::cmp::Reverse(*id));
            assert_eq!(found, expected, "{query}");
        }
    }
}

fn url(text: &str) -> String {
    let bytes: Vec<String> = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
    bytes.concat()
}

async fn a_query_of_anything_is_no_error(app: TestApp) {
    let ann = app.user("ann").await;
    ann.publish("x", "some words").await;
    let operators = "+-><()~*\"@' AND OR NOT NEAR ^:{}[]%_\\".repeat(300);
    let words = "word ".repeat(2048);
    let different: Vec<String> = (0..64).map(|n| format!("w{n}")).collect();
    let different = different.join(" ");
    let chinese = "中文字".repeat(21);
    for query in [
        "+",
        "-",
        "*",
        "\"",
        "\"\"",
        "***",
        "()",
        "+-~<>",
        "' OR 1=1 --",
        "AND",
        "NOT some",
        "NEAR(some words)",
        "words:some",
        "{words}",
        "^some",
        "some -words",
        "\0",
        "\u{fffd}",
        "😀",
        "some\"",
        "@distance",
        "\\",
        "%",
        "_",
        &operators,
        &words,
        &different,
        &chinese,
    ] {
        for way in ["page=1", "before="] {
            let path = format!("/post/?{way}&q={}", url(query));
            let (found, _) = ids(&app.anonymous(), &path).await;
            assert!(found.len() <= 1);
        }
    }
    // A minus is no operator: all words must be there.
    for (query, count) in [
        ("some -words", 1),
        ("+some", 1),
        ("-some", 1),
        ("*", 0),
        ("++--", 0),
        (" ", 1),
        ("", 1),
    ] {
        let (_, page) = ids(&app.anonymous(), &format!("/post/?q={}", url(query))).await;
        assert_eq!(page["count"], count, "{query}");
    }
}

async fn a_cursor_meets_every_post_once(app: TestApp) {
    let ann = app.user("ann").await;
    for n in 0..45 {
        ann.publish(&format!("{n}"), "x").await;
    }
    let all: Vec<i64> = (1..=45).rev().collect();
    for size in [1, 9, 44, 45, 46, 100] {
        assert_eq!(follow(&app.anonymous(), "", size).await, all, "{size}");
    }
    // Sizes fall back as they do for pages.
    let (some, pagination) = ids(&app.anonymous(), "/post/?before=&size=0").await;
    assert_eq!((some.len(), &pagination["size"]), (20, &json!(20)));
    let (some, pagination) = ids(&app.anonymous(), "/post/?before=10&size=1000&page=3").await;
    assert_eq!((some.len(), &pagination["size"]), (9, &json!(100)));
    let (some, _) = ids(&app.anonymous(), "/post/?before=1").await;
    assert!(some.is_empty());
}

async fn a_cursor_is_stable_while_others_publish_and_delete(app: TestApp) {
    let ann = app.user("ann").await;
    for n in 0..60 {
        ann.publish(&format!("old {n}"), "x").await;
    }
    // Every third old post is deleted and as many are published while one reads.
    let write = async {
        for n in 0..20_i64 {
            ann.delete(&format!("/post/{}", n * 3 + 1))
                .await
                .expect_empty(204);
            ann.publish(&format!("new {n}"), "x").await;
        }
    };
    let read = follow(&ann, "", 3);
    let (seen, ()) = futures_util::future::join(read, write).await;
    let stays: Vec<i64> = (1..=60).rev().filter(|id| id % 3 != 1).collect();
    let met: Vec<i64> = seen
        .iter()
        .copied()
        .filter(|id| *id <= 60 && id % 3 != 1)
        .collect();
    assert_eq!(met, stays, "each of those that stayed, once, in order");
    let mut once = seen.clone();
    once.dedup();
    assert_eq!(once, seen);
}

async fn links_keep_the_filters(app: TestApp) {
    let ann = app.user("ann").await;
    for n in 0..7 {
        let body = json!({ "title": format!("{n}"), "content": "some words", "tags": ["web dev"] });
        ann.post("/post", body).await.expect(201);
    }
    for start in [
        "/post/?size=3&tag=web+dev&q=%22some+words%22&author=1",
        "/post/?before=&size=3&tag=web+dev&q=%22some+words%22&author=1",
    ] {
        let mut path = start.to_owned();
        let mut seen = Vec::new();
        loop {
            let answer = app.anonymous().get(&path).await;
            for post in answer.expect(200)["posts"].as_array().unwrap() {
                seen.push(post["post_id"].as_i64().unwrap());
            }
            let links = answer.header("link").to_owned();
            assert!(links.contains("rel=\"first\""), "{links}");
            for link in links.split(", ") {
                assert!(
                    link.contains("author=1&tag=web+dev&q=%22some+words%22"),
                    "{link}"
                );
            }
            let next = links
                .split(", ")
                .find(|link| link.ends_with("rel=\"next\""));
            match next.and_then(|link| link.split(['<', '>']).nth(1)) {
                Some(next) => next.clone_into(&mut path),
                None => break,
            }
        }
        assert_eq!(seen, [7, 6, 5, 4, 3, 2, 1], "{start}");
    }
    let drafts = ann.get("/post/?status=draft").await;
    assert!(drafts.header("link").contains("status=draft"));
}

async fn parameters_that_cannot_be_read_are_refused(app: TestApp) {
    let long = "x".repeat(33);
    for (query, name) in [
        ("author=ann", "author"),
        ("author=0", "author"),
        ("author=-1", "author"),
        ("author=9223372036854775808", "author"),
        ("tag=+", "tag"),
        (&format!("tag={long}"), "tag"),
        ("status=Draft", "status"),
        ("status=all", "status"),
        ("before=x", "before"),
        ("before=-1", "before"),
        ("before=1.5", "before"),
        ("tags=rust", "tags"),
        ("sorted=", "sorted"),
        ("limit=5", "limit"),
        ("author=1&author=2", "author is there twice"),
        ("author=1&auth%6Fr=", "author is there twice"),
        ("page=1&page=1", "page is there twice"),
        ("size=1&page=1&size=2", "size is there twice"),
        ("Page=1", "Page"),
        ("x", "x"),
    ] {
        let answer = app.anonymous().get(&format!("/post/?{query}")).await;
        answer.expect(400);
        let problem = answer.problem("query_invalid");
        assert!(
            problem["detail"].as_str().unwrap().contains(name),
            "{problem}"
        );
    }
    // What is empty is absent.
    let path = "/post/?author=&tag=&q=&status=&page=";
    app.anonymous().get(path).await.expect(200);
    app.anonymous()
        .get("/post/?status=published")
        .await
        .expect(200);
    let head = app.anonymous().request(Method::HEAD, "/post/?tag=x");
    assert_eq!(app.send(head).await.status, 200);
}

async fn deep_pages_are_exact(app: TestApp) {
    // Several blocks of each size, with holes: every third is not there.
    let ann = app.user("ann").await;
    let total: i64 = 40_000;
    app.database.with(move |conn| {
        posts::insert_many(conn, 1, total);
    });
    let left: Vec<i64> = (1..=total).rev().filter(|id| id % 3 != 0).collect();
    let count = i64::try_from(left.len()).unwrap();
    let pages: Vec<i64> = vec![
        1, 2, 12, 13, 14, 100, 255, 256, 257, 600, 1000, 1333, 1334, 1335,
    ];
    let checked = join_all(pages.iter().map(|page| {
        let left = &left;
        let reader = &ann;
        async move {
            for filter in ["", "author=1", "tag=even"] {
                let path = format!("/post/?page={page}&{filter}");
                let (some, pagination) = ids(reader, &path).await;
                let fits = |id: &i64| filter != "tag=even" || id % 2 == 0;
                let all: Vec<i64> = left.iter().copied().filter(fits).collect();
                let skipped = usize::try_from((page - 1) * 20).unwrap();
                let expected: Vec<i64> = all.iter().copied().skip(skipped).take(20).collect();
                assert_eq!(some, expected, "{path}");
                assert_eq!(pagination["count"], all.len(), "{path}");
            }
        }
    }))
    .await;
    assert_eq!(checked.len(), pages.len());
    let (_, pagination) = ids(&ann, "/post/").await;
    assert_eq!(pagination["count"], count);
}

/// The counts say where a page begins by a statement before the one that reads it; posts that come or go between the two
/// are no error of the page, which is read in a snapshot then.
async fn a_page_of_a_list_that_changed_since_its_counts_is_not_taken(app: TestApp) {
    let ann = app.user("ann").await;
    app.database
        .with(|conn| posts::insert_many(conn, 1, 10_000));
    let part = ListPart::Page(PageRequest {
        page: 100,
        size: 20,
    });
    let find = |app: &TestApp| {
        app.database.with(move |conn| {
            let start = at_once::find_start(conn, &Filter::default(), part).unwrap();
            start.expect("all posts are counted")
        })
    };
    let load = |app: &TestApp, start| {
        app.database.with(move |conn| {
            let found = at_once::load_from(conn, &Filter::default(), part, start).unwrap();
            let rows = found?.listed.rows;
            Some(rows.iter().map(|post| post.post_id).collect::<Vec<_>>())
        })
    };
    let (shown, _) = ids(&ann, "/post/?page=100").await;
    let start = find(&app);
    assert_eq!(load(&app, start.clone()), Some(shown));

    let published = ann.post("/post", json!({ "title": "New", "content": "x" }));
    let post_id = published.await.expect(201)["post_id"].as_i64().unwrap();
    assert_eq!(load(&app, start), None, "one came");
    let (shown, _) = ids(&ann, "/post/?page=100").await;
    let start = find(&app);
    assert_eq!(load(&app, start.clone()), Some(shown));

    let path = format!("/post/{post_id}");
    ann.delete(&path).await.expect_empty(204);
    assert_eq!(load(&app, start), None, "one went");
    let (shown, _) = ids(&ann, "/post/?page=100").await;
    let start = find(&app);
    assert_eq!(load(&app, start.clone()), Some(shown));

    // As many as before, and one of them elsewhere: the newest becomes the oldest, of another month than the page.
    let root = app.admin("root").await;
    let (newest, _) = ids(&ann, "/post/").await;
    let path = format!("/post/{}", newest[0]);
    let moved = root.patch(&path, json!({ "date": "2001-02-03T04:05:06Z" }));
    moved.await.expect(200);
    assert_eq!(load(&app, start), None, "one was moved");
    let (shown, _) = ids(&ann, "/post/?page=100").await;
    let start = find(&app);
    assert_eq!(load(&app, start), Some(shown));
}
