//! The connection under the HTTP parser.
//!
//! A request that the parser cannot read never becomes a request: it writes a
//! bare status line by itself and closes. Here that head is found on its way out
//! and becomes a problem like any other refusal. It is told from our own answers
//! by having no request id, and no body of ours can be taken for one: JSON has no
//! raw line breaks.

use std::future::Future;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::{Sleep, sleep};

use super::drain::OpenConnection;
use super::expectation::{CONTINUE, Expectation};
use super::first_line::FirstLine;
use super::header_name::HeaderName;
use super::{request_id, unreadable};

/// Heads of the parser's own are shorter.
const BARE_MAX: usize = 256;

/// How an answer begins, and that to an upgrade.
const ANSWER: &[u8] = b"HTTP/1.1 ";
const SWITCHING: &[u8] = b"HTTP/1.1 101 ";
/// The head of an answer to an upgrade is shorter.
const SWITCHING_MAX: usize = 2048;

/// For how long the other side may take nothing of what is written to it. Who reads
/// slowly goes on, who does not read at all would hold the connection for ever.
const STALL: Duration = Duration::from_secs(30);

/// How long the head of a request may take to arrive. The layer sees to that of the first
/// one alone.
pub const HEAD_TIME: Duration = Duration::from_secs(10);

/// For how long whoever has closed their side still gets an answer. One who asks by `nc -N`
/// waits for it, and so does one who has gone, as far as can be seen from here: their
/// request leaves the queues that it stands in after this time.
const HALF_CLOSED: Duration = Duration::from_secs(1);

/// What is still read after the answer to a request whose body has not come to an end.
const LAST_BYTES: usize = 32 * 1024 * 1024;
const LAST_TIME: Duration = Duration::from_secs(5);

/// Takes the connection of a request that is upgraded away from the HTTP layer, as soon
/// as the head of its answer is out. The layer sees the end of the connection and frees
/// all that it holds for it, its buffers above all.
#[derive(Clone, Debug, Default)]
pub struct Takeover(Arc<Asked>);

#[derive(Debug, Default)]
struct Asked {
    is_asked: AtomicBool,
    by: Mutex<Option<By>>,
}

/// Who asked.
#[derive(Debug)]
struct By {
    give: oneshot::Sender<TcpStream>,
    /// Dropped when it is given.
    _answer: oneshot::Sender<()>,
}

impl Takeover {
    /// Asks for the connection; to be called before the answer with status 101 is given
    /// back, whose body must end when the second of the two does. The connection stays
    /// with the thread that it is on.
    pub fn ask(&self) -> (oneshot::Receiver<TcpStream>, oneshot::Receiver<()>) {
        let (give, taken) = oneshot::channel();
        let (answer, answered) = oneshot::channel();
        let by = By {
            give,
            _answer: answer,
        };
        *self.0.by.lock().unwrap_or_else(PoisonError::into_inner) = Some(by);
        self.0.is_asked.store(true, Ordering::Release);
        (taken, answered)
    }

    fn is_asked(&self) -> bool {
        self.0.is_asked.load(Ordering::Acquire)
    }

    fn give(&self, stream: TcpStream) {
        let by = (self.0.by.lock().unwrap_or_else(PoisonError::into_inner)).take();
        if let Some(by) = by {
            // Nobody may want it any more; then it is closed.
            let _ = by.give.send(stream);
        }
    }
}

/// Bounds what is still read of a connection whose last request was answered before its
/// body had come to an end: the HTTP layer reads on, so that the client gets to read the
/// answer before the connection closes, and of a chunked body it knows no end.
#[derive(Clone, Debug, Default)]
pub struct LastReads(Arc<AtomicBool>);

impl LastReads {
    /// From now on `LAST_BYTES` are read, for `LAST_TIME` at most.
    pub fn begin(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// What is left to read of a connection that is about to be closed.
#[derive(Debug)]
struct Rest {
    bytes: usize,
    until: Pin<Box<Sleep>>,
}

/// A TCP connection that never says a bare error.
#[derive(Debug)]
pub struct Wire {
    /// `None` when it was taken over.
    stream: Option<TcpStream>,
    /// For as long as it speaks HTTP.
    open: Option<OpenConnection>,
    /// Before the paths of problems.
    base: Arc<str>,
    takeover: Takeover,
    last_reads: LastReads,
    /// `None` before the last reads have begun.
    rest: Option<Rest>,
    expectation: Expectation,
    /// Whether [`CONTINUE`] was taken from the layer and is not yet written.
    owes_continue: bool,
    first_line: FirstLine,
    header_name: HeaderName,
    /// Ends when the head that comes now takes too long.
    head_due: Option<Pin<Box<Sleep>>>,
    /// Whether nothing more is read, nor written but what is [`own`](Self::own).
    is_refused: bool,
    /// The end of what was written since the connection was asked for.
    tail: Vec<u8>,
    /// Whether the head of an upgrade is written.
    is_upgraded: bool,
    /// What goes out before anything else: a problem that takes a bare head's place, or
    /// [`CONTINUE`], as far as it is not yet written.
    own: Vec<u8>,
    /// For how long a write may be stalled.
    patience: Duration,
    /// Ends when the write that is stalled now has been so for too long.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Ends when the layer is told that the other side has closed while it waits for an
    /// answer.
    half_closed: Option<Pin<Box<Sleep>>>,
}

impl Wire {
    /// `base`: the path under which the world reaches this server; `open` counts it.
    pub fn new(stream: TcpStream, base: Arc<str>, open: OpenConnection) -> Self {
        Self {
            open: Some(open),
            ..Self::with_patience(stream, base, STALL)
        }
    }

    fn with_patience(stream: TcpStream, base: Arc<str>, patience: Duration) -> Self {
        Self {
            base,
            patience,
            stalled: None,
            half_closed: None,
            stream: Some(stream),
            open: None,
            takeover: Takeover::default(),
            last_reads: LastReads::default(),
            rest: None,
            expectation: Expectation::default(),
            owes_continue: false,
            first_line: FirstLine::default(),
            header_name: HeaderName::default(),
            head_due: None,
            is_refused: false,
            tail: Vec::new(),
            is_upgraded: false,
            own: Vec::new(),
        }
    }

    /// What takes this connection over.
    pub fn takeover(&self) -> Takeover {
        self.takeover.clone()
    }

    /// What bounds the last reads of this connection.
    pub fn last_reads(&self) -> LastReads {
        self.last_reads.clone()
    }

    /// What holds back `100 Continue` on this connection.
    pub fn expectation(&self) -> Expectation {
        self.expectation.clone()
    }

    /// Whether these bytes of the layer are a [`CONTINUE`] that is to wait.
    fn holds_back(&mut self, bytes: &[u8]) -> bool {
        let is_held = self.expectation.is_unmet() && bytes.starts_with(CONTINUE);
        self.owes_continue |= is_held;
        is_held
    }

    /// Sends the [`CONTINUE`] that was held back, once the body is wanted.
    fn pay_continue(&mut self) {
        if self.owes_continue && !self.expectation.is_unmet() {
            self.owes_continue = false;
            self.own.extend_from_slice(CONTINUE);
        }
    }

    /// How many bytes may still be read; `None` when there is no bound.
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Option<usize> {
        if !self.last_reads.0.load(Ordering::Acquire) {
            return None;
        }
        let rest = self.rest.get_or_insert_with(|| Rest {
            bytes: LAST_BYTES,
            until: Box::pin(sleep(LAST_TIME)),
        });
        if rest.until.as_mut().poll(cx).is_ready() {
            rest.bytes = 0;
        }
        Some(rest.bytes)
    }

    /// Ready when who has closed their side has had time enough for the answer.
    fn poll_half_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let over = (self.half_closed).get_or_insert_with(|| Box::pin(sleep(HALF_CLOSED)));
        over.as_mut().poll(cx)
    }

    /// Ready when the head that comes now has taken too long.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.first_line.is_in_head() {
            self.head_due = None;
            return Poll::Pending;
        }
        let due = (self.head_due).get_or_insert_with(|| Box::pin(sleep(HEAD_TIME)));
        due.as_mut().poll(cx)
    }

    /// Refuses what comes, in the place of the layer, for which that is the end.
    fn refuse(&mut self, status: u16) -> Poll<io::Result<()>> {
        self.own = unreadable::problem(status, &self.first_line, &self.base);
        self.is_refused = true;
        Poll::Ready(Ok(()))
    }

    fn poll_own(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.own.is_empty() {
            let Some(stream) = &mut self.stream else {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            };
            let written = Pin::new(stream).poll_write(cx, &self.own);
            let written = ready!(self.poll_patience(cx, written))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.own.drain(..written);
        }
        Poll::Ready(Ok(()))
    }

    /// The outcome of a write, or an error when writes are stalled for too long.
    fn poll_patience(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let patience = self.patience;
        let stalled = (self.stalled).get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll_stream(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Some(stream) = &mut self.stream else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        let written = Pin::new(stream).poll_write(cx, bytes);
        let written = ready!(self.poll_patience(cx, written))?;
        if self.takeover.is_asked() && !self.is_upgraded {
            self.look_for_upgrade(&bytes[..written]);
        }
        Poll::Ready(Ok(written))
    }

    /// Whether the last that was written is the whole head of an upgrade: in pieces, it may
    /// be, and behind answers to requests that came with it.
    fn look_for_upgrade(&mut self, written: &[u8]) {
        self.tail.extend_from_slice(written);
        let cut = self.tail.len().saturating_sub(SWITCHING_MAX);
        self.tail.drain(..cut);
        let last = self.tail.windows(ANSWER.len()).rposition(|at| at == ANSWER);
        self.is_upgraded = last.is_some_and(|at| self.tail[at..].starts_with(SWITCHING))
            && self.tail.ends_with(b"\r\n\r\n");
        if self.is_upgraded {
            self.tail = Vec::new();
        }
    }
}

/// Where a bare head begins with which everything ends, and its status.
fn bare_head(bytes: &[u8]) -> Option<(usize, u16)> {
    if !bytes.ends_with(b"\r\n\r\n") {
        return None;
    }
    let from = bytes.len().saturating_sub(BARE_MAX);
    // As bytes: what stands before it may begin in the middle of a character.
    let tail = &bytes[from..];
    let at = tail.windows(7).rposition(|at| at == b"HTTP/1.")?;
    let head = std::str::from_utf8(&tail[at..]).ok()?;
    let status = head.get(9..12)?.parse().ok()?;
    let is_bare = status >= 400
        && head.contains("content-length: 0\r\n")
        && !head.contains(request_id::HEADER);
    is_bare.then_some((from + at, status))
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let rest = self.poll_rest(cx);
        let is_over = self.is_refused || rest == Some(0);
        let Some(stream) = self.stream.as_mut().filter(|_| !is_over) else {
            // Its end, as far as this layer is concerned.
            return Poll::Ready(Ok(()));
        };
        let before = buffer.filled().len();
        let Poll::Ready(read) = Pin::new(stream).poll_read(cx, buffer) else {
            ready!(self.poll_head(cx));
            return self.refuse(408);
        };
        read?;
        if buffer.filled().len() == before && self.first_line.has_begun() {
            ready!(self.poll_half_closed(cx));
            // An end would let the request go on.
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        self.first_line.read(&buffer.filled()[before..]);
        let is_too_long = self.header_name.is_too_long(&buffer.filled()[before..])
            || self.first_line.is_too_long();
        if is_too_long || self.poll_head(cx).is_ready() {
            buffer.set_filled(before);
            return self.refuse(if is_too_long { 431 } else { 408 });
        }
        if let Some(rest) = &mut self.rest {
            rest.bytes = rest.bytes.saturating_sub(buffer.filled().len() - before);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_own(cx))?;
        if self.is_refused {
            return Poll::Ready(Ok(bytes.len()));
        }
        if self.holds_back(bytes) {
            return Poll::Ready(Ok(CONTINUE.len()));
        }
        match bare_head(bytes) {
            None => {
                if bytes != CONTINUE {
                    self.first_line = FirstLine::default();
                    if self.half_closed.take().is_some() {
                        // So that the end is seen.
                        cx.waker().wake_by_ref();
                    }
                    // Of a request that was answered without its body.
                    self.owes_continue = false;
                }
                self.poll_stream(cx, bytes)
            }
            Some((0, status)) => {
                self.own = unreadable::problem(status, &self.first_line, &self.base);
                // Taken; goes out with the flush that follows every write.
                Poll::Ready(Ok(bytes.len()))
            }
            Some((earlier, _)) => self.poll_stream(cx, &bytes[..earlier]),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The layer flushes whenever a handler has been asked, also with nothing to write.
        self.pay_continue();
        // Also when nothing more is asked for: who sends nothing either would stay for ever.
        let _ = self.poll_rest(cx);
        ready!(self.poll_own(cx))?;
        let Some(stream) = &mut self.stream else {
            return Poll::Ready(Ok(()));
        };
        ready!(Pin::new(stream).poll_flush(cx))?;
        if self.is_upgraded
            && let Some(stream) = self.stream.take()
        {
            self.takeover.give(stream);
            self.open = None;
            // So that the end is seen.
            cx.waker().wake_by_ref();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_own(cx))?;
        let Some(stream) = &mut self.stream else {
            return Poll::Ready(Ok(()));
        };
        ready!(Pin::new(&mut *stream).poll_shutdown(cx))?;
        // What came behind the last request, unread, would have the system take the answer
        // back (RFC 9112 §9.6).
        let mut scratch = [MaybeUninit::uninit(); 4096];
        for _ in 0..LAST_BYTES / scratch.len() {
            let mut buffer = ReadBuf::uninit(&mut scratch);
            match Pin::new(&mut *stream).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
                _ => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[test]
    fn only_a_bare_error_at_the_end_is_found() {
        let bare = "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\ndate: x\r\n\r\n";
        assert_eq!(bare_head(bare.as_bytes()), Some((0, 400)));
        let ours = "HTTP/1.1 204 No Content\r\nx-request-id: a\r\n\r\n";
        assert_eq!(bare_head(ours.as_bytes()), None);
        assert_eq!(
            bare_head(format!("{ours}{bare}").as_bytes()),
            Some((ours.len(), 400))
        );
        let older = bare.replace("1.1", "1.0");
        for cut in 0..4 {
            let body = format!("{}{}{older}", "x".repeat(cut), "é".repeat(300));
            let at = body.len() - older.len();
            assert_eq!(bare_head(body.as_bytes()), Some((at, 400)));
        }
        assert_eq!(bare_head(format!("{bare}{ours}").as_bytes()), None);
        let refusal = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nx-request-id: a\r\n\r\n";
        assert_eq!(bare_head(refusal.as_bytes()), None);
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}",
            "é".repeat(300)
        );
        assert_eq!(bare_head(head.as_bytes()), None);
        assert_eq!(bare_head(b"\r\n\r\n"), None);
        assert_eq!(bare_head(b""), None);
    }

    /// Both ends of a connection.
    async fn connection(patience: Duration) -> (Wire, TcpStream) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let client = TcpStream::connect(address).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        (Wire::with_patience(server, "".into(), patience), client)
    }

    #[tokio::test]
    async fn a_write_that_nobody_takes_ends_the_connection() {
        let (mut wire, client) = connection(Duration::from_millis(50)).await;
        let endless = async { while wire.write_all(&[b'x'; 4096]).await.is_ok() {} };
        tokio::time::timeout(Duration::from_secs(30), endless)
            .await
            .expect("the write is given up");
        let error = wire.write(b"x").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(client);
    }

    #[tokio::test]
    async fn a_connection_is_given_away_when_the_head_of_the_upgrade_is_out() {
        let (mut wire, mut client) = connection(Duration::from_secs(5)).await;
        let (mut taken, answered) = wire.takeover().ask();
        // Behind another answer, and cut anywhere.
        for piece in [
            "HTTP/1.1 200 OK\r\n\r\n{}HTT",
            "P/1.1 101 Sw\r\nx: y\r\n",
            "\r\n",
        ] {
            assert!(taken.try_recv().is_err());
            wire.write_all(piece.as_bytes()).await.unwrap();
            wire.flush().await.unwrap();
        }
        let mut stream = taken.await.unwrap();
        answered.await.unwrap_err();
        stream.write_all(b"frame").await.unwrap();
        drop(stream);
        // For the layer above the connection has ended.
        assert_eq!(wire.read(&mut [0; 9]).await.unwrap(), 0);
        let mut all = String::new();
        client.read_to_string(&mut all).await.unwrap();
        assert!(all.ends_with("x: y\r\n\r\nframe"), "{all}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_closes_their_side_has_a_moment_for_the_answer() {
        let (mut wire, mut client) = connection(Duration::from_secs(5)).await;
        let begun = tokio::time::Instant::now();
        client.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
        client.shutdown().await.unwrap();
        let mut buffer = vec![0; 4096];
        assert_eq!(wire.read(&mut buffer).await.unwrap(), 18);
        let error = wire.read(&mut buffer).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
        assert!(begun.elapsed() >= HALF_CLOSED);
        wire.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        // Who waits for nothing is gone at once.
        let answered = tokio::time::Instant::now();
        assert_eq!(wire.read(&mut buffer).await.unwrap(), 0);
        assert!(answered.elapsed() < HALF_CLOSED);
    }

    #[tokio::test(start_paused = true)]
    async fn every_head_must_come_in_time() {
        let (mut wire, mut client) = connection(Duration::from_secs(5)).await;
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let mut buffer = vec![0; 4096];
        assert_eq!(wire.read(&mut buffer).await.unwrap(), 18);
        wire.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        let begun = tokio::time::Instant::now();
        let dribble = async {
            client.write_all(b"GET / HTTP/1.1\r\nX: ").await.unwrap();
            while client.write_all(b"x").await.is_ok() {
                sleep(Duration::from_secs(4)).await;
            }
        };
        let read = async { while wire.read(&mut buffer).await.unwrap() > 0 {} };
        tokio::select! {
            () = dribble => panic!("the client ended by itself"),
            () = read => assert!(begun.elapsed() >= HEAD_TIME),
        }
        wire.shutdown().await.unwrap();
        drop(wire);
        let mut answers = String::new();
        client.read_to_string(&mut answers).await.unwrap();
        assert!(answers.contains("HTTP/1.1 408 "), "{answers}");
        assert!(answers.contains("\"request_timeout\""), "{answers}");
    }

    #[tokio::test]
    async fn the_last_reads_of_a_connection_have_an_end() {
        let (mut wire, mut client) = connection(Duration::from_secs(5)).await;
        let last_reads = wire.last_reads();
        client.write_all(b"before").await.unwrap();
        let mut buffer = vec![0; 65_536];
        assert_eq!(wire.read(&mut buffer).await.unwrap(), 6);
        last_reads.begin();
        let flood = async { while client.write_all(&vec![b'x'; 65_536]).await.is_ok() {} };
        let read = async {
            let mut total = 0;
            loop {
                match wire.read(&mut buffer).await.unwrap() {
                    0 => return total,
                    length => total += length,
                }
            }
        };
        tokio::select! {
            () = flood => panic!("the flood ended by itself"),
            total = read => {
                assert!(total <= LAST_BYTES + buffer.capacity(), "{total} bytes");
            }
        }
    }

    #[tokio::test]
    async fn who_reads_slowly_gets_everything() {
        const SIZE: usize = 20_000_000;
        let (mut wire, mut client) = connection(Duration::from_secs(5)).await;
        let write = async {
            wire.write_all(&vec![b'x'; SIZE]).await.unwrap();
            wire.shutdown().await.unwrap();
        };
        let read = async {
            let (mut total, mut buffer) = (0, vec![0; 4096]);
            loop {
                match client.read(&mut buffer).await.unwrap() {
                    0 => return total,
                    length => total += length,
                }
                tokio::task::yield_now().await;
            }
        };
        let ((), total) = tokio::join!(write, read);
        assert_eq!(total, SIZE);
    }
}
