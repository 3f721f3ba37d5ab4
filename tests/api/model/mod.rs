//! Models: a naive one of posts, of sessions and of who is online, kept beside two real
//! processes on one database that are used at random from several sides and are killed.
//! Whatever was acknowledged must be there, whatever was not is there whole or not at all,
//! and both processes must tell what the model tells.
//!
//! A run is made by its seed, which is printed: `INKPOT_TEST_SEED` has the operations of
//! that run made again (how the threads meet is up to the machine). In the suite a model
//! is run once; with `INKPOT_TEST_SOAK_SECONDS`, as `make soak` sets it, longer and with one
//! seed after the other for so long.

mod http;
mod posts;
mod presence;
pub mod random;
mod sessions;
mod world;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::Write;
use std::time::{Duration, Instant};

use crate::harness::Backend;
use random::Random;

/// What one run of a model is made by.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Of a model of what, or what else is run.
    pub name: &'static str,
    pub backend: Backend,
    pub seed: u64,
    /// Until when runs of a soak follow each other; `None` of one that is not of a soak.
    pub until: Option<Instant>,
}

impl Plan {
    /// Half of the seeds run with a Redis between the processes.
    pub fn has_redis(self) -> bool {
        self.seed % 2 == 1
    }

    /// Whether it is one of a soak.
    pub fn is_long(self) -> bool {
        self.until.is_some()
    }

    /// Whether the time of its soak is over.
    pub fn is_over(self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }
}

/// Runs a model by the seed that is asked for, or by a new one; in a soak by more of them.
pub fn run(name: &'static str, backend: Backend, model: impl Fn(Plan)) {
    let number = |name: &str| {
        let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
        let number = text.parse::<u64>();
        Some(number.unwrap_or_else(|_| panic!("{name} is a number")))
    };
    let soak = number("INKPOT_TEST_SOAK_SECONDS").map(Duration::from_secs);
    let mut seed =
        number("INKPOT_TEST_SEED").unwrap_or_else(|| RandomState::new().build_hasher().finish());
    let until = soak.map(|soak| Instant::now() + soak);
    loop {
        let plan = Plan {
            name,
            backend,
            seed,
            until,
        };
        say(plan);
        model(plan);
        if !plan.is_long() || plan.is_over() {
            return;
        }
        seed = Random::new(seed).next();
    }
}

/// Says by which seed a model runs, past the test runner, which shows what is printed
/// only when a test fails.
fn say(plan: Plan) {
    let Plan {
        name,
        backend,
        seed,
        ..
    } = plan;
    let redis = if plan.has_redis() { "with" } else { "without" };
    let line = format!("{name} on {backend:?} {redis} Redis: INKPOT_TEST_SEED={seed}\n");
    // Nobody may be there to read it.
    let _ = std::io::stderr().write_all(line.as_bytes());
}
