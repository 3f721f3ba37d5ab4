//! The schema's history, embedded: twin folders with the same names, one for each
//! database.

use std::time::Duration;

use diesel::migration::{Migration, MigrationSource, MigrationVersion};
use diesel::prelude::*;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::connection::Conn;
use super::dialect::{MIGRATION_LOCK_WAIT, with_migration_lock};
use super::schema::installation;

const MYSQL: EmbeddedMigrations = embed_migrations!("migrations/mysql");
const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// One migration and whether the database has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Folder name: date, number and what it does.
    pub name: String,
    /// Applied to this database.
    pub applied: bool,
}

/// Every embedded migration in order.
pub fn status(conn: &mut Conn) -> Outcome<Vec<Status>> {
    match conn {
        Conn::Sqlite(c) => status_of(c, &SQLITE),
        Conn::Mysql(c) => status_of(c, &MYSQL),
    }
}

/// What tells this database from all others that share a server of another kind with it.
pub fn installation(conn: &mut Conn) -> QueryResult<String> {
    installation::table.select(installation::name).first(conn)
}

/// Applies what is missing, in order; gives the names of what was applied. Waits up to
/// [`MIGRATION_LOCK_WAIT`] for another process that migrates.
pub fn run(conn: &mut Conn) -> Outcome<Vec<String>> {
    run_within(conn, MIGRATION_LOCK_WAIT)
}

/// [`run`], with another time to wait for the migration lock.
pub fn run_within(conn: &mut Conn, wait: Duration) -> Outcome<Vec<String>> {
    with_migration_lock(conn, wait, |conn| match conn {
        Conn::Sqlite(c) => {
            refuse_newer(c, &SQLITE)?;
            names(c.run_pending_migrations(SQLITE))
        }
        Conn::Mysql(c) => {
            refuse_newer(c, &MYSQL)?;
            names(c.run_pending_migrations(MYSQL))
        }
    })
}

/// Takes the newest applied migration back, with all its data; gives its name,
/// `None` when there is none.
pub fn revert(conn: &mut Conn) -> Outcome<Option<String>> {
    with_migration_lock(conn, MIGRATION_LOCK_WAIT, |conn| {
        if !status(conn)?.iter().any(|m| m.applied) {
            return Ok(None);
        }
        let version = match conn {
            Conn::Sqlite(c) => c.revert_last_migration(SQLITE),
            Conn::Mysql(c) => c.revert_last_migration(MYSQL),
        }?;
        Ok(Some(version.to_string()))
    })
}

/// True when the database has every migration of this program.
pub fn is_current(conn: &mut Conn) -> Outcome<bool> {
    Ok(match conn {
        Conn::Sqlite(c) => !c.has_pending_migration(SQLITE)?,
        Conn::Mysql(c) => !c.has_pending_migration(MYSQL)?,
    })
}

/// Refuses a database that has migrations which this program does not know.
fn refuse_newer<C, DB>(conn: &mut C, source: &EmbeddedMigrations) -> Outcome<()>
where
    C: MigrationHarness<DB>,
    DB: diesel::backend::Backend,
    EmbeddedMigrations: MigrationSource<DB>,
{
    let known: Vec<Box<dyn Migration<DB>>> = source.migrations()?;
    for version in conn.applied_migrations()? {
        if !known.iter().any(|m| m.name().version() == version) {
            return Err(format!(
                "it has the migration {version}, which this version of inkpot does not know"
            )
            .into());
        }
    }
    Ok(())
}

fn names(done: Outcome<Vec<MigrationVersion<'_>>>) -> Outcome<Vec<String>> {
    Ok(done?.iter().map(ToString::to_string).collect())
}

fn status_of<C, DB>(conn: &mut C, source: &EmbeddedMigrations) -> Outcome<Vec<Status>>
where
    C: MigrationHarness<DB>,
    DB: diesel::backend::Backend,
    EmbeddedMigrations: MigrationSource<DB>,
{
    let applied = conn.applied_migrations()?;
    let mut all: Vec<Box<dyn Migration<DB>>> = source.migrations()?;
    all.sort_by(|a, b| a.name().version().cmp(&b.name().version()));
    Ok(all
        .iter()
        .map(|m| Status {
            name: m.name().to_string(),
            applied: applied.contains(&m.name().version()),
        })
        .collect())
}
