//! A check as JSON.

use chrono::NaiveDateTime;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::types::{Check, CheckState, Finding, Found, Part, PartReport};
use crate::core::clock;

/// The newest check.
#[derive(Serialize, ToSchema)]
pub struct CheckView {
    state: CheckState,
    /// When it was asked for; null when none was.
    #[serde(serialize_with = "clock::serialize_option")]
    #[schema(required = true, value_type = Option<chrono::DateTime<chrono::Utc>>)]
    asked: Option<NaiveDateTime>,
    /// What it compares now or next; null when there is nothing left to compare.
    #[schema(required = true)]
    part: Option<Part>,
    /// Why it could not go on, the last time; null when it could.
    #[schema(required = true)]
    last_error: Option<String>,
    /// Of the newest check that came to its end; null when none did.
    #[schema(required = true)]
    report: Option<CheckReport>,
}

/// What a check found.
#[derive(Serialize, ToSchema)]
pub struct CheckReport {
    #[serde(serialize_with = "clock::serialize")]
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    asked: NaiveDateTime,
    #[serde(serialize_with = "clock::serialize")]
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    finished: NaiveDateTime,
    /// How much is wrong, in all parts.
    #[schema(minimum = 0)]
    differences: i64,
    /// Posts that are still to be indexed, which is no fault.
    #[schema(minimum = 0)]
    unindexed: i64,
    /// What was compared, in that order.
    parts: Vec<PartReport>,
    /// What is wrong: of each kind the first 20.
    findings: Vec<Finding>,
}

impl CheckView {
    /// `report` is what the row says of the newest check that came to its end.
    pub fn new(check: Check, report: Option<Found>) -> Self {
        let Check {
            row,
            state,
            last_error,
        } = check;
        let is_open = matches!(
            state,
            CheckState::Waiting | CheckState::Running | CheckState::Failed
        );
        let times = row.report_asked.zip(row.report_finished);
        Self {
            state,
            asked: row.asked,
            part: Part::numbered(row.part).filter(|_| is_open),
            last_error,
            report: report.zip(times).map(|(found, (asked, finished))| {
                let Found {
                    parts,
                    findings,
                    unindexed,
                } = found;
                CheckReport {
                    asked,
                    finished,
                    differences: parts.iter().map(|part| part.differences).sum(),
                    unindexed,
                    parts,
                    findings,
                }
            }),
        }
    }
}

/// For the description.
pub fn check_example() -> Value {
    let part =
        |name, read, differences| json!({ "part": name, "read": read, "differences": differences });
    json!({
        "state": "done", "asked": "2026-11-21T09:30:00.123456Z", "part": null, "last_error": null,
        "report": {
            "asked": "2026-11-21T09:30:00.123456Z", "finished": "2026-11-21T09:30:41.654321Z",
            "differences": 1, "unindexed": 0,
            "parts": [
                part("counts", 1200, 0), part("tags", 3100, 0), part("search", 1200, 0), part("schedule", 0, 0),
                part("comments", 5400, 1), part("follows", 800, 0),
            ],
            "findings": [{
                "kind": "post_count", "post_id": 7, "user_id": null, "off_by": -1, "detail": "likes of post 7: -1",
            }],
        },
    })
}
