//! Feeds of the comments of a post: what was said last, in both formats.

use chrono::Duration;
use serde_json::{Value, json};

use crate::feeds::{BASE, feed, feed_at};
use crate::harness::{TestApp, on_both_databases};

on_both_databases![
    comments_of_a_post_have_a_feed,
    what_a_feed_of_comments_is_made_of_changes,
    drafts_have_no_feed_of_comments,
];

async fn comments_of_a_post_have_a_feed(app: TestApp) {
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let post = ann.publish("Fish & <chips>", "text").await;
    let path = format!("/post/{post}/comments");
    let (empty, _) = feed_at(&app, &path, "").await;
    assert_eq!(empty["items"], json!([]));
    let page = format!("{BASE}/p/fish-chips");
    assert_eq!(empty["home_page_url"], page);
    assert_eq!(empty["title"], "Inkpot: Fish & <chips>");
    let mut made = Vec::new();
    for n in 0..23 {
        app.clock.advance(Duration::seconds(1));
        let reply_to = (n == 22).then_some(made.last()).flatten();
        let body = json!({ "content": format!("*{n}* & more"), "reply_to": reply_to });
        let comment = bob.post(&path, body).await.expect(201)["comment"].clone();
        made.push(comment["comment_id"].clone());
    }
    app.clock.advance(Duration::seconds(1));
    let changed = json!({ "content": "changed" });
    bob.patch(&format!("/comment/{}", made[20]), changed)
        .await
        .expect(200);
    // One that leaves its place, and one that is gone.
    bob.delete(&format!("/comment/{}", made[21]))
        .await
        .expect_empty(204);
    bob.delete(&format!("/comment/{}", made[19]))
        .await
        .expect_empty(204);

    let (newest, threads) = feed_at(&app, &path, "").await;
    let shown = |feed: &Value| -> Vec<String> {
        let items = feed["items"].as_array().unwrap().iter();
        items
            .map(|item| item["content_html"].as_str().unwrap().to_owned())
            .collect()
    };
    let html = |n: usize| match n {
        20 => "<p>changed</p>\n".to_owned(),
        n => format!("<p><em>{n}</em> &amp; more</p>\n"),
    };
    let expected: Vec<String> = [22, 20]
        .into_iter()
        .chain((2..19).rev())
        .map(html)
        .collect();
    assert_eq!(shown(&newest), expected);
    let first = &newest["items"][0];
    assert_eq!(first["url"], format!("{page}#comment-{}", made[22]));
    assert_eq!(first["title"], "Re: Fish & <chips>");
    assert_eq!(first["authors"], json!([{ "name": "bob" }]));
    assert_ne!(
        newest["items"][1]["date_modified"],
        newest["items"][1]["date_published"]
    );
    let posts = feed(&app, "").await;
    if let Some(threads) = threads {
        // What it answers was deleted: its place is known by its id.
        assert!(threads[0][0].as_str().unwrap().starts_with("urn:uuid:"));
        assert_eq!(threads[0][1], format!("{page}#comment-{}", made[21]));
        assert_eq!(threads[1], json!([posts["items"][0]["id"], page]));
    }
    let next = newest["next_url"].as_str().unwrap();
    let query = next.strip_prefix(&format!("{BASE}{path}.json")).unwrap();
    let (older, _) = feed_at(&app, &path, query).await;
    assert_eq!(shown(&older), [html(1), html(0)]);
    assert!(older.get("next_url").is_none());
}

async fn what_a_feed_of_comments_is_made_of_changes(app: TestApp) {
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let post = ann.publish("One", "text").await;
    let path = format!("/post/{post}/comments");
    let body = json!({ "content": "First" });
    bob.post(&path, body).await.expect(201);
    let (before, _) = feed_at(&app, &path, "").await;
    let first = &before["items"][0];

    let change = json!({ "title": "Other", "slug": "other" });
    ann.patch(&format!("/post/{post}"), change)
        .await
        .expect(200);
    let (renamed, _) = feed_at(&app, &path, "").await;
    assert_eq!(renamed["title"], "Inkpot: Other");
    assert_eq!(renamed["items"][0]["id"], first["id"]);
    let url = renamed["items"][0]["url"].as_str().unwrap();
    assert!(
        url.starts_with(&format!("{BASE}/p/other#comment-")),
        "{url}"
    );
    let atom = format!("{path}.atom");
    let etag = app.anonymous().get(&atom).await.header("etag").to_owned();
    let again = app
        .anonymous()
        .with_header("If-None-Match", &etag)
        .get(&atom)
        .await;
    assert_eq!(again.status.as_u16(), 304);
    let again = json!({ "content": "Second" });
    bob.post(&path, again).await.expect(201);
    let (more, _) = feed_at(&app, &path, "").await;
    assert_eq!(more["items"].as_array().unwrap().len(), 2);
    bob.patch("/user/me", json!({ "name": "Robert" }))
        .await
        .expect(200);
    let (named, _) = feed_at(&app, &path, "").await;
    assert_eq!(named["items"][0]["authors"], json!([{ "name": "Robert" }]));
}

async fn drafts_have_no_feed_of_comments(app: TestApp) {
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let post = ann.publish("One", "text").await;
    let path = format!("/post/{post}/comments");
    bob.post(&path, json!({ "content": "First" }))
        .await
        .expect(201);
    feed_at(&app, &path, "").await;
    ann.patch(&format!("/post/{post}"), json!({ "status": "draft" }))
        .await
        .expect(200);
    for ending in [".atom", ".json"] {
        for reader in [&ann, &bob, &app.anonymous()] {
            let answer = reader.get(&format!("{path}{ending}")).await;
            answer.problem("post_not_found");
        }
        let missing = app
            .anonymous()
            .get(&format!("/post/77/comments{ending}"))
            .await;
        missing.problem("post_not_found");
        let bad = app
            .anonymous()
            .get(&format!("/post/0/comments{ending}"))
            .await;
        bad.problem("path_invalid");
        for query in ["before=x", "before=0", "page=1", "size=1"] {
            let answer = app
                .anonymous()
                .get(&format!("{path}{ending}?{query}"))
                .await;
            answer.problem("query_invalid");
        }
    }
}
