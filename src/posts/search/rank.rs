//! How well a post fits a query: the same number on both databases, made of what is kept of the
//! post and not of its content.

use super::query::Query;
use super::weights::weight_of;
use super::words::Words;

/// What is kept of a post that was found.
pub struct Candidate<'a> {
    pub title: &'a str,
    pub tags: &'a [&'a str],
    pub author: &'a str,
    /// Those of its content.
    pub weights: &'a [u8],
}

/// More than all else together: the title has all words.
const IN_TITLE: u32 = 4_000_000;
/// For a title that is nothing but the words.
const WHOLE_TITLE: u32 = 1_000_000;
/// For a title that begins with one of the words.
const BEGINS_TITLE: u32 = 200_000;
/// For words in a title that has not all.
const PART_OF_TITLE: u32 = 500_000;
/// For words that are tags.
const IN_TAGS: u32 = 300_000;
/// For words of the author's name.
const IN_NAME: u32 = 100_000;
/// For each of the 255 that a word may weigh in the content.
const IN_CONTENT: u32 = 4_000;

/// How well a post fits that has the words of a query: above 0, below 10,000,000. Posts with all of
/// them in their title are above all others.
pub fn score(query: &Query, candidate: &Candidate<'_>) -> i64 {
    let pieces: Vec<Vec<&str>> = (query.parts())
        .map(|(tokens, _)| tokens.split(' ').collect())
        .collect();
    let prefixes: Vec<bool> = query.parts().map(|(_, prefix)| prefix).collect();
    let count = u32::try_from(pieces.len().max(1)).unwrap_or(u32::MAX);
    let each = || pieces.iter().zip(&prefixes);
    let title = tokens_of(candidate.title);
    let title: Vec<&str> = title.split_terminator(' ').collect();
    let mut covered = vec![false; title.len()];
    let mut in_title = 0;
    for (piece, prefix) in each() {
        let mut is_there = false;
        for start in places(&title, piece, *prefix) {
            is_there = true;
            covered[start..start + piece.len()].fill(true);
        }
        in_title += u32::from(is_there);
    }
    let tags: Vec<String> = candidate.tags.iter().map(|tag| tokens_of(tag)).collect();
    let name = tokens_of(candidate.author);
    let has = |text: &str, piece: &[&str], prefix| {
        let tokens: Vec<&str> = text.split_terminator(' ').collect();
        places(&tokens, piece, prefix).next().is_some()
    };
    let (mut in_tags, mut in_name, mut in_content) = (0, 0, 0);
    for (piece, prefix) in each() {
        in_tags += u32::from(tags.iter().any(|tag| has(tag, piece, *prefix)));
        in_name += u32::from(has(&name, piece, *prefix));
        let weights = piece
            .iter()
            .map(|token| weight_of(candidate.weights, token));
        in_content += u32::from(weights.min().unwrap_or(0));
    }
    let mut score = 1 + IN_TAGS * in_tags / count + IN_NAME * in_name / count;
    score += IN_CONTENT * in_content / count;
    if in_title == count {
        let number = u32::try_from(covered.len()).unwrap_or(u32::MAX).max(1);
        let covering = covered.iter().map(|is| u32::from(*is)).sum::<u32>();
        score += IN_TITLE + WHOLE_TITLE / number * covering;
        score += BEGINS_TITLE * u32::from(covered.first() == Some(&true));
    } else {
        score += PART_OF_TITLE * in_title / count;
    }
    i64::from(score)
}

/// The tokens of a short text.
fn tokens_of(text: &str) -> String {
    let mut words = Words::new(usize::MAX);
    words.read(text);
    words.text
}

/// Where a piece begins among tokens.
pub(super) fn places<'a>(
    tokens: &'a [&'a str],
    piece: &'a [&'a str],
    prefix: bool,
) -> impl Iterator<Item = usize> + 'a {
    let is_here = move |some: &[&str]| match (some.split_last(), piece.split_last()) {
        (Some((last, before)), Some((wanted, wanted_before))) => {
            let fits = if prefix {
                last.starts_with(wanted)
            } else {
                last == wanted
            };
            fits && before == wanted_before
        }
        _ => false,
    };
    let windows = tokens.windows(piece.len().max(1)).enumerate();
    windows.filter_map(move |(at, some)| is_here(some).then_some(at))
}

#[cfg(test)]
mod tests {
    use super::super::weights::weights_of;
    use super::*;

    fn rank(query: &str, title: &str, tags: &[&str], content: &str) -> i64 {
        let weights = weights_of(&tokens_of(content));
        let candidate = Candidate {
            title,
            tags,
            author: "Ann Smith",
            weights: &weights,
        };
        score(&Query::parse(query).unwrap(), &candidate)
    }

    #[test]
    fn what_fits_better_has_the_higher_score() {
        let long = "word ".repeat(50);
        // Each of these fits better than the next.
        let order: [(&str, &[&str], &str); 8] = [
            ("Serde", &[], "serde serde"),
            ("Serde", &[], "x"),
            ("Serde JSON", &[], "x"),
            ("JSON serde", &[], "x"),
            ("All about serde and others", &[], "x"),
            ("x", &["serde"], "serde serde serde"),
            ("x", &[], "serde serde serde"),
            ("x", &[], &format!("{long} serde")),
        ];
        let scores = order.map(|(title, tags, content)| rank("serde", title, tags, content));
        for (at, pair) in scores.windows(2).enumerate() {
            assert!(pair[0] > pair[1], "{at} {pair:?}");
        }
        assert!(scores[7] > 0 && scores[0] < 10_000_000);
    }

    #[test]
    fn all_words_in_the_title_are_more_than_some() {
        let all = rank(
            "two words",
            "Some words, and two of them, and many others",
            &[],
            "x",
        );
        let some = rank("two words", "Two", &["words"], &"two words ".repeat(100));
        assert!(all > some);
        assert!(
            rank("\"two words\"", "Two words", &[], "x")
                > rank("\"two words\"", "Words two", &[], "two words")
        );
        assert!(rank("wor*", "Words", &[], "x") > rank("wor*", "x", &[], "words words"));
        let named = rank("ann x", "y", &[], "x");
        assert!(named > 0 && named < rank("ann x", "y", &[], "ann x"));
    }
}
