//! Posts that are published at a time: once, whoever is there to do it, and whatever happens before.

use actix_web::http::Method;
use chrono::{DateTime, FixedOffset, NaiveDateTime, TimeDelta};
use diesel::prelude::*;
use futures_util::future::join_all;
use inkpot::core::clock::rfc3339;
use inkpot::core::db::Conn;
use inkpot::core::db::schema::{job, post};
use inkpot::jobs::JobStatus;
use inkpot::jobs::handler::JobHandler;
use inkpot::jobs::lease::LEASE;
use inkpot::posts::actions::check;
use inkpot::posts::jobs::publish_post::PublishPost;
use serde_json::{Value, json};

use crate::harness::process::Process;
use crate::harness::{Answer, Backend, Client, PASSWORD, TestApp, TestDatabase, on_both_databases};

on_both_databases![
    a_scheduled_post_is_a_draft_until_its_time,
    what_is_scheduled_is_published_at_its_time,
    any_offset_is_a_time,
    each_rule_of_times_has_its_code,
    a_schedule_is_changed_and_taken_back,
    a_published_post_is_withdrawn_to_be_scheduled,
    what_comes_late_has_the_date_that_was_chosen,
    those_that_are_due_stand_in_the_order_of_their_dates,
    an_author_who_is_deactivated_publishes_nothing,
    deleted_authors_and_posts_leave_no_jobs,
    a_request_is_repeated_after_its_time,
    values_that_are_there_change_nothing,
    many_are_published_by_two_workers_once_each,
    changes_at_the_time_of_publication_leave_one_truth,
    what_a_program_of_before_publishes_is_left_alone,
    lost_jobs_are_found_again,
];

/// A time so many minutes ahead.
fn ahead(app: &TestApp, minutes: i64) -> String {
    rfc3339(app.clock.now() + TimeDelta::minutes(minutes))
}

async fn schedule(author: &Client<'_>, title: &str, minutes: i64) -> i64 {
    let publish_at = ahead(author.app(), minutes);
    let body = json!({
        "title": title, "content": "some words", "tags": ["later"], "status": "scheduled", "publish_at": publish_at,
    });
    let made = author.post("/post/pub", body).await.expect(201);
    assert_eq!(made["post"]["publish_at"], publish_at);
    made["post_id"].as_i64().unwrap()
}

async fn read(author: &Client<'_>, id: i64) -> Value {
    author.get(&format!("/post/{id}")).await.expect(200)["post"].clone()
}

async fn titles(reader: &Client<'_>, path: &str) -> Vec<String> {
    let page = reader.get(path).await.expect(200);
    let title = |post: &Value| post["post_title"].as_str().unwrap().to_owned();
    page["posts"]
        .as_array()
        .unwrap()
        .iter()
        .map(title)
        .collect()
}

/// When the unfinished jobs that publish posts are due, the first first.
async fn dues(app: &TestApp) -> Vec<NaiveDateTime> {
    let load = |conn: &mut Conn| {
        job::table
            .filter(job::kind.eq(PublishPost::KIND.name))
            .filter(job::due.is_not_null())
            .order(job::due)
            .select(job::due.assume_not_null())
            .load(conn)
    };
    app.state.db.read(load).await.unwrap()
}

/// Whether all that is kept of posts agrees with them.
fn assert_consistent(app: &TestApp) {
    let db = app.state.db.clone();
    let report = std::thread::spawn(move || check::check(&db, &|_, _| {}).unwrap());
    let report = report.join().unwrap();
    assert!(report.missing.is_empty(), "{report:?}");
    assert!(report.tags.orphans.is_empty() && report.tags.missing.is_empty());
    assert!(report.words.wrong.is_empty() && report.words.orphans.is_empty());
    assert!(report.unplanned.is_empty(), "{report:?}");
}

async fn a_scheduled_post_is_a_draft_until_its_time(app: TestApp) {
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let id = schedule(&ann, "To come", 60).await;
    let path = format!("/post/{id}");
    let post = read(&ann, id).await;
    assert_eq!(post["status"], "scheduled");
    assert_eq!(post["publish_at"], ahead(&app, 60));
    assert_eq!((&post["date"], &post["slug"]), (&Value::Null, &Value::Null));
    for reader in [&app.anonymous(), &bob] {
        reader.get(&path).await.problem("post_not_found");
        for list in [
            "/post/",
            "/post/?tag=later",
            "/post/?q=words",
            "/post/?author=1",
        ] {
            assert_eq!(titles(reader, list).await, [""; 0], "{list}");
        }
    }
    assert_eq!(titles(&ann, "/post/?status=draft").await, ["To come"]);
    let drafts = ann.get("/post/?status=draft").await.expect(200);
    assert_eq!(drafts["posts"][0]["status"], "scheduled");
    assert_eq!(drafts["posts"][0]["publish_at"], post["publish_at"]);
    let refused = ann.get("/post/?status=scheduled").await;
    refused.problem("query_invalid");
    for (method, body) in [
        (Method::PATCH, json!({ "title": "Mine" })),
        (Method::DELETE, Value::Null),
    ] {
        bob.call(method, &path, body)
            .await
            .problem("post_not_found");
    }
    app.clock
        .advance(TimeDelta::minutes(60) - TimeDelta::microseconds(1));
    assert_eq!(app.work().await, 0);
    assert_eq!(read(&ann, id).await, post);
    app.leave_jobs();
}

async fn what_is_scheduled_is_published_at_its_time(app: TestApp) {
    let (ann, anyone) = (app.user("ann").await, app.anonymous());
    let first = ann.publish("First", "some words").await;
    let id = schedule(&ann, "To come", 60).await;
    let publish_at = ahead(&app, 60);
    app.clock.advance(TimeDelta::minutes(30));
    ann.publish("Second", "some words").await;
    // Kept from before.
    let lists = [
        "/post/",
        "/post/?author=1",
        "/post/?tag=later",
        "/post/?q=words",
        "/feed.json",
        "/tag/",
        "/post/archive",
    ];
    for list in lists {
        anyone.get(list).await.expect(200);
    }
    anyone.get(&format!("/post/{id}")).await.expect(404);
    anyone.get("/post/to-come").await.expect(404);

    app.clock.advance(TimeDelta::minutes(30));
    assert_eq!(app.work().await, 1);
    let post = read(&anyone, id).await;
    assert_eq!(post["status"], "published");
    assert_eq!(post["date"], publish_at);
    assert_eq!(post["slug"], "to-come");
    assert_eq!(post.get("publish_at"), None);
    assert_eq!(read(&ann, id).await, post);
    assert_eq!(anyone.get("/post/to-come").await.expect(200)["post"], post);
    assert_eq!(
        titles(&anyone, "/post/").await,
        ["To come", "Second", "First"]
    );
    assert_eq!(
        titles(&anyone, "/post/?author=1").await,
        ["To come", "Second", "First"]
    );
    assert_eq!(titles(&anyone, "/post/?tag=later").await, ["To come"]);
    assert_eq!(titles(&anyone, "/post/?q=come").await, ["To come"]);
    assert!(titles(&ann, "/post/?status=draft").await.is_empty());
    let feed = anyone.get("/feed.json").await.text();
    assert!(feed.contains("To come"), "{feed}");
    let tags = anyone.get("/tag/").await.expect(200);
    assert_eq!(tags["tags"], json!([{ "tag": "later", "posts": 1 }]));
    let months = anyone.get("/post/archive").await.expect(200);
    let posts: i64 = (months["months"].as_array().unwrap().iter())
        .map(|month| month["posts"].as_i64().unwrap())
        .sum();
    assert_eq!(posts, 3);
    let around = anyone.get(&format!("/post/{id}/around")).await.expect(200);
    assert_eq!(around["newer"], Value::Null);
    assert_ne!(around["older"]["post_id"], first);
    let profile = anyone
        .get(&format!("/user/{}", ann.user_id))
        .await
        .expect(200);
    assert_eq!(profile["user"]["posts"], 3);
    // Once.
    app.clock.advance(TimeDelta::minutes(60));
    assert_eq!(app.work().await, 0);
    assert_eq!(read(&anyone, id).await, post);
    assert_consistent(&app);
}

async fn any_offset_is_a_time(app: TestApp) {
    let ann = app.user("ann").await;
    let moment = app.clock.now().and_utc() + TimeDelta::minutes(5);
    let expected = rfc3339(moment.naive_utc());
    for offset in [
        0,
        2 * 3600,
        -5 * 3600,
        5 * 3600 + 2700,
        -12 * 3600,
        14 * 3600,
    ] {
        let local: DateTime<FixedOffset> =
            moment.with_timezone(&FixedOffset::east_opt(offset).unwrap());
        let body = json!({ "title": "t", "content": "c", "publish_at": local.to_rfc3339() });
        let made = ann.post("/post", body).await.expect(201);
        assert_eq!(made["post"]["publish_at"], expected, "{local}");
        assert_eq!(made["post"]["status"], "scheduled");
    }
    // Finer than what is kept: the later of the two.
    let fine = format!("{}001Z", expected.trim_end_matches('Z'));
    let body = json!({ "title": "t", "content": "c", "publish_at": fine });
    let made = ann.post("/post", body).await.expect(201);
    let later = rfc3339(moment.naive_utc() + TimeDelta::microseconds(1));
    assert_eq!(made["post"]["publish_at"], later);
    app.leave_jobs();
}

async fn each_rule_of_times_has_its_code(app: TestApp) {
    let ann = app.user("ann").await;
    let (past, now) = (ahead(&app, -1), ahead(&app, 0));
    let far = rfc3339(app.clock.now() + TimeDelta::days(3654));
    let (invalid, out, unexpected, missing) = (
        "publish_at_invalid",
        "publish_at_out_of_range",
        "publish_at_unexpected",
        "field_missing",
    );
    let scheduled = |at: &str| json!({ "status": "scheduled", "publish_at": at });
    let each = [
        (scheduled(&past), out),
        (scheduled(&now), out),
        (scheduled(&far), out),
        (scheduled("0001-01-01T00:00:00Z"), out),
        (scheduled("9999-12-31T23:59:59-23:59"), out),
        (scheduled("tomorrow"), invalid),
        (scheduled("2027-03-01"), invalid),
        (scheduled("2027-03-01T10:00:00"), invalid),
        (scheduled("2027-02-30T10:00:00Z"), invalid),
        (scheduled("2027-03-01T25:00:00Z"), invalid),
        (scheduled(""), invalid),
        (
            json!({ "status": "scheduled", "publish_at": 1_800_000_000 }),
            "field_mistyped",
        ),
        (json!({ "status": "scheduled" }), missing),
        (
            json!({ "status": "scheduled", "publish_at": null }),
            missing,
        ),
        (
            json!({ "status": "published", "publish_at": ahead(&app, 5) }),
            unexpected,
        ),
        (
            json!({ "status": "draft", "publish_at": ahead(&app, 5) }),
            unexpected,
        ),
    ];
    let draft = json!({ "title": "t", "content": "c", "status": "draft" });
    let id = ann.post("/post", draft).await.expect(201)["post_id"].clone();
    let path = format!("/post/{id}");
    let before = ann.get(&path).await.body;
    for (rule, code) in each {
        let mut body = json!({ "title": "t", "content": "c" });
        body.as_object_mut()
            .unwrap()
            .extend(rule.as_object().unwrap().clone());
        let made = ann.post("/post", body).await;
        made.faults(&[("/publish_at", code)]);
        let changed = ann.patch(&path, rule).await;
        changed.faults(&[("/publish_at", code)]);
    }
    let wrong = ann.patch(&path, json!({ "status": "soon" })).await;
    wrong.faults(&[("/status", "status_invalid")]);
    assert_eq!(ann.get(&path).await.body, before);
    // The furthest that there is, and the next.
    let furthest = rfc3339(app.clock.now() + TimeDelta::days(3653));
    ann.patch(&path, json!({ "publish_at": furthest }))
        .await
        .expect(200);
    let next = rfc3339(app.clock.now() + TimeDelta::microseconds(1));
    ann.patch(&path, json!({ "publish_at": next }))
        .await
        .expect(200);
    app.leave_jobs();
}

async fn a_schedule_is_changed_and_taken_back(app: TestApp) {
    let (ann, anyone) = (app.user("ann").await, app.anonymous());
    let id = schedule(&ann, "t", 10).await;
    let path = format!("/post/{id}");
    let at = |minutes| app.clock.now() + TimeDelta::minutes(minutes);
    for minutes in [30, 5, 20] {
        let change = json!({ "publish_at": ahead(&app, minutes) });
        let changed = ann.patch(&path, change).await.expect(200);
        assert_eq!(changed["post"]["publish_at"], ahead(&app, minutes));
        assert_eq!(changed["post"]["status"], "scheduled");
        assert_eq!(dues(&app).await, [at(minutes)]);
    }
    // Nothing of it is left when it is a draft again, by either way.
    for change in [json!({ "publish_at": null }), json!({ "status": "draft" })] {
        let changed = ann.patch(&path, change).await.expect(200);
        assert_eq!(changed["post"]["status"], "draft");
        assert_eq!(changed["post"].get("publish_at"), None);
        assert!(dues(&app).await.is_empty());
        app.clock.advance(TimeDelta::minutes(25));
        assert_eq!(app.work().await, 0);
        anyone.get(&path).await.expect(404);
        let again = json!({ "publish_at": ahead(&app, 10) });
        let again = ann.patch(&path, again).await.expect(200);
        assert_eq!(again["post"]["status"], "scheduled");
    }
    // Published at once.
    let published = ann
        .patch(&path, json!({ "status": "published" }))
        .await
        .expect(200);
    assert_eq!(published["post"]["date"], published["post"]["updated"]);
    assert!(dues(&app).await.is_empty());
    app.clock.advance(TimeDelta::minutes(60));
    let ann = app.client_of(&app.login("ann").await);
    assert_eq!(app.work().await, 0);
    assert_eq!(read(&anyone, id).await, published["post"]);
    // A time alone withdraws nothing.
    let change = json!({ "publish_at": ahead(&app, 10) });
    let refused = ann.patch(&path, change).await;
    refused.faults(&[("/publish_at", "publish_at_unexpected")]);
    let cleared = ann
        .patch(&path, json!({ "publish_at": null }))
        .await
        .expect(200);
    assert_eq!(cleared["post"], published["post"]);
    assert_consistent(&app);
}

async fn a_published_post_is_withdrawn_to_be_scheduled(app: TestApp) {
    let (ann, anyone) = (app.user("ann").await, app.anonymous());
    let id = ann.publish("Before", "c").await;
    ann.publish("Other", "c").await;
    let path = format!("/post/{id}");
    app.clock.advance(TimeDelta::minutes(5));
    let change = json!({ "status": "scheduled", "publish_at": ahead(&app, 10) });
    let changed = ann.patch(&path, change).await.expect(200);
    assert_eq!(changed["post"]["slug"], "before");
    anyone.get(&path).await.expect(404);
    assert_eq!(titles(&anyone, "/post/").await, ["Other"]);
    let publish_at = ahead(&app, 10);
    app.clock.advance(TimeDelta::minutes(10));
    assert_eq!(app.work().await, 1);
    let post = read(&anyone, id).await;
    assert_eq!(
        (&post["date"], &post["slug"]),
        (&json!(publish_at), &json!("before"))
    );
    assert_eq!(titles(&anyone, "/post/").await, ["Before", "Other"]);
    // It was published then: unpublished and published again it keeps that date.
    for status in ["draft", "published"] {
        app.clock.advance(TimeDelta::minutes(1));
        ann.patch(&path, json!({ "status": status }))
            .await
            .expect(200);
    }
    assert_eq!(read(&anyone, id).await["date"], publish_at);
    assert_consistent(&app);
}

async fn what_comes_late_has_the_date_that_was_chosen(app: TestApp) {
    let ann = app.user("ann").await;
    let id = schedule(&ann, "t", 10).await;
    let publish_at = ahead(&app, 10);
    // Nobody was there.
    app.clock.advance(TimeDelta::days(2));
    let ann = app.client_of(&app.login("ann").await);
    // Until somebody is, it can be changed, and sent again as it is.
    let change = json!({ "title": "Late", "status": "scheduled", "publish_at": publish_at });
    ann.patch(&format!("/post/{id}"), change).await.expect(200);
    assert_eq!(app.work().await, 1);
    let post = read(&app.anonymous(), id).await;
    assert_eq!(post["date"], publish_at);
    assert_eq!(
        post["updated"],
        json!(rfc3339(app.clock.now() + TimeDelta::microseconds(1)))
    );
    assert_eq!(post["slug"], "late");
    assert_consistent(&app);
}

async fn those_that_are_due_stand_in_the_order_of_their_dates(app: TestApp) {
    let ann = app.user("ann").await;
    let mut expected = Vec::new();
    for (n, minutes) in [7, 3, 5, 3, 9, 1, 5, 2].into_iter().enumerate() {
        schedule(&ann, &format!("t{n}"), minutes).await;
        expected.push((minutes, n));
    }
    expected.sort_unstable();
    let second = app.second(&[]).await;
    app.clock.advance(TimeDelta::minutes(10));
    join_all([app.work(), second.work()]).await;
    let newest_first = expected.iter().rev().map(|(_, n)| format!("t{n}"));
    let newest_first: Vec<String> = newest_first.collect();
    assert_eq!(titles(&app.anonymous(), "/post/").await, newest_first);
    assert_consistent(&app);
}

async fn an_author_who_is_deactivated_publishes_nothing(app: TestApp) {
    let ann = app.user("ann").await;
    app.admin("root").await;
    let root = app.client_of(&app.login("root").await);
    let id = schedule(&ann, "t", 10).await;
    let user = format!("/user/{}", ann.user_id);
    root.patch(&user, json!({ "is_active": false }))
        .await
        .expect(200);
    app.clock.advance(TimeDelta::minutes(10));
    app.work().await;
    app.anonymous()
        .get(&format!("/post/{id}"))
        .await
        .expect(404);
    let post = read(&root, id).await;
    assert_eq!(post["status"], "draft");
    // Nor when they are back.
    root.patch(&user, json!({ "is_active": true }))
        .await
        .expect(200);
    app.clock.advance(TimeDelta::minutes(10));
    app.work().await;
    assert_eq!(read(&root, id).await, post);
    assert!(dues(&app).await.is_empty());
    assert_consistent(&app);
}

async fn deleted_authors_and_posts_leave_no_jobs(app: TestApp) {
    let ann = app.user("ann").await;
    let id = schedule(&ann, "t", 10).await;
    ann.delete(&format!("/post/{id}")).await.expect_empty(204);
    assert!(dues(&app).await.is_empty());
    for n in 0..3 {
        schedule(&ann, "t", 10 + n).await;
    }
    let body = json!({ "current_password": PASSWORD });
    let gone = ann.call(Method::DELETE, "/user/me", body).await;
    gone.expect_empty(204);
    app.work().await;
    assert!(dues(&app).await.is_empty());
    app.clock.advance(TimeDelta::minutes(20));
    app.work().await;
    assert_eq!(titles(&app.anonymous(), "/post/").await, [""; 0]);
    assert_consistent(&app);
}

async fn a_request_is_repeated_after_its_time(app: TestApp) {
    let ann = app.user("ann").await.with_header("Idempotency-Key", "k");
    let body = json!({ "title": "t", "content": "c", "publish_at": ahead(&app, 10) });
    let first = ann.post("/post", body.clone()).await;
    first.expect(201);
    app.clock.advance(TimeDelta::minutes(20));
    app.work().await;
    let repeated = ann.post("/post", body.clone()).await;
    assert_eq!(
        (repeated.status, &repeated.body),
        (first.status, &first.body)
    );
    // Another one comes too late.
    let mut other = body.clone();
    other["title"] = json!("other");
    ann.post("/post", other)
        .await
        .problem("idempotency_key_reused");
    let fresh = app
        .client_of(&app.login("ann").await)
        .with_header("Idempotency-Key", "l");
    let refused = fresh.post("/post", body).await;
    refused.faults(&[("/publish_at", "publish_at_out_of_range")]);
    // The key is free after a refusal.
    let body = json!({ "title": "t", "content": "c" });
    fresh.post("/post", body).await.expect(201);
}

async fn values_that_are_there_change_nothing(app: TestApp) {
    let ann = app.user("ann").await;
    let id = schedule(&ann, "t", 10).await;
    let path = format!("/post/{id}");
    let (before, publish_at) = (ann.get(&path).await, ahead(&app, 10));
    let due = dues(&app).await;
    app.clock.advance(TimeDelta::minutes(5));
    for change in [
        json!({ "status": "scheduled" }),
        json!({ "publish_at": publish_at }),
        json!({ "status": "scheduled", "publish_at": publish_at, "title": "t" }),
        json!({ "as_new": true }),
    ] {
        let same = ann.patch(&path, change.clone()).await;
        same.expect(200);
        assert_eq!(same.body, before.body, "{change}");
        assert_eq!(same.header("etag"), before.header("etag"));
    }
    assert_eq!(dues(&app).await, due);
    let moved = json!({ "publish_at": ahead(&app, 10) });
    let moved = ann.patch(&path, moved).await;
    moved.expect(200);
    assert_ne!(moved.header("etag"), before.header("etag"));
    app.leave_jobs();
}

async fn many_are_published_by_two_workers_once_each(app: TestApp) {
    let ann = app.user("ann").await;
    let (publish_at, minutes) = (ahead(&app, 10), 10);
    let ids = join_all((0..30).map(|n| {
        let ann = &ann;
        async move { schedule(ann, &format!("t{n}"), minutes).await }
    }))
    .await;
    assert_eq!(dues(&app).await.len(), ids.len());
    let second = app.second(&[]).await;
    app.clock.advance(TimeDelta::minutes(10));
    let begun: Vec<usize> = join_all([app.work(), second.work()]).await;
    assert!(begun.iter().sum::<usize>() >= ids.len(), "{begun:?}");
    for id in ids {
        let post = read(&ann, id).await;
        assert_eq!(
            (&post["status"], &post["date"]),
            (&json!("published"), &json!(publish_at))
        );
    }
    let page = app.anonymous().get("/post/?size=100").await.expect(200);
    assert_eq!(page["pagination"]["count"], 30);
    assert_consistent(&app);
}

/// Who changes a post while it is published: either it was changed before, and is published so, or
/// afterwards. A new time that came first holds.
async fn changes_at_the_time_of_publication_leave_one_truth(app: TestApp) {
    app.user("ann").await;
    for round in 0..8 {
        let ann = app.client_of(&app.login("ann").await);
        let id = schedule(&ann, "t", 10).await;
        let path = format!("/post/{id}");
        app.clock.advance(TimeDelta::minutes(10));
        let later = ahead(&app, 10);
        let change = match round % 4 {
            0 => json!({ "title": "Changed" }),
            1 => json!({ "publish_at": later }),
            2 => json!({ "status": "draft" }),
            _ => json!({ "status": "published" }),
        };
        let (begun, answer): (usize, Answer) =
            futures_util::future::join(app.work(), ann.patch(&path, change)).await;
        assert!(begun <= 2, "{begun}");
        let post = read(&ann, id).await;
        match (round % 4, answer.status.as_u16()) {
            (0, 200) => assert_eq!(post["post_title"], "Changed"),
            (1, 200) => assert_eq!(post["publish_at"], later),
            (1, 422) | (3, 200) => assert_eq!(post["status"], "published"),
            (2, 200) => assert_eq!(post["status"], "draft"),
            other => panic!("{other:?} {}", answer.text()),
        }
        app.work().await;
        let is_scheduled = post["status"] == "scheduled";
        assert_eq!(dues(&app).await.len(), usize::from(is_scheduled));
        app.clock.advance(TimeDelta::minutes(10));
        app.work().await;
        assert!(dues(&app).await.is_empty());
        let status = read(&ann, id).await["status"].clone();
        assert_eq!(status == "draft", round % 4 == 2, "{round}");
    }
    assert_consistent(&app);
}

async fn what_a_program_of_before_publishes_is_left_alone(app: TestApp) {
    let ann = app.user("ann").await;
    let id = schedule(&ann, "t", 10).await;
    // It does not know of the column, and so leaves it.
    let publish_at = app.clock.now() + TimeDelta::minutes(10);
    ann.patch(&format!("/post/{id}"), json!({ "status": "published" }))
        .await
        .expect(200);
    let leave = move |conn: &mut Conn| {
        diesel::update(post::table.find(id))
            .set(post::publish_at.eq(publish_at))
            .execute(conn)
    };
    app.state.db.write(leave).await.unwrap();
    let before = read(&app.anonymous(), id).await;
    assert_eq!(
        (&before["status"], before.get("publish_at")),
        (&json!("published"), None)
    );
    app.database.with(move |conn| {
        let sql = format!(
            "INSERT INTO job (kind, lane, state, due, attempts, payload, dedup_key, created) VALUES \
             ('publish_post', 'publish', 'waiting', '2020-01-01 00:00:00', 0, '{{\"post_id\": {id}}}', 'publish_post {id}', \
             '2020-01-01 00:00:00')"
        );
        diesel::connection::SimpleConnection::batch_execute(conn, &sql).unwrap();
    });
    assert_eq!(app.work().await, 1);
    assert_eq!(read(&app.anonymous(), id).await, before);
    // Withdrawn, it is a draft as any other.
    let withdrawn = ann
        .patch(&format!("/post/{id}"), json!({ "status": "draft" }))
        .await
        .expect(200);
    assert_eq!(withdrawn["post"]["status"], "draft");
    assert_consistent(&app);
}

async fn lost_jobs_are_found_again(app: TestApp) {
    let ann = app.user("ann").await;
    let ids = [schedule(&ann, "a", 10).await, schedule(&ann, "b", 10).await];
    let later = schedule(&ann, "c", 60 * 24 * 30).await;
    let lose =
        |conn: &mut Conn| diesel::delete(job::table.filter(job::lane.eq("publish"))).execute(conn);
    app.state.db.write(lose).await.unwrap();
    let db = app.state.db.clone();
    let found = tokio::task::spawn_blocking(move || {
        let report = check::check(&db, &|_, _| {}).unwrap();
        let found: Vec<i64> = report.unplanned.iter().map(|post| post.post_id).collect();
        found
    });
    assert_eq!(found.await.unwrap(), [ids[0], ids[1], later]);
    // The sweep writes those that are due before it comes again.
    let worker = app.state.worker(app.state.notifier().unwrap());
    let planned = tokio::task::spawn_blocking(move || worker.enqueue_periodic());
    planned.await.unwrap().unwrap();
    app.work().await;
    assert_eq!(dues(&app).await.len(), 2);
    app.clock.advance(TimeDelta::minutes(10));
    app.work().await;
    for id in ids {
        assert_eq!(read(&app.anonymous(), id).await["status"], "published");
    }
    // And the operator all.
    let db = app.state.db.clone();
    let mended = tokio::task::spawn_blocking(move || {
        let report = check::check(&db, &|_, _| {}).unwrap();
        check::repair(&db, &report, &|_| {}).unwrap();
    });
    mended.await.unwrap();
    assert_eq!(dues(&app).await.len(), 1);
    assert_consistent(&app);
    app.leave_jobs();
}

/// Posts that three processes publish, one of which is killed meanwhile.
const POSTS: usize = 24;

fn three_processes_and_one_killed(backend: Backend) {
    let Some(database) = TestDatabase::create(backend) else {
        return;
    };
    let servers = [
        Process::on(&database),
        Process::on(&database),
        Process::on(&database),
    ];
    let [server, second, victim] = servers;
    let json = "Content-Type: application/json\r\n";
    let body = json!({ "email": "ann@example.org", "name": "Ann", "password": PASSWORD });
    let (_, answer) = server.call("POST", "/user/reg", json, &body.to_string());
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let headers = format!(
        "{json}Authorization: Bearer {}\r\n",
        answer["token"].as_str().unwrap()
    );
    // Some while later ones are still being sent, some at one moment.
    let first = chrono::Utc::now().naive_utc() + TimeDelta::seconds(2);
    let mut times = Vec::new();
    for n in 0..POSTS {
        let publish_at = first + TimeDelta::milliseconds(100 * i64::try_from(n / 4).unwrap());
        let body = json!({ "title": "t", "content": "c", "publish_at": rfc3339(publish_at) });
        let (status, answer) = server.call("POST", "/post", &headers, &body.to_string());
        if status == 201 {
            let answer: Value = serde_json::from_str(&answer).unwrap();
            times.push((answer["post_id"].as_i64().unwrap(), publish_at));
        } else {
            assert!(answer.contains("publish_at_out_of_range"), "{answer}");
        }
    }
    assert!(!times.is_empty());
    let expected = times.clone();
    // By the database, which tells it at once.
    let published = |least: usize| {
        database.with(move |conn| {
            loop {
                let rows: Vec<(i64, NaiveDateTime, NaiveDateTime)> = post::table
                    .filter(post::published.eq(true))
                    .order(post::post_id)
                    .select((post::post_id, post::date, post::updated))
                    .load(conn)
                    .unwrap();
                if rows.len() >= least {
                    return rows;
                }
                std::thread::yield_now();
            }
        })
    };
    published(1);
    victim.signal("KILL");
    let rows = published(expected.len());
    drop(victim);
    let (ids, dates): (Vec<i64>, Vec<NaiveDateTime>) =
        rows.iter().map(|(id, date, _)| (*id, *date)).unzip();
    assert_eq!(ids, expected.iter().map(|(id, _)| *id).collect::<Vec<_>>());
    for ((_, date), (_, publish_at)) in ids.iter().zip(&dates).zip(&expected) {
        assert_eq!(
            date.and_utc().timestamp_micros(),
            publish_at.and_utc().timestamp_micros()
        );
    }
    // Long before the lease of any other job of a killed worker would have ended.
    for (_, date, updated) in &rows {
        assert!(
            *updated - *date < TimeDelta::from_std(LEASE / 2).unwrap(),
            "{rows:?}"
        );
    }
    let done = |conn: &mut Conn| -> i64 {
        job::table
            .filter(job::kind.eq(PublishPost::KIND.name))
            .filter(job::state.ne(JobStatus::Done.name()))
            .count()
            .get_result(conn)
            .unwrap()
    };
    database.with(move |conn| {
        while done(conn) > 0 {
            std::thread::yield_now();
        }
    });
    assert_eq!(published(1), rows);
    for server in [&server, &second] {
        let (_, page) = server.call("GET", "/post/?size=100", "", "");
        let page: Value = serde_json::from_str(&page).unwrap();
        assert_eq!(page["pagination"]["count"], expected.len());
    }
}

#[test]
fn three_processes_publish_each_once_though_one_is_killed() {
    std::thread::scope(|scope| {
        for backend in [Backend::Mysql, Backend::Sqlite] {
            scope.spawn(move || three_processes_and_one_killed(backend));
        }
    });
}
