//! Queries that Diesel cannot write, as text with values.

use chrono::NaiveDateTime;
use diesel::backend::Backend;
use diesel::mysql::Mysql;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::query_dsl::LoadQuery;
use diesel::result::Error::QueryBuilderError;
use diesel::serialize::ToSql;
use diesel::sql_types::{BigInt, HasSqlType, Text, Timestamp, Untyped};
use diesel::sqlite::Sqlite;

use super::time_limit::{AsksForTime, in_time_text};
use crate::core::db::connection::Conn;
use crate::core::db::mysql::MysqlConnection;

/// A query whose rows are a `number` each, or a `time`. Its text is the same for all that ask for the same: it
/// stays prepared. There must be few texts; what differs are values.
#[derive(Debug, Default)]
pub struct Sql {
    text: String,
    values: Vec<Value>,
}

#[derive(Debug)]
enum Value {
    Text(String),
    Number(i64),
    Time(NaiveDateTime),
    InTime(&'static str),
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

#[derive(QueryableByName)]
struct Time {
    #[diesel(sql_type = Timestamp)]
    time: NaiveDateTime,
}

impl Sql {
    /// Adds text, which holds nothing that a client sent. Each `?` is the place of a value.
    pub fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Adds the value of a placeholder.
    pub fn bind_text(&mut self, text: impl Into<String>) {
        self.values.push(Value::Text(text.into()));
    }

    /// Adds text, and a number behind it.
    pub fn push_number(&mut self, text: &str, number: i64) {
        self.push(text);
        self.push("?");
        self.values.push(Value::Number(number));
    }

    /// Adds text, and a time behind it.
    pub fn push_time(&mut self, text: &str, time: NaiveDateTime) {
        self.push(text);
        self.push("?");
        self.values.push(Value::Time(time));
    }

    /// Adds the condition that there is time, asked of each row of the table with this column
    /// ([`in_time`](super::in_time)).
    pub fn push_in_time(&mut self, text: &str, column: &'static str) {
        self.push(text);
        self.push("?");
        self.values.push(Value::InTime(column));
    }

    /// Adds a list of numbers, filled up to a power of two with its last one, so that there are
    /// few statements, which stay prepared. An empty one has what no row has.
    pub fn push_numbers(&mut self, numbers: &[i64]) {
        let last = numbers.last().copied().unwrap_or(i64::MIN);
        for place in 0..numbers.len().next_power_of_two() {
            let number = numbers.get(place).copied().unwrap_or(last);
            self.push_number(if place == 0 { "" } else { ", " }, number);
        }
    }

    /// The same of times, of which there is one at least.
    pub fn push_times(&mut self, times: &[NaiveDateTime]) {
        let last = times.last().copied().unwrap_or_default();
        for place in 0..times.len().next_power_of_two() {
            let time = times.get(place).copied().unwrap_or(last);
            self.push_time(if place == 0 { "" } else { ", " }, time);
        }
    }

    /// The numbers.
    pub fn load(self, conn: &mut Conn) -> QueryResult<Vec<i64>> {
        let rows: Vec<Number> = self.load_rows(conn)?;
        Ok(rows.into_iter().map(|row| row.number).collect())
    }

    /// The same of a query whose rows are a `time` each.
    pub fn load_times(self, conn: &mut Conn) -> QueryResult<Vec<NaiveDateTime>> {
        let rows: Vec<Time> = self.load_rows(conn)?;
        Ok(rows.into_iter().map(|row| row.time).collect())
    }

    /// The same of a query with rows of any kind.
    pub(super) fn load_rows<R>(self, conn: &mut Conn) -> QueryResult<Vec<R>>
    where
        R: QueryableByName<Sqlite> + QueryableByName<Mysql> + 'static,
    {
        match conn {
            Conn::Sqlite(c) => self.load_by_name(c),
            Conn::Mysql(c) => self.load_by_name(c),
        }
    }

    fn load_by_name<'q, R, C>(self, conn: &mut C) -> QueryResult<Vec<R>>
    where
        Self: LoadQuery<'q, C, R>,
    {
        RunQueryDsl::load(self, conn)
    }
}

/// A query whose columns Diesel writes and reads, and whose other text is one of ours: `before`, the columns, `behind`. Like
/// [`Sql`], it stays prepared.
#[derive(Debug)]
pub struct WithColumns<C> {
    before: Sql,
    columns: C,
    behind: Sql,
}

impl<C> WithColumns<C> {
    pub fn new(before: Sql, columns: C, behind: Sql) -> Self {
        Self {
            before,
            columns,
            behind,
        }
    }

    /// The rows.
    pub fn load<R>(self, conn: &mut Conn) -> QueryResult<Vec<R>>
    where
        Self: for<'q> LoadQuery<'q, SqliteConnection, R>,
        Self: for<'q> LoadQuery<'q, MysqlConnection, R>,
    {
        match conn {
            Conn::Sqlite(c) => RunQueryDsl::load(self, c),
            Conn::Mysql(c) => RunQueryDsl::load(self, c),
        }
    }
}

impl<C: Expression> Query for WithColumns<C> {
    type SqlType = C::SqlType;
}

impl<C, Connection> RunQueryDsl<Connection> for WithColumns<C> {}

impl<C> QueryId for WithColumns<C> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<C, DB> QueryFragment<DB> for WithColumns<C>
where
    DB: Backend,
    C: QueryFragment<DB>,
    Sql: QueryFragment<DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.before.walk_ast(out.reborrow())?;
        self.columns.walk_ast(out.reborrow())?;
        self.behind.walk_ast(out)
    }
}

impl Query for Sql {
    type SqlType = Untyped;
}

impl<C> RunQueryDsl<C> for Sql {}

impl QueryId for Sql {
    type QueryId = ();
    // It is found by its text.
    const HAS_STATIC_QUERY_ID: bool = false;
}

/// As Diesel's own `sql_query`, but it may stay prepared.
impl<DB> QueryFragment<DB> for Sql
where
    DB: Backend + AsksForTime + HasSqlType<Text> + HasSqlType<BigInt> + HasSqlType<Timestamp>,
    String: ToSql<Text, DB>,
    i64: ToSql<BigInt, DB>,
    NaiveDateTime: ToSql<Timestamp, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        let mut pieces = self.text.split('?');
        out.push_sql(pieces.next().unwrap_or_default());
        let mut values = self.values.iter();
        for piece in pieces {
            match values.next() {
                Some(Value::Text(text)) => out.push_bind_param::<Text, _>(text)?,
                Some(Value::Number(number)) => out.push_bind_param::<BigInt, _>(number)?,
                Some(Value::Time(time)) => out.push_bind_param::<Timestamp, _>(time)?,
                Some(Value::InTime(column)) if out.backend().asks_for_time() => {
                    out.push_sql(&in_time_text(column));
                }
                Some(Value::InTime(_)) => out.push_sql("1 = 1"),
                None => {
                    let error = "a query has more placeholders than values";
                    return Err(QueryBuilderError(error.into()));
                }
            }
            out.push_sql(piece);
        }
        Ok(())
    }
}

/// Which of these comments have replies: a look into the index of replies for each, however many it
/// has.
pub fn answered_of(conn: &mut Conn, comment_ids: &[i64]) -> QueryResult<Vec<i64>> {
    let mut sql = Sql::default();
    sql.push("SELECT comment_id AS number FROM comment WHERE comment_id IN (");
    sql.push_numbers(comment_ids);
    sql.push(
        ") AND comment_id = (SELECT reply.reply_to FROM comment reply \
         WHERE reply.reply_to = comment.comment_id LIMIT 1)",
    );
    sql.load(conn)
}
