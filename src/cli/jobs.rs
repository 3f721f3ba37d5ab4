//! `inkpot jobs …`: what the operator does with jobs, beside running servers and
//! workers.

use std::io::Write;

use chrono::TimeDelta;

use super::args::JobsAction;
use super::check::failed;
use crate::core::clock::{self, Clock};
use crate::core::db::Db;
use crate::core::settings::Settings;
use crate::http::page::PageRequest;
use crate::jobs::JobStatus;
use crate::jobs::store::{self, Retried, StoredJob};
use crate::server;

/// Rows that one transaction deletes, and jobs that are read at once.
const AT_ONCE: u32 = 1000;

/// Does it and says so; the error is one line.
pub fn run(action: JobsAction, settings: &Settings, out: &mut impl Write) -> Result<(), String> {
    let db = server::open_database(settings)?;
    let mut say = |line: String| writeln!(out, "{line}").map_err(|e| e.to_string());
    match action {
        JobsAction::List { state, limit } => {
            let status = state.map(JobStatus::from);
            let page = PageRequest {
                page: 1,
                size: limit,
            };
            let (jobs, count) = db
                .read_blocking(&|conn| store::load_page(conn, status, page))
                .map_err(|e| failed(&e))?;
            for job in &jobs {
                say(line_of(job))?;
            }
            let shown = i64::try_from(jobs.len()).unwrap_or(i64::MAX);
            if count > shown {
                say(format!("and {} older", count - shown))?;
            }
            Ok(())
        }
        JobsAction::Retry { job_id } => {
            let now = Clock::system().now();
            match job_id {
                Some(id) => match retry(&db, id)? {
                    Retried::Waiting(job) => say(line_of(&job)),
                    Retried::NotRetryable => Err(
                        "the job is running or done; only dead and waiting ones can be \
                             tried again"
                            .to_owned(),
                    ),
                    Retried::NotFound => Err(format!("there is no job {id}")),
                },
                None => {
                    let mut retried = 0;
                    loop {
                        let some = db
                            .write_blocking(&|conn| store::retry_dead(conn, AT_ONCE.into(), now))
                            .map_err(|e| failed(&e))?;
                        if some == 0 {
                            return say(format!("{retried} dead jobs are tried again"));
                        }
                        retried += some;
                    }
                }
            }
        }
        JobsAction::Purge {
            state,
            older_than_days,
        } => {
            let before = Clock::system().now() - TimeDelta::days(i64::from(older_than_days));
            let status = JobStatus::from(state);
            let mut deleted = 0;
            loop {
                let some = db
                    .write_blocking(&|conn| store::purge_some(conn, status, before, AT_ONCE.into()))
                    .map_err(|e| failed(&e))?;
                if some == 0 {
                    return say(format!("deleted {deleted} {} jobs", status.name()));
                }
                deleted += some;
                tracing::info!(deleted, "deleting jobs");
            }
        }
    }
}

fn retry(db: &Db, job_id: i64) -> Result<Retried, String> {
    let now = Clock::system().now();
    db.write_blocking(&|conn| store::retry(conn, job_id, now))
        .map_err(|e| failed(&e))
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
