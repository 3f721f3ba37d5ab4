//! What the sockets of this process are sent.
//!
//! Changes are batched: the first is sent at once, what comes within the next quarter of a
//! second together. Each frame is serialized once for all sockets, and so is the snapshot
//! for all who joined with it.

use std::time::Duration;

use chrono::NaiveDateTime;

use super::{Hub, Subscription};
use crate::presence::frames;
use crate::presence::membership::{Delta, Member, Online};

/// For how long changes are batched.
const BATCH_TIME: Duration = Duration::from_millis(250);
/// How many of those who are online a list has.
pub const MAX_LISTED: usize = 1000;
/// How many who left at once a change has; with more, or more than a list has who joined,
/// a snapshot is sent instead: a socket costs no more however many there are.
const MAX_LEFT: usize = 10_000;

impl Hub {
    /// Who is online now: how many, the newest of them, and whether others are missing.
    pub fn list<T>(&self, read: impl FnOnce(usize, Vec<&Online>, bool) -> T) -> T {
        let mut state = self.lock();
        // What nobody was sent yet is true already.
        state.membership.refresh();
        let online = state.membership.newest(MAX_LISTED).collect();
        read(state.membership.total(), online, state.is_partial)
    }

    /// Since when each of these users is online, `None` for who is not; and whether others are
    /// missing.
    pub fn online_since(&self, user_ids: &[i64]) -> (Vec<Option<NaiveDateTime>>, bool) {
        let mut state = self.lock();
        state.membership.refresh();
        let since = |user_id: &i64| Some(state.membership.online(*user_id)?.since);
        (user_ids.iter().map(since).collect(), state.is_partial)
    }

    /// Sends every socket what has changed; gives what other processes are to be sent.
    fn broadcast(&self) -> Option<(u64, Delta<Member>)> {
        let mut guard = self.lock();
        let state = &mut *guard;
        let delta = state.membership.take_delta();
        let (total, partial) = (state.membership.total(), state.is_partial);
        let frames = state.frames.as_ref()?;
        let is_news = !delta.is_empty() || state.was_partial != partial;
        state.was_partial = partial;
        let is_large = delta.joined.len() > MAX_LISTED || delta.left.len() > MAX_LEFT;
        let snapshot = || {
            let online = state.membership.newest(MAX_LISTED).collect();
            frames::snapshot(total, online, partial)
        };
        let snapshot = (is_large || !state.awaiting_snapshot.is_empty()).then(snapshot);
        if is_news {
            let frame = match &snapshot {
                Some(snapshot) if is_large => snapshot.clone(),
                _ => frames::change(total, &delta, partial),
            };
            // Nobody may be there to receive it.
            let _ = frames.send(frame);
        }
        if let Some(snapshot) = snapshot {
            for socket in std::mem::take(&mut state.awaiting_snapshot) {
                // It may have gone meanwhile.
                let _ = socket.send(Subscription {
                    snapshot: snapshot.clone(),
                    frames: frames.subscribe(),
                });
            }
        }
        let mut own = Delta::default();
        for user_id in std::mem::take(&mut state.unsent) {
            match state.membership.own(user_id) {
                Some(user) => own.joined.push(state.member(user)),
                None => own.left.push(user_id),
            }
        }
        if own.is_empty() {
            return None;
        }
        state.version += 1;
        Some((state.version, own))
    }

    /// Sends changes for as long as the server runs; `send` has those for other processes.
    pub async fn run(&self, send: impl Fn(u64, Delta<Member>)) {
        loop {
            self.changed.notified().await;
            if let Some((version, delta)) = self.broadcast() {
                send(version, delta);
            }
            tokio::time::sleep(BATCH_TIME).await;
        }
    }
}
