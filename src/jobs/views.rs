//! A job as JSON.

use chrono::NaiveDateTime;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::types::StoredJob;
use crate::core::clock;

/// A job, without what it is to do: that may be a person's address.
#[derive(Serialize, ToSchema)]
pub struct JobView {
    #[schema(minimum = 1)]
    job_id: i64,
    /// What it does, such as `mail_code`, `mail_notice` or `sweep`.
    #[schema(example = "mail_code")]
    kind: String,
    /// `waiting`, `running`, `done` or `dead`.
    #[schema(example = "dead", pattern = "^(waiting|running|done|dead)$")]
    state: String,
    /// How often it was begun.
    #[schema(minimum = 0)]
    attempts: i32,
    /// When it is begun, or, while it runs, when others may take it; null at the end.
    #[serde(serialize_with = "clock::serialize_option")]
    #[schema(required = true, value_type = Option<chrono::DateTime<chrono::Utc>>)]
    due: Option<NaiveDateTime>,
    /// Whom it is about.
    #[schema(required = true)]
    user_id: Option<i64>,
    /// Why it failed last, or why there was nothing to do.
    #[schema(required = true)]
    last_error: Option<String>,
    #[serde(serialize_with = "clock::serialize")]
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    created: NaiveDateTime,
    #[serde(serialize_with = "clock::serialize_option")]
    #[schema(required = true, value_type = Option<chrono::DateTime<chrono::Utc>>)]
    finished: Option<NaiveDateTime>,
}

impl From<StoredJob> for JobView {
    fn from(job: StoredJob) -> Self {
        // Whole: no column is left out unnoticed.
        let StoredJob {
            job_id,
            kind,
            state,
            attempts,
            due,
            user_id,
            last_error,
            created,
            finished,
        } = job;
        Self {
            job_id,
            kind,
            state,
            attempts,
            due,
            user_id,
            last_error,
            created,
            finished,
        }
    }
}

pub fn job_example() -> serde_json::Value {
    json!({
        "job_id": 1, "kind": "mail_code", "state": "dead", "attempts": 60, "due": null, "user_id": 1,
        "last_error": "550 no such mailbox", "created": "2026-11-21T09:30:00Z",
        "finished": "2026-11-23T09:30:00Z",
    })
}
