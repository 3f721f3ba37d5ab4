//! Lines for what strangers cause as often as they like: the first at once, and then at
//! most one a minute, which says how often.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::sleep;

/// Between two lines.
const PAUSE: Duration = Duration::from_secs(60);

/// Counts what happens, and says it now and then, with the first `E` since the last time as
/// an example.
pub struct Counted<E: Send + 'static = ()> {
    /// What is not said yet.
    unsaid: AtomicU64,
    example: Mutex<Option<E>>,
    /// Whether somebody waits to say it.
    is_awaited: AtomicBool,
    /// Says that it happened so often since the last time.
    say: Say<E>,
}

enum Say<E> {
    Number(fn(u64)),
    Example(fn(u64, Option<E>)),
}

/// Somebody who waits; what is unsaid when that ends, as a stopping server ends it, is said
/// then.
struct Waiting<E: Send + 'static>(&'static Counted<E>);

impl Counted {
    /// Without examples.
    pub const fn new(say: fn(u64)) -> Self {
        Self::saying(Say::Number(say))
    }

    /// It happened. To be called where tasks run.
    pub fn count(&'static self) {
        self.count_with(|| ());
    }
}

impl<E: Send + 'static> Counted<E> {
    /// With an example, if there is one.
    pub const fn with_example(say: fn(u64, Option<E>)) -> Self {
        Self::saying(Say::Example(say))
    }

    const fn saying(say: Say<E>) -> Self {
        Self {
            unsaid: AtomicU64::new(0),
            example: Mutex::new(None),
            is_awaited: AtomicBool::new(false),
            say,
        }
    }

    fn example(&self) -> std::sync::MutexGuard<'_, Option<E>> {
        self.example.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It happened, as in this example. To be called where tasks run.
    pub fn count_with(&'static self, example: impl FnOnce() -> E) {
        self.example().get_or_insert_with(example);
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
        let example = self.example().take();
        if unsaid > 0 {
            match self.say {
                Say::Number(say) => say(unsaid),
                Say::Example(say) => say(unsaid, example),
            }
        }
        unsaid > 0
    }
}

impl<E: Send + 'static> Drop for Waiting<E> {
    fn drop(&mut self) {
        self.0.is_awaited.store(false, Ordering::Release);
        self.0.say_unsaid();
    }
}

#[cfg(test)]
mod tests {
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

    #[tokio::test(start_paused = true)]
    async fn the_first_of_each_minute_is_the_example() {
        static EXAMPLES: Mutex<Vec<(u64, Option<u32>)>> = Mutex::new(Vec::new());
        static SHOWN: Counted<u32> = Counted::with_example(|number, example| {
            (EXAMPLES.lock().unwrap_or_else(PoisonError::into_inner)).push((number, example));
        });
        (1..=5).for_each(|n| SHOWN.count_with(|| n));
        sleep(PAUSE + Duration::from_secs(1)).await;
        SHOWN.count_with(|| 6);
        sleep(PAUSE).await;
        let examples = EXAMPLES.lock().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(*examples, [(1, Some(1)), (4, Some(2)), (1, Some(6))]);
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
