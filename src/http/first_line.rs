//! How long the first line of a request is, which the parser does not tell when it refuses
//! it.

/// The first line since the last answer, as far as it has come: the request's, whose URL
/// may be too long for the parser.
#[derive(Debug, Default)]
pub struct FirstLine {
    /// Bytes.
    pub length: usize,
    is_over: bool,
    /// Whether its first bytes are those of TLS.
    pub is_tls: bool,
}

/// How a record of a TLS handshake begins (RFC 8446 §5.1).
const TLS_HANDSHAKE: &[u8] = b"\x16\x03";

impl FirstLine {
    /// Goes on with what has come.
    pub fn read(&mut self, bytes: &[u8]) {
        if self.is_over {
            return;
        }
        self.is_tls |= self.length == 0 && bytes.starts_with(TLS_HANDSHAKE);
        let end = bytes.iter().position(|byte| *byte == b'\n');
        self.length += end.unwrap_or(bytes.len());
        self.is_over = end.is_some();
        // Empty lines before a request are passed over (RFC 9112 §2.2).
        if self.is_over && self.length <= 1 {
            *self = Self::default();
            let rest = end.map_or(bytes.len(), |end| end + 1);
            self.read(&bytes[rest..]);
        }
    }

    /// Whether any of it has come.
    pub fn has_begun(&self) -> bool {
        self.length > 0
    }
}

/// Bytes of a URL that the parser takes.
pub const URL_MAX: usize = 65_534;

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
