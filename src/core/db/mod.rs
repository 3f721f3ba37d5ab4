//! The data path: `Db::read` and `Db::write`, the only ways to a connection.
//!
//! Both run a closure on the blocking pool with one connection, so that no
//! connection is ever held across an `.await`. A write is one transaction.

pub mod connection;
pub mod dialect;
pub mod migrations;
mod mysql;
pub mod schema;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use diesel::Connection;
use diesel::connection::TransactionManager;
use diesel::r2d2::R2D2Connection;
use diesel::result::QueryResult;

use connection::ConnectionManager;
pub use connection::{Conn, DatabaseUrl};
use dialect::ErrorClass;

type Pool = r2d2::Pool<ConnectionManager>;
type Transactions = <Conn as Connection>::TransactionManager;
type Pooled = r2d2::PooledConnection<ConnectionManager>;

/// How long a request waits for a free connection before it is told to come back.
const CHECKOUT_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a write that conflicts with another transaction is tried in all.
const CONFLICT_ATTEMPTS: u32 = 8;

/// Why a unit of work did not happen.
#[derive(Debug)]
pub enum DbError {
    /// A unique index refused the write; its name, where it was recognised.
    Unique(String),
    /// The write refers to a row that is not there.
    ForeignKey,
    /// The database cannot be reached, is stopping, or has no connection free.
    Unavailable(String),
    /// A fault: a bug of ours, or an error nobody foresaw.
    Fault(String),
}

impl DbError {
    fn from_diesel(error: &diesel::result::Error) -> Self {
        match dialect::error_class(error) {
            ErrorClass::Unique => Self::Unique(error.to_string()),
            ErrorClass::ForeignKey => Self::ForeignKey,
            ErrorClass::Conflict | ErrorClass::Unavailable => Self::Unavailable(error.to_string()),
            ErrorClass::Fault => Self::Fault(error.to_string()),
        }
    }
}

/// The database, shared by all workers. Cloning is cheap.
#[derive(Clone)]
pub struct Db {
    inner: Arc<Inner>,
}

struct Inner {
    url: DatabaseUrl,
    readers: Pool,
    /// SQLite has one writer at a time. A pool of one makes writers queue here, in
    /// order, and not in SQLite's busy handler, which polls. MySQL: the same pool.
    writers: Pool,
    units: AtomicU64,
}

impl Db {
    /// Opens the pools; fails at once, with one line, when the database cannot be
    /// reached. `size` is the number of connections (of readers, on SQLite).
    pub fn open(url: &DatabaseUrl, size: u32) -> Result<Self, String> {
        url.make_directory()?;
        // The pool would retry in the background and report a time-out only.
        drop(connection::open(url).map_err(|e| e.to_string())?);
        let pool = |size: u32| {
            r2d2::Pool::builder()
                .max_size(size)
                .min_idle(Some(1))
                .connection_timeout(CHECKOUT_TIMEOUT)
                // A round trip for each checkout; a stale connection shows itself.
                .test_on_check_out(false)
                .error_handler(Box::new(LogConnectErrors))
                .build(ConnectionManager::new(url.clone()))
                .map_err(|e| e.to_string())
        };
        let readers = pool(size)?;
        let writers = match url {
            DatabaseUrl::Sqlite(_) => pool(1)?,
            DatabaseUrl::Mysql(_) => readers.clone(),
        };
        Ok(Self {
            inner: Arc::new(Inner {
                url: url.clone(),
                readers,
                writers,
                units: AtomicU64::new(0),
            }),
        })
    }

    /// Where the data is.
    pub fn url(&self) -> &DatabaseUrl {
        &self.inner.url
    }

    /// How many units of work (calls of `read`, `snapshot` and `write`) were asked for
    /// since the start; tests count them to prove that a request made no query.
    pub fn units(&self) -> u64 {
        self.inner.units.load(Ordering::Relaxed)
    }

    /// Reads with one connection, outside any transaction. When the connection turns
    /// out to be stale, another one runs `work` again.
    pub async fn read<T, F>(&self, work: F) -> Result<T, DbError>
    where
        T: Send + 'static,
        F: Fn(&mut Conn) -> QueryResult<T> + Send + 'static,
    {
        self.blocking(move |db| db.read_blocking(&work)).await
    }

    /// Reads several things that belong together: all queries of `work` see the
    /// database as it was at one moment.
    pub async fn snapshot<T, F>(&self, work: F) -> Result<T, DbError>
    where
        T: Send + 'static,
        F: Fn(&mut Conn) -> QueryResult<T> + Send + 'static,
    {
        self.blocking(move |db| db.snapshot_blocking(&work)).await
    }

    /// Writes in one transaction: all of it or nothing. `work` runs again, a bounded
    /// number of times, after a conflict with another transaction, and once after
    /// the connection was lost before `COMMIT` was sent. A lost `COMMIT` may have
    /// happened and is never repeated.
    ///
    /// A refusal that must leave a trace is an `Ok` of the closure.
    pub async fn write<T, F>(&self, work: F) -> Result<T, DbError>
    where
        T: Send + 'static,
        F: Fn(&mut Conn) -> QueryResult<T> + Send + 'static,
    {
        self.blocking(move |db| db.write_blocking(&work)).await
    }

    /// [`write`](Self::write) with an after-commit hook: `then` gets the outcome, of a
    /// failed write too, on the thread that committed. It runs even when the request
    /// that asked for the write was dropped meanwhile.
    pub async fn write_then<T, F, S>(&self, work: F, then: S) -> Result<T, DbError>
    where
        T: Send + 'static,
        F: Fn(&mut Conn) -> QueryResult<T> + Send + 'static,
        S: FnOnce(&Result<T, DbError>) + Send + 'static,
    {
        self.blocking(move |db| {
            let done = db.write_blocking(&work);
            then(&done);
            done
        })
        .await
    }

    async fn blocking<T, F>(&self, run: F) -> Result<T, DbError>
    where
        T: Send + 'static,
        F: FnOnce(&Self) -> Result<T, DbError> + Send + 'static,
    {
        self.inner.units.fetch_add(1, Ordering::Relaxed);
        let db = self.clone();
        match tokio::task::spawn_blocking(move || run(&db)).await {
            Ok(done) => done,
            Err(_) => Err(DbError::Fault("the unit of work panicked".to_owned())),
        }
    }

    /// [`read`](Self::read) for threads that may block, such as the command line's.
    pub fn read_blocking<T>(
        &self,
        work: &dyn Fn(&mut Conn) -> QueryResult<T>,
    ) -> Result<T, DbError> {
        let mut conn = checkout(&self.inner.readers)?;
        match work(&mut conn) {
            Err(error) if dialect::error_class(&error) == ErrorClass::Unavailable => {
                drop(conn);
                let mut conn = checkout_verified(&self.inner.readers)?;
                work(&mut conn).map_err(|e| DbError::from_diesel(&e))
            }
            other => other.map_err(|e| DbError::from_diesel(&e)),
        }
    }

    /// [`snapshot`](Self::snapshot) for threads that may block.
    pub fn snapshot_blocking<T>(
        &self,
        work: &dyn Fn(&mut Conn) -> QueryResult<T>,
    ) -> Result<T, DbError> {
        self.read_blocking(&|conn| {
            dialect::begin_snapshot(conn)?;
            match work(conn) {
                // Nothing was written: whether it ends well says nothing of what was read.
                Ok(value) => Transactions::commit_transaction(conn).map(|()| value),
                Err(error) => {
                    let _ = Transactions::rollback_transaction(conn);
                    Err(error)
                }
            }
        })
    }

    /// [`write`](Self::write) for threads that may block.
    pub fn write_blocking<T>(
        &self,
        work: &dyn Fn(&mut Conn) -> QueryResult<T>,
    ) -> Result<T, DbError> {
        let mut conn = checkout(&self.inner.writers)?;
        let mut reconnected = false;
        let mut attempt = 1;
        loop {
            match transaction(&mut conn, work) {
                Ok(value) => return Ok(value),
                Err(TransactionError::Commit(error)) => {
                    return Err(match dialect::error_class(&error) {
                        // A conflict that is reported at COMMIT was rolled back.
                        ErrorClass::Conflict if attempt < CONFLICT_ATTEMPTS => {
                            back_off(attempt);
                            attempt += 1;
                            continue;
                        }
                        _ => DbError::from_diesel(&error),
                    });
                }
                Err(TransactionError::RolledBack(error)) => match dialect::error_class(&error) {
                    ErrorClass::Conflict if attempt < CONFLICT_ATTEMPTS => {
                        back_off(attempt);
                        attempt += 1;
                    }
                    ErrorClass::Unavailable if !reconnected => {
                        reconnected = true;
                        drop(conn);
                        conn = checkout_verified(&self.inner.writers)?;
                    }
                    _ => return Err(DbError::from_diesel(&error)),
                },
            }
        }
    }

    /// A connection of its own outside the pools, for migrations.
    pub fn dedicated(&self) -> Result<Conn, String> {
        connection::open(&self.inner.url).map_err(|e| e.to_string())
    }
}

/// How far a transaction came that failed.
enum TransactionError {
    /// Nothing of it can have happened.
    RolledBack(diesel::result::Error),
    /// `COMMIT` was sent.
    Commit(diesel::result::Error),
}

fn transaction<T>(
    conn: &mut Conn,
    work: &dyn Fn(&mut Conn) -> QueryResult<T>,
) -> Result<T, TransactionError> {
    dialect::begin_write(conn).map_err(TransactionError::RolledBack)?;
    match work(conn) {
        Ok(value) => match Transactions::commit_transaction(conn) {
            Ok(()) => Ok(value),
            Err(error) => Err(TransactionError::Commit(error)),
        },
        Err(error) => {
            // When this fails too the connection is broken and the pool drops it.
            let _ = Transactions::rollback_transaction(conn);
            Err(TransactionError::RolledBack(error))
        }
    }
}

fn checkout(pool: &Pool) -> Result<Pooled, DbError> {
    pool.get()
        .map_err(|e| DbError::Unavailable(format!("no connection: {e}")))
}

/// Checks out a connection that answers a ping. After a restart of the server every
/// connection of the pool is stale; this drops those it meets.
fn checkout_verified(pool: &Pool) -> Result<Pooled, DbError> {
    for _ in 0..=pool.max_size() {
        let mut conn = checkout(pool)?;
        if !conn.is_broken() && connection::ping(&mut conn).is_ok() {
            return Ok(conn);
        }
    }
    Err(DbError::Unavailable("every connection is stale".to_owned()))
}

/// Exponential back-off with jitter before the next attempt, from 2 ms: without
/// jitter the transactions that collided would collide again.
fn back_off(attempt: u32) {
    let ceiling = 1_u64 << attempt.min(7);
    let jitter = getrandom::u32().map_or(0, u64::from) % (ceiling + 1);
    std::thread::sleep(Duration::from_millis(ceiling + jitter));
}

/// Logs why a connection cannot be opened; the pool itself retries in the background.
#[derive(Debug)]
struct LogConnectErrors;

impl<E: std::error::Error> r2d2::HandleError<E> for LogConnectErrors {
    fn handle_error(&self, error: E) {
        tracing::warn!(target: "inkpot::core::db", %error, "cannot open a database connection");
    }
}
