//! The deadline of database work: one for a request, all its units of work, tries and
//! waits included.
//!
//! It begins with the request's first unit of work, so that a slow upload does not use it
//! up. Work of no request (periodic work, jobs) has a deadline for each unit, and the
//! command line has none.

use std::cell::Cell;
use std::future::Future;
use std::time::{Duration, Instant};

tokio::task_local! {
    /// When the database work of the request is to have ended, once it has begun.
    static OF_REQUEST: Cell<Option<Instant>>;
}

thread_local! {
    /// That of the unit of work on this thread.
    static OF_THREAD: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Runs `request` so that all its units of work have one deadline.
pub async fn scope<F: Future>(request: F) -> F::Output {
    OF_REQUEST.scope(Cell::new(None), request).await
}

/// The deadline of the request that is worked on here, `time` from its first unit of
/// work; outside of requests `time` from now.
pub(super) fn begin(time: Duration) -> Instant {
    let own = || now() + time;
    OF_REQUEST
        .try_with(|deadline| {
            let begun = deadline.get().unwrap_or_else(own);
            deadline.set(Some(begun));
            begun
        })
        .unwrap_or_else(|_| own())
}

/// Puts the deadline of the thread back to what it was when it is dropped.
pub(super) struct Entered {
    before: Option<Instant>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        OF_THREAD.set(self.before);
    }
}

/// Gives the work on this thread a deadline, until the guard is dropped.
pub(super) fn enter(deadline: Instant) -> Entered {
    let before = OF_THREAD.replace(Some(deadline));
    Entered { before }
}

/// Gives what comes next on this thread no more time than `limit`.
pub(super) fn limit(limit: Duration) -> Entered {
    enter(within(limit))
}

/// Gives what comes next on this thread no less time than `time`: for the end of a
/// transaction, about which it is worse not to know than to be late.
pub(super) fn at_least(time: Duration) -> Option<Entered> {
    let deadline = OF_THREAD.get()?;
    Some(enter(deadline.max(now() + time)))
}

/// What is left to the unit of work on this thread, at most `limit`; nothing is left when
/// it is zero.
pub(super) fn remaining(limit: Duration) -> Duration {
    OF_THREAD.get().map_or(limit, |deadline| {
        deadline.saturating_duration_since(now()).min(limit)
    })
}

/// Whether the unit of work on this thread has used its time up.
pub(super) fn is_past() -> bool {
    OF_THREAD.get().is_some_and(|deadline| now() >= deadline)
}

/// Does `work` with no more time than `limit` for what it asks of the database.
pub fn within_time<T>(limit: Duration, work: impl FnOnce() -> T) -> T {
    let _entered = self::limit(limit);
    work()
}

/// When what may take `limit` is to have ended.
pub(super) fn within(limit: Duration) -> Instant {
    now() + remaining(limit)
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long a client really waits, which a test's clock must not move"
)]
pub(super) fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn all_units_of_a_request_have_one_deadline() {
        let (first, second) = scope(async {
            let first = begin(LONG);
            tokio::task::yield_now().await;
            (first, begin(LONG * 2))
        })
        .await;
        assert_eq!(first, second);
        assert!(begin(LONG * 2) > first, "work of no request has its own");
    }

    #[test]
    fn a_thread_has_what_is_left_and_no_more_than_is_asked_for() {
        assert_eq!(remaining(LONG), LONG);
        let entered = enter(now() + LONG / 2);
        assert!(remaining(LONG) <= LONG / 2);
        assert_eq!(remaining(Duration::from_secs(1)), Duration::from_secs(1));
        drop(entered);
        let entered = enter(now());
        assert_eq!(remaining(LONG), Duration::ZERO);
        assert!(is_past());
        drop(entered);
        assert_eq!(remaining(LONG), LONG);
        assert!(!is_past());
        assert!(within_time(Duration::ZERO, is_past));
        assert!(!within_time(LONG, is_past));
    }
}
