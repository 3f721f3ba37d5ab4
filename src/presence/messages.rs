//! What processes tell each other of who is online. Each tells its changes in numbered
//! deltas and its heartbeats with the number, so that whoever missed one asks for all.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Hub;
use super::roster::{Delta, Member};
use crate::core::bus::{Bus, Message, Report, Subscribers};

/// This process is there, and has told so many changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    pub version: u64,
}

impl Message for Heartbeat {
    const NAME: &'static str = "beat";
}

/// Who joined and who left here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub version: u64,
    pub delta: Delta<Member>,
}

impl Message for Change {
    const NAME: &'static str = "presence";
}

/// Asks for who is online at whoever gets it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncRequest {}

impl Message for SyncRequest {
    const NAME: &'static str = "ask";
}

/// Who is online here, after so many changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    pub version: u64,
    pub users: Vec<Member>,
}

impl Message for Snapshot {
    const NAME: &'static str = "list";
}

/// Has the hub hear other processes, and answer them.
pub fn subscribe(hub: &Arc<Hub>, subscribers: &mut Subscribers) {
    subscribers.on_message(hub, |hub, bus, from, Heartbeat { version }| {
        if hub.hear(|roster, now| roster.beat(from, version, now)) {
            bus.send_to(from, &SyncRequest {});
        }
    });
    subscribers.on_message(hub, |hub, bus, from, Change { version, delta }| {
        if hub.hear(|roster, now| roster.change(from, version, delta, now)) {
            bus.send_to(from, &SyncRequest {});
        }
    });
    subscribers.on_message(hub, |hub, bus, from, SyncRequest {}| {
        let (version, users) = hub.own();
        bus.send_to(from, &Snapshot { version, users });
    });
    subscribers.on_message(hub, |hub, _, from, Snapshot { version, users }| {
        hub.hear(|roster, now| roster.list(from, version, users, now));
    });
    subscribers.on_report(hub, act_on);
}

fn act_on(hub: &Hub, bus: &Bus, report: Report<'_>) {
    match report {
        Report::Connected => {
            hub.connected();
            bus.send(&SyncRequest {});
        }
        Report::Disconnected => hub.set_partial(true),
        Report::Heartbeat => {
            hub.forget_silent();
            let version = hub.told();
            bus.send(&Heartbeat { version });
        }
        Report::Missed(process) => hub.hear(|roster, _| roster.miss(process)),
        Report::Left(process) => hub.hear(|roster, _| roster.forget(process)),
        Report::Isolated(_) => {}
    }
}
