//! A server that the world reaches under a path of a host: a proxy takes the path off
//! requests, and gives answers back as they are.

use serde_json::{Value, json};

use crate::harness::process::{Process, inkpot};
use crate::harness::{PASSWORD, TestApp, on_both_databases};

on_both_databases![whatever_leads_to_this_server_has_the_path];

const PUBLIC_URL: &str = "https://example.org/a/blog/";

async fn whatever_leads_to_this_server_has_the_path(app: TestApp) {
    let TestApp {
        database, state, ..
    } = app;
    drop(state);
    let app = TestApp::start(database, &["--public-url", PUBLIC_URL]).await;
    let body = json!({ "email": "ann@example.org", "name": "Ann", "password": PASSWORD });
    let answer = app.anonymous().post("/user/reg", body).await;
    answer.expect(201);
    assert_eq!(answer.header("location"), "/a/blog/user/1");
    let ann = app.client_of(&answer.json());
    let root = app.admin("root").await;
    for id in 1..=3 {
        let post = json!({ "title": "x", "content": "y", "tags": ["a<b"] });
        let answer = ann.post("/post/pub", post).await;
        answer.expect(201);
        assert_eq!(answer.header("location"), format!("/a/blog/post/{id}"));
    }
    // By page and cursor, made for the request and from the cache.
    for _ in 0..2 {
        let answer = ann.get("/post/?size=1&page=2&tag=a%3Cb").await;
        let links: Vec<&str> = answer.header("link").split(", ").collect();
        assert_eq!(links.len(), 4, "{links:?}");
        for link in links {
            let query = link.strip_prefix("</a/blog/post/?page=").unwrap();
            assert!(query.contains("tag=a%3Cb>; rel="), "{link}");
        }
        let answer = ann.get("/post/?before=&size=1").await;
        let links = answer.header("link");
        assert_eq!(
            links.matches("</a/blog/post/?before=").count(),
            2,
            "{links}"
        );
    }
    for (path, start) in [
        ("/user/", "</a/blog/user/?"),
        ("/audit/", "</a/blog/audit/?"),
    ] {
        let answer = root.get(path).await;
        assert!(answer.header("link").starts_with(start), "{path}");
    }
    for (path, code) in [
        ("/post/9", "post_not_found"),
        ("/nothing", "not_found"),
        ("/post/X", "path_invalid"),
    ] {
        let problem = ann.get(path).await.problem(code);
        assert_eq!(problem["type"], format!("/a/blog/problems/{code}"));
    }
    let description = app.anonymous().get("/openapi.json").await.json();
    assert_eq!(description["servers"][0]["url"], "/a/blog");
    let feed = app.anonymous().get("/feed.json").await.json();
    assert_eq!(feed["feed_url"], "https://example.org/a/blog/feed.json");
}

#[test]
fn requests_that_cannot_be_read_are_explained_there_too() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = inkpot(dir.path());
    let server = Process::start(command.env("INKPOT_PUBLIC_URL", PUBLIC_URL));
    let answer = server.raw(b"nonsense\r\n\r\n");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let problem: Value = serde_json::from_str(body).unwrap();
    assert_eq!(problem["type"], "/a/blog/problems/malformed_request");
}
