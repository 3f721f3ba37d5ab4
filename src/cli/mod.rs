//! The subcommands that print and end.

pub mod args;
pub mod check;
pub mod jobs;
pub mod users;

use std::io::Write;

use self::args::{KeysAction, MigrateAction};
use crate::accounts::actions::keys;
use crate::accounts::tokens::Tokens;
use crate::core::clock::{self, Clock};
use crate::core::db::{Db, connection, migrations};
use crate::core::secret;
use crate::core::settings::Settings;
use crate::openapi;

/// Prints the API's description as YAML.
pub fn openapi(out: &mut impl Write) -> Result<(), String> {
    out.write_all(openapi::render()?.yaml.as_bytes())
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

/// Looks at, renews or retires the keys that sign tokens. Shows nothing secret.
pub fn keys(action: &KeysAction, settings: &Settings, out: &mut impl Write) -> Result<(), String> {
    let url = settings.database();
    let failed = |why: String| format!("database {}: {why}", url.redacted());
    let db = Db::open(&url, 1).map_err(failed)?;
    let mut conn = db.dedicated().map_err(failed)?;
    if !migrations::is_current(&mut conn).map_err(|e| failed(e.to_string()))? {
        return Err(failed(
            "it lacks migrations; `inkpot migrate run` applies them".to_owned(),
        ));
    }
    let secrets = secret::load(settings)?;
    let tokens =
        Tokens::new(&secrets, settings.token_ttl, Clock::system())?.signing_with(settings.jwt_alg);
    let lines = match action {
        KeysAction::List => {
            keys::load(&db, &tokens)?;
            tokens
                .list()
                .iter()
                .map(|key| {
                    let created = key.created.map_or_else(
                        || "INKPOT_JWT_SECRET".to_owned(),
                        |created| format!("created {}", clock::rfc3339(created)),
                    );
                    format!("{} {} {}, {created}", key.kid, key.alg.name(), key.used)
                })
                .collect()
        }
        KeysAction::Rotate => {
            let done = keys::rotate(&db, &tokens)?;
            let mut lines = vec![format!(
                "made {} {}, signs from {}",
                done.kid,
                tokens.alg().name(),
                clock::rfc3339(done.activates)
            )];
            if done.deleted > 0 {
                lines.push(format!("deleted {} whose tokens are gone", done.deleted));
            }
            lines
        }
        KeysAction::Retire { kid } => {
            keys::retire(&db, &tokens, kid)?;
            vec![format!("retired {kid}")]
        }
    };
    for line in lines {
        writeln!(out, "{line}").map_err(|e| e.to_string())?;
    }
    Ok(())
}
