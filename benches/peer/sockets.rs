//! Many users who are online at once: what a socket costs, and how soon all know of a
//! newcomer.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use clap::Args;
use diesel::prelude::*;
use inkpot::accounts::client_info::ClientInfo;
use inkpot::accounts::refresh::RefreshKeys;
use inkpot::accounts::storage::sessions;
use inkpot::accounts::storage::users;
use inkpot::accounts::tokens::Tokens;
use inkpot::accounts::types::{Email, Name, NewUser};
use inkpot::core::clock::Clock;
use inkpot::core::db::Conn;
use inkpot::core::settings::Lifetimes;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::repeat::percentile;
use crate::{Outcome, open};

/// What does not come by then never will.
const PATIENCE: Duration = Duration::from_secs(60);
/// Connections that are opened at once.
const AT_ONCE: usize = 200;

#[derive(Args)]
pub struct Sockets {
    /// As `DATABASE_URL`; users are added to it
    database: String,
    /// host:port of the server
    address: String,
    /// Its process
    #[arg(long)]
    pid: u32,
    /// Its `INKPOT_JWT_SECRET`
    #[arg(long)]
    secret: String,
    #[arg(long, default_value_t = 5000)]
    sockets: usize,
    /// Newcomers, one after the other
    #[arg(long, default_value_t = 20)]
    newcomers: usize,
    /// Who leave and come back at once
    #[arg(long, default_value_t = 1000)]
    crowd: usize,
}

/// What all sockets look for.
#[derive(Default)]
struct Watch {
    /// The user who is awaited.
    user: AtomicI64,
    /// The number of users who are awaited to be online.
    total: AtomicI64,
    /// Sockets that have their first frame.
    greeted: AtomicUsize,
}

/// A socket tells when it saw what was awaited.
type Seen = mpsc::UnboundedSender<Instant>;

/// Opens the sockets and measures. Prints `{"kib", "newcomer", "crowd"}`: KiB of the
/// server for a socket; from the opening of a newcomer's socket until each other has
/// heard, in microseconds (`p50`, `p99`, `worst`); the same for a crowd that leaves and
/// comes back, until every socket has the right total.
pub fn run(options: &Sockets) -> Outcome<()> {
    let tokens = tokens(options)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    runtime.block_on(measure(options, &tokens))
}

/// Users with a session each, and their tokens.
fn tokens(options: &Sockets) -> Outcome<Vec<(i64, String)>> {
    let secrets = [options.secret.as_bytes().to_vec()];
    let clock = Clock::system();
    let (keys, signer) = (
        RefreshKeys::new(&secrets)?,
        Tokens::new(&secrets, 3600, clock.clone())?,
    );
    let mut conn = open(&options.database)?;
    let count = options.sockets + options.newcomers;
    let lifetime = TimeDelta::hours(8);
    let times = (
        clock.now(),
        Lifetimes {
            plain: lifetime,
            remembered: lifetime,
            longest: lifetime,
            token: lifetime,
        },
    );
    let opened = conn.transaction(|conn: &mut Conn| {
        (0..count)
            .map(|n| {
                let new = NewUser {
                    email: Email::parse(&format!(
                        "{}-{n}@example.org",
                        times.0.and_utc().timestamp_micros()
                    ))
                    .map_err(|_| diesel::result::Error::NotFound)?,
                    name: Name(format!("User number {n}")),
                    username: None,
                    mobile: None,
                    password_hash: String::new(),
                    now: times.0,
                };
                let user = users::insert_user(conn, &new)?.user_id;
                let client = ClientInfo::default();
                let session = sessions::open(conn, &keys, user, false, "", &client, times)?;
                Ok((user, session.session_id))
            })
            .collect::<QueryResult<Vec<_>>>()
    })?;
    opened
        .into_iter()
        .map(|(user, session)| Ok((user, signer.issue(user, session)?)))
        .collect()
}

async fn measure(options: &Sockets, tokens: &[(i64, String)]) -> Outcome<()> {
    let watch = Arc::new(Watch::default());
    let (seen, mut sights) = mpsc::unbounded_channel();
    let empty = resident(options.pid)?;
    let (crowd, newcomers) = tokens.split_at(options.sockets);
    let mut open: Vec<JoinHandle<()>> = enter_all(options, crowd, &watch, &seen).await?;
    let kib = (resident(options.pid)? - empty) / f64::from(u32::try_from(options.sockets)?);

    let mut delays = Vec::new();
    for (user, token) in newcomers {
        watch.user.store(*user, Ordering::SeqCst);
        let begun = Instant::now();
        let newcomer = enter(options, token, &watch, &seen).await?;
        let heard = hear(&mut sights, options.sockets + 1).await?;
        delays.extend(heard.into_iter().map(|at| at.duration_since(begun)));
        watch.user.store(0, Ordering::SeqCst);
        newcomer.abort();
    }

    let left = options.sockets - options.crowd;
    watch.total.store(i64::try_from(left)?, Ordering::SeqCst);
    let begun = Instant::now();
    for socket in open.drain(..options.crowd) {
        socket.abort();
    }
    hear(&mut sights, left).await?;
    let gone = begun.elapsed();

    watch
        .total
        .store(i64::try_from(options.sockets)?, Ordering::SeqCst);
    watch.greeted.store(0, Ordering::SeqCst);
    let begun = Instant::now();
    open.extend(enter_all(options, &crowd[..options.crowd], &watch, &seen).await?);
    hear(&mut sights, options.sockets).await?;
    let back = begun.elapsed();

    delays.sort_unstable();
    println!(
        "{}",
        json!({
            "sockets": options.sockets,
            "kib": kib,
            "newcomer": {
                "p50": percentile(&delays, 50), "p99": percentile(&delays, 99),
                "worst": percentile(&delays, 100),
            },
            "crowd": { "size": options.crowd, "gone": gone.as_secs_f64(), "back": back.as_secs_f64() },
        })
    );
    Ok(())
}

/// Waits until every open socket has seen what is awaited.
async fn hear(
    sights: &mut mpsc::UnboundedReceiver<Instant>,
    count: usize,
) -> Outcome<Vec<Instant>> {
    let mut heard = Vec::with_capacity(count);
    while heard.len() < count {
        let at = timeout(PATIENCE, sights.recv()).await?;
        heard.push(at.ok_or("the sockets are gone")?);
    }
    Ok(heard)
}

/// Opens a socket for each token and waits until all have their list.
async fn enter_all(
    options: &Sockets,
    tokens: &[(i64, String)],
    watch: &Arc<Watch>,
    seen: &Seen,
) -> Outcome<Vec<JoinHandle<()>>> {
    let mut sockets = Vec::with_capacity(tokens.len());
    for some in tokens.chunks(AT_ONCE) {
        let entering = some
            .iter()
            .map(|(_, token)| enter(options, token, watch, seen));
        for socket in futures_util::future::join_all(entering).await {
            sockets.push(socket?);
        }
    }
    let begun = Instant::now();
    while watch.greeted.load(Ordering::SeqCst) < tokens.len() {
        if begun.elapsed() > PATIENCE {
            return Err("not every socket was greeted".into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(sockets)
}

/// Opens a socket and reads it from then on.
async fn enter(
    options: &Sockets,
    token: &str,
    watch: &Arc<Watch>,
    seen: &Seen,
) -> Outcome<JoinHandle<()>> {
    let mut stream = TcpStream::connect(&options.address).await?;
    let head = format!(
        "GET /user/online HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Authorization: Bearer {token}\r\n\r\n",
        options.address
    );
    stream.write_all(head.as_bytes()).await?;
    let mut buffer = Vec::with_capacity(1024);
    let rest = loop {
        if stream.read_buf(&mut buffer).await? == 0 {
            return Err("the server closed".into());
        }
        if let Some(at) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
    };
    if !buffer.starts_with(b"HTTP/1.1 101") {
        return Err(String::from_utf8_lossy(&buffer).into_owned().into());
    }
    buffer.drain(..rest);
    let (watch, seen) = (Arc::clone(watch), seen.clone());
    Ok(tokio::spawn(async move {
        // Its end is the other side's business, or the end of the measurement.
        let _ = read(stream, buffer, &watch, &seen).await;
    }))
}

/// Reads frames (RFC 6455 §5.2; a server's are not masked), answers pings, and says
/// when one has what is awaited.
async fn read(
    mut stream: TcpStream,
    mut buffer: Vec<u8>,
    watch: &Watch,
    seen: &Seen,
) -> std::io::Result<()> {
    let mut is_greeted = false;
    loop {
        while let Some((opcode, start, end)) = frame(&buffer) {
            match opcode {
                1 => {
                    let text = &buffer[start..end];
                    if !is_greeted {
                        is_greeted = true;
                        watch.greeted.fetch_add(1, Ordering::SeqCst);
                    }
                    if has_awaited(text, watch) {
                        let _ = seen.send(Instant::now());
                    }
                }
                9 => stream.write_all(&[0x8a, 0x80, 0, 0, 0, 0]).await?,
                8 => return Ok(()),
                _ => {}
            }
            buffer.drain(..end);
        }
        if buffer.capacity() > 8192 && buffer.is_empty() {
            buffer = Vec::new();
        }
        if stream.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
    }
}

/// The opcode of the first frame, and where its payload stands, if it is whole.
fn frame(buffer: &[u8]) -> Option<(u8, usize, usize)> {
    let (first, second) = (*buffer.first()?, *buffer.get(1)?);
    let (length, start) = match second & 0x7f {
        126 => (
            usize::from(u16::from_be_bytes(*buffer.get(2..)?.first_chunk()?)),
            4,
        ),
        127 => {
            let length = u64::from_be_bytes(*buffer.get(2..)?.first_chunk()?);
            (usize::try_from(length).ok()?, 10)
        }
        short => (usize::from(short), 2),
    };
    let end = start + length;
    (buffer.len() >= end).then_some((first & 0x0f, start, end))
}

fn has_awaited(text: &[u8], watch: &Watch) -> bool {
    let has = |member: String| {
        text.windows(member.len())
            .any(|part| part == member.as_bytes())
    };
    let user = watch.user.load(Ordering::SeqCst);
    let total = watch.total.load(Ordering::SeqCst);
    (user != 0 && has(format!("\"user_id\":{user},")))
        || (total != 0 && has(format!("\"total\":{total},")))
}

/// KiB of memory that a process has.
fn resident(pid: u32) -> Outcome<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    Ok(kib.ok_or("no VmRSS")?.parse()?)
}
