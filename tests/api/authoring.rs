//! Managing one's blog: drafts, publishing later, tags, and changes that do not
//! overwrite each other.

use actix_web::http::Method;
use chrono::Duration;
use diesel::connection::SimpleConnection;
use futures_util::future::join_all;
use inkpot::posts::storage::check::{tags, words};
use serde_json::{Value, json};

use crate::harness::{Answer, Client, TestApp, on_both_databases};

on_both_databases![
    a_draft_is_seen_by_its_author_and_admins_only,
    a_draft_is_published_later,
    an_unpublished_post_is_a_draft_again,
    what_was_published_before_comes_back_to_its_place,
    a_published_draft_stands_before_what_is_older,
    a_draft_that_is_published_next_leaves_no_id_out,
    tags_are_kept_in_their_one_spelling,
    each_rule_of_tags_and_status_has_its_code,
    creation_is_kept_and_the_username_is_the_present_one,
    a_change_leaves_the_rest,
    an_empty_change_changes_nothing,
    values_that_are_there_change_nothing,
    changes_at_once_leave_the_search_right,
    every_change_has_its_own_etag,
    if_match_lets_only_the_seen_state_be_changed,
    a_hundred_changes_with_one_etag_are_one,
    a_hundred_changes_without_a_condition_are_all_whole,
    a_hundred_publications_of_one_draft_are_one,
    somebody_elses_post_stays_as_it_is,
];

async fn draft(author: &Client<'_>, title: &str) -> i64 {
    let body = json!({ "title": title, "content": "a draft", "status": "draft" });
    let made = author.post("/post/pub", body).await.expect(201);
    assert_eq!(made["post"]["status"], "draft");
    assert_eq!(made["post"]["date"], Value::Null);
    made["post_id"].as_i64().unwrap()
}

async fn titles(reader: &Client<'_>, query: &str) -> Vec<String> {
    let page = reader.get(&format!("/post/{query}")).await.expect(200);
    let posts = page["posts"].as_array().unwrap();
    if let Some(count) = page["pagination"]["count"].as_u64() {
        assert!(count >= posts.len() as u64);
    }
    let title = |post: &Value| post["post_title"].as_str().unwrap().to_owned();
    posts.iter().map(title).collect()
}

async fn a_draft_is_seen_by_its_author_and_admins_only(app: TestApp) {
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    app.admin("root").await;
    let root = app.client_of(&app.login("root").await);
    let id = draft(&ann, "Mine").await;
    let path = format!("/post/{id}");
    for reader in [&app.anonymous(), &bob] {
        let answer = reader.get(&path).await;
        answer.expect(404);
        answer.problem("post_not_found");
    }
    for reader in [&ann, &root] {
        let answer = reader.get(&path).await;
        assert_eq!(answer.expect(200)["post"]["status"], "draft");
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    // A bad token is told where a token could matter, the same for what is not there.
    let mut forged = app.anonymous();
    forged.token = Some("x.y.z".to_owned());
    for path in [path.as_str(), "/post/999999"] {
        forged.get(path).await.problem("invalid_token");
    }
    let public = ann.publish("Public", "x").await;
    forged.get(&format!("/post/{public}")).await.expect(200);

    // To others it is not there in any way.
    for (method, body) in [
        (Method::PATCH, json!({ "title": "Taken" })),
        (Method::DELETE, Value::Null),
    ] {
        bob.call(method, &path, body)
            .await
            .problem("post_not_found");
    }
    // Nor in any list, nor in anybody's number of posts.
    for query in ["", "?q=draft", "?before=", "?tag=x"] {
        assert!(!titles(&ann, query).await.contains(&"Mine".to_owned()));
    }
    let profile = app
        .anonymous()
        .get(&format!("/user/{}", ann.user_id))
        .await
        .expect(200);
    assert_eq!(profile["user"]["posts"], 1);

    assert_eq!(titles(&ann, "?status=draft").await, ["Mine"]);
    assert_eq!(titles(&ann, "?status=draft&before=").await, ["Mine"]);
    assert_eq!(titles(&ann, "?status=draft&q=mine").await, ["Mine"]);
    let own = format!("?status=draft&author={}", ann.user_id);
    assert_eq!(titles(&ann, &own).await, ["Mine"]);
    for reader in [&bob, &root] {
        assert!(titles(reader, "?status=draft").await.is_empty());
        assert!(titles(reader, &own).await.is_empty());
    }
    let refused = app.anonymous().get("/post/?status=draft").await;
    refused.expect(401);
    refused.problem("token_missing");
    forged.get("/post/?status=draft").await.expect(401);
    forged.get("/post/").await.expect(200);
}

async fn a_draft_is_published_later(app: TestApp) {
    let ann = app.user("ann").await;
    let id = draft(&ann, "Later").await;
    let path = format!("/post/{id}");
    app.clock.advance(Duration::minutes(20));
    let published = ann
        .patch(&path, json!({ "status": "published" }))
        .await
        .expect(200);
    let now = inkpot::core::clock::rfc3339(app.clock.now());
    assert_eq!(published["post"]["date"], now);
    assert_eq!(published["post"]["status"], "published");
    assert_eq!(app.anonymous().get(&path).await.expect(200), published);
    assert_eq!(titles(&app.anonymous(), "").await, ["Later"]);
    assert!(titles(&ann, "?status=draft").await.is_empty());

    // Once more it is no news.
    app.clock.advance(Duration::minutes(10));
    let again = ann
        .patch(&path, json!({ "status": "published", "title": "Now" }))
        .await
        .expect(200);
    assert_eq!(again["post"]["date"], now);
    assert_ne!(again["post"]["updated"], now);
}

async fn an_unpublished_post_is_a_draft_again(app: TestApp) {
    let ann = app.user("ann").await;
    let body = json!({ "title": "Public", "content": "words", "tags": ["x"] });
    let made = ann.post("/post", body).await.expect(201);
    let path = format!("/post/{}", made["post_id"]);
    ann.patch(&path, json!({ "status": "draft" }))
        .await
        .expect(200);
    app.anonymous().get(&path).await.expect(404);
    for query in ["", "?before=", "?tag=x", "?q=words", "?author=1"] {
        assert!(titles(&ann, query).await.is_empty(), "{query}");
    }
    for query in [
        "?status=draft",
        "?status=draft&tag=x",
        "?status=draft&q=words",
    ] {
        assert_eq!(titles(&ann, query).await, ["Public"], "{query}");
    }
    app.clock.advance(Duration::minutes(10));
    let again = ann
        .patch(&path, json!({ "status": "published" }))
        .await
        .expect(200);
    assert_eq!(again["post"]["date"], made["post"]["date"]);
    for query in ["", "?before=", "?tag=x", "?q=words", "?author=1"] {
        assert_eq!(titles(&ann, query).await, ["Public"], "{query}");
    }
}

async fn what_was_published_before_comes_back_to_its_place(app: TestApp) {
    let ann = app.user("ann").await;
    let now = || inkpot::core::clock::rfc3339(app.clock.now());
    let made = ann
        .post(
            "/post",
            json!({ "title": "One", "content": "words", "tags": ["x"] }),
        )
        .await
        .expect(201);
    let path = format!("/post/{}", made["post_id"]);
    app.clock.advance(Duration::minutes(1));
    let two = ann.publish("Two", "words").await;
    for _ in 0..2 {
        app.clock.advance(Duration::minutes(1));
        let withdrawn = ann.patch(&path, json!({ "status": "draft" })).await;
        assert_eq!(withdrawn.expect(200)["post"]["date"], Value::Null);
        // A change of it meanwhile, a wish without the status, and a repeat are none of it.
        for change in [
            json!({ "tags": ["y", "x"] }),
            json!({ "as_new": true }),
            json!({ "status": "draft", "as_new": true }),
            json!({ "content": "other words" }),
        ] {
            ann.patch(&path, change).await.expect(200);
        }
        app.clock.advance(Duration::minutes(1));
        let again = ann.patch(&path, json!({ "status": "published" })).await;
        assert_eq!(again.expect(200)["post"]["date"], made["post"]["date"]);
        assert_eq!(again.expect(200)["post"]["updated"], now());
        for query in ["", "?before=", "?q=words", "?author=1"] {
            assert_eq!(titles(&ann, query).await, ["Two", "One"], "{query}");
        }
        assert_eq!(titles(&ann, "?tag=y").await, ["One"]);
        ann.patch(&path, json!({ "content": "words", "tags": ["x"] }))
            .await
            .expect(200);
    }
    // It took no number.
    assert_eq!(ann.publish("Three", "words").await, two + 1);

    // By wish it is new; said once more that is no news.
    ann.patch(&path, json!({ "status": "draft" }))
        .await
        .expect(200);
    app.clock.advance(Duration::minutes(1));
    let wish = json!({ "status": "published", "as_new": true });
    let anew = ann.patch(&path, wish.clone()).await.expect(200);
    assert_eq!(anew["post"]["date"], now());
    app.clock.advance(Duration::minutes(1));
    assert_eq!(ann.patch(&path, wish).await.expect(200), anew);
    for query in ["", "?before=", "?q=words", "?author=1"] {
        assert_eq!(
            titles(&ann, query).await,
            ["One", "Three", "Two"],
            "{query}"
        );
    }
    let (rows, found) = app.database.with(|conn| {
        (
            tags::compare(conn, &|_| Ok(())).unwrap(),
            words::compare(conn, &|_| Ok(())).unwrap(),
        )
    });
    assert_eq!(found, words::Found::default());
    assert_eq!(rows, tags::Found::default());

    // Only a change has the wish.
    for (wrong, code) in [
        (json!("yes"), "field_mistyped"),
        (json!(null), "field_not_clearable"),
    ] {
        let answer = ann.patch(&path, json!({ "as_new": wrong })).await;
        answer.faults(&[("/as_new", code)]);
    }
    let body = json!({ "title": "x", "content": "y", "as_new": true });
    ann.post("/post", body)
        .await
        .faults(&[("/as_new", "field_unknown")]);
}

async fn a_published_draft_stands_before_what_is_older(app: TestApp) {
    let ann = app.user("ann").await;
    let late = draft(&ann, "Late").await;
    ann.publish("One", "x").await;
    let other = draft(&ann, "Other").await;
    ann.publish("Two", "x").await;
    ann.patch(&format!("/post/{late}"), json!({ "status": "published" }))
        .await
        .expect(200);
    ann.publish("Three", "x").await;
    let all = ["Three", "Late", "Two", "One"];
    assert_eq!(titles(&ann, "").await, all);
    assert_eq!(titles(&ann, "?before=").await, all);
    assert_eq!(titles(&ann, "?q=draft").await, ["Late"]);
    assert_eq!(titles(&ann, "?status=draft").await, ["Other"]);
    ann.delete(&format!("/post/{late}")).await.expect_empty(204);
    ann.delete(&format!("/post/{other}"))
        .await
        .expect_empty(204);
    assert_eq!(titles(&ann, "").await, ["Three", "Two", "One"]);
    assert!(titles(&ann, "?status=draft").await.is_empty());
}

async fn a_draft_that_is_published_next_leaves_no_id_out(app: TestApp) {
    let ann = app.user("ann").await;
    let publish = async |id: i64| {
        let path = format!("/post/{id}");
        let published = json!({ "status": "published" });
        ann.patch(&path, published).await.expect(200);
        app.clock.advance(Duration::seconds(1));
    };
    let first = draft(&ann, "first").await;
    publish(first).await;
    // Drafts that are published in the order in which they were made.
    let (second, third) = (draft(&ann, "second").await, draft(&ann, "third").await);
    publish(second).await;
    publish(third).await;
    assert_eq!(ann.publish("fourth", "x").await, first + 3);
    let all = ["fourth", "third", "second", "first"];
    assert_eq!(titles(&ann, "").await, all);
    // One that was withdrawn stays where it was, so what is published meanwhile stands above it.
    app.clock.advance(Duration::seconds(1));
    let fifth = draft(&ann, "fifth").await;
    let sixth = ann.publish("sixth", "x").await;
    let sixth = format!("/post/{sixth}");
    ann.patch(&sixth, json!({ "status": "draft" }))
        .await
        .expect(200);
    app.clock.advance(Duration::seconds(1));
    publish(fifth).await;
    ann.patch(&sixth, json!({ "status": "published" }))
        .await
        .expect(200);
    let newest = titles(&ann, "?size=2").await;
    assert_eq!(newest, ["fifth", "sixth"]);
}

async fn tags_are_kept_in_their_one_spelling(app: TestApp) {
    let ann = app.user("ann").await;
    let body = json!({
        "title": "x", "content": "y",
        "tags": ["Rust", " rust ", "web dev", "ÉTÉ", "E\u{301}te\u{301}", "中文", "a,b", "C++", "'; DROP TABLE post; --"],
    });
    let made = ann.post("/post", body).await.expect(201);
    let kept = json!([
        "rust",
        "web dev",
        "été",
        "中文",
        "a,b",
        "c++",
        "'; drop table post; --"
    ]);
    assert_eq!(made["post"]["tags"], kept);
    let page = app.anonymous().get("/post").await.expect(200);
    assert_eq!(page["posts"][0]["tags"], kept);
    for tag in [
        "RUST",
        "rust",
        "Web%20Dev",
        "web+dev",
        "%C3%89t%C3%A9",
        "%E4%B8%AD%E6%96%87",
        "a,b",
        "c%2B%2B",
    ] {
        assert_eq!(
            titles(&app.anonymous(), &format!("?tag={tag}")).await,
            ["x"],
            "{tag}"
        );
    }
    for tag in ["rus", "rust2", "ete", "c", "%25"] {
        assert!(
            titles(&app.anonymous(), &format!("?tag={tag}"))
                .await
                .is_empty(),
            "{tag}"
        );
    }
    // All are replaced, and may be taken away.
    let path = format!("/post/{}", made["post_id"]);
    let changed = ann
        .patch(&path, json!({ "tags": ["new", "rust"] }))
        .await
        .expect(200);
    assert_eq!(changed["post"]["tags"], json!(["new", "rust"]));
    assert_eq!(titles(&ann, "?tag=new").await, ["x"]);
    assert_eq!(titles(&ann, "?tag=rust").await, ["x"]);
    assert!(titles(&ann, "?tag=web+dev").await.is_empty());
    let bare = ann.patch(&path, json!({ "tags": [] })).await.expect(200);
    assert_eq!(bare["post"]["tags"], json!([]));
    assert!(titles(&ann, "?tag=rust").await.is_empty());
}

async fn each_rule_of_tags_and_status_has_its_code(app: TestApp) {
    let ann = app.user("ann").await;
    let eleven: Vec<String> = (0..11).map(|n| format!("t{n}")).collect();
    for (field, value, pointer, code) in [
        ("tags", json!(eleven), "/tags", "too_many_tags"),
        ("tags", json!(vec!["x"; 1000]), "/tags", "too_many_tags"),
        ("tags", json!("rust"), "/tags", "field_mistyped"),
        ("tags", json!({ "0": "rust" }), "/tags", "field_mistyped"),
        ("tags", json!(["a", 1]), "/tags/1", "field_mistyped"),
        ("tags", json!(["a", ["b"]]), "/tags/1", "field_mistyped"),
        ("tags", json!([null]), "/tags/0", "field_mistyped"),
        ("tags", json!(["a", "b", ""]), "/tags/2", "tag_empty"),
        ("tags", json!([" \u{3000}"]), "/tags/0", "tag_empty"),
        ("tags", json!(["é".repeat(33)]), "/tags/0", "tag_too_long"),
        ("tags", json!(["a\nb"]), "/tags/0", "control_character"),
        ("tags", json!(["\u{0}"]), "/tags/0", "control_character"),
        ("status", json!("Draft"), "/status", "status_invalid"),
        ("status", json!(true), "/status", "field_mistyped"),
    ] {
        let mut body = json!({ "title": "x", "content": "y" });
        body[field] = value.clone();
        ann.post("/post", body).await.faults(&[(pointer, code)]);
        let id = 1;
        let patch = ann
            .patch(&format!("/post/{id}"), json!({ field: value }))
            .await;
        patch.faults(&[(pointer, code)]);
    }
    let body = json!({ "title": "", "tags": ["", "x\u{7f}"], "status": "x" });
    ann.post("/post", body).await.faults(&[
        ("/title", "title_empty"),
        ("/content", "field_missing"),
        ("/tags/0", "tag_empty"),
        ("/tags/1", "control_character"),
        ("/status", "status_invalid"),
    ]);
    for field in ["title", "content", "tags", "status"] {
        let pointer = format!("/{field}");
        ann.patch("/post/1", json!({ field: null }))
            .await
            .faults(&[(&pointer, "field_not_clearable")]);
    }
    // Null is absence in a new post; ten tags of 32 characters are taken.
    let tags: Vec<String> = (0..10).map(|n| format!("{n}{}", "é".repeat(31))).collect();
    let body = json!({ "title": "x", "content": "y", "status": null, "tags": tags });
    let made = ann.post("/post", body).await.expect(201);
    assert_eq!(made["post"]["tags"], json!(tags));
    assert_eq!(made["post"]["status"], "published");
    let body = json!({ "title": "x", "content": "y", "tags": null });
    let made = ann.post("/post", body).await.expect(201);
    assert_eq!(made["post"]["tags"], json!([]));
}

async fn creation_is_kept_and_the_username_is_the_present_one(app: TestApp) {
    let ann = app.user("ann").await;
    let created = inkpot::core::clock::rfc3339(app.clock.now());
    let id = draft(&ann, "Draft").await;
    let path = format!("/post/{id}");
    for change in [
        json!({ "title": "Other" }),
        json!({ "status": "published" }),
        json!({ "status": "draft" }),
        json!({ "status": "published", "as_new": true }),
    ] {
        app.clock.advance(Duration::minutes(1));
        let changed = ann.patch(&path, change.clone()).await.expect(200);
        assert_eq!(changed["post"]["created"], created, "{change}");
    }
    // What is kept of answers knows of every change of the name.
    let everywhere = async |username: Value| {
        let one = app.anonymous().get(&path).await.expect(200);
        assert_eq!(one["post"]["author_username"], username);
        assert_eq!(one["post"]["created"], created);
        for query in ["", "?before=", "?author=1", "?q=draft", "?tag=t"] {
            let list = app.anonymous().get(&format!("/post/{query}")).await;
            let item = &list.expect(200)["posts"][0];
            assert_eq!(item["author_username"], username, "{query}");
            assert_eq!(item["created"], created, "{query}");
        }
    };
    ann.patch(&path, json!({ "tags": ["t"] })).await.expect(200);
    everywhere(Value::Null).await;
    for username in [json!("ann-smith"), json!("Ann-Smith"), Value::Null] {
        let change = json!({ "username": username });
        ann.patch("/user/me", change).await.expect(200);
        everywhere(username.clone()).await;
        let made = json!({ "title": "x", "content": "y", "status": "draft" });
        let made = ann.post("/post", made).await.expect(201);
        assert_eq!(made["post"]["author_username"], username);
    }
    // Of what was there before, the date is all that is known.
    app.database.with(move |conn| {
        let sql = format!("UPDATE post SET created = NULL WHERE post_id = {id}");
        conn.batch_execute(&sql).unwrap();
    });
    let change = json!({ "title": "Once more" });
    let post = ann.patch(&path, change).await.expect(200)["post"].clone();
    assert_eq!(post["created"], post["date"]);
    let created = post["date"].clone();
    let change = json!({ "status": "draft" });
    let post = ann.patch(&path, change).await.expect(200)["post"].clone();
    assert_eq!(post["created"], created);
}

async fn a_change_leaves_the_rest(app: TestApp) {
    let ann = app.user("ann").await;
    let body = json!({ "title": "First", "content": "alpha", "tags": ["x"] });
    let mut post = ann.post("/post", body).await.expect(201)["post"].clone();
    let path = format!("/post/{}", post["post_id"]);
    for (change, field, value) in [
        (json!({ "title": "Second" }), "post_title", json!("Second")),
        (json!({ "content": "beta" }), "post_content", json!("beta")),
        (json!({ "tags": ["y", "z"] }), "tags", json!(["y", "z"])),
        (
            json!({ "title": "中文標題" }),
            "post_title",
            json!("中文標題"),
        ),
    ] {
        app.clock.advance(Duration::seconds(1));
        let changed = ann.patch(&path, change).await.expect(200);
        if field == "post_content" {
            // Made of it, as nobody has given one.
            post["summary"] = value.clone();
        }
        post[field] = value;
        post["updated"] = json!(inkpot::core::clock::rfc3339(app.clock.now()));
        assert_eq!(changed["post"], post);
        assert_eq!(app.anonymous().get(&path).await.expect(200)["post"], post);
    }
    for (query, found) in [
        ("?q=first", false),
        ("?q=alpha", false),
        ("?q=beta", true),
        ("?q=%E6%A8%99%E9%A1%8C", true),
        ("?tag=x", false),
        ("?tag=z", true),
    ] {
        assert_eq!(!titles(&ann, query).await.is_empty(), found, "{query}");
    }
}

async fn an_empty_change_changes_nothing(app: TestApp) {
    let ann = app.user("ann").await;
    let path = format!("/post/{}", ann.publish("x", "y").await);
    let before = app.anonymous().get(&path).await;
    app.clock.advance(Duration::minutes(10));
    ann.patch(&path, json!({})).await.expect(200);
    let after = app.anonymous().get(&path).await;
    assert_eq!(before.body, after.body);
    assert_eq!(before.header("etag"), after.header("etag"));
    // Who it belongs to is asked all the same.
    let bob = app.user("bob").await;
    bob.patch(&path, json!({})).await.problem("not_your_post");
    bob.patch("/post/999", json!({})).await.expect(404);
}

async fn values_that_are_there_change_nothing(app: TestApp) {
    let ann = app.user("ann").await;
    for status in ["published", "draft"] {
        let body = json!({
            "title": "Same", "content": "words\r\n", "status": status, "tags": ["one", "two"],
        });
        let made = ann.post("/post", body.clone()).await.expect(201);
        let path = format!("/post/{}", made["post_id"]);
        let before = ann.get(&path).await;
        let kept = "/post/?tag=one&q=words";
        let list = ann.get(kept).await;
        let units = app.state.db.units();
        app.clock.advance(Duration::milliseconds(5));
        for change in [
            body.clone(),
            json!({}),
            json!({ "title": "Same" }),
            json!({ "content": "words\r\n" }),
            json!({ "tags": [" ONE", "two", "one"] }),
            json!({ "status": status }),
        ] {
            let answer = ann.patch(&path, change.clone()).await;
            assert_eq!(answer.expect(200), before.json(), "{change}");
            assert_eq!(answer.header("etag"), before.header("etag"), "{change}");
        }
        // Two units of work for each, and what was kept is kept still.
        assert_eq!(app.state.db.units(), units + 12);
        assert_eq!(ann.get(kept).await.body, list.body);
        assert_eq!(app.state.db.units(), units + 12);
        // A condition is judged all the same.
        let stale = ann
            .request(Method::PATCH, &path)
            .insert_header(("If-Match", "\"stale\""))
            .set_json(&body);
        app.send(stale).await.expect(412);
        // The order of tags is part of them.
        let turned = ann.patch(&path, json!({ "tags": ["two", "one"] })).await;
        assert_eq!(turned.expect(200)["post"]["tags"], json!(["two", "one"]));
        assert_ne!(turned.header("etag"), before.header("etag"));
    }
}

async fn changes_at_once_leave_the_search_right(app: TestApp) {
    let ann = app.user("ann").await;
    let ids = [
        ann.publish("one", "first").await,
        ann.publish("two", "second").await,
    ];
    let change = async |n: usize| {
        let path = format!("/post/{}", ids[n % 2]);
        let status = if n % 7 < 4 { "published" } else { "draft" };
        let body = match n % 5 {
            0 => json!({ "title": format!("title{n}") }),
            1 => json!({ "content": format!("content{n}") }),
            2 => json!({ "status": status }),
            3 => json!({ "status": status, "content": format!("both{n}") }),
            _ => json!({ "tags": [format!("t{}", n % 3)] }),
        };
        ann.patch(&path, body).await.expect(200);
    };
    join_all((0..80).map(change)).await;
    let (rows, found) = app.database.with(|conn| {
        (
            tags::compare(conn, &|_| Ok(())).unwrap(),
            words::compare(conn, &|_| Ok(())).unwrap(),
        )
    });
    assert_eq!(found, words::Found::default());
    assert_eq!(rows, tags::Found::default());
}

async fn every_change_has_its_own_etag(app: TestApp) {
    let ann = app.user("ann").await;
    let path = format!("/post/{}", ann.publish("x", "y").await);
    let mut seen = vec![app.anonymous().get(&path).await.header("etag").to_owned()];
    // The clock stands still, and the values come again.
    for title in ["a", "x", "a", "x", "a"] {
        let answer = ann.patch(&path, json!({ "title": title })).await;
        let etag = answer.header("etag").to_owned();
        assert_eq!(app.anonymous().get(&path).await.header("etag"), etag);
        assert!(!seen.contains(&etag));
        seen.push(etag);
    }
}

async fn change_if(author: &Client<'_>, path: &str, title: &str, etag: &str) -> Answer {
    let request = author
        .request(Method::PATCH, path)
        .insert_header(("If-Match", etag.to_owned()))
        .set_json(json!({ "title": title }));
    author.app().send(request).await
}

async fn if_match_lets_only_the_seen_state_be_changed(app: TestApp) {
    let ann = app.user("ann").await;
    let content = "long enough to be compressed ".repeat(100);
    let path = format!("/post/{}", ann.publish("0", &content).await);
    let etag = async || app.anonymous().get(&path).await.header("etag").to_owned();
    let first = etag().await;
    let opaque = first.trim_matches('"').to_owned();
    for stale in [
        "\"x\"".to_owned(),
        "W/\"x\"".to_owned(),
        opaque.clone(),
        format!("\"{opaque}-x\""),
        String::new(),
    ] {
        let answer = change_if(&ann, &path, "stale", &stale).await;
        answer.expect(412);
        answer.problem("precondition_failed");
    }
    assert_eq!(etag().await, first);
    // Every form of what was seen fits, as a list too, and whatever there is.
    for coding in ["br", "zstd", "gzip"] {
        let request = app
            .anonymous()
            .request(Method::GET, &path)
            .insert_header(("Accept-Encoding", coding));
        let seen = app.send(request).await.header("etag").to_owned();
        assert!(seen.ends_with(&format!("-{coding}\"")), "{seen}");
        change_if(&ann, &path, coding, &format!("\"x\", {seen}"))
            .await
            .expect(200);
        change_if(&ann, &path, "late", &seen).await.expect(412);
    }
    change_if(&ann, &path, "any", "*").await.expect(200);
    // A proxy that compresses makes it weak.
    let weak = format!("W/{}", etag().await);
    change_if(&ann, &path, "weak", &weak).await.expect(200);
    change_if(&ann, &path, "late", &weak).await.expect(412);

    let stale = ann
        .request(Method::DELETE, &path)
        .insert_header(("If-Match", first));
    app.send(stale).await.problem("precondition_failed");
    // Who may not is told so before whether it fits, and no post fits nothing.
    let bob = app.user("bob").await;
    change_if(&bob, &path, "x", "\"x\"")
        .await
        .problem("not_your_post");
    change_if(&bob, "/post/999", "x", "*").await.expect(404);
    let present = etag().await;
    // What is there already fits no If-None-Match that names it (RFC 9110 §13.1.2).
    for named in [
        "*".to_owned(),
        present.clone(),
        format!("\"x\", W/{present}"),
    ] {
        let change = ann
            .request(Method::PATCH, &path)
            .insert_header(("If-None-Match", named.clone()))
            .set_json(json!({ "title": "late" }));
        app.send(change).await.problem("precondition_failed");
        let delete = ann
            .request(Method::DELETE, &path)
            .insert_header(("If-None-Match", named));
        app.send(delete).await.problem("precondition_failed");
    }
    assert_eq!(etag().await, present);
    let another = ann
        .request(Method::PATCH, &path)
        .insert_header(("If-None-Match", "\"x\""))
        .set_json(json!({ "title": "another" }));
    app.send(another).await.expect(200);
    let present = etag().await;
    let delete = ann
        .request(Method::DELETE, &path)
        .insert_header(("If-Match", present));
    app.send(delete).await.expect_empty(204);
    app.anonymous().get(&path).await.expect(404);
}

async fn a_hundred_changes_with_one_etag_are_one(app: TestApp) {
    let ann = app.user("ann").await;
    let path = format!("/post/{}", ann.publish("0", "x").await);
    let etag = app.anonymous().get(&path).await.header("etag").to_owned();
    let names: Vec<String> = (0..100).map(|n| format!("title {n}")).collect();
    let answers = join_all(names.iter().map(|name| change_if(&ann, &path, name, &etag))).await;
    let (won, lost): (Vec<&Answer>, Vec<&Answer>) =
        answers.iter().partition(|answer| answer.status == 200);
    assert_eq!((won.len(), lost.len()), (1, 99));
    for answer in lost {
        answer.problem("precondition_failed");
    }
    assert_eq!(app.anonymous().get(&path).await.json(), won[0].json());
}

async fn a_hundred_changes_without_a_condition_are_all_whole(app: TestApp) {
    let ann = app.user("ann").await;
    let path = format!("/post/{}", ann.publish("0", "x").await);
    let bodies: Vec<Value> = (0..100)
        .map(|n| json!({ "title": format!("t{n}"), "content": format!("c{n}"), "tags": [format!("g{n}"), "all"] }))
        .collect();
    let answers = join_all(bodies.iter().map(|body| ann.patch(&path, body.clone()))).await;
    for (n, answer) in answers.iter().enumerate() {
        assert_eq!(answer.expect(200)["post"]["post_content"], format!("c{n}"));
    }
    let post = app.anonymous().get(&path).await.expect(200)["post"].clone();
    let last = post["post_title"]
        .as_str()
        .unwrap()
        .trim_start_matches('t')
        .to_owned();
    assert_eq!(post["post_content"], format!("c{last}"));
    assert_eq!(post["tags"], json!([format!("g{last}"), "all"]));
    // Nothing is left over of those that were overwritten.
    for n in 0..100 {
        let found = titles(&ann, &format!("?tag=g{n}")).await;
        assert_eq!(!found.is_empty(), n.to_string() == last, "g{n}");
    }
    assert_eq!(titles(&ann, "?tag=all").await.len(), 1);
    assert_eq!(titles(&ann, &format!("?q=c{last}")).await.len(), 1);
}

async fn a_hundred_publications_of_one_draft_are_one(app: TestApp) {
    let ann = app.user("ann").await;
    let path = format!("/post/{}", draft(&ann, "Once").await);
    let body = json!({ "status": "published" });
    for answer in join_all((0..100).map(|_| ann.patch(&path, body.clone()))).await {
        answer.expect(200);
    }
    let page = app.anonymous().get("/post").await.expect(200);
    assert_eq!(page["pagination"]["count"], 1);
    assert_eq!(page["posts"].as_array().unwrap().len(), 1);
    let drafts = ann.get("/post/?status=draft").await.expect(200);
    assert_eq!(drafts["pagination"]["count"], 0);
}

async fn somebody_elses_post_stays_as_it_is(app: TestApp) {
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let path = format!("/post/{}", ann.publish("Hers", "x").await);
    let before = app.anonymous().get(&path).await;
    for change in [
        json!({ "title": "His" }),
        json!({ "status": "draft" }),
        json!({ "tags": ["his"] }),
        json!({}),
    ] {
        let answer = bob.patch(&path, change).await;
        answer.expect(403);
        answer.problem("not_your_post");
    }
    bob.delete(&path).await.expect(403);
    let after = app.anonymous().get(&path).await;
    assert_eq!(before.body, after.body);
    assert_eq!(before.header("etag"), after.header("etag"));
}
