//! Lists of posts that have tags, lie between dates, or both, as text with values: Diesel has no
//! word for the order in which tables are read.

use std::collections::{HashMap, HashSet};

use chrono::{NaiveDateTime, TimeDelta};
use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::sql::Sql;
use crate::core::db::connection::Conn;

/// What rows of tags are chosen by to ask for the time: a whole place is too large to be multiplied.
pub(super) const LOW_BITS_OF_PLACE: &str = "(t.place & 1048575)";

/// Posts with tags, in the order of their positions.
pub struct Tagged<'a> {
    pub published: bool,
    pub author: Option<i64>,
    /// Whose posts do not count; mostly nobody's.
    pub but_authors: &'a [i64],
    /// Only by those whom this user follows.
    pub follower: Option<i64>,
    /// The rows of the first are gone through; with none, those of all tags.
    pub tags: &'a [&'a str],
    pub is_ascending: bool,
}

impl Tagged<'_> {
    fn write(&self, sql: &mut Sql, columns: &str) {
        self.write_from(sql, columns, "");
    }

    fn write_from(&self, sql: &mut Sql, columns: &str, joined: &str) {
        sql.push(&format!(
            "SELECT {columns} FROM post_tag t {joined} WHERE t.published = {}",
            u8::from(self.published)
        ));
        sql.push_in_time(" AND ", LOW_BITS_OF_PLACE);
        if let Some(author) = self.author {
            sql.push_number(" AND t.author_id = ", author);
        }
        for author in self.but_authors {
            sql.push_number(" AND t.author_id <> ", *author);
        }
        write_followed(sql, self.follower, "t.author_id");
        if let Some((first, others)) = self.tags.split_first() {
            sql.push(" AND t.tag = ?");
            sql.bind_text(*first);
            write_tags(sql, "t.place", self.published, others);
        }
    }

    /// How many there are, if they are at most so many: no more are read.
    pub fn count(&self, conn: &mut Conn, most: i64) -> QueryResult<Option<i64>> {
        count(conn, most, |sql| self.write(sql, "1 AS one"))
    }

    /// The dates of all of them from a position on, in any order.
    pub fn load_dates(&self, conn: &mut Conn, from: i64) -> QueryResult<Vec<NaiveDateTime>> {
        let is_mysql = is_mysql(conn);
        let mut sql = Sql::default();
        let joined = format!("{} post p ON p.post_id = t.post_id", join(is_mysql));
        self.write_from(&mut sql, "p.date AS time", &joined);
        sql.push_number(" AND t.place >= ", from);
        sql.load_times(conn)
    }

    /// The position of the one that has so many before it, among those whose positions are from one up to before
    /// another.
    pub fn find_nth(
        &self,
        conn: &mut Conn,
        range: (i64, i64),
        before: i64,
    ) -> QueryResult<Option<i64>> {
        Ok(self
            .load_numbers(conn, "t.place AS number", range, (before, 1))?
            .pop())
    }

    /// The ids of those whose positions are from one up to before another, after so many, and at
    /// most so many.
    pub fn load_ids(
        &self,
        conn: &mut Conn,
        range: (i64, i64),
        bounds: (i64, i64),
    ) -> QueryResult<Vec<i64>> {
        self.load_numbers(conn, "t.post_id AS number", range, bounds)
    }

    fn load_numbers(
        &self,
        conn: &mut Conn,
        column: &str,
        (from, below): (i64, i64),
        (skip, limit): (i64, i64),
    ) -> QueryResult<Vec<i64>> {
        let mut sql = Sql::default();
        self.write(&mut sql, column);
        sql.push_number(" AND t.place >= ", from);
        sql.push_number(" AND t.place < ", below);
        sql.push(" ORDER BY t.place");
        write_end(&mut sql, self.is_ascending, (skip, limit));
        sql.load(conn)
    }
}

/// Where the posts of a list between dates are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Among those with the first tag, which are sorted.
    Tag,
    /// Along the index of dates.
    Date,
}

/// Published posts between dates, in the order of these, and of ids where they are one.
pub struct Dated<'a> {
    pub author: Option<i64>,
    /// Whose posts do not count; mostly nobody's.
    pub but_authors: &'a [i64],
    /// Only by those whom this user follows.
    pub follower: Option<i64>,
    pub tags: &'a [&'a str],
    /// The first time, and the one behind the last.
    pub between: (NaiveDateTime, NaiveDateTime),
    pub is_ascending: bool,
    pub way: Way,
}

impl Dated<'_> {
    fn write(&self, sql: &mut Sql, is_mysql: bool, columns: &str) {
        match (self.way, self.tags.split_first()) {
            (Way::Tag, Some((first, others))) => {
                let join = join(is_mysql);
                sql.push(&format!(
                    "SELECT {columns} FROM post_tag t {join} post p ON p.post_id = t.post_id \
                     WHERE t.published = 1 AND t.tag = ?"
                ));
                sql.bind_text(*first);
                sql.push_in_time(" AND ", LOW_BITS_OF_PLACE);
                self.write_authors(sql, "t.author_id");
                write_tags(sql, "t.place", true, others);
            }
            (_, _) => {
                let index = match (is_mysql, self.author) {
                    (false, _) => "",
                    (true, None) => "FORCE INDEX (post_dated)",
                    (true, Some(_)) => "FORCE INDEX (post_author_dated)",
                };
                sql.push(&format!(
                    "SELECT {columns} FROM post p {index} WHERE p.published = 1"
                ));
                sql.push_in_time(" AND ", "p.post_id");
                self.write_authors(sql, "p.author_id");
                write_tags(sql, "p.place", true, self.tags);
            }
        }
    }

    fn write_authors(&self, sql: &mut Sql, column: &str) {
        if let Some(author) = self.author {
            sql.push_number(&format!(" AND {column} = "), author);
        }
        for author in self.but_authors {
            sql.push_number(&format!(" AND {column} <> "), *author);
        }
        write_followed(sql, self.follower, column);
    }

    /// How many there are, if they are at most so many: no more are read.
    pub fn count(&self, conn: &mut Conn, most: i64) -> QueryResult<Option<i64>> {
        let is_mysql = is_mysql(conn);
        count(conn, most, |sql| {
            self.write(sql, is_mysql, "1 AS one");
            write_dates(sql, self.between);
        })
    }

    /// The date of the one that has so many before it, of those behind a date.
    pub fn find_nth(
        &self,
        conn: &mut Conn,
        after: Option<NaiveDateTime>,
        before: i64,
    ) -> QueryResult<Option<NaiveDateTime>> {
        let is_mysql = is_mysql(conn);
        let (since, until) = self.between;
        let between = match after {
            None => (since, until),
            Some(date) if self.is_ascending => {
                (since.max(date + TimeDelta::microseconds(1)), until)
            }
            Some(date) => (since, until.min(date)),
        };
        let mut sql = Sql::default();
        self.write(&mut sql, is_mysql, "p.date AS time");
        write_dates(&mut sql, between);
        self.write_order(&mut sql, (before, 1));
        Ok(sql.load_times(conn)?.pop())
    }

    /// The ids of those behind a post of this date and id, after so many, and at most so many.
    pub fn load_ids(
        &self,
        conn: &mut Conn,
        after: Option<(NaiveDateTime, i64)>,
        (skip, limit): (i64, i64),
    ) -> QueryResult<Vec<i64>> {
        let Some((date, post_id)) = after else {
            return self.load(conn, (skip, limit), |sql| write_dates(sql, self.between));
        };
        // In two ranges of the index: of one that compares date and id MySQL makes none.
        let relation = if self.is_ascending { ">" } else { "<" };
        let mut found = self.load(conn, (skip, limit), |sql| {
            write_dates(sql, self.between);
            sql.push_time(" AND p.date = ", date);
            sql.push_number(&format!(" AND p.post_id {relation} "), post_id);
        })?;
        let rest = limit - i64::try_from(found.len()).unwrap_or(limit);
        if rest > 0 {
            let (since, until) = self.between;
            let between = if self.is_ascending {
                (since.max(date + TimeDelta::microseconds(1)), until)
            } else {
                (since, until.min(date))
            };
            found.extend(self.load(conn, (skip, rest), |sql| write_dates(sql, between))?);
        }
        Ok(found)
    }

    fn load(
        &self,
        conn: &mut Conn,
        bounds: (i64, i64),
        write_range: impl FnOnce(&mut Sql),
    ) -> QueryResult<Vec<i64>> {
        let is_mysql = is_mysql(conn);
        let mut sql = Sql::default();
        self.write(&mut sql, is_mysql, "p.post_id AS number");
        write_range(&mut sql);
        self.write_order(&mut sql, bounds);
        sql.load(conn)
    }

    fn write_order(&self, sql: &mut Sql, bounds: (i64, i64)) {
        let direction = if self.is_ascending { "" } else { " DESC" };
        sql.push(&format!(" ORDER BY p.date{direction}, p.post_id"));
        write_end(sql, self.is_ascending, bounds);
    }
}

/// The least id of a published post from this one on, along the primary key.
pub fn first_published(conn: &mut Conn, from: i64) -> QueryResult<Option<i64>> {
    end_of_published(conn, (" AND post_id >= ", from), "")
}

/// The greatest id of a published post below this one, along the primary key.
pub fn last_published(conn: &mut Conn, below: i64) -> QueryResult<Option<i64>> {
    end_of_published(conn, (" AND post_id < ", below), " DESC")
}

fn end_of_published(
    conn: &mut Conn,
    (relation, bound): (&str, i64),
    direction: &str,
) -> QueryResult<Option<i64>> {
    let is_mysql = is_mysql(conn);
    let mut sql = Sql::default();
    // On SQLite the primary key is the table itself and no index.
    let way = if is_mysql {
        "FORCE INDEX (PRIMARY)"
    } else {
        "NOT INDEXED"
    };
    sql.push(&format!("SELECT post_id AS number FROM post {way}"));
    sql.push_in_time(" WHERE ", "post_id");
    sql.push_number(&format!(" AND published = 1{relation}"), bound);
    sql.push(&format!(" ORDER BY post_id{direction} LIMIT 1"));
    Ok(sql.load(conn)?.pop())
}

#[derive(QueryableByName)]
struct Stands {
    #[diesel(sql_type = BigInt)]
    nth: i64,
    #[diesel(sql_type = BigInt)]
    place: i64,
}

#[derive(QueryableByName)]
struct BlockRow {
    #[diesel(sql_type = BigInt)]
    block: i64,
    #[diesel(sql_type = BigInt)]
    posts: i64,
}

/// The rows of the counts of a list on one level, block and posts, in any order; and, by the same statement, whether
/// the counts of this name are kept of all posts.
pub fn load_kept_counts(
    conn: &mut Conn,
    (list, level): (&str, i32),
    name: &str,
) -> QueryResult<(Vec<(i64, i64)>, bool)> {
    let mut sql = Sql::default();
    sql.push("SELECT block, posts FROM post_count WHERE list = ?");
    sql.bind_text(list);
    sql.push_number(" AND level = ", i64::from(level));
    sql.push_number(" UNION ALL SELECT ", i64::MIN);
    sql.push(", filled FROM count_upkeep WHERE name = ?");
    sql.bind_text(name);
    let rows: Vec<BlockRow> = sql.load_rows(conn)?;
    let is_filled = rows
        .iter()
        .any(|row| row.block == i64::MIN && row.posts != 0);
    let blocks = rows.iter().filter(|row| row.block != i64::MIN);
    Ok((
        blocks.map(|row| (row.block, row.posts)).collect(),
        is_filled,
    ))
}

/// What stands where posts of some dates are to stand.
#[derive(Debug, Default)]
pub struct Neighbourhood {
    /// By the number of the date: the place of the published post or draft that has it and the greatest id.
    pub last: HashMap<usize, i64>,
    /// Those of the places that posts have.
    pub taken: HashSet<i64>,
}

/// Looks which posts have these dates, and which have these places: by one statement where no post has such a
/// date, as nearly always, for these are of now; otherwise by two.
pub fn look_at_dates(
    conn: &mut Conn,
    dates: &[(bool, NaiveDateTime)],
    places: &[i64],
) -> QueryResult<Neighbourhood> {
    let mut sql = taken_places(conn, places);
    for published in [true, false] {
        let of_them: Vec<NaiveDateTime> = (dates.iter())
            .filter(|(is_published, _)| *is_published == published)
            .map(|(_, date)| *date)
            .collect();
        if of_them.is_empty() {
            continue;
        }
        sql.push_number(" UNION ALL SELECT * FROM (SELECT ", 0);
        sql.push(&format!(
            " AS nth, p.place AS place FROM post p {} WHERE p.published = {} AND p.date IN (",
            hint(is_mysql(conn), "post_dated"),
            u8::from(published)
        ));
        sql.push_times(&of_them);
        sql.push(&format!(") LIMIT 1) any{}", u8::from(published)));
    }
    let rows: Vec<Stands> = sql.load_rows(conn)?;
    if rows.iter().any(|row| row.nth >= 0) {
        return look_at_each_date(conn, dates, places);
    }
    Ok(Neighbourhood {
        taken: rows.into_iter().map(|row| row.place).collect(),
        ..Neighbourhood::default()
    })
}

fn is_mysql(conn: &Conn) -> bool {
    matches!(conn, Conn::Mysql(_))
}

/// Behind the name of a table: the index to go along.
pub(super) fn hint(is_mysql: bool, index: &str) -> String {
    if is_mysql {
        format!("FORCE INDEX ({index})")
    } else {
        format!("INDEXED BY {index}")
    }
}

/// A query for those of these places that posts have.
fn taken_places(conn: &Conn, places: &[i64]) -> Sql {
    let mut sql = Sql::default();
    sql.push_number("SELECT ", -1);
    sql.push(&format!(
        " AS nth, p.place AS place FROM post p {} WHERE p.published IN (0, 1) AND p.place IN (",
        hint(is_mysql(conn), "post_list")
    ));
    sql.push_numbers(places);
    sql.push(")");
    sql
}

/// Looks, by one statement, which post has each of these dates and the greatest id, and which places posts have.
fn look_at_each_date(
    conn: &mut Conn,
    dates: &[(bool, NaiveDateTime)],
    places: &[i64],
) -> QueryResult<Neighbourhood> {
    let mut found = Neighbourhood::default();
    let Some(last) = dates.last() else {
        return Ok(found);
    };
    let mut sql = taken_places(conn, places);
    // As with lists of numbers there are few statements, which stay prepared.
    for n in 0..dates.len().next_power_of_two() {
        let (published, date) = dates.get(n).unwrap_or(last);
        let number = i64::try_from(n.min(dates.len() - 1)).unwrap_or(0);
        sql.push_number(" UNION ALL SELECT * FROM (SELECT ", number);
        sql.push_number(
            &format!(
                " AS nth, p.place AS place FROM post p {} WHERE p.published = ",
                hint(is_mysql(conn), "post_dated")
            ),
            i64::from(*published),
        );
        sql.push_time(" AND p.date = ", *date);
        sql.push(&format!(" ORDER BY p.post_id DESC LIMIT 1) last{n}"));
    }
    let rows: Vec<Stands> = sql.load_rows(conn)?;
    for Stands { nth, place } in rows {
        match usize::try_from(nth) {
            Ok(nth) => found.last.insert(nth, place).is_some(),
            Err(_) => found.taken.insert(place),
        };
    }
    Ok(found)
}

/// The place of the published post that has so many before it, of those behind a place.
pub fn nth_published(
    conn: &mut Conn,
    (from, below): (i64, i64),
    before: i64,
    is_ascending: bool,
) -> QueryResult<Option<i64>> {
    let is_mysql = is_mysql(conn);
    let way = if is_mysql {
        "FORCE INDEX (post_list)"
    } else {
        "INDEXED BY post_list"
    };
    let mut sql = Sql::default();
    sql.push(&format!("SELECT p.place AS number FROM post p {way}"));
    sql.push_number(" WHERE p.published = 1 AND p.place >= ", from);
    sql.push_number(" AND p.place < ", below);
    sql.push_in_time(" AND ", "p.post_id");
    sql.push(" ORDER BY p.place");
    write_end(&mut sql, is_ascending, (before, 1));
    Ok(sql.load(conn)?.pop())
}

/// A join whose tables are read in the order that they are written in.
fn join(is_mysql: bool) -> &'static str {
    if is_mysql {
        "STRAIGHT_JOIN"
    } else {
        "CROSS JOIN"
    }
}

/// The condition that a post has these tags as well. A number and not `EXISTS`: of that MySQL may
/// make a join, and begin with any of its tables.
fn write_tags(sql: &mut Sql, place: &str, published: bool, tags: &[&str]) {
    for tag in tags {
        sql.push(&format!(
            " AND (SELECT COUNT(*) FROM post_tag o WHERE o.tag = ? AND o.published = {} \
             AND o.place = {place}) = 1",
            u8::from(published)
        ));
        sql.bind_text(*tag);
    }
}

/// The condition that this user follows the author, if there is one; a number, as with tags.
pub(super) fn write_followed(sql: &mut Sql, follower: Option<i64>, author: &str) {
    if let Some(follower) = follower {
        sql.push_number(
            &format!(
                " AND (SELECT COUNT(*) FROM follow f WHERE f.followed_id = {author} AND f.follower_id = "
            ),
            follower,
        );
        sql.push(") = 1");
    }
}

fn write_dates(sql: &mut Sql, (since, until): (NaiveDateTime, NaiveDateTime)) {
    sql.push_time(" AND p.date >= ", since);
    sql.push_time(" AND p.date < ", until);
}

/// The direction of an order, and which rows of it.
fn write_end(sql: &mut Sql, is_ascending: bool, (skip, limit): (i64, i64)) {
    sql.push(if is_ascending { "" } else { " DESC" });
    sql.push_number(" LIMIT ", limit);
    sql.push_number(" OFFSET ", skip);
}

/// The number of rows that `write` selects, if they are at most so many.
fn count(conn: &mut Conn, most: i64, write: impl FnOnce(&mut Sql)) -> QueryResult<Option<i64>> {
    let mut sql = Sql::default();
    sql.push("SELECT COUNT(*) AS number FROM (");
    write(&mut sql);
    sql.push_number(" LIMIT ", most.saturating_add(1));
    sql.push(") found");
    let count = sql.load(conn)?.first().copied().unwrap_or(0);
    Ok((count <= most).then_some(count))
}
