//! What a server tells of all that are connected to it.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use crate::core::db::mysql::MysqlConnection;

/// Who is connected to a MariaDB, and in what other ways its tables may change.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// The numbers of the connections that this one may see: those of its own user at least.
    pub ids: Vec<i64>,
    /// How many there are, whoever may see them.
    pub connected: i64,
    /// How many there have ever been.
    pub ever: i64,
    /// Whether the server has changes from elsewhere: of another server that it follows, of the other
    /// nodes of its cluster, or of events that it begins by itself.
    pub has_other_sources: bool,
}

#[derive(QueryableByName)]
struct Told {
    #[diesel(sql_type = Text)]
    what: String,
    #[diesel(sql_type = BigInt)]
    number: i64,
}

/// Asks MariaDB, which tells it to everybody. (MySQL keeps it elsewhere, and does not tell everybody
/// whether it follows another server.)
pub fn load_connections(conn: &mut MysqlConnection) -> QueryResult<Connections> {
    let rows: Vec<Told> = diesel::sql_query(
        "SELECT 'connection' AS what, CAST(id AS SIGNED) AS number \
         FROM information_schema.processlist WHERE user <> 'system user' \
         UNION ALL \
         SELECT LOWER(variable_name), CAST(variable_value AS SIGNED) \
         FROM information_schema.global_status WHERE variable_name IN \
         ('CONNECTIONS', 'THREADS_CONNECTED', 'SLAVES_RUNNING', 'WSREP_CLUSTER_SIZE') \
         UNION ALL \
         SELECT 'events', @@GLOBAL.event_scheduler = 'ON'",
    )
    .load(conn)?;
    let mut found = Connections::default();
    for Told { what, number } in rows {
        match what.as_str() {
            "connection" => found.ids.push(number),
            "threads_connected" => found.connected = number,
            "connections" => found.ever = number,
            _ => found.has_other_sources |= number != 0,
        }
    }
    Ok(found)
}
