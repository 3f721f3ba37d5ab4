//! JSON as bytes.

use std::cell::Cell;

use serde::Serialize;

/// Bytes of the buffer that a thread keeps at most.
const KEPT: usize = 256 * 1024;

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The same as `serde_json::to_vec`, in a vector of just that capacity: what is kept for long, or sent as it is, is neither
/// moved while it grows nor cut afterwards.
pub fn to_vec<T: Serialize + ?Sized>(value: &T) -> serde_json::Result<Vec<u8>> {
    BUFFER.with(|cell| {
        // A value whose serialization serializes another finds an empty one here.
        let mut buffer = cell.take();
        let done = serde_json::to_writer(&mut buffer, value).map(|()| buffer.as_slice().to_vec());
        // Emptied first: it does not shrink below what is in it.
        buffer.clear();
        buffer.shrink_to(KEPT);
        cell.set(buffer);
        done
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_as_serde_json_has_it_without_spare_room() {
        for size in [0, 3, 100, KEPT, 2 * KEPT, 10] {
            let value = ("é\"\n".repeat(size), size, Some(1.5));
            let vec = to_vec(&value).unwrap();
            assert_eq!(vec, serde_json::to_vec(&value).unwrap());
            assert_eq!(vec.capacity(), vec.len());
            let kept = BUFFER.with(|cell| {
                let buffer = cell.take();
                let capacity = buffer.capacity();
                cell.set(buffer);
                capacity
            });
            assert!(kept <= KEPT, "{kept}");
        }
    }

    #[test]
    fn what_cannot_be_serialized_is_told_and_leaves_nothing_behind() {
        let keys = std::collections::BTreeMap::from([((1, 2), 3)]);
        assert!(to_vec(&keys).is_err());
        assert_eq!(to_vec(&[1, 2]).unwrap(), b"[1,2]");
    }
}
