//! The schema's history, embedded: twin folders with the same names, one for each
//! database.

use std::collections::HashSet;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use diesel::migration::{Migration, MigrationSource};
use diesel::prelude::*;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::connection::Conn;
use super::dialect::{self, MIGRATION_LOCK_WAIT, with_migration_lock};
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
///
/// No statement has a deadline, and the log says what is under way. A run that is broken
/// off is gone on with by the next one: on SQLite all of it is one transaction, on MySQL
/// every statement of a migration may be run again.
pub fn run(conn: &mut Conn) -> Outcome<Vec<String>> {
    run_within(conn, MIGRATION_LOCK_WAIT)
}

/// [`run`], with another time to wait for the migration lock.
pub fn run_within(conn: &mut Conn, wait: Duration) -> Outcome<Vec<String>> {
    with_migration_lock(conn, wait, |conn| match conn {
        Conn::Sqlite(c) => run_pending(c, &SQLITE),
        Conn::Mysql(c) => run_pending(c, &MYSQL),
    })
}

fn run_pending<C, DB>(conn: &mut C, source: &EmbeddedMigrations) -> Outcome<Vec<String>>
where
    C: MigrationHarness<DB> + diesel::migration::MigrationConnection + 'static,
    DB: diesel::backend::Backend,
    EmbeddedMigrations: MigrationSource<DB>,
{
    refuse_newer(conn, source)?;
    let applied_before = conn.applied_migrations()?;
    let mut pending: Vec<Box<dyn Migration<DB>>> = source.migrations()?;
    pending.retain(|migration| !applied_before.contains(&migration.name().version()));
    pending.sort_by(|a, b| a.name().version().cmp(&b.name().version()));
    let mut applied = Vec::new();
    for (number, migration) in pending.iter().enumerate() {
        let name = migration.name().to_string();
        tracing::info!(
            migration = name,
            number = number + 1,
            of = pending.len(),
            "migrating"
        );
        let progress = Progress::start(&name)?;
        applied.push(conn.run_migration(&**migration)?.to_string());
        drop(progress);
    }
    Ok(applied)
}

/// How often the log says that a migration is still under way.
const STILL: Duration = Duration::from_secs(10);

/// Says now and then that a migration is still under way, until it is dropped.
struct Progress {
    ended: Option<mpsc::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Progress {
    fn start(name: &str) -> std::io::Result<Self> {
        let (ended, end) = mpsc::channel::<()>();
        let name = name.to_owned();
        let thread = std::thread::Builder::new()
            .name("migration".to_owned())
            .spawn(move || {
                let mut seconds = 0;
                while end.recv_timeout(STILL) == Err(RecvTimeoutError::Timeout) {
                    seconds += STILL.as_secs();
                    tracing::info!(migration = name, seconds, "still migrating");
                }
            })?;
        Ok(Self {
            ended: Some(ended),
            thread: Some(thread),
        })
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        drop(self.ended.take());
        if let Some(thread) = self.thread.take() {
            // It does nothing that can panic.
            let _ = thread.join();
        }
    }
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

diesel::table! {
    /// Diesel's.
    __diesel_schema_migrations (version) {
        version -> Text,
    }
}

/// How the database's migrations compare with this program's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has all of them, and perhaps some of a later version.
    Current {
        /// One that this program does not know.
        newer: Option<String>,
    },
    /// It lacks some; so many it has.
    Pending { applied: usize },
}

/// How the database's migrations compare with this program's. It reads, and nothing else:
/// diesel's own question creates the table of migrations where there is none.
pub fn standing(conn: &mut Conn) -> QueryResult<Standing> {
    let source = match conn {
        Conn::Sqlite(_) => versions::<diesel::sqlite::Sqlite>(&SQLITE),
        Conn::Mysql(_) => versions::<diesel::mysql::Mysql>(&MYSQL),
    };
    let known = source.map_err(diesel::result::Error::QueryBuilderError)?;
    let applied: QueryResult<Vec<String>> = __diesel_schema_migrations::table
        .select(__diesel_schema_migrations::version)
        .load(conn);
    let applied: HashSet<String> = match applied {
        Ok(applied) => applied.into_iter().collect(),
        Err(error) if dialect::is_missing_table(&error, "__diesel_schema_migrations") => {
            HashSet::new()
        }
        Err(error) => return Err(error),
    };
    if !known.iter().all(|version| applied.contains(version)) {
        let applied = applied.len();
        return Ok(Standing::Pending { applied });
    }
    let newer = applied.into_iter().find(|version| !known.contains(version));
    Ok(Standing::Current { newer })
}

/// Refuses a database of a later version, with one line.
pub fn newer_refused(version: &str) -> String {
    format!("it has the migration {version}, which this version of inkpot does not know")
}

fn versions<DB: diesel::backend::Backend>(source: &EmbeddedMigrations) -> Outcome<Vec<String>>
where
    EmbeddedMigrations: MigrationSource<DB>,
{
    let known: Vec<Box<dyn Migration<DB>>> = source.migrations()?;
    Ok(known
        .iter()
        .map(|m| m.name().version().to_string())
        .collect())
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
            return Err(newer_refused(&version.to_string()).into());
        }
    }
    Ok(())
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
