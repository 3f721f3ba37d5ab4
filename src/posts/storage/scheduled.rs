//! Scheduled posts as rows: the column `publish_at` of those that are not published.

use chrono::NaiveDateTime;
use diesel::dsl::{exists, not};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use crate::core::db::Conn;
use crate::core::db::schema::{job, post, user};
use crate::posts::stored::PostSummary;

/// A post that is to be published at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Queryable)]
pub struct ScheduledPost {
    pub post_id: i64,
    pub author_id: i64,
    /// In UTC.
    pub publish_at: NaiveDateTime,
}

impl ScheduledPost {
    /// What a post is as such; `None` if it is not scheduled.
    pub fn of(post: &PostSummary) -> Option<Self> {
        Some(Self {
            post_id: post.post_id,
            author_id: post.author_id,
            publish_at: post.scheduled_for()?,
        })
    }
}

/// What begins the key of a job that publishes a post; the post's id follows. Kept for ever.
const KEY: &str = "publish_post ";

/// The key of the job that publishes a post.
pub fn job_key(post_id: i64) -> String {
    format!("{KEY}{post_id}")
}

diesel::define_sql_function! {
    /// One behind the other.
    fn concat(text: Text, number: BigInt) -> Text;
}

/// Posts that are scheduled for a time up to `until`, or for any, and have no unfinished job, at most
/// `limit`, the first first.
pub fn load_lost(
    conn: &mut Conn,
    until: Option<NaiveDateTime>,
    limit: i64,
) -> QueryResult<Vec<ScheduledPost>> {
    let has_job =
        exists(job::table.filter(job::dedup_key.eq(concat(KEY, post::post_id).nullable())));
    let mut lost = post::table
        .filter(post::publish_at.is_not_null())
        .filter(not(has_job))
        .into_boxed();
    if let Some(until) = until {
        lost = lost.filter(post::publish_at.le(until));
    }
    lost.order((post::publish_at, post::post_id))
        .limit(limit)
        .select((
            post::post_id,
            post::author_id,
            post::publish_at.assume_not_null(),
        ))
        .load(conn)
}

/// Posts whose time has come up to that of this post, which is among them if it is one, at most
/// `limit`; in the order in which they are published.
pub fn load_due(
    conn: &mut Conn,
    post_id: i64,
    now: NaiveDateTime,
    limit: i64,
) -> QueryResult<Vec<i64>> {
    let publish_at: Option<NaiveDateTime> = post::table
        .find(post_id)
        .filter(post::published.eq(false))
        .select(post::publish_at)
        .first(conn)
        .optional()?
        .flatten();
    let Some(publish_at) = publish_at else {
        return Ok(Vec::new());
    };
    post::table
        .filter(post::publish_at.le(publish_at.min(now)))
        .order((post::publish_at, post::post_id))
        .limit(limit)
        .select(post::post_id)
        .load(conn)
}

/// Forgets what a post was scheduled for that is published already, which nobody sees.
pub fn forget(conn: &mut Conn, post_id: i64) -> QueryResult<()> {
    diesel::update(post::table.find(post_id))
        .set(post::publish_at.eq(None::<NaiveDateTime>))
        .execute(conn)
        .map(drop)
}

/// Whether the author of a post may publish.
pub fn is_author_active(conn: &mut Conn, author_id: i64) -> QueryResult<bool> {
    let found: Option<i64> = user::table
        .find(author_id)
        .filter(user::is_active.eq(true))
        .select(user::user_id)
        .first(conn)
        .optional()?;
    Ok(found.is_some())
}
