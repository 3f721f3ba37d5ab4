//! Work that takes a processor for tens of milliseconds and memory by the ten megabytes: long texts
//! that are rendered, cut into words or compressed. It runs on the blocking pool, which the database's
//! work shares, so that only so much of it is done at once as there are processors; the rest waits
//! as tasks, which hold no thread. What reads and what users write have places of their own. A user has
//! few, so that nobody waits for what another asks for again and again.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::gather::Refused;
use super::settings::processors;

/// What waits at most, of all users, or of all readers.
const WAITING: usize = 512;
/// What is waiting or under way of one user at most: at a quarter of a second each, the longest texts
/// of one user keep others waiting for two seconds on two processors.
const OF_ONE: usize = 16;
/// How long anything waits.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

static OF_READERS: LazyLock<Places> = LazyLock::new(|| Places::new(processors()));
static OF_WRITERS: LazyLock<Places> = LazyLock::new(|| Places::new(processors()));

/// Does what a reader waits for.
pub async fn read<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refused> {
    OF_READERS.run(None, work).await
}

/// Does what a user asks for.
pub async fn write<T: Send + 'static>(
    user_id: i64,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refused> {
    OF_WRITERS.run(Some(user_id), work).await
}

/// All places of readers, for a test of what becomes of who finds none.
#[cfg(test)]
pub async fn take_places_of_readers() -> Option<tokio::sync::SemaphorePermit<'static>> {
    let all = u32::try_from(processors().max(2)).ok()?;
    OF_READERS.running.acquire_many(all).await.ok()
}

/// Places for work of one kind.
struct Places {
    running: Semaphore,
    /// Who is here, with how much; readers together.
    present: Mutex<HashMap<Option<i64>, usize>>,
}

impl Places {
    fn new(at_once: usize) -> Self {
        Self {
            running: Semaphore::new(at_once.max(2)),
            present: Mutex::default(),
        }
    }

    async fn run<T: Send + 'static>(
        &'static self,
        who: Option<i64>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refused> {
        let presence = self.come(who).ok_or(Refused::Busy)?;
        // Nobody closes it; and too late is too late.
        let Ok(Ok(place)) = timeout(LONGEST_WAIT, self.running.acquire()).await else {
            return Err(Refused::Busy);
        };
        // The work goes on when its client has gone, and so it keeps its places.
        let held = move || {
            let _held = (place, presence);
            work()
        };
        tokio::task::spawn_blocking(held)
            .await
            .map_err(|_| Refused::Panicked)
    }

    /// Takes a place to wait at, if there is one.
    fn come(&'static self, who: Option<i64>) -> Option<Presence> {
        let mut present = self.lock();
        let all: usize = present.values().sum();
        let own = present.entry(who).or_default();
        if all >= WAITING || who.is_some() && *own >= OF_ONE {
            return None;
        }
        *own += 1;
        Some(Presence { places: self, who })
    }

    /// A poisoned lock has nothing half done behind it.
    fn lock(&self) -> MutexGuard<'_, HashMap<Option<i64>, usize>> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who waits or is served; gone when dropped.
struct Presence {
    places: &'static Places,
    who: Option<i64>,
}

impl Drop for Presence {
    fn drop(&mut self) {
        let mut present = self.places.lock();
        if let Some(own) = present.get_mut(&self.who) {
            *own -= 1;
            if *own == 0 {
                present.remove(&self.who);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Condvar};

    use futures_util::future::join_all;

    use super::*;

    fn places(at_once: usize) -> &'static Places {
        Box::leak(Box::new(Places::new(at_once)))
    }

    /// Holds up whoever goes through, until it is opened.
    #[derive(Default)]
    struct Barrier {
        is_open: Mutex<bool>,
        opened: Condvar,
        inside: AtomicUsize,
        most: AtomicUsize,
    }

    impl Barrier {
        fn pass(&self) {
            let inside = self.inside.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(inside, Ordering::SeqCst);
            let guard = self.is_open.lock().unwrap();
            drop(self.opened.wait_while(guard, |is_open| !*is_open).unwrap());
            self.inside.fetch_sub(1, Ordering::SeqCst);
        }

        fn open(&self) {
            *self.is_open.lock().unwrap() = true;
            self.opened.notify_all();
        }
    }

    #[tokio::test]
    async fn no_more_is_done_at_once_than_there_are_places() {
        let (places, barrier) = (places(3), Arc::new(Barrier::default()));
        let of = |user_id| {
            let barrier = Arc::clone(&barrier);
            tokio::spawn(places.run(Some(user_id), move || barrier.pass()))
        };
        let users: Vec<_> = (0..100).map(of).collect();
        while barrier.inside.load(Ordering::SeqCst) < 3 {
            tokio::task::yield_now().await;
        }
        barrier.open();
        for done in join_all(users).await {
            assert_eq!(done.unwrap(), Ok(()));
        }
        assert_eq!(barrier.most.load(Ordering::SeqCst), 3);
        assert!(places.lock().is_empty());
    }

    #[tokio::test]
    async fn a_user_has_few_places_and_others_have_theirs() {
        let (places, barrier) = (places(2), Arc::new(Barrier::default()));
        let of = |who| {
            let barrier = Arc::clone(&barrier);
            tokio::spawn(places.run(who, move || barrier.pass()))
        };
        let first: Vec<_> = (0..OF_ONE).map(|_| of(Some(1))).collect();
        while places.lock().get(&Some(1)) != Some(&OF_ONE) {
            tokio::task::yield_now().await;
        }
        assert_eq!(of(Some(1)).await.unwrap(), Err(Refused::Busy));
        let others: Vec<_> = (OF_ONE..WAITING)
            .map(|n| of((n % 2 == 0).then_some(2 + i64::try_from(n).unwrap())))
            .collect();
        while places.lock().values().sum::<usize>() < WAITING {
            tokio::task::yield_now().await;
        }
        assert_eq!(of(Some(0)).await.unwrap(), Err(Refused::Busy));
        // Who gives up leaves at once.
        let mut others = others.into_iter();
        let leaver = others.next_back().unwrap();
        leaver.abort();
        assert!(leaver.await.unwrap_err().is_cancelled());
        assert_eq!(places.lock().values().sum::<usize>(), WAITING - 1);
        barrier.open();
        for done in join_all(first.into_iter().chain(others)).await {
            assert_eq!(done.unwrap(), Ok(()));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_too_long_is_refused() {
        let places = places(2);
        let _taken = places.running.acquire_many(2).await.unwrap();
        assert_eq!(places.run(Some(1), || ()).await, Err(Refused::Busy));
        assert!(places.lock().is_empty());
    }

    #[tokio::test]
    async fn what_panics_leaves_its_place() {
        let places = places(2);
        let done = places.run(None, || panic!("as it was told")).await;
        assert_eq!(done, Err::<(), _>(Refused::Panicked));
        assert!(places.lock().is_empty());
        assert_eq!(places.run(None, || 7).await, Ok(7));
    }
}
