//! Passwords are hashed and compared on the threads for costly work: bcrypt takes a
//! processor for a quarter of a second at cost 12.

use std::sync::Arc;

use super::password::Password;
use crate::core::cpu_pool::{CpuPool, PoolError};
use crate::error::Error;

/// Hashes and compares passwords. Cloning is cheap.
#[derive(Clone)]
pub struct Hasher {
    pool: CpuPool,
    cost: u32,
    /// What the password of an account that does not exist is compared with.
    nobody: Arc<str>,
}

impl Hasher {
    /// With a work factor of 4 to 31 for new hashes. The error is one line.
    pub fn new(pool: CpuPool, cost: u32) -> Result<Self, String> {
        // A password that nobody has: the hash of random bits.
        let unknown = ulid::Ulid::generate().to_string();
        let nobody = Password::attempt(&unknown)
            .hash(cost)
            .map_err(|e| e.to_string())?;
        Ok(Self {
            pool,
            cost,
            nobody: nobody.into(),
        })
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
    pub async fn hash(&self, password: Password) -> Result<String, Error> {
        let cost = self.cost;
        self.pool
            .run(move || password.hash(cost))
            .await?
            .map_err(Error::internal)
    }

    /// Whether `password` is that of `record`; without a record the same work is
    /// done for nothing.
    pub async fn verify(
        &self,
        password: Password,
        record: Option<String>,
    ) -> Result<bool, PoolError> {
        let nobody = Arc::clone(&self.nobody);
        self.pool
            .run(move || {
                let is_right = password.verify(record.as_deref().unwrap_or(&nobody));
                is_right && record.is_some()
            })
            .await
    }

    /// Runs other costly work about passwords on the same threads.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PoolError> {
        self.pool.run(work).await
    }
}
