//! The query parser: words, phrases and prefixes that somebody searches for.

use std::collections::BTreeSet;

use super::letters::{Kind, read_back};
use super::scope::Scope;
use super::words::{ASCII_FIRST, End, TOKEN_MAX, Words, in_title};

/// Tokens of a query, so also of the longest phrase that can be asked for: each of them
/// costs the reading of where it stands, in every post that has all.
pub const PHRASE_MAX: usize = 64;

/// A query: pieces between white space and `"phrases in quotes"`, all of which a text
/// must have. A `*` at a piece's end, before or after the quote, lets its last word go
/// on. All else that is no letter or digit only separates words; there are no operators.
///
/// A piece of several tokens is a phrase of them. What is asked for twice is asked for
/// once, also when one of the two is part of the other.
///
/// The last word that is not in quotes may be one that is still being typed:
/// [`Query::with_beginning`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Query {
    /// Sorted, so that the order in which they were typed does not matter.
    pieces: Vec<Piece>,
    /// The one that may be the beginning of a word, if it is not one already.
    last: Option<Piece>,
}

/// A query of more than [`PHRASE_MAX`] tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

/// A word or a phrase.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Piece {
    /// At least one token, one space between them.
    tokens: String,
    /// Whether the last token may go on.
    prefix: bool,
}

impl Query {
    /// Takes any text that is not too long; a quote that is not closed goes on to the end.
    pub fn parse(text: &str) -> Result<Self, TooLong> {
        let mut pieces = BTreeSet::new();
        let mut last = None;
        let mut count = 0;
        let mut add = |text: &str, starred: Option<bool>| {
            if let Some(piece) = Piece::parse(text, starred.unwrap_or(false))? {
                let tokens = piece.count();
                if starred.is_none() {
                    last = Some(piece.clone());
                }
                if pieces.insert(piece) {
                    count += tokens;
                }
            }
            if count > PHRASE_MAX {
                return Err(TooLong);
            }
            Ok(())
        };
        // Every other part is in quotes.
        let mut parts = text.split('"').peekable();
        let mut quoted = false;
        while let Some(text) = parts.next() {
            if quoted {
                let starred = parts.peek().is_some_and(|next| next.starts_with('*'));
                add(text, Some(starred))?;
            } else {
                for word in text.split_whitespace() {
                    add(word, None)?;
                }
            }
            quoted = !quoted;
        }
        let pieces = without_implied(&pieces);
        let last = last.filter(|last| last.may_go_on() && pieces.contains(last));
        Ok(Self { pieces, last })
    }

    /// The same query where the last word that is not in quotes is the beginning of one, and that
    /// beginning; `None` where it is one already, or there is none.
    pub fn with_beginning(&self) -> Option<(Self, String)> {
        let last = self.last.as_ref()?;
        let beginning = Piece {
            prefix: true,
            ..last.clone()
        };
        let text = beginning.text();
        let others = self.pieces.iter().filter(|piece| *piece != last).cloned();
        let pieces = without_implied(&others.chain([beginning]).collect());
        let query = Self { pieces, last: None };
        Some((query, text))
    }

    /// The words as those of a title.
    pub fn in_title(&self) -> Self {
        let pieces = self.pieces.iter().map(|piece| Piece {
            tokens: in_title(&piece.tokens),
            prefix: piece.prefix,
        });
        Self {
            pieces: pieces.collect(),
            last: None,
        }
    }

    /// The words and phrases, as [`Query::pieces`] has those of what is published.
    pub(super) fn parts(&self) -> impl Iterator<Item = (&str, bool)> {
        self.pieces
            .iter()
            .map(|piece| (piece.tokens.as_str(), piece.prefix))
    }

    /// Whether there is nothing to look for. The forms for the databases are empty then,
    /// and must not be asked.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// For `MATCH ... AGAINST (... IN BOOLEAN MODE)` of `InnoDB`: every token, once, wherever
    /// it stands. Which of them stand side by side is for [`Query::pieces`] to say.
    pub fn to_mysql(&self, scope: Scope) -> String {
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
        let words = words.iter().map(|word| format!("+{}", scope.spell(word)));
        let beginnings = beginnings
            .iter()
            .map(|beginning| format!("+{}*", scope.spell(beginning)));
        words.chain(beginnings).collect::<Vec<_>>().join(" ")
    }

    /// The words and phrases: the tokens, one space between them, and whether the last may
    /// go on.
    pub fn pieces(&self, scope: Scope) -> impl Iterator<Item = (String, bool)> {
        self.pieces
            .iter()
            .map(move |piece| (scope.spell(&piece.tokens).into_owned(), piece.prefix))
    }

    /// For `MATCH` of FTS5.
    pub fn to_fts5(&self, scope: Scope) -> String {
        let mut out = String::new();
        for piece in &self.pieces {
            if !out.is_empty() {
                out.push_str(" AND ");
            }
            out.push('"');
            out.push_str(&scope.spell(&piece.tokens));
            out.push('"');
            if piece.prefix {
                out.push_str(" *");
            }
        }
        out
    }

    /// Equal for queries that differ only in how they are written: case, order but for the last
    /// word, punctuation, repetition.
    pub fn canonical(&self) -> String {
        let last = self.last.as_ref().map_or("", |last| &last.tokens);
        format!("{} < {last}", self.to_fts5(Scope::Published))
    }

    /// A text that asks for the same, made of the tokens and not of what was typed. `None`
    /// for the few that cannot be written so, such as of letters that stand side by side
    /// and would be another one together.
    pub fn spelling(&self) -> Option<String> {
        let last = self.last.as_ref();
        let others: Vec<&Piece> = (self.pieces.iter())
            .filter(|piece| Some(*piece) != last)
            .collect();
        let mut pieces: Vec<String> = others.iter().map(|piece| piece.spelling()).collect();
        if let Some(last) = last {
            pieces.push(last.text().replace(' ', "-"));
        } else {
            // In quotes a word is not taken for one that may be the beginning of another.
            for (text, piece) in pieces.iter_mut().zip(others).rev() {
                if text.starts_with('"') {
                    continue;
                }
                if !piece.may_go_on() {
                    break;
                }
                *text = format!("\"{text}\"");
            }
        }
        let text = if pieces.is_empty() {
            // Something that asks for nothing.
            "*".to_owned()
        } else {
            pieces.join(" ")
        };
        (Self::parse(&text).as_ref() == Ok(self)).then_some(text)
    }
}

impl Piece {
    /// `None` if there is no token in it. `starred`: a `*` follows it.
    fn parse(text: &str, starred: bool) -> Result<Option<Self>, TooLong> {
        // Room for some more than there may be.
        let mut words = Words::new((PHRASE_MAX + 2) * (TOKEN_MAX + 1));
        words.read(text);
        if words.full {
            return Err(TooLong);
        }
        let Some(end) = words.end else {
            return Ok(None);
        };
        let mut tokens = words.text;
        let prefix = match end {
            End::Word => starred || ends_with_star(text),
            // It is written before a pair or before a gap; both begin with it.
            End::Single => true,
            End::Pairs => false,
        };
        if end == End::Pairs {
            // Here the text goes on, for all the query knows, and the last pair has its character.
            if let Some(space) = tokens.rfind(' ') {
                tokens.truncate(space);
            }
        }
        Ok(Some(Self { tokens, prefix }))
    }

    /// Whether it is a word that another one may begin with.
    fn may_go_on(&self) -> bool {
        let last = self.tokens.rsplit(' ').next().unwrap_or_default();
        let first = read_back(last.strip_prefix(ASCII_FIRST).unwrap_or(last))
            .chars()
            .next();
        !self.prefix && first.is_some_and(|c| !matches!(Kind::of(c), Kind::Unspaced | Kind::Mark))
    }

    /// How many tokens it has.
    fn count(&self) -> usize {
        self.tokens.split(' ').count()
    }

    /// Whether every text that has this has the other as well.
    fn implies(&self, other: &Self) -> bool {
        let ours: Vec<&str> = self.tokens.split(' ').collect();
        let theirs: Vec<&str> = other.tokens.split(' ').collect();
        let mut places = ours.windows(theirs.len()).enumerate();
        places.any(|(at, some)| {
            let is_open = self.prefix && at + some.len() == ours.len();
            match (some.split_last(), theirs.split_last()) {
                (Some((last, before)), Some((their_last, theirs_before))) => {
                    let is_there = if other.prefix {
                        last.starts_with(their_last)
                    } else {
                        last == their_last && !is_open
                    };
                    is_there && before == theirs_before
                }
                _ => false,
            }
        })
    }

    /// A text that is read as this.
    fn spelling(&self) -> String {
        let mut text = self.text();
        if self.prefix {
            text.push('*');
        }
        if text.contains(' ') {
            text = format!("\"{text}\"");
        }
        text
    }

    /// Its words.
    fn text(&self) -> String {
        let mut text = String::new();
        // The last character of a run without spaces, while it may go on.
        let mut open = None;
        for token in self.tokens.split(' ') {
            let word = read_back(token.strip_prefix(ASCII_FIRST).unwrap_or(token));
            let mut chars = word.chars();
            let (first, second) = (chars.next(), chars.next());
            let is_unspaced =
                first.is_some_and(|c| matches!(Kind::of(c), Kind::Unspaced | Kind::Mark));
            let goes_on = is_unspaced && open.is_some() && open == first;
            match (goes_on, second) {
                (true, Some(second)) => text.push(second),
                // The run's last character, by itself at its end.
                (true, None) => {}
                (false, _) => {
                    if !text.is_empty() {
                        text.push(' ');
                    }
                    text.push_str(&word);
                }
            }
            open = second.filter(|_| is_unspaced);
        }
        text
    }
}

/// Without those that another one asks for as well.
fn without_implied(pieces: &BTreeSet<Piece>) -> Vec<Piece> {
    let is_needed =
        |piece: &&Piece| !(pieces.iter()).any(|other| *piece != other && other.implies(piece));
    pieces.iter().filter(is_needed).cloned().collect()
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

    fn parse(text: &str) -> Query {
        Query::parse(text).unwrap()
    }

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
            // What one piece asks for, another one need not.
            ("b \"a b\" a* \"b\"", "\"aaa aab\"", "+aaa +aab"),
            ("ab* abc ab", "\"aaab\" AND \"aaabc\"", "+aaab +aaabc"),
            (
                "\"x ab*\" ab* abc*",
                "\"aaabc\" * AND \"aax aaab\" *",
                "+aax +aaab* +aaabc*",
            ),
            ("中", "\"qxegd\" *", "+qxegd*"),
        ] {
            let query = parse(text);
            assert!(!query.is_empty(), "{text}");
            assert_eq!(query.to_fts5(Scope::Published), fts5, "{text}");
            assert_eq!(query.to_mysql(Scope::Published), mysql, "{text}");
        }
    }

    #[test]
    fn queries_that_mean_the_same_are_equal() {
        for (one, other) in [
            ("foo bar", "bar foo \"FOO\" BAR,"),
            ("foo baz bar", "BAZ,  foo! FOO bar"),
            ("don't", "don-t"),
            ("foo-bar x", "\"foo bar\" x"),
            ("\"foo\" bar", "foo bar"),
            ("\"foo bar", "\"foo bar\""),
            ("foo\"bar baz\"qux", "\"bar baz\" foo qux"),
            ("\"foo\"*bar", "foo* bar"),
            ("(foo*)", "foo*"),
            ("*foo", "foo"),
            ("foo * bar", "foo bar"),
            ("fo*o x", "\"fo o\" x"),
            ("-foo +bar ~baz", "foo bar baz"),
            ("foo:bar ^baz", "\"foo bar\" baz"),
            ("foo and not or near", "foo AND NOT OR NEAR"),
            ("foo\0", "foo"),
            ("foo\u{3000}bar", "foo bar"),
            ("ＷＯＲ*", "wor*"),
            ("cafe\u{301}", "cafe"),
            ("STRASSE İstanbul", "straße istanbul"),
            ("ёжик", "ежик"),
            ("v1.2.3", "1.2.3"),
            ("中*", "中"),
            ("中文*", "中文"),
            ("\"中文\"*", "\"中文\""),
            ("iPhone手机", "\"iphone 手机\""),
        ] {
            let (one_form, other_form) = (parse(one), parse(other));
            assert_eq!(one_form, other_form, "{one}");
            assert_eq!(one_form.canonical(), other_form.canonical(), "{one}");
        }
        for (one, other) in [
            ("foo", "foo*"),
            ("foo bar", "\"foo bar\""),
            ("foo", "\"foo\""),
            ("foo bar", "bar foo"),
            ("\"foo bar\"", "\"bar foo\""),
            ("foo", "foo and"),
            ("c", "c++"),
            ("c#", "c++"),
            (".net", "net"),
            ("3.14", "3 14"),
            ("中文字", "中文 文字"),
        ] {
            assert_ne!(parse(one).canonical(), parse(other).canonical(), "{one}");
        }
    }

    #[test]
    fn the_last_word_may_be_the_beginning_of_one() {
        for (text, same, beginning) in [
            ("gam", "gam*", "gam"),
            ("alpha gam", "alpha gam*", "gam"),
            ("Gam \"alpha beta\"", "\"alpha beta\" gam*", "gam"),
            ("don't", "\"don t*\"", "don t"),
            ("c", "c*", "c"),
            ("x v1.2", "x 1.2*", "1.2"),
            // What it begins is asked for anyway.
            ("gamma gam", "gamma", "gam"),
        ] {
            let (query, found) = parse(text).with_beginning().unwrap();
            assert_eq!(query.pieces, parse(same).pieces, "{text}");
            assert_eq!(found, beginning, "{text}");
            assert_eq!(query.with_beginning(), None);
        }
        for text in [
            "",
            "gam*",
            "\"gam\"",
            "alpha gam*",
            "中文",
            "iPhone手",
            "\"a b\" b",
        ] {
            assert_eq!(parse(text).with_beginning(), None, "{text}");
        }
    }

    #[test]
    fn words_of_a_title_are_others() {
        let query = parse("b* \"a 中文\"").in_title();
        assert_eq!(
            query.to_fts5(Scope::Published),
            "\"taaa tqxegdqxj2f\" AND \"taab\" *"
        );
        let scope = Scope::DraftsOf(7);
        assert!(query.to_mysql(scope).starts_with("+d7taaa +d7tq"));
        assert!(parse("").in_title().is_empty());
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
            let query = parse(text);
            assert!(query.is_empty(), "{text}");
            assert_eq!(query.to_fts5(Scope::Published), "");
            assert_eq!(query.to_mysql(Scope::Published), "");
        }
    }

    #[test]
    fn drafts_are_asked_for_by_words_of_their_own() {
        let query = parse("c* \"a b\"");
        let scope = Scope::DraftsOf(7);
        assert_eq!(query.to_fts5(scope), "\"d7aaa d7aab\" AND \"d7aac\" *");
        assert_eq!(query.to_mysql(scope), "+d7aaa +d7aab +d7aac*");
        let pieces: Vec<_> = query.pieces(scope).collect();
        let expected = [("d7aaa d7aab", false), ("d7aac", true)];
        assert_eq!(
            pieces,
            expected.map(|(piece, prefix)| (piece.to_owned(), prefix))
        );
    }

    #[test]
    fn a_query_has_so_many_tokens_and_no_more() {
        let words = |count: usize| {
            let words: Vec<String> = (0..count).map(|n| format!("w{n} ")).collect();
            words.concat()
        };
        let pairs = |count: usize| words(count).replace('w', "w-");
        for (most, more) in [
            (words(PHRASE_MAX), words(PHRASE_MAX + 1)),
            (pairs(PHRASE_MAX / 2), pairs(PHRASE_MAX / 2 + 1)),
            // The pairs of so many characters and one.
            ("中".repeat(PHRASE_MAX + 1), "中".repeat(PHRASE_MAX + 2)),
            ("a-".repeat(PHRASE_MAX), "a-".repeat(PHRASE_MAX + 1)),
            (
                format!("\"{}", "𞤢".repeat(99) + &" 𞤢".repeat(PHRASE_MAX - 1)),
                format!("\"{}", "𞤢".repeat(99) + &" 𞤢".repeat(PHRASE_MAX)),
            ),
        ] {
            assert!(Query::parse(&most).is_ok(), "{most}");
            assert_eq!(Query::parse(&more), Err(TooLong), "{more}");
        }
        // What is asked for again is not counted again.
        assert!(Query::parse(&words(PHRASE_MAX).repeat(100)).is_ok());
        assert_eq!(Query::parse(&"中".repeat(100_000)), Err(TooLong));
        assert_eq!(parse(&"中 ".repeat(100_000)), parse("中"));
    }

    /// How often the database reads where a token stands, in the worst of queries.
    #[test]
    fn the_forms_of_a_query_are_as_short_as_it() {
        // As many phrases as possible of as few words as possible.
        let mut phrases = Vec::new();
        let mut count = 0;
        for size in 1..=8 {
            for number in 0..1 << size {
                if count + size > PHRASE_MAX {
                    break;
                }
                count += size;
                let words: Vec<&str> = (0..size)
                    .map(|bit| if number >> bit & 1 == 0 { "a" } else { "b" })
                    .collect();
                phrases.push(format!("\"{}\"", words.join(" ")));
            }
        }
        let query = parse(&phrases.join(" "));
        let tokens: usize = query.pieces.iter().map(Piece::count).sum();
        assert!(tokens <= PHRASE_MAX);
        assert_eq!(query.to_mysql(Scope::Published), "+aaa +aab");
        assert_eq!(parse("中 中中 中中中 中中中中").pieces.len(), 1);
    }

    #[test]
    fn a_query_can_be_written_again() {
        for (text, spelling) in [
            ("  Foo,  BAR!!!", Some("foo bar")),
            ("foo alpha*", Some("alpha* \"foo\"")),
            ("foo \"wor x\" wor*", Some("\"foo\" \"wor x\"")),
            ("foo \"a\"", Some("a foo")),
            ("wor*", Some("wor*")),
            ("don't", Some("don-t")),
            ("\"don't\" x", Some("\"don t\" x")),
            ("\"a b c\"*", Some("\"a b c*\"")),
            ("Qq qw", Some("qq qw")),
            ("ÉCOLE Ёлка", Some("ecole елка")),
            ("C++ c# .NET v1.2.3", Some("c# c++ .net 1.2.3")),
            ("\"c++ .net 3.14*\"", Some("\"c++ .net 3.14*\"")),
            ("中文字", Some("中文字")),
            ("中", Some("中*")),
            ("\"中文 文字\"", Some("\"中文 文字\"")),
            ("\"中 文字 x 中文 y 字\"", Some("\"中 文字 x 中文 y 字*\"")),
            ("\"哈哈 哈哈哈 哈\"", Some("\"哈哈 哈哈哈 哈*\"")),
            ("iPhone手机", Some("\"iphone 手机\"")),
            ("中\u{301}国", Some("中国")),
            ("++ !!", Some("*")),
            ("हिन्दी", Some("हिन्दी")),
            // Letters that would be another one without what stands between.
            ("か\u{ad}\u{3099}", None),
        ] {
            let query = parse(text);
            let spelt = query.spelling();
            assert_eq!(spelt.as_deref(), spelling, "{text}");
            if let Some(spelt) = spelt {
                assert_eq!(parse(&spelt), query, "{text}");
            }
        }
        // Any of some hundred pieces together, by numbers of a simple generator.
        let parts: Vec<&str> = "a Q é ß c++ # .net 1. v2.3 中 文 中文 か\u{3099} ラ ｶﾞ 한 ไ ี ह \u{301} ½ ﬁ \u{ad} \u{200d} - ' * \" + 3 ７ 𠀋 İ ς . ₂"
            .split(' ')
            .chain([" ", "  "])
            .collect();
        let (mut state, mut written) = (1_u64, 0);
        for _ in 0..20_000 {
            let mut text = String::new();
            for _ in 0..12 {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                text.push_str(parts[usize::try_from(state >> 33).unwrap() % parts.len()]);
            }
            let query = parse(&text);
            if let Some(spelt) = query.spelling() {
                written += 1;
                assert_eq!(parse(&spelt), query, "{text}");
                assert_eq!(parse(&spelt).spelling(), Some(spelt), "{text}");
            }
        }
        assert!(written > 10_000, "{written}");
    }
}
