//! Every place where MySQL and SQLite differ and Diesel does not hide it.

use chrono::NaiveDateTime;
use diesel::connection::{AnsiTransactionManager, TransactionManager};
use diesel::prelude::*;
use diesel::result::QueryResult;

mod any_of;
mod batch;
mod connections;
mod counted_list;
pub(super) mod errors;
mod followed;
mod follows;
mod full_text;
pub mod heartbeat;
pub mod inspect;
pub(super) mod letters;
mod migration_lock;
mod post_lists;
mod post_stat;
mod share;
mod slugs;
mod sql;
pub(super) mod time_limit;

use super::connection::Conn;
use super::mysql::MysqlConnection;
use super::schema::{
    comment, count_upkeep, idempotency, job, message_budget, post, post_leftover, post_unindexed,
    user,
};
pub use any_of::{AnyOf, any_of};
pub use batch::{Batch, TagRow};
pub(super) use connections::{Connections, load_connections};
pub use counted_list::{Counted, CountedList, CountedPosts};
pub use errors::{ErrorClass, error_class, is_missing_table};
pub use followed::Followed;
pub use follows::{FollowRows, load_follow_ids};
pub use full_text::{
    PLACE_TAKEN, Phrase, SearchQuery, delete_words, insert_words, move_words, or_place_taken,
    read_words,
};
pub use letters::{containing, lower};
pub use migration_lock::{WAIT as MIGRATION_LOCK_WAIT, with_migration_lock};
pub use post_lists::{
    Dated, Neighbourhood, Tagged, Way, first_published, last_published, load_kept_counts,
    look_at_dates, nth_published,
};
pub use post_stat::{PostStats, post_stats, two_of};
pub use share::{share_comment, share_posts, share_users};
pub use slugs::{TakenSlug, load_taken_slugs};
pub use sql::answered_of;
pub use time_limit::in_time;

diesel::define_sql_function! { fn last_insert_rowid() -> diesel::sql_types::BigInt; }
diesel::define_sql_function! { fn last_insert_id() -> diesel::sql_types::BigInt; }

/// The id that this connection's last `INSERT` was given. (`RETURNING` exists on
/// SQLite and MariaDB, not on MySQL.)
pub fn last_insert(conn: &mut Conn) -> QueryResult<i64> {
    match conn {
        Conn::Sqlite(c) => diesel::select(last_insert_rowid()).get_result(c),
        Conn::Mysql(c) => diesel::select(last_insert_id()).get_result(c),
    }
}

/// Begins a transaction that will write. SQLite: `IMMEDIATE`, so that the lock is
/// waited for at the beginning; a deferred one fails at once when it must upgrade.
pub fn begin_write(conn: &mut Conn) -> QueryResult<()> {
    match conn {
        Conn::Sqlite(c) => AnsiTransactionManager::begin_transaction_sql(c, "BEGIN IMMEDIATE"),
        Conn::Mysql(c) => AnsiTransactionManager::begin_transaction(c),
    }
}

/// Begins a read-only snapshot transaction: all its queries see the same state.
pub fn begin_snapshot(conn: &mut Conn) -> QueryResult<()> {
    match conn {
        Conn::Sqlite(c) => AnsiTransactionManager::begin_transaction(c),
        // The sessions of readers are REPEATABLE READ (`mysql::session`).
        Conn::Mysql(c) => AnsiTransactionManager::begin_transaction_sql(
            c,
            "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
        ),
    }
}

/// Locks the signing keys against change until the transaction ends. There may be no
/// row of a key to lock yet, so it locks the first row of the migrations table in
/// their place. SQLite has one writer.
pub fn lock_signing_keys(conn: &mut Conn) -> QueryResult<()> {
    match conn {
        Conn::Sqlite(_) => Ok(()),
        Conn::Mysql(c) => diesel::sql_query(
            "SELECT version FROM __diesel_schema_migrations ORDER BY version LIMIT 1 FOR UPDATE",
        )
        .execute(c)
        .map(drop),
    }
}

#[derive(QueryableByName)]
struct Now {
    #[diesel(sql_type = diesel::sql_types::Timestamp)]
    now: NaiveDateTime,
}

/// What time it is by the server's clock, in UTC; `None` on SQLite, which has none of its
/// own.
pub fn server_time(conn: &mut Conn) -> QueryResult<Option<NaiveDateTime>> {
    match conn {
        Conn::Sqlite(_) => Ok(None),
        Conn::Mysql(c) => {
            let now: Now = diesel::sql_query("SELECT UTC_TIMESTAMP(6) AS now").get_result(c)?;
            Ok(Some(now.now))
        }
    }
}

/// The unique index that refused an insert or update, by its name.
///
/// `constraint_name()` is `None` on both databases; the names are in the text:
/// MariaDB `… for key 'user_email_key'`, MySQL `… for key 'user.user_email_key'`,
/// SQLite `UNIQUE constraint failed: user.email_key` (the columns, not the index:
/// an index is named after its table and columns, so that the two agree).
pub fn unique_index<'a>(message: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let named = if let Some((_, columns)) = message.split_once("UNIQUE constraint failed: ") {
        columns.replace('.', "_")
    } else {
        let (_, key) = message.rsplit_once("for key '")?;
        let key = key.trim_end_matches('\'');
        key.rsplit_once('.')
            .map_or(key, |(_, name)| name)
            .to_owned()
    };
    candidates.iter().copied().find(|c| *c == named)
}

/// Locks the row of a post until the transaction ends; false when there is none. (SQLite
/// has one writer, which needs no row locks; the same below.)
pub fn lock_post(conn: &mut Conn, post_id: i64) -> QueryResult<bool> {
    let row = post::table.find(post_id).select(post::post_id);
    let found: Option<i64> = match conn {
        Conn::Sqlite(c) => row.first(c),
        Conn::Mysql(c) => row.for_update().first(c),
    }
    .optional()?;
    Ok(found.is_some())
}

/// Id, whether it is published, place, date and tags of a post.
pub type PostRow = (i64, bool, i64, NaiveDateTime, String);

/// Some of an author's posts; their rows are locked until the transaction ends. In the order
/// of the author's index: without one, MySQL reads the whole table, and waits for whoever
/// holds a row of it, when the author has many of the posts.
pub fn lock_posts_of(conn: &mut Conn, author_id: i64, limit: i64) -> QueryResult<Vec<PostRow>> {
    let rows = post::table
        .filter(post::author_id.eq(author_id))
        .order((post::published, post::place))
        .limit(limit)
        .select((
            post::post_id,
            post::published,
            post::place,
            post::date,
            post::tags,
        ));
    match conn {
        Conn::Sqlite(c) => rows.load(c),
        Conn::Mysql(c) => rows.for_update().load(c),
    }
}

/// A post that is to have another place.
#[derive(Clone, Debug, Queryable)]
pub struct MovedRow {
    pub post_id: i64,
    pub author_id: i64,
    pub published: bool,
    pub place: i64,
    pub date: NaiveDateTime,
    pub tags: String,
}

/// Some published posts or drafts whose places are below one, the highest first; their rows are locked
/// until the transaction ends.
pub fn lock_posts_below(
    conn: &mut Conn,
    (published, below): (bool, i64),
    limit: i64,
) -> QueryResult<Vec<MovedRow>> {
    let rows = post::table
        .filter(post::published.eq(published))
        .filter(post::place.lt(below))
        .order(post::place.desc())
        .limit(limit)
        .select((
            post::post_id,
            post::author_id,
            post::published,
            post::place,
            post::date,
            post::tags,
        ));
    match conn {
        Conn::Sqlite(c) => rows.load(c),
        Conn::Mysql(c) => rows.for_update().load(c),
    }
}

/// Holds a row of `count_upkeep` until the transaction ends; false when somebody else does.
pub fn claim_upkeep(conn: &mut Conn, name: &str) -> QueryResult<bool> {
    let row = count_upkeep::table.find(name).select(count_upkeep::version);
    let found: Option<i64> = match conn {
        Conn::Sqlite(c) => row.first(c),
        Conn::Mysql(c) => row.for_update().skip_locked().first(c),
    }
    .optional()?;
    Ok(found.is_some())
}

/// Claims some posts that are to be indexed: no other transaction gets them until
/// this one ends.
pub fn claim_unindexed(conn: &mut Conn, limit: i64) -> QueryResult<Vec<i64>> {
    let some = post_unindexed::table
        .order(post_unindexed::post_id)
        .limit(limit)
        .select(post_unindexed::post_id);
    match conn {
        Conn::Sqlite(c) => some.load(c),
        Conn::Mysql(c) => some.for_update().skip_locked().load(c),
    }
}

/// Locks those of these comments that are there until the transaction ends, in the order of
/// their ids; gives which those are.
pub fn lock_comments(conn: &mut Conn, comment_ids: &[i64]) -> QueryResult<Vec<i64>> {
    let rows = comment::table
        .filter(any_of(comment::comment_id, comment_ids))
        .order(comment::comment_id)
        .select(comment::comment_id);
    match conn {
        Conn::Sqlite(c) => rows.load(c),
        Conn::Mysql(c) => rows.for_update().load(c),
    }
}

/// Claims a deleted post of which something is left: no other transaction gets it until this
/// one ends.
pub fn claim_leftover(conn: &mut Conn) -> QueryResult<Option<i64>> {
    let first = post_leftover::table
        .order(post_leftover::post_id)
        .limit(1)
        .select(post_leftover::post_id);
    match conn {
        Conn::Sqlite(c) => first.first(c),
        Conn::Mysql(c) => first.for_update().skip_locked().first(c),
    }
    .optional()
}

/// Marks posts as ones of which something is left to delete.
pub fn insert_leftovers(conn: &mut Conn, post_ids: &[i64]) -> QueryResult<()> {
    for post_id in post_ids {
        let row = post_leftover::post_id.eq(post_id);
        match conn {
            Conn::Sqlite(c) => diesel::insert_or_ignore_into(post_leftover::table)
                .values(row)
                .execute(c)?,
            Conn::Mysql(c) => diesel::insert_or_ignore_into(post_leftover::table)
                .values(row)
                .execute(c)?,
        };
    }
    Ok(())
}

/// Id, kind, state, attempts, payload and birth of a job, the request that caused it and the
/// trace of that.
pub type JobRow = (
    i64,
    String,
    String,
    i32,
    String,
    NaiveDateTime,
    Option<String>,
    Option<String>,
);

/// Claims some due jobs of a lane, the longest overdue first: no other transaction
/// gets them until this one ends.
pub fn claim_due_jobs(
    conn: &mut Conn,
    lane: &str,
    now: NaiveDateTime,
    limit: i64,
) -> QueryResult<Vec<JobRow>> {
    let due = job::table.filter(job::due.le(now)).limit(limit).select((
        job::job_id,
        job::kind,
        job::state,
        job::attempts,
        job::payload,
        job::created,
        job::request_id,
        job::traceparent,
    ));
    match conn {
        Conn::Sqlite(c) => due
            .filter(job::lane.eq(lane))
            .order((job::due, job::job_id))
            .load(c),
        // With `lane = …` and much that is due the optimizer looks up the lane alone,
        // and every claim reads all that was ever done, whose `due` is NULL and comes
        // first. A range it follows to the end of the index.
        Conn::Mysql(c) => due
            .filter(job::lane.ge(lane))
            .filter(job::lane.le(lane))
            .order((job::lane, job::due, job::job_id))
            .for_update()
            .skip_locked()
            .load(c),
    }
}

/// Locks the row of a user until the transaction ends; false when there is none.
pub fn lock_user(conn: &mut Conn, user_id: i64) -> QueryResult<bool> {
    let row = user::table.find(user_id).select(user::user_id);
    let found: Option<i64> = match conn {
        Conn::Sqlite(c) => row.first(c),
        Conn::Mysql(c) => row.for_update().first(c),
    }
    .optional()?;
    Ok(found.is_some())
}

/// Locks the row of a bucket until the transaction ends, and makes it where there is none;
/// gives until when it counts, and how many messages it has counted.
pub fn lock_message_budget(
    conn: &mut Conn,
    bucket: &str,
    now: NaiveDateTime,
) -> QueryResult<(NaiveDateTime, i32)> {
    let row = || {
        message_budget::table
            .find(bucket)
            .select((message_budget::until, message_budget::sent))
    };
    let empty = (
        message_budget::bucket.eq(bucket),
        message_budget::until.eq(now),
        message_budget::sent.eq(0),
    );
    match conn {
        Conn::Sqlite(c) => {
            diesel::insert_or_ignore_into(message_budget::table)
                .values(empty)
                .execute(c)?;
            row().first(c)
        }
        Conn::Mysql(c) => {
            if let Some(found) = row().for_update().first(c).optional()? {
                return Ok(found);
            }
            // Of two who make it, the second waits here for the first.
            diesel::insert_or_ignore_into(message_budget::table)
                .values(empty)
                .execute(c)?;
            row().for_update().first(c)
        }
    }
}

/// Whether another transaction holds a lock on the row of this idempotency key.
/// (Never on SQLite, where this transaction is the only writer.)
pub fn is_idempotency_key_locked(conn: &mut Conn, user_id: i64, key: &str) -> QueryResult<bool> {
    let Conn::Mysql(c) = conn else {
        return Ok(false);
    };
    if !is_refused(find_locked_key(c, user_id, key))? {
        return Ok(false);
    }
    // A lock of the whole table refuses as well, on MariaDB, and is not about the key. It is waited for as
    // usual by who skips rows that are locked; afterwards this transaction has its own, and what refuses
    // is the row.
    idempotency::table
        .find((user_id, key))
        .select(idempotency::post_id)
        .for_update()
        .skip_locked()
        .first::<i64>(c)
        .optional()?;
    is_refused(find_locked_key(c, user_id, key))
}

fn find_locked_key(c: &mut MysqlConnection, user_id: i64, key: &str) -> QueryResult<Option<i64>> {
    idempotency::table
        .find((user_id, key))
        .select(idempotency::post_id)
        .for_update()
        .no_wait()
        .first(c)
        .optional()
}

/// Whether a lock of somebody's refused it. That ends the statement, not the transaction.
fn is_refused<T>(done: QueryResult<T>) -> QueryResult<bool> {
    match done {
        Ok(_) => Ok(false),
        Err(error) if error_class(&error) == ErrorClass::LockTimeout => Ok(true),
        Err(error) => Err(error),
    }
}
