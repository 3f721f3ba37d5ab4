//! Staying logged in, and logging out so that it counts.

use std::time::{Duration, Instant};

use actix_web::http::Method;
use actix_web::test::TestRequest;
use diesel::prelude::*;
use futures_util::FutureExt;
use futures_util::future::join_all;
use inkpot::accounts::actions;
use inkpot::core::db::schema::{audit, session};
use serde_json::{Value, json};

use crate::harness::process::Process;
use crate::harness::{Answer, Backend, PASSWORD, TestApp, TestDatabase, on_both_databases};

/// How long anything may take that a test waits for.
const PATIENCE: Duration = Duration::from_secs(30);

on_both_databases![
    a_hundred_sessions_are_listed,
    a_refresh_gives_a_new_pair,
    a_remembered_session_lasts_two_weeks_from_its_last_refresh,
    no_refresh_makes_a_session_last_longer_than_it_may,
    a_used_token_gets_the_same_successor_until_that_was_used,
    no_body_is_no_body_however_it_is_said,
    a_used_token_that_comes_back_ends_the_session,
    a_token_of_two_generations_ago_ends_it_at_once,
    a_page_that_asks_without_a_cookie_is_told_that_there_is_no_token,
    fifty_refreshes_at_once_leave_one_line_of_tokens,
    forged_refresh_tokens_are_refused_and_end_nothing,
    a_refresh_token_outlives_a_change_of_secrets,
    logging_out_counts_at_once,
    logging_out_works_by_whatever_names_the_session,
    logging_out_takes_the_cookie_away_in_every_case,
    who_has_no_session_logs_nobody_out,
    logging_out_everywhere_ends_all,
    sessions_are_listed_and_ended,
    a_refresh_token_can_live_in_a_cookie,
    who_registers_is_remembered_and_gets_a_cookie_as_at_a_login,
    a_cookie_needs_a_page_that_may,
    a_known_session_costs_no_query,
    another_process_learns_of_an_end,
    an_end_during_a_look_is_not_overlooked,
    an_end_counts_whose_client_goes_away,
    a_stored_token_is_a_hash,
];

async fn refresh(app: &TestApp, token: &Value) -> Answer {
    app.anonymous()
        .post("/user/refresh", json!({ "refresh_token": token }))
        .await
}

fn live_sessions(app: &TestApp) -> i64 {
    app.database
        .with(|conn| session::table.count().get_result(conn).unwrap())
}

async fn a_refresh_gives_a_new_pair(app: TestApp) {
    app.user("ann").await;
    let first = app.login("ann").await;
    assert_eq!(first["refresh_expires_in"], 28_800);
    let answer = refresh(&app, &first["refresh_token"]).await;
    let second = answer.expect(200);
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(second["userinfo"], first["userinfo"]);
    assert_ne!(second["refresh_token"], first["refresh_token"]);
    assert_ne!(second["token"], first["token"]);
    for answer in [&first, &second] {
        app.client_of(answer).get("/user/me").await.expect(200);
    }
    // On and on.
    let mut token = second["refresh_token"].clone();
    for _ in 0..20 {
        app.clock.advance(chrono::Duration::hours(7));
        token = refresh(&app, &token).await.expect(200)["refresh_token"].clone();
    }
    app.clock.advance(chrono::Duration::seconds(8 * 3600 + 1));
    let answer = refresh(&app, &token).await;
    answer.expect(401);
    answer.problem("invalid_token");
}

async fn a_remembered_session_lasts_two_weeks_from_its_last_refresh(app: TestApp) {
    app.user("ann").await;
    let body = json!({ "account": "ann@example.org", "password": PASSWORD, "remembered": true });
    let first = app.anonymous().post("/user/login", body).await.expect(200);
    assert_eq!(first["refresh_expires_in"], 14 * 86_400);
    app.clock.advance(chrono::Duration::days(13));
    let second = refresh(&app, &first["refresh_token"]).await.expect(200);
    assert_eq!(second["refresh_expires_in"], 14 * 86_400);
    app.clock.advance(chrono::Duration::days(13));
    let third = refresh(&app, &second["refresh_token"]).await.expect(200);
    app.clock
        .advance(chrono::Duration::days(14) + chrono::Duration::seconds(1));
    refresh(&app, &third["refresh_token"])
        .await
        .problem("invalid_token");
}

async fn no_refresh_makes_a_session_last_longer_than_it_may(app: TestApp) {
    let flags = ["--session-max", "2h", "--token-ttl", "1h"];
    let app = TestApp::start(app.database, &flags).await;
    app.user("ann").await;
    let body = json!({ "account": "ann@example.org", "password": PASSWORD, "remembered": true });
    let mut pair = app.anonymous().post("/user/login", body).await.expect(200);
    let refresh = async |pair: &Value| {
        let body = json!({ "refresh_token": pair["refresh_token"] });
        app.anonymous().post("/user/refresh", body).await
    };
    for _ in 0..2 {
        app.clock.advance(chrono::TimeDelta::minutes(30));
        pair = refresh(&pair).await.expect(200);
    }
    // A token of an hour fits no more, nor when it is asked for again.
    app.clock.advance(chrono::TimeDelta::seconds(1));
    refresh(&pair).await.problem("invalid_token");
    let last = app.client_of(&pair);
    app.clock.advance(chrono::TimeDelta::minutes(59));
    last.get("/user/me").await.expect(200);
    // Half a minute beyond its end a token may be taken.
    app.clock.advance(chrono::TimeDelta::minutes(2));
    last.get("/user/me").await.problem("token_expired");
}

async fn a_used_token_gets_the_same_successor_until_that_was_used(app: TestApp) {
    app.user("ann").await;
    let first = app.login("ann").await;
    let mut token = first["refresh_token"].clone();
    for _ in 0..3 {
        let next = refresh(&app, &token).await.expect(200);
        // Two tabs at once, and an answer that was lost in a tunnel.
        for wait in [0, 10, 3600] {
            app.clock.advance(chrono::Duration::seconds(wait));
            let again = refresh(&app, &token).await.expect(200);
            assert_eq!(again["refresh_token"], next["refresh_token"]);
            app.client_of(&again).get("/user/me").await.expect(200);
        }
        token = next["refresh_token"].clone();
    }
    let alarms: i64 = app.database.with(|conn| {
        audit::table
            .filter(audit::action.eq("refresh_reused"))
            .count()
            .get_result(conn)
            .unwrap()
    });
    assert_eq!(alarms, 0);
    // Whose answer is asked for again for ever does not live longer by that.
    let used = refresh(&app, &token).await.expect(200);
    app.clock.advance(chrono::Duration::hours(7));
    let again = refresh(&app, &token).await.expect(200);
    assert_eq!(again["refresh_expires_in"], 3600);
    app.clock.advance(chrono::Duration::hours(1));
    for token in [&token, &used["refresh_token"]] {
        refresh(&app, token).await.problem("invalid_token");
    }
}

async fn a_page_that_asks_without_a_cookie_is_told_that_there_is_no_token(app: TestApp) {
    let without = app
        .send(app.anonymous().request(Method::POST, "/user/refresh"))
        .await;
    let empty = app.anonymous().post("/user/refresh", json!({})).await;
    let null = json!({ "refresh_token": null });
    let null = app.anonymous().post("/user/refresh", null).await;
    for answer in [without, empty, null] {
        answer.expect(401);
        answer.problem("token_missing");
        let challenge = answer.header("www-authenticate");
        assert_eq!(challenge, "Bearer realm=\"inkpot\"");
    }
}

async fn no_body_is_no_body_however_it_is_said(app: TestApp) {
    for (path, code) in [("/user/refresh", "token_missing"), ("/user/logout", "")] {
        for media_type in [
            "",
            "application/json",
            "application/x-www-form-urlencoded",
            "text/plain; charset=UTF-8",
        ] {
            for (is_null, body) in [(false, ""), (true, "null"), (true, "\u{feff} null\n")] {
                let mut request = app.anonymous().request(Method::POST, path);
                if !media_type.is_empty() {
                    request = request.insert_header(("Content-Type", media_type));
                }
                let length = body.len().to_string();
                request = request.insert_header(("Content-Length", length));
                let answer = app.send(request.set_payload(body)).await;
                if is_null && media_type != "application/json" {
                    answer.problem("unsupported_media_type");
                } else if code.is_empty() {
                    answer.expect_empty(204);
                } else {
                    answer.problem(code);
                }
            }
        }
    }
}

async fn a_used_token_that_comes_back_ends_the_session(app: TestApp) {
    let ann = app.user("ann").await;
    let first = app.login("ann").await;
    let second = refresh(&app, &first["refresh_token"]).await.expect(200);
    let thief = app.client_of(&second);
    thief.get("/user/me").await.expect(200);
    let third = refresh(&app, &second["refresh_token"]).await.expect(200);
    let answer = refresh(&app, &first["refresh_token"]).await;
    answer.expect(401);
    answer.problem("refresh_token_used");
    // Everything of that session is over, at once; other sessions go on.
    thief.get("/user/me").await.problem("session_ended");
    for token in [&second["refresh_token"], &third["refresh_token"]] {
        refresh(&app, token).await.problem("invalid_token");
    }
    ann.get("/user/me").await.expect(200);
    let id = ann.user_id;
    let alarms: i64 = app.database.with(move |conn| {
        audit::table
            .filter(audit::action.eq("refresh_reused"))
            .filter(audit::user_id.eq(id))
            .count()
            .get_result(conn)
            .unwrap()
    });
    assert_eq!(alarms, 1);
}

async fn a_token_of_two_generations_ago_ends_it_at_once(app: TestApp) {
    app.user("ann").await;
    let first = app.login("ann").await;
    let second = refresh(&app, &first["refresh_token"]).await.expect(200);
    let third = refresh(&app, &second["refresh_token"]).await.expect(200);
    refresh(&app, &first["refresh_token"])
        .await
        .problem("refresh_token_used");
    refresh(&app, &third["refresh_token"])
        .await
        .problem("invalid_token");
}

async fn fifty_refreshes_at_once_leave_one_line_of_tokens(app: TestApp) {
    app.user("ann").await;
    let first = app.login("ann").await;
    let answers = join_all((0..50).map(|_| refresh(&app, &first["refresh_token"]))).await;
    let mut successors: Vec<String> = answers
        .iter()
        .map(|answer| answer.expect(200)["refresh_token"].to_string())
        .collect();
    successors.dedup();
    assert_eq!(successors.len(), 1, "one live descendant");
    for answer in &answers {
        app.client_of(&answer.json())
            .get("/user/me")
            .await
            .expect(200);
    }
    let successor = answers[0].json()["refresh_token"].clone();
    refresh(&app, &successor).await.expect(200);
}

async fn forged_refresh_tokens_are_refused_and_end_nothing(app: TestApp) {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    app.user("ann").await;
    let first = app.login("ann").await;
    let token = first["refresh_token"].as_str().unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(token).unwrap();
    let edited = |edit: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = bytes.clone();
        edit(&mut bytes);
        URL_SAFE_NO_PAD.encode(bytes)
    };
    for forged in [
        String::new(),
        "x".to_owned(),
        "x".repeat(10_000),
        first["token"].as_str().unwrap().to_owned(),
        edited(&|b| b[43] ^= 1),
        edited(&|b| b[11] += 1),
        edited(&|b| b[7] += 1),
        edited(&|b| b[7] = 99),
        edited(&|b| b[0] = 0xff),
        edited(&|b| b.truncate(12)),
        edited(&|b| b.push(0)),
        edited(&|b| b[12..].fill(0)),
    ] {
        let answer = refresh(&app, &json!(forged)).await;
        answer.expect(401);
        answer.problem("invalid_token");
    }
    refresh(&app, &first["refresh_token"]).await.expect(200);
    app.anonymous()
        .post("/user/refresh", json!({ "refresh_token": 1 }))
        .await
        .faults(&[("/refresh_token", "field_mistyped")]);
}

async fn a_refresh_token_outlives_a_change_of_secrets(app: TestApp) {
    app.user("ann").await;
    let first = app.login("ann").await;
    let rotated = format!(
        "a-newer-secret-9876543210-zyxwvu,{}",
        crate::harness::SECRET
    );
    let TestApp {
        database, state, ..
    } = app;
    drop(state);
    let app = TestApp::start(database, &["--jwt-secret", &rotated]).await;
    let second = refresh(&app, &first["refresh_token"]).await.expect(200);
    let again = refresh(&app, &first["refresh_token"]).await.expect(200);
    assert_eq!(again["refresh_token"], second["refresh_token"]);
    refresh(&app, &second["refresh_token"]).await.expect(200);
}

async fn logging_out_counts_at_once(app: TestApp) {
    let ann = app.user("ann").await;
    let other = app.login("ann").await;
    let other = (app.client_of(&other), other);
    let answer = other
        .0
        .app()
        .send(other.0.request(Method::POST, "/user/logout"))
        .await;
    assert_eq!(answer.status.as_u16(), 204);
    other.0.get("/user/me").await.problem("session_ended");
    let post = json!({ "title": "x", "content": "y" });
    other.0.post("/post", post).await.problem("session_ended");
    refresh(&app, &other.1["refresh_token"])
        .await
        .problem("invalid_token");
    ann.get("/user/me").await.expect(200);
    // With a body, too; and not without a token.
    let again = app.login("ann").await;
    let again = app.client_of(&again);
    let answer = again
        .post("/user/logout", json!({ "everywhere": false }))
        .await;
    assert_eq!(answer.status.as_u16(), 204);
    // It is over already, which is what was asked for.
    again
        .post("/user/logout", json!({}))
        .await
        .expect_empty(204);
    ann.get("/user/me").await.expect(200);
    ann.post("/user/logout", json!({ "everywhere": "yes" }))
        .await
        .faults(&[("/everywhere", "field_mistyped")]);
}

fn log_outs(app: &TestApp) -> i64 {
    app.database.with(|conn| {
        audit::table
            .filter(audit::action.like("logged_out%"))
            .count()
            .get_result(conn)
            .unwrap()
    })
}

async fn logging_out_works_by_whatever_names_the_session(app: TestApp) {
    app.user("ann").await;
    let log_out = |body: Value| async { app.anonymous().post("/user/logout", body).await };
    // By an expired token.
    let session = app.login("ann").await;
    app.clock.advance(chrono::Duration::hours(2));
    let expired = app.client_of(&session);
    expired.get("/user/me").await.problem("token_expired");
    expired
        .post("/user/logout", json!({}))
        .await
        .expect_empty(204);
    refresh(&app, &session["refresh_token"])
        .await
        .problem("invalid_token");
    // By a refresh token, also one that was used already.
    for is_used in [false, true] {
        let session = app.login("ann").await;
        let token = &session["refresh_token"];
        if is_used {
            refresh(&app, token).await.expect(200);
        }
        log_out(json!({ "refresh_token": token }))
            .await
            .expect_empty(204);
        app.client_of(&session)
            .get("/user/me")
            .await
            .problem("session_ended");
    }
    assert_eq!(log_outs(&app), 3);
    // By two things, which name two sessions: both end, and others of theirs do not.
    let (one, two, three) = (
        app.login("ann").await,
        app.login("ann").await,
        app.login("ann").await,
    );
    app.client_of(&one)
        .post(
            "/user/logout",
            json!({ "refresh_token": two["refresh_token"] }),
        )
        .await
        .expect_empty(204);
    for ended in [&one, &two] {
        app.client_of(ended)
            .get("/user/me")
            .await
            .problem("session_ended");
    }
    let three = app.client_of(&three);
    three.get("/user/me").await.expect(200);
    // By two that name one: it ends once.
    let before = log_outs(&app);
    let both = app.login("ann").await;
    let body = json!({ "refresh_token": both["refresh_token"] });
    app.client_of(&both)
        .post("/user/logout", body)
        .await
        .expect_empty(204);
    assert_eq!(log_outs(&app), before + 1);
    // Everywhere, by a refresh token.
    let last = app.login("ann").await;
    log_out(json!({ "refresh_token": last["refresh_token"], "everywhere": true }))
        .await
        .expect_empty(204);
    three.get("/user/me").await.problem("session_ended");
    assert_eq!(live_sessions(&app), 0);
}

async fn logging_out_takes_the_cookie_away_in_every_case(app: TestApp) {
    app.user("ann").await;
    let origin = "https://blog.example.org";
    let body = json!({ "account": "ann@example.org", "password": PASSWORD, "cookie": true });
    let answer = app.anonymous().post("/user/login", body).await;
    let session = answer.expect(200);
    let pair = answer.header("set-cookie").split(';').next().unwrap();
    let taken_away = |answer: &Answer| {
        answer.expect_empty(204);
        let cookie = answer.header("set-cookie");
        assert!(
            cookie.starts_with("__Host-inkpot-refresh=;") && cookie.contains("Max-Age=0"),
            "{cookie}"
        );
        assert_eq!(answer.header("cache-control"), "no-store");
    };
    // An expired token beside it, and the session that the cookie names ends.
    app.clock.advance(chrono::Duration::hours(2));
    let token = format!("Bearer {}", session["token"].as_str().unwrap());
    let request = by_cookie("/user/logout", pair, origin).insert_header(("Authorization", token));
    taken_away(&app.send(request).await);
    assert_eq!(live_sessions(&app), 1, "that of the registration");
    // Once more: it is over. A cookie that is none, and no cookie at all.
    taken_away(&app.send(by_cookie("/user/logout", pair, origin)).await);
    let forged = "__Host-inkpot-refresh=AAAA";
    taken_away(&app.send(by_cookie("/user/logout", forged, origin)).await);
    taken_away(
        &app.send(by_cookie("/user/logout", "theme=dark", origin))
            .await,
    );
    assert_eq!(live_sessions(&app), 1);
}

async fn who_has_no_session_logs_nobody_out(app: TestApp) {
    let ann = app.user("ann").await;
    let token = ann.token.clone().unwrap();
    let pieces: Vec<&str> = token.split('.').collect();
    let mut forged = app.anonymous();
    for bad in [
        "x".to_owned(),
        format!("{}.{}.", pieces[0], pieces[1]),
        format!("{}.{}.{}", pieces[0], pieces[1], "A".repeat(43)),
    ] {
        forged.token = Some(bad);
        for body in [json!({}), json!({ "everywhere": true })] {
            forged.post("/user/logout", body).await.expect_empty(204);
        }
    }
    let nobody = app.anonymous();
    for body in [
        json!({}),
        json!({ "everywhere": true }),
        json!({ "refresh_token": "AAAA", "everywhere": true }),
    ] {
        nobody.post("/user/logout", body).await.expect_empty(204);
    }
    assert_eq!((live_sessions(&app), log_outs(&app)), (1, 0));
    // A token of theirs whose session is over ends no other one.
    let over = app.client_of(&app.login("ann").await);
    let everywhere = json!({ "everywhere": true });
    over.post("/user/logout", json!({})).await.expect_empty(204);
    over.post("/user/logout", everywhere)
        .await
        .expect_empty(204);
    ann.get("/user/me").await.expect(200);
    // Two tokens are a question, not an answer.
    let request = ann
        .request(Method::POST, "/user/logout")
        .insert_header(("JWT", "another"));
    app.send(request).await.problem("token_conflict");
    ann.get("/user/me").await.expect(200);
}

async fn logging_out_everywhere_ends_all(app: TestApp) {
    let ann = app.user("ann").await;
    let bob = app.user("bob").await;
    let mut all = vec![ann];
    for _ in 0..3 {
        all.push(app.client_of(&app.login("ann").await));
    }
    for client in &all {
        client.get("/user/me").await.expect(200);
    }
    let answer = all[0]
        .post("/user/logout", json!({ "everywhere": true }))
        .await;
    assert_eq!(answer.status.as_u16(), 204);
    for client in &all {
        client.get("/user/me").await.problem("session_ended");
    }
    bob.get("/user/me").await.expect(200);
    assert_eq!(live_sessions(&app), 1);
}

async fn sessions_are_listed_and_ended(app: TestApp) {
    let ann = app.user("ann").await;
    let bob = app.user("bob").await;
    app.clock.advance(chrono::Duration::seconds(5));
    let request = TestRequest::post()
        .uri("/user/login")
        .peer_addr("[2001:db8::7]:4711".parse().unwrap())
        .insert_header(("User-Agent", "Phone/1.0 (\u{e9})"))
        .set_json(
            json!({ "account": "ann@example.org", "password": PASSWORD, "remembered": true }),
        );
    let phone = app.send(request).await.expect(200);
    let phone = app.client_of(&phone);
    let listed = ann.get("/user/me/sessions").await.expect(200);
    let listed = listed["sessions"].as_array().unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0]["user_agent"], "Phone/1.0 (\u{e9})");
    assert_eq!(listed[0]["ip"], "2001:db8::7");
    assert_eq!(listed[0]["remembered"], true);
    assert_eq!(
        (&listed[0]["current"], &listed[1]["current"]),
        (&json!(false), &json!(true))
    );

    let path = format!("/user/me/sessions/{}", listed[0]["session_id"]);
    let answer = bob.delete(&path).await;
    answer.expect(404);
    answer.problem("session_not_found");
    phone.get("/user/me").await.expect(200);
    assert_eq!(ann.delete(&path).await.status.as_u16(), 204);
    phone.get("/user/me").await.problem("session_ended");
    ann.delete(&path).await.problem("session_not_found");
    ann.delete("/user/me/sessions/x")
        .await
        .problem("path_invalid");

    let (one, two) = (app.login("ann").await, app.login("ann").await);
    let (one, two) = (app.client_of(&one), app.client_of(&two));
    one.get("/user/me").await.expect(200);
    assert_eq!(two.delete("/user/me/sessions").await.status.as_u16(), 204);
    for ended in [&one, &ann] {
        ended.get("/user/me").await.problem("session_ended");
    }
    two.get("/user/me").await.expect(200);
    bob.get("/user/me").await.expect(200);
}

async fn who_registers_is_remembered_and_gets_a_cookie_as_at_a_login(app: TestApp) {
    let body = json!({ "email": "ann@example.org", "name": "Ann", "password": PASSWORD,
        "cookie": true, "remembered": true });
    let answer = app.anonymous().post("/user/reg", body).await;
    let tokens = answer.expect(201);
    assert!(tokens.get("refresh_token").is_none(), "{tokens}");
    let two_weeks = tokens["refresh_expires_in"].as_i64().unwrap();
    assert!(two_weeks > 1_200_000, "{two_weeks}");
    let cookie = answer.header("set-cookie");
    assert!(
        cookie.starts_with("__Host-inkpot-refresh=") && cookie.contains("Max-Age=1209"),
        "{cookie}"
    );
    let pair = cookie.split(';').next().unwrap();
    let request = by_cookie("/user/refresh", pair, "https://blog.example.org");
    app.send(request).await.expect(200);
}

async fn a_refresh_token_can_live_in_a_cookie(app: TestApp) {
    app.user("ann").await;
    let login = |remembered: bool| {
        let body = json!({ "account": "ann@example.org", "password": PASSWORD, "cookie": true,
                           "remembered": remembered });
        async { app.anonymous().post("/user/login", body).await }
    };
    let answer = login(false).await;
    assert!(answer.expect(200).get("refresh_token").is_none());
    let cookie = answer.header("set-cookie").to_owned();
    assert!(cookie.starts_with("__Host-inkpot-refresh="), "{cookie}");
    for attribute in ["HttpOnly", "Secure", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    assert!(
        !cookie.contains("Max-Age") && !cookie.contains("Domain"),
        "{cookie}"
    );
    assert!(
        login(true)
            .await
            .header("set-cookie")
            .contains("Max-Age=1209600")
    );

    let pair = cookie.split(';').next().unwrap().to_owned();
    let answer = app
        .send(by_cookie(
            "/user/refresh",
            &pair,
            "https://blog.example.org",
        ))
        .await;
    let body = answer.expect(200);
    assert!(body.get("refresh_token").is_none());
    app.client_of(&body).get("/user/me").await.expect(200);
    let next = answer
        .header("set-cookie")
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    assert_ne!(next, pair);

    let answer = app
        .send(by_cookie("/user/logout", &next, "https://blog.example.org"))
        .await;
    assert_eq!(answer.status.as_u16(), 204);
    assert!(answer.header("set-cookie").contains("Max-Age=0"));
    app.client_of(&body)
        .get("/user/me")
        .await
        .problem("session_ended");
    let answer = app
        .send(by_cookie(
            "/user/refresh",
            &next,
            "https://blog.example.org",
        ))
        .await;
    answer.problem("invalid_token");
}

fn by_cookie(path: &str, pair: &str, origin: &str) -> TestRequest {
    let request = TestRequest::post()
        .uri(path)
        .insert_header(("Host", "blog.example.org"))
        .insert_header(("Cookie", pair));
    if origin.is_empty() {
        request
    } else {
        request.insert_header(("Origin", origin))
    }
}

async fn a_cookie_needs_a_page_that_may(app: TestApp) {
    let TestApp {
        database, state, ..
    } = app;
    drop(state);
    let app = TestApp::start(database, &["--cors-origins", "https://app.example.net"]).await;
    app.user("ann").await;
    let body = json!({ "account": "ann@example.org", "password": PASSWORD, "cookie": true });
    let answer = app.anonymous().post("/user/login", body).await;
    let pair = answer
        .header("set-cookie")
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    for path in ["/user/refresh", "/user/logout"] {
        for origin in [
            "",
            "null",
            "https://evil.example",
            "https://blog.example.org.evil.example",
            "https://blog.example.org:444",
            "blog.example.org",
        ] {
            let answer = app.send(by_cookie(path, &pair, origin)).await;
            answer.expect(403);
            answer.problem("origin_refused");
        }
    }
    let answer = app
        .send(by_cookie("/user/refresh", &pair, "https://app.example.net"))
        .await;
    answer.expect(200);
    // Other cookies are nobody's business.
    let other = app
        .send(by_cookie(
            "/user/refresh",
            "theme=dark",
            "https://app.example.net",
        ))
        .await;
    other.problem("token_missing");
}

async fn a_known_session_costs_no_query(app: TestApp) {
    let ann = app.user("ann").await;
    ann.get("/user/me").await.expect(200);
    let before = app.state.db.units();
    for _ in 0..10 {
        // Refused after the token was seen to be good, before anything is asked.
        ann.post("/post", json!({}))
            .await
            .problem("validation_failed");
    }
    assert_eq!(app.state.db.units(), before);
    ann.get("/user/me").await.expect(200);
    assert_eq!(app.state.db.units(), before + 1, "the profile itself");
}

async fn another_process_learns_of_an_end(app: TestApp) {
    let ann = app.user("ann").await;
    let other = app.second(&[]).await;
    actions::catch_up(&other.state.db, &other.state.accounts.session_cache)
        .await
        .unwrap();
    let elsewhere =
        other.client_of(&json!({ "token": ann.token, "userinfo": { "user_id": ann.user_id } }));
    elsewhere.get("/user/me").await.expect(200);
    for _ in 0..3 {
        // Nothing new changes nothing.
        actions::catch_up(&other.state.db, &other.state.accounts.session_cache)
            .await
            .unwrap();
        let before = other.state.db.units();
        elsewhere
            .post("/post", json!({}))
            .await
            .problem("validation_failed");
        assert_eq!(other.state.db.units(), before, "still known");
    }
    ann.post("/user/logout", json!({})).await;
    actions::catch_up(&other.state.db, &other.state.accounts.session_cache)
        .await
        .unwrap();
    elsewhere.get("/user/me").await.problem("session_ended");
}

async fn an_end_during_a_look_is_not_overlooked(app: TestApp) {
    // Many who log out while their session is being looked up elsewhere.
    app.user("ann").await;
    let other = app.second(&[]).await;
    for _ in 0..20 {
        let body = app.login("ann").await;
        let here = app.client_of(&body);
        let there = other.client_of(&body);
        let (_, ended) =
            futures_util::future::join(there.get("/user/me"), here.post("/user/logout", json!({})))
                .await;
        assert_eq!(ended.status.as_u16(), 204);
        actions::catch_up(&other.state.db, &other.state.accounts.session_cache)
            .await
            .unwrap();
        there.get("/user/me").await.problem("session_ended");
        here.get("/user/me").await.problem("session_ended");
    }
}

async fn an_end_counts_whose_client_goes_away(app: TestApp) {
    let ann = app.user("ann").await;
    ann.get("/user/me").await.expect(200);
    let before = app.state.db.units();
    let mut logout = Box::pin(ann.post("/user/logout", json!({})));
    while app.state.db.units() == before {
        assert!((&mut logout).now_or_never().is_none());
    }
    // The write is under way, and nobody waits for it any more.
    drop(logout);
    let begun = Instant::now();
    while ann.get("/user/me").await.status == 200 {
        assert!(begun.elapsed() < PATIENCE, "the session is still cached");
    }
    ann.get("/user/me").await.problem("session_ended");
}

async fn a_stored_token_is_a_hash(app: TestApp) {
    use base64::Engine as _;
    use sha2::Digest;
    app.user("ann").await;
    let token = app.login("ann").await["refresh_token"]
        .as_str()
        .unwrap()
        .to_owned();
    let stored: Vec<String> = app.database.with(|conn| {
        session::table
            .select(session::refresh_hash)
            .load(conn)
            .unwrap()
    });
    let hash =
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(&token));
    assert!(stored.contains(&hash) && !stored.contains(&token));
}

/// Waits for what another process is to learn, for a second and no more.
fn within_a_second(what: &str, mut happened: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !happened() {
        assert!(
            begun.elapsed().as_millis() < 1000,
            "not within a second: {what}"
        );
    }
}

#[test]
fn two_processes_agree_within_a_second() {
    for backend in [Backend::Mysql, Backend::Sqlite] {
        let Some(database) = TestDatabase::create(backend) else {
            continue;
        };
        let (one, two) = (Process::on(&database), Process::on(&database));
        let json = "Content-Type: application/json\r\n";
        let reg = json!({ "email": "ann@example.org", "name": "Ann", "password": PASSWORD });
        let (_, body) = one.call("POST", "/user/reg", json, &reg.to_string());
        let body: Value = serde_json::from_str(&body).unwrap();
        let bearer = format!("JWT: {}\r\n", body["token"].as_str().unwrap());
        assert_eq!(two.call("GET", "/user/me", &bearer, "").0, 200);
        assert_eq!(one.call("POST", "/user/logout", &bearer, "").0, 204);
        assert_eq!(
            one.call("GET", "/user/me", &bearer, "").0,
            401,
            "at once in the same process"
        );
        within_a_second("logged out", || {
            two.call("GET", "/user/me", &bearer, "").0 == 401
        });
    }
}

async fn a_hundred_sessions_are_listed(app: TestApp) {
    app.user("ann").await;
    let mut last = Value::Null;
    for _ in 0..102 {
        last = app.login("ann").await;
    }
    let answer = app.client_of(&last).get("/user/me/sessions").await;
    let answer = answer.expect(200);
    let sessions = answer["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 100);
    assert_eq!(sessions[0]["current"], true);
}
