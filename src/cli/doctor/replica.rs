//! The replica: whether it is one of this database, and how far behind it is.

use super::Finding;
use crate::core::db::migrations::{self, Standing};
use crate::core::db::{Db, dialect};
use crate::core::settings::Settings;
use crate::core::telemetry::chain::Chain;

const CHECK: &str = "replica";
const MEANWHILE: &str = "all is read at the primary meanwhile";

/// Looks at the replica, if there is one, and at the primary beside it.
pub fn check(settings: &Settings) -> Vec<Finding> {
    let Some(url) = settings.database_to_read() else {
        return Vec::new();
    };
    let (primary, replica) = match (Db::open(&settings.database(), 1), Db::open(url, 1)) {
        (Ok(primary), Ok(replica)) => (primary.patient(), replica.patient()),
        // That is said of the database itself.
        (Err(_), _) => return Vec::new(),
        (_, Err(why)) => {
            return vec![Finding::warning(
                CHECK,
                format!("{}: {why}", url.redacted()),
                format!(
                    "see that it runs and can be reached from here, and that DATABASE_READ_URL has \
                     its address, the user and the password; {MEANWHILE}"
                ),
            )];
        }
    };
    let ask = || -> Result<Vec<Finding>, String> {
        let failed = |error| format!("it cannot be asked: {}", Chain(&error));
        let of_primary = primary.read_blocking(&migrations::installation);
        let version = replica.read_blocking(&dialect::inspect::inspect);
        let mut findings = vec![Finding::ok(CHECK, version.map_err(failed)?.version)];
        let of_replica = replica.read_blocking(&migrations::installation);
        if of_primary.map_err(failed)? != of_replica.map_err(failed)? {
            return Ok(vec![Finding::error(
                CHECK,
                "it is no replica of this database",
                format!("see what DATABASE_READ_URL names, and how it was filled; {MEANWHILE}"),
            )]);
        }
        findings.push(standing(
            &replica
                .read_blocking(&migrations::standing)
                .map_err(failed)?,
        ));
        findings.extend(lag(&primary, &replica).map_err(failed)?);
        Ok(findings)
    };
    ask().unwrap_or_else(|why| {
        let remedy = format!("see what the server's own log says; {MEANWHILE}");
        vec![Finding::warning(CHECK, why, remedy)]
    })
}

fn standing(standing: &Standing) -> Finding {
    match standing {
        Standing::Current { newer: None } => {
            Finding::ok(CHECK, "its tables are those of this version")
        }
        Standing::Current { newer: Some(_) } | Standing::Pending { .. } => Finding::warning(
            CHECK,
            "its tables are not those of this version",
            format!("see by SHOW REPLICA STATUS whether replication runs; {MEANWHILE}"),
        ),
    }
}

/// How far behind it is, by the heartbeat; nothing where no server has a replica yet.
fn lag(primary: &Db, replica: &Db) -> Result<Option<Finding>, crate::core::db::DbError> {
    let Some(newest) = primary.read_blocking(&dialect::heartbeat::look)? else {
        return Ok(None);
    };
    let name = primary.read_blocking(&migrations::installation)?;
    let found = replica.read_blocking(&|conn| dialect::heartbeat::read(conn, &name))?;
    let behind = newest.beat - found;
    // One may be on its way.
    if (0..=1).contains(&behind) {
        return Ok(Some(Finding::ok(CHECK, "it has the newest heartbeat")));
    }
    if behind < 0 {
        return Ok(Some(Finding::error(
            CHECK,
            "it is ahead of the database, which was restored or is another one",
            format!("make the replica anew from the database; {MEANWHILE}"),
        )));
    }
    let seconds = replica.read_blocking(&dialect::heartbeat::age)?;
    Ok(Some(Finding::warning(
        CHECK,
        format!("it is {behind} heartbeats behind, the newest of which is {seconds} seconds old"),
        format!("see by SHOW REPLICA STATUS whether replication runs; {MEANWHILE}"),
    )))
}
