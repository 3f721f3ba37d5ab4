//! The log, on standard error. What is logged of a request is in the edge.
//!
//! Lines are gathered for a few milliseconds and written together: a system call for
//! each would cost a fast answer as much as all the rest of it. Warnings and errors,
//! and with them what was gathered before, are written at once.

pub mod chain;
pub mod counted;
mod json;
pub mod request;
mod text;
pub mod trace;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, Write};
use std::panic::PanicHookInfo;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

use crate::core::settings::{LogFormat, Settings};

/// How long a line may wait for others.
const GATHER: Duration = Duration::from_millis(10);
/// Bytes that wait at most; above, whoever logs waits for standard error.
const GATHERED_MAX: usize = 1 << 20;

/// Starts the log. Call once, at the start of the program, and drop what it gives at
/// the end: that writes the last lines.
pub fn start(settings: &Settings) -> Result<Log, String> {
    let filter = tracing_subscriber::EnvFilter::builder()
        .parse(&settings.log)
        .map_err(|e| e.to_string())?
        // It calls it an error when a client breaks the protocol, or sends what is no
        // request: `http::unreadable` counts those.
        .add_directive("actix_http::h1=off".parse().map_err(|_| "a directive")?)
        .add_directive("actix_http::ws=off".parse().map_err(|_| "a directive")?);
    let lines = Lines(Arc::default());
    let writer = lines.clone();
    std::thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || writer.write_on())
        .map_err(|e| format!("cannot start the log's thread: {e}"))?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(lines.clone());
    match settings.log_format {
        LogFormat::Text => log.with_ansi(false).event_format(text::Text).try_init(),
        LogFormat::Json => log.event_format(json::Json).try_init(),
    }
    .map_err(|e| e.to_string())?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(Log(lines))
}

/// A panic is a line like any other: with its place, and the request whose work it was.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let text = panic_text(panic.payload());
    let place = panic.location().map(tracing::field::display);
    // Only where `RUST_BACKTRACE` asks for it.
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then_some(backtrace);
    let backtrace = backtrace.as_ref().map(tracing::field::display);
    tracing::error!(place, backtrace, "panic: {text}");
}

/// What a panic said.
pub fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

/// The running log.
pub struct Log(Lines);

impl Drop for Log {
    fn drop(&mut self) {
        self.0.flush();
    }
}

/// Lines on their way to standard error.
#[derive(Clone)]
struct Lines(Arc<Shared>);

#[derive(Default)]
struct Shared {
    gathered: Mutex<Vec<u8>>,
    is_there: Condvar,
    /// Held while lines are taken and written, so that they stay in order.
    writing: Mutex<()>,
}

impl Lines {
    fn gathered(&self) -> MutexGuard<'_, Vec<u8>> {
        (self.0.gathered.lock()).unwrap_or_else(PoisonError::into_inner)
    }

    fn flush(&self) {
        let _order = (self.0.writing.lock()).unwrap_or_else(PoisonError::into_inner);
        let lines = std::mem::take(&mut *self.gathered());
        // Nobody is left to be told when the log itself cannot be written.
        let _ = io::stderr().lock().write_all(&lines);
    }

    /// Writes what is gathered, for as long as the program runs.
    fn write_on(&self) {
        loop {
            let some = self.gathered();
            let some = (self.0.is_there.wait_while(some, |lines| lines.is_empty()))
                .unwrap_or_else(PoisonError::into_inner);
            drop(some);
            self.flush();
            std::thread::sleep(GATHER);
        }
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line {
            lines: self,
            is_urgent: false,
        }
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Line<'a> {
        Line {
            lines: self,
            is_urgent: *meta.level() <= Level::WARN,
        }
    }
}

/// One line, which is written as a whole.
struct Line<'a> {
    lines: &'a Lines,
    is_urgent: bool,
}

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut gathered = self.lines.gathered();
        let is_first = gathered.is_empty();
        gathered.extend_from_slice(line);
        let is_full = gathered.len() > GATHERED_MAX;
        drop(gathered);
        if self.is_urgent || is_full {
            self.lines.flush();
        } else if is_first {
            self.lines.0.is_there.notify_one();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
