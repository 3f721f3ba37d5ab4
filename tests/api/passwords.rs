//! Passwords from end to end: what is stored, and what opens it.

use diesel::prelude::*;
use inkpot::core::db::schema::user;
use serde_json::json;

use crate::harness::{TestApp, on_both_databases, python};

on_both_databases![
    a_stored_hash_is_standard,
    nothing_of_a_long_password_is_cut_off,
    one_password_in_any_normal_form,
    python_and_we_verify_each_others_hashes,
];

async fn register(app: &TestApp, password: &str) -> String {
    let body = json!({ "email": "ann@example.org", "name": "Ann", "password": password });
    app.anonymous().post("/user/reg", body).await.expect(201);
    app.database
        .with(|conn| user::table.select(user::password).first(conn).unwrap())
}

async fn login(app: &TestApp, password: &str) -> u16 {
    let body = json!({ "account": "ann@example.org", "password": password });
    app.anonymous()
        .post("/user/login", body)
        .await
        .status
        .as_u16()
}

async fn a_stored_hash_is_standard(app: TestApp) {
    // 72 bytes, all of which bcrypt reads.
    let password = "kq7-wz".repeat(12);
    let record = register(&app, &password).await;
    assert!(
        record.starts_with("$2b$04$") && record.len() == 60,
        "{record}"
    );
    assert!(bcrypt::verify(&password, &record).unwrap());
    assert_eq!(login(&app, &password).await, 200);
    assert_eq!(login(&app, &password[..71]).await, 401);
    assert_eq!(login(&app, &format!("{password}x")).await, 401);
}

async fn nothing_of_a_long_password_is_cut_off(app: TestApp) {
    let password = "kq7-".repeat(256);
    let record = register(&app, &password).await;
    assert!(record.starts_with("hmac-sha384:$2b$04$"), "{record}");
    assert_eq!(login(&app, &password).await, 200);
    assert_eq!(login(&app, &password[..1023]).await, 401);
    assert_eq!(login(&app, &password[..72]).await, 401);
    assert_eq!(login(&app, &format!("{password}x")).await, 401);
}

async fn one_password_in_any_normal_form(app: TestApp) {
    register(&app, "h\u{e9}lices ﬁne").await;
    for spelling in ["he\u{301}lices fine", "ｈ\u{e9}lices ﬁne"] {
        assert_eq!(login(&app, spelling).await, 200, "{spelling}");
    }
    assert_eq!(login(&app, "helices fine").await, 401);
}

const BCRYPT: &str = "\
import bcrypt, json, sys
given = json.load(sys.stdin)
password = given['password'].encode()
print(json.dumps({
    'ours': bcrypt.checkpw(password, given['record'].encode()),
    'wrong': bcrypt.checkpw(b'wrong', given['record'].encode()),
    'theirs': bcrypt.hashpw(password, bcrypt.gensalt(4)).decode(),
}))
";

async fn python_and_we_verify_each_others_hashes(app: TestApp) {
    let password = "пирожок с капустой";
    let record = register(&app, password).await;
    let given = json!({ "password": password, "record": record });
    let Some(found) = python::run(BCRYPT, &given) else {
        return;
    };
    let found = found.unwrap();
    assert_eq!(
        (&found["ours"], &found["wrong"]),
        (&json!(true), &json!(false))
    );
    let theirs = found["theirs"].as_str().unwrap().to_owned();
    app.database.with(move |conn| {
        diesel::update(user::table)
            .set(user::password.eq(theirs))
            .execute(conn)
            .unwrap();
    });
    assert_eq!(login(&app, password).await, 200);
    assert_eq!(login(&app, "wrong and long").await, 401);
}
