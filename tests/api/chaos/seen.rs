//! What was seen of a fault.

use std::time::Instant;

use super::world::{Kind, Sample};

/// What was seen of a fault.
pub struct Seen {
    pub samples: Vec<Sample>,
    pub from: Instant,
    pub to: Instant,
}

impl Seen {
    fn of(&self, kind: Kind) -> impl Iterator<Item = &Sample> {
        self.samples
            .iter()
            .filter(move |sample| sample.kind == kind)
    }

    /// Requests that were under way while the fault was there.
    fn meanwhile(&self, kind: Kind) -> Vec<&Sample> {
        self.of(kind)
            .filter(|sample| sample.begun + sample.took >= self.from && sample.begun <= self.to)
            .collect()
    }

    /// Sees that these kinds met nothing but answers.
    #[track_caller]
    pub fn spares(&self, kinds: &[Kind]) {
        for kind in kinds {
            let samples = self.meanwhile(*kind);
            assert!(samples.len() > 2, "{kind:?}: {}", samples.len());
            let refused = samples.iter().filter(|sample| !sample.is_well()).count();
            assert_eq!(refused, 0, "{kind:?}");
        }
    }

    #[track_caller]
    pub fn refuses(&self, kind: Kind) {
        let is_refused = self.meanwhile(kind).iter().any(|sample| !sample.is_well());
        assert!(is_refused, "{kind:?} was not refused: the fault is none");
    }
}
