//! The end of a listener. The system resets connections that were made and not yet taken
//! when their listener is closed; a proxy has sent its request by then.

use std::net::TcpListener;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::time::sleep;

/// How long handshakes that are under way may take, and connections that are taken to reach
/// their thread.
const SETTLE: Duration = Duration::from_millis(100);
/// Between two looks at the queue.
const LOOK: Duration = Duration::from_millis(5);
/// How often it is looked at: two seconds. It is not emptied where a worker has as many
/// connections as it may have.
const LOOKS: usize = 400;

/// Lets no connection begin any more, and returns when all that have begun are taken.
/// Whoever comes after that tries for a second, and is refused once the listener is closed.
pub async fn close(listener: &TcpListener) {
    refuse_new(listener);
    sleep(SETTLE).await;
    for _ in 0..LOOKS {
        if !has_waiting(listener) {
            break;
        }
        sleep(LOOK).await;
    }
    sleep(SETTLE).await;
}

/// Whether connections wait to be taken.
fn has_waiting(listener: &TcpListener) -> bool {
    let mut listeners = [PollFd::new(listener, PollFlags::IN)];
    poll(&mut listeners, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}

/// Has the kernel drop segments that begin a connection. Where it cannot, a connection that
/// is made in the last moment is reset.
#[cfg(target_os = "linux")]
fn refuse_new(listener: &TcpListener) {
    use socket2::{SockFilter, SockRef};
    // The flags of TCP are in byte 13 (RFC 9293 §3.1): dropped is SYN without ACK.
    let filter = [
        SockFilter::new(0x30, 0, 0, 13),       // load that byte
        SockFilter::new(0x54, 0, 0, 0x12),     // keep SYN and ACK of it
        SockFilter::new(0x15, 0, 1, 0x02),     // if it is SYN alone:
        SockFilter::new(0x06, 0, 0, 0),        // take nothing of the segment,
        SockFilter::new(0x06, 0, 0, u32::MAX), // else all of it
    ];
    if let Err(error) = SockRef::from(listener).attach_filter(&filter) {
        tracing::debug!(%error, "cannot stop new connections before the listener closes");
    }
}

#[cfg(not(target_os = "linux"))]
fn refuse_new(_: &TcpListener) {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn who_has_begun_is_taken_and_nobody_else_begins() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut early = TcpStream::connect(address).unwrap();
        assert!(has_waiting(&listener));
        let taking = listener.try_clone().unwrap();
        let taker = std::thread::spawn(move || {
            // After the door is shut.
            while TcpStream::connect_timeout(&address, Duration::from_millis(100)).is_ok() {}
            let mut taken = Vec::new();
            taking.set_nonblocking(true).unwrap();
            while let Ok((stream, _)) = taking.accept() {
                taken.push(stream);
            }
            taken
        });
        close(&listener).await;
        let mut streams = taker.join().unwrap();
        assert!(!has_waiting(&listener));
        drop(listener);
        early.write_all(b"x").unwrap();
        let mut byte = [0];
        streams[0].set_nonblocking(false).unwrap();
        streams[0].read_exact(&mut byte).unwrap();
        assert_eq!(&byte, b"x");
    }
}
