//! The connections: a pool and a gate for each bulkhead, and one breaker for all.

use std::sync::Arc;
use std::time::Duration;

use diesel::r2d2::R2D2Connection;
use r2d2::NopErrorHandler;

use super::breaker::Breaker;
use super::bulkhead::{Bulkhead, Gate, MAX_WAIT, Permit, Refused};
use super::connection::{self, Conn, ConnectionManager, DatabaseUrl, Managed, Role};
use super::deadline::{self, now};
use super::dialect::{self, ErrorClass};
use super::error::Failure;
use super::metrics::{Standing, Usage};
use super::mysql::own::OwnConnections;

type Pool = r2d2::Pool<ConnectionManager>;
type Pooled = r2d2::PooledConnection<ConnectionManager>;

/// How long a connection may take to answer a ping, after another one was lost.
const PING: Duration = Duration::from_secs(1);
/// What is time enough for an answer of a database that is there.
const ENOUGH: Duration = Duration::from_millis(250);
/// How long a request that tries whether the database is back waits for a connection.
const PROBE: Duration = Duration::from_millis(250);
/// How often work that waits for a new connection looks whether the breaker has opened.
const LOOK: Duration = Duration::from_millis(20);

/// The connections of a process.
pub(super) struct Pools {
    sections: [Section; Bulkhead::ALL.len()],
    breaker: Arc<Breaker>,
    own: Arc<OwnConnections>,
}

struct Section {
    pool: Pool,
    gate: Gate,
}

/// A connection in use, and the permit to use it. Dropping it gives both back.
pub(super) struct Checkout {
    /// Given back first: whoever is let in then finds it.
    conn: Pooled,
    permit: Permit,
}

impl Checkout {
    /// Gives the connection back and keeps the permit, to go on with another one.
    pub(super) fn release(self) -> Permit {
        drop(self.conn);
        self.permit
    }

    pub(super) fn conn(&mut self) -> &mut Conn {
        &mut self.conn.conn
    }
}

impl Pools {
    /// Makes the pools; connections are opened as they are needed. `size` is the setting,
    /// `time` what a statement may take if not what the URL says.
    pub(super) fn new(url: &DatabaseUrl, size: u32, time: Option<Duration>) -> Self {
        Self::made(url, (size, time), Breaker::default(), |_| 1)
    }

    /// The same for a replica, of which others say whether it is away, and which is never written
    /// to.
    pub(super) fn of_replica(url: &DatabaseUrl, size: u32, time: Duration) -> Self {
        let idle = |bulkhead| u32::from(bulkhead != Bulkhead::Writes);
        Self::made(url, (size, Some(time)), Breaker::silent(), idle)
    }

    fn made(
        url: &DatabaseUrl,
        (size, time): (u32, Option<Duration>),
        breaker: Breaker,
        idle: fn(Bulkhead) -> u32,
    ) -> Self {
        let is_sqlite = matches!(url, DatabaseUrl::Sqlite(_));
        let (breaker, own) = (Arc::new(breaker), Arc::<OwnConnections>::default());
        let sections = Bulkhead::ALL.map(|bulkhead| {
            let connections = bulkhead.connections(size, is_sqlite);
            let role = match bulkhead {
                Bulkhead::Writes => Role::Writer,
                Bulkhead::Reads | Bulkhead::Searches | Bulkhead::Housekeeping => Role::Reader,
            };
            let shared = (Arc::clone(&breaker), Arc::clone(&own));
            let manager = ConnectionManager::new(url.clone(), (role, time), shared);
            Section {
                pool: r2d2::Pool::builder()
                    .max_size(connections)
                    .min_idle(Some(idle(bulkhead)))
                    .connection_timeout(MAX_WAIT)
                    // A round trip for each checkout; see `Breaker::generation`.
                    .test_on_check_out(false)
                    // The breaker says it, once.
                    .error_handler(Box::new(NopErrorHandler))
                    .build_unchecked(manager),
                gate: Gate::new(connections, bulkhead.queue(connections)),
            }
        });
        Self {
            sections,
            breaker,
            own,
        }
    }

    fn section(&self, bulkhead: Bulkhead) -> &Section {
        &self.sections[bulkhead as usize]
    }

    /// Whether the database is thought to be away.
    pub(super) fn is_away(&self) -> bool {
        self.breaker.is_open()
    }

    /// The connections of a bulkhead now.
    pub(super) fn standing(&self, bulkhead: Bulkhead) -> Standing {
        let Section { pool, gate } = self.section(bulkhead);
        let state = pool.state();
        Standing {
            used: state.connections.saturating_sub(state.idle_connections),
            idle: state.idle_connections,
            max: pool.max_size(),
            waiting: gate.waiting(),
        }
    }

    /// What is measured of a bulkhead.
    pub(super) fn usage(&self, bulkhead: Bulkhead) -> &Usage {
        self.section(bulkhead).gate.usage()
    }

    /// Waits for a place of a bulkhead, in a task, for [`MAX_WAIT`] at most.
    pub(super) async fn enter(
        &self,
        bulkhead: Bulkhead,
        wait: Duration,
    ) -> Result<Permit, Failure> {
        let gate = &self.section(bulkhead).gate;
        gate.enter(wait.min(MAX_WAIT)).await.map_err(refused)
    }

    /// The same on a thread that may block.
    pub(super) fn enter_blocking(
        &self,
        bulkhead: Bulkhead,
        wait: Duration,
    ) -> Result<Permit, Failure> {
        let gate = &self.section(bulkhead).gate;
        gate.enter_blocking(wait).map_err(refused)
    }

    /// A connection that is thought to work. Blocks, at most for the deadline of the work.
    pub(super) fn checkout(&self, bulkhead: Bulkhead, permit: Permit) -> Result<Checkout, Failure> {
        let pool = &self.section(bulkhead).pool;
        // Asked once: each time that it says yes it lets a probe through.
        let mut may_try = None;
        let mut admits = || {
            *may_try
                .get_or_insert_with(|| bulkhead == Bulkhead::Housekeeping || self.breaker.admits())
        };
        loop {
            let mut conn = match pool.try_get() {
                Some(conn) if conn.generation == self.breaker.generation() => {
                    return Ok(Checkout { conn, permit });
                }
                _ if !admits() => return Err(away()),
                Some(conn) => conn,
                None => self.connect(pool, bulkhead)?,
            };
            if self.answers(&mut conn)? {
                return Ok(Checkout { conn, permit });
            }
        }
    }

    /// Waits for a new connection, until the breaker opens.
    fn connect(&self, pool: &Pool, bulkhead: Bulkhead) -> Result<Pooled, Failure> {
        let was_open = self.breaker.is_open();
        let until = deadline::within(match bulkhead {
            Bulkhead::Housekeeping => MAX_WAIT,
            _ if was_open => PROBE,
            _ => MAX_WAIT,
        });
        loop {
            match pool.get_timeout(LOOK) {
                Ok(conn) => return Ok(conn),
                Err(_) if now() >= until => {
                    return Err(Failure::unavailable("no connection in time"));
                }
                Err(_) if self.breaker.is_open() && !was_open => return Err(away()),
                Err(_) => {}
            }
        }
    }

    /// Whether a connection works, which another one that was lost has made doubtful. An
    /// error when none is likely to.
    fn answers(&self, conn: &mut Managed) -> Result<bool, Failure> {
        let generation = self.breaker.generation();
        if conn.generation == generation {
            return Ok(true);
        }
        if conn.conn.is_broken() {
            return Ok(false);
        }
        let time = deadline::remaining(PING);
        let limited = deadline::limit(PING);
        let answer = connection::ping(&mut conn.conn);
        drop(limited);
        match answer {
            Ok(()) => {
                conn.generation = generation;
                self.breaker.close();
                Ok(true)
            }
            // The others are not asked one after the other: each would take as long.
            Err(error) if dialect::error_class(&error) == ErrorClass::TimeLimit => {
                // Who had no time for an answer knows nothing of the database.
                if time >= ENOUGH {
                    self.breaker.open("a connection does not answer");
                }
                Err(Failure::unavailable(error))
            }
            Err(_) => Ok(false),
        }
    }

    /// Closes idle connections that do not answer. Blocks.
    pub(super) fn close_dead(&self) {
        self.own.forget_closed();
        self.breaker.suspect_all();
        for Section { pool, .. } in &self.sections {
            // Kept until all were asked: one that is given back may be the next.
            let mut idle: Vec<_> = std::iter::from_fn(|| pool.try_get()).collect();
            for conn in &mut idle {
                // Who is given back broken is closed.
                if self.answers(conn).is_err() {
                    return;
                }
            }
        }
    }

    /// Remembers that a connection was lost, or did not answer in time.
    pub(super) fn suspect_all(&self) {
        self.breaker.suspect_all();
    }
}

fn away() -> Failure {
    Failure::unavailable("the database is away")
}

fn refused(refused: Refused) -> Failure {
    Failure::unavailable(match refused {
        Refused::Shed => "too many wait for a connection, and others came later",
        Refused::TimedOut => "no connection was free in time",
    })
}
