//! Messages between processes, over Redis: publish and subscribe, nothing kept there.
//!
//! A process hears itself: when its own heartbeat does not come back in time it counts as
//! disconnected, however healthy the connection looks. Each connection is a new beginning,
//! since what was said in between is lost.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Pipeline};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use super::event::Report;
use super::wire::{self, Head, Kind};
use super::{Bus, Outbox, Outgoing, Recipient, SILENCE};
use crate::core::redis::health::{RedisHealth, User};

/// Between two heartbeats.
const HEARTBEAT: Duration = Duration::from_millis(200);
/// For a command, and for a connection.
const PATIENCE: Duration = Duration::from_millis(500);
/// Before the next try to connect: doubling from the first to the second.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));
/// Messages that one round trip carries.
const TOGETHER: usize = 256;

/// Connects a bus to those of other processes, on a Redis that all share.
pub struct RedisTransport {
    client: Client,
    health: Arc<RedisHealth>,
    bus: Arc<Bus>,
    /// The channel of all who serve the same database.
    all: String,
    outbox: Outbox,
}

/// A connection on which what was said came back.
struct Connection {
    incoming: redis::aio::PubSub,
    outgoing: MultiplexedConnection,
}

/// The other members, by when each was heard last.
#[derive(Default)]
struct Members(HashMap<String, Instant>);

impl Members {
    /// Those that are missed from now on, each once.
    fn take_silent(&mut self) -> Vec<String> {
        let silent = self
            .0
            .extract_if(|_, heard| heard.elapsed() > SILENCE)
            .map(|(process, _)| process);
        silent.collect()
    }
}

impl RedisTransport {
    /// `installation` names the database: those who share it hear each other, and
    /// nobody else on the same server.
    pub fn new(
        client: Client,
        health: Arc<RedisHealth>,
        installation: &str,
        bus: Arc<Bus>,
        outbox: Outbox,
    ) -> Self {
        Self {
            client,
            health,
            bus,
            all: format!("inkpot:{installation}"),
            outbox,
        }
    }

    /// The channel of one process.
    fn channel_of(&self, process: &str) -> String {
        format!("{}:{process}", self.all)
    }

    fn own_channel(&self) -> String {
        self.channel_of(&self.bus.process)
    }

    /// Carries messages for as long as the server runs, with and without Redis.
    pub async fn run(mut self) {
        let mut pause = RETRY.0;
        loop {
            let why = match self.connect().await {
                Ok(connection) => {
                    pause = RETRY.0;
                    let why = self.carry(connection).await;
                    self.bus.disconnected();
                    why
                }
                Err(why) => why,
            };
            self.health.lost(User::Bus, &why);
            sleep(pause).await;
            pause = (pause * 2).min(RETRY.1);
        }
    }

    async fn connect(&self) -> Result<Connection, String> {
        let connecting = async {
            let mut incoming = self.client.get_async_pubsub().await?;
            incoming.subscribe(&self.all).await?;
            incoming.subscribe(self.own_channel()).await?;
            let config = AsyncConnectionConfig::new().set_response_timeout(Some(PATIENCE));
            let outgoing = self
                .client
                .get_multiplexed_async_connection_with_config(&config)
                .await?;
            redis::RedisResult::Ok(Connection { incoming, outgoing })
        };
        let mut connection = timeout(2 * PATIENCE, connecting)
            .await
            .map_err(|_| "no connection in time".to_owned())?
            .map_err(|error| error.to_string())?;
        let mut pipe = redis::pipe();
        self.add_heartbeat(&mut pipe, &self.own_channel());
        send(&mut connection.outgoing, &pipe).await?;
        let echo = async {
            let mut incoming = connection.incoming.on_message();
            while let Some(message) = incoming.next().await {
                let head = Head::read(message.get_payload_bytes());
                if head.is_some_and(|head| head.from == self.bus.process) {
                    return true;
                }
            }
            false
        };
        match timeout(SILENCE, echo).await {
            Ok(true) => Ok(connection),
            Ok(false) => Err("the connection was closed".to_owned()),
            Err(_) => Err("nothing comes back".to_owned()),
        }
    }

    /// Carries messages until the connection fails; gives why.
    async fn carry(&mut self, connection: Connection) -> String {
        let Connection {
            incoming: mut subscription,
            mut outgoing,
        } = connection;
        // What waited here was lost for those who heard the others meanwhile.
        while self.outbox.try_recv().is_ok() {}
        self.health.reached(User::Bus);
        let mut echo = Instant::now();
        self.bus.echoed(echo.into_std());
        self.bus.connected();
        let mut members = Members::default();
        let mut incoming = subscription.on_message();
        // When those were sent that have not come back.
        let mut sent = VecDeque::new();
        let mut heartbeats = interval(HEARTBEAT);
        heartbeats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let mut pipe = redis::pipe();
            tokio::select! {
                message = incoming.next() => {
                    let Some(message) = message else {
                        return "the connection was closed".to_owned();
                    };
                    let text = message.get_payload_bytes();
                    let Some(head) = Head::read(text) else { continue };
                    if head.from != self.bus.process {
                        self.receive(&mut members, &head, text);
                    } else if head.is_heartbeat() {
                        echo = sent.pop_front().unwrap_or(echo);
                        self.bus.echoed(echo.into_std());
                    }
                }
                Some(message) = self.outbox.recv() => {
                    self.add(&mut pipe, message);
                    for _ in 1..TOGETHER {
                        let Ok(message) = self.outbox.try_recv() else { break };
                        self.add(&mut pipe, message);
                    }
                }
                _ = heartbeats.tick() => {
                    if echo.elapsed() > SILENCE {
                        return "nothing comes back".to_owned();
                    }
                    sent.push_back(Instant::now());
                    self.beat(&mut members, &mut pipe);
                }
            }
            if !pipe.is_empty()
                && let Err(why) = send(&mut outgoing, &pipe).await
            {
                return why;
            }
        }
    }

    /// Acts on what another process has said.
    fn receive(&self, members: &mut Members, head: &Head, text: &[u8]) {
        if let Kind::Message(_) = head.kind() {
            if !self.bus.is_member() {
                return;
            }
            if head.is_leave() {
                members.0.remove(&head.from);
                self.bus.report(Report::Left(&head.from));
                return;
            }
            members.0.insert(head.from.clone(), Instant::now());
        }
        self.bus.receive(head, text);
    }

    /// Says that this process is there, and finds out who is not.
    fn beat(&self, members: &mut Members, pipe: &mut Pipeline) {
        if !self.bus.is_member() {
            // For itself alone: nobody is to wait for this process or to miss it.
            self.add_heartbeat(pipe, &self.own_channel());
            return;
        }
        for process in members.take_silent() {
            self.bus.report(Report::Missed(&process));
        }
        self.bus.report(Report::Heartbeat);
        self.add_heartbeat(pipe, &self.all);
    }

    fn add_heartbeat(&self, pipe: &mut Pipeline, channel: &str) {
        pipe.publish(channel, wire::heartbeat(&self.bus.process))
            .ignore();
    }

    fn add(&self, pipe: &mut Pipeline, message: Outgoing) {
        let Outgoing { to, text } = message;
        match to {
            Recipient::All => pipe.publish(&self.all, text),
            Recipient::Process(process) => pipe.publish(self.channel_of(&process), text),
        }
        .ignore();
    }
}

async fn send(connection: &mut MultiplexedConnection, pipe: &Pipeline) -> Result<(), String> {
    timeout(PATIENCE, pipe.query_async::<()>(connection))
        .await
        .map_err(|_| "no answer in time".to_owned())?
        .map_err(|error| error.to_string())
}
