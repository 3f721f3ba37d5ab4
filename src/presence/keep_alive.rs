//! Keep-alive: pings, and the timeouts by which a client counts as gone.

use std::time::Duration;

use tokio::time::Instant;

/// Frames that a client may send between two pings: it has nothing to say.
const MAX_FRAMES: u32 = 256;

/// How long a socket waits for its client.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Between two pings.
    pub ping: Duration,
    /// Who says nothing for so long, not even a pong, is gone.
    pub silence: Duration,
    /// How long a frame may wait for a reader before it counts as too slow.
    pub send: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            ping: Duration::from_secs(15),
            silence: Duration::from_secs(30),
            send: Duration::from_secs(10),
        }
    }
}

/// Whether one client is there.
pub struct KeepAlive {
    timeouts: Timeouts,
    last_received: Instant,
    next_ping: Instant,
    /// When the first ping was sent since then.
    pinged: Option<Instant>,
    /// Frames since the last ping.
    frames: u32,
}

impl KeepAlive {
    pub fn new(timeouts: Timeouts) -> Self {
        let now = Instant::now();
        Self {
            timeouts,
            last_received: now,
            next_ping: now + timeouts.ping,
            pinged: None,
            frames: 0,
        }
    }

    /// A frame of the client is received; whether those are not too many.
    pub fn received(&mut self) -> bool {
        self.last_received = Instant::now();
        self.pinged = None;
        self.frames += 1;
        self.frames <= MAX_FRAMES
    }

    /// A ping is sent.
    pub fn ping(&mut self) {
        let now = Instant::now();
        self.pinged.get_or_insert(now);
        self.next_ping = now + self.timeouts.ping;
        self.frames = 0;
    }

    /// When the client counts as gone: it was asked, had time to answer, and was silent
    /// for long. A process that stood still asks again before it believes that.
    fn deadline(&self) -> Option<Instant> {
        let answered_by = self.pinged? + self.timeouts.silence.saturating_sub(self.timeouts.ping);
        Some(answered_by.max(self.last_received + self.timeouts.silence))
    }

    /// When to look at the client again: to ping it, or to give it up.
    pub fn due(&self) -> Instant {
        let deadline = self.deadline().unwrap_or(self.next_ping);
        deadline.min(self.next_ping)
    }

    /// Whether the client is gone.
    pub fn is_dead(&self) -> bool {
        self.deadline()
            .is_some_and(|deadline| deadline <= Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[tokio::test(start_paused = true)]
    async fn thirty_seconds_of_silence_are_the_end() {
        let mut keep_alive = KeepAlive::new(Timeouts::default());
        let begun = Instant::now();
        advance(seconds(15)).await;
        assert_eq!(keep_alive.due(), Instant::now());
        assert!(!keep_alive.is_dead());
        keep_alive.ping();
        // It answers the first one, and no more.
        assert!(keep_alive.received());
        for (at, is_dead) in [(30, false), (44, false), (45, true)] {
            advance(begun + seconds(at) - Instant::now()).await;
            assert_eq!(keep_alive.is_dead(), is_dead, "{at}");
            if at == 30 {
                keep_alive.ping();
                assert_eq!(keep_alive.due(), begun + seconds(45));
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_not_asked_is_not_silent() {
        let mut keep_alive = KeepAlive::new(Timeouts::default());
        // The process stood still.
        advance(seconds(100)).await;
        assert!(!keep_alive.is_dead());
        keep_alive.ping();
        advance(seconds(14)).await;
        assert!(!keep_alive.is_dead());
        assert!(keep_alive.received());
        advance(seconds(1)).await;
        assert!(!keep_alive.is_dead());
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_too_much_between_two_pings_is_told() {
        let mut keep_alive = KeepAlive::new(Timeouts::default());
        for _ in 0..2 {
            assert!((0..MAX_FRAMES).all(|_| keep_alive.received()));
            keep_alive.ping();
        }
        assert!((0..MAX_FRAMES).all(|_| keep_alive.received()));
        assert!(!keep_alive.received());
    }
}
