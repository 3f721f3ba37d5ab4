use std::net::{Ipv4Addr, Ipv6Addr};

use futures_util::FutureExt;

use super::local::{KEPT_BUCKETS, KEPT_REFUSALS};
use super::*;

const OWNER: &str = "ann@example.org";

const SLOW: Limit = Limit::new("slow", 0, 20, Duration::from_secs(15));
const QUICK: Limit = Limit::new("quick", 1, 120, Duration::from_millis(500));
const ACCOUNT: SubjectLimit = SubjectLimit::new(
    ("account", "refusal"),
    (10, Duration::from_secs(6)),
    (Duration::from_secs(30), Duration::from_secs(120)),
);

fn limits() -> (RateLimits, Clock) {
    let clock = Clock::by_hand(Clock::system().now().and_utc());
    (RateLimits::new(true, &clock, None, b"").unwrap(), clock)
}

/// Without Redis nothing waits for anything.
fn at_once<T>(checked: impl Future<Output = T>) -> T {
    checked.now_or_never().unwrap()
}

fn address(number: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(number))
}

fn parsed(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// How long a try has to wait; zero when it may go on.
fn wait(limits: &RateLimits, from: u32) -> u64 {
    match at_once(limits.check_subject(&ACCOUNT, &OWNER, address(from))) {
        Decision::Allowed => 0,
        Decision::Limited(refused) => refused.retry_after.as_secs(),
    }
}

/// One try from each of two hundred addresses.
fn hammer(limits: &RateLimits) {
    for from in 1000..1200 {
        wait(limits, from);
    }
}

fn seconds(number: i64) -> chrono::Duration {
    chrono::Duration::seconds(number)
}

#[test]
fn each_limit_has_its_burst_and_its_pace() {
    for (limit, burst, pace) in [(SLOW, 20, 15_000), (QUICK, 120, 500)] {
        let (limits, clock) = limits();
        let check = || at_once(limits.check_address(&limit, address(1)));
        for _ in 0..burst {
            check().unwrap();
        }
        let refused = check().unwrap_err();
        assert_eq!(refused.retry_after, Duration::from_millis(pace));
        // A refused try costs nothing.
        clock.advance(chrono::Duration::milliseconds(
            i64::try_from(pace).unwrap() - 1,
        ));
        check().unwrap_err();
        clock.advance(chrono::Duration::milliseconds(1));
        check().unwrap();
        check().unwrap_err();
        at_once(limits.check_address(&limit, address(2))).unwrap();
    }
}

#[test]
fn limits_do_not_share_their_buckets() {
    let (limits, _) = limits();
    for _ in 0..20 {
        at_once(limits.check_address(&SLOW, address(1))).unwrap();
    }
    at_once(limits.check_address(&SLOW, address(1))).unwrap_err();
    at_once(limits.check_address(&QUICK, address(1))).unwrap();
    let other = SubjectLimit::new(
        ("other", "other refusal"),
        (1, Duration::from_secs(6)),
        (Duration::from_secs(30), Duration::from_secs(120)),
    );
    let try_other = || at_once(limits.check_subject(&other, &OWNER, address(1)));
    assert!(matches!(try_other(), Decision::Allowed));
    assert!(matches!(try_other(), Decision::Limited(_)));
    assert_eq!(wait(&limits, 1), 0);
}

#[test]
fn a_subscriber_is_an_ipv4_address_or_a_64_of_ipv6() {
    for (one, other, same) in [
        ("192.0.2.1", "192.0.2.2", false),
        ("192.0.2.1", "::ffff:192.0.2.1", true),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", true),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", false),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", false),
    ] {
        assert_eq!(
            subscriber(parsed(one)) == subscriber(parsed(other)),
            same,
            "{one} {other}"
        );
    }
}

#[test]
fn a_site_of_ipv6_has_four_times_what_a_subscriber_has() {
    let check = |limits: &RateLimits, text: &str| {
        at_once(limits.check_address(&SLOW, parsed(text))).is_ok()
    };
    // From a thousand /64 of one /48, four of each /56.
    let (limits, _) = limits();
    let passed = (0..1000)
        .filter(|n| check(&limits, &format!("2001:db8:1:{:x}::1", n * 64)))
        .count();
    assert_eq!(passed, 80);
    assert!(check(&limits, "2001:db8:2::1"));
    // And of one /56.
    let passed = (0..200)
        .filter(|n| check(&limits, &format!("2001:db8:3:{n:x}::1")))
        .count();
    assert_eq!(passed, 40);
    assert!(check(&limits, "2001:db8:3:100::1"));
}

#[test]
fn a_site_of_ipv6_waits_as_one_address() {
    let (limits, clock) = limits();
    hammer(&limits);
    let tried = |n: u32| {
        let from = parsed(&format!("2001:db8:1:{n:x}::1"));
        let decision = at_once(limits.check_subject(&ACCOUNT, &OWNER, from));
        matches!(decision, Decision::Allowed)
    };
    assert!((0..1000).all(|n| !tried(n)));
    clock.advance(seconds(30));
    hammer(&limits);
    assert_eq!((0..1000).filter(|n| tried(*n)).count(), 1);
}

#[test]
fn an_account_can_be_tried_ten_times_and_then_ten_times_a_minute() {
    let (limits, clock) = limits();
    for number in 0..10 {
        assert_eq!(wait(&limits, number), 0);
    }
    assert_eq!(wait(&limits, 10), 30);
    clock.advance(seconds(6));
    assert_eq!(wait(&limits, 11), 0);
    assert_eq!(wait(&limits, 11), 30);
    assert!(matches!(
        at_once(limits.check_subject(&ACCOUNT, &"ben@example.org", address(11))),
        Decision::Allowed
    ));
}

#[test]
fn an_owner_whose_account_is_hammered_waits_half_a_minute_at_most() {
    let (limits, clock) = limits();
    let hammer = || hammer(&limits);
    hammer();
    assert_eq!(wait(&limits, 1), 30);
    for left in [20, 10] {
        clock.advance(seconds(10));
        hammer();
        assert_eq!(wait(&limits, 1), left);
    }
    clock.advance(seconds(10));
    hammer();
    assert_eq!(wait(&limits, 1), 0);
    // Once; then its wait begins anew.
    assert_eq!(wait(&limits, 1), 30);
}

#[test]
fn an_attacker_gets_passes_from_each_address_and_four_hundred_in_all() {
    let (limits, clock) = limits();
    let tries = || {
        (1000..1200)
            .filter(|from| wait(&limits, *from) == 0)
            .count()
    };
    assert_eq!(tries(), 10);
    assert_eq!(tries(), 0);
    // Two minutes at a request a second from each of the 200.
    let mut all = 0;
    for _ in 0..120 {
        clock.advance(seconds(1));
        all += tries();
    }
    assert!(all <= 20 + 400 + 1, "{all}");
    // An address that was never refused is not let through at once.
    assert_eq!(wait(&limits, 1), 30);
}

#[test]
fn a_wait_that_is_over_for_long_begins_anew() {
    let (limits, clock) = limits();
    for (pause, expected) in [(120, 0), (121, 30)] {
        hammer(&limits);
        let from = u32::try_from(pause).unwrap();
        assert_eq!(wait(&limits, from), 30);
        clock.advance(seconds(pause));
        hammer(&limits);
        assert_eq!(wait(&limits, from), expected, "{pause}");
    }
}

#[test]
fn a_success_fills_the_bucket() {
    let (limits, _) = limits();
    for _ in 0..9 {
        assert_eq!(wait(&limits, 1), 0);
    }
    at_once(limits.succeeded(&ACCOUNT, &OWNER));
    for _ in 0..10 {
        assert_eq!(wait(&limits, 1), 0);
    }
    assert_eq!(wait(&limits, 1), 30);
    at_once(limits.succeeded(&ACCOUNT, &"ben@example.org"));
    assert_eq!(wait(&limits, 1), 30);
}

#[test]
fn a_refusal_that_is_waived_did_not_happen() {
    let (limits, clock) = limits();
    for _ in 0..10 {
        assert_eq!(wait(&limits, 1), 0);
    }
    let Decision::Limited(refused) = at_once(limits.check_subject(&ACCOUNT, &OWNER, address(1)))
    else {
        panic!("the bucket is empty");
    };
    at_once(limits.waive(&refused));
    clock.advance(seconds(5));
    assert_eq!(wait(&limits, 1), 30);
    let error = LimitExceeded::from(refused);
    assert_eq!(error.retry_after, ACCOUNT.wait());
}

#[test]
fn when_they_are_off_nothing_is_limited() {
    let clock = Clock::by_hand(Clock::system().now().and_utc());
    let limits = RateLimits::new(false, &clock, None, b"").unwrap();
    for _ in 0..1000 {
        at_once(limits.check_address(&SLOW, address(1))).unwrap();
        assert_eq!(wait(&limits, 1), 0);
    }
    at_once(limits.succeeded(&ACCOUNT, &OWNER));
}

#[test]
fn a_million_addresses_take_no_more_memory_than_the_bound() {
    let (limits, _) = limits();
    let local = &limits.0.as_ref().unwrap().local;
    for number in 0..1_000_000 {
        at_once(limits.check_address(&SLOW, address(number))).unwrap();
    }
    for number in 0..300_000 {
        wait(&limits, number);
    }
    let (slow, refusals) = (
        &local.of_addresses(&SLOW).states,
        &local.of_subjects(&ACCOUNT).refusals,
    );
    slow.run_pending_tasks();
    refusals.run_pending_tasks();
    assert_eq!(slow.entry_count(), KEPT_BUCKETS);
    assert_eq!(refusals.entry_count(), KEPT_REFUSALS);
    // What was used last is what was kept.
    assert!(slow.contains_key(&address(999_999)));
    assert!(!slow.contains_key(&address(0)));
    // However many addresses one subscriber has.
    for number in 0..100_000_u128 {
        let inside = Ipv6Addr::from_bits((0x2001_0db8 << 96) | number);
        let _ = at_once(limits.check_address(&QUICK, IpAddr::V6(inside)));
    }
    let quick = &local.of_addresses(&QUICK).states;
    quick.run_pending_tasks();
    assert_eq!(quick.entry_count(), 1);
}
