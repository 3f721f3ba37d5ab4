//! The time limit of SQLite's statements. On MySQL the server ends what takes too long.
//!
//! SQLite ends a running statement when its progress handler says so, or `sqlite3_interrupt`; Diesel has
//! neither, and its handle cannot be had without `unsafe`. A function that fails ends the statement as
//! well. [`in_time`] is a condition that always holds, and an error once the unit of work on this
//! thread has used its time up. It stands in all statements that may go through many rows of a table, of which it
//! names a column.
//!
//! A call costs 60 to 100 ns, as much as the row, so only one row of 64 is asked, which costs 15. Which, nobody knows
//! who could write rows that are never asked.
//!
//! What it does not reach: the full-text index between two posts that it finds, and sorting. The
//! first is bounded by what is stored and asked for ([`posts::search`](crate::posts::search)); lists are not sorted.

use std::sync::LazyLock;

use diesel::backend::Backend;
use diesel::expression::{AppearsOnTable, Expression, SelectableExpression, ValidGrouping};
use diesel::mysql::Mysql;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::serialize::{self, Output, ToSql};
use diesel::sql_types::{Bool, HasSqlType};
use diesel::sqlite::{Sqlite, SqliteConnection};

use crate::core::db::deadline;

/// The error of the statement; its text is a row of the table of errors.
const INTERRUPTED: &str = "interrupted: the time for it is used up";

/// What a function gives that SQLite calls for each row: an error once the time is used up.
#[derive(Debug)]
pub(super) struct InTimeOnly<T>(pub(super) T);

impl<T, ST> ToSql<ST, Sqlite> for InTimeOnly<T>
where
    T: ToSql<ST, Sqlite>,
    Sqlite: HasSqlType<ST>,
{
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        if deadline::is_past() {
            return Err(INTERRUPTED.into());
        }
        self.0.to_sql(out)
    }
}

mod function {
    diesel::define_sql_function! {
        /// True, in time.
        fn in_time(row: diesel::sql_types::BigInt) -> diesel::sql_types::Bool;
    }
}

/// Makes `in_time` known to a connection.
pub fn register_in_time(conn: &mut SqliteConnection) -> QueryResult<()> {
    // Not deterministic: otherwise it would be asked once.
    function::in_time_utils::register_nondeterministic_impl(conn, |_: i64| InTimeOnly(true))
}

/// An odd number, by which rows are chosen.
static CHOICE: LazyLock<u32> = LazyLock::new(|| getrandom::u32().map_or(40_503, |n| n >> 16) | 1);
/// The bits of a product that are all 0 in one row of 64: not the lowest, which rows of one kind may share.
const CHOSEN: u32 = 63 << 6;

/// What stands before the column, between that and the column, and behind it.
fn condition() -> [String; 3] {
    [
        "((".to_owned(),
        format!(" * {}) & {CHOSEN} <> 0 OR in_time(", *CHOICE),
        "))".to_owned(),
    ]
}

/// [`in_time`] as text.
pub(super) fn in_time_text(column: &str) -> String {
    condition().join(column)
}

/// Whose statements ask for their time themselves.
pub(in crate::core::db) trait AsksForTime {
    fn asks_for_time(&self) -> bool;
}

impl AsksForTime for Sqlite {
    fn asks_for_time(&self) -> bool {
        true
    }
}

impl AsksForTime for Mysql {
    fn asks_for_time(&self) -> bool {
        false
    }
}

/// A condition of the rows of a table, of which a column with numbers is named: it holds while there is
/// time.
pub fn in_time<C>(column: C) -> InTime<C> {
    InTime { column }
}

/// See [`in_time`].
#[derive(Clone, Copy, Debug)]
pub struct InTime<C> {
    column: C,
}

impl<C: Expression> Expression for InTime<C> {
    type SqlType = Bool;
}

impl<C: AppearsOnTable<T>, T> AppearsOnTable<T> for InTime<C> where Self: Expression {}

impl<C: SelectableExpression<T>, T> SelectableExpression<T> for InTime<C> where
    Self: AppearsOnTable<T>
{
}

impl<C: ValidGrouping<G>, G> ValidGrouping<G> for InTime<C> {
    type IsAggregate = C::IsAggregate;
}

impl<C> QueryId for InTime<C> {
    type QueryId = ();
    // The text differs by the database.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<C, DB> QueryFragment<DB> for InTime<C>
where
    DB: Backend + AsksForTime,
    C: QueryFragment<DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        if !out.backend().asks_for_time() {
            out.push_sql("1 = 1");
            return Ok(());
        }
        let [first, second, third] = condition();
        out.push_sql(&first);
        self.column.walk_ast(out.reborrow())?;
        out.push_sql(&second);
        self.column.walk_ast(out.reborrow())?;
        out.push_sql(&third);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::errors::{ErrorClass, error_class};
    use super::super::letters::fold_all_letters;
    use super::super::sql::Sql;
    use super::*;
    use crate::core::db::Conn;

    fn conn() -> Conn {
        let mut conn = SqliteConnection::establish(":memory:").unwrap();
        register_in_time(&mut conn).unwrap();
        fold_all_letters(&mut conn).unwrap();
        Conn::Sqlite(conn)
    }

    /// The rows of `SELECT number FROM all numbers WHERE condition`.
    fn select(condition: &str, end: &str) -> Sql {
        let mut sql = Sql::default();
        sql.push(
            "WITH RECURSIVE n(number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM n) \
             SELECT number FROM n WHERE ",
        );
        sql.push(condition);
        sql.push(end);
        sql
    }

    /// It would never end by itself.
    #[test]
    fn a_statement_without_an_end_ends_with_its_time() {
        let mut conn = conn();
        let in_time = in_time_text("number");
        for condition in [
            format!("{in_time} AND number < 0"),
            format!("number < 0 AND {in_time} OR {in_time} AND number = 0"),
            "LOWER('A' || number) = 'b'".to_owned(),
        ] {
            for time in [Duration::ZERO, Duration::from_millis(20)] {
                let error = deadline::within_time(time, || {
                    select(&condition, "").load(&mut conn).unwrap_err()
                });
                assert_eq!(error_class(&error), ErrorClass::TimeLimit, "{error}");
            }
        }
        // The connection is as good as before.
        let rows = deadline::within_time(Duration::from_secs(3600), || {
            select(&in_time, " LIMIT 3").load(&mut conn)
        });
        assert_eq!(rows.unwrap(), [1, 2, 3]);
    }

    #[test]
    fn what_has_no_deadline_has_time() {
        let condition = format!("{} AND number > 99999", in_time_text("number"));
        let rows = select(&condition, " LIMIT 2").load(&mut conn());
        assert_eq!(rows.unwrap(), [100_000, 100_001]);
    }

    /// One row of 64 is asked, whichever rows there are.
    #[test]
    fn few_rows_are_asked() {
        let asked = |step: i64| {
            let numbers = (1..=6400).map(|n| n * step + 1);
            let product = |number: i64| (number * i64::from(*CHOICE)) & i64::from(CHOSEN);
            numbers.filter(|number| product(*number) == 0).count()
        };
        for step in [1, 2, 3, 63, 64, 65] {
            let asked = asked(step);
            assert!(
                (1..=400).contains(&asked),
                "{asked} by {step} and {}",
                *CHOICE
            );
        }
    }

    #[test]
    fn mysql_is_not_asked() {
        use crate::core::db::schema::post;
        let query = post::table
            .filter(in_time(post::post_id))
            .select(post::post_id);
        let sqlite = diesel::debug_query::<Sqlite, _>(&query).to_string();
        let column = "`post`.`post_id`";
        assert!(sqlite.contains(&in_time_text(column)), "{sqlite}");
        let mysql = diesel::debug_query::<Mysql, _>(&query).to_string();
        assert!(mysql.contains("WHERE 1 = 1"), "{mysql}");
    }
}
