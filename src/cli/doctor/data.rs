//! The database: whether it is there, what it is, and whether what is in it is right.

use super::{Finding, shown};
use crate::core::clock::Clock;
use crate::core::db::dialect::inspect::{Inspection, inspect};
use crate::core::db::migrations::{self, Standing};
use crate::core::db::{DatabaseUrl, Db, dialect};
use crate::core::settings::Settings;
use crate::core::telemetry::chain::Chain;

const DATABASE: &str = "database";
/// What every request may need.
const NEEDED: [&str; 4] = ["SELECT", "INSERT", "UPDATE", "DELETE"];
/// What migrations need.
const NEEDED_TO_MIGRATE: [&str; 5] = ["CREATE", "ALTER", "DROP", "INDEX", "REFERENCES"];
/// A difference of clocks that has a reason, in seconds.
const CLOCKS: i64 = 2;

/// Looks at the database; `is_quick` leaves out what reads all posts.
pub fn check(settings: &Settings, is_quick: bool) -> Vec<Finding> {
    let url = settings.database();
    if let DatabaseUrl::Sqlite(path) = &url
        && !path.exists()
    {
        return vec![Finding::warning(
            DATABASE,
            format!("there is no database {} yet", shown(path)),
            "the first start makes it; if there was one, say by INKPOT_DATA_DIR or DATABASE_URL \
             where it is",
        )];
    }
    if let (DatabaseUrl::Mysql(_), None) = (&url, &settings.jwt_secret) {
        return vec![Finding::error(
            DATABASE,
            "INKPOT_JWT_SECRET is not set, which all processes of one database share",
            "make one with: openssl rand -base64 48",
        )];
    }
    let db = match Db::open(&url, 1) {
        Ok(db) => db.patient(),
        Err(why) => {
            return vec![Finding::error(
                DATABASE,
                format!("{}: {why}", url.redacted()),
                "see that the server runs and can be reached from here, and that DATABASE_URL has \
                 its address, the user and the password",
            )];
        }
    };
    let mut findings = match db.read_blocking(&inspect) {
        Ok(inspection) => of_server(&inspection),
        Err(error) => vec![failed(DATABASE, &Chain(&error))],
    };
    findings.extend(clock(&db));
    let (standing, is_current) = standing(&db);
    findings.push(standing);
    if is_current && !is_quick {
        findings.push(counts(&db));
    }
    findings
}

fn failed(check: &'static str, why: &impl std::fmt::Display) -> Finding {
    Finding::error(
        check,
        format!("it cannot be asked: {why}"),
        "see what the server's own log says",
    )
}

fn of_server(found: &Inspection) -> Vec<Finding> {
    let Inspection {
        version,
        character_set,
        time_zone,
        misspelt,
        privileges,
    } = found;
    let mut findings = vec![Finding::ok(DATABASE, version.as_str())];
    let Some(character_set) = character_set else {
        return findings;
    };
    findings.push(if misspelt.is_empty() {
        let message = format!("the tables are in utf8mb4; new ones would be in {character_set}");
        Finding::ok("character set", message)
    } else {
        let tables = misspelt.join(", ");
        Finding::error(
            "character set",
            format!("these tables are not in utf8mb4: {tables}"),
            "ALTER TABLE … CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin for each of them",
        )
    });
    let zone = time_zone.as_deref().unwrap_or("unknown");
    findings.push(Finding::ok(
        "time zone",
        format!("the server's is {zone}, which makes no difference: times are kept in UTC"),
    ));
    findings.push(of_privileges(privileges));
    findings
}

fn of_privileges(privileges: &[String]) -> Finding {
    const CHECK: &str = "privileges";
    let lacks = |needed: &[&str]| -> Vec<String> {
        let has = |one: &&&str| privileges.iter().any(|privilege| privilege == **one);
        let missing = needed.iter().filter(|one| !has(one));
        missing.map(|one| (*one).to_owned()).collect()
    };
    let (missing, to_migrate) = (lacks(&NEEDED), lacks(&NEEDED_TO_MIGRATE));
    let grant = |all: &[String]| {
        let all = all.join(", ");
        format!("GRANT {all} ON the database TO its user, unless a role gives them")
    };
    if privileges.is_empty() || missing.len() == NEEDED.len() {
        // What roles give is not listed; that it could read so far is known.
        return Finding::warning(
            CHECK,
            "none is granted to the user by name",
            grant(&missing),
        );
    }
    if !missing.is_empty() {
        let all = missing.join(", ");
        return Finding::error(CHECK, format!("the user lacks {all}"), grant(&missing));
    }
    if !to_migrate.is_empty() {
        let all = to_migrate.join(", ");
        return Finding::warning(
            CHECK,
            format!("the user lacks {all}, which an upgrade needs"),
            grant(&to_migrate),
        );
    }
    Finding::ok(CHECK, "the user may do what the service and upgrades need")
}

fn clock(db: &Db) -> Option<Finding> {
    const CHECK: &str = "clock";
    let system = Clock::system();
    let asked = db.read_blocking(&|conn| {
        let before = system.now();
        let server = dialect::server_time(conn)?;
        Ok(server.map(|server| server - (before + (system.now() - before) / 2)))
    });
    let behind = match asked {
        Ok(behind) => behind?.num_seconds(),
        Err(error) => return Some(failed(CHECK, &Chain(&error))),
    };
    Some(if behind.abs() < CLOCKS {
        Finding::ok(CHECK, "the machine's clock and the database's agree")
    } else {
        Finding::warning(
            CHECK,
            format!("the machine's clock is {behind} seconds behind the database's"),
            "have both follow a time server: the service goes by the database's, logs do not",
        )
    })
}

/// Whether the tables are those of this version.
fn standing(db: &Db) -> (Finding, bool) {
    const CHECK: &str = "migrations";
    match db.read_blocking(&migrations::standing) {
        Ok(Standing::Current { newer: None }) => (
            Finding::ok(CHECK, "the tables are those of this version"),
            true,
        ),
        Ok(Standing::Current {
            newer: Some(version),
        }) => {
            let finding = Finding::error(
                CHECK,
                migrations::newer_refused(&version),
                "start the version that made it, or go back as docs/backup.md says",
            );
            (finding, false)
        }
        Ok(Standing::Pending { applied }) => {
            let finding = Finding::warning(
                CHECK,
                format!("the database has {applied} migrations and lacks some"),
                "start inkpot, or run: inkpot migrate run",
            );
            (finding, false)
        }
        Err(error) => (failed(CHECK, &Chain(&error)), false),
    }
}

/// Whether what is kept of the posts agrees with them.
fn counts(db: &Db) -> Finding {
    const CHECK: &str = "kept counts";
    let differences = match crate::cli::check::count(db) {
        Ok(differences) => differences,
        Err(error) => return failed(CHECK, &Chain(&error)),
    };
    match differences {
        0 => Finding::ok(CHECK, "the counts, the tags and the search are right"),
        differences => Finding::error(
            CHECK,
            format!("there are {differences} differences between what is kept and the posts"),
            "run: inkpot check --repair",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn what_a_user_lacks_is_named() {
        let of = |names: &str| {
            let names: Vec<String> = names.split_whitespace().map(str::to_owned).collect();
            of_privileges(&names)
        };
        let all = "SELECT INSERT UPDATE DELETE CREATE ALTER DROP INDEX REFERENCES";
        assert!(of(all).status == Status::Ok);
        let reader = of("SELECT");
        assert!(reader.status == Status::Error);
        assert_eq!(reader.message, "the user lacks INSERT, UPDATE, DELETE");
        let server = of("SELECT INSERT UPDATE DELETE CREATE");
        assert!(server.status == Status::Warning);
        assert!(server.message.contains("ALTER, DROP, INDEX, REFERENCES"));
        // A role may give all of it.
        assert!(of("").status == Status::Warning && of("USAGE").status == Status::Warning);
    }
}
