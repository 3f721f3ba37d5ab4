//! The ring of keys: renewed, shared, retired, published. Tokens are forged by hand,
//! and verified by another library than ours.

use std::collections::BTreeSet;
use std::sync::Barrier;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::{DateTime, Duration, Utc};
use diesel::prelude::*;
use inkpot::accounts::actions::keys::{self, Rotated};
use inkpot::accounts::tokens::{Tokens, Use};
use inkpot::core::clock::rfc3339;
use inkpot::core::db::schema::signing_key;
use inkpot::core::settings::JwtAlg;
use serde_json::{Value, json};

use crate::harness::process::{Process, inkpot, output};
use crate::harness::python;
use crate::harness::{Backend, PASSWORD, SECRET, TestApp, TestDatabase, on_both_databases};
use crate::tokens::{Parts, b64, hs256, parts, refused, with_token};

on_both_databases![
    every_algorithm_signs_and_verifies,
    a_new_key_is_published_long_before_it_signs,
    tokens_outlive_the_rotation_of_their_key,
    another_process_learns_a_key_before_it_signs,
    several_that_start_at_once_share_the_first_key,
    a_retired_key_ends_with_its_last_token,
    the_only_key_cannot_be_retired,
    a_server_without_a_key_to_sign_with_makes_one,
    a_public_key_is_no_secret,
    a_key_has_one_algorithm,
    sealed_keys_open_with_the_secret_alone,
    a_row_is_no_other_row,
    a_rotation_leaves_old_secrets_behind,
    what_is_published_is_public,
    a_secret_is_never_published,
    admins_see_how_old_keys_are_and_nothing_secret,
    python_verifies_by_what_is_published,
];

const ALGORITHMS: [&str; 3] = ["HS256", "ES256", "EdDSA"];
const NEWER_SECRET: &str = "a-newer-secret-9876543210-zyxwvu";

/// Starts again on the same database, signing with `alg`; a first key has become
/// active, which a start waits for.
async fn restarted(app: TestApp, alg: &str) -> TestApp {
    let TestApp {
        database, state, ..
    } = app;
    drop(state);
    let app = TestApp::start(database, &["--jwt-alg", alg]).await;
    app.clock.advance(Duration::seconds(2));
    app
}

/// A new token for a user who is there.
async fn login(app: &TestApp) -> String {
    let body = json!({ "account": "ann@example.org", "password": PASSWORD });
    let answer = app.anonymous().post("/user/login", body).await.expect(200);
    answer["token"].as_str().unwrap().to_owned()
}

fn kid(token: &str) -> String {
    parts(token).header["kid"].as_str().unwrap().to_owned()
}

/// Runs what the command line does, which blocks.
fn blocking<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(work).join().unwrap())
}

fn rotate(app: &TestApp) -> Rotated {
    rotate_after(app, keys::SHORTEST_LEAD)
}

fn rotate_after(app: &TestApp, lead: Duration) -> Rotated {
    let state = &app.state;
    blocking(|| keys::rotate(&state.db, &state.accounts.tokens, lead).unwrap())
}

fn retire(app: &TestApp, kid: &str) -> Result<(), String> {
    let state = &app.state;
    blocking(|| keys::retire(&state.db, &state.accounts.tokens, kid)).map_err(|why| why.to_string())
}

/// What the poller does.
async fn catch_up(app: &TestApp) {
    keys::catch_up(&app.state.db, &app.state.accounts.tokens)
        .await
        .unwrap();
}

fn used(app: &TestApp, kid: &str) -> Option<Use> {
    let keys = app.state.accounts.tokens.list();
    keys.into_iter()
        .find(|key| key.kid == kid)
        .map(|key| key.used)
}

async fn published(app: &TestApp) -> Value {
    app.anonymous()
        .get("/.well-known/jwks.json")
        .await
        .expect(200)
}

async fn every_algorithm_signs_and_verifies(app: TestApp) {
    let mut tokens = vec![app.user("ann").await.token.unwrap()];
    let mut app = app;
    for alg in ALGORITHMS {
        app = restarted(app, alg).await;
        let token = login(&app).await;
        let Parts { header, .. } = parts(&token);
        assert_eq!(header["alg"], alg);
        let members: Vec<&String> = header.as_object().unwrap().keys().collect();
        assert_eq!(members, ["alg", "kid", "typ"], "{alg}");
        tokens.push(token);
        // Those of the other algorithms too.
        for token in &tokens {
            with_token(&app, token).await.expect(200);
        }
        let pieces: Vec<&str> = tokens[tokens.len() - 1].split('.').collect();
        let mut signature = URL_SAFE_NO_PAD.decode(pieces[2]).unwrap();
        signature[5] ^= 1;
        let flipped = format!("{}.{}.{}", pieces[0], pieces[1], b64(&signature));
        refused(&app, &flipped, alg).await;
        let cut = format!("{}.{}.{}", pieces[0], pieces[1], b64(&signature[1..]));
        refused(&app, &cut, alg).await;
        refused(&app, &format!("{}.{}.", pieces[0], pieces[1]), alg).await;
    }
}

async fn a_new_key_is_published_long_before_it_signs(app: TestApp) {
    app.user("ann").await;
    for (flags, lead, kept) in [
        (&["--jwt-alg", "EdDSA"][..], 600, 300),
        (&["--jwt-alg", "ES256", "--key-lead", "1d"], 86_400, 43_200),
        (&["--jwt-alg", "ES256", "--key-lead", "2"], 2, 1),
    ] {
        let app = TestApp::start(app.database.shared(), flags).await;
        app.clock.advance(keys::SHORTEST_LEAD);
        let setting = app.state.settings.key_lead;
        assert_eq!(setting, lead);
        let old = kid(&login(&app).await);
        let Rotated { kid: new, .. } = rotate_after(&app, Duration::seconds(setting.into()));
        catch_up(&app).await;
        let answer = app.anonymous().get("/.well-known/jwks.json").await;
        let age = format!("public, max-age={kept}");
        assert_eq!(answer.header("cache-control"), age);
        let published = answer.expect(200).to_string();
        assert!(published.contains(&new) && published.contains(&old));
        app.clock
            .advance(Duration::seconds(setting.into()) - Duration::microseconds(1));
        assert_eq!(kid(&login(&app).await), old);
        app.clock.advance(Duration::microseconds(1));
        assert_eq!(kid(&login(&app).await), new);
    }
    // Where none is published, the first one may sign soon.
    let answer = app.anonymous().get("/.well-known/jwks.json").await;
    assert_eq!(answer.header("cache-control"), "public, max-age=1");
}

async fn tokens_outlive_the_rotation_of_their_key(app: TestApp) {
    app.user("ann").await;
    let mut app = app;
    for alg in ALGORITHMS {
        app = restarted(app, alg).await;
        let old = login(&app).await;
        let Rotated { kid: new, .. } = rotate(&app);
        // Not known, known and waiting, signing, and until the old token ends.
        with_token(&app, &old).await.expect(200);
        catch_up(&app).await;
        assert!(matches!(used(&app, &new), Some(Use::Next(_))), "{alg}");
        assert_eq!(kid(&login(&app).await), kid(&old), "{alg}");
        app.clock.advance(Duration::milliseconds(1999));
        let last = login(&app).await;
        assert_eq!(kid(&last), kid(&old), "{alg}");
        app.clock.advance(Duration::milliseconds(1));
        let first = login(&app).await;
        assert_eq!(kid(&first), new, "{alg}");
        assert_eq!(used(&app, &new), Some(Use::Signs), "{alg}");
        app.clock.advance(Duration::seconds(3596));
        for token in [&old, &last, &first] {
            with_token(&app, token).await.expect(200);
        }
    }
}

async fn another_process_learns_a_key_before_it_signs(app: TestApp) {
    app.user("ann").await;
    let mut app = app;
    for alg in ALGORITHMS {
        app = restarted(app, alg).await;
        let second = app.second(&["--jwt-alg", alg]).await;
        let Rotated { kid: new, .. } = rotate(&app);
        catch_up(&app).await;
        app.clock.advance(Duration::seconds(2));
        let token = login(&app).await;
        assert_eq!(kid(&token), new, "{alg}");
        refused(&second, &token, "not known yet").await;
        let before = second.state.db.units();
        catch_up(&second).await;
        assert_eq!(second.state.db.units() - before, 1, "one query");
        with_token(&second, &token).await.expect(200);
        assert_eq!(kid(&login(&second).await), new, "{alg}");
        // One that starts later knows it from the beginning.
        let third = app.second(&["--jwt-alg", alg]).await;
        with_token(&third, &token).await.expect(200);
    }
}

async fn several_that_start_at_once_share_the_first_key(app: TestApp) {
    let state = &app.state;
    for (name, alg) in [("ES256", JwtAlg::Es256), ("EdDSA", JwtAlg::EdDsa)] {
        let start = Barrier::new(4);
        let catch_up = || {
            let secrets = [SECRET.as_bytes().to_vec()];
            let tokens = Tokens::new(&secrets, 3600, app.clock.clone()).unwrap();
            let tokens = tokens.signing_with(alg);
            let system = actix_web::rt::System::new();
            start.wait();
            system.block_on(keys::catch_up(&state.db, &tokens)).unwrap();
            kid(&tokens.issue(1, 1).unwrap())
        };
        // Each finds the table without such a key.
        let kids: BTreeSet<String> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(catch_up)).collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        assert_eq!(kids.len(), 1, "{name}");
        let rows: i64 = app.database.with(move |conn| {
            let of_alg = signing_key::table.filter(signing_key::alg.eq(name));
            of_alg.count().get_result(conn).unwrap()
        });
        assert_eq!(rows, 1, "{name}");
    }
}

async fn a_retired_key_ends_with_its_last_token(app: TestApp) {
    app.user("ann").await;
    let app = restarted(app, "EdDSA").await;
    let old = login(&app).await;
    let Parts { header, mut claims } = parts(&old);
    rotate(&app);
    catch_up(&app).await;
    // Its last token is made two seconds from now, lives an hour, and clocks differ.
    app.clock.advance(Duration::seconds(2 + 3600 + 29));
    assert!(matches!(
        used(&app, &kid(&old)),
        Some(Use::VerifiesUntil(_))
    ));
    app.clock.advance(Duration::seconds(1));
    assert_eq!(used(&app, &kid(&old)), Some(Use::Retired));
    // What somebody makes with the old key then is worth nothing, and not published.
    claims["iat"] = json!(app.clock.timestamp());
    claims["exp"] = json!(app.clock.timestamp() + 3600);
    let (_, secret) = secret_part(&app, &kid(&old));
    refused(&app, &sign_by_hand(&header, &claims, &secret), "retired").await;
    assert_eq!(published(&app).await["keys"].as_array().unwrap().len(), 1);
    // A rotation forgets it when no setting could have made its tokens live on.
    assert_eq!(rotate(&app).deleted, 0);
    app.clock.advance(Duration::days(1));
    assert_eq!(rotate(&app).deleted, 1);
    catch_up(&app).await;
    assert_eq!(used(&app, &kid(&old)), None);
}

/// The algorithm and the secret part of a key, out of the database.
fn secret_part(app: &TestApp, kid: &str) -> (JwtAlg, Vec<u8>) {
    let wanted = kid.to_owned();
    let (alg, sealed): (String, String) = app.database.with(move |conn| {
        signing_key::table
            .find(wanted)
            .select((signing_key::alg, signing_key::sealed))
            .first(conn)
            .unwrap()
    });
    let alg = JwtAlg::named(&alg).unwrap();
    let opened = app
        .state
        .accounts
        .tokens
        .vault()
        .open(kid, alg, &sealed)
        .unwrap();
    (alg, opened.secret)
}

/// A token of Ed25519.
fn sign_by_hand(header: &Value, claims: &Value, secret: &[u8]) -> String {
    use ed25519_dalek::Signer as _;
    let key = ed25519_dalek::SigningKey::from_bytes(secret.try_into().unwrap());
    let message = format!("{}.{}", b64(header.to_string()), b64(claims.to_string()));
    let signature = key.sign(message.as_bytes());
    format!("{message}.{}", b64(signature.to_bytes()))
}

async fn the_only_key_cannot_be_retired(app: TestApp) {
    app.user("ann").await;
    let secret = kid(&login(&app).await);
    let why = retire(&app, &secret).unwrap_err();
    assert!(why.contains("INKPOT_JWT_SECRET"), "{why}");
    // With HS256 the secret signs again when the last stored key is gone.
    let Rotated { kid: stored, .. } = rotate(&app);
    app.clock.advance(Duration::seconds(2));
    catch_up(&app).await;
    let token = login(&app).await;
    assert_eq!(kid(&token), stored);
    retire(&app, &stored).unwrap();
    catch_up(&app).await;
    assert_eq!(kid(&login(&app).await), secret);
    with_token(&app, &token).await.expect(200);

    let app = restarted(app, "ES256").await;
    let only = kid(&login(&app).await);
    let why = retire(&app, &only).unwrap_err();
    assert!(why.contains("the only key to sign with"), "{why}");
    let Rotated { kid: new, .. } = rotate(&app);
    let why = retire(&app, &new).unwrap_err();
    assert!(why.contains("the only key to sign with"), "{why}");
    let why = retire(&app, &only).unwrap_err();
    assert!(why.contains("retired already"), "{why}");
    let why = retire(&app, "none").unwrap_err();
    assert!(why.contains("there is no signing key none"), "{why}");
    catch_up(&app).await;
    assert_eq!(kid(&login(&app).await), only, "until the new one signs");
}

async fn a_server_without_a_key_to_sign_with_makes_one(app: TestApp) {
    app.user("ann").await;
    let secret = kid(&login(&app).await);
    let app = restarted(app, "EdDSA").await;
    let old = login(&app).await;
    // Somebody whose settings say HS256 retires it.
    let other = app.second(&[]).await;
    assert_eq!(kid(&login(&other).await), secret);
    retire(&other, &kid(&old)).unwrap();
    catch_up(&app).await;
    // As long as others do not know the new one, the old one signs.
    let between = login(&app).await;
    assert_eq!(kid(&between), kid(&old));
    app.clock.advance(Duration::seconds(2));
    let new = login(&app).await;
    assert_ne!(kid(&new), kid(&old));
    catch_up(&other).await;
    for token in [&old, &between, &new] {
        with_token(&app, token).await.expect(200);
        with_token(&other, token).await.expect(200);
    }
}

/// All that somebody may take for the secret who has the public key only.
fn public_texts(jwk: &Value) -> Vec<Vec<u8>> {
    let coordinate = |name: &str| {
        let text = jwk[name].as_str().unwrap_or("");
        (text.to_owned(), URL_SAFE_NO_PAD.decode(text).unwrap())
    };
    let ((x, x_bytes), (y, y_bytes)) = (coordinate("x"), coordinate("y"));
    let sec1 = [&[4], &x_bytes[..], &y_bytes[..]].concat();
    // SubjectPublicKeyInfo: RFC 8410 §4, RFC 5480 §2.
    let der = if jwk["kty"] == "OKP" {
        let head = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
        [&head[..], &x_bytes].concat()
    } else {
        let head = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\
                     \x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";
        [&head[..], &sec1].concat()
    };
    let base64 = STANDARD.encode(&der);
    let lines: Vec<&str> = base64
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----",
        lines.join("\n")
    );
    let compressed = [&[2 + (y_bytes.last().unwrap_or(&0) & 1)], &x_bytes[..]].concat();
    vec![
        x_bytes,
        y_bytes,
        sec1,
        compressed,
        der,
        format!("{pem}\n").into_bytes(),
        pem.into_bytes(),
        base64.into_bytes(),
        format!("{x}.{y}").into_bytes(),
        jwk.to_string().into_bytes(),
        x.into_bytes(),
        y.into_bytes(),
        jwk["kid"].as_str().unwrap().as_bytes().to_vec(),
        Vec::new(),
    ]
}

async fn a_public_key_is_no_secret(app: TestApp) {
    let secret_token = app.user("ann").await.token.unwrap();
    let mut app = app;
    for alg in ["ES256", "EdDSA"] {
        app = restarted(app, alg).await;
        let Parts { header, claims } = parts(&login(&app).await);
        let set = published(&app).await;
        let keys = set["keys"].as_array().unwrap();
        let jwk = keys.iter().find(|key| key["kid"] == header["kid"]).unwrap();
        for secret in public_texts(jwk) {
            for (name, kid) in [
                ("HS256", &header["kid"]),
                (alg, &header["kid"]),
                ("HS256", &parts(&secret_token).header["kid"]),
            ] {
                let mut header = header.clone();
                header["alg"] = json!(name);
                header["kid"] = kid.clone();
                let message = format!("{}.{}", b64(header.to_string()), b64(claims.to_string()));
                let token = format!("{message}.{}", b64(hs256(&secret, &message)));
                refused(&app, &token, &format!("{alg} as {name}")).await;
            }
        }
        // That they were refused for the right reason: with the real secret it passes.
        let header = parts(&secret_token).header;
        let message = format!("{}.{}", b64(header.to_string()), b64(claims.to_string()));
        let signature = hs256(SECRET.as_bytes(), &message);
        with_token(&app, &format!("{message}.{}", b64(signature)))
            .await
            .expect(200);
    }
}

async fn a_key_has_one_algorithm(app: TestApp) {
    let mut tokens = vec![app.user("ann").await.token.unwrap()];
    let mut app = app;
    for alg in ["ES256", "EdDSA"] {
        app = restarted(app, alg).await;
        tokens.push(login(&app).await);
    }
    let names = ["HS256", "ES256", "EdDSA", "none", "ES384", "RS256"];
    for (own, token) in ALGORITHMS.iter().zip(&tokens) {
        let pieces: Vec<&str> = token.split('.').collect();
        for (other, donor) in ALGORITHMS.iter().zip(&tokens) {
            // Another key's name, the algorithm kept; the signature is its own.
            let mut header = parts(token).header;
            header["kid"] = parts(donor).header["kid"].clone();
            let edited = format!("{}.{}.{}", b64(header.to_string()), pieces[1], pieces[2]);
            if own != other {
                refused(&app, &edited, &format!("{own} by the key of {other}")).await;
            }
        }
        for name in names.iter().filter(|name| *name != own) {
            let mut header = parts(token).header;
            header["alg"] = json!(name);
            let edited = format!("{}.{}.{}", b64(header.to_string()), pieces[1], pieces[2]);
            refused(&app, &edited, &format!("{own} as {name}")).await;
        }
        with_token(&app, token).await.expect(200);
    }
    // The secret of one used as the secret of another, rightly signed.
    let Parts { header, claims } = parts(&tokens[2]);
    let (_, seed) = secret_part(&app, &kid(&tokens[2]));
    with_token(&app, &sign_by_hand(&header, &claims, &seed))
        .await
        .expect(200);
    let mut symmetric = header;
    symmetric["alg"] = json!("HS256");
    let message = format!("{}.{}", b64(symmetric.to_string()), b64(claims.to_string()));
    let token = format!("{message}.{}", b64(hs256(&seed, &message)));
    refused(&app, &token, "an Ed25519 seed as HMAC key").await;
}

async fn sealed_keys_open_with_the_secret_alone(app: TestApp) {
    app.user("ann").await;
    let app = restarted(app, "EdDSA").await;
    let token = login(&app).await;
    let (_, secret) = secret_part(&app, &kid(&token));
    let sealed: String = app.database.with(|conn| {
        signing_key::table
            .select(signing_key::sealed)
            .first(conn)
            .unwrap()
    });
    let sealed = URL_SAFE_NO_PAD.decode(sealed).unwrap();
    assert!(!sealed.windows(8).any(|part| part == &secret[..8]));

    // One that has another secret does not start.
    let mut command = inkpot(app.database.directory.path());
    command
        .env("DATABASE_URL", app.database.url())
        .env("INKPOT_JWT_SECRET", NEWER_SECRET);
    let refusal = output(&mut command);
    assert_eq!(refusal.status.code(), Some(2));
    let text = String::from_utf8(refusal.stderr).unwrap();
    let lines: Vec<&str> = text.lines().filter(|l| l.starts_with("inkpot: ")).collect();
    assert_eq!(lines.len(), 1, "{text}");
    assert!(
        lines[0].contains(&kid(&token)) && lines[0].contains("INKPOT_JWT_SECRET"),
        "{text}"
    );

    // One that runs and meets such a row goes on with what it has.
    let other = app.second(&["--jwt-secret", NEWER_SECRET]).await;
    refused(&other, &token, "a key that it cannot open").await;
    with_token(&other, &login(&other).await).await.expect(200);
    // One that has both secrets reads both.
    let both = format!("{NEWER_SECRET},{SECRET}");
    let both = app.second(&["--jwt-secret", &both]).await;
    with_token(&both, &token).await.expect(200);
}

async fn a_row_is_no_other_row(app: TestApp) {
    app.user("ann").await;
    let app = restarted(app, "EdDSA").await;
    let old = login(&app).await;
    let Rotated { kid: new, .. } = rotate(&app);
    catch_up(&app).await;
    // The old secret part under the new name, public part and all.
    let (from, to) = (kid(&old), new.clone());
    app.database.with(move |conn| {
        let (sealed, public): (String, Option<String>) = signing_key::table
            .find(from)
            .select((signing_key::sealed, signing_key::public_key))
            .first(conn)
            .unwrap();
        diesel::update(signing_key::table.find(to))
            .set((
                signing_key::sealed.eq(sealed),
                signing_key::public_key.eq(public),
            ))
            .execute(conn)
            .unwrap();
    });
    catch_up(&app).await;
    assert_eq!(used(&app, &new), None, "left out");
    with_token(&app, &old).await.expect(200);
    // A public part that is not that of the secret part.
    let edited = kid(&old);
    app.database.with(move |conn| {
        diesel::update(signing_key::table.find(edited))
            .set(signing_key::public_key.eq(b64([7; 32])))
            .execute(conn)
            .unwrap();
    });
    catch_up(&app).await;
    assert_eq!(used(&app, &kid(&old)), None, "left out");
}

async fn a_rotation_leaves_old_secrets_behind(app: TestApp) {
    app.user("ann").await;
    let app = restarted(app, "ES256").await;
    let token = login(&app).await;
    let both = format!("{NEWER_SECRET},{SECRET}");
    let second = app
        .second(&["--jwt-alg", "ES256", "--jwt-secret", &both])
        .await;
    rotate(&second);
    // The old secret can go: every row is under the new one.
    let third = app
        .second(&["--jwt-alg", "ES256", "--jwt-secret", NEWER_SECRET])
        .await;
    with_token(&third, &token).await.expect(200);
}

async fn what_is_published_is_public(app: TestApp) {
    app.user("ann").await;
    let mut app = app;
    for (alg, members) in [
        ("ES256", &["alg", "crv", "kid", "kty", "use", "x", "y"][..]),
        ("EdDSA", &["alg", "crv", "kid", "kty", "use", "x"][..]),
    ] {
        app = restarted(app, alg).await;
        let answer = app.anonymous().get("/.well-known/jwks.json").await;
        assert_eq!(answer.header("cache-control"), "public, max-age=300");
        let set = answer.expect(200);
        let keys = set["keys"].as_array().unwrap();
        let own = kid(&login(&app).await);
        let key = keys.iter().find(|key| key["kid"] == own.as_str()).unwrap();
        let mut found: Vec<&String> = key.as_object().unwrap().keys().collect();
        found.sort();
        assert_eq!(found, members);
        assert_eq!((&key["alg"], &key["use"]), (&json!(alg), &json!("sig")));
        let (_, secret) = secret_part(&app, &own);
        for text in [b64(&secret), STANDARD.encode(&secret)] {
            assert!(!answer.text().contains(&text), "{alg}");
        }
        let unchanged = app
            .anonymous()
            .request(actix_web::http::Method::GET, "/.well-known/jwks.json")
            .insert_header(("If-None-Match", answer.header("etag")));
        assert_eq!(app.send(unchanged).await.status.as_u16(), 304);
        // The next one is there before it signs, the last one as long as it verifies.
        let Rotated { kid: new, .. } = rotate(&app);
        catch_up(&app).await;
        let text = published(&app).await.to_string();
        assert!(text.contains(&own) && text.contains(&new), "{text}");
    }
}

async fn admins_see_how_old_keys_are_and_nothing_secret(app: TestApp) {
    app.admin("root").await;
    let listed = async |app: &TestApp| {
        let root = app.client_of(&app.login("root").await);
        let answer = root.get("/keys").await;
        assert_eq!(answer.header("cache-control"), "no-store");
        answer.expect(200)["keys"].as_array().unwrap().clone()
    };
    let setting = &listed(&app).await[0];
    assert_eq!(setting["kind"], "secret");
    assert_eq!(setting["use"], "signs");
    assert_eq!(setting["created"], Value::Null);
    let mut app = app;
    for (alg, kind) in [("HS256", "shared"), ("EdDSA", "pair")] {
        app = restarted(app, alg).await;
        let Rotated { kid: old, .. } = rotate(&app);
        app.clock.advance(Duration::seconds(2));
        catch_up(&app).await;
        let made = rfc3339(app.clock.now());
        let Rotated { kid: new, .. } = rotate(&app);
        catch_up(&app).await;
        let of = async |app: &TestApp, kid: &str| {
            let keys = listed(app).await;
            let key = keys.into_iter().find(|key| key["kid"] == kid).unwrap();
            assert_eq!((&key["alg"], &key["kind"]), (&json!(alg), &json!(kind)));
            key
        };
        assert_eq!(of(&app, &old).await["use"], "signs");
        let next = of(&app, &new).await;
        assert_eq!(next["use"], "next");
        assert_eq!(next["created"], made);
        let from = rfc3339(app.clock.now() + Duration::seconds(2));
        assert_eq!(next["signs_from"], from);
        app.clock.advance(Duration::seconds(2));
        let last = of(&app, &old).await;
        assert_eq!(last["use"], "verifies");
        assert!(last["verifies_until"].is_string(), "{last}");
        assert_eq!(of(&app, &new).await["use"], "signs");
        app.clock.advance(Duration::days(1));
        let gone = of(&app, &old).await;
        assert_eq!(gone["use"], "retired");
        let text = Value::from(listed(&app).await).to_string();
        let (_, secret) = secret_part(&app, &new);
        for secret in [b64(&secret), STANDARD.encode(&secret), SECRET.to_owned()] {
            assert!(!text.contains(&secret), "{alg}");
        }
    }
}

async fn a_secret_is_never_published(app: TestApp) {
    assert_eq!(published(&app).await, json!({ "keys": [] }));
    rotate(&app);
    catch_up(&app).await;
    assert_eq!(app.state.accounts.tokens.list().len(), 2);
    assert_eq!(published(&app).await, json!({ "keys": [] }));
}

const VERIFY: &str = "\
import json, sys, jwt
given = json.load(sys.stdin)
kid = jwt.get_unverified_header(given['token'])['kid']
key = given.get('secret') or jwt.PyJWKSet.from_dict(given['jwks'])[kid].key
claims = jwt.decode(given['token'], key, algorithms=[given['alg']], audience='inkpot', issuer='inkpot', leeway=30,
                    options={'require': ['exp', 'iat', 'sub', 'jti']})
print(json.dumps(claims))
";

/// Verifies with `PyJWT`, which knows nothing of us; gives the claims.
fn python_verifies(given: &Value) -> Option<Result<Value, String>> {
    python::run(VERIFY, given)
}

async fn python_verifies_by_what_is_published(app: TestApp) {
    app.user("ann").await;
    let mut app = app;
    for alg in ALGORITHMS {
        app = restarted(app, alg).await;
        let token = login(&app).await;
        let mut given = json!({ "token": token, "alg": alg, "jwks": published(&app).await });
        if alg == "HS256" {
            given["secret"] = json!(SECRET);
        }
        let Some(verified) = python_verifies(&given) else {
            return;
        };
        assert_eq!(verified.unwrap(), parts(&token).claims);
        let pieces: Vec<&str> = token.split('.').collect();
        let mut claims = parts(&token).claims;
        claims["sub"] = json!("2");
        let edited = format!("{}.{}.{}", pieces[0], b64(claims.to_string()), pieces[2]);
        given["token"] = json!(edited);
        let why = python_verifies(&given).unwrap().unwrap_err();
        assert!(why.contains("InvalidSignatureError"), "{why}");
    }
}

/// Runs `inkpot keys …` as the operator of `alg` does; gives what it prints.
fn command_line(database: &TestDatabase, alg: &str, arguments: &[&str]) -> Result<String, String> {
    let mut command = inkpot(database.directory.path());
    command
        .env("DATABASE_URL", database.url())
        .env("INKPOT_JWT_SECRET", SECRET)
        .env("INKPOT_JWT_ALG", alg)
        .arg("keys")
        .args(arguments);
    let ended = output(&mut command);
    let (out, errors) = (
        String::from_utf8(ended.stdout).unwrap(),
        String::from_utf8(ended.stderr).unwrap(),
    );
    if ended.status.success() {
        Ok(out)
    } else {
        Err(errors)
    }
}

/// A server's new token for a user who is there.
fn login_at(server: &Process) -> String {
    let body = json!({ "account": "ann@example.org", "password": PASSWORD });
    let json = "Content-Type: application/json\r\n";
    let (status, answer) = server.call("POST", "/user/login", json, &body.to_string());
    assert_eq!(status, 200, "{answer}");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    answer["token"].as_str().unwrap().to_owned()
}

fn processes_take_over_a_new_key(backend: Backend, alg: &str) {
    let Some(database) = TestDatabase::create(backend) else {
        return;
    };
    let start = || {
        let mut command = inkpot(database.directory.path());
        command
            .env("DATABASE_URL", database.url())
            .env("INKPOT_JWT_SECRET", SECRET)
            .env("INKPOT_JWT_ALG", alg);
        Process::start(&mut command)
    };
    // At once: with an asymmetric algorithm one of them makes the first key.
    let (one, two) = std::thread::scope(|scope| {
        let one = scope.spawn(start);
        (start(), one.join().unwrap())
    });
    let body = json!({ "email": "ann@example.org", "name": "ann", "password": PASSWORD });
    let json = "Content-Type: application/json\r\n";
    let (status, answer) = one.call("POST", "/user/reg", json, &body.to_string());
    assert_eq!(status, 201, "{answer}");

    let mut tokens = vec![login_at(&one), login_at(&two)];
    assert_eq!(kid(&tokens[0]), kid(&tokens[1]));
    let made = command_line(&database, alg, &["rotate", "--now"]).unwrap();
    let words: Vec<&str> = made.split_whitespace().collect();
    let (new, activates) = (words[1], words[5]);
    assert_eq!(made, format!("made {new} {alg}, signs from {activates}\n"));
    let deadline = DateTime::parse_from_rfc3339(activates).unwrap().to_utc() + Duration::seconds(1);
    let mut is_new = [false; 2];
    while is_new != [true; 2] {
        for (n, server) in [&one, &two].into_iter().enumerate() {
            let begun = Utc::now();
            let token = login_at(server);
            is_new[n] = kid(&token) == new;
            assert!(is_new[n] || begun < deadline, "it does not sign with {new}");
            tokens.push(token);
        }
        // The first and the latest of each, everywhere: no live token is refused.
        for token in tokens[..2].iter().chain(&tokens[tokens.len() - 2..]) {
            for server in [&one, &two] {
                let header = format!("JWT: {token}\r\n");
                assert_eq!(server.call("GET", "/user/me", &header, "").0, 200);
            }
        }
        std::thread::yield_now();
    }
}

#[test]
fn two_processes_on_mysql_take_over_a_new_secret_key() {
    processes_take_over_a_new_key(Backend::Mysql, "HS256");
}

#[test]
fn two_processes_on_mysql_take_over_a_new_public_key() {
    processes_take_over_a_new_key(Backend::Mysql, "EdDSA");
}

#[test]
fn two_processes_on_sqlite_take_over_a_new_public_key() {
    processes_take_over_a_new_key(Backend::Sqlite, "ES256");
}

#[test]
fn the_command_line_tells_keys_and_no_secrets() {
    for backend in [Backend::Sqlite, Backend::Mysql] {
        let Some(database) = TestDatabase::create(backend) else {
            continue;
        };
        let list = || command_line(&database, "HS256", &["list"]).unwrap();
        let first = list();
        assert!(
            first.ends_with(" HS256 signs, INKPOT_JWT_SECRET\n") && first.lines().count() == 1,
            "{first}"
        );
        let made = command_line(&database, "HS256", &["rotate"]).unwrap();
        let stored = made.split_whitespace().nth(1).unwrap();
        let second = list();
        let lines: Vec<&str> = second.lines().collect();
        assert_eq!(lines[0], first.trim_end());
        assert!(lines[1].starts_with(&format!("{stored} HS256 next, signs from 2")));
        assert!(lines[1].contains(", created 2"), "{second}");
        let activates = DateTime::parse_from_rfc3339(made.split_whitespace().nth(5).unwrap());
        let lead = activates.unwrap().to_utc() - Utc::now();
        assert!(
            lead > Duration::minutes(9) && lead <= Duration::minutes(10),
            "{made}"
        );
        let retired = command_line(&database, "HS256", &["retire", stored]).unwrap();
        assert_eq!(retired, format!("retired {stored}\n"));
        assert!(list().contains(" HS256 verifies until 2"));
        let sealed: String = database.with(|conn| {
            let column = signing_key::table.select(signing_key::sealed);
            column.first(conn).unwrap()
        });
        for hidden in [SECRET, &sealed] {
            assert!(!second.contains(hidden) && !made.contains(hidden));
        }
        let secret = first.split_whitespace().next().unwrap();
        for (kid, says) in [
            (stored, "retired already"),
            (secret, "take it from the list instead"),
            ("-x", "there is no signing key -x"),
        ] {
            let why = command_line(&database, "HS256", &["retire", kid]).unwrap_err();
            assert!(why.starts_with("inkpot: ") && why.contains(says), "{why}");
        }
        let empty = TestDatabase::create_empty(backend, false).unwrap();
        let why = command_line(&empty, "HS256", &["list"]).unwrap_err();
        assert!(why.contains("lacks migrations"), "{why}");
    }
}
