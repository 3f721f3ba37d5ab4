//! Slugs and summaries: what posts are called in links, and what lists show of them.

use actix_web::http::Method;
use chrono::Duration;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use futures_util::future::join_all;
use inkpot::core::db::schema::{old_slug, post};
use serde_json::{Value, json};

use crate::harness::contract::DESCRIPTION;
use crate::harness::{Answer, Client, TestApp, on_both_databases};

on_both_databases![
    a_post_is_read_by_its_slug_as_by_its_id,
    a_slug_stays_and_older_ones_lead_to_it,
    who_has_a_slug_keeps_it,
    drafts_keep_their_slugs_to_themselves,
    every_rule_of_slugs_and_summaries_has_its_code,
    a_hundred_posts_with_one_title_have_a_hundred_slugs,
    a_title_that_was_used_ten_thousand_times_costs_a_few_statements,
    many_at_once_choose_one_slug,
    a_key_that_is_repeated_gets_the_slug_of_the_first,
    summaries_are_made_when_a_post_is_written,
    what_is_given_as_it_is_there_changes_nothing,
    older_slugs_of_a_post_are_bounded_and_go_with_it,
];

/// A post with these fields beside title and content.
async fn publish(author: &Client<'_>, title: &str, more: Value) -> Value {
    let mut body = json!({ "title": title, "content": "Some *text*." });
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    author.post("/post", body).await.expect(201)["post"].clone()
}

async fn if_none_match(reader: &Client<'_>, path: &str, etag: &str) -> Answer {
    let request = reader
        .request(Method::GET, path)
        .insert_header(("If-None-Match", etag));
    reader.app().send(request).await
}

async fn a_post_is_read_by_its_slug_as_by_its_id(app: TestApp) {
    let ann = app.user("ann").await;
    let nobody = app.anonymous();
    nobody
        .get("/post/hello-world")
        .await
        .problem("post_not_found");
    let made = publish(&ann, "Hello, World!", json!({})).await;
    assert_eq!(made["slug"], "hello-world");
    assert_eq!(made["summary"], "Some text.");
    let by_id = nobody.get(&format!("/post/{}", made["post_id"])).await;
    for path in ["/post/hello-world", "/post/hello-world/"] {
        // The second time from what is kept.
        for _ in 0..2 {
            let by_slug = nobody.get(path).await;
            assert_eq!(by_slug.expect(200)["post"], made);
            assert_eq!(by_slug.body, by_id.body);
            for name in ["etag", "cache-control", "content-type", "vary"] {
                assert_eq!(by_slug.header(name), by_id.header(name), "{name}");
            }
        }
    }
    let units = app.state.db.units();
    nobody.get("/post/hello-world").await.expect(200);
    assert_eq!(app.state.db.units(), units);
    let etag = by_id.header("etag").to_owned();
    let again = if_none_match(&nobody, "/post/hello-world", &etag).await;
    assert_eq!((again.status.as_u16(), again.body.len()), (304, 0));
    let html = nobody
        .get("/post/hello-world?include=html")
        .await
        .expect(200);
    assert_eq!(html["post"]["post_html"], "<p>Some <em>text</em>.</p>\n");
    // Every change is seen at once, under either name.
    let path = format!("/post/{}", made["post_id"]);
    for content in ["one", "two"] {
        let changed = ann
            .patch(&path, json!({ "content": content }))
            .await
            .expect(200);
        assert_eq!(nobody.get("/post/hello-world").await.expect(200), changed);
        assert_eq!(nobody.get(&path).await.expect(200), changed);
    }
    let items = nobody.get("/post").await.expect(200)["posts"].clone();
    assert_eq!(
        (&items[0]["slug"], &items[0]["summary"]),
        (&json!("hello-world"), &json!("two"))
    );
    ann.delete(&path).await.expect_empty(204);
    nobody
        .get("/post/hello-world")
        .await
        .problem("post_not_found");
    // Only reading takes a slug.
    ann.patch("/post/hello-world", json!({}))
        .await
        .problem("path_invalid");
    ann.delete("/post/hello-world")
        .await
        .problem("path_invalid");
    nobody.get("/post/Hello").await.problem("path_invalid");
    // What is a route is no slug.
    for path in DESCRIPTION["paths"].as_object().unwrap().keys() {
        let Some(name) = path.strip_prefix("/post/") else {
            continue;
        };
        let name = name.split('/').next().unwrap();
        if !name.starts_with('{') {
            assert!(inkpot::posts::slug::is_reserved(name), "{name}");
        }
    }
    let made = publish(&ann, "Pub", json!({})).await;
    assert_eq!(made["slug"], "pub-2");
}

async fn a_slug_stays_and_older_ones_lead_to_it(app: TestApp) {
    let ann = app.user("ann").await;
    let nobody = app.anonymous();
    let made = publish(&ann, "First", json!({})).await;
    let path = format!("/post/{}", made["post_id"]);
    let changed = ann
        .patch(&path, json!({ "title": "Second" }))
        .await
        .expect(200);
    assert_eq!(changed["post"]["slug"], "first");
    for slug in ["second", "third", "fourth"] {
        let changed = ann.patch(&path, json!({ "slug": slug })).await.expect(200);
        assert_eq!(changed["post"]["slug"], slug);
        assert_eq!(
            nobody.get(&format!("/post/{slug}")).await.expect(200),
            changed
        );
    }
    for slug in ["first", "second", "third"] {
        let answer = nobody.get(&format!("/post/{slug}")).await;
        answer.expect_empty(301);
        assert_eq!(answer.header("location"), "/post/fourth");
        // It may be its slug again.
        assert_eq!(answer.header("cache-control"), "no-cache");
    }
    let answer = nobody.get("/post/first?include=html").await;
    assert_eq!(answer.header("location"), "/post/fourth?include=html");
    let back = ann
        .patch(&path, json!({ "slug": "first" }))
        .await
        .expect(200);
    assert_eq!(nobody.get("/post/first").await.expect(200), back);
    assert_eq!(
        nobody.get("/post/fourth").await.header("location"),
        "/post/first"
    );
    // Withdrawn, it leads only those there who see it.
    ann.patch(&path, json!({ "status": "draft" }))
        .await
        .expect(200);
    nobody.get("/post/fourth").await.problem("post_not_found");
    nobody.get("/post/first").await.problem("post_not_found");
    let own = ann.get("/post/fourth").await;
    own.expect_empty(301);
    assert_eq!(own.header("cache-control"), "no-store");
    assert_eq!(
        ann.get("/post/first").await.expect(200)["post"]["status"],
        "draft"
    );
    let changed = ann
        .patch(&path, json!({ "status": "published" }))
        .await
        .expect(200);
    assert_eq!(changed["post"]["slug"], "first");
    nobody.get("/post/fourth").await.expect_empty(301);
    ann.delete(&path).await.expect_empty(204);
    for slug in ["first", "second", "third", "fourth"] {
        nobody
            .get(&format!("/post/{slug}"))
            .await
            .problem("post_not_found");
    }
    // Free for everybody.
    let bob = app.user("bob").await;
    assert_eq!(publish(&bob, "Fourth", json!({})).await["slug"], "fourth");
}

async fn who_has_a_slug_keeps_it(app: TestApp) {
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let made = publish(&ann, "Mine", json!({})).await;
    let path = format!("/post/{}", made["post_id"]);
    ann.patch(&path, json!({ "slug": "ours" }))
        .await
        .expect(200);
    // Neither what it has nor what it had is anybody else's.
    let other = publish(&bob, "Other", json!({})).await;
    let other_path = format!("/post/{}", other["post_id"]);
    for slug in ["ours", "mine"] {
        let body = json!({ "title": "x", "content": "y", "slug": slug });
        let refused = bob.post("/post", body).await;
        assert_eq!(refused.status, 409);
        let problem = refused.problem("slug_taken");
        assert_eq!(problem["errors"][0]["pointer"], "/slug");
        assert_eq!(problem["errors"][0]["code"], "slug_taken");
        bob.patch(&other_path, json!({ "slug": slug, "title": "x" }))
            .await
            .problem("slug_taken");
    }
    assert_eq!(bob.get(&other_path).await.expect(200)["post"], other);
    assert_eq!(publish(&bob, "Mine", json!({})).await["slug"], "mine-2");
    assert_eq!(publish(&ann, "Mine", json!({})).await["slug"], "mine-3");
    // Its author may have another post take over, chosen and not by chance.
    let next = publish(&ann, "Next", json!({ "slug": "mine" })).await;
    assert_eq!(next["slug"], "mine");
    assert_eq!(
        app.anonymous().get("/post/mine").await.expect(200)["post"],
        next
    );
    assert_eq!(
        app.anonymous().get("/post/ours").await.expect(200)["post"]["post_id"],
        made["post_id"]
    );
    let refused = json!({ "title": "x", "content": "y", "slug": "ours" });
    ann.post("/post", refused).await.problem("slug_taken");
    // An admin changes it for the author.
    app.admin("root").await;
    let root = app.client_of(&app.login("root").await);
    root.patch(&other_path, json!({ "slug": "mine" }))
        .await
        .problem("slug_taken");
    let changed = root
        .patch(&other_path, json!({ "slug": "theirs" }))
        .await
        .expect(200);
    assert_eq!(changed["post"]["slug"], "theirs");
    app.anonymous().get("/post/other").await.expect_empty(301);
}

async fn drafts_keep_their_slugs_to_themselves(app: TestApp) {
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let draft = publish(&ann, "Draft", json!({ "status": "draft" })).await;
    assert_eq!(draft["slug"], Value::Null);
    assert_eq!(draft["summary"], "Some text.");
    let path = format!("/post/{}", draft["post_id"]);
    let chosen = ann
        .patch(&path, json!({ "slug": "secret" }))
        .await
        .expect(200);
    for reader in [&app.anonymous(), &bob] {
        let hidden = reader.get("/post/secret").await;
        let nothing = reader.get("/post/nothing").await;
        hidden.problem("post_not_found");
        assert_eq!(hidden.json()["detail"], nothing.json()["detail"]);
    }
    assert_eq!(ann.get("/post/secret").await.expect(200), chosen);
    assert_eq!(
        ann.get("/post/secret").await.header("cache-control"),
        "no-store"
    );
    // What nobody has seen leads nowhere when it changes.
    ann.patch(&path, json!({ "slug": "other" }))
        .await
        .expect(200);
    ann.get("/post/secret").await.problem("post_not_found");
    assert_eq!(publish(&bob, "Secret", json!({})).await["slug"], "secret");
    let published = ann
        .patch(&path, json!({ "status": "published" }))
        .await
        .expect(200);
    assert_eq!(published["post"]["slug"], "other");
    assert_eq!(
        app.anonymous().get("/post/other").await.expect(200),
        published
    );
    // Without a choice it is that of the title at that time.
    let draft = publish(&ann, "Working title", json!({ "status": "draft" })).await;
    let path = format!("/post/{}", draft["post_id"]);
    let change = json!({ "title": "Final title", "status": "published" });
    assert_eq!(
        ann.patch(&path, change).await.expect(200)["post"]["slug"],
        "final-title"
    );
    let bad = app
        .anonymous()
        .request(Method::GET, "/post/nothing")
        .insert_header(("Authorization", "Bearer x"));
    app.send(bad).await.problem("invalid_token");
    let bad = app
        .anonymous()
        .request(Method::GET, "/post/final-title")
        .insert_header(("Authorization", "Bearer x"));
    app.send(bad).await.expect(200);
}

async fn every_rule_of_slugs_and_summaries_has_its_code(app: TestApp) {
    let ann = app.user("ann").await;
    let path = format!("/post/{}", ann.publish("x", "y").await);
    let (long, longer) = ("é".repeat(500), "é".repeat(501));
    for (field, value, code) in [
        ("slug", "", "slug_invalid"),
        ("slug", "12", "slug_invalid"),
        ("slug", "A", "slug_invalid"),
        ("slug", "a b", "slug_invalid"),
        ("slug", &"a".repeat(101), "slug_invalid"),
        ("slug", "a\u{7}", "control_character"),
        ("slug", "archive", "slug_reserved"),
        ("slug", "pub", "slug_reserved"),
        ("summary", "", "summary_empty"),
        ("summary", " \u{200b}", "summary_empty"),
        ("summary", &longer, "summary_too_long"),
        ("summary", "a\nb", "control_character"),
        ("summary", "a\u{202e}b", "control_character"),
    ] {
        let pointer = format!("/{field}");
        let body = json!({ "title": "x", "content": "y", field: value });
        ann.post("/post", body).await.faults(&[(&pointer, code)]);
        ann.patch(&path, json!({ field: value }))
            .await
            .faults(&[(&pointer, code)]);
    }
    ann.patch(&path, json!({ "slug": null }))
        .await
        .faults(&[("/slug", "field_not_clearable")]);
    ann.patch(&path, json!({ "slug": 1, "summary": 2 }))
        .await
        .faults(&[("/slug", "field_mistyped"), ("/summary", "field_mistyped")]);
    let slug = "a".repeat(100);
    let made = publish(&ann, "x", json!({ "slug": slug, "summary": long })).await;
    assert_eq!(
        (&made["slug"], &made["summary"]),
        (&json!(slug), &json!(long))
    );
    // Null is absence in a new post.
    let made = publish(&ann, "Null", json!({ "slug": null, "summary": null })).await;
    assert_eq!(
        (&made["slug"], &made["summary"]),
        (&json!("null"), &json!("Some text."))
    );
}

async fn a_hundred_posts_with_one_title_have_a_hundred_slugs(app: TestApp) {
    let ann = app.user("ann").await;
    let body = json!({ "title": "Same", "content": "y" });
    let answers = join_all((0..100).map(|_| ann.post("/post", body.clone()))).await;
    let mut slugs: Vec<String> = (answers.iter())
        .map(|answer| {
            answer.expect(201)["post"]["slug"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    slugs.sort();
    slugs.dedup();
    assert_eq!(slugs.len(), 100);
    assert!(
        slugs
            .iter()
            .all(|slug| slug == "same" || slug.starts_with("same-"))
    );
    for slug in &slugs {
        app.anonymous()
            .get(&format!("/post/{slug}"))
            .await
            .expect(200);
    }
    // Drafts that are published at once, and posts beside them.
    let mut drafts = Vec::new();
    for _ in 0..10 {
        let draft = publish(&ann, "Same", json!({ "status": "draft" })).await;
        drafts.push(format!("/post/{}", draft["post_id"]));
    }
    let change = json!({ "status": "published" });
    let patches = join_all(drafts.iter().map(|path| ann.patch(path, change.clone())));
    let posts = join_all((0..10).map(|_| ann.post("/post", body.clone())));
    let (changed, made) = futures_util::future::join(patches, posts).await;
    slugs.extend((changed.iter()).map(|answer| answer.expect(200)["post"]["slug"].to_string()));
    slugs.extend((made.iter()).map(|answer| answer.expect(201)["post"]["slug"].to_string()));
    slugs.sort();
    slugs.dedup();
    assert_eq!(slugs.len(), 120);
}

async fn a_title_that_was_used_ten_thousand_times_costs_a_few_statements(app: TestApp) {
    let ann = app.user("ann").await;
    let digits = "(SELECT 0 AS d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 \
        UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)";
    app.database.with(move |conn| {
        let slug = if matches!(conn, inkpot::core::db::Conn::Mysql(_)) {
            "CONCAT('used-', n)"
        } else {
            "'used-' || n"
        };
        conn.batch_execute(&format!(
            "INSERT INTO post (author_id, title, date, updated, published, place, tags, slug, summary) \
             SELECT 1, 'Used', '2026-01-01 00:00:00', '2026-01-01 00:00:00', 0, -n, '', \
             CASE WHEN n = 1 THEN 'used' ELSE {slug} END, '' FROM \
             (SELECT 1 + a.d + 10 * b.d + 100 * c.d + 1000 * d.d AS n \
              FROM {digits} a, {digits} b, {digits} c, {digits} d) numbers"
        ))
        .unwrap();
    });
    app.database.with(|conn| {
        use inkpot::posts::storage::slugs::{Assigned, LastNumbers, Wanted, assign};
        let wanted = [Wanted::Made("used"); 32];
        let last = LastNumbers::default();
        let assigned = assign(conn, &wanted, 0, &last).unwrap();
        let expected: Vec<Assigned> = (10_001..10_033)
            .map(|n| Assigned::Slug(format!("used-{n}")))
            .collect();
        assert_eq!(assigned, expected);
        // What was given is known, and does not hold where somebody has taken it.
        conn.batch_execute("UPDATE post SET slug = 'used-10034' WHERE slug = 'used-9'")
            .unwrap();
        let assigned = assign(conn, &[Wanted::Made("used"); 2], 0, &last).unwrap();
        let slug = |n: i64| Assigned::Slug(format!("used-{n}"));
        assert_eq!(assigned, [slug(10_033), slug(9)]);
    });
    let made = publish(&ann, "Used", json!({})).await;
    assert_eq!(made["slug"], "used-9");
    assert_eq!(publish(&ann, "Used", json!({})).await["slug"], "used-10001");
}

async fn many_at_once_choose_one_slug(app: TestApp) {
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let body = json!({ "title": "x", "content": "y", "slug": "wanted" });
    let draft = publish(&bob, "Draft", json!({ "status": "draft" })).await;
    let path = format!("/post/{}", draft["post_id"]);
    let posts = join_all((0..20).map(|_| ann.post("/post", body.clone())));
    let attempt = bob.patch(&path, json!({ "slug": "wanted" }));
    let (mut answers, patched) = futures_util::future::join(posts, attempt).await;
    answers.push(patched);
    let (won, lost): (Vec<&Answer>, Vec<&Answer>) = answers
        .iter()
        .partition(|answer| answer.status.is_success());
    assert_eq!((won.len(), lost.len()), (1, 20));
    for answer in lost {
        answer.problem("slug_taken");
    }
    // The post of a refusal is nowhere.
    let count: i64 = app
        .database
        .with(|conn| post::table.count().get_result(conn).unwrap());
    assert_eq!(count, if won[0].status == 201 { 2 } else { 1 });
}

async fn a_key_that_is_repeated_gets_the_slug_of_the_first(app: TestApp) {
    let ann = app.user("ann").await;
    let send = async |key: &str, body: Value| {
        let request = ann
            .request(Method::POST, "/post")
            .insert_header(("Idempotency-Key", key.to_owned()))
            .set_json(body);
        app.send(request).await
    };
    let body = json!({ "title": "Once", "content": "y", "slug": "once", "summary": "s" });
    let first = send("a", body.clone()).await;
    assert_eq!(first.expect(201)["post"]["slug"], "once");
    assert_eq!(send("a", body.clone()).await.body, first.body);
    for (field, value) in [("slug", "twice"), ("summary", "t")] {
        let mut other = body.clone();
        other[field] = value.into();
        send("a", other).await.problem("idempotency_key_reused");
    }
    // A refusal leaves the key free.
    send("b", body.clone()).await.problem("slug_taken");
    let mut other = body.clone();
    other["slug"] = "other".into();
    send("b", other).await.expect(201);
}

async fn summaries_are_made_when_a_post_is_written(app: TestApp) {
    let ann = app.user("ann").await;
    let long = "word ".repeat(100);
    let made = publish(
        &ann,
        "x",
        json!({ "content": format!("# Title\n\n{long}") }),
    )
    .await;
    let summary = made["summary"].as_str().unwrap();
    assert!(
        summary.starts_with("Title word word") && summary.ends_with("word…"),
        "{summary}"
    );
    assert!(summary.chars().count() <= 200);
    let path = format!("/post/{}", made["post_id"]);
    let summary_after = async |change: Value| {
        let changed = ann.patch(&path, change).await.expect(200);
        assert_eq!(app.anonymous().get(&path).await.expect(200), changed);
        let items = app.anonymous().get("/post").await.expect(200)["posts"].clone();
        assert_eq!(items[0]["summary"], changed["post"]["summary"]);
        changed["post"]["summary"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        summary_after(json!({ "content": "<b>*new*</b>" })).await,
        "new"
    );
    assert_eq!(summary_after(json!({ "format": "html" })).await, "*new*");
    assert_eq!(
        summary_after(json!({ "format": "text" })).await,
        "<b>*new*</b>"
    );
    // The author's stays, whatever the text.
    assert_eq!(summary_after(json!({ "summary": "Mine." })).await, "Mine.");
    assert_eq!(
        summary_after(json!({ "content": "other", "format": "markdown" })).await,
        "Mine."
    );
    assert_eq!(summary_after(json!({ "summary": null })).await, "other");
    assert_eq!(summary_after(json!({ "content": "again" })).await, "again");
    // Sent back as it was read, it is not the author's.
    let change = json!({ "content": "once more", "summary": "again" });
    assert_eq!(summary_after(change).await, "once more");
    assert_eq!(summary_after(json!({ "content": "![x](y)" })).await, "");
}

async fn what_is_given_as_it_is_there_changes_nothing(app: TestApp) {
    let ann = app.user("ann").await;
    for status in ["published", "draft"] {
        for (slug, summary) in [
            (json!(null), json!(null)),
            (json!(format!("own-{status}")), json!("Own.")),
        ] {
            let body = json!({
                "title": "Same", "content": "words", "status": status, "tags": ["t"], "format": "text",
                "slug": slug, "summary": summary,
            });
            let made = ann.post("/post", body).await.expect(201)["post"].clone();
            let path = format!("/post/{}", made["post_id"]);
            let before = ann.get(&path).await;
            app.clock.advance(Duration::seconds(1));
            let mut given = json!({
                "title": made["post_title"], "content": made["post_content"], "status": made["status"],
                "tags": made["tags"], "format": made["format"], "summary": made["summary"],
            });
            if !made["slug"].is_null() {
                given["slug"] = made["slug"].clone();
            }
            let mut changes: Vec<Value> = (given.as_object().unwrap().iter())
                .map(|(name, value)| json!({ name: value }))
                .collect();
            if summary.is_null() {
                changes.push(json!({ "summary": null }));
            }
            changes.push(given);
            for change in changes {
                let answer = ann.patch(&path, change.clone()).await;
                assert_eq!(answer.expect(200)["post"], made, "{change}");
                assert_eq!(answer.header("etag"), before.header("etag"), "{change}");
            }
            assert_eq!(ann.get(&path).await.body, before.body);
        }
    }
}

async fn older_slugs_of_a_post_are_bounded_and_go_with_it(app: TestApp) {
    let ann = app.user("ann").await;
    let made = publish(&ann, "s-0", json!({})).await;
    let path = format!("/post/{}", made["post_id"]);
    for n in 1..=103 {
        ann.patch(&path, json!({ "slug": format!("s-{n}") }))
            .await
            .expect(200);
    }
    let kept = |app: &TestApp| -> i64 {
        app.database
            .with(|conn| old_slug::table.count().get_result(conn).unwrap())
    };
    assert_eq!(kept(&app), 100);
    app.anonymous()
        .get("/post/s-2")
        .await
        .problem("post_not_found");
    app.anonymous().get("/post/s-3").await.expect_empty(301);
    app.anonymous().get("/post/s-103").await.expect(200);
    ann.delete(&path).await.expect_empty(204);
    assert_eq!(kept(&app), 0);
}
