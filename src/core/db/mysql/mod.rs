//! The MySQL connection: a pure-Rust driver behind Diesel's blocking traits.
//!
//! Diesel's own `MysqlConnection` needs a C library that hangs for ever on a
//! statement whose rows failed once, and has no read timeout. This type drives
//! `diesel-async`'s connection from a runtime of its own and puts a deadline on
//! every exchange with the server. Past it, or when the transport fails, the
//! error is `ClosedConnection`, the connection is broken and the pool drops it.

mod kill;
pub(super) mod options;
pub(super) mod own;
mod session;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use diesel::connection::{
    AnsiTransactionManager, CacheSize, Connection, Instrumentation, LoadConnection,
    SimpleConnection, TransactionManager,
};
use diesel::internal::derives::multiconnection::{ConnectionSealed, MultiConnectionHelper};
use diesel::migration::{CREATE_MIGRATIONS_TABLE, MigrationConnection};
use diesel::mysql::{Mysql, MysqlQueryBuilder};
use diesel::query_builder::{AstPass, Query, QueryBuilder, QueryFragment, QueryId};
use diesel::r2d2::R2D2Connection;
use diesel::result::{ConnectionError, ConnectionResult, DatabaseErrorKind, Error, QueryResult};
use diesel_async::{
    AsyncConnection, AsyncConnectionCore, AsyncMysqlConnection, SimpleAsyncConnection,
};
use futures_util::TryStreamExt;
use mysql_async::Opts;

use self::options::options;
use self::own::OwnConnections;
use self::session::{Server, SessionError};
use super::connection::Role;
use super::deadline;
use super::dialect::errors::{TIMED_OUT, class_of_message};

/// How long connecting may take, TLS and authentication included.
const CONNECT_DEADLINE: Duration = Duration::from_secs(3);
/// What Diesel begins a transaction with.
const BEGIN: &str = "BEGIN";
/// A statement of a migration takes as long as it takes.
const NO_DEADLINE: Duration = Duration::from_secs(365 * 24 * 3600);

type Row = <AsyncMysqlConnection as AsyncConnectionCore>::Row<'static, 'static>;

/// A blocking MySQL or MariaDB connection with a deadline on every exchange.
///
/// Use it from threads that may block only: it panics inside an async task.
pub struct MysqlConnection {
    /// `None` only while the connection is being dropped.
    parts: Option<(AsyncMysqlConnection, tokio::runtime::Runtime)>,
    transaction_state: AnsiTransactionManager,
    /// How long an exchange may take where the thread's work has no deadline.
    deadline: Duration,
    broken: bool,
    role: Role,
    opts: Opts,
    /// The server's number of this connection.
    id: u32,
    server: Server,
    own: Arc<OwnConnections>,
    /// Its place among those.
    place: u64,
}

impl MysqlConnection {
    /// Opens a connection for `role` (see [`establish`](Connection::establish)). `time`: what
    /// a statement may take, if not what the URL says. `own`: the connections to which it is counted.
    pub(super) fn open(
        database_url: &str,
        (role, time): (Role, Option<Duration>),
        own: &Arc<OwnConnections>,
    ) -> ConnectionResult<Self> {
        let (opts, deadline) = options(database_url)?;
        let deadline = time.unwrap_or(deadline);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| ConnectionError::BadConnection(e.to_string()))?;
        let limit = deadline::remaining(CONNECT_DEADLINE);
        let attempt = own.attempt();
        let opened = block_on(&runtime, limit, async {
            let refused = |error| match error {
                SessionError::Driver(error) if is_temporary(&error) => {
                    ConnectionError::BadConnection(server_message(&error))
                }
                SessionError::Driver(error) => {
                    ConnectionError::InvalidConnectionUrl(server_message(&error))
                }
                SessionError::Refused(why) => ConnectionError::InvalidConnectionUrl(why),
            };
            let mut conn = (mysql_async::Conn::new(opts.clone()).await)
                .map_err(|error| refused(error.into()))?;
            let server = (session::begin(&mut conn, role, deadline).await).map_err(refused)?;
            let id = conn.id();
            Ok((AsyncMysqlConnection::try_from(conn).await?, id, server))
        });
        match opened {
            Some(Ok((conn, id, server))) => {
                let place = attempt.opened(id);
                Ok(Self {
                    parts: Some((conn, runtime)),
                    transaction_state: AnsiTransactionManager::default(),
                    deadline: match role {
                        Role::Reader | Role::Writer => deadline,
                        Role::Migrations => NO_DEADLINE,
                    },
                    broken: false,
                    role,
                    opts,
                    id,
                    server,
                    own: Arc::clone(own),
                    place,
                })
            }
            Some(Err(error)) => {
                runtime.shutdown_background();
                Err(error)
            }
            None => {
                runtime.shutdown_background();
                Err(ConnectionError::BadConnection(format!(
                    "no answer within {} seconds",
                    CONNECT_DEADLINE.as_secs()
                )))
            }
        }
    }

    /// Whether the server is MariaDB.
    pub(super) fn is_mariadb(&self) -> bool {
        self.server == Server::Mariadb
    }

    /// The connections that this one is counted to.
    pub(super) fn own(&self) -> &OwnConnections {
        &self.own
    }

    /// Runs one exchange with the server under the deadline.
    fn exchange<T>(
        &mut self,
        run: impl AsyncFnOnce(&mut AsyncMysqlConnection) -> QueryResult<T>,
    ) -> QueryResult<T> {
        if self.broken {
            return Err(closed("the connection was given up earlier"));
        }
        let Some((conn, runtime)) = self.parts.as_mut() else {
            return Err(closed("the connection is being dropped"));
        };
        let limit = deadline::remaining(self.deadline);
        if limit.is_zero() {
            // Nothing was sent: the connection is as good as it was.
            return Err(Error::DatabaseError(
                DatabaseErrorKind::Unknown,
                Box::new(TIMED_OUT.to_owned()),
            ));
        }
        let result = block_on(runtime, limit, run(conn))
            .unwrap_or_else(|| {
                kill::kill(self.opts.clone(), self.id);
                Err(closed(TIMED_OUT))
            })
            .map_err(closed_when_transport_failed);
        self.broken = matches!(
            result,
            Err(Error::DatabaseError(DatabaseErrorKind::ClosedConnection, _))
        );
        result
    }

    fn execute_untyped(&mut self, query: Untyped<'_>) -> QueryResult<usize> {
        self.exchange(async |conn| AsyncConnectionCore::execute_returning_count(conn, query).await)
    }

    fn load_untyped(&mut self, query: Untyped<'_>) -> QueryResult<Vec<QueryResult<Row>>> {
        self.exchange(async |conn| {
            let stream = AsyncConnectionCore::load(conn, query).await?;
            stream.map_ok(Ok).try_collect().await
        })
    }
}

/// A query without its type. What drives the exchange is compiled once then, and not for
/// each of more than a hundred queries.
///
/// Without a type there is no id of the type: prepared statements are found by their SQL.
struct Untyped<'query>(&'query dyn QueryFragment<Mysql>);

impl QueryFragment<Mysql> for Untyped<'_> {
    fn walk_ast<'b>(&'b self, pass: AstPass<'_, 'b, Mysql>) -> QueryResult<()> {
        self.0.walk_ast(pass)
    }

    /// Diesel prepares an `UPDATE` anew each time, since what it sets may differ: a round trip
    /// more for each. Ours set one of few lists of columns, which the text tells apart.
    fn is_safe_to_cache_prepared(&self, backend: &Mysql) -> QueryResult<bool> {
        if self.0.is_safe_to_cache_prepared(backend)? {
            return Ok(true);
        }
        let mut sql = MysqlQueryBuilder::new();
        self.0.to_sql(&mut sql, backend)?;
        let sql = sql.finish();
        // A list of values has any length.
        Ok(sql.starts_with("UPDATE ") && !sql.contains(" IN ("))
    }
}

impl QueryId for Untyped<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Untyped<'_> {
    type SqlType = diesel::sql_types::Untyped;
}

/// The statements of a migration: each ends with a semicolon at the end of a line.
fn statements(script: &str) -> impl Iterator<Item = &str> {
    (script.split_inclusive(";\n")).filter(|part| {
        let is_comment = |line: &str| line.is_empty() || line.starts_with("--");
        !part.lines().map(str::trim).all(is_comment)
    })
}

/// `None` when `limit` has passed; the future is dropped then.
fn block_on<F: Future>(
    runtime: &tokio::runtime::Runtime,
    limit: Duration,
    future: F,
) -> Option<F::Output> {
    runtime.block_on(async { tokio::time::timeout(limit, future).await.ok() })
}

fn closed(why: &str) -> Error {
    Error::DatabaseError(
        DatabaseErrorKind::ClosedConnection,
        Box::new(why.to_owned()),
    )
}

/// The driver reports everything that is not an answer of the server as
/// `Unknown` with a text that begins with the layer that failed.
fn closed_when_transport_failed(error: Error) -> Error {
    match error {
        Error::DatabaseError(DatabaseErrorKind::Unknown, info)
            if ["Input/output error", "Driver error", "Other error"]
                .iter()
                .any(|layer| info.message().starts_with(layer)) =>
        {
            Error::DatabaseError(DatabaseErrorKind::ClosedConnection, info)
        }
        other => other,
    }
}

impl Drop for MysqlConnection {
    fn drop(&mut self) {
        // In a panic nobody knows what is under way.
        let is_broken = self.broken || std::thread::panicking();
        self.own.closed(self.place, is_broken);
        if let Some((conn, runtime)) = self.parts.take() {
            // The driver spawns its goodbye on the runtime it finds; ours is let
            // go at once, because a pool may be dropped inside an async context,
            // where waiting for a runtime panics.
            {
                let _guard = runtime.enter();
                drop(conn);
            }
            runtime.shutdown_background();
        }
    }
}

impl SimpleConnection for MysqlConnection {
    fn batch_execute(&mut self, query: &str) -> QueryResult<()> {
        // A transaction of a writer begins with its first statement: a round trip less.
        if self.role == Role::Writer && query == BEGIN && !self.broken {
            return Ok(());
        }
        if self.role != Role::Migrations {
            return self.exchange(async |conn| conn.batch_execute(query).await);
        }
        // Several statements in one packet are applied wrongly by a cluster.
        for statement in statements(query) {
            self.exchange(async |conn| conn.batch_execute(statement).await)?;
        }
        Ok(())
    }
}

impl ConnectionSealed for MysqlConnection {}

impl Connection for MysqlConnection {
    type Backend = Mysql;
    type TransactionManager = AnsiTransactionManager;

    /// `database_url`: `mysql://user:password@host:port/database?parameters`.
    /// TLS: `require_ssl=true`, `verify_ca`, `verify_identity`, `built_in_roots`
    /// as in `mysql_async`, `ssl_ca=PATH` for a private authority and `tls_name=NAME` where
    /// the server's certificate has another name than the host. `deadline`: seconds that
    /// the work of one request may take.
    fn establish(database_url: &str) -> ConnectionResult<Self> {
        Self::open(database_url, (Role::Writer, None), &Arc::default())
    }

    fn execute_returning_count<T>(&mut self, source: &T) -> QueryResult<usize>
    where
        T: QueryFragment<Self::Backend> + QueryId,
    {
        self.execute_untyped(Untyped(source))
    }

    fn transaction_state(&mut self) -> &mut AnsiTransactionManager {
        &mut self.transaction_state
    }

    fn instrumentation(&mut self) -> &mut dyn Instrumentation {
        // The only way to `None` is `drop`, after which nobody holds a reference.
        match self.parts.as_mut() {
            Some((conn, _)) => AsyncConnection::instrumentation(conn),
            None => unreachable!("the connection is being dropped"),
        }
    }

    fn set_instrumentation(&mut self, instrumentation: impl Instrumentation) {
        if let Some((conn, _)) = self.parts.as_mut() {
            AsyncConnection::set_instrumentation(conn, instrumentation);
        }
    }

    fn set_prepared_statement_cache_size(&mut self, size: CacheSize) {
        if let Some((conn, _)) = self.parts.as_mut() {
            AsyncConnection::set_prepared_statement_cache_size(conn, size);
        }
    }
}

impl LoadConnection for MysqlConnection {
    // All rows at once: they belong to the exchange that the deadline bounds.
    type Cursor<'conn, 'query> = std::vec::IntoIter<QueryResult<Row>>;
    type Row<'conn, 'query> = Row;

    fn load<'conn, 'query, T>(
        &'conn mut self,
        source: T,
    ) -> QueryResult<Self::Cursor<'conn, 'query>>
    where
        T: Query + QueryFragment<Self::Backend> + QueryId + 'query,
        Self::Backend: diesel::expression::QueryMetadata<T::SqlType>,
    {
        let rows = self.load_untyped(Untyped(&source))?;
        Ok(rows.into_iter())
    }
}

impl R2D2Connection for MysqlConnection {
    fn ping(&mut self) -> QueryResult<()> {
        self.batch_execute("SELECT 1")
    }

    fn is_broken(&mut self) -> bool {
        self.broken || AnsiTransactionManager::is_broken_transaction_manager(self)
    }
}

impl MigrationConnection for MysqlConnection {
    fn setup(&mut self) -> QueryResult<usize> {
        self.batch_execute(CREATE_MIGRATIONS_TABLE).map(|()| 0)
    }
}

impl MultiConnectionHelper for MysqlConnection {
    fn to_any<'a>(lookup: &mut ()) -> &mut (dyn std::any::Any + 'a) {
        lookup
    }

    fn from_any(lookup: &mut dyn std::any::Any) -> Option<&mut ()> {
        lookup.downcast_mut()
    }
}

/// Whether connecting may succeed later: the server is not there yet, is starting, stopping
/// or full. A wrong password, or a certificate that does not fit, stays wrong.
fn is_temporary(error: &mysql_async::Error) -> bool {
    match error {
        mysql_async::Error::Io(mysql_async::IoError::Tls(_)) => false,
        mysql_async::Error::Io(_) => true,
        mysql_async::Error::Server(error) => class_of_message(&error.message).is_some(),
        _ => false,
    }
}

/// The server's or the system's message, without the driver's wrapping.
fn server_message(error: &mysql_async::Error) -> String {
    match error {
        mysql_async::Error::Server(e) => e.message.clone(),
        mysql_async::Error::Io(mysql_async::IoError::Io(e)) => e.to_string(),
        other => other.to_string(),
    }
}
