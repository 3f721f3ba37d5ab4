//! Clock synchronization: several processes compare times that they write (when a session
//! was refreshed, when a job is due), so all tell the time of the database they share.

use chrono::{Duration, NaiveDateTime};

use super::clock::Clock;
use super::db::{Bulkhead, Db, DbError, dialect};

/// Clocks that differ by less count as one; asking takes a part of it.
const TOLERANCE: Duration = Duration::seconds(1);

/// How often a process compares.
const INTERVAL: std::time::Duration = std::time::Duration::from_secs(30);

/// Compares again and again, for as long as the process runs. While the database is away
/// the clock goes on as it is; that it is away is said elsewhere.
pub async fn run(db: Db, clock: Clock) {
    let db = db.reading_by(Bulkhead::Housekeeping);
    loop {
        tokio::time::sleep(INTERVAL).await;
        let _ = compare(&db, &clock).await;
    }
}

/// Compares the system's clock with the database's, and corrects it by that.
async fn compare(db: &Db, clock: &Clock) -> Result<(), DbError> {
    let system = system_clock(clock);
    let readings = db
        .read(move |conn| {
            let before = system.now();
            Ok((before, dialect::server_time(conn)?, system.now()))
        })
        .await?;
    apply(clock, readings);
    Ok(())
}

/// The same for threads that may block.
pub fn compare_blocking(db: &Db, clock: &Clock) -> Result<(), DbError> {
    let system = system_clock(clock);
    let readings = db.read_blocking(&|conn| {
        let before = system.now();
        Ok((before, dialect::server_time(conn)?, system.now()))
    })?;
    apply(clock, readings);
    Ok(())
}

/// The system's clock as it is; one that is moved by hand stays that.
fn system_clock(clock: &Clock) -> Clock {
    match clock.set_by_hand() {
        Some(_) => clock.clone(),
        None => Clock::system(),
    }
}

/// The system's time before and after the database was asked, and its answer between.
type Readings = (NaiveDateTime, Option<NaiveDateTime>, NaiveDateTime);

fn apply(clock: &Clock, (before, server, after): Readings) {
    let Some(server) = server else {
        return;
    };
    let behind = correction(server, (before, after));
    let known = clock.correction();
    clock.correct(behind);
    // Said when it begins, when it ends, and when it changes.
    if (behind - known).abs() <= TOLERANCE {
        return;
    }
    if behind.is_zero() {
        tracing::info!("the clock of this machine agrees with the database's again");
    } else {
        let seconds = -behind.num_seconds();
        tracing::warn!(
            seconds_ahead = seconds,
            "the clock of this machine differs from the database's, whose time is used"
        );
    }
}

/// How far the system's clock is behind the server's; nothing when the difference may be
/// that of asking.
fn correction(server: NaiveDateTime, (before, after): (NaiveDateTime, NaiveDateTime)) -> Duration {
    let half = (after - before) / 2;
    let behind = server - (before + half);
    if behind.abs() < TOLERANCE + half {
        Duration::zero()
    } else {
        behind
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_come_from_asking_is_no_difference() {
        let at = |millis: i64| {
            chrono::DateTime::from_timestamp_millis(1_700_000_000_000 + millis)
                .unwrap()
                .naive_utc()
        };
        for (server, before, after, expected) in [
            (0, 0, 0, 0),
            (900, 0, 0, 0),
            (-900, 0, 10, 0),
            // Asked for six seconds, it may have been answered at once or at the end.
            (6_500, 0, 6_000, 0),
            (20_000, 0, 10, 19_995),
            (-20_000, 0, 10, -20_005),
        ] {
            let got = correction(at(server), (at(before), at(after)));
            assert_eq!(got.num_milliseconds(), expected, "{server}");
        }
    }
}
