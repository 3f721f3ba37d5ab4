//! Passages that a text has twice need be found once. They are left out, so that no text
//! that repeats itself, such as a run of one character, costs more to search than what it
//! says.

use std::collections::HashSet;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;

use super::{BETWEEN, PHRASE_MAX};

/// Multiplies the hash of a passage for each token in it. Odd, otherwise any number.
const BASE: u64 = 0x9e37_79b9_7f4a_7c15;

/// The tokens, but for passages of [`PHRASE_MAX`] tokens and more that stood before. What
/// stands between two of them is cut out, with [`BETWEEN`] in its place. So the phrases of
/// up to [`PHRASE_MAX`] tokens are the same as before, and those with a [`BETWEEN`], which no
/// query has.
pub(super) fn without_repeats(words: String) -> String {
    let tokens: Vec<&str> = words.split(' ').collect();
    // Nothing could be left out.
    if tokens.len() <= 2 * PHRASE_MAX {
        return words;
    }
    let is_new: Vec<bool> = new_passages(&tokens).collect();
    if is_new.iter().all(|is_new| *is_new) {
        return words;
    }
    let mut kept = String::with_capacity(words.len());
    let mut keep = |tokens: &[&str]| {
        for token in tokens {
            if !kept.is_empty() {
                kept.push(' ');
            }
            kept.push_str(token);
        }
    };
    // Up to where tokens are kept, and up to where they are needed.
    let (mut done, mut needed) = (0, 0);
    for (end, is_new) in (1..).zip(is_new) {
        if !is_new {
            continue;
        }
        let start = usize::saturating_sub(end, PHRASE_MAX);
        if start > needed + 1 {
            keep(&tokens[done..needed]);
            keep(&[BETWEEN]);
            done = start;
        }
        needed = end;
    }
    keep(&tokens[done..needed]);
    kept
}

/// For each token whether the passage that ends with it is there for the first time. One
/// that is taken for another, because their hashes are equal, is not found in this text; of
/// a million in a text none is, as far as one can reckon.
fn new_passages(tokens: &[&str]) -> impl Iterator<Item = bool> {
    let leaving = (0..PHRASE_MAX).fold(1_u64, |power, _| power.wrapping_mul(BASE));
    let state = RandomState::default();
    let hashes: Vec<u64> = tokens.iter().map(|token| state.hash_one(token)).collect();
    let mut hash = 0_u64;
    let mut seen = HashSet::with_capacity_and_hasher(tokens.len(), state);
    (0..hashes.len()).map(move |at| {
        hash = (hash.wrapping_mul(BASE)).wrapping_add(hashes[at]);
        if let Some(gone) = at.checked_sub(PHRASE_MAX) {
            hash = hash.wrapping_sub(hashes[gone].wrapping_mul(leaving));
        }
        // What is shorter is at the beginning only.
        at + 1 < PHRASE_MAX || seen.insert(hash)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The passages of so many tokens that a query could ask for.
    fn passages(words: &str, size: usize) -> BTreeSet<Vec<&str>> {
        let tokens: Vec<&str> = words.split(' ').collect();
        let passages = tokens.windows(size).map(<[&str]>::to_vec);
        passages
            .filter(|passage| !passage.contains(&BETWEEN))
            .collect()
    }

    fn stay_the_same(words: &str) -> String {
        let kept = without_repeats(words.to_owned());
        for size in [1, 2, 3, PHRASE_MAX - 1, PHRASE_MAX] {
            assert_eq!(passages(words, size), passages(&kept, size), "{size}");
        }
        assert!(kept.len() <= words.len());
        kept
    }

    #[test]
    fn what_stood_before_is_left_out() {
        let tokens = |words: &str| words.split(' ').count();
        // A run, two that alternate, a sentence again and again, and what ends otherwise.
        for period in [1, 2, 3, 10, 63, 64, 65, 500] {
            let round: Vec<String> = (0..period).map(|n| format!("aa{n}")).collect();
            let round = round.join(" ") + " ";
            let words = round.repeat(10_000 / period) + "aaend";
            let kept = stay_the_same(&words);
            assert!(tokens(&kept) <= period + 2 * PHRASE_MAX + 1, "{period}");
        }
        // Nothing is gained where others stand between.
        let words: Vec<String> = (0..1000).map(|n| format!("aax aax aa{n}")).collect();
        assert_eq!(stay_the_same(&words.join(" ")), words.join(" "));
        for words in ["", "aaa", "aaa aaa"] {
            assert_eq!(without_repeats(words.to_owned()), words);
        }
    }

    #[test]
    fn every_phrase_stays_and_none_comes() {
        // Copies of parts of itself, of few words: numbers of a simple generator.
        for seed in 0..60_u64 {
            let mut state = seed;
            let mut next = |below: usize| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                usize::try_from(state >> 33).unwrap() % below
            };
            let mut tokens: Vec<String> = vec!["aa".to_owned()];
            while tokens.len() < 3000 {
                let from = next(tokens.len());
                let copied = tokens.len().min(from + 1 + next(300));
                let copy = tokens[from..copied].to_vec();
                tokens.extend(copy);
                tokens.push(format!("aa{}", next(3)));
            }
            stay_the_same(&tokens.join(" "));
        }
    }
}
