//! A TCP proxy that can fail as networks do.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// What the proxy does with what passes through it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// Nothing passes, nothing is closed: a silent network.
    Stalled,
    /// Connections are closed at once: a server that is away.
    Closed,
}

/// Where a connection is cut, seen from the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The statement does not reach it.
    Before,
    /// It was done, and the answer does not come back.
    After,
}

struct Shared {
    state: Mutex<(State, Vec<TcpStream>)>,
    changed: Condvar,
    /// The next connection that sends this is cut.
    trap: Mutex<Option<(&'static [u8], Cut)>>,
    accepted: AtomicUsize,
    /// How often clients sent something after an answer.
    round_trips: AtomicUsize,
    /// Milliseconds that everything a client sends takes longer.
    delay: AtomicU64,
    /// The next answer of so many bytes at least is cut in its middle; 0 for none.
    clip: AtomicUsize,
}

/// What both directions of a connection know.
#[derive(Default)]
struct Exchange {
    /// Whether the answer that comes next is to be swallowed.
    is_trapped: AtomicBool,
    /// Whether what passed last was an answer.
    is_answered: AtomicBool,
}

/// Passes connections on to a server until it is told otherwise.
pub struct Proxy {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

impl Proxy {
    /// In front of `server`, `host:port`.
    pub fn before(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            state: Mutex::new((State::Open, Vec::new())),
            changed: Condvar::new(),
            trap: Mutex::new(None),
            accepted: AtomicUsize::new(0),
            round_trips: AtomicUsize::new(0),
            delay: AtomicU64::new(0),
            clip: AtomicUsize::new(0),
        });
        let (server, kept) = (server.to_owned(), Arc::clone(&shared));
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                kept.accepted.fetch_add(1, Ordering::SeqCst);
                let mut state = kept.state.lock().unwrap();
                if state.0 == State::Closed {
                    continue;
                }
                // A server that is away.
                let Ok(server) = TcpStream::connect(&server) else {
                    continue;
                };
                state.1.push(client.try_clone().unwrap());
                state.1.push(server.try_clone().unwrap());
                let exchange = Arc::new(Exchange::default());
                for (from, to, is_request) in [
                    (
                        client.try_clone().unwrap(),
                        server.try_clone().unwrap(),
                        true,
                    ),
                    (server, client, false),
                ] {
                    let (kept, exchange) = (Arc::clone(&kept), Arc::clone(&exchange));
                    std::thread::spawn(move || pass(from, to, &kept, (is_request, &exchange)));
                }
            }
        });
        Self { address, shared }
    }

    /// Cuts every connection that is open; new ones pass.
    pub fn cut(&self) {
        self.set(State::Open, true);
    }

    /// Cuts the next connection that sends `statement`.
    pub fn cut_at(&self, statement: &'static str, cut: Cut) {
        *self.shared.trap.lock().unwrap() = Some((statement.as_bytes(), cut));
    }

    /// Cuts a connection in the middle of the next answer that has so many bytes at least.
    pub fn clip(&self, bytes: usize) {
        self.shared.clip.store(bytes, Ordering::SeqCst);
    }

    /// Whether no answer has met [`clip`](Self::clip) yet.
    pub fn is_clipping(&self) -> bool {
        self.shared.clip.load(Ordering::SeqCst) > 0
    }

    /// Has everything that a client sends take so much longer.
    pub fn delay(&self, time: Duration) {
        let milliseconds = u64::try_from(time.as_millis()).unwrap();
        self.shared.delay.store(milliseconds, Ordering::SeqCst);
    }

    /// Whether nothing has met [`cut_at`](Self::cut_at) yet.
    pub fn is_set(&self) -> bool {
        self.shared.trap.lock().unwrap().is_some()
    }

    /// How many connections were made so far.
    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// How often clients sent something after an answer so far.
    pub fn round_trips(&self) -> usize {
        self.shared.round_trips.load(Ordering::SeqCst)
    }

    /// Cuts every connection, and every new one.
    pub fn close(&self) {
        self.set(State::Closed, true);
    }

    /// Holds back everything.
    pub fn stall(&self) {
        self.set(State::Stalled, false);
    }

    /// Lets everything pass again.
    pub fn open(&self) {
        self.set(State::Open, false);
    }

    fn set(&self, to: State, cut: bool) {
        let mut state = self.shared.state.lock().unwrap();
        state.0 = to;
        if cut {
            for stream in state.1.drain(..) {
                // The other side may have closed it already.
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
        self.shared.changed.notify_all();
    }
}

/// What the trap has for these bytes of a client; it closes with the first.
fn spring(shared: &Shared, sent: &[u8]) -> Option<Cut> {
    let mut trap = shared.trap.lock().unwrap();
    let (text, cut) = (*trap)?;
    if !sent.windows(text.len()).any(|part| part == text) {
        return None;
    }
    *trap = None;
    Some(cut)
}

/// How much of an answer passes: half of one that is to be cut.
fn clipped(shared: &Shared, read: usize) -> usize {
    let is_met = shared
        .clip
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |bytes| {
            (bytes > 0 && read >= bytes).then_some(0)
        });
    if is_met.is_ok() { read / 2 } else { read }
}

/// Passes one direction on; `is_request`: what the client sends.
fn pass(
    mut from: TcpStream,
    mut to: TcpStream,
    shared: &Shared,
    (is_request, exchange): (bool, &Exchange),
) {
    let mut buffer = [0; 16 * 1024];
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        let mut state = shared.state.lock().unwrap();
        while state.0 == State::Stalled {
            state = shared.changed.wait(state).unwrap();
        }
        drop(state);
        if is_request {
            if exchange.is_answered.swap(false, Ordering::SeqCst) {
                shared.round_trips.fetch_add(1, Ordering::SeqCst);
            }
            let delay = shared.delay.load(Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(delay));
        }
        match is_request
            .then(|| spring(shared, &buffer[..read]))
            .flatten()
        {
            Some(Cut::Before) => break,
            Some(Cut::After) => exchange.is_trapped.store(true, Ordering::SeqCst),
            None => {}
        }
        if !is_request {
            if exchange.is_trapped.load(Ordering::SeqCst) {
                break;
            }
            exchange.is_answered.store(true, Ordering::SeqCst);
        }
        let passed = if is_request {
            read
        } else {
            clipped(shared, read)
        };
        if to.write_all(&buffer[..passed]).is_err() || passed < read {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
