//! Durations by buckets, as atomics: the histogram of the library takes a lock for each
//! observation, and has a bucket looked for under it.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{MetricEncoder, NoLabelSet};

/// The upper bounds of most histograms: those that OpenTelemetry advises for requests, and
/// shorter ones, since a kept answer takes some dozen microseconds.
pub const BUCKETS: &[Duration] = &[
    Duration::from_micros(100),
    Duration::from_micros(250),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2_500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(75),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_millis(750),
    Duration::from_secs(1),
    Duration::from_millis(2_500),
    Duration::from_secs(5),
    Duration::from_millis(7_500),
    Duration::from_secs(10),
];

/// How long something took, each time. An observation is two atomic additions.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [Duration],
    /// One more than the bounds: the last is of what took longer.
    counts: Box<[AtomicU64]>,
    /// Nanoseconds; five centuries fit.
    sum: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new(BUCKETS)
    }
}

impl AsRef<Self> for Histogram {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl Histogram {
    /// With these upper bounds, in rising order.
    pub fn new(bounds: &'static [Duration]) -> Self {
        Self {
            bounds,
            counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0),
        }
    }

    /// It took so long once more.
    pub fn observe(&self, duration: Duration) {
        let bucket = self.bounds.partition_point(|bound| *bound < duration);
        if let Some(count) = self.counts.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.sum.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// How often something was observed.
    pub fn count(&self) -> u64 {
        (self.counts.iter())
            .map(|count| count.load(Ordering::Relaxed))
            .sum()
    }

    pub(super) fn encode(&self, mut metric: MetricEncoder<'_>) -> fmt::Result {
        let bounds = (self.bounds.iter())
            .map(Duration::as_secs_f64)
            .chain([f64::INFINITY]);
        let counts = (self.counts.iter()).map(|count| count.load(Ordering::Relaxed));
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        // Of the same reading, or a bucket could have more than all have.
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = Duration::from_nanos(self.sum.load(Ordering::Relaxed)).as_secs_f64();
        metric.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_took_as_long_as_a_bound_is_within_it() {
        let histogram = Histogram::default();
        histogram.observe(Duration::ZERO);
        histogram.observe(Duration::from_micros(100));
        histogram.observe(Duration::from_micros(101));
        histogram.observe(Duration::from_secs(3600));
        let counts: Vec<u64> = (histogram.counts.iter())
            .map(|count| count.load(Ordering::Relaxed))
            .collect();
        assert_eq!(counts[..3], [2, 1, 0]);
        assert_eq!(counts[BUCKETS.len()..], [1]);
        assert_eq!(histogram.count(), 4);
    }

    #[test]
    fn the_bounds_rise() {
        assert!(BUCKETS.windows(2).all(|two| two[0] < two[1]));
    }
}
