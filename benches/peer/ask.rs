//! Requests one after the other, each timed: what an answer costs when nobody
//! else asks.

use std::io::BufRead;
use std::time::Instant;

use serde_json::json;

use crate::Outcome;
use crate::client::Client;
use crate::repeat::percentile;

/// Asks for every path of standard input and prints `{"requests", "p50", "p99"}`, in
/// microseconds. Anything but 200 is an error.
pub fn run(address: &str) -> Outcome<()> {
    let mut client = Client::connect(address)?;
    let mut times = Vec::new();
    for path in std::io::stdin().lock().lines() {
        let path = path?;
        let begun = Instant::now();
        let reply = client.get(&path, "")?;
        times.push(begun.elapsed());
        if reply.status != 200 {
            return Err(format!("GET {path}: {}", reply.status).into());
        }
    }
    times.sort_unstable();
    let (p50, p99) = (percentile(&times, 50), percentile(&times, 99));
    println!(
        "{}",
        json!({ "requests": times.len(), "p50": p50, "p99": p99 })
    );
    Ok(())
}
