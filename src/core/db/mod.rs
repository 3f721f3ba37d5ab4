//! The data path: `Db::read` and `Db::write`, the only ways to a connection.
//!
//! Both run a closure on the blocking pool with one connection, so that no
//! connection is ever held across an `.await`. A write is one transaction.
//!
//! - `bulkhead`: reads, searches, writes and housekeeping have connections of their own,
//!   and a bounded queue before them.
//! - [`deadline`]: all database work of a request has one.
//! - [`alone`]: whether anybody else is connected to the server.
//! - `breaker`: while the database is away, requests are refused at once.
//! - `metrics`: what it tells of itself.
//! - [`replica`]: readings that may go to a replica, and what they find there.
//! - [`dialect`]: what differs between the databases, with the table of their errors.

pub mod alone;
mod breaker;
mod bulkhead;
pub mod connection;
pub mod deadline;
pub mod dialect;
mod error;
mod metrics;
pub mod migrations;
mod mysql;
mod pools;
pub mod replica;
pub mod schema;

use std::future::Future;
use std::panic::Location;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use diesel::Connection;
use diesel::connection::TransactionManager;
use diesel::result::{ConnectionError, QueryResult};

use super::metrics::Counter;
use super::telemetry::request;
pub use bulkhead::Bulkhead;
use bulkhead::{MAX_WAIT, Permit};
use connection::Role;
pub use connection::{Conn, DatabaseUrl};
use dialect::ErrorClass;
pub use error::{Cause, DbError};
use error::{Failure, Place, Unwritten};
use metrics::Counters;
use pools::Pools;
use replica::Reading;

/// Why the database cannot be opened, as one line.
#[derive(Debug)]
pub enum OpenError {
    /// It is not there, starting or full; it may be there later.
    Away(String),
    /// That stays so: a wrong password, a server that is too old.
    Refused(String),
}

impl std::error::Error for OpenError {}

impl From<ConnectionError> for OpenError {
    fn from(error: ConnectionError) -> Self {
        match error {
            ConnectionError::BadConnection(why) => Self::Away(why),
            other => Self::Refused(other.to_string()),
        }
    }
}

impl std::fmt::Display for OpenError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Away(why) | Self::Refused(why) => f.write_str(why),
        }
    }
}

type Transactions = <Conn as Connection>::TransactionManager;

/// How often a write that conflicts with another transaction is tried in all.
const CONFLICT_ATTEMPTS: u32 = 8;
/// How long the command line waits for a connection.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a statement of an operator's command may take.
const DAY: Duration = Duration::from_secs(24 * 3600);
/// What a `COMMIT` or a rollback has, whatever is left of the deadline: without its answer
/// the outcome is unknown.
const END_TIME: Duration = Duration::from_secs(2);

/// The database, shared by all workers. Cloning is cheap.
#[derive(Clone)]
pub struct Db {
    inner: Arc<Inner>,
    /// Whose connections reads use.
    reads: Bulkhead,
}

struct Inner {
    url: DatabaseUrl,
    pools: Pools,
    /// How long the work of a request may take.
    time: Duration,
    units: AtomicU64,
    counters: Counters,
    /// What a unit of work may take of that.
    limit: Option<Duration>,
    /// Where readings go that may go to a replica.
    replica: OnceLock<Db>,
}

impl Db {
    /// Opens the database; fails at once when it cannot be reached. `size`
    /// is the number of connections for reads, and on MySQL of those for writes
    /// ([`Bulkhead`]).
    pub fn open(url: &DatabaseUrl, size: u32) -> Result<Self, OpenError> {
        url.make_directory().map_err(OpenError::Refused)?;
        let time = match url {
            DatabaseUrl::Sqlite(_) => mysql::options::DEADLINE,
            DatabaseUrl::Mysql(text) => {
                mysql::options::deadline(text).map_err(OpenError::Refused)?
            }
        };
        // The pools would retry in the background and report a time-out only.
        drop(connection::open_for(
            url,
            (Role::Reader, None),
            &Arc::default(),
        )?);
        Ok(Self {
            inner: Arc::new(Inner {
                url: url.clone(),
                pools: Pools::new(url, size, None),
                time,
                units: AtomicU64::new(0),
                counters: Counters::default(),
                limit: None,
                replica: OnceLock::new(),
            }),
            reads: Bulkhead::Reads,
        })
    }

    /// A replica of it, which is only read from, and where what tasks read within a
    /// [`scope`](replica::scope) is read from now on. It is not asked for yet: it may be away. A unit
    /// of work may take `limit` there, of the time that its request has. The error is one line.
    pub(in crate::core) fn replica_at(
        &self,
        url: &DatabaseUrl,
        size: u32,
        limit: Duration,
    ) -> Result<Self, String> {
        let DatabaseUrl::Mysql(text) = url else {
            return Err("a replica is one of MySQL or MariaDB".to_owned());
        };
        mysql::options::check(text)?;
        let replica = Self {
            inner: Arc::new(Inner {
                url: url.clone(),
                pools: Pools::of_replica(url, size, limit),
                // A request has one deadline, wherever its first unit of work is.
                time: self.inner.time,
                units: AtomicU64::new(0),
                counters: Counters::default(),
                limit: Some(limit),
                replica: OnceLock::new(),
            }),
            reads: Bulkhead::Reads,
        };
        // There is one for as long as the process runs.
        let _ = self.inner.replica.set(replica.clone());
        Ok(replica)
    }

    /// The same database by the connections of another bulkhead: what it reads takes none
    /// from clients' reads, and theirs none from it.
    #[must_use]
    pub fn reading_by(&self, reads: Bulkhead) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            reads,
        }
    }

    /// The same database for an operator's command, whose statements may read everything
    /// there is: with connections of its own, and no deadline but a day.
    #[must_use]
    pub fn patient(&self) -> Self {
        Self {
            inner: Arc::new(Inner {
                url: self.inner.url.clone(),
                pools: Pools::new(&self.inner.url, 1, Some(DAY)),
                time: DAY,
                units: AtomicU64::new(0),
                counters: Counters::default(),
                limit: None,
                replica: OnceLock::new(),
            }),
            reads: Bulkhead::Reads,
        }
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

    /// What is read by: these connections, or in a task whose readings go to a replica the same
    /// of that.
    fn source(&self) -> (Self, Option<Arc<Reading>>) {
        match (replica::current(), self.inner.replica.get()) {
            (Some(reading), Some(replica)) if self.reads != Bulkhead::Housekeeping => {
                (replica.reading_by(self.reads), Some(reading))
            }
            _ => (self.clone(), None),
        }
    }

    /// Reads with one connection, outside any transaction. When the connection turns
    /// out to be stale, another one runs `work` again.
    #[track_caller]
    pub fn read<T, F>(&self, work: F) -> impl Future<Output = Result<T, DbError>>
    where
        T: Send + 'static,
        F: Fn(&mut Conn) -> QueryResult<T> + Send + 'static,
    {
        let (place, (db, reading)) = (Location::caller(), self.source());
        async move {
            let measured = reading.clone();
            let run = move |db: &Self, permit| {
                let done = db.try_read(permit, &|conn| {
                    measured.as_ref().map_or(Ok(()), |one| one.measure(conn))?;
                    work(conn)
                });
                Ok(done?)
            };
            let done = db.blocking_then(place, db.reads, run, |_| {}).await;
            noted(reading.as_ref(), done)
        }
    }

    /// Reads several things that belong together: all queries of `work` see the
    /// database as it was at one moment.
    #[track_caller]
    pub fn snapshot<T, F>(&self, work: F) -> impl Future<Output = Result<T, DbError>>
    where
        T: Send + 'static,
        F: Fn(&mut Conn) -> QueryResult<T> + Send + 'static,
    {
        let (place, (db, reading)) = (Location::caller(), self.source());
        async move {
            let measured = reading.clone();
            let run = move |db: &Self, permit| {
                let done = db.try_snapshot(permit, &|conn| {
                    measured.as_ref().map_or(Ok(()), |one| one.measure(conn))?;
                    work(conn)
                });
                Ok(done?)
            };
            let done = db.blocking_then(place, db.reads, run, |_| {}).await;
            noted(reading.as_ref(), done)
        }
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
        self.write_then(work, |_| {})
    }

    /// [`write`](Self::write) with an after-commit hook: `then` gets what was written, or may
    /// have been where the answer to `COMMIT` was lost, on the thread that committed. Of a write
    /// that surely did not happen it hears nothing. Once the write has begun it runs even when
    /// the request that asked for it is dropped.
    #[track_caller]
    pub fn write_then<T, F, S>(&self, work: F, then: S) -> impl Future<Output = Result<T, DbError>>
    where
        T: Send + 'static,
        F: Fn(&mut Conn) -> QueryResult<T> + Send + 'static,
        S: FnOnce(&T) + Send + 'static,
    {
        let run = move |db: &Self, permit| db.try_write(permit, &work);
        self.blocking_then(Location::caller(), Bulkhead::Writes, run, then)
    }

    /// Runs a unit of work on the blocking pool, where the lines of the log have the id
    /// of the request that asked for it. `place` is who asked.
    ///
    /// It waits for a place of its bulkhead before it takes a thread.
    async fn blocking_then<T, R, S>(
        &self,
        place: Place,
        bulkhead: Bulkhead,
        run: R,
        then: S,
    ) -> Result<T, DbError>
    where
        T: Send + 'static,
        R: FnOnce(&Self, Permit) -> Result<T, Unwritten<T>> + Send + 'static,
        S: FnOnce(&T) + Send + 'static,
    {
        self.inner.units.fetch_add(1, Ordering::Relaxed);
        let deadline = deadline::begin(self.inner.time);
        let left = deadline.saturating_duration_since(deadline::now());
        let permit = match self.inner.pools.enter(bulkhead, left).await {
            Ok(permit) => permit,
            Err(failure) => return Err(self.failed(failure, place)),
        };
        let db = self.clone();
        let run = request::inherit(move || {
            let _entered = deadline::enter(deadline);
            let _limited = db.inner.limit.map(deadline::limit);
            db.settle(run(&db, permit), then, place)
        });
        match tokio::task::spawn_blocking(run).await {
            Ok(done) => done,
            Err(panic) => Err(self.failed(Failure::new(ErrorClass::Fault, panic), place)),
        }
    }

    /// Tells the hook of a unit of work what was done, or may have been.
    fn settle<T>(
        &self,
        done: Result<T, Unwritten<T>>,
        then: impl FnOnce(&T),
        place: Place,
    ) -> Result<T, DbError> {
        let Unwritten { failure, possible } = match done {
            Ok(done) => {
                then(&done);
                return Ok(done);
            }
            Err(unwritten) => unwritten,
        };
        if let Some(possible) = &possible {
            then(possible);
        }
        Err(self.failed(failure, place))
    }

    /// Counts a failure, and says what it means for who asked.
    fn failed(&self, failure: Failure, place: Place) -> DbError {
        self.inner.counters.failed(&failure);
        DbError::new(failure, place)
    }

    /// [`read`](Self::read) for threads that may block, such as the command line's.
    #[track_caller]
    pub fn read_blocking<T>(
        &self,
        work: &dyn Fn(&mut Conn) -> QueryResult<T>,
    ) -> Result<T, DbError> {
        self.blocking(Location::caller(), self.reads, |permit| {
            self.try_read(permit, work)
        })
    }

    /// [`read`](Self::read) on a thread that may block, for requests that share it.
    #[track_caller]
    pub fn read_together<T>(
        &self,
        work: &dyn Fn(&mut Conn) -> QueryResult<T>,
    ) -> Result<T, DbError> {
        let run = |permit| Ok(self.try_read(permit, work)?);
        self.together(Location::caller(), self.reads, run, |_| {})
    }

    /// [`write_then`](Self::write_then) on a thread that may block, for requests that share it.
    #[track_caller]
    pub fn write_together<T>(
        &self,
        work: &dyn Fn(&mut Conn) -> QueryResult<T>,
        then: impl FnOnce(&T),
    ) -> Result<T, DbError> {
        let run = |permit| self.try_write(permit, work);
        self.together(Location::caller(), Bulkhead::Writes, run, then)
    }

    /// A unit of work with the deadline that each of those has who share it.
    fn together<T>(
        &self,
        place: Place,
        bulkhead: Bulkhead,
        run: impl FnOnce(Permit) -> Result<T, Unwritten<T>>,
        then: impl FnOnce(&T),
    ) -> Result<T, DbError> {
        self.inner.units.fetch_add(1, Ordering::Relaxed);
        let _entered = deadline::enter(deadline::begin(self.inner.time));
        let _limited = self.inner.limit.map(deadline::limit);
        let done = (self.inner.pools.enter_blocking(bulkhead, MAX_WAIT))
            .map_err(Unwritten::from)
            .and_then(run);
        self.settle(done, then, place)
    }

    /// [`snapshot`](Self::snapshot) for threads that may block.
    #[track_caller]
    pub fn snapshot_blocking<T>(
        &self,
        work: &dyn Fn(&mut Conn) -> QueryResult<T>,
    ) -> Result<T, DbError> {
        self.blocking(Location::caller(), self.reads, |permit| {
            self.try_snapshot(permit, work)
        })
    }

    /// [`write`](Self::write) for threads that may block.
    #[track_caller]
    pub fn write_blocking<T>(
        &self,
        work: &dyn Fn(&mut Conn) -> QueryResult<T>,
    ) -> Result<T, DbError> {
        self.blocking(Location::caller(), Bulkhead::Writes, |permit| {
            let done = self.try_write(permit, work);
            done.map_err(|Unwritten { failure, .. }| failure)
        })
    }

    fn blocking<T>(
        &self,
        place: Place,
        bulkhead: Bulkhead,
        run: impl FnOnce(Permit) -> Result<T, Failure>,
    ) -> Result<T, DbError> {
        (self.inner.pools.enter_blocking(bulkhead, PATIENCE))
            .and_then(run)
            .map_err(|failure| self.failed(failure, place))
    }

    /// Counts a failure after which the work runs again.
    fn tried_again(&self, failure: &Failure, retries: &Counter) {
        self.inner.counters.failed(failure);
        retries.increment();
    }

    fn try_read<T>(
        &self,
        permit: Permit,
        work: &dyn Fn(&mut Conn) -> QueryResult<T>,
    ) -> Result<T, Failure> {
        let pools = &self.inner.pools;
        let mut checkout = pools.checkout(self.reads, permit)?;
        let failure = match work(checkout.conn()) {
            Ok(value) => return Ok(value),
            Err(error) => Failure::from(error),
        };
        match failure.class() {
            ErrorClass::Lost => {
                self.tried_again(&failure, &self.inner.counters.reconnections);
                pools.suspect_all();
                let mut checkout = pools.checkout(self.reads, checkout.release())?;
                Ok(work(checkout.conn())?)
            }
            ErrorClass::TimeLimit => {
                pools.suspect_all();
                Err(failure)
            }
            _ => Err(failure),
        }
    }

    fn try_snapshot<T>(
        &self,
        permit: Permit,
        work: &dyn Fn(&mut Conn) -> QueryResult<T>,
    ) -> Result<T, Failure> {
        self.try_read(permit, &|conn| {
            dialect::begin_snapshot(conn)?;
            let done = work(conn);
            // Nothing was written: however it ends says nothing of what was read.
            roll_back(conn);
            done
        })
    }

    fn try_write<T>(
        &self,
        mut permit: Permit,
        work: &dyn Fn(&mut Conn) -> QueryResult<T>,
    ) -> Result<T, Unwritten<T>> {
        let pools = &self.inner.pools;
        let mut reconnected = false;
        let mut attempt = 1;
        loop {
            let mut checkout = pools.checkout(Bulkhead::Writes, permit)?;
            let unwritten = match transaction(checkout.conn(), work) {
                Ok(value) => return Ok(value),
                Err(unwritten) => unwritten,
            };
            let failure = &unwritten.failure;
            match failure.class() {
                // Of no use to others while it waits, it gives its place away.
                ErrorClass::Conflict if attempt < CONFLICT_ATTEMPTS => {
                    self.tried_again(failure, &self.inner.counters.conflict_retries);
                    drop(checkout);
                    back_off(attempt);
                    attempt += 1;
                    let wait = deadline::remaining(MAX_WAIT);
                    permit = pools.enter_blocking(Bulkhead::Writes, wait)?;
                }
                ErrorClass::Lost if !reconnected => {
                    reconnected = true;
                    self.tried_again(failure, &self.inner.counters.reconnections);
                    pools.suspect_all();
                    permit = checkout.release();
                }
                ErrorClass::TimeLimit | ErrorClass::Lost | ErrorClass::UnknownOutcome => {
                    pools.suspect_all();
                    return Err(unwritten);
                }
                _ => return Err(unwritten),
            }
        }
    }

    /// Closes idle connections that the server has ended. Returns at once: that is done on the blocking
    /// pool.
    pub fn close_dead(&self) {
        let db = self.clone();
        tokio::task::spawn_blocking(move || db.inner.pools.close_dead());
    }

    /// A connection of its own outside the pools, for migrations.
    pub fn dedicated(&self) -> Result<Conn, String> {
        connection::open(&self.inner.url).map_err(|e| e.to_string())
    }
}

/// Notes where a reading at a replica failed.
fn noted<T>(reading: Option<&Arc<Reading>>, done: Result<T, DbError>) -> Result<T, DbError> {
    if let (Some(reading), Err(_)) = (reading, &done) {
        reading.failed();
    }
    done
}

fn transaction<T>(
    conn: &mut Conn,
    work: &dyn Fn(&mut Conn) -> QueryResult<T>,
) -> Result<T, Unwritten<T>> {
    dialect::begin_write(conn)?;
    match work(conn) {
        Ok(value) => {
            let _end = deadline::at_least(END_TIME);
            match Transactions::commit_transaction(conn) {
                Ok(()) => Ok(value),
                Err(error) => Err(commit_failure(conn, error, value)),
            }
        }
        Err(error) => {
            roll_back(conn);
            Err(error.into())
        }
    }
}

/// What an error at `COMMIT` means: that the transaction was rolled back, or that nobody
/// knows.
fn commit_failure<T>(conn: &Conn, error: diesel::result::Error, value: T) -> Unwritten<T> {
    match (dialect::error_class(&error), conn) {
        // Conflicts are reported at COMMIT too, by clusters. SQLite says what happened, and
        // diesel rolled back.
        (ErrorClass::Conflict | ErrorClass::Refused, _) | (_, Conn::Sqlite(_)) => error.into(),
        (_, Conn::Mysql(_)) => Unwritten {
            failure: Failure::new(ErrorClass::UnknownOutcome, error),
            possible: Some(value),
        },
    }
}

/// When this fails the connection is broken and the pool drops it.
fn roll_back(conn: &mut Conn) {
    let _end = deadline::at_least(END_TIME);
    let _ = Transactions::rollback_transaction(conn);
}

/// Exponential back-off with jitter before the next attempt, from 2 ms: without
/// jitter the transactions that collided would collide again.
fn back_off(attempt: u32) {
    let ceiling = 1_u64 << attempt.min(7);
    let jitter = getrandom::u32().map_or(0, u64::from) % (ceiling + 1);
    std::thread::sleep(Duration::from_millis(ceiling + jitter));
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
            (line!(), db.write_then(refuse, |()| {}).await),
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
        let context = request::Context {
            request_id: "req-1".into(),
            trace: None,
        };
        let asked = request::scope(context, async {
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
