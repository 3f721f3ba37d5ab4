//! One connection type for both databases, and the manager that opens it for a
//! pool by the scheme of the URL.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::r2d2::R2D2Connection;
use diesel::result::{ConnectionError, ConnectionResult, QueryResult};
use diesel::{Connection, SqliteConnection};

use super::breaker::Breaker;
use super::dialect::errors::{ErrorClass, error_class, is_too_many_connections};
use super::dialect::letters::fold_all_letters;
use super::dialect::time_limit::register_in_time;
use super::mysql::MysqlConnection;
use super::mysql::own::OwnConnections;
use crate::core::owner_only;

/// How long SQLite waits for the lock of another process before a statement fails.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How often, and how far apart, a new connection tries a locked file again while
/// other connections are opened: two seconds in all.
const WAL_ATTEMPTS: u32 = 200;
const WAL_RETRY_PAUSE: Duration = Duration::from_millis(10);

/// Where the data is.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A file; its directory is made at the start.
    Sqlite(PathBuf),
    /// `mysql://user:password@host:port/database?parameters`.
    Mysql(String),
}

impl DatabaseUrl {
    /// Reads `sqlite:PATH` or `mysql://…`; the error says what was expected and
    /// repeats nothing of a URL that may hold a password.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() || path == ":memory:" {
                return Err("sqlite: needs the path of a file".to_owned());
            }
            return Ok(Self::Sqlite(PathBuf::from(path)));
        }
        if text.starts_with("mysql://") {
            let url = url::Url::parse(text).map_err(|e| format!("not a URL: {e}"))?;
            if url.host_str().is_none_or(str::is_empty) {
                return Err("mysql:// needs a host".to_owned());
            }
            if url.path().trim_matches('/').is_empty() {
                return Err("mysql:// needs the name of a database as its path".to_owned());
            }
            return Ok(Self::Mysql(text.to_owned()));
        }
        Err("expected sqlite:PATH or mysql://user:password@host:port/database".to_owned())
    }

    /// Makes the directory that an embedded database lies in.
    pub fn make_directory(&self) -> Result<(), String> {
        match self {
            Self::Sqlite(path) => path.parent().map_or(Ok(()), owner_only::make_directory),
            Self::Mysql(_) => Ok(()),
        }
    }

    /// The URL for people: without the password and the parameters.
    pub fn redacted(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite:{}", path.display()),
            Self::Mysql(text) => match url::Url::parse(text) {
                Ok(mut url) => {
                    if url.password().is_some() {
                        // Fails for URLs that cannot have one; this one has.
                        let _ = url.set_password(Some("***"));
                    }
                    url.set_query(None);
                    url.to_string()
                }
                Err(_) => "mysql://***".to_owned(),
            },
        }
    }
}

// A derived Debug would print the password.
impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.redacted())
    }
}

pub use multi::Conn;

/// The derive's public names stay in here: only the enum leaves.
mod multi {
    use diesel::SqliteConnection;

    use crate::core::db::dialect::time_limit::AsksForTime;
    use crate::core::db::mysql::MysqlConnection;

    /// A connection to either database. What differs between them is in
    /// [`dialect`](crate::core::db::dialect), nowhere else.
    #[derive(diesel::MultiConnection)]
    pub enum Conn {
        /// Embedded.
        Sqlite(SqliteConnection),
        /// MySQL or MariaDB.
        Mysql(MysqlConnection),
    }

    impl AsksForTime for MultiBackend {
        fn asks_for_time(&self) -> bool {
            match self {
                Self::Sqlite(backend) => backend.asks_for_time(),
                Self::Mysql(backend) => backend.asks_for_time(),
            }
        }
    }
}

/// Opens a connection outside of the pools, whose statements take as long as they take.
pub fn open(url: &DatabaseUrl) -> ConnectionResult<Conn> {
    open_for(url, (Role::Migrations, None), &Arc::default())
}

/// Opens a connection by the scheme of the URL (the derive's own `establish`
/// tries one after the other and hides the errors).
pub(super) fn open_for(
    url: &DatabaseUrl,
    purpose: (Role, Option<Duration>),
    own: &Arc<OwnConnections>,
) -> ConnectionResult<Conn> {
    match url {
        DatabaseUrl::Sqlite(path) => open_sqlite(path).map(Conn::Sqlite),
        DatabaseUrl::Mysql(text) => MysqlConnection::open(text, purpose, own).map(Conn::Mysql),
    }
}

fn open_sqlite(path: &Path) -> ConnectionResult<SqliteConnection> {
    let text = path
        .to_str()
        .ok_or_else(|| ConnectionError::InvalidConnectionUrl("the path is not UTF-8".to_owned()))?;
    // As a URI "file:" would be parsed; a relative path that looks like one, or
    // like ":memory:", is made plain by a leading "./".
    let plain = if path.is_absolute() {
        text.to_owned()
    } else {
        format!("./{text}")
    };
    let mut conn = SqliteConnection::establish(&plain)?;
    for register in [fold_all_letters, register_in_time] {
        register(&mut conn).map_err(ConnectionError::CouldntSetupConfiguration)?;
    }
    // One statement each: a batch ends silently at the first busy answer, and
    // waiting must be on before anything needs it.
    for pragma in [
        &format!("PRAGMA busy_timeout = {}", BUSY_TIMEOUT.as_millis()),
        "PRAGMA journal_mode = WAL",
        // FULL: an acknowledged write survives a loss of power, not only a crash.
        "PRAGMA synchronous = FULL",
        "PRAGMA foreign_keys = ON",
        "PRAGMA cache_size = -16384",
    ] {
        retry_while_locked(|| conn.batch_execute(pragma))
            .map_err(ConnectionError::CouldntSetupConfiguration)?;
    }
    Ok(conn)
}

/// `busy_timeout` does not cover two connections that switch a new file to WAL at
/// once: one of them gets `SQLITE_BUSY` immediately.
fn retry_while_locked(mut run: impl FnMut() -> QueryResult<()>) -> QueryResult<()> {
    for _ in 0..WAL_ATTEMPTS {
        match run() {
            Err(error) if error_class(&error) == ErrorClass::LockTimeout => {
                std::thread::sleep(WAL_RETRY_PAUSE);
            }
            done => return done,
        }
    }
    run()
}

/// What a connection is used for, which decides what its session begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Reads, each transaction from one snapshot.
    Reader,
    /// Transactions that write.
    Writer,
    /// Migrations, whose statements take as long as they take.
    Migrations,
}

/// The pool's connection manager: opens and checks its connections.
pub(super) struct ConnectionManager {
    url: DatabaseUrl,
    role: Role,
    /// What a statement may take, if not what the URL says.
    time: Option<Duration>,
    breaker: Arc<Breaker>,
    own: Arc<OwnConnections>,
}

/// A pooled connection.
pub(super) struct Managed {
    pub(super) conn: Conn,
    /// The breaker's, when the connection last was known to work.
    pub(super) generation: u64,
}

impl ConnectionManager {
    pub(super) fn new(
        url: DatabaseUrl,
        (role, time): (Role, Option<Duration>),
        (breaker, own): (Arc<Breaker>, Arc<OwnConnections>),
    ) -> Self {
        Self {
            url,
            role,
            time,
            breaker,
            own,
        }
    }
}

impl r2d2::ManageConnection for ConnectionManager {
    type Connection = Managed;
    type Error = ConnectionError;

    fn connect(&self) -> Result<Managed, Self::Error> {
        let generation = self.breaker.generation();
        match open_for(&self.url, (self.role, self.time), &self.own) {
            Ok(conn) => {
                self.breaker.close();
                Ok(Managed { conn, generation })
            }
            Err(error) => {
                // With one connection too many, those that there are work.
                if !is_too_many_connections(&error.to_string()) {
                    self.breaker.failed(&error.to_string());
                }
                Err(error)
            }
        }
    }

    fn is_valid(&self, managed: &mut Managed) -> Result<(), Self::Error> {
        ping(&mut managed.conn).map_err(ConnectionError::CouldntSetupConfiguration)
    }

    fn has_broken(&self, managed: &mut Managed) -> bool {
        // A panic leaves the connection wherever it was, perhaps in a transaction.
        std::thread::panicking() || managed.conn.is_broken()
    }
}

/// Checks that the server answers; costs one round trip.
pub fn ping(conn: &mut Conn) -> QueryResult<()> {
    match conn {
        Conn::Sqlite(_) => Ok(()),
        Conn::Mysql(c) => c.ping(),
    }
}
