//! What a check is: its parts, and what each found.

use chrono::NaiveDateTime;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::core::db::schema::consistency_check;

/// A part of a check, which reads the database as it was at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = CheckPart)]
pub enum Part {
    /// The numbers of posts of each list, with the posts.
    Counts,
    /// The rows of tags, with the posts.
    Tags,
    /// The index of the search, with the posts.
    Search,
    /// The jobs of scheduled posts.
    Schedule,
    /// What is counted of posts, with comments and likes.
    Comments,
    /// What is counted of users, with follows.
    Follows,
}

impl Part {
    /// In the order in which they are done; a row has the number of the next one.
    pub const ALL: [Self; 6] = [
        Self::Counts,
        Self::Tags,
        Self::Search,
        Self::Schedule,
        Self::Comments,
        Self::Follows,
    ];

    /// The one with that number; `None` when all are done.
    pub fn numbered(number: i32) -> Option<Self> {
        let number = usize::try_from(number).ok()?;
        Self::ALL.get(number).copied()
    }
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = CheckFindingKind)]
pub enum FindingKind {
    /// The number of posts of a list, or of a part of it.
    ListCount,
    /// A row of a tag that no post stands behind.
    StrayTag,
    /// A post that is not under all of its tags.
    UntaggedPost,
    /// A post that is not found by its words.
    UnfoundPost,
    /// Words in the index that are no post's.
    StrayWords,
    /// A scheduled post without a job.
    UnplannedPost,
    /// What is counted of a post: its comments, likes.
    PostCount,
    /// Comments or counts of a post that is not there.
    StrayPost,
    /// What is counted of a user: followers, whom they follow.
    UserCount,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = CheckFinding)]
pub struct Finding {
    pub kind: FindingKind,
    /// The post that it is about.
    #[schema(required = true)]
    pub post_id: Option<i64>,
    /// The user that it is about.
    #[schema(required = true)]
    pub user_id: Option<i64>,
    /// What has to be added to what is kept; of counts only.
    #[schema(required = true)]
    pub off_by: Option<i64>,
    /// The line of `inkpot check`, in English.
    #[schema(example = "likes of post 7: -1")]
    pub detail: String,
}

/// What a part has found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = CheckPartReport)]
pub struct PartReport {
    pub part: Part,
    /// Rows that were read: posts (`counts`, `search`), rows of tags, comments and likes
    /// (`comments`), follows; none for `schedule`, which the database compares.
    #[schema(minimum = 0)]
    pub read: i64,
    #[schema(minimum = 0)]
    pub differences: i64,
}

/// What the parts so far have found; kept as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    pub parts: Vec<PartReport>,
    /// Of each kind the first ones.
    pub findings: Vec<Finding>,
    /// Posts that are still to be indexed, which is no fault.
    pub unindexed: i64,
}

/// The row of the check.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = consistency_check)]
pub struct StoredCheck {
    /// The job of the newest check.
    pub job_id: Option<i64>,
    /// When it was asked for.
    pub asked: Option<NaiveDateTime>,
    /// The number of its next part.
    pub part: i32,
    /// What its parts have found so far.
    pub found: String,
    /// What the newest check found that came to its end.
    pub report: Option<String>,
    /// When that one was asked for, and its end.
    pub report_asked: Option<NaiveDateTime>,
    pub report_finished: Option<NaiveDateTime>,
}

/// Where the newest check stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CheckState {
    /// Nobody has asked for one yet.
    Never,
    /// For a worker.
    Waiting,
    Running,
    Done,
    /// It was given up before its end.
    Failed,
}

/// The newest check, and what the newest one found that came to its end.
#[derive(Clone, Debug)]
pub struct Check {
    pub row: StoredCheck,
    pub state: CheckState,
    /// Why it could not go on, the last time.
    pub last_error: Option<String>,
}
