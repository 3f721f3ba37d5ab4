//! The MySQL connection: a pure-Rust driver behind Diesel's blocking traits.
//!
//! Diesel's own `MysqlConnection` needs a C library that hangs for ever on a
//! statement whose rows failed once, and has no read timeout. This type drives
//! `diesel-async`'s connection from a runtime of its own and puts a deadline on
//! every exchange with the server. Past it, or when the transport fails, the
//! error is `ClosedConnection`, the connection is broken and the pool drops it.

use std::future::Future;
use std::time::Duration;

use diesel::connection::{
    AnsiTransactionManager, CacheSize, Connection, Instrumentation, LoadConnection,
    SimpleConnection, TransactionManager,
};
use diesel::internal::derives::multiconnection::{ConnectionSealed, MultiConnectionHelper};
use diesel::migration::{CREATE_MIGRATIONS_TABLE, MigrationConnection};
use diesel::mysql::Mysql;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::r2d2::R2D2Connection;
use diesel::result::{ConnectionError, ConnectionResult, DatabaseErrorKind, Error, QueryResult};
use diesel_async::{
    AsyncConnection, AsyncConnectionCore, AsyncMysqlConnection, SimpleAsyncConnection,
};
use futures_util::TryStreamExt;
use mysql_async::{Opts, OptsBuilder, SslOpts};

/// How long the server may take for one statement, its rows included, unless the
/// URL says otherwise.
const EXCHANGE_DEADLINE: Duration = Duration::from_secs(15);
/// How long connecting may take, TLS and authentication included.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

/// What every session starts with. READ COMMITTED: no gap locks between
/// publishers. Strict: a text that does not fit is an error, never a cut.
const SESSION: &str = "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,\
     ERROR_FOR_DIVISION_BY_ZERO,NO_ZERO_DATE,NO_ZERO_IN_DATE,ONLY_FULL_GROUP_BY'";
const ISOLATION: &str = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";

type Row = <AsyncMysqlConnection as AsyncConnectionCore>::Row<'static, 'static>;

/// A blocking MySQL or MariaDB connection with a deadline on every exchange.
///
/// Use it from threads that may block only: it panics inside an async task.
pub struct MysqlConnection {
    /// `None` only while the connection is being dropped.
    parts: Option<(AsyncMysqlConnection, tokio::runtime::Runtime)>,
    transaction_state: AnsiTransactionManager,
    deadline: Duration,
    broken: bool,
}

impl MysqlConnection {
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
        let result = block_on(runtime, self.deadline, run(conn))
            .unwrap_or_else(|| Err(closed("no answer from the database within its deadline")))
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
}

impl QueryId for Untyped<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Untyped<'_> {
    type SqlType = diesel::sql_types::Untyped;
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
        self.exchange(async |conn| conn.batch_execute(query).await)
    }
}

impl ConnectionSealed for MysqlConnection {}

impl Connection for MysqlConnection {
    type Backend = Mysql;
    type TransactionManager = AnsiTransactionManager;

    /// `database_url`: `mysql://user:password@host:port/database?parameters`.
    /// TLS: `require_ssl=true`, `verify_ca`, `verify_identity`, `built_in_roots`
    /// as in `mysql_async`, and `ssl_ca=PATH` for a private authority. `deadline`:
    /// seconds that an exchange may take.
    fn establish(database_url: &str) -> ConnectionResult<Self> {
        let (options, deadline) = options(database_url)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| ConnectionError::BadConnection(e.to_string()))?;
        let opened = block_on(&runtime, CONNECT_DEADLINE, async {
            let conn = mysql_async::Conn::new(options)
                .await
                .map_err(|e| ConnectionError::BadConnection(server_message(&e)))?;
            AsyncMysqlConnection::try_from(conn).await
        });
        match opened {
            Some(Ok(conn)) => Ok(Self {
                parts: Some((conn, runtime)),
                transaction_state: AnsiTransactionManager::default(),
                deadline,
                broken: false,
            }),
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

/// Driver options for `database_url`, and the deadline of an exchange; our own
/// parameters `ssl_ca` and `deadline` are taken out.
fn options(database_url: &str) -> ConnectionResult<(OptsBuilder, Duration)> {
    let invalid = |why: String| ConnectionError::InvalidConnectionUrl(why);
    let mut url = url::Url::parse(database_url).map_err(|e| invalid(e.to_string()))?;
    let mut authority = None;
    let mut deadline = Ok(EXCHANGE_DEADLINE);
    let rest: Vec<(String, String)> = url
        .query_pairs()
        .filter_map(|(key, value)| {
            if key == "ssl_ca" {
                authority = Some(std::path::PathBuf::from(value.into_owned()));
                return None;
            }
            if key == "deadline" {
                deadline = seconds(&value);
                return None;
            }
            Some((key.into_owned(), value.into_owned()))
        })
        .collect();
    url.set_query(None);
    if !rest.is_empty() {
        url.query_pairs_mut().extend_pairs(rest);
    }
    let opts = Opts::from_url(url.as_str()).map_err(|e| invalid(e.to_string()))?;
    if opts.db_name().is_none_or(str::is_empty) {
        return Err(invalid("it names no database".to_owned()));
    }
    let ssl = match (opts.ssl_opts().cloned(), authority) {
        (ssl, None) => ssl,
        (ssl, Some(path)) => Some(
            ssl.unwrap_or_else(SslOpts::default)
                .with_root_certs(vec![path.into()]),
        ),
    };
    let builder = OptsBuilder::from_opts(opts)
        .ssl_opts(ssl)
        .init(vec![SESSION, ISOLATION])
        .stmt_cache_size(0) // diesel-async keeps its own
        .client_found_rows(true); // rows found, not rows changed, as on SQLite
    Ok((builder, deadline.map_err(invalid)?))
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds @ 1..=3600) => Ok(Duration::from_secs(seconds)),
        _ => Err("deadline is a number of seconds, 1 to 3600".to_owned()),
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
