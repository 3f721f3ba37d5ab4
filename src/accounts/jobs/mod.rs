//! Jobs of the room, one file each: a handler and the payload of its kind. What a payload
//! keeps has no code in it, and is blanked when the job is done.

pub mod delete_user;
mod delivery;
pub mod recover;
pub mod send_code;
pub mod send_notice;

use std::sync::Arc;

use chrono::TimeDelta;

use self::delete_user::DeleteUser;
use self::recover::Recover;
use self::send_code::{MailCode, SmsCode};
use self::send_notice::MailNotice;
use super::Accounts;
use super::actions::deletion;
use super::storage::{audit, codes, message_budget, sessions};
use crate::jobs::JobNotifier;
use crate::jobs::handler::Registry;
use crate::maintenance::ExpiredRows;
use crate::notify::Notifier;

/// Spent codes, ended sessions and what tells of their ends, which every process reads
/// within seconds; and what is left of deleted users whose job was given up or is gone.
pub const EXPIRED_ROWS: [ExpiredRows; 5] = [
    ExpiredRows {
        table: "user",
        kept: TimeDelta::zero(),
        delete: |conn, now, _| deletion::delete_forgotten(conn, now),
    },
    ExpiredRows {
        table: "code",
        kept: TimeDelta::zero(),
        delete: codes::delete_expired,
    },
    ExpiredRows {
        table: "session",
        kept: TimeDelta::zero(),
        delete: sessions::delete_expired,
    },
    ExpiredRows {
        table: "session_event",
        kept: TimeDelta::days(1),
        delete: sessions::delete_events,
    },
    ExpiredRows {
        table: "message_budget",
        kept: TimeDelta::zero(),
        delete: message_budget::delete_expired,
    },
];

/// The addresses of the audit's entries, which are kept so long.
pub fn expired_addresses(kept: TimeDelta) -> ExpiredRows {
    ExpiredRows {
        table: "audit",
        kept,
        delete: audit::forget_old_addresses,
    }
}

/// Registers the handlers of the room. `job_notifier` is the worker's own.
pub fn register(
    registry: Registry,
    accounts: &Arc<Accounts>,
    notifier: &Arc<Notifier>,
    job_notifier: &JobNotifier,
) -> Registry {
    registry
        .with(DeleteUser {
            directory: accounts.directory.clone(),
        })
        .with(Recover {
            accounts: Arc::clone(accounts),
            job_notifier: job_notifier.clone(),
        })
        .with(MailCode {
            accounts: Arc::clone(accounts),
            notifier: Arc::clone(notifier),
        })
        .with(SmsCode {
            accounts: Arc::clone(accounts),
            notifier: Arc::clone(notifier),
        })
        .with(MailNotice {
            notifier: Arc::clone(notifier),
        })
}
