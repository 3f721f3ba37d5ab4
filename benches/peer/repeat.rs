//! Work without a server around it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use inkpot::accounts::password::Password;
use inkpot::core::clock::Clock;
use inkpot::core::db::{DatabaseUrl, Db};
use inkpot::core::settings::processors;
use inkpot::posts::search;
use serde::Deserialize;
use serde_json::json;

use crate::{Outcome, insert, transaction};

#[derive(Args)]
pub struct Publish {
    /// As `DATABASE_URL`
    database: String,
    /// A post as it is sent, with title and content
    #[arg(long)]
    body: PathBuf,
    #[arg(long, default_value_t = 1)]
    author: i64,
    #[arg(long)]
    threads: usize,
    /// Connections to the database, as `INKPOT_DB_POOL`
    #[arg(long)]
    pool: u32,
    #[arg(long)]
    seconds: f64,
}

#[derive(Args)]
pub struct Verify {
    #[arg(long)]
    seconds: f64,
}

#[derive(Deserialize)]
struct Body {
    title: String,
    content: String,
}

/// The server's transaction by its own pool, and nothing else of a request.
pub fn publish(options: &Publish) -> Outcome<()> {
    let body: Body = serde_json::from_slice(&std::fs::read(&options.body)?)?;
    let url = DatabaseUrl::parse(&options.database)?;
    let db = Db::open(&url, options.pool)?;
    let clock = Clock::system();
    let words = search::words_of(&body.title, &[], &body.content);
    let ready = transaction::Ready {
        author_id: options.author,
        title: &body.title,
        text: &body.content,
        words: &words,
    };
    repeat(options.threads, options.seconds, &|| {
        let now = clock.now();
        db.write_blocking(&|conn| transaction::publish(conn, &ready, now))
            .map_err(|error| format!("a transaction failed: {error:?}"))
    })
}

/// bcrypt and nothing else, on all processors.
pub fn verify(options: &Verify) -> Outcome<()> {
    let password = Password::attempt(insert::PASSWORD);
    let record = password.hash(insert::COST)?;
    repeat(processors(), options.seconds, &|| {
        if bcrypt::verify(insert::PASSWORD, &record).map_err(|e| e.to_string())? {
            Ok(())
        } else {
            Err("bcrypt refuses the right password".to_owned())
        }
    })
}

/// Runs `work` again and again, and prints `{"requests", "seconds", "p50", "p99"}`, the
/// last two in microseconds.
fn repeat(
    threads: usize,
    seconds: f64,
    work: &(dyn Fn() -> Result<(), String> + Sync),
) -> Outcome<()> {
    let length = Duration::try_from_secs_f64(seconds)?;
    let begun = Instant::now();
    let until_the_end = || {
        let mut times = Vec::new();
        while begun.elapsed() < length {
            let one = Instant::now();
            work()?;
            times.push(one.elapsed());
        }
        Ok::<_, String>(times)
    };
    let mut times = Vec::new();
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(until_the_end)).collect();
        for thread in running {
            times.extend(thread.join().map_err(|_| "a thread panicked")??);
        }
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
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

/// Of sorted times, in microseconds; 0 of none.
pub fn percentile(sorted: &[Duration], percent: usize) -> u64 {
    let last = sorted.len().saturating_sub(1);
    let index = (sorted.len() * percent / 100).min(last);
    sorted.get(index).map_or(0, |time| {
        u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
    })
}
