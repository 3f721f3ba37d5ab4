//! A feed as Atom 1.0 (RFC 4287).
//!
//! Written by hand: the XML writers that there are escape markup, but let through what
//! no XML document may contain, and a carriage return that the parser would make a line
//! feed of.

use super::{Entry, Feed, Format, Thread};
use crate::core::clock::rfc3339;

/// `updated` of a feed without entries, which must have one.
const NEVER: &str = "1970-01-01T00:00:00Z";
/// What people read.
const HTML: &str = "text/html";

/// The document.
pub fn write(feed: &Feed) -> String {
    let mut xml = Xml("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n".to_owned());
    xml.open(
        "feed",
        &[
            ("xmlns", "http://www.w3.org/2005/Atom"),
            // Of RFC 4685.
            ("xmlns:thr", "http://purl.org/syndication/thread/1.0"),
        ],
    );
    xml.text("id", &[], &feed.id);
    xml.text("title", &[("type", "text")], &feed.title);
    if let Some(subtitle) = feed.subtitle {
        xml.text("subtitle", &[("type", "text")], subtitle);
    }
    let updated = feed.updated().map_or_else(|| NEVER.to_owned(), rfc3339);
    xml.text("updated", &[], &updated);
    write_links(&mut xml, feed);
    for entry in &feed.entries {
        write_entry(&mut xml, entry);
    }
    xml.close("feed");
    xml.0
}

fn write_links(xml: &mut Xml, feed: &Feed) {
    let own_type = Format::Atom.media_type();
    xml.link("self", own_type, &feed.url(Format::Atom));
    if !feed.is_first() {
        xml.link("first", own_type, &feed.first(Format::Atom));
    }
    if let Some(next) = feed.next(Format::Atom) {
        xml.link("next", own_type, &next);
    }
    if let Some(home) = &feed.home {
        xml.link("alternate", HTML, home);
    }
    // The same entries in the other format.
    let json = feed.url(Format::Json);
    xml.link("alternate", Format::Json.media_type(), &json);
}

fn write_entry(xml: &mut Xml, entry: &Entry) {
    xml.open("entry", &[]);
    xml.text("id", &[], &entry.id);
    xml.text("title", &[("type", "text")], &entry.title);
    xml.open("author", &[]);
    xml.text("name", &[], entry.author);
    xml.close("author");
    xml.text("published", &[], &rfc3339(entry.published));
    xml.text("updated", &[], &rfc3339(entry.updated));
    if let Some(url) = &entry.url {
        xml.link("alternate", HTML, url);
    }
    match &entry.thread {
        Thread::Replies(url) => xml.link("replies", Format::Atom.media_type(), url),
        Thread::ReplyTo { id, url } => {
            let mut attributes = vec![("ref", id.as_str())];
            if let Some(url) = url {
                attributes.extend([("href", url.as_str()), ("type", HTML)]);
            }
            xml.empty("thr:in-reply-to", &attributes);
        }
    }
    for tag in &entry.tags {
        xml.empty("category", &[("term", tag)]);
    }
    if let Some(summary) = entry.summary {
        xml.text("summary", &[("type", "text")], summary);
    }
    // Links of the content that are relative, are so to where it is read.
    let base = entry.url.as_deref().map(|url| ("xml:base", url));
    let attributes: Vec<_> = base.into_iter().chain([("type", "html")]).collect();
    xml.text("content", &attributes, &entry.content);
    xml.close("entry");
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
