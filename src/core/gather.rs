//! Gathering (batching): work that waits for a connection anyway is done together, by one
//! exchange with the database for all of it.
//!
//! While nothing is done, a job that comes is begun at once and alone. Those who come during a run wait for its
//! end, and the next run takes them all; or, where several may be under way without need, until there are half as many of
//! them as the runs under way have, so that runs beside each other grow alike and none is begun for one job. So nobody
//! waits for others to come while nothing is done, and the busier it is, the less each costs.
//!
//! A run that takes long, because a row is locked or the database is slow, holds nobody up:
//! after 20 ms those who wait begin another one beside it.
//!
//! The threads are of its own and end with it. What a run does it does on its thread, so it
//! does not end when a client goes away; a job whose client has gone before it was begun is
//! left out.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::metrics::Counter;

/// How long one waits for the end of the runs under way before another is begun beside them.
const SLOW: Duration = Duration::from_millis(20);
/// How long one waits in all before one is refused.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// What bounds the work.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Runs at the same time while all goes well: with one, the database waits for the next
    /// clients and the clients wait for the database, in turn.
    pub at_once: usize,
    /// Runs at the same time when some are slow.
    pub runs: usize,
    /// Jobs of one run.
    pub jobs: usize,
    /// What the jobs of one run weigh together; a job that is heavier by itself is alone.
    pub weight: usize,
    /// Jobs that wait.
    pub queue: usize,
}

/// Why a job was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Too many wait, or it has waited for as long as one may. It was not begun.
    Busy,
    /// Its run panicked.
    Panicked,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Busy => "too much work waits to be done together",
            Self::Panicked => "a run of gathered work panicked",
        })
    }
}

impl std::error::Error for Refused {}

type Run<J, R> = dyn Fn(Vec<J>) -> Vec<R> + Send + Sync;

/// Does jobs together. `J`: a job, `R`: what comes of it.
pub struct Gatherer<J, R> {
    shared: Arc<Shared<J, R>>,
}

struct Shared<J, R> {
    state: Mutex<State<J, R>>,
    /// There is something to do for one more run, or it is over.
    wake: Condvar,
    bounds: Bounds,
    name: &'static str,
    weight: fn(&J) -> usize,
    run: Box<Run<J, R>>,
    counters: Counters,
}

/// What was done: jobs for each run are what gathering is worth.
#[derive(Debug, Default)]
pub struct Counters {
    pub runs: Counter,
    pub jobs: Counter,
    pub refused: Counter,
}

struct State<J, R> {
    waiting: VecDeque<Waiting<J, R>>,
    /// The number of the next job that comes.
    next: u64,
    threads: usize,
    /// Threads that are told to run, or that do.
    running: usize,
    /// Those of them that have not woken up yet.
    called: usize,
    /// Jobs of the runs that have begun and not ended.
    under_way: usize,
    is_over: bool,
}

struct Waiting<J, R> {
    number: u64,
    job: J,
    result: oneshot::Sender<R>,
}

impl<J, R> State<J, R> {
    /// Whether those who wait are worth a run of their own, of `at_once` without need.
    fn needs_run(&self, at_once: usize) -> bool {
        // One that was called takes all that wait.
        let is_worth = self.called == 0 && 2 * self.waiting.len() >= self.under_way;
        self.running == 0 || self.running < at_once && is_worth
    }
}

impl<J, R> Shared<J, R> {
    /// A poisoned lock has nothing half done behind it: no job is done under it.
    fn lock(&self) -> MutexGuard<'_, State<J, R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<J: Send + 'static, R: Send + 'static> Gatherer<J, R> {
    /// `run` gives as many results as it gets jobs, in their order. `weight` is that of a job,
    /// in whatever `bounds` counts. `name` is that of the threads, which begin as they are needed.
    pub fn new(
        name: &'static str,
        bounds: Bounds,
        weight: fn(&J) -> usize,
        run: impl Fn(Vec<J>) -> Vec<R> + Send + Sync + 'static,
    ) -> Self {
        let state = State {
            waiting: VecDeque::new(),
            next: 0,
            threads: 0,
            running: 0,
            called: 0,
            under_way: 0,
            is_over: false,
        };
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(state),
                wake: Condvar::new(),
                bounds,
                name,
                weight,
                run: Box::new(run),
                counters: Counters::default(),
            }),
        }
    }

    /// Has a job done, and waits for what comes of it. When the future is dropped before the
    /// job was begun, it is not done.
    pub async fn ask(&self, job: J) -> Result<R, Refused> {
        let (result, mut done) = oneshot::channel();
        let (number, is_begun) = self.push(job, result)?;
        if !is_begun {
            if let Ok(done) = timeout(SLOW, &mut done).await {
                return done.map_err(|_| Refused::Panicked);
            }
            self.help(number);
            if let Ok(done) = timeout(MAX_WAIT.saturating_sub(SLOW), &mut done).await {
                return done.map_err(|_| Refused::Panicked);
            }
            self.give_up(number)?;
        }
        done.await.map_err(|_| Refused::Panicked)
    }

    /// What was done so far.
    pub fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    /// How many jobs wait for a run.
    pub fn waiting(&self) -> usize {
        self.shared.lock().waiting.len()
    }

    /// Puts a job into the queue. Gives its number, and whether a run begins for it.
    fn push(&self, job: J, result: oneshot::Sender<R>) -> Result<(u64, bool), Refused> {
        let mut state = self.shared.lock();
        if state.waiting.len() >= self.shared.bounds.queue {
            // Those who have gone take no place from those who come.
            state.waiting.retain(|one| !one.result.is_closed());
            if state.waiting.len() >= self.shared.bounds.queue {
                self.shared.counters.refused.increment();
                return Err(Refused::Busy);
            }
        }
        let number = state.next;
        state.next += 1;
        state.waiting.push_back(Waiting {
            number,
            job,
            result,
        });
        let is_begun = state.needs_run(self.shared.bounds.at_once) && self.begin(state);
        Ok((number, is_begun))
    }

    /// Begins another run when the job still waits.
    fn help(&self, number: u64) {
        let state = self.shared.lock();
        // They leave in the order of their numbers.
        let waits = (state.waiting.front()).is_some_and(|first| first.number <= number);
        // One that was called takes all that wait.
        if waits && state.called == 0 && state.running < self.shared.bounds.runs {
            self.begin(state);
        }
    }

    /// Takes the job out of the queue, if it still is there.
    fn give_up(&self, number: u64) -> Result<(), Refused> {
        let mut state = self.shared.lock();
        let place = (state.waiting).binary_search_by_key(&number, |one| one.number);
        match place.ok().and_then(|place| state.waiting.remove(place)) {
            Some(_) => {
                self.shared.counters.refused.increment();
                Err(Refused::Busy)
            }
            None => Ok(()),
        }
    }

    /// Has one more thread run: one that sleeps, or a new one. Gives whether there is one.
    fn begin(&self, mut state: MutexGuard<'_, State<J, R>>) -> bool {
        state.running += 1;
        state.called += 1;
        if state.threads >= state.running {
            self.shared.wake.notify_one();
            return true;
        }
        state.threads += 1;
        drop(state);
        let shared = Arc::clone(&self.shared);
        let begun = thread::Builder::new()
            .name(self.shared.name.to_owned())
            .spawn(move || work(&shared));
        if begun.is_err() {
            // The system has no thread left. Who waits is refused in time, or served by others.
            let mut state = self.shared.lock();
            state.threads -= 1;
            state.running -= 1;
            state.called -= 1;
            return false;
        }
        true
    }
}

impl<J, R> Drop for Gatherer<J, R> {
    fn drop(&mut self) {
        self.shared.lock().is_over = true;
        self.shared.wake.notify_all();
    }
}

/// What a thread does until the end.
fn work<J, R>(shared: &Shared<J, R>) {
    let mut state = shared.lock();
    loop {
        while state.called == 0 && !state.is_over {
            state = shared
                .wake
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if state.called == 0 {
            return;
        }
        state.called -= 1;
        loop {
            let (jobs, results) = take(&mut state.waiting, shared);
            if jobs.is_empty() {
                break;
            }
            let count = jobs.len();
            state.under_way += count;
            drop(state);
            shared.counters.runs.increment();
            (shared.counters.jobs).add(count as u64);
            // What panics takes its own jobs along, and not the thread.
            if let Ok(done) = catch_unwind(AssertUnwindSafe(|| (shared.run)(jobs))) {
                for (result, done) in results.into_iter().zip(done) {
                    // Its client may have gone.
                    let _ = result.send(done);
                }
            }
            state = shared.lock();
            state.under_way -= count;
        }
        state.running -= 1;
    }
}

/// The jobs of the next run: the oldest ones whose clients still wait.
fn take<J, R>(
    waiting: &mut VecDeque<Waiting<J, R>>,
    shared: &Shared<J, R>,
) -> (Vec<J>, Vec<oneshot::Sender<R>>) {
    let (mut jobs, mut results, mut weight) = (Vec::new(), Vec::new(), 0_usize);
    while let Some(first) = waiting.front() {
        if !first.result.is_closed() {
            weight = weight.saturating_add((shared.weight)(&first.job));
            let is_full = jobs.len() >= shared.bounds.jobs || weight > shared.bounds.weight;
            if is_full && !jobs.is_empty() {
                break;
            }
        }
        let Some(Waiting { job, result, .. }) = waiting.pop_front() else {
            break;
        };
        if !result.is_closed() {
            jobs.push(job);
            results.push(result);
        }
    }
    (jobs, results)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use futures_util::future::join_all;

    use super::*;

    const BOUNDS: Bounds = Bounds {
        at_once: 1,
        runs: 2,
        jobs: 4,
        weight: 100,
        queue: 10,
    };

    /// One whose runs begin when the test says so, and tell what they got.
    struct Held {
        gatherer: Arc<Gatherer<usize, usize>>,
        go: Sender<()>,
        runs: Receiver<Vec<usize>>,
    }

    fn held(bounds: Bounds) -> Held {
        let (go, gone) = channel();
        let (tell, runs) = channel();
        let (gone, tell) = (Mutex::new(gone), Mutex::new(tell));
        let gatherer = Gatherer::new(
            "test",
            bounds,
            |job| *job,
            move |jobs: Vec<usize>| {
                tell.lock().unwrap().send(jobs.clone()).unwrap();
                gone.lock().unwrap().recv().unwrap();
                assert!(!jobs.contains(&13), "an unlucky number");
                jobs.into_iter().map(|job| job * 10).collect()
            },
        );
        Held {
            gatherer: Arc::new(gatherer),
            go,
            runs,
        }
    }

    fn ask(held: &Held, job: usize) -> tokio::task::JoinHandle<Result<usize, Refused>> {
        let gatherer = Arc::clone(&held.gatherer);
        tokio::spawn(async move { gatherer.ask(job).await })
    }

    /// Until so many jobs wait.
    async fn until_waiting(held: &Held, number: usize) {
        while held.gatherer.waiting() != number {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn who_comes_during_a_run_is_in_the_next_one() {
        let held = held(Bounds { runs: 1, ..BOUNDS });
        let first = ask(&held, 1);
        tokio::task::yield_now().await;
        assert_eq!(held.runs.recv().unwrap(), [1]);
        let others: Vec<_> = (2..=7).map(|job| ask(&held, job)).collect();
        until_waiting(&held, 6).await;
        for _ in 0..3 {
            held.go.send(()).unwrap();
        }
        assert_eq!(first.await.unwrap(), Ok(10));
        let results = join_all(others).await;
        let results: Vec<_> = results
            .into_iter()
            .map(|one| one.unwrap().unwrap())
            .collect();
        assert_eq!(results, [20, 30, 40, 50, 60, 70]);
        assert_eq!(held.runs.recv().unwrap(), [2, 3, 4, 5]);
        assert_eq!(held.runs.recv().unwrap(), [6, 7]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_run_holds_nobody_up() {
        let held = held(BOUNDS);
        let slow = ask(&held, 1);
        tokio::task::yield_now().await;
        assert_eq!(held.runs.recv().unwrap(), [1]);
        let others = [ask(&held, 2), ask(&held, 3)];
        until_waiting(&held, 2).await;
        tokio::time::advance(SLOW).await;
        until_waiting(&held, 0).await;
        assert_eq!(held.runs.recv().unwrap(), [2, 3]);
        // No third run: the next one is refused when it has waited for long enough.
        let late = ask(&held, 4);
        assert_eq!(late.await.unwrap(), Err(Refused::Busy));
        until_waiting(&held, 0).await;
        held.go.send(()).unwrap();
        held.go.send(()).unwrap();
        assert_eq!(slow.await.unwrap(), Ok(10));
        for (n, other) in others.into_iter().enumerate() {
            assert_eq!(other.await.unwrap(), Ok((n + 2) * 10));
        }
    }

    #[tokio::test]
    async fn what_is_heavy_is_alone_and_a_full_queue_refuses() {
        let held = held(Bounds { runs: 1, ..BOUNDS });
        let first = ask(&held, 1);
        tokio::task::yield_now().await;
        assert_eq!(held.runs.recv().unwrap(), [1]);
        let jobs = [50, 51, 300, 2, 3, 4, 5, 6, 7, 8];
        let others: Vec<_> = jobs.into_iter().map(|job| ask(&held, job)).collect();
        until_waiting(&held, 10).await;
        assert_eq!(ask(&held, 9).await.unwrap(), Err(Refused::Busy));
        // One client goes away, and another has the place.
        others[4].abort();
        while !others[4].is_finished() {
            tokio::task::yield_now().await;
        }
        let next = ask(&held, 9);
        while held.gatherer.shared.lock().next != 12 {
            tokio::task::yield_now().await;
        }
        for _ in 0..7 {
            held.go.send(()).unwrap();
        }
        assert_eq!(first.await.unwrap(), Ok(10));
        for run in [&[50][..], &[51], &[300], &[2, 4, 5, 6], &[7, 8, 9]] {
            assert_eq!(held.runs.recv().unwrap(), run);
        }
        assert_eq!(next.await.unwrap(), Ok(90));
    }

    #[tokio::test]
    async fn a_panic_is_told_and_the_next_run_is_well() {
        let held = held(Bounds { runs: 1, ..BOUNDS });
        held.go.send(()).unwrap();
        assert_eq!(held.gatherer.ask(13).await, Err(Refused::Panicked));
        held.go.send(()).unwrap();
        assert_eq!(held.gatherer.ask(2).await, Ok(20));
        // What is over has no thread left.
        let shared = Arc::downgrade(&held.gatherer.shared);
        drop(held);
        while shared.strong_count() > 0 {
            tokio::task::yield_now().await;
        }
    }
}
