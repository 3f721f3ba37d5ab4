//! The data path: `Db::read` and `Db::write`, the only ways to a connection.
//!
//! Both run a closure on the blocking pool with one connection, so that no
//! connection is ever held across an `.await`. A write is one transaction.

pub mod connection;
pub mod dialect;
mod error;
pub mod migrations;
mod mysql;
pub mod schema;

use std::future::Future;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use diesel::Connection;
use diesel::connection::TransactionManager;
use diesel::r2d2::R2D2Connection;
use diesel::result::QueryResult;

use super::telemetry::request;
use connection::ConnectionManager;
pub use connection::{Conn, DatabaseUrl};
use dialect::ErrorClass;
pub use error::{Cause, DbError};
use error::{Failure, Place};

type Pool = r2d2::Pool<ConnectionManager>;
type Transactions = <Conn as Connection>::TransactionManager;
type Pooled = r2d2::PooledConnection<ConnectionManager>;

/// How long a request waits for a free connection before it is told to come back.
const CHECKOUT_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a write that conflicts with another transaction is tried in all.
const CONFLICT_ATTEMPTS: u32 = 8;

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
    #[track_caller]
    pub fn read<T, F>(&self, work: F) -> impl Future<Output = Result<T, DbError>>
    where
        T: Send + 'static,
        F: Fn(&mut Conn) -> QueryResult<T> + Send + 'static,
    {
        self.blocking(Location::caller(), move |db| db.try_read(&work))
    }

    /// Reads several things that belong together: all queries of `work` see the
    /// database as it was at one moment.
    #[track_caller]
    pub fn snapshot<T, F>(&self, work: F) -> impl Future<Output = Result<T, DbError>>
    where
        T: Send + 'static,
        F: Fn(&mut Conn) -> QueryResult<T> + Send + 'static,
    {
        self.blocking(Location::caller(), move |db| db.try_snapshot(&work))
    }

    /// Writes in one transaction: all of it or nothing. `work` runs again, a bounded
    /// number of times, after a conflict with another transaction, and once after
    /// the connection was lost before `COMMIT` was sent. A lost `COMMIT` may have
    /// happened and is never repeated.
    ///
    /// A refusal that must leave a trace is an `Ok` of the closure.
    #[track_caller]
    pub fn write<T, F>(&self, work: F) -> impl Future<Output = Result<T, DbError>>
    where
        T: Send + 'static,
        F: Fn(&mut Conn) -> QueryResult<T> + Send + 'static,
    {
        self.blocking(Location::caller(), move |db| db.try_write(&work))
    }

    /// [`write`](Self::write) with an after-commit hook: `then` gets the outcome, of a
    /// failed write too, on the thread that committed. It runs even when the request
    /// that asked for the write was dropped meanwhile.
    #[track_caller]
    pub fn write_then<T, F, S>(&self, work: F, then: S) -> impl Future<Output = Result<T, DbError>>
    where
        T: Send + 'static,
        F: Fn(&mut Conn) -> QueryResult<T> + Send + 'static,
        S: FnOnce(&Result<T, DbError>) + Send + 'static,
    {
        let place = Location::caller();
        self.blocking_then(place, move |db| db.try_write(&work), then)
    }

    fn blocking<T, R>(&self, place: Place, run: R) -> impl Future<Output = Result<T, DbError>>
    where
        T: Send + 'static,
        R: FnOnce(&Self) -> Result<T, Failure> + Send + 'static,
    {
        self.blocking_then(place, run, |_| {})
    }

    /// Runs a unit of work on the blocking pool, where the lines of the log have the id
    /// of the request that asked for it. `place` is who asked.
    async fn blocking_then<T, R, S>(&self, place: Place, run: R, then: S) -> Result<T, DbError>
    where
        T: Send + 'static,
        R: FnOnce(&Self) -> Result<T, Failure> + Send + 'static,
        S: FnOnce(&Result<T, DbError>) + Send + 'static,
    {
        self.inner.units.fetch_add(1, Ordering::Relaxed);
        let db = self.clone();
        let run = request::inherit(move || {
            let done = run(&db).map_err(|failure| DbError::new(failure, place));
            then(&done);
            done
        });
        match tokio::task::spawn_blocking(run).await {
            Ok(done) => done,
            Err(panic) => Err(DbError::new(Failure::new(ErrorClass::Fault, panic), place)),
        }
    }

    /// [`read`](Self::read) for threads that may block, such as the command line's.
    #[track_caller]
    pub fn read_blocking<T>(
        &self,
        work: &dyn Fn(&mut Conn) -> QueryResult<T>,
    ) -> Result<T, DbError> {
        let place = Location::caller();
        (self.try_read(work)).map_err(|failure| DbError::new(failure, place))
    }

    /// [`snapshot`](Self::snapshot) for threads that may block.
    #[track_caller]
    pub fn snapshot_blocking<T>(
        &self,
        work: &dyn Fn(&mut Conn) -> QueryResult<T>,
    ) -> Result<T, DbError> {
        let place = Location::caller();
        (self.try_snapshot(work)).map_err(|failure| DbError::new(failure, place))
    }

    /// [`write`](Self::write) for threads that may block.
    #[track_caller]
    pub fn write_blocking<T>(
        &self,
        work: &dyn Fn(&mut Conn) -> QueryResult<T>,
    ) -> Result<T, DbError> {
        let place = Location::caller();
        (self.try_write(work)).map_err(|failure| DbError::new(failure, place))
    }

    fn try_read<T>(&self, work: &dyn Fn(&mut Conn) -> QueryResult<T>) -> Result<T, Failure> {
        let mut conn = checkout(&self.inner.readers)?;
        match work(&mut conn) {
            Err(error) if dialect::error_class(&error) == ErrorClass::Unavailable => {
                drop(conn);
                let mut conn = checkout_verified(&self.inner.readers)?;
                Ok(work(&mut conn)?)
            }
            other => Ok(other?),
        }
    }

    fn try_snapshot<T>(&self, work: &dyn Fn(&mut Conn) -> QueryResult<T>) -> Result<T, Failure> {
        self.try_read(&|conn| {
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

    fn try_write<T>(&self, work: &dyn Fn(&mut Conn) -> QueryResult<T>) -> Result<T, Failure> {
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
                        _ => error.into(),
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
                    _ => return Err(error.into()),
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

fn checkout(pool: &Pool) -> Result<Pooled, Failure> {
    pool.get()
        .map_err(|e| Failure::unavailable(format!("no connection: {e}")))
}

/// Checks out a connection that answers a ping. After a restart of the server every
/// connection of the pool is stale; this drops those it meets.
fn checkout_verified(pool: &Pool) -> Result<Pooled, Failure> {
    for _ in 0..=pool.max_size() {
        let mut conn = checkout(pool)?;
        if !conn.is_broken() && connection::ping(&mut conn).is_ok() {
            return Ok(conn);
        }
    }
    Err(Failure::unavailable("every connection is stale"))
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

#[cfg(test)]
mod tests {
    use diesel::result::Error;

    use super::*;

    fn on_sqlite() -> (tempfile::TempDir, Db) {
        let directory = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::Sqlite(directory.path().join("x.db"));
        (directory, Db::open(&url, 1).unwrap())
    }

    #[tokio::test]
    async fn an_error_has_the_place_that_asked() {
        let (_directory, db) = on_sqlite();
        let refuse = |_: &mut Conn| Err::<(), _>(Error::RollbackTransaction);
        let asked = [
            (line!(), db.read(refuse).await),
            (line!(), db.snapshot(refuse).await),
            (line!(), db.write(refuse).await),
            (line!(), db.write_then(refuse, |_| {}).await),
            (line!(), db.read_blocking(&refuse)),
            (line!(), db.snapshot_blocking(&refuse)),
            (line!(), db.write_blocking(&refuse)),
        ];
        for (line, outcome) in asked {
            let error = outcome.unwrap_err();
            assert_eq!(
                (error.place().file(), error.place().line()),
                (file!(), line)
            );
            let source = std::error::Error::source(&error).unwrap();
            assert!(source.is::<Error>(), "{source}");
        }
    }

    /// On the threads of the blocking pool too.
    #[tokio::test]
    async fn a_unit_of_work_belongs_to_the_request_that_asked() {
        let (_directory, db) = on_sqlite();
        let current = |_: &mut Conn| Ok(request::current());
        let asked = request::scope("req-1".into(), async {
            (
                db.read(current).await.unwrap(),
                db.write(current).await.unwrap(),
            )
        });
        let (read, written) = asked.await;
        assert_eq!(
            (read.as_deref(), written.as_deref()),
            (Some("req-1"), Some("req-1"))
        );
        assert_eq!(db.read(current).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_panic_is_a_fault_with_its_text() {
        let (_directory, db) = on_sqlite();
        let refused = db.read(|_| -> QueryResult<()> { panic!("at work") }).await;
        let error = refused.unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(
            matches!(error, DbError::Fault(_)) && source.contains("at work"),
            "{source}"
        );
    }
}
