//! The frames that sockets get: JSON, each serialized once for all of them.

use serde::Serialize;
use utoipa::ToSchema;

use super::connection::{Frame, text_frame};
use super::membership::{Delta, Online};

/// A frame of the live stream.
#[derive(Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schema(as = LiveFrame)]
pub enum Body<'a> {
    /// Who is online: the first frame, and later ones that begin anew.
    Snapshot {
        #[schema(minimum = 0, value_type = i64)]
        total: usize,
        /// The newest 1,000.
        #[schema(value_type = Vec<Online>)]
        online: Vec<&'a Online>,
        /// Only there, and true, when other processes should be heard and are not.
        #[serde(skip_serializing_if = "is_false")]
        #[schema(required = false)]
        partial: bool,
    },
    /// Who has come and who has gone since the frame before.
    Change {
        #[schema(minimum = 0, value_type = i64)]
        total: usize,
        #[schema(value_type = Vec<Online>)]
        online: &'a [Online],
        /// The ids of users.
        #[schema(value_type = Vec<i64>)]
        offline: &'a [i64],
        /// Only there, and true, when other processes should be heard and are not.
        #[serde(skip_serializing_if = "is_false")]
        #[schema(required = false)]
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
