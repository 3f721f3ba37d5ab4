//! The sessions that this process knows to be live, so that an unchanged one costs
//! no query.
//!
//! A session is looked up once and known from then on. What ends it is applied
//! here at once by the process that does it, and by `catch_up` in every other: it
//! reads the events since the last time. Without the database known sessions go
//! on, unknown ones are told to come back.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use super::storage::sessions::{self, Event};
use super::tokens::Subject;
use crate::core::clock::Clock;
use crate::core::db::{Db, DbError};

/// Sessions that are remembered; with more all are looked up anew.
const MAX_KNOWN: usize = 200_000;
/// Numbers are given before they are visible: events of this time are read again.
const OVERLAP: Duration = Duration::from_secs(10);
/// The same for the first reading, in numbers.
const FIRST_OVERLAP: i64 = 1000;

/// Whose a live session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    pub user_id: i64,
    pub is_admin: bool,
}

/// What this process knows of sessions.
#[derive(Default)]
pub struct KnownSessions {
    memory: RwLock<Memory>,
    reading: Mutex<Reading>,
}

#[derive(Default)]
struct Memory {
    live: HashMap<i64, Owner>,
    /// Grows with every change: what was read before one is not remembered.
    epoch: u64,
}

/// How far events were read.
#[derive(Default)]
struct Reading {
    /// The highest number known at each of the last readings.
    marks: VecDeque<(Instant, i64)>,
    /// Events above the oldest mark that were applied.
    applied: HashSet<i64>,
}

impl KnownSessions {
    /// Whose the token's session is; `None` when it is not live. No query for one
    /// that is known.
    pub async fn owner(
        &self,
        subject: Subject,
        db: &Db,
        clock: &Clock,
    ) -> Result<Option<Owner>, DbError> {
        if let Some(owner) = self.recall(subject) {
            return Ok(Some(owner));
        }
        let epoch = self.epoch();
        let now = clock.now();
        let found = db
            .read(move |conn| sessions::find_owner(conn, subject.session_id, now))
            .await?;
        let owner = found
            .filter(|(user_id, _)| *user_id == subject.user_id)
            .map(|(user_id, is_admin)| Owner { user_id, is_admin });
        if let Some(owner) = owner {
            self.remember(subject.session_id, owner, epoch);
        }
        Ok(owner)
    }

    /// The owner of a known session, without waiting.
    pub fn recall(&self, subject: Subject) -> Option<Owner> {
        let memory = self.memory.read().unwrap_or_else(PoisonError::into_inner);
        let owner = memory.live.get(&subject.session_id).copied();
        owner.filter(|owner| owner.user_id == subject.user_id)
    }

    fn epoch(&self) -> u64 {
        self.memory
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .epoch
    }

    fn remember(&self, session_id: i64, owner: Owner, epoch: u64) {
        let mut memory = self.memory.write().unwrap_or_else(PoisonError::into_inner);
        // Something ended while the row was on its way: it may have been this.
        if memory.epoch != epoch {
            return;
        }
        if memory.live.len() >= MAX_KNOWN {
            memory.live.clear();
        }
        memory.live.insert(session_id, owner);
    }

    /// Forgets one session, or all of a user: the next request looks again.
    pub fn forget(&self, user_id: i64, session_id: Option<i64>) {
        let mut memory = self.memory.write().unwrap_or_else(PoisonError::into_inner);
        memory.epoch += 1;
        match session_id {
            Some(id) => {
                memory.live.remove(&id);
            }
            None => memory.live.retain(|_, owner| owner.user_id != user_id),
        }
    }

    /// Applies what other processes did since the last time, and gives it. One query.
    pub async fn catch_up(&self, db: &Db) -> Result<Vec<Event>, DbError> {
        let from = {
            let reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
            reading.marks.front().map(|(_, mark)| *mark)
        };
        let (events, newest) = db
            .read(move |conn| {
                let from = match from {
                    Some(from) => from,
                    None => (sessions::newest_event(conn)? - FIRST_OVERLAP).max(0),
                };
                let events = sessions::load_events(conn, from)?;
                let newest = events.last().map_or(from, |event| event.0);
                Ok((events, newest))
            })
            .await?;
        let fresh = self.fresh(events, newest);
        for (_, user_id, session_id) in &fresh {
            self.forget(*user_id, *session_id);
        }
        Ok(fresh)
    }

    /// Those of `events` that were not applied yet.
    fn fresh(&self, events: Vec<Event>, newest: i64) -> Vec<Event> {
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
            .filter(|event| reading.applied.insert(event.0))
            .collect();
        reading.applied.retain(|id| *id > oldest);
        fresh
    }
}
