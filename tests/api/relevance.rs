//! The order of what a search finds: what fits best first, the same on both databases, and each post
//! once on its pages.

use diesel::connection::SimpleConnection;
use inkpot::core::db::dialect;
use inkpot::posts::routes::response_cache::anything_changed;
use inkpot::posts::search::words_of;
use serde_json::{Value, json};

use crate::harness::posts::{insert_many, place_of};
use crate::harness::{Client, TestApp, on_both_databases};

on_both_databases![
    what_fits_best_stands_first,
    any_other_order_is_asked_for,
    pages_and_cursors_meet_every_post_once,
    more_posts_than_are_weighed_follow_by_date,
    the_last_word_may_be_a_beginning,
    snippets_show_the_words,
    posts_that_are_not_weighed_yet_are_found,
];

fn path(query: &str, more: &str) -> String {
    let query: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
    format!("/post/?q={query}{more}")
}

fn titles(page: &Value) -> Vec<&str> {
    let posts = page["posts"].as_array().unwrap();
    posts
        .iter()
        .map(|post| post["post_title"].as_str().unwrap())
        .collect()
}

fn ids(page: &Value) -> Vec<i64> {
    let posts = page["posts"].as_array().unwrap();
    posts
        .iter()
        .map(|post| post["post_id"].as_i64().unwrap())
        .collect()
}

async fn publish(ann: &Client<'_>, posts: &[(&str, &[&str], &str)]) {
    for (title, tags, content) in posts {
        let post = json!({ "title": title, "content": content, "tags": tags });
        ann.post("/post", post).await.expect(201);
    }
}

async fn what_fits_best_stands_first(app: TestApp) {
    let ann = app.user("ann").await;
    let name = json!({ "name": "Garden Smith" });
    let long = "many other words ".repeat(100);
    publish(
        &ann,
        &[
            ("The garden", &[], "x"),
            ("Garden", &[], "x"),
            ("A garden in winter, and more", &[], "x"),
            ("tagged", &["garden"], "garden garden"),
            ("often", &[], "garden garden garden"),
            ("once", &[], &format!("{long} garden {long}")),
            ("none", &[], "gardens"),
        ],
    )
    .await;
    let page = ann.get(&path("garden", "")).await.expect(200);
    let order = [
        "Garden",
        "The garden",
        "A garden in winter, and more",
        "tagged",
        "often",
        "once",
    ];
    assert_eq!(titles(&page), order);
    assert_eq!(page["pagination"]["count"], 6);
    // A filter takes nothing from the order.
    let page = ann.get(&path("garden", "&author=@nobody")).await;
    page.expect(404);
    let tagged = ann.get(&path("garden", "&tag=garden")).await.expect(200);
    assert_eq!(titles(&tagged), ["tagged"]);
    // Both words in the title are more than one of them.
    let page = ann.get(&path("garden winter", "")).await.expect(200);
    assert_eq!(titles(&page), ["A garden in winter, and more"]);
    // A change counts at once.
    ann.patch("/post/6", json!({ "title": "Garden once" }))
        .await
        .expect(200);
    let page = ann.get(&path("garden", "&size=2")).await.expect(200);
    assert_eq!(titles(&page), ["Garden", "Garden once"]);
    // So does the author's name, a moment later, and it is the least.
    ann.patch("/user/me", name).await.expect(200);
    while app.work().await > 0 {}
    let page = ann.get(&path("garden", "")).await.expect(200);
    assert_eq!(titles(&page)[6], "none");
    // Drafts are in the same order.
    let draft = json!({ "title": "Garden", "content": "y", "status": "draft" });
    let other = json!({ "title": "y", "content": "garden", "status": "draft" });
    ann.post("/post", draft).await.expect(201);
    ann.post("/post", other).await.expect(201);
    let page = ann.get(&path("garden", "&status=draft")).await.expect(200);
    assert_eq!(titles(&page), ["Garden", "y"]);
}

async fn any_other_order_is_asked_for(app: TestApp) {
    let ann = app.user("ann").await;
    publish(
        &ann,
        &[("x", &[], "word"), ("Word", &[], "x"), ("y", &[], "word")],
    )
    .await;
    for (more, expected) in [
        ("", [2, 3, 1]),
        ("&sort=relevance", [2, 3, 1]),
        ("&sort=", [2, 3, 1]),
        ("&sort=newest", [3, 2, 1]),
        ("&sort=oldest", [1, 2, 3]),
    ] {
        let page = ann.get(&path("word", more)).await.expect(200);
        assert_eq!(ids(&page), expected, "{more}");
    }
    // The links say the order where it is not the usual one.
    let usual = ann.get(&path("word", "&size=1&sort=relevance")).await;
    assert!(!usual.header("link").contains("sort="));
    let newest = ann.get(&path("word", "&size=1&sort=newest")).await;
    assert!(newest.header("link").contains("q=word&sort=newest"));
    for path in [
        "/post/?sort=relevance",
        "/post/?sort=best&q=word",
        "/post/?include=snippet",
        // Cursors of other orders.
        "/post/?q=word&before=3",
        "/post/?q=word&sort=newest&before=r5.3",
        "/post/?before=r5.3",
    ] {
        ann.get(path).await.problem("query_invalid");
    }
}

/// All ids by cursor, and by page.
async fn walk(reader: &Client<'_>, query: &str, size: usize) -> (Vec<i64>, Vec<i64>) {
    let (mut by_cursor, mut next) = (Vec::new(), String::new());
    loop {
        let more = format!("&size={size}&before={next}");
        let page = reader.get(&path(query, &more)).await.expect(200);
        by_cursor.extend(ids(&page));
        match page["pagination"]["next"].as_str() {
            Some(cursor) => cursor.clone_into(&mut next),
            None => break,
        }
    }
    let mut by_page = Vec::new();
    for number in 1.. {
        let more = format!("&size={size}&page={number}");
        let page = reader.get(&path(query, &more)).await.expect(200);
        let some = ids(&page);
        let is_last = page["pagination"]["next"].is_null();
        assert_eq!(
            is_last,
            some.len() < size || page["pagination"]["pages"] == number
        );
        by_page.extend(some);
        if is_last {
            break;
        }
    }
    (by_cursor, by_page)
}

async fn pages_and_cursors_meet_every_post_once(app: TestApp) {
    let ann = app.user("ann").await;
    for n in 0..23 {
        let title = if n % 4 == 0 { "A word" } else { "x" };
        ann.publish(title, &"word ".repeat(1 + n % 3)).await;
    }
    let (by_cursor, by_page) = walk(&ann, "word", 5).await;
    assert_eq!(by_cursor, by_page);
    let mut all = by_cursor.clone();
    all.sort_unstable();
    assert_eq!(all, (1..=23).collect::<Vec<i64>>());
    // A post that comes in between is no reason to show another one twice.
    let first = ann.get(&path("word", "&size=5&before=")).await.expect(200);
    ann.publish("Word", "word").await;
    let next = first["pagination"]["next"].as_str().unwrap();
    let more = format!("&size=5&before={next}");
    let second = ann.get(&path("word", &more)).await.expect(200);
    assert_eq!(ids(&second), by_cursor[5..10]);
    let past = ann.get(&path("word", "&page=99")).await.expect(200);
    assert_eq!(
        (ids(&past), &past["pagination"]["count"]),
        (vec![], &json!(24))
    );
}

async fn more_posts_than_are_weighed_follow_by_date(app: TestApp) {
    let ann = app.user("ann").await;
    app.user("bob").await;
    // The oldest and one in the middle have the word in their titles.
    app.database.with(|conn| {
        insert_many(conn, 2, 1500);
        for (id, title) in [(1, "The oldest word"), (4, "Word"), (700, "Some word")] {
            conn.batch_execute(&format!(
                "UPDATE post SET title = '{title}' WHERE post_id = {id}"
            ))
            .unwrap();
            let place = place_of(id);
            dialect::delete_words(conn, &[place]).unwrap();
            dialect::insert_words(conn, place, &words_of(title, &[], "x").text).unwrap();
        }
    });
    anything_changed(&app.state.response_cache);
    let (by_cursor, by_page) = walk(&ann, "word", 100).await;
    assert_eq!(by_cursor.len(), 1000);
    assert_eq!(by_cursor, by_page);
    let mut all = by_cursor.clone();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 1000);
    assert_eq!(by_cursor[..3], [4, 700, 1]);
    let others = &by_cursor[3..];
    assert!(others.is_sorted_by(|one, other| one > other), "{others:?}");
    let (small, _) = walk(&ann, "\"word seventh\"", 7).await;
    assert!(small.len() > 100);
}

async fn the_last_word_may_be_a_beginning(app: TestApp) {
    let ann = app.user("ann").await;
    publish(
        &ann,
        &[
            ("Alpha", &[], "beta gamma"),
            ("Alphabet", &[], "gamma"),
            ("Other", &[], "don't 中文字"),
        ],
    )
    .await;
    for (query, expected, beginning) in [
        ("alpha", vec![1], None),
        ("alph", vec![2, 1], Some("alph")),
        ("GAMMA alph", vec![2, 1], Some("alph")),
        ("alph gamma", vec![], None),
        ("alph \"gamma\"", vec![2, 1], Some("alph")),
        ("\"alph\"", vec![], None),
        ("alph*", vec![2, 1], None),
        ("nothing", vec![], None),
        ("oth nothing", vec![], None),
        ("don", vec![3], None),
        ("中", vec![3], None),
    ] {
        for way in ["&page=1", "&before="] {
            for sort in ["", "&sort=newest"] {
                let page = ann
                    .get(&path(query, &format!("{way}{sort}")))
                    .await
                    .expect(200);
                let mut found = ids(&page);
                let mut expected = expected.clone();
                found.sort_unstable();
                expected.sort_unstable();
                assert_eq!(found, expected, "{query} {way}");
                let said = page.get("as_beginning").map(|text| text.as_str().unwrap());
                assert_eq!(said, beginning, "{query} {way}");
            }
        }
    }
    // On every page of it, also the one past its end.
    for (page, number) in [(1, 1), (2, 1), (3, 0)] {
        let more = format!("&size=1&page={page}");
        let answer = ann.get(&path("alph", &more)).await.expect(200);
        assert_eq!(ids(&answer).len(), number);
        assert_eq!(answer["as_beginning"], "alph");
        assert_eq!(answer["pagination"]["count"], 2);
    }
    let first = ann.get(&path("alph", "&size=1&before=")).await.expect(200);
    let next = first["pagination"]["next"].as_str().unwrap();
    let more = format!("&size=1&before={next}");
    let second = ann.get(&path("alph", &more)).await.expect(200);
    assert_eq!(second["as_beginning"], "alph");
    assert_ne!(ids(&first), ids(&second));
}

async fn snippets_show_the_words(app: TestApp) {
    let ann = app.user("ann").await;
    let filling = "filling ".repeat(80);
    let markdown = format!(
        "# Head\n\n{filling}\n\nThe *Café* at 🦀 the <b>strasse</b>, [here](http://x.y/z)\n"
    );
    let posts: [(&str, &[&str], &str); 2] =
        [("One", &[], &markdown), ("Café Straße", &[], "nothing")];
    publish(&ann, &posts).await;
    let html = json!({ "title": "x", "format": "html",
        "content": "<p>Straße</p><p>cafe</p><script>cafe strasse</script>" });
    ann.post("/post", html).await.expect(201);
    let page = ann
        .get(&path("cafe straße", "&include=snippet&sort=oldest"))
        .await
        .expect(200);
    let marked = |snippet: &Value| {
        let units: Vec<u16> = snippet["text"].as_str().unwrap().encode_utf16().collect();
        let marks = snippet["marks"].as_array().unwrap().iter();
        let part = |mark: &Value| {
            let place = |name: &str| usize::try_from(mark[name].as_u64().unwrap()).unwrap();
            String::from_utf16(&units[place("start")..place("end")]).unwrap()
        };
        marks.map(part).collect::<Vec<String>>()
    };
    let [one, two, three] = [0, 1, 2].map(|n| page["posts"][n]["snippet"].clone());
    assert_eq!(marked(&one), ["Café", "strasse"]);
    let text = one["text"].as_str().unwrap();
    assert!(text.ends_with("The Café at 🦀 the strasse, here"), "{text}");
    assert!(
        text.starts_with("…") && text.chars().count() < 210,
        "{text}"
    );
    // Where only the title has the words, the text begins.
    assert_eq!(two, json!({ "text": "nothing", "marks": [] }));
    assert_eq!(
        (three["text"].as_str(), marked(&three)),
        (
            Some("Straße cafe"),
            vec!["Straße".to_owned(), "cafe".to_owned()]
        )
    );
    // Beginnings are marked as well, and the rest of an answer is what it is.
    let page = ann
        .get(&path("noth", "&include=snippet,content"))
        .await
        .expect(200);
    let post = &page["posts"][0];
    assert_eq!(post["snippet"]["marks"], json!([{ "start": 0, "end": 7 }]));
    assert_eq!(post["post_content"], "nothing");
    let link = ann.get(&path("filling", "&include=snippet&size=1")).await;
    assert!(link.header("link").contains("include=snippet"));
    assert!(
        ann.get(&path("filling", "")).await.expect(200)["posts"][0]
            .get("snippet")
            .is_none()
    );
}

/// Such as the program of before has written.
async fn posts_that_are_not_weighed_yet_are_found(app: TestApp) {
    let ann = app.user("ann").await;
    publish(
        &ann,
        &[
            ("x", &[], "word word"),
            ("Word", &[], "y"),
            ("y", &[], "word"),
        ],
    )
    .await;
    let order = async || {
        let page = ann.get(&path("word", "")).await.expect(200);
        ids(&page)
    };
    assert_eq!(order().await, [2, 1, 3]);
    app.database.with(|conn| {
        conn.batch_execute("UPDATE post SET weights = ''").unwrap();
        inkpot::posts::storage::check::unindex_all(conn).unwrap();
    });
    anything_changed(&app.state.response_cache);
    assert_eq!(order().await, [2, 3, 1]);
    let posts = app.state.posts.clone().into_inner();
    let index =
        move || inkpot::posts::actions::check::index_and_announce(&posts, usize::MAX, &|_| {});
    assert_eq!(std::thread::spawn(index).join().unwrap().unwrap(), 3);
    assert_eq!(order().await, [2, 1, 3]);
}
