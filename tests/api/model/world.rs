//! Two processes on one database, used from several threads, killed in the middle and
//! started again, and the trace of all that was said to them.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel::sql_types::Text;
use serde_json::{Value, json};

use super::Plan;
use super::http::{Call, Reply};
use crate::harness::process::{Process, inkpot, output, shown};
use crate::harness::redis::Redis;
use crate::harness::{Backend, PASSWORD, SECRET, TestDatabase};

/// How long what happened in one process may be unknown in the other: a second by the
/// contract, and what a busy machine needs.
pub const SOON: Duration = Duration::from_secs(5);
/// How long anything else may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// Lines of the trace that are shown of a run that fails.
const SHOWN: usize = 1500;

/// The processes, as all threads use them.
pub struct Two {
    processes: [Process; 2],
    /// Whether it is, or is about to be, killed.
    is_dead: [AtomicBool; 2],
    progress: Progress,
    trace: Trace,
}

/// The processes with what they stand on.
pub struct World {
    pub two: Two,
    pub database: TestDatabase,
    redis: Option<Redis>,
}

/// Which process is killed, after how many operations of a round.
#[derive(Clone, Copy, Debug)]
pub struct Kill {
    pub process: usize,
    pub after: usize,
}

impl World {
    /// `None` where the database or the Redis is not to be had, which was said loudly.
    pub fn start(plan: Plan) -> Option<Self> {
        let redis = if plan.has_redis() {
            Some(Redis::start()?)
        } else {
            None
        };
        let database = TestDatabase::create(plan.backend)?;
        let processes = [0, 1].map(|_| start(&database, redis.as_ref()));
        Some(Self {
            two: Two {
                processes,
                is_dead: [false, false].map(AtomicBool::new),
                progress: Progress::default(),
                trace: Trace::new(plan),
            },
            database,
            redis,
        })
    }

    pub fn has_redis(&self) -> bool {
        self.redis.is_some()
    }

    /// Has every actor act on a thread of its own, and a process be killed meanwhile,
    /// which has been replaced at the end.
    pub fn round<A: Send>(
        &mut self,
        actors: &mut [A],
        kill: Option<Kill>,
        act: impl Fn(&mut A, &Two) + Sync,
    ) {
        self.two.progress.begin(actors.len());
        let (two, act) = (&self.two, &act);
        let mut orphans = HashSet::new();
        std::thread::scope(|scope| {
            for actor in actors {
                scope.spawn(move || {
                    let _ends = Ends(&two.progress);
                    act(actor, two);
                });
            }
            if let Some(kill) = kill {
                two.progress.wait_for(kill.after);
                orphans = self.kill(kill.process);
            }
        });
        if let Some(kill) = kill {
            self.replace(kill.process, &orphans);
        }
    }

    /// Kills a process where it is; gives the ports that it had.
    pub fn kill(&self, process: usize) -> HashSet<u16> {
        let two = &self.two;
        two.note(&format!("process {process} is killed"));
        two.is_dead[process].store(true, Ordering::SeqCst);
        let victim = &two.processes[process];
        // So that it opens no connection between the look at its ports and its end.
        victim.pause();
        let ports = ports_of(victim.id());
        victim.signal("KILL");
        ports
    }

    /// Starts a process in the place of one that was killed, when the database has done
    /// what that one may still have asked for.
    pub fn replace(&mut self, process: usize, ports: &HashSet<u16>) {
        let begun = Instant::now();
        while self.database.backend == Backend::Mysql && self.has_connections_from(ports) {
            assert!(begun.elapsed() < PATIENCE, "orphaned connections stay");
        }
        let fresh = start(&self.database, self.redis.as_ref());
        // Waits for the end of the old one.
        drop(std::mem::replace(&mut self.two.processes[process], fresh));
        self.two.is_dead[process].store(false, Ordering::SeqCst);
        self.two.note(&format!("process {process} runs again"));
    }

    /// The same for one that was told to stop: it has done so in good order.
    pub fn replace_stopped(&mut self, process: usize) {
        let fresh = start(&self.database, self.redis.as_ref());
        let old = std::mem::replace(&mut self.two.processes[process], fresh);
        let (code, log) = old.wait();
        assert_eq!(code, Some(0), "{log}");
        self.two.is_dead[process].store(false, Ordering::SeqCst);
        self.two.note(&format!("process {process} runs again"));
    }

    fn has_connections_from(&self, ports: &HashSet<u16>) -> bool {
        #[derive(QueryableByName)]
        struct Host {
            #[diesel(sql_type = Text)]
            host: String,
        }
        let hosts: Vec<Host> = self.database.with(|conn| {
            let sql = "SELECT host AS host FROM information_schema.processlist";
            diesel::sql_query(sql).load(conn).unwrap()
        });
        let mut found = hosts.iter().filter_map(|row| row.host.rsplit_once(':'));
        found.any(|(_, port)| port.parse().is_ok_and(|port| ports.contains(&port)))
    }

    /// A command of the program on the same database.
    pub fn command(&self, arguments: &[&str]) -> (bool, String) {
        let mut command = inkpot(self.database.directory.path());
        command
            .args(arguments)
            .env("DATABASE_URL", self.database.url())
            .env("INKPOT_JWT_SECRET", SECRET);
        let done = output(&mut command);
        let said = [done.stdout, done.stderr].concat();
        (done.status.success(), String::from_utf8(said).unwrap())
    }

    /// Registers an admin, and gives their token.
    pub fn admin(&self) -> String {
        let answer = self.two.register("root", None);
        let (is_done, said) = self.command(&["user", "promote", "root@example.org"]);
        assert!(is_done, "{said}");
        answer["token"].as_str().unwrap().to_owned()
    }

    /// Stops both; what they leave behind is in order.
    pub fn end(self) {
        let (is_right, said) = self.command(&["check"]);
        assert!(is_right, "{said}");
        for process in self.two.processes {
            process.signal("TERM");
            let (code, log) = process.wait();
            assert_eq!(code, Some(0), "{log}");
            assert!(!log.contains("ERROR"), "{log}");
        }
    }
}

fn start(database: &TestDatabase, redis: Option<&Redis>) -> Process {
    let mut command = inkpot(database.directory.path());
    command
        .env("DATABASE_URL", database.url())
        .env("INKPOT_JWT_SECRET", SECRET)
        .env("INKPOT_WORKERS", "1")
        .env("INKPOT_DB_POOL", "4");
    if let Some(redis) = redis {
        command.env("REDIS_URL", redis.url());
    }
    Process::start(&mut command)
}

/// The ports of a process's own ends of connections.
fn ports_of(process: u32) -> HashSet<u16> {
    let links = std::fs::read_dir(format!("/proc/{process}/fd")).unwrap();
    let sockets: HashSet<String> = links
        .filter_map(|link| std::fs::read_link(link.ok()?.path()).ok())
        .filter_map(|target| {
            let text = target.to_str()?.strip_prefix("socket:[")?;
            Some(text.strip_suffix(']')?.to_owned())
        })
        .collect();
    let mut ports = HashSet::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        // There may be no IPv6.
        let text = std::fs::read_to_string(table).unwrap_or_default();
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            if sockets.contains(fields[9]) {
                let (_, port) = fields[1].rsplit_once(':').unwrap();
                ports.insert(u16::from_str_radix(port, 16).unwrap());
            }
        }
    }
    ports
}

impl Two {
    /// Sends a request to a process; `None` where it was killed before it had answered.
    #[track_caller]
    pub fn send(&self, process: usize, call: &Call) -> Option<Reply> {
        let begun = self.tick();
        let reply = call.send(&self.processes[process].address);
        let said = match &reply {
            Some(reply) => format!("{reply:?}"),
            None => "no answer".to_owned(),
        };
        self.note(&format!("[{begun}] to {process}: {call:?} -> {said}"));
        assert!(
            reply.is_some() || self.is_dead[process].load(Ordering::SeqCst),
            "process {process} lives and does not answer {call:?}"
        );
        reply
    }

    /// The same to a process that nobody kills.
    #[track_caller]
    pub fn ask(&self, process: usize, call: &Call) -> Reply {
        self.send(process, call).expect("an answer")
    }

    /// The same of what is asked for again and again, without a trace of it.
    #[track_caller]
    pub fn peek(&self, process: usize, call: &Call) -> Reply {
        let reply = call.send(&self.processes[process].address);
        reply.expect("an answer")
    }

    /// Sends two requests at once; no process is killed meanwhile.
    pub fn race(&self, calls: [(usize, Call); 2]) -> [Reply; 2] {
        self.note(&format!("a race of {calls:?}"));
        let start = std::sync::Barrier::new(2);
        let start = &start;
        std::thread::scope(|scope| {
            let racers = calls.map(|(process, call)| {
                scope.spawn(move || {
                    start.wait();
                    self.ask(process, &call)
                })
            });
            racers.map(|racer| racer.join().unwrap())
        })
    }

    pub fn address(&self, process: usize) -> &str {
        &self.processes[process].address
    }

    /// Has a process stop in good order.
    pub fn terminate(&self, process: usize) {
        self.note(&format!("process {process} is stopped"));
        self.is_dead[process].store(true, Ordering::SeqCst);
        self.processes[process].signal("TERM");
    }

    /// Says that an operation is done.
    pub fn acted(&self) {
        self.progress.acted();
    }

    /// A number higher than all before.
    fn tick(&self) -> u64 {
        self.trace.clock.fetch_add(1, Ordering::SeqCst)
    }

    /// Writes into the trace.
    pub fn note(&self, line: &str) {
        let mut lines = self
            .trace
            .lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        lines.push(line.to_owned());
    }

    /// Registers somebody; the token answer.
    pub fn register(&self, name: &str, username: Option<&str>) -> Value {
        let body = json!({
            "email": format!("{name}@example.org"), "name": name, "password": PASSWORD,
            "username": username,
        });
        let reply = self.ask(0, &Call::post("/user/reg", body));
        reply.expect(201).json()
    }
}

/// Asks until the answer is as wanted, which it must be from `deadline` on.
#[track_caller]
pub fn until(deadline: Instant, mut ask: impl FnMut() -> Result<(), String>) {
    loop {
        let is_late = Instant::now() > deadline;
        match ask() {
            Ok(()) => return,
            Err(why) => assert!(!is_late, "{why}"),
        }
    }
}

/// How many operations of a round are done, and actors at their end.
#[derive(Default)]
struct Progress {
    /// Done, and actors that still act.
    counts: Mutex<(usize, usize)>,
    changed: Condvar,
}

impl Progress {
    fn begin(&self, actors: usize) {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner) = (0, actors);
    }

    fn acted(&self) {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).0 += 1;
        self.changed.notify_all();
    }

    /// Waits until so many operations are done, or nobody acts any more.
    fn wait_for(&self, operations: usize) {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = |counts: &mut (usize, usize)| counts.0 < operations && counts.1 > 0;
        drop(self.changed.wait_while(counts, waits));
    }
}

/// Says that an actor is at its end, however that came.
struct Ends<'a>(&'a Progress);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        let counts = &self.0.counts;
        counts.lock().unwrap_or_else(PoisonError::into_inner).1 -= 1;
        self.0.changed.notify_all();
    }
}

/// What was said and answered; shown when the test fails.
struct Trace {
    plan: Plan,
    lines: Mutex<Vec<String>>,
    clock: AtomicU64,
}

impl Trace {
    fn new(plan: Plan) -> Self {
        Self {
            plan,
            lines: Mutex::default(),
            clock: AtomicU64::new(0),
        }
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            let last = &lines[lines.len().saturating_sub(SHOWN)..];
            shown(&format!("{}\n{:?}", last.join("\n"), self.plan));
        }
    }
}
