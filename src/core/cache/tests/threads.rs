//! Readers and writers on several threads: nobody is told of a write and then reads
//! what was before it.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use futures_util::future::join_all;

use super::*;

const KEYS: usize = 3;
const READS: usize = 100_000;
/// Reads for each write.
const WRITE_EVERY: usize = 25;
const THREADS: usize = 4;
/// Requests that a thread has under way at once.
const AT_ONCE: usize = 8;

/// A row of a database, and the newest value of it that somebody was told.
#[derive(Default)]
struct Row {
    value: AtomicU64,
    acknowledged: AtomicU64,
}

struct Model {
    cache: Cache<usize, Failure>,
    rows: [Row; KEYS],
    reads: AtomicUsize,
    fillings: AtomicUsize,
    /// Reads of what was before a write that was told.
    too_old: AtomicUsize,
}

impl Model {
    /// The present value, told some time after it was read.
    async fn fill(&self, key: usize) -> Result<Filled, Failure> {
        let fillings = self.fillings.fetch_add(1, Ordering::Relaxed);
        let value = self.rows[key].value.load(Ordering::Acquire);
        for _ in 0..fillings % 4 {
            tokio::task::yield_now().await;
            std::thread::yield_now();
        }
        Ok(Filled::Found {
            parts: parts(value.to_le_bytes()),
            tags: vec![CacheTag::of(&key)],
        })
    }

    async fn read(&self) {
        let turn = self.reads.fetch_add(1, Ordering::Relaxed);
        let key = turn % KEYS;
        if turn.is_multiple_of(WRITE_EVERY) {
            self.write(key);
        }
        let told = self.rows[key].acknowledged.load(Ordering::Acquire);
        let found = self.cache.find_or_fill(&key, async || self.fill(key).await);
        let entry = found.await.unwrap().unwrap();
        let value = u64::from_le_bytes(entry.body()[..].try_into().unwrap());
        if value < told {
            self.too_old.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn write(&self, key: usize) {
        let row = &self.rows[key];
        let value = row.value.fetch_add(1, Ordering::AcqRel) + 1;
        // Others may read the new value before anybody says that it is new.
        std::thread::yield_now();
        self.cache.invalidate(&[CacheTag::of(&key)]);
        row.acknowledged.fetch_max(value, Ordering::AcqRel);
    }

    /// Reads until all are done, several at once, and writes in between.
    fn run(&self) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        while self.reads.load(Ordering::Relaxed) < READS {
            runtime.block_on(join_all((0..AT_ONCE).map(|_| self.read())));
        }
    }
}

#[test]
fn who_was_told_of_a_write_never_reads_what_was_before_it() {
    let model = Model {
        cache: Cache::new(1 << 20, None, clock()),
        rows: Default::default(),
        reads: AtomicUsize::new(0),
        fillings: AtomicUsize::new(0),
        too_old: AtomicUsize::new(0),
    };
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| model.run());
        }
    });
    assert_eq!(model.too_old.load(Ordering::Relaxed), 0);
    let fillings = model.fillings.load(Ordering::Relaxed);
    // Both ways were taken: from the cache, and by reading anew after writes.
    assert!((100..READS / 2).contains(&fillings), "{fillings} fillings");
    assert_eq!(model.cache.flights.count(), 0);
}
