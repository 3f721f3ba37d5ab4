//! The signals that ask a process to end.

use std::io::Result;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// From its making on no such signal ends the process by itself.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

/// Who asks for the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EndAsked {
    /// SIGTERM, from whoever has other processes that go on.
    Terminate,
    /// Ctrl-C, from who looks on.
    Interrupt,
}

impl Signals {
    /// To be called where a runtime is entered, before anybody is told that the process works.
    pub fn listen() -> Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Returns when somebody asks for the end.
    pub(super) async fn end(&mut self) -> EndAsked {
        tokio::select! {
            _ = self.terminate.recv() => EndAsked::Terminate,
            _ = self.interrupt.recv() => EndAsked::Interrupt,
        }
    }
}
