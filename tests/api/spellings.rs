//! An answer follows from what was asked, however that was spelt: nothing of a request's
//! spelling is in what others get.

use serde_json::json;

use crate::harness::{Answer, TestApp, on_both_databases};

on_both_databases![
    two_spellings_of_one_filter_have_one_answer,
    no_header_grows_with_the_request,
];

/// Numbers of a simple generator, so that a failure can be seen again.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = (self.0)
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

/// What is asked for, before it is spelt.
struct Asked {
    author: Option<&'static str>,
    tag: Option<&'static str>,
    words: Vec<&'static str>,
    page: Option<&'static str>,
    size: Option<&'static str>,
    before: Option<&'static str>,
}

fn ask(dice: &mut Dice) -> Asked {
    let mut maybe = |from: &[&'static str]| {
        let picked = dice.pick(from);
        (!picked.is_empty()).then_some(picked)
    };
    let (author, tag) = (maybe(&["", "1", "2"]), maybe(&["", "rust", "straße"]));
    let (page, size) = (maybe(&["", "1", "2"]), maybe(&["", "3", "20"]));
    let before = maybe(&["", "", "9"]);
    let words = ["hello", "wor*", "\"two words\"", "don't", "中文", "émigré"];
    let words = words.into_iter().filter(|_| dice.below(3) == 0).collect();
    Asked {
        author,
        tag,
        words,
        page,
        size,
        before,
    }
}

/// A text with some of its characters escaped.
fn escaped(dice: &mut Dice, text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            ' ' => out.push_str(dice.pick(&["+", "%20"])),
            _ if c.is_ascii_alphanumeric() && dice.below(4) > 0 => out.push(c),
            _ => {
                for byte in c.to_string().bytes() {
                    let hex = format!("%{byte:02x}");
                    out.push_str(&if dice.below(2) == 0 {
                        hex
                    } else {
                        hex.to_uppercase()
                    });
                }
            }
        }
    }
    out
}

fn cased(dice: &mut Dice, text: &str) -> String {
    if dice.below(2) == 0 {
        text.to_owned()
    } else {
        // Not the sharp s, whose capital is two letters.
        text.chars()
            .map(|c| {
                if c == 'ß' {
                    'ẞ'
                } else {
                    c.to_uppercase().next().unwrap_or(c)
                }
            })
            .collect()
    }
}

/// Some path that asks for it.
fn spell(dice: &mut Dice, asked: &Asked) -> String {
    let mut pairs = Vec::new();
    if let Some(author) = asked.author {
        pairs.push(("author", author.to_owned()));
    }
    if let Some(tag) = asked.tag {
        let pad = |dice: &mut Dice| " ".repeat(dice.below(40));
        let tag = cased(dice, tag);
        pairs.push(("tag", format!("{}{tag}{}", pad(dice), pad(dice))));
    }
    if !asked.words.is_empty() {
        let mut words: Vec<String> = Vec::new();
        for word in &asked.words {
            let mut word = cased(dice, word);
            if word.contains('\'') && dice.below(2) == 0 {
                word = format!("\"{}\"", word.replace('\'', " "));
            }
            // Punctuation behind a star takes nothing from it.
            let noise = dice.pick(&["", "!", "!!!!", ",,", "?."]);
            words.push(format!("{word}{noise}"));
        }
        for _ in 0..dice.below(3) {
            let again = words[dice.below(words.len())].clone();
            words.push(again);
        }
        for at in 1..words.len() {
            words.swap(at, dice.below(at + 1));
        }
        // The last word may be a beginning, so which one is last is not for the dice to say.
        words.push("wor*".to_owned());
        let between = dice.pick(&[" ", "   ", " ++ ", " - "]);
        pairs.push(("q", words.join(between)));
    }
    // In the order of relevance cursors are others.
    let before = (asked.before).map(|before| {
        if asked.words.is_empty() {
            before
        } else {
            "r9.9"
        }
    });
    let pages = [
        ("page", asked.page),
        ("size", asked.size),
        ("before", before),
    ];
    for (name, value) in pages {
        if let Some(value) = value {
            pairs.push((name, value.to_owned()));
        }
    }
    for at in 1..pairs.len() {
        pairs.swap(at, dice.below(at + 1));
    }
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={}", escaped(dice, value)))
        .collect();
    format!("/post{}?{}", dice.pick(&["", "/"]), pairs.join("&"))
}

/// Everything of an answer but what is each one's own.
fn told(answer: &Answer) -> (u16, Vec<(String, String)>, String) {
    let mut headers: Vec<(String, String)> = (answer.headers.iter())
        .filter(|(name, _)| !["date", "x-request-id"].contains(&name.as_str()))
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    headers.sort_unstable();
    (answer.status.as_u16(), headers, answer.text())
}

async fn two_spellings_of_one_filter_have_one_answer(app: TestApp) {
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    for n in 0..12 {
        let author = if n % 3 == 0 { &bob } else { &ann };
        let tags = if n % 2 == 0 {
            json!(["rust", "straße"])
        } else {
            json!(["rust"])
        };
        let content = "hello world, two words; don't say 中文 émigré";
        let body = json!({ "title": format!("{n}"), "content": content, "tags": tags });
        author.post("/post", body).await.expect(201);
    }
    // One that keeps nothing, where each answer is made of its own request.
    let plain = app.second(&["--cache-mb", "0"]).await;
    for seed in 0..300 {
        let dice = &mut Dice(seed);
        let asked = ask(dice);
        let (one, other) = (spell(dice, &asked), spell(dice, &asked));
        let first = plain.anonymous().get(&one).await;
        assert_eq!(first.status, 200, "{seed}: {one}");
        let second = plain.anonymous().get(&other).await;
        assert_eq!(told(&first), told(&second), "{seed}: {one} and {other}");
        let kept = app.anonymous().get(&other).await;
        assert_eq!(told(&first), told(&kept), "{seed}: {one} and {other}");
        // What is linked is what was asked for.
        let link = first.header("link");
        assert!(link.contains("rel=\"first\""), "{link}");
        if asked.before.is_none() {
            let page = asked.page.unwrap_or("1");
            let here = link
                .split(['<', '>'])
                .find(|part| part.starts_with("/post/?page="));
            let here = here.unwrap().replace("page=1&", &format!("page={page}&"));
            let again = plain.anonymous().get(&here).await;
            assert_eq!(told(&first), told(&again), "{seed}: {one} and {here}");
        }
    }
}

async fn no_header_grows_with_the_request(app: TestApp) {
    let ann = app.user("ann").await;
    let body = json!({ "title": "x", "content": "wasm", "tags": ["rust"] });
    ann.post("/post", body).await.expect(201);
    let long_words: Vec<String> = (0..64).map(|n| format!("{n}x{}", "w".repeat(78))).collect();
    let long_words = long_words.join("+");
    for (path, is_linked) in [
        (format!("/post/?tag=rust{}", "+".repeat(2000)), true),
        (format!("/post/?q=wasm{}", "!".repeat(2000)), true),
        (format!("/post/?before=&q=wasm{}", "!".repeat(2000)), true),
        (format!("/post/?q={}", "!".repeat(2000)), true),
        (format!("/post/?q={long_words}"), false),
        (format!("/post/?before=&q={long_words}"), false),
    ] {
        let answer = app.anonymous().get(&path).await;
        answer.expect(200);
        let longest = answer.headers.iter().map(|(_, value)| value.len()).max();
        assert!(longest.unwrap() <= 2048, "{path}");
        let start = &path[..40.min(path.len())];
        assert_eq!(answer.headers.contains_key("link"), is_linked, "{start}");
        assert!(answer.header("link").len() < 300, "{path}");
    }
    // What nothing fits leads to nothing.
    let nothing = app.anonymous().get("/post/?q=!!!").await;
    let first = nothing
        .header("link")
        .split(['<', '>'])
        .nth(1)
        .unwrap()
        .to_owned();
    let page = app.anonymous().get(&first).await.expect(200);
    assert_eq!(page["pagination"]["count"], 0);
}
