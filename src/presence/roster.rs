//! Who is online by the word of each process, and what changes by what they say.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use chrono::NaiveDateTime;
use serde::{Deserialize, Serialize};

use crate::core::clock;

/// Somebody who is online, as everybody sees them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Online {
    pub user_id: i64,
    pub name: String,
    /// Since when without a break, as far as is known.
    #[serde(
        serialize_with = "clock::serialize",
        deserialize_with = "clock::deserialize"
    )]
    pub since: NaiveDateTime,
}

/// Somebody who has sockets in a process, as it tells others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    #[serde(flatten)]
    pub user: Online,
    /// How many.
    pub sockets: usize,
}

/// Who came, or is another than before, and who went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delta<T> {
    pub came: Vec<T>,
    pub went: Vec<i64>,
}

impl<T> Default for Delta<T> {
    fn default() -> Self {
        Self {
            came: Vec::new(),
            went: Vec::new(),
        }
    }
}

impl<T> Delta<T> {
    pub fn is_empty(&self) -> bool {
        self.came.is_empty() && self.went.is_empty()
    }
}

/// Another process, as far as it was heard.
#[derive(Debug)]
struct Peer {
    users: HashMap<i64, Member>,
    /// How many changes it has told; `None` while its list is not known.
    version: Option<u64>,
    /// By the steady clock: when it was heard last.
    heard: Duration,
    /// Whether it was missed since.
    is_missed: bool,
}

/// All who are online, from this process and from others.
#[derive(Debug, Default)]
pub struct Roster {
    /// Those with sockets here.
    own: HashMap<i64, Online>,
    peers: HashMap<String, Peer>,
    /// What everybody sees.
    seen: HashMap<i64, Online>,
    /// The same, the newest first.
    order: BTreeSet<(Reverse<NaiveDateTime>, i64)>,
    /// Whose place is to be looked at again before the list is read.
    touched: HashSet<i64>,
    /// Who changed since the last telling, as they were told then.
    changed: HashMap<i64, Option<Online>>,
}

impl Roster {
    /// Somebody has their first socket here, or another name.
    pub fn came(&mut self, user: Online) {
        self.touched.insert(user.user_id);
        self.own.insert(user.user_id, user);
    }

    /// Somebody's last socket here is gone.
    pub fn went(&mut self, user_id: i64) {
        if self.own.remove(&user_id).is_some() {
            self.touched.insert(user_id);
        }
    }

    /// Somebody who has a socket here.
    pub fn own(&self, user_id: i64) -> Option<&Online> {
        self.own.get(&user_id)
    }

    /// All who have sockets here.
    pub fn all_own(&self) -> impl Iterator<Item = &Online> {
        self.own.values()
    }

    /// How many sockets somebody has in other processes, as far as they are heard: who lost
    /// theirs with a process that was killed may open others at once.
    pub fn sockets_elsewhere(&self, user_id: i64) -> usize {
        let heard = self.peers.values().filter(|peer| !peer.is_missed);
        let members = heard.filter_map(|peer| peer.users.get(&user_id));
        members.map(|member| member.sockets).sum()
    }

    /// A process says that it is there and how many changes it has told; whether its
    /// list must be asked for.
    pub fn beat(&mut self, process: &str, version: u64, now: Duration) -> bool {
        let peer = self.peer(process, now);
        peer.version != Some(version)
    }

    /// A process tells its `version`-th change; whether its list must be asked for,
    /// since others before it were missed.
    pub fn change(
        &mut self,
        process: &str,
        version: u64,
        delta: Delta<Member>,
        now: Duration,
    ) -> bool {
        let peer = self.peer(process, now);
        match peer.version {
            Some(known) if known + 1 == version => peer.version = Some(version),
            // What the list that came meanwhile has already.
            Some(known) if known >= version => return false,
            _ => {
                peer.version = None;
                return true;
            }
        }
        let mut touched = Vec::new();
        for member in delta.came {
            touched.push(member.user.user_id);
            peer.users.insert(member.user.user_id, member);
        }
        for user_id in delta.went {
            touched.push(user_id);
            peer.users.remove(&user_id);
        }
        self.touched.extend(touched);
        false
    }

    /// A process tells its whole list, as it is after its `version`-th change.
    pub fn list(&mut self, process: &str, version: u64, users: Vec<Member>, now: Duration) {
        let peer = self.peer(process, now);
        if peer.version.is_some_and(|known| known > version) {
            return;
        }
        peer.version = Some(version);
        let before = std::mem::take(&mut peer.users);
        peer.users = (users.into_iter())
            .map(|member| (member.user.user_id, member))
            .collect();
        let now: Vec<i64> = peer.users.keys().copied().collect();
        self.touched.extend(before.into_keys());
        self.touched.extend(now);
    }

    fn peer(&mut self, process: &str, now: Duration) -> &mut Peer {
        let peer = self.peers.entry(process.to_owned()).or_insert(Peer {
            users: HashMap::new(),
            version: None,
            heard: now,
            is_missed: false,
        });
        peer.heard = now;
        peer.is_missed = false;
        peer
    }

    /// A process is missed until it is heard again.
    pub fn miss(&mut self, process: &str) {
        if let Some(peer) = self.peers.get_mut(process) {
            peer.is_missed = true;
        }
    }

    /// Whether every process that was heard has told its list.
    pub fn is_all_known(&self) -> bool {
        self.peers.values().all(|peer| peer.version.is_some())
    }

    /// Forgets processes that were last heard before `before`, and their users.
    pub fn forget_silent(&mut self, before: Duration) {
        let silent: Vec<String> = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.heard < before)
            .map(|(process, _)| process.clone())
            .collect();
        for process in silent {
            self.forget(&process);
        }
    }

    /// Forgets a process, which has said good-bye.
    pub fn forget(&mut self, process: &str) {
        if let Some(peer) = self.peers.remove(process) {
            self.touched.extend(peer.users.into_keys());
        }
    }

    /// Forgets all other processes.
    pub fn forget_all(&mut self) {
        for (_, peer) in std::mem::take(&mut self.peers) {
            self.touched.extend(peer.users.into_keys());
        }
    }

    /// Whether anything may have changed since the last time.
    pub fn is_touched(&self) -> bool {
        !self.touched.is_empty()
    }

    /// Makes true for everybody what was said since the last time. Its cost goes with how
    /// many were touched, not with how many there are.
    pub fn refresh(&mut self) {
        for user_id in std::mem::take(&mut self.touched) {
            let now = self.as_seen(user_id);
            if now.as_ref() == self.seen.get(&user_id) {
                continue;
            }
            let before = self.seen.remove(&user_id);
            if let Some(before) = &before {
                self.order.remove(&(Reverse(before.since), user_id));
            }
            if let Some(user) = now {
                self.order.insert((Reverse(user.since), user_id));
                self.seen.insert(user_id, user);
            }
            self.changed.entry(user_id).or_insert(before);
        }
    }

    /// The same, and what has changed since the last telling, which is this.
    pub fn tell(&mut self) -> Delta<Online> {
        self.refresh();
        let mut delta = Delta::default();
        for (user_id, before) in std::mem::take(&mut self.changed) {
            match (before, self.seen.get(&user_id)) {
                // Who came and went meanwhile, and the other way round.
                (before, now) if before.as_ref() == now => {}
                (_, Some(user)) => delta.came.push(user.clone()),
                (_, None) => delta.went.push(user_id),
            }
        }
        delta
    }

    /// Somebody by the words of all: since the earliest, under the newest name.
    fn as_seen(&self, user_id: i64) -> Option<Online> {
        let own = self.own.get(&user_id);
        let peers = self.peers.values().filter_map(|p| p.users.get(&user_id));
        let mut all = own.into_iter().chain(peers.map(|member| &member.user));
        let first = all.next()?.clone();
        Some(all.fold(first, |seen, other| Online {
            since: seen.since.min(other.since),
            ..seen
        }))
    }

    /// How many are online.
    pub fn total(&self) -> usize {
        self.seen.len()
    }

    /// The newest `limit` of them, the newest first.
    pub fn newest(&self, limit: usize) -> impl Iterator<Item = &Online> {
        let ids = self.order.iter().take(limit);
        ids.filter_map(|(_, user_id)| self.seen.get(user_id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(user_id: i64, second: i64) -> Online {
        Online {
            user_id,
            name: format!("user {user_id}"),
            since: chrono::DateTime::from_timestamp(second, 0)
                .unwrap()
                .naive_utc(),
        }
    }

    fn at(second: u64) -> Duration {
        Duration::from_secs(second)
    }

    fn member(user_id: i64, second: i64) -> Member {
        Member {
            user: user(user_id, second),
            sockets: 2,
        }
    }

    fn came<T: Clone>(users: &[T]) -> Delta<T> {
        Delta {
            came: users.to_vec(),
            went: Vec::new(),
        }
    }

    #[test]
    fn coming_and_going_within_one_telling_is_no_change() {
        let mut roster = Roster::default();
        roster.came(user(1, 1));
        roster.came(user(2, 2));
        roster.went(2);
        assert_eq!(roster.tell(), came(&[user(1, 1)]));
        roster.went(1);
        roster.came(user(1, 1));
        assert!(roster.tell().is_empty());
        // The list was read meanwhile.
        roster.came(user(2, 2));
        roster.refresh();
        assert_eq!(roster.total(), 2);
        roster.went(2);
        assert!(roster.tell().is_empty());
        assert_eq!(roster.total(), 1);
    }

    #[test]
    fn somebody_is_online_while_any_process_says_so() {
        let mut roster = Roster::default();
        roster.came(user(1, 5));
        roster.list("a", 7, vec![member(1, 3), member(2, 4)], at(0));
        roster.tell();
        let seen: Vec<_> = roster.newest(10).cloned().collect();
        assert_eq!(seen, [user(2, 4), user(1, 3)]);
        roster.went(1);
        assert!(roster.tell().is_empty());
        roster.list("b", 1, vec![member(1, 3)], at(0));
        assert_eq!(roster.sockets_elsewhere(1), 4);
        roster.forget("b");
        assert!(roster.tell().is_empty());
        assert_eq!(
            (roster.sockets_elsewhere(1), roster.sockets_elsewhere(3)),
            (2, 0)
        );
        roster.forget("a");
        let mut gone = roster.tell().went;
        gone.sort_unstable();
        assert_eq!((gone, roster.total()), (vec![1, 2], 0));
    }

    #[test]
    fn a_change_that_was_missed_is_asked_for() {
        let mut roster = Roster::default();
        assert!(roster.beat("a", 3, at(0)));
        assert!(roster.change("a", 4, came(&[member(1, 1)]), at(0)));
        roster.list("a", 4, vec![member(1, 1)], at(0));
        assert!(!roster.beat("a", 4, at(0)));
        assert!(!roster.change("a", 5, came(&[member(2, 2)]), at(0)));
        // The list was on its way when this was told.
        assert!(!roster.change("a", 5, came(&[member(3, 3)]), at(0)));
        assert!(roster.change("a", 7, came(&[member(4, 4)]), at(0)));
        assert!(roster.beat("a", 7, at(0)));
        roster.tell();
        assert_eq!(roster.total(), 2);
        roster.list("a", 7, vec![member(4, 4)], at(0));
        roster.tell();
        assert_eq!(roster.newest(10).cloned().collect::<Vec<_>>(), [user(4, 4)]);
        // An older list that comes late says nothing.
        roster.list("a", 6, vec![], at(0));
        assert!(roster.tell().is_empty());
    }

    #[test]
    fn who_is_silent_is_forgotten_with_its_users_and_comes_back() {
        let mut roster = Roster::default();
        roster.list("a", 1, vec![member(1, 1)], at(0));
        roster.list("b", 1, vec![member(2, 2)], at(8));
        roster.tell();
        assert_eq!(roster.sockets_elsewhere(1), 2);
        roster.miss("a");
        assert_eq!(
            (roster.sockets_elsewhere(1), roster.sockets_elsewhere(2)),
            (0, 2)
        );
        roster.forget_silent(at(5));
        assert_eq!(roster.tell().went, [1]);
        assert!(roster.beat("a", 1, at(20)));
        roster.list("a", 1, vec![member(1, 1)], at(20));
        assert_eq!(roster.tell(), came(&[user(1, 1)]));
        roster.forget_all();
        assert_eq!(roster.tell().went.len(), 2);
    }

    #[test]
    fn the_newest_come_first() {
        let mut roster = Roster::default();
        for n in 0..2000 {
            roster.came(user(n, n));
        }
        roster.tell();
        let newest: Vec<i64> = roster.newest(1000).map(|user| user.user_id).collect();
        assert_eq!(newest, (1000..2000).rev().collect::<Vec<_>>());
        assert_eq!(roster.total(), 2000);
    }
}
