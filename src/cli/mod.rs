//! The subcommands that print and end.

pub mod args;
pub mod check;
pub mod doctor;
pub mod healthcheck;
pub mod jobs;
pub mod keys;
pub mod users;

use std::io::Write;

use serde::Serialize;
use serde_json::json;

use self::args::MigrateAction;
use crate::core::db::{Db, connection, migrations};
use crate::core::settings::Settings;
use crate::core::telemetry::chain::Chain;
use crate::openapi;
use crate::posts::actions::{fill, move_posts};

/// Prints the API's description as YAML.
pub fn openapi(out: &mut impl Write) -> Result<(), String> {
    out.write_all(openapi::render("")?.yaml.as_bytes())
        .map_err(|e| e.to_string())
}

/// Prints what completes the command line in a shell.
pub fn completions(shell: clap_complete::Shell, out: &mut impl Write) -> Result<(), String> {
    // At once: the generator takes a failure to write, a closed pipe say, for a bug.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut args::described(), "inkpot", &mut script);
    out.write_all(&script).map_err(|e| e.to_string())
}

/// Prints a line.
fn say(out: &mut impl Write, line: &str) -> Result<(), String> {
    writeln!(out, "{line}").map_err(|e| e.to_string())
}

/// Prints a value as a line of JSON.
fn say_json(out: &mut impl Write, value: &impl Serialize) -> Result<(), String> {
    say(
        out,
        &serde_json::to_string(value).map_err(|e| e.to_string())?,
    )
}

/// Posts that servers are to fill, and such that they are to move; `None` where migrations are pending.
fn unfilled(all: &[migrations::Status], settings: &Settings) -> Result<Option<(i64, i64)>, String> {
    if !all.iter().all(|migration| migration.applied) {
        return Ok(None);
    }
    let db = Db::open(&settings.database(), 1)
        .map_err(|e| e.to_string())?
        .patient();
    let counted = fill::count_unfilled(&db)
        .and_then(|unfilled| Ok((unfilled, move_posts::count_unmoved(&db)?)));
    counted.map(Some).map_err(|error| Chain(&error).to_string())
}

/// Looks at, applies or takes back migrations.
pub fn migrate(
    action: MigrateAction,
    settings: &Settings,
    out: &mut impl Write,
) -> Result<(), String> {
    let url = settings.database();
    let failed = |why: String| format!("database {}: {why}", url.redacted());
    url.make_directory()?;
    let mut conn = connection::open(&url).map_err(|e| failed(e.to_string()))?;
    let lines = match action {
        MigrateAction::Status { form } => {
            let all = migrations::status(&mut conn).map_err(|e| failed(e.to_string()))?;
            if form.is_json {
                let each = |m: &migrations::Status| json!({"name": m.name, "applied": m.applied});
                let listed: Vec<_> = all.iter().map(each).collect();
                let counted = unfilled(&all, settings).map_err(failed)?;
                let (unfilled, unmoved) = counted.unzip();
                let value =
                    json!({ "migrations": listed, "unfilled": unfilled, "unmoved": unmoved });
                return say_json(out, &value);
            }
            let state = |applied| if applied { "applied" } else { "pending" };
            let mut lines: Vec<String> = (all.iter())
                .map(|m| format!("{} {}", state(m.applied), m.name))
                .collect();
            let (unfilled, unmoved) = unfilled(&all, settings)
                .map_err(failed)?
                .unwrap_or_default();
            if unfilled > 0 {
                lines.push(format!(
                    "{unfilled} posts have no slug or no summary yet: a server that runs gives them"
                ));
            }
            if unmoved > 0 {
                lines.push(format!(
                    "{unmoved} posts do not stand in the order of their dates yet: a server that runs moves them"
                ));
            }
            lines
        }
        MigrateAction::Run => {
            let done = migrations::run(&mut conn).map_err(|e| failed(e.to_string()))?;
            if done.is_empty() {
                vec!["nothing to apply".to_owned()]
            } else {
                done.iter().map(|name| format!("applied {name}")).collect()
            }
        }
        MigrateAction::Revert => {
            let done = migrations::revert(&mut conn).map_err(|e| failed(e.to_string()))?;
            vec![done.map_or_else(
                || "nothing to revert".to_owned(),
                |name| format!("reverted {name}"),
            )]
        }
    };
    lines.iter().try_for_each(|line| say(out, line))
}
