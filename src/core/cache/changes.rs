//! What was changed since when, so that no answer outlives what it was made of.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

/// One for each value of a [`Source`]: half a megabyte.
const SLOTS: usize = 1 << 16;

/// Something that answers depend on and writes change: a row, a list.
///
/// It is known by a hash only. Two that share it are changed together, which costs
/// a reading more and is never wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source(u16);

impl Source {
    /// The source that `what` names, such as the variant of an enum with an id.
    pub fn of(what: &impl Hash) -> Self {
        // Its keys are constant: a name means the same source in all threads.
        let mut hasher = DefaultHasher::new();
        what.hash(&mut hasher);
        let [low, high, ..] = hasher.finish().to_le_bytes();
        Self(u16::from_le_bytes([low, high]))
    }
}

/// Numbers the changes, and knows the last one of every source.
///
/// A reader takes [`stamp`](Self::stamp) before it reads. What it read is as good
/// as new while [`none_since`](Self::none_since) holds. Why the orderings suffice:
///
/// - *Whoever has a stamp of at least t reads what change t wrote.* The stamp comes
///   from the counter's increment to t (`Release`, after `COMMIT`) or a later one,
///   all of which are read-modify-writes and so continue its release sequence; with
///   the stamp's `Acquire`, `COMMIT` happened before the reading begins. So who read
///   the old state has a stamp below t.
/// - *Whoever asks after change t was acknowledged finds t in its slots.* The slots
///   are raised before [`record`](Self::record) returns, and only then can anybody
///   be told. That way, a socket or a lock, orders the two sides, and an atomic never
///   goes back for one who is later. Slots only grow (`fetch_max`), so a change that
///   was numbered early and is recorded late hides no other.
/// - Both together: what was read before change t is refused after it, however late
///   it was kept. What is refused for the change of another costs a reading only.
/// - *Whoever sees a slot at t gets a stamp of at least t* (`Release` and `Acquire` on
///   the slots), so that a reading begun because of a change does not count as older.
pub struct Changes {
    newest: AtomicU64,
    slots: Box<[AtomicU64]>,
}

impl Default for Changes {
    fn default() -> Self {
        Self {
            newest: AtomicU64::new(0),
            slots: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
        }
    }
}

impl Changes {
    /// The number of the newest change.
    pub fn stamp(&self) -> u64 {
        self.newest.load(Ordering::Acquire)
    }

    /// Says that `sources` are not what they were.
    pub fn record(&self, sources: &[Source]) {
        let number = self.newest.fetch_add(1, Ordering::AcqRel) + 1;
        for source in sources {
            self.slot(*source).fetch_max(number, Ordering::AcqRel);
        }
    }

    /// Whether none of `sources` was changed after `stamp` was taken.
    pub fn none_since(&self, stamp: u64, sources: &[Source]) -> bool {
        sources
            .iter()
            .all(|source| self.slot(*source).load(Ordering::Acquire) <= stamp)
    }

    fn slot(&self, source: Source) -> &AtomicU64 {
        &self.slots[usize::from(source.0)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A source that shares no slot with `other`.
    fn another_than(other: Source) -> Source {
        (0..10)
            .map(|n| Source::of(&n))
            .find(|source| *source != other)
            .unwrap()
    }

    #[test]
    fn a_change_concerns_its_sources_and_earlier_stamps_only() {
        let changes = Changes::default();
        let post = Source::of(&"post");
        let author = another_than(post);
        let before = changes.stamp();
        assert!(changes.none_since(before, &[post, author]));

        changes.record(&[post]);

        assert!(!changes.none_since(before, &[post]));
        assert!(!changes.none_since(before, &[author, post]));
        assert!(changes.none_since(before, &[author]));
        assert!(changes.none_since(changes.stamp(), &[post, author]));
    }

    #[test]
    fn what_depends_on_nothing_is_never_changed() {
        let changes = Changes::default();
        changes.record(&[Source::of(&1)]);
        assert!(changes.none_since(0, &[]));
    }

    #[test]
    fn a_name_is_the_same_source_everywhere() {
        let here = Source::of(&("post", 7));
        let there = std::thread::spawn(|| Source::of(&("post", 7)));
        assert_eq!(here, there.join().unwrap());
    }
}
