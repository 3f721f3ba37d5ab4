//! What a person sees of a text.

use unicode_general_category::{GeneralCategory, get_general_category};

/// Whether a person would see nothing: white space, control and format characters, fillers, and
/// marks, which show on what stands before them.
pub fn is_blank(text: &str) -> bool {
    text.chars().all(|c| is_invisible(c) || is_mark(c))
}

/// Whether a character shows nothing by itself, alone or beside others.
pub fn is_invisible(c: char) -> bool {
    use GeneralCategory as Is;
    c.is_whitespace()
        || is_filler(c)
        || matches!(
            get_general_category(c),
            Is::Control | Is::Format | Is::LineSeparator | Is::ParagraphSeparator
        )
}

/// Whether a character shows on the one before it.
pub fn is_mark(c: char) -> bool {
    use GeneralCategory as Is;
    matches!(
        get_general_category(c),
        Is::NonspacingMark | Is::SpacingMark | Is::EnclosingMark
    )
}

/// Whether a character turns the direction of all that follows it against the direction of
/// its letters, so that a text reads as another one (U+202D, U+202E).
pub fn is_direction_override(c: char) -> bool {
    matches!(c, '\u{202D}' | '\u{202E}')
}

/// What is a letter, mark or sign by its category, and empty all the same: default ignorable
/// characters (Unicode, DerivedCoreProperties.txt) that are no format characters, and the blank
/// of Braille.
fn is_filler(c: char) -> bool {
    matches!(
        c,
        '\u{034F}'
            | '\u{115F}'..='\u{1160}'
            | '\u{17B4}'..='\u{17B5}'
            | '\u{180B}'..='\u{180F}'
            | '\u{2065}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{FE00}'..='\u{FE0F}'
            | '\u{FFA0}'
            | '\u{FFF0}'..='\u{FFF8}'
            | '\u{E0000}'..='\u{E0FFF}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_shows_nothing_is_blank() {
        for c in [
            "",
            " ",
            "\u{A0}",
            "\u{3000}",
            "\u{200B}",
            "\u{3164}",
            "\u{2800}",
            "\u{AD}",
            "\u{200E}",
            "\u{200F}",
            "\u{FE0F}",
            "\u{E0100}",
            "\u{E0041}",
            "\u{115F}",
            "\u{1160}",
            "\u{FFA0}",
            "\u{17B4}",
            "\u{180E}",
            "\u{2060}",
            "\u{2066}",
            "\u{202E}",
            "\u{FEFF}",
            "\u{61C}",
            "\u{34F}",
            "\u{206A}",
            "\u{1D173}",
            "\u{7}",
            "\u{2028}",
            "\u{301}",
            "\u{20E3}",
            "\u{903}",
        ] {
            assert!(is_blank(c), "{c:?}");
            assert!(is_blank(&format!(" {c}\u{200B}{c} ")), "{c:?}");
            assert!(!is_blank(&format!("{c}a{c}")), "{c:?}");
        }
        for text in [
            "a",
            ".",
            "中",
            "é",
            "e\u{301}",
            "❤\u{FE0F}",
            "👩\u{200D}🚀",
            "ก็",
            "한",
            "1",
            "_",
            "\u{E000}",
        ] {
            assert!(!is_blank(text), "{text:?}");
        }
    }
}
