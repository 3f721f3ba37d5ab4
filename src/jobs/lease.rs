//! The lease under which a worker has a job, and the heartbeat that renews it.

use std::time::Duration;

/// How long a worker has a job before others may take it, unless a heartbeat renews the
/// lease. The clocks of machines that share a database must agree to well
/// within this.
pub const LEASE: Duration = Duration::from_secs(20);
/// How often a worker renews the leases of its jobs.
pub const HEARTBEAT: Duration = Duration::from_secs(5);
/// How often a worker that was not notified looks for jobs.
pub const POLL: Duration = Duration::from_secs(1);
