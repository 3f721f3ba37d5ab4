//! The heartbeat by which replicas are measured: one row with a number, which grows at the
//! primary and is read at the replica.
//!
//! Replicas apply transactions in the order in which the primary committed them. So who reads
//! number N at the primary after a commit, and N + 1 at a replica, knows that the replica has
//! that commit: whoever wrote N + 1 committed later.

use diesel::dsl::exists;
use diesel::prelude::*;
use diesel::sql_types::BigInt;

use crate::core::db::Conn;
use crate::core::db::schema::{installation, replica_heartbeat};

/// The one row.
const ROW: i32 = 1;

/// The heartbeat at the primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, QueryableByName)]
pub struct Heartbeat {
    /// The newest number.
    #[diesel(sql_type = BigInt)]
    pub beat: i64,
    /// Not 0: it is a second old.
    #[diesel(sql_type = BigInt)]
    is_due: i64,
}

impl Heartbeat {
    /// Whether it is time for the next one.
    pub fn is_due(self) -> bool {
        self.is_due != 0
    }
}

/// Looks at the primary; `None` on SQLite, which has no replicas.
pub fn look(conn: &mut Conn) -> QueryResult<Option<Heartbeat>> {
    match conn {
        Conn::Sqlite(_) => Ok(None),
        Conn::Mysql(conn) => diesel::sql_query(
            "SELECT beat, CAST(at <= UTC_TIMESTAMP(6) - INTERVAL 1 SECOND AS SIGNED) AS is_due \
             FROM replica_heartbeat WHERE id = 1",
        )
        .get_result(conn)
        .optional(),
    }
}

/// Writes the number after `beat`, unless somebody has.
pub fn write_next(conn: &mut Conn, beat: i64) -> QueryResult<()> {
    match conn {
        Conn::Sqlite(_) => Ok(()),
        Conn::Mysql(conn) => diesel::sql_query(
            "UPDATE replica_heartbeat SET beat = beat + 1, at = UTC_TIMESTAMP(6) \
             WHERE id = 1 AND beat = ?",
        )
        .bind::<BigInt, _>(beat)
        .execute(conn)
        .map(drop),
    }
}

/// The newest number that a replica of the database of that name has; `NotFound` where it is
/// none of it.
pub fn read(conn: &mut Conn, name: &str) -> QueryResult<i64> {
    replica_heartbeat::table
        .filter(replica_heartbeat::id.eq(ROW))
        .filter(exists(
            installation::table.filter(installation::name.eq(name)),
        ))
        .select(replica_heartbeat::beat)
        .first(conn)
}

/// How many seconds ago that number was written, by the clock of the server that is asked.
pub fn age(conn: &mut Conn) -> QueryResult<i64> {
    #[derive(QueryableByName)]
    struct Age {
        #[diesel(sql_type = BigInt)]
        age: i64,
    }
    match conn {
        Conn::Sqlite(_) => Ok(0),
        Conn::Mysql(conn) => {
            let age: Age = diesel::sql_query(
                "SELECT TIMESTAMPDIFF(SECOND, at, UTC_TIMESTAMP(6)) AS age \
                 FROM replica_heartbeat WHERE id = 1",
            )
            .get_result(conn)?;
            Ok(age.age)
        }
    }
}
