//! What is served, and until when.

use std::pin::pin;

use super::*;
use crate::core::freshness::now;

#[actix_web::test]
async fn an_entry_serves_until_one_of_its_tags_is_invalidated() {
    let cache = cache();
    assert_eq!(body(&cache, async || found("old")).await, some("old"));
    assert_eq!(body(&cache, never).await, some("old"));
    cache.invalidate(&[]);
    assert_eq!(body(&cache, never).await, some("old"));
    cache.invalidate(&[post()]);
    assert!(cache.get(&1).is_none());
    assert_eq!(body(&cache, async || found("new")).await, some("new"));
    assert_eq!(body(&cache, never).await, some("new"));
}

#[actix_web::test]
async fn what_a_slow_reading_brings_after_a_change_is_for_nobody_else() {
    let cache = cache();
    let (tell, read) = slow();
    let mut reader = pin!(body(&cache, read));
    assert!(waits(reader.as_mut()).await);
    cache.invalidate(&[post()]);
    tell.send(found("old")).ok();
    // It began before the change, so the old state is an answer.
    assert_eq!(reader.await, some("old"));
    assert!(cache.get(&1).is_none());
    assert_eq!(body(&cache, async || found("new")).await, some("new"));
}

#[actix_web::test]
async fn what_is_kept_after_a_change_but_was_read_before_it_is_not_served() {
    let cache = cache();
    let read = cache.moment();
    cache.invalidate(&[post()]);
    let entry = Arc::new(Entry::new(parts("old"), vec![post()], read));
    cache.entries.insert(1, &entry);
    assert!(cache.get(&1).is_none());
}

#[actix_web::test]
async fn a_lifetime_counts_from_before_the_reading() {
    let clock = clock();
    let half = chrono::Duration::milliseconds(500);
    let cache: Cache<u32, Failure> = Cache::new(BOUND, Some(SECOND), clock.clone());
    let read = async || {
        clock.advance(half);
        found("first")
    };
    assert_eq!(body(&cache, read).await, some("first"));
    assert!(cache.get(&1).is_some());
    clock.advance(half);
    assert!(cache.get(&1).is_none());
}

#[actix_web::test]
async fn without_a_lifetime_nothing_ages() {
    let clock = clock();
    let cache: Cache<u32, Failure> = Cache::new(BOUND, None, clock.clone());
    assert_eq!(body(&cache, async || found("first")).await, some("first"));
    clock.advance(chrono::Duration::days(1000));
    assert_eq!(body(&cache, never).await, some("first"));
}

#[actix_web::test]
async fn what_was_read_alone_does_not_hold_in_company_nor_the_reverse() {
    let cache = cache();
    cache
        .find_or_fill(&1, async || found("alone"))
        .await
        .unwrap();
    assert!(cache.get(&1).is_some());
    cache.others_write(true, now());
    assert!(cache.get(&1).is_none());
    cache
        .find_or_fill(&1, async || found("in company"))
        .await
        .unwrap();
    assert!(cache.get(&1).is_some());
    cache.others_write(false, now());
    assert!(cache.get(&1).is_none());
    cache
        .find_or_fill(&1, async || found("alone again"))
        .await
        .unwrap();
    assert!(cache.get(&1).is_some());
}

#[actix_web::test]
async fn what_a_replica_said_is_as_old_as_its_moment_and_lives_longer_for_the_patient() {
    let clock = clock();
    let cache: Cache<u32, Failure> =
        Cache::new(BOUND, Some(SECOND), clock.clone()).replica_lifetime(5 * SECOND);
    let keep = |read: Moment| {
        let entry = Arc::new(Entry::new(parts("there"), vec![post()], read));
        cache.entries.insert(1, &entry);
    };
    let has = |patience| cache.get_by(&1, || patience).is_some();
    keep(cache.begin().of_replica());
    assert!(has(Patience::Long) && has(Patience::Short));
    clock.advance(chrono::Duration::seconds(4));
    assert!(has(Patience::Long) && !has(Patience::Short));
    assert!(cache.get(&1).is_none());
    clock.advance(chrono::Duration::seconds(1));
    assert!(!has(Patience::Long));
    // What the primary said is nobody's for longer.
    keep(cache.begin());
    clock.advance(chrono::Duration::seconds(1));
    assert!(!has(Patience::Long));
    // A change since the moment ends it, however late it is kept.
    let moment = cache.begin().of_replica();
    cache.invalidate(&[post()]);
    keep(moment);
    assert!(!has(Patience::Long));
}

#[actix_web::test]
async fn what_was_read_before_others_came_does_not_hold_when_they_are_gone() {
    let cache = cache();
    cache.others_write(false, now());
    assert_eq!(body(&cache, async || found("old")).await, some("old"));
    cache.others_write(false, now());
    assert_eq!(body(&cache, never).await, some("old"));
    // However short they were there.
    cache.others_write(true, now());
    cache.others_write(false, now());
    assert!(cache.get(&1).is_none());
}

#[actix_web::test]
async fn what_was_read_alone_is_stale_from_when_it_no_longer_was_so() {
    let clock = clock();
    let cache: Cache<u32, Failure> =
        Cache::new(BOUND, Some(SECOND), clock.clone()).stale_if_error(5 * SECOND);
    cache.others_write(false, now());
    assert_eq!(body(&cache, async || found("alone")).await, some("alone"));
    clock.advance(chrono::Duration::days(1));
    cache.others_write(false, now());
    assert_eq!(body(&cache, never).await, some("alone"));
    cache.others_write(true, now());
    assert!(cache.get(&1).is_none());
    let (_, age) = cache.stale(&1).expect("stale");
    assert!(age < 5 * SECOND, "{age:?}");
    // Of what was read before others came and went nobody knows since when it is old.
    cache.others_write(false, now());
    assert!(cache.stale(&1).is_none());
}
