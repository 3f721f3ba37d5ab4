//! `inkpot doctor`: is all that the service needs as it should be? It looks, changes
//! nothing, and says in words what to do.

mod data;
mod outside;
mod replica;

use std::io::Write;
use std::path::Path;

use serde::Serialize;
use serde_json::json;

pub(super) use self::outside::status_of;
use super::args::Form;
use super::{say, say_json};
use crate::core::owner_only;
use crate::core::settings::{Settings, Switch};

/// What was found out about a part.
#[derive(Serialize)]
struct Finding {
    check: &'static str,
    status: Status,
    /// What is so.
    message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Ok,
    /// It works, and something may be meant otherwise.
    Warning,
    /// It does not work.
    Error,
}

impl Finding {
    fn ok(check: &'static str, message: impl Into<String>) -> Self {
        Self {
            check,
            status: Status::Ok,
            message: message.into(),
            remedy: None,
        }
    }

    fn warning(check: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            status: Status::Warning,
            remedy: Some(remedy.into()),
            ..Self::ok(check, message)
        }
    }

    fn error(check: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            status: Status::Error,
            ..Self::warning(check, message, remedy)
        }
    }

    fn line(&self) -> String {
        let status = match self.status {
            Status::Ok => "ok",
            Status::Warning => "warning",
            Status::Error => "error",
        };
        let remedy = self.remedy.as_ref();
        let remedy = remedy.map_or(String::new(), |remedy| format!("\n    {remedy}"));
        format!("{status:8}{}: {}{remedy}", self.check, self.message)
    }
}

/// Looks at everything, and says what it found. The error is one line, also when something
/// does not work.
pub fn run(
    mail: Option<&str>,
    is_quick: bool,
    form: Form,
    settings: &Settings,
    out: &mut impl Write,
) -> Result<(), String> {
    let mut findings = configuration(settings);
    findings.extend(files(settings));
    findings.extend(data::check(settings, is_quick));
    findings.extend(replica::check(settings));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start: {error}"))?;
    findings.extend(runtime.block_on(outside::redis(settings)));
    findings.extend(runtime.block_on(outside::mail(settings, mail)));
    findings.push(outside::public_url(settings));
    let errors = (findings.iter())
        .filter(|finding| finding.status == Status::Error)
        .count();
    if form.is_json {
        say_json(out, &json!({ "errors": errors, "checks": findings }))?;
    } else {
        (findings.iter()).try_for_each(|finding| say(out, &finding.line()))?;
    }
    match errors {
        0 => Ok(()),
        1 => Err("one check found what does not work".to_owned()),
        errors => Err(format!("{errors} checks found what does not work")),
    }
}

/// What of the settings goes together badly. Bad values are refused before.
fn configuration(settings: &Settings) -> Vec<Finding> {
    const CHECK: &str = "configuration";
    let mut findings = Vec::new();
    if settings.rate_limits == Switch::Off {
        findings.push(Finding::warning(
            CHECK,
            "limits of tries and messages are off",
            "set INKPOT_RATE_LIMITS=on, unless this is a load test",
        ));
    }
    if settings.bcrypt_cost < 10 {
        findings.push(Finding::warning(
            CHECK,
            format!(
                "passwords are hashed with a cost of {}",
                settings.bcrypt_cost
            ),
            "set INKPOT_BCRYPT_COST to 10 or more: who steals the database guesses them otherwise",
        ));
    }
    let is_public = !settings.listen.ip().is_loopback();
    if is_public && settings.trusted_proxies.is_empty() {
        findings.push(Finding::warning(
            CHECK,
            format!(
                "it listens on {}, where others can connect, and trusts no proxy",
                settings.listen
            ),
            "if a proxy stands in front, name it in INKPOT_TRUSTED_PROXIES: all clients share its \
             limits otherwise",
        ));
    }
    if let Some(address) = settings.metrics_listen()
        && !address.ip().is_loopback()
    {
        findings.push(Finding::warning(
            CHECK,
            format!("whoever reaches {address} reads the metrics"),
            "see that only those who watch can reach it",
        ));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(CHECK, "the settings go together"));
    }
    findings
}

/// Whether the data directory can be used, and by nobody else.
fn files(settings: &Settings) -> Vec<Finding> {
    const CHECK: &str = "files";
    let directory = &settings.data_dir;
    let shown = directory.display();
    if !directory.is_dir() {
        return vec![Finding::warning(
            CHECK,
            format!("there is no directory {shown}"),
            "the first start makes it; if there was one, say by INKPOT_DATA_DIR where it is",
        )];
    }
    let may_write = rustix::fs::access(directory, rustix::fs::Access::WRITE_OK).is_ok();
    if !may_write {
        return vec![Finding::error(
            CHECK,
            format!("{shown} cannot be written to"),
            "give it to the user of the service with chown, or run this as that user",
        )];
    }
    let secret = directory.join("jwt-secret");
    let open = [directory.join("inkpot.db"), secret];
    let open: Vec<String> = (open.iter().filter_map(|path| owner_only::is_open(path)))
        .map(|path| path.display().to_string())
        .collect();
    if open.is_empty() {
        return vec![Finding::ok(CHECK, format!("{shown} is this user's own"))];
    }
    let all = open.join(" ");
    vec![Finding::error(
        CHECK,
        format!("others of this machine can read {all}"),
        format!("chmod 600 {all}"),
    )]
}

/// A path for people.
fn shown(path: &Path) -> String {
    std::path::absolute(path)
        .unwrap_or_else(|_| path.to_owned())
        .display()
        .to_string()
}
