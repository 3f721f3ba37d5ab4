//! What is a token and what is not. The tokens are forged by hand, byte by byte,
//! not with the code under test.

use actix_web::http::Method;
use actix_web::test::TestRequest;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::{Sha256, Sha384, Sha512};

use crate::harness::{Answer, SECRET, TestApp, on_both_databases};

on_both_databases![
    a_token_forged_with_the_secret_is_taken,
    nothing_but_the_one_algorithm_is_taken,
    edited_tokens_are_refused,
    every_claim_is_checked,
    a_token_counts_from_its_time_on,
    headers_that_bring_their_own_key_are_refused,
    malformed_tokens_are_refused,
    a_token_ends_in_time,
    both_headers_carry_a_token,
    an_absent_token_and_a_bad_one_are_different_things,
    a_bad_token_beats_a_bad_body,
    every_secret_of_the_list_verifies,
];

pub fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub fn hs256(secret: &[u8], message: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
    mac.update(message.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// header.claims.signature, signed as it should be.
fn sign(header: &Value, claims: &Value) -> String {
    let message = format!("{}.{}", b64(header.to_string()), b64(claims.to_string()));
    let signature = hs256(SECRET.as_bytes(), &message);
    format!("{message}.{}", b64(signature))
}

/// A token taken apart.
pub struct Parts {
    pub header: Value,
    pub claims: Value,
}

pub fn parts(token: &str) -> Parts {
    let read = |n: usize| {
        let bytes = URL_SAFE_NO_PAD
            .decode(token.split('.').nth(n).unwrap())
            .unwrap();
        serde_json::from_slice(&bytes).unwrap()
    };
    Parts {
        header: read(0),
        claims: read(1),
    }
}

pub async fn with_token(app: &TestApp, token: &str) -> Answer {
    let request = TestRequest::get()
        .uri("/user/me")
        .insert_header(("Authorization", format!("Bearer {token}")));
    app.send(request).await
}

pub async fn refused(app: &TestApp, token: &str, why: &str) {
    refused_as(app, token, "invalid_token", why).await;
}

/// The same with another code: what can be told of a token that was signed here.
async fn refused_as(app: &TestApp, token: &str, code: &str, why: &str) {
    let answer = with_token(app, token).await;
    assert_eq!(answer.status.as_u16(), 401, "{why}: {}", answer.text());
    answer.problem(code);
    assert_eq!(
        answer.header("www-authenticate"),
        "Bearer realm=\"inkpot\", error=\"invalid_token\"",
        "{why}"
    );
}

async fn genuine(app: &TestApp) -> String {
    app.user("ann").await.token.unwrap()
}

async fn a_token_forged_with_the_secret_is_taken(app: TestApp) {
    let token = genuine(&app).await;
    let Parts { header, claims } = parts(&token);
    let members: Vec<&String> = header.as_object().unwrap().keys().collect();
    assert_eq!(members, ["alg", "kid", "typ"]);
    assert_eq!(
        (&header["alg"], &header["typ"]),
        (&json!("HS256"), &json!("at+jwt"))
    );
    assert_eq!(
        claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(),
        3600
    );
    assert!(claims["sub"].is_string() && claims["jti"].is_string());
    // That the tests below refuse for the right reason: unedited, it passes.
    with_token(&app, &sign(&header, &claims)).await.expect(200);
}

async fn nothing_but_the_one_algorithm_is_taken(app: TestApp) {
    let Parts { header, claims } = parts(&genuine(&app).await);
    for alg in [
        "none", "None", "NONE", "nOnE", "", "HS384", "HS512", "hs256", "RS256", "ES256", "EdDSA",
        "PS256",
    ] {
        let mut header = header.clone();
        header["alg"] = json!(alg);
        let message = format!("{}.{}", b64(header.to_string()), b64(claims.to_string()));
        refused(&app, &format!("{message}."), alg).await;
        refused(&app, &message, alg).await;
        refused(&app, &sign(&header, &claims), alg).await;
    }
    for alg in [json!(null), json!(1), json!(["HS256"]), json!({})] {
        let mut header = header.clone();
        header["alg"] = alg;
        refused(&app, &sign(&header, &claims), "alg of another type").await;
    }
    // Rightly signed with the same secret, by another algorithm of the family.
    let mut stronger = header.clone();
    stronger["alg"] = json!("HS384");
    let message = format!("{}.{}", b64(stronger.to_string()), b64(claims.to_string()));
    let mut mac = Hmac::<Sha384>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(message.as_bytes());
    refused(
        &app,
        &format!("{message}.{}", b64(mac.finalize().into_bytes())),
        "HS384",
    )
    .await;
    stronger["alg"] = json!("HS512");
    let message = format!("{}.{}", b64(stronger.to_string()), b64(claims.to_string()));
    let mut mac = Hmac::<Sha512>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(message.as_bytes());
    refused(
        &app,
        &format!("{message}.{}", b64(mac.finalize().into_bytes())),
        "HS512",
    )
    .await;
}

async fn edited_tokens_are_refused(app: TestApp) {
    let token = genuine(&app).await;
    let pieces: Vec<&str> = token.split('.').collect();
    let mut claims = parts(&token).claims;
    claims["sub"] = json!("2");
    refused(
        &app,
        &format!("{}.{}.{}", pieces[0], b64(claims.to_string()), pieces[2]),
        "sub",
    )
    .await;
    let message = format!("{}.{}", pieces[0], pieces[1]);
    let signature = hs256(b"another-secret-0123456789-0123456789", &message);
    refused(
        &app,
        &format!("{message}.{}", b64(signature)),
        "another secret",
    )
    .await;
    refused(&app, &format!("{message}."), "no signature").await;
    let mut cut = URL_SAFE_NO_PAD.decode(pieces[2]).unwrap();
    cut.pop();
    refused(&app, &format!("{message}.{}", b64(&cut)), "a cut signature").await;
    let mut flipped = URL_SAFE_NO_PAD.decode(pieces[2]).unwrap();
    flipped[0] ^= 1;
    refused(&app, &format!("{message}.{}", b64(&flipped)), "one bit").await;
}

async fn every_claim_is_checked(app: TestApp) {
    let Parts { header, claims } = parts(&genuine(&app).await);
    let now = app.clock.timestamp();
    for name in ["iss", "aud", "sub", "sid", "jti", "iat", "exp"] {
        let mut without = claims.clone();
        without.as_object_mut().unwrap().remove(name);
        refused(&app, &sign(&header, &without), &format!("without {name}")).await;
        for value in [json!(null), json!([]), json!({}), json!(true), json!("")] {
            let mut mistyped = claims.clone();
            mistyped[name] = value.clone();
            refused(
                &app,
                &sign(&header, &mistyped),
                &format!("{name} is {value}"),
            )
            .await;
        }
    }
    for (name, value) in [
        ("iss", json!("elsewhere")),
        ("aud", json!("elsewhere")),
        ("aud", json!(["elsewhere"])),
        ("sub", json!(1)),
        ("sub", json!("0")),
        ("sub", json!("-1")),
        ("sub", json!("+1")),
        ("sub", json!("01")),
        ("sub", json!("1 ")),
        ("sub", json!("99999999999999999999")),
        ("sid", json!(1)),
        ("sid", json!("0")),
        ("sid", json!("x")),
        ("exp", json!((now + 60).to_string())),
        ("exp", json!(f64::from(u32::MAX) + 0.5)),
        ("exp", json!(now - 61)),
        ("exp", json!(0)),
        ("exp", json!(-1)),
        ("iat", json!(now + 61)),
        ("iat", json!(i64::MAX)),
    ] {
        let mut edited = claims.clone();
        edited[name] = value.clone();
        refused(&app, &sign(&header, &edited), &format!("{name} is {value}")).await;
    }
    for name in ["sub", "sid"] {
        let mut edited = claims.clone();
        edited[name] = json!("999999");
        refused_as(&app, &sign(&header, &edited), "session_ended", name).await;
    }
    for (name, value) in [
        ("typ", json!("JWT")),
        ("typ", json!("")),
        ("typ", json!(null)),
        ("kid", json!("another")),
        ("kid", json!("")),
        ("kid", json!(null)),
        ("kid", json!("../../../etc/passwd")),
    ] {
        let mut edited = header.clone();
        edited[name] = value.clone();
        refused(&app, &sign(&edited, &claims), &format!("{name} is {value}")).await;
        edited.as_object_mut().unwrap().remove(name);
        refused(&app, &sign(&edited, &claims), &format!("without {name}")).await;
    }
}

/// RFC 7519 §4.1.5, with the same leeway as for the other times.
async fn a_token_counts_from_its_time_on(app: TestApp) {
    let Parts { header, claims } = parts(&genuine(&app).await);
    let now = app.clock.timestamp();
    let with = |nbf: Value| {
        let mut claims = claims.clone();
        claims["nbf"] = nbf;
        sign(&header, &claims)
    };
    for nbf in [now - 3600, now, now + 30] {
        with_token(&app, &with(json!(nbf))).await.expect(200);
    }
    for nbf in [
        json!(now + 31),
        json!(now + 1800),
        json!(i64::MAX),
        json!(null),
        json!((now - 60).to_string()),
        json!([now]),
    ] {
        refused(&app, &with(nbf.clone()), &format!("nbf is {nbf}")).await;
    }
    let later = with(json!(now + 60));
    refused(&app, &later, "not yet").await;
    app.clock.advance(chrono::Duration::seconds(30));
    with_token(&app, &later).await.expect(200);
}

async fn headers_that_bring_their_own_key_are_refused(app: TestApp) {
    let Parts { header, claims } = parts(&genuine(&app).await);
    for (name, value) in [
        (
            "jwk",
            json!({ "kty": "oct", "k": b64("attacker-0123456789-0123456789-ab") }),
        ),
        ("jku", json!("http://127.0.0.1:1/jwks.json")),
        ("x5u", json!("http://127.0.0.1:1/x")),
        ("x5c", json!(["AA=="])),
        ("crit", json!(["exp"])),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
        ("cty", json!("JWT")),
    ] {
        let mut edited = header.clone();
        edited[name] = value;
        refused(&app, &sign(&edited, &claims), name).await;
        let message = format!("{}.{}", b64(edited.to_string()), b64(claims.to_string()));
        let signature = hs256(b"attacker-0123456789-0123456789-ab", &message);
        refused(&app, &format!("{message}.{}", b64(signature)), name).await;
    }
}

async fn malformed_tokens_are_refused(app: TestApp) {
    let token = genuine(&app).await;
    let pieces: Vec<&str> = token.split('.').collect();
    let padded = format!("{}=.{}.{}", pieces[0], pieces[1], pieces[2]);
    let standard = format!(
        "{}.{}.{}",
        STANDARD.encode("{\"alg\":\"HS256\"}?>"),
        pieces[1],
        pieces[2]
    );
    let twice = {
        let header = format!(
            "{{\"alg\":\"HS256\",\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":{}}}",
            parts(&token).header["kid"]
        );
        let message = format!("{}.{}", b64(header), pieces[1]);
        format!("{message}.{}", b64(hs256(SECRET.as_bytes(), &message)))
    };
    for bad in [
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        "a",
        pieces[0],
        &format!("{token}."),
        &format!("{token}.x"),
        &format!("{token} x"),
        &format!(".{token}"),
        &padded,
        &standard,
        &twice,
        &"x".repeat(100_000),
        &format!("{token}{}", "x".repeat(100_000)),
    ] {
        refused(&app, bad, &bad.chars().take(40).collect::<String>()).await;
    }
    // Rightly signed, and 100 kB long.
    let Parts { header, mut claims } = parts(&token);
    claims["padding"] = json!("x".repeat(75_000));
    refused(&app, &sign(&header, &claims), "100 kB").await;
}

async fn a_token_ends_in_time(app: TestApp) {
    let ann = app.user("ann").await;
    app.clock.advance(chrono::Duration::seconds(3600));
    ann.get("/user/me").await.expect(200); // within the leeway
    app.clock.advance(chrono::Duration::seconds(60));
    refused_as(
        &app,
        ann.token.as_ref().unwrap(),
        "token_expired",
        "expired",
    )
    .await;
}

async fn both_headers_carry_a_token(app: TestApp) {
    let token = genuine(&app).await;
    let send = async |headers: &[(&str, String)]| {
        let mut request = TestRequest::with_uri("/user/me").method(Method::GET);
        for (name, value) in headers {
            request = request.append_header((*name, value.as_str()));
        }
        app.send(request).await
    };
    let bearer = format!("Bearer {token}");
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR"] {
        send(&[("Authorization", format!("{scheme} {token}"))])
            .await
            .expect(200);
    }
    send(&[("JWT", token.clone())]).await.expect(200);
    send(&[("JWT", token.clone()), ("Authorization", bearer.clone())])
        .await
        .expect(200);
    let answer = send(&[
        ("JWT", format!("{token}x")),
        ("Authorization", bearer.clone()),
    ])
    .await;
    answer.expect(400);
    answer.problem("token_conflict");
    let answer = send(&[
        ("Authorization", bearer.clone()),
        ("Authorization", format!("{bearer}x")),
    ])
    .await;
    answer.problem("token_conflict");
    for value in [
        token.clone(),
        format!("Basic {token}"),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        String::new(),
    ] {
        let answer = send(&[("Authorization", value)]).await;
        answer.expect(401);
        answer.problem("invalid_token");
    }
    // Never in a query string.
    let answer = app
        .send(TestRequest::with_uri(&format!(
            "/user/me?token={token}&access_token={token}"
        )))
        .await;
    let problem = answer.problem("query_invalid");
    assert!(!problem.to_string().contains(&token));
}

async fn an_absent_token_and_a_bad_one_are_different_things(app: TestApp) {
    let answer = app.anonymous().get("/user/me").await;
    answer.expect(401);
    answer.problem("token_missing");
    assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"inkpot\"");
}

async fn a_bad_token_beats_a_bad_body(app: TestApp) {
    for path in ["/post", "/post/", "/post/pub", "/post/pub/"] {
        let answer = app
            .send(TestRequest::post().uri(path).set_payload("not json"))
            .await;
        answer.expect(401);
        let bad = TestRequest::post()
            .uri(path)
            .insert_header(("JWT", "x"))
            .set_payload("{");
        app.send(bad).await.problem("invalid_token");
    }
}

async fn every_secret_of_the_list_verifies(app: TestApp) {
    let old = genuine(&app).await;
    let rotated = format!("a-newer-secret-9876543210-zyxwvu,{SECRET}");
    let TestApp {
        database, state, ..
    } = app;
    drop(state);
    let app = TestApp::start(database, &["--jwt-secret", &rotated]).await;
    with_token(&app, &old).await.expect(200);
    let login = json!({ "account": "ann@example.org", "password": crate::harness::PASSWORD });
    let new = app.anonymous().post("/user/login", login).await.expect(200)["token"].clone();
    let new = new.as_str().unwrap();
    assert_ne!(parts(new).header["kid"], parts(&old).header["kid"]);
    with_token(&app, new).await.expect(200);
}
