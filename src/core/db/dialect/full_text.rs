//! Full-text search: `FULLTEXT` of MySQL and FTS5 of SQLite over the words that
//! [`posts::search`](crate::posts::search) makes, found by the place of their post.

use std::fmt::Write as _;

use diesel::connection::{DefaultLoadingMode, SimpleConnection};
use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::batch::Batch;
use crate::core::db::connection::Conn;

diesel::table! {
    /// On MySQL.
    post_words (place) {
        place -> BigInt,
        words -> Text,
    }
}

diesel::table! {
    /// The virtual table on SQLite, whose key is always called so.
    #[sql_name = "post_words"]
    post_words_fts (rowid) {
        rowid -> BigInt,
        words -> Text,
    }
}

/// Adds a post to the index.
pub fn insert_words(conn: &mut Conn, place: i64, words: &str) -> QueryResult<()> {
    match conn {
        Conn::Sqlite(c) => diesel::insert_into(post_words_fts::table)
            .values((
                post_words_fts::rowid.eq(place),
                post_words_fts::words.eq(words),
            ))
            .execute(c),
        Conn::Mysql(c) => diesel::insert_into(post_words::table)
            .values((post_words::place.eq(place), post_words::words.eq(words)))
            .execute(c),
    }
    .map(drop)
}

/// Removes posts from the index.
pub fn delete_words(conn: &mut Conn, places: &[i64]) -> QueryResult<()> {
    if let [place] = places {
        return match conn {
            Conn::Sqlite(c) => diesel::delete(post_words_fts::table.find(place)).execute(c),
            Conn::Mysql(c) => diesel::delete(post_words::table.find(place)).execute(c),
        }
        .map(drop);
    }
    match conn {
        Conn::Sqlite(c) => {
            diesel::delete(post_words_fts::table.filter(post_words_fts::rowid.eq_any(places)))
                .execute(c)
        }
        Conn::Mysql(c) => {
            diesel::delete(post_words::table.filter(post_words::place.eq_any(places))).execute(c)
        }
    }
    .map(drop)
}

/// Tokens that stand side by side, one space between them.
#[derive(Clone, Debug)]
pub struct Phrase {
    pub tokens: String,
    /// Whether the last token may go on.
    pub prefix: bool,
}

impl Phrase {
    /// The condition on `w.words`, with a space at both ends of them. Tokens are letters and
    /// digits of ASCII, so that nothing in them means anything to `LIKE`.
    fn write_condition(&self, batch: &Batch, sql: &mut String) {
        let end = if self.prefix { "" } else { " " };
        let pattern = batch.text(&format!("% {}{end}%", self.tokens));
        // Writing to a String cannot fail.
        let _ = write!(sql, " AND CONCAT(' ', w.words, ' ') LIKE {pattern}");
    }
}

/// A full-text search query, with filters.
///
/// No phrase is left to MySQL: `InnoDB`'s phrase search never finds a row whose transaction
/// committed after one with a higher document id. The index finds the posts that have all
/// tokens, and their stored words are compared in the server. So a query with phrases
/// reads the words of the posts that have all of its tokens, one after the other, once for
/// each phrase; only numbers leave the database. How many tokens a query has and how long
/// the words of a post are is for `posts::search` to bound.
pub struct SearchQuery<'a> {
    /// As FTS5 takes it.
    pub fts5: &'a str,
    /// As MySQL takes it in boolean mode.
    pub mysql: &'a str,
    /// What stands in the words of a post as it is here. Only for MySQL, whose phrases miss
    /// posts; those of FTS5 do not.
    pub phrases: &'a [Phrase],
    pub published: bool,
    pub author: Option<i64>,
    /// Whose posts are not found; mostly nobody's.
    pub but_authors: &'a [i64],
    pub tag: Option<&'a str>,
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

impl SearchQuery<'_> {
    /// Everything after `SELECT …`, up to the order.
    fn tables_and_conditions(&self, batch: &Batch, below: i64) -> String {
        let published = u8::from(self.published);
        let mut sql = if batch.is_mysql() {
            format!(
                " FROM post_words w JOIN post p ON p.published = {published} AND p.place = w.place \
                 WHERE MATCH(w.words) AGAINST({} IN BOOLEAN MODE) AND w.place < {below}",
                batch.text(self.mysql)
            )
        } else {
            format!(
                " FROM post_words w JOIN post p ON p.published = {published} AND p.place = w.rowid \
                 WHERE w.post_words MATCH {} AND w.rowid < {below}",
                batch.text(self.fts5)
            )
        };
        if batch.is_mysql() {
            for phrase in self.phrases {
                phrase.write_condition(batch, &mut sql);
            }
        }
        if let Some(author) = self.author {
            // Writing to a String cannot fail.
            let _ = write!(sql, " AND p.author_id = {author}");
        }
        for author in self.but_authors {
            let _ = write!(sql, " AND p.author_id <> {author}");
        }
        if let Some(tag) = self.tag {
            let _ = write!(
                sql,
                " AND EXISTS (SELECT 1 FROM post_tag t WHERE t.tag = {} \
                 AND t.published = {published} AND t.place = p.place)",
                batch.text(tag)
            );
        }
        sql
    }

    /// The number of posts that match.
    pub fn count(&self, conn: &mut Conn) -> QueryResult<i64> {
        let batch = Batch::new(conn);
        let sql = format!(
            "SELECT COUNT(*) AS number{}",
            self.tables_and_conditions(&batch, i64::MAX)
        );
        Ok(numbers(conn, &sql)?.first().copied().unwrap_or(0))
    }

    /// The ids of the matching posts whose places are below `below`, newest first.
    pub fn load_ids(
        &self,
        conn: &mut Conn,
        below: i64,
        offset: i64,
        limit: i64,
    ) -> QueryResult<Vec<i64>> {
        let batch = Batch::new(conn);
        let place = if batch.is_mysql() { "place" } else { "rowid" };
        let sql = format!(
            "SELECT p.post_id AS number{} ORDER BY w.{place} DESC LIMIT {limit} OFFSET {offset}",
            self.tables_and_conditions(&batch, below)
        );
        numbers(conn, &sql)
    }
}

/// Words of posts that are read from the index at once, on MySQL.
const READ_AT_ONCE: i64 = 16;

diesel::table! {
    /// Where each token stands: what FTS5 tells of its own index.
    #[sql_name = "post_words_tokens"]
    post_words_tokens (doc, term, offset) {
        doc -> BigInt,
        term -> Text,
        offset -> BigInt,
    }
}

/// Reads the whole index: `hear` gets the place of a post, a token of it, and which one in
/// the order of its words that is, from 0; in any order. Call it in a snapshot.
pub fn read_words(conn: &mut Conn, hear: &mut dyn FnMut(i64, &str, usize)) -> QueryResult<()> {
    match conn {
        Conn::Sqlite(c) => {
            c.batch_execute(
                "CREATE VIRTUAL TABLE IF NOT EXISTS temp.post_words_tokens \
                 USING fts5vocab(main, post_words, instance)",
            )?;
            let tokens = post_words_tokens::table
                .select((
                    post_words_tokens::doc,
                    post_words_tokens::term,
                    post_words_tokens::offset,
                ))
                .load_iter::<(i64, String, i64), DefaultLoadingMode>(c)?;
            for token in tokens {
                let (place, token, number) = token?;
                hear(place, &token, usize::try_from(number).unwrap_or(usize::MAX));
            }
            c.batch_execute("DROP TABLE temp.post_words_tokens")
        }
        Conn::Mysql(c) => {
            let mut last = i64::MIN;
            loop {
                let some: Vec<(i64, String)> = post_words::table
                    .filter(post_words::place.gt(last))
                    .order(post_words::place)
                    .limit(READ_AT_ONCE)
                    .load(c)?;
                let Some((newest, _)) = some.last() else {
                    return Ok(());
                };
                last = *newest;
                for (place, words) in &some {
                    for (number, token) in words.split_terminator(' ').enumerate() {
                        hear(*place, token, number);
                    }
                }
            }
        }
    }
}

fn numbers(conn: &mut Conn, sql: &str) -> QueryResult<Vec<i64>> {
    let rows: Vec<Number> = match conn {
        Conn::Sqlite(c) => diesel::sql_query(sql).load(c)?,
        Conn::Mysql(c) => diesel::sql_query(sql).load(c)?,
    };
    Ok(rows.into_iter().map(|row| row.number).collect())
}
