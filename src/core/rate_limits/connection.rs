//! The connection to Redis, with a timeout for each answer: given up at its first failure
//! and made again in the background, so that nobody waits for a Redis that is away.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use futures_util::future::BoxFuture;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisError, RedisResult};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::core::redis::health::{RedisHealth, User};

/// What Redis does not answer within this time is not waited for.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(100);
/// What making a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long nothing is asked after a failure.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// A connection that answered when it was made.
#[derive(Clone)]
struct Open {
    /// Grows, so that a late failure of an earlier connection is none of this one.
    number: u64,
    connection: MultiplexedConnection,
}

/// `None` while Redis is away.
type Current = Arc<watch::Sender<Option<Open>>>;

/// For how many microseconds an answer is waited for.
#[derive(Clone)]
struct AnswerTimeout(Arc<AtomicU64>);

impl AnswerTimeout {
    fn set(&self, limit: Duration) {
        let micros = u64::try_from(limit.as_micros()).unwrap_or(u64::MAX);
        self.0.store(micros, Ordering::Relaxed);
    }

    fn limit(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::Relaxed))
    }
}

/// The connection, or that there is none.
pub struct RedisConnection {
    current: Current,
    timeout: AnswerTimeout,
    health: Arc<RedisHealth>,
    /// The connection's own, so that no thread that serves requests holds it up; `None`
    /// only while this is being dropped.
    runtime: Option<Runtime>,
}

impl RedisConnection {
    /// Connects, and goes on trying for as long as this lives. A connection counts when
    /// `probe` was answered on it. Waits for the end of the first attempt, a little more
    /// than a second at most. The error is one line.
    pub fn open(client: Client, health: Arc<RedisHealth>, probe: Probe) -> Result<Self, String> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("inkpot-redis")
            .enable_all()
            .build()
            .map_err(|error| format!("cannot start a thread: {error}"))?;
        let current = Arc::new(watch::Sender::new(None));
        let answer_timeout = AnswerTimeout(Arc::default());
        answer_timeout.set(ANSWER_TIMEOUT);
        let (attempted, first) = sync_channel(1);
        let reconnector = Reconnector {
            client,
            health: Arc::clone(&health),
            current: Arc::clone(&current),
            timeout: answer_timeout.clone(),
            probe,
            attempted,
        };
        runtime.spawn(reconnector.run());
        await_first(&first);
        Ok(Self {
            current,
            timeout: answer_timeout,
            health,
            runtime: Some(runtime),
        })
    }

    /// Waits so long for each answer from now on, instead of 100 milliseconds.
    pub fn set_timeout(&self, limit: Duration) {
        self.timeout.set(limit);
    }

    pub fn is_up(&self) -> bool {
        self.current.borrow().is_some()
    }

    /// Asks within the limit of time; `None` when Redis is away, or is from now on.
    pub async fn ask<T>(
        &self,
        ask: impl AsyncFnOnce(&mut MultiplexedConnection) -> RedisResult<T>,
    ) -> Option<T> {
        let Open {
            number,
            mut connection,
        } = self.current.borrow().clone()?;
        let why = match timeout(self.timeout.limit(), ask(&mut connection)).await {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(error)) => error.to_string(),
            Err(_) => too_slow(),
        };
        let was_up = self.current.send_if_modified(|state| {
            let is_this = state.as_ref().is_some_and(|open| open.number == number);
            if is_this {
                *state = None;
            }
            is_this
        });
        if was_up {
            self.health.lost(User::Limits, &why);
        }
        None
    }
}

impl Drop for RedisConnection {
    fn drop(&mut self) {
        // Dropping it plainly would wait, which an async task must not.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// What shows that a connection is good for its purpose.
type Probe =
    Box<dyn Fn(MultiplexedConnection) -> BoxFuture<'static, RedisResult<()>> + Send + Sync>;

/// What holds the connection.
struct Reconnector {
    client: Client,
    health: Arc<RedisHealth>,
    current: Current,
    timeout: AnswerTimeout,
    probe: Probe,
    /// Told once.
    attempted: SyncSender<()>,
}

impl Reconnector {
    async fn run(self) {
        for number in 0.. {
            let losses = self.health.losses();
            match self.connect().await {
                Ok(connection) => {
                    self.health.reached(User::Limits);
                    self.current.send_replace(Some(Open { number, connection }));
                    // Nobody may be waiting any more.
                    let _ = self.attempted.try_send(());
                    tokio::select! {
                        () = self.wait_for_loss() => {}
                        // Else whoever tries first after an outage would wait in vain.
                        () = self.health.lost_since(losses) => {
                            self.current.send_replace(None);
                            self.health.lost(User::Limits, "the bus has lost it");
                        }
                    }
                }
                Err(why) => {
                    self.health.lost(User::Limits, &why);
                    let _ = self.attempted.try_send(());
                }
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }

    async fn wait_for_loss(&self) {
        // The sender is our own, so this ends with a loss alone.
        let _ = self.current.subscribe().wait_for(Option::is_none).await;
    }

    async fn connect(&self) -> Result<MultiplexedConnection, String> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            // Who asks has a limit of their own.
            .set_response_timeout(None);
        let said = |error: RedisError| error.to_string();
        let connecting = self
            .client
            .get_multiplexed_async_connection_with_config(&config);
        let connection = timeout(CONNECT_TIMEOUT, connecting)
            .await
            .map_err(|_| too_slow())?
            .map_err(said)?;
        timeout(self.timeout.limit(), (self.probe)(connection.clone()))
            .await
            .map_err(|_| too_slow())?
            .map_err(said)?;
        Ok(connection)
    }
}

fn await_first(first: &Receiver<()>) {
    // Late is as good as away: then the first tries are judged here.
    let _ = first.recv_timeout(CONNECT_TIMEOUT + ANSWER_TIMEOUT);
}

fn too_slow() -> String {
    "it does not answer in time".to_owned()
}
