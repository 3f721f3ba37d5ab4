//! Names of headers that are longer than the HTTP layer can hold: its parser takes them,
//! and then panics.

/// Bytes of a name that the layer can hold (`http::HeaderName`).
pub const NAME_MAX: usize = 65_535;

/// Watches what comes for such a name. Heads are not told from bodies for that: no JSON has
/// so many bytes of a name at the beginning of a line, and a colon behind them.
#[derive(Debug, Default)]
pub struct HeaderName {
    /// Bytes of what may be a name, since the line began; `None` behind other bytes.
    length: Option<usize>,
}

impl HeaderName {
    /// Goes on with what has come; whether a name in it is too long.
    pub fn is_too_long(&mut self, mut bytes: &[u8]) -> bool {
        loop {
            let Some(before) = self.length else {
                let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
                    return false;
                };
                self.length = Some(0);
                bytes = &bytes[end + 1..];
                continue;
            };
            let Some(end) = bytes.iter().position(|byte| !is_of_name(*byte)) else {
                self.length = Some(before + bytes.len());
                return false;
            };
            if bytes[end] == b':' && before + end > NAME_MAX {
                return true;
            }
            self.length = None;
            bytes = &bytes[end..];
        }
    }
}

/// RFC 9110 §5.6.2: `tchar`.
fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_found_however_it_comes() {
        let long = "x".repeat(NAME_MAX + 1);
        let head = format!("GET / HTTP/1.1\r\nHost: x\r\n{long}: y\r\n\r\n");
        assert!(HeaderName::default().is_too_long(head.as_bytes()));
        let mut name = HeaderName::default();
        let mut pieces = head.as_bytes().chunks(1000);
        assert!(pieces.any(|piece| name.is_too_long(piece)));
        // The first of a line, without anything before it.
        let mut name = HeaderName::default();
        assert!(!name.is_too_long(b"\n"));
        assert!(name.is_too_long(head.split_once("Host: x\r\n").unwrap().1.as_bytes()));
    }

    #[test]
    fn nothing_else_is_a_long_name() {
        let most = "x".repeat(NAME_MAX);
        let long = "x".repeat(NAME_MAX + 1);
        for bytes in [
            format!("GET / HTTP/1.1\r\n{most}: y\r\n\r\n"),
            format!("GET / HTTP/1.1\r\nX: {long}\r\n\r\n"),
            format!("GET /{long}: HTTP/1.1\r\n\r\n"),
            format!("\r\n10001\r\n{long}\r\n0\r\n\r\n"),
            format!("\n{{\"a\":\"{long}:\"}}"),
            format!("\n{long} :"),
        ] {
            assert!(!HeaderName::default().is_too_long(bytes.as_bytes()));
        }
    }
}
