//! Snippets: the passage of a text that has the words of a query, and where they stand in it.

use serde::Serialize;
use utoipa::ToSchema;

use super::query::Query;
use super::rank::places;
use super::words::Words;

/// Characters of a passage, but for marks of omission.
const LENGTH: usize = 200;
/// Characters before the first word that is marked.
const BEFORE: usize = 40;
/// Places of words that are looked at, of one piece of the query.
const LOOKED_AT: usize = 200;

/// A passage of a post's text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Snippet {
    /// Plain text, of some 200 characters; `…` stands for what is left out.
    pub text: String,
    /// The words in it that were searched for, in their order.
    pub marks: Vec<Mark>,
}

/// Where a word stands in a snippet, in UTF-16 code units, as JavaScript counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Mark {
    /// The first of its code units, from 0.
    #[schema(minimum = 0)]
    pub start: u32,
    /// The one behind its last.
    #[schema(minimum = 1)]
    pub end: u32,
}

/// A place of a piece of the query, in bytes of the text.
#[derive(Clone, Copy)]
struct Match {
    from: usize,
    to: usize,
    piece: usize,
}

impl Snippet {
    /// The passage of a plain text with the most words of a query; without any, its beginning.
    pub fn of(query: &Query, text: &str) -> Self {
        let matches = matches(query, text);
        let best = best(&matches, text);
        let from = best.map_or(0, |at| start_before(text, matches[at].from));
        let least = best.map_or(0, |at| matches[at].to);
        let to = end_behind(text, from, least);
        let inside: Vec<Match> = (matches.into_iter())
            .filter(|found| found.from >= from && found.to <= to)
            .collect();
        cut_out(text, (from, to), &inside)
    }
}

/// Where the pieces of a query stand, in the order of the text.
fn matches(query: &Query, text: &str) -> Vec<Match> {
    let (tokens, stand) = Words::with_places(text);
    let tokens: Vec<&str> = tokens.split_terminator(' ').collect();
    let mut found = Vec::new();
    for (number, (piece, prefix)) in query.parts().enumerate() {
        let piece: Vec<&str> = piece.split(' ').collect();
        for at in places(&tokens, &piece, prefix).take(LOOKED_AT) {
            let first = stand.get(at);
            let last = stand.get(at + piece.len() - 1);
            if let (Some((from, _)), Some((_, to))) = (first, last) {
                let (from, to, piece) = (*from, *to, number);
                found.push(Match { from, to, piece });
            }
        }
    }
    found.sort_unstable_by_key(|found| (found.from, found.to));
    found
}

/// The match that the most pieces of the query follow within a passage; the first of several.
fn best(matches: &[Match], text: &str) -> Option<usize> {
    let mut best = None;
    for (at, first) in matches.iter().enumerate() {
        let end = (text[first.from..].char_indices())
            .nth(LENGTH - BEFORE)
            .map_or(text.len(), |(end, _)| first.from + end);
        let near = matches[at..].iter().take_while(|found| found.to <= end);
        let mut pieces: Vec<usize> = near.map(|found| found.piece).collect();
        pieces.sort_unstable();
        pieces.dedup();
        if best.is_none_or(|(most, _)| pieces.len() > most) {
            best = Some((pieces.len(), at));
        }
    }
    best.map(|(_, at)| at)
}

/// Where a passage begins that has this place in it: behind white space, where there is any near.
fn start_before(text: &str, place: usize) -> usize {
    let before = &text[..place];
    let near = before.char_indices().rev().take(BEFORE);
    let Some((least, _)) = near.clone().last() else {
        return 0;
    };
    if near.count() < BEFORE {
        return 0;
    }
    let gap = before[least..]
        .char_indices()
        .find(|(_, c)| c.is_whitespace());
    gap.map_or(least, |(at, c)| least + at + c.len_utf8())
}

/// Where a passage ends that goes at least so far: before white space, where there is any near.
fn end_behind(text: &str, from: usize, least: usize) -> usize {
    let rest = &text[from..];
    let Some((length, _)) = rest.char_indices().nth(LENGTH) else {
        return text.len();
    };
    let most = from + length;
    if most <= least {
        return least;
    }
    let gap = text[least.max(from)..most].rfind(char::is_whitespace);
    gap.map_or(most, |at| least.max(from) + at)
}

/// UTF-16 code units of a character.
fn width_of(c: char) -> u32 {
    if u32::from(c) > 0xffff { 2 } else { 1 }
}

/// The passage with its white space made one space, and where the matches stand in it.
fn cut_out(text: &str, (from, to): (usize, usize), matches: &[Match]) -> Snippet {
    let mut out = String::new();
    let mut marks: Vec<Mark> = Vec::new();
    let mut units = 0_u32;
    let mut push = |c: char| {
        out.push(c);
        units += width_of(c);
        units
    };
    if from > 0 {
        push('…');
    }
    let mut open = matches.iter().peekable();
    // Where the mark ends that is open.
    let mut until = 0;
    let mut is_gap = true;
    for (at, c) in text[from..to].char_indices() {
        let at = from + at;
        let width = width_of(c);
        if c.is_whitespace() {
            if !is_gap {
                push(' ');
            }
            is_gap = true;
            continue;
        }
        is_gap = false;
        let end = push(c);
        while let Some(found) = open.next_if(|found| found.from <= at) {
            if found.from >= until {
                let start = end - width;
                marks.push(Mark { start, end });
            }
            until = until.max(found.to);
        }
        if at < until
            && let Some(mark) = marks.last_mut()
        {
            mark.end = end;
        }
    }
    if to < text.len() && !text[to..].trim().is_empty() {
        push('…');
    }
    let text = out.trim_end().to_owned();
    Snippet { text, marks }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The snippet with its marks in brackets.
    fn marked(query: &str, text: &str) -> String {
        let snippet = Snippet::of(&Query::parse(query).unwrap(), text);
        let units: Vec<u16> = snippet.text.encode_utf16().collect();
        let mut out = String::new();
        let mut at = 0;
        for Mark { start, end } in snippet.marks {
            let [start, end] = [start, end].map(|place| usize::try_from(place).unwrap());
            assert!(at <= start && start < end && end <= units.len(), "{text}");
            out.push_str(&String::from_utf16(&units[at..start]).unwrap());
            out.push('[');
            out.push_str(&String::from_utf16(&units[start..end]).unwrap());
            out.push(']');
            at = end;
        }
        out + &String::from_utf16(&units[at..]).unwrap()
    }

    #[test]
    fn the_words_are_marked_as_they_are_written() {
        for (query, text, snippet) in [
            (
                "cafe",
                "Ein Café, das Cafés nicht",
                "Ein [Café], das Cafés nicht",
            ),
            ("strasse c++", "C++ in der Straße", "[C++] in der [Straße]"),
            (
                "\"two words\"",
                "two  words, two\n\nwords",
                "[two words], [two words]",
            ),
            ("wor*", "🦀 Words 🦀 world", "🦀 [Words] 🦀 [world]"),
            ("北京大学", "我们在北京大学学习", "我们在[北京大学]学习"),
            ("v1.2.3", "In 1.2.3 and v1.2.3.", "In [1.2.3] and [v1.2.3]."),
            (".net", "for .NET, net", "for [.NET], net"),
            ("nothing", "a  text\nof some ", "a text of some"),
            ("x", "", ""),
        ] {
            assert_eq!(marked(query, text), snippet, "{query}");
        }
    }

    #[test]
    fn a_passage_has_the_most_words_and_is_short() {
        let filling = "filling ".repeat(100);
        let text = format!("{filling} one {filling} before one and two behind {filling}");
        let snippet = marked("two one", &text);
        assert!(
            snippet.starts_with("…filling") && snippet.ends_with("filling…"),
            "{snippet}"
        );
        assert!(
            snippet.contains(" before [one] and [two] behind "),
            "{snippet}"
        );
        assert!(snippet.chars().count() < 220);
        let start = marked("none", &text);
        assert!(
            start.starts_with("filling") && start.ends_with('…'),
            "{start}"
        );
        // Without any space, and with a word longer than a passage.
        let long = "文".repeat(500) + "北京" + &"文".repeat(500);
        let snippet = marked("北京", &long);
        assert!(
            snippet.contains("文[北京]文") && snippet.chars().count() < 220,
            "{snippet}"
        );
        let word = "a".repeat(1000);
        assert_eq!(
            marked(&word, &format!("x {word} y")),
            format!("x [{word}]…")
        );
    }
}
