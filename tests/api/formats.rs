//! Contents as HTML over HTTP: the format of a post, and `include`.

use actix_web::http::Method;
use serde_json::{Value, json};

use crate::harness::{TestApp, on_both_databases};

on_both_databases![
    a_post_is_read_by_its_format,
    a_change_of_format_or_content_changes_the_html,
    lists_include_what_they_are_asked_for,
    drafts_are_rendered_for_their_author_alone,
    wrong_formats_and_inclusions_are_refused,
    large_contents_are_rendered_too,
    the_format_is_part_of_a_repeated_request,
];

async fn a_post_is_read_by_its_format(app: TestApp) {
    let ann = app.user("ann").await;
    let content = "*a*\n<b onclick=x>b</b>";
    for (format, html) in [
        (Value::Null, "<p><em>a</em>\n<b>b</b></p>\n"),
        (json!("markdown"), "<p><em>a</em>\n<b>b</b></p>\n"),
        (json!("html"), "*a*\n<b>b</b>"),
        (
            json!("text"),
            "<p>*a*<br>\n&lt;b onclick=x&gt;b&lt;/b&gt;</p>\n",
        ),
    ] {
        let body = json!({ "title": "x", "content": content, "format": format });
        let made = ann.post("/post", body).await.expect(201);
        let name = if format.is_null() {
            json!("markdown")
        } else {
            format
        };
        assert_eq!(made["post"]["format"], name);
        assert!(made["post"].get("post_html").is_none());
        let path = format!("/post/{}", made["post_id"]);
        let plain = app.anonymous().get(&path).await;
        assert_eq!(plain.expect(200)["post"], made["post"]);
        let mut expected = made["post"].clone();
        expected["post_html"] = json!(html);
        // Twice: from the cache as well.
        for _ in 0..2 {
            let rich = app.anonymous().get(&format!("{path}?include=html")).await;
            assert_eq!(rich.expect(200)["post"], expected);
            assert_ne!(rich.header("etag"), plain.header("etag"));
            let again = app
                .anonymous()
                .request(Method::GET, &format!("{path}?include=html"))
                .insert_header(("If-None-Match", rich.header("etag").to_owned()));
            app.send(again).await.expect_empty(304);
        }
        assert_eq!(
            app.anonymous().get(&format!("{path}?include=")).await.body,
            plain.body
        );
    }
}

async fn a_change_of_format_or_content_changes_the_html(app: TestApp) {
    let ann = app.user("ann").await;
    let id = ann.publish("x", "*a*").await;
    let path = format!("/post/{id}?include=html");
    let list = "/post/?include=html";
    for (change, html) in [
        (json!({}), "<p><em>a</em></p>\n"),
        (json!({ "format": "text" }), "<p>*a*</p>\n"),
        (json!({ "content": "*b*" }), "<p>*b*</p>\n"),
        (json!({ "format": "html", "content": "<b>c" }), "<b>c</b>"),
        (json!({ "format": "markdown" }), "<p><b>c</p>\n"),
    ] {
        ann.patch(&format!("/post/{id}"), change.clone())
            .await
            .expect(200);
        let post = app.anonymous().get(&path).await.expect(200)["post"].clone();
        let html = if html == "<p><b>c</p>\n" {
            "<p><b>c</b></p>\n"
        } else {
            html
        };
        assert_eq!(
            squeezed(&post["post_html"]),
            squeezed(&json!(html)),
            "{change}"
        );
        let listed = app.anonymous().get(list).await.expect(200)["posts"][0].clone();
        assert_eq!(listed["post_html"], post["post_html"], "{change}");
    }
    // The same once more is no change.
    let before = ann.get(&format!("/post/{id}")).await;
    app.clock.advance(chrono::Duration::minutes(1));
    let same = ann
        .patch(&format!("/post/{id}"), json!({ "format": "markdown" }))
        .await;
    assert_eq!(same.expect(200), before.json());
    ann.delete(&format!("/post/{id}")).await.expect_empty(204);
    app.anonymous().get(&path).await.expect(404);
}

fn squeezed(html: &Value) -> String {
    html.as_str()
        .unwrap()
        .replace('\n', "")
        .replace("<p></p>", "")
        .replace("<b></b>", "")
}

async fn lists_include_what_they_are_asked_for(app: TestApp) {
    let ann = app.user("ann").await;
    for n in 0..22 {
        let body = json!({ "title": "x", "content": format!("*{n}* word"), "tags": ["t"] });
        ann.post("/post", body).await.expect(201);
    }
    for filter in ["", "author=1&", "tag=t&", "q=word&", "before=&"] {
        let plain = format!("/post/?{filter}size=2");
        let plain = app.anonymous().get(&plain).await.expect(200);
        for (include, content, html) in [
            ("content", true, false),
            ("html", false, true),
            ("content,html", true, true),
            ("html,content", true, true),
            ("", false, false),
        ] {
            let path = format!("/post/?{filter}size=2&include={include}");
            let mut expected = plain.clone();
            for (n, post) in expected["posts"]
                .as_array_mut()
                .unwrap()
                .iter_mut()
                .enumerate()
            {
                let number = 21 - n;
                if content {
                    post["post_content"] = json!(format!("*{number}* word"));
                }
                if html {
                    post["post_html"] = json!(format!("<p><em>{number}</em> word</p>\n"));
                }
            }
            for _ in 0..2 {
                assert_eq!(
                    app.anonymous().get(&path).await.expect(200),
                    expected,
                    "{path}"
                );
            }
        }
    }
    // At most twenty, which the answer says, and its links keep what was asked for.
    let page = app.anonymous().get("/post/?include=content&size=100").await;
    assert_eq!(page.expect(200)["pagination"]["size"], 20);
    assert_eq!(page.json()["posts"].as_array().unwrap().len(), 20);
    assert!(
        page.header("link").contains("include=content"),
        "{}",
        page.header("link")
    );
    let rest = app
        .anonymous()
        .get("/post/?include=content&size=100&page=2")
        .await;
    assert_eq!(rest.expect(200)["posts"].as_array().unwrap().len(), 2);
    let below = app
        .anonymous()
        .get("/post/?include=html&size=100&before=")
        .await;
    assert_eq!(below.expect(200)["pagination"]["size"], 20);
    assert_eq!(
        app.anonymous().get("/post/?size=100").await.expect(200)["pagination"]["size"],
        100
    );
}

async fn drafts_are_rendered_for_their_author_alone(app: TestApp) {
    let ann = app.user("ann").await;
    let body = json!({ "title": "x", "content": "*a*", "status": "draft" });
    let made = ann.post("/post", body).await.expect(201);
    let path = format!("/post/{}?include=html", made["post_id"]);
    app.anonymous().get(&path).await.problem("post_not_found");
    let own = ann.get(&path).await;
    assert_eq!(own.expect(200)["post"]["post_html"], "<p><em>a</em></p>\n");
    assert_eq!(own.header("cache-control"), "no-store");
    let list = ann.get("/post/?status=draft&include=content,html").await;
    assert_eq!(
        list.expect(200)["posts"][0]["post_html"],
        "<p><em>a</em></p>\n"
    );
    assert_eq!(list.json()["posts"][0]["post_content"], "*a*");
    assert_eq!(list.header("cache-control"), "no-store");
    app.anonymous()
        .get("/post/?status=draft&include=html")
        .await
        .expect(401);
}

async fn wrong_formats_and_inclusions_are_refused(app: TestApp) {
    let ann = app.user("ann").await;
    let id = ann.publish("x", "y").await;
    for (format, code) in [
        (json!("Markdown"), "format_invalid"),
        (json!(""), "format_invalid"),
        (json!("rst"), "format_invalid"),
        (json!(1), "field_mistyped"),
    ] {
        let body = json!({ "title": "x", "content": "y", "format": format });
        ann.post("/post", body).await.faults(&[("/format", code)]);
        let change = json!({ "format": format });
        ann.patch(&format!("/post/{id}"), change)
            .await
            .faults(&[("/format", code)]);
    }
    let change = json!({ "format": null });
    let answer = ann.patch(&format!("/post/{id}"), change).await;
    answer.faults(&[("/format", "field_not_clearable")]);
    for path in [
        format!("/post/{id}?include=content"),
        format!("/post/{id}?include=html,x"),
        format!("/post/{id}?include=HTML"),
        format!("/post/{id}?include=html&include=html"),
        "/post/999?include=x".to_owned(),
        "/post/?include=x".to_owned(),
        "/post/?include=content,".to_owned(),
        "/post/?include=content&include=html".to_owned(),
        "/post/?include=content%20html".to_owned(),
    ] {
        let answer = app.anonymous().get(&path).await;
        answer.expect(400);
        let problem = answer.problem("query_invalid");
        assert!(
            problem["detail"].as_str().unwrap().contains("include"),
            "{problem}"
        );
    }
}

async fn large_contents_are_rendered_too(app: TestApp) {
    let ann = app.user("ann").await;
    let content = "Some *words*.\n\n".repeat(20_000);
    let id = ann.publish("x", &content).await;
    let html = "<p>Some <em>words</em>.</p>\n".repeat(20_000);
    let one = app
        .anonymous()
        .get(&format!("/post/{id}?include=html"))
        .await;
    assert_eq!(one.expect(200)["post"]["post_html"], html);
    let list = app.anonymous().get("/post/?include=html").await;
    assert_eq!(list.expect(200)["posts"][0]["post_html"], html);
}

async fn the_format_is_part_of_a_repeated_request(app: TestApp) {
    let ann = app.user("ann").await;
    let publish = async |format: Value| {
        let request = ann
            .request(Method::POST, "/post")
            .insert_header(("Idempotency-Key", "key"))
            .set_json(json!({ "title": "x", "content": "y", "format": format }));
        app.send(request).await
    };
    let first = publish(json!("markdown")).await;
    first.expect(201);
    assert_eq!(publish(Value::Null).await.body, first.body);
    publish(json!("text"))
        .await
        .problem("idempotency_key_reused");
}
