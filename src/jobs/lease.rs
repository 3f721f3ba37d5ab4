//! The lease under which a worker has a job, and the heartbeat that renews it.

use std::time::Duration;

use super::types::Queue;

/// How long a worker has a job before others may take it, unless a heartbeat renews the
/// lease. The clocks of machines that share a database must agree to well
/// within this.
pub const LEASE: Duration = Duration::from_secs(20);
/// The same for the first tries of what people wait for to the second: when the worker that has it is
/// killed, another one takes it at once. What is done twice so must be done once.
pub const SHORT_LEASE: Duration = Duration::from_millis(500);
/// Tries with the short lease; what takes longer gets the other one.
const SHORT_TRIES: i32 = 3;

/// The lease of a job of this queue that is begun for the `attempts`-th time.
pub fn lease_of(queue: Queue, attempts: i32) -> Duration {
    match queue {
        Queue::Publish if attempts <= SHORT_TRIES => SHORT_LEASE,
        Queue::Mail | Queue::Sms | Queue::Work | Queue::Publish => LEASE,
    }
}

/// Whether heartbeats renew the leases of a queue: not those that are short, which would be long then.
pub fn is_renewed(queue: Queue) -> bool {
    queue != Queue::Publish
}

/// How often a worker renews the leases of its jobs.
pub const HEARTBEAT: Duration = Duration::from_secs(5);
/// How often a worker that was not notified looks for jobs.
pub const POLL: Duration = Duration::from_secs(1);
