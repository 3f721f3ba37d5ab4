//! Events between processes, over Redis: publish and subscribe, nothing kept there.
//!
//! A process hears itself: when its own beat does not come back in time the way is
//! closed, however healthy the connection looks. Each connection is a new beginning,
//! since what was said in between is lost.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Pipeline};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use super::{Bus, Event, Said};
use crate::core::redis::health::{RedisHealth, User};
use crate::presence::hub::LEASE;

/// Between two beats.
const BEAT: Duration = Duration::from_millis(200);
/// Without its own beat for so long a process hears nobody, and without that of another
/// one misses it.
const DEAF: Duration = Duration::from_millis(800);
/// For a command, and for a connection.
const PATIENCE: Duration = Duration::from_millis(500);
/// Before the next try to connect: doubling from the first to the second.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));
/// From the connection until every other process is connected too, and was heard: before
/// that a list of who is online may lack whole processes.
const GATHERED: Duration = Duration::from_millis(1500);
/// Events that one round trip carries.
const TOGETHER: usize = 256;

/// A process on a server that others share.
pub struct Carrier {
    client: Client,
    health: Arc<RedisHealth>,
    /// Who speaks.
    process: String,
    /// Where all who serve the same database hear.
    all: String,
    out: mpsc::Receiver<Said>,
    /// Whether who is online is of interest here.
    shows_presence: bool,
    /// Whether this process has said good-bye: others hear what happens in its last
    /// requests, and do not take it up again.
    has_parted: bool,
}

/// A connection that carries.
struct Connection {
    heard: redis::aio::PubSub,
    said: MultiplexedConnection,
}

#[derive(Serialize, Deserialize)]
struct Message {
    from: String,
    #[serde(flatten)]
    said: Said,
}

impl Carrier {
    /// `installation` names the database: those who share it hear each other, and
    /// nobody else on the same server.
    pub fn new(
        client: Client,
        health: Arc<RedisHealth>,
        installation: &str,
        out: mpsc::Receiver<Said>,
    ) -> Self {
        Self {
            client,
            health,
            process: ulid::Ulid::generate().to_string(),
            all: format!("inkpot:{installation}"),
            out,
            shows_presence: true,
            has_parted: false,
        }
    }

    /// The same for a process that nobody asks who is online.
    pub fn without_presence(self) -> Self {
        Self {
            shows_presence: false,
            ..self
        }
    }

    fn of(&self, process: &str) -> String {
        format!("{}:{process}", self.all)
    }

    /// Carries for as long as the server runs, with and without Redis.
    pub async fn run(mut self, bus: Arc<Bus>) {
        let mut pause = RETRY.0;
        loop {
            let why = match self.connect().await {
                Ok(connection) => {
                    pause = RETRY.0;
                    let why = self.carry(&bus, connection).await;
                    bus.down();
                    why
                }
                Err(why) => why,
            };
            self.health.lost(User::Bus, &why);
            sleep(pause).await;
            pause = (pause * 2).min(RETRY.1);
        }
    }

    /// A connection that has carried: what was said on it came back.
    async fn connect(&self) -> Result<Connection, String> {
        let connecting = async {
            let mut heard = self.client.get_async_pubsub().await?;
            heard.subscribe(&self.all).await?;
            heard.subscribe(self.of(&self.process)).await?;
            let config = AsyncConnectionConfig::new().set_response_timeout(Some(PATIENCE));
            let said = self
                .client
                .get_multiplexed_async_connection_with_config(&config)
                .await?;
            redis::RedisResult::Ok(Connection { heard, said })
        };
        let mut connection = timeout(2 * PATIENCE, connecting)
            .await
            .map_err(|_| "no connection in time".to_owned())?
            .map_err(|error| error.to_string())?;
        let mut pipe = redis::pipe();
        self.add(
            &mut pipe,
            &self.of(&self.process),
            Said::Beat { version: 0 },
        );
        send(&mut connection.said, &pipe).await?;
        let echo = async {
            let mut heard = connection.heard.on_message();
            while let Some(message) = heard.next().await {
                if read(&message).is_some_and(|(from, _)| from == self.process) {
                    return true;
                }
            }
            false
        };
        match timeout(DEAF, echo).await {
            Ok(true) => Ok(connection),
            Ok(false) => Err("the connection was closed".to_owned()),
            Err(_) => Err("nothing comes back".to_owned()),
        }
    }

    /// Carries until the connection fails; gives why.
    async fn carry(&mut self, bus: &Bus, connection: Connection) -> String {
        let Connection {
            heard: mut subscription,
            said: mut connection,
        } = connection;
        // What waited here was lost for those who heard the others meanwhile.
        while self.out.try_recv().is_ok() {}
        self.health.reached(User::Bus);
        bus.up();
        let mut is_whole = false;
        let begun = Instant::now();
        let mut pipe = redis::pipe();
        self.add(&mut pipe, &self.all, Said::Event(Event::AnythingChanged));
        if self.shows_presence {
            self.add(&mut pipe, &self.all, Said::Ask { of: None });
        }
        if let Err(why) = send(&mut connection, &pipe).await {
            return why;
        }
        let mut heard = subscription.on_message();
        let mut echo = Instant::now();
        let mut beats = interval(BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let mut pipe = redis::pipe();
            tokio::select! {
                message = heard.next() => {
                    let Some(message) = message else {
                        return "the connection was closed".to_owned();
                    };
                    let Some((from, said)) = read(&message) else { continue };
                    if from == self.process {
                        if let Said::Beat { .. } = said {
                            echo = Instant::now();
                        }
                        continue;
                    }
                    self.answer(bus, &from, said, &mut pipe);
                }
                said = self.out.recv() => {
                    let Some(said) = said else {
                        return "the server stops".to_owned();
                    };
                    self.tell(&mut pipe, said);
                    for _ in 1..TOGETHER {
                        let Ok(said) = self.out.try_recv() else { break };
                        self.tell(&mut pipe, said);
                    }
                }
                _ = beats.tick() => {
                    if echo.elapsed() > DEAF {
                        return "nothing comes back".to_owned();
                    }
                    let (is_one_missed, is_all_known) = bus.presence().hear(|roster, now| {
                        roster.forget_silent(now.saturating_sub(LEASE));
                        (roster.miss(now.saturating_sub(DEAF)), roster.is_all_known())
                    });
                    if is_one_missed {
                        // It may have been killed between a commit and its event.
                        bus.hear(&Event::AnythingChanged);
                    }
                    if !is_whole && is_all_known && begun.elapsed() > GATHERED {
                        is_whole = true;
                        bus.presence().set_partial(false);
                    }
                    let version = bus.presence().told();
                    // For itself alone, where nobody is to wait for its list or to miss it.
                    let is_alone = self.has_parted || !self.shows_presence;
                    let channel = if is_alone { self.of(&self.process) } else { self.all.clone() };
                    self.add(&mut pipe, &channel, Said::Beat { version });
                }
            }
            if !pipe.is_empty()
                && let Err(why) = send(&mut connection, &pipe).await
            {
                return why;
            }
        }
    }

    /// Tells all others.
    fn tell(&mut self, pipe: &mut Pipeline, said: Said) {
        self.has_parted |= matches!(said, Said::Bye);
        self.add(pipe, &self.all, said);
    }

    fn add(&self, pipe: &mut Pipeline, channel: &str, said: Said) {
        let message = Message {
            from: self.process.clone(),
            said,
        };
        // Strings and numbers only: writing them to memory cannot fail.
        let text = serde_json::to_string(&message).unwrap_or_default();
        pipe.publish(channel, text).ignore();
    }

    /// Acts on what another process says.
    fn answer(&self, bus: &Bus, from: &str, said: Said, pipe: &mut Pipeline) {
        let is_presence = !matches!(said, Said::Event(_));
        if is_presence && (self.has_parted || !self.shows_presence) {
            return;
        }
        let must_ask = match said {
            Said::Event(event) => {
                bus.hear(&event);
                false
            }
            Said::Beat { version } => bus
                .presence()
                .hear(|roster, now| roster.beat(from, version, now)),
            Said::Presence { version, delta } => bus
                .presence()
                .hear(|roster, now| roster.change(from, version, delta, now)),
            Said::List { version, users } => {
                bus.presence()
                    .hear(|roster, now| roster.list(from, version, users, now));
                false
            }
            Said::Ask { of } => {
                if of.is_none_or(|of| of == self.process) {
                    let (version, users) = bus.presence().own();
                    self.add(pipe, &self.of(from), Said::List { version, users });
                }
                false
            }
            Said::Bye => {
                bus.presence().hear(|roster, _| roster.forget(from));
                false
            }
        };
        if must_ask {
            let of = Some(from.to_owned());
            self.add(pipe, &self.of(from), Said::Ask { of });
        }
    }
}

async fn send(connection: &mut MultiplexedConnection, pipe: &Pipeline) -> Result<(), String> {
    timeout(PATIENCE, pipe.query_async::<()>(connection))
        .await
        .map_err(|_| "no answer in time".to_owned())?
        .map_err(|error| error.to_string())
}

/// Who says what; `None` for what a newer program may say and this one does not
/// understand.
fn read(message: &redis::Msg) -> Option<(String, Said)> {
    let Message { from, said } = serde_json::from_slice(message.get_payload_bytes()).ok()?;
    Some((from, said))
}
