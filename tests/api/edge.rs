//! What every answer has, whoever raised it.

use actix_web::http::Method;
use actix_web::test::TestRequest;
use serde_json::json;

use crate::harness::{Answer, PASSWORD, TestApp, TestDatabase, on_both_databases};

on_both_databases![
    unknown_paths_are_told,
    other_methods_are_told_what_is_allowed,
    every_path_has_both_slashes_head_and_options,
    every_route_refuses_parameters_that_it_does_not_know,
    a_panic_is_a_problem_without_its_text,
    a_sane_request_id_is_kept,
    answers_are_compressed_as_asked,
    secrets_are_not_compressed,
    without_a_list_any_origin_may_read,
    a_foreign_page_changes_nothing,
    the_own_origin_is_that_of_the_public_url,
    answers_are_no_pages,
    a_token_that_may_not_says_so,
    with_a_list_only_its_origins_are_named,
    error_codes_are_explained,
    the_service_says_how_it_is,
    a_database_without_its_tables_is_not_ready,
];

async fn unknown_paths_are_told(app: TestApp) {
    for path in [
        "//",
        "/x",
        "/users",
        "/users/",
        "/user/1/x",
        "/post/1/2",
        "/Post",
        "/post//",
        "/post/../user/me",
        "/%2e%2e/etc/passwd",
        "/user/reg/x",
        "/%00",
        "/%ff",
        "/livez/x",
        "/*",
    ] {
        for method in [Method::GET, Method::POST, Method::DELETE, Method::OPTIONS] {
            let answer = app.send(TestRequest::with_uri(path).method(method)).await;
            answer.expect(404);
            answer.problem("not_found");
        }
    }
}

async fn other_methods_are_told_what_is_allowed(app: TestApp) {
    for (path, allow) in [
        ("/user/reg", "POST, OPTIONS"),
        ("/user/login/", "POST, OPTIONS"),
        ("/user/me", "GET, HEAD, PATCH, DELETE, OPTIONS"),
        ("/user/me/password", "PUT, OPTIONS"),
        ("/user/1", "GET, HEAD, PATCH, DELETE, OPTIONS"),
        ("/post", "GET, HEAD, POST, OPTIONS"),
        ("/post/pub", "POST, OPTIONS"),
        ("/post/1", "GET, HEAD, PATCH, DELETE, OPTIONS"),
        ("/livez", "GET, HEAD, OPTIONS"),
        ("/feed.atom", "GET, HEAD, OPTIONS"),
        ("/feed.json/", "GET, HEAD, OPTIONS"),
        ("/problems/not_found", "GET, HEAD, OPTIONS"),
    ] {
        for method in ["TRACE", "CONNECT", "PROPFIND", "BREW", "get"] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let answer = app.send(TestRequest::with_uri(path).method(method)).await;
            answer.expect(405);
            answer.problem("method_not_allowed");
            assert_eq!(answer.header("allow"), allow, "{path}");
        }
        let answer = app
            .send(TestRequest::with_uri(path).method(Method::OPTIONS))
            .await;
        assert_eq!(answer.status.as_u16(), 204);
        assert_eq!(answer.header("allow"), allow);
    }
    app.anonymous()
        .get("/user/reg")
        .await
        .problem("method_not_allowed");
    app.anonymous()
        .get("/post/pub")
        .await
        .problem("method_not_allowed");
}

async fn every_path_has_both_slashes_head_and_options(app: TestApp) {
    let ann = app.user("ann").await;
    ann.publish("x", "y").await;
    for path in [
        "/user/me",
        "/user/1",
        "/post",
        "/post/1",
        "/feed.atom",
        "/feed.json",
        "/post/1/comments.atom",
        "/post/1/comments.json",
        "/sitemap.xml",
        "/livez",
        "/readyz",
        "/openapi.yaml",
        "/openapi.json",
        "/problems/internal",
    ] {
        let plain = ann.get(path).await;
        let slashed = ann.get(&format!("{path}/")).await;
        assert_eq!(plain.status.as_u16(), 200, "{path}");
        assert_eq!(plain.body, slashed.body, "{path}");
        let head = app.send(ann.request(Method::HEAD, path)).await;
        assert_eq!(head.status, plain.status, "{path}");
        assert_eq!(head.header("etag"), plain.header("etag"), "{path}");
    }
}

async fn every_route_refuses_parameters_that_it_does_not_know(app: TestApp) {
    let mut routes = 0;
    for endpoint in inkpot::routes::endpoints() {
        let path = endpoint
            .path()
            .replace("{id}", "1")
            .replace("{code}", "internal");
        for method in endpoint.methods() {
            for (query, named) in [
                ("nonsense=1", "nonsense"),
                ("%00", "parameter  is"),
                ("page_=", "page_"),
            ] {
                let uri = format!("{path}?{query}");
                let answer = app.anonymous().request(method.clone(), &uri);
                let answer = app.send(answer).await;
                answer.expect(400);
                let problem = answer.problem("query_invalid");
                let detail = problem["detail"].as_str().unwrap();
                assert!(detail.contains(named), "{method} {uri}: {detail}");
                routes += 1;
            }
        }
    }
    assert!(routes > 90, "{routes}");
    // Before a token is asked for, and whatever is kept.
    let ann = app.user("ann").await;
    let path = format!("/post/{}", ann.publish("x", "y").await);
    ann.get(&path).await.expect(200);
    ann.get(&format!("{path}?x=1"))
        .await
        .problem("query_invalid");
    ann.get(&format!("{path}?")).await.expect(200);
    ann.get("/post/?&").await.expect(200);
    // What is not read is not judged.
    let options = ann.request(Method::OPTIONS, &format!("{path}?x=1"));
    app.send(options).await.expect_empty(204);
}

async fn a_panic_is_a_problem_without_its_text(app: TestApp) {
    let request = TestRequest::with_uri("/panics").insert_header(("X-Request-Id", "req-1"));
    let answer = app.send(request).await;
    let body = answer.expect(500);
    answer.problem("internal");
    assert_eq!(body["request_id"], "req-1");
    assert!(!answer.text().contains("secret"));
    app.anonymous().get("/livez").await.expect(200);
}

async fn a_sane_request_id_is_kept(app: TestApp) {
    let long = "x".repeat(64);
    let too_long = "x".repeat(65);
    let ask = async |id: &str| {
        let request = TestRequest::with_uri("/livez").insert_header(("X-Request-Id", id));
        app.send(request).await.header("x-request-id").to_owned()
    };
    for id in ["a", "A-b_c.9", &long] {
        assert_eq!(ask(id).await, id);
    }
    for id in ["", " ", "a b", "<script>", "é", &too_long, "a,b", "a/b"] {
        let made = ask(id).await;
        assert_ne!(made, id);
        assert_eq!(made.len(), 26, "a ULID");
    }
    assert_ne!(ask("").await, ask("").await);
}

async fn answers_are_compressed_as_asked(app: TestApp) {
    let ann = app.user("ann").await;
    let text = "a text that repeats itself, ".repeat(4000);
    let id = ann.publish("x", &text).await;
    let others = ["/openapi.yaml", "/feed.atom", "/feed.json"].map(str::to_owned);
    for path in others.into_iter().chain([format!("/post/{id}")]) {
        let ask = async |codings: &str| {
            let request = TestRequest::with_uri(&path).insert_header(("Accept-Encoding", codings));
            app.send(request).await
        };
        let plain = app.anonymous().get(&path).await;
        for (codings, expected) in [
            ("br", "br"),
            ("zstd", "zstd"),
            ("gzip", "gzip"),
            ("gzip, deflate, br, zstd", "br"),
            ("gzip;q=1, br;q=0.5", "gzip"),
            ("br;q=0, *", "zstd"),
            ("*", "br"),
            ("GZIP", "gzip"),
            ("deflate", ""),
            ("identity", ""),
            ("", ""),
            ("br;q=0", ""),
            ("x;q=y, gzip", "gzip"),
            ("identity;q=1, gzip;q=0.5", ""),
            (";;;,,,=", ""),
        ] {
            let answer = ask(codings).await;
            assert_eq!(answer.status.as_u16(), 200);
            assert_eq!(answer.header("content-encoding"), expected, "{codings}");
            assert_eq!(answer.header("vary"), "Accept-Encoding");
            assert_eq!(decoded(&answer), plain.body, "{codings}");
            let etag = plain.header("etag").trim_matches('"').to_owned();
            if expected.is_empty() {
                assert_eq!(answer.header("etag"), format!("\"{etag}\""));
            } else {
                assert!(answer.body.len() < plain.body.len() / 2);
                assert_eq!(answer.header("etag"), format!("\"{etag}-{expected}\""));
            }
        }
        let request = TestRequest::with_uri(&path)
            .insert_header(("Accept-Encoding", "br"))
            .insert_header(("If-None-Match", ask("br").await.header("etag")));
        let answer = app.send(request).await;
        assert_eq!(answer.status.as_u16(), 304);
        assert_eq!(answer.header("etag"), ask("br").await.header("etag"));
    }
}

/// The body without its coding.
pub fn decoded(answer: &Answer) -> Vec<u8> {
    use std::io::Read;
    let mut bytes = Vec::new();
    match answer.header("content-encoding") {
        "br" => brotli::Decompressor::new(&answer.body[..], 4096)
            .read_to_end(&mut bytes)
            .map(drop),
        "gzip" => flate2::read::GzDecoder::new(&answer.body[..])
            .read_to_end(&mut bytes)
            .map(drop),
        "zstd" => zstd::stream::copy_decode(&answer.body[..], &mut bytes),
        _ => return answer.body.clone(),
    }
    .unwrap();
    bytes
}

async fn secrets_are_not_compressed(app: TestApp) {
    let body = json!({ "email": "ann@example.org", "name": "x".repeat(64),
                       "password": crate::harness::PASSWORD });
    app.anonymous()
        .post("/user/reg", body.clone())
        .await
        .expect(201);
    let request = TestRequest::post()
        .uri("/user/login")
        .insert_header(("Accept-Encoding", "br, gzip"))
        .set_json(json!({ "account": "ann@example.org", "password": crate::harness::PASSWORD }));
    let answer = app.send(request).await;
    answer.expect(200);
    assert_eq!(answer.header("content-encoding"), "");
}

fn preflight(path: &str, origin: &str) -> TestRequest {
    TestRequest::with_uri(path)
        .method(Method::OPTIONS)
        .insert_header(("Origin", origin))
        .insert_header(("Access-Control-Request-Method", "POST"))
        .insert_header((
            "Access-Control-Request-Headers",
            "authorization, content-type",
        ))
}

async fn without_a_list_any_origin_may_read(app: TestApp) {
    let request = TestRequest::with_uri("/post").insert_header(("Origin", "https://a.example"));
    let answer = app.send(request).await;
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert_eq!(answer.header("access-control-allow-credentials"), "");
    let asks_to_read = TestRequest::with_uri("/post")
        .method(Method::OPTIONS)
        .insert_header(("Origin", "https://a.example"))
        .insert_header(("Access-Control-Request-Method", "GET"));
    let answer = app.send(asks_to_read).await;
    assert_eq!(answer.status.as_u16(), 204);
    assert_eq!(answer.header("access-control-allow-methods"), "GET, HEAD");
    // What changes something is for pages of this server only.
    let answer = app.send(preflight("/post", "https://a.example")).await;
    assert_eq!(answer.status.as_u16(), 204);
    assert_eq!(cors_headers(&answer), [""; 0]);
}

fn cors_headers(answer: &Answer) -> Vec<String> {
    (answer.headers.keys())
        .map(ToString::to_string)
        .filter(|name| name.starts_with("access-control"))
        .collect()
}

/// Browsers send some requests without asking first, such as a POST without a body.
async fn a_foreign_page_changes_nothing(app: TestApp) {
    let body = json!({ "email": "ann@example.org", "name": "Ann", "password": PASSWORD });
    let register = |origin: &str| {
        TestRequest::post()
            .uri("/user/reg")
            .insert_header(("Origin", origin))
            .insert_header(("Host", "blog.example.org"))
            .set_json(&body)
    };
    for origin in [
        "https://evil.example",
        "null",
        "http://blog.example.org.evil.example",
        "http://blog.example.org:81",
        "ftp://blog.example.org",
        "http://",
        "",
    ] {
        let answer = app.send(register(origin)).await;
        answer.problem("origin_refused");
        assert_eq!(cors_headers(&answer), [""; 0], "{origin}");
    }
    app.send(register("http://blog.example.org"))
        .await
        .expect(201);
}

async fn the_own_origin_is_that_of_the_public_url(app: TestApp) {
    let database = app.database.shared();
    let url = "https://blog.example.org/inkpot";
    let behind = TestApp::start(database, &["--public-url", url]).await;
    let log_in = |origin: &str| {
        TestRequest::post()
            .uri("/user/login")
            .insert_header(("Origin", origin))
            .insert_header(("Host", "127.0.0.1:8080"))
            .set_json(json!({ "account": "ann", "password": PASSWORD }))
    };
    // Another scheme is another origin (RFC 6454 §4).
    for foreign in ["http://127.0.0.1:8080", "http://blog.example.org"] {
        behind.send(log_in(foreign)).await.problem("origin_refused");
    }
    let own = behind.send(log_in("https://blog.example.org")).await;
    own.problem("invalid_credentials");
    // It is reached by TLS, and says so (RFC 6797); others have no such word.
    assert_eq!(own.header("strict-transport-security"), "max-age=31536000");
    let plain = app.anonymous().get("/livez").await;
    assert_eq!(plain.header("strict-transport-security"), "");
}

async fn answers_are_no_pages(app: TestApp) {
    let ann = app.user("ann").await;
    let id = ann.publish("Hello", "World").await;
    for path in [
        "/livez".to_owned(),
        format!("/post/{id}"),
        format!("/post/{id}"),
        "/nothing".to_owned(),
    ] {
        let answer = app.anonymous().get(&path).await;
        let policy = "default-src 'none'; frame-ancestors 'none'";
        assert_eq!(answer.header("content-security-policy"), policy, "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
    }
}

/// RFC 6750 §3.1: a good token that is not good enough.
async fn a_token_that_may_not_says_so(app: TestApp) {
    let ann = app.user("ann").await;
    let bob = app.user("bob").await;
    let post = format!("/post/{}", ann.publish("Hello", "World").await);
    let challenge = "Bearer realm=\"inkpot\", error=\"insufficient_scope\"";
    let answer = bob.get("/user").await;
    answer.problem("admins_only");
    assert_eq!(answer.header("www-authenticate"), challenge);
    let answer = bob.delete(&post).await;
    answer.problem("not_your_post");
    assert_eq!(answer.header("www-authenticate"), challenge);
}

async fn with_a_list_only_its_origins_are_named(app: TestApp) {
    let TestApp {
        database, state, ..
    } = app;
    drop(state);
    let database: TestDatabase = database;
    let origins = "https://blog.example.org,http://localhost:3000";
    let app = TestApp::start(database, &["--cors-origins", origins]).await;
    for origin in ["https://blog.example.org", "http://localhost:3000"] {
        let answer = app.send(preflight("/post", origin)).await;
        assert_eq!(answer.header("access-control-allow-origin"), origin);
        assert_eq!(answer.header("access-control-allow-credentials"), "true");
        assert_eq!(
            answer.header("access-control-allow-methods"),
            "GET, HEAD, POST, OPTIONS"
        );
        assert!(
            answer
                .header("access-control-allow-headers")
                .contains("Authorization")
        );
        assert_eq!(answer.header("vary"), "Origin");
        // Refusals are readable too.
        let refused = TestRequest::with_uri("/user/me").insert_header(("Origin", origin));
        let refused = app.send(refused).await;
        assert_eq!(refused.status.as_u16(), 401);
        assert_eq!(refused.header("access-control-allow-origin"), origin);
    }
    for origin in [
        "https://evil.example",
        "null",
        "https://blog.example.org.evil.example",
        "https://blog.example.org:444",
        "HTTPS://BLOG.EXAMPLE.ORG",
        "",
    ] {
        for request in [
            preflight("/post", origin),
            TestRequest::with_uri("/post").insert_header(("Origin", origin)),
        ] {
            let answer = app.send(request).await;
            assert!(answer.status.is_success());
            assert_eq!(cors_headers(&answer), [""; 0], "{origin}");
        }
    }
}

async fn error_codes_are_explained(app: TestApp) {
    for row in inkpot::error::TABLE {
        let body = app
            .anonymous()
            .get(&format!("/problems/{}", row.name))
            .await
            .expect(200);
        assert_eq!(body["code"], row.name);
        assert_eq!(body["title"], row.title);
        assert_eq!(body["status"], json!(row.status));
    }
    let problem = app.anonymous().get("/nowhere").await.problem("not_found");
    app.anonymous()
        .get(problem["type"].as_str().unwrap())
        .await
        .expect(200);
    app.anonymous()
        .get("/problems/made_up")
        .await
        .problem("not_found");
    app.anonymous().get("/problems/%ff").await.expect(404);
}

async fn the_service_says_how_it_is(app: TestApp) {
    let before = app.state.db.units();
    assert_eq!(
        app.anonymous().get("/livez").await.expect(200)["status"],
        "ok"
    );
    assert_eq!(app.state.db.units(), before, "liveness asks no database");
    let body = app.anonymous().get("/readyz").await.expect(200);
    assert_eq!(
        body,
        json!({ "status": "ok", "database": "ok", "migrations": "ok" })
    );
}

async fn a_database_without_its_tables_is_not_ready(app: TestApp) {
    app.leave_jobs();
    app.database.with(|conn| {
        inkpot::core::db::migrations::revert(conn)
            .map(drop)
            .unwrap();
    });
    let answer = app.anonymous().get("/readyz").await;
    answer.expect(503);
    let problem = answer.problem("not_ready");
    assert_eq!(problem["detail"], "The database lacks migrations.");
    app.anonymous().get("/livez").await.expect(200);
}
