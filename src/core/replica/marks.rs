//! What this process knew at moments, each beside the number of the heartbeat that was still
//! to come.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Marks that are kept: some minutes at one a second, beyond any bound that a site would have.
const KEPT: usize = 256;
/// How many numbers a replica may be ahead of what was last seen at the primary, beside one a
/// second.
const AHEAD: i64 = 3;

/// Whoever finds this number of the heartbeat, or a later one, finds all that was committed
/// before the moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark<M> {
    pub(super) beat: i64,
    pub(super) moment: M,
    /// When that was, by [`Clock::steady`](crate::core::clock::Clock::steady).
    pub(super) at: Duration,
}

/// The marks of a process.
#[derive(Debug)]
pub(super) struct Marks<M> {
    state: Mutex<State<M>>,
}

#[derive(Debug)]
struct State<M> {
    /// By their numbers, each of which comes once.
    marks: VecDeque<Mark<M>>,
    /// What a reading at the replica last found.
    seen: Option<i64>,
}

impl<M> Default for Marks<M> {
    fn default() -> Self {
        let (marks, seen) = (VecDeque::new(), None);
        Self {
            state: Mutex::new(State { marks, seen }),
        }
    }
}

impl<M: Copy> State<M> {
    /// The newest mark that holds for who found that number.
    fn of(&self, beat: i64) -> Option<Mark<M>> {
        let marks = self.marks.iter().rev();
        marks.copied().find(|mark| mark.beat <= beat)
    }
}

impl<M: Copy> Marks<M> {
    fn lock(&self) -> MutexGuard<'_, State<M>> {
        // Nothing in here panics half way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The primary was at `beat` when it was asked after `moment`, which was at that time.
    pub(super) fn push(&self, beat: i64, moment: M, at: Duration) {
        let mark = Mark {
            beat: beat.saturating_add(1),
            moment,
            at,
        };
        let mut state = self.lock();
        // A primary that has gone back is another one, or was restored.
        if (state.marks.back()).is_some_and(|last| last.beat > mark.beat) {
            state.marks.clear();
            state.seen = None;
        }
        // What the next number will stand for is more each time.
        if state
            .marks
            .back()
            .is_some_and(|last| last.beat == mark.beat)
        {
            state.marks.pop_back();
        }
        state.marks.push_back(mark);
        if state.marks.len() > KEPT {
            state.marks.pop_front();
        }
    }

    /// The numbers that a replica may be at: of a mark that is no older than `bound`, and no
    /// more than the primary can have reached since it was asked.
    pub(super) fn bounds(&self, now: Duration, bound: Duration) -> Option<(i64, i64)> {
        let state = self.lock();
        let is_young = |mark: &&Mark<M>| now.saturating_sub(mark.at) < bound;
        let least = state.marks.iter().find(is_young)?.beat;
        let newest = state.marks.back()?;
        let seconds = now.saturating_sub(newest.at).as_secs();
        let most = (newest.beat.saturating_add(AHEAD))
            .saturating_add(i64::try_from(seconds).unwrap_or(i64::MAX));
        Some((least, most))
    }

    /// Notes the number that a reading at the replica found; gives the mark that holds for it.
    pub(super) fn see(&self, beat: i64) -> Option<Mark<M>> {
        let mut state = self.lock();
        state.seen = Some(beat);
        state.of(beat)
    }

    /// The mark that held for the last reading.
    pub(super) fn newest_seen(&self) -> Option<Mark<M>> {
        let state = self.lock();
        state.of(state.seen?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_mark_holds_for_its_number_and_later_ones() {
        let marks = Marks::default();
        assert!(marks.see(7).is_none());
        marks.push(7, 'm', SECOND);
        marks.push(8, 'm', 2 * SECOND);
        for (beat, at) in [(7, None), (8, Some(1)), (9, Some(2)), (12, Some(2))] {
            let mark = marks.see(beat);
            assert_eq!(mark.map(|mark| mark.at.as_secs()), at, "{beat}");
            let newest = marks.newest_seen();
            assert_eq!(newest.map(|mark| mark.at.as_secs()), at, "{beat}");
        }
    }

    #[test]
    fn until_the_number_comes_it_stands_for_more_and_more() {
        let marks = Marks::default();
        marks.push(7, 'm', SECOND);
        marks.push(7, 'm', 2 * SECOND);
        assert_eq!(marks.see(8).map(|mark| mark.at), Some(2 * SECOND));
    }

    #[test]
    fn what_is_too_old_or_ahead_of_the_primary_is_out_of_bounds() {
        let marks: Marks<char> = Marks::default();
        assert_eq!(marks.bounds(SECOND, SECOND), None);
        for n in 0_u32..10 {
            marks.push(i64::from(n), 'm', n * SECOND);
        }
        // Those of 8 and 9 seconds.
        assert_eq!(marks.bounds(9 * SECOND, 2 * SECOND), Some((9, 13)));
        assert_eq!(marks.bounds(10 * SECOND, 2 * SECOND), Some((10, 14)));
        assert_eq!(marks.bounds(11 * SECOND, 2 * SECOND), None);
    }

    #[test]
    fn a_primary_that_went_back_begins_anew() {
        let marks = Marks::default();
        marks.push(100, 'm', SECOND);
        assert!(marks.see(101).is_some());
        marks.push(7, 'm', 2 * SECOND);
        assert!(marks.newest_seen().is_none());
        assert!(marks.see(7).is_none());
        assert!(marks.see(8).is_some());
        let bounds = marks.bounds(2 * SECOND, 9 * SECOND);
        assert_eq!(
            bounds,
            Some((8, 11)),
            "the replica of before is ahead of it"
        );
    }

    #[test]
    fn they_do_not_grow_for_ever() {
        let marks = Marks::default();
        for n in 0..1000 {
            marks.push(n, 'm', SECOND);
        }
        assert_eq!(marks.lock().marks.len(), KEPT);
        assert!(marks.see(1000).is_some());
    }
}
