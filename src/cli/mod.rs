//! The subcommands that print and end.

pub mod args;
pub mod check;
pub mod jobs;
pub mod keys;
pub mod users;

use std::io::Write;

use self::args::MigrateAction;
use crate::core::db::{connection, migrations};
use crate::core::settings::Settings;
use crate::openapi;

/// Prints the API's description as YAML.
pub fn openapi(out: &mut impl Write) -> Result<(), String> {
    out.write_all(openapi::render("")?.yaml.as_bytes())
        .map_err(|e| e.to_string())
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
        MigrateAction::Status => migrations::status(&mut conn)
            .map_err(|e| failed(e.to_string()))?
            .into_iter()
            .map(|m| {
                format!(
                    "{} {}",
                    if m.applied { "applied" } else { "pending" },
                    m.name
                )
            })
            .collect(),
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
    for line in lines {
        writeln!(out, "{line}").map_err(|e| e.to_string())?;
    }
    Ok(())
}
