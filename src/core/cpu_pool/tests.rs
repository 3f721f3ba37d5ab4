use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::sync::mpsc;
use std::time::Duration;

use futures_util::future::{join, join_all};

use super::queue::{ADDRESS_WAITING, LONGEST_WAIT, SUBJECT_WAITING};
use super::*;

const NOW: Duration = Duration::from_secs(1_000);
const MOMENT: Duration = Duration::from_micros(1);

fn address(n: u8) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, n).into()
}

fn ann() -> Requester {
    Requester::about(address(1), "ann")
}

/// Everything that is done at `now`, in its order.
fn drain<T>(queue: &mut FairQueue<T>, now: Duration) -> Vec<T> {
    std::iter::from_fn(|| queue.pop(now).0).collect()
}

#[test]
fn addresses_are_served_in_turn() {
    let mut queue = FairQueue::new(Bounds::of(100));
    for n in 0..4 {
        queue.push(&ann(), format!("ann {n}"), NOW).unwrap();
    }
    queue
        .push(&Requester::at(address(2)), "bob 0".to_owned(), NOW)
        .unwrap();
    queue
        .push(
            &Requester::about(address(3), "dora"),
            "dora 0".to_owned(),
            NOW,
        )
        .unwrap();
    queue
        .push(&Requester::at(address(2)), "bob 1".to_owned(), NOW)
        .unwrap();
    let order = [
        "ann 0", "bob 0", "dora 0", "ann 1", "bob 1", "ann 2", "ann 3",
    ];
    assert_eq!(drain(&mut queue, NOW), order);
    assert!(queue.is_empty());
}

#[test]
fn who_is_done_and_comes_again_stands_behind_the_others() {
    let mut queue = FairQueue::new(Bounds::of(100));
    queue.push(&ann(), 1, NOW).unwrap();
    queue.push(&Requester::at(address(2)), 2, NOW).unwrap();
    assert_eq!(queue.pop(NOW).0, Some(1));
    queue.push(&ann(), 3, NOW).unwrap();
    assert_eq!(drain(&mut queue, NOW), [2, 3]);
}

#[test]
fn a_subject_has_few_places_wherever_it_is_tried_from() {
    let mut queue = FairQueue::new(Bounds::of(100));
    let tried = |n: u8| Requester::about(address(n), "ann");
    for n in 0..4 {
        queue.push(&tried(n), n, NOW).unwrap();
    }
    assert_eq!(SUBJECT_WAITING, 4);
    assert_eq!(queue.push(&tried(9), 9, NOW).unwrap_err(), 9);
    // Another at the same address has theirs.
    queue
        .push(&Requester::about(address(0), "bob"), 5, NOW)
        .unwrap();
    // One that is taken up makes room.
    assert_eq!(queue.pop(NOW).0, Some(0));
    queue.push(&tried(9), 10, NOW).unwrap();
    assert_eq!(queue.push(&tried(9), 9, NOW).unwrap_err(), 9);
}

#[test]
fn an_address_has_some_places_whatever_it_tries() {
    let mut queue = FairQueue::new(Bounds::of(100));
    let tried = |n: usize| Requester::about(address(1), &format!("subject {n}"));
    for n in 0..ADDRESS_WAITING {
        queue.push(&tried(n), n, NOW).unwrap();
    }
    assert!(queue.push(&tried(99), 99, NOW).is_err());
    assert!(queue.push(&Requester::at(address(1)), 99, NOW).is_err());
    queue.push(&Requester::at(address(2)), 99, NOW).unwrap();
}

#[test]
fn without_limits_places_are_anybodys() {
    let mut queue = FairQueue::new(Bounds::for_anybody(100));
    for n in 0..100 {
        queue.push(&ann(), n, NOW).unwrap();
    }
    assert!(queue.push(&ann(), 100, NOW).is_err());
}

#[test]
fn a_network_of_ipv6_is_one_address() {
    let at = |text: &str| Requester::at(text.parse().unwrap());
    assert_eq!(at("2001:db8::1"), at("2001:db8::ffff:1"));
    assert_ne!(at("2001:db8::1"), at("2001:db8:0:1::1"));
    assert_eq!(at("::ffff:192.0.2.1"), at("192.0.2.1"));
}

#[test]
fn when_all_is_full_the_newest_of_the_longest_lane_gives_way_to_a_shorter_one() {
    let mut queue = FairQueue::new(Bounds::of(6));
    for n in 0..4 {
        queue.push(&Requester::at(address(1)), (1, n), NOW).unwrap();
    }
    for n in 0..2 {
        queue.push(&Requester::at(address(2)), (2, n), NOW).unwrap();
    }
    // Its own is the longest, or would be as long.
    assert!(queue.push(&Requester::at(address(1)), (1, 9), NOW).is_err());
    let (_, displaced) = queue.push(&Requester::at(address(3)), (3, 0), NOW).unwrap();
    assert_eq!(displaced, Some((1, 3)));
    assert!(queue.push(&Requester::at(address(2)), (2, 9), NOW).is_err());
    let (_, displaced) = queue.push(&Requester::at(address(4)), (4, 0), NOW).unwrap();
    assert_eq!(displaced, Some((1, 2)));
    // Six lanes of one each are all as short as they can be.
    for n in 5..7 {
        let (_, displaced) = queue.push(&Requester::at(address(n)), (n, 0), NOW).unwrap();
        assert!(displaced.is_some());
    }
    assert!(queue.push(&Requester::at(address(7)), (7, 0), NOW).is_err());
    assert_eq!(
        drain(&mut queue, NOW),
        [(1, 0), (2, 0), (3, 0), (4, 0), (5, 0), (6, 0)]
    );
}

#[test]
fn who_waited_too_long_is_refused() {
    let mut queue = FairQueue::new(Bounds::of(100));
    let (now, late) = (NOW + MOMENT, NOW + MOMENT + LONGEST_WAIT);
    for n in 0..3 {
        queue.push(&ann(), n, now).unwrap();
    }
    let bob = Requester::at(address(2));
    queue.push(&bob, 3, now).unwrap();
    queue.push(&bob, 4, now + MOMENT).unwrap();
    assert_eq!(queue.pop(NOW + LONGEST_WAIT), (Some(0), vec![]));
    let (next, refused) = queue.pop(late);
    assert_eq!((next, refused), (Some(4), vec![3, 1, 2]));
    // And their places are free.
    assert_eq!((queue.len(), queue.pop(late)), (0, (None, vec![])));
    for n in 0..4 {
        queue.push(&ann(), n, late).unwrap();
    }
}

#[test]
fn who_leaves_counts_for_nothing() {
    let mut queue = FairQueue::new(Bounds::of(100));
    let mut tickets: VecDeque<_> = (0..4)
        .map(|n| queue.push(&ann(), n, NOW).unwrap().0)
        .collect();
    let second = tickets.remove(1).unwrap();
    assert_eq!(queue.remove(&second), Some(1));
    assert_eq!(queue.remove(&second), None);
    queue.push(&ann(), 4, NOW).unwrap();
    assert_eq!(queue.pop(NOW).0, Some(0));
    // What was taken up is not to be had back.
    assert_eq!(queue.remove(&tickets[0]), None);
    assert_eq!(drain(&mut queue, NOW), [2, 3, 4]);
    assert_eq!(queue.len(), 0);
}

/// A pool of one thread, which is busy until something is sent.
async fn busy(clock: &Clock) -> (CpuPool, mpsc::Sender<()>) {
    let pool = CpuPool::start(1, clock.clone(), true).unwrap();
    let (release, released) = mpsc::channel::<()>();
    let (begun, has_begun) = oneshot::channel();
    let busy = pool.clone();
    tokio::spawn(async move {
        let work = move || {
            begun.send(()).unwrap();
            let _ = released.recv();
        };
        busy.run(&Requester::operator(), work).await.unwrap();
    });
    has_begun.await.unwrap();
    (pool, release)
}

fn clock() -> Clock {
    Clock::by_hand(chrono::DateTime::UNIX_EPOCH)
}

#[tokio::test]
async fn what_does_not_fit_is_refused_at_once_and_the_rest_is_done() {
    let (pool, release) = busy(&clock()).await;
    let who = ann();
    let eight = join_all((0..8).map(|n| pool.run(&who, move || n)));
    let other = Requester::at(address(2));
    let bob = async {
        assert_eq!(pool.waiting(), SUBJECT_WAITING);
        let bob = pool.run(&other, || "bob");
        release.send(()).unwrap();
        bob.await
    };
    let (eight, bob) = join(eight, bob).await;
    assert_eq!(bob, Ok("bob"));
    let refused = Err(PoolError::Overloaded);
    assert_eq!(eight[..4], [Ok(0), Ok(1), Ok(2), Ok(3)]);
    assert_eq!(eight[4..], [refused, refused, refused, refused]);
}

#[tokio::test]
async fn what_waited_too_long_is_refused_and_not_done() {
    let clock = clock();
    let (pool, release) = busy(&clock).await;
    let who = ann();
    let all = join_all((0..3).map(|n| pool.run(&who, move || n)));
    let later = async {
        clock.advance(chrono::TimeDelta::from_std(LONGEST_WAIT).unwrap());
        let later = pool.run(&who, || 9);
        release.send(()).unwrap();
        later.await
    };
    let (all, later) = join(all, later).await;
    assert_eq!(all, [Err(PoolError::Overloaded); 3]);
    assert_eq!(later, Ok(9));
    assert_eq!(pool.done(), 2);
}

#[tokio::test]
async fn what_nobody_waits_for_leaves_the_queue() {
    let (pool, release) = busy(&clock()).await;
    let who = ann();
    {
        let all = join_all((0..4).map(|n| pool.run(&who, move || n)));
        let polled = futures_util::future::select(all, std::future::ready(())).await;
        assert_eq!(pool.waiting(), SUBJECT_WAITING);
        drop(polled);
    }
    assert_eq!(pool.waiting(), 0);
    let after = pool.run(&who, || "after");
    release.send(()).unwrap();
    assert_eq!(after.await, Ok("after"));
    assert_eq!(pool.done(), 2);
}

#[tokio::test]
async fn work_that_panics_is_lost_alone() {
    let pool = CpuPool::start(1, clock(), true).unwrap();
    let who = ann();
    let panics = pool.run(&who, || panic!("at work"));
    let lost: Result<(), PoolError> = panics.await;
    assert!(matches!(lost, Err(PoolError::Lost(_))));
    assert_eq!(pool.run(&who, || 1).await, Ok(1));
}

#[test]
fn there_are_as_many_threads_as_can_be_without_stopping_others() {
    let threads =
        |processors| [true, false].map(|gives_way| priority::threads(processors, gives_way));
    assert_eq!(threads(8), [8, 4]);
    assert_eq!(threads(3), [3, 1]);
    assert_eq!(threads(1), [1, 1]);
}

/// Every thread, not only the first; and no other thread of the process.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn costly_work_has_a_lower_priority_than_all_else() {
    use rustix::process::getpriority_process;

    let pool = CpuPool::start(4, clock(), true).unwrap();
    let own = getpriority_process(None).unwrap();
    let barrier = std::sync::Arc::new(std::sync::Barrier::new(pool.threads()));
    let asked = (0..pool.threads()).map(|n| {
        let barrier = std::sync::Arc::clone(&barrier);
        let at = Requester::at(address(u8::try_from(n).unwrap()));
        let pool = pool.clone();
        async move {
            let work = move || {
                barrier.wait();
                getpriority_process(None).unwrap()
            };
            pool.run(&at, work).await.unwrap()
        }
    });
    let theirs = join_all(asked).await;
    assert!(
        theirs.iter().all(|one| *one == (own + 10).min(19)),
        "{theirs:?}"
    );
    assert_eq!(getpriority_process(None).unwrap(), own);
}
