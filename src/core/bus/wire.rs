//! Messages as they are written: one JSON object each, with the sender, the name, and
//! beside them the fields of the payload. The members' names are those that programs
//! before this one wrote and read, since two versions may run side by side.

use serde::{Deserialize, Serialize};

use super::event::{Event, Message};

/// The name of what says that a process is there.
const HEARTBEAT: &str = "heartbeat";
/// The name of what says that a process leaves.
const LEAVE: &str = "bye";
/// In the place of a message's name: this is an event, whose name is in another.
const EVENT: &str = "event";

#[derive(Serialize)]
struct Envelope<'a, T> {
    from: &'a str,
    said: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a str>,
    #[serde(flatten)]
    payload: &'a T,
}

/// A payload that says nothing.
#[derive(Serialize)]
struct Empty {}

fn write<T: Serialize>(from: &str, said: &str, event: Option<&str>, payload: &T) -> String {
    // Strings and numbers only: writing them to memory cannot fail.
    serde_json::to_string(&Envelope {
        from,
        said,
        event,
        payload,
    })
    .unwrap_or_default()
}

pub fn event<E: Event>(from: &str, event: &E) -> String {
    write(from, EVENT, Some(E::NAME), event)
}

pub fn message<M: Message>(from: &str, message: &M) -> String {
    write(from, M::NAME, None, message)
}

pub fn heartbeat(from: &str) -> String {
    write(from, HEARTBEAT, None, &Empty {})
}

pub fn leave(from: &str) -> String {
    write(from, LEAVE, None, &Empty {})
}

/// Who says what kind of thing. The payload is read from the same text by who knows it.
#[derive(Debug, Deserialize)]
pub struct Head {
    pub from: String,
    said: String,
    event: Option<String>,
}

/// What a text is.
#[derive(Debug, PartialEq, Eq)]
pub enum Kind<'a> {
    Event(&'a str),
    Message(&'a str),
}

impl Head {
    /// `None` for what is no message.
    pub fn read(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }

    pub fn kind(&self) -> Kind<'_> {
        match &self.event {
            Some(name) if self.said == EVENT => Kind::Event(name),
            _ => Kind::Message(&self.said),
        }
    }

    pub fn is_heartbeat(&self) -> bool {
        self.kind() == Kind::Message(HEARTBEAT)
    }

    pub fn is_leave(&self) -> bool {
        self.kind() == Kind::Message(LEAVE)
    }
}
