//! Who waits for whom, and what they get.

use std::pin::pin;

use futures_util::FutureExt;
use futures_util::future::{join, join_all};

use super::*;

#[actix_web::test]
async fn a_joiner_does_not_take_what_expired_on_its_way() {
    let clock = clock();
    let cache: Cache<u32> = Cache::new(BOUND, Some(SECOND), clock.clone());
    let (tell, read) = slow();
    let mut first = pin!(body(&cache, read));
    let mut joiner = pin!(body(&cache, async || found("young")));
    assert!(waits(first.as_mut()).await);
    assert!(waits(joiner.as_mut()).await);
    clock.advance(chrono::Duration::seconds(1));
    tell.send(found("expired")).ok();
    assert_eq!(join(first, joiner).await, (some("expired"), some("young")));
}

#[actix_web::test]
async fn a_hundred_at_once_are_one_filling() {
    let cache = cache();
    let fillings = Cell::new(0);
    let read = async || {
        fillings.set(fillings.get() + 1);
        tokio::task::yield_now().await;
        found("one")
    };
    for answer in join_all((0..100).map(|_| body(&cache, read))).await {
        assert_eq!(answer, some("one"));
    }
    assert_eq!(fillings.get(), 1);
    assert_eq!(cache.flights.count(), 0);
}

#[actix_web::test]
async fn those_who_look_for_what_is_not_there_wait_together() {
    let cache = cache();
    let fillings = Cell::new(0);
    let read = async || {
        fillings.set(fillings.get() + 1);
        tokio::task::yield_now().await;
        absent()
    };
    for answer in join_all((0..100).map(|_| body(&cache, read))).await {
        assert_eq!(answer, Ok(None));
    }
    assert_eq!(fillings.get(), 1);
    // It is not remembered.
    assert_eq!(body(&cache, async || found("now")).await, some("now"));
}

#[actix_web::test]
async fn who_joins_after_a_change_gets_what_is_read_after_it() {
    for old in [found("old"), absent(), Err(Error::new(Code::Unavailable))] {
        let cache = cache();
        let (tell, read) = slow();
        let mut first = pin!(body(&cache, read));
        assert!(waits(first.as_mut()).await);
        cache.changed(&[post()]);
        let mut joiner = pin!(body(&cache, async || found("new")));
        assert!(waits(joiner.as_mut()).await);
        tell.send(old).ok();
        let (before, after) = join(first, joiner).await;
        assert_ne!(before, some("new"));
        assert_eq!(after, some("new"));
        assert_eq!(cache.flights.count(), 0);
    }
}

#[actix_web::test]
async fn who_joins_after_a_change_of_something_else_takes_what_is_on_its_way() {
    let cache = cache();
    let (tell, read) = slow();
    let mut first = pin!(body(&cache, read));
    assert!(waits(first.as_mut()).await);
    cache.changed(&[Source::of(&"something else")]);
    let mut joiner = pin!(body(&cache, never));
    assert!(waits(joiner.as_mut()).await);
    // What was read does not depend on what was changed.
    tell.send(found("same")).ok();
    assert_eq!(join(first, joiner).await, (some("same"), some("same")));
}

#[actix_web::test]
async fn after_two_vain_flights_one_reads_for_itself() {
    let clock = clock();
    let cache: Cache<u32> = Cache::new(BOUND, Some(SECOND), clock.clone());
    let ((tell_first, read_first), (tell_second, read_second)) = (slow(), slow());
    let mut first = pin!(body(&cache, read_first));
    assert!(waits(first.as_mut()).await);
    cache.changed(&[post()]);
    let mut joiner = pin!(body(&cache, async || found("own")));
    assert!(waits(joiner.as_mut()).await);
    tell_first.send(found("changed")).ok();
    assert_eq!(first.await, some("changed"));
    // Another one is quicker to begin the next flight, at the same time by the clock.
    let mut second = pin!(body(&cache, read_second));
    assert!(waits(second.as_mut()).await);
    assert!(waits(joiner.as_mut()).await);
    clock.advance(chrono::Duration::seconds(1));
    tell_second.send(found("expired")).ok();
    assert_eq!(second.await, some("expired"));
    assert_eq!(joiner.await, some("own"));
}

#[actix_web::test]
async fn when_who_fills_is_dropped_another_one_fills() {
    let cache = cache();
    let (_tell, read) = slow();
    let mut gone = Box::pin(body(&cache, read));
    assert!(waits(gone.as_mut()).await);
    let waiters = join_all((0..3).map(|_| body(&cache, async || found("theirs"))));
    let mut waiters = pin!(waiters);
    assert!(waits(waiters.as_mut()).await);
    drop(gone);
    for answer in waiters.await {
        assert_eq!(answer, some("theirs"));
    }
    assert_eq!(cache.flights.count(), 0);
}

#[actix_web::test]
async fn when_all_are_dropped_nothing_is_left() {
    let cache = cache();
    let (_tell, read) = slow();
    let mut gone = Box::pin(body(&cache, read));
    assert!(waits(gone.as_mut()).await);
    let mut also_gone = Box::pin(body(&cache, never));
    assert!(waits(also_gone.as_mut()).await);
    drop(also_gone);
    drop(gone);
    assert_eq!(cache.flights.count(), 0);
    assert_eq!(body(&cache, async || found("later")).await, some("later"));
}

#[actix_web::test]
async fn a_failure_is_for_all_who_wait_and_not_kept() {
    let cache = cache();
    let fillings = Cell::new(0);
    let read = async || {
        fillings.set(fillings.get() + 1);
        tokio::task::yield_now().await;
        Err(Error {
            cause: Some(crate::error::Cause::new("gone away").into()),
            ..Error::new(Code::Unavailable)
        })
    };
    let all = join_all((0..100).map(|_| cache.find_or_fill(&1, read))).await;
    for answer in all {
        let error = answer.err().unwrap();
        assert_eq!(error.code, Code::Unavailable);
        assert_eq!(error.cause.unwrap().text, "gone away");
    }
    assert_eq!(fillings.get(), 1);
    assert_eq!(body(&cache, async || found("back")).await, some("back"));
}

#[actix_web::test]
async fn a_panic_hangs_nobody() {
    let cache = cache();
    let panics = std::panic::AssertUnwindSafe(body(&cache, async || {
        tokio::task::yield_now().await;
        panic!("in the filling")
    }));
    let waiters = join_all((0..3).map(|_| body(&cache, async || found("theirs"))));
    let (panicked, answers) = join(panics.catch_unwind(), waiters).await;
    assert!(panicked.is_err());
    for answer in answers {
        assert_eq!(answer, some("theirs"));
    }
    assert_eq!(cache.flights.count(), 0);
}
