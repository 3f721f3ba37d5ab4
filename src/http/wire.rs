//! The connection under the HTTP parser.
//!
//! A request that the parser cannot read never becomes a request: it writes a
//! bare status line by itself and closes. Here that head is found on its way out
//! and becomes a problem like any other refusal. It is told from our own answers
//! by having no request id, and no body of ours can be taken for one: JSON has no
//! raw line breaks.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::request_id::{self, RequestId};
use crate::error::{Code, Error};

/// Heads of the parser's own are shorter.
const BARE_MAX: usize = 256;

/// Has a connection end that was upgraded to a WebSocket. The server must close first
/// (RFC 6455 §7.1.1), and the HTTP layer would wait for the client to do so, since for it
/// there is a body that was never read to its end.
#[derive(Clone, Debug, Default)]
pub struct HangUp(Arc<AtomicU8>);

/// It ends when the client has answered the last frame with a Close of its own.
const PARTING: u8 = 1;
/// It ends.
const OVER: u8 = 2;

impl HangUp {
    /// To be called when the last frame, a Close, is on its way; `has_closed`: whether
    /// the client sent one already.
    pub fn part(&self, has_closed: bool) {
        let state = if has_closed { OVER } else { PARTING };
        self.0.store(state, Ordering::Release);
    }
}

/// Whether one of these frames of a client is a Close.
fn has_close(mut frames: &[u8]) -> bool {
    while let [first, second, ..] = frames {
        if first & 0x0f == 8 {
            return true;
        }
        // Control frames, which is what comes here, are short (RFC 6455 §5.5) and masked.
        let length = 2 + 4 + usize::from(second & 0x7f);
        frames = frames.get(length..).unwrap_or_default();
    }
    false
}

/// A TCP connection that never says a bare error.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    hang_up: HangUp,
    /// A problem that takes a bare head's place, as far as it is not yet written.
    problem: Vec<u8>,
}

impl Wire {
    pub fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            hang_up: HangUp::default(),
            problem: Vec::new(),
        }
    }

    /// What ends this connection.
    pub fn hang_up(&self) -> HangUp {
        self.hang_up.clone()
    }

    fn poll_problem(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.problem.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.problem))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.problem.drain(..written);
        }
        Poll::Ready(Ok(()))
    }
}

/// Where a bare head begins with which everything ends, and its status.
fn bare_head(bytes: &[u8]) -> Option<(usize, u16)> {
    if !bytes.ends_with(b"\r\n\r\n") {
        return None;
    }
    let from = bytes.len().saturating_sub(BARE_MAX);
    let tail = std::str::from_utf8(&bytes[from..]).ok()?;
    let at = tail.rfind("HTTP/1.1 ")?;
    let head = &tail[at..];
    let status = head.get(9..12)?.parse().ok()?;
    let is_bare = status >= 400
        && head.contains("content-length: 0\r\n")
        && !head.contains(request_id::HEADER);
    is_bare.then_some((from + at, status))
}

/// The whole answer that is sent instead.
fn problem(status: u16) -> Vec<u8> {
    let error = Error::new(match status {
        408 => Code::RequestTimeout,
        431 => Code::HeadersTooLarge,
        500.. => Code::Internal,
        _ => Code::MalformedRequest,
    });
    let id = RequestId::new().0;
    let body = error.body(&id);
    let status = error.code.status();
    tracing::info!(
        target: "inkpot::request",
        method = "-",
        route = "-",
        status = status.as_u16(),
        request_id = %id,
        "request that could not be read"
    );
    let mut answer = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\
         content-type: application/problem+json\r\ncache-control: no-store\r\n\
         x-content-type-options: nosniff\r\n{}: {id}\r\ndate: {}\r\n\r\n",
        body.len(),
        request_id::HEADER,
        chrono::Utc::now().format("%a, %d %b %Y %H:%M:%S GMT"),
    )
    .into_bytes();
    answer.extend_from_slice(&body);
    answer
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let state = self.hang_up.0.load(Ordering::Acquire);
        if state == OVER {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if state == PARTING && has_close(&buffer.filled()[before..]) {
            // As if it had closed: nothing it says now is heard.
            buffer.set_filled(before);
            self.hang_up.part(true);
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
        ready!(self.poll_problem(cx))?;
        match bare_head(bytes) {
            None => Pin::new(&mut self.stream).poll_write(cx, bytes),
            Some((0, status)) => {
                self.problem = problem(status);
                // Taken; goes out with the flush that follows every write.
                Poll::Ready(Ok(bytes.len()))
            }
            Some((earlier, _)) => Pin::new(&mut self.stream).poll_write(cx, &bytes[..earlier]),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_problem(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_problem(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
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
}
