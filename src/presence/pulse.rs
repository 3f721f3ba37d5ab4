//! Whether a client is still there.

use std::time::Duration;

use tokio::time::Instant;

/// Frames that a client may send between two pings: it has nothing to say.
const MAX_FRAMES: u32 = 256;

/// How long a socket waits for its client.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Between two pings.
    pub ping: Duration,
    /// Who says nothing for so long, not even a pong, is gone.
    pub silence: Duration,
    /// How long a frame may wait for a reader before it counts as too slow.
    pub patience: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            ping: Duration::from_secs(15),
            silence: Duration::from_secs(30),
            patience: Duration::from_secs(10),
        }
    }
}

/// Whether the client is there.
pub struct Pulse {
    pace: Pace,
    last_heard: Instant,
    next_ping: Instant,
    /// When the first ping was sent since then.
    pinged: Option<Instant>,
    /// Frames since the last ping.
    frames: u32,
}

impl Pulse {
    pub fn new(pace: Pace) -> Self {
        let now = Instant::now();
        Self {
            pace,
            last_heard: now,
            next_ping: now + pace.ping,
            pinged: None,
            frames: 0,
        }
    }

    /// The client says something; whether that is not too much.
    pub fn beats(&mut self) -> bool {
        self.last_heard = Instant::now();
        self.pinged = None;
        self.frames += 1;
        self.frames <= MAX_FRAMES
    }

    /// A ping is sent.
    pub fn ping(&mut self) {
        let now = Instant::now();
        self.pinged.get_or_insert(now);
        self.next_ping = now + self.pace.ping;
        self.frames = 0;
    }

    /// When the client counts as gone: it was asked, had time to answer, and was silent
    /// for long. A process that stood still asks again before it believes that.
    fn end(&self) -> Option<Instant> {
        let answered_by = self.pinged? + self.pace.silence.saturating_sub(self.pace.ping);
        Some(answered_by.max(self.last_heard + self.pace.silence))
    }

    /// When there is something to do.
    pub fn due(&self) -> Instant {
        let end = self.end().unwrap_or(self.next_ping);
        end.min(self.next_ping)
    }

    /// Whether the client is gone.
    pub fn is_over(&self) -> bool {
        self.end().is_some_and(|end| end <= Instant::now())
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
        let mut pulse = Pulse::new(Pace::default());
        let begun = Instant::now();
        advance(seconds(15)).await;
        assert_eq!(pulse.due(), Instant::now());
        assert!(!pulse.is_over());
        pulse.ping();
        // It answers the first one, and no more.
        assert!(pulse.beats());
        for (at, is_over) in [(30, false), (44, false), (45, true)] {
            advance(begun + seconds(at) - Instant::now()).await;
            assert_eq!(pulse.is_over(), is_over, "{at}");
            if at == 30 {
                pulse.ping();
                assert_eq!(pulse.due(), begun + seconds(45));
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_not_asked_is_not_silent() {
        let mut pulse = Pulse::new(Pace::default());
        // The process stood still.
        advance(seconds(100)).await;
        assert!(!pulse.is_over());
        pulse.ping();
        advance(seconds(14)).await;
        assert!(!pulse.is_over());
        assert!(pulse.beats());
        advance(seconds(1)).await;
        assert!(!pulse.is_over());
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_too_much_between_two_pings_is_told() {
        let mut pulse = Pulse::new(Pace::default());
        for _ in 0..2 {
            assert!((0..MAX_FRAMES).all(|_| pulse.beats()));
            pulse.ping();
        }
        assert!((0..MAX_FRAMES).all(|_| pulse.beats()));
        assert!(!pulse.beats());
    }
}
