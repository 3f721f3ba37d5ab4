//! The tokenizer: a text as its tokens, of posts and of queries alike.

use unicode_normalization::char::is_combining_mark;

use super::letters::{Kind, fold, fold_alone, spell};

/// Bytes of the tokens of one post, with the spaces between. The text beyond cannot be
/// found.
pub const INDEXED_MAX: usize = 8 * 1024 * 1024;
/// Of these, those of the author's name.
pub(super) const AUTHOR_MAX: usize = 8 * 1024;
/// Those of a title.
pub(super) const TITLE_MAX: usize = 8 * 1024;
/// And all but those of the name.
pub(super) const WORDS_MAX: usize = INDEXED_MAX - AUTHOR_MAX;
/// Stands before the tokens of the title where they are there once more: no other token begins so.
const TITLE_FIRST: char = 't';
/// Bytes of a token, `InnoDB`'s `innodb_ft_max_token_size`. Of longer words the first
/// characters count, as many as fit, in queries too.
pub(super) const TOKEN_MAX: usize = 84;
/// Stands before words that begin with an ASCII character, so that they have 3 bytes
/// and none is a stop word. All others begin with a `q`.
pub(super) const ASCII_FIRST: &str = "aa";
/// Letters of ASCII that surely have room in a token, each of which may take two bytes.
const LETTERS_MAX: usize = (TOKEN_MAX - ASCII_FIRST.len()) / 2;
/// A word with a dot before it; the only one of its kind.
const NET: &str = "aanet";

/// Reads texts and writes their tokens.
///
/// Letters, digits and their marks are words, and so are numbers with dots in them (`1.2.3`, with or
/// without a `v` before), a letter with `++` or `#` behind it (`c++`, `c#`), and `.net`. In
/// scripts without spaces every pair of neighbours is a token, and the last character of
/// a run is one as well, so that each character begins a token.
pub(super) struct Words {
    /// The tokens so far.
    pub(super) text: String,
    /// How the last run ended, if there was one.
    pub(super) end: Option<End>,
    /// Whether there was more than could be written.
    pub(super) full: bool,
    run: Run,
    max: usize,
    /// Where a dot stands before what comes next, with nothing that a word could be of before it.
    dot: Option<usize>,
    /// Where each token stands in the text, in bytes, where that is asked for.
    places: Option<Vec<Place>>,
    /// The character that is being read.
    here: Place,
}

/// The first byte of something in a text, and the one behind its last.
type Place = (usize, usize);

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Word,
    /// One character of a batch without spaces.
    Single,
    /// Pairs of characters; the token of the last character alone stands at the end.
    Pairs,
}

/// The run that is being read.
#[derive(Clone, Copy)]
enum Run {
    None,
    Word(Word),
    Unspaced {
        last: char,
        place: Place,
        /// Whether there was a character before the last.
        paired: bool,
    },
}

#[derive(Clone, Copy)]
struct Word {
    place: Place,
    /// Where its token begins.
    start: usize,
    /// Whether the token takes no more.
    cut: bool,
    form: Form,
    /// Where a dot stands before it.
    dot: Option<usize>,
    /// Signs that belong to it if what follows allows it.
    held: Held,
    /// Where these end.
    held_to: usize,
}

/// What a word is so far, as far as signs may belong to it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// One letter of ASCII.
    Letter(char),
    /// Digits, and dots between them.
    Digits,
    /// The same with a `v` before.
    Version,
    Other,
}

/// Signs behind a word.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Held {
    None,
    Dot,
    /// So many of them.
    Plus(usize),
}

impl Form {
    fn with(self, c: char) -> Self {
        match (self, c) {
            (Self::Digits | Self::Version, '0'..='9') => self,
            (Self::Letter('v'), '0'..='9') => Self::Version,
            _ => Self::Other,
        }
    }
}

impl Words {
    /// Writes at most `max` bytes.
    pub(super) fn new(max: usize) -> Self {
        Self {
            text: String::new(),
            end: None,
            full: false,
            run: Run::None,
            max,
            dot: None,
            places: None,
            here: (0, 0),
        }
    }

    /// The tokens of a text, one space between them, and where each of them stands in it.
    pub(super) fn with_places(text: &str) -> (String, Vec<Place>) {
        let mut words = Self {
            places: Some(Vec::new()),
            ..Self::new(usize::MAX)
        };
        words.read(text);
        (words.text, words.places.unwrap_or_default())
    }

    /// Reads a text, which ends where a run ends.
    pub(super) fn read(&mut self, text: &str) {
        // Signs of ASCII are not changed by what stands beside them, so the parts between can be
        // folded by themselves, and most need not be.
        let mut at = 0;
        while at < text.len() && !self.full {
            let (length, kind) = first_part(&text.as_bytes()[at..]);
            let part = &text[at..at + length];
            match kind {
                Part::Letters(letters) if self.may_write_letters(letters) => {
                    self.write_letters(&part[..letters]);
                }
                Part::Letters(_) | Part::Ascii => self.read_ascii(part, at),
                Part::Other if self.places.is_some() => self.read_clusters(part, at),
                Part::Other => self.read_folded(part),
            }
            at += length;
        }
        self.end_run();
        self.dot = None;
    }

    /// Reads a part of ASCII that begins at `at`.
    fn read_ascii(&mut self, part: &str, at: usize) {
        for (byte, at) in part.bytes().zip(at..) {
            self.here = (at, at + 1);
            let c = char::from(byte.to_ascii_lowercase());
            if c.is_ascii_alphanumeric() {
                self.letter(c);
            } else {
                self.sign(c);
            }
        }
    }

    /// Whether a word of so many letters of ASCII, with a sign behind it or nothing, is a token by itself, however it is
    /// read. One letter may belong together with its sign, and what stands before may change it.
    fn may_write_letters(&self, count: usize) -> bool {
        matches!(self.run, Run::None)
            && self.dot.is_none()
            && self.places.is_none()
            && (2..=LETTERS_MAX).contains(&count)
    }

    /// Writes such a word, at once.
    fn write_letters(&mut self, letters: &str) {
        let before = self.text.len();
        self.space();
        self.text.push_str(ASCII_FIRST);
        for byte in letters.bytes() {
            let byte = byte.to_ascii_lowercase();
            self.text.push(char::from(byte));
            if byte == b'q' {
                self.text.push('w');
            }
        }
        self.check_room(before);
        self.end = Some(End::Word);
    }

    /// Reads a part, folded. Characters that fold to one each are not sent through the tables of Unicode, but for the last one
    /// before others, which may be marks that belong to it.
    fn read_folded(&mut self, part: &str) {
        let mut rest = part;
        while !rest.is_empty() && !self.full {
            let other = (rest.char_indices()).find(|(_, c)| fold_alone(*c).is_none());
            let other = other.map_or(rest.len(), |(at, _)| at);
            let last = rest[..other].chars().next_back();
            let alone = match last {
                Some(last) if other < rest.len() => other - last.len_utf8(),
                _ => other,
            };
            let (alone, marked) = rest.split_at(alone);
            for c in alone.chars().filter_map(fold_alone) {
                self.take(c);
            }
            let behind = other - alone.len();
            let next = (marked[behind..].char_indices()).find(|(_, c)| fold_alone(*c).is_some());
            let (marked, next) = marked.split_at(next.map_or(marked.len(), |(at, _)| behind + at));
            for c in fold(marked) {
                self.take(c);
            }
            rest = next;
        }
    }

    /// Reads a part that begins at `at`, each character with its marks by itself, so that it is known
    /// where it stands.
    fn read_clusters(&mut self, part: &str, at: usize) {
        let goes_on = |c: char| is_combining_mark(c) || matches!(c, '\u{1160}'..='\u{11ff}');
        let mut start = 0;
        while start < part.len() {
            let rest = &part[start..];
            let end = (rest.char_indices().skip(1))
                .find(|(_, c)| !goes_on(*c))
                .map_or(part.len(), |(end, _)| start + end);
            self.here = (at + start, at + end);
            for c in fold(&part[start..end]) {
                self.take(c);
            }
            start = end;
        }
    }

    /// Keeps where a token stands that was just written.
    fn place(&mut self, place: Place) {
        if let Some(places) = &mut self.places {
            places.push(place);
        }
    }

    /// Writes a token, or nothing if there is no room for it.
    pub(super) fn token(&mut self, write: impl FnOnce(&mut String)) {
        let before = self.text.len();
        self.space();
        write(&mut self.text);
        self.check_room(before);
    }

    fn space(&mut self) {
        if !self.text.is_empty() {
            self.text.push(' ');
        }
    }

    /// Takes back what was written since `before` if it is too much.
    fn check_room(&mut self, before: usize) {
        if self.full || self.text.len() > self.max {
            self.text.truncate(before);
            self.full = true;
        }
    }

    fn take(&mut self, c: char) {
        match (Kind::of(c), self.run) {
            (Kind::Ignored, _) | (Kind::Mark, Run::None) => {}
            (Kind::Mark, Run::Word(word)) if word.held != Held::None => {}
            (Kind::Letter, _) | (Kind::Mark, Run::Word(_)) => self.letter(c),
            (Kind::Unspaced, _) | (Kind::Mark, Run::Unspaced { .. }) => self.unspaced(c),
            (Kind::Gap, _) => self.sign(c),
        }
    }

    /// What is no letter: it ends the run, or belongs to it for the time being.
    fn sign(&mut self, c: char) {
        let to = self.here.1;
        let belongs = match (&mut self.run, c) {
            (Run::Word(word), '.')
                if matches!(word.form, Form::Digits | Form::Version) && word.held == Held::None =>
            {
                word.held = Held::Dot;
                true
            }
            (Run::Word(word), '+') if matches!(word.form, Form::Letter(_)) => {
                word.held = match word.held {
                    Held::Plus(count) => Held::Plus(count + 1),
                    _ => Held::Plus(1),
                };
                word.held_to = to;
                true
            }
            (Run::Word(word), '#')
                if matches!(word.form, Form::Letter(_)) && word.held == Held::None =>
            {
                spell(c, &mut self.text);
                word.place.1 = to;
                false
            }
            _ => false,
        };
        if belongs {
            return;
        }
        let is_alone = matches!(self.run, Run::None);
        self.end_run();
        self.dot = (c == '.' && is_alone).then_some(self.here.0);
    }

    fn letter(&mut self, c: char) {
        if let Run::Word(word) = self.run
            && word.held != Held::None
        {
            if word.held == Held::Dot && c.is_ascii_digit() {
                self.go_on_behind_dot(word);
            } else {
                self.end_run();
            }
        }
        let mut word = match self.run {
            Run::Word(mut word) if word.cut => {
                word.place.1 = self.here.1;
                self.run = Run::Word(word);
                return;
            }
            Run::Word(word) => Word {
                form: word.form.with(c),
                ..word
            },
            Run::Unspaced { .. } | Run::None => self.begin_word(c),
        };
        self.write(c, &mut word);
        word.place.1 = self.here.1;
        self.run = Run::Word(word);
    }

    fn begin_word(&mut self, c: char) -> Word {
        self.end_run();
        self.space();
        let start = self.text.len();
        if c.is_ascii() {
            self.text.push_str(ASCII_FIRST);
        }
        let form = match c {
            'a'..='z' => Form::Letter(c),
            '0'..='9' => Form::Digits,
            _ => Form::Other,
        };
        Word {
            place: self.here,
            start,
            cut: false,
            form,
            dot: self.dot.take(),
            held: Held::None,
            held_to: 0,
        }
    }

    /// A number goes on behind a dot: with or without a `v` before it is the same.
    fn go_on_behind_dot(&mut self, mut word: Word) {
        if word.form == Form::Version && !word.cut {
            self.text.remove(word.start + ASCII_FIRST.len());
            word.form = Form::Digits;
        }
        word.held = Held::None;
        if !word.cut {
            self.write('.', &mut word);
        }
        self.run = Run::Word(word);
    }

    /// Writes a character of a word if its token has room.
    fn write(&mut self, c: char, word: &mut Word) {
        let before = self.text.len();
        spell(c, &mut self.text);
        word.cut = self.text.len() - word.start > TOKEN_MAX;
        if word.cut {
            self.text.truncate(before);
        }
    }

    fn unspaced(&mut self, c: char) {
        let before = match self.run {
            Run::Unspaced { last, place, .. } => Some((last, place)),
            Run::Word(_) | Run::None => {
                self.end_run();
                self.dot = None;
                None
            }
        };
        if let Some((before, place)) = before {
            self.token(|text| {
                spell(before, text);
                spell(c, text);
            });
            self.place((place.0, self.here.1));
        }
        self.run = Run::Unspaced {
            last: c,
            place: self.here,
            paired: before.is_some(),
        };
    }

    fn end_run(&mut self) {
        match std::mem::replace(&mut self.run, Run::None) {
            Run::None => {}
            Run::Word(mut word) => {
                if word.held == Held::Plus(2) {
                    spell('+', &mut self.text);
                    spell('+', &mut self.text);
                    word.place.1 = word.held_to;
                }
                if let Some(dot) = word.dot
                    && &self.text[word.start..] == NET
                {
                    word.place.0 = dot;
                    self.text.truncate(word.start + ASCII_FIRST.len());
                    spell('.', &mut self.text);
                    self.text.push_str(&NET[ASCII_FIRST.len()..]);
                }
                self.check_room(word.start.saturating_sub(1)); // with the space
                self.place(word.place);
                self.end = Some(End::Word);
            }
            Run::Unspaced {
                last,
                place,
                paired,
            } => {
                self.token(|text| spell(last, text));
                self.place(place);
                self.end = Some(if paired { End::Pairs } else { End::Single });
            }
        }
    }
}

/// What a part of a text is: up to the first sign of ASCII, that included.
enum Part {
    /// So many letters of ASCII, and perhaps a sign.
    Letters(usize),
    /// All of ASCII.
    Ascii,
    Other,
}

/// The first part of a text that is not empty, and its length.
fn first_part(text: &[u8]) -> (usize, Part) {
    let letters = (text.iter().take_while(|byte| byte.is_ascii_alphabetic())).count();
    match text.get(letters) {
        None => return (letters, Part::Letters(letters)),
        Some(byte) if byte.is_ascii() && !byte.is_ascii_digit() => {
            return (letters + 1, Part::Letters(letters));
        }
        Some(_) => {}
    }
    let mut is_ascii = true;
    for (place, byte) in text.iter().enumerate().skip(letters) {
        if !byte.is_ascii() {
            is_ascii = false;
        } else if !byte.is_ascii_alphanumeric() {
            return (place + 1, if is_ascii { Part::Ascii } else { Part::Other });
        }
    }
    let kind = if is_ascii { Part::Ascii } else { Part::Other };
    (text.len(), kind)
}

/// Tokens as those of a title.
pub(super) fn in_title(tokens: &str) -> String {
    let mut text = String::new();
    for token in tokens.split_terminator(' ') {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push(TITLE_FIRST);
        text.push_str(token.get(..TOKEN_MAX - 1).unwrap_or(token));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        let mut words = Words::new(usize::MAX);
        words.read(text);
        words.text
    }

    /// The token that stands for these very characters.
    fn token(text: &str) -> String {
        let mut token = String::new();
        if text.starts_with(|c: char| c.is_ascii()) {
            token.push_str(ASCII_FIRST);
        }
        text.chars().for_each(|c| spell(c, &mut token));
        token
    }

    /// One way writes whole words of letters, the other, which says where tokens stand, each letter by itself.
    #[test]
    fn both_ways_to_read_write_the_same() {
        let pieces = [
            "a", "C", "q", "Qq", "net", "NET", "v", "v1", "12", "word", "QUEUE", ".", "..", "+",
            "++", "#", " ", "  ", "-", "é", "中文", "Ж", "e\u{301}", "x86", "c++", ".net", "1.2",
            "v1.2.3", "\0", "\n",
        ];
        let mut state = 7_u64;
        for _ in 0..20_000 {
            let mut text = String::new();
            for _ in 0..12 {
                state = (state.wrapping_mul(6_364_136_223_846_793_005))
                    .wrapping_add(1_442_695_040_888_963_407);
                text.push_str(pieces[usize::try_from(state >> 33).unwrap() % pieces.len()]);
            }
            assert_eq!(read(&text), Words::with_places(&text).0, "{text:?}");
        }
        for count in [LETTERS_MAX - 1, LETTERS_MAX, LETTERS_MAX + 1, 100] {
            for letter in ["a", "q"] {
                let text = format!("x {} y", letter.repeat(count));
                assert_eq!(read(&text), Words::with_places(&text).0);
            }
        }
        // Where there is no room left.
        for max in 0..40 {
            let mut words = Words::new(max);
            words.read("one two, three q four");
            let all = read("one two, three q four");
            let fits = (0..=all.len()).rev().find(|end| {
                *end <= max && (*end == 0 || *end == all.len() || all[*end..].starts_with(' '))
            });
            assert_eq!(words.text, all[..fits.unwrap()], "{max}");
        }
    }

    #[test]
    fn every_language_has_its_tokens() {
        for (text, tokens) in [
            ("The Quick, brown fox.", "the quick brown fox"),
            ("don't foo-bar a\0b C++ 3.14", "don t foo bar a b c++ 3.14"),
            ("ＷＯＲ① ﬁn x² ™", "wor1 fin x2 tm"),
            ("Café CAFE\u{301} cafe", "cafe cafe cafe"),
            ("Straße STRAẞE Strasse", "strasse strasse strasse"),
            ("ΟΔΟΣ οδός", "οδοσ οδοσ"),
            ("Ёжик, Привет!", "ежик привет"),
            ("हिन्दी में क्षत्रिय", "हिन्दी में क्षत्रिय"),
            ("שָׁלוֹם، مَرْحَبًا مـــرحبا", "שלום مرحبا مرحبا"),
            ("می\u{200c}خواهم co\u{ad}op", "میخواهم coop"),
            ("ไทยดี", "ไท ทย ยด ดี ี"),
            ("中文字", "中文 文字 字"),
            ("，中。文、字", "中 文 字"),
            ("食べるラーメン", "食べ べる るラ ラー ーメ メン ン"),
            ("ﾗｰﾒﾝ か\u{3099}", "ラー ーメ メン ン が"),
            ("漢字かな", "漢字 字か かな な"),
            ("한국어를 배우다", "한국 국어 어를 를 배우 우다 다"),
            ("iPhone手机２０２４年", "iphone 手机 机 2024 年"),
            ("𠀋中𝐀", "𠀋中 中 a"),
            ("中\u{301}国 \u{301}国", "中国 国 国"),
            ("1\u{fe0f}\u{20e3} x\u{fe0e}y", "1 xy"),
            ("😀 ❤\u{fe0f} 👩\u{200d}👩\u{200d}👧 🇳🇱 👍🏽", ""),
            ("\u{301} \0 \u{7} \u{fffd} ++ -- \"", ""),
        ] {
            let tokens: Vec<String> = tokens.split_whitespace().map(token).collect();
            assert_eq!(read(text), tokens.join(" "), "{text}");
        }
    }

    #[test]
    fn tokens_are_ascii_and_no_stop_words() {
        for (text, words) in [
            ("a", "aaa"),
            ("w", "aaw"),
            ("the", "aathe"),
            ("Query", "aaqwuery"),
            ("é café ж", "aae aacafe qqe"),
            ("12", "aa12"),
        ] {
            assert_eq!(read(text), words, "{text}");
        }
        for text in ["中", "пр", "ß", "ก", "क्ष", "𞤀", "𠀋", "\u{1ffff}x"] {
            for token in read(text).split(' ') {
                assert!((3..=TOKEN_MAX).contains(&token.len()), "{token}");
                assert!(token.bytes().all(|b| b.is_ascii_alphanumeric()), "{token}");
            }
        }
    }

    #[test]
    fn what_begins_a_word_begins_its_token() {
        for word in "question café éclair Привет हिन्दी 𞤀𞤁q1 naïve2q 1.2.3 c++ c#".split(' ')
        {
            let full = read(word);
            let ends = word.char_indices().map(|(at, c)| at + c.len_utf8());
            for end in ends {
                assert!(full.starts_with(&read(&word[..end])), "{}", &word[..end]);
            }
        }
        assert!(!read("qw").starts_with(&read("qq")));
    }

    #[test]
    fn signs_are_part_of_some_words() {
        for (text, tokens) in [
            ("C++ (c++) c++, C++.", "c++ c++ c++ c++"),
            ("c++17 C++/C c+++ c+ +c++", "c++ 17 c++ c c c c++"),
            ("notepad++ abc++ a+b i++;", "notepad abc a b i++"),
            ("C# c#, F# c#7 html#top #c ##", "c# c# f# c# 7 html top c"),
            (".NET (.net) \".net\" .net.", ".net .net .net .net"),
            (
                "asp.net a .NET6 .gitignore ..net",
                "asp net a net6 gitignore .net",
            ),
            ("中.net", "中 net"),
            ("3.14 1.2.3. v1.2.3 V1.2", "3.14 1.2.3 1.2.3 1.2"),
            ("v1 v1. v1.x 1.x 1..2 .5 1.", "v1 v1 v1 x 1 x 1 2 5 1"),
            (
                "1.2.3-rc.1 1.0rc1 127.0.0.1:80",
                "1.2.3 rc 1 1.0rc1 127.0.0.1 80",
            ),
            ("Ｃ＋＋ １．５ c＃", "c++ 1.5 c#"),
            ("第3.5章 1.中 c++中", "第 3.5 章 1 中 c++ 中"),
            ("r2.d2 a1.2", "r2 d2 a1 2"),
        ] {
            let tokens: Vec<String> = tokens.split_whitespace().map(token).collect();
            assert_eq!(read(text), tokens.join(" "), "{text}");
        }
        assert_eq!(read("v1.2*"), read("1.2"));
    }

    #[test]
    fn tokens_are_known_by_where_they_stand() {
        for (text, places) in [
            ("The café, naïve", vec!["The", "café", "naïve"]),
            ("c++ C# (.net) v1.2.3.", vec!["c++", "C#", ".net", "v1.2.3"]),
            ("iPhone手机", vec!["iPhone", "手机", "机"]),
            (
                "か\u{3099}x e\u{301}t",
                vec!["か\u{3099}", "x", "e\u{301}t"],
            ),
            (
                "\u{1112}\u{1161}\u{11ab}국어",
                vec!["\u{1112}\u{1161}\u{11ab}국", "국어", "어"],
            ),
            ("don't Straße", vec!["don", "t", "Straße"]),
        ] {
            let (tokens, found) = Words::with_places(text);
            assert_eq!(tokens, read(text), "{text}");
            let found: Vec<&str> = found.iter().map(|(from, to)| &text[*from..*to]).collect();
            assert_eq!(found, places, "{text}");
        }
        let long = "é".repeat(200);
        assert_eq!(Words::with_places(&long).1, [(0, 400)]);
    }

    #[test]
    fn long_words_are_cut_between_characters() {
        for (text, chars) in [
            ("a", 82),
            ("q", 41),
            ("é", 82),
            ("я", 28),
            ("अ", 16),
            ("𞤢", 14),
        ] {
            let long = read(&text.repeat(chars));
            assert_eq!(read(&text.repeat(chars + 1)), long, "{text}");
            assert_ne!(read(&text.repeat(chars - 1)), long, "{text}");
            // Nothing shorter slips in behind the cut.
            assert_eq!(read(&(text.repeat(chars + 1) + "b")), long, "{text}");
        }
        let tail = |c: &str| read(&("a".repeat(80) + c));
        assert_eq!(tail("жb"), tail("ю"));
    }

    #[test]
    fn what_is_too_long_is_cut_between_tokens() {
        let max = 1000;
        for part in ["word ", "中", "é中", "中 ", "ﷺ", "q\u{301}b\u{e9} "] {
            let read = |max: usize| {
                let mut words = Words::new(max);
                words.read(&part.repeat(max));
                words.read("end");
                words.text
            };
            let (words, more) = (read(max), read(2 * max));
            assert!((max - TOKEN_MAX..=max).contains(&words.len()), "{part}");
            assert!(more.starts_with(&(words + " ")), "{part}");
        }
    }
}
