use super::*;

fn read_with(args: &[&str], variables: &[(&str, &str)]) -> Result<Settings, String> {
    let args = ["inkpot"].iter().chain(args).map(OsString::from);
    let variables = variables
        .iter()
        .map(|(name, value)| (name.into(), value.into()));
    match read_from(args, variables) {
        Ok(cli) => Ok(cli.settings),
        Err(Refusal::Line(line)) => Err(line),
        Err(Refusal::Help(_)) => Err("help".to_owned()),
    }
}

#[test]
fn a_slip_in_a_name_is_told_and_what_an_orchestrator_injects_is_not() {
    let refused = |name| read_with(&[], &[(name, "1")]).unwrap_err();
    for (name, near) in [
        ("INKPOT_LISTN", "INKPOT_LISTEN"),
        ("INKPOT_CORS_ORIGIN", "INKPOT_CORS_ORIGINS"),
        ("INKPOT_TOKEN_TLL", "INKPOT_TOKEN_TTL"),
    ] {
        let why = refused(name);
        assert!(
            why.contains(name) && why.ends_with(&format!("did you mean {near}?")),
            "{why}"
        );
    }
    let why = refused("INKPOT_ALTOGETHER_DIFFERENT_THING");
    assert!(
        !why.contains("did you mean") && !why.contains('\n'),
        "{why}"
    );
    for name in [
        "INKPOT_SERVICE_HOST",
        "INKPOT_SERVICE_PORT",
        "INKPOT_SERVICE_PORT_HTTP",
        "INKPOT_PORT",
        "INKPOT_PORT_8080_TCP_ADDR",
        "OTHER",
    ] {
        read_with(&[], &[(name, "tcp://10.0.0.1:8080")]).unwrap();
    }
}

#[test]
fn a_help_shows_the_settings_that_are_used() {
    let help = |args: &[&str]| {
        let args = ["inkpot"].iter().chain(args).map(OsString::from);
        match read_from(args.chain(["--help".into()]), std::iter::empty()) {
            Err(Refusal::Help(help)) => help.to_string(),
            _ => String::new(),
        }
    };
    for (args, shown, hidden) in [
        (&[][..], &["--listen", "--bcrypt-cost"][..], &[][..]),
        (&["serve"], &["--listen", "--smtp-url"], &[]),
        (
            &["worker"],
            &["--smtp-url"],
            &["--listen", "--cors-origins"],
        ),
        (
            &["user", "create"],
            &["--bcrypt-cost", "--data-dir"],
            &["--listen", "--smtp-url"],
        ),
        (&["user"], &["--data-dir"], &["--listen", "--smtp-url"]),
        (
            &["jobs", "list"],
            &["--database-url"],
            &["--bcrypt-cost", "--listen"],
        ),
        (
            &["keys", "rotate"],
            &["--jwt-alg"],
            &["--listen", "--redis-url"],
        ),
        (&["migrate", "run"], &["--data-dir"], &["--jwt-secret"]),
        (&["openapi"], &["--log"], &["--data-dir"]),
    ] {
        let help = help(args);
        for name in shown {
            assert!(help.contains(name), "{args:?} {name}: {help}");
        }
        for name in hidden {
            assert!(!help.contains(name), "{args:?} {name}: {help}");
        }
    }
    // They are taken all the same, before and after the subcommand.
    for args in [
        &["user", "list", "--token-ttl", "2h"][..],
        &["--token-ttl", "2h", "user", "list"],
    ] {
        assert_eq!(read_with(args, &[]).unwrap().token_ttl, 7200, "{args:?}");
    }
}

#[test]
fn a_slip_on_the_command_line_is_told_with_the_likely_word() {
    for (args, near) in [
        (&["sevre"][..], "serve"),
        (&["user", "promot", "ann@example.org"], "promote"),
        (&["user", "lst"], "list"),
        (&["jobs", "retyr"], "retry"),
        (&["serve", "--no-job"], "--no-jobs"),
        (&["--lisen", "127.0.0.1:1"], "--listen"),
        (&["jobs", "list", "--state", "daed"], "dead"),
        (&["--jwt-alg", "ES265"], "ES256"),
        (&["completions", "bahs"], "bash"),
    ] {
        let why = read_with(args, &[]).unwrap_err();
        let end = format!("did you mean {near}?");
        assert!(why.ends_with(&end) && !why.contains('\n'), "{why}");
    }
    let why = read_with(&["altogether-different"], &[]).unwrap_err();
    assert!(
        why.contains("altogether-different") && !why.contains("did you mean"),
        "{why}"
    );
}

#[test]
fn an_address_to_listen_on_may_have_a_name() {
    for (given, taken) in [
        ("127.0.0.1:8080", "127.0.0.1:8080"),
        ("[::1]:0", "[::1]:0"),
        ("localhost:8081", "127.0.0.1:8081"),
    ] {
        let settings = read_with(&["--listen", given], &[]).unwrap();
        assert_eq!(settings.listen.to_string(), taken);
    }
    for given in [
        "localhost",
        ":8080",
        "8080",
        "127.0.0.1",
        "localhost:http",
        "x:99999",
        "",
    ] {
        let why = read_with(&["--listen", given], &[]).unwrap_err();
        assert!(why.starts_with("bad value for INKPOT_LISTEN"), "{why}");
        assert!(why.contains("looks like 127.0.0.1:8080"), "{why}");
    }
}

#[test]
fn a_time_has_a_unit_or_is_in_seconds() {
    for (given, seconds) in [
        ("300", 300),
        ("5m", 300),
        ("90s", 90),
        ("24h", 86_400),
        ("1d", 86_400),
    ] {
        let settings = read_with(&["--token-ttl", given, "--session-ttl", "2d"], &[]).unwrap();
        assert_eq!(
            (settings.token_ttl, settings.session_ttl),
            (seconds, 172_800)
        );
    }
    for given in [
        "5 m",
        "5M",
        "m",
        "",
        "-5m",
        "1.5h",
        "59",
        "2d",
        "99999999999d",
        "5mm",
    ] {
        let given = format!("--token-ttl={given}");
        let why = read_with(&[&given], &[]).unwrap_err();
        assert!(
            why.contains("INKPOT_TOKEN_TTL") && why.contains("5m, 8h"),
            "{why}"
        );
    }
}

#[test]
fn a_log_level_is_one() {
    for given in [
        "debug",
        "WARN",
        "off",
        "info,inkpot::core::db=debug",
        "inkpot=trace",
    ] {
        read_with(&["--log", given], &[]).unwrap();
    }
    for (given, near) in [
        ("verbose", ""),
        ("inkpot", ""),
        ("wran", "did you mean warn?"),
        ("info,debgu", "did you mean debug?"),
    ] {
        let why = read_with(&["--log", given], &[]).unwrap_err();
        assert!(why.contains("is no level") && why.ends_with(near), "{why}");
    }
}
