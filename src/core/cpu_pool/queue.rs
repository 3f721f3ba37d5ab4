//! The queue before the threads: fair between clients, bounded in number and in time.
//!
//! - Each address has a lane, and lanes are served in turn; within a lane, who came first.
//! - A subject (an account) has [`SUBJECT_WAITING`] places, an address [`ADDRESS_WAITING`],
//!   all together a number of the pool's. Who finds none is refused.
//! - When all places are taken, the newest of the longest lane gives its place to whoever
//!   has a shorter one.
//! - Who waited for [`LONGEST_WAIT`] is refused, and not served so late that nobody is there.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use super::Requester;

/// Places in the queue for each thread; with bcrypt at cost 12 the last of them is half a
/// minute away, so that time is what bounds it.
pub const WAITING: usize = 128;
/// Places for one subject.
pub const SUBJECT_WAITING: usize = 4;
/// Places for one address, which may be many people's.
pub const ADDRESS_WAITING: usize = 16;
/// How long anybody waits at most.
pub const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// How many places there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    pub all: usize,
    pub subject: usize,
    pub address: usize,
}

impl Bounds {
    /// So many in all, and those of each.
    pub fn of(all: usize) -> Self {
        Self {
            all,
            subject: SUBJECT_WAITING,
            address: ADDRESS_WAITING,
        }
    }

    /// So many in all, whoever has them.
    pub fn for_anybody(all: usize) -> Self {
        Self {
            all,
            subject: usize::MAX,
            address: usize::MAX,
        }
    }
}

/// Work that waits, by address.
pub struct FairQueue<T> {
    bounds: Bounds,
    len: usize,
    /// Those of the operator have no address. None is empty.
    lanes: HashMap<Option<IpAddr>, VecDeque<Waiting<T>>>,
    /// The lanes, the next to be served first.
    turns: VecDeque<Option<IpAddr>>,
    subjects: HashMap<String, usize>,
    next_number: u64,
}

struct Waiting<T> {
    number: u64,
    subject: Option<String>,
    since: Duration,
    work: T,
}

/// Where something waits.
#[derive(Debug)]
pub struct Ticket {
    lane: Option<IpAddr>,
    number: u64,
}

impl<T> FairQueue<T> {
    /// An empty queue with so many places.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            len: 0,
            lanes: HashMap::new(),
            turns: VecDeque::new(),
            subjects: HashMap::new(),
            next_number: 0,
        }
    }

    /// How much waits.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Gives work a place; and with it what lost its own for that. Gives the work back when
    /// there is none. `now`: a time that never goes back.
    pub fn push(
        &mut self,
        requester: &Requester,
        work: T,
        now: Duration,
    ) -> Result<(Ticket, Option<T>), T> {
        let Requester { address, subject } = requester;
        let of_subject = (subject.as_ref()).map_or(0, |subject| self.of_subject(subject));
        let of_lane = self.lanes.get(address).map_or(0, VecDeque::len);
        let is_own_full = address.is_some() && of_lane >= self.bounds.address;
        if of_subject >= self.bounds.subject || is_own_full {
            return Err(work);
        }
        let displaced = if self.len < self.bounds.all {
            None
        } else {
            match self.displace(of_lane + 1) {
                Some(displaced) => Some(displaced),
                None => return Err(work),
            }
        };
        let ticket = Ticket {
            lane: *address,
            number: self.next_number,
        };
        self.next_number += 1;
        self.len += 1;
        if let Some(subject) = subject {
            *self.subjects.entry(subject.clone()).or_default() += 1;
        }
        let lane = self.lanes.entry(*address).or_default();
        if lane.is_empty() {
            self.turns.push_back(*address);
        }
        lane.push_back(Waiting {
            number: ticket.number,
            subject: subject.clone(),
            since: now,
            work,
        });
        Ok((ticket, displaced))
    }

    /// Takes out what is to be done next, and what has waited too long.
    pub fn pop(&mut self, now: Duration) -> (Option<T>, Vec<T>) {
        let late = self.take_late(now);
        let next = self.turns.front().copied().and_then(|lane| {
            let work = self.take(lane, 0)?;
            // The others first, if there is more of it.
            if self.turns.front() == Some(&lane) {
                self.turns.rotate_left(1);
            }
            Some(work)
        });
        (next, late)
    }

    /// Takes out what waits at a place, if it still does.
    pub fn remove(&mut self, ticket: &Ticket) -> Option<T> {
        let lane = self.lanes.get(&ticket.lane)?;
        let at = lane.iter().position(|one| one.number == ticket.number)?;
        self.take(ticket.lane, at)
    }

    fn of_subject(&self, subject: &str) -> usize {
        self.subjects.get(subject).copied().unwrap_or(0)
    }

    /// The newest of the longest lane, if that is longer than `length`.
    fn displace(&mut self, length: usize) -> Option<T> {
        let (lane, longest) = (self.lanes.iter())
            .map(|(lane, all)| (*lane, all.len()))
            .max_by_key(|(_, length)| *length)?;
        if longest <= length {
            return None;
        }
        self.take(lane, longest - 1)
    }

    /// In a lane those who came first are the first to have waited too long.
    fn take_late(&mut self, now: Duration) -> Vec<T> {
        let mut late = Vec::new();
        for lane in self.turns.clone() {
            while let Some(first) = self.lanes.get(&lane).and_then(VecDeque::front)
                && first.since + LONGEST_WAIT <= now
            {
                late.extend(self.take(lane, 0));
            }
        }
        late
    }

    /// Takes out what waits in a lane, and all that says so.
    fn take(&mut self, lane: Option<IpAddr>, at: usize) -> Option<T> {
        let waiting = self.lanes.get_mut(&lane)?;
        let taken = waiting.remove(at)?;
        if waiting.is_empty() {
            self.lanes.remove(&lane);
            self.turns.retain(|one| *one != lane);
        }
        self.len -= 1;
        if let Some(subject) = &taken.subject
            && let Some(places) = self.subjects.get_mut(subject)
        {
            *places -= 1;
            if *places == 0 {
                self.subjects.remove(subject);
            }
        }
        Some(taken.work)
    }
}
