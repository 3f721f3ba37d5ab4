//! Fills a database: in order, a thousand posts a transaction.

use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use clap::Args;
use diesel::connection::SimpleConnection;
use inkpot::core::db::{Conn, migrations};

use crate::{Outcome, insert, open};

/// Posts a transaction.
const BATCH: u64 = 1000;
/// Batches of texts that are made ahead, while the database works.
const AHEAD: usize = 4;
const PROGRESS: Duration = Duration::from_secs(5);

#[derive(Args)]
pub struct Options {
    /// As `DATABASE_URL`
    database: String,
    /// How many there shall be; what is there already counts
    #[arg(long)]
    posts: u64,
    #[arg(long, default_value_t = 1000)]
    authors: u64,
    /// Bytes of a text, at least
    #[arg(long, default_value_t = 2048)]
    from: usize,
    /// Bytes of a text, at most
    #[arg(long, default_value_t = 4096)]
    to: usize,
}

/// Migrates, and adds authors and posts as far as they are missing. Says on standard
/// error how it goes.
pub fn run(options: &Options) -> Outcome<()> {
    let mut conn = open(&options.database)?;
    migrations::run(&mut conn)?;
    if let Conn::Sqlite(conn) = &mut conn {
        // What a loss of power takes is loaded again.
        conn.batch_execute("PRAGMA synchronous = OFF")?;
        conn.batch_execute("PRAGMA cache_size = -262144")?;
    }
    insert::authors(&mut conn, options.authors)?;
    let there = insert::count(&mut conn)?;
    if there < options.posts {
        add(&mut conn, there, options)?;
    }
    if let Conn::Sqlite(conn) = &mut conn {
        // The file is whole without its log, and can be copied.
        conn.batch_execute("PRAGMA wal_checkpoint(TRUNCATE)")?;
    }
    Ok(())
}

fn add(conn: &mut Conn, there: u64, options: &Options) -> Outcome<()> {
    let (posts, authors) = (options.posts, options.authors);
    let sizes = (options.from, options.to.max(options.from));
    let (made, batches) = sync_channel::<Outcome<Vec<insert::Row>>>(AHEAD);
    let maker = std::thread::spawn(move || {
        let mut next = there + 1;
        while next <= posts {
            let last = posts.min(next + BATCH - 1);
            let rows = (next..=last)
                .map(|number| insert::row(number, authors, sizes))
                .collect();
            // The database has failed: nobody wants more.
            if made.send(rows).is_err() {
                return;
            }
            next = last + 1;
        }
    });
    let begun = Instant::now();
    let (mut done, mut said) = (0, Instant::now());
    for rows in batches {
        let rows = rows?;
        insert::posts(conn, &rows)?;
        done += rows.len() as u64;
        if said.elapsed() >= PROGRESS {
            said = Instant::now();
            say(there + done, posts, done, begun);
        }
    }
    maker.join().map_err(|_| "the maker of texts panicked")?;
    say(there + done, posts, done, begun);
    Ok(())
}

fn say(there: u64, of: u64, done: u64, begun: Instant) {
    let seconds = begun.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let rate = done as f64 / seconds;
    eprintln!("  loaded {there} of {of} posts, {rate:.0} a second");
}
