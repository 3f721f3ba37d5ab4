//! The export of everything stored about a user, some of it at a time: a user may have
//! more posts than fit into memory.

use crate::accounts::Directory;
use crate::accounts::codes::CodeRow;
use crate::accounts::storage::{audit, codes, sessions, users};
use crate::accounts::types::{AuditEntry, Session, User};
use crate::core::db::DbError;
use crate::jobs;
use crate::jobs::types::StoredJob;
use crate::posts::actions::of_author::{self, AuthorCursor};
use crate::posts::stored::StoredPost;
use crate::social::actions::of_users;
use crate::social::types::{StoredComment, StoredFollow, StoredLike};

/// What is there of a user at once, and then the parts of the rest.
pub struct Export {
    pub user: User,
    pub sessions: Vec<Session>,
    pub codes: Vec<CodeRow>,
    pub rest: ExportRest,
}

/// The rest of an export.
pub struct ExportRest {
    directory: Directory,
    user_id: i64,
    step: Option<Step>,
}

/// What is to be read next.
#[derive(Clone, Copy)]
enum Step {
    /// Jobs after this one.
    Jobs(i64),
    /// Entries of the audit after this one.
    Audit(i64),
    Posts(AuthorCursor),
    /// Comments after this one.
    Comments(i64),
    /// Likes of posts after this one.
    Likes(i64),
    /// Whom they follow after this one.
    Following(i64),
}

/// Some rows of one kind. One without any ends its kind, and the next begins.
pub enum Part {
    Jobs(Vec<StoredJob>),
    Audit(Vec<AuditEntry>),
    /// With their texts, drafts first.
    Posts(Vec<StoredPost>),
    Comments(Vec<StoredComment>),
    Likes(Vec<StoredLike>),
    Following(Vec<StoredFollow>),
}

impl Export {
    /// `None` when the user is gone, or not active any more.
    pub async fn begin(directory: &Directory, user_id: i64) -> Result<Option<Self>, DbError> {
        let now = directory.clock.now();
        let found = directory
            .db
            .read(move |conn| {
                let Some(user) = users::find_active(conn, user_id)? else {
                    return Ok(None);
                };
                let sessions = sessions::load_live(conn, user_id, None, now)?;
                let codes = codes::load_of_user(conn, user_id)?;
                Ok(Some((user, sessions, codes)))
            })
            .await?;
        Ok(found.map(|(user, sessions, codes)| Self {
            user,
            sessions,
            codes,
            rest: ExportRest {
                directory: directory.clone(),
                user_id,
                step: Some(Step::Jobs(0)),
            },
        }))
    }
}

impl ExportRest {
    /// The next part, in the order of [`Part`]; `None` when there is no more.
    pub async fn next(&mut self) -> Result<Option<Part>, DbError> {
        let (db, user_id) = (&self.directory.db, self.user_id);
        let Some(step) = self.step else {
            return Ok(None);
        };
        let (part, next) = match step {
            Step::Jobs(after) => {
                let jobs = jobs::actions::load_of_user(db, user_id, after).await?;
                let last = jobs.last().map(|job| job.job_id);
                let next = last.map_or(Step::Audit(0), Step::Jobs);
                (Part::Jobs(jobs), Some(next))
            }
            Step::Audit(after) => {
                let entries = db
                    .read(move |conn| audit::load_after(conn, user_id, after))
                    .await?;
                let last = entries.last().map(|entry| entry.audit_id);
                let next = last.map_or(Step::Posts(AuthorCursor::default()), Step::Audit);
                (Part::Audit(entries), Some(next))
            }
            Step::Posts(cursor) => {
                let some = db
                    .read(move |conn| of_author::load_some_of(conn, user_id, cursor))
                    .await?;
                let next = some.next.map_or(Step::Comments(0), Step::Posts);
                (Part::Posts(some.posts), Some(next))
            }
            Step::Comments(after) => {
                let comments = db
                    .read(move |conn| of_users::load_comments_after(conn, user_id, after))
                    .await?;
                let last = comments.last().map(|last| last.comment_id);
                let next = last.map_or(Step::Likes(0), Step::Comments);
                (Part::Comments(comments), Some(next))
            }
            Step::Likes(after) => {
                let likes = db
                    .read(move |conn| of_users::load_likes_after(conn, user_id, after))
                    .await?;
                let last = likes.last().map(|last| last.post_id);
                let next = last.map_or(Step::Following(0), Step::Likes);
                (Part::Likes(likes), Some(next))
            }
            Step::Following(after) => {
                let following = db
                    .read(move |conn| of_users::load_following_after(conn, user_id, after))
                    .await?;
                let next = following.last().map(|last| Step::Following(last.follow_id));
                (Part::Following(following), next)
            }
        };
        self.step = next;
        Ok(Some(part))
    }
}
