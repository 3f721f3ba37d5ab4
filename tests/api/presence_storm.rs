//! Three processes, a Redis that comes and goes, and users who come and go: at the end
//! every client and every process know the truth, no ghost and nobody lost.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::harness::process::{Process, inkpot};
use crate::harness::redis::Redis;
use crate::harness::socket::{Socket, View};
use crate::harness::{Backend, SECRET, TestDatabase};
use crate::process::register;

/// For how long the storm lasts.
const STORM: Duration = Duration::from_secs(20);
/// For how long it may take until all agree.
const PATIENCE: Duration = Duration::from_secs(60);
const PROCESSES: usize = 3;
const USERS: usize = 8;

/// Numbers by chance that are the same for the same seed (splitmix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % limit as u64).unwrap()
    }
}

/// Says the seed when the test fails.
struct Seed(u64);

impl Drop for Seed {
    #[allow(clippy::print_stderr)] // how a test speaks
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the seed of this storm: {:#x}", self.0);
        }
    }
}

/// An open page: it reads all the time, as pages do.
struct Page {
    user: usize,
    process: usize,
    view: watch::Receiver<(View, bool)>,
    reading: JoinHandle<()>,
}

impl Page {
    /// `None` when the process did not let it in.
    async fn open(process: usize, address: &str, user: usize, token: &str) -> Option<Self> {
        let headers = [crate::harness::socket::bearer(token)];
        let mut socket = Socket::with(address, &headers).await.ok()?;
        socket.next().await.ok()?;
        let (told, view) = watch::channel((socket.view.clone(), socket.is_partial));
        let reading = actix_web::rt::spawn(async move {
            while socket.quiet().await.is_ok() {
                // Nobody may look any more.
                let _ = told.send((socket.view.clone(), socket.is_partial));
            }
        });
        Some(Self {
            user,
            process,
            view,
            reading,
        })
    }

    fn is_open(&self) -> bool {
        !self.reading.is_finished()
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

struct Storm {
    redis: Redis,
    database: TestDatabase,
    processes: Vec<Process>,
    is_paused: [bool; PROCESSES],
    /// Token and id of each user.
    users: Vec<(String, i64)>,
    names: HashMap<i64, String>,
    pages: Vec<Page>,
    is_redis: RedisState,
    chance: Chance,
}

#[derive(PartialEq)]
enum RedisState {
    Runs,
    Stopped,
    Paused,
}

impl Storm {
    fn begin(seed: u64) -> Option<Self> {
        let redis = Redis::start()?;
        let database = TestDatabase::create(Backend::Mysql)?;
        let processes: Vec<_> = (0..PROCESSES).map(|_| start(&redis, &database)).collect();
        let (mut users, mut names) = (Vec::new(), HashMap::new());
        for n in 0..USERS {
            let name = format!("user-{n}");
            let id = i64::try_from(n + 1).unwrap();
            users.push((register(&processes[0], &name), id));
            names.insert(id, name);
        }
        Some(Self {
            redis,
            database,
            processes,
            is_paused: [false; PROCESSES],
            users,
            names,
            pages: Vec::new(),
            is_redis: RedisState::Runs,
            chance: Chance(seed),
        })
    }

    async fn connect(&mut self) {
        let process = self.chance.below(PROCESSES);
        if self.is_paused[process] {
            return;
        }
        // The first are for the end.
        let user = PROCESSES + self.chance.below(USERS - PROCESSES);
        let (token, _) = &self.users[user];
        let address = &self.processes[process].address;
        let page = Page::open(process, address, user, token).await;
        self.pages.extend(page);
    }

    fn rename(&mut self) {
        let (process, user) = (self.chance.below(PROCESSES), self.chance.below(USERS));
        if self.is_paused[process] {
            return;
        }
        let (token, id) = &self.users[user];
        let name = format!("user-{user} {}", self.chance.below(1_000_000));
        let headers = format!("Content-Type: application/json\r\nJWT: {token}\r\n");
        let body = json!({ "name": name }).to_string();
        let (status, answer) = self.processes[process].call("PATCH", "/user/me", &headers, &body);
        assert_eq!(status, 200, "{answer}");
        self.names.insert(*id, name);
    }

    /// Replaces a process, which was killed or has stopped.
    fn replace(&mut self, process: usize) {
        self.pages.retain(|page| page.process != process);
        self.is_paused[process] = false;
        self.processes[process] = start(&self.redis, &self.database);
    }

    fn resume(&mut self, process: usize) {
        if std::mem::take(&mut self.is_paused[process]) {
            self.processes[process].signal("CONT");
        }
    }

    fn redis(&mut self, state: RedisState) {
        match (&self.is_redis, &state) {
            (RedisState::Runs, RedisState::Stopped) => self.redis.stop(),
            (RedisState::Runs, RedisState::Paused) => self.redis.pause(),
            (RedisState::Stopped, RedisState::Runs) => self.redis.restart(),
            (RedisState::Paused, RedisState::Runs) => self.redis.resume(),
            _ => return,
        }
        self.is_redis = state;
    }

    async fn step(&mut self) {
        match self.chance.below(100) {
            0..40 => self.connect().await,
            40..72 => {
                if !self.pages.is_empty() {
                    let at = self.chance.below(self.pages.len());
                    self.pages.swap_remove(at);
                }
            }
            72..80 => self.rename(),
            80..82 => {
                let process = self.chance.below(PROCESSES);
                self.processes[process].signal("KILL");
                self.replace(process);
            }
            82..84 => {
                let process = self.chance.below(PROCESSES);
                self.resume(process);
                self.processes[process].signal("TERM");
                self.replace(process);
            }
            84..86 => {
                let process = self.chance.below(PROCESSES);
                if !std::mem::replace(&mut self.is_paused[process], true) {
                    self.processes[process].signal("STOP");
                }
            }
            86..90 => {
                let process = self.chance.below(PROCESSES);
                self.resume(process);
            }
            90..92 => self.redis(RedisState::Stopped),
            92..94 => self.redis(RedisState::Paused),
            _ => self.redis(RedisState::Runs),
        }
    }

    /// Who is online: whoever has a page open.
    fn truth(&self) -> BTreeSet<(i64, String)> {
        let open = self.pages.iter().filter(|page| page.is_open());
        open.map(|page| {
            let id = self.users[page.user].1;
            (id, self.names[&id].clone())
        })
        .collect()
    }

    /// What is not as it should be.
    fn disagreements(&self) -> Vec<String> {
        let truth = self.truth();
        let mut found = Vec::new();
        for page in self.pages.iter().filter(|page| page.is_open()) {
            let (view, is_partial) = &*page.view.borrow();
            let seen: BTreeSet<_> = view
                .iter()
                .map(|(id, (name, _))| (*id, name.clone()))
                .collect();
            if *is_partial || seen != truth {
                found.push(format!(
                    "a page of process {}: {is_partial} {seen:?}",
                    page.process
                ));
            }
        }
        for (n, process) in self.processes.iter().enumerate() {
            let headers = format!("JWT: {}\r\n", self.users[0].0);
            let (status, answer) = process.call("GET", "/user/online", &headers, "");
            assert_eq!(status, 200, "{answer}");
            let list: Value = serde_json::from_str(&answer).unwrap();
            let users = list["online"].as_array().unwrap().iter();
            let seen: BTreeSet<_> = users
                .map(|user| {
                    let name = user["name"].as_str().unwrap().to_owned();
                    (user["user_id"].as_i64().unwrap(), name)
                })
                .collect();
            if list.get("partial").is_some() || seen != truth || list["total"] != truth.len() {
                found.push(format!("the list of process {n}: {list}"));
            }
        }
        found
    }
}

fn start(redis: &Redis, database: &TestDatabase) -> Process {
    let mut command = inkpot(database.directory.path());
    command
        .env("DATABASE_URL", database.url())
        .env("REDIS_URL", redis.url())
        .env("INKPOT_JWT_SECRET", SECRET)
        .env("INKPOT_WORKERS", "1")
        .env("INKPOT_DB_POOL", "4");
    Process::start(&mut command)
}

#[actix_web::test]
async fn after_a_storm_all_agree_with_the_truth() {
    let seed = Seed(RandomState::new().build_hasher().finish());
    let Some(mut storm) = Storm::begin(seed.0) else {
        return;
    };
    let begun = Instant::now();
    let mut steps = 0;
    while begun.elapsed() < STORM {
        storm.step().await;
        steps += 1;
        // Frames of open pages are read between the steps.
        let pause = Duration::from_millis(1 + storm.chance.below(60) as u64);
        let _ = tokio::time::timeout(pause, std::future::pending::<()>()).await;
    }
    for process in 0..PROCESSES {
        storm.resume(process);
    }
    storm.redis(RedisState::Runs);
    // Somebody is there for certain, in each process.
    for process in 0..PROCESSES {
        let (token, _) = &storm.users[process];
        let address = &storm.processes[process].address;
        let page = Page::open(process, address, process, token).await;
        storm.pages.push(page.expect("is let in after the storm"));
    }
    let ended = Instant::now();
    loop {
        let found = storm.disagreements();
        if found.is_empty() {
            break;
        }
        let truth = storm.truth();
        assert!(
            ended.elapsed() < PATIENCE,
            "after {steps} steps: {truth:?}\n{found:#?}"
        );
        tokio::task::yield_now().await;
    }
    let last = &storm.pages[storm.pages.len() - PROCESSES..];
    assert!(last.iter().all(Page::is_open), "nobody was sent away");
}

#[actix_web::test]
async fn who_is_silent_for_a_lease_is_gone_and_enters_anew() {
    let Some(redis) = Redis::start() else { return };
    let Some(database) = TestDatabase::create(Backend::Mysql) else {
        return;
    };
    let [here, there] = [start(&redis, &database), start(&redis, &database)];
    let (ann, ben) = (register(&here, "ann"), register(&here, "ben"));
    let mut anns = Socket::open(&here.address, &ann).await;
    let mut bens = Socket::open(&there.address, &ben).await;
    for socket in [&mut anns, &mut bens] {
        socket.until_online(&[1, 2]).await;
    }
    let begun = Instant::now();
    there.signal("STOP");
    anns.until_online(&[1]).await;
    assert!(begun.elapsed() < Duration::from_secs(30));
    there.signal("CONT");
    anns.until_online(&[1, 2]).await;
    let whole = |socket: &Socket| !socket.is_partial && socket.view.len() == 2;
    bens.until("whole again", whole).await;
    // One that is killed says no good-bye.
    let begun = Instant::now();
    there.signal("KILL");
    anns.until_online(&[1]).await;
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[actix_web::test]
async fn every_process_lists_who_is_online_in_any() {
    let Some(redis) = Redis::start() else { return };
    let Some(database) = TestDatabase::create(Backend::Mysql) else {
        return;
    };
    let [here, there] = [start(&redis, &database), start(&redis, &database)];
    let (ann, ben) = (register(&here, "ann"), register(&here, "ben"));
    register(&there, "cid");
    let mut anns = Socket::open(&here.address, &ann).await;
    let mut bens = Socket::open(&there.address, &ben).await;
    for socket in [&mut anns, &mut bens] {
        socket.until_online(&[1, 2]).await;
        socket.until("whole", |socket| !socket.is_partial).await;
    }
    let list = |process: &Process, token: &str| -> Value {
        let headers = format!("Authorization: Bearer {token}\r\n");
        let (status, answer) = process.call("GET", "/user/directory", &headers, "");
        assert_eq!(status, 200, "{answer}");
        serde_json::from_str(&answer).unwrap()
    };
    let (one, other) = (list(&here, &ann), list(&there, &ben));
    assert_eq!(one, other);
    let online = |page: &Value| -> Vec<bool> {
        let users = page["users"].as_array().unwrap().iter();
        users
            .map(|user| user["online"].as_bool().unwrap())
            .collect()
    };
    assert_eq!(online(&one), [false, true, true]);
    assert!(one.get("partial").is_none());
    // Without Redis each knows its own, and says so.
    redis.stop();
    anns.until("partial", |socket| socket.is_partial).await;
    let page = list(&here, &ann);
    assert_eq!(page["partial"], true);
    assert!(online(&page)[2]);
}
