//! Metrics for Prometheus: what a part of the process tells of itself when it is scraped.
//!
//! A part counts with atomics ([`Counter`], [`Histogram`]) and registers how it tells of them
//! ([`Metrics::register`]); the composition root puts the parts together and serves them. What
//! the part knows anyway, such as the length of a queue, it reads when it is asked.
//!
//! Names follow the conventions of Prometheus and, for requests and connections to the
//! database, those of OpenTelemetry. Labels are of closed sets: nothing that a client sends is
//! one.

mod families;
mod histogram;
mod labelled;
mod process;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};
use prometheus_client::registry::Registry;

pub use self::families::{Families, number, whole};
pub use self::histogram::{BUCKETS, Histogram};
pub use self::labelled::Labelled;
pub use self::process::describe as describe_process;

/// The type of the content of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Something that is counted.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    pub fn increment(&self) {
        self.add(1);
    }

    pub fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }

    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// All parts that tell of themselves.
#[derive(Default)]
pub struct Metrics(Registry);

impl Metrics {
    /// Adds a part. Each family of metrics belongs to one part.
    pub fn register(
        &mut self,
        part: impl Fn(&mut Families<'_>) -> fmt::Result + Send + Sync + 'static,
    ) {
        self.0.register_collector(Box::new(Part(part)));
    }

    /// All metrics as they are now, in the text format of `OpenMetrics`.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.0)?;
        Ok(text)
    }
}

struct Part<F>(F);

impl<F> fmt::Debug for Part<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Part")
    }
}

impl<F> Collector for Part<F>
where
    F: Fn(&mut Families<'_>) -> fmt::Result + Send + Sync + 'static,
{
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        (self.0)(&mut Families::new(encoder))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn parts_are_told_in_the_text_format() {
        static BOUNDS: [Duration; 2] = [Duration::from_millis(1), Duration::from_secs(1)];
        let done = Arc::new(Counter::new());
        let took = Histogram::new(&BOUNDS);
        let mut metrics = Metrics::default();
        let counted = Arc::clone(&done);
        metrics.register(move |families| {
            families.counter("done", "What was done.", counted.value())?;
            families.gauges(
                "waiting",
                "What waits.",
                [([("queue", "a\"b")], 2.0), ([("queue", "c")], 0.5)],
            )
        });
        metrics.register(move |families| {
            took.observe(Duration::from_millis(1));
            took.observe(Duration::from_millis(2));
            took.observe(Duration::from_secs(5));
            families.histograms("took_seconds", "How long.", [([("kind", "x")], &took)])
        });
        done.add(3);
        let text = metrics.encode().unwrap();
        for line in [
            "# HELP done What was done.",
            "# TYPE done counter",
            "done_total 3",
            "# TYPE waiting gauge",
            "waiting{queue=\"a\\\"b\"} 2.0",
            "waiting{queue=\"c\"} 0.5",
            "# TYPE took_seconds histogram",
            "took_seconds_count{kind=\"x\"} 3",
            "took_seconds_bucket{le=\"0.001\",kind=\"x\"} 1",
            "took_seconds_bucket{le=\"1.0\",kind=\"x\"} 2",
            "took_seconds_bucket{le=\"+Inf\",kind=\"x\"} 3",
            "# EOF",
        ] {
            assert!(
                text.lines().any(|one| one == line),
                "{line} is not in {text}"
            );
        }
    }
}
