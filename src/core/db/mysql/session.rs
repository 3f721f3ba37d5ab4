//! What the session of a connection begins with, and which servers are refused.

use std::fmt::Write as _;
use std::time::Duration;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use crate::core::db::connection::Role;

/// How long a lock is waited for, of a row or of a table: rows that somebody holds, or a
/// backup's `FLUSH TABLES WITH READ LOCK`, must not take all connections.
const LOCK_WAIT: Duration = Duration::from_secs(2);
/// The same for migrations, which wait for the transactions that use a table to end.
const MIGRATION_LOCK_WAIT: Duration = Duration::from_secs(60);

/// What a connection leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Server {
    Mysql,
    Mariadb,
}

impl Server {
    /// By what the server calls its version. The error says what is wrong with it.
    pub(super) fn of(version: &str) -> Result<Self, String> {
        let lower = version.to_lowercase();
        if lower.contains("tidb") {
            return Err(format!(
                "the server is TiDB ({version}), which lacks locks that inkpot needs \
                 (SKIP LOCKED); use MySQL 8.0 or MariaDB 10.6 or later"
            ));
        }
        // What MariaDB puts before its own for old replicas.
        let own = lower.strip_prefix("5.5.5-").unwrap_or(&lower);
        let mut numbers = own.split(|c: char| !c.is_ascii_digit()).map(str::parse);
        let mut number = || -> u32 { numbers.next().and_then(Result::ok).unwrap_or(0) };
        let number = (number(), number());
        let (server, name, least) = if lower.contains("mariadb") {
            (Self::Mariadb, "MariaDB", (10, 6))
        } else {
            (Self::Mysql, "MySQL", (8, 0))
        };
        if number < least {
            return Err(format!(
                "the server is {name} {version}, which is too old; use MySQL 8.0 or MariaDB \
                 10.6 or later"
            ));
        }
        Ok(server)
    }
}

/// Prepares a new connection for `role`; a read may take `time`. The error is one line.
///
/// In two round trips: the driver needs ten, and where each takes 200 ms a connection must be open within
/// the three seconds that it may take.
pub(super) async fn begin(
    conn: &mut Conn,
    role: Role,
    time: Duration,
) -> Result<Server, SessionError> {
    // `wsrep_on` is a variable of MariaDB where Galera is compiled in.
    let variables: Vec<(String, String)> = conn
        .query("SHOW SESSION VARIABLES WHERE Variable_name IN ('version', 'wsrep_on')")
        .await?;
    let value = |name: &str| {
        let found = variables.iter().find(|(variable, _)| variable == name);
        found.map_or("", |(_, value)| value.as_str())
    };
    let server = Server::of(value("version"))?;
    let is_cluster = server == Server::Mariadb && value("wsrep_on") == "ON";
    let statement = statement(server, role, is_cluster, time);
    conn.query_drop(format!("{statement}; {}", isolation(role)))
        .await?;
    Ok(server)
}

/// Readers see one state in a transaction. READ COMMITTED elsewhere: no gap locks between
/// publishers.
fn isolation(role: Role) -> &'static str {
    match role {
        Role::Reader => "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        Role::Writer | Role::Migrations => "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    }
}

fn statement(server: Server, role: Role, is_cluster: bool, time: Duration) -> String {
    let wait = match role {
        Role::Reader | Role::Writer => LOCK_WAIT,
        Role::Migrations => MIGRATION_LOCK_WAIT,
    }
    .as_secs();
    // Strict: a text that does not fit is an error, never a cut. English: errors are told
    // by their text.
    let mut sql = format!(
        "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,\
         ERROR_FOR_DIVISION_BY_ZERO,NO_ZERO_DATE,NO_ZERO_IN_DATE,ONLY_FULL_GROUP_BY', \
         SESSION lc_messages = 'en_US', SESSION innodb_lock_wait_timeout = {wait}, \
         SESSION lock_wait_timeout = {wait}"
    );
    if role == Role::Writer {
        // Each transaction begins with its first statement, by itself: `BEGIN` is not sent
        // (`MysqlConnection::batch_execute`).
        sql.push_str(", SESSION autocommit = 0");
    }
    // A statement that nobody waits for any more is to end in the server too. Of writes only
    // what reads: a time limit that strikes at COMMIT would leave its outcome unknown.
    let time = match role {
        Role::Reader => time,
        Role::Writer | Role::Migrations => Duration::ZERO,
    };
    // Writing to a String cannot fail.
    let _ = match server {
        Server::Mariadb => write!(sql, ", SESSION max_statement_time = {}", time.as_secs()),
        Server::Mysql => write!(sql, ", SESSION max_execution_time = {}", time.as_millis()),
    };
    if is_cluster && role == Role::Reader {
        // What was written at another node, and told by the bus, is here before it is read:
        // the bus is faster than replication, and what is read is kept.
        sql.push_str(", SESSION wsrep_sync_wait = 1");
    }
    sql
}

/// Why a session cannot begin.
pub(super) enum SessionError {
    Driver(mysql_async::Error),
    Refused(String),
}

impl From<mysql_async::Error> for SessionError {
    fn from(error: mysql_async::Error) -> Self {
        Self::Driver(error)
    }
}

impl From<String> for SessionError {
    fn from(why: String) -> Self {
        Self::Refused(why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_that_are_too_old_or_something_else_are_refused_by_name() {
        for (version, expected) in [
            ("8.0.36", Ok(Server::Mysql)),
            ("9.7.0", Ok(Server::Mysql)),
            ("8.0.35-google", Ok(Server::Mysql)),
            ("10.11.6-MariaDB-0+deb12u1", Ok(Server::Mariadb)),
            ("5.5.5-10.6.12-MariaDB-log", Ok(Server::Mariadb)),
            ("11.4.2-MariaDB", Ok(Server::Mariadb)),
            ("5.7.44-log", Err("MySQL 5.7.44-log")),
            ("5.5.5-10.5.23-MariaDB", Err("MariaDB 5.5.5-10.5.23")),
            ("8.0.11-TiDB-v7.5.0", Err("TiDB")),
            ("", Err("too old")),
        ] {
            match (Server::of(version), expected) {
                (Ok(server), Ok(expected)) => assert_eq!(server, expected, "{version}"),
                (Err(why), Err(part)) => assert!(why.contains(part), "{why}"),
                (got, _) => panic!("{version}: {got:?}"),
            }
        }
    }

    #[test]
    fn only_readers_have_a_time_limit_and_wait_for_replication() {
        let time = Duration::from_secs(10);
        let of = |server, role| statement(server, role, true, time);
        let reader = of(Server::Mariadb, Role::Reader);
        assert!(reader.contains("max_statement_time = 10") && reader.contains("wsrep_sync_wait"));
        assert!(of(Server::Mysql, Role::Reader).contains("max_execution_time = 10000"));
        for role in [Role::Writer, Role::Migrations] {
            let other = of(Server::Mariadb, role);
            assert!(other.contains("max_statement_time = 0") && !other.contains("wsrep"));
        }
        let begins_by_itself = |role| of(Server::Mariadb, role).contains("autocommit = 0");
        assert!(begins_by_itself(Role::Writer));
        assert!(!begins_by_itself(Role::Reader) && !begins_by_itself(Role::Migrations));
    }
}
