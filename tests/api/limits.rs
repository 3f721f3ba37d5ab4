//! How often one may try to log in and to register.

use actix_web::http::Method;
use chrono::Duration;
use serde_json::json;

use crate::harness::contract::DESCRIPTION;
use crate::harness::{Answer, Backend, Client, PASSWORD, TestApp, TestDatabase, on_both_databases};

on_both_databases!(
    an_address_has_thirty_logins_and_then_one_every_two_seconds,
    an_address_has_twenty_registrations,
    a_refusal_comes_before_the_body_is_read,
    an_owner_waits_half_a_minute_while_their_account_is_hammered,
    an_account_that_does_not_exist_is_limited_alike,
    a_success_resets_the_account,
    an_owner_with_a_live_session_is_never_held,
    where_an_owner_is_logged_in_a_refusal_tells_nothing,
    guesses_at_codes_of_others_are_held_and_who_ordered_one_is_not,
    an_address_has_a_hundred_and_twenty_refreshes,
    each_spelling_of_an_account_is_the_same_account,
    a_forged_address_changes_nothing,
    behind_a_trusted_proxy_the_rightmost_hop_that_is_not_trusted_counts,
    ipv6_addresses_of_one_network_share_a_bucket,
    an_address_has_twenty_calls_about_codes,
    resets_count_with_the_logins_of_their_account,
    every_check_of_the_current_password_is_a_try_of_the_account,
    who_asks_for_taken_identifiers_is_held,
    whoever_changes_their_profile_all_the_time_is_held,
    whoever_likes_and_follows_all_the_time_is_held,
    they_can_be_turned_off,
);

/// The service once more, with limits and what else `flags` say.
async fn limited(app: TestApp, flags: &[&str]) -> TestApp {
    let mut all = vec!["--rate-limits", "on"];
    all.extend(flags);
    TestApp::start(app.database, &all).await
}

async fn login(client: &Client<'_>, account: &str, password: &str) -> Answer {
    let body = json!({ "account": account, "password": password });
    client.post("/user/login", body).await
}

/// A login that fails: for an account of its own each time, so that it is the
/// address's bucket alone that empties.
async fn try_once(client: &Client<'_>, number: usize) -> u16 {
    let account = format!("nobody-{number}@example.org");
    login(client, &account, "wrong").await.status.as_u16()
}

/// Takes all thirty tokens of an address.
async fn exhaust(client: &Client<'_>) {
    for number in 0..30 {
        assert_eq!(try_once(client, number).await, 401);
    }
}

/// Sees that the answer says how many seconds to wait.
#[track_caller]
fn waits(answer: &Answer, seconds: &str) {
    answer.problem("rate_limited");
    assert_eq!(answer.status.as_u16(), 429);
    assert_eq!(answer.header("retry-after"), seconds);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(answer.header("cache-control"), "no-store");
}

/// Two hundred addresses, each with a wrong password for one account.
async fn hammer(app: &TestApp, account: &str) {
    for number in 0..200 {
        let attacker = app.anonymous().at(&format!("203.0.113.{number}"));
        let status = login(&attacker, account, "wrong").await.status.as_u16();
        assert!(matches!(status, 401 | 429), "{status}");
    }
}

async fn an_address_has_thirty_logins_and_then_one_every_two_seconds(app: TestApp) {
    let app = limited(app, &[]).await;
    app.user("ann").await;
    let (one, other) = (
        app.anonymous().at("192.0.2.1"),
        app.anonymous().at("192.0.2.2"),
    );
    exhaust(&one).await;
    waits(&login(&one, "ann@example.org", PASSWORD).await, "2");
    login(&other, "ann@example.org", PASSWORD).await.expect(200);
    app.clock.advance(Duration::milliseconds(500));
    // Rounded up: 1.5 seconds are left.
    waits(&login(&one, "ann@example.org", PASSWORD).await, "2");
    app.clock.advance(Duration::milliseconds(1500));
    login(&one, "ann@example.org", PASSWORD).await.expect(200);
    waits(&login(&one, "ann@example.org", PASSWORD).await, "2");
}

async fn an_address_has_twenty_registrations(app: TestApp) {
    let app = limited(app, &[]).await;
    let client = app.anonymous().at("192.0.2.1");
    let register = async |number: usize| {
        let email = format!("user-{number}@example.org");
        let body = json!({ "email": email, "name": "Ann", "password": PASSWORD });
        client.post("/user/reg", body).await
    };
    for number in 0..20 {
        register(number).await.expect(201);
    }
    waits(&register(20).await, "30");
    // Logging in has a bucket of its own.
    let answer = login(&client, "user-0@example.org", PASSWORD).await;
    answer.expect(200);
    app.clock.advance(Duration::seconds(30));
    register(20).await.expect(201);
}

async fn an_address_has_twenty_calls_about_codes(app: TestApp) {
    let app = limited(app, &[]).await;
    let ann = app.user("ann").await.at("192.0.2.1");
    let forgot = json!({ "account": "nobody" });
    for _ in 0..10 {
        ann.post("/user/password/forgot", forgot.clone())
            .await
            .expect(202);
        let body = json!({ "channel": "email", "code": "123456" });
        ann.post("/user/me/verify", body)
            .await
            .problem("wrong_code");
    }
    for path in [
        "/user/password/forgot",
        "/user/password/reset",
        "/user/me/verify",
        "/user/me/verify/send",
    ] {
        waits(&ann.post(path, forgot.clone()).await, "15");
    }
    let other = app.anonymous().at("192.0.2.2");
    other
        .post("/user/password/forgot", forgot.clone())
        .await
        .expect(202);
    app.clock.advance(Duration::seconds(15));
    ann.post("/user/password/forgot", forgot.clone())
        .await
        .expect(202);
}

async fn resets_count_with_the_logins_of_their_account(app: TestApp) {
    let app = limited(app, &[]).await;
    app.user("ann").await;
    let reset = async |from: usize, account: &str| {
        let client = app.anonymous().at(&format!("203.0.113.{from}"));
        let body = json!({ "account": account, "code": "123456", "new_password": PASSWORD });
        client.post("/user/password/reset", body).await
    };
    for account in ["ann@example.org", "nobody@example.org"] {
        for from in 0..10 {
            reset(from, account).await.problem("wrong_code");
        }
        waits(&reset(10, account).await, "30");
        let login = login(&app.anonymous().at("198.51.100.1"), account, PASSWORD).await;
        waits(&login, "30");
    }
}

async fn every_check_of_the_current_password_is_a_try_of_the_account(app: TestApp) {
    let app = limited(app, &[]).await;
    let ask = async |client: &Client<'_>, route: usize, password: &str| {
        let (method, path, mut body) = match route {
            0 => (
                Method::PATCH,
                "/user/me",
                json!({ "mobile": "+31612345678" }),
            ),
            1 => (
                Method::PUT,
                "/user/me/password",
                json!({ "new_password": "another horse, another staple" }),
            ),
            _ => (Method::DELETE, "/user/me", json!({})),
        };
        body["current_password"] = json!(password);
        client.call(method, path, body).await
    };
    for route in 0..3 {
        let name = format!("ann{route}");
        let ann = app.user(&name).await.at("192.0.2.1");
        for _ in 0..10 {
            ask(&ann, route, "not the password")
                .await
                .problem("wrong_password");
        }
        // Right or wrong, and at the login as well.
        waits(&ask(&ann, route, PASSWORD).await, "30");
        let stranger = app.anonymous().at(&format!("198.51.100.{route}"));
        let account = format!("{name}@example.org");
        waits(&login(&stranger, &account, PASSWORD).await, "30");
        app.clock.advance(Duration::seconds(30));
        let answer = ask(&ann, route, PASSWORD).await;
        assert!(answer.status.is_success(), "{}", answer.text());
    }
}

async fn who_asks_for_taken_identifiers_is_held(app: TestApp) {
    let app = limited(app, &[]).await;
    let body = json!({
        "email": "ben@example.org", "name": "Ben", "password": PASSWORD, "username": "ben-user",
    });
    app.anonymous().post("/user/reg", body).await.expect(201);
    let ann = app.user("ann").await.at("192.0.2.1");
    let ask = || ann.patch("/user/me", json!({ "username": "ben-user" }));
    for _ in 0..10 {
        ask().await.problem("username_taken");
    }
    waits(&ask().await, "30");
    // A name asks nothing.
    ann.patch("/user/me", json!({ "name": "Anna" }))
        .await
        .expect(200);
    app.clock.advance(Duration::seconds(60));
    ann.patch("/user/me", json!({ "username": "ann-user" }))
        .await
        .expect(200);
}

async fn whoever_changes_their_profile_all_the_time_is_held(app: TestApp) {
    let app = limited(app, &[]).await;
    let (ann, ben) = (app.user("ann").await, app.user("ben").await);
    let name = |n: usize| json!({ "name": format!("Ann {n}") });
    for n in 0..30 {
        ann.patch("/user/me", name(n)).await.expect(200);
    }
    let held = ann.patch("/user/me", name(30)).await;
    held.problem("rate_limited");
    assert!(!held.header("retry-after").is_empty());
    // What is no change costs nothing, and nobody else waits.
    ann.patch("/user/me", name(29)).await.expect(200);
    ben.patch("/user/me", name(1)).await.expect(200);
    app.clock.advance(Duration::seconds(20));
    ann.patch("/user/me", name(30)).await.expect(200);
}

async fn whoever_likes_and_follows_all_the_time_is_held(app: TestApp) {
    let app = limited(app, &[]).await;
    let (ann, ben) = (app.user("ann").await, app.user("ben").await);
    let like = format!("/post/{}/like", ben.publish("x", "y").await);
    let follow = format!("/user/{}/follow", ben.user_id);
    let put = async |who: &Client<'_>, path: &str| app.send(who.request(Method::PUT, path)).await;
    for n in 0..300 {
        let path = if n % 2 == 0 { &like } else { &follow };
        assert_eq!(put(&ann, path).await.status, 204);
    }
    for path in [&like, &follow] {
        put(&ann, path).await.problem("rate_limited");
        ann.delete(path).await.problem("rate_limited");
    }
    assert_eq!(put(&ben, &like).await.status, 204);
    app.clock.advance(Duration::seconds(2));
    assert_eq!(ann.delete(&follow).await.status, 204);
}

async fn a_refusal_comes_before_the_body_is_read(app: TestApp) {
    let app = limited(app, &[]).await;
    let client = app.anonymous().at("192.0.2.1");
    // Bodies that do not fit are tries as well.
    for _ in 0..20 {
        client.post("/user/reg", json!({})).await.expect(422);
    }
    waits(&client.post("/user/reg", json!({})).await, "30");
}

async fn an_owner_waits_half_a_minute_while_their_account_is_hammered(app: TestApp) {
    let app = limited(app, &[]).await;
    app.user("ann").await;
    let account = "ann@example.org";
    hammer(&app, account).await;
    let owner = app.anonymous().at("198.51.100.7");
    waits(&login(&owner, account, PASSWORD).await, "30");
    app.clock.advance(Duration::seconds(12));
    hammer(&app, account).await;
    waits(&login(&owner, account, PASSWORD).await, "18");
    app.clock.advance(Duration::seconds(18));
    hammer(&app, account).await;
    login(&owner, account, PASSWORD).await.expect(200);
}

async fn an_account_that_does_not_exist_is_limited_alike(app: TestApp) {
    let app = limited(app, &[]).await;
    app.user("ann").await;
    for account in ["ann@example.org", "nobody@example.org"] {
        let client = app.anonymous().at("192.0.2.1");
        for _ in 0..10 {
            login(&client, account, "wrong")
                .await
                .problem("invalid_credentials");
        }
        waits(&login(&client, account, "wrong").await, "30");
    }
}

async fn a_success_resets_the_account(app: TestApp) {
    let app = limited(app, &[]).await;
    app.user("ann").await;
    let client = app.anonymous().at("192.0.2.1");
    for _ in 0..9 {
        login(&client, "ann@example.org", "wrong").await.expect(401);
    }
    login(&client, "ann@example.org", PASSWORD)
        .await
        .expect(200);
    let elsewhere = app.anonymous().at("192.0.2.2");
    for _ in 0..10 {
        login(&elsewhere, "ann@example.org", "wrong")
            .await
            .expect(401);
    }
    waits(&login(&elsewhere, "ann@example.org", PASSWORD).await, "30");
}

async fn an_owner_with_a_live_session_is_never_held(app: TestApp) {
    let app = limited(app, &[]).await;
    app.user("ann").await;
    let home = app.anonymous().at("192.0.2.1");
    let session = login(&home, "ann@example.org", PASSWORD).await.expect(200);
    hammer(&app, "ann@example.org").await;
    login(&home, "ann@example.org", PASSWORD).await.expect(200);
    // The session itself goes on from anywhere.
    hammer(&app, "ann@example.org").await;
    app.client_of(&session).get("/user/me").await.expect(200);
    let refresh = json!({ "refresh_token": session["refresh_token"] });
    app.anonymous()
        .at("198.51.100.9")
        .post("/user/refresh", refresh)
        .await
        .expect(200);
    // Another's address is no help.
    app.user("bob").await;
    let other = app.anonymous().at("192.0.2.3");
    login(&other, "bob@example.org", PASSWORD).await.expect(200);
    hammer(&app, "ann@example.org").await;
    login(&other, "ann@example.org", PASSWORD)
        .await
        .problem("rate_limited");
}

async fn where_an_owner_is_logged_in_a_refusal_tells_nothing(app: TestApp) {
    let app = limited(app, &[]).await;
    let home = app.anonymous().at("192.0.2.1");
    app.user("ann").await;
    login(&home, "ann@example.org", PASSWORD).await.expect(200);
    let mut seen = Vec::new();
    for account in ["ann@example.org", "nobody@example.org"] {
        // Until the account's bucket is empty.
        hammer(&app, account).await;
        for number in 0..14 {
            let before = (
                app.state.accounts.directory.hasher.rounds(),
                app.state.db.units(),
            );
            let answer = login(&home, account, "wrong").await;
            waits(&answer, "30");
            let mut problem = answer.problem("rate_limited");
            problem["request_id"] = json!(null);
            let work = app.state.accounts.directory.hasher.rounds() - before.0;
            let units = app.state.db.units() - before.1;
            // Ten are judged; then it is nobody's home.
            assert_eq!(work > 0, number < 10, "{account} {number}");
            seen.push((number, problem, work, units));
        }
        app.clock.advance(Duration::minutes(5));
    }
    let (ann, nobody) = seen.split_at(14);
    assert_eq!(ann, nobody);
}

async fn guesses_at_codes_of_others_are_held_and_who_ordered_one_is_not(app: TestApp) {
    let app = limited(app, &[]).await;
    app.user("ann").await;
    let body = json!({ "account": "ann@example.org" });
    let owner = app.anonymous().at("198.51.100.7");
    let ordered = owner.post("/user/password/forgot", body).await.expect(202);
    app.work().await;
    let code = app.outbox().pop().unwrap().code();
    let wrong = if code == "123456" { "654321" } else { "123456" };
    let mut reset = json!({ "account": "ann@example.org", "code": wrong, "new_password": "another horse, another staple" });
    // One address, then many; the account's own bucket fills up in between.
    let mut judged = 0;
    for number in 0..400 {
        let from = if number < 100 { 1 } else { number };
        let guesser = app
            .anonymous()
            .at(&format!("203.0.{}.{}", from / 200, from % 200));
        let answer = guesser.post("/user/password/reset", reset.clone()).await;
        judged += usize::from(answer.status.as_u16() == 403);
        if number == 99 {
            assert!(judged <= 12, "{judged}");
        }
        app.clock.advance(Duration::seconds(1));
    }
    assert!(judged <= 61, "{judged}");
    reset["reset_id"] = ordered["reset_id"].clone();
    reset["code"] = json!(code);
    owner
        .post("/user/password/reset", reset)
        .await
        .expect_empty(204);
    app.work().await;
}

async fn an_address_has_a_hundred_and_twenty_refreshes(app: TestApp) {
    let app = limited(app, &[]).await;
    let client = app.anonymous().at("192.0.2.1");
    for _ in 0..120 {
        let body = json!({ "refresh_token": "x" });
        client.post("/user/refresh", body).await.expect(401);
    }
    let body = json!({ "refresh_token": "x" });
    waits(&client.post("/user/refresh", body).await, "1");
}

async fn each_spelling_of_an_account_is_the_same_account(app: TestApp) {
    let app = limited(app, &[]).await;
    app.user("ann").await;
    let client = app.anonymous().at("192.0.2.1");
    for account in [
        "ann@example.org",
        " Ann@Example.org",
        "ANN@EXAMPLE.ORG",
        "ann@example.ORG ",
        "aNN@example.org",
    ] {
        for _ in 0..2 {
            login(&client, account, "wrong").await.expect(401);
        }
    }
    waits(&login(&client, "ann@example.org", PASSWORD).await, "30");
}

async fn a_forged_address_changes_nothing(app: TestApp) {
    let app = limited(app, &[]).await;
    for number in 0..30 {
        let forger = app
            .anonymous()
            .at("192.0.2.1")
            .with_header("x-forwarded-for", &format!("198.51.100.{number}"))
            .with_header("forwarded", &format!("for=198.51.100.{number}"));
        assert_eq!(try_once(&forger, number).await, 401);
    }
    let forger = app
        .anonymous()
        .at("192.0.2.1")
        .with_header("x-forwarded-for", "198.51.100.200");
    assert_eq!(try_once(&forger, 30).await, 429);
    let honest = app.anonymous().at("198.51.100.200");
    assert_eq!(try_once(&honest, 31).await, 401);
}

async fn behind_a_trusted_proxy_the_rightmost_hop_that_is_not_trusted_counts(app: TestApp) {
    let app = limited(app, &["--trusted-proxies", "10.0.0.0/8,fd00::1"]).await;
    let from = |header, value: &str| app.anonymous().at("10.0.0.1").with_header(header, value);
    for number in 0..30 {
        // What stands left of it was forged.
        let forged = format!("203.0.113.{number}, 198.51.100.7, 10.9.9.9");
        let client = from("x-forwarded-for", &forged);
        assert_eq!(try_once(&client, number).await, 401);
    }
    for (header, value) in [
        ("x-forwarded-for", "198.51.100.7"),
        ("x-forwarded-for", "198.51.100.7, fd00::1"),
        ("forwarded", "for=203.0.113.9, for=\"198.51.100.7:4711\""),
    ] {
        assert_eq!(try_once(&from(header, value), 30).await, 429, "{value}");
    }
    for (header, value) in [
        ("x-forwarded-for", "198.51.100.8"),
        ("forwarded", "for=\"[2001:db8::1]\""),
        // The proxy itself.
        ("x-forwarded-for", "198.51.100.7, nonsense"),
    ] {
        assert_eq!(try_once(&from(header, value), 31).await, 401, "{value}");
    }
}

async fn ipv6_addresses_of_one_network_share_a_bucket(app: TestApp) {
    let app = limited(app, &[]).await;
    for number in 0..30 {
        let client = app.anonymous().at(&format!("2001:db8:1:2:{number:x}::1"));
        assert_eq!(try_once(&client, number).await, 401);
    }
    let neighbour = app.anonymous().at("2001:db8:1:2:ffff:ffff:ffff:ffff");
    assert_eq!(try_once(&neighbour, 30).await, 429);
    let other = app.anonymous().at("2001:db8:1:3::1");
    assert_eq!(try_once(&other, 31).await, 401);
}

async fn they_can_be_turned_off(app: TestApp) {
    let app = TestApp::start(app.database, &["--rate-limits", "off"]).await;
    let client = app.anonymous().at("192.0.2.1");
    for _ in 0..40 {
        login(&client, "ann@example.org", "wrong").await.expect(401);
    }
}

#[actix_web::test]
async fn they_are_on_unless_they_are_turned_off() {
    use clap::Parser;
    let settings = inkpot::cli::args::Cli::parse_from(["inkpot"]).settings;
    assert_eq!(settings.rate_limits, inkpot::core::settings::Switch::On);
    assert!(settings.trusted_proxies.is_empty());
}

#[actix_web::test]
async fn the_description_lists_the_refusal() {
    for path in ["/user/login", "/user/reg"] {
        let refusal = &DESCRIPTION["paths"][path]["post"]["responses"]["429"];
        assert_eq!(refusal["x-codes"], json!(["rate_limited"]), "{path}");
    }
    let database = TestDatabase::create(Backend::Sqlite).unwrap();
    let app = TestApp::start(database, &[]).await;
    let page = app.anonymous().get("/problems/rate_limited").await;
    assert!(page.text().contains("Retry-After"));
}
