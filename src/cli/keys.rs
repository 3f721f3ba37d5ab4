//! `inkpot keys …`: what the operator does with the keys that sign tokens.

use std::io::Write;

use chrono::TimeDelta;

use super::args::KeysAction;
use crate::accounts::actions::keys;
use crate::accounts::tokens::{KeyInfo, Tokens};
use crate::core::clock::{self, Clock};
use crate::core::db::migrations::Standing;
use crate::core::db::{Db, migrations};
use crate::core::secret;
use crate::core::settings::Settings;
use crate::core::telemetry::chain::Chain;

/// Looks at, renews or retires the keys that sign tokens. Shows nothing secret.
pub fn run(action: &KeysAction, settings: &Settings, out: &mut impl Write) -> Result<(), String> {
    let db = open(settings)?;
    let secrets = secret::load(settings)?;
    let tokens =
        Tokens::new(&secrets, settings.token_ttl, Clock::system())?.signing_with(settings.jwt_alg);
    let lines = match action {
        KeysAction::List => list(&db, &tokens)?,
        KeysAction::Rotate { now } => {
            let lead = if *now {
                keys::SHORTEST_LEAD
            } else {
                TimeDelta::seconds(settings.key_lead.into())
            };
            rotate(&db, &tokens, lead)?
        }
        KeysAction::Retire { kid } => {
            keys::retire(&db, &tokens, kid).map_err(|why| why.to_string())?;
            vec![format!("retired {kid}")]
        }
    };
    for line in lines {
        writeln!(out, "{line}").map_err(|e| e.to_string())?;
    }
    Ok(())
}

/// The database, which must have all migrations: keys are nothing to begin one with.
fn open(settings: &Settings) -> Result<Db, String> {
    let url = settings.database();
    let failed = |why: String| format!("database {}: {why}", url.redacted());
    let db = Db::open(&url, 1).map_err(|e| failed(e.to_string()))?;
    let standing = db
        .read_blocking(&migrations::standing)
        .map_err(|e| failed(Chain(&e).to_string()))?;
    if matches!(standing, Standing::Pending { .. }) {
        return Err(failed(
            "it lacks migrations; `inkpot migrate run` applies them".to_owned(),
        ));
    }
    Ok(db)
}

fn list(db: &Db, tokens: &Tokens) -> Result<Vec<String>, String> {
    let line = |key: &KeyInfo| {
        let created = key.created.map_or_else(
            || "INKPOT_JWT_SECRET".to_owned(),
            |created| format!("created {}", clock::rfc3339(created)),
        );
        format!("{} {} {}, {created}", key.kid, key.alg.name(), key.used)
    };
    Ok(keys::list(db, tokens)?.iter().map(line).collect())
}

fn rotate(db: &Db, tokens: &Tokens, lead: TimeDelta) -> Result<Vec<String>, String> {
    let done = keys::rotate(db, tokens, lead)?;
    let mut lines = vec![format!(
        "made {} {}, signs from {}",
        done.kid,
        tokens.alg().name(),
        clock::rfc3339(done.activates)
    )];
    if done.deleted > 0 {
        lines.push(format!("deleted {} whose tokens are gone", done.deleted));
    }
    Ok(lines)
}
