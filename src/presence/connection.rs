//! A WebSocket connection: frames (RFC 6455 §5) are sent and received on a TCP stream that
//! is ours alone.
//!
//! What a server sends is not masked, so a frame is the same bytes for every client:
//! it is made once and written as it is. Nothing is held for a client but what it has
//! begun to send, and what it has begun to be sent.

use std::io::{Error, ErrorKind};
use std::time::Duration;

use actix_codec::Decoder;
use actix_http::ws::{Codec, Frame as Decoded, Item, ProtocolError};
use actix_web::web::{Bytes, BytesMut};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, timeout_at};

/// Bytes of a message that a client may send. It has nothing to say.
const MAX_MESSAGE: usize = 4096;
/// Bytes that are read at once.
const CHUNK: usize = 512;
/// So many of them are read after the last frame.
const LAST_CHUNKS: usize = 4096;
/// Bytes that the system may hold for a client that does not read.
const SEND_BUFFER: usize = 64 * 1024;

const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;
const PONG: u8 = 0x8a;
/// A ping without a payload.
pub const PING: Frame = Bytes::from_static(&[0x89, 0]);

/// A frame, head and all.
pub type Frame = Bytes;

/// A frame of text.
pub fn text_frame(text: &[u8]) -> Frame {
    let mut frame = Vec::with_capacity(text.len() + 10);
    frame.push(TEXT);
    match (u8::try_from(text.len()), u16::try_from(text.len())) {
        (Ok(length @ 0..=125), _) => frame.push(length),
        (_, Ok(length)) => {
            frame.push(126);
            frame.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            frame.push(127);
            frame.extend_from_slice(&(text.len() as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(text);
    frame.into()
}

/// A short frame; `payload`: up to 125 bytes.
fn control_frame(opcode: u8, payload: &[u8]) -> Frame {
    let payload = &payload[..payload.len().min(125)];
    let mut frame = vec![opcode, u8::try_from(payload.len()).unwrap_or(0)];
    frame.extend_from_slice(payload);
    frame.into()
}

/// The answer to a ping.
pub fn pong_frame(payload: &[u8]) -> Frame {
    control_frame(PONG, payload)
}

/// The last frame.
pub fn close_frame(code: u16, reason: &str) -> Frame {
    control_frame(CLOSE, &[&code.to_be_bytes(), reason.as_bytes()].concat())
}

/// What a client sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    Ping(Bytes),
    /// A pong, or a message: it is there.
    Other,
    Close,
}

/// Why nothing more is received.
#[derive(Debug, PartialEq, Eq)]
pub enum RecvError {
    /// The connection is closed or broken.
    Closed,
    /// It broke the protocol: the code to close with.
    Protocol(u16),
}

/// Why a frame is not sent.
#[derive(Debug, PartialEq, Eq)]
pub enum SendError {
    Closed,
    /// Nobody reads. The rest of the frame goes out before anything else.
    TooSlow,
}

/// A WebSocket connection, in frames.
pub struct Connection {
    stream: TcpStream,
    codec: Codec,
    read: BytesMut,
    /// The beginning of a message in several frames; whether it is text.
    message: Option<(bool, Vec<u8>)>,
    unsent: Bytes,
}

impl Connection {
    pub fn new(stream: TcpStream) -> Self {
        // Its default grows to megabytes; a smaller one is no reason to go without.
        let _ = socket2::SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER);
        Self {
            stream,
            codec: Codec::new().max_size(MAX_MESSAGE),
            read: BytesMut::new(),
            message: None,
            unsent: Bytes::new(),
        }
    }

    /// Receives the next frame that matters. May be given up and begun again.
    pub async fn recv(&mut self) -> Result<Received, RecvError> {
        loop {
            // Who sends without a pause would hold the thread: being readable is not
            // counted, unlike most that is waited for.
            consume_budget().await;
            match self.codec.decode(&mut self.read) {
                Ok(Some(frame)) => return self.received(frame),
                // The parser judges a frame when it is whole: one that announces more than
                // it may have would be gathered until memory ends.
                Ok(None) if announced(&self.read) > MAX_MESSAGE as u64 => {
                    return Err(RecvError::Protocol(1009));
                }
                Ok(None) => {}
                Err(ProtocolError::Overflow) => return Err(RecvError::Protocol(1009)),
                Err(_) => return Err(RecvError::Protocol(1002)),
            }
            if self.read.is_empty() {
                self.read = BytesMut::new();
            }
            if self.stream.readable().await.is_err() {
                return Err(RecvError::Closed);
            }
            let mut chunk = [0; CHUNK];
            match self.stream.try_read(&mut chunk) {
                Ok(0) => return Err(RecvError::Closed),
                Ok(length) => self.read.extend_from_slice(&chunk[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return Err(RecvError::Closed),
            }
        }
    }

    fn received(&mut self, frame: Decoded) -> Result<Received, RecvError> {
        match frame {
            Decoded::Ping(payload) => return Ok(Received::Ping(payload)),
            Decoded::Close(_) => return Ok(Received::Close),
            Decoded::Pong(_) | Decoded::Binary(_) => {}
            Decoded::Text(text) => check_utf8(&text)?,
            Decoded::Continuation(Item::FirstText(part)) => {
                self.message = Some((true, part.to_vec()));
            }
            Decoded::Continuation(Item::FirstBinary(part)) => {
                self.message = Some((false, part.to_vec()));
            }
            Decoded::Continuation(Item::Continue(part)) => self.append(&part)?,
            Decoded::Continuation(Item::Last(part)) => {
                self.append(&part)?;
                if let Some((true, text)) = self.message.take() {
                    check_utf8(&text)?;
                }
            }
        }
        Ok(Received::Other)
    }

    fn append(&mut self, part: &[u8]) -> Result<(), RecvError> {
        let (_, message) = self.message.as_mut().ok_or(RecvError::Protocol(1002))?;
        message.extend_from_slice(part);
        if message.len() > MAX_MESSAGE {
            return Err(RecvError::Protocol(1009));
        }
        Ok(())
    }

    /// Sends a frame within a time.
    pub async fn send(&mut self, frame: Frame, within: Duration) -> Result<(), SendError> {
        let end = Instant::now() + within;
        self.write(end).await?;
        self.unsent = frame;
        self.write(end).await
    }

    /// Writes what is unsent.
    async fn write(&mut self, end: Instant) -> Result<(), SendError> {
        while !self.unsent.is_empty() {
            let written = match timeout_at(end, self.stream.write(&self.unsent)).await {
                Err(_) => return Err(SendError::TooSlow),
                Ok(Ok(0)) => Err(Error::from(ErrorKind::WriteZero)),
                Ok(written) => written,
            };
            let written = written.map_err(|_| SendError::Closed)?;
            let _ = self.unsent.split_to(written);
        }
        Ok(())
    }

    /// Sends the last frame and waits for the client to close, all within a time. What
    /// it still says is read: else the system would tell it of an error, and not what it
    /// was told.
    pub async fn close(mut self, frame: Frame, has_closed: bool, within: Duration) {
        let end = Instant::now() + within;
        if self.send(frame, within).await.is_err() || self.stream.shutdown().await.is_err() {
            return;
        }
        if has_closed {
            return;
        }
        let mut chunk = [0; CHUNK];
        for _ in 0..LAST_CHUNKS {
            consume_budget().await;
            let Ok(Ok(())) = timeout_at(end, self.stream.readable()).await else {
                return;
            };
            match self.stream.try_read(&mut chunk) {
                Ok(0) => return,
                Err(error) if error.kind() != ErrorKind::WouldBlock => return,
                _ => {}
            }
        }
    }
}

/// How long a payload the head of a frame announces (RFC 6455 §5.2); 0 while that part of the
/// head has not come.
fn announced(head: &[u8]) -> u64 {
    match head {
        [_, second, rest @ ..] => match (second & 0x7f, rest) {
            (126, rest) => rest
                .first_chunk()
                .map_or(0, |length| u16::from_be_bytes(*length).into()),
            (127, rest) => rest
                .first_chunk()
                .map_or(0, |length| u64::from_be_bytes(*length)),
            (length, _) => length.into(),
        },
        _ => 0,
    }
}

fn check_utf8(text: &[u8]) -> Result<(), RecvError> {
    match std::str::from_utf8(text) {
        Ok(_) => Ok(()),
        Err(_) => Err(RecvError::Protocol(1007)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_announces_its_payload() {
        for (head, length) in [
            (&b""[..], 0),
            (b"\x81", 0),
            (b"\x81\xfd", 125),
            (b"\x81\xfe\x10", 0),
            (b"\x81\xfe\x10\x01", 4097),
            (b"\x82\xff\x40\0\0\0\0\0\0", 0),
            (b"\x82\xff\x40\0\0\0\0\0\0\0more", 1 << 62),
        ] {
            assert_eq!(announced(head), length, "{head:?}");
        }
    }

    #[test]
    fn frames_are_as_long_as_they_say() {
        for (length, head) in [
            (0, vec![0x81, 0]),
            (125, vec![0x81, 125]),
            (126, vec![0x81, 126, 0, 126]),
            (65_535, vec![0x81, 126, 0xff, 0xff]),
            (65_536, vec![0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let frame = text_frame(&vec![b'x'; length]);
            assert_eq!(frame[..head.len()], head);
            assert_eq!(frame.len(), head.len() + length);
        }
        assert_eq!(close_frame(4401, "no"), &b"\x88\x04\x11\x31no"[..]);
        assert_eq!(pong_frame(&[b'x'; 200]).len(), 127);
    }
}
