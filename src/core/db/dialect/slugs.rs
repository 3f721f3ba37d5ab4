//! Which slugs are taken, in one statement.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use super::sql::Sql;
use crate::core::db::connection::Conn;

/// A slug that is somebody's.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct TakenSlug {
    #[diesel(sql_type = Text)]
    pub slug: String,
    /// The author of the post that had it before; `None` where a post has it.
    #[diesel(sql_type = Nullable<BigInt>)]
    pub former: Option<i64>,
}

/// Which of these slugs posts have, or had before. The list is filled up to a power of two with its
/// last one, so that there are few statements, and those stay prepared.
pub fn load_taken_slugs(conn: &mut Conn, slugs: &[&str]) -> QueryResult<Vec<TakenSlug>> {
    let Some(last) = slugs.last() else {
        return Ok(Vec::new());
    };
    let mut slugs = slugs.to_vec();
    slugs.resize(slugs.len().next_power_of_two(), last);
    let places = vec!["?"; slugs.len()].join(", ");
    let mut sql = Sql::default();
    sql.push(&format!(
        "SELECT post.slug AS slug, NULL AS former FROM post WHERE post.slug IN ({places}) \
         UNION ALL SELECT old_slug.slug, post.author_id FROM old_slug \
         INNER JOIN post ON post.post_id = old_slug.post_id WHERE old_slug.slug IN ({places})"
    ));
    for slug in slugs.iter().chain(&slugs) {
        sql.bind_text(*slug);
    }
    sql.load_rows(conn)
}
