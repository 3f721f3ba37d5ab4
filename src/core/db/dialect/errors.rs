//! The table of database errors: what each means for the work that met it.

use diesel::result::{DatabaseErrorKind, Error};

/// The text of the error when no answer came in time.
pub(in crate::core::db) const TIMED_OUT: &str = "no answer from the database within its deadline";

/// What the caller can do about an error of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// A unique index refused it.
    Unique,
    /// A row that it refers to is not there (or still referred to).
    ForeignKey,
    /// A conflict with another transaction, by which this one was rolled back; the same
    /// work may succeed when repeated.
    Conflict,
    /// Another transaction held a lock for longer than is waited.
    LockTimeout,
    /// It took longer than it may, or was ended from outside. Not repeated: it would take
    /// as long again.
    TimeLimit,
    /// The connection is gone, or leads to a node that serves nobody; another one may work.
    Lost,
    /// The server refuses to do it: it is full, read-only, or has too many connections.
    Refused,
    /// `COMMIT` was sent and its answer did not come: it may have happened.
    UnknownOutcome,
    /// A fault of ours, or of the server's.
    Fault,
}

/// Numbers of errors, for readers of the table, and what their text has in it. The driver
/// drops the numbers, so the text is all there is; these have been stable for decades, and
/// sessions ask for them in English.
const TABLE: &[(&str, &str, ErrorClass)] = {
    use ErrorClass::{Conflict, Fault, LockTimeout, Lost, Refused, TimeLimit};
    &[
        (
            "1213, and what Galera says of conflicts",
            "Deadlock found",
            Conflict,
        ),
        (
            "1020, MariaDB",
            "Record has changed since last read",
            Conflict,
        ),
        ("1205", "Lock wait timeout exceeded", LockTimeout),
        (
            "3572, MySQL; MariaDB says 1205",
            "NOWAIT is set",
            LockTimeout,
        ),
        ("SQLITE_BUSY", "database is locked", LockTimeout),
        ("SQLITE_LOCKED", "database table is locked", LockTimeout),
        ("1969, MariaDB", "max_statement_time exceeded", TimeLimit),
        (
            "3024, MySQL",
            "maximum statement execution time exceeded",
            TimeLimit,
        ),
        ("1317", "Query execution was interrupted", TimeLimit),
        // What the index of words says when it is interrupted, and when it finds too much.
        ("1105 or 1030, MariaDB", "Unknown error 188", TimeLimit),
        (
            "HA_ERR_FTS_EXCEED_RESULT_CACHE_LIMIT, MySQL",
            "exceeds result cache limit",
            TimeLimit,
        ),
        ("SQLITE_INTERRUPT", "interrupted", TimeLimit),
        ("ours", TIMED_OUT, TimeLimit),
        (
            "1047, a node of a cluster without quorum",
            "has not yet prepared node",
            Lost,
        ),
        ("1053", "Server shutdown in progress", Lost),
        ("1927, MariaDB", "Connection was killed", Lost),
        ("2006", "server has gone away", Lost),
        ("2013", "Lost connection", Lost),
        ("4031, MySQL", "because of inactivity", Lost),
        ("1040", TOO_MANY_CONNECTIONS, Refused),
        (
            "1203",
            "already has more than 'max_user_connections'",
            Refused,
        ),
        ("1226", "has exceeded the '", Refused),
        ("1021", "Disk full", Refused),
        ("1114", "' is full", Refused),
        ("1206", "exceeds the lock table size", Refused),
        ("1223", "you have a conflicting read lock", Refused),
        ("1290, 1836", "read-only", Refused),
        ("1290, MariaDB before 11.8", "--read_only", Refused),
        ("1041, 1037", "Out of memory", Refused),
        ("3100, MySQL group replication", "replication hook", Refused),
        ("SQLITE_IOERR", "disk I/O error", Refused),
        ("SQLITE_FULL", "database or disk is full", Refused),
        ("SQLITE_READONLY", "readonly database", Refused),
        ("SQLITE_CANTOPEN", "unable to open database file", Refused),
        // By themselves they say that a program is wrong.
        ("1064", "You have an error in your SQL syntax", Fault),
    ]
};

const TOO_MANY_CONNECTIONS: &str = "Too many connections";

/// Whether a server refused a connection because it has too many (1040).
pub fn is_too_many_connections(message: &str) -> bool {
    message.contains(TOO_MANY_CONNECTIONS)
}

/// Whether an error says that a table is not there (MySQL 1146; SQLite's has no number of
/// its own).
pub fn is_missing_table(error: &Error, table: &str) -> bool {
    let Error::DatabaseError(_, info) = error else {
        return false;
    };
    let message = info.message();
    message.contains(table)
        && (message.contains("doesn't exist") || message.contains("no such table"))
}

/// The one classifier of errors.
pub fn error_class(error: &Error) -> ErrorClass {
    let (kind, info) = match error {
        Error::DatabaseError(kind, info) => (kind, info),
        // What the rollback after it says is of no use.
        Error::RollbackErrorOnCommit { commit_error, .. } => return error_class(commit_error),
        Error::BrokenTransactionManager => return ErrorClass::Lost,
        _ => return ErrorClass::Fault,
    };
    match kind {
        DatabaseErrorKind::UniqueViolation => return ErrorClass::Unique,
        DatabaseErrorKind::ForeignKeyViolation => return ErrorClass::ForeignKey,
        DatabaseErrorKind::SerializationFailure => return ErrorClass::Conflict,
        DatabaseErrorKind::ReadOnlyTransaction => return ErrorClass::Refused,
        _ => {}
    }
    match (class_of_message(info.message()), kind) {
        (Some(class), _) => class,
        (None, DatabaseErrorKind::ClosedConnection) => ErrorClass::Lost,
        (None, _) => ErrorClass::Fault,
    }
}

/// What a server's message means, if the table has it.
pub fn class_of_message(message: &str) -> Option<ErrorClass> {
    let known = (TABLE.iter()).find(|(_, text, _)| message.contains(text));
    known.map(|(_, _, class)| *class)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(kind: DatabaseErrorKind, message: &str) -> ErrorClass {
        error_class(&Error::DatabaseError(kind, Box::new(message.to_owned())))
    }

    /// The texts as the servers write them (`share/english/errmsg.sys`, `errmsg-utf8.txt`,
    /// `sqlite3_errstr`).
    #[test]
    fn the_texts_of_all_servers_are_told() {
        use DatabaseErrorKind::Unknown;
        for (text, expected) in [
            (
                "Deadlock found when trying to get lock; try restarting transaction",
                ErrorClass::Conflict,
            ),
            (
                "Record has changed since last read in table 'post'",
                ErrorClass::Conflict,
            ),
            (
                "Lock wait timeout exceeded; try restarting transaction",
                ErrorClass::LockTimeout,
            ),
            (
                "Statement aborted because lock(s) could not be acquired immediately and NOWAIT is set.",
                ErrorClass::LockTimeout,
            ),
            ("database is locked", ErrorClass::LockTimeout),
            (
                "Query execution was interrupted (max_statement_time exceeded)",
                ErrorClass::TimeLimit,
            ),
            (
                "Query execution was interrupted, maximum statement execution time exceeded",
                ErrorClass::TimeLimit,
            ),
            ("Query execution was interrupted", ErrorClass::TimeLimit),
            (
                "WSREP has not yet prepared node for application use",
                ErrorClass::Lost,
            ),
            ("Server shutdown in progress", ErrorClass::Lost),
            ("Connection was killed", ErrorClass::Lost),
            (
                "The client was disconnected by the server because of inactivity. See wait_timeout and interactive_timeout for configuring this behavior.",
                ErrorClass::Lost,
            ),
            ("Too many connections", ErrorClass::Refused),
            (
                "User blog already has more than 'max_user_connections' active connections",
                ErrorClass::Refused,
            ),
            (
                "User 'blog' has exceeded the 'max_updates_per_hour' resource (current value: 5)",
                ErrorClass::Refused,
            ),
            (
                "Disk full (/tmp); waiting for someone to free some space...",
                ErrorClass::Refused,
            ),
            ("The table 'post' is full", ErrorClass::Refused),
            (
                "The total number of locks exceeds the lock table size",
                ErrorClass::Refused,
            ),
            (
                "Can't execute the query because you have a conflicting read lock",
                ErrorClass::Refused,
            ),
            (
                "The MySQL server is running with the --read-only option so it cannot execute this statement",
                ErrorClass::Refused,
            ),
            (
                "The MySQL server is running with the --super-read-only option so it cannot execute this statement",
                ErrorClass::Refused,
            ),
            (
                "The MariaDB server is running with the --read-only option so it cannot execute this statement",
                ErrorClass::Refused,
            ),
            ("Running in read-only mode", ErrorClass::Refused),
            (
                "Out of memory; restart server and try again (needed 65535 bytes)",
                ErrorClass::Refused,
            ),
            (
                "Error on observer while running replication hook 'before_commit'.",
                ErrorClass::Refused,
            ),
            ("database or disk is full", ErrorClass::Refused),
            ("attempt to write a readonly database", ErrorClass::Refused),
            ("Unknown column 'x' in 'field list'", ErrorClass::Fault),
        ] {
            assert_eq!(class(Unknown, text), expected, "{text}");
        }
    }

    #[test]
    fn an_error_at_commit_is_what_the_commit_said() {
        let closed = |text: &str| {
            let text = Box::new(text.to_owned());
            Error::DatabaseError(DatabaseErrorKind::ClosedConnection, text)
        };
        let error = Error::RollbackErrorOnCommit {
            rollback_error: Box::new(closed("the connection was given up earlier")),
            commit_error: Box::new(closed("Input/output error: unexpected end of file")),
        };
        assert_eq!(error_class(&error), ErrorClass::Lost);
    }
}
