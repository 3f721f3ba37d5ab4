//! Lists are in the order of dates, whatever the order is in which posts come; and posts of before, which stand in
//! the order of their ids, are moved to where their dates belong.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use futures_util::future::join_all;
use inkpot::core::clock::Clock;
use inkpot::core::db::Conn;
use inkpot::core::db::schema::{post, post_count};
use inkpot::core::page::ListPart;
use inkpot::http::page::PageRequest;
use inkpot::posts::actions::move_posts::{self, Moved};
use inkpot::posts::list::{Cursor, Filter, Sort};
use inkpot::posts::search::Query;
use inkpot::posts::storage::places::DATED;
use inkpot::posts::storage::{archive, counts, lists, moving};
use inkpot::posts::types::Tag;
use serde_json::{Value, json};

use crate::counts::{check_all, is_right, missing};
use crate::follows::set_follow;
use crate::harness::posts::{self, walk};
use crate::harness::{Client, TestApp, on_both_databases};

on_both_databases![
    posts_stand_where_their_dates_belong,
    a_date_that_is_changed_moves_its_post,
    a_date_is_an_admins_to_give,
    a_repeated_request_with_a_date_is_one,
    a_hundred_at_once_of_one_date,
    deep_pages_are_exact_whatever_came_when,
    posts_of_before_are_moved_in_their_order,
    cursors_of_before_lead_on,
    what_a_program_of_before_writes_is_moved,
    who_move_at_once_move_each_post_once,
    counts_of_before_are_deleted_a_day_later,
];

async fn ids(reader: &Client<'_>, path: &str) -> Vec<i64> {
    let answer = reader.get(path).await.expect(200);
    let posts = answer["posts"].as_array().unwrap().iter();
    posts
        .map(|post| post["post_id"].as_i64().unwrap())
        .collect()
}

async fn publish_at(admin: &Client<'_>, date: &str) -> i64 {
    let body = json!({
        "title": format!("Of {date}"), "content": "some words", "tags": ["all", "other"], "date": date,
    });
    let made = admin.post("/post", body).await.expect(201);
    let given: DateTime<Utc> = date.parse().unwrap();
    let told: DateTime<Utc> = made["post"]["date"].as_str().unwrap().parse().unwrap();
    assert_eq!(told, given);
    made["post_id"].as_i64().unwrap()
}

/// Sees that every list has these posts in this order, newest first.
async fn assert_order(app: &TestApp, reader: &Client<'_>, author: i64, expected: &[i64]) {
    let oldest: Vec<i64> = expected.iter().rev().copied().collect();
    for list in [
        "q=".to_owned(),
        format!("author={author}"),
        "tag=all".to_owned(),
        format!("author={author}&tag=all"),
        "tag=all&tag=other".to_owned(),
        "q=words&sort=newest".to_owned(),
        "since=1500-01-01T00:00:00Z".to_owned(),
        "feed=following".to_owned(),
    ] {
        let path = format!("/post/?{list}");
        assert_eq!(
            ids(reader, &format!("{path}&size=100")).await,
            expected,
            "{list}"
        );
        for size in [1, 3] {
            assert_eq!(walk(reader, &path, size).await, expected, "{list} {size}");
        }
        let page = format!("{path}&size=2&page=2");
        let second: Vec<i64> = expected.iter().copied().skip(2).take(2).collect();
        assert_eq!(ids(reader, &page).await, second, "{list}");
        if list.contains("newest") {
            continue;
        }
        let path = format!("{path}&sort=oldest");
        assert_eq!(
            ids(reader, &format!("{path}&size=100")).await,
            oldest,
            "{list}"
        );
        assert_eq!(walk(reader, &path, 2).await, oldest, "{list}");
    }
    for (n, id) in expected.iter().enumerate() {
        let around = reader.get(&format!("/post/{id}/around")).await.expect(200);
        let beside = [&around["newer"], &around["older"]].map(|one| one["post_id"].as_i64());
        let newer = n.checked_sub(1).map(|n| expected[n]);
        assert_eq!(beside, [newer, expected.get(n + 1).copied()], "{id}");
    }
    let feed = reader.get("/feed.json").await.json();
    let listed = feed["items"].as_array().unwrap().iter();
    let titles: Vec<&str> = listed.map(|item| item["title"].as_str().unwrap()).collect();
    let list = reader.get("/post/?size=100").await.json();
    let expected_titles: Vec<&str> = (list["posts"].as_array().unwrap().iter())
        .map(|post| post["post_title"].as_str().unwrap())
        .collect();
    assert_eq!(titles, expected_titles[..titles.len()]);
    assert!(is_right(&check_all(app)));
}

async fn posts_stand_where_their_dates_belong(app: TestApp) {
    let root = app.admin("root").await;
    let reader = app.user("ann").await;
    set_follow(&reader, root.user_id).await.expect_empty(204);
    let middle = publish_at(&root, "2019-05-01T12:00:00Z").await;
    let newest = publish_at(&root, "2021-01-01T00:00:00Z").await;
    let oldest = publish_at(&root, "1999-12-31T23:59:59.999999Z").await;
    let same = publish_at(&root, "2019-05-01T14:00:00+02:00").await;
    let same_end = publish_at(&root, "1999-12-31T23:59:59.999999Z").await;
    let earlier = publish_at(&root, "1999-12-31T23:59:59.999998Z").await;
    let now = root.publish("Now", "some words").await;
    root.patch(&format!("/post/{now}"), json!({ "tags": ["all", "other"] }))
        .await
        .expect(200);
    // At the end of a day the place of the second is below; that is all that one sees of it.
    let ends = ids(&reader, "/post/?size=100").await[4..].to_vec();
    assert_eq!(ends.len(), 3);
    let mut sorted = ends.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [oldest, same_end, earlier]);
    for id in [same_end, earlier] {
        root.delete(&format!("/post/{id}")).await.expect_empty(204);
    }
    let expected = [now, newest, same, middle, oldest];
    assert_order(&app, &reader, root.user_id, &expected).await;
    let months = reader.get("/post/archive").await.expect(200);
    let months: Vec<(&str, i64)> = (months["months"].as_array().unwrap().iter())
        .map(|one| {
            (
                one["month"].as_str().unwrap(),
                one["posts"].as_i64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        months[1..],
        [("2021-01", 1), ("2019-05", 2), ("1999-12", 1)]
    );
}

async fn a_date_that_is_changed_moves_its_post(app: TestApp) {
    let root = app.admin("root").await;
    let reader = app.user("ann").await;
    set_follow(&reader, root.user_id).await.expect_empty(204);
    let mut all = Vec::new();
    for year in 2001..2008 {
        all.push(publish_at(&root, &format!("{year}-06-01T00:00:00Z")).await);
    }
    let path = format!("/post/{}", all[5]);
    let before = reader.get(&path).await.expect(200)["post"].clone();
    let change = json!({ "date": "2002-12-01T00:00:00+01:00" });
    let changed = root.patch(&path, change.clone()).await;
    let post = changed.expect(200)["post"].clone();
    assert_eq!(post["date"], "2002-11-30T23:00:00.000000Z");
    assert_ne!(post["updated"], before["updated"]);
    let again = root.patch(&path, change).await;
    assert_eq!(again.expect(200)["post"], post, "it changes nothing");
    let expected = [all[6], all[4], all[3], all[2], all[5], all[1], all[0]];
    assert_order(&app, &reader, root.user_id, &expected).await;
    // A draft has a date once it is published, by the same request too; and keeps it when it is withdrawn.
    let draft = json!({ "title": "Draft", "content": "some words", "tags": ["all", "other"], "status": "draft" });
    let draft = root.post("/post", draft).await.expect(201)["post_id"]
        .as_i64()
        .unwrap();
    let path = format!("/post/{draft}");
    let change = json!({ "status": "published", "date": "2004-01-01T00:00:00Z" });
    root.patch(&path, change).await.expect(200);
    let mut by_date = expected.to_vec();
    by_date.insert(3, draft);
    assert_order(&app, &reader, root.user_id, &by_date).await;
    root.patch(&path, json!({ "status": "draft" }))
        .await
        .expect(200);
    root.patch(&path, json!({ "status": "published" }))
        .await
        .expect(200);
    assert_order(&app, &reader, root.user_id, &by_date).await;
    root.patch(&path, json!({ "status": "draft" }))
        .await
        .expect(200);
    let change = json!({ "status": "published", "as_new": true });
    root.patch(&path, change).await.expect(200);
    by_date.retain(|id| *id != draft);
    by_date.insert(0, draft);
    assert_order(&app, &reader, root.user_id, &by_date).await;
}

async fn a_date_is_an_admins_to_give(app: TestApp) {
    let (ann, root) = (app.user("ann").await, app.admin("root").await);
    let new = |date: &str| json!({ "title": "x", "content": "y", "date": date });
    let past = "2019-05-01T12:00:00Z";
    ann.post("/post", new(past)).await.expect(403);
    ann.post("/post", new(past)).await.problem("admins_only");
    let id = ann.publish("x", "y").await;
    let path = format!("/post/{id}");
    let refused = ann.patch(&path, json!({ "date": past })).await;
    refused.problem("admins_only");
    assert_eq!(ids(&ann, "/post/").await, [id]);
    let soon = (app.clock.now().and_utc() + TimeDelta::seconds(1)).to_rfc3339();
    for (date, code) in [
        (soon.as_str(), "date_out_of_range"),
        ("0999-12-31T23:59:59Z", "date_out_of_range"),
        ("9999-12-31T23:59:59Z", "date_out_of_range"),
        ("2019-05-01", "date_invalid"),
        ("2019-05-01T12:00:00", "date_invalid"),
        ("", "date_invalid"),
    ] {
        let faults = [("/date", code)];
        root.post("/post", new(date)).await.faults(&faults);
        root.patch(&path, json!({ "date": date }))
            .await
            .faults(&faults);
    }
    for (status, publish_at) in [("draft", None), ("scheduled", Some(&soon))] {
        let mut body = new(past);
        body["status"] = json!(status);
        if let Some(publish_at) = publish_at {
            body["publish_at"] = json!(publish_at);
        }
        let refused = root.post("/post", body).await;
        refused.faults(&[("/date", "date_unexpected")]);
        let mut change = json!({ "status": status, "date": past });
        if let Some(publish_at) = publish_at {
            change["publish_at"] = json!(publish_at);
        }
        let refused = root.patch(&path, change).await;
        refused.faults(&[("/date", "date_unexpected")]);
    }
    let refused = root.patch(&path, json!({ "date": null })).await;
    refused.faults(&[("/date", "field_not_clearable")]);
    let refused = root
        .post("/post", json!({ "title": "x", "content": "y", "date": 7 }))
        .await;
    refused.faults(&[("/date", "field_mistyped")]);
    // Of a draft nobody knows the date.
    ann.patch(&path, json!({ "status": "draft" }))
        .await
        .expect(200);
    let refused = root.patch(&path, json!({ "date": past })).await;
    refused.faults(&[("/date", "date_unexpected")]);
    let now = app.clock.now().and_utc().to_rfc3339();
    root.post("/post", new(&now)).await.expect(201);
    root.post("/post", new("1000-01-01T00:00:00Z"))
        .await
        .expect(201);
    assert!(is_right(&check_all(&app)));
}

async fn a_repeated_request_with_a_date_is_one(app: TestApp) {
    let root = app.admin("root").await;
    let send = async |date: Option<&str>| {
        let mut body = json!({ "title": "x", "content": "y" });
        if let Some(date) = date {
            body["date"] = json!(date);
        }
        let request = root
            .request(actix_web::http::Method::POST, "/post")
            .insert_header(("Idempotency-Key", "key"))
            .set_json(body);
        app.send(request).await
    };
    let first = send(Some("2019-05-01T12:00:00Z")).await;
    first.expect(201);
    let again = send(Some("2019-05-01T14:00:00+02:00")).await;
    again.expect(201);
    assert_eq!(again.body, first.body, "the same time in another spelling");
    for other in [None, Some("2019-05-01T12:00:01Z")] {
        send(other).await.problem("idempotency_key_reused");
    }
}

async fn a_hundred_at_once_of_one_date(app: TestApp) {
    let root = app.admin("root").await;
    let new = |n: usize| {
        let date = ["2019-05-01T00:00:00Z", "2020-01-31T23:59:59.999999Z"][n % 2];
        json!({ "title": format!("{n}"), "content": "words", "tags": ["all"], "date": date })
    };
    let made = join_all((0..100).map(|n| root.post("/post", new(n)))).await;
    let mut old = Vec::new();
    for (n, made) in made.iter().enumerate() {
        let id = made.expect(201)["post_id"].as_i64().unwrap();
        if n % 2 == 0 {
            old.push(id);
        }
    }
    let all = walk(&root, "/post/?tag=all", 7).await;
    assert_eq!(all.len(), 100);
    assert!(all[..50].iter().all(|id| !old.contains(id)), "{all:?}");
    old.sort_unstable();
    let mut last: Vec<i64> = all[50..].to_vec();
    last.sort_unstable();
    assert_eq!(last, old);
    // One more of this date is among those of its date, wherever the crowd has left room.
    let one_more = publish_at(&root, "2019-05-01T00:00:00Z").await;
    let listed = ids(&root, "/post/?sort=newest&size=100").await;
    assert!(
        listed[50..].contains(&one_more)
            || walk(&root, "/post/?tag=all", 50).await[100] == one_more
    );
    let (places, distinct) = app.database.with(|conn| {
        let places: Vec<i64> = post::table.select(post::place).load(conn).unwrap();
        let distinct: std::collections::HashSet<i64> = places.iter().copied().collect();
        (places.len(), distinct.len())
    });
    assert_eq!((places, distinct), (101, 101));
    let months = root.get("/post/archive").await.expect(200);
    assert_eq!(
        months["months"][0],
        json!({ "month": "2020-01", "posts": 50 })
    );
    assert!(is_right(&check_all(&app)));
}

/// Many posts, of which each third is older than all before it.
fn deep(conn: &mut Conn) -> Vec<i64> {
    posts::insert_many(conn, 2, 9_000);
    let mut rows: Vec<(i64, i64)> = post::table
        .select((post::place, post::post_id))
        .load(conn)
        .unwrap();
    rows.sort_unstable();
    rows.into_iter().rev().map(|(_, id)| id).collect()
}

async fn deep_pages_are_exact_whatever_came_when(app: TestApp) {
    let root = app.admin("root").await;
    app.user("bob").await;
    let mut all = app.database.with(deep);
    // Between all that are there: older ones, and some in the midst.
    for date in [
        "2009-01-01T00:00:00Z",
        "2010-10-15T00:00:00Z",
        "2010-10-15T00:00:00Z",
    ] {
        let id = publish_at(&root, date).await;
        let at = if date.starts_with("2009") {
            all.len()
        } else {
            all.iter().position(|id| *id < 4096).unwrap()
        };
        all.insert(at, id);
    }
    for (sort, is_oldest) in [("newest", false), ("oldest", true)] {
        let mut expected = all.clone();
        if is_oldest {
            expected.reverse();
        }
        for page in [1, 12, 13, 14, 64, 128, 150, 200, 272, 273, 300, 301] {
            let path = format!("/post/?sort={sort}&size=20&page={page}");
            let answer = root.get(&path).await.expect(200);
            let shown: Vec<i64> = (expected.iter().copied())
                .skip((page - 1) * 20)
                .take(20)
                .collect();
            assert_eq!(ids(&root, &path).await, shown, "{path}");
            assert_eq!(answer["pagination"]["count"], all.len());
        }
    }
    assert_eq!(missing(&app), []);
}

/// Whether a list takes a post.
type Takes<'t> = &'t dyn Fn(&i64) -> bool;

/// Lists as the storage reads them: what each has in full, by pages deep and shallow and by cursors.
fn assert_lists(conn: &mut Conn, all: &[i64]) {
    let tags = |names: &[&str]| names.iter().map(|name| Tag((*name).to_owned())).collect();
    let even = |id: &i64| id % 2 == 0;
    let of_two = |id: &i64| id % 2 == 1;
    let every = |_: &i64| true;
    let lists: [(Filter, Takes<'_>); 5] = [
        (Filter::default(), &every),
        (
            Filter {
                author: Some(2),
                ..Filter::default()
            },
            &of_two,
        ),
        (
            Filter {
                tags: tags(&["even"]),
                ..Filter::default()
            },
            &even,
        ),
        (
            Filter {
                tags: tags(&["all", "even"]),
                ..Filter::default()
            },
            &even,
        ),
        (
            Filter {
                words: Some(Query::parse("content").unwrap()),
                ..Filter::default()
            },
            &every,
        ),
    ];
    for (filter, takes) in lists {
        for sort in [Sort::Newest, Sort::Oldest] {
            let filter = Filter {
                sort,
                ..filter.clone()
            };
            let mut expected: Vec<i64> = all.iter().copied().filter(|id| takes(id)).collect();
            if sort == Sort::Oldest {
                expected.reverse();
            }
            for page in [1, 2, 13, 14, 20, 30] {
                let request = PageRequest { page, size: 20 };
                let listed = lists::load(conn, &filter, ListPart::Page(request))
                    .unwrap()
                    .listed;
                let found: Vec<i64> = listed.rows.iter().map(|post| post.post_id).collect();
                let shown: Vec<i64> = (expected.iter().copied())
                    .skip(usize::try_from(page - 1).unwrap() * 20)
                    .take(20)
                    .collect();
                assert_eq!(found, shown, "{filter:?} {page}");
                assert_eq!(
                    listed.count,
                    i64::try_from(expected.len()).ok(),
                    "{filter:?}"
                );
            }
            let (mut found, mut position) = (Vec::new(), None);
            loop {
                let part = ListPart::Below { position, size: 90 };
                let listed = lists::load(conn, &filter, part).unwrap().listed;
                found.extend(listed.rows.iter().map(|post| post.post_id));
                position = listed.next;
                if position.is_none() {
                    break;
                }
            }
            assert_eq!(found, expected, "{filter:?}");
        }
    }
    let months = archive::load_months(conn, &Filter::default()).unwrap();
    let sum: i64 = months.iter().map(|(_, posts)| posts).sum();
    assert_eq!(sum, i64::try_from(all.len()).unwrap());
}

fn unmoved(conn: &mut Conn) -> i64 {
    moving::count(conn).unwrap()
}

/// Moves some; gives how many.
fn step(conn: &mut Conn) -> usize {
    let mut next = moving::load_next(conn).unwrap();
    next.prepare();
    conn.transaction(|conn| moving::move_some(conn, &next, 0))
        .unwrap()
        .unwrap()
}

async fn posts_of_before_are_moved_in_their_order(app: TestApp) {
    app.user("ann").await;
    let bob = app.user("bob").await;
    app.database.with(|conn| posts::insert_many(conn, 2, 1300));
    for n in 0..3 {
        let draft =
            json!({ "title": format!("{n}"), "content": "z", "status": "draft", "tags": ["d"] });
        bob.post("/post", draft).await.expect(201);
    }
    let drafts = ids(&bob, "/post/?status=draft").await;
    let all: Vec<i64> = (1..=1300).rev().filter(|id| id % 3 != 0).collect();
    app.database.with({
        let all = all.clone();
        move |conn| {
            posts::put_back(conn);
            assert_lists(conn, &all);
            let mut left = unmoved(conn);
            assert!(left > i64::try_from(all.len()).unwrap());
            // Right at every moment.
            while left > 0 {
                let moved = step(conn);
                assert!(moved > 0);
                left -= i64::try_from(moved).unwrap();
                assert_eq!(unmoved(conn), left);
                if left % 3 != 1 || left < 300 {
                    assert_lists(conn, &all);
                }
            }
            let least: Option<i64> = post::table
                .select(diesel::dsl::min(post::place))
                .first(conn)
                .unwrap();
            assert!(least.unwrap() > DATED);
            assert!(counts::do_agree(conn).unwrap());
            assert_lists(conn, &all);
        }
    });
    assert_eq!(ids(&bob, "/post/?status=draft&sort=newest").await, drafts);
    assert!(is_right(&check_all(&app)));
}

async fn cursors_of_before_lead_on(app: TestApp) {
    app.user("ann").await;
    app.user("bob").await;
    app.database.with(|conn| {
        posts::insert_many(conn, 2, 600);
        let below = |conn: &mut Conn, position: i64, sort| {
            let filter = Filter {
                sort,
                ..Filter::default()
            };
            let part = ListPart::Below {
                position: Some(Cursor::Position(position)),
                size: 3,
            };
            let listed = lists::load(conn, &filter, part).unwrap().listed;
            let ids = listed.rows.iter().map(|post| post.post_id);
            ids.collect::<Vec<_>>()
        };
        let judge = |conn: &mut Conn| {
            assert_eq!(below(conn, 100, Sort::Newest), [98, 97, 95]);
            assert_eq!(below(conn, 100, Sort::Oldest), [101, 103, 104]);
            // One that is not there.
            assert_eq!(below(conn, 99, Sort::Newest), [98, 97, 95]);
            assert_eq!(below(conn, 99, Sort::Oldest), [100, 101, 103]);
            assert_eq!(below(conn, 1, Sort::Newest), [0; 0]);
            assert_eq!(below(conn, 9999, Sort::Newest), [599, 598, 596]);
            assert_eq!(below(conn, 9999, Sort::Oldest), [0; 0]);
        };
        judge(conn);
        posts::put_back(conn);
        judge(conn);
        while step(conn) > 0 {
            judge(conn);
        }
    });
}

/// It knows of months, not of days, and gives ids as places.
async fn what_a_program_of_before_writes_is_moved(app: TestApp) {
    let ann = app.user("ann").await;
    let first = ann.publish("First", "x").await;
    let second = ann.publish("Second", "x").await;
    app.clock.advance(TimeDelta::hours(1));
    let now = app.clock.now();
    let id = app.database.with(move |conn| {
        let date = now.format("%Y-%m-%d %H:%M:%S");
        let month = counts::month_of(now);
        for sql in [
            format!(
                "INSERT INTO post (post_id, author_id, title, date, updated, published, place, tags) \
                 VALUES (7, 1, 'Of before', '{date}', '{date}', 1, 7, 't')"
            ),
            "INSERT INTO content (post_id, body) VALUES (7, 'x')".to_owned(),
            "INSERT INTO post_tag (tag, published, place, post_id, author_id) VALUES ('t', 1, 7, 7, 1)"
                .to_owned(),
            format!(
                "INSERT INTO post_count (list, level, block, slot, posts) VALUES ('a', 2, {month}, 77, 1), \
                 ('u1', 2, {month}, 77, 1), ('tt', 2, {month}, 77, 1), ('nt', 3, 0, 77, 1), \
                 ('a', 0, 0, 77, 1), ('a', 1, 0, 77, 1)"
            ),
        ] {
            conn.batch_execute(&sql).unwrap();
        }
        7
    });
    let reader = app.second(&[]).await;
    let before = reader.anonymous().get("/post/").await.expect(200);
    assert_eq!(before["pagination"]["count"], 3);
    assert_eq!(
        ids(&reader.anonymous(), "/post/").await,
        [second, first, id]
    );
    let (db, bus) = (reader.state.db.clone(), reader.state.bus.clone());
    let moving = move || move_posts::move_and_announce(&db, &bus, now, &|_| {}).unwrap();
    let moved = tokio::task::spawn_blocking(moving).await.unwrap();
    assert_eq!(
        moved,
        Moved {
            posts: 1,
            is_others_turn: false
        }
    );
    // No answer is kept from before.
    assert_eq!(
        ids(&reader.anonymous(), "/post/").await,
        [id, second, first]
    );
    assert_eq!(ids(&reader.anonymous(), "/post/?tag=t").await, [id]);
    assert_eq!(missing(&app), []);
    // It withdraws a post that was moved, of which it counts the month alone: that is seen, and mended.
    app.database.with(move |conn| {
        let month = counts::month_of(now);
        for sql in [
            format!("UPDATE post SET published = 0 WHERE post_id = {second}"),
            format!(
                "UPDATE post_count SET posts = posts - 1 WHERE level = 2 AND block = {month} AND slot = 77"
            ),
        ] {
            conn.batch_execute(&sql).unwrap();
        }
    });
    let db = app.state.db.clone();
    let mending = move || inkpot::posts::actions::check::fill_counts(&db).unwrap();
    assert!(tokio::task::spawn_blocking(mending).await.unwrap());
    assert_eq!(missing(&app), []);
}

async fn who_move_at_once_move_each_post_once(app: TestApp) {
    app.user("ann").await;
    app.user("bob").await;
    app.database.with(|conn| {
        posts::insert_many(conn, 2, 1200);
        posts::put_back(conn);
    });
    let now = Clock::system().now();
    let apps = [
        app.second(&[]).await,
        app.second(&[]).await,
        app.second(&[]).await,
    ];
    let passes = apps.iter().map(|app| {
        let db = app.state.db.clone();
        tokio::task::spawn_blocking(move || {
            let mut posts = 0;
            loop {
                let moved = move_posts::move_all(&db, now, &mut |_| {}).unwrap();
                posts += moved.posts;
                if !moved.is_others_turn {
                    return posts;
                }
            }
        })
    });
    let moved: usize = join_all(passes).await.into_iter().map(Result::unwrap).sum();
    assert_eq!(moved, 800);
    let all: Vec<i64> = (1..=1200).rev().filter(|id| id % 3 != 0).collect();
    app.database.with(move |conn| assert_lists(conn, &all));
    assert!(is_right(&check_all(&app)));
}

async fn counts_of_before_are_deleted_a_day_later(app: TestApp) {
    app.user("ann").await;
    app.database.with(|conn| {
        posts::insert_many(conn, 1, 300);
        posts::put_back(conn);
    });
    let rows = |app: &TestApp| -> i64 {
        app.database.with(|conn| {
            post_count::table
                .filter(post_count::level.lt(2))
                .count()
                .get_result(conn)
                .unwrap()
        })
    };
    assert!(rows(&app) > 0);
    let now = Clock::system().now();
    let delete = async |later: TimeDelta| {
        let db = app.state.db.clone();
        let work = move || move_posts::delete_old_counts(&db, now + later).unwrap();
        tokio::task::spawn_blocking(work).await.unwrap()
    };
    // Not before all are moved, nor while a program of before may run.
    assert!(!delete(TimeDelta::days(9)).await);
    let db = app.state.db.clone();
    let work = move || move_posts::move_all(&db, now, &mut |_| {}).unwrap();
    assert_eq!(tokio::task::spawn_blocking(work).await.unwrap().posts, 200);
    assert!(!delete(TimeDelta::hours(23)).await);
    assert!(rows(&app) > 0);
    assert!(delete(TimeDelta::hours(25)).await);
    assert_eq!(rows(&app), 0);
    assert!(!delete(TimeDelta::hours(26)).await);
    assert_eq!(missing(&app), []);
    let _: Value = app.anonymous().get("/post/").await.expect(200);
}
