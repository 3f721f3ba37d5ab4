//! Requests one after the other, each timed: what an answer costs when nobody
//! else asks.

use std::io::BufRead;
use std::time::Instant;

use serde_json::json;

use crate::Outcome;
use crate::client::Client;
use crate::repeat::percentile;

/// Asks for every path of standard input and prints `{"requests", "p50", "p99"}`, in
/// microseconds, and how many were `refused` with 503: what takes the server too long.
/// Anything else but 200 is an error.
pub fn run(address: &str, token: Option<&str>) -> Outcome<()> {
    let headers = token.map_or_else(String::new, |token| {
        format!("Authorization: Bearer {token}\r\n")
    });
    let mut client = Client::connect(address)?;
    let mut times = Vec::new();
    let mut refused = 0;
    for path in std::io::stdin().lock().lines() {
        let path = path?;
        let begun = Instant::now();
        let reply = client.get(&path, &headers)?;
        times.push(begun.elapsed());
        if reply.status == 503 {
            refused += 1;
        } else if reply.status != 200 {
            return Err(format!("GET {path}: {}", reply.status).into());
        }
    }
    times.sort_unstable();
    let (p50, p99) = (percentile(&times, 50), percentile(&times, 99));
    println!(
        "{}",
        json!({ "requests": times.len(), "p50": p50, "p99": p99, "refused": refused })
    );
    Ok(())
}
