//! Packing: while memory is full, bodies are kept compressed, so that the same memory holds more of them. To
//! unpack one costs a small part of what making the answer does.

use std::cell::RefCell;
use std::io;

use zstd::bulk::{Compressor, Decompressor};

use crate::core::compression::COMPRESS_INLINE;

/// Of zstd: the fastest but for those that hardly compress.
const LEVEL: i32 = 1;
/// Smaller bodies are less than what is kept beside them.
const LEAST: usize = 256;

thread_local! {
    /// Made once for each thread: to make one costs more than to pack a post.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// A body in less memory; `None` where that is not worth it, or takes too long for a thread that serves.
pub(super) fn pack(body: &[u8]) -> Option<Vec<u8>> {
    if !(LEAST..COMPRESS_INLINE).contains(&body.len()) {
        return None;
    }
    let packed = COMPRESSOR
        .with_borrow_mut(|compressor| made(compressor, || Compressor::new(LEVEL))?.compress(body));
    match packed {
        Ok(packed) => (packed.len() < body.len() / 4 * 3).then_some(packed),
        Err(error) => {
            tracing::warn!(%error, "cannot pack an answer");
            None
        }
    }
}

/// What [`pack`] has packed, of so many bytes.
pub(super) fn unpack(packed: &[u8], length: usize) -> io::Result<Vec<u8>> {
    DECOMPRESSOR.with_borrow_mut(|decompressor| {
        made(decompressor, Decompressor::new)?.decompress(packed, length)
    })
}

fn made<T>(place: &mut Option<T>, make: impl FnOnce() -> io::Result<T>) -> io::Result<&mut T> {
    match place {
        Some(there) => Ok(there),
        None => Ok(place.insert(make()?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_smaller_and_the_same_again() {
        for length in [256, 1000, 20_000] {
            let body = b"much of the same, ".repeat(length / 18 + 1);
            let packed = pack(&body).unwrap();
            assert!(packed.len() < length / 2);
            assert_eq!(unpack(&packed, body.len()).unwrap(), body);
        }
    }

    #[test]
    fn what_is_small_or_large_or_noise_stays() {
        let mut seed = 1_u32;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            seed.to_be_bytes()[0]
        })
        .take(1000)
        .collect();
        assert!(pack(&noise).is_none());
        assert!(pack(&[b'x'; 100]).is_none());
        assert!(pack(&vec![b'x'; COMPRESS_INLINE]).is_none());
    }
}
