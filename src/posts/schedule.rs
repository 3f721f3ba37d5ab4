//! Scheduled posts: drafts whose row says when they are published, and which times that may be.
//!
//! Times are kept in UTC, so no change of a clock for summer or winter moves them. Whether one has come,
//! [`Clock`](crate::core::clock::Clock) alone decides: that of the database where it has one, which all
//! processes share, and otherwise the machine's.

use chrono::{NaiveDateTime, TimeDelta};

use super::stored::PostSummary;
use super::types::{Change, PostChange, Status};

/// How far ahead a post may be scheduled: ten years.
const FURTHEST: TimeDelta = TimeDelta::days(3653);

/// Why a post cannot be scheduled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScheduleFault {
    /// Nobody says for when.
    Missing,
    /// The time is past, or more than ten years ahead.
    OutOfRange,
    /// The post is published, and the change does not say that it is to be scheduled.
    IsPublished,
}

/// Why a post does not get a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateFault {
    /// It is one to come.
    IsToCome,
    /// The post is not published, and would not be.
    IsDraft,
}

/// What is wrong with a change as far as it gives a date. `is_published`: whether the post is after it.
pub fn date_fault_of(
    change: &PostChange,
    is_published: bool,
    now: NaiveDateTime,
) -> Option<DateFault> {
    let date = change.date?;
    match (is_published, date <= now) {
        (true, true) => None,
        (false, _) => Some(DateFault::IsDraft),
        (true, false) => Some(DateFault::IsToCome),
    }
}

/// Whether a post may be scheduled for a time.
pub fn is_in_range(publish_at: NaiveDateTime, now: NaiveDateTime) -> bool {
    now < publish_at && publish_at <= now + FURTHEST
}

/// The status that a change gives. Who says when a post is to be published means that it is to be
/// scheduled.
pub fn status_of(change: &PostChange) -> Option<Status> {
    match (change.status, &change.publish_at) {
        (None, Change::Set(_)) => Some(Status::Scheduled),
        (status, _) => status,
    }
}

/// When a post is to be published after a change that gives it a status.
pub fn publish_at_of(change: &PostChange, before: &PostSummary) -> Option<NaiveDateTime> {
    match (status_of(change), &change.publish_at) {
        (Some(Status::Scheduled), Change::Set(publish_at)) => Some(*publish_at),
        (Some(Status::Scheduled), _) => before.scheduled_for(),
        _ => None,
    }
}

/// What is wrong with a change as far as it schedules a post. A time that the post has already is left
/// as it is, though it may just have come.
pub fn fault_of(
    change: &PostChange,
    before: &PostSummary,
    now: NaiveDateTime,
) -> Option<ScheduleFault> {
    if status_of(change) != Some(Status::Scheduled) {
        return None;
    }
    if change.status.is_none() && before.published {
        return Some(ScheduleFault::IsPublished);
    }
    let Some(publish_at) = publish_at_of(change, before) else {
        return Some(ScheduleFault::Missing);
    };
    let is_kept = before.scheduled_for() == Some(publish_at);
    (!is_kept && !is_in_range(publish_at, now)).then_some(ScheduleFault::OutOfRange)
}
