//! Requests at a steady rate, as visitors make them who do not know of each other: what a
//! reader waits for while the machine is busy with something else.

use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;

use crate::Outcome;
use crate::client::Client;
use crate::repeat::percentile;

#[derive(Args)]
pub struct Options {
    /// host:port
    address: String,
    /// What is asked for
    path: String,
    #[arg(long)]
    seconds: f64,
    /// Connections, each with one request at a time
    #[arg(long, default_value_t = 4)]
    connections: u32,
    /// Milliseconds from one request of a connection to the next
    #[arg(long, default_value_t = 10)]
    every: u64,
}

/// Prints `{"requests", "seconds", "p50", "p99"}`, the last two in microseconds from the time when
/// the request was due. Anything but 200 is an error.
pub fn run(options: &Options) -> Outcome<()> {
    let length = Duration::try_from_secs_f64(options.seconds)?;
    let every = Duration::from_millis(options.every);
    let begun = Instant::now();
    let mut times = Vec::new();
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..options.connections)
            .map(|n| {
                let first = begun + every * n / options.connections;
                scope.spawn(move || visit(options, first, every, begun + length))
            })
            .collect();
        for thread in running {
            times.extend(thread.join().map_err(|_| "a visitor panicked")??);
        }
        Outcome::Ok(())
    })?;
    let seconds = begun.elapsed().as_secs_f64();
    times.sort_unstable();
    let (p50, p99) = (percentile(&times, 50), percentile(&times, 99));
    println!(
        "{}",
        json!({ "requests": times.len(), "seconds": seconds, "p50": p50, "p99": p99 })
    );
    Ok(())
}

/// One connection, from its first request to the end.
fn visit(
    options: &Options,
    first: Instant,
    every: Duration,
    end: Instant,
) -> Outcome<Vec<Duration>> {
    let mut client = Client::connect(&options.address)?;
    let mut times = Vec::new();
    let mut due = first;
    while due < end {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let reply = client.get(&options.path, "")?;
        if reply.status != 200 {
            return Err(format!("GET {}: {}", options.path, reply.status).into());
        }
        times.push(due.elapsed());
        due += every;
    }
    Ok(times)
}
