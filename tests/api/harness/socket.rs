//! A client of the live stream, over a real connection: another implementation of
//! that protocol than the server's, and a rude one that writes bytes as it likes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

/// How long anything may take that a test waits for.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// How many the first frame has at most.
const LISTED: usize = 1000;

/// Who is online, as a client of frames knows it: name and since when, by id.
pub type View = BTreeMap<i64, (String, String)>;

/// A page that has the live stream open.
pub struct Socket {
    stream: WebSocketStream<Box<dyn Duplex>>,
    /// The subprotocol that the server chose.
    pub protocol: Option<String>,
    pub view: View,
    pub is_partial: bool,
    has_snapshot: bool,
}

/// A connection, with TLS or without.
pub trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// The one header of a token.
pub fn bearer(token: &str) -> (&'static str, String) {
    ("Authorization", format!("Bearer {token}"))
}

impl Socket {
    /// Opens the stream with a token, and has the first frame.
    pub async fn open(address: &str, token: &str) -> Self {
        let mut socket = Self::with(address, &[bearer(token)]).await.unwrap();
        socket.next().await.expect("a first frame");
        socket
    }

    /// Opens the stream with these headers.
    pub async fn with(address: &str, headers: &[(&'static str, String)]) -> Result<Self, Error> {
        let stream = TcpStream::connect(address).await?;
        Self::over(Box::new(stream), address, headers).await
    }

    /// Opens the stream with a token by TLS, at a server whose certificate this authority has
    /// signed (PEM), and has the first frame.
    pub async fn secure(address: &str, authority: &[u8], token: &str) -> Self {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(authority).unwrap())
            .unwrap();
        let config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        let stream = connector.connect(name, stream).await.unwrap();
        let opened = Self::over(Box::new(stream), address, &[bearer(token)]).await;
        let mut socket = opened.unwrap();
        socket.next().await.expect("a first frame");
        socket
    }

    async fn over(
        stream: Box<dyn Duplex>,
        address: &str,
        headers: &[(&'static str, String)],
    ) -> Result<Self, Error> {
        let url = format!("ws://{address}/user/online");
        let mut request = url.into_client_request()?;
        for (name, value) in headers {
            let value = HeaderValue::from_str(value).unwrap();
            request.headers_mut().append(*name, value);
        }
        let opening = timeout(PATIENCE, client_async(request, stream));
        let (stream, response) = opening.await.expect("an answer to the handshake")?;
        let protocol = response.headers().get("sec-websocket-protocol");
        Ok(Self {
            stream,
            protocol: protocol.map(|value| value.to_str().unwrap().to_owned()),
            view: View::new(),
            is_partial: false,
            has_snapshot: false,
        })
    }

    /// The next frame, which the view has taken in; `Err` with the close code, or none
    /// when the connection has ended without.
    pub async fn next(&mut self) -> Result<Value, Option<u16>> {
        timeout(PATIENCE, self.quiet()).await.expect("a frame")
    }

    /// The same where nothing may come for however long.
    pub async fn quiet(&mut self) -> Result<Value, Option<u16>> {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Text(text))) => {
                    let frame: Value = serde_json::from_str(&text).unwrap();
                    self.apply(&frame);
                    return Ok(frame);
                }
                Some(Ok(Message::Close(reason))) => {
                    // The answer to it, and the server's end of the connection.
                    while let Some(Ok(_)) = self.stream.next().await {}
                    return Err(reason.map(|reason| reason.code.into()));
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(other)) => panic!("{other:?}"),
                Some(Err(_)) | None => return Err(None),
            }
        }
    }

    /// Reads until the view is as wanted.
    pub async fn until(&mut self, what: &str, mut is_so: impl FnMut(&Self) -> bool) {
        let waiting = async {
            while !is_so(self) {
                if let Err(code) = self.next().await {
                    panic!("closed with {code:?} before {what}");
                }
            }
        };
        let in_time = timeout(PATIENCE, waiting).await.is_ok();
        assert!(in_time, "never {what}: {:?}", self.view);
    }

    /// Reads until exactly these are online.
    pub async fn until_online(&mut self, users: &[i64]) {
        let wanted = format!("online {users:?}");
        self.until(&wanted, |socket| socket.view.keys().eq(users))
            .await;
    }

    /// Reads to the end; its close code.
    pub async fn close_code(&mut self) -> Option<u16> {
        loop {
            if let Err(code) = self.next().await {
                return code;
            }
        }
    }

    /// Closes as a page does, and waits for the server to do so too.
    pub async fn close(mut self) {
        self.stream.close(None).await.unwrap();
        assert_eq!(self.close_code().await, Some(1000), "closed by the client");
    }

    /// Sends a text, which the server has no use for.
    pub async fn say(&mut self, text: &str) {
        self.stream.send(Message::text(text)).await.unwrap();
    }

    fn apply(&mut self, frame: &Value) {
        let is_first = !std::mem::replace(&mut self.has_snapshot, true);
        let kind = if is_first { "snapshot" } else { "change" };
        assert_eq!(frame["type"], kind, "{frame}");
        let is_partial = frame["partial"].as_bool().unwrap_or(false);
        let mut has_news = is_first || is_partial != self.is_partial;
        self.is_partial = is_partial;
        for user in frame["online"].as_array().unwrap() {
            let text = |name: &str| user[name].as_str().unwrap().to_owned();
            let known = (text("name"), text("since"));
            let before = self
                .view
                .insert(user["user_id"].as_i64().unwrap(), known.clone());
            assert_ne!(before, Some(known), "known already: {frame}");
            has_news = true;
        }
        if !is_first {
            for user_id in frame["offline"].as_array().unwrap() {
                let before = self.view.remove(&user_id.as_i64().unwrap());
                assert!(before.is_some(), "unknown as it is: {frame}");
                has_news = true;
            }
        }
        assert!(has_news, "a change of nothing: {frame}");
        let total = usize::try_from(frame["total"].as_u64().unwrap()).unwrap();
        if total <= LISTED {
            assert_eq!(total, self.view.len(), "{frame}");
        }
    }
}

/// A client that writes what it likes, and may not read.
pub struct Rude {
    pub stream: TcpStream,
    rest: Vec<u8>,
}

impl Rude {
    /// Opens the stream with a token and reads nothing but the head of the answer.
    pub async fn open(address: &str, token: &str) -> Self {
        let (name, value) = bearer(token);
        let (head, client) = Self::ask(address, "GET", &[(name, value.as_str())]).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        client
    }

    async fn ask(address: &str, method: &str, headers: &[(&str, &str)]) -> (String, Self) {
        let mut request = format!(
            "{method} /user/online HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        );
        for (name, value) in headers {
            request.extend([*name, ": ", *value, "\r\n"]);
        }
        request.push_str("\r\n");
        let mut client = Self {
            stream: TcpStream::connect(address).await.unwrap(),
            rest: Vec::new(),
        };
        client.write(request.as_bytes()).await;
        let end = loop {
            let found = client.rest.windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(at) = found {
                break at + 4;
            }
            assert!(client.read().await, "an answer to the handshake");
        };
        let head = client.rest.drain(..end).collect();
        (String::from_utf8(head).unwrap(), client)
    }

    /// Sends a handshake that is refused: its status, the problem's code and the head.
    pub async fn refused(
        address: &str,
        method: &str,
        headers: &[(&str, &str)],
    ) -> (u16, String, String) {
        let (head, mut client) = Self::ask(address, method, headers).await;
        let head = head.to_lowercase();
        let status = head[9..12].parse().unwrap();
        assert!(
            head.contains("content-type: application/problem+json"),
            "{head}"
        );
        let length = head.split("content-length: ").nth(1).unwrap();
        let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
        if method == "HEAD" {
            return (status, String::new(), head);
        }
        while client.rest.len() < length {
            assert!(client.read().await, "a whole body");
        }
        let body: Value = serde_json::from_slice(&client.rest).unwrap();
        (status, body["code"].as_str().unwrap().to_owned(), head)
    }

    /// Writes; the server may have closed already.
    pub async fn write(&mut self, bytes: &[u8]) {
        let _ = timeout(PATIENCE, self.stream.write_all(bytes))
            .await
            .expect("the server takes what is written");
    }

    /// Writes; whether the server takes it still.
    pub async fn try_write(&mut self, bytes: &[u8]) -> bool {
        let writing = timeout(PATIENCE, self.stream.write_all(bytes)).await;
        writing.expect("the server takes it or closes").is_ok()
    }

    /// A frame of a client: first byte with the opcode, masked with zeros.
    pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let length = u8::try_from(payload.len()).unwrap();
        assert!(length < 126, "a short frame");
        let mut frame = vec![first, 0x80 | length, 0, 0, 0, 0];
        frame.extend_from_slice(payload);
        frame
    }

    /// Reads more; whether there was any.
    async fn read(&mut self) -> bool {
        let mut buffer = [0; 4096];
        let read = timeout(PATIENCE, self.stream.read(&mut buffer)).await;
        // A connection that is reset has ended as well.
        let length = read.expect("the server says something").unwrap_or(0);
        self.rest.extend_from_slice(&buffer[..length]);
        length > 0
    }

    /// Reads, answering nothing, until the server has closed the connection; the code
    /// of its last frame if that is a Close.
    pub async fn close_code(&mut self) -> Option<u16> {
        while self.read().await {}
        let (mut frames, mut code) = (self.rest.as_slice(), None);
        while let [first, second, rest @ ..] = frames {
            let size = match second {
                126 => 2,
                127 => 8,
                _ => 0,
            };
            let number = |bytes: &[u8]| {
                bytes
                    .iter()
                    .fold(0, |sum, byte| sum << 8 | usize::from(*byte))
            };
            let length = match rest.get(..size)? {
                [] => usize::from(*second),
                long => number(long),
            };
            let payload = rest.get(size..size + length)?;
            code = (first & 0x0f == 8).then(|| u16::from_be_bytes([payload[0], payload[1]]));
            frames = &rest[size + length..];
        }
        code
    }
}
