//! The query parser: words, phrases and prefixes that somebody searches for.

use std::collections::BTreeSet;

use super::words::{End, TOKEN_MAX, Words};

/// Pieces of a query that count; more are not looked for.
pub const PIECES_MAX: usize = 32;
/// Tokens of a phrase that count; what follows them may be anything.
pub const PHRASE_MAX: usize = 64;

/// A query: pieces between white space and `"phrases in quotes"`, all of which a text
/// must have. A `*` at a piece's end, before or after the quote, lets its last word go
/// on. All else that is no letter or digit only separates words; there are no operators.
///
/// A piece of several tokens is a phrase of them. The first [`PIECES_MAX`] different
/// pieces count, and of each the first [`PHRASE_MAX`] tokens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Query {
    /// Sorted, so that the order in which they were typed does not matter.
    pieces: Vec<Piece>,
}

/// A word or a phrase.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Piece {
    /// At least one token, one space between them.
    tokens: String,
    /// Whether the last token may go on.
    prefix: bool,
}

impl Query {
    /// Takes any text; a quote that is not closed goes on to the end.
    pub fn parse(text: &str) -> Self {
        let mut pieces = Vec::new();
        let mut add = |text: &str, starred: bool| {
            if let Some(piece) = Piece::parse(text, starred)
                && !pieces.contains(&piece)
            {
                pieces.push(piece);
            }
            pieces.len() < PIECES_MAX
        };
        // Every other part is in quotes.
        let mut parts = text.split('"');
        let mut part = parts.next();
        let mut quoted = false;
        let mut more = true;
        while let Some(text) = part
            && more
        {
            part = parts.next();
            more = if quoted {
                add(text, part.is_some_and(|next| next.starts_with('*')))
            } else {
                text.split_whitespace().all(|word| add(word, false))
            };
            quoted = !quoted;
        }
        pieces.sort_unstable();
        Self { pieces }
    }

    /// Whether there is nothing to look for. The forms for the databases are empty then,
    /// and must not be asked.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// For `MATCH ... AGAINST (... IN BOOLEAN MODE)` of `InnoDB`: every token, once, wherever
    /// it stands. Which of them stand side by side is for [`Query::phrases`] to say.
    pub fn to_mysql(&self) -> String {
        let mut words = BTreeSet::new();
        let mut beginnings = BTreeSet::new();
        for piece in &self.pieces {
            let (before, last) = piece.tokens.rsplit_once(' ').unwrap_or(("", &piece.tokens));
            words.extend(before.split_terminator(' '));
            if piece.prefix {
                beginnings.insert(last);
            } else {
                words.insert(last);
            }
        }
        // A word that is there has its beginnings with it.
        beginnings.retain(|beginning| {
            let next = words.range(*beginning..).next();
            !next.is_some_and(|word| word.starts_with(beginning))
        });
        let words = words.iter().map(|word| format!("+{word}"));
        let beginnings = beginnings.iter().map(|beginning| format!("+{beginning}*"));
        words.chain(beginnings).collect::<Vec<_>>().join(" ")
    }

    /// The phrases of several tokens: the tokens, one space between them, and whether the
    /// last may go on.
    pub fn phrases(&self) -> impl Iterator<Item = (&str, bool)> {
        let phrases = self
            .pieces
            .iter()
            .filter(|piece| piece.tokens.contains(' '));
        phrases.map(|piece| (piece.tokens.as_str(), piece.prefix))
    }

    /// For `MATCH` of FTS5.
    pub fn to_fts5(&self) -> String {
        let mut out = String::new();
        for piece in &self.pieces {
            if !out.is_empty() {
                out.push_str(" AND ");
            }
            piece.write_fts5(&mut out);
        }
        out
    }

    /// Equal for queries that differ only in how they are written: case, order,
    /// punctuation, repetition.
    pub fn canonical(&self) -> String {
        self.to_fts5()
    }
}

impl Piece {
    /// `None` if there is no token in it. `starred`: a `*` follows it.
    fn parse(text: &str, starred: bool) -> Option<Self> {
        // Room for one more than count, which tells whether there are more.
        let mut words = Words::new((PHRASE_MAX + 1) * (TOKEN_MAX + 1));
        words.read(text);
        let end = words.end?;
        let mut tokens = words.text;
        let mut prefix = match end {
            End::Word => starred || ends_with_star(text),
            // It is written before a pair or before a gap; both begin with it.
            End::Single => true,
            End::Pairs => false,
        };
        if end == End::Pairs && !words.full {
            // Here the text goes on, for all the query knows, and the last pair has its character.
            if let Some(space) = tokens.rfind(' ') {
                tokens.truncate(space);
            }
        }
        let cut = tokens.match_indices(' ').nth(PHRASE_MAX - 1);
        if let Some((space, _)) = cut {
            tokens.truncate(space);
            prefix = false;
        }
        Some(Self { tokens, prefix })
    }

    fn write_fts5(&self, out: &mut String) {
        out.push('"');
        out.push_str(&self.tokens);
        out.push('"');
        if self.prefix {
            out.push_str(" *");
        }
    }
}

/// Whether a `*` is among the punctuation at the end.
fn ends_with_star(text: &str) -> bool {
    text.bytes()
        .rev()
        .take_while(u8::is_ascii_punctuation)
        .any(|b| b == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_have_their_forms() {
        for (text, fts5, mysql) in [
            ("Word", "\"aaword\"", "+aaword"),
            ("wor*", "\"aawor\" *", "+aawor*"),
            ("\"a b c\"", "\"aaa aab aac\"", "+aaa +aab +aac"),
            ("\"a b c*\"", "\"aaa aab aac\" *", "+aaa +aab +aac*"),
            ("\"a b c\"*", "\"aaa aab aac\" *", "+aaa +aab +aac*"),
            ("\"a b\"*", "\"aaa aab\" *", "+aaa +aab*"),
            ("\"a b a a\"", "\"aaa aab aaa aaa\"", "+aaa +aab"),
            (
                "bar \"b a ba*\"",
                "\"aab aaa aaba\" * AND \"aabar\"",
                "+aaa +aab +aabar",
            ),
            ("b a", "\"aaa\" AND \"aab\"", "+aaa +aab"),
            ("中", "\"qxegd\" *", "+qxegd*"),
        ] {
            let query = Query::parse(text);
            assert!(!query.is_empty(), "{text}");
            assert_eq!(query.to_fts5(), fts5, "{text}");
            assert_eq!(query.to_mysql(), mysql, "{text}");
        }
    }

    #[test]
    fn queries_that_mean_the_same_are_equal() {
        for (one, other) in [
            ("foo bar", "BAR,  foo! FOO"),
            ("don't", "\"don t\""),
            ("foo-bar", "\"foo bar\""),
            ("\"foo\"", "foo"),
            ("\"foo bar", "\"foo bar\""),
            ("foo\"bar baz\"qux", "foo \"bar baz\" qux"),
            ("\"foo\"*bar", "foo* bar"),
            ("(foo*)", "foo*"),
            ("*foo", "foo"),
            ("foo * bar", "foo bar"),
            ("fo*o", "\"fo o\""),
            ("-foo +bar ~baz", "foo bar baz"),
            ("foo:bar ^baz", "\"foo bar\" baz"),
            ("foo and not or near", "foo AND NOT OR NEAR"),
            ("foo\0", "foo"),
            ("foo\u{3000}bar", "foo bar"),
            ("ＷＯＲ*", "wor*"),
            ("cafe\u{301}", "café"),
            ("中*", "中"),
            ("中文*", "中文"),
            ("\"中文\"*", "\"中文\""),
            ("iPhone手机", "\"iphone 手机\""),
        ] {
            let (one_form, other_form) = (Query::parse(one), Query::parse(other));
            assert_eq!(one_form, other_form, "{one}");
            assert_eq!(one_form.canonical(), other_form.canonical(), "{one}");
        }
        for (one, other) in [
            ("foo", "foo*"),
            ("foo bar", "\"foo bar\""),
            ("\"foo bar\"", "\"bar foo\""),
            ("foo", "foo and"),
            ("cafe", "café"),
            ("中文字", "中文 文字"),
        ] {
            assert_ne!(
                Query::parse(one).canonical(),
                Query::parse(other).canonical(),
                "{one}"
            );
        }
    }

    #[test]
    fn without_words_a_query_is_empty() {
        let operators = "+-~*()<>@\"^:{}.,; \0\u{301}".repeat(500);
        for text in [
            "",
            " ",
            "*",
            "\"",
            "\"\"*",
            "😀 ❤\u{fe0f}",
            "\0",
            &operators,
        ] {
            let query = Query::parse(text);
            assert!(query.is_empty(), "{text}");
            assert_eq!(query.to_fts5(), "");
            assert_eq!(query.to_mysql(), "");
        }
    }

    #[test]
    fn so_many_pieces_count() {
        let numbers: Vec<String> = (0..100).map(|n| format!("{n} {n}")).collect();
        let query = Query::parse(&numbers.join(" "));
        assert_eq!(query.pieces.len(), PIECES_MAX);
        assert_eq!(query, Query::parse(&numbers[..PIECES_MAX].join(" ")));
        assert_ne!(query, Query::parse(&numbers[..PIECES_MAX - 1].join(" ")));
    }

    #[test]
    fn so_many_tokens_of_a_phrase_count() {
        let phrase = |count: usize, word: &str| Query::parse(&format!("\"{}", word.repeat(count)));
        for word in ["a ", "中 ", "𞤢𞤢𞤢𞤢𞤢𞤢𞤢𞤢𞤢𞤢𞤢𞤢𞤢𞤢𞤢𞤢𞤢𞤢𞤢𞤢𞤢𞤢𞤢 "]
        {
            let long = phrase(PHRASE_MAX + 1, word);
            let tokens = long.pieces[0].tokens.split(' ').count();
            assert_eq!(tokens, PHRASE_MAX, "{word}");
            assert_eq!(phrase(10_000, word), long, "{word}");
            assert_ne!(phrase(PHRASE_MAX - 1, word), long, "{word}");
        }
        // The pairs of so many characters and one.
        let pairs = |count: usize| phrase(count, "中").pieces[0].tokens.split(' ').count();
        assert_eq!(pairs(PHRASE_MAX), PHRASE_MAX - 1);
        assert_eq!(pairs(PHRASE_MAX + 1), PHRASE_MAX);
        assert_eq!(pairs(PHRASE_MAX + 2), PHRASE_MAX);
        // What does not count does not make the last word go on.
        assert_eq!(
            Query::parse(&("a-".repeat(PHRASE_MAX + 1) + "*")),
            phrase(PHRASE_MAX + 1, "a ")
        );
    }
}
