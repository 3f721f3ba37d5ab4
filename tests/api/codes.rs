//! Codes: six digits that verify an address or number, or recover an account.

use chrono::TimeDelta;
use diesel::prelude::*;
use futures_util::future::join_all;
use inkpot::accounts::jobs::recover::Recover;
use inkpot::accounts::storage::users;
use inkpot::core::db::schema::{audit, user};
use inkpot::core::page::ListPart;
use inkpot::jobs::handler::JobHandler;
use inkpot::jobs::storage::admin;
use serde_json::{Value, json};

use crate::harness::{Answer, Client, PASSWORD, Sent, TestApp, on_both_databases};

const NEW_PASSWORD: &str = "another horse, another staple";

on_both_databases![
    an_address_is_verified_by_the_code_that_was_sent_to_it,
    a_number_is_verified_by_the_code_that_was_sent_to_it,
    what_cannot_be_verified_is_refused,
    a_target_gets_one_code_a_minute,
    a_hundred_orders_at_once_make_one_code,
    a_code_lives_ten_minutes,
    a_code_allows_five_tries,
    tries_at_once_are_all_counted,
    the_right_code_a_hundred_times_at_once_works_once,
    a_code_is_bound_to_its_account_and_purpose,
    a_new_code_replaces_the_old,
    a_code_for_an_address_that_was_changed_is_worth_nothing,
    a_lost_password_is_replaced_by_a_code,
    an_account_is_recovered_by_any_of_its_names,
    recovery_goes_to_what_is_verified,
    who_registers_with_anothers_address_does_not_come_back,
    a_code_to_recover_is_judged_again_when_it_is_used,
    nobody_learns_whether_an_account_exists,
    a_reset_is_done_once_of_a_hundred_at_once,
    a_refused_password_leaves_the_code_usable,
    a_deactivated_user_recovers_nothing,
    a_request_to_recover_that_was_accepted_is_answered,
    whoever_did_not_order_a_code_does_not_use_it_up,
    a_code_that_another_orders_takes_none_away,
    links_come_from_the_setting_and_never_from_the_request,
    messages_are_in_the_language_of_the_request,
    no_code_is_stored_or_shown,
    a_code_survives_a_new_secret,
    owners_are_told_of_what_happens_to_their_account,
    codes_that_are_none_are_refused_before_they_are_counted,
];

const VERIFY: &str = "/user/me/verify";
const SEND: &str = "/user/me/verify/send";
const FORGOT: &str = "/user/password/forgot";
const RESET: &str = "/user/password/reset";

/// Orders a code and gives the message.
async fn ordered(client: &Client<'_>, channel: &str) -> Sent {
    let answer = client.post(SEND, json!({ "channel": channel })).await;
    assert_eq!(answer.expect(202), json!({ "status": "accepted" }));
    client.app().work().await;
    client.app().outbox().pop().unwrap()
}

async fn tried(client: &Client<'_>, channel: &str, code: &str) -> Answer {
    let body = json!({ "channel": channel, "code": code });
    client.post(VERIFY, body).await
}

/// A code that is not this one.
fn other_than(code: &str) -> String {
    let number: u32 = code.parse().unwrap();
    format!("{:06}", (number + 1) % 1_000_000)
}

/// Asks for a code to recover an account and gives the message, if there is one.
async fn forgotten(app: &TestApp, account: &str) -> Option<Sent> {
    let before = app.outbox().len();
    let body = json!({ "account": account });
    let answer = app.anonymous().post(FORGOT, body).await;
    assert_eq!(answer.expect(202)["status"], "accepted");
    app.work().await;
    let sent = app.outbox();
    assert!(sent.len() <= before + 1);
    sent.into_iter().nth(before)
}

/// The same for an account that there is; gives the id of the request and the code.
async fn ordered_reset(app: &TestApp, account: &str) -> (Value, String) {
    let body = json!({ "account": account });
    let answer = app.anonymous().post(FORGOT, body).await.expect(202);
    app.work().await;
    let code = app.outbox().pop().unwrap().code();
    (answer["reset_id"].clone(), code)
}

fn reset_ordered(account: &str, (reset_id, code): (&Value, &str)) -> Value {
    let mut body = reset_of(account, code);
    body["reset_id"] = reset_id.clone();
    body
}

fn reset_of(account: &str, code: &str) -> Value {
    json!({ "account": account, "code": code, "new_password": NEW_PASSWORD })
}

async fn an_address_is_verified_by_the_code_that_was_sent_to_it(app: TestApp) {
    let ann = app.user("ann").await;
    let sent = ordered(&ann, "email").await;
    assert!(sent.is_mail());
    assert_eq!(sent.to, "ann@example.org");
    let answer = tried(&ann, "email", &sent.code()).await.expect(200);
    assert_eq!(answer["userinfo"]["email_verified"], true);
    assert_eq!(answer["userinfo"]["mobile_verified"], false);
    // Once.
    tried(&ann, "email", &sent.code())
        .await
        .problem("code_used");
    let own = ann.get("/user/me").await.expect(200);
    assert_eq!(own["userinfo"]["email_verified"], true);
    ann.post(SEND, json!({ "channel": "email" }))
        .await
        .problem("already_verified");
}

/// A user with a mobile number.
async fn with_mobile<'a>(app: &'a TestApp, name: &str, mobile: &str) -> Client<'a> {
    let body = json!({
        "email": format!("{name}@example.org"), "name": name, "password": PASSWORD,
        "mobile": mobile, "username": format!("{name}-user"),
    });
    let answer = app.anonymous().post("/user/reg", body).await.expect(201);
    app.client_of(&answer)
}

async fn a_number_is_verified_by_the_code_that_was_sent_to_it(app: TestApp) {
    let ann = with_mobile(&app, "ann", "+31612345678").await;
    let sent = ordered(&ann, "mobile").await;
    assert!(!sent.is_mail());
    assert_eq!(sent.to, "+31612345678");
    let answer = tried(&ann, "mobile", &sent.code()).await.expect(200);
    assert_eq!(answer["userinfo"]["mobile_verified"], true);
    assert_eq!(answer["userinfo"]["email_verified"], false);
}

async fn what_cannot_be_verified_is_refused(app: TestApp) {
    let ann = app.user("ann").await;
    ann.post(SEND, json!({ "channel": "mobile" }))
        .await
        .problem("no_mobile");
    for body in [
        json!({ "channel": "pigeon" }),
        json!({ "channel": "EMAIL" }),
    ] {
        ann.post(SEND, body)
            .await
            .faults(&[("/channel", "channel_invalid")]);
    }
    ann.post(SEND, json!({}))
        .await
        .faults(&[("/channel", "field_missing")]);
    tried(&ann, "email", "123456").await.problem("wrong_code");
    tried(&ann, "mobile", "123456").await.problem("wrong_code");
    assert_eq!(app.work().await, 0);
}

async fn a_target_gets_one_code_a_minute(app: TestApp) {
    let ann = with_mobile(&app, "ann", "+31612345678").await;
    ordered(&ann, "email").await;
    // Another purpose and target is another matter, and so is another account.
    ordered(&ann, "mobile").await;
    let ben = app.user("ben").await;
    ordered(&ben, "email").await;
    app.clock.advance(TimeDelta::seconds(20));
    for channel in ["email", "mobile"] {
        let answer = ann.post(SEND, json!({ "channel": channel })).await;
        assert_eq!(answer.header("retry-after"), "40");
        answer.problem("rate_limited");
    }
    // A corrected address gets one at once, and the old one's is worth nothing.
    let body = json!({ "email": "anna@example.org", "current_password": PASSWORD });
    ann.patch("/user/me", body).await.expect(200);
    app.work().await;
    let corrected = ordered(&ann, "email").await;
    assert_eq!(corrected.to, "anna@example.org");
    app.clock.advance(TimeDelta::seconds(40));
    let mobile = ordered(&ann, "mobile").await;
    tried(&ann, "mobile", &mobile.code()).await.expect(200);
    tried(&ann, "email", &corrected.code()).await.expect(200);
}

async fn a_hundred_orders_at_once_make_one_code(app: TestApp) {
    let ann = app.user("ann").await;
    let orders = (0..100).map(|_| ann.post(SEND, json!({ "channel": "email" })));
    let answers = join_all(orders).await;
    let made = answers.iter().filter(|a| a.status.as_u16() == 202).count();
    let refused = answers.iter().filter(|a| a.status.as_u16() == 429).count();
    assert_eq!((made, refused), (1, 99));
    assert_eq!(app.work().await, 1);
    let sent = app.outbox();
    assert_eq!(sent.len(), 1);
    tried(&ann, "email", &sent[0].code()).await.expect(200);
}

async fn a_code_lives_ten_minutes(app: TestApp) {
    let ann = app.user("ann").await;
    let sent = ordered(&ann, "email").await;
    app.clock.advance(TimeDelta::minutes(10));
    tried(&ann, "email", &sent.code())
        .await
        .problem("code_expired");
    let sent = ordered(&ann, "email").await;
    app.clock
        .advance(TimeDelta::minutes(10) - TimeDelta::microseconds(1));
    tried(&ann, "email", &sent.code()).await.expect(200);
}

async fn a_code_allows_five_tries(app: TestApp) {
    let ann = app.user("ann").await;
    let code = ordered(&ann, "email").await.code();
    for _ in 0..5 {
        tried(&ann, "email", &other_than(&code))
            .await
            .problem("wrong_code");
    }
    tried(&ann, "email", &code).await.problem("wrong_code");

    app.clock.advance(TimeDelta::minutes(1));
    let code = ordered(&ann, "email").await.code();
    for _ in 0..4 {
        tried(&ann, "email", &other_than(&code))
            .await
            .problem("wrong_code");
    }
    tried(&ann, "email", &code).await.expect(200);
}

async fn tries_at_once_are_all_counted(app: TestApp) {
    let ann = app.user("ann").await;
    let code = ordered(&ann, "email").await.code();
    let wrong = other_than(&code);
    let tries = (0..100).map(|_| tried(&ann, "email", &wrong));
    for answer in join_all(tries).await {
        answer.problem("wrong_code");
    }
    tried(&ann, "email", &code).await.problem("wrong_code");
}

async fn the_right_code_a_hundred_times_at_once_works_once(app: TestApp) {
    let ann = app.user("ann").await;
    let code = ordered(&ann, "email").await.code();
    let answers = join_all((0..100).map(|_| tried(&ann, "email", &code))).await;
    let taken = answers.iter().filter(|a| a.status.as_u16() == 200).count();
    let refused = answers.iter().filter(|a| a.status.as_u16() == 403).count();
    assert_eq!((taken, refused), (1, 99));
}

async fn a_code_is_bound_to_its_account_and_purpose(app: TestApp) {
    let ann = with_mobile(&app, "ann", "+31612345678").await;
    let ben = with_mobile(&app, "ben", "+31687654321").await;
    let code = ordered(&ann, "email").await.code();
    tried(&ann, "mobile", &code).await.problem("wrong_code");
    tried(&ben, "email", &code).await.problem("wrong_code");
    app.anonymous()
        .post(RESET, reset_of("ann@example.org", &code))
        .await
        .problem("wrong_code");
    tried(&ann, "email", &code).await.expect(200);

    app.clock.advance(TimeDelta::minutes(1));
    let code = forgotten(&app, "ann-user").await.unwrap().code();
    tried(&ann, "mobile", &code).await.problem("wrong_code");
    app.anonymous()
        .post(RESET, reset_of("ben@example.org", &code))
        .await
        .problem("wrong_code");
    app.anonymous()
        .post(RESET, reset_of("ann@example.org", &code))
        .await
        .expect_empty(204);
}

async fn a_new_code_replaces_the_old(app: TestApp) {
    let ann = app.user("ann").await;
    let first = ordered(&ann, "email").await.code();
    app.clock.advance(TimeDelta::minutes(1));
    let second = ordered(&ann, "email").await.code();
    if first != second {
        tried(&ann, "email", &first).await.problem("wrong_code");
    }
    tried(&ann, "email", &second).await.expect(200);

    // One that is replaced before it was sent is not sent.
    let ben = app.user("ben").await;
    let order = || ben.post(SEND, json!({ "channel": "email" }));
    order().await.expect(202);
    app.clock.advance(TimeDelta::minutes(1));
    order().await.expect(202);
    let before = app.outbox().len();
    assert_eq!(app.work().await, 2);
    let sent = app.outbox();
    assert_eq!(sent.len(), before + 1);
    tried(&ben, "email", &sent.last().unwrap().code())
        .await
        .expect(200);
}

async fn a_code_for_an_address_that_was_changed_is_worth_nothing(app: TestApp) {
    let ann = with_mobile(&app, "ann", "+31612345678").await;
    let to_email = ordered(&ann, "email").await.code();
    app.clock.advance(TimeDelta::minutes(1));
    let to_mobile = ordered(&ann, "mobile").await.code();
    app.clock.advance(TimeDelta::minutes(1));
    let to_reset = forgotten(&app, "ann-user").await.unwrap().code();
    let body = json!({
        "email": "new@example.org", "mobile": "+442079460999", "current_password": PASSWORD,
    });
    ann.patch("/user/me", body).await.expect(200);
    tried(&ann, "email", &to_email).await.problem("code_used");
    tried(&ann, "mobile", &to_mobile).await.problem("code_used");
    app.anonymous()
        .post(RESET, reset_of("new@example.org", &to_reset))
        .await
        .problem("wrong_code");

    app.clock.advance(TimeDelta::minutes(1));
    let sent = ordered(&ann, "email").await;
    assert_eq!(sent.to, "new@example.org");
    tried(&ann, "email", &sent.code()).await.expect(200);
}

async fn a_lost_password_is_replaced_by_a_code(app: TestApp) {
    let ann = app.user("ann").await;
    let login = app.login("ann").await;
    let sent = forgotten(&app, " Ann@Example.ORG ").await.unwrap();
    assert_eq!(sent.to, "ann@example.org");
    // The old password is good until the code was used.
    app.login("ann").await;
    let body = reset_of("ann@example.org", &sent.code());
    app.anonymous()
        .post(RESET, body.clone())
        .await
        .expect_empty(204);
    app.anonymous()
        .post(RESET, body)
        .await
        .problem("wrong_code");

    // Every session has ended, and none was begun.
    ann.get("/user/me").await.problem("session_ended");
    app.client_of(&login)
        .get("/user/me")
        .await
        .problem("session_ended");
    let refresh = json!({ "refresh_token": login["refresh_token"] });
    app.anonymous()
        .post("/user/refresh", refresh)
        .await
        .problem("invalid_token");
    let old = json!({ "account": "ann@example.org", "password": PASSWORD });
    app.anonymous()
        .post("/user/login", old)
        .await
        .problem("invalid_credentials");
    let new = json!({ "account": "ann@example.org", "password": NEW_PASSWORD });
    let answer = app.anonymous().post("/user/login", new).await.expect(200);
    let sessions = app.client_of(&answer).get("/user/me/sessions").await;
    assert_eq!(
        sessions.expect(200)["sessions"].as_array().unwrap().len(),
        1
    );

    assert_eq!(app.work().await, 1);
    let notice = app.outbox().pop().unwrap();
    assert_eq!(notice.to, "ann@example.org");
    assert!(notice.text.contains("password"), "{}", notice.text);
}

async fn an_account_is_recovered_by_any_of_its_names(app: TestApp) {
    let ann = with_mobile(&app, "ann", "+31612345678").await;
    set_verified(&app, ann.user_id, (true, true));
    for (account, is_mail) in [
        ("ann@example.org", true),
        ("ANN-user", true),
        ("0031 6 12345678", false),
    ] {
        let sent = forgotten(&app, account).await.unwrap();
        assert_eq!(sent.is_mail(), is_mail);
        app.anonymous()
            .post(RESET, reset_of(account, &sent.code()))
            .await
            .expect_empty(204);
        app.clock.advance(TimeDelta::minutes(1));
        app.work().await;
    }
}

/// Has address and number be verified, or not.
fn set_verified(app: &TestApp, user_id: i64, (email, mobile): (bool, bool)) {
    app.database.with(move |conn| {
        diesel::update(user::table.find(user_id))
            .set((
                user::email_verified.eq(email),
                user::mobile_verified.eq(mobile),
            ))
            .execute(conn)
            .unwrap();
    });
}

/// Logs in with the password of a reset and gives the own view.
async fn recovered<'a>(app: &'a TestApp, account: &str) -> (Client<'a>, Value) {
    let body = json!({ "account": account, "password": NEW_PASSWORD });
    let answer = app.anonymous().post("/user/login", body).await.expect(200);
    (app.client_of(&answer), answer["userinfo"].clone())
}

/// Every pair of an address and a number, and every way to name the account.
async fn recovery_goes_to_what_is_verified(app: TestApp) {
    let mut n = 0;
    // Verified: address, number (none where there is none); by mail: named by the address,
    // the username, the number.
    for (email, mobile, by_mail) in [
        (false, None, [true, true, true]),
        (false, Some(false), [true, true, true]),
        (true, None, [true, true, true]),
        (true, Some(false), [true, true, true]),
        (false, Some(true), [false, false, false]),
        (true, Some(true), [true, true, false]),
    ] {
        for (way, by_mail) in by_mail.into_iter().enumerate() {
            n += 1;
            let (name, number) = (format!("ann{n}"), format!("+316123456{n:02}"));
            let ann = with_mobile(&app, &name, &number).await;
            let id = ann.user_id;
            if mobile.is_none() {
                let body = json!({ "mobile": null, "current_password": PASSWORD });
                ann.patch("/user/me", body).await.expect(200);
                app.work().await;
            }
            set_verified(&app, id, (email, mobile == Some(true)));
            let address = format!("{name}@example.org");
            let account = [address.clone(), format!("{name}-user"), number.clone()][way].clone();
            let what = format!("{email} {mobile:?} by {account}");
            let Some(sent) = forgotten(&app, &account).await else {
                assert_eq!((mobile, way), (None, 2), "{what}");
                continue;
            };
            let to = if by_mail { &address } else { &number };
            assert_eq!(&sent.to, to, "{what}");
            app.anonymous()
                .post(RESET, reset_of(&account, &sent.code()))
                .await
                .expect_empty(204);
            ann.get("/user/me").await.problem("session_ended");
            let (_, own) = recovered(&app, &address).await;
            let stays = mobile == Some(true);
            assert_eq!(own["email_verified"], email || by_mail, "{what}");
            assert_eq!(own["mobile_verified"], stays, "{what}");
            let number = if stays { json!(number) } else { Value::Null };
            assert_eq!(own["mobile"], number, "{what}");
            app.work().await;
        }
    }
}

async fn who_registers_with_anothers_address_does_not_come_back(app: TestApp) {
    let own_number = "+31612345678";
    let thief = with_mobile(&app, "victim", own_number).await;
    // A code to verify the number is under way, unused.
    let verifying = ordered(&thief, "mobile").await;
    assert_eq!(verifying.to, own_number);
    app.clock.advance(TimeDelta::minutes(1));
    // By the number nothing reaches the thief, before and after.
    let sent = forgotten(&app, own_number).await.unwrap();
    assert_eq!(sent.to, "victim@example.org");
    let reset = reset_of("victim@example.org", &sent.code());
    app.anonymous().post(RESET, reset).await.expect_empty(204);
    app.work().await;
    let (victim, own) = recovered(&app, "victim@example.org").await;
    assert_eq!(own["mobile"], Value::Null);
    assert_eq!(own["email_verified"], true);
    thief.get("/user/me").await.problem("session_ended");
    tried(&victim, "mobile", &verifying.code())
        .await
        .problem("code_used");
    app.clock.advance(TimeDelta::minutes(1));
    assert_eq!(forgotten(&app, own_number).await, None);
    let body = json!({ "account": own_number, "password": PASSWORD });
    app.anonymous()
        .post("/user/login", body)
        .await
        .problem("invalid_credentials");
    // The number is free for whoever has it.
    with_mobile(&app, "thief", own_number).await;
    let id = victim.user_id;
    let actions: Vec<(String, String)> = app.database.with(move |conn| {
        audit::table
            .filter(audit::user_id.eq(id))
            .order(audit::audit_id)
            .select((audit::action, audit::detail))
            .load(conn)
            .unwrap()
    });
    for expected in [
        ("password_reset", ""),
        ("email_verified", ""),
        ("profile_changed", "mobile"),
    ] {
        let found =
            |(action, detail): &(String, String)| (action.as_str(), detail.as_str()) == expected;
        assert!(actions.iter().any(found), "{expected:?} in {actions:?}");
    }
}

async fn a_code_to_recover_is_judged_again_when_it_is_used(app: TestApp) {
    // Sent to an address that nobody verified; then the number is verified.
    let ann = with_mobile(&app, "ann", "+31612345678").await;
    let sent = forgotten(&app, "ann@example.org").await.unwrap();
    assert!(sent.is_mail());
    set_verified(&app, ann.user_id, (false, true));
    let body = reset_of("ann@example.org", &sent.code());
    app.anonymous()
        .post(RESET, body.clone())
        .await
        .problem("wrong_code");
    ann.get("/user/me").await.expect(200);
    // As soon as the address is verified as well, it recovers again.
    set_verified(&app, ann.user_id, (true, true));
    app.anonymous().post(RESET, body).await.expect_empty(204);
    let (_, own) = recovered(&app, "ann@example.org").await;
    assert_eq!(own["mobile"], "+31612345678");
}

async fn nobody_learns_whether_an_account_exists(app: TestApp) {
    app.user("ann").await;
    let accounts = ["ann@example.org", "nobody@example.org", "nobody", "?"];
    let mut seen = Vec::new();
    for account in accounts {
        let units = app.state.db.units();
        let answer = app
            .anonymous()
            .post(FORGOT, json!({ "account": account }))
            .await;
        let headers: Vec<String> = answer.headers.keys().map(ToString::to_string).collect();
        seen.push((
            answer.status,
            answer.expect(202)["reset_id"].as_str().unwrap().len(),
            answer.text().len(),
            headers,
            app.state.db.units() - units,
        ));
    }
    assert!(seen.iter().all(|one| *one == seen[0]), "{seen:?}");
    // One row each, of the same kind and without a user.
    let newest = ListPart::Below {
        position: None,
        size: 20,
    };
    let jobs = app
        .database
        .with(move |conn| admin::load_part(conn, None, newest).unwrap())
        .rows;
    assert_eq!(jobs.len(), 4);
    assert!(
        jobs.iter()
            .all(|job| job.kind == Recover::KIND.name && job.user_id.is_none())
    );
    app.work().await;
    assert_eq!(app.outbox().len(), 1);

    // The same for codes: a wrong one, none, and nobody.
    app.user("ben").await;
    let wrong = other_than(&app.outbox()[0].code());
    let mut seen = Vec::new();
    for account in ["ann@example.org", "ben@example.org", "nobody@example.org"] {
        let (units, hashes) = (
            app.state.db.units(),
            app.state.accounts.directory.hasher.done(),
        );
        let answer = app.anonymous().post(RESET, reset_of(account, &wrong)).await;
        let mut problem = answer.problem("wrong_code");
        problem["request_id"] = Value::Null;
        seen.push((
            problem,
            app.state.db.units() - units,
            app.state.accounts.directory.hasher.done() - hashes,
        ));
    }
    assert!(seen.iter().all(|one| *one == seen[0]), "{seen:?}");
    // And each leaves the same trace.
    let root = app.admin("root").await;
    let audit = root.get("/audit").await.expect(200);
    let refused = audit["audit"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["action"] == "code_refused");
    assert_eq!(refused.count(), 3);
}

async fn a_reset_is_done_once_of_a_hundred_at_once(app: TestApp) {
    app.user("ann").await;
    let code = forgotten(&app, "ann@example.org").await.unwrap().code();
    let anonymous = app.anonymous();
    let tries = (0..100).map(|n| {
        let body = json!({
            "account": "ann@example.org", "code": code, "new_password": format!("{NEW_PASSWORD} {n}"),
        });
        anonymous.post(RESET, body)
    });
    let answers = join_all(tries).await;
    let done: Vec<usize> = (0..100)
        .filter(|n| answers[*n].status.as_u16() == 204)
        .collect();
    assert_eq!(done.len(), 1);
    for (n, answer) in answers.iter().enumerate() {
        if n != done[0] {
            answer.problem("wrong_code");
        }
    }
    let password = format!("{NEW_PASSWORD} {}", done[0]);
    let body = json!({ "account": "ann@example.org", "password": password });
    app.anonymous().post("/user/login", body).await.expect(200);
    // One notice.
    assert_eq!(app.work().await, 1);
}

async fn a_refused_password_leaves_the_code_usable(app: TestApp) {
    app.user("ann").await;
    let code = forgotten(&app, "ann@example.org").await.unwrap().code();
    for (password, fault) in [
        ("short", "password_too_short"),
        ("12345678901", "password_all_digits"),
        ("password123", "password_common"),
        ("ann@example.org", "password_similar"),
    ] {
        let body = json!({ "account": "ann@example.org", "code": code, "new_password": password });
        app.anonymous()
            .post(RESET, body)
            .await
            .faults(&[("/new_password", fault)]);
    }
    app.anonymous()
        .post(RESET, reset_of("ann@example.org", &code))
        .await
        .expect_empty(204);
}

async fn a_deactivated_user_recovers_nothing(app: TestApp) {
    let ann = app.user("ann").await;
    let root = app.admin("root").await;
    let code = forgotten(&app, "ann@example.org").await.unwrap().code();
    let path = format!("/user/{}", ann.user_id);
    root.patch(&path, json!({ "is_active": false }))
        .await
        .expect(200);
    app.anonymous()
        .post(RESET, reset_of("ann@example.org", &code))
        .await
        .problem("wrong_code");
    app.clock.advance(TimeDelta::minutes(1));
    assert_eq!(forgotten(&app, "ann@example.org").await, None);
}

async fn a_request_to_recover_that_was_accepted_is_answered(app: TestApp) {
    let ann = with_mobile(&app, "ann", "+31612345678").await;
    set_verified(&app, ann.user_id, (true, true));
    let minute = TimeDelta::minutes(1);
    // A code for something else just now is no hindrance.
    let address = "ann@example.org";
    let first = forgotten(&app, address).await.unwrap();
    // Named by the number it goes there at once, and replaces the other.
    let second = forgotten(&app, "+31612345678").await.unwrap();
    assert_eq!((first.is_mail(), second.is_mail()), (true, false));
    if first.code() != second.code() {
        app.anonymous()
            .post(RESET, reset_of(address, &first.code()))
            .await
            .problem("wrong_code");
    }
    // Five wrong tries, and asked again within the minute: it comes after it, once for all.
    for _ in 0..5 {
        let body = reset_of(address, &other_than(&second.code()));
        app.anonymous()
            .post(RESET, body)
            .await
            .problem("wrong_code");
    }
    for seconds in [0, 1, 2] {
        app.clock.advance(TimeDelta::seconds(seconds));
        assert_eq!(forgotten(&app, address).await, None);
    }
    let before = app.outbox().len();
    app.clock.advance(minute);
    app.work().await;
    app.work().await;
    let sent = app.outbox();
    assert_eq!(sent.len(), before + 1, "one for the three");
    let reset = reset_of(address, &sent[before].code());
    app.anonymous().post(RESET, reset).await.expect_empty(204);
    app.work().await;
    // After a finished reset as well.
    assert_eq!(forgotten(&app, address).await, None);
    let before = app.outbox().len();
    app.clock.advance(minute);
    app.work().await;
    app.work().await;
    let sent = app.outbox();
    assert_eq!(sent.len(), before + 1);
    let reset = reset_of(address, &sent[before].code());
    app.anonymous().post(RESET, reset).await.expect_empty(204);
}

async fn whoever_did_not_order_a_code_does_not_use_it_up(app: TestApp) {
    app.user("ann").await;
    let address = "ann@example.org";
    let (reset_id, code) = ordered_reset(&app, address).await;
    let wrong = other_than(&code);
    let anonymous = app.anonymous();
    // Without an id, with none that was given, and with that of another account.
    app.user("ben").await;
    let (others, _) = ordered_reset(&app, "ben@example.org").await;
    for id in [Value::Null, json!("x"), others] {
        for _ in 0..5 {
            let body = reset_ordered(address, (&id, &wrong));
            anonymous.post(RESET, body).await.problem("wrong_code");
        }
    }
    for _ in 0..4 {
        let body = reset_ordered(address, (&reset_id, &wrong));
        anonymous.post(RESET, body).await.problem("wrong_code");
    }
    let right = reset_ordered(address, (&reset_id, &code));
    anonymous.post(RESET, right).await.expect_empty(204);
    app.work().await;
    // Five tries with the id are all that it has.
    app.clock.advance(TimeDelta::minutes(1));
    let (reset_id, code) = ordered_reset(&app, address).await;
    for _ in 0..5 {
        let body = reset_ordered(address, (&reset_id, &other_than(&code)));
        anonymous.post(RESET, body).await.problem("wrong_code");
    }
    let right = reset_ordered(address, (&reset_id, &code));
    anonymous.post(RESET, right).await.problem("wrong_code");
    anonymous
        .post(RESET, reset_of(address, &code))
        .await
        .problem("wrong_code");
}

async fn a_code_that_another_orders_takes_none_away(app: TestApp) {
    app.user("ann").await;
    let address = "ann@example.org";
    let (reset_id, code) = ordered_reset(&app, address).await;
    for _ in 0..5 {
        app.clock.advance(TimeDelta::minutes(1));
        let (others, _) = ordered_reset(&app, address).await;
        assert_ne!(others, reset_id);
    }
    let right = reset_ordered(address, (&reset_id, &code));
    let anonymous = app.anonymous();
    anonymous.post(RESET, right).await.expect_empty(204);
    app.work().await;
    // With it all of them are over, and what another ordered serves whoever reads the mail.
    app.clock.advance(TimeDelta::minutes(1));
    let (_, code) = ordered_reset(&app, address).await;
    anonymous
        .post(RESET, reset_of(address, &code))
        .await
        .expect_empty(204);
    app.work().await;
}

async fn links_come_from_the_setting_and_never_from_the_request(app: TestApp) {
    let flags = ["--public-url", "https://blog.example.org/here"];
    let app = TestApp::start(app.database.shared(), &flags).await;
    app.user("ann").await;
    let evil = app
        .anonymous()
        .with_header("Host", "evil.example")
        .with_header("X-Forwarded-Host", "evil.example")
        .with_header("Forwarded", "host=evil.example")
        .with_header("Referer", "https://evil.example/x");
    evil.post(FORGOT, json!({ "account": "ann@example.org" }))
        .await
        .expect(202);
    app.work().await;
    let sent = app.outbox().pop().unwrap();
    assert!(sent.text.contains("https://blog.example.org/here"));
    assert!(!sent.file.contains("evil"));
}

async fn messages_are_in_the_language_of_the_request(app: TestApp) {
    for (n, (accepted, tag)) in [
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en-GB, zh;q=0.5", "en"),
        ("tlh, zh-TW;q=0.3", "zh"),
        ("nonsense;;;", "en"),
    ]
    .into_iter()
    .enumerate()
    {
        let ann = app.user(&format!("ann{n}")).await;
        let ann = ann.with_header("Accept-Language", accepted);
        let sent = ordered(&ann, "email").await;
        let is_chinese = sent.text.contains("验证码");
        assert_eq!(is_chinese, tag == "zh", "{accepted}: {}", sent.text);
    }
}

async fn no_code_is_stored_or_shown(app: TestApp) {
    let ann = with_mobile(&app, "ann", "+31612345678").await;
    let root = app.admin("root").await;
    ann.post(SEND, json!({ "channel": "email" }))
        .await
        .expect(202);
    let text = |app: &TestApp| {
        app.database.with(|conn| {
            use diesel::prelude::*;
            use inkpot::core::db::schema::{code, job};
            let codes: Vec<(String, String, String)> = code::table
                .select((code::target, code::nonce, code::code_hash))
                .load(conn)
                .unwrap();
            let payloads: Vec<String> = job::table.select(job::payload).load(conn).unwrap();
            format!("{codes:?} {payloads:?}")
        })
    };
    let stored = text(&app);
    app.work().await;
    let code = app.outbox()[0].code();
    let exported = ann.get("/user/me/export").await.text();
    let shown = root.get("/jobs").await.text();
    for text in [stored, exported.clone(), shown.clone()] {
        assert!(!text.contains(&code), "{text}");
    }
    assert!(exported.contains("\"purpose\":\"email\""));
    assert!(exported.contains("\"kind\":\"mail_code\""));
    // Nor the address, when the job is done.
    assert!(!shown.contains("ann@example.org"));
    let payloads = app.database.with(|conn| {
        use diesel::prelude::*;
        use inkpot::core::db::schema::job;
        let payloads: Vec<String> = job::table.select(job::payload).load(conn).unwrap();
        payloads
    });
    assert_eq!(payloads, [""]);
}

async fn a_code_survives_a_new_secret(app: TestApp) {
    let ann = app.user("ann").await;
    let secrets = format!(
        "{},{}",
        "the-new-secret-9876543210-zyxwvutsrqponm",
        crate::harness::SECRET
    );
    let renewed = app.second(&["--jwt-secret", &secrets]).await;
    // Ordered under the old secret, sent and tried under the new one.
    ann.post(SEND, json!({ "channel": "email" }))
        .await
        .expect(202);
    assert_eq!(renewed.work().await, 1);
    let code = renewed.outbox()[0].code();
    tried(&ann, "email", &other_than(&code))
        .await
        .problem("wrong_code");
    let login = renewed.login("ann").await;
    tried(&renewed.client_of(&login), "email", &code)
        .await
        .expect(200);

    // Without the secret that made it a code is lost, not wrong in some way.
    app.clock.advance(TimeDelta::minutes(1));
    let ben = app.user("ben").await;
    ben.post(SEND, json!({ "channel": "email" }))
        .await
        .expect(202);
    let other = app
        .second(&["--jwt-secret", "the-new-secret-9876543210-zyxwvutsrqponm"])
        .await;
    assert_eq!(other.work().await, 1);
    assert_eq!(other.outbox().len(), 1);
}

async fn owners_are_told_of_what_happens_to_their_account(app: TestApp) {
    let ann = app.user("ann").await;
    set_verified(&app, ann.user_id, (true, false));
    let told = |count: usize| {
        let sent = app.outbox();
        assert_eq!(sent.len(), count);
        sent.last().cloned().unwrap()
    };
    // A change of the password.
    let body = json!({ "current_password": PASSWORD, "new_password": NEW_PASSWORD });
    ann.put("/user/me/password", body.clone())
        .await
        .expect_empty(204);
    assert_eq!(app.work().await, 1);
    assert_eq!(told(1).to, "ann@example.org");
    // One that was refused.
    ann.put("/user/me/password", body)
        .await
        .problem("wrong_password");
    assert_eq!(app.work().await, 0);

    // A change of the address, at the old one; not of its spelling, nor of a name.
    for (change, jobs) in [
        (json!({ "name": "Anna" }), 0),
        (
            json!({ "email": "ANN@example.org", "current_password": NEW_PASSWORD }),
            0,
        ),
        (
            json!({ "email": "anna@example.org", "current_password": NEW_PASSWORD }),
            1,
        ),
    ] {
        ann.patch("/user/me", change).await.expect(200);
        assert_eq!(app.work().await, jobs);
    }
    assert_eq!(told(2).to, "ANN@example.org");

    // A refresh token that came back.
    set_verified(&app, ann.user_id, (true, false));
    let body = json!({ "account": "anna@example.org", "password": NEW_PASSWORD });
    let login = app.anonymous().post("/user/login", body).await.expect(200);
    let refresh = json!({ "refresh_token": login["refresh_token"] });
    let mut token = refresh.clone();
    for _ in 0..2 {
        let answer = app.anonymous().post("/user/refresh", token).await;
        token = json!({ "refresh_token": answer.expect(200)["refresh_token"] });
    }
    for code in ["refresh_token_used", "invalid_token", "invalid_token"] {
        app.anonymous()
            .post("/user/refresh", refresh.clone())
            .await
            .problem(code);
    }
    assert_eq!(app.work().await, 1);
    assert_eq!(told(3).to, "anna@example.org");

    // An address that is taken is not changed, and nobody is told.
    app.user("ben").await;
    let body = json!({ "email": "ben@example.org", "current_password": NEW_PASSWORD });
    ann.patch("/user/me", body).await.problem("email_taken");
    assert_eq!(app.work().await, 0);
    let found = app.database.with(|conn| {
        let account = inkpot::accounts::types::Account::Email("anna@example.org".to_owned());
        users::find_by_account(conn, &account).unwrap()
    });
    assert!(found.is_some());
}

async fn codes_that_are_none_are_refused_before_they_are_counted(app: TestApp) {
    let ann = app.user("ann").await;
    let code = ordered(&ann, "email").await.code();
    for text in [
        "",
        "12345",
        "1234567",
        "12345a",
        "１２３４５",
        "-12345",
        "12 456",
    ] {
        tried(&ann, "email", text)
            .await
            .faults(&[("/code", "code_malformed")]);
    }
    // As it comes out of a message, or from a keyboard with wide digits.
    let wide: String = code
        .chars()
        .map(|digit| char::from_u32(0xFF10 + digit.to_digit(10).unwrap()).unwrap())
        .collect();
    let body = json!({ "channel": "email", "code": format!(" {wide}\n") });
    let request = ann
        .request(actix_web::http::Method::POST, VERIFY)
        .set_json(&body);
    app.send(request).await.expect(200);
}
