//! The job that publishes a scheduled post at its time.

use std::sync::Arc;
use std::time::Duration;

use chrono::{NaiveDateTime, TimeDelta};
use diesel::result::QueryResult;
use serde::{Deserialize, Serialize};

use crate::core::db::Conn;
use crate::jobs::actions;
use crate::jobs::handler::JobHandler;
use crate::jobs::types::{Failure, Job, JobKind, NewJob, Outcome, Queue};
use crate::maintenance::LostWork;
use crate::posts::Posts;
use crate::posts::actions::publish_due::{self, Due};
use crate::posts::storage::scheduled::{self, ScheduledPost};
use crate::posts::stored::PostSummary;

/// Publishes a post when its row says so. There is one such job of a scheduled post, due at its time;
/// what it does, the row alone decides. So it may come early, late, twice or after a change.
pub struct PublishPost {
    pub posts: Arc<Posts>,
}

/// Which.
#[derive(Serialize, Deserialize)]
pub struct PostToPublish {
    pub post_id: i64,
}

/// The job of a post.
fn job_of(post: &ScheduledPost, now: NaiveDateTime) -> QueryResult<NewJob> {
    let ScheduledPost {
        post_id,
        author_id,
        publish_at,
    } = *post;
    Ok(NewJob {
        due: publish_at,
        dedup_key: Some(scheduled::job_key(post_id)),
        user_id: Some(author_id),
        ..NewJob::of::<PublishPost>(&PostToPublish { post_id }, now)?
    })
}

/// Has a post published at its time, in the transaction that schedules it.
pub fn plan(conn: &mut Conn, post: &ScheduledPost, now: NaiveDateTime) -> QueryResult<()> {
    let job = job_of(post, now)?;
    actions::plan(conn, &job, now)
}

/// The same for one that was just made, if it is scheduled.
pub fn plan_new(conn: &mut Conn, post: &PostSummary, now: NaiveDateTime) -> QueryResult<()> {
    match ScheduledPost::of(post) {
        Some(post) => plan(conn, &post, now),
        None => Ok(()),
    }
}

/// Has the job of a post follow a change of it, in the transaction of the change.
pub fn follow(
    conn: &mut Conn,
    before: &PostSummary,
    after: &PostSummary,
    now: NaiveDateTime,
) -> QueryResult<()> {
    if before.scheduled_for() == after.scheduled_for() {
        return Ok(());
    }
    match ScheduledPost::of(after) {
        Some(post) => plan(conn, &post, now),
        None => cancel(conn, &[after.post_id]),
    }
}

/// Takes back the jobs of posts that are not scheduled any more, or not there.
pub fn cancel(conn: &mut Conn, post_ids: &[i64]) -> QueryResult<()> {
    let keys: Vec<String> = post_ids.iter().map(|id| scheduled::job_key(*id)).collect();
    actions::cancel(conn, &keys)
}

/// Scheduled posts that have no job, whatever took it: the sweep finds those whose time comes before it
/// runs again, with much to spare.
pub const LOST: LostWork = LostWork {
    what: "scheduled posts",
    find: |conn, now, limit| plan_lost(conn, now + AHEAD, now, limit),
};

const AHEAD: TimeDelta = TimeDelta::hours(24);

/// Writes the jobs that are missing of posts which are scheduled for a time up to `until`, at most
/// `limit`; gives how many.
fn plan_lost(
    conn: &mut Conn,
    until: NaiveDateTime,
    now: NaiveDateTime,
    limit: i64,
) -> QueryResult<usize> {
    let lost = scheduled::load_lost(conn, Some(until), limit)?;
    plan_all(conn, &lost, now)?;
    Ok(lost.len())
}

/// Writes jobs of these posts. One that has got one meanwhile keeps that.
pub fn plan_all(conn: &mut Conn, posts: &[ScheduledPost], now: NaiveDateTime) -> QueryResult<()> {
    for post in posts {
        actions::enqueue(conn, &job_of(post, now)?, now)?;
    }
    Ok(())
}

impl JobHandler for PublishPost {
    const KIND: JobKind = JobKind {
        name: "publish_post",
        queue: Queue::Publish,
        time_limit: Duration::from_secs(60),
        is_periodic: false,
    };

    type Payload = PostToPublish;

    async fn run(
        &self,
        _: Job,
        PostToPublish { post_id }: PostToPublish,
    ) -> Result<Outcome, Failure> {
        Ok(
            match publish_due::publish_due(&self.posts, post_id).await? {
                Due::Published => Outcome::Done,
                Due::NotYet(publish_at) => Outcome::Reschedule(publish_at),
                Due::AuthorInactive => {
                    Outcome::NotNeeded("its author is not active; it is a draft again")
                }
                Due::Over => {
                    Outcome::NotNeeded("the post is gone, published or not scheduled any more")
                }
            },
        )
    }
}
