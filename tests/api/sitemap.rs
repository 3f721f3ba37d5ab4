//! The sitemap: every published post once, by where people read it.

use diesel::connection::SimpleConnection;
use inkpot::core::db::Conn;
use serde_json::json;

use crate::feeds::BASE;
use crate::harness::{TestApp, on_both_databases, python};

on_both_databases![a_sitemap_has_every_post_once];

/// Reads a sitemap as XML: the name of its root and the text of its `loc`s.
const READ_SITEMAP: &str = r#"
import json, sys
from lxml import etree

given = json.load(sys.stdin)
root = etree.fromstring(given["document"].encode())
space = "{http://www.sitemaps.org/schemas/sitemap/0.9}"
assert root.tag.startswith(space), root.tag
json.dump([root.tag[len(space):], [loc.text for loc in root.iter(space + "loc")]], sys.stdout)
"#;

/// The name of the root of a sitemap, and the URLs in it.
pub async fn sitemap(app: &TestApp, query: &str) -> (String, Vec<String>) {
    let answer = app.anonymous().get(&format!("/sitemap.xml{query}")).await;
    assert_eq!(answer.status.as_u16(), 200);
    assert_eq!(
        answer.header("content-type"),
        "application/xml; charset=utf-8"
    );
    let document = answer.text();
    let given = json!({ "document": document });
    if let Some(read) = python::run(READ_SITEMAP, &given) {
        return serde_json::from_value(read.unwrap()).unwrap();
    }
    let root = if document.contains("<urlset") {
        "urlset"
    } else {
        "sitemapindex"
    };
    let locs = document.split("<loc>").skip(1);
    let locs = locs.map(|rest| rest.split_once("</loc>").unwrap().0.replace("&amp;", "&"));
    (root.to_owned(), locs.collect())
}

async fn a_sitemap_has_every_post_once(app: TestApp) {
    assert_eq!(sitemap(&app, "").await, ("urlset".to_owned(), vec![]));
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    ann.publish("First one", "text").await;
    bob.publish("Second", "text").await;
    let draft = json!({ "title": "Draft", "content": "hush", "status": "draft" });
    ann.post("/post", draft).await.expect(201);
    let urls = |names: &[&str]| {
        names
            .iter()
            .map(|name| format!("{BASE}/p/{name}"))
            .collect::<Vec<_>>()
    };
    let small = ("urlset".to_owned(), urls(&["first-one", "second"]));
    assert_eq!(sitemap(&app, "").await, small);
    assert_eq!(sitemap(&app, "?piece=0").await, small);
    assert_eq!(sitemap(&app, "?piece=7").await.1, [""; 0]);
    for bad in [
        "piece=-1",
        "piece=01",
        "piece=x",
        "piece=",
        "piece=1&piece=2",
        "page=1",
    ] {
        let answer = app.anonymous().get(&format!("/sitemap.xml?{bad}")).await;
        answer.problem("query_invalid");
    }

    // With ids of more than a piece it is an index, without pieces that have nothing.
    app.database.with(|conn| {
        let sql = match conn {
            Conn::Sqlite(_) => "UPDATE sqlite_sequence SET seq = 150000 WHERE name = 'post'",
            Conn::Mysql(_) => "ALTER TABLE post AUTO_INCREMENT = 150001",
        };
        conn.batch_execute(sql).unwrap();
    });
    assert_eq!(bob.publish("Third", "text").await, 150_001);
    let index = |pieces: &[&str]| {
        let url = |piece: &&str| format!("{BASE}/sitemap.xml?piece={piece}");
        (
            "sitemapindex".to_owned(),
            pieces.iter().map(url).collect::<Vec<_>>(),
        )
    };
    assert_eq!(sitemap(&app, "").await, index(&["0", "3"]));
    assert_eq!(sitemap(&app, "?piece=0").await, small);
    let third = ("urlset".to_owned(), urls(&["third"]));
    assert_eq!(sitemap(&app, "?piece=3").await, third);
    for post in ["/post/1", "/post/2"] {
        let author = if post == "/post/1" { &ann } else { &bob };
        author
            .patch(post, json!({ "status": "draft" }))
            .await
            .expect(200);
    }
    assert_eq!(
        sitemap(&app, "").await,
        third,
        "of one piece there is no index"
    );
    // A slug, and so a link, changes.
    bob.patch("/post/150001", json!({ "slug": "last" }))
        .await
        .expect(200);
    assert_eq!(sitemap(&app, "").await.1, urls(&["last"]));
}
