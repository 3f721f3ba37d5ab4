//! The log, on standard error. What is logged of a request is in the edge.

use crate::config::{LogFormat, Settings};

/// Starts the log. Call once, at the start of the program.
pub fn start(settings: &Settings) -> Result<(), String> {
    let filter = tracing_subscriber::EnvFilter::builder()
        .parse(&settings.log)
        .map_err(|e| e.to_string())?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match settings.log_format {
        LogFormat::Text => log.with_ansi(false).try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    }
    .map_err(|e| e.to_string())
}
