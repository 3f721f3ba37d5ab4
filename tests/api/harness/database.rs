//! A database for each test: SQLite by copying a migrated file, MySQL by `CREATE
//! DATABASE`. The server is a private one that goes with this process, however
//! that ends, or the one that `INKPOT_TEST_MYSQL_URL` names.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{SystemTime, UNIX_EPOCH};

use super::left_out;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;
use inkpot::core::db::{Conn, DatabaseUrl, connection, migrations};

/// Names of the databases of tests: this, seconds since the epoch, process, number.
const PREFIX: &str = "inkpot_t_";
/// A database that is older was left over by a run that was killed.
const LEFT_OVER_SECONDS: u64 = 3600;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    Sqlite,
    Mysql,
}

/// An empty, migrated database that is gone when this is dropped.
pub struct TestDatabase {
    pub backend: Backend,
    url: String,
    /// Also a place for other files of the test.
    pub directory: Arc<tempfile::TempDir>,
    /// The one that is dropped last takes the database with it.
    held: Arc<()>,
}

impl TestDatabase {
    /// `None` when there is no MySQL server, which was said loudly then.
    pub fn create(backend: Backend) -> Option<Self> {
        let database = Self::create_empty(backend, backend == Backend::Mysql)?;
        if backend == Backend::Sqlite {
            std::fs::write(database.directory.path().join("inkpot.db"), &*TEMPLATE).unwrap();
        }
        Some(database)
    }

    /// A database without tables, unless `migrate`.
    pub fn create_empty(backend: Backend, migrate: bool) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let url = match backend {
            Backend::Sqlite => format!("sqlite:{}", directory.path().join("inkpot.db").display()),
            Backend::Mysql => {
                let server = SERVER.as_ref()?;
                let name = fresh_name();
                server.execute(format!("CREATE DATABASE {name}"));
                format!("{}{name}", server.url)
            }
        };
        let database = Self {
            backend,
            url,
            directory: Arc::new(directory),
            held: Arc::new(()),
        };
        if migrate {
            database.with(|conn| migrations::run(conn).map(drop).unwrap());
        }
        Some(database)
    }

    /// The same database once more, for a second service.
    pub fn shared(&self) -> Self {
        Self {
            backend: self.backend,
            url: self.url.clone(),
            directory: Arc::clone(&self.directory),
            held: Arc::clone(&self.held),
        }
    }

    /// As `DATABASE_URL` takes it.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Where the certificate of the private server's authority is; `None` for another
    /// server, or one without TLS.
    pub fn tls_authority(&self) -> Option<String> {
        let authority: Option<Name> = self.with(|conn| {
            let Conn::Mysql(conn) = conn else { return None };
            let sql = "SELECT CAST(@@ssl_ca AS CHAR) AS name";
            diesel::sql_query(sql).get_result(conn).ok()
        });
        let path = authority?.name;
        (path.ends_with("ca.pem") && std::path::Path::new(&path).exists()).then_some(path)
    }

    /// Runs `work` with a connection, on a thread that may block.
    pub fn with<T: Send + 'static>(&self, work: impl FnOnce(&mut Conn) -> T + Send + 'static) -> T {
        let url = DatabaseUrl::parse(&self.url).unwrap();
        std::thread::spawn(move || work(&mut connection::open(&url).unwrap()))
            .join()
            .unwrap()
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let is_last = Arc::strong_count(&self.held) == 1;
        if let (Backend::Mysql, Some(server), true) = (self.backend, SERVER.as_ref(), is_last) {
            let name = self.url.rsplit('/').next().unwrap().to_owned();
            server.execute(format!("DROP DATABASE IF EXISTS {name}"));
        }
    }
}

/// A migrated SQLite file's bytes, made once.
static TEMPLATE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let database = TestDatabase::create_empty(Backend::Sqlite, true).unwrap();
    // The file alone is whole only without a log beside it.
    database.with(|conn| conn.batch_execute("PRAGMA journal_mode = DELETE").unwrap());
    std::fs::read(database.directory.path().join("inkpot.db")).unwrap()
});

fn fresh_name() -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("{PREFIX}{}_{}_{number}", seconds(), std::process::id())
}

fn seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

/// The MySQL server of the run.
pub struct Server {
    /// Ends with a slash; a database's name follows.
    pub url: String,
    /// Holds the private server's life: it ends when this process does.
    _keeper: Option<Child>,
}

/// `None` when there is none to be had, which fails the run in CI and where
/// `INKPOT_TEST_REQUIRE_ALL` asks for it.
pub static SERVER: LazyLock<Option<Server>> = LazyLock::new(|| {
    let server = match std::env::var("INKPOT_TEST_MYSQL_URL") {
        Ok(url) if !url.is_empty() => Some(Server {
            url: format!("{}/", url.trim_end_matches('/')),
            _keeper: None,
        }),
        _ => start_private(),
    };
    match &server {
        Some(server) => server.sweep(),
        None => left_out::say(
            "every test on MySQL.",
            "There is no mariadbd or mysqld here and no INKPOT_TEST_MYSQL_URL",
        ),
    }
    server
});

fn start_private() -> Option<Server> {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/private-mariadb");
    let mut keeper = Command::new(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("tests/private-mariadb can be started");
    let mut url = String::new();
    BufReader::new(keeper.stdout.take().unwrap())
        .read_line(&mut url)
        .unwrap();
    if url.is_empty() {
        // 3: there is no server program; anything else is a failure.
        assert_eq!(
            keeper.wait().unwrap().code(),
            Some(3),
            "the private server did not start"
        );
        return None;
    }
    Some(Server {
        url: url.trim().to_owned(),
        _keeper: Some(keeper),
    })
}

#[derive(QueryableByName)]
struct Name {
    #[diesel(sql_type = Text)]
    name: String,
}

impl Server {
    fn with<T: Send>(&self, work: impl FnOnce(&mut Conn) -> T + Send) -> T {
        let url = DatabaseUrl::parse(&format!("{}information_schema", self.url)).unwrap();
        std::thread::scope(|scope| {
            scope
                .spawn(|| work(&mut connection::open(&url).unwrap()))
                .join()
                .unwrap()
        })
    }

    fn execute(&self, sql: String) {
        self.with(move |conn| conn.batch_execute(&sql).unwrap());
    }

    /// Drops what earlier runs left over.
    fn sweep(&self) {
        let names: Vec<Name> = self.with(|conn| {
            let Conn::Mysql(conn) = conn else {
                panic!("a MySQL server")
            };
            diesel::sql_query(format!(
                "SELECT schema_name AS name FROM information_schema.schemata \
                 WHERE schema_name LIKE '{}%'",
                PREFIX.replace('_', "\\_")
            ))
            .load(conn)
            .unwrap()
        });
        for Name { name } in names {
            let made: Option<u64> = name[PREFIX.len()..]
                .split('_')
                .next()
                .and_then(|n| n.parse().ok());
            if made.is_some_and(|made| made + LEFT_OVER_SECONDS < seconds()) {
                self.execute(format!("DROP DATABASE IF EXISTS {name}"));
            }
        }
    }
}
