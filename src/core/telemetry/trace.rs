//! The trace that a request belongs to, as other services tell it in the header
//! `traceparent` (W3C Trace Context, §3.2). This service has no spans of its own: it writes
//! the trace into its log, and passes it on.

use std::fmt;

/// Where the trace travels.
pub const HEADER: &str = "traceparent";

/// Bytes of a header of the version that is known; later ones may go on after them.
const LENGTH: usize = 55;

/// A trace, and whether whoever began it keeps it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    /// 32 hexadecimal digits.
    id: [u8; 32],
    flags: u8,
}

impl Trace {
    /// Reads a header; `None` for what is none, which counts as if it were not there.
    pub fn parse(header: &[u8]) -> Option<Self> {
        let known = header.get(..LENGTH)?;
        let is_dash = |at: usize| known.get(at) == Some(&b'-');
        if !(is_dash(2) && is_dash(35) && is_dash(52)) {
            return None;
        }
        let hex = |from: usize, to: usize| {
            let digits = known.get(from..to)?;
            let is_hex = |digit: &u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
            digits.iter().all(is_hex).then_some(digits)
        };
        let (version, id, parent, flags) = (hex(0, 2)?, hex(3, 35)?, hex(36, 52)?, hex(53, 55)?);
        let is_nothing = |digits: &[u8]| digits.iter().all(|digit| *digit == b'0');
        let rest = header.get(LENGTH..).unwrap_or_default();
        let is_whole = match version {
            b"ff" => false,
            b"00" => rest.is_empty(),
            // A later version begins like this one.
            _ => rest.first().is_none_or(|byte| *byte == b'-'),
        };
        if !is_whole || is_nothing(id) || is_nothing(parent) {
            return None;
        }
        let flags = u8::from_str_radix(std::str::from_utf8(flags).ok()?, 16).ok()?;
        Some(Self {
            id: id.try_into().ok()?,
            flags: flags & KNOWN_FLAGS,
        })
    }

    /// The id of the trace.
    pub fn id(&self) -> &str {
        // Hexadecimal digits are text.
        std::str::from_utf8(&self.id).unwrap_or_default()
    }

    /// The header for what this service asks of another: of the same trace, with a parent of
    /// its own (§3.4).
    pub fn header(&self) -> String {
        // Any but zero, which is no parent. What is random about it is no secret.
        let parent = getrandom::u64().unwrap_or(1).max(1);
        format!("00-{}-{parent:016x}-{:02x}", self.id(), self.flags)
    }
}

/// That the trace is kept, and that its id is random (level 2 of the standard); all others
/// are to be passed on as zero.
const KNOWN_FLAGS: u8 = 0b11;

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:02x}", self.id(), self.flags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn a_header_of_the_standard_is_read() {
        for (header, flags) in [
            (format!("00-{ID}-00f067aa0ba902b7-01"), 1),
            (format!("00-{ID}-00f067aa0ba902b7-00"), 0),
            (format!("00-{ID}-00f067aa0ba902b7-ff"), 3),
            (format!("cc-{ID}-00f067aa0ba902b7-01"), 1),
            (
                format!("cc-{ID}-00f067aa0ba902b7-01-what the future brings"),
                1,
            ),
        ] {
            let trace = Trace::parse(header.as_bytes()).unwrap();
            assert_eq!((trace.id(), trace.flags), (ID, flags), "{header}");
        }
    }

    #[test]
    fn what_is_none_is_not_there() {
        let good = format!("00-{ID}-00f067aa0ba902b7-01");
        for header in [
            String::new(),
            good[..54].to_owned(),
            format!("{good}-"),
            format!("{good}0"),
            good.to_uppercase(),
            good.replace("00f067aa0ba902b7", "0000000000000000"),
            good.replace(ID, &"0".repeat(32)),
            good.replacen("00", "ff", 1),
            good.replacen("00", "0x", 1),
            good.replacen('-', "_", 1),
            format!("cc{}0", &good[2..]),
            "é".repeat(30),
        ] {
            assert_eq!(Trace::parse(header.as_bytes()), None, "{header}");
        }
    }

    #[test]
    fn it_is_passed_on_with_another_parent() {
        let trace = Trace::parse(format!("00-{ID}-00f067aa0ba902b7-01").as_bytes()).unwrap();
        let (one, other) = (trace.header(), trace.header());
        assert_ne!(one, other);
        for header in [one, other] {
            assert!(!header.contains("00f067aa0ba902b7"));
            assert_eq!(Trace::parse(header.as_bytes()), Some(trace));
        }
    }
}
