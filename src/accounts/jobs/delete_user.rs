//! The job that deletes what a deleted user left, who had more than the deletion itself
//! deletes.

use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveDateTime;
use diesel::result::QueryResult;
use serde::{Deserialize, Serialize};

use crate::accounts::Directory;
use crate::accounts::actions::deletion::{self, Piece};
use crate::core::db::Conn;
use crate::jobs::actions::enqueue;
use crate::jobs::handler::JobHandler;
use crate::jobs::types::{Failure, Job, JobKind, NewJob, Outcome, Queue};
use crate::social::actions::of_users;

/// Pieces that are deleted before the job gives its place to others. So its time limit says
/// nothing of how much a user had.
const PIECES: usize = 100;

/// Deletes a user's posts, in pieces.
pub struct DeleteUser {
    pub directory: Directory,
}

/// Whose.
#[derive(Serialize, Deserialize)]
pub struct DeletedUser {
    pub user_id: i64,
}

/// Has the rest of a user deleted, in the transaction that deletes them.
pub fn enqueue_deletion(conn: &mut Conn, user_id: i64, now: NaiveDateTime) -> QueryResult<()> {
    let job = NewJob {
        user_id: Some(user_id),
        ..NewJob::of::<DeleteUser>(&DeletedUser { user_id }, now)?
    };
    enqueue(conn, &job, now).map(drop)
}

impl JobHandler for DeleteUser {
    const KIND: JobKind = JobKind {
        name: "delete_user",
        queue: Queue::Work,
        time_limit: Duration::from_secs(600),
        is_periodic: false,
    };

    type Payload = DeletedUser;

    async fn run(
        &self,
        job: Job,
        DeletedUser { user_id }: DeletedUser,
    ) -> Result<Outcome, Failure> {
        let Directory { db, clock, bus, .. } = &self.directory;
        let mut posts = 0;
        for _ in 0..PIECES {
            let (now, bus) = (clock.now(), Arc::clone(bus));
            let work = move |conn: &mut Conn| deletion::go_on(conn, user_id, now);
            let publish = move |done: &Option<Piece>| {
                if let Some(piece) = done {
                    of_users::announce(&bus, &piece.said);
                }
            };
            let piece = db.write_then(work, publish).await?;
            posts += piece.as_ref().map_or(0, |piece| piece.posts);
            if piece.is_none_or(|piece| piece.is_all) {
                tracing::info!(
                    job_id = job.job_id,
                    user_id,
                    posts,
                    "all posts of a deleted user are deleted"
                );
                return Ok(Outcome::Done);
            }
        }
        tracing::info!(
            job_id = job.job_id,
            user_id,
            posts,
            "posts of a deleted user are being deleted"
        );
        Ok(Outcome::Reschedule(clock.now()))
    }
}
