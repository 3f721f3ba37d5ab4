//! How the connections of a server that stops come to their end without a request lost.
//!
//! Who closes an idle connection may close it in the moment in which the client sends its
//! next request, which then fails, and a POST is not repeated. So a server that stops
//! answers once more on each connection, with `Connection: close` (RFC 9112 §9.6), and
//! closes those that nobody has used only when a proxy in front has given them up itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

/// How long idle connections are waited for: longer than the proxy of
/// `deploy/nginx.conf` keeps one (`keepalive_timeout` of the upstream).
const IDLE: Duration = Duration::from_secs(3);

/// Whether the server stops, and the connections that it has.
#[derive(Clone, Debug, Default)]
pub struct Drain(Arc<State>);

#[derive(Debug, Default)]
struct State {
    has_begun: AtomicBool,
    open: AtomicUsize,
    closed: Notify,
}

impl Drain {
    /// From now on every answer is the last one of its connection.
    pub fn begin(&self) {
        self.0.has_begun.store(true, Ordering::Release);
    }

    /// Whether an answer is the last one of its connection.
    pub fn has_begun(&self) -> bool {
        self.0.has_begun.load(Ordering::Acquire)
    }

    /// Counts a connection for as long as the guard lives.
    pub fn opened(&self) -> OpenConnection {
        self.0.open.fetch_add(1, Ordering::AcqRel);
        OpenConnection(self.clone())
    }

    /// Returns when no connection is open, or when all that are open have had their time.
    pub async fn idle_closed(&self) {
        let closed = async {
            while self.0.open.load(Ordering::Acquire) > 0 {
                self.0.closed.notified().await;
            }
        };
        // Who uses one afterwards all the same has kept it for longer than agreed.
        let _ = timeout(IDLE, closed).await;
    }
}

/// A connection that speaks HTTP.
#[derive(Debug)]
pub struct OpenConnection(Drain);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        let state = &self.0.0;
        state.open.fetch_sub(1, Ordering::AcqRel);
        if state.has_begun.load(Ordering::Acquire) {
            state.closed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_ends_with_the_last_connection_or_in_time() {
        let drain = Drain::default();
        let (one, two) = (drain.opened(), drain.opened());
        let begun = Instant::now();
        drain.begin();
        let close = async {
            drop(one);
            tokio::time::sleep(Duration::from_secs(1)).await;
            drop(two);
        };
        tokio::join!(drain.idle_closed(), close);
        assert_eq!(begun.elapsed().as_secs(), 1);
        let _idle = drain.opened();
        drain.idle_closed().await;
        assert_eq!(begun.elapsed().as_secs(), 4);
    }
}
