//! Invalidation: cache tags with versions, so that no response outlives what it was made
//! of.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

/// One for each value of a [`CacheTag`]: half a megabyte.
const SLOTS: usize = 1 << 16;

/// Something that responses depend on and writes change: a row, a list.
///
/// A tag is a hash only. Two tags that share it are invalidated together, which costs
/// one reading more and is never wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheTag(u16);

impl CacheTag {
    /// The tag of what `dependency` names, such as the variant of an enum with an id.
    pub fn of(dependency: &impl Hash) -> Self {
        // Its keys are constant: a name means the same tag in all threads.
        let mut hasher = DefaultHasher::new();
        dependency.hash(&mut hasher);
        let [low, high, ..] = hasher.finish().to_le_bytes();
        Self(u16::from_le_bytes([low, high]))
    }
}

/// Numbers the invalidations, and knows the last one of every tag.
///
/// A reader takes the [`version`](Self::version) before it reads. What it read is as good
/// as new while [`is_current`](Self::is_current) holds. Why the orderings suffice:
///
/// - *Whoever has a version of at least t reads what change t wrote.* The version comes
///   from the counter's increment to t (`Release`, after `COMMIT`) or a later one,
///   all of which are read-modify-writes and so continue its release sequence; with
///   the version's `Acquire`, `COMMIT` happened before the reading begins. So who read
///   the old state has a version below t.
/// - *Whoever asks after change t was acknowledged finds t in its slots.* The slots
///   are raised before [`invalidate`](Self::invalidate) returns, and only then can anybody
///   be told. That way, a socket or a lock, orders the two sides, and an atomic never
///   goes back for one who is later. Slots only grow (`fetch_max`), so a change that
///   was numbered early and is recorded late hides no other.
/// - Both together: what was read before change t is refused after it, however late
///   it was kept. What is refused for the change of another costs a reading only.
/// - *Whoever sees a slot at t gets a version of at least t* (`Release` and `Acquire` on
///   the slots), so that a reading begun because of a change does not count as older.
pub struct Invalidation {
    version: AtomicU64,
    slots: Box<[AtomicU64]>,
}

impl Default for Invalidation {
    fn default() -> Self {
        Self {
            version: AtomicU64::new(0),
            slots: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
        }
    }
}

impl Invalidation {
    /// The number of the newest change.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Invalidates everything that was read before and has one of `tags`.
    pub fn invalidate(&self, tags: &[CacheTag]) {
        let version = self.version.fetch_add(1, Ordering::AcqRel) + 1;
        for tag in tags {
            self.slot(*tag).fetch_max(version, Ordering::AcqRel);
        }
    }

    /// Whether none of `tags` was invalidated after `version` was taken.
    pub fn is_current(&self, version: u64, tags: &[CacheTag]) -> bool {
        tags.iter()
            .all(|tag| self.slot(*tag).load(Ordering::Acquire) <= version)
    }

    fn slot(&self, tag: CacheTag) -> &AtomicU64 {
        &self.slots[usize::from(tag.0)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tag that shares no slot with `other`.
    fn another_than(other: CacheTag) -> CacheTag {
        (0..10)
            .map(|n| CacheTag::of(&n))
            .find(|tag| *tag != other)
            .unwrap()
    }

    #[test]
    fn an_invalidation_concerns_its_tags_and_earlier_versions_only() {
        let invalidation = Invalidation::default();
        let post = CacheTag::of(&"post");
        let author = another_than(post);
        let before = invalidation.version();
        assert!(invalidation.is_current(before, &[post, author]));

        invalidation.invalidate(&[post]);

        assert!(!invalidation.is_current(before, &[post]));
        assert!(!invalidation.is_current(before, &[author, post]));
        assert!(invalidation.is_current(before, &[author]));
        assert!(invalidation.is_current(invalidation.version(), &[post, author]));
    }

    #[test]
    fn what_depends_on_nothing_is_never_invalidated() {
        let invalidation = Invalidation::default();
        invalidation.invalidate(&[CacheTag::of(&1)]);
        assert!(invalidation.is_current(0, &[]));
    }

    #[test]
    fn a_name_is_the_same_tag_everywhere() {
        let here = CacheTag::of(&("post", 7));
        let there = std::thread::spawn(|| CacheTag::of(&("post", 7)));
        assert_eq!(here, there.join().unwrap());
    }
}
