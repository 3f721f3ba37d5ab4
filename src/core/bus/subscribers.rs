//! Who acts on what: put together once, before there is a bus.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

use super::event::{Event, Message, Report};

/// The subscribers of a process. Each is called on the thread that publishes, in the order
/// in which they subscribed, with the bus `B` where it may have to answer.
pub struct Subscribers<B> {
    topics: HashMap<&'static str, Topic>,
    messages: HashMap<&'static str, OnMessage<B>>,
    reports: Vec<OnReport<B>>,
}

type OnEvent = Box<dyn Fn(&dyn Any) + Send + Sync>;
type OnMessage<B> = Box<dyn Fn(&B, &str, &[u8]) + Send + Sync>;
type OnReport<B> = Box<dyn Fn(&B, Report<'_>) + Send + Sync>;

impl<B> Default for Subscribers<B> {
    fn default() -> Self {
        Self {
            topics: HashMap::new(),
            messages: HashMap::new(),
            reports: Vec::new(),
        }
    }
}

/// All that want events of one type.
struct Topic {
    /// Reads an event of another process.
    read: fn(&[u8]) -> Option<Box<dyn Any>>,
    subscribers: Vec<OnEvent>,
}

fn read<E: Event>(text: &[u8]) -> Option<Box<dyn Any>> {
    let event: E = serde_json::from_slice(text).ok()?;
    Some(Box::new(event))
}

impl<B> Subscribers<B> {
    /// Has `subscriber` act on events, of this process and of others.
    pub fn on<S, E>(&mut self, subscriber: &Arc<S>, act: impl Fn(&S, &E) + Send + Sync + 'static)
    where
        S: Send + Sync + 'static,
        E: Event,
    {
        let subscriber = Arc::clone(subscriber);
        let topic = self.topics.entry(E::NAME).or_insert_with(|| Topic {
            read: read::<E>,
            subscribers: Vec::new(),
        });
        topic.subscribers.push(Box::new(move |event| {
            if let Some(event) = event.downcast_ref() {
                act(&subscriber, event);
            }
        }));
    }

    /// Has `subscriber` act on messages of other members, with the name of who sent each.
    /// One subscriber has all messages of a type.
    pub fn on_message<S, M>(
        &mut self,
        subscriber: &Arc<S>,
        act: impl Fn(&S, &B, &str, M) + Send + Sync + 'static,
    ) where
        S: Send + Sync + 'static,
        M: Message,
    {
        let subscriber = Arc::clone(subscriber);
        let receive = move |bus: &B, from: &str, text: &[u8]| {
            if let Ok(message) = serde_json::from_slice(text) {
                act(&subscriber, bus, from, message);
            }
        };
        self.messages.insert(M::NAME, Box::new(receive));
    }

    /// Has `subscriber` act on what the bus reports.
    pub fn on_report<S>(
        &mut self,
        subscriber: &Arc<S>,
        act: impl Fn(&S, &B, Report<'_>) + Send + Sync + 'static,
    ) where
        S: Send + Sync + 'static,
    {
        let subscriber = Arc::clone(subscriber);
        self.reports
            .push(Box::new(move |bus, report| act(&subscriber, bus, report)));
    }

    pub(super) fn deliver<E: Event>(&self, event: &E) {
        if let Some(topic) = self.topics.get(E::NAME) {
            topic.deliver(event);
        }
    }

    pub(super) fn receive_event(&self, name: &str, text: &[u8]) {
        if let Some(topic) = self.topics.get(name)
            && let Some(event) = (topic.read)(text)
        {
            topic.deliver(&*event);
        }
    }

    pub(super) fn receive_message(&self, bus: &B, from: &str, name: &str, text: &[u8]) {
        if let Some(receive) = self.messages.get(name) {
            receive(bus, from, text);
        }
    }

    pub(super) fn report(&self, bus: &B, report: Report<'_>) {
        for act in &self.reports {
            act(bus, report);
        }
    }
}

impl Topic {
    fn deliver(&self, event: &dyn Any) {
        for act in &self.subscribers {
            act(event);
        }
    }
}
