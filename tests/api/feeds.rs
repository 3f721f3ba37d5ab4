//! Feeds: what they say is what the posts say, and what they are is what readers of
//! feeds take. Atom is parsed and checked against the grammar of RFC 4287 by Python's
//! libraries, JSON Feed by the schema of its community, so that validity is not believed.

use actix_web::http::Method;
use chrono::{DateTime, Duration, FixedOffset};
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::harness::process::{Process, inkpot};
use crate::harness::{Answer, PASSWORD, TestApp, left_out, on_both_databases, python};
use crate::sitemap::sitemap;
use crate::text::TEXTS;

on_both_databases![
    feeds_say_what_the_posts_say,
    an_empty_feed_is_a_feed,
    drafts_are_never_in_a_feed,
    a_feed_has_the_newest_twenty,
    filters_choose_and_are_named,
    what_cannot_be_read_is_refused,
    long_contents_are_cut,
    older_posts_are_one_link_away,
    ids_stay_when_addresses_change,
    where_people_read_nowhere_nothing_leads_there,
    the_page_leads_to_feeds_and_to_where_posts_are_read,
    a_feed_can_be_revalidated,
    links_begin_with_the_public_url_whatever_the_host,
];

/// Where the server of a test believes to be.
pub const BASE: &str = "http://127.0.0.1:8080";

/// Reads a feed as its readers do, after the grammar has been asked.
const READ: &str = r#"
import json, sys
import feedparser, rnc2rng
from lxml import etree

given = json.load(sys.stdin)
# The converter declares a prefix for no namespace, which XML does not have.
grammar = rnc2rng.dumps(rnc2rng.loads(given["grammar"])).replace('xmlns:local=""', "")
document = given["document"].encode()
feed = etree.fromstring(document)
etree.RelaxNG(etree.fromstring(grammar.encode())).assertValid(feed)

ATOM = {"a": "http://www.w3.org/2005/Atom"}

def texts(element, path):
    return [found.text or "" for found in element.findall(path, ATOM)]

def links(element):
    found = [[link.get(name) for name in ("rel", "type", "href")] for link in element.findall("a:link", ATOM)]
    return [link for link in found if link[0] != "replies"]

def thread(entry):
    """The feed of its comments, or what it answers."""
    found = [[link.get("href")] for link in entry.findall("a:link", ATOM) if link.get("rel") == "replies"]
    found += [[reply.get("ref"), reply.get("href")]
              for reply in entry.findall("{http://purl.org/syndication/thread/1.0}in-reply-to")]
    assert len(found) == 1, found
    return found[0]

reader = feedparser.parse(document, response_headers={"content-type": given["type"]})
assert not reader.bozo and reader.version == "atom10", reader
json.dump({
    "head": [texts(feed, "a:" + name) for name in ("title", "subtitle", "updated")],
    "id": texts(feed, "a:id"),
    "links": links(feed),
    "entries": [{
        "texts": [texts(entry, "a:" + name) for name in (
            "id", "title", "author/a:name", "published", "updated", "content", "summary")],
        "links": links(entry),
        "base": [content.get("{http://www.w3.org/XML/1998/namespace}base") for content in entry.findall("a:content", ATOM)],
        "types": [content.get("type") for content in entry.findall("a:content", ATOM)],
        "tags": [category.get("term") for category in entry.findall("a:category", ATOM)],
    } for entry in feed.findall("a:entry", ATOM)],
    "seen_by_reader": [entry.id for entry in reader.entries],
    "threads": [thread(entry) for entry in feed.findall("a:entry", ATOM)],
}, sys.stdout)
"#;

fn check(document: &str) -> Option<Result<Value, String>> {
    let grammar =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/atom.rnc")).unwrap();
    let given = json!({
        "grammar": grammar, "document": document, "type": "application/atom+xml; charset=utf-8",
    });
    python::run(READ, &given)
}

/// Both feeds of posts of a query, the Atom one checked and seen to say the same; the JSON.
pub async fn feed(app: &TestApp, query: &str) -> Value {
    let (json, _) = feed_at(app, "/feed", query).await;
    assert_eq!(json["home_page_url"], format!("{BASE}/"));
    json
}

/// The same of any feed, by its path without what says the format; the JSON, and what the entries of the
/// Atom feed belong to, where Python's libraries are there.
pub async fn feed_at(app: &TestApp, path: &str, query: &str) -> (Value, Option<Value>) {
    let atom = app.anonymous().get(&format!("{path}.atom{query}")).await;
    assert_eq!(atom.status.as_u16(), 200, "{path} {query}");
    let json = app.anonymous().get(&format!("{path}.json{query}")).await;
    let json = json.expect(200);
    check_json(&json);
    let threads = check(&atom.text()).map(|read| {
        let mut read = read.unwrap();
        let threads = read["threads"].take();
        let id = read["id"].take();
        assert!(id[0].as_str().unwrap().starts_with("urn:uuid:"), "{id}");
        assert_eq!(read, as_atom(&json), "{path} {query}");
        threads
    });
    (json, threads)
}

/// What [`READ`] finds in the Atom feed that says the same.
fn as_atom(feed: &Value) -> Value {
    let own = feed["feed_url"].as_str().unwrap();
    let as_atom = |url: &str| url.replacen(".json", ".atom", 1);
    let atom = as_atom(own);
    let items = feed["items"].as_array().unwrap();
    let newest = items
        .iter()
        .map(|item| item["date_modified"].as_str().unwrap())
        .max_by_key(|text| time(text));
    let subtitle: Vec<_> = feed.get("description").into_iter().collect();
    let mut links = vec![json!(["self", "application/atom+xml", atom])];
    if let Some((first, _)) = (atom.split_once("?before=")).or_else(|| atom.split_once("&before="))
    {
        links.push(json!(["first", "application/atom+xml", first]));
    }
    if let Some(next) = feed.get("next_url") {
        let next = as_atom(next.as_str().unwrap());
        links.push(json!(["next", "application/atom+xml", next]));
    }
    if let Some(home) = feed.get("home_page_url") {
        links.push(json!(["alternate", "text/html", home]));
    }
    links.push(json!(["alternate", "application/feed+json", own]));
    json!({
        "id": null,
        "head": [[xml(&feed["title"])], subtitle, [newest.unwrap_or("1970-01-01T00:00:00Z")]],
        "links": links,
        "entries": items.iter().map(|item| {
            let summary: Vec<_> = item.get("summary").map(xml).into_iter().collect();
            let url = item.get("url");
            let author = &item["authors"][0];
            json!({
                "texts": [
                    [item["id"]], [xml(&item["title"])], [xml(&author["name"])],
                    [item["date_published"]], [item["date_modified"]],
                    [xml(&item["content_html"])], summary,
                ],
                "links": url.map(|url| json!(["alternate", "text/html", url])).into_iter().collect::<Vec<_>>(),
                "base": [url],
                "types": ["html"],
                "tags": item["tags"].as_array().unwrap().iter().map(xml).collect::<Vec<_>>(),
            })
        }).collect::<Vec<_>>(),
        "seen_by_reader": items.iter().map(|item| &item["id"]).collect::<Vec<_>>(),
        "threads": null,
    })
}

/// The schema of JSON Feed 1.1 that its community keeps; `None`, said loudly, where it is not installed.
fn schema() -> Option<Validator> {
    let path = concat!(
        env!("CARGO_TARGET_TMPDIR"),
        "/../node-modules/node_modules/jsonfeed-schema/schema-v1.1.json"
    );
    let Ok(text) = std::fs::read_to_string(path) else {
        left_out::say("the schema of JSON Feed.", &format!("There is no {path}"));
        return None;
    };
    let schema = serde_json::from_str(&text).unwrap();
    let options = jsonschema::options().should_validate_formats(true);
    Some(options.build(&schema).unwrap())
}

/// What the schema has against a feed.
fn against_schema(feed: &Value) -> Option<Vec<String>> {
    let schema = schema()?;
    let faults = schema.iter_errors(feed);
    Some(
        faults
            .map(|fault| format!("{}: {fault}", fault.instance_path()))
            .collect(),
    )
}

/// Whether a JSON Feed is what its specification (<https://www.jsonfeed.org/version/1.1/>) says:
/// what it requires is there, everything has its type, and nothing has a name that it does not know.
fn check_json(feed: &Value) {
    let texts = |object: &Value, required: &[&str], optional: &[&str], others: &[&str]| {
        for (name, value) in object.as_object().unwrap() {
            let name = name.as_str();
            let is_text = required.contains(&name) || optional.contains(&name);
            assert!(is_text || others.contains(&name), "{name}");
            assert!(!is_text || value.is_string(), "{name}: {value}");
        }
        for name in required {
            assert!(object[name].is_string(), "{name} is missing");
        }
    };
    assert_eq!(against_schema(feed).unwrap_or_default(), [""; 0]);
    assert_eq!(feed["version"], "https://jsonfeed.org/version/1.1");
    let head = ["version", "title"];
    let more = ["home_page_url", "feed_url", "description", "next_url"];
    texts(feed, &head, &more, &["items"]);
    let mut ids = Vec::new();
    for item in feed["items"].as_array().unwrap() {
        let optional = ["url", "title", "summary", "date_published", "date_modified"];
        // It requires this or `content_text`.
        texts(
            item,
            &["id", "content_html"],
            &optional,
            &["authors", "tags"],
        );
        for date in ["date_published", "date_modified"] {
            time(item[date].as_str().unwrap());
        }
        for author in item["authors"].as_array().unwrap() {
            texts(author, &["name"], &[], &[]);
        }
        assert!(
            item["tags"]
                .as_array()
                .unwrap()
                .iter()
                .all(Value::is_string)
        );
        assert!(!item["summary"].is_null() || item.get("summary").is_none());
        assert!(!ids.contains(&item["id"]), "an id is unique");
        ids.push(item["id"].clone());
    }
}

fn time(text: &str) -> DateTime<FixedOffset> {
    DateTime::parse_from_rfc3339(text).unwrap()
}

/// A text as XML can have it: but for what no document may contain, the same.
fn xml(text: &Value) -> Value {
    text.as_str()
        .unwrap()
        .replace(
            |c| matches!(c, '\0'..'\t' | '\u{fffe}' | '\u{ffff}'),
            "\u{fffd}",
        )
        .into()
}

fn titles(feed: &Value) -> Vec<&str> {
    let items = feed["items"].as_array().unwrap();
    items.iter().map(|i| i["title"].as_str().unwrap()).collect()
}

#[test]
fn an_invalid_feed_would_be_noticed() {
    let valid = "<feed xmlns='http://www.w3.org/2005/Atom'><id>x</id><title>x</title>\
                 <updated>2026-11-21T09:31:00.5Z</updated></feed>";
    let Some(read) = check(valid) else {
        return;
    };
    assert_eq!(
        read.unwrap()["head"],
        json!([["x"], [], ["2026-11-21T09:31:00.5Z"]])
    );
    for (from, to, says) in [
        ("<id>x</id>", "", "DocumentInvalid"),
        ("00.5Z", "00.5 o'clock", "DocumentInvalid"),
        ("</updated>", "</updated><posted/>", "DocumentInvalid"),
        ("<title>", "<title type='markdown'>", "DocumentInvalid"),
        ("<id>x", "<id>&x", "XMLSyntaxError"),
        ("<id>x", "<id>\u{fffe}", "XMLSyntaxError"),
    ] {
        let changed = valid.replacen(from, to, 1);
        let error = check(&changed).unwrap().unwrap_err();
        assert!(error.contains(says), "{changed}: {error}");
    }
}

#[test]
fn an_invalid_json_feed_would_be_noticed() {
    let valid = json!({
        "version": "https://jsonfeed.org/version/1.1", "title": "x", "feed_url": "https://example.org/feed.json",
        "items": [{ "id": "1", "content_html": "x", "date_published": "2026-11-21T09:31:00.5Z" }],
    });
    let Some(faults) = against_schema(&valid) else {
        return;
    };
    assert_eq!(faults, [""; 0]);
    for (pointer, wrong) in [
        ("/version", json!("https://jsonfeed.org/version/2")),
        ("/title", Value::Null),
        ("/feed_url", json!("feed")),
        ("/items/0/id", json!(1)),
        ("/items/0/date_published", json!("yesterday")),
        ("/items/0", json!({ "content_html": "x" })),
    ] {
        let mut feed = valid.clone();
        *feed.pointer_mut(pointer).unwrap() = wrong;
        assert_ne!(against_schema(&feed).unwrap(), [""; 0], "{pointer}");
    }
}

async fn feeds_say_what_the_posts_say(app: TestApp) {
    let name = "Bob <b>&amp;</b> \"'\u{fffe}";
    let body = json!({ "email": "bob@example.org", "name": name, "password": PASSWORD });
    let answer = app.anonymous().post("/user/reg", body).await.expect(201);
    let bob = app.client_of(&answer);
    let more = [
        "<script>&]]>\"'",
        "<![CDATA[ &amp; &#13; ]]>",
        "\u{ffff}x\r",
    ];
    let mut posts = Vec::new();
    for text in TEXTS.iter().chain(&more) {
        app.clock.advance(Duration::milliseconds(1500));
        let title: String = text.chars().filter(|c| !c.is_control()).take(256).collect();
        let title = if title.trim().is_empty() {
            "blank".to_owned()
        } else {
            title
        };
        let tags = ["C++ & <x>", "\"Ä'", "\u{fffe}", "]]>"];
        let body = json!({ "title": title, "content": text, "tags": tags });
        posts.push(bob.post("/post", body).await.expect(201)["post"].clone());
    }
    // One that is older than others and changed last.
    app.clock.advance(Duration::seconds(1));
    let changed = bob
        .patch("/post/2", json!({ "title": "&#x21; changed" }))
        .await
        .expect(200)["post"]
        .clone();
    assert_ne!(changed["date"], changed["updated"]);
    posts[1] = changed;

    let mut feed = feed(&app, "").await;
    for item in feed["items"].as_array_mut().unwrap() {
        let id = item["id"].take();
        assert!(id.as_str().unwrap().starts_with("urn:uuid:"), "{id}");
    }
    let mut expected = Vec::new();
    for post in posts.iter().rev() {
        let path = format!("/post/{}?include=html", post["post_id"]);
        let shown = app.anonymous().get(&path).await.expect(200)["post"].clone();
        let mut item = json!({
            "id": null, "url": format!("{BASE}/p/{}", post["slug"].as_str().unwrap()),
            "title": post["post_title"], "content_html": shown["post_html"],
            "date_published": post["date"], "date_modified": post["updated"],
            "authors": [{ "name": name }], "tags": post["tags"],
        });
        if post["summary"] != "" {
            item["summary"] = post["summary"].clone();
        }
        expected.push(item);
    }
    assert_eq!(feed["items"], json!(expected));
    assert_eq!(feed["title"], "Inkpot");
    assert_eq!(feed["feed_url"], format!("{BASE}/feed.json"));
}

async fn an_empty_feed_is_a_feed(app: TestApp) {
    assert_eq!(feed(&app, "").await["items"], json!([]));
    let feed = feed(&app, "?author=9223372036854775807&tag=none").await;
    assert_eq!(feed["items"], json!([]));
    assert_eq!(
        feed["title"],
        "Inkpot by user 9223372036854775807 tagged none"
    );
}

async fn drafts_are_never_in_a_feed(app: TestApp) {
    let ann = app.user("ann").await;
    let draft = json!({ "title": "draft", "content": "hush", "status": "draft", "tags": ["t"] });
    let draft = ann.post("/post", draft).await.expect(201)["post_id"].clone();
    let id = ann.publish("published", "text").await;
    let query = format!("?author={}", ann.user_id);
    for query in ["", "?status=draft", &query, "?tag=t&status=draft"] {
        for path in ["/feed.atom", "/feed.json"] {
            let answer = ann.get(&format!("{path}{query}")).await;
            // A status is for lists.
            let status = if query.contains("status") { 400 } else { 200 };
            assert_eq!(answer.status.as_u16(), status);
            assert!(!answer.text().contains("hush"), "{path}{query}");
        }
    }
    assert_eq!(titles(&feed(&app, "").await), ["published"]);
    let draft = format!("/post/{draft}");
    ann.patch(&draft, json!({ "status": "published" }))
        .await
        .expect(200);
    assert_eq!(titles(&feed(&app, "").await), ["draft", "published"]);
    let path = format!("/post/{id}");
    ann.patch(&path, json!({ "status": "draft" }))
        .await
        .expect(200);
    assert_eq!(titles(&feed(&app, "").await), ["draft"]);
    ann.delete(&draft).await;
    assert_eq!(titles(&feed(&app, "").await), [""; 0]);
}

async fn a_feed_has_the_newest_twenty(app: TestApp) {
    let ann = app.user("ann").await;
    for n in 0..22 {
        app.clock.advance(Duration::seconds(1));
        ann.publish(&format!("Post {n}"), "text").await;
    }
    let expected: Vec<String> = (2..22).rev().map(|n| format!("Post {n}")).collect();
    assert_eq!(titles(&feed(&app, "").await), expected);
    // What is for lists is refused here.
    for other in ["page=2", "size=3", "before=x", "q=Post+1", "x=y"] {
        for path in ["/feed.atom", "/feed.json"] {
            let answer = app.anonymous().get(&format!("{path}?{other}")).await;
            answer.problem("query_invalid");
        }
    }
}

async fn filters_choose_and_are_named(app: TestApp) {
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    for (author, title, tags) in [
        (&ann, "a", json!(["rust"])),
        (&bob, "b", json!(["rust", "Ä & b"])),
        (&ann, "c", json!(["Ä & b"])),
        (&ann, "d", json!([])),
        (&bob, "e", json!(["rusty"])),
    ] {
        let body = json!({ "title": title, "content": title, "tags": tags });
        author.post("/post", body).await.expect(201);
    }
    let (a, b) = (ann.user_id, bob.user_id);
    for (query, found, title, own) in [
        (String::new(), "edcba", "", String::new()),
        ("?author=&tag=".to_owned(), "edcba", "", String::new()),
        (
            format!("?author={a}"),
            "dca",
            " by ann",
            format!("?author={a}"),
        ),
        (
            format!("?author={b}"),
            "eb",
            " by bob",
            format!("?author={b}"),
        ),
        (
            "?tag=RUST".to_owned(),
            "ba",
            " tagged rust",
            "?tag=rust".to_owned(),
        ),
        (
            format!("?tag=+%C3%84%20%26+B&author={a}"),
            "c",
            " by ann tagged ä & b",
            format!("?author={a}&tag=%C3%A4+%26+b"),
        ),
        (
            "?tag=x%00%0D%0Ay".to_owned(),
            "",
            " tagged x\0\r\ny",
            "?tag=x%00%0D%0Ay".to_owned(),
        ),
    ] {
        let feed = feed(&app, &query).await;
        assert_eq!(titles(&feed).concat(), found, "{query}");
        assert_eq!(feed["title"], format!("Inkpot{title}"));
        assert_eq!(feed["feed_url"], format!("{BASE}/feed.json{own}"));
    }
}

async fn what_cannot_be_read_is_refused(app: TestApp) {
    let long = format!("?tag={}", "x".repeat(33));
    for query in [
        "?author=0",
        "?author=01",
        "?author=ann",
        "?author=1.0",
        "?author=1&author=1",
        "?tag=+",
        &long,
    ] {
        for path in ["/feed.atom", "/feed.json"] {
            let answer = app.anonymous().get(&format!("{path}{query}")).await;
            answer.expect(400);
            answer.problem("query_invalid");
        }
    }
}

async fn long_contents_are_cut(app: TestApp) {
    let ann = app.user("ann").await;
    let most = 64 * 1024;
    // Three bytes each: the last one that fits ends a byte before the limit.
    let wide = "漢".repeat(most / 3);
    let beginnings = [
        ("x".repeat(most), "", false),
        ("x".repeat(most), "x", true),
        (wide.clone(), "", false),
        (wide, "字", true),
    ];
    for (beginning, rest, _) in &beginnings {
        ann.publish("x", &format!("{beginning}{rest}")).await;
    }
    let feed_of_few = feed(&app, "").await;
    let items = feed_of_few["items"].as_array().unwrap();
    for (item, (beginning, _, is_cut)) in items.iter().rev().zip(&beginnings) {
        let expected = if *is_cut {
            let url = item["url"].as_str().unwrap();
            format!("<p>{beginning}…</p>\n<p><a href=\"{url}\">…</a></p>\n")
        } else {
            format!("<p>{beginning}</p>\n")
        };
        assert!(item["content_html"] == expected, "differs");
    }

    // As long in XML as a text can become.
    let text = "\r&".repeat(512 * 1024);
    for _ in 0..20 {
        ann.publish("x", &text).await;
    }
    for path in ["/feed.atom", "/feed.json"] {
        let answer = app.anonymous().get(path).await;
        let per_post = answer.body.len() / 20;
        assert!((most..6 * most).contains(&per_post), "{path}: {per_post}");
    }
    let feed = feed(&app, "").await;
    let items = feed["items"].as_array().unwrap();
    assert_eq!(items.len(), 20);
    let ends = |item: &Value| {
        item["content_html"]
            .as_str()
            .unwrap()
            .ends_with("…</a></p>\n")
    };
    assert!(items.iter().all(ends));
}

async fn a_feed_can_be_revalidated(app: TestApp) {
    let ann = app.user("ann").await;
    ann.publish("x", &"long enough to be compressed ".repeat(100))
        .await;
    for (path, kind) in [
        ("/feed.atom", "application/atom+xml; charset=utf-8"),
        ("/feed.json", "application/feed+json"),
    ] {
        let ask = async |method: Method, etag: &str, coding: &str| -> Answer {
            let request = app
                .anonymous()
                .request(method, path)
                .insert_header(("If-None-Match", etag))
                .insert_header(("Accept-Encoding", coding));
            app.send(request).await
        };
        let first = ask(Method::GET, "", "").await;
        assert_eq!(first.status.as_u16(), 200);
        assert_eq!(first.header("content-type"), kind);
        assert_eq!(first.header("cache-control"), "no-cache");
        assert_eq!(first.header("vary"), "Accept-Encoding");
        let head = ask(Method::HEAD, "", "").await;
        assert_eq!(head.header("content-type"), kind);
        assert_eq!(head.header("etag"), first.header("etag"));
        let small = ask(Method::GET, "", "br").await;
        assert_eq!(small.header("content-encoding"), "br");
        assert!(small.body.len() < first.body.len() / 2);
        for (method, etag, coding) in [
            (Method::GET, first.header("etag"), ""),
            (Method::HEAD, first.header("etag"), ""),
            (Method::GET, small.header("etag"), "br"),
        ] {
            let answer = ask(method, etag, coding).await;
            assert_eq!(answer.status.as_u16(), 304, "{etag}");
            assert_eq!(answer.header("etag"), etag);
            assert!(answer.body.is_empty());
        }
        app.clock.advance(Duration::seconds(1));
        ann.patch("/post/1", json!({ "title": path }))
            .await
            .expect(200);
        let second = ask(Method::GET, first.header("etag"), "").await;
        assert_eq!(second.status.as_u16(), 200);
        assert!(second.text().contains(path));
    }
}

async fn links_begin_with_the_public_url_whatever_the_host(app: TestApp) {
    app.user("ann").await.publish("x", "y").await;
    let app = app
        .second(&["--public-url", "https://example.org/blog's/"])
        .await;
    let stranger = app
        .anonymous()
        .with_header("Host", "evil.example")
        .with_header("X-Forwarded-Host", "evil.example")
        .with_header("Forwarded", "host=evil.example;proto=ftp");
    let feed = stranger.get("/feed.json?tag=").await.expect(200);
    let base = "https://example.org/blog's";
    assert_eq!(feed["title"], "Inkpot");
    assert_eq!(feed["home_page_url"], format!("{base}/"));
    assert_eq!(feed["feed_url"], format!("{base}/feed.json"));
    assert_eq!(feed["items"][0]["url"], format!("{base}/p/x"));
    let atom = stranger.get("/feed.atom").await.text();
    assert!(!atom.contains("evil"), "{atom}");
    if let Some(read) = check(&atom) {
        let mut read = read.unwrap();
        read["id"].take();
        read["threads"].take();
        assert_eq!(read, as_atom(&feed));
    }
}

async fn older_posts_are_one_link_away(app: TestApp) {
    let ann = app.user("ann").await;
    for n in 0..45 {
        app.clock.advance(Duration::seconds(1));
        let tags = if n % 9 == 0 {
            json!(["ninth"])
        } else {
            json!([])
        };
        let body = json!({ "title": format!("Post {n}"), "content": "text", "tags": tags });
        ann.post("/post", body).await.expect(201);
    }
    let mut query = String::new();
    let mut seen: Vec<String> = Vec::new();
    let mut pages = 0;
    loop {
        let feed = feed(&app, &query).await;
        seen.extend(titles(&feed).into_iter().map(str::to_owned));
        pages += 1;
        let Some(next) = feed.get("next_url") else {
            break;
        };
        let next = next.as_str().unwrap();
        let behind = next.strip_prefix(&format!("{BASE}/feed.json"));
        behind.unwrap().clone_into(&mut query);
    }
    let expected: Vec<String> = (0..45).rev().map(|n| format!("Post {n}")).collect();
    assert_eq!((pages, seen), (3, expected));
    // A filter stays with the links; what has no more has none.
    let tagged = feed(&app, "?tag=ninth").await;
    assert_eq!(titles(&tagged).len(), 5);
    assert!(tagged.get("next_url").is_none());
    let author = feed(&app, &format!("?author={}", ann.user_id)).await;
    let next = author["next_url"].as_str().unwrap();
    assert!(
        next.contains(&format!("author={}&before=", ann.user_id)),
        "{next}"
    );
}

async fn ids_stay_when_addresses_change(app: TestApp) {
    let ann = app.user("ann").await;
    ann.publish("First", "text").await;
    let ids = |feed: &Value, atom: &Answer| {
        let id = feed["items"][0]["id"].clone();
        assert!(atom.text().contains(id.as_str().unwrap()));
        let own = atom
            .text()
            .split_once("<id>")
            .unwrap()
            .1
            .split_once("</id>")
            .unwrap()
            .0
            .to_owned();
        (id, own)
    };
    let before = ids(
        &feed(&app, "").await,
        &app.anonymous().get("/feed.atom").await,
    );
    app.clock.advance(Duration::seconds(1));
    let patch = json!({ "title": "Other", "slug": "elsewhere", "content": "new" });
    ann.patch("/post/1", patch).await.expect(200);
    let app = app
        .second(&[
            "--public-url",
            "https://example.org/blog",
            "--post-url",
            "https://www.example.net/read?post={id}&name={slug}",
            "--title",
            "The <b>Blog</b>",
            "--subtitle",
            "Of this & that",
        ])
        .await;
    let json = app.anonymous().get("/feed.json").await.expect(200);
    let atom = app.anonymous().get("/feed.atom").await;
    assert_eq!(ids(&json, &atom), before);
    assert_eq!(json["title"], "The <b>Blog</b>");
    assert_eq!(json["description"], "Of this & that");
    let url = "https://www.example.net/read?post=1&name=elsewhere";
    assert_eq!(json["items"][0]["url"], url);
    if let Some(read) = check(&atom.text()) {
        let mut read = read.unwrap();
        read["id"].take();
        read["threads"].take();
        assert_eq!(read, as_atom(&json));
    }
}

async fn where_people_read_nowhere_nothing_leads_there(app: TestApp) {
    let ann = app.user("ann").await;
    ann.publish("x", "y").await;
    ann.publish("x", &"long ".repeat(14_000)).await;
    let app = app.second(&["--page", "off"]).await;
    let (feed, _) = feed_at(&app, "/feed", "").await;
    assert!(feed.get("home_page_url").is_none());
    for item in feed["items"].as_array().unwrap() {
        assert!(item.get("url").is_none());
        assert!(!item["content_html"].as_str().unwrap().contains("href"));
    }
    app.anonymous()
        .get("/sitemap.xml")
        .await
        .problem("not_found");
    let app = app
        .second(&["--page", "off", "--post-url", "https://example.net/{id}"])
        .await;
    let (feed, _) = feed_at(&app, "/feed", "").await;
    assert_eq!(feed["home_page_url"], "https://example.net/");
    assert_eq!(feed["items"][1]["url"], "https://example.net/1");
    assert_eq!(
        sitemap(&app, "").await.1,
        ["https://example.net/1", "https://example.net/2"]
    );
}

async fn the_page_leads_to_feeds_and_to_where_posts_are_read(app: TestApp) {
    app.user("ann")
        .await
        .publish("Hello & good bye", "text")
        .await;
    let own = app.anonymous().get("/p/hello-good-bye").await.text();
    for part in [
        "<link rel=\"canonical\" href=\"http://127.0.0.1:8080/p/hello-good-bye\">",
        "type=\"application/atom+xml\" title=\"Hello &amp; good bye · Inkpot\" href=\"/post/1/comments.atom\"",
        "type=\"application/feed+json\" title=\"Inkpot\" href=\"/feed.json\"",
    ] {
        assert!(own.contains(part), "{part}\n{own}");
    }
    let app = app
        .second(&["--post-url", "https://example.net/{slug}?a&b={id}"])
        .await;
    let page = app.anonymous().get("/p/hello-good-bye").await.text();
    let link = "<link rel=\"canonical\" href=\"https://example.net/hello-good-bye?a&amp;b=1\">";
    assert!(page.contains(link), "{page}");
    let home = app.anonymous().get("/").await.text();
    assert!(
        home.contains("<link rel=\"canonical\" href=\"http://127.0.0.1:8080/\">"),
        "{home}"
    );
}

#[test]
fn the_public_url_is_where_the_server_listens_unless_set() {
    let dir = tempfile::tempdir().unwrap();
    let own_url = |server: &Process| {
        let (status, body) = server.call("GET", "/feed.json", "", "");
        assert_eq!(status, 200, "{body}");
        serde_json::from_str::<Value>(&body).unwrap()["feed_url"].clone()
    };
    let server = Process::start(&mut inkpot(dir.path()));
    assert_eq!(own_url(&server), format!("{}/feed.json", server.url()));
    drop(server);
    let mut command = inkpot(dir.path());
    let server = Process::start(command.env("INKPOT_PUBLIC_URL", "https://Example.org/"));
    assert_eq!(own_url(&server), "https://example.org/feed.json");
}
