//! `inkpot jobs …`: what the operator does with jobs, beside running servers and
//! workers.

use std::io::Write;
use std::sync::Arc;

use chrono::TimeDelta;
use serde_json::json;

use super::args::{Form, JobsAction};
use super::check::failed;
use super::{say, say_json};
use crate::core::bus::{Bus, Subscribers};
use crate::core::clock::{self, Clock};
use crate::core::page::ListPart;
use crate::core::settings::Settings;
use crate::jobs::types::{Retried, StoredJob};
use crate::jobs::views::JobView;
use crate::jobs::{JobNotifier, JobStatus, Jobs, actions};
use crate::server;

/// Jobs that are read at once.
const AT_ONCE: u32 = 1000;

/// Does it and says so; the error is one line.
pub fn run(action: JobsAction, settings: &Settings, out: &mut impl Write) -> Result<(), String> {
    let jobs = Jobs {
        db: server::open_database(settings)?,
        clock: Clock::system(),
        // Nobody hears it: workers find its jobs within a second.
        bus: Bus::new(Subscribers::default(), false, false).0,
        notifier: JobNotifier::default(),
        metrics: Arc::default(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(|error| format!("cannot start: {error}"))?;
    runtime.block_on(async {
        match action {
            JobsAction::List { state, limit, form } => {
                let status = state.map(JobStatus::from);
                list(&jobs, status, limit, form, out).await
            }
            JobsAction::Retry { job_id: Some(id) } => retry(&jobs, id, out).await,
            JobsAction::Retry { job_id: None } => {
                let retried = actions::retry_dead(&jobs).await.map_err(|e| failed(&e))?;
                say(out, &format!("{retried} dead jobs are tried again"))
            }
            JobsAction::Purge {
                state,
                older_than_days,
            } => {
                let (status, age) = (state.into(), TimeDelta::days(older_than_days.into()));
                purge(&jobs, status, age, out).await
            }
        }
    })
}

async fn list(
    jobs: &Jobs,
    status: Option<JobStatus>,
    limit: u32,
    form: Form,
    out: &mut impl Write,
) -> Result<(), String> {
    let (mut position, mut left, mut shown) = (None, limit, Vec::new());
    while left > 0 {
        let size = left.min(AT_ONCE);
        let part = ListPart::Below { position, size };
        let found = actions::list(jobs, status, part)
            .await
            .map_err(|e| failed(&e))?;
        if form.is_json {
            shown.extend(found.rows.into_iter().map(JobView::from));
        } else {
            for job in &found.rows {
                say(out, &line_of(job))?;
            }
        }
        position = found.next;
        if position.is_none() {
            break;
        }
        left -= size;
    }
    let has_more = position.is_some();
    if form.is_json {
        return say_json(out, &json!({ "jobs": shown, "has_more": has_more }));
    }
    if !has_more {
        return Ok(());
    }
    say(out, "and older ones: --limit shows more")
}

async fn retry(jobs: &Jobs, job_id: i64, out: &mut impl Write) -> Result<(), String> {
    let retried = actions::retry(jobs, job_id).await;
    match retried.map_err(|e| failed(&e))? {
        Retried::Waiting(job) => say(out, &line_of(&job)),
        Retried::NotRetryable => Err(
            "the job is running or done; only dead and waiting ones can \
                                      be tried again"
                .to_owned(),
        ),
        Retried::NotFound => Err(format!("there is no job {job_id}")),
    }
}

async fn purge(
    jobs: &Jobs,
    status: JobStatus,
    age: TimeDelta,
    out: &mut impl Write,
) -> Result<(), String> {
    let deleted = actions::purge(jobs, status, age).await;
    let deleted = deleted.map_err(|e| failed(&e))?;
    say(out, &format!("deleted {deleted} {} jobs", status.name()))
}

fn line_of(job: &StoredJob) -> String {
    let mut line = format!(
        "{} {} {}, begun {} times, created {}",
        job.job_id,
        job.kind,
        job.state,
        job.attempts,
        clock::rfc3339(job.created)
    );
    if let Some(due) = job.due {
        line.push_str(", due ");
        line.push_str(&clock::rfc3339(due));
    }
    if let Some(error) = &job.last_error {
        line.push_str(": ");
        line.push_str(error);
    }
    line
}
