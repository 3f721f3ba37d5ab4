//! Documents for people: what is in them, for whom, and how long they are kept.

use actix_web::http::Method;
use actix_web::test::TestRequest;
use chrono::TimeDelta;
use diesel::prelude::*;
use inkpot::core::db::schema::post;
use inkpot::posts::events::{PostChanged, PostState};
use serde_json::json;

use crate::browser::on_sqlite;
use crate::harness::{Answer, PASSWORD, TestApp, on_both_databases};
use crate::model::random::Random;

on_both_databases![
    home_has_the_newest_posts_with_their_beginnings,
    a_post_is_read_without_scripts,
    what_is_said_to_a_post_is_read_without_scripts,
    comments_go_on_in_pages,
    older_slugs_lead_to_the_post,
    what_people_write_is_text_wherever_it_stands,
    an_author_has_a_document_by_name_and_by_number,
    posts_with_a_tag_are_found_by_their_tag,
    words_are_looked_for,
    lists_go_on_in_pages,
    who_reads_in_a_browser_is_told_in_a_document,
    the_language_is_that_of_the_reader,
    a_document_is_kept_until_what_it_shows_changes,
    drafts_have_no_document,
    forms_are_there_for_everybody,
    an_author_is_shown_with_what_they_say_of_themselves,
    the_administration_has_its_parts_and_no_others,
    nobody_registers_where_registration_is_closed,
    a_preview_is_what_would_be_read,
    nothing_is_changed_by_a_document,
    assets_are_kept_for_ever,
    posts_are_found_by_their_month,
    tags_are_listed_with_their_numbers,
    a_post_leads_to_its_neighbours,
    what_comes_elsewhere_leaves_the_document_of_a_post,
    the_neighbours_are_those_of_the_list_whatever_happens,
    the_api_is_described_to_be_tried_out,
    links_lead_where_the_world_reaches_the_server,
    the_page_can_be_left_out,
];

/// Reads a document in a browser.
async fn browse(app: &TestApp, path: &str) -> Answer {
    let accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let reader = app.anonymous().with_header("Accept", accept);
    reader.get(path).await
}

/// The text of a document, which is there.
async fn document(app: &TestApp, path: &str) -> String {
    let answer = browse(app, path).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    answer.text()
}

#[track_caller]
fn has(document: &str, parts: &[&str]) {
    for part in parts {
        assert!(document.contains(part), "no {part} in {document}");
    }
}

async fn home_has_the_newest_posts_with_their_beginnings(app: TestApp) {
    let empty = document(&app, "/").await;
    let write = "<p class=\"in\"><a class=\"button\" href=\"/write\">";
    has(&empty, &["Nothing has been published here yet.", write]);
    let ann = app.user("ann").await;
    ann.publish("First", "Some *text* with [a link](https://example.org/).")
        .await;
    ann.publish("Second", &"word ".repeat(1000)).await;
    let home = document(&app, "/").await;
    has(
        &home,
        &[
            "<!DOCTYPE html>",
            "<html lang=\"en\"",
            "<title>Inkpot</title>",
            "<a href=\"/p/first\">First</a>",
            "Some text with a link.",
            "word word…",
            "<link rel=\"canonical\" href=\"http://127.0.0.1:8080/\">",
            "type=\"application/atom+xml\"",
        ],
    );
    assert!(home.find("Second").unwrap() < home.find("First").unwrap());
}

async fn a_post_is_read_without_scripts(app: TestApp) {
    let ann = app.user("ann").await;
    let body = json!({ "title": "On & off", "content": "The *first* of many.\n\n## Part", "tags": ["c/d", "rust"] });
    ann.post("/post/pub", body).await.expect(201);
    let post = document(&app, "/p/1").await;
    has(
        &post,
        &[
            "<title>On &amp; off · Inkpot</title>",
            "<p>The <em>first</em> of many.</p>\n<h2>Part</h2>",
            "<meta name=\"description\" content=\"The first of many. Part\">",
            "<link rel=\"canonical\" href=\"http://127.0.0.1:8080/p/on-off\">",
            "<meta property=\"og:type\" content=\"article\">",
            "<meta property=\"og:title\" content=\"On &amp; off\">",
            "<meta property=\"article:tag\" content=\"c/d\">",
            "<a rel=\"author\" href=\"/u/1\" data-user=\"1\"><bdi>ann</bdi></a>",
            "href=\"/t/c%2Fd\"",
        ],
    );
    assert_eq!(browse(&app, "/p/1/").await.text(), post);
    // Whoever asks for anything gets it, as readers of links do.
    assert_eq!(app.anonymous().get("/p/1").await.text(), post);
    assert_eq!(browse(&app, "/p/on-off").await.text(), post);
}

async fn what_is_said_to_a_post_is_read_without_scripts(app: TestApp) {
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    bob.patch("/user/me", json!({ "name": "<b>Bob</b>" }))
        .await
        .expect(200);
    ann.publish("First", "Text").await;
    has(
        &document(&app, "/p/first").await,
        &[
            "No comments yet",
            "<a href=\"/login?next=%2Fp%2Ffirst\">Log in to comment.</a>",
            "data-like=\"1\" aria-pressed=\"false\" disabled",
        ],
    );
    let say = |text: &str, to: Option<i64>| {
        bob.post(
            "/post/1/comments",
            json!({ "content": text, "reply_to": to }),
        )
    };
    let evil = "Well *said*.<script>alert(1)</script> [x](javascript:alert(1))[^a]\n\n[^a]: Note";
    say(evil, None).await.expect(201);
    say("Second", Some(1)).await.expect(201);
    app.send(ann.request(Method::PUT, "/post/1/like"))
        .await
        .expect_empty(204);
    let html = document(&app, "/p/first").await;
    has(
        &html,
        &[
            "2 comments",
            "1 person likes this",
            "<li id=\"comment-1\"",
            "Well <em>said</em>.",
            "id=\"comment-1-fn-1\"",
            "&lt;b&gt;Bob&lt;/b&gt;",
            "<a href=\"/p/first?comment=2\" rel=\"nofollow\">",
            "<a href=\"#comment-1\" rel=\"nofollow\">in answer to <bdi>",
        ],
    );
    assert!(!html.contains("<script>alert") && !html.contains("javascript:alert"));
    assert!(!html.contains("data-edited"));
    // At its other address, and from now on.
    for path in ["/p/1", "/p/first"] {
        assert!(document(&app, path).await.contains("2 comments"));
    }
    bob.patch("/comment/2", json!({ "content": "Changed" }))
        .await
        .expect(200);
    bob.delete("/comment/1").await.expect_empty(204);
    for path in ["/p/1", "/p/first"] {
        let html = document(&app, path).await;
        has(
            &html,
            &[
                "1 comment<",
                "This comment was deleted.",
                "<p>Changed</p>",
                "data-edited",
                "in answer to another comment",
            ],
        );
        assert!(!html.contains("said"));
    }
    let found = browse(&app, "/p/1?comment=2").await;
    assert_eq!(
        (found.status.as_u16(), found.header("location")),
        (302, "/p/first#comment-2")
    );
    for path in ["/p/1?comment=3", "/p/2?comment=2", "/p/1?comments=2"] {
        assert_eq!(browse(&app, path).await.status, 404, "{path}");
    }
    let change = json!({ "slug": "elsewhere" });
    ann.patch("/post/1", change).await.expect(200);
    let moved = browse(&app, "/p/first?comment=2").await;
    assert_eq!(moved.header("location"), "/p/elsewhere?comment=2");
}

async fn comments_go_on_in_pages(app: TestApp) {
    let ann = app.user("ann").await;
    ann.publish("First", "Text").await;
    let author = ann.user_id;
    app.database
        .with(move |conn| crate::comments::insert_many(conn, 1, author, 120));
    let first = document(&app, "/p/first").await;
    has(
        &first,
        &[
            "120 comments",
            "id=\"comment-50\"",
            "Page 1 of 3",
            "<a class=\"older\" href=\"/p/first?comments=2#comments\">Later</a>",
        ],
    );
    assert!(!first.contains("id=\"comment-51\""));
    let last = document(&app, "/p/first?comments=3").await;
    has(
        &last,
        &[
            "id=\"comment-101\"",
            "id=\"comment-120\"",
            "<a class=\"newer\" href=\"/p/first?comments=2#comments\">Earlier</a>",
            "<link rel=\"canonical\" href=\"http://127.0.0.1:8080/p/first\">",
        ],
    );
    assert!(!last.contains("Later"));
    let found = browse(&app, "/p/1?comment=51").await;
    assert_eq!(found.header("location"), "/p/first?comments=2#comment-51");
    let body = json!({ "content": "The last", "reply_to": 7 });
    ann.post("/post/1/comments", body).await.expect(201);
    has(
        &document(&app, "/p/first?comments=3").await,
        &[
            "The last",
            "<a href=\"/p/first?comment=7\" rel=\"nofollow\">in answer to another comment",
        ],
    );
}

async fn older_slugs_lead_to_the_post(app: TestApp) {
    let ann = app.user("ann").await;
    ann.publish("First", "text").await;
    let before = document(&app, "/p/first").await;
    let change = json!({ "slug": "elsewhere", "title": "Other" });
    ann.patch("/post/1", change).await.expect(200);
    let moved = browse(&app, "/p/first").await;
    assert_eq!(moved.status.as_u16(), 301);
    assert_eq!(moved.header("location"), "/p/elsewhere");
    let after = document(&app, "/p/elsewhere").await;
    assert!(after.contains("Other") && before.contains("First"));
    // A draft tells nobody where it is.
    let draft = json!({ "status": "draft" });
    ann.patch("/post/1", draft).await.expect(200);
    for path in [
        "/p/first",
        "/p/elsewhere",
        "/p/1",
        "/p/nothing",
        "/p/NOT_ONE",
    ] {
        assert_eq!(browse(&app, path).await.status.as_u16(), 404, "{path}");
    }
}

async fn what_people_write_is_text_wherever_it_stands(app: TestApp) {
    let evil = "<img src=x onerror=alert(1)>\"'&";
    let body = json!({ "email": "eve@example.org", "name": evil, "password": PASSWORD, "username": "eve-eve" });
    let answer = app.anonymous().post("/user/reg", body).await.expect(201);
    let eve = app.client_of(&answer);
    let body = json!({ "title": evil, "content": evil, "format": "text", "tags": [&evil[..20]] });
    eve.post("/post/pub", body).await.expect(201);
    let words = "/search?q=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E%22%27%26";
    let tag = "/t/%3Cimg%20src%3Dx%20onerror%3D";
    for path in ["/", "/p/1", "/u/1", "/@eve-eve", tag, words] {
        let html = document(&app, path).await;
        assert!(!html.contains("<img"), "{path}: {html}");
        has(&html, &["&lt;img src=x onerror="]);
    }
}

async fn an_author_has_a_document_by_name_and_by_number(app: TestApp) {
    let ann = app.user("ann").await;
    has(
        &document(&app, "/u/1").await,
        &["ann has not published anything yet."],
    );
    ann.publish("Hello", "World").await;
    ann.patch("/user/me", json!({ "username": "Ann-Smith" }))
        .await
        .expect(200);
    for path in ["/u/1", "/@ann-smith", "/@Ann-Smith"] {
        let html = document(&app, path).await;
        has(
            &html,
            &[
                "<title>ann · Inkpot</title>",
                "<span>@Ann-Smith</span>",
                "1 post",
                ">Hello</a>",
                "<link rel=\"canonical\" href=\"http://127.0.0.1:8080/@Ann-Smith\">",
                "href=\"/feed.atom?author=1\"",
            ],
        );
    }
    ann.patch("/user/me", json!({ "name": "Ann S." }))
        .await
        .expect(200);
    has(&document(&app, "/@ann-smith").await, &["<bdi>Ann S.</bdi>"]);
    for path in ["/u/2", "/u/x", "/@nobody", "/@x"] {
        assert_eq!(browse(&app, path).await.status, 404, "{path}");
    }
}

async fn posts_with_a_tag_are_found_by_their_tag(app: TestApp) {
    let ann = app.user("ann").await;
    for tag in ["c/d", "100%", "a b", "c++", "文"] {
        let body = json!({ "title": format!("On {tag}"), "content": "x", "tags": [tag] });
        ann.post("/post/pub", body).await.expect(201);
    }
    for (path, tag) in [
        ("/t/c%2Fd", "c/d"),
        ("/t/100%25", "100%"),
        ("/t/a%20b", "a b"),
        ("/t/A%20B", "a b"),
        ("/t/c++", "c++"),
        ("/t/c%2B%2B", "c++"),
        ("/t/%E6%96%87", "文"),
    ] {
        let html = document(&app, path).await;
        has(
            &html,
            &[
                &format!(">On {tag}</a>"),
                &format!("Posts tagged “{tag}”"),
                "1 post",
            ],
        );
        assert_eq!(html.matches("<article>").count(), 1, "{path}");
    }
    let none = document(&app, "/t/none").await;
    has(
        &none,
        &["No post has this tag.", "<a href=\"/tags\">To all tags</a>"],
    );
}

async fn words_are_looked_for(app: TestApp) {
    let ann = app.user("ann").await;
    ann.publish("Bread", "Flour and water").await;
    ann.publish("Soup", "Water and salt").await;
    let ask = document(&app, "/search").await;
    has(
        &ask,
        &[
            "name=\"q\" value=\"\"",
            "A phrase stands in quotes",
            "name=\"robots\"",
        ],
    );
    let found = document(&app, "/search?q=water").await;
    has(
        &found,
        &[
            "value=\"water\"",
            "2 posts with “water”",
            ">Bread</a>",
            ">Soup</a>",
        ],
    );
    let one = document(&app, "/search?q=%22and%20salt%22&utm_source=x").await;
    has(&one, &["1 post with “&quot;and salt&quot;”", ">Soup</a>"]);
    // No post has the last word, but one has a word that begins so.
    has(
        &document(&app, "/search?q=wat").await,
        &["No post has the word “wat”", ">Bread</a>", ">Soup</a>"],
    );
    has(
        &document(&app, "/search?q=fire").await,
        &["No post has all of these words."],
    );
    let many: Vec<String> = (0..70).map(|n| format!("w{n}")).collect();
    let answer = document(&app, &format!("/search?q={}", many.join("+"))).await;
    has(&answer, &["too many words"]);
}

async fn lists_go_on_in_pages(app: TestApp) {
    let ann = app.user("ann").await;
    for n in 1..=12 {
        ann.publish(&format!("Post {n}"), "water").await;
    }
    let first = document(&app, "/").await;
    has(
        &first,
        &[
            ">Post 12</a>",
            ">Post 3</a>",
            "Page 1 of 2",
            "<link rel=\"next\" href=\"/?page=2\">",
        ],
    );
    assert!(!first.contains(">Post 2</a>") && !first.contains("rel=\"prev\""));
    let second = document(&app, "/?page=2").await;
    has(
        &second,
        &[
            ">Post 2</a>",
            ">Post 1</a>",
            "<link rel=\"prev\" href=\"/\">",
            "Page 2 of 2",
        ],
    );
    has(
        &second,
        &["<link rel=\"canonical\" href=\"http://127.0.0.1:8080/?page=2\">"],
    );
    has(
        &document(&app, "/search?q=water&page=2").await,
        &[">Post 2</a>", "href=\"/search?q=water\""],
    );
    assert_eq!(browse(&app, "/?page=3").await.status, 404);
    assert_eq!(browse(&app, "/?page=9223372036854775807").await.status, 404);
}

async fn who_reads_in_a_browser_is_told_in_a_document(app: TestApp) {
    for path in ["/nothing", "/p/1", "/p/x", "/post/7", "/t/%00"] {
        let answer = browse(&app, path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
        assert_eq!(answer.header("cache-control"), "no-store");
        has(
            &answer.text(),
            &["<h1>Not found</h1>", "name=\"robots\" content=\"noindex\""],
        );
        let vary: Vec<_> = answer.headers.get_all("vary").collect();
        assert!(vary.iter().any(|value| *value == "Accept"), "{vary:?}");
        // Everybody else is told as before.
        app.anonymous().get(path).await.expect(404);
    }
    let answer = browse(&app, "/panics").await;
    assert_eq!(answer.status, 500);
    has(
        &answer.text(),
        &["Something went wrong", answer.header("x-request-id")],
    );
    assert!(!answer.text().contains("secret"));
    let answer = browse(&app, "/user/me").await;
    assert_eq!(answer.status, 401);
    assert!(!answer.header("www-authenticate").is_empty());
    has(&answer.text(), &["<h1>Please log in</h1>"]);
    // JSON that is weighed as high, and requests that are no reading, get JSON.
    for (accept, method) in [
        ("application/json, text/html;q=0.9", Method::GET),
        ("application/json, text/html", Method::GET),
        ("text/html, application/problem+json", Method::GET),
        ("text/html;q=0.1, */*", Method::GET),
        ("text/html;q=0.5, application/*;q=0.6", Method::GET),
        ("text/html;q=0", Method::GET),
        ("text/html", Method::POST),
    ] {
        let request = TestRequest::with_uri("/nothing").method(method);
        let answer = app.send(request.insert_header(("Accept", accept))).await;
        answer.problem("not_found");
    }
}

async fn the_language_is_that_of_the_reader(app: TestApp) {
    let reader = app
        .anonymous()
        .with_header("Accept-Language", "zh-CN,zh;q=0.9");
    for _ in 0..2 {
        let answer = reader.get("/").await;
        has(
            &answer.text(),
            &["<html lang=\"zh\"", "这里还没有发表任何文章。"],
        );
        assert_eq!(answer.header("content-language"), "zh");
        let vary: Vec<_> = answer.headers.get_all("vary").collect();
        assert!(
            vary.iter().any(|value| *value == "Accept-Language"),
            "{vary:?}"
        );
        let answer = app.anonymous().get("/").await;
        has(&answer.text(), &["<html lang=\"en\""]);
        assert_eq!(answer.header("content-language"), "en");
    }
    let reader = reader.with_header("Accept", "text/html");
    has(&reader.get("/nothing").await.text(), &["<h1>未找到</h1>"]);
}

async fn a_document_is_kept_until_what_it_shows_changes(app: TestApp) {
    let ann = app.user("ann").await;
    ann.publish("Hello", "World").await;
    for path in ["/", "/p/1", "/u/1", "/search?q=hello"] {
        let answer = app.anonymous().get(path).await;
        assert_eq!(answer.header("cache-control"), "no-cache", "{path}");
        let etag = answer.header("etag").to_owned();
        let again = app
            .anonymous()
            .with_header("If-None-Match", &etag)
            .get(path)
            .await;
        assert_eq!(again.status, 304, "{path}");
        assert!(again.body.is_empty());
        assert!(!again.header("content-security-policy").is_empty());
        let packed = app
            .anonymous()
            .with_header("Accept-Encoding", "br")
            .get(path)
            .await;
        assert_eq!(packed.header("content-encoding"), "br", "{path}");
        assert!(packed.body.len() < answer.body.len());
    }
    ann.patch("/post/1", json!({ "title": "Hello again" }))
        .await
        .expect(200);
    for path in ["/", "/p/1", "/u/1", "/search?q=hello"] {
        has(&document(&app, path).await, &["Hello again"]);
    }
    ann.delete("/post/1").await.expect_empty(204);
    assert_eq!(browse(&app, "/p/1").await.status, 404);
    has(
        &document(&app, "/").await,
        &["Nothing has been published here yet."],
    );
}

async fn drafts_have_no_document(app: TestApp) {
    let ann = app.user("ann").await;
    let body = json!({ "title": "Hidden", "content": "x", "status": "draft", "tags": ["rust"] });
    ann.post("/post/pub", body).await.expect(201);
    // With their author's token, too: documents are for everybody.
    assert_eq!(ann.get("/p/1").await.status, 404);
    for path in ["/", "/u/1", "/t/rust", "/search?q=hidden"] {
        assert!(!document(&app, path).await.contains(">Hidden<"), "{path}");
    }
}

async fn forms_are_there_for_everybody(app: TestApp) {
    for (path, name) in [
        ("/login", "login"),
        ("/register", "register"),
        ("/forgot", "forgot"),
        ("/reset", "reset"),
        ("/verify", "verify"),
        ("/write", "write"),
        ("/write/1", "write"),
        ("/me", "profile"),
        ("/people", ""),
    ] {
        let html = document(&app, path).await;
        let form = format!("<form data-form=\"{name}\"");
        let form = match name {
            "write" => "data-form=\"write\"",
            "" => "data-people-form",
            _ => form.as_str(),
        };
        // Until the modules are there, and without scripts, nothing can be sent.
        has(
            &html,
            &[
                form,
                "<fieldset disabled>",
                "<noscript>",
                "content=\"noindex\"",
            ],
        );
        assert!(!html.contains("action="), "{path}");
    }
}

async fn an_author_is_shown_with_what_they_say_of_themselves(app: TestApp) {
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let profile = json!({ "bio": "<b>Birds</b>", "image": "https://example.org/a.png?b=\"1\"&c" });
    ann.patch("/user/me", profile).await.expect(200);
    let path = format!("/u/{}", ann.user_id);
    let shown = [
        "src=\"https://example.org/a.png?b=%221%22&amp;c\"",
        "referrerpolicy=\"no-referrer\"",
        "<p class=\"bio\" dir=\"auto\">&lt;b&gt;Birds&lt;/b&gt;</p>",
        "<meta name=\"description\" content=\"&lt;b&gt;Birds&lt;/b&gt;\">",
        "data-follow=\"1\"",
        "0 followers",
    ];
    has(&document(&app, &path).await, &shown);
    // What was kept of it is right after every write.
    crate::follows::set_follow(&bob, ann.user_id)
        .await
        .expect_empty(204);
    has(&document(&app, &path).await, &["1 follower<"]);
    ann.patch("/user/me", json!({ "bio": null, "image": null }))
        .await
        .expect(200);
    let html = document(&app, &path).await;
    assert!(!html.contains("bio") && !html.contains("<img"), "{html}");
    // Whom one follows only a module with a token knows.
    let html = document(&app, "/following").await;
    has(&html, &["data-posts", "<noscript>", "content=\"noindex\""]);
}

async fn the_administration_has_its_parts_and_no_others(app: TestApp) {
    for part in [
        "",
        "/users",
        "/posts",
        "/comments",
        "/jobs",
        "/audit",
        "/keys",
        "/health",
        "/check",
    ] {
        let html = document(&app, &format!("/admin{part}")).await;
        has(&html, &["inkpot user create --admin", "data-admin hidden"]);
    }
    assert_eq!(browse(&app, "/admin/else").await.status, 404);
}

async fn nobody_registers_where_registration_is_closed(app: TestApp) {
    let app = app.second(&["--registration", "closed"]).await;
    let html = document(&app, "/register").await;
    has(&html, &["Nobody registers here by themselves."]);
    assert!(!html.contains("<form"));
    assert!(!document(&app, "/").await.contains("href=\"/register\""));
}

async fn a_preview_is_what_would_be_read(app: TestApp) {
    let ann = app.user("ann").await;
    for (format, content) in [
        (
            "markdown",
            "A *word*, a [note][a]\n\n[a]: https://example.org/",
        ),
        ("html", "<b>x</b><script>alert(1)</script>"),
        ("text", "<b>x</b>"),
        ("markdown", &"long words ".repeat(4000)),
    ] {
        let body = json!({ "content": content, "format": format });
        let preview = ann.post("/post/preview", body).await;
        assert_eq!(preview.header("cache-control"), "no-store");
        let preview = preview.expect(200);
        let body = json!({ "title": "x", "content": content, "format": format });
        let id = ann.post("/post/pub", body).await.expect(201)["post_id"].clone();
        let post = ann
            .get(&format!("/post/{id}?include=html"))
            .await
            .expect(200);
        assert_eq!(preview["post_html"], post["post"]["post_html"]);
    }
    // As Markdown, where nothing is said.
    let preview = ann.post("/post/preview", json!({ "content": "*x*" })).await;
    assert_eq!(preview.expect(200)["post_html"], "<p><em>x</em></p>\n");
    let preview = |body| ann.post("/post/preview", body);
    preview(json!({}))
        .await
        .faults(&[("/content", "field_missing")]);
    preview(json!({ "content": "" }))
        .await
        .faults(&[("/content", "content_empty")]);
    let wrong = json!({ "content": "x", "format": "rtf", "title": "y" });
    preview(wrong)
        .await
        .faults(&[("/format", "format_invalid"), ("/title", "field_unknown")]);
    let large = json!({ "content": "x".repeat(1_048_577) });
    preview(large).await.problem("content_too_large");
    assert_eq!(
        ann.get("/post/?author=1").await.expect(200)["pagination"]["count"],
        4
    );
}

async fn nothing_is_changed_by_a_document(app: TestApp) {
    for path in [
        "/",
        "/p/1",
        "/t/x",
        "/@nobody",
        "/u/1",
        "/search",
        "/assets/x/style.css",
    ] {
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let answer = app.send(TestRequest::with_uri(path).method(method)).await;
            answer.problem("method_not_allowed");
            assert_eq!(answer.header("allow"), "GET, HEAD, OPTIONS");
        }
        let answer = app
            .send(TestRequest::with_uri(path).method(Method::OPTIONS))
            .await;
        answer.expect_empty(204);
    }
    let answer = app
        .send(TestRequest::with_uri("/").method(Method::HEAD))
        .await;
    assert_eq!(answer.status, 200);
}

async fn assets_are_kept_for_ever(app: TestApp) {
    let home = document(&app, "/").await;
    let (_, rest) = home.split_once("rel=\"stylesheet\" href=\"").unwrap();
    let path = rest.split('"').next().unwrap();
    let plain = app.anonymous().get(path).await;
    assert_eq!(plain.header("content-type"), "text/css; charset=utf-8");
    assert_eq!(
        plain.header("cache-control"),
        "public, max-age=31536000, immutable"
    );
    for coding in ["br", "zstd", "gzip"] {
        let packed = app
            .anonymous()
            .with_header("Accept-Encoding", coding)
            .get(path)
            .await;
        assert_eq!(packed.header("content-encoding"), coding);
        assert!(packed.body.len() < plain.body.len() / 2);
    }
    // That of another version, while an installation is renewed.
    let other = app
        .anonymous()
        .get("/assets/0123456789abcdef/style.css")
        .await;
    assert_eq!(
        (other.status.as_u16(), other.header("cache-control")),
        (200, "no-store")
    );
    let absent = path.replace("style.css", "style.scss");
    app.anonymous().get(&absent).await.problem("not_found");
}

async fn posts_are_found_by_their_month(app: TestApp) {
    has(
        &document(&app, "/archive").await,
        &["<h1>Archive</h1>", "Nothing has been published here yet."],
    );
    let ann = app.user("ann").await;
    ann.publish("One", "water").await;
    app.clock.advance(TimeDelta::days(400));
    let ann = app.client_of(&app.login("ann").await);
    for title in ["Two", "Three"] {
        ann.publish(title, "water").await;
    }
    let mut months = Vec::new();
    for post in [1, 2] {
        let answer = ann.get(&format!("/post/{post}")).await.expect(200);
        months.push(answer["post"]["date"].as_str().unwrap()[..7].to_owned());
    }
    let (old, new) = (&months[0], &months[1]);
    let archive = document(&app, "/archive").await;
    has(
        &archive,
        &[
            &format!("<h2 id=\"year-{0}\">{0}</h2>", &old[..4]),
            &format!("<a href=\"/archive/{old}\">"),
            &format!("<a href=\"/archive/{new}\">"),
            "<span class=\"meta\">1 post</span>",
            "<span class=\"meta\">2 posts</span>",
        ],
    );
    assert!(archive.find(&format!("/archive/{new}")) < archive.find(&format!("/archive/{old}")));
    let month = document(&app, &format!("/archive/{old}")).await;
    has(&month, &[">One</a>", "1 post"]);
    assert!(!month.contains(">Two</a>"));
    let canonical = format!("rel=\"canonical\" href=\"http://127.0.0.1:8080/archive/{new}\"");
    has(
        &document(&app, &format!("/archive/{new}")).await,
        &[">Two</a>", ">Three</a>", "2 posts", &canonical],
    );
    has(
        &document(&app, "/archive/2020-02").await,
        &["No post is of this month."],
    );
    for month in [
        "2026-13", "2026-00", "26-01", "2026-1", "2026-011", "x", "+026-01",
    ] {
        let path = format!("/archive/{month}");
        assert_eq!(browse(&app, &path).await.status, 404, "{path}");
    }
    let behind = format!("/archive/{new}?page=2");
    assert_eq!(browse(&app, &behind).await.status, 404);
}

async fn tags_are_listed_with_their_numbers(app: TestApp) {
    has(&document(&app, "/tags").await, &["No post has a tag yet."]);
    let ann = app.user("ann").await;
    for tags in [
        json!(["rust", "ink"]),
        json!(["ink", "a b"]),
        json!(["<i>"]),
    ] {
        let body = json!({ "title": "x", "content": "y", "tags": tags });
        ann.post("/post/pub", body).await.expect(201);
    }
    let tags = document(&app, "/tags").await;
    has(
        &tags,
        &[
            "<a href=\"/t/ink\" dir=\"auto\">ink</a><span class=\"meta\">2 posts</span>",
            "<a href=\"/t/a%20b\"",
            "&lt;i&gt;",
            "<a href=\"/tags?sort=name\">by name</a>",
        ],
    );
    let place = |html: &str, tag: &str| html.find(&format!("href=\"/t/{tag}\"")).unwrap();
    assert!(place(&tags, "ink") < place(&tags, "a%20b"));
    let by_name = document(&app, "/tags?sort=name").await;
    assert!(place(&by_name, "a%20b") < place(&by_name, "ink"));
    let found = document(&app, "/tags?q=RU").await;
    has(
        &found,
        &["value=\"ru\"", "href=\"/t/rust\"", "name=\"robots\""],
    );
    assert!(!found.contains("href=\"/t/ink\""));
    has(&document(&app, "/tags?q=zz").await, &["No tag begins so."]);
    assert_eq!(browse(&app, "/tags?page=2").await.status, 404);
}

async fn a_post_leads_to_its_neighbours(app: TestApp) {
    let ann = app.user("ann").await;
    ann.publish("One", "x").await;
    assert!(!document(&app, "/p/one").await.contains("class=\"around\""));
    ann.publish("Two", "x").await;
    ann.publish("Three & more", "x").await;
    let html = document(&app, "/p/two").await;
    has(
        &html,
        &[
            "<p class=\"newer\"><span>Newer</span><a href=\"/p/three-more\" dir=\"auto\">Three &amp; more</a>",
            "<p class=\"older\"><span>Older</span><a href=\"/p/one\" dir=\"auto\">One</a>",
            "<link rel=\"prev\" href=\"/p/three-more\">",
            "<link rel=\"next\" href=\"/p/one\">",
        ],
    );
    ann.patch("/post/3", json!({ "title": "Other" }))
        .await
        .expect(200);
    has(&document(&app, "/p/two").await, &[">Other</a>"]);
    ann.delete("/post/1").await.expect_empty(204);
    let html = document(&app, "/p/2").await;
    assert!(!html.contains("class=\"older\""));
}

/// Whether a document was kept, and so read from no database.
async fn is_kept(app: &TestApp, path: &str) -> bool {
    let before = app.state.db.units();
    document(app, path).await;
    app.state.db.units() == before
}

async fn what_comes_elsewhere_leaves_the_document_of_a_post(app: TestApp) {
    let ann = app.user("ann").await;
    for n in 1..=40 {
        ann.publish(&format!("Post {n}"), "x").await;
        app.clock.advance(TimeDelta::seconds(10));
    }
    let read = async || {
        let mut kept = Vec::new();
        for n in [1, 2, 9, 10, 11, 12, 39, 40] {
            if is_kept(&app, &format!("/p/{n}")).await {
                kept.push(n);
            }
        }
        kept
    };
    assert_eq!(read().await, [0; 0]);
    assert_eq!(read().await, [1, 2, 9, 10, 11, 12, 39, 40]);
    // The newest has a neighbour now. Before the oldest, whatever comes may come.
    ann.publish("Post 41", "x").await;
    let kept = read().await;
    assert!(
        kept.starts_with(&[2, 9, 10, 11, 12]) && !kept.contains(&40),
        "{kept:?}"
    );
    has(&document(&app, "/p/40").await, &[">Post 41</a>"]);
    ann.patch("/post/10", json!({ "title": "Other" }))
        .await
        .expect(200);
    let kept = read().await;
    assert!(kept.ends_with(&[39, 40]) && !kept.contains(&11), "{kept:?}");
    ann.patch("/post/10", json!({ "status": "draft" }))
        .await
        .expect(200);
    let html = document(&app, "/p/11").await;
    has(&html, &[">Post 9</a>", ">Post 12</a>"]);
    has(&document(&app, "/p/9").await, &[">Post 11</a>"]);
    let gone = app.anonymous().get("/p/10").await;
    assert_eq!(gone.status, 404);
    let rest = [2, 9, 11, 12, 39, 40];
    for n in rest {
        document(&app, &format!("/p/{n}")).await;
    }
    for n in rest {
        assert!(is_kept(&app, &format!("/p/{n}")).await, "{n}");
    }
    // One that comes between two, as by a transaction that began early and ended late.
    let stored = app.database.with(|conn| {
        diesel::update(post::table.find(10))
            .set(post::published.eq(true))
            .execute(conn)
            .unwrap();
        post::table
            .find(10)
            .select((post::place, post::author_id))
            .first::<(i64, i64)>(conn)
            .unwrap()
    });
    let state = |position| PostState {
        post_id: 10,
        author_id: stored.1,
        published: true,
        tags: Vec::new(),
        slug: None,
        position,
    };
    let told = |position| {
        let states = vec![state(position)];
        app.state.bus.publish(&PostChanged { states });
    };
    told(Some(stored.0));
    has(&document(&app, "/p/11").await, &[">Other</a>"]);
    has(&document(&app, "/p/9").await, &[">Other</a>"]);
    for n in [39, 40] {
        assert!(is_kept(&app, &format!("/p/{n}")).await, "{n}");
    }
    // A program of before does not tell where.
    told(None);
    for n in rest {
        assert!(!is_kept(&app, &format!("/p/{n}")).await, "{n}");
    }
}

/// The neighbours that the document of a post leads to: newer and older.
async fn led_to(app: &TestApp, id: i64) -> [Option<String>; 2] {
    let html = document(app, &format!("/p/{id}")).await;
    ["newer", "older"].map(|side| {
        let (_, rest) = html.split_once(&format!("<p class=\"{side}\">"))?;
        let (_, rest) = rest.split_once("dir=\"auto\">")?;
        Some(rest.split_once("</a>")?.0.to_owned())
    })
}

async fn the_neighbours_are_those_of_the_list_whatever_happens(app: TestApp) {
    let ann = app.user("ann").await;
    let mut chance = Random::new(18);
    let mut known = Vec::new();
    for n in 0..60 {
        let act = chance.below(10);
        if known.len() < 4 || act < 3 {
            let status = if act == 0 { "draft" } else { "published" };
            let body = json!({ "title": format!("Post {n}"), "content": "x", "status": status });
            let made = ann.post("/post/pub", body).await.expect(201);
            known.push(made["post_id"].as_i64().unwrap());
        } else {
            let at = chance.below(known.len());
            let path = format!("/post/{}", known[at]);
            if act < 5 {
                ann.delete(&path).await.expect_empty(204);
                known.swap_remove(at);
            } else {
                let body = match act {
                    5 => json!({ "title": format!("Title {n}") }),
                    6 => json!({ "slug": format!("slug-{n}") }),
                    7 => json!({ "status": "draft" }),
                    _ => json!({ "status": "published" }),
                };
                ann.patch(&path, body).await.expect(200);
            }
        }
        let list = ann.get("/post/?size=100").await.expect(200);
        let listed: Vec<(i64, String)> = (list["posts"].as_array().unwrap().iter())
            .map(|post| {
                let title = post["post_title"].as_str().unwrap();
                (post["post_id"].as_i64().unwrap(), title.to_owned())
            })
            .collect();
        for (at, (id, _)) in listed.iter().enumerate() {
            let title = |at: Option<usize>| Some(listed.get(at?)?.1.clone());
            let expected = [title(at.checked_sub(1)), title(Some(at + 1))];
            assert_eq!(led_to(&app, *id).await, expected, "{n}: {id} in {listed:?}");
        }
    }
}

async fn the_api_is_described_to_be_tried_out(app: TestApp) {
    let answer = browse(&app, "/docs").await;
    let html = answer.text();
    has(
        &html,
        &[
            "id=\"docs\"",
            "href=\"/openapi.yaml\"",
            "<noscript>",
            "content=\"noindex\"",
        ],
    );
    let policy = answer.header("content-security-policy");
    assert!(policy.contains("connect-src 'self'") && policy.contains("require-trusted-types-for"));
    assert!(!html.contains("//cdn") && !html.contains("https://"));
    for name in ["swagger-ui.js", "swagger-ui.css", "docs.js", "docs.css"] {
        let (before, _) = html.split_once(&format!("/{name}\"")).unwrap();
        let path = format!("{}/{name}", before.rsplit('"').next().unwrap());
        let plain = app.anonymous().get(&path).await;
        let browser = app
            .anonymous()
            .with_header("Accept-Encoding", "br, gzip, zstd");
        let packed = browser.get(&path).await;
        let codings: &[&str] = if name.starts_with("swagger") {
            &["gzip"]
        } else {
            &["br"]
        };
        assert!(
            codings.contains(&packed.header("content-encoding")),
            "{name}"
        );
        assert_eq!(
            packed.header("cache-control"),
            "public, max-age=31536000, immutable"
        );
        assert!(packed.body.len() < plain.body.len(), "{name}");
        let picky = app.anonymous().with_header("Accept-Encoding", "br");
        let body = picky.get(&path).await.body;
        assert_eq!(
            body.len() < plain.body.len(),
            !name.starts_with("swagger"),
            "{name}"
        );
    }
    let app = app.second(&["--page", "off"]).await;
    browse(&app, "/docs").await.problem("not_found");
}

async fn links_lead_where_the_world_reaches_the_server(app: TestApp) {
    app.user("ann").await.publish("Hello", "World").await;
    let flags = [
        "--public-url",
        "https://example.org/blog",
        "--title",
        "Ann & friends",
    ];
    let app = app.second(&flags).await;
    let home = document(&app, "/").await;
    has(
        &home,
        &[
            "<title>Ann &amp; friends</title>",
            "<a href=\"/blog/p/hello\">Hello</a>",
            "<link rel=\"canonical\" href=\"https://example.org/blog/\">",
            "<link rel=\"stylesheet\" href=\"/blog/assets/",
        ],
    );
    has(
        &document(&app, "/search").await,
        &["action=\"/blog/search\""],
    );
}

async fn the_page_can_be_left_out(app: TestApp) {
    app.user("ann").await.publish("Hello", "World").await;
    let app = app.second(&["--page", "off"]).await;
    for path in [
        "/",
        "/p/1",
        "/u/1",
        "/search",
        "/assets/x/style.css",
        "/nothing",
    ] {
        let answer = browse(&app, path).await;
        answer.problem("not_found");
    }
    app.anonymous().get("/post/1").await.expect(200);
}

#[test]
fn every_document_is_sound() {
    on_sqlite("hygiene.mjs");
}
