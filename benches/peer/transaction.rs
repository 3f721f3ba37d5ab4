//! What the server has to do in the database to publish, and nothing else: the
//! statements of its transaction, one for one. When those change, these do.

use chrono::NaiveDateTime;
use diesel::prelude::*;
use inkpot::db::schema::{content, post, user};
use inkpot::db::{Conn, dialect};

/// Publishes; the transaction around it is the caller's.
pub fn publish(
    conn: &mut Conn,
    author_id: i64,
    title: &str,
    text: &str,
    now: NaiveDateTime,
) -> QueryResult<()> {
    let _name: String = user::table
        .find(author_id)
        .filter(user::is_active.eq(true))
        .select(user::name)
        .first(conn)?;
    diesel::insert_into(post::table)
        .values((
            post::author_id.eq(author_id),
            post::title.eq(title),
            post::date.eq(now),
            post::updated.eq(now),
        ))
        .execute(conn)?;
    let post_id = dialect::last_insert(conn)?;
    diesel::insert_into(content::table)
        .values((content::post_id.eq(post_id), content::body.eq(text)))
        .execute(conn)?;
    Ok(())
}
