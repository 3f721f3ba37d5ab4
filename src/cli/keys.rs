//! `inkpot keys …`: what the operator does with the keys that sign tokens.

use std::io::Write;

use chrono::TimeDelta;
use serde_json::json;

use super::args::KeysAction;
use super::{say, say_json};
use crate::accounts::actions::keys;
use crate::accounts::tokens::{KeyInfo, Tokens};
use crate::accounts::views::KeyView;
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
        KeysAction::List { form } => {
            let all = keys::list(&db, &tokens)?;
            if form.is_json {
                let all: Vec<KeyView> = all.into_iter().map(KeyView::from).collect();
                return say_json(out, &json!({ "keys": all }));
            }
            all.iter().map(line_of).collect()
        }
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
    lines.iter().try_for_each(|line| say(out, line))
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

fn line_of(key: &KeyInfo) -> String {
    let created = key.created.map_or_else(
        || "INKPOT_JWT_SECRET".to_owned(),
        |created| format!("created {}", clock::rfc3339(created)),
    );
    format!("{} {} {}, {created}", key.kid, key.alg.name(), key.used)
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
