//! The job that indexes the posts that are marked to be.

use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveDateTime;
use diesel::result::QueryResult;
use serde::{Deserialize, Serialize};

use crate::core::db::{Conn, DbError};
use crate::jobs::actions::enqueue;
use crate::jobs::handler::JobHandler;
use crate::jobs::types::{Failure, Job, JobKind, NewJob, Outcome, Queue};
use crate::posts::Posts;
use crate::posts::actions::check;

/// Posts that are indexed, at least, before the job gives its place to others. So its time limit
/// says nothing of how many there are.
const AT_ONCE: usize = 4096;

/// Indexes marked posts, as a server does when it starts.
pub struct IndexPosts {
    pub posts: Arc<Posts>,
}

/// All that are marked.
#[derive(Serialize, Deserialize)]
pub struct MarkedPosts {}

/// Has marked posts indexed.
pub(super) fn enqueue_indexing(conn: &mut Conn, now: NaiveDateTime) -> QueryResult<()> {
    let job = NewJob::of::<IndexPosts>(&MarkedPosts {}, now)?;
    enqueue(conn, &job, now).map(drop)
}

impl JobHandler for IndexPosts {
    const KIND: JobKind = JobKind {
        name: "index_posts",
        queue: Queue::Work,
        time_limit: Duration::from_secs(600),
        is_periodic: false,
    };

    type Payload = MarkedPosts;

    async fn run(&self, _: Job, MarkedPosts {}: MarkedPosts) -> Result<Outcome, Failure> {
        let posts = Arc::clone(&self.posts);
        let index = move || check::index_and_announce(&posts, AT_ONCE, &|_| {});
        let done = tokio::task::spawn_blocking(index)
            .await
            .map_err(|error| DbError::fault(error))??;
        Ok(if done < AT_ONCE {
            Outcome::Done
        } else {
            Outcome::Reschedule(self.posts.clock.now())
        })
    }
}
