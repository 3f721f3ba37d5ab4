//! Publish and subscribe: what happens in one process and matters in all.
//!
//! Whoever writes publishes an [`Event`]; when [`Bus::publish`] returns, every subscriber
//! in this process has acted on it. With Redis the other processes get it too ([`redis`]).
//! What events say is the rooms' business: they define them, and subscribe where the
//! parts of a process are put together.
//!
//! A transport that is away loses events and says so in its [`Report`]s: subscribers stop
//! trusting what they kept, and what was missed in the gap is made good when it is back.

mod event;
pub mod redis;
mod subscribers;
#[cfg(test)]
mod tests;
mod wire;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

pub use self::event::{Event, Message, Report};
use self::wire::{Head, Kind};
use super::freshness::{Freshness, now};

/// Who acts on what, put together before there is a bus.
pub type Subscribers = subscribers::Subscribers<Bus>;

/// How long nothing may come back by the transport before it counts as away.
const SILENCE: Duration = Duration::from_millis(800);
/// Messages that wait to be sent; more are as lost as if the transport were away.
const QUEUE: usize = 16_384;

/// Delivers events to this process and to others.
pub struct Bus {
    /// The name of this process among all.
    process: String,
    subscribers: Subscribers,
    /// To the transport between processes, if there is one.
    outbox: Option<mpsc::Sender<Outgoing>>,
    is_connected: AtomicBool,
    /// When that was sent which last came back by the transport.
    echo: Freshness,
    /// Whether others are to wait for this process and to miss it.
    is_member: AtomicBool,
    /// Whether other processes write to the same database, and when that was so. Held while
    /// isolation is reported, so that the last report is about the last change.
    others_write: Mutex<(bool, Instant)>,
    /// Whether an event was lost that is owed.
    has_missed: AtomicBool,
}

/// Whom a message is for.
#[derive(Debug)]
enum Recipient {
    All,
    Process(String),
}

/// A message on its way to the transport.
#[derive(Debug)]
pub struct Outgoing {
    to: Recipient,
    text: String,
}

/// What the transport is to send.
pub type Outbox = mpsc::Receiver<Outgoing>;

impl Bus {
    /// With `has_transport` also the end that a transport reads from.
    pub fn new(
        subscribers: Subscribers,
        has_transport: bool,
        others_write: bool,
    ) -> (Arc<Self>, Option<Outbox>) {
        let (outbox, rest) = if has_transport {
            let (outbox, rest) = mpsc::channel(QUEUE);
            (Some(outbox), Some(rest))
        } else {
            (None, None)
        };
        let bus = Arc::new(Self {
            process: ulid::Ulid::generate().to_string(),
            subscribers,
            outbox,
            is_connected: AtomicBool::new(false),
            echo: Freshness::default(),
            is_member: AtomicBool::new(true),
            others_write: Mutex::new((others_write, now())),
            has_missed: AtomicBool::new(false),
        });
        (bus, rest)
    }

    /// Says what has happened, after its commit and before it is answered. When this
    /// returns, every subscriber in this process has acted on it.
    pub fn publish<E: Event>(&self, event: &E) {
        self.deliver(event);
        let is_sent = self.enqueue(Recipient::All, || wire::event(&self.process, event));
        if !is_sent && E::IS_OWED {
            self.missed();
        }
    }

    /// Delivers to this process what another one made happen.
    pub fn deliver<E: Event>(&self, event: &E) {
        self.subscribers.deliver(event);
    }

    /// Sends a message to all other members.
    pub fn send<M: Message>(&self, message: &M) {
        if self.is_member() {
            self.enqueue(Recipient::All, || wire::message(&self.process, message));
        }
    }

    /// Sends a message to one member.
    pub fn send_to<M: Message>(&self, process: &str, message: &M) {
        if self.is_member() {
            let to = Recipient::Process(process.to_owned());
            self.enqueue(to, || wire::message(&self.process, message));
        }
    }

    /// Whether what is written is on its way, or there is nobody to send it to.
    fn enqueue(&self, to: Recipient, write: impl FnOnce() -> String) -> bool {
        let Some(outbox) = &self.outbox else {
            return true;
        };
        self.is_connected() && outbox.try_send(Outgoing { to, text: write() }).is_ok()
    }

    /// Takes leave of the other members: nobody waits for this process or misses it from
    /// now on, and messages to members are neither sent nor received. Events still are,
    /// since others must hear what its last requests write.
    pub fn leave(&self) {
        if self.is_member.swap(false, Ordering::AcqRel) {
            self.enqueue(Recipient::All, || wire::leave(&self.process));
        }
    }

    fn is_member(&self) -> bool {
        self.is_member.load(Ordering::Acquire)
    }

    /// Whether there is a transport between processes, be it away.
    pub fn has_transport(&self) -> bool {
        self.outbox.is_some()
    }

    /// Whether other processes hear this one, and it them: the transport works, and
    /// what was sent a moment ago came back by it.
    pub fn is_connected(&self) -> bool {
        self.is_connected.load(Ordering::Acquire) && self.echo.is_fresh(SILENCE)
    }

    /// What this process sent at that time came back by the transport, and so did before it
    /// all that others had sent until then.
    fn echoed(&self, sent: Instant) {
        self.echo.renew_at(sent);
    }

    /// Sets whether other processes wrote to the same database at that time, as far as it is
    /// known.
    pub fn set_others_write(&self, do_they: bool, at: Instant) {
        let mut others_write = self.lock_others_write();
        *others_write = (do_they, at);
        self.report(Report::Isolated(do_they && !self.is_connected(), at));
    }

    fn report_isolation(&self) {
        let others_write = self.lock_others_write();
        let (do_they, at) = *others_write;
        // Of those that write it is known now whether they are heard.
        let at = if do_they { now() } else { at };
        self.report(Report::Isolated(do_they && !self.is_connected(), at));
    }

    fn lock_others_write(&self) -> std::sync::MutexGuard<'_, (bool, Instant)> {
        (self.others_write.lock()).unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether others are to be told through the database that they missed an event; asked
    /// by who tells them.
    pub fn take_missed(&self) -> bool {
        self.has_missed.swap(false, Ordering::AcqRel)
    }

    /// Others missed an event, and are to be told so.
    pub fn missed(&self) {
        self.has_missed.store(true, Ordering::Release);
    }

    /// The transport works from now on. What happened in the gap is unknown, so
    /// subscribers drop what they kept before this process counts as one that hears.
    fn connected(&self) {
        // First, since subscribers send what they have to say at the beginning.
        self.is_connected.store(true, Ordering::Release);
        self.report(Report::Connected);
        self.report_isolation();
    }

    /// The transport is away from now on.
    fn disconnected(&self) {
        self.is_connected.store(false, Ordering::Release);
        self.report_isolation();
        // What was on its way may not have arrived.
        self.missed();
        self.report(Report::Disconnected);
    }

    fn report(&self, report: Report<'_>) {
        self.subscribers.report(self, report);
    }

    /// Acts on what another process has said. What a newer program says and this one does
    /// not understand is passed over.
    fn receive(&self, head: &Head, text: &[u8]) {
        match head.kind() {
            Kind::Event(name) => self.subscribers.receive_event(name, text),
            Kind::Message(name) if self.is_member() => {
                self.subscribers
                    .receive_message(self, &head.from, name, text);
            }
            Kind::Message(_) => {}
        }
    }
}
