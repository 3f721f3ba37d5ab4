//! A TCP proxy that can fail as networks do.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

/// What the proxy does with what passes through it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// Nothing passes, nothing is closed: a silent network.
    Stalled,
    /// Connections are closed at once: a server that is away.
    Closed,
}

struct Shared {
    state: Mutex<(State, Vec<TcpStream>)>,
    changed: Condvar,
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
        });
        let (server, kept) = (server.to_owned(), Arc::clone(&shared));
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let mut state = kept.state.lock().unwrap();
                if state.0 == State::Closed {
                    continue;
                }
                let server = TcpStream::connect(&server).unwrap();
                state.1.push(client.try_clone().unwrap());
                state.1.push(server.try_clone().unwrap());
                for (from, to) in [
                    (client.try_clone().unwrap(), server.try_clone().unwrap()),
                    (server, client),
                ] {
                    let kept = Arc::clone(&kept);
                    std::thread::spawn(move || pass(from, to, &kept));
                }
            }
        });
        Self { address, shared }
    }

    /// Cuts every connection that is open; new ones pass.
    pub fn cut(&self) {
        self.set(State::Open, true);
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

fn pass(mut from: TcpStream, mut to: TcpStream, shared: &Shared) {
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
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}
