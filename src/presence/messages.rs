//! What processes send each other of who is online. Each sends its changes in numbered
//! deltas and its heartbeats with the number, so that whoever missed one requests a
//! snapshot.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::hub::Hub;
use super::membership::{Delta, Member};
use crate::core::bus::{Bus, Message, Report, Subscribers};

/// This process is there, and has sent so many changes.
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

/// Has the hub act on what other processes send, and answer it.
pub fn subscribe(hub: &Arc<Hub>, subscribers: &mut Subscribers) {
    subscribers.on_message(hub, |hub, bus, from, Heartbeat { version }| {
        if hub.update(|membership, now| membership.heartbeat(from, version, now)) {
            bus.send_to(from, &SyncRequest {});
        }
    });
    subscribers.on_message(hub, |hub, bus, from, Change { version, delta }| {
        if hub.update(|membership, now| membership.apply_delta(from, version, delta, now)) {
            bus.send_to(from, &SyncRequest {});
        }
    });
    subscribers.on_message(hub, |hub, bus, from, SyncRequest {}| {
        let (version, users) = hub.own();
        bus.send_to(from, &Snapshot { version, users });
    });
    subscribers.on_message(hub, |hub, _, from, Snapshot { version, users }| {
        hub.update(|membership, now| membership.apply_snapshot(from, version, users, now));
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
            hub.expire_leases();
            let version = hub.version();
            bus.send(&Heartbeat { version });
        }
        Report::Missed(process) => hub.update(|membership, _| membership.miss(process)),
        Report::Left(process) => hub.update(|membership, _| membership.forget(process)),
        Report::Isolated(..) => {}
    }
}
