//! Membership: who is online by the word of each process, and what changes by what they
//! say.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use chrono::NaiveDateTime;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::core::clock;

/// Somebody who is online, as everybody sees them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = OnlineView)]
pub struct Online {
    #[schema(minimum = 1)]
    pub user_id: i64,
    pub name: String,
    /// Since when without a break, as far as is known.
    #[serde(
        serialize_with = "clock::serialize",
        deserialize_with = "clock::deserialize"
    )]
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
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

/// Who joined, or is another than before, and who left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delta<T> {
    #[serde(rename = "came")]
    pub joined: Vec<T>,
    #[serde(rename = "went")]
    pub left: Vec<i64>,
}

impl<T> Default for Delta<T> {
    fn default() -> Self {
        Self {
            joined: Vec::new(),
            left: Vec::new(),
        }
    }
}

impl<T> Delta<T> {
    pub fn is_empty(&self) -> bool {
        self.joined.is_empty() && self.left.is_empty()
    }
}

/// Another process, as far as it was heard.
#[derive(Debug)]
struct Peer {
    users: HashMap<i64, Member>,
    /// How many changes it has sent; `None` while its snapshot is not known.
    version: Option<u64>,
    /// By the monotonic clock: when it was heard last.
    heard: Duration,
    /// Whether it was missed since.
    is_missed: bool,
}

/// All who are online, from this process and from others.
#[derive(Debug, Default)]
pub struct Membership {
    /// Those with sockets here.
    own: HashMap<i64, Online>,
    peers: HashMap<String, Peer>,
    /// What everybody sees.
    visible: HashMap<i64, Online>,
    /// The same, the newest first.
    order: BTreeSet<(Reverse<NaiveDateTime>, i64)>,
    /// Who are to be merged anew before the list is read.
    dirty: HashSet<i64>,
    /// Who changed since the last delta, as they were then.
    changed: HashMap<i64, Option<Online>>,
}

impl Membership {
    /// Somebody has their first socket here, or another name.
    pub fn join(&mut self, user: Online) {
        self.dirty.insert(user.user_id);
        self.own.insert(user.user_id, user);
    }

    /// Somebody's last socket here is gone.
    pub fn leave(&mut self, user_id: i64) {
        if self.own.remove(&user_id).is_some() {
            self.dirty.insert(user_id);
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

    /// A process says that it is there and how many changes it has sent; whether its
    /// snapshot must be asked for.
    pub fn heartbeat(&mut self, process: &str, version: u64, now: Duration) -> bool {
        let peer = self.peer(process, now);
        peer.version != Some(version)
    }

    /// A process sends its `version`-th change; whether its snapshot must be asked for,
    /// since others before it were missed.
    pub fn apply_delta(
        &mut self,
        process: &str,
        version: u64,
        delta: Delta<Member>,
        now: Duration,
    ) -> bool {
        let peer = self.peer(process, now);
        match peer.version {
            Some(known) if known + 1 == version => peer.version = Some(version),
            // What the snapshot that came meanwhile has already.
            Some(known) if known >= version => return false,
            _ => {
                peer.version = None;
                return true;
            }
        }
        let mut dirty = Vec::new();
        for member in delta.joined {
            dirty.push(member.user.user_id);
            peer.users.insert(member.user.user_id, member);
        }
        for user_id in delta.left {
            dirty.push(user_id);
            peer.users.remove(&user_id);
        }
        self.dirty.extend(dirty);
        false
    }

    /// A process sends all who are online there, after its `version`-th change.
    pub fn apply_snapshot(
        &mut self,
        process: &str,
        version: u64,
        users: Vec<Member>,
        now: Duration,
    ) {
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
        self.dirty.extend(before.into_keys());
        self.dirty.extend(now);
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

    /// Whether every process that was heard has sent its snapshot.
    pub fn is_synced(&self) -> bool {
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

    /// Forgets a process, which has left.
    pub fn forget(&mut self, process: &str) {
        if let Some(peer) = self.peers.remove(process) {
            self.dirty.extend(peer.users.into_keys());
        }
    }

    /// Forgets all other processes.
    pub fn forget_all(&mut self) {
        for (_, peer) in std::mem::take(&mut self.peers) {
            self.dirty.extend(peer.users.into_keys());
        }
    }

    /// Whether anything may have changed since the last time.
    pub fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// Makes visible what was said since the last time. Its cost goes with how many are
    /// dirty, not with how many there are.
    pub fn refresh(&mut self) {
        for user_id in std::mem::take(&mut self.dirty) {
            let now = self.merged(user_id);
            if now.as_ref() == self.visible.get(&user_id) {
                continue;
            }
            let before = self.visible.remove(&user_id);
            if let Some(before) = &before {
                self.order.remove(&(Reverse(before.since), user_id));
            }
            if let Some(user) = now {
                self.order.insert((Reverse(user.since), user_id));
                self.visible.insert(user_id, user);
            }
            self.changed.entry(user_id).or_insert(before);
        }
    }

    /// The same, and what has changed since the last delta, which is this.
    pub fn take_delta(&mut self) -> Delta<Online> {
        self.refresh();
        let mut delta = Delta::default();
        for (user_id, before) in std::mem::take(&mut self.changed) {
            match (before, self.visible.get(&user_id)) {
                // Who joined and left meanwhile, and the other way round.
                (before, now) if before.as_ref() == now => {}
                (_, Some(user)) => delta.joined.push(user.clone()),
                (_, None) => delta.left.push(user_id),
            }
        }
        delta
    }

    /// Somebody by the words of all: since the earliest, under the newest name.
    fn merged(&self, user_id: i64) -> Option<Online> {
        let own = self.own.get(&user_id);
        let peers = self.peers.values().filter_map(|p| p.users.get(&user_id));
        let mut all = own.into_iter().chain(peers.map(|member| &member.user));
        let first = all.next()?.clone();
        Some(all.fold(first, |seen, other| Online {
            since: seen.since.min(other.since),
            ..seen
        }))
    }

    /// Somebody who is online, as everybody sees them.
    pub fn online(&self, user_id: i64) -> Option<&Online> {
        self.visible.get(&user_id)
    }

    /// How many are online.
    pub fn total(&self) -> usize {
        self.visible.len()
    }

    /// The newest `limit` of them, the newest first.
    pub fn newest(&self, limit: usize) -> impl Iterator<Item = &Online> {
        let ids = self.order.iter().take(limit);
        ids.filter_map(|(_, user_id)| self.visible.get(user_id))
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

    fn joined<T: Clone>(users: &[T]) -> Delta<T> {
        Delta {
            joined: users.to_vec(),
            left: Vec::new(),
        }
    }

    #[test]
    fn joining_and_leaving_within_one_delta_is_no_change() {
        let mut membership = Membership::default();
        membership.join(user(1, 1));
        membership.join(user(2, 2));
        membership.leave(2);
        assert_eq!(membership.take_delta(), joined(&[user(1, 1)]));
        membership.leave(1);
        membership.join(user(1, 1));
        assert!(membership.take_delta().is_empty());
        // The list was read meanwhile.
        membership.join(user(2, 2));
        membership.refresh();
        assert_eq!(membership.total(), 2);
        membership.leave(2);
        assert!(membership.take_delta().is_empty());
        assert_eq!(membership.total(), 1);
    }

    #[test]
    fn somebody_is_online_while_any_process_says_so() {
        let mut membership = Membership::default();
        membership.join(user(1, 5));
        membership.apply_snapshot("a", 7, vec![member(1, 3), member(2, 4)], at(0));
        membership.take_delta();
        let seen: Vec<_> = membership.newest(10).cloned().collect();
        assert_eq!(seen, [user(2, 4), user(1, 3)]);
        membership.leave(1);
        assert!(membership.take_delta().is_empty());
        membership.apply_snapshot("b", 1, vec![member(1, 3)], at(0));
        assert_eq!(membership.sockets_elsewhere(1), 4);
        membership.forget("b");
        assert!(membership.take_delta().is_empty());
        assert_eq!(
            (
                membership.sockets_elsewhere(1),
                membership.sockets_elsewhere(3)
            ),
            (2, 0)
        );
        membership.forget("a");
        let mut gone = membership.take_delta().left;
        gone.sort_unstable();
        assert_eq!((gone, membership.total()), (vec![1, 2], 0));
    }

    #[test]
    fn a_change_that_was_missed_is_asked_for() {
        let mut membership = Membership::default();
        assert!(membership.heartbeat("a", 3, at(0)));
        assert!(membership.apply_delta("a", 4, joined(&[member(1, 1)]), at(0)));
        membership.apply_snapshot("a", 4, vec![member(1, 1)], at(0));
        assert!(!membership.heartbeat("a", 4, at(0)));
        assert!(!membership.apply_delta("a", 5, joined(&[member(2, 2)]), at(0)));
        // The list was on its way when this was told.
        assert!(!membership.apply_delta("a", 5, joined(&[member(3, 3)]), at(0)));
        assert!(membership.apply_delta("a", 7, joined(&[member(4, 4)]), at(0)));
        assert!(membership.heartbeat("a", 7, at(0)));
        membership.take_delta();
        assert_eq!(membership.total(), 2);
        membership.apply_snapshot("a", 7, vec![member(4, 4)], at(0));
        membership.take_delta();
        assert_eq!(
            membership.newest(10).cloned().collect::<Vec<_>>(),
            [user(4, 4)]
        );
        // An older list that comes late says nothing.
        membership.apply_snapshot("a", 6, vec![], at(0));
        assert!(membership.take_delta().is_empty());
    }

    #[test]
    fn who_is_silent_is_forgotten_with_its_users_and_comes_back() {
        let mut membership = Membership::default();
        membership.apply_snapshot("a", 1, vec![member(1, 1)], at(0));
        membership.apply_snapshot("b", 1, vec![member(2, 2)], at(8));
        membership.take_delta();
        assert_eq!(membership.sockets_elsewhere(1), 2);
        membership.miss("a");
        assert_eq!(
            (
                membership.sockets_elsewhere(1),
                membership.sockets_elsewhere(2)
            ),
            (0, 2)
        );
        membership.forget_silent(at(5));
        assert_eq!(membership.take_delta().left, [1]);
        assert!(membership.heartbeat("a", 1, at(20)));
        membership.apply_snapshot("a", 1, vec![member(1, 1)], at(20));
        assert_eq!(membership.take_delta(), joined(&[user(1, 1)]));
        membership.forget_all();
        assert_eq!(membership.take_delta().left.len(), 2);
    }

    #[test]
    fn the_newest_come_first() {
        let mut membership = Membership::default();
        for n in 0..2000 {
            membership.join(user(n, n));
        }
        membership.take_delta();
        let newest: Vec<i64> = membership.newest(1000).map(|user| user.user_id).collect();
        assert_eq!(newest, (1000..2000).rev().collect::<Vec<_>>());
        assert_eq!(membership.total(), 2000);
    }
}
