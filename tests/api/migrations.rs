//! The twin migrations make twins, and can be taken back.

use std::collections::BTreeSet;
use std::sync::mpsc;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use inkpot::core::db::migrations::Standing;
use inkpot::core::db::{Conn, DatabaseUrl, connection, dialect, migrations};

use crate::harness::{Backend, TestDatabase};

#[derive(QueryableByName, Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Column {
    #[diesel(sql_type = Text)]
    table_name: String,
    #[diesel(sql_type = Text)]
    column_name: String,
    #[diesel(sql_type = BigInt)]
    nullable: i64,
}

#[derive(QueryableByName, Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    #[diesel(sql_type = Text)]
    table_name: String,
    #[diesel(sql_type = Text)]
    key_name: String,
    #[diesel(sql_type = Text)]
    columns: String,
    #[diesel(sql_type = BigInt)]
    is_unique: i64,
}

// Full-text search is a virtual table on SQLite, with tables of its own behind it:
// there is nothing to compare.
const SQLITE_COLUMNS: &str = "\
    SELECT m.name AS table_name, c.name AS column_name, NOT c.\"notnull\" AS nullable \
    FROM sqlite_master m JOIN pragma_table_info(m.name) c \
    WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND m.name NOT LIKE '\\_\\_%' ESCAPE '\\' \
      AND m.name NOT LIKE 'post_words%' \
    ORDER BY m.name, c.cid";
const MYSQL_COLUMNS: &str = "\
    SELECT CAST(table_name AS CHAR) AS table_name, CAST(column_name AS CHAR) AS column_name, \
           CAST(is_nullable = 'YES' AS SIGNED) AS nullable \
    FROM information_schema.columns \
    WHERE table_schema = DATABASE() AND table_name NOT LIKE '\\_\\_%' AND table_name <> 'post_words' \
    ORDER BY table_name, ordinal_position";
const SQLITE_KEYS: &str = "\
    SELECT m.name AS table_name, i.name AS key_name, i.\"unique\" AS is_unique, \
           (SELECT group_concat(x.name) FROM (SELECT name FROM pragma_index_info(i.name) ORDER BY seqno) x) AS columns \
    FROM sqlite_master m JOIN pragma_index_list(m.name) i \
    WHERE i.origin <> 'pk' AND m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND m.name NOT LIKE '\\_\\_%' ESCAPE '\\' \
      AND m.name NOT LIKE 'post_words%'";
const MYSQL_KEYS: &str = "\
    SELECT CAST(table_name AS CHAR) AS table_name, CAST(index_name AS CHAR) AS key_name, \
           CAST(MIN(non_unique) = 0 AS SIGNED) AS is_unique, \
           CAST(GROUP_CONCAT(column_name ORDER BY seq_in_index) AS CHAR) AS columns \
    FROM information_schema.statistics \
    WHERE table_schema = DATABASE() AND table_name NOT LIKE '\\_\\_%' AND table_name <> 'post_words' AND index_name <> 'PRIMARY' \
    GROUP BY table_name, index_name";

fn rows<T>(conn: &mut Conn, sqlite: &str, mysql: &str) -> Vec<T>
where
    T: QueryableByName<diesel::sqlite::Sqlite> + QueryableByName<diesel::mysql::Mysql> + 'static,
{
    match conn {
        Conn::Sqlite(conn) => diesel::sql_query(sqlite).load(conn).unwrap(),
        Conn::Mysql(conn) => diesel::sql_query(mysql).load(conn).unwrap(),
    }
}

fn columns(conn: &mut Conn) -> Vec<Column> {
    rows(conn, SQLITE_COLUMNS, MYSQL_COLUMNS)
}

fn keys(conn: &mut Conn) -> BTreeSet<Key> {
    rows(conn, SQLITE_KEYS, MYSQL_KEYS).into_iter().collect()
}

#[test]
fn twins_have_the_same_names() {
    let names = |database: &str| -> BTreeSet<String> {
        let folder = format!("{}/migrations/{database}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    };
    assert_eq!(names("sqlite"), names("mysql"));
}

#[test]
fn twins_make_the_same_tables() {
    let Some(mysql) = TestDatabase::create(Backend::Mysql) else {
        return;
    };
    let sqlite = TestDatabase::create(Backend::Sqlite).unwrap();
    let both = (sqlite.with(columns), mysql.with(columns));
    assert!(both.0.len() > 20);
    assert_eq!(both.0, both.1);
    let both = (sqlite.with(keys), mysql.with(keys));
    assert!(both.0.iter().filter(|key| key.is_unique == 1).count() >= 3);
    assert_eq!(both.0, both.1);
}

/// A column as a database lists it, or as `schema.rs` has it.
#[derive(QueryableByName, Debug, Clone, PartialEq, Eq)]
struct TypedColumn {
    #[diesel(sql_type = Text)]
    table_name: String,
    #[diesel(sql_type = Text)]
    column_name: String,
    #[diesel(sql_type = Text)]
    sql_type: String,
    /// 0: not part of the primary key; otherwise its place in it.
    #[diesel(sql_type = BigInt)]
    key_place: i64,
}

const SQLITE_TYPES: &str = "\
    SELECT m.name AS table_name, c.name AS column_name, c.pk AS key_place, \
           lower(c.type) || iif(c.\"notnull\", '', ' null') AS sql_type \
    FROM sqlite_master m JOIN pragma_table_info(m.name) c \
    WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND m.name NOT LIKE '\\_\\_%' ESCAPE '\\' \
      AND m.name NOT LIKE 'post_words%' \
    ORDER BY m.name, c.cid";
const MYSQL_TYPES: &str = "\
    SELECT CAST(c.table_name AS CHAR) AS table_name, CAST(c.column_name AS CHAR) AS column_name, \
           CAST(COALESCE(k.ordinal_position, 0) AS SIGNED) AS key_place, \
           CAST(CONCAT(c.data_type, IF(c.is_nullable = 'YES', ' null', '')) AS CHAR) AS sql_type \
    FROM information_schema.columns c LEFT JOIN information_schema.key_column_usage k \
      ON k.table_schema = c.table_schema AND k.table_name = c.table_name \
      AND k.column_name = c.column_name AND k.constraint_name = 'PRIMARY' \
    WHERE c.table_schema = DATABASE() AND c.table_name NOT LIKE '\\_\\_%' AND c.table_name <> 'post_words' \
    ORDER BY c.table_name, c.ordinal_position";

/// The columns of `schema.rs`, by table, read from its text: Diesel's own types tell
/// neither which tables there are nor whether a column may be null.
fn columns_of_schema() -> Vec<TypedColumn> {
    let text = include_str!("../../src/core/db/schema.rs");
    let mut tables: Vec<Vec<TypedColumn>> = Vec::new();
    for table in text.split("diesel::table! {").skip(1) {
        let (head, rest) = table.split_once(") {").unwrap();
        let (name, key) = head.trim().split_once(" (").unwrap();
        let key: Vec<&str> = key.split(", ").collect();
        let column = |line: &str| {
            let (column, sql_type) = line.trim().trim_end_matches(',').split_once(" -> ")?;
            let place = key.iter().position(|part| *part == column);
            Some(TypedColumn {
                table_name: name.to_owned(),
                column_name: column.to_owned(),
                sql_type: sql_type.to_owned(),
                key_place: place.map_or(0, |place| i64::try_from(place).unwrap() + 1),
            })
        };
        let (body, _) = rest.split_once('}').unwrap();
        tables.push(body.lines().filter_map(column).collect());
    }
    tables.sort_by(|a, b| a[0].table_name.cmp(&b[0].table_name));
    tables.concat()
}

/// Diesel's type for that of a column; SQLite calls every key an integer.
fn diesel_type(column: &TypedColumn, expected: &str) -> String {
    let (sql_type, is_nullable) = match column.sql_type.strip_suffix(" null") {
        Some(sql_type) => (sql_type, true),
        None => (column.sql_type.as_str(), false),
    };
    let diesel_type = match sql_type {
        "bigint" => "BigInt",
        "integer" if expected == "BigInt" && column.key_place == 1 => "BigInt",
        "int" | "integer" => "Integer",
        "varchar" | "text" | "mediumtext" | "longtext" => "Text",
        "boolean" | "tinyint" => "Bool",
        "datetime" | "timestamp" => "Timestamp",
        "blob" | "longblob" | "varbinary" => "Binary",
        other => panic!("a type that no column has yet: {other}"),
    };
    if is_nullable {
        format!("Nullable<{diesel_type}>")
    } else {
        diesel_type.to_owned()
    }
}

#[test]
fn the_code_sees_the_tables_as_they_are() {
    let expected = columns_of_schema();
    assert!(expected.len() > 80, "{}", expected.len());
    for backend in [Backend::Sqlite, Backend::Mysql] {
        let Some(database) = TestDatabase::create(backend) else {
            return;
        };
        let mut found: Vec<TypedColumn> =
            database.with(|conn| rows(conn, SQLITE_TYPES, MYSQL_TYPES));
        for (index, column) in found.iter_mut().enumerate() {
            let expected = expected.get(index).map_or("", |column| &column.sql_type);
            column.sql_type = diesel_type(column, expected);
        }
        assert_eq!(found, expected, "{backend:?}");
    }
}

#[test]
fn keys_are_named_after_their_table_and_columns() {
    // What dialect::unique_index relies on.
    let sqlite = TestDatabase::create(Backend::Sqlite).unwrap();
    for key in sqlite.with(keys).iter().filter(|key| key.is_unique == 1) {
        let columns = key.columns.replace(',', "_");
        assert_eq!(key.key_name, format!("{}_{columns}", key.table_name));
    }
}

fn is_current(conn: &mut Conn) -> bool {
    migrations::standing(conn).unwrap() == Standing::Current { newer: None }
}

fn up_down_up(backend: Backend) {
    let Some(database) = TestDatabase::create_empty(backend, false) else {
        return;
    };
    database.with(|conn| {
        assert!(columns(conn).is_empty());
        assert!(!is_current(conn));
        assert!(migrations::status(conn).unwrap().iter().all(|m| !m.applied));
        let applied = migrations::run(conn).unwrap();
        let first = (columns(conn), keys(conn));
        assert!(is_current(conn));
        assert!(
            migrations::run(conn).unwrap().is_empty(),
            "nothing is applied twice"
        );
        for _ in &applied {
            assert!(migrations::revert(conn).unwrap().is_some());
        }
        assert!(columns(conn).is_empty());
        assert_eq!(migrations::revert(conn).unwrap(), None);
        assert_eq!(migrations::run(conn).unwrap(), applied);
        assert_eq!((columns(conn), keys(conn)), first);
    });
}

#[test]
fn up_down_up_on_sqlite() {
    up_down_up(Backend::Sqlite);
}

#[test]
fn up_down_up_on_mysql() {
    up_down_up(Backend::Mysql);
}

fn newer_is_refused(backend: Backend) {
    let Some(database) = TestDatabase::create(backend) else {
        return;
    };
    database.with(|conn| {
        conn.batch_execute(
            "INSERT INTO __diesel_schema_migrations (version) VALUES ('29991231000000')",
        )
        .unwrap();
        let refusal = migrations::run(conn).unwrap_err().to_string();
        assert!(refusal.contains("29991231000000"), "{refusal}");
    });
}

#[test]
fn a_newer_sqlite_database_is_refused() {
    newer_is_refused(Backend::Sqlite);
}

#[test]
fn a_newer_mysql_database_is_refused() {
    newer_is_refused(Backend::Mysql);
}

fn at_once(backend: Backend) {
    let Some(database) = TestDatabase::create_empty(backend, false) else {
        return;
    };
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| database.with(|conn| migrations::run(conn).map(drop).unwrap()));
        }
    });
    database.with(|conn| assert!(is_current(conn)));
}

#[test]
fn eight_that_start_at_once_on_sqlite() {
    at_once(Backend::Sqlite);
}

#[test]
fn eight_that_start_at_once_on_mysql() {
    at_once(Backend::Mysql);
}

/// Holds the migration lock of a database until `release` says so, as another process
/// does that migrates.
fn hold_lock(database: &TestDatabase, release: mpsc::Receiver<()>) -> std::thread::JoinHandle<()> {
    let url = DatabaseUrl::parse(&database.url()).unwrap();
    let (held, is_held) = mpsc::channel();
    let holder = std::thread::spawn(move || {
        let mut conn = connection::open(&url).unwrap();
        dialect::with_migration_lock(&mut conn, Duration::ZERO, |_| {
            held.send(()).unwrap();
            release.recv().unwrap();
            Ok(())
        })
        .unwrap();
    });
    is_held.recv().unwrap();
    holder
}

fn nothing_is_applied_while_another_migrates(backend: Backend) {
    let Some(database) = TestDatabase::create_empty(backend, false) else {
        return;
    };
    let (release, released) = mpsc::channel();
    let holder = hold_lock(&database, released);
    database.with(|conn| {
        let refusal = migrations::run_within(conn, Duration::ZERO).unwrap_err();
        let refusal = refusal.to_string();
        assert!(refusal.contains("nothing was migrated"), "{refusal}");
        assert!(!refusal.contains('\n'), "{refusal}");
        assert!(columns(conn).is_empty(), "nothing was applied");
    });
    // Who waits is next, and gets all that the first one did not.
    let waiting = TestDatabase::shared(&database);
    let waiter = std::thread::spawn(move || waiting.with(|conn| migrations::run(conn).unwrap()));
    release.send(()).unwrap();
    holder.join().unwrap();
    assert!(!waiter.join().unwrap().is_empty());
    database.with(|conn| assert!(is_current(conn)));
}

#[test]
fn nothing_is_applied_while_another_migrates_on_sqlite() {
    nothing_is_applied_while_another_migrates(Backend::Sqlite);
}

#[test]
fn nothing_is_applied_while_another_migrates_on_mysql() {
    nothing_is_applied_while_another_migrates(Backend::Mysql);
}

/// Two blogs on one server do not wait for each other, and a lock that is refused
/// leaves the connection as it was.
#[test]
fn every_database_has_a_migration_lock_of_its_own() {
    for backend in [Backend::Sqlite, Backend::Mysql] {
        let make = || TestDatabase::create_empty(backend, false);
        let (Some(one), Some(other)) = (make(), make()) else {
            return;
        };
        let (release, released) = mpsc::channel();
        let holder = hold_lock(&one, released);
        other.with(|conn| {
            assert!(
                !migrations::run_within(conn, Duration::ZERO)
                    .unwrap()
                    .is_empty()
            );
        });
        release.send(()).unwrap();
        holder.join().unwrap();
    }
}

/// The lock is released after work that failed, too.
#[test]
fn a_migration_that_fails_releases_the_lock() {
    for backend in [Backend::Sqlite, Backend::Mysql] {
        let Some(database) = TestDatabase::create_empty(backend, false) else {
            return;
        };
        let (said, again) = database.with(|conn| {
            let done = dialect::with_migration_lock(conn, Duration::ZERO, |_| {
                Err::<(), _>("the work failed".into())
            });
            // On the same connection, where a lock of MySQL could be taken twice.
            let again = dialect::with_migration_lock(conn, Duration::ZERO, |_| Ok(7)).unwrap();
            (done.unwrap_err().to_string(), again)
        });
        assert_eq!((said.as_str(), again), ("the work failed", 7));
        database.with(|conn| {
            assert!(
                !migrations::run_within(conn, Duration::ZERO)
                    .unwrap()
                    .is_empty()
            );
        });
    }
}

/// Made in the same second, by the same steps.
#[test]
fn every_database_has_a_name_of_its_own() {
    for backend in [Backend::Sqlite, Backend::Mysql] {
        // Not a copy of one that is kept for tests.
        let make = || {
            let database = TestDatabase::create_empty(backend, true)?;
            Some(database.with(migrations::installation))
        };
        let (Some(one), Some(other)) = (make(), make()) else {
            return;
        };
        let (one, other) = (one.unwrap(), other.unwrap());
        assert_eq!((one.len(), other.len()), (32, 32));
        assert_ne!(one, other);
    }
}
