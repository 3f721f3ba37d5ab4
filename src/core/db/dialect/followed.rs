//! The next post of each of many authors, by one look into the index for each.

use diesel::prelude::*;

use super::post_lists::write_followed;
use super::sql::Sql;
use crate::core::db::connection::Conn;

/// Authors in a statement of MySQL's.
const AT_ONCE: usize = 32;

/// Published posts of those whom a user follows, in the order of their positions.
#[derive(Clone, Copy, Debug)]
pub struct Followed {
    pub follower: i64,
    pub is_ascending: bool,
}

impl Followed {
    /// Of each of these authors, whom the user follows and who come in the order of their ids, the
    /// position of the first post among those from one position up to before another; of who has none
    /// there, none.
    pub fn load_next(
        self,
        conn: &mut Conn,
        authors: &[i64],
        (from, below): (i64, i64),
    ) -> QueryResult<Vec<i64>> {
        let (Some(first), Some(last)) = (authors.first(), authors.last()) else {
            return Ok(Vec::new());
        };
        if let Conn::Mysql(_) = conn {
            return self.load_next_by_constants(conn, authors, (from, below));
        }
        let least_or_most = if self.is_ascending { "MIN" } else { "MAX" };
        let mut sql = Sql::default();
        sql.push_number(
            &format!(
                "SELECT COALESCE((SELECT {least_or_most}(p.place) FROM post p \
                 INDEXED BY post_author_list \
                 WHERE p.author_id = f.followed_id AND p.published = 1 AND p.place >= "
            ),
            from,
        );
        sql.push_number(" AND p.place < ", below);
        sql.push_number(
            "), -1) AS number FROM follow f WHERE f.follower_id = ",
            self.follower,
        );
        sql.push_in_time(" AND ", "f.followed_id");
        sql.push_number(" AND f.followed_id >= ", *first);
        sql.push_number(" AND f.followed_id <= ", *last);
        let mut found = sql.load(conn)?;
        found.retain(|position| *position >= 0);
        Ok(found)
    }

    /// The same with a query for each author, many in a statement: of a position that is compared with
    /// an author from another table MySQL makes no range, and goes through all posts from the end. A
    /// position may be there several times.
    fn load_next_by_constants(
        self,
        conn: &mut Conn,
        authors: &[i64],
        (from, below): (i64, i64),
    ) -> QueryResult<Vec<i64>> {
        let direction = if self.is_ascending { "" } else { " DESC" };
        let mut found = Vec::new();
        for some in authors.chunks(AT_ONCE) {
            let mut sql = Sql::default();
            // As with lists of numbers there are few statements, which stay prepared.
            for place in 0..some.len().next_power_of_two() {
                let author = some.get(place).or(some.last()).copied().unwrap_or(0);
                let union = if place == 0 { "" } else { " UNION ALL " };
                sql.push_number(
                    &format!(
                        "{union}(SELECT place AS number FROM post FORCE INDEX (post_author_list) \
                         WHERE author_id = "
                    ),
                    author,
                );
                sql.push_number(" AND published = 1 AND place >= ", from);
                sql.push_number(" AND place < ", below);
                sql.push(&format!(" ORDER BY place{direction} LIMIT 1)"));
            }
            found.extend(sql.load(conn)?);
        }
        Ok(found)
    }

    /// The positions of posts among those of all from one position up to before another, at most so
    /// many; not those of the authors `but`.
    pub fn load_among_all(
        self,
        conn: &mut Conn,
        but: &[i64],
        (from, below): (i64, i64),
        limit: i64,
    ) -> QueryResult<Vec<i64>> {
        let is_mysql = matches!(conn, Conn::Mysql(_));
        let index = if is_mysql {
            "FORCE INDEX (post_list)"
        } else {
            "INDEXED BY post_list"
        };
        let mut sql = Sql::default();
        sql.push_number(
            &format!(
                "SELECT p.place AS number FROM post p {index} WHERE p.published = 1 AND p.place >= "
            ),
            from,
        );
        sql.push_number(" AND p.place < ", below);
        sql.push_in_time(" AND ", "p.post_id");
        for author in but {
            sql.push_number(" AND p.author_id <> ", *author);
        }
        write_followed(&mut sql, Some(self.follower), "p.author_id");
        sql.push(" ORDER BY p.place");
        sql.push(if self.is_ascending { "" } else { " DESC" });
        sql.push_number(" LIMIT ", limit);
        sql.load(conn)
    }
}
