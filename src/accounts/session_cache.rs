//! The session cache: the sessions that this process knows to be live, so that an
//! unchanged one costs no query.
//!
//! A session is looked up once and cached from then on. A revocation invalidates it:
//! at once in the process that revokes, and in every other one as soon as it hears the
//! event or reads its row.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use super::tokens::Subject;
use super::types::{Revocation, SessionEvent, SessionOwner};
use crate::core::freshness::Freshness;
use crate::core::metrics::{Counter, Families, number};

/// Sessions that are cached; with more all are looked up anew.
const MAX_SESSIONS: usize = 200_000;
/// How long after the last attempt to follow the others what is cached may be used.
pub const FOLLOWED: Duration = Duration::from_secs(1);
/// Numbers are given before they are visible: events of this time are read again.
const OVERLAP: Duration = Duration::from_secs(10);

/// What this process knows of sessions.
#[derive(Default)]
pub struct SessionCache {
    memory: RwLock<Memory>,
    /// When it was last tried, without a pause, to learn what others revoked.
    followed: Freshness,
    reading: Mutex<Reading>,
    hits: Counter,
    misses: Counter,
}

#[derive(Default)]
struct Memory {
    live: HashMap<i64, SessionOwner>,
    /// Grows with every invalidation: what was read before one is not cached.
    generation: u64,
}

/// How far events were read.
#[derive(Default)]
struct Reading {
    /// The highest number known at each of the last readings.
    marks: VecDeque<(Instant, i64)>,
    /// Events above the oldest mark that were applied.
    applied: HashSet<i64>,
}

impl SessionCache {
    /// What other processes revoked until just now is known.
    pub fn followed(&self) {
        self.followed.renew();
    }

    /// It is being tried to learn what other processes revoke. While the database is away
    /// or slow, who is known goes on; not after this process stood still.
    pub fn following(&self) {
        if self.followed.is_fresh(FOLLOWED) {
            self.followed.renew();
        }
    }

    /// The owner of a cached session; `None` also for a session of another user than
    /// the token names, and of all when this process stood still: what was revoked
    /// meanwhile it has not heard.
    pub fn lookup(&self, subject: Subject) -> Option<SessionOwner> {
        let owner = self.find(subject);
        match owner {
            Some(_) => self.hits.increment(),
            None => self.misses.increment(),
        }
        owner
    }

    /// Tells of sessions that are kept and of what is asked for.
    pub fn describe(&self, families: &mut Families<'_>) -> fmt::Result {
        families.counters(
            "inkpot_session_cache_requests",
            "Sessions that were asked for: known, or to be looked up.",
            [("hit", &self.hits), ("miss", &self.misses)]
                .map(|(result, count)| ([("result", result)], count.value())),
        )?;
        let memory = self.memory.read().unwrap_or_else(PoisonError::into_inner);
        let (entries, generation) = (memory.live.len(), memory.generation);
        drop(memory);
        families.gauge(
            "inkpot_session_cache_entries",
            "Sessions that are known to be live.",
            number(entries),
        )?;
        families.counter(
            "inkpot_session_cache_invalidations",
            "Revocations, from here and from other processes.",
            generation,
        )
    }

    fn find(&self, subject: Subject) -> Option<SessionOwner> {
        if !self.followed.is_fresh(FOLLOWED) {
            return None;
        }
        let memory = self.memory.read().unwrap_or_else(PoisonError::into_inner);
        let owner = memory.live.get(&subject.session_id).copied();
        owner.filter(|owner| owner.user_id == subject.user_id)
    }

    /// The generation of what is cached, to be taken before a session is read.
    pub fn generation(&self) -> u64 {
        self.memory
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .generation
    }

    /// Caches the owner of a session that was read in `generation`.
    pub fn insert(&self, session_id: i64, owner: SessionOwner, generation: u64) {
        let mut memory = self.memory.write().unwrap_or_else(PoisonError::into_inner);
        // Something was revoked while the row was on its way: it may have been this.
        if memory.generation != generation {
            return;
        }
        if memory.live.len() >= MAX_SESSIONS {
            memory.live.clear();
        }
        memory.live.insert(session_id, owner);
    }

    /// Forgets one session, or all of a user: the next request looks again. Of sessions
    /// that a revocation of anything is about there are events of their own.
    pub fn invalidate(&self, revocation: Revocation) {
        let mut memory = self.memory.write().unwrap_or_else(PoisonError::into_inner);
        memory.generation += 1;
        match revocation {
            Revocation::Anything => {}
            Revocation::User(user_id) => memory.live.retain(|_, owner| owner.user_id != user_id),
            Revocation::Session { session_id, .. } => {
                memory.live.remove(&session_id);
            }
        }
    }

    /// The number after which events are to be read; `None` before the first reading.
    pub fn read_from(&self) -> Option<i64> {
        let reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        reading.marks.front().map(|(_, mark)| *mark)
    }

    /// Invalidates what events are about that were read up to the number `newest`, and
    /// gives those that were not applied yet.
    pub fn apply(&self, events: Vec<SessionEvent>, newest: i64) -> Vec<Revocation> {
        let fresh = self.fresh(events, newest);
        for revocation in &fresh {
            self.invalidate(*revocation);
        }
        fresh
    }

    fn fresh(&self, events: Vec<SessionEvent>, newest: i64) -> Vec<Revocation> {
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        #[expect(
            clippy::disallowed_methods,
            reason = "how long transactions of other processes really take"
        )]
        let now = Instant::now();
        reading.marks.push_back((now, newest));
        // The front stays until a later mark is old enough to take its place.
        while reading
            .marks
            .get(1)
            .is_some_and(|(at, _)| now.duration_since(*at) > OVERLAP)
        {
            reading.marks.pop_front();
        }
        let oldest = reading.marks.front().map_or(0, |(_, mark)| *mark);
        let fresh = events
            .into_iter()
            .filter(|event| reading.applied.insert(event.event_id))
            .map(|event| event.revocation)
            .collect();
        reading.applied.retain(|id| *id > oldest);
        fresh
    }
}
