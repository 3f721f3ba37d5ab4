//! Jobs of processes that send to [`Sinks`], as they stand in the table.

use std::process::Command;
use std::time::{Duration, Instant};

use diesel::prelude::*;
use inkpot::accounts::jobs::send_code::MailCode;
use inkpot::accounts::jobs::send_notice::{MailNotice, Notice};
use inkpot::accounts::notifications::enqueue_notice;
use inkpot::core::clock::Clock;
use inkpot::core::db::Conn;
use inkpot::core::db::schema::job;
use inkpot::jobs::JobStatus;
use inkpot::jobs::handler::JobHandler;
use inkpot::maintenance::jobs::sweep::Sweep;
use inkpot::notify::Language;

use super::process::{inkpot, shown};
use super::sinks::Sinks;
use super::{SECRET, TestDatabase};

/// How long anything may take that a test waits for.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program on a database, with the servers that it sends to.
pub fn inkpot_sending(database: &TestDatabase, sinks: &Sinks) -> Command {
    let mut command = inkpot(database.directory.path());
    command
        .env("DATABASE_URL", database.url())
        .env("INKPOT_JWT_SECRET", SECRET)
        .env("INKPOT_SMTP_URL", sinks.smtp_url())
        .env("INKPOT_MAIL_FROM", "Inkpot <blog@example.org>")
        .env("INKPOT_SMS_URL", sinks.sms_url());
    command
}

/// A row.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = job)]
pub struct JobRow {
    pub job_id: i64,
    pub kind: String,
    pub state: String,
    pub lease: Option<String>,
    pub attempts: i32,
    pub user_id: Option<i64>,
    pub last_error: Option<String>,
    pub finished: Option<chrono::NaiveDateTime>,
}

impl JobRow {
    pub fn is(&self, state: JobStatus) -> bool {
        self.state == state.name()
    }

    /// Whether what it does is a mail.
    pub fn is_mail(&self) -> bool {
        [MailCode::KIND, MailNotice::KIND]
            .iter()
            .any(|kind| kind.name == self.kind)
    }
}

/// All jobs but the one that repeats itself, the oldest first.
pub fn load(conn: &mut Conn) -> Vec<JobRow> {
    job::table
        .filter(job::kind.ne(Sweep::KIND.name))
        .order(job::job_id)
        .select(JobRow::as_select())
        .load(conn)
        .unwrap()
}

/// [`load`] with a connection of its own.
pub fn rows(database: &TestDatabase) -> Vec<JobRow> {
    database.with(load)
}

/// Looks at all jobs until something is so, and gives them.
#[track_caller]
pub fn wait_until(
    database: &TestDatabase,
    is_so: impl Fn(&[JobRow]) -> bool + Send + 'static,
) -> Vec<JobRow> {
    let (rows, is_so) = database.with(move |conn| {
        let begun = Instant::now();
        loop {
            let rows = load(conn);
            let so = is_so(&rows);
            if so || begun.elapsed() > PATIENCE {
                return (rows, so);
            }
            std::thread::yield_now();
        }
    });
    let open: Vec<_> = rows.iter().filter(|row| !row.is(JobStatus::Done)).collect();
    assert!(is_so, "it did not come so within a minute: {open:?}");
    rows
}

/// Shows the jobs that are not done when the test fails.
pub struct ShowsJobs(pub TestDatabase);

impl Drop for ShowsJobs {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let rows = rows(&self.0).into_iter();
            let open: Vec<_> = rows.filter(|row| !row.is(JobStatus::Done)).collect();
            shown(&format!("jobs that are not done: {open:#?}"));
        }
    }
}

/// Has a mail sent to an address, in the transaction of the caller.
pub fn enqueue_mail(conn: &mut Conn, user_id: i64, to: &str) -> QueryResult<()> {
    let now = Clock::system().now();
    enqueue_notice(
        conn,
        Notice::PasswordChanged,
        (user_id, to),
        Language::English,
        now,
    )
}
