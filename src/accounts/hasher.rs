//! Password hashing on the CPU pool: bcrypt takes a processor for a quarter of a second at
//! cost 12. Whoever asks says for whom it is ([`Requester`]), so that nobody waits for what
//! another asks for again and again.

use super::failure::Failure;
use super::password::Password;
use crate::core::cpu_pool::{CpuPool, PoolError, Requester};

/// Hashes and compares passwords. Cloning is cheap.
#[derive(Clone)]
pub struct Hasher {
    pool: CpuPool,
    cost: u32,
}

impl Hasher {
    /// With a work factor of 4 to 31 for new hashes.
    pub fn new(pool: CpuPool, cost: u32) -> Self {
        Self { pool, cost }
    }

    /// The hash of a password that nobody has, for comparisons that are to cost what others
    /// cost. Takes as long as any, on the thread that calls. The error is one line.
    pub fn decoy_hash(&self) -> Result<String, String> {
        let unknown = ulid::Ulid::generate().to_string();
        Password::attempt(&unknown)
            .hash(self.cost)
            .map_err(|e| e.to_string())
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

    /// Hashes a new password.
    pub async fn hash(&self, who: &Requester, password: Password) -> Result<String, Failure> {
        let cost = self.cost;
        self.pool
            .run(who, move || password.hash(cost))
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

    /// Runs other costly work about passwords on the same threads.
    pub async fn run<T: Send + 'static>(
        &self,
        who: &Requester,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PoolError> {
        self.pool.run(who, work).await
    }
}
