use super::*;

#[test]
fn an_smtp_url_says_where_and_how() {
    let is = |text: &str, tls, host: &str, port, credentials: Option<(&str, &str)>| {
        let expected = SmtpUrl {
            tls,
            host: Host::parse(host).unwrap(),
            port,
            credentials: credentials.map(|(user, word)| (user.to_owned(), word.to_owned())),
        };
        assert_eq!(SmtpUrl::parse(text), Ok(expected), "{text}");
    };
    let (at, known) = ("mail.example.org", Some(("postman", "hunter22")));
    is("smtps://mail.example.org", Tls::Wrapped, at, 465, None);
    let url = "smtps://postman:hunter22@mail.example.org:2465/";
    is(url, Tls::Wrapped, at, 2465, known);
    let url = "smtps://ann%40example.org:p%2Fa+s%25%E4%B8%AD@mail.example.org";
    is(
        url,
        Tls::Wrapped,
        at,
        465,
        Some(("ann@example.org", "p/a+s%中")),
    );
    is("SMTP://Mail.Example.Org", Tls::Required, at, 587, None);
    let url = "smtp://bücher.example?tls=required";
    is(url, Tls::Required, "xn--bcher-kva.example", 587, None);
    let url = "smtp://mail.example.org:25?tls=opportunistic";
    is(url, Tls::Opportunistic, at, 25, None);
    is("smtp://mail.example.org?tls=none", Tls::None, at, 587, None);
    is("smtp://10.0.0.1", Tls::Required, "10.0.0.1", 587, None);
    // On this machine.
    let local = Tls::Opportunistic;
    is("smtp://localhost:25", local, "localhost", 25, None);
    is("smtp://127.3.2.1", local, "127.3.2.1", 587, None);
    is("smtp://[::1]:1025", local, "[::1]", 1025, None);
    let url = "smtp://localhost?tls=required";
    is(url, Tls::Required, "localhost", 587, None);
    let url = "smtp://postman:hunter22@localhost?tls=none";
    is(url, Tls::None, "localhost", 587, known);
}

#[test]
fn an_smtp_url_that_is_none_is_refused_without_being_repeated() {
    for (text, says) in [
        ("mail.example.org", "looks like"),
        ("http://mail.example.org", "looks like"),
        ("smtp:mail.example.org", "looks like"),
        ("smtp://", "looks like"),
        ("smtp:///", "looks like"),
        ("smtp://:25", "looks like"),
        ("smtp://mail.example.org:0", "looks like"),
        ("smtp://mail.example.org:70000", "looks like"),
        ("smtp://mail.example.org/hello", "looks like"),
        ("smtp://mail.example.org#x", "looks like"),
        ("smtp://mail example.org", "looks like"),
        ("smtp://postman@mail.example.org", "looks like"),
        ("smtp://:hunter22@mail.example.org", "looks like"),
        ("smtp://postman:hunter22@", "looks like"),
        ("smtp://postman:hunter22@x@mail.example.org", "looks like"),
        ("smtp://postman:hunter22%@mail.example.org", "looks like"),
        ("smtp://postman:hunter22%FF@mail.example.org", "looks like"),
        ("smtp://postman:hunter22%0a@mail.example.org", "looks like"),
        ("smtp://mail.example.org?", "after ?"),
        ("smtp://mail.example.org?tls=maybe", "after ?"),
        ("smtp://mail.example.org?tls=none&x=y", "after ?"),
        ("smtp://mail.example.org?TLS=none", "after ?"),
        ("smtps://mail.example.org?tls=none", "first byte"),
        (
            "smtp://postman:hunter22@mail.example.org?tls=none",
            "read the password",
        ),
        (
            "smtp://postman:hunter22@10.0.0.1?tls=none",
            "read the password",
        ),
    ] {
        let why = SmtpUrl::parse(text).expect_err(text);
        assert!(why.contains(says), "{text}: {why}");
        assert!(
            !why.contains("hunter22") && !why.contains('\n'),
            "{text}: {why}"
        );
    }
}

#[test]
fn what_is_secret_is_not_in_debug() {
    let smtp = SmtpUrl::parse("smtps://postman:hunter22@mail.example.org").unwrap();
    let sms = SmsUrl::parse("https://sms.example.org/hunter22?key=hunter22").unwrap();
    let token = SmsToken::parse("hunter22").unwrap();
    let shown = format!("{smtp:?} {sms:?} {token:?}");
    assert!(shown.contains("mail.example.org"), "{shown}");
    assert!(!shown.contains("hunter22"), "{shown}");
}

#[test]
fn a_sender_has_a_name_or_not() {
    for (text, shown, at) in [
        ("blog@example.org", "blog@example.org", "example.org"),
        (
            "Inkpot <blog@example.org>",
            "Inkpot <blog@example.org>",
            "example.org",
        ),
        (
            " My Blog<blog@example.org> ",
            "My Blog <blog@example.org>",
            "example.org",
        ),
        (
            "\"My, Blog\" <blog@example.org>",
            "\"My, Blog\" <blog@example.org>",
            "example.org",
        ),
        ("<blog@example.org>", "blog@example.org", "example.org"),
        (
            "墨水瓶 <blog@bücher.example>",
            "墨水瓶 <blog@xn--bcher-kva.example>",
            "xn--bcher-kva.example",
        ),
        ("inkpot@localhost", "inkpot@localhost", "localhost"),
    ] {
        let from = MailFrom::parse(text).unwrap();
        assert_eq!(from.mailbox().to_string(), shown, "{text}");
        assert_eq!(from.domain(), at, "{text}");
    }
    assert_eq!(
        MailFrom::default(),
        MailFrom::parse("Inkpot <inkpot@localhost>").unwrap()
    );
    for text in [
        "Inkpot",
        "blog@",
        "@example.org",
        "Inkpot <blog@example.org",
        "Inkpot blog@example.org",
        "Inkpot <blog@example.org> x",
        "a@example.org, b@example.org",
        "A <a@example.org>, B <b@example.org>",
        "Ink\r\nBcc: x@example.org <blog@example.org>",
        "bl\u{f6}g@example.org",
        "blog@exa mple.org",
    ] {
        assert!(MailFrom::parse(text).is_err(), "{text}");
    }
}

#[test]
fn a_gateway_is_reached_by_http() {
    for text in [
        "http://127.0.0.1:8081/sms",
        "https://sms.example.org",
        "https://sms.example.org/send?key=a",
    ] {
        assert!(SmsUrl::parse(text).is_ok(), "{text}");
    }
    for text in [
        "sms.example.org",
        "ftp://sms.example.org",
        "https:sms.example.org",
        "https://ann:hunter22@sms.example.org",
        "https://@sms.example.org",
        "https://sms.example.org/#hunter22",
        "https://sms.example.org:0",
        " https://sms.example.org",
    ] {
        let why = SmsUrl::parse(text).expect_err(text);
        assert!(!why.contains("hunter22"), "{why}");
    }
}

#[test]
fn a_token_can_stand_in_a_header() {
    assert_eq!(SmsToken::parse("a.B-9~=").unwrap().as_str(), "a.B-9~=");
    for text in ["", "a b", "a\n", "t\u{f6}ken"] {
        assert!(SmsToken::parse(text).is_err(), "{text:?}");
    }
}
