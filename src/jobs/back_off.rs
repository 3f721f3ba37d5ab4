//! Back-off: when a job that failed is tried again, and when it is dead (a dead letter).

use chrono::TimeDelta;

/// Tries before a job is dead: some two days.
pub const MAX_ATTEMPTS: i32 = 60;

const FIRST_DELAY: i64 = 2_000;
const LONGEST_DELAY: i64 = 3_600_000;

/// The wait after the `attempts`-th try: 2 s, doubling up to an hour, of which half is
/// left to chance, so that what failed together does not come back together.
pub fn delay(attempts: i32) -> TimeDelta {
    let doublings = u32::try_from(attempts - 1).unwrap_or(0).min(20);
    let full = (FIRST_DELAY << doublings).min(LONGEST_DELAY);
    let chance = getrandom::u32().map_or(0, i64::from) % (full / 2 + 1);
    TimeDelta::milliseconds(full / 2 + chance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_an_hour_and_never_agree() {
        for (attempts, full) in [(1, 2), (2, 4), (5, 32), (11, 2048), (12, 3600), (60, 3600)] {
            let waits: Vec<i64> = (0..50)
                .map(|_| delay(attempts).num_milliseconds())
                .collect();
            for wait in &waits {
                assert!(
                    (full * 500..=full * 1000).contains(wait),
                    "{attempts}: {wait}"
                );
            }
            assert!(waits.iter().any(|wait| *wait != waits[0]));
        }
    }

    #[test]
    fn a_job_is_given_up_after_some_two_days() {
        let longest: i64 = (1..MAX_ATTEMPTS).map(|n| delay(n).num_seconds()).sum();
        let hours = longest / 3600;
        assert!((24..=50).contains(&hours), "{hours}");
    }
}
