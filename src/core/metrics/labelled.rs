//! Metrics that labels tell apart and that are made as they are needed, for what happens
//! seldom: each use takes a lock.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Names of labels and their values.
type Labels<const N: usize> = [(&'static str, &'static str); N];

/// Metrics by `N` values of labels, each of a closed set.
#[derive(Debug)]
pub struct Labelled<const N: usize, M>(Mutex<BTreeMap<[&'static str; N], Arc<M>>>);

impl<const N: usize, M> Default for Labelled<N, M> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<const N: usize, M: Default> Labelled<N, M> {
    /// The metric of these values.
    pub fn of(&self, values: [&'static str; N]) -> Arc<M> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(values).or_default())
    }

    /// Each metric with its labels, which have these `names`.
    pub fn all(&self, names: [&'static str; N]) -> Vec<(Labels<N>, Arc<M>)> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (all.iter())
            .map(|(values, metric)| {
                let labels = std::array::from_fn(|n| (names[n], values[n]));
                (labels, Arc::clone(metric))
            })
            .collect()
    }
}
