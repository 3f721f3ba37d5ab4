//! The job that has an author's posts found by their new name.

use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveDateTime;
use diesel::result::QueryResult;
use serde::{Deserialize, Serialize};

use super::index_posts;
use crate::core::db::Conn;
use crate::jobs::actions::plan;
use crate::jobs::events::JobWritten;
use crate::jobs::handler::JobHandler;
use crate::jobs::types::{Failure, Job, JobKind, NewJob, Outcome, Queue};
use crate::posts::Posts;
use crate::posts::storage::{check, posts as rows};

/// Posts that one transaction marks.
const AT_ONCE: i64 = 1000;

/// Marks the posts of an author, a bounded number in a transaction, and has the marked ones indexed
/// by a job of its own: what is marked stays so until it is done.
pub struct IndexAuthor {
    pub posts: Arc<Posts>,
}

/// Whose.
#[derive(Serialize, Deserialize)]
pub struct RenamedAuthor {
    pub author_id: i64,
}

/// Has the posts of a user indexed anew who has another name from this transaction on. There is one such
/// job of a user, which begins again, however often they change it.
pub fn enqueue_renamed(conn: &mut Conn, author_id: i64, now: NaiveDateTime) -> QueryResult<()> {
    if !rows::has_written(conn, author_id)? {
        return Ok(());
    }
    let job = NewJob {
        user_id: Some(author_id),
        dedup_key: Some(format!("{} {author_id}", IndexAuthor::KIND.name)),
        ..NewJob::of::<IndexAuthor>(&RenamedAuthor { author_id }, now)?
    };
    plan(conn, &job, now)
}

impl JobHandler for IndexAuthor {
    const KIND: JobKind = JobKind {
        name: "index_author",
        queue: Queue::Work,
        time_limit: Duration::from_secs(600),
        is_periodic: false,
    };

    type Payload = RenamedAuthor;

    async fn run(
        &self,
        _: Job,
        RenamedAuthor { author_id }: RenamedAuthor,
    ) -> Result<Outcome, Failure> {
        let Posts { db, clock, bus, .. } = &*self.posts;
        let now = clock.now();
        for published in [false, true] {
            let mut after = Some(0);
            while let Some(from) = after {
                let mark = move |conn: &mut Conn| {
                    let (ids, last) =
                        check::load_written(conn, (author_id, published), from, AT_ONCE)?;
                    check::unindex(conn, &ids)?;
                    Ok(last)
                };
                after = db.write(mark).await?;
            }
        }
        db.write(move |conn| index_posts::enqueue_indexing(conn, now))
            .await?;
        bus.publish(&JobWritten {});
        Ok(Outcome::Done)
    }
}
