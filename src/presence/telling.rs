//! What sockets are told: frames of JSON, each serialized once for all who hear it.

use actix_web::web::Bytes;
use serde::Serialize;

use super::line;
use super::roster::{Delta, Online};

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Frame<'a> {
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
pub fn snapshot(total: usize, online: Vec<&Online>, partial: bool) -> Bytes {
    text(&Frame::Snapshot {
        total,
        online,
        partial,
    })
}

/// What has changed, as it goes through every socket.
pub fn change(total: usize, delta: &Delta<Online>, partial: bool) -> Bytes {
    text(&Frame::Change {
        total,
        online: &delta.came,
        offline: &delta.went,
        partial,
    })
}

fn text(frame: &Frame<'_>) -> Bytes {
    // Strings and numbers only: writing them to memory cannot fail.
    line::text(&serde_json::to_vec(frame).unwrap_or_default())
}
