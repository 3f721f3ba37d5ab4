//! What an operator is told of the database.

use diesel::prelude::*;
use diesel::sql_types::Text;

use crate::core::db::Conn;

/// A server, or SQLite, as it describes itself.
#[derive(Debug, Default)]
pub struct Inspection {
    pub version: String,
    /// The rest is of MySQL and MariaDB only. That of new tables which name none.
    pub character_set: Option<String>,
    pub time_zone: Option<String>,
    /// Tables whose texts are not in `utf8mb4`.
    pub misspelt: Vec<String>,
    /// What the user may do in this database, as far as it was granted by name.
    pub privileges: Vec<String>,
}

#[derive(QueryableByName)]
struct Value {
    #[diesel(sql_type = Text)]
    value: String,
}

/// Asks the database about itself; it changes nothing.
pub fn inspect(conn: &mut Conn) -> QueryResult<Inspection> {
    let conn = match conn {
        Conn::Sqlite(conn) => {
            let version: Value =
                diesel::sql_query("SELECT sqlite_version() AS value").get_result(conn)?;
            return Ok(Inspection {
                version: format!("SQLite {}", version.value),
                ..Inspection::default()
            });
        }
        Conn::Mysql(conn) => conn,
    };
    let mut all = |sql: &str| -> QueryResult<Vec<String>> {
        let rows: Vec<Value> = diesel::sql_query(sql).load(conn)?;
        Ok(rows.into_iter().map(|row| row.value).collect())
    };
    Ok(Inspection {
        version: all("SELECT CAST(VERSION() AS CHAR) AS value")?.concat(),
        character_set: all("SELECT CAST(@@character_set_database AS CHAR) AS value")?.pop(),
        time_zone: all("SELECT CAST(@@session.time_zone AS CHAR) AS value")?.pop(),
        // The words of the search are written in letters of their own.
        misspelt: all(
            "SELECT CAST(table_name AS CHAR) AS value FROM information_schema.tables \
             WHERE table_schema = DATABASE() AND table_collation NOT LIKE 'utf8mb4%' \
             AND table_name NOT IN ('__diesel_schema_migrations', 'post_words') ORDER BY 1",
        )?,
        // Names of databases in grants are patterns.
        privileges: all(
            "SELECT CAST(privilege_type AS CHAR) AS value FROM information_schema.user_privileges \
             WHERE grantee = CONCAT('''', REPLACE(CURRENT_USER(), '@', '''@'''), '''') \
             UNION SELECT CAST(privilege_type AS CHAR) FROM information_schema.schema_privileges \
             WHERE DATABASE() LIKE table_schema \
             AND grantee = CONCAT('''', REPLACE(CURRENT_USER(), '@', '''@'''), '''')",
        )?,
    })
}
