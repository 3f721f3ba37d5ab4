//! How long the first line of a request is, which the parser does not tell when it refuses
//! it, how long its head, and whether that has come to its end.

/// The first line since the last answer, as far as it has come: the request's, whose URL
/// may be too long for the parser.
#[derive(Debug, Default)]
pub struct FirstLine {
    /// Bytes.
    pub length: usize,
    /// Bytes of the whole head, as far as it has come.
    head: usize,
    place: Place,
    /// Whether its first bytes are those of TLS.
    pub is_tls: bool,
    /// Whether anything has come of the header's line that comes now.
    has_line: bool,
}

/// Where a head is at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    FirstLine,
    Headers,
    /// Behind its end.
    Over,
}

/// How a record of a TLS handshake begins (RFC 8446 §5.1).
const TLS_HANDSHAKE: &[u8] = b"\x16\x03";

impl FirstLine {
    /// Goes on with what has come.
    pub fn read(&mut self, bytes: &[u8]) {
        if self.place != Place::FirstLine {
            self.read_headers(bytes);
            return;
        }
        self.is_tls |= self.length == 0 && bytes.starts_with(TLS_HANDSHAKE);
        let end = bytes.iter().position(|byte| *byte == b'\n');
        self.length += end.unwrap_or(bytes.len());
        self.head += end.map_or(bytes.len(), |end| end + 1);
        let Some(end) = end else { return };
        self.place = Place::Headers;
        let rest = &bytes[end + 1..];
        // Empty lines before a request are passed over (RFC 9112 §2.2).
        if self.length <= 1 {
            *self = Self::default();
        }
        self.read(rest);
    }

    /// Looks for the empty line that ends the head.
    fn read_headers(&mut self, mut bytes: &[u8]) {
        let is_empty = |line: &[u8]| matches!(line, [] | [b'\r']);
        while self.place != Place::Over {
            let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
                self.has_line |= !is_empty(bytes);
                self.head += bytes.len();
                return;
            };
            if !self.has_line && is_empty(&bytes[..end]) {
                self.place = Place::Over;
            }
            self.has_line = false;
            self.head += end + 1;
            bytes = &bytes[end + 1..];
        }
    }

    /// Whether a head has begun and is not over.
    pub fn is_in_head(&self) -> bool {
        self.has_begun() && self.place != Place::Over
    }

    /// Whether the head is longer than one may be.
    pub fn is_too_long(&self) -> bool {
        self.head > HEAD_MAX
    }

    /// Whether any of it has come.
    pub fn has_begun(&self) -> bool {
        self.length > 0
    }
}

/// Bytes of a URL that the parser takes.
pub const URL_MAX: usize = 65_534;
/// Bytes of a head, its empty line included: of headers there may be 32 KiB beside the longest URL. The parser
/// takes some more, depending on how they come.
pub const HEAD_MAX: usize = 96 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_measured_however_it_comes() {
        let mut whole = FirstLine::default();
        whole.read(b"\r\n\nGET /x HTTP/1.1\r\nHost: x\r\n");
        assert_eq!(whole.length, "GET /x HTTP/1.1\r".len());
        let mut pieces = FirstLine::default();
        for piece in ["GET", " /x", " HTTP/1.1\r", "\nHost: ", "x\r\n"] {
            pieces.read(piece.as_bytes());
        }
        assert_eq!(pieces.length, whole.length);
        assert!(!whole.is_tls && !pieces.is_tls);
    }

    #[test]
    fn the_end_of_a_head_is_seen_however_it_comes() {
        for head in [
            "GET / HTTP/1.1\r\nA: b\r\n\r\n",
            "\r\nGET / HTTP/1.1\n\n",
            "G\r\n\r\n",
        ] {
            for size in 1..=head.len() {
                let mut line = FirstLine::default();
                let pieces: Vec<&[u8]> = head.as_bytes().chunks(size).collect();
                let (last, others) = pieces.split_last().unwrap();
                for piece in others {
                    line.read(piece);
                }
                assert!(
                    others.is_empty() || line.place != Place::Over,
                    "{head:?}, {size}"
                );
                line.read(last);
                assert!(
                    line.place == Place::Over && !line.is_in_head(),
                    "{head:?}, {size}"
                );
            }
        }
        let mut line = FirstLine::default();
        assert!(!line.is_in_head());
        line.read(b"GET / HTTP/1.1\r\nA: b\r\n");
        assert!(line.is_in_head());
    }

    #[test]
    fn a_head_has_a_bound_however_it_comes() {
        let frame = "GET / HTTP/1.1\r\nX: \r\n\r\n".len();
        for (bytes, is_too_long) in [(HEAD_MAX, false), (HEAD_MAX + 1, true)] {
            let value = "x".repeat(bytes - frame);
            let head = format!("GET / HTTP/1.1\r\nX: {value}\r\n\r\n");
            for size in [1, 1000, head.len()] {
                let mut line = FirstLine::default();
                for piece in head.as_bytes().chunks(size) {
                    line.read(piece);
                }
                // What belongs to the body is none of it.
                line.read(&[b'y'; 1000]);
                assert_eq!(
                    line.is_too_long(),
                    is_too_long,
                    "{bytes} in pieces of {size}"
                );
            }
        }
        let mut url = FirstLine::default();
        url.read("x".repeat(HEAD_MAX + 1).as_bytes());
        assert!(url.is_too_long() && url.length > URL_MAX);
    }

    #[test]
    fn tls_is_known_by_its_first_bytes() {
        let mut line = FirstLine::default();
        assert!(!line.has_begun());
        line.read(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");
        assert!(line.is_tls && line.has_begun());
        let mut later = FirstLine::default();
        later.read(b"GET /");
        later.read(b"\x16\x03");
        assert!(!later.is_tls);
    }
}
