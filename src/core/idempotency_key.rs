//! The key of a request that may be repeated.

/// The key of a request that may be repeated (`Idempotency-Key`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(pub String);

/// Characters of an [`IdempotencyKey`].
pub const IDEMPOTENCY_KEY_MAX: usize = 255;

impl IdempotencyKey {
    /// 1 to 255 visible ASCII characters; `None` for anything else.
    pub fn parse(key: &[u8]) -> Option<Self> {
        let is_key =
            (1..=IDEMPOTENCY_KEY_MAX).contains(&key.len()) && key.iter().all(u8::is_ascii_graphic);
        is_key.then(|| Self(String::from_utf8_lossy(key).into_owned()))
    }
}
