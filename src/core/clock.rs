//! The only source of the time of day.

#![allow(clippy::disallowed_methods)] // what everybody else is to use instead of them

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use chrono::{DateTime, NaiveDateTime, SecondsFormat, Utc};

use super::metrics::Families;

/// Tells the time in whole microseconds, which is what both databases keep.
#[derive(Clone, Debug)]
pub struct Clock {
    /// Microseconds since the epoch, for a clock that is moved by hand.
    by_hand: Option<Arc<AtomicI64>>,
    /// Microseconds that the system's clock is behind the one that all processes share.
    behind: Arc<AtomicI64>,
    begun: Instant,
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self {
            by_hand: None,
            behind: Arc::default(),
            begun: Instant::now(),
        }
    }

    /// A clock that stands at `start` until [`advance`](Self::advance) moves it.
    pub fn by_hand(start: DateTime<Utc>) -> Self {
        Self {
            by_hand: Some(Arc::new(AtomicI64::new(start.timestamp_micros()))),
            behind: Arc::default(),
            begun: Instant::now(),
        }
    }

    /// Moves a clock that is moved by hand; the system's stays as it is.
    pub fn advance(&self, by: chrono::Duration) {
        if let Some(micros) = &self.by_hand {
            micros.fetch_add(by.num_microseconds().unwrap_or(0), Ordering::SeqCst);
        }
    }

    /// Has the clock and its clones tell the time that all processes share: the system's is
    /// `behind` it by so much, or ahead of it when that is negative. A clock that is moved by
    /// hand stays as it is.
    pub fn correct(&self, behind: chrono::Duration) {
        let micros = behind.num_microseconds().unwrap_or(0);
        self.behind.store(micros, Ordering::Relaxed);
    }

    /// How far the system's clock is thought to be behind.
    pub fn correction(&self) -> chrono::Duration {
        chrono::Duration::microseconds(self.behind.load(Ordering::Relaxed))
    }

    /// Tells how far the system's clock is off.
    pub fn describe(&self, families: &mut Families<'_>) -> fmt::Result {
        let seconds = self.correction().as_seconds_f64();
        families.gauge(
            "inkpot_clock_correction_seconds",
            "How far the machine's clock is behind that of the database, in seconds.",
            seconds,
        )
    }

    /// Now, in UTC, truncated to microseconds.
    pub fn now(&self) -> NaiveDateTime {
        let micros = match &self.by_hand {
            Some(micros) => micros.load(Ordering::SeqCst),
            None => Utc::now()
                .timestamp_micros()
                .saturating_add(self.behind.load(Ordering::Relaxed)),
        };
        // Every i64 that a clock gives is within chrono's 262,000 years.
        DateTime::from_timestamp_micros(micros)
            .unwrap_or_default()
            .naive_utc()
    }

    /// Time since some beginning, for measuring: it never goes back, as the time of
    /// day does when somebody sets it.
    pub fn steady(&self) -> Duration {
        match &self.by_hand {
            Some(micros) => {
                Duration::from_micros(micros.load(Ordering::SeqCst).try_into().unwrap_or(0))
            }
            None => self.begun.elapsed(),
        }
    }

    /// Microseconds since the epoch, of a clock that is moved by hand; `None` for the
    /// system's, beside which there may be a better one.
    pub fn set_by_hand(&self) -> Option<i64> {
        let micros = self.by_hand.as_ref()?;
        Some(micros.load(Ordering::SeqCst))
    }

    /// Seconds since the epoch, as JWTs count (RFC 7519 §2, `NumericDate`).
    pub fn timestamp(&self) -> i64 {
        self.now().and_utc().timestamp()
    }
}

/// RFC 3339 in UTC with `Z`, always with six digits of the second: readers that take a
/// fixed form of it exist in more than one language.
pub fn rfc3339(time: NaiveDateTime) -> String {
    time.and_utc().to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// For `#[serde(serialize_with = "…")]` on times in answers.
pub fn serialize<S: serde::Serializer>(time: &NaiveDateTime, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&rfc3339(*time))
}

/// The reverse, for what was written so.
pub fn deserialize<'de, D: serde::Deserializer<'de>>(from: D) -> Result<NaiveDateTime, D::Error> {
    let text: String = serde::Deserialize::deserialize(from)?;
    DateTime::parse_from_rfc3339(&text)
        .map(|time| time.naive_utc())
        .map_err(serde::de::Error::custom)
}

/// The same for times that may be absent.
#[allow(clippy::ref_option)] // what serde calls it with
pub fn serialize_option<S: serde::Serializer>(
    time: &Option<NaiveDateTime>,
    to: S,
) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serialize(time, to),
        None => to.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_correction_counts_for_all_clones_and_not_for_what_is_measured() {
        let clock = Clock::system();
        let clone = clock.clone();
        let day = chrono::Duration::days(1);
        clock.correct(day);
        let apart = clone.now() - Utc::now().naive_utc();
        assert!(
            (apart - day).abs() < chrono::Duration::minutes(1),
            "{apart}"
        );
        assert!(clone.steady() < Duration::from_secs(3600));
        clock.correct(chrono::Duration::zero());
        assert!(clone.now() - Utc::now().naive_utc() < chrono::Duration::minutes(1));
        let by_hand = Clock::by_hand(DateTime::UNIX_EPOCH);
        by_hand.correct(day);
        assert_eq!(by_hand.timestamp(), 0);
    }
}
