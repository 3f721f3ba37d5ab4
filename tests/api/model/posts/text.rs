//! What posts are made of, and what of it a search finds: few words, so that there is
//! much to find.

use serde_json::Value;

use crate::model::random::Random;

const WORDS: [&str; 8] = [
    "alpha", "alphabet", "beta", "gamma", "delta", "epsilon", "omega", "zeta",
];
/// What stands between words.
const BETWEEN: [&str; 6] = [" ", ", ", "\r\n", " – ", "\t🦀 ", ". "];
pub const TAGS: [&str; 5] = ["red", "green", "blue", "grün", "two words"];

pub fn title(chance: &mut Random, label: &str) -> String {
    format!("{label} {} {}", chance.pick(&WORDS), chance.pick(&WORDS))
}

pub fn content(chance: &mut Random, label: &str) -> String {
    let mut text = label.to_owned();
    for _ in 0..=chance.below(8) {
        text.push_str(chance.pick::<&str>(&BETWEEN));
        text.push_str(chance.pick::<&str>(&WORDS));
    }
    text
}

/// Some tags, as somebody spells them.
pub fn tags(chance: &mut Random) -> Vec<String> {
    let mut tags: Vec<String> = Vec::new();
    for tag in TAGS {
        if chance.percent(30) {
            tags.push(if chance.percent(20) {
                tag.to_uppercase()
            } else {
                tag.to_owned()
            });
        }
    }
    tags
}

/// A part of a query.
#[derive(Clone, Debug)]
pub enum Piece {
    Word(&'static str),
    Beginning(&'static str),
    Phrase(&'static str, &'static str),
}

impl Piece {
    pub fn any(chance: &mut Random) -> Self {
        match chance.below(4) {
            0 => Self::Beginning(&chance.pick(&WORDS)[..2]),
            1 => Self::Phrase(chance.pick::<&str>(&WORDS), chance.pick::<&str>(&WORDS)),
            _ => Self::Word(chance.pick::<&str>(&WORDS)),
        }
    }

    pub fn text(&self) -> String {
        match self {
            // In quotes it is not taken for the beginning of another one.
            Self::Word(word) => format!("\"{}\"", word.to_uppercase()),
            Self::Beginning(word) => format!("{word}*"),
            Self::Phrase(first, second) => format!("\"{first} {second}\""),
        }
    }

    /// Whether a post has it, in its title or in its content.
    pub fn is_in(&self, post: &Value) -> bool {
        ["post_title", "post_content"].iter().any(|field| {
            let text = post[field].as_str().unwrap().to_lowercase();
            let words: Vec<&str> = text
                .split(|c: char| !c.is_alphanumeric())
                .filter(|word| !word.is_empty())
                .collect();
            match self {
                Self::Word(word) => words.contains(word),
                Self::Beginning(start) => words.iter().any(|word| word.starts_with(start)),
                Self::Phrase(first, second) => words
                    .windows(2)
                    .any(|two| two[0] == *first && two[1] == *second),
            }
        })
    }
}
