//! Queries that Diesel cannot write, as text with values; and counts up to a bound.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use crate::core::db::connection::Conn;
use crate::core::db::mysql::KEEP_PREPARED;

/// A query whose rows are a `number` each. Its text is the same for all that ask for the same, and
/// on MySQL it stays prepared.
pub struct Sql {
    text: String,
    values: Vec<Value>,
}

enum Value {
    Text(String),
    Number(i64),
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
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

    /// The numbers.
    pub fn load(self, conn: &mut Conn) -> QueryResult<Vec<i64>> {
        macro_rules! load {
            ($conn:expr) => {{
                let mut query = diesel::sql_query(self.text).into_boxed();
                for value in self.values {
                    query = match value {
                        Value::Text(text) => query.bind::<Text, _>(text),
                        Value::Number(number) => query.bind::<BigInt, _>(number),
                    };
                }
                query.load::<Number>($conn)?
            }};
        }
        let rows = match conn {
            Conn::Sqlite(c) => load!(c),
            Conn::Mysql(c) => load!(c),
        };
        Ok(rows.into_iter().map(|row| row.number).collect())
    }
}

/// Rows of `post_tag`.
pub struct Tagged<'a> {
    pub published: bool,
    pub author: Option<i64>,
    /// Whose rows do not count; mostly nobody's.
    pub but_authors: &'a [i64],
    pub tag: Option<&'a str>,
}

impl Tagged<'_> {
    /// How many there are, if they are at most so many: no more are read.
    pub fn count(&self, conn: &mut Conn, most: i64) -> QueryResult<Option<i64>> {
        let mut sql = Sql::new(matches!(conn, Conn::Mysql(_)));
        sql.push(&format!(
            "SELECT COUNT(*) AS number FROM (SELECT 1 FROM post_tag WHERE published = {}",
            u8::from(self.published)
        ));
        if let Some(author) = self.author {
            sql.push_number(" AND author_id = ", author);
        }
        if let Some(tag) = self.tag {
            sql.push(" AND tag = ?");
            sql.bind_text(tag);
        }
        for author in self.but_authors {
            sql.push_number(" AND author_id <> ", *author);
        }
        sql.push_number(" LIMIT ", most.saturating_add(1));
        sql.push(") found");
        let count = sql.load(conn)?.first().copied().unwrap_or(0);
        Ok((count <= most).then_some(count))
    }
}
