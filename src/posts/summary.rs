//! Summaries: what a list shows of a text, by its author or made of its beginning. It is made when the
//! post is written.

use std::cell::{Cell, RefCell};

use html5ever::buffer_queue::BufferQueue;
use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{
    StartTag, Tag, TagToken, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};
use pulldown_cmark::{Event, Options, Parser, Tag as Markdown, TagEnd};
use unicode_general_category::{GeneralCategory, get_general_category};

use super::types::Format;
use crate::core::text::{is_direction_override, is_mark};

/// Characters of a summary that is made of a text.
pub const MADE_MAX: usize = 200;
/// Bytes of a text that are looked at: what it costs does not grow with the text.
pub const READ_MAX: usize = 8 * 1024;
/// Stands at the end where there is more.
const MORE: char = '…';

/// The beginning of a text without its markup: at most 200 characters in one line, cut between words.
/// Empty when there is nothing to show, as of a picture.
pub fn of_text(format: Format, text: &str) -> String {
    let text = beginning(text);
    let plain = match format {
        Format::Markdown => of_markdown(text),
        Format::Html => {
            let plain = Plain::default();
            read_html(text, plain)
        }
        Format::Text => {
            let mut plain = Plain::default();
            plain.push(text);
            plain
        }
    };
    plain.finish()
}

fn beginning(text: &str) -> &str {
    let mut end = READ_MAX.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// A line that is put together: white space of any kind and number is one space.
#[derive(Default)]
struct Plain {
    line: String,
    length: usize,
    is_apart: bool,
}

impl Plain {
    fn push(&mut self, text: &str) {
        for c in text.chars() {
            if c.is_whitespace() {
                self.is_apart = true;
                continue;
            }
            // What is not to be seen in a line, or turns the rest of it round.
            if c.is_control() || is_direction_override(c) {
                continue;
            }
            if self.is_full() {
                return;
            }
            if self.is_apart && !self.line.is_empty() {
                self.line.push(' ');
                self.length += 1;
            }
            self.is_apart = false;
            self.line.push(c);
            self.length += 1;
        }
    }

    /// What comes is another word.
    fn part(&mut self) {
        self.is_apart = true;
    }

    /// Whether there is more than will be shown.
    fn is_full(&self) -> bool {
        self.length > MADE_MAX + 1
    }

    fn finish(self) -> String {
        if self.length <= MADE_MAX {
            return self.line;
        }
        // One is for the sign that there is more.
        let shown: Vec<char> = self.line.chars().take(MADE_MAX).collect();
        let end = (MADE_MAX / 2..MADE_MAX)
            .rev()
            .find(|at| is_between_words(shown[*at - 1], shown[*at]))
            .unwrap_or_else(|| whole_characters(&shown));
        let mut line: String = shown[..end].iter().collect();
        line.truncate(line.trim_end_matches([' ', ',', ';', ':']).len());
        line.push(MORE);
        line
    }
}

/// Whether a line may be cut between two characters.
fn is_between_words(before: char, after: char) -> bool {
    if after == ' ' {
        return true;
    }
    if before == ' ' || belongs_before(after) || before == '\u{200d}' {
        return false;
    }
    is_unspaced(before) && (is_unspaced(after) || after.is_alphanumeric())
}

/// The last place where no character is torn apart, for words that are too long.
fn whole_characters(shown: &[char]) -> usize {
    let mut end = MADE_MAX - 1;
    while end > 1 && (belongs_before(shown[end]) || shown[end - 1] == '\u{200d}') {
        end -= 1;
    }
    end
}

fn belongs_before(c: char) -> bool {
    is_mark(c)
        || matches!(get_general_category(c), GeneralCategory::Format)
        || matches!(c, '\u{1f3fb}'..='\u{1f3ff}')
}

/// Whether a letter is of a script that has no spaces between its words.
fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{2e80}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{ff00}'..='\u{ffef}'
        | '\u{20000}'..='\u{3ffff}' | '\u{1b000}'..='\u{1b16f}')
}

fn of_markdown(text: &str) -> Plain {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_FOOTNOTES;
    let mut plain = Plain::default();
    // Pictures and footnotes have texts that do not stand in the text.
    let mut aside = 0;
    for event in Parser::new_ext(text, options) {
        match event {
            Event::Start(Markdown::Image { .. } | Markdown::FootnoteDefinition(_)) => aside += 1,
            Event::End(TagEnd::Image | TagEnd::FootnoteDefinition) => aside -= 1,
            Event::Text(text) | Event::Code(text) if aside == 0 => plain.push(&text),
            Event::Html(html) => {
                plain.part();
                plain = read_html(&html, plain);
            }
            // Another block begins.
            Event::Start(tag) if !is_inline(&tag) => plain.part(),
            Event::SoftBreak | Event::HardBreak | Event::Rule => plain.part(),
            _ => {}
        }
        if plain.is_full() {
            break;
        }
    }
    plain
}

fn is_inline(tag: &Markdown<'_>) -> bool {
    matches!(
        tag,
        Markdown::Emphasis | Markdown::Strong | Markdown::Strikethrough | Markdown::Link { .. }
    )
}

/// Adds the text of HTML.
fn read_html(html: &str, plain: Plain) -> Plain {
    let sink = Sink {
        plain: RefCell::new(plain),
        skipped: Cell::new(None),
    };
    let tokenizer = Tokenizer::new(sink, TokenizerOpts::default());
    let queue = BufferQueue::default();
    queue.push_back(StrTendril::from_slice(html));
    let _ = tokenizer.feed(&queue);
    tokenizer.end();
    tokenizer.sink.plain.into_inner()
}

/// Elements whose contents nobody reads.
const UNREAD: [&str; 12] = [
    "script", "style", "template", "head", "title", "textarea", "select", "svg", "math", "iframe",
    "object", "noscript",
];
/// Elements within a word; all others part words.
const INLINE: [&str; 28] = [
    "a", "abbr", "b", "bdi", "bdo", "cite", "code", "data", "del", "dfn", "em", "font", "i", "ins",
    "kbd", "mark", "q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "tt", "u",
    "wbr",
];

/// Takes the text of tokens.
struct Sink {
    plain: RefCell<Plain>,
    /// The element that is passed over, until it ends.
    skipped: Cell<Option<&'static str>>,
}

impl Sink {
    fn tag(&self, tag: &Tag) -> TokenSinkResult<()> {
        let name = &*tag.name;
        let is_start = tag.kind == StartTag;
        if let Some(skipped) = self.skipped.get() {
            if !is_start && name == skipped {
                self.skipped.set(None);
            }
            return TokenSinkResult::Continue;
        }
        if !INLINE.contains(&name) {
            self.plain.borrow_mut().part();
        }
        if is_start && !tag.self_closing {
            self.skipped
                .set(UNREAD.into_iter().find(|known| *known == name));
        }
        match name {
            "script" if is_start => TokenSinkResult::RawData(RawKind::ScriptData),
            "style" | "iframe" | "noscript" if is_start => {
                TokenSinkResult::RawData(RawKind::Rawtext)
            }
            "title" | "textarea" if is_start => TokenSinkResult::RawData(RawKind::Rcdata),
            _ => TokenSinkResult::Continue,
        }
    }
}

impl TokenSink for Sink {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        match token {
            TagToken(tag) => self.tag(&tag),
            Token::CharacterTokens(text) => {
                if self.skipped.get().is_none() {
                    self.plain.borrow_mut().push(&text);
                }
                TokenSinkResult::Continue
            }
            _ => TokenSinkResult::Continue,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_left_out() {
        for (text, expected) in [
            ("The *first* of **many**.", "The first of many."),
            (
                "# Title\n\nA [link](http://x) and `code`.\n",
                "Title A link and code.",
            ),
            ("![alt](x.png)\n\nText[^1]\n\n[^1]: note", "Text"),
            ("- one\n- two\n\n> three\n\n    four", "one two three four"),
            ("a<b>b</b>c <i>d</i>", "abc d"),
            (
                "<div>one<p>two</div>\n<script>alert(1)</script>\n\nthree",
                "one two three",
            ),
            ("|a|b|\n|-|-|\n|c|d|", "a b c d"),
            ("- [x] done", "done"),
            ("&lt;b&gt; &amp; \\*", "<b> & *"),
            ("~~gone~~ here", "gone here"),
            ("line\nline  \nline", "line line line"),
            ("![only](x.png)", ""),
        ] {
            assert_eq!(of_text(Format::Markdown, text), expected, "{text}");
        }
        for (text, expected) in [
            ("<p>one</p><p>t<b>w</b>o</p>", "one two"),
            ("<style>p{}</style><h1>A&amp;B&eacute;</h1>", "A&Bé"),
            ("<!-- no --><a title='>'>yes</a><br>and", "yes and"),
            ("<script>if (a < b) '</p>'</script>x", "x"),
            ("<textarea>no</textarea><svg><text>no</text></svg>y", "y"),
            ("1 < 2 & 3", "1 < 2 & 3"),
            ("&#7;&#x202e;x&#0;", "x\u{fffd}"),
            ("<p", ""),
        ] {
            assert_eq!(of_text(Format::Html, text), expected, "{text}");
        }
        assert_eq!(of_text(Format::Text, " *a*\r\n\r\n<b>\t "), "*a* <b>");
    }

    #[test]
    fn it_is_cut_between_words() {
        let text = "word ".repeat(100);
        let summary = of_text(Format::Text, &text);
        assert_eq!(summary, format!("{}word…", "word ".repeat(39)));
        let exact = format!(
            "{}1234567",
            "word ".repeat(38).trim_end().to_owned() + " abc"
        );
        assert!(exact.chars().count() <= MADE_MAX);
        assert_eq!(of_text(Format::Text, &exact), exact);
        // What has no spaces is cut between two characters, never within one.
        for unit in ["中", "x", "e\u{301}", "👩\u{200d}🚀", "👍🏽"] {
            let summary = of_text(Format::Text, &unit.repeat(400));
            let body = summary.strip_suffix(MORE).unwrap();
            let length = summary.chars().count();
            assert!(
                (MADE_MAX - 4..=MADE_MAX).contains(&length),
                "{unit}: {length}"
            );
            assert_eq!(body.len() % unit.len(), 0, "{unit}");
        }
        let twohundred = "x".repeat(MADE_MAX);
        assert_eq!(of_text(Format::Text, &twohundred), twohundred);
        // A summary is never longer, whatever the text.
        for text in [
            "a, ".repeat(200),
            "é ".repeat(300),
            format!("{} y", "x".repeat(199)),
        ] {
            assert!(
                of_text(Format::Markdown, &text).chars().count() <= MADE_MAX,
                "{text}"
            );
        }
    }

    /// Only the beginning is read, wherever it is cut.
    #[test]
    fn a_long_text_costs_what_a_short_one_does() {
        let text = format!("{}é", "x".repeat(READ_MAX - 1));
        assert_eq!(beginning(&text).len(), READ_MAX - 1);
        for format in [Format::Markdown, Format::Html, Format::Text] {
            let empty = " ".repeat(READ_MAX) + "late";
            assert_eq!(of_text(format, &empty), "");
        }
        for hostile in [
            "[".repeat(1 << 20),
            "<a ".repeat(1 << 18),
            "*a_ ".repeat(1 << 18),
        ] {
            assert!(of_text(Format::Markdown, &hostile).chars().count() <= MADE_MAX);
            assert!(of_text(Format::Html, &hostile).chars().count() <= MADE_MAX);
        }
    }
}
