//! How many messages are sent: to one target, for one account, and in all.

use chrono::TimeDelta;
use diesel::prelude::*;
use inkpot::core::db::schema::{message_budget, user};
use serde_json::{Value, json};

use crate::harness::{Client, PASSWORD, TestApp, on_both_databases};

on_both_databases![
    a_target_gets_five_codes_in_an_hour,
    many_accounts_do_not_send_more_to_one_number,
    an_account_does_not_send_more_to_many_numbers,
    a_day_has_so_many_messages_in_all,
    who_has_codes_to_recover_sent_does_not_stop_verifying,
    processes_count_together,
    notices_go_to_verified_addresses_only,
    an_account_has_ten_notices,
    what_is_counted_goes_when_it_says_nothing_more,
];

const SEND: &str = "/user/me/verify/send";
const FORGOT: &str = "/user/password/forgot";

async fn limited(app: TestApp, flags: &[&str]) -> TestApp {
    let mut all = vec!["--rate-limits", "on", "--token-ttl", "2h"];
    all.extend(flags);
    TestApp::start(app.database, &all).await
}

/// A user who calls from an address of their own, so that it is not this one that is limited.
async fn user<'a>(app: &'a TestApp, name: &str, number: usize) -> Client<'a> {
    let address = format!("198.51.{}.{}", number / 200, number % 200);
    app.user(name).await.at(&address)
}

async fn order(client: &Client<'_>, channel: &str) -> u16 {
    let answer = client.post(SEND, json!({ "channel": channel })).await;
    if answer.status.as_u16() == 429 {
        answer.problem("rate_limited");
    }
    answer.status.as_u16()
}

async fn set_mobile(client: &Client<'_>, number: Value) {
    let body = json!({ "mobile": number, "current_password": PASSWORD });
    client.patch("/user/me", body).await.expect(200);
}

fn verify(app: &TestApp, user_id: i64) {
    app.database.with(move |conn| {
        diesel::update(user::table.find(user_id))
            .set(user::email_verified.eq(true))
            .execute(conn)
            .unwrap();
    });
}

async fn a_target_gets_five_codes_in_an_hour(app: TestApp) {
    let app = limited(app, &[]).await;
    let ann = user(&app, "ann", 1).await;
    for _ in 0..5 {
        assert_eq!(order(&ann, "email").await, 202);
        app.clock.advance(TimeDelta::minutes(1));
    }
    let answer = ann.post(SEND, json!({ "channel": "email" })).await;
    assert_eq!(answer.header("retry-after"), "5100");
    answer.problem("rate_limited");
    app.clock.advance(TimeDelta::seconds(5099));
    assert_eq!(order(&ann, "email").await, 429);
    app.clock.advance(TimeDelta::seconds(1));
    assert_eq!(order(&ann, "email").await, 202);
    app.work().await;
}

async fn many_accounts_do_not_send_more_to_one_number(app: TestApp) {
    let app = limited(app, &[]).await;
    let mut sent = 0;
    for n in 0..8 {
        let one = user(&app, &format!("user{n}"), n).await;
        set_mobile(&one, json!("+31612345678")).await;
        sent += usize::from(order(&one, "mobile").await == 202);
        app.work().await;
        set_mobile(&one, Value::Null).await;
    }
    assert_eq!(sent, 5);
    assert_eq!(app.outbox().len(), 5);
    // No address or number is kept where messages are counted.
    let buckets: Vec<String> = app.database.with(|conn| {
        let buckets = message_budget::table.select(message_budget::bucket);
        buckets.load(conn).unwrap()
    });
    assert!(buckets.iter().any(|bucket| bucket.starts_with("target ")));
    assert!(!buckets.concat().contains("31612345678"));
}

async fn an_account_does_not_send_more_to_many_numbers(app: TestApp) {
    let app = limited(app, &[]).await;
    let ann = user(&app, "ann", 1).await;
    let mut sent = 0;
    for n in 0..12 {
        set_mobile(&ann, json!(format!("+316123456{n:02}"))).await;
        sent += usize::from(order(&ann, "mobile").await == 202);
        app.clock.advance(TimeDelta::seconds(30));
    }
    assert_eq!(sent, 10);
    app.work().await;
}

async fn a_day_has_so_many_messages_in_all(app: TestApp) {
    let app = limited(app, &["--mails-a-day", "4", "--sms-a-day", "1"]).await;
    let mut mails = 0;
    let mut texts = 0;
    for n in 0..5 {
        let one = user(&app, &format!("user{n}"), n).await;
        set_mobile(&one, json!(format!("+316123456{n:02}"))).await;
        mails += usize::from(order(&one, "email").await == 202);
        texts += usize::from(order(&one, "mobile").await == 202);
    }
    assert_eq!((mails, texts), (3, 1), "a quarter is for other causes");
    for n in 0..2 {
        let body = json!({ "account": format!("user{n}@example.org") });
        app.anonymous().post(FORGOT, body).await.expect(202);
    }
    app.work().await;
    app.work().await;
    assert_eq!(app.outbox().iter().filter(|sent| sent.is_mail()).count(), 4);
    app.clock.advance(TimeDelta::days(1));
    let late = user(&app, "late", 100).await;
    assert_eq!(order(&late, "email").await, 202);
    app.work().await;
}

async fn who_has_codes_to_recover_sent_does_not_stop_verifying(app: TestApp) {
    let app = limited(app, &[]).await;
    let ann = user(&app, "ann", 1).await;
    let body = json!({ "account": "ann@example.org" });
    for n in 0..15 {
        let stranger = app.anonymous().at(&format!("203.0.113.{n}"));
        // The answer says nothing of what is left out.
        stranger.post(FORGOT, body.clone()).await.expect(202);
        app.work().await;
        app.clock.advance(TimeDelta::minutes(1));
    }
    assert_eq!(app.outbox().len(), 5);
    assert_eq!(order(&ann, "email").await, 202);
    app.work().await;
    assert_eq!(app.outbox().len(), 6);
}

async fn processes_count_together(app: TestApp) {
    let app = limited(app, &[]).await;
    let other = app.second(&["--rate-limits", "on"]).await;
    let ann = user(&app, "ann", 1).await;
    let login = other.login("ann").await;
    let there = other.client_of(&login).at("198.51.100.2");
    let mut sent = 0;
    for n in 0..10 {
        let client = if n % 2 == 0 { &ann } else { &there };
        sent += usize::from(order(client, "email").await == 202);
        app.clock.advance(TimeDelta::minutes(1));
    }
    assert_eq!(sent, 5);
    app.work().await;
}

async fn notices_go_to_verified_addresses_only(app: TestApp) {
    let ann = app.user("ann").await;
    let body =
        json!({ "current_password": PASSWORD, "new_password": "another horse, another staple" });
    ann.put("/user/me/password", body.clone())
        .await
        .expect_empty(204);
    let back = json!({ "current_password": body["new_password"], "new_password": PASSWORD });
    let change = json!({ "email": "stranger@example.org", "current_password": PASSWORD });
    ann.put("/user/me/password", back.clone())
        .await
        .expect_empty(204);
    ann.patch("/user/me", change).await.expect(200);
    set_mobile(&ann, json!("+31612345678")).await;
    assert_eq!(app.work().await, 0);
    verify(&app, ann.user_id);
    // The address that was verified before a change is told of it, and the new one of nothing.
    for n in 0..5 {
        let change =
            json!({ "email": format!("stranger{n}@example.org"), "current_password": PASSWORD });
        ann.patch("/user/me", change).await.expect(200);
        ann.put("/user/me/password", body.clone())
            .await
            .expect_empty(204);
        ann.put("/user/me/password", back.clone())
            .await
            .expect_empty(204);
    }
    assert_eq!(app.work().await, 1);
    assert_eq!(app.outbox()[0].to, "stranger@example.org");
    let confirm = json!({ "current_password": PASSWORD });
    ann.call(actix_web::http::Method::DELETE, "/user/me", confirm)
        .await
        .expect_empty(204);
    assert_eq!(app.work().await, 0);
}

async fn an_account_has_ten_notices(app: TestApp) {
    let app = limited(app, &[]).await;
    let ann = user(&app, "ann", 1).await;
    verify(&app, ann.user_id);
    let change = async |times: usize| {
        for n in 0..times {
            let mobile = json!(format!("+316123456{n:02}"));
            set_mobile(&ann, mobile).await;
            app.clock.advance(TimeDelta::seconds(10));
        }
    };
    change(15).await;
    app.work().await;
    assert_eq!(app.outbox().len(), 10);
    app.clock.advance(TimeDelta::minutes(70));
    change(2).await;
    app.work().await;
    assert_eq!(app.outbox().len(), 11);
}

async fn what_is_counted_goes_when_it_says_nothing_more(app: TestApp) {
    let app = limited(app, &[]).await;
    let ann = user(&app, "ann", 1).await;
    assert_eq!(order(&ann, "email").await, 202);
    app.work().await;
    let rows = || -> i64 {
        app.database
            .with(|conn| message_budget::table.count().get_result(conn).unwrap())
    };
    assert_eq!(rows(), 4);
    let delete = |conn: &mut inkpot::core::db::Conn, now| {
        inkpot::accounts::storage::message_budget::delete_expired(conn, now, 10).unwrap()
    };
    let now = app.clock.now();
    assert_eq!(app.database.with(move |conn| delete(conn, now)), 0);
    let later = now + TimeDelta::hours(25);
    assert_eq!(app.database.with(move |conn| delete(conn, later)), 4);
    assert_eq!(rows(), 0);
}
