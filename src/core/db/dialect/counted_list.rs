//! A part of a list whose posts are counted, with its count, by one statement: what one statement reads is of one moment, so
//! that it needs no snapshot around it.

use diesel::expression::Expression;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::query_dsl::LoadQuery;
use diesel::sql_types::BigInt;

use super::post_lists::{LOW_BITS_OF_PLACE, hint};
use super::sql::{Sql, WithColumns};
use crate::core::db::connection::Conn;
use crate::core::db::mysql::MysqlConnection;

/// Rows that are passed over with all that belongs to them. Where there are more, an index passes over them first.
const FEW: i64 = 32;

/// Which posts.
#[derive(Clone, Copy, Debug)]
pub enum CountedPosts<'a> {
    All,
    Author(i64),
    Tag(&'a str),
}

/// Published posts in the order of their positions.
pub struct CountedList<'a> {
    pub posts: CountedPosts<'a>,
    /// The list and level of its counts, and their name; `None` where nobody asks.
    pub counts: Option<(&'a str, i32, &'a str)>,
    /// Levels of the same list with blocks from one up to before another, whose posts are counted together.
    pub before: &'a [(i32, (i64, i64))],
    /// The role of users whose posts are in no list, though they are counted in some.
    pub but_role: &'a str,
    pub is_ascending: bool,
}

/// What was true when a part was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The sum of the counts.
    pub posts: i64,
    /// That of the blocks before.
    pub before: i64,
    /// Whether the counts are kept of all posts.
    pub is_filled: bool,
    /// Users whose posts are in no list.
    pub but_users: i64,
}

/// The columns of a post and its author, and [`Counted`].
#[derive(Debug)]
pub struct CountedQuery<C>(WithColumns<C>);

impl<C: Expression> Query for CountedQuery<C> {
    type SqlType = (C::SqlType, BigInt, BigInt, BigInt, BigInt);
}

impl<C, Connection> RunQueryDsl<Connection> for CountedQuery<C> {}

impl<C> QueryId for CountedQuery<C> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<C, DB> QueryFragment<DB> for CountedQuery<C>
where
    DB: diesel::backend::Backend,
    WithColumns<C>: QueryFragment<DB>,
{
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.0.walk_ast(out)
    }
}

impl CountedList<'_> {
    /// Columns of the posts whose positions are from one up to before another, after so many, and at most so many, and of their
    /// authors, in any order: of the tables `post` and `user`. `None` of what was counted where there are none.
    pub fn load<C, R>(
        &self,
        conn: &mut Conn,
        range: (i64, i64),
        bounds: (i64, i64),
        columns: C,
    ) -> QueryResult<(Vec<R>, Option<Counted>)>
    where
        CountedQuery<C>: for<'q> LoadQuery<'q, SqliteConnection, (R, i64, i64, i64, i64)>,
        CountedQuery<C>: for<'q> LoadQuery<'q, MysqlConnection, (R, i64, i64, i64, i64)>,
    {
        let is_mysql = matches!(conn, Conn::Mysql(_));
        let (mut before, mut behind) = (Sql::default(), Sql::default());
        before.push("SELECT ");
        self.write_counts(&mut behind);
        self.write_posts(&mut behind, is_mysql, (range, bounds));
        let query = CountedQuery(WithColumns::new(before, columns, behind));
        let rows: Vec<(R, i64, i64, i64, i64)> = match conn {
            Conn::Sqlite(c) => query.load(c),
            Conn::Mysql(c) => query.load(c),
        }?;
        let counted = (rows.first()).map(|(_, posts, before, filled, but_users)| Counted {
            posts: *posts,
            before: *before,
            is_filled: *filled > 0,
            but_users: *but_users,
        });
        Ok((rows.into_iter().map(|(row, ..)| row).collect(), counted))
    }

    fn write_counts(&self, sql: &mut Sql) {
        if let Some((list, level, name)) = self.counts {
            sql.push(", ");
            write_sum(sql, list, level);
            sql.push("), 0");
            for (level, (first, end)) in self.before {
                sql.push(" + ");
                write_sum(sql, list, *level);
                sql.push_number(" AND c.block >= ", *first);
                sql.push_number(" AND c.block < ", *end);
                sql.push(")");
            }
            sql.push(", (SELECT COUNT(*) FROM count_upkeep k WHERE k.filled <> 0 AND k.name = ?");
            sql.bind_text(name);
            sql.push(")");
        } else {
            sql.push(", 0, 0, 0");
        }
        sql.push(", (SELECT COUNT(*) FROM user d WHERE d.role = ?)");
        sql.bind_text(self.but_role);
    }

    fn write_posts(&self, sql: &mut Sql, is_mysql: bool, part: ((i64, i64), (i64, i64))) {
        let (_, (skip, _)) = part;
        // The order of tables is the one in which they are written.
        let join = if is_mysql {
            "STRAIGHT_JOIN"
        } else {
            "CROSS JOIN"
        };
        let along = |index: &str| format!("post {}", hint(is_mysql, index));
        let (from, table, to_post) = match self.posts {
            CountedPosts::All => (along("post_list"), "post", String::new()),
            CountedPosts::Author(_) => (along("post_author_list"), "post", String::new()),
            CountedPosts::Tag(_) => (
                "post_tag t".to_owned(),
                "t",
                format!(" {join} post ON post.post_id = t.post_id"),
            ),
        };
        let author = "LEFT JOIN user ON user.user_id = post.author_id";
        if skip <= FEW {
            sql.push(&format!(" FROM {from}{to_post} {author}"));
            self.write_part(sql, table, part);
            return;
        }
        sql.push(&format!(" FROM (SELECT {table}.post_id FROM {from}"));
        self.write_part(sql, table, part);
        sql.push(&format!(
            ") found {join} post ON post.post_id = found.post_id {author}"
        ));
    }

    fn direction(&self) -> &'static str {
        if self.is_ascending { "" } else { " DESC" }
    }

    fn write_part(
        &self,
        sql: &mut Sql,
        table: &str,
        ((from, below), (skip, limit)): ((i64, i64), (i64, i64)),
    ) {
        sql.push(&format!(" WHERE {table}.published = 1"));
        match self.posts {
            CountedPosts::All => sql.push_in_time(" AND ", "post.post_id"),
            CountedPosts::Author(author) => {
                sql.push_number(" AND post.author_id = ", author);
                sql.push_in_time(" AND ", "post.post_id");
            }
            CountedPosts::Tag(tag) => {
                sql.push(" AND t.tag = ?");
                sql.bind_text(tag);
                sql.push_in_time(" AND ", LOW_BITS_OF_PLACE);
            }
        }
        sql.push_number(&format!(" AND {table}.place >= "), from);
        sql.push_number(&format!(" AND {table}.place < "), below);
        sql.push(&format!(" ORDER BY {table}.place{}", self.direction()));
        sql.push_number(" LIMIT ", limit);
        sql.push_number(" OFFSET ", skip);
    }
}

/// Begins the sum of the counts of a list's level, which ends with a bracket. MySQL's sums are decimal numbers.
fn write_sum(sql: &mut Sql, list: &str, level: i32) {
    sql.push(
        "(SELECT CAST(COALESCE(SUM(c.posts), 0) AS SIGNED) FROM post_count c WHERE c.list = ?",
    );
    sql.bind_text(list);
    sql.push_number(" AND c.level = ", i64::from(level));
}
