//! Limits that services share through one Redis, and what they do without it.

use std::collections::HashMap;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use inkpot::accounts::limits::{ACCOUNT, LOGIN, REFRESH, REGISTRATION, USE_OF_CODE};
use inkpot::core::clock::Clock;
use inkpot::core::rate_limits::{Decision, LimitExceeded, RateLimits};
use inkpot::core::redis::health::RedisHealth;
use inkpot::core::redis::url::RedisUrl;
use serde_json::{Value, json};

use crate::harness::process::{Process, inkpot};
use crate::harness::redis::Redis;
use crate::harness::{Backend, Client, PASSWORD, SECRET, TestApp, TestDatabase};

/// How long anything may take that a test waits for.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a service waits for Redis unless a test says otherwise.
const SHIPPED: Duration = Duration::from_millis(100);

/// One route of each bucket, how many tries there are, and how many seconds until the
/// next.
const ROUTES: [(&str, usize, &str); 4] = [
    ("/user/login", 30, "2"),
    ("/user/reg", 20, "30"),
    ("/user/refresh", 120, "1"),
    ("/user/password/reset", 20, "15"),
];

/// A body that all of them refuse when they read it.
fn unfit() -> Value {
    json!({ "unfit": true })
}

/// Two services on one database and one Redis, with one clock.
async fn two(redis: &Redis) -> (TestApp, TestApp) {
    let database = TestDatabase::create(Backend::Sqlite).unwrap();
    let url = redis.url();
    let flags = ["--rate-limits", "on", "--redis-url", &url];
    let one = TestApp::start(database, &flags).await;
    let two = one.second(&flags).await;
    for app in [&one, &two] {
        app.state.limits.set_redis_timeout(PATIENCE);
        until(|| app.state.limits.is_shared()).await;
    }
    (one, two)
}

/// Gives way to others until something is so.
async fn until(is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "it did not come so");
        tokio::task::yield_now().await;
    }
}

async fn login(client: &Client<'_>, account: &str, password: &str) -> u16 {
    let body = json!({ "account": account, "password": password });
    client.post("/user/login", body).await.status.as_u16()
}

/// How many of `tries` refreshes pass.
async fn refreshes(client: &Client<'_>, tries: usize) -> usize {
    let body = json!({ "refresh_token": "x" });
    let mut passed = 0;
    for _ in 0..tries {
        let answer = client.post("/user/refresh", body.clone()).await;
        passed += usize::from(answer.status.as_u16() == 401);
    }
    passed
}

/// What Redis has counted so far: scripts that were run.
fn scripts_run(redis: &Redis) -> u64 {
    let stats: String = redis::cmd("INFO")
        .arg("commandstats")
        .query(&mut redis.connection())
        .unwrap();
    let line = stats
        .lines()
        .find(|line| line.starts_with("cmdstat_evalsha:"));
    let calls = line.unwrap().split(['=', ',']).nth(1).unwrap();
    calls.parse().unwrap()
}

fn keys(redis: &Redis) -> Vec<String> {
    redis::cmd("KEYS")
        .arg("*")
        .query(&mut redis.connection())
        .unwrap()
}

#[actix_web::test]
async fn an_address_has_one_bucket_a_route_in_all_services() {
    let Some(redis) = Redis::start() else { return };
    let (one, two) = two(&redis).await;
    for (path, burst, wait) in ROUTES {
        let (here, there) = (
            one.anonymous().at("192.0.2.1"),
            two.anonymous().at("192.0.2.1"),
        );
        // A body that does not fit is a try, and is refused as one before it is read.
        for number in 0..burst {
            let client = if number % 2 == 0 { &here } else { &there };
            let answer = client.post(path, unfit()).await;
            assert_eq!(answer.status.as_u16(), 422, "{path} {number}");
        }
        for client in [&here, &there] {
            let answer = client.post(path, unfit()).await;
            answer.problem("rate_limited");
            assert_eq!(answer.header("retry-after"), wait, "{path}");
        }
        let other = two.anonymous().at("192.0.2.2");
        let answer = other.post(path, unfit()).await;
        assert_eq!(answer.status.as_u16(), 422, "{path}");
    }
    // One comes back, for both together.
    one.clock.advance(chrono::Duration::seconds(30));
    let (here, there) = (
        one.anonymous().at("192.0.2.1"),
        two.anonymous().at("192.0.2.1"),
    );
    there.post("/user/reg", json!({})).await.expect(422);
    let answer = here.post("/user/reg", json!({})).await;
    answer.problem("rate_limited");
}

#[actix_web::test]
async fn calls_with_a_token_are_refused_before_their_bodies_as_well() {
    let Some(redis) = Redis::start() else { return };
    let (one, two) = two(&redis).await;
    let ann = one.user("ann").await.at("192.0.2.1");
    for _ in 0..20 {
        ann.post("/user/me/verify", json!({})).await.expect(422);
    }
    let there = two.anonymous().at("192.0.2.1");
    for path in [
        "/user/me/verify",
        "/user/me/verify/send",
        "/user/password/forgot",
        "/user/password/reset",
    ] {
        for client in [&ann, &there] {
            client.post(path, json!({})).await.problem("rate_limited");
        }
    }
}

#[actix_web::test]
async fn an_account_has_one_bucket_in_all_services() {
    let Some(redis) = Redis::start() else { return };
    let (one, two) = two(&redis).await;
    one.user("ann").await;
    let account = "ann@example.org";
    let from = |app: usize, address: usize| {
        let address = format!("203.0.113.{address}");
        [&one, &two][app % 2].anonymous().at(&address)
    };
    for number in 0..10 {
        assert_eq!(login(&from(number, number), account, "x").await, 401);
    }
    for number in 10..14 {
        assert_eq!(login(&from(number, number), account, "x").await, 429);
    }
    // An owner who was refused here is let through there, once.
    let wait = async |app: usize| {
        let body = json!({ "account": account, "password": "x" });
        let answer = from(app, 200).post("/user/login", body).await;
        answer.header("retry-after").to_owned()
    };
    assert_eq!(wait(0).await, "30");
    one.clock.advance(chrono::Duration::seconds(5));
    assert_eq!(wait(1).await, "25");
    one.clock.advance(chrono::Duration::seconds(25));
    for number in 0..10 {
        // What has come back meanwhile is gone.
        login(&from(number, number), account, "x").await;
    }
    assert_eq!(login(&from(1, 200), account, PASSWORD).await, 200);
    // And their success has filled the bucket.
    for number in 0..10 {
        assert_eq!(login(&from(number, 100 + number), account, "x").await, 401);
    }
    // With a live session at the address they are not held, wherever they come; who guesses
    // there is.
    for app in 0..2 {
        assert_eq!(login(&from(app, 99), account, PASSWORD).await, 429);
        assert_eq!(login(&from(app, 200), account, "x").await, 429);
    }
    assert_eq!(login(&from(0, 200), account, PASSWORD).await, 200);
}

#[actix_web::test]
async fn of_two_hundred_tries_at_once_exactly_the_burst_passes() {
    let Some(redis) = Redis::start() else { return };
    let (one, two) = two(&redis).await;
    for (path, burst, _) in ROUTES {
        let tries = (0..200).map(async |number| {
            let app = if number % 2 == 0 { &one } else { &two };
            let client = app.anonymous().at("192.0.2.1");
            client.post(path, unfit()).await.status.as_u16()
        });
        let answers = join_all(tries).await;
        let refused = answers.iter().filter(|status| **status == 429).count();
        assert_eq!(200 - refused, burst, "{path}");
    }
}

#[actix_web::test]
async fn a_redis_that_stops_is_done_without_until_it_returns() {
    let Some(redis) = Redis::start() else { return };
    let (one, two) = two(&redis).await;
    let (here, there) = (
        one.anonymous().at("192.0.2.1"),
        two.anonymous().at("192.0.2.1"),
    );
    assert_eq!(
        refreshes(&here, 60).await + refreshes(&there, 60).await,
        120
    );
    assert_eq!(refreshes(&there, 1).await, 0);
    redis.stop();
    // Each by itself, from a bucket that is full.
    assert_eq!(refreshes(&here, 130).await, 120);
    assert_eq!(refreshes(&there, 130).await, 120);
    assert!(!one.state.limits.is_shared() && !two.state.limits.is_shared());
    redis.restart();
    until(|| one.state.limits.is_shared() && two.state.limits.is_shared()).await;
    // It has forgotten everything, as restarts do.
    assert_eq!(
        refreshes(&here, 60).await + refreshes(&there, 70).await,
        120
    );
    assert_eq!(refreshes(&here, 1).await, 0);
}

#[actix_web::test]
async fn a_redis_that_stands_still_is_waited_for_once() {
    let Some(redis) = Redis::start() else { return };
    let (one, two) = two(&redis).await;
    drop(two);
    let client = one.anonymous().at("192.0.2.1");
    assert_eq!(refreshes(&client, 1).await, 1);
    let before = scripts_run(&redis);
    redis.pause();
    one.state.limits.set_redis_timeout(SHIPPED);
    // Without the limit of time this would never end; and after the first failure
    // nobody asks.
    assert_eq!(refreshes(&client, 100).await, 100);
    redis.resume();
    one.state.limits.set_redis_timeout(PATIENCE);
    until(|| one.state.limits.is_shared()).await;
    // It has done what it was sent while it stood still: one try, and two probes at the
    // most, the last of which was answered in time.
    let asked = scripts_run(&redis) - before;
    assert!((1..=5).contains(&asked), "{asked}");
}

#[actix_web::test]
async fn tries_at_once_wait_together_for_a_redis_that_stands_still() {
    let Some(redis) = Redis::start() else { return };
    let (one, two) = two(&redis).await;
    redis.pause();
    for app in [&one, &two] {
        app.state.limits.set_redis_timeout(SHIPPED);
    }
    let tries = (0..200).map(async |number| {
        let app = if number % 2 == 0 { &one } else { &two };
        refreshes(&app.anonymous().at("192.0.2.1"), 1).await
    });
    // Each service judges its own hundred.
    let passed: usize = join_all(tries).await.iter().sum();
    assert_eq!(passed, 200);
    redis.resume();
}

#[actix_web::test]
async fn an_account_is_limited_while_redis_is_away_too() {
    let Some(redis) = Redis::start() else { return };
    let (one, two) = two(&redis).await;
    drop(two);
    one.user("ann").await;
    redis.stop();
    let account = "ann@example.org";
    for number in 0..10 {
        let client = one.anonymous().at(&format!("203.0.113.{number}"));
        assert_eq!(login(&client, account, "x").await, 401);
    }
    let owner = one.anonymous().at("192.0.2.1");
    assert_eq!(login(&owner, account, PASSWORD).await, 429);
    redis.restart();
    until(|| one.state.limits.is_shared()).await;
    assert_eq!(login(&owner, account, PASSWORD).await, 200);
}

#[actix_web::test]
async fn a_redis_that_forgets_everything_goes_on() {
    let Some(redis) = Redis::start() else { return };
    let (one, two) = two(&redis).await;
    let (here, there) = (
        one.anonymous().at("192.0.2.1"),
        two.anonymous().at("192.0.2.1"),
    );
    assert_eq!(refreshes(&here, 120).await, 120);
    for order in [["FLUSHALL", "SYNC"], ["SCRIPT", "FLUSH"]] {
        let mut command = redis::cmd(order[0]);
        command.arg(order[1]);
        command.exec(&mut redis.connection()).unwrap();
    }
    assert_eq!(
        refreshes(&there, 60).await + refreshes(&here, 70).await,
        120
    );
    assert!(one.state.limits.is_shared() && two.state.limits.is_shared());
}

#[actix_web::test]
async fn a_redis_that_answers_nonsense_is_done_without() {
    let Some(redis) = Redis::start() else { return };
    let (one, two) = two(&redis).await;
    let client = one.anonymous().at("192.0.2.1");
    assert_eq!(refreshes(&client, 1).await, 1);
    let [bucket] = &keys(&redis)[..] else {
        panic!("one bucket");
    };
    let mut spoil = redis::pipe();
    spoil.del(bucket).lpush(bucket, "not a time");
    spoil.exec(&mut redis.connection()).unwrap();
    assert_eq!(refreshes(&client, 1).await, 1);
    assert!(!one.state.limits.is_shared() && two.state.limits.is_shared());
    // One that is no Redis at all.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = stream
                .unwrap()
                .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let flags = ["--rate-limits", "on", "--redis-url", &url];
    let three = one.second(&flags).await;
    assert!(!three.state.limits.is_shared());
    let client = three.anonymous().at("192.0.2.1");
    assert_eq!(refreshes(&client, 121).await, 120);
}

#[actix_web::test]
async fn redis_is_told_nothing_about_anybody_and_forgets_it() {
    let Some(redis) = Redis::start() else { return };
    let (one, _two) = two(&redis).await;
    one.user("ann").await;
    for (number, account) in (0..24).map(|number| (number, ["ann@example.org", "bob"][number % 2]))
    {
        let client = one.anonymous().at(&format!("203.0.113.{number}"));
        login(&client, account, "x").await;
    }
    for (path, ..) in ROUTES {
        one.anonymous().at("2001:db8::1").post(path, unfit()).await;
    }
    let keys = keys(&redis);
    // Addresses at login, accounts, refusals, the registration, the other routes for three
    // networks each.
    assert_eq!(keys.len(), 24 + 2 + 4 + 1 + 3 * 4);
    let mut connection = redis.connection();
    for key in &keys {
        let hash = key.strip_prefix("inkpot:").unwrap();
        assert_eq!(hash.len(), 16, "{key}");
        let value: String = redis::cmd("GET").arg(key).query(&mut connection).unwrap();
        assert!(value.parse::<u64>().is_ok(), "{value}");
        let left: i64 = redis::cmd("PTTL").arg(key).query(&mut connection).unwrap();
        assert!((1..=600_000).contains(&left), "{left}");
    }
}

fn address(number: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(number))
}

/// Limits without a service.
async fn limits(redis: Option<&Redis>, clock: &Clock, secret: &str) -> RateLimits {
    let url = redis.map(|redis| RedisUrl::parse(&redis.url()).unwrap());
    let health = url.as_ref().map(RedisHealth::new);
    let redis = url.as_ref().zip(health.as_ref());
    let limits = RateLimits::new(true, clock, redis, secret.as_bytes()).unwrap();
    limits.set_redis_timeout(PATIENCE);
    until(|| limits.is_shared() == redis.is_some()).await;
    limits
}

fn by_hand() -> Clock {
    Clock::by_hand(chrono::Utc::now())
}

/// How long a try has to wait; `None` when it may go on.
async fn wait_at_account(limits: &RateLimits, account: &str, from: u32) -> Option<Duration> {
    match limits
        .check_subject(&ACCOUNT, &account, address(from))
        .await
    {
        Decision::Allowed => None,
        Decision::Limited(refused) => Some(LimitExceeded::from(refused).retry_after),
    }
}

/// A generator of numbers that says the same each time (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

#[actix_web::test]
async fn redis_and_memory_give_the_same_verdicts() {
    let Some(redis) = Redis::start() else { return };
    let clock = by_hand();
    let (shared, local) = (
        limits(Some(&redis), &clock, SECRET).await,
        limits(None, &clock, SECRET).await,
    );
    let mut dice = Dice(0x2545_f491_4f6c_dd1d);
    let mut verdicts = HashMap::new();
    for sequence in 0..1000 {
        let account = format!("account-{sequence}");
        // From quick to slow, so that some buckets run empty and some fill.
        let pause = 10_u64.pow(3 + u32::try_from(dice.below(5)).unwrap());
        let limit =
            [LOGIN, REGISTRATION, REFRESH, USE_OF_CODE][usize::try_from(dice.below(4)).unwrap()];
        for _ in 0..dice.below(120) {
            let step = i64::try_from(dice.below(pause)).unwrap();
            clock.advance(chrono::Duration::microseconds(step));
            let from = u32::try_from(dice.below(3)).unwrap();
            let (theirs, ours) = match dice.below(40) {
                0 => {
                    shared.succeeded(&ACCOUNT, &account).await;
                    local.succeeded(&ACCOUNT, &account).await;
                    continue;
                }
                1..20 => (
                    wait_at_account(&shared, &account, from).await,
                    wait_at_account(&local, &account, from).await,
                ),
                _ => {
                    let address = address(sequence);
                    let wait =
                        |checked: Result<(), LimitExceeded>| Some(checked.err()?.retry_after);
                    (
                        wait(shared.check_address(&limit, address).await),
                        wait(local.check_address(&limit, address).await),
                    )
                }
            };
            assert_eq!(theirs, ours, "{sequence} {limit:?}");
            *verdicts.entry(ours.is_some()).or_insert(0) += 1;
        }
    }
    assert!(shared.is_shared());
    assert!(
        verdicts[&true] > 1000 && verdicts[&false] > 1000,
        "{verdicts:?}"
    );
}

#[actix_web::test]
async fn a_refusal_that_is_waived_did_not_happen_anywhere() {
    let Some(redis) = Redis::start() else { return };
    let clock = by_hand();
    let new = || limits(Some(&redis), &clock, SECRET);
    let (one, two) = (new().await, new().await);
    for _ in 0..10 {
        assert_eq!(wait_at_account(&one, "ann", 1).await, None);
    }
    let Decision::Limited(refused) = one.check_subject(&ACCOUNT, &"ann", address(1)).await else {
        panic!("the bucket is empty");
    };
    one.waive(&refused).await;
    clock.advance(chrono::Duration::seconds(5));
    let wait = wait_at_account(&two, "ann", 1).await;
    assert_eq!(wait, Some(Duration::from_secs(30)));
}

#[actix_web::test]
async fn the_time_is_that_of_redis() {
    let Some(redis) = Redis::start() else { return };
    let clock = Clock::system();
    let new = || limits(Some(&redis), &clock, SECRET);
    let (one, two) = (new().await, new().await);
    let begun = Instant::now();
    let check = async |limits: &RateLimits| limits.check_address(&REGISTRATION, address(1)).await;
    for number in 0..20 {
        check([&one, &two][number % 2]).await.unwrap();
    }
    for limits in [&one, &two] {
        let wait = check(limits).await.unwrap_err().retry_after;
        assert!(wait <= Duration::from_secs(30), "{wait:?}");
        assert!(
            wait + begun.elapsed() >= Duration::from_secs(30),
            "{wait:?}"
        );
    }
}

#[actix_web::test]
async fn a_clock_that_was_set_back_locks_nobody_out() {
    let Some(redis) = Redis::start() else { return };
    let clock = by_hand();
    let limits = limits(Some(&redis), &clock, SECRET).await;
    let check = async || limits.check_address(&REGISTRATION, address(1)).await;
    for _ in 0..20 {
        check().await.unwrap();
        wait_at_account(&limits, "ann", 1).await;
    }
    clock.advance(chrono::Duration::hours(-1));
    // No worse than an empty bucket, and no better; a wait begins anew.
    let half_a_minute = Some(Duration::from_secs(30));
    check().await.unwrap_err();
    assert_eq!(wait_at_account(&limits, "ann", 1).await, half_a_minute);
    clock.advance(chrono::Duration::seconds(30));
    check().await.unwrap();
    check().await.unwrap_err();
    for _ in 0..5 {
        assert_eq!(wait_at_account(&limits, "ann", 2).await, None);
    }
    assert_eq!(wait_at_account(&limits, "ann", 2).await, half_a_minute);
    assert_eq!(wait_at_account(&limits, "ann", 1).await, None);
}

#[actix_web::test]
async fn who_has_another_secret_has_buckets_of_their_own() {
    let Some(redis) = Redis::start() else { return };
    let clock = by_hand();
    let other = SECRET.replace('a', "b");
    let (ours, theirs) = (
        limits(Some(&redis), &clock, SECRET).await,
        limits(Some(&redis), &clock, &other).await,
    );
    for limits in [&ours, &theirs] {
        for _ in 0..20 {
            let checked = limits.check_address(&USE_OF_CODE, address(1)).await;
            checked.unwrap();
        }
        let checked = limits.check_address(&USE_OF_CODE, address(1)).await;
        checked.unwrap_err();
    }
}

#[test]
fn the_log_says_once_that_redis_is_away_and_once_that_it_is_back() {
    let Some(redis) = Redis::start() else { return };
    let directory = tempfile::tempdir().unwrap();
    redis.stop();
    let mut command = inkpot(directory.path());
    let url = redis.url().replace("://", "://:hunter22@");
    command
        .env("REDIS_URL", url)
        .env("INKPOT_RATE_LIMITS", "on");
    let server = Process::start(&mut command);
    // It starts without Redis, and says so.
    let (status, ready) = server.call("GET", "/readyz", "", "");
    let ready: Value = serde_json::from_str(&ready).unwrap();
    assert_eq!(status, 200);
    assert_eq!(
        (&ready["status"], &ready["redis"]),
        (&json!("degraded"), &json!("away"))
    );
    let refresh = || {
        let body = r#"{"refresh_token": "x"}"#;
        let json = "Content-Type: application/json\r\n";
        server.call("POST", "/user/refresh", json, body).0
    };
    for _ in 0..10 {
        assert_eq!(refresh(), 401);
    }
    redis.restart();
    // With a password, which it does not ask for when it starts.
    let mut connection = redis.connection();
    let mut order = redis::cmd("CONFIG");
    order.arg("SET").arg("requirepass").arg("hunter22");
    order.exec(&mut connection).unwrap();
    // A bucket lives longer than that of the probes.
    let mut is_asked = || {
        let keys = redis::cmd("KEYS").arg("*").query(&mut connection);
        let keys: Vec<String> = keys.unwrap();
        keys.iter().any(|key| {
            let left: i64 = redis::cmd("PTTL").arg(key).query(&mut connection).unwrap();
            left > 1000
        })
    };
    let begun = Instant::now();
    while !is_asked() {
        assert!(matches!(refresh(), 401 | 429));
        assert!(begun.elapsed() < PATIENCE, "it is not asked again");
    }
    server.signal("TERM");
    let (code, log) = server.wait();
    assert_eq!(code, Some(0), "{log}");
    // On a busy machine it may seem to be away again, but each change is said once.
    let changes: Vec<bool> = (log.lines())
        .filter(|line| line.contains("is away") || line.contains("is back"))
        .map(|line| line.contains("is back"))
        .collect();
    assert!(changes.len() >= 2, "{log}");
    for (number, is_back) in changes.into_iter().enumerate() {
        assert_eq!(is_back, number % 2 == 1, "{log}");
    }
    assert!(!log.contains("hunter22"), "{log}");
}
