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
            // joiners, variation selectors, the box around a digit.
            '\u{ad}'
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

/// The text as it is compared: NFKC, lower case, one small sigma.
pub(super) fn fold(text: &str) -> impl Iterator<Item = char> {
    // Lower case between taking apart and putting together: J with a caron is no character of
    // its own, but the small one is.
    text.nfkd()
        .flat_map(char::to_lowercase)
        .map(|c| if c == 'ς' { 'σ' } else { c })
        .nfc()
}

/// Writes the character in `[a-z0-9]`. No character's spelling begins another's, so a
/// spelt text begins with another exactly if the texts do, and each can be read back.
///
/// Letters and digits of ASCII are themselves, but for `q`, which leads all the others
/// (and is `qw`); letters of Latin, Greek and Cyrillic take 3 bytes, Chinese 5.
pub(super) fn spell(c: char, out: &mut String) {
    let code = u32::from(c);
    match c {
        'q' => out.push_str("qw"),
        '\0'..='\x7f' => out.push(c),
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
            .filter(|c| !c.is_ascii() || Kind::of(*c) == Kind::Letter)
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
            ("CAFE\u{301}", "café"),
            ("STRAẞE", "straße"),
            ("ΣΟΦΟΣ σοφος σοφοσ", "σοφοσ σοφοσ σοφοσ"),
            ("J\u{30c}", "\u{1f0}"),
            ("İ", "i\u{307}"),
            ("ｶﾞ か\u{3099}", "ガ が"),
            ("\u{1112}\u{1161}\u{11ab}", "한"),
            ("Йод", "йод"),
        ] {
            assert_eq!(fold(text).collect::<String>(), folded, "{text}");
        }
    }
}
