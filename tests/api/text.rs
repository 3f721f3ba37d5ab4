//! Text comes back as it went in, character for character, on both databases.

use serde_json::json;

use crate::harness::{PASSWORD, TestApp, on_both_databases};

on_both_databases![
    text_of_every_kind_survives,
    a_mebibyte_survives,
    escapes_are_read_as_json_has_them,
    control_characters_are_refused_everywhere,
];

/// Texts of every kind that a post takes.
pub const TEXTS: &[&str] = &[
    "Съешь же ещё этих мягких французских булок, да выпей чаю",
    "我能吞下玻璃而不伤身体。𠮷野家 𪚥",
    "Pa's wijze lynx bezag vroom het fikse aquaduct — één, twee, drieëntwintig",
    "نص حكيم له سر قاطع وذو شأن عظيم مكتوب على ثوب أخضر",
    "👩\u{200d}👩\u{200d}👧\u{200d}👦 🏳\u{fe0f}\u{200d}🌈 👍🏽 🇳🇱 🫠",
    "e\u{301} é a\u{328}\u{301} Z͑ͫ̓a̴l̸g̶o̷ ᄒ\u{1161}\u{11ab} \u{1e9b}\u{323}",
    "```rust\nfn main() {\n\tprintln!(\"<b>&amp;\\u{41}</b>\");\n}\n```\n    indented\n",
    "first\r\nsecond\rthird\nfourth\r\n\r\n",
    "trailing spaces   ",
    "   leading spaces\n\n\n",
    "\u{feff}a byte order mark, \u{200b}zero width, \u{a0}no break, \u{2028}line, \u{2029}paragraph",
    "quotes ' \" ` \\ %s %d ${x} {{y}} ; -- /* */ DROP TABLE post; \\' \\\" \\n",
    "\u{10ffff} \u{e000} \u{fffd} \u{fffe}",
    "x",
    " ",
];

async fn text_of_every_kind_survives(app: TestApp) {
    let ann = app.user("ann").await;
    for text in TEXTS {
        let title: String = text.chars().filter(|c| !c.is_control()).take(256).collect();
        let title = if title.trim().is_empty() {
            "blank".to_owned()
        } else {
            title
        };
        let id = ann.publish(&title, text).await;
        let post = app
            .anonymous()
            .get(&format!("/post/{id}"))
            .await
            .expect(200);
        assert_eq!(post["post"]["post_content"], *text);
        assert_eq!(post["post"]["post_title"], title);
    }
    // And in lists, and for names.
    for (n, text) in TEXTS.iter().take(6).enumerate() {
        let name: String = text.chars().take(64).collect();
        let name = name.trim();
        let body =
            json!({ "email": format!("p{n}@example.org"), "name": name, "password": PASSWORD });
        let body = app.anonymous().post("/user/reg", body).await.expect(201);
        assert_eq!(body["userinfo"]["name"], name);
    }
}

async fn a_mebibyte_survives(app: TestApp) {
    let ann = app.user("ann").await;
    let line = "Ünïcödé 漢字 🐙 \\ \" \t\r\n";
    let mut text = line.repeat(1_048_576 / line.len());
    text.push_str(&"x".repeat(1_048_576 - text.len()));
    assert_eq!(text.len(), 1_048_576);
    let id = ann.publish("One MiB", &text).await;
    let post = app
        .anonymous()
        .get(&format!("/post/{id}"))
        .await
        .expect(200);
    assert!(post["post"]["post_content"] == text.as_str(), "differs");

    text.push('x');
    let answer = ann
        .post("/post", json!({ "title": "x", "content": text }))
        .await;
    answer.expect(413);
    answer.problem("content_too_large");

    // Every byte escaped is six times as long on the way, and the same text.
    let escaped = format!(
        "{{\"title\":\"x\",\"content\":\"{}\"}}",
        "\\u0041".repeat(1_048_576)
    );
    let request = ann
        .request(actix_web::http::Method::POST, "/post")
        .insert_header(("content-type", "application/json"))
        .set_payload(escaped);
    let id = app.send(request).await.expect(201)["post_id"].clone();
    let post = app
        .anonymous()
        .get(&format!("/post/{id}"))
        .await
        .expect(200);
    assert!(
        post["post"]["post_content"] == "A".repeat(1_048_576).as_str(),
        "differs"
    );

    let request = ann
        .request(actix_web::http::Method::POST, "/post")
        .insert_header(("content-type", "application/json"))
        .set_payload(" ".repeat(8 * 1_048_576));
    let answer = app.send(request).await;
    answer.expect(413);
    answer.problem("body_too_large");
}

async fn escapes_are_read_as_json_has_them(app: TestApp) {
    let ann = app.user("ann").await;
    let send = async |content: &str| {
        let request = ann
            .request(actix_web::http::Method::POST, "/post")
            .insert_header(("content-type", "application/json; charset=utf-8"))
            .set_payload(format!("{{\"title\":\"x\",\"content\":\"{content}\"}}"));
        app.send(request).await
    };
    let body = send("\\ud83d\\udc19 \\u00e9 \\/ \\n").await.expect(201);
    assert_eq!(body["post"]["post_content"], "🐙 é / \n");
    for lone in [
        "\\ud83d",
        "\\udc19\\ud83d",
        "\\ud83dx",
        "\\u12",
        "\\x41",
        "\u{1}",
        "\n",
    ] {
        let answer = send(lone).await;
        answer.expect(400);
        answer.problem("malformed_json");
    }
}

async fn control_characters_are_refused_everywhere(app: TestApp) {
    let ann = app.user("ann").await;
    for c in [
        '\0', '\u{1}', '\u{8}', '\u{b}', '\u{c}', '\u{1b}', '\u{7f}', '\u{85}', '\u{9f}',
    ] {
        let text = format!("a{c}b and something more");
        ann.post("/post", json!({ "title": text, "content": text }))
            .await
            .faults(&[
                ("/title", "control_character"),
                ("/content", "control_character"),
            ]);
        let body = json!({ "email": text, "name": text, "password": text, "username": text, "mobile": text });
        app.anonymous().post("/user/reg", body).await.faults(&[
            ("/email", "control_character"),
            ("/name", "control_character"),
            ("/password", "control_character"),
            ("/username", "control_character"),
            ("/mobile", "control_character"),
        ]);
        app.anonymous()
            .post("/user/login", json!({ "account": text, "password": text }))
            .await
            .faults(&[
                ("/account", "control_character"),
                ("/password", "control_character"),
            ]);
    }
    // Which, and where.
    let post = json!({ "title": "Tab\there", "content": "one\r\ntwo\n\tthré\u{c}e\u{0}", "tags": ["x", "a\u{85}"] });
    let problem = ann.post("/post", post).await.problem("validation_failed");
    let told = |pointer: &str| {
        let errors = problem["errors"].as_array().unwrap();
        let error = errors.iter().find(|error| error["pointer"] == pointer);
        error.unwrap()["detail"].as_str().unwrap()
    };
    assert_eq!(told("/title"), "has U+0009 at character 4");
    assert_eq!(told("/tags/1"), "has U+0085 at character 2");
    let place = "has U+000C at character 15 (line 3, column 6)";
    assert_eq!(told("/content"), place);
    for c in ['\n', '\r', '\t'] {
        let text = format!("a{c}b");
        ann.post("/post", json!({ "title": text, "content": text }))
            .await
            .faults(&[("/title", "control_character")]);
    }
}
