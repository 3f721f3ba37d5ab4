//! A feed as Atom 1.0 (RFC 4287).
//!
//! Written by hand: the XML writers that there are escape markup, but let through what
//! no XML document may contain, and a carriage return that the parser would make a line
//! feed of.

use super::{Cut, Feed, Format};
use crate::core::clock::rfc3339;

/// `updated` of a feed without entries, which must have one.
const NEVER: &str = "1970-01-01T00:00:00Z";

/// The document.
pub fn write(feed: &Feed) -> String {
    let own = feed.url(Format::Atom);
    let mut xml = Xml("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n".to_owned());
    xml.open("feed", &[("xmlns", "http://www.w3.org/2005/Atom")]);
    xml.text("id", &[], &own);
    xml.text("title", &[("type", "text")], &feed.title);
    let updated = feed.updated().map_or_else(|| NEVER.to_owned(), rfc3339);
    xml.text("updated", &[], &updated);
    xml.link("self", Format::Atom.media_type(), &own);
    // The same entries in the other format. Without a type a reader would take it for a
    // page to show to people.
    xml.link(
        "alternate",
        Format::Json.media_type(),
        &feed.url(Format::Json),
    );
    for entry in &feed.entries {
        xml.open("entry", &[]);
        xml.text("id", &[], &entry.url);
        xml.text("title", &[("type", "text")], entry.title);
        xml.open("author", &[]);
        xml.text("name", &[], entry.author);
        xml.text("uri", &[], &entry.author_url);
        xml.close("author");
        xml.text("published", &[], &rfc3339(entry.published));
        xml.text("updated", &[], &rfc3339(entry.updated));
        xml.link("alternate", "application/json", &entry.url);
        for tag in &entry.tags {
            xml.empty("category", &[("term", tag)]);
        }
        match &entry.text {
            Cut::Whole(text) => xml.text("content", &[("type", "text")], text),
            Cut::Beginning(text) => xml.text("summary", &[("type", "text")], text),
        }
        xml.close("entry");
    }
    xml.close("feed");
    xml.0
}

/// A document that grows. Names and attributes' names are the program's own.
struct Xml(String);

impl Xml {
    fn open(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.begin(name, attributes);
        self.0.push_str(">\n");
    }

    fn close(&mut self, name: &str) {
        for part in ["</", name, ">\n"] {
            self.0.push_str(part);
        }
    }

    /// An element with nothing but text.
    fn text(&mut self, name: &str, attributes: &[(&str, &str)], text: &str) {
        self.begin(name, attributes);
        self.0.push('>');
        self.escape(text, false);
        self.close(name);
    }

    /// An element without content.
    fn empty(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.begin(name, attributes);
        self.0.push_str("/>\n");
    }

    fn link(&mut self, rel: &str, media_type: &str, href: &str) {
        self.empty(
            "link",
            &[("rel", rel), ("type", media_type), ("href", href)],
        );
    }

    fn begin(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.0.push('<');
        self.0.push_str(name);
        for (attribute, value) in attributes {
            for part in [" ", attribute, "=\""] {
                self.0.push_str(part);
            }
            self.escape(value, true);
            self.0.push('"');
        }
    }

    fn escape(&mut self, text: &str, in_attribute: bool) {
        let mut done = 0;
        for (at, c) in text.char_indices() {
            if let Some(written) = replacement(c, in_attribute) {
                self.0.push_str(&text[done..at]);
                self.0.push_str(written);
                done = at + c.len_utf8();
            }
        }
        self.0.push_str(&text[done..]);
    }
}

/// What stands for a character that cannot stand for itself.
fn replacement(c: char, in_attribute: bool) -> Option<&'static str> {
    Some(match c {
        '&' => "&amp;",
        '<' => "&lt;",
        // In text for the sake of `]]>`.
        '>' => "&gt;",
        '"' if in_attribute => "&quot;",
        // A parser makes \n of \r (XML 1.0 §2.11), and blanks of both in attributes (§3.3.3).
        '\r' => "&#13;",
        '\n' if in_attribute => "&#10;",
        '\t' if in_attribute => "&#9;",
        // No document has these, escaped or not (§2.2).
        '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => {
            "\u{fffd}"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_line_ends_and_what_is_forbidden_are_escaped() {
        let text = "<batch>&]]>\"'\r\n\t\u{0}\u{b}\u{1f}\u{fffe}\u{ffff}\u{10ffff}";
        let mut xml = Xml(String::new());
        xml.text("a", &[("b", text)], text);
        let forbidden = "\u{fffd}".repeat(5);
        assert_eq!(
            xml.0,
            format!(
                "<a b=\"&lt;batch&gt;&amp;]]&gt;&quot;'&#13;&#10;&#9;{forbidden}\u{10ffff}\">\
                 &lt;batch&gt;&amp;]]&gt;\"'&#13;\n\t{forbidden}\u{10ffff}</a>\n"
            )
        );
    }
}
