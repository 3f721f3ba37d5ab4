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

use super::link::Link;
use super::{Exhausted, Pair, Rate, Route, Standing, WAIT, WAIT_ENDS};
use crate::core::clock::Clock;
use crate::core::redis::health::RedisHealth;
use crate::core::redis::url::RedisUrl;

/// Who else uses the same Redis sees by it whose these are.
const PREFIX: &str = "inkpot:";
/// Bytes of a keyed hash: enough that no two of a billion are alike.
const KEY_BYTES: usize = 12;

/// Buckets that all processes with the same Redis and the same secret share.
pub struct Shared {
    link: Link,
    script: Arc<Script>,
    /// What hashes into keys.
    keyed: Hmac<Sha256>,
    clock: Clock,
}

impl Shared {
    /// Connects; see [`Link::open`]. `secret` is the service's. The error is one line.
    pub fn open(
        (url, health): (&RedisUrl, &Arc<RedisHealth>),
        secret: &[u8],
        clock: &Clock,
    ) -> Result<Self, String> {
        let new = |key: &[u8]| Hmac::<Sha256>::new_from_slice(key).map_err(|e| e.to_string());
        let mut derived = new(secret)?;
        derived.update(b"inkpot limits key");
        let keyed = new(&derived.finalize().into_bytes())?;
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
            link: Link::open(url.client()?, Arc::clone(health), probe)?,
            script,
            keyed,
            clock: clock.clone(),
        })
    }

    /// Whether Redis is asked at the moment.
    pub fn is_up(&self) -> bool {
        self.link.is_up()
    }

    /// Waits so long for each answer of Redis from now on.
    pub fn wait(&self, limit: Duration) {
        self.link.wait(limit);
    }

    /// Takes a token from the address's bucket for the route; an error is how long it
    /// takes until there is one, and `None` that Redis is away.
    pub async fn take(&self, route: Route, address: IpAddr) -> Option<Result<(), Duration>> {
        let bucket = self.key(&("address", route, address))?;
        self.run(&[bucket], &Rate::of(route), &[]).await
    }

    /// Takes a token from the account's bucket, for a try from `address`; `None` when
    /// Redis is away.
    pub async fn try_account(&self, account: &impl Hash, address: IpAddr) -> Option<Standing> {
        let bucket = self.key(&("account", account))?;
        let pair = self.key(&("refusal", account, address))?;
        let keys = [bucket, pair.clone()];
        let waits = [WAIT, WAIT_ENDS];
        let standing = match self.run(&keys, &Rate::ACCOUNT, &waits).await? {
            Ok(()) => Standing::Free,
            Err(retry_after) => Standing::Exhausted(Exhausted {
                retry_after,
                pair: Pair::Shared(pair),
            }),
        };
        Some(standing)
    }

    /// Fills the account's bucket.
    pub async fn fill(&self, account: &impl Hash) {
        if let Some(bucket) = self.key(&("account", account)) {
            self.forget(&bucket).await;
        }
    }

    /// Deletes a key.
    pub async fn forget(&self, key: &str) {
        self.link
            .ask(async |connection| connection.del::<_, ()>(key).await)
            .await;
    }

    async fn run(
        &self,
        keys: &[String],
        rate: &Rate,
        waits: &[Duration],
    ) -> Option<Result<(), Duration>> {
        let mut call = self.script.prepare_invoke();
        for key in keys {
            call.key(key);
        }
        call.arg(rate.burst).arg(micros(rate.every));
        // The clocks of machines differ, and Redis has but one; a clock that is moved
        // by hand stands for it.
        match self.clock.set_by_hand() {
            Some(now) => call.arg(now),
            None => call.arg(""),
        };
        for wait in waits {
            call.arg(micros(*wait));
        }
        let wait: u64 = self
            .link
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
