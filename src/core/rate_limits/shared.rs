//! Buckets in Redis, shared by all processes. Redis has nothing but times under keyed
//! hashes, each of which goes by itself when it says no more than its absence.

use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use redis::{AsyncCommands, RedisResult, Script};
use sha2::Sha256;

use super::connection::RedisConnection;
use super::decision::{Decision, Pair, Refused};
use super::limit::{Limit, SubjectLimit};
use crate::core::clock::Clock;
use crate::core::redis::health::RedisHealth;
use crate::core::redis::url::RedisUrl;

/// Who else uses the same Redis sees by it whose these are.
const PREFIX: &str = "inkpot:";
/// Bytes of a keyed hash: enough that no two of a billion are alike.
const KEY_BYTES: usize = 12;

/// Buckets that all processes with the same Redis and the same secret share.
pub struct Shared {
    redis: RedisConnection,
    script: Arc<Script>,
    /// What hashes into keys.
    keyed: Hmac<Sha256>,
    clock: Clock,
}

impl Shared {
    /// Connects; see [`RedisConnection::open`]. `secret` is the service's. The error is one line.
    pub fn open(
        (url, health): (&RedisUrl, &Arc<RedisHealth>),
        secret: &[u8],
        clock: &Clock,
    ) -> Result<Self, String> {
        let keyed = keyed(secret)?;
        let script = Arc::new(Script::new(include_str!("try.lua")));
        // The script itself on a bucket of its own: that a server answers says little
        // when it may not be written to.
        let (probe, bucket) = (Arc::clone(&script), key_of(&keyed, &"probe"));
        let probe = Box::new(move |mut connection| {
            let (script, bucket) = (Arc::clone(&probe), bucket.clone());
            Box::pin(async move {
                let mut call = script.key(bucket);
                call.arg(1).arg(1).arg("");
                call.invoke_async::<u64>(&mut connection).await.map(drop)
            }) as _
        });
        Ok(Self {
            redis: RedisConnection::open(url.client()?, Arc::clone(health), probe)?,
            script,
            keyed,
            clock: clock.clone(),
        })
    }

    /// Whether Redis is asked at the moment.
    pub fn is_up(&self) -> bool {
        self.redis.is_up()
    }

    /// Waits so long for each answer of Redis from now on.
    pub fn set_timeout(&self, limit: Duration) {
        self.redis.set_timeout(limit);
    }

    /// Takes a token from the address's bucket of the limit; an error is how long it
    /// takes until there is one, and `None` that Redis is away.
    pub async fn take(&self, limit: &Limit, address: IpAddr) -> Option<Result<(), Duration>> {
        let bucket = match limit.prefix() {
            64 => self.key(&address_bucket(limit, address))?,
            _ => self.key(&network_bucket(limit, address))?,
        };
        self.run(&[bucket], (limit.burst(), limit.every()), &[])
            .await
    }

    /// Takes a token from the subject's bucket, for a try from `address`; `None` when
    /// Redis is away.
    pub async fn try_subject(
        &self,
        limit: &SubjectLimit,
        subject: &impl Hash,
        address: IpAddr,
    ) -> Option<Decision> {
        let bucket = self.key(&subject_bucket(limit, subject))?;
        let pair = self.key(&refusal(limit, subject, address))?;
        let passes = self.key(&passes(limit, subject))?;
        let keys = [bucket, pair.clone(), passes];
        let rate = (limit.burst(), limit.every());
        let (burst, every) = SubjectLimit::PASSES;
        let further = [
            micros(limit.wait()),
            micros(limit.wait_ends()),
            burst.into(),
            micros(every),
        ];
        let decision = match self.run(&keys, rate, &further).await? {
            Ok(()) => Decision::Allowed,
            Err(retry_after) => Decision::Limited(Refused {
                retry_after,
                pair: Pair::Shared(pair),
            }),
        };
        Some(decision)
    }

    /// Takes a token from the subject's bucket, as [`take`](Self::take) does from an address's.
    pub async fn take_of_subject(
        &self,
        limit: &SubjectLimit,
        subject: &impl Hash,
    ) -> Option<Result<(), Duration>> {
        let bucket = self.key(&subject_bucket(limit, subject))?;
        self.run(&[bucket], (limit.burst(), limit.every()), &[])
            .await
    }

    /// Fills the subject's bucket.
    pub async fn fill(&self, limit: &SubjectLimit, subject: &impl Hash) {
        if let Some(bucket) = self.key(&subject_bucket(limit, subject)) {
            self.forget(&bucket).await;
        }
    }

    /// Deletes a key.
    pub async fn forget(&self, key: &str) {
        self.redis
            .ask(async |connection| connection.del::<_, ()>(key).await)
            .await;
    }

    async fn run(
        &self,
        keys: &[String],
        (burst, every): (u32, Duration),
        further: &[u64],
    ) -> Option<Result<(), Duration>> {
        let mut call = self.script.prepare_invoke();
        for key in keys {
            call.key(key);
        }
        call.arg(burst).arg(micros(every));
        // The clocks of machines differ, and Redis has but one; a clock that is moved
        // by hand stands for it.
        match self.clock.set_by_hand() {
            Some(now) => call.arg(now),
            None => call.arg(""),
        };
        for number in further {
            call.arg(number);
        }
        let wait: u64 = self
            .redis
            .ask(async |connection| -> RedisResult<u64> { call.invoke_async(connection).await })
            .await?;
        Some(match wait {
            0 => Ok(()),
            wait => Err(Duration::from_micros(wait)),
        })
    }

    /// The key of what has this hash; `None`, without making it, while Redis is away.
    fn key(&self, of: &impl Hash) -> Option<String> {
        self.is_up().then(|| key_of(&self.keyed, of))
    }
}

/// What the key of an address's bucket is a hash of.
fn address_bucket(limit: &Limit, address: IpAddr) -> impl Hash {
    ("address", limit.bucket_id(), address)
}

/// What the key of a wider network's bucket is a hash of.
fn network_bucket(limit: &Limit, network: IpAddr) -> impl Hash {
    ("network", limit.prefix(), limit.bucket_id(), network)
}

/// What the key of a subject's passes is a hash of.
fn passes(limit: &SubjectLimit, subject: &impl Hash) -> impl Hash {
    ("passes", limit.bucket_label(), subject)
}

/// What the key of a subject's bucket is a hash of.
fn subject_bucket(limit: &SubjectLimit, subject: &impl Hash) -> impl Hash {
    (limit.bucket_label(), subject)
}

/// What the key of a pair's refusal is a hash of.
fn refusal(limit: &SubjectLimit, subject: &impl Hash, address: IpAddr) -> impl Hash {
    (limit.refusal_label(), subject, address)
}

/// What hashes into keys, under a key of its own from the service's secret.
fn keyed(secret: &[u8]) -> Result<Hmac<Sha256>, String> {
    let new = |key: &[u8]| Hmac::<Sha256>::new_from_slice(key).map_err(|e| e.to_string());
    let mut derived = new(secret)?;
    derived.update(b"inkpot limits key");
    new(&derived.finalize().into_bytes())
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn key_of(keyed: &Hmac<Sha256>, of: &impl Hash) -> String {
    let mut hasher = Bytes(keyed.clone());
    of.hash(&mut hasher);
    let hash = hasher.0.finalize().into_bytes();
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(&hash[..KEY_BYTES]))
}

/// Takes what is hashed into an HMAC, the same in all processes, which the library's
/// hashers are not.
struct Bytes(Hmac<Sha256>);

impl Hasher for Bytes {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Eight bytes of it.
    fn finish(&self) -> u64 {
        let hash = self.0.clone().finalize().into_bytes();
        hash.iter()
            .take(8)
            .fold(0, |all, byte| all << 8 | u64::from(*byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Buckets survive an upgrade only while these stay as they are.
    #[test]
    fn the_keys_of_buckets_are_kept() {
        let keyed = keyed(b"a secret of this test").unwrap();
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        for (bucket_id, key) in [
            (0, "inkpot:y6RT43AQsZpsjm8U"),
            (1, "inkpot:I2OO5gNLgc5SeH_T"),
            (2, "inkpot:HOE_7Liz-Bad-CaY"),
            (3, "inkpot:uzHGEr-jZqsW_z8c"),
        ] {
            let limit = Limit::new("some", bucket_id, 1, Duration::from_secs(1));
            assert_eq!(key_of(&keyed, &address_bucket(&limit, address)), key);
        }
        let limit = Limit::new("some", 3, 1, Duration::from_secs(1));
        let network: IpAddr = "2001:db8:1:2::".parse().unwrap();
        assert_eq!(
            key_of(&keyed, &address_bucket(&limit, network)),
            "inkpot:VAskoO_Bv-WoxU0Y"
        );
        let limit = SubjectLimit::new(
            ("account", "refusal"),
            (1, Duration::from_secs(1)),
            (Duration::from_secs(1), Duration::from_secs(2)),
        );
        assert_eq!(
            key_of(&keyed, &subject_bucket(&limit, &"ann@example.org")),
            "inkpot:wxGNVzPCgEuwzV_O"
        );
        assert_eq!(
            key_of(&keyed, &refusal(&limit, &"ann@example.org", address)),
            "inkpot:WP8s6JqOaqAFfA2I"
        );
    }
}
