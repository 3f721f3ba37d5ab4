//! Full-text search: `FULLTEXT` of MySQL and FTS5 of SQLite over the words that
//! [`posts::search`](crate::posts::search) makes, found by the place of their post.

use std::time::Duration;

use chrono::NaiveDateTime;
use diesel::connection::{DefaultLoadingMode, SimpleConnection};
use diesel::prelude::*;
use diesel::query_dsl::LoadQuery;
use diesel::result::{DatabaseErrorKind, Error};

use super::errors::{ErrorClass, error_class};
use super::post_lists::write_followed;
use super::sql::{Sql, WithColumns};
use crate::core::db::connection::Conn;
use crate::core::db::deadline;
use crate::core::db::mysql::MysqlConnection;

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

/// What a unique index is called here that is none by itself: the key of the words of posts, by which no two
/// posts have one place.
pub const PLACE_TAKEN: &str = "post_words_place";

/// Tells a violation of the key of the words from all others, which it does not by itself: primary keys
/// have no name of their own. On SQLite, which has one writer, nobody is overtaken.
pub fn or_place_taken<T>(done: QueryResult<T>) -> QueryResult<T> {
    match done {
        Err(Error::DatabaseError(DatabaseErrorKind::UniqueViolation, info)) => {
            let told = format!("{} for key '{PLACE_TAKEN}'", info.message());
            Err(Error::DatabaseError(
                DatabaseErrorKind::UniqueViolation,
                Box::new(told),
            ))
        }
        done => done,
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
        Conn::Mysql(c) => or_place_taken(
            diesel::insert_into(post_words::table)
                .values((post_words::place.eq(place), post_words::words.eq(words)))
                .execute(c),
        ),
    }
    .map(drop)
}

/// Gives the words of posts other places, from the first to the second of each pair. Only on MySQL: the other
/// index does not keep the words. A post that has none yet gets an empty row, so that its place is taken.
pub fn move_words(conn: &mut Conn, moves: &[(i64, i64)]) -> QueryResult<()> {
    let (from, to): (Vec<i64>, Vec<i64>) = moves.iter().copied().unzip();
    let list = |numbers: &[i64]| {
        let numbers: Vec<String> = numbers.iter().map(i64::to_string).collect();
        numbers.join(", ")
    };
    let cases: Vec<String> = (moves.iter())
        .map(|(from, to)| format!("WHEN {from} THEN {to}"))
        .collect();
    let sql = format!(
        "UPDATE post_words SET place = CASE place {} END WHERE place IN ({})",
        cases.join(" "),
        list(&from)
    );
    or_place_taken(conn.batch_execute(&sql))?;
    let Conn::Mysql(c) = conn else {
        return Ok(());
    };
    let there: Vec<i64> = post_words::table
        .filter(post_words::place.eq_any(&to))
        .select(post_words::place)
        .load(c)?;
    for place in to.iter().filter(|place| !there.contains(place)) {
        insert_words(conn, *place, "")?;
    }
    Ok(())
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
    fn write_condition(&self, sql: &mut Sql) {
        let end = if self.prefix { "" } else { " " };
        sql.push(" AND CONCAT(' ', w.words, ' ') LIKE ?");
        sql.bind_text(format!("% {}{end}%", self.tokens));
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
///
/// `InnoDB` finds all posts that match before it gives the first, at some 7 µs each: seconds
/// for a word that every other of a million posts has. So its index has 250 ms. What takes
/// longer is in many posts, and is looked for in the posts themselves, from the newest on.
pub struct SearchQuery<'a> {
    /// As FTS5 takes it.
    pub fts5: &'a str,
    /// As MySQL takes it in boolean mode.
    pub mysql: &'a str,
    /// All that must stand in the words of a post. Only for MySQL.
    pub pieces: &'a [Phrase],
    pub published: bool,
    pub author: Option<i64>,
    /// The role of users whose posts are not found.
    pub but_role: &'a str,
    /// Only by those whom this user follows.
    pub follower: Option<i64>,
    /// All of which the posts have.
    pub tags: &'a [&'a str],
    /// The first time of publication, and the one behind the last.
    pub between: Option<(NaiveDateTime, NaiveDateTime)>,
    /// Oldest first.
    pub is_ascending: bool,
}

/// How long MySQL's index may look for the posts that match, in milliseconds.
const INDEX_TIME: u32 = 250;
/// How long the posts themselves may be looked through, in milliseconds: for words of which each is
/// in many posts and hardly any post has all, that could be all there are. SQLite has as long to count.
const POSTS_TIME: u32 = 2000;

/// Where the posts that match are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// In the index of the words.
    Index,
    /// In the words of the posts themselves, from the newest on; only on MySQL.
    Posts,
}

/// A query whose rows are a `number` each. On MySQL it has the time of its way: what is meant for
/// one server is a comment to the other.
fn select(is_mysql: bool, way: Way) -> Sql {
    let mut sql = Sql::default();
    let time = match way {
        Way::Index => INDEX_TIME,
        Way::Posts => POSTS_TIME,
    };
    if is_mysql {
        let seconds = f64::from(time) / 1000.0;
        sql.push(&format!(
            "/*M!100600 SET STATEMENT max_statement_time = {seconds} FOR */ \
             SELECT /*+ MAX_EXECUTION_TIME({time}) */ "
        ));
    } else {
        sql.push("SELECT ");
    }
    sql
}

/// How posts are left out whose authors were deleted.
#[derive(Clone, Copy, Debug)]
enum Authors<'a> {
    /// Each author is looked up, behind the post: no database begins with them.
    Joined,
    /// These are known to be deleted: a look less for each post.
    But(&'a [i64]),
}

impl SearchQuery<'_> {
    /// Everything after `SELECT …`, up to the order.
    fn write_tables_and_conditions(
        &self,
        sql: &mut Sql,
        is_mysql: bool,
        (way, authors): (Way, Authors<'_>),
        after: i64,
    ) {
        let joined = match (authors, is_mysql) {
            (Authors::But(_), _) => "",
            (Authors::Joined, true) => " STRAIGHT_JOIN user ON user.user_id = post.author_id",
            (Authors::Joined, false) => " CROSS JOIN user ON user.user_id = post.author_id",
        };
        let published = u8::from(self.published);
        let relation = if self.is_ascending { ">" } else { "<" };
        match way {
            Way::Index if is_mysql => {
                sql.push(&format!(
                    " FROM post_words w STRAIGHT_JOIN post \
                     ON post.published = {published} AND post.place = w.place{joined} \
                     WHERE MATCH(w.words) AGAINST(? IN BOOLEAN MODE)"
                ));
                sql.bind_text(self.mysql);
                sql.push_number(&format!(" AND w.place {relation} "), after);
            }
            Way::Index => {
                sql.push(&format!(
                    " FROM post_words w JOIN post \
                     ON post.published = {published} AND post.place = w.rowid{joined} \
                     WHERE w.post_words MATCH ?"
                ));
                sql.bind_text(self.fts5);
                sql.push_in_time(" AND ", "(w.rowid & 1048575)");
                sql.push_number(&format!(" AND w.rowid {relation} "), after);
            }
            Way::Posts => {
                let index = self.author.map_or("post_list", |_| "post_author_list");
                sql.push(&format!(
                    " FROM post FORCE INDEX ({index}) STRAIGHT_JOIN post_words w \
                     ON w.place = post.place{joined} WHERE post.published = {published}"
                ));
                sql.push_number(&format!(" AND post.place {relation} "), after);
            }
        }
        if is_mysql {
            for piece in self.pieces {
                // The index finds single tokens.
                if way == Way::Posts || piece.tokens.contains(' ') {
                    piece.write_condition(sql);
                }
            }
        }
        if let Some(author) = self.author {
            sql.push_number(" AND post.author_id = ", author);
        }
        match authors {
            Authors::Joined => {
                sql.push(" AND user.role <> ?");
                sql.bind_text(self.but_role);
            }
            Authors::But(authors) => {
                for author in authors {
                    sql.push_number(" AND post.author_id <> ", *author);
                }
            }
        }
        write_followed(sql, self.follower, "post.author_id");
        for tag in self.tags {
            sql.push(&format!(
                " AND EXISTS (SELECT 1 FROM post_tag t WHERE t.published = {published} \
                 AND t.place = post.place AND t.tag = ?)"
            ));
            sql.bind_text(*tag);
        }
        if let Some((since, until)) = self.between {
            sql.push_time(" AND post.date >= ", since);
            sql.push_time(" AND post.date < ", until);
        }
    }

    /// The number of posts that match, but for those of some authors, if there are at most so many and the database can
    /// tell in its time.
    pub fn count(
        &self,
        conn: &mut Conn,
        but_authors: &[i64],
        most: i64,
    ) -> QueryResult<Option<i64>> {
        let is_mysql = matches!(conn, Conn::Mysql(_));
        let mut sql = select(is_mysql, Way::Index);
        sql.push("COUNT(*) AS number FROM (SELECT 1");
        let way = (Way::Index, Authors::But(but_authors));
        self.write_tables_and_conditions(&mut sql, is_mysql, way, self.beginning());
        sql.push_number(" LIMIT ", most + 1);
        sql.push(") found");
        let counted = if is_mysql {
            sql.load(conn)
        } else {
            let time = Duration::from_millis(POSTS_TIME.into());
            deadline::within_time(time, || sql.load(conn))
        };
        match counted {
            Ok(count) => Ok(count.first().copied().filter(|count| *count <= most)),
            Err(error) if error_class(&error) == ErrorClass::TimeLimit => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The place before all others.
    fn beginning(&self) -> i64 {
        if self.is_ascending { 0 } else { i64::MAX }
    }

    /// Columns of the matching posts and of their authors, which are those of the tables `post` and `user`, by one statement.
    /// `part`: of those behind a place, after so many, and at most so many. `are_many`: whether it is
    /// known that the index takes too long.
    pub fn load<C, R>(
        &self,
        conn: &mut Conn,
        (after, offset, limit): (Option<i64>, i64, i64),
        are_many: bool,
        columns: C,
    ) -> QueryResult<Vec<R>>
    where
        C: Copy,
        WithColumns<C>: for<'q> LoadQuery<'q, SqliteConnection, R>,
        WithColumns<C>: for<'q> LoadQuery<'q, MysqlConnection, R>,
    {
        let after = after.unwrap_or_else(|| self.beginning());
        let is_mysql = matches!(conn, Conn::Mysql(_));
        let load = |conn: &mut Conn, way: Way| {
            let before = select(is_mysql, way);
            let mut sql = Sql::default();
            let joined = (way, Authors::Joined);
            self.write_tables_and_conditions(&mut sql, is_mysql, joined, after);
            let place = match (way, is_mysql) {
                (Way::Index, false) => "w.rowid",
                (Way::Index, true) => "w.place",
                (Way::Posts, _) => "post.place",
            };
            let direction = if self.is_ascending { "" } else { " DESC" };
            sql.push(&format!(" ORDER BY {place}{direction}"));
            sql.push_number(" LIMIT ", limit);
            sql.push_number(" OFFSET ", offset);
            WithColumns::new(before, columns, sql).load(conn)
        };
        if are_many && is_mysql {
            return load(conn, Way::Posts);
        }
        match load(conn, Way::Index) {
            Err(error) if is_mysql && error_class(&error) == ErrorClass::TimeLimit => {
                load(conn, Way::Posts)
            }
            done => done,
        }
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
/// the order of its words that is, from 0; in any order. Its error ends the reading. Call it in a
/// snapshot.
pub fn read_words(
    conn: &mut Conn,
    hear: &mut dyn FnMut(i64, &str, usize) -> QueryResult<()>,
) -> QueryResult<()> {
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
                hear(place, &token, usize::try_from(number).unwrap_or(usize::MAX))?;
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
                        hear(*place, token, number)?;
                    }
                }
            }
        }
    }
}
