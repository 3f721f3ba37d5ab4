//! Texts of posts, the same in every run: words of a list, drawn by a generator
//! whose seed is the number of the post.

/// English for the most part; some Chinese and Cyrillic, since what is not ASCII
/// costs databases and compressors differently.
const WORDS: &str = "\
    the of and a to in is that it was for on are with as they at be this have from or \
    one had by but not what all were when we there can an your which their if will each \
    about how up out them then she many some so these would other into has more two like \
    him see time could no make than first been its who now people my made over did down \
    only way find use may water long little very after words called just where most know \
    garden kitchen weather mountain letter railway compiler database release coffee \
    evening summer journey recipe camera village morning harbour question answer printer \
    paper inkwell library bicycle window station bridge forest teacher market island \
    concert painting `let mut` **bold** *emphasis* [link](https://example.org/) 你好 \
    世界 今天天气很好 我们 学习 北京 朋友 привет мир \
    сегодня хорошая погода книга работа дорога \
    вечер";

/// Titles have so many words.
const TITLE_WORDS: u64 = 6;

/// A `splitmix64` generator, and the words that it draws from.
pub struct Dice {
    state: u64,
    words: Vec<&'static str>,
}

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self {
            state: seed,
            words: WORDS.split(' ').collect(),
        }
    }

    /// A number below `sides`.
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % sides
    }

    fn word(&mut self) -> &'static str {
        let index = self.roll(self.words.len() as u64);
        self.words[usize::try_from(index).unwrap_or(0)]
    }
}

/// A title for the post with this number, which it names.
pub fn title(number: u64, dice: &mut Dice) -> String {
    let mut title = format!("{number}:");
    for _ in 0..TITLE_WORDS {
        title.push(' ');
        title.push_str(dice.word());
    }
    title
}

/// Paragraphs of some `bytes` bytes, a word more or less.
pub fn text(bytes: usize, dice: &mut Dice) -> String {
    let mut text = String::with_capacity(bytes + 32);
    while text.len() < bytes {
        text.push_str(dice.word());
        text.push_str(match dice.roll(60) {
            0 => ".\n\n",
            1..=4 => ". ",
            5..=8 => ", ",
            _ => " ",
        });
    }
    text
}
