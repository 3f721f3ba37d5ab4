//! What happens to the queue.

use serde::{Deserialize, Serialize};

use crate::core::bus::Event;

/// There is a job to do. A loss is harmless: every worker asks once a second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobWritten {}

impl Event for JobWritten {
    const NAME: &'static str = "job_written";
    const IS_OWED: bool = false;
}
