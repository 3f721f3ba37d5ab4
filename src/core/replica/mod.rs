//! A replica of the database (`DATABASE_READ_URL`): what anybody may read and is not in memory
//! may be read there, and nothing else is.
//!
//! How new a replica is, a heartbeat tells ([`heartbeat`]): a number in the database that grows
//! at the primary. This process notes at a [`Moment`] the number that is still to come
//! (`marks`). A reading at the replica asks for the number first, on its own connection: if it
//! finds the one that was noted, or a later one, it finds everything that was committed before
//! that moment. So it is as good as a slow reading at the primary that began then, and the
//! response cache judges it as one: what has changed since as far as this process knows, by
//! itself or by the bus, makes it void, and the primary is read.
//!
//! - The moment must not be longer ago than `INKPOT_READ_STALENESS`.
//! - A replica that is away, errs, is slow or is behind is not asked (`health`).
//! - The connections are the replica's own, so what is slow there takes none of the primary's.
//!
//! [`heartbeat`]: crate::core::db::dialect::heartbeat

mod follow;
mod health;
mod marks;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use diesel::QueryResult;
use tokio::time::timeout;

pub use self::follow::run;
use self::health::Health;
pub use self::health::Standing;
use self::marks::Marks;
use crate::core::cache::moment::Moment;
use crate::core::clock::Clock;
use crate::core::db::replica::{Reading, scope};
use crate::core::db::{Conn, DatabaseUrl, Db, DbError, dialect};
use crate::core::metrics::{Counter, Families};

/// How long the readings of an answer may take at the replica before the primary is read.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long a unit of work may take there: who asked has gone to the primary by then.
const UNIT: Duration = Duration::from_secs(1);

/// Why an answer was made of what the primary says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The replica is away, or failed a moment ago.
    Away,
    /// It is behind by more than it may be.
    Behind,
    /// What the answer depends on has changed, and the replica is not known to have it.
    Overtaken,
    /// It did not answer in time.
    Slow,
    /// It failed.
    Failed,
    /// It does not have what was asked for.
    Absent,
    /// What was asked for cannot be answered.
    Refused,
}

impl Why {
    const ALL: [(Self, &'static str); 7] = [
        (Self::Away, "away"),
        (Self::Behind, "behind"),
        (Self::Overtaken, "overtaken"),
        (Self::Slow, "slow"),
        (Self::Failed, "failed"),
        (Self::Absent, "absent"),
        (Self::Refused, "refused"),
    ];
}

/// The replica of a process.
pub struct Replica {
    db: Db,
    /// The random name of the database that it is to be a replica of.
    installation: Arc<str>,
    /// How old what it has may be.
    bound: Duration,
    clock: Clock,
    begun: Duration,
    marks: Marks<Moment>,
    health: Health,
    answered: Counter,
    fallbacks: [Counter; Why::ALL.len()],
}

impl Replica {
    /// The replica at `url` of the database of that name, with so many connections; what it has
    /// may be as old as `bound`. The error is one line.
    pub fn new(
        (url, size): (&DatabaseUrl, u32),
        (primary, installation): (&Db, &str),
        bound: Duration,
        clock: &Clock,
    ) -> Result<Arc<Self>, String> {
        let db = (primary.replica_at(url, size, UNIT))
            .map_err(|why| format!("replica {}: {why}", url.redacted()))?;
        Ok(Arc::new(Self {
            db,
            installation: installation.into(),
            bound,
            clock: clock.clone(),
            begun: clock.steady(),
            marks: Marks::default(),
            health: Health::new(url.redacted(), clock),
            answered: Counter::default(),
            fallbacks: Default::default(),
        }))
    }

    /// What `fill` reads at the replica, and since when nothing is missing in that. `None` when
    /// the primary is to be read. `may_have` tells whether what was complete at a moment is worth
    /// reading.
    pub async fn read<T, E>(
        &self,
        may_have: impl Fn(Moment) -> bool,
        fill: &impl AsyncFn() -> Result<T, E>,
    ) -> Option<(Moment, T)> {
        let reading = match self.begin(may_have) {
            Ok(reading) => Arc::new(reading),
            Err(why) => {
                self.fell_back(why);
                return None;
            }
        };
        let done = timeout(PATIENCE, scope(Arc::clone(&reading), fill())).await;
        let why = match done {
            Ok(Ok(value)) => {
                if let Some(moment) = self.moment_of(&reading) {
                    self.health.answered();
                    return Some((moment, value));
                }
                Why::Behind
            }
            Ok(Err(_)) if reading.is_behind() => Why::Behind,
            Ok(Err(_)) if reading.has_failed() => {
                self.health.failed("what is read there fails");
                Why::Failed
            }
            Ok(Err(_)) => Why::Refused,
            Err(_) => {
                self.health.slow();
                Why::Slow
            }
        };
        self.fell_back(why);
        None
    }

    /// The same number of the heartbeat, and what `work` reads after it, for readings that share
    /// a query ([`Reading::check`] takes the number).
    pub fn read_together<T>(
        &self,
        work: &dyn Fn(&mut Conn) -> QueryResult<T>,
    ) -> Result<(T, i64), DbError> {
        self.db.read_together(&|conn| {
            let beat = dialect::heartbeat::read(conn, &self.installation)?;
            Ok((work(conn)?, beat))
        })
    }

    /// Readings, if the replica is likely to be new enough for them.
    fn begin(&self, may_have: impl Fn(Moment) -> bool) -> Result<Reading, Why> {
        match self.health.standing() {
            Standing::Used => {}
            Standing::Unknown | Standing::Behind => return Err(Why::Behind),
            Standing::Away => return Err(Why::Away),
        }
        let now = self.clock.steady();
        let seen = self.marks.newest_seen().ok_or(Why::Behind)?;
        if now.saturating_sub(seen.at) >= self.bound {
            return Err(Why::Behind);
        }
        if !may_have(seen.moment.of_replica()) {
            return Err(Why::Overtaken);
        }
        let bounds = self.marks.bounds(now, self.bound).ok_or(Why::Behind)?;
        let installation = Arc::clone(&self.installation);
        Ok(Reading::new(installation, bounds))
    }

    /// Since when nothing is missing in what was read; `None` when that is too long ago, or when
    /// nothing was read there.
    fn moment_of(&self, reading: &Reading) -> Option<Moment> {
        let mark = self.marks.see(reading.lowest()?)?;
        let age = self.clock.steady().saturating_sub(mark.at);
        (age < self.bound).then(|| mark.moment.of_replica())
    }

    /// An answer was made of what the replica said.
    pub fn answered(&self) {
        self.answered.increment();
    }

    /// An answer that might have been made of that was not.
    pub fn fell_back(&self, why: Why) {
        if let Some(counter) = self.fallbacks.get(why as usize) {
            counter.increment();
        }
    }

    /// What it is good for at present.
    pub fn standing(&self) -> Standing {
        self.health.standing()
    }

    /// How long ago it was, at most, that the replica had all that there was; from the start of
    /// the process on before that was ever so.
    pub fn lag(&self) -> Duration {
        let seen = self.marks.newest_seen();
        let since = seen.map_or(self.begun, |mark| mark.at);
        self.clock.steady().saturating_sub(since)
    }

    /// Tells what it is good for, and what it was used for.
    pub fn describe(&self, families: &mut Families<'_>) -> fmt::Result {
        families.flag(
            "inkpot_replica_up",
            "Whether the replica is read from.",
            self.standing() == Standing::Used,
        )?;
        families.gauge(
            "inkpot_replica_lag_seconds",
            "How old what the replica has is at most; the heartbeat alone makes a second of it.",
            self.lag().as_secs_f64(),
        )?;
        let primary = self.fallbacks.iter().map(Counter::value).sum();
        families.counters(
            "inkpot_replica_reads",
            "Answers for anybody that were made anew, by where they were read in the end.",
            [
                ([("target", "replica")], self.answered.value()),
                ([("target", "primary")], primary),
            ],
        )?;
        families.counters(
            "inkpot_replica_fallbacks",
            "Those that were read at the primary, by why.",
            (Why::ALL.iter()).map(|(why, name)| {
                let counter = self.fallbacks.get(*why as usize);
                ([("reason", *name)], counter.map_or(0, Counter::value))
            }),
        )?;
        let (used, idle) = self.db.connections();
        families.gauges(
            "inkpot_replica_connections",
            "Connections to the replica.",
            [("used", used), ("idle", idle)]
                .map(|(state, count)| ([("state", state)], count.into())),
        )
    }
}
