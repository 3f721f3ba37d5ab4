//! Queries that Diesel cannot write, as text with values.

use chrono::NaiveDateTime;
use diesel::mysql::Mysql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text, Timestamp};
use diesel::sqlite::Sqlite;

use crate::core::db::connection::Conn;
use crate::core::db::mysql::KEEP_PREPARED;

/// A query whose rows are a `number` each, or a `time`. Its text is the same for all that ask for the same, and
/// on MySQL it stays prepared.
pub struct Sql {
    text: String,
    values: Vec<Value>,
}

enum Value {
    Text(String),
    Number(i64),
    Time(NaiveDateTime),
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
    /// An empty one.
    pub fn new(is_mysql: bool) -> Self {
        Self {
            text: if is_mysql { KEEP_PREPARED } else { "" }.to_owned(),
            values: Vec::new(),
        }
    }

    /// Adds text, which holds nothing that a client sent.
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

    /// Adds a list of numbers, filled up to a power of two with its last one, so that there are
    /// few statements, which stay prepared. An empty one has what no row has.
    pub fn push_numbers(&mut self, numbers: &[i64]) {
        let last = numbers.last().copied().unwrap_or(i64::MIN);
        for place in 0..numbers.len().next_power_of_two() {
            let number = numbers.get(place).copied().unwrap_or(last);
            self.push_number(if place == 0 { "" } else { ", " }, number);
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

    fn load_rows<R>(self, conn: &mut Conn) -> QueryResult<Vec<R>>
    where
        R: QueryableByName<Sqlite> + QueryableByName<Mysql> + 'static,
    {
        macro_rules! load {
            ($conn:expr) => {{
                let mut query = diesel::sql_query(self.text).into_boxed();
                for value in self.values {
                    query = match value {
                        Value::Text(text) => query.bind::<Text, _>(text),
                        Value::Number(number) => query.bind::<BigInt, _>(number),
                        Value::Time(time) => query.bind::<Timestamp, _>(time),
                    };
                }
                query.load::<R>($conn)
            }};
        }
        match conn {
            Conn::Sqlite(c) => load!(c),
            Conn::Mysql(c) => load!(c),
        }
    }
}

/// Which of these comments have replies: a look into the index of replies for each, however many it
/// has.
pub fn answered_of(conn: &mut Conn, comment_ids: &[i64]) -> QueryResult<Vec<i64>> {
    let mut sql = Sql::new(matches!(conn, Conn::Mysql(_)));
    sql.push("SELECT comment_id AS number FROM comment WHERE comment_id IN (");
    sql.push_numbers(comment_ids);
    sql.push(
        ") AND comment_id = (SELECT reply.reply_to FROM comment reply \
         WHERE reply.reply_to = comment.comment_id LIMIT 1)",
    );
    sql.load(conn)
}
