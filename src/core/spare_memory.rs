//! Memory that a crowd has left behind goes back to the system.
//!
//! The allocator keeps what was freed for a second, and gives it back when next it tidies up: after many
//! thousand allocations of one thread, or at the end of any thread. A server that is at rest again has
//! neither, and would hold for ever what its busiest moment took. So a thread ends now and then.

use std::thread;
use std::time::Duration;

/// Between two ends of a thread, which take some 20 microseconds each.
const INTERVAL: Duration = Duration::from_secs(5);

/// Has the allocator tidy up again and again, for as long as the process runs.
pub fn give_back() {
    let ends = || thread::Builder::new().name("tidy".to_owned()).spawn(|| ());
    let keeper = thread::Builder::new().name("tidying".to_owned());
    let begun = keeper.spawn(move || {
        loop {
            thread::sleep(INTERVAL);
            if let Ok(thread) = ends() {
                let _ = thread.join();
            }
        }
    });
    if let Err(error) = begun {
        tracing::warn!(%error, "memory that is free stays with the process");
    }
}
