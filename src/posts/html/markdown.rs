//! Markdown as HTML: `CommonMark` with GitHub's tables, task lists, strikethrough and
//! footnotes. What comes out is not sanitized yet.

use std::collections::HashMap;
use std::fmt;
use std::vec::IntoIter;

use pulldown_cmark::{Alignment, CowStr, Event, Options, Parser, Tag, TagEnd, html};

/// Bytes of HTML that a byte of Markdown may become, and that there may be beside: a quotation
/// mark becomes six.
const GROWTH: usize = 8;
const REST: usize = 64 * 1024;

/// HTML of a text; `None` if it becomes far more than the text.
pub fn to_html(text: &str) -> Option<String> {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_FOOTNOTES;
    let mut html = Bounded {
        html: String::with_capacity(text.len() + text.len() / 4),
        most: text.len() * GROWTH + REST,
    };
    let events = Events::new(Parser::new_ext(text, options));
    html::write_html_fmt(&mut html, events).ok()?;
    Some(html.html)
}

/// What takes so many bytes and then no more.
struct Bounded {
    html: String,
    most: usize,
}

impl fmt::Write for Bounded {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        if self.html.len() + piece.len() > self.most {
            return Err(fmt::Error);
        }
        self.html.push_str(piece);
        Ok(())
    }
}

/// The parser's events, where what its writer writes of some would not pass the sanitizer: boxes of
/// tasks are letters, columns have an attribute in place of a style, footnotes have numbers and stand
/// at the end.
struct Events<'t> {
    parser: Parser<'t>,
    /// Of the columns of the present table.
    alignments: Vec<Alignment>,
    is_head: bool,
    column: usize,
    /// Of the footnotes that were referred to, by label.
    numbers: HashMap<CowStr<'t>, usize>,
    notes: Vec<(CowStr<'t>, Vec<Event<'t>>)>,
    /// The notes, when the text is over.
    end: Option<IntoIter<Event<'t>>>,
}

impl<'t> Events<'t> {
    fn new(parser: Parser<'t>) -> Self {
        Self {
            parser,
            alignments: Vec::new(),
            is_head: false,
            column: 0,
            numbers: HashMap::new(),
            notes: Vec::new(),
            end: None,
        }
    }

    /// An event as it is written.
    fn translate(&mut self, event: Event<'t>) -> Event<'t> {
        match event {
            Event::TaskListMarker(is_done) => {
                Event::Text(if is_done { "\u{2611} " } else { "\u{2610} " }.into())
            }
            Event::FootnoteReference(label) => self.refer(label),
            Event::Start(Tag::Table(alignments)) => {
                self.alignments.clone_from(&alignments);
                Event::Start(Tag::Table(alignments))
            }
            Event::Start(Tag::TableHead) => {
                (self.is_head, self.column) = (true, 0);
                event
            }
            Event::Start(Tag::TableRow) => {
                (self.is_head, self.column) = (false, 0);
                event
            }
            Event::Start(Tag::TableCell) => self.begin_cell(),
            Event::End(TagEnd::TableCell) => {
                Event::Html(if self.is_head { "</th>" } else { "</td>" }.into())
            }
            other => other,
        }
    }

    fn begin_cell(&mut self) -> Event<'t> {
        let alignment = self.alignments.get(self.column);
        self.column += 1;
        let name = if self.is_head { "th" } else { "td" };
        let side = match alignment {
            Some(Alignment::Left) => "left",
            Some(Alignment::Center) => "center",
            Some(Alignment::Right) => "right",
            Some(Alignment::None) | None => return Event::Html(format!("<{name}>").into()),
        };
        Event::Html(format!("<{name} align=\"{side}\">").into())
    }

    fn refer(&mut self, label: CowStr<'t>) -> Event<'t> {
        let next = self.numbers.len() + 1;
        let number = *self.numbers.entry(label).or_insert(next);
        // An id is there once: the way back leads to the first reference.
        let id = if number == next {
            format!(" id=\"fnref-{number}\"")
        } else {
            String::new()
        };
        Event::InlineHtml(format!("<sup><a href=\"#fn-{number}\"{id}>{number}</a></sup>").into())
    }

    /// Keeps what is between the beginning and the end of a footnote.
    fn keep_note(&mut self, label: CowStr<'t>) {
        let mut note = Vec::new();
        while let Some(event) = self.parser.next() {
            if matches!(event, Event::End(TagEnd::FootnoteDefinition)) {
                break;
            }
            let event = self.translate(event);
            note.push(event);
        }
        self.notes.push((label, note));
    }

    /// The notes that were referred to, by number.
    fn take_notes(&mut self) -> IntoIter<Event<'t>> {
        let mut notes: Vec<(usize, Vec<Event>)> = std::mem::take(&mut self.notes)
            .into_iter()
            .filter_map(|(label, note)| Some((*self.numbers.get(&label)?, note)))
            .collect();
        notes.sort_by_key(|(number, _)| *number);
        let mut events = Vec::new();
        for (number, note) in notes {
            let begin = format!(
                "<div id=\"fn-{number}\"><sup><a href=\"#fnref-{number}\">{number}</a></sup>\n"
            );
            events.push(Event::Html(begin.into()));
            events.extend(note);
            events.push(Event::Html("</div>\n".into()));
        }
        events.into_iter()
    }
}

impl<'t> Iterator for Events<'t> {
    type Item = Event<'t>;

    fn next(&mut self) -> Option<Event<'t>> {
        if let Some(end) = &mut self.end {
            return end.next();
        }
        loop {
            match self.parser.next() {
                Some(Event::Start(Tag::FootnoteDefinition(label))) => self.keep_note(label),
                Some(event) => return Some(self.translate(event)),
                None => {
                    let mut end = self.take_notes();
                    let first = end.next();
                    self.end = Some(end);
                    return first;
                }
            }
        }
    }
}
