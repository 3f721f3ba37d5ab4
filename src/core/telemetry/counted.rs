//! Lines for what strangers cause as often as they like: the first at once, and then at
//! most one a minute, which says how often.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::sleep;

/// Between two lines.
const PAUSE: Duration = Duration::from_secs(60);

/// Counts what happens, and says it now and then.
pub struct Counted {
    /// What is not said yet.
    unsaid: AtomicU64,
    /// Whether somebody waits to say it.
    is_awaited: AtomicBool,
    /// Says that it happened so often since the last time.
    say: fn(u64),
}

/// Somebody who waits; what is unsaid when that ends, as a stopping server ends it, is said
/// then.
struct Waiting(&'static Counted);

impl Counted {
    pub const fn new(say: fn(u64)) -> Self {
        Self {
            unsaid: AtomicU64::new(0),
            is_awaited: AtomicBool::new(false),
            say,
        }
    }

    /// It happened. To be called where tasks run.
    pub fn count(&'static self) {
        self.unsaid.fetch_add(1, Ordering::AcqRel);
        if self.is_awaited.swap(true, Ordering::AcqRel) {
            return;
        }
        self.say_unsaid();
        let waiting = Waiting(self);
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                // Whole, so that its end is that of this task.
                let waiting = waiting;
                loop {
                    sleep(PAUSE).await;
                    if !waiting.0.say_unsaid() {
                        return;
                    }
                }
            });
        }
    }

    /// Whether there was anything.
    fn say_unsaid(&self) -> bool {
        let unsaid = self.unsaid.swap(0, Ordering::AcqRel);
        if unsaid > 0 {
            (self.say)(unsaid);
        }
        unsaid > 0
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.is_awaited.store(false, Ordering::Release);
        self.0.say_unsaid();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use super::*;

    static SAID: Mutex<Vec<u64>> = Mutex::new(Vec::new());
    static COUNTED: Counted = Counted::new(|number| {
        (SAID.lock().unwrap_or_else(PoisonError::into_inner)).push(number);
    });

    fn said() -> Vec<u64> {
        std::mem::take(&mut *SAID.lock().unwrap_or_else(PoisonError::into_inner))
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_said_at_once_and_then_once_a_minute_with_the_number() {
        for _ in 0..1000 {
            COUNTED.count();
        }
        assert_eq!(said(), [1]);
        sleep(PAUSE + Duration::from_secs(1)).await;
        assert_eq!(said(), [999]);
        COUNTED.count();
        assert_eq!(said(), [0_u64; 0]);
        sleep(PAUSE).await;
        assert_eq!(said(), [1]);
        // After a quiet minute the next one is the first again.
        sleep(2 * PAUSE).await;
        assert_eq!(said(), [0_u64; 0]);
        COUNTED.count();
        assert_eq!(said(), [1]);
    }

    #[test]
    fn what_is_unsaid_when_the_server_ends_is_said() {
        static LAST: Mutex<Vec<u64>> = Mutex::new(Vec::new());
        static ENDED: Counted = Counted::new(|number| {
            (LAST.lock().unwrap_or_else(PoisonError::into_inner)).push(number);
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async { (0..5).for_each(|_| ENDED.count()) });
        drop(runtime);
        let last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(*last, [1, 4]);
    }
}
