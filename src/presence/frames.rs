//! The frames that sockets get: JSON, each serialized once for all of them.

use serde::Serialize;

use super::connection::{Frame, text_frame};
use super::membership::{Delta, Online};

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Body<'a> {
    Snapshot {
        total: usize,
        online: Vec<&'a Online>,
        #[serde(skip_serializing_if = "is_false")]
        partial: bool,
    },
    Change {
        total: usize,
        online: &'a [Online],
        offline: &'a [i64],
        #[serde(skip_serializing_if = "is_false")]
        partial: bool,
    },
}

#[allow(clippy::trivially_copy_pass_by_ref)] // what serde calls it with
fn is_false(value: &bool) -> bool {
    !value
}

/// All who are online, as it goes through every socket: how many, and the newest of them.
pub fn snapshot(total: usize, online: Vec<&Online>, partial: bool) -> Frame {
    frame_of(&Body::Snapshot {
        total,
        online,
        partial,
    })
}

/// What has changed, as it goes through every socket.
pub fn change(total: usize, delta: &Delta<Online>, partial: bool) -> Frame {
    frame_of(&Body::Change {
        total,
        online: &delta.joined,
        offline: &delta.left,
        partial,
    })
}

fn frame_of(body: &Body<'_>) -> Frame {
    // Strings and numbers only: writing them to memory cannot fail.
    text_frame(&serde_json::to_vec(body).unwrap_or_default())
}
