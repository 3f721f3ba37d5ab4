//! Messages on their way to real servers, and what becomes of them when those fail.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use chrono::{NaiveDate, NaiveDateTime};
use clap::Parser;
use inkpot::cli::args::Cli;
use inkpot::core::settings::public_url::PublicUrl;
use inkpot::notify::{Failure, Language, Message, Notifier, Origin, Timeouts};

use crate::harness::sinks::Sinks;

const FROM: &str = "Inkpot <blog@example.org>";
const TO: &str = "ann@example.net";
const MOBILE: &str = "+31612345678";
const CODE: &str = "481516";

/// One with these options.
fn notifier_within(timeouts: Timeouts, flags: &[&str]) -> Notifier {
    let settings = Cli::parse_from(["inkpot"].iter().chain(flags)).settings;
    let public_url = PublicUrl::parse("https://blog.example.org").unwrap();
    Notifier::with_timeouts(&settings, public_url, timeouts).unwrap()
}

fn notifier(flags: &[&str]) -> Notifier {
    notifier_within(Timeouts::default(), flags)
}

/// One that sends mails there.
fn mailer(url: &str) -> Notifier {
    notifier(&["--smtp-url", url, "--mail-from", FROM])
}

fn created() -> NaiveDateTime {
    NaiveDate::from_ymd_opt(2026, 11, 21)
        .unwrap()
        .and_hms_micro_opt(9, 30, 59, 123_456)
        .unwrap()
}

fn origin(job_id: i64) -> Origin {
    Origin {
        job_id,
        created: created(),
    }
}

fn code() -> Message {
    Message::VerifyEmail {
        code: CODE.to_owned(),
    }
}

async fn mail(notifier: &Notifier, job_id: i64) -> Result<(), Failure> {
    notifier
        .mail(TO, &code(), Language::English, &origin(job_id))
        .await
}

async fn text(notifier: &Notifier, job_id: i64) -> Result<(), Failure> {
    let message = Message::VerifyMobile {
        code: CODE.to_owned(),
    };
    notifier
        .sms(MOBILE, &message, Language::English, &origin(job_id))
        .await
}

/// Sees that it may succeed later; gives what is said.
#[track_caller]
fn transient(done: Result<(), Failure>) -> String {
    match done {
        Err(Failure::Transient(why)) => checked(why),
        other => panic!("{other:?}"),
    }
}

/// Sees that it never will; gives what is said.
#[track_caller]
fn permanent(done: Result<(), Failure>) -> String {
    match done {
        Err(Failure::Permanent(why)) => checked(why),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn checked(why: String) -> String {
    for hidden in ["hunter22", "postman", CODE, TO, MOBILE] {
        assert!(!why.contains(hidden), "{why}");
    }
    assert!(!why.is_empty() && why.chars().count() <= 300, "{why}");
    assert!(!why.contains(char::is_control), "{why}");
    why
}

#[actix_web::test]
async fn mails_arrive_as_text_and_html_in_both_languages() {
    let Some(sinks) = Sinks::start() else { return };
    let notifier = mailer(&sinks.smtp_url());
    let at = created();
    for (language, subject, says) in [
        (
            Language::English,
            "Your password was changed",
            "2026-11-21 at 09:30 UTC",
        ),
        (
            Language::Chinese,
            "您的密码已修改",
            "2026-11-21 09:30（UTC）",
        ),
    ] {
        let message = Message::PasswordChanged { at };
        let job = origin(i64::from(language == Language::Chinese));
        notifier.mail(TO, &message, language, &job).await.unwrap();
        let count = usize::try_from(job.job_id).unwrap() + 1;
        sinks.wait_until(|sinks| sinks.mails().len() == count);
        let mail = sinks.mails().pop().unwrap();
        assert_eq!(mail.subject, subject);
        assert!(mail.text.contains(says), "{}", mail.text);
        assert!(mail.html.contains(says), "{}", mail.html);
        assert!(mail.text.contains("https://blog.example.org/"));
        assert!(mail.html.contains("<a href=\"https://blog.example.org/\">"));
        let lang = format!("<html lang=\"{}\">", language.tag());
        assert!(mail.html.contains(&lang));
    }
}

#[actix_web::test]
async fn a_mail_says_what_it_is_and_a_repeat_that_it_is_one() {
    let Some(sinks) = Sinks::start() else { return };
    let notifier = mailer(&sinks.smtp_url());
    for job_id in [7, 7, 8] {
        mail(&notifier, job_id).await.unwrap();
    }
    sinks.wait_until(|sinks| sinks.mails().len() == 3);
    let mails = sinks.mails();
    let mail = &mails[0];
    assert_eq!(mail.to, TO);
    assert_eq!(mail.from, "blog@example.org");
    assert_eq!(mail.hello, "blog.example.org");
    assert_eq!(mail.message_id, "<inkpot-7-1795253459123456@example.org>");
    for (name, value) in [
        ("from", FROM),
        ("to", TO),
        ("date", "Sat, 21 Nov 2026 09:30:59 +0000"),
        ("auto-submitted", "auto-generated"),
        ("mime-version", "1.0"),
    ] {
        assert_eq!(mail.headers[name], value, "{name}");
    }
    assert!(mail.headers["content-type"].starts_with("multipart/alternative"));
    assert!(mail.text.lines().any(|line| line == CODE), "{}", mail.text);
    assert!(!mail.subject.contains(CODE));
    assert!(mails.is_sorted_by(|one, next| one.at <= next.at));
    assert_eq!(mails[1].message_id, mail.message_id);
    assert_ne!(mails[2].message_id, mail.message_id);
    assert!(
        mails
            .iter()
            .all(|other| other.connection == mail.connection),
        "one connection does for all"
    );
}

#[actix_web::test]
async fn a_server_may_ask_for_a_login() {
    let Some(sinks) = Sinks::start() else { return };
    let url = |start| sinks.mail_url(start, "login");
    mail(&mailer(&url("smtp://postman:hunter22@")), 1)
        .await
        .unwrap();
    sinks.wait_until(|sinks| sinks.mails().len() == 1);
    assert!(sinks.mails()[0].is_authenticated);
    let why = transient(mail(&mailer(&url("smtp://postman:wrong@")), 2).await);
    assert!(why.contains("535"), "{why}");
    let why = transient(mail(&mailer(&url("smtp://")), 3).await);
    assert!(why.contains("530"), "{why}");
    // A password for a server that does not ask for one.
    let plain = sinks.mail_url("smtp://postman:hunter22@", "smtp");
    transient(mail(&mailer(&plain), 4).await);
    assert_eq!(sinks.mails().len(), 1);
}

#[actix_web::test]
async fn starttls_is_required_where_it_is_said() {
    let Some(sinks) = Sinks::start() else { return };
    let url = sinks.mail_url("smtp://postman:hunter22@", "starttls");
    let required = format!("{url}?tls=required");
    let ca = sinks.ca_file();
    let trusting = |url: &str| {
        notifier(&[
            "--smtp-url",
            url,
            "--mail-from",
            FROM,
            "--ca-file",
            ca.to_str().unwrap(),
        ])
    };
    mail(&trusting(&required), 1).await.unwrap();
    // On this machine nobody has to know the authority.
    mail(&mailer(&url), 2).await.unwrap();
    sinks.wait_until(|sinks| sinks.mails().len() == 2);
    assert!(
        sinks
            .mails()
            .iter()
            .all(|mail| mail.is_encrypted && mail.is_authenticated)
    );
    let why = transient(mail(&mailer(&required), 3).await);
    assert!(why.to_lowercase().contains("certificate"), "{why}");
    let absent = format!("{}?tls=required", sinks.smtp_url());
    let why = transient(mail(&trusting(&absent), 4).await);
    assert!(why.contains("STARTTLS"), "{why}");
    assert_eq!(sinks.mails().len(), 2);
}

#[actix_web::test]
async fn tls_from_the_first_byte_needs_a_known_authority() {
    let Some(sinks) = Sinks::start() else { return };
    let (smtps, smss) = (sinks.mail_url("smtps://", "smtps"), sinks.smss_url());
    let ca = sinks.ca_file();
    let flags = [
        "--smtp-url",
        &smtps,
        "--mail-from",
        FROM,
        "--sms-url",
        &smss,
        "--ca-file",
        ca.to_str().unwrap(),
    ];
    let trusting = notifier(&flags);
    mail(&trusting, 1).await.unwrap();
    text(&trusting, 1).await.unwrap();
    sinks.wait_until(|sinks| sinks.mails().len() == 1 && sinks.texts().len() == 1);
    assert!(sinks.mails()[0].is_encrypted);
    let wary = notifier(&flags[..6]);
    for why in [
        transient(mail(&wary, 2).await),
        transient(text(&wary, 2).await),
    ] {
        assert!(why.to_lowercase().contains("certificate"), "{why}");
    }
    assert_eq!((sinks.mails().len(), sinks.texts().len()), (1, 1));
}

#[actix_web::test]
async fn a_refusal_is_for_now_or_for_good_and_tells_nothing() {
    let Some(sinks) = Sinks::start() else { return };
    let notifier = mailer(&sinks.mail_url("smtp://postman:hunter22@", "login"));
    sinks.switch("mail refuse4");
    let why = transient(mail(&notifier, 1).await);
    assert!(why.contains("451") && why.contains("not now"), "{why}");
    sinks.switch("mail refuse5");
    let why = permanent(mail(&notifier, 1).await);
    assert!(why.contains("550") && why.contains("no such"), "{why}");
    sinks.switch("mail echo");
    let why = permanent(mail(&notifier, 1).await);
    assert!(why.contains("AUTH PLAIN ***"), "{why}");
    sinks.switch("mail ok");
    let abroad = notifier
        .mail("\u{f6}@example.net", &code(), Language::English, &origin(2))
        .await;
    let why = permanent(abroad);
    assert!(why.contains("ASCII"), "{why}");
    mail(&notifier, 3).await.unwrap();
    sinks.wait_until(|sinks| sinks.mails().len() == 1);
}

#[actix_web::test]
async fn silence_has_an_end() {
    let Some(sinks) = Sinks::start() else { return };
    let short = Duration::from_millis(300);
    let impatient = Timeouts {
        connect: short,
        command: short,
        text: short,
        ..Timeouts::default()
    };
    let (smtp, sms) = (sinks.smtp_url(), sinks.sms_url());
    let flags = ["--smtp-url", &smtp, "--mail-from", FROM, "--sms-url", &sms];
    let slow = notifier_within(impatient, &flags);
    sinks.switch("mail hang");
    sinks.switch("sms hang");
    let why = transient(mail(&slow, 1).await);
    assert!(why.contains("within 300ms"), "{why}");
    let why = transient(text(&slow, 1).await);
    assert!(why.contains("in time"), "{why}");
    // With a connection that was good.
    sinks.switch("mail ok");
    let slow = notifier_within(
        Timeouts {
            content: Duration::from_secs(2),
            ..Timeouts::default()
        },
        &flags,
    );
    mail(&slow, 2).await.unwrap();
    sinks.switch("mail delay 3600");
    let why = transient(mail(&slow, 3).await);
    assert!(why.contains("no answer within 2s"), "{why}");
    sinks.switch("mail ok");
    mail(&slow, 4).await.unwrap();
    sinks.wait_until(|sinks| sinks.mails().len() == 2);
}

#[actix_web::test]
async fn a_mail_that_is_given_up_leaves_nothing_to_the_next() {
    let Some(sinks) = Sinks::start() else { return };
    let notifier = mailer(&sinks.smtp_url());
    mail(&notifier, 1).await.unwrap();
    sinks.switch("mail delay 1");
    let given_up = tokio::time::timeout(Duration::from_millis(300), mail(&notifier, 2)).await;
    assert!(given_up.is_err(), "{given_up:?}");
    sinks.switch("mail refuse5");
    permanent(mail(&notifier, 3).await);
    sinks.switch("mail ok");
    mail(&notifier, 4).await.unwrap();
    let is_there = |sinks: &Sinks, job: &str| {
        let start = format!("<inkpot-{job}-");
        sinks
            .mails()
            .iter()
            .any(|mail| mail.message_id.starts_with(&start))
    };
    sinks.wait_until(|sinks| is_there(sinks, "4"));
    assert!(!is_there(&sinks, "3"));
}

#[actix_web::test]
async fn a_connection_that_went_stale_is_replaced() {
    let Some(sinks) = Sinks::start() else { return };
    let notifier = mailer(&sinks.smtp_url());
    sinks.switch("mail close");
    for job_id in 1..=3 {
        mail(&notifier, job_id).await.unwrap();
    }
    sinks.wait_until(|sinks| sinks.mails().len() == 3);
    let mut connections: Vec<u64> = sinks.mails().iter().map(|mail| mail.connection).collect();
    connections.dedup();
    assert_eq!(connections.len(), 3);
}

#[actix_web::test]
async fn a_connection_is_not_kept_for_ever() {
    let Some(sinks) = Sinks::start() else { return };
    let timeouts = Timeouts {
        idle: Duration::ZERO,
        ..Timeouts::default()
    };
    let url = sinks.smtp_url();
    let notifier = notifier_within(timeouts, &["--smtp-url", &url, "--mail-from", FROM]);
    for job_id in 1..=2 {
        mail(&notifier, job_id).await.unwrap();
    }
    sinks.wait_until(|sinks| sinks.mails().len() == 2);
    let mails = sinks.mails();
    assert_ne!(mails[0].connection, mails[1].connection);
}

#[actix_web::test]
async fn what_is_sent_again_until_it_is_taken_arrives() {
    let Some(sinks) = Sinks::start() else { return };
    let (smtp, sms) = (sinks.smtp_url(), sinks.sms_url());
    let notifier = notifier(&["--smtp-url", &smtp, "--mail-from", FROM, "--sms-url", &sms]);
    sinks.switch("mail drophalf");
    sinks.switch("sms drophalf");
    let mut failed = 0;
    for job_id in 1..=20 {
        while let done @ Err(_) = mail(&notifier, job_id).await {
            transient(done);
            failed += 1;
            assert!(failed <= 80, "every second one is let alone");
        }
        while let done @ Err(_) = text(&notifier, job_id).await {
            transient(done);
            failed += 1;
            assert!(failed <= 80, "every second one is let alone");
        }
    }
    assert!(failed > 0);
    sinks.wait_until(|sinks| {
        let mails = sinks.mails();
        let texts = sinks.texts();
        (1..=20).all(|job| {
            let key = format!("inkpot-{job}-1795253459123456");
            let id = format!("<{key}@example.org>");
            mails.iter().any(|mail| mail.message_id == id)
                && texts.iter().any(|text| text.idempotency_key == key)
        })
    });
}

#[actix_web::test]
async fn a_text_message_is_posted() {
    let Some(sinks) = Sinks::start() else { return };
    let url = format!("{}?from=inkpot", sinks.sms_url());
    let known = notifier(&["--sms-url", &url, "--sms-token", "hunter22"]);
    text(&known, 7).await.unwrap();
    let message = Message::ResetPassword {
        code: CODE.to_owned(),
    };
    notifier(&["--sms-url", &url])
        .sms(MOBILE, &message, Language::Chinese, &origin(8))
        .await
        .unwrap();
    sinks.wait_until(|sinks| sinks.texts().len() == 2);
    let texts = sinks.texts();
    for (job_id, sent) in (7..).zip(&texts) {
        assert_eq!(sent.to, MOBILE);
        assert_eq!(sent.path, "/send?from=inkpot");
        assert_eq!(sent.content_type, "application/json");
        assert_eq!(
            sent.idempotency_key,
            format!("inkpot-{job_id}-1795253459123456")
        );
        assert!(sent.text.contains(CODE), "{}", sent.text);
    }
    assert!(texts[0].at <= texts[1].at);
    assert_eq!(texts[0].authorization.as_deref(), Some("Bearer hunter22"));
    assert_eq!(texts[1].authorization, None);
    assert!(texts[1].text.contains("重设密码"), "{}", texts[1].text);
}

#[actix_web::test]
async fn a_gateway_refuses_for_now_or_for_good() {
    let Some(sinks) = Sinks::start() else { return };
    let notifier = notifier(&["--sms-url", &sinks.sms_url(), "--sms-token", "hunter22"]);
    for status in ["500", "503", "429", "401", "404"] {
        sinks.switch(&format!("sms {status}"));
        let why = transient(text(&notifier, 1).await);
        assert!(why.contains(status), "{why}");
    }
    sinks.switch("sms 422");
    assert!(permanent(text(&notifier, 1).await).contains("422"));
    sinks.switch("sms redirect");
    let why = permanent(text(&notifier, 1).await);
    assert!(why.contains("302") && why.contains("redirect"), "{why}");
    sinks.switch("sms ok");
    text(&notifier, 2).await.unwrap();
    sinks.wait_until(|sinks| !sinks.texts().is_empty());
    assert_eq!(sinks.texts().len(), 1, "nothing went elsewhere");
}

#[actix_web::test]
async fn servers_that_are_away_may_come_back() {
    // Taken and closed again: nobody listens there.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let (smtp, sms) = (format!("smtp://{address}"), format!("http://{address}/"));
    let flags = ["--smtp-url", &smtp, "--mail-from", FROM, "--sms-url", &sms];
    let away = notifier(&flags);
    for why in [
        transient(mail(&away, 1).await),
        transient(text(&away, 1).await),
    ] {
        assert!(why.contains("refused"), "{why}");
    }
    let nowhere = notifier(&[
        "--smtp-url",
        "smtp://mail.invalid",
        "--mail-from",
        FROM,
        "--sms-url",
        "http://sms.invalid",
    ]);
    transient(mail(&nowhere, 1).await);
    transient(text(&nowhere, 1).await);
}

#[actix_web::test]
async fn without_servers_messages_are_files() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let flags = ["--data-dir", data.to_str().unwrap()];
    let notifier_of_files = notifier(&flags);
    for _ in 0..2 {
        mail(&notifier_of_files, 7).await.unwrap();
        text(&notifier_of_files, 8).await.unwrap();
    }
    let outbox = data.join("outbox");
    let mut names: Vec<_> = std::fs::read_dir(&outbox)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        ["20261121T093059-7.eml", "20261121T093059-8.sms.json"]
    );
    for name in &names {
        let mode = std::fs::metadata(outbox.join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let eml = std::fs::read_to_string(outbox.join(&names[0])).unwrap();
    for part in [
        "From: Inkpot <inkpot@localhost>\r\n",
        "To: ann@example.net\r\n",
        "Message-ID: <inkpot-7-1795253459123456@localhost>\r\n",
        "\r\n481516\r\n",
    ] {
        assert!(eml.contains(part), "{part:?} is not in {eml}");
    }
    let json = std::fs::read(outbox.join(&names[1])).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["to"], MOBILE);
    assert!(json["text"].as_str().unwrap().contains(CODE));

    let lines = notifier_of_files.describe();
    assert_eq!(lines.len(), 2, "{lines:?}");
    let path = outbox.to_str().unwrap();
    assert!(lines.iter().all(|line| line.contains(path)), "{lines:?}");

    std::fs::remove_dir_all(&outbox).unwrap();
    std::fs::write(&outbox, "in the way").unwrap();
    transient(mail(&notifier_of_files, 7).await);
    transient(text(&notifier_of_files, 8).await);
}

#[actix_web::test]
async fn the_operator_is_told_what_is_odd() {
    let url = "smtp://localhost";
    let of_files = notifier(&["--smtp-url", url, "--mail-from", FROM]).describe();
    assert_eq!(of_files.len(), 1, "{of_files:?}");
    assert!(of_files[0].starts_with("text messages go to files"));
    let sms = |url, token: &[&str]| {
        let flags = [&["--sms-url", url], token].concat();
        notifier(&flags).describe()[1..].to_vec()
    };
    let token = ["--sms-token", "hunter22"];
    assert!(sms("https://sms.example.org", &token).is_empty());
    assert!(sms("http://sms.example.org", &[]).is_empty());
    let open = sms("http://sms.example.org", &token);
    assert_eq!(open.len(), 1, "{open:?}");
    assert!(open[0].contains("unencrypted") && !open[0].contains("hunter22"));
}
