//! Weights: how much a content is about each of its words, so that what fits best stands first
//! without the content being read.

use std::cmp::Reverse;
use std::collections::HashMap;

use foldhash::fast::RandomState;

/// Words of a content whose weights are kept: those that it says most.
const KEPT: usize = 96;
/// Bytes of an entry: three of the word's hash, one of its weight.
const ENTRY: usize = 4;
/// Bytes that the weights of one post take at most.
pub const WEIGHTS_MAX: usize = KEPT * ENTRY;
/// Bytes of a content's tokens for each word that is another, about.
const BYTES_A_WORD: usize = 12;
/// Words of a content that count as its beginning.
const BEGINNING: usize = 48;

/// The weights of a content's tokens, one space between them: those of the heaviest, which weigh 1
/// to 255.
///
/// A word weighs the more the oftener it is there, with less and less for each time (as in BM25 with
/// k1 = 1.2, b = 0.75 and contents of 400 words), and more when the content begins with it.
pub(super) fn weights_of(tokens: &str) -> Vec<u8> {
    let mut words: HashMap<&str, (u64, usize), RandomState> =
        HashMap::with_capacity_and_hasher(tokens.len() / BYTES_A_WORD, RandomState::default());
    let mut length = 0_u64;
    for (place, token) in tokens.split_terminator(' ').enumerate() {
        words.entry(token).or_insert((0, place)).0 += 1;
        length += 1;
    }
    let once = 30_000 + 225 * length;
    let mut entries: Vec<(Reverse<u8>, [u8; 3])> = words
        .into_iter()
        .map(|(token, (times, place))| {
            let mut weight = 255 * times * 100_000 / (times * 100_000 + once);
            if place < BEGINNING {
                weight += (255 - weight) / 4;
            }
            let weight = u8::try_from(weight.clamp(1, 255)).unwrap_or(u8::MAX);
            (Reverse(weight), hash(token))
        })
        .collect();
    if entries.len() > KEPT {
        entries.select_nth_unstable(KEPT);
        entries.truncate(KEPT);
    }
    entries.sort_unstable();
    let mut weights = Vec::with_capacity(entries.len() * ENTRY);
    for (Reverse(weight), hash) in entries {
        weights.extend(hash);
        weights.push(weight);
    }
    weights
}

/// The weight of a token: of one that is not kept, less than that of any that is; 0 where all are
/// kept and it is none.
pub(super) fn weight_of(weights: &[u8], token: &str) -> u8 {
    let hash = hash(token);
    let mut entries = weights.chunks_exact(ENTRY);
    let found = entries.find_map(|entry| match entry {
        [a, b, c, weight] if [*a, *b, *c] == hash => Some(*weight),
        _ => None,
    });
    found.unwrap_or_else(|| {
        let is_full = weights.len() >= WEIGHTS_MAX;
        weights
            .last()
            .filter(|_| is_full)
            .map_or(0, |last| last / 2)
    })
}

/// Three bytes of a hash (FNV-1a) that is kept: it is the same in every program.
fn hash(token: &str) -> [u8; 3] {
    let hash = token.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    let [a, b, c, d] = hash.to_be_bytes();
    [a ^ d, b, c]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_often_weighs_more() {
        let weights = weights_of("aab aac aab aab aad");
        assert!(weight_of(&weights, "aab") > weight_of(&weights, "aac"));
        assert_eq!(weight_of(&weights, "aac"), weight_of(&weights, "aad"));
        assert_eq!(weight_of(&weights, "aae"), 0);
        // In a long content one word weighs less than in a short one.
        let long = weights_of(&format!("aab {}", "aac ".repeat(5000)));
        assert!(weight_of(&long, "aab") < weight_of(&weights, "aac"));
        assert!(weight_of(&long, "aab") > 0);
        assert_eq!(weights_of(""), [0; 0]);
    }

    #[test]
    fn what_a_content_begins_with_weighs_more() {
        let rest: Vec<String> = (0..200).map(|n| format!("aa{n}")).collect();
        let weights = weights_of(&rest.join(" "));
        assert!(weight_of(&weights, "aa1") > weight_of(&weights, "aa90"));
        assert_eq!(weights.len(), WEIGHTS_MAX);
        assert!(weight_of(&weights, "aa199") > 0 && weight_of(&weights, "aax") > 0);
    }

    #[test]
    fn the_hash_is_kept_in_databases() {
        assert_eq!(weights_of("aaserde aajson aaserde").len(), 2 * ENTRY);
        assert_eq!(hash("aaserde"), [0xb3, 0xf1, 0x2f]);
        assert_eq!(hash(""), [0x44, 0x1c, 0x9d]);
    }
}
