//! Character classes of the tokenizer, normalization, and the spelling in ASCII.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// What a character does to the run of characters that it stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Part of a word.
    Letter,
    /// Part of a text without spaces between its words.
    Unspaced,
    /// Belongs to the character before it, whichever that is.
    Mark,
    /// Not there.
    Ignored,
    /// Ends a run.
    Gap,
}

impl Kind {
    /// Of a character as [`fold`] gives it.
    pub(super) fn of(c: char) -> Self {
        match c {
            'a'..='z' | '0'..='9' => Self::Letter,
            '\0'..='\x7f' => Self::Gap,
            // Most of Chinese and Japanese, without asking the tables.
            '\u{4e00}'..='\u{9fff}' => Self::Unspaced,
            // They say how a word is broken, joined or drawn, not which word it is: soft hyphen,
            // kashida, joiners, variation selectors, the box around a digit.
            '\u{ad}'
            | '\u{640}'
            | '\u{34f}'
            | '\u{200c}'
            | '\u{200d}'
            | '\u{2060}'
            | '\u{feff}'
            | '\u{20e3}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{e0100}'..='\u{e01ef}' => Self::Ignored,
            _ if is_combining_mark(c) => Self::Mark,
            _ if !c.is_alphanumeric() => Self::Gap,
            _ if is_unspaced(c) => Self::Unspaced,
            _ => Self::Letter,
        }
    }
}

/// Whether a letter or digit is of a batch without spaces, or of Hangul, whose words
/// carry their particles with them.
fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{e00}'..='\u{eff}' // Thai, Lao
        | '\u{1000}'..='\u{109f}' | '\u{a9e0}'..='\u{a9ff}' | '\u{aa60}'..='\u{aa7f}'
        | '\u{116d0}'..='\u{116ff}' // Myanmar
        | '\u{1100}'..='\u{11ff}' | '\u{a960}'..='\u{a97f}' | '\u{ac00}'..='\u{d7ff}' // Hangul
        | '\u{1780}'..='\u{17ff}' // Khmer
        | '\u{2e80}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}' // Han, Kana
        | '\u{1aff0}'..='\u{1afff}' | '\u{1b000}'..='\u{1b16f}') // Kana
}

/// The text as it is compared: NFKC, without case (full folding) and without accents.
///
/// Vowel signs of Arabic and Hebrew are accents; those of the scripts of India and of Thai are not,
/// for without them other words are left.
pub(super) fn fold(text: &str) -> impl Iterator<Item = char> {
    let mut base = '\0';
    // Between taking apart and putting together: what has an accent has a base of its own there.
    text.nfkd()
        .filter(move |&c| {
            if is_combining_mark(c) {
                return !is_accent(base, c);
            }
            base = c;
            true
        })
        .flat_map(fold_case)
        .nfc()
}

/// What is folded of a character, one too, wherever it stands, if no mark is behind it; `None` for those
/// that the tables of Unicode are asked for.
pub(super) fn fold_alone(c: char) -> Option<char> {
    match c {
        'A'..='Z' => Some(c.to_ascii_lowercase()),
        '\0'..='\x7f' | 'а'..='я' | '\u{4e00}'..='\u{9fff}' => Some(c),
        'А'..='Я' => char::from_u32(u32::from(c) + 0x20),
        _ => None,
    }
}

/// Whether a mark behind this base makes no other letter of it.
fn is_accent(base: char, mark: char) -> bool {
    match mark {
        // Short i, yi and short u of Cyrillic are letters.
        '\u{306}' => !matches!(base, 'И' | 'и' | 'У' | 'у'),
        '\u{308}' => !matches!(base, 'І' | 'і'),
        // The iota below a letter is a letter where there are capitals only.
        '\u{345}' => false,
        '\u{300}'..='\u{36f}'
        | '\u{483}'..='\u{487}' // Cyrillic
        | '\u{591}'..='\u{5bd}' | '\u{5bf}' | '\u{5c1}'..='\u{5c2}' | '\u{5c4}'..='\u{5c5}'
        | '\u{5c7}' // Hebrew
        | '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{652}' | '\u{656}'..='\u{65f}' | '\u{670}'
        | '\u{6d6}'..='\u{6dc}' | '\u{6df}'..='\u{6e4}' | '\u{6e7}'..='\u{6e8}'
        | '\u{6ea}'..='\u{6ed}' | '\u{8ca}'..='\u{8e1}' | '\u{8e3}'..='\u{8ff}' // Arabic
        | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}'
        | '\u{fe20}'..='\u{fe2f}' => true,
        // Hamza and madda, which many leave out above an alef.
        '\u{653}'..='\u{655}' => base == '\u{627}',
        _ => false,
    }
}

/// A character without case. By way of its capitals, as full folding has it: small letters that
/// differ in their form only have one, and that of a sharp s is two letters.
fn fold_case(c: char) -> impl Iterator<Item = char> {
    let quick = match c {
        'A'..='Z' => Some(c.to_ascii_lowercase()),
        '\0'..='\x7f' | '\u{4e00}'..='\u{9fff}' => Some(c),
        _ => None,
    };
    let slow = quick.is_none().then(|| {
        c.to_lowercase()
            .flat_map(char::to_uppercase)
            .flat_map(char::to_lowercase)
            .flat_map(|c| {
                without_stroke(c)
                    .chars()
                    .chain(Some(c).filter(|c| without_stroke(*c).is_empty()))
            })
    });
    quick.into_iter().chain(slow.into_iter().flatten())
}

/// What is written for a Latin letter that is not taken apart into a base and an accent; empty for
/// all others.
fn without_stroke(c: char) -> &'static str {
    match c {
        '\u{e6}' => "ae",
        '\u{153}' => "oe",
        '\u{fe}' => "th",
        'ⱥ' => "a",
        'ƀ' | 'ɓ' => "b",
        'ƈ' | 'ȼ' => "c",
        'ð' | 'đ' | 'ɖ' | 'ɗ' => "d",
        'ɇ' => "e",
        'ƒ' => "f",
        'ǥ' | 'ɠ' => "g",
        'ħ' => "h",
        'ɨ' => "i",
        'ɉ' => "j",
        'ƙ' | 'ĸ' => "k",
        'ł' | 'ƚ' => "l",
        'ɲ' => "n",
        'ø' => "o",
        'ɍ' => "r",
        'ŧ' | 'ⱦ' | 'ƭ' => "t",
        'ʉ' => "u",
        'ƴ' | 'ɏ' => "y",
        'ƶ' => "z",
        _ => "",
    }
}

/// Writes the character in `[a-z0-9]`. No character's spelling begins another's, so a
/// spelt text begins with another exactly if the texts do, and each can be read back.
///
/// Letters and digits of ASCII are themselves, but for `q`, which leads all the others
/// (and is `qw`); letters of Latin, Greek and Cyrillic take 3 bytes, Chinese 5, signs of ASCII 6.
pub(super) fn spell(c: char, out: &mut String) {
    let code = u32::from(c);
    match c {
        'q' => out.push_str("qw"),
        'a'..='z' | 'A'..='Z' | '0'..='9' => out.push(c),
        // After the q a first digit of 0 to v, x and y, or z.
        '\u{80}'..='\u{4ff}' => digits(code - 0x80, 2, out),
        '\u{500}'..='\u{1717f}' => digits(33 * P3 + code - 0x500, 4, out),
        _ => digits(35 * P4 + code, 5, out),
    }
}

/// Writes `q` and the number to the base of 36 with so many digits.
fn digits(mut number: u32, count: usize, out: &mut String) {
    let mut text = [b'q'; 6];
    for place in text[1..=count].iter_mut().rev() {
        let digit = u8::try_from(number % 36).unwrap_or_default();
        *place = if digit < 10 {
            b'0' + digit
        } else {
            b'a' + digit - 10
        };
        number /= 36;
    }
    out.extend(text[..=count].iter().map(|&b| char::from(b)));
}

/// What was spelt so; of anything else, as much as can be read.
pub(super) fn read_back(spelt: &str) -> String {
    let mut text = String::new();
    let mut rest = spelt;
    while let Some(first) = rest.chars().next() {
        let Some(number) = rest.strip_prefix('q') else {
            text.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        if let Some(after) = number.strip_prefix('w') {
            text.push('q');
            rest = after;
            continue;
        }
        let (count, below, above) = match number.bytes().next() {
            Some(b'x' | b'y') => (4, 33 * P3, 0x500),
            Some(b'z') => (5, 35 * P4, 0),
            _ => (2, 0, 0x80),
        };
        let Some((digits, after)) = number.split_at_checked(count) else {
            break;
        };
        let code = u32::from_str_radix(digits, 36).map_or(0, |n| n.saturating_sub(below) + above);
        text.extend(char::from_u32(code));
        rest = after;
    }
    text
}

/// Powers of 36, for numbers of so many digits.
const P3: u32 = 36 * 36 * 36;
const P4: u32 = 36 * P3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spelt_can_be_read_back() {
        let all: String = ('\0'..=char::MAX).collect();
        let mut spelt = String::new();
        all.chars().for_each(|c| spell(c, &mut spelt));
        assert_eq!(read_back(&spelt), all);
        for text in ["q", "qz", "qzzzzzz", "qv", "é", "qé"] {
            // Whatever it says: it ends.
            read_back(text);
        }
    }

    #[test]
    fn no_spelling_begins_another() {
        let mut all: Vec<String> = (0..=u32::from(char::MAX))
            .filter_map(char::from_u32)
            .filter(|c| !c.is_ascii_uppercase())
            .map(|c| {
                let mut out = String::new();
                spell(c, &mut out);
                assert!(out.len() <= 6, "{c:?}");
                assert!(
                    out.bytes()
                        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()),
                    "{c:?}"
                );
                out
            })
            .collect();
        all.sort_unstable();
        // In order, what begins another stands right before the first of those.
        for pair in all.windows(2) {
            assert!(!pair[1].starts_with(&pair[0]), "{pair:?}");
        }
    }

    #[test]
    fn texts_that_read_alike_fold_alike() {
        for (text, folded) in [
            ("Wor", "wor"),
            ("ＷＯＲ①", "wor1"),
            ("ﬁn x² ™", "fin x2 tm"),
            ("CAFE\u{301} café", "cafe cafe"),
            ("STRAẞE Straße", "strasse strasse"),
            ("ΣΟΦΟΣ σοφός σοφοσ", "σοφοσ σοφοσ σοφοσ"),
            ("J\u{30c} ǰ", "j j"),
            (
                "İstanbul DIYARBAKIR Diyarbakır",
                "istanbul diyarbakir diyarbakir",
            ),
            ("ｶﾞ か\u{3099}", "ガ が"),
            ("\u{1112}\u{1161}\u{11ab}", "한"),
            ("Йод її ЎЗ", "йод її ўз"),
            ("Ёжик", "ежик"),
            ("Łódź Đà Nẵng Ångström", "lodz da nang angstrom"),
            (
                "smørrebrød Þór æther œuvre",
                "smorrebrod thor aether oeuvre",
            ),
            ("Việt Nam phở ưu", "viet nam pho uu"),
            ("ŉ ᾳ ΐ և", "ʼn αι ι եւ"),
            ("مُحَمَّد أإآ", "محمد ااا"),
            ("שָׁלוֹם", "שלום"),
            ("हिन्दी ไทยดี", "हिन्दी ไทยดี"),
            ("ſ K Ω ϐ ᲀ", "s k ω β в"),
        ] {
            assert_eq!(fold(text).collect::<String>(), folded, "{text}");
        }
    }

    #[test]
    fn some_are_folded_alone_as_by_the_tables() {
        let alone = |c: char| fold_alone(c).map(|folded| (c, folded));
        let all: Vec<(char, char)> = ('\0'..=char::MAX).filter_map(alone).collect();
        assert!(all.len() > 21_000);
        for (c, folded) in &all {
            assert_eq!(fold(&c.to_string()).collect::<String>(), folded.to_string());
        }
        // Whatever stands before them.
        let (text, folded): (String, String) = all.iter().rev().chain(&all).copied().unzip();
        assert_eq!(fold(&text).collect::<String>(), folded);
        for before in ["e\u{301}", "한", "\u{1112}\u{1161}", "が", "ä"] {
            let before_folded: String = fold(before).collect();
            for (c, folded) in all.iter().step_by(97) {
                let text = format!("{before}{c}");
                assert_eq!(
                    fold(&text).collect::<String>(),
                    format!("{before_folded}{folded}")
                );
            }
        }
    }

    #[test]
    fn what_is_folded_stays_as_it_is() {
        for c in '\0'..=char::MAX {
            let once: String = fold(&c.to_string()).collect();
            let twice: String = fold(&once).collect();
            assert_eq!(once, twice, "{c:?} {:x}", u32::from(c));
            let upper: String = c.to_uppercase().collect();
            assert_eq!(fold(&upper).collect::<String>(), once, "{c:?}");
        }
    }
}
