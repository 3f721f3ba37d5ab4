//! One mailbox and one number are one account, whatever they are written like; and what
//! registration takes, login and mail take.

use actix_web::http::Method;
use diesel::prelude::*;
use inkpot::accounts::types::{Account, Email};
use inkpot::core::db::schema::user;
use inkpot::core::settings::messages;
use lettre::address::Envelope;
use lettre::message::Mailbox;
use serde_json::{Value, json};

use crate::harness::{Answer, PASSWORD, TestApp, on_both_databases};

on_both_databases![
    one_mailbox_is_one_account,
    addresses_of_all_scripts_register_log_in_and_get_mail,
    what_no_mail_can_reach_is_refused,
    numbers_are_shown_as_they_are_called,
    what_is_pasted_is_taken,
    who_registered_with_an_earlier_version_still_logs_in,
    a_number_that_no_country_has_stays_with_who_has_it,
    names_titles_and_tags_that_nobody_sees_are_empty,
];

async fn register(app: &TestApp, email: &str, mobile: Option<&str>) -> Answer {
    let body = json!({ "email": email, "name": "Ann", "password": PASSWORD, "mobile": mobile });
    post(app, "/user/reg", body).await
}

async fn login(app: &TestApp, account: &str) -> Answer {
    let body = json!({ "account": account, "password": PASSWORD });
    post(app, "/user/login", body).await
}

/// Bodies that are more than the description promises to take.
async fn post(app: &TestApp, path: &str, body: Value) -> Answer {
    let request = app.anonymous().request(Method::POST, path).set_json(&body);
    app.send(request).await
}

async fn one_mailbox_is_one_account(app: TestApp) {
    for all in [
        &[
            "bob@bücher.example",
            "bob@xn--bcher-kva.example",
            "Bob@BÜCHER.example",
            "\"bob\"@bücher.example",
        ][..],
        &["cat@x.example", "\"cat\"@x.example", "\"c\\at\"@X.example"],
        &["\"a,b\"@x.example", "\"a\\,b\"@x.example"],
    ] {
        register(&app, all[0], None).await.expect(201);
        for other in all {
            register(&app, other, None).await.problem("email_taken");
            login(&app, other).await.expect(200);
        }
    }
    let ann = app.user("ann").await;
    let change = json!({ "email": "cat@X.EXAMPLE", "current_password": PASSWORD });
    ann.patch("/user/me", change).await.problem("email_taken");
}

async fn addresses_of_all_scripts_register_log_in_and_get_mail(app: TestApp) {
    for (address, to) in [
        ("संपर्क@डाटामेल.भारत", "संपर्क@xn--c2bd4bq1db8d.xn--h2brj9c"),
        ("ติดต่อ@ตัวอย่าง.ไทย", "ติดต่อ@xn--72c1a1bt4awk9o.xn--o3cw4h"),
        ("தொடர்பு@example.org", "தொடர்பு@example.org"),
        ("İsmail@example.org", "İsmail@example.org"),
        ("\"a,b\"@x.example", "\"a,b\"@x.example"),
        ("o'neil+tag/x@x.example", "o'neil+tag/x@x.example"),
    ] {
        let answer = register(&app, address, None).await.expect(201);
        login(&app, address).await.expect(200);
        login(&app, answer["userinfo"]["email"].as_str().unwrap())
            .await
            .expect(200);
        let client = app.client_of(&answer);
        let order = json!({ "channel": "email" });
        client.post("/user/me/verify/send", order).await.expect(202);
        app.work().await;
        let sent = app.outbox().pop().unwrap();
        assert!(sent.file.contains(to) || sent.to == to, "{}", sent.file);
        let body = json!({ "channel": "email", "code": sent.code() });
        client.post("/user/me/verify", body).await.expect(200);
    }
}

async fn what_no_mail_can_reach_is_refused(app: TestApp) {
    for address in [
        "ann@exa!mple.org",
        "ann@exa/mple.org",
        "ann@example.123",
        "ann@192.0.2.1",
        "dan\u{3164}@x.example",
        "dan\u{200b}@x.example",
        "dan\u{fe0f}@x.example",
        "\"a b\"@x.example",
    ] {
        register(&app, address, None)
            .await
            .faults(&[("/email", "email_invalid")]);
    }
    for number in [
        "+44 020 7946 0018",
        "0612345678",
        "+31 6 1234",
        "+31 6 (0",
        // None of its country's, and a country that there is not.
        "+31 6 1234 56789",
        "+1 121 555 0123",
        "+999 1234 5678",
    ] {
        register(&app, "ann@example.org", Some(number))
            .await
            .faults(&[("/mobile", "mobile_invalid")]);
    }
}

async fn numbers_are_shown_as_they_are_called(app: TestApp) {
    for (n, (typed, number)) in [
        ("+44 (0)20 7946 0018", "+442079460018"),
        ("\u{202d}+31 6 1234\u{2011}5678\u{202c}", "+31612345678"),
        ("＋３１６１２３４５６７９", "+31612345679"),
        ("0031\u{a0}6\u{a0}12345670", "+31612345670"),
        ("+39 06 698 1234", "+39066981234"),
        ("+39 (0)6 698 1235", "+39066981235"),
    ]
    .into_iter()
    .enumerate()
    {
        let email = format!("user{n}@example.org");
        let answer = register(&app, &email, Some(typed)).await.expect(201);
        assert_eq!(answer["userinfo"]["mobile"], number);
        login(&app, typed).await.expect(200);
        login(&app, number).await.expect(200);
        register(&app, "other@example.org", Some(typed))
            .await
            .problem("mobile_taken");
    }
}

async fn what_is_pasted_is_taken(app: TestApp) {
    let answer = register(&app, "\tann@example.org\r\n", Some(" +31612345678\n")).await;
    let answer = answer.expect(201);
    assert_eq!(answer["userinfo"]["email"], "ann@example.org");
    login(&app, "ann@example.org\n").await.expect(200);
    let ann = app.client_of(&answer);
    let order = json!({ "channel": "email" });
    ann.post("/user/me/verify/send", order).await.expect(202);
    app.work().await;
    let code = app.outbox().pop().unwrap().code();
    let spaced = format!("{} {}\n", &code[..3], &code[3..]);
    let body = json!({ "channel": "email", "code": spaced });
    let request = ann.request(Method::POST, "/user/me/verify").set_json(&body);
    app.send(request).await.expect(200);
    // Within it a line end is none.
    register(&app, "ann@exam\nple.org", None)
        .await
        .faults(&[("/email", "control_character")]);
}

async fn who_registered_with_an_earlier_version_still_logs_in(app: TestApp) {
    let mut ids = Vec::new();
    for (n, (email, key, mobile, mobile_key)) in [
        (
            "bob@bücher.example",
            "bob@bücher.example",
            "+44 (0)20 7946 0018",
            "+4402079460018",
        ),
        (
            "\"cat\"@x.example",
            "\"cat\"@x.example",
            "+44 020 7946 0019",
            "+4402079460019",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let id = app.user(&format!("old{n}")).await.user_id;
        app.database.with(move |conn| {
            diesel::update(user::table.find(id))
                .set((
                    user::email.eq(email),
                    user::email_key.eq(key),
                    user::mobile.eq(mobile),
                    user::mobile_key.eq(mobile_key),
                ))
                .execute(conn)
                .unwrap();
        });
        ids.push(id);
        for account in [email, mobile] {
            let answer = login(&app, account).await.expect(200);
            assert_eq!(answer["userinfo"]["user_id"], id, "{account}");
        }
    }
    for (other, id) in [
        ("bob@xn--bcher-kva.example", ids[0]),
        ("cat@x.example", ids[1]),
    ] {
        register(&app, other, None).await.problem("email_taken");
        let answer = login(&app, other).await.expect(200);
        assert_eq!(answer["userinfo"]["user_id"], id);
    }
    register(&app, "new@example.org", Some("+442079460018"))
        .await
        .problem("mobile_taken");
    // Their own is no other's.
    let answer = login(&app, "bob@bücher.example").await.expect(200);
    assert_eq!(answer["userinfo"]["mobile"], "+442079460018");
    let bob = app.client_of(&answer);
    let change = json!({ "email": "bob@xn--bcher-kva.example", "current_password": PASSWORD });
    bob.patch("/user/me", change).await.expect(200);
    login(&app, "bob@bücher.example").await.expect(200);
    let order = json!({ "channel": "mobile" });
    bob.post("/user/me/verify/send", order).await.expect(202);
    app.work().await;
    let sent = app.outbox().pop().unwrap();
    assert_eq!(sent.to, "+442079460018");
    let body = json!({ "channel": "mobile", "code": sent.code() });
    bob.post("/user/me/verify", body).await.expect(200);
}

/// Earlier versions took whatever has the form of a number.
async fn a_number_that_no_country_has_stays_with_who_has_it(app: TestApp) {
    let (ann, root) = (app.user("ann").await, app.admin("root").await);
    let (id, number) = (ann.user_id, "+31600000000");
    app.database.with(move |conn| {
        diesel::update(user::table.find(id))
            .set((user::mobile.eq(number), user::mobile_key.eq(number)))
            .execute(conn)
            .unwrap();
    });
    for account in [number, "0031 (0)6 0000 0000"] {
        let answer = login(&app, account).await.expect(200);
        assert_eq!(answer["userinfo"]["user_id"], id, "{account}");
        assert_eq!(answer["userinfo"]["mobile"], number);
    }
    let order = json!({ "channel": "mobile" });
    ann.post("/user/me/verify/send", order).await.expect(202);
    app.work().await;
    let code = app.outbox().pop().unwrap().code();
    let body = json!({ "channel": "mobile", "code": code });
    ann.post("/user/me/verify", body).await.expect(200);
    let account = json!({ "account": number });
    app.anonymous()
        .post("/user/password/forgot", account)
        .await
        .expect(202);
    app.work().await;
    assert_eq!(app.outbox().pop().unwrap().to, number);
    // What does not change is not judged.
    let same = json!({ "name": "Ann Smith", "mobile": "+31 6 0000 0000" });
    let request = ann.request(Method::PATCH, "/user/me").set_json(&same);
    let answer = app.send(request).await.expect(200);
    assert_eq!(answer["userinfo"]["mobile"], number);
    assert_eq!(answer["userinfo"]["mobile_verified"], true);
    let other = json!({ "mobile": "+31600000001", "current_password": PASSWORD });
    ann.patch("/user/me", other)
        .await
        .faults(&[("/mobile", "mobile_invalid")]);
    let body = json!({ "email": "new@example.org", "name": "New", "mobile": number });
    root.post("/user/", body)
        .await
        .faults(&[("/mobile", "mobile_invalid")]);
}

async fn names_titles_and_tags_that_nobody_sees_are_empty(app: TestApp) {
    let ann = app.user("ann").await;
    for empty in [
        "\u{200b}",
        "\u{3164}",
        "\u{2800}",
        "\u{ad}",
        "\u{200e}",
        "\u{fe0f}",
        "\u{e0100}",
        "\u{301}",
    ] {
        let body = json!({ "email": "x@example.org", "name": empty, "password": PASSWORD });
        post(&app, "/user/reg", body)
            .await
            .faults(&[("/name", "name_empty")]);
        let send = async |method: Method, path: &str, body: Value| {
            app.send(ann.request(method, path).set_json(&body)).await
        };
        send(Method::PATCH, "/user/me", json!({ "name": empty }))
            .await
            .faults(&[("/name", "name_empty")]);
        let body = json!({ "title": empty, "content": "x" });
        send(Method::POST, "/post/pub", body)
            .await
            .faults(&[("/title", "title_empty")]);
        let body = json!({ "title": "x", "content": "x", "tags": [empty] });
        send(Method::POST, "/post/pub", body)
            .await
            .faults(&[("/tags/0", "tag_empty")]);
    }
    let body = json!({ "title": "a\u{202e}b", "content": "x", "tags": ["a\u{202e}b"] });
    let request = ann.request(Method::POST, "/post/pub").set_json(&body);
    app.send(request).await.faults(&[
        ("/title", "control_character"),
        ("/tags/0", "control_character"),
    ]);
}

/// Parts of addresses, good and bad, of which the test makes many.
const LOCALS: [&str; 24] = [
    "ann",
    "Ann.Smith",
    "a+b",
    "\"ann\"",
    "\"a,b\"",
    "\"a b\"",
    "\"a\\\"b\"",
    "o'neil",
    "a..b",
    ".a",
    "a.",
    "संपर्क",
    "İsmail",
    "ß",
    "ﬁ",
    "ﬀ.x",
    "中文",
    "a\u{301}",
    "\u{301}a",
    "Å",
    "K",
    "ſ",
    "a{b}|c",
    "a\u{200d}b",
];
const DOMAINS: [&str; 22] = [
    "example.org",
    "EXAMPLE.org",
    "bücher.example",
    "xn--bcher-kva.example",
    "faß.example",
    "ﬁsh.example",
    "例子.广告",
    "डाटामेल.भारत",
    "a-b.example",
    "-a.example",
    "a_b.example",
    "exa!mple.org",
    "x/y.org",
    "example.1",
    "example",
    "example.org.",
    "a..b",
    "[127.0.0.1]",
    "mañana。example",
    "ΒΣΣ.example",
    "a\u{200d}b.example",
    "x.xn--p1ai",
];

#[test]
fn what_registration_takes_login_and_mail_take() {
    let mut taken = 0;
    for local in LOCALS {
        for domain in DOMAINS {
            for (before, after) in [("", ""), (" ", "\u{a0}")] {
                let text = format!("{before}{local}@{domain}{after}");
                let Ok(email) = Email::parse(&text) else {
                    // What is refused is nobody's address at the login either.
                    assert!(!matches!(Account::of(&text), Account::Email(_)), "{text}");
                    continue;
                };
                taken += 1;
                let upper = email.text.to_ascii_uppercase();
                for spelling in [&text, &email.text, &email.key, &upper] {
                    let expected = Account::Email(email.key.clone());
                    assert_eq!(Account::of(spelling), expected, "{text}: {spelling}");
                }
                let to = messages::address(&email.text).unwrap();
                assert!(
                    to.to_string()
                        .ends_with(&email.key[email.key.rfind('@').unwrap()..])
                );
                let mail = lettre::Message::builder()
                    .from(Mailbox::new(None, "blog@example.org".parse().unwrap()))
                    .to(Mailbox::new(None, to.clone()))
                    .envelope(Envelope::new(None, vec![to.clone()]).unwrap())
                    .body(String::new())
                    .unwrap();
                assert_eq!(mail.envelope().to(), [to], "{text}");
                assert!(!mail.formatted().is_empty());
            }
        }
    }
    assert!(taken > 200, "{taken}");
}
