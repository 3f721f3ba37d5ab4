//! What a service manager such as systemd is told, by a datagram to the socket that it names
//! (`sd_notify(3)`): that the server serves, that it stops, and, where it asks for it, that
//! the server still answers (`WatchdogSec`).

use std::ffi::OsStr;
use std::io::{ErrorKind, Result};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixDatagram};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

const LIVEZ: &[u8] = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
const ALIVE: &[u8] = b"HTTP/1.1 200 ";

/// Who has started this process, if that wants to be told.
#[derive(Debug, Default)]
pub struct ServiceManager {
    socket: Option<(UnixDatagram, UnixAddr)>,
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// As the environment has it: `NOTIFY_SOCKET`, a path or, after `@`, an abstract name;
    /// and `WATCHDOG_USEC`, within how many microseconds it is to hear something each time.
    /// What cannot be used is passed over: the service then counts as never ready.
    pub fn new(socket: Option<&OsStr>, watchdog: Option<&OsStr>) -> Self {
        let address = socket.and_then(|name| address(name.as_bytes()).ok());
        let watchdog = watchdog
            .and_then(|text| text.to_str()?.parse().ok())
            .filter(|microseconds| *microseconds > 0);
        Self {
            socket: UnixDatagram::unbound().ok().zip(address),
            watchdog: watchdog.map(Duration::from_micros),
        }
    }

    /// The service does its work.
    pub fn ready(&self) {
        self.tell("READY=1\nSTATUS=Serving");
    }

    /// The service ends what is under way.
    pub fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=Ending what is under way");
    }

    fn tell(&self, state: &str) {
        if let Some((socket, address)) = &self.socket
            && let Err(error) = socket.send_to_addr(state.as_bytes(), address)
        {
            tracing::warn!(%error, "cannot tell the service manager");
        }
    }

    /// [`watch`](Self::watch), which never ends by itself.
    pub async fn watched<T>(&self, address: Option<SocketAddr>) -> T {
        self.watch(address).await;
        std::future::pending().await
    }

    /// Tells again and again that the server at `address` still answers, for as long as it
    /// does; without an address, that this thread still runs. Ends where nobody asks for it.
    pub async fn watch(&self, address: Option<SocketAddr>) {
        let Some(within) = self.watchdog.filter(|_| self.socket.is_some()) else {
            return;
        };
        let pause = within / 3;
        loop {
            let is_alive = match address {
                Some(address) => answers(address, pause).await,
                None => true,
            };
            if is_alive {
                self.tell("WATCHDOG=1");
            } else {
                tracing::warn!("the server does not answer itself");
            }
            sleep(pause).await;
        }
    }
}

/// Whether the server at this address answers within that time. That no connection can be
/// made from here, such as for want of file descriptors, says nothing about it.
async fn answers(address: SocketAddr, within: Duration) -> bool {
    let asked = async {
        let mut stream = TcpStream::connect(reachable(address)).await?;
        stream.write_all(LIVEZ).await?;
        let mut begin = [0; ALIVE.len()];
        stream.read_exact(&mut begin).await?;
        Ok(begin == ALIVE)
    };
    match timeout(within, asked).await {
        Ok(Ok(is_alive)) => is_alive,
        Ok(Err::<_, std::io::Error>(error)) => error.kind() != ErrorKind::ConnectionRefused,
        Err(_) => false,
    }
}

/// The address at which this machine reaches a server that listens at all of them.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

fn address(name: &[u8]) -> Result<UnixAddr> {
    match name {
        [b'/', ..] => UnixAddr::from_pathname(OsStr::from_bytes(name)),
        [b'@', rest @ ..] => abstract_address(rest),
        _ => Err(ErrorKind::InvalidInput.into()),
    }
}

#[cfg(target_os = "linux")]
fn abstract_address(name: &[u8]) -> Result<UnixAddr> {
    use std::os::linux::net::SocketAddrExt;
    UnixAddr::from_abstract_name(name)
}

#[cfg(not(target_os = "linux"))]
fn abstract_address(_: &[u8]) -> Result<UnixAddr> {
    Err(ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 256];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    #[tokio::test]
    async fn it_hears_of_a_server_only_as_long_as_that_answers() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let patience = Some(Duration::from_secs(30));
        socket.set_read_timeout(patience).unwrap();
        let manager = ServiceManager::new(Some(path.as_os_str()), Some(OsStr::new("300000")));
        manager.ready();
        assert!(received(&socket).starts_with("READY=1\n"));
        // It takes connections and never answers.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let silent = listener.local_addr().unwrap();
        let watch = timeout(Duration::from_secs(1), manager.watch(Some(silent)));
        assert!(watch.await.is_err());
        manager.stopping();
        assert!(received(&socket).starts_with("STOPPING=1\n"));
        let watch = timeout(Duration::from_millis(10), manager.watch(None));
        assert!(watch.await.is_err());
        assert_eq!(received(&socket), "WATCHDOG=1");
    }

    #[tokio::test]
    async fn where_nobody_is_to_be_told_it_ends_at_once() {
        for (socket, watchdog) in [
            (None, None),
            (None, Some("1000")),
            (Some("/nowhere/notify"), None),
            (Some("relative"), Some("1000")),
            (Some("/nowhere/notify"), Some("never")),
            (Some("@inkpot-nobody"), Some("0")),
        ] {
            let manager = ServiceManager::new(socket.map(OsStr::new), watchdog.map(OsStr::new));
            manager.ready();
            manager.watch(None).await;
        }
    }
}
