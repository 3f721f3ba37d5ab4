//! Password hashing on the CPU pool: bcrypt takes a processor for a quarter of a second at
//! cost 12. Whoever asks says for whom it is ([`Requester`]), so that nobody waits for what
//! another asks for again and again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::failure::Failure;
use super::password::{self, Password, cost_of};
use crate::core::cpu_pool::{CpuPool, PoolError, Requester};

/// Hashes and compares passwords. Cloning is cheap.
#[derive(Clone)]
pub struct Hasher {
    pool: CpuPool,
    cost: u32,
    work: Arc<Work>,
}

/// What this process knows of the work of hashing.
struct Work {
    /// The cost of the dearest record that was met, or of new hashes.
    dearest: AtomicU32,
    /// Rounds of bcrypt that were done.
    rounds: AtomicU64,
}

impl Work {
    fn count(&self, cost: u32) {
        let rounds = 1_u64.checked_shl(cost).unwrap_or(u64::MAX);
        self.rounds.fetch_add(rounds, Ordering::Relaxed);
    }
}

/// A record that costs more than new hashes by more steps than this makes no other login
/// dearer.
const STEPS: u32 = 3;

impl Hasher {
    /// With a work factor of 4 to 31 for new hashes.
    pub fn new(pool: CpuPool, cost: u32) -> Self {
        let work = Work {
            dearest: AtomicU32::new(cost),
            rounds: AtomicU64::new(0),
        };
        Self {
            pool,
            cost,
            work: Arc::new(work),
        }
    }

    /// The cost of new hashes.
    pub fn cost(&self) -> u32 {
        self.cost
    }

    /// How many comparisons and hashes were done, which is what a test counts that
    /// says "the same work".
    pub fn done(&self) -> u64 {
        self.pool.done()
    }

    /// How many rounds of bcrypt they were.
    pub fn rounds(&self) -> u64 {
        self.work.rounds.load(Ordering::Relaxed)
    }

    /// Hashes a new password.
    pub async fn hash(&self, who: &Requester, password: Password) -> Result<String, Failure> {
        let (cost, work) = (self.cost, Arc::clone(&self.work));
        let hash = move || {
            work.count(cost);
            password.hash(cost)
        };
        self.pool
            .run(who, hash)
            .await?
            .map_err(|e| Failure::fault(e))
    }

    /// Whether the hash is that of `password`.
    pub async fn verify(
        &self,
        who: &Requester,
        password: Password,
        password_hash: String,
    ) -> Result<bool, PoolError> {
        let verify = move || password.verify(&password_hash);
        self.pool.run(who, verify).await
    }

    /// The same where nobody may learn by the time whose hash it is, or that there is none,
    /// which no password has: the work of all is that of the dearest record that this process
    /// has met.
    pub async fn verify_alike(
        &self,
        who: &Requester,
        password: Password,
        record: Option<String>,
    ) -> Result<bool, PoolError> {
        let (cost, work) = (self.cost, Arc::clone(&self.work));
        let verify = move || {
            let own = record.as_deref().and_then(cost_of);
            if let Some(own) = own {
                work.dearest
                    .fetch_max(own.min(cost + STEPS), Ordering::Relaxed);
            }
            let dearest = work.dearest.load(Ordering::Relaxed);
            let is_right = record.is_some_and(|record| password.verify(&record));
            // Each step costs as much as all before it: with the record's own cost, those from
            // it to the last make the work of the dearest.
            let further = match own {
                Some(own) => own..dearest,
                None => dearest..dearest + 1,
            };
            if let Some(own) = own {
                work.count(own);
            }
            for step in further {
                work.count(step);
                password::work_for_nothing(step);
            }
            is_right
        };
        self.pool.run(who, verify).await
    }

    /// Runs other costly work about passwords on the same threads.
    pub async fn run<T: Send + 'static>(
        &self,
        who: &Requester,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PoolError> {
        self.pool.run(who, work).await
    }
}
