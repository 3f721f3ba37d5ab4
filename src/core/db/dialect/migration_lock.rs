//! The migration lock: of all processes that start at once, one migrates and the
//! others wait for it.
//!
//! MySQL and MariaDB: `GET_LOCK`, under a name that contains the database, since the
//! lock is the server's and a server may hold several blogs. It belongs to the session,
//! so it ends with the process, however that ends. Its limits:
//!
//! - Group Replication and Galera keep the lock on one node: it does not keep two
//!   processes apart that are connected to two nodes. MariaDB's manual calls it
//!   unsupported with Galera, and a server may refuse the call, which is an error here.
//!   In a cluster run `inkpot migrate run` once, before the servers start.
//! - `TiDB` locks in the whole cluster. It makes one second of a time-out of zero, and its
//!   older versions lack `IS_USED_LOCK`, so the holder is told only where it is known.
//! - A proxy that gives one client's session to another loses the lock. Its release is
//!   refused then, which is logged.
//!
//! SQLite: the write lock of the file. All that is pending is one transaction.

use std::time::{Duration, Instant};

use diesel::connection::{Connection, SimpleConnection, TransactionManager};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};
use sha2::{Digest, Sha256};

use super::{ErrorClass, begin_write, error_class};
use crate::core::db::connection::{BUSY_TIMEOUT, Conn};
use crate::core::db::mysql::MysqlConnection;

/// How long the lock is waited for unless a caller says otherwise.
pub const WAIT: Duration = Duration::from_secs(60);
/// Between two attempts on MySQL. A waiting `GET_LOCK` would be one exchange, whose
/// deadline may be shorter.
const POLL: Duration = Duration::from_millis(100);

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Runs `work` while this connection holds the migration lock. When another process
/// does not release the lock within `wait`, nothing is run, and the error says in one
/// line who holds it and what to do.
pub fn with_migration_lock<T>(
    conn: &mut Conn,
    wait: Duration,
    work: impl FnOnce(&mut Conn) -> Outcome<T>,
) -> Outcome<T> {
    match conn {
        Conn::Sqlite(_) => with_write_lock(conn, wait, work),
        Conn::Mysql(c) => {
            let name = acquire(c, wait)?;
            let done = work(conn);
            if let Conn::Mysql(c) = conn {
                release(c, &name);
            }
            done
        }
    }
}

fn with_write_lock<T>(
    conn: &mut Conn,
    wait: Duration,
    work: impl FnOnce(&mut Conn) -> Outcome<T>,
) -> Outcome<T> {
    type Transactions = <Conn as Connection>::TransactionManager;
    set_busy_timeout(conn, wait)?;
    let begun = begin_write(conn);
    set_busy_timeout(conn, BUSY_TIMEOUT)?;
    match begun {
        Ok(()) => {}
        Err(error) if error_class(&error) == ErrorClass::LockTimeout => {
            return Err(format!(
                "another process has been writing to it for {} seconds, perhaps a migration; \
                 nothing was migrated; start again when that process is done",
                wait.as_secs()
            )
            .into());
        }
        Err(error) => return Err(error.into()),
    }
    let done = work(conn);
    if done.is_ok() {
        Transactions::commit_transaction(conn)?;
    } else {
        // The error of the work says more than that of the rollback.
        let _ = Transactions::rollback_transaction(conn);
    }
    done
}

fn set_busy_timeout(conn: &mut Conn, timeout: Duration) -> QueryResult<()> {
    conn.batch_execute(&format!("PRAGMA busy_timeout = {}", timeout.as_millis()))
}

#[derive(QueryableByName)]
struct Database {
    #[diesel(sql_type = Text)]
    name: String,
}

#[derive(QueryableByName)]
struct Answer {
    #[diesel(sql_type = Nullable<BigInt>)]
    answer: Option<i64>,
}

/// Acquires the lock and gives its name.
fn acquire(conn: &mut MysqlConnection, wait: Duration) -> Outcome<String> {
    let name = lock_name(conn)?;
    #[expect(
        clippy::disallowed_methods,
        reason = "how long another process really holds it"
    )]
    let begun = Instant::now();
    loop {
        // 1: acquired; 0: somebody else holds it; NULL: the server failed to lock.
        match ask(conn, "GET_LOCK(?, 0)", &name)? {
            Some(1) => return Ok(name),
            Some(_) if begun.elapsed() < wait => std::thread::sleep(POLL),
            Some(_) => {
                let holder = ask(conn, "IS_USED_LOCK(?)", &name)
                    .unwrap_or_default()
                    .map_or_else(String::new, |id| {
                        format!(" by connection {id} of the server")
                    });
                return Err(format!(
                    "the migration lock {name} has been held{holder} for {} seconds; nothing was \
                     migrated; start again when that process is done, or end it",
                    wait.as_secs()
                )
                .into());
            }
            None => {
                return Err(format!(
                    "the server failed to give the migration lock {name}; nothing was migrated"
                )
                .into());
            }
        }
    }
}

/// Releases the lock. What was migrated stays migrated, so a failure is only logged;
/// the lock ends with the session at the latest.
fn release(conn: &mut MysqlConnection, name: &str) {
    match ask(conn, "RELEASE_LOCK(?)", name) {
        Ok(Some(1)) => {}
        Ok(_) => tracing::warn!(
            lock = name,
            "the migration lock was lost before the migration ended: does a proxy share sessions?"
        ),
        Err(error) => tracing::warn!(lock = name, %error, "cannot release the migration lock"),
    }
}

fn ask(conn: &mut MysqlConnection, call: &str, name: &str) -> QueryResult<Option<i64>> {
    let asked = diesel::sql_query(format!("SELECT CAST({call} AS SIGNED) AS answer"))
        .bind::<Text, _>(name)
        .get_result::<Answer>(conn)?;
    Ok(asked.answer)
}

/// The lock's name for the connection's database. Names of locks have at most 64
/// characters, as have those of databases, so the database is hashed. In lower case:
/// servers differ in whether `Blog` is `blog`, and two names must not mean one database.
fn lock_name(conn: &mut MysqlConnection) -> QueryResult<String> {
    let database = diesel::sql_query("SELECT DATABASE() AS name").get_result::<Database>(conn)?;
    let hash = Sha256::digest(database.name.to_lowercase());
    let number = (hash.iter().take(16)).fold(0_u128, |sum, byte| (sum << 8) | u128::from(*byte));
    Ok(format!("inkpot_migrations_{number:032x}"))
}
