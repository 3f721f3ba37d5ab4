//! A process lock: whether other processes serve the same embedded database.
//!
//! What another process writes is not told to this one, so finished answers may be kept
//! until they are changed only by who is alone. (Of who is connected to a MySQL or MariaDB its
//! server tells: [`alone`](crate::core::db::alone).) Two files beside the database tell:
//! the first process to serve it locks `…-served`; every later one holds a shared lock
//! on `…-shared`, at which the first looks again and again. The locks go with their
//! process, however that ends.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::core::db::DatabaseUrl;

/// This process among those that serve the same database.
pub enum ProcessLock {
    /// The first on a SQLite file: alone as long as nobody shares it.
    Exclusive { _served: File, shared: File },
    /// Another was there before, or there is no telling.
    Shared { _shared: Option<File> },
    /// A server, which itself tells who is connected.
    NotNeeded,
}

impl ProcessLock {
    /// Joins those who serve `url`. Blocks for `notice`, in which a first one becomes
    /// aware, when there is one. The error is one line.
    pub fn acquire(url: &DatabaseUrl, notice: Duration) -> Result<Self, String> {
        let DatabaseUrl::Sqlite(database) = url else {
            return Ok(Self::NotNeeded);
        };
        let open = |suffix| {
            let path = beside(database, suffix);
            File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .open(&path)
                .map_err(|e| format!("cannot open {}: {e}", path.display()))
        };
        let (served, shared) = (open("-served")?, open("-shared")?);
        match served.try_lock() {
            Ok(()) => Ok(Self::Exclusive {
                _served: served,
                shared,
            }),
            Err(TryLockError::WouldBlock) => {
                // A first one that looks just now holds it for a moment.
                let held = shared.lock_shared();
                std::thread::sleep(notice);
                Ok(Self::shared(held.map(|()| shared)))
            }
            // There are file systems without locks.
            Err(TryLockError::Error(error)) => Ok(Self::shared(Err(error))),
        }
    }

    fn shared(shared: io::Result<File>) -> Self {
        let shared = shared.inspect_err(|error| {
            tracing::warn!(%error, "cannot tell other processes that this one serves the database");
        });
        Self::Shared {
            _shared: shared.ok(),
        }
    }

    /// Whether others may write what this process answers with.
    pub fn has_others(&self) -> bool {
        match self {
            Self::Exclusive { shared, .. } => {
                // Taken only to see whether it can be.
                let is_alone = shared.try_lock().is_ok();
                if is_alone && let Err(error) = shared.unlock() {
                    tracing::warn!(%error, "cannot give a lock back");
                }
                !is_alone
            }
            Self::Shared { .. } | Self::NotNeeded => true,
        }
    }
}

fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_one_sees_others_come_and_go() {
        let directory = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::Sqlite(directory.path().join("x.db"));
        let acquire = || ProcessLock::acquire(&url, Duration::ZERO).unwrap();
        let first = acquire();
        assert!(!first.has_others());
        let (second, third) = (acquire(), acquire());
        assert!(first.has_others() && second.has_others() && third.has_others());
        drop(second);
        assert!(first.has_others());
        drop(third);
        assert!(!first.has_others());
        // Who outlives the first one goes on as a later one, and is seen.
        let second = acquire();
        drop(first);
        let next = acquire();
        assert!(second.has_others() && next.has_others());
        drop(second);
        assert!(!next.has_others());
    }
}
