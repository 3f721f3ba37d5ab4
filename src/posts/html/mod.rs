//! A post's text as HTML: rendered by its format, then sanitized by an allow-list, the same
//! for all clients.
//!
//! Time and memory are bounded by the size of the text: what is nested too deeply, or becomes far
//! more than it was, is shown as it was written.

mod bounds;
mod markdown;
mod sanitizer;

use std::borrow::Cow;

use super::types::Format;

/// The text of a post as HTML, without anything that runs, frames or asks for input. Ids and
/// the links to them begin with `post-` and the post's id, so that several posts stand on one page.
pub fn render(post_id: i64, format: Format, text: &str) -> String {
    render_at(&format!("post-{post_id}"), format, text)
}

/// The same for a text that stands in another place of the page; ids and links begin with its name.
pub fn render_at(place: &str, format: Format, text: &str) -> String {
    let html = match format {
        Format::Markdown => markdown::to_html(text).map(Cow::Owned),
        Format::Html => Some(Cow::Borrowed(text)),
        Format::Text => None,
    };
    html.filter(|html| bounds::has_room_for(html))
        .and_then(|html| sanitizer::sanitize(place, &html))
        .unwrap_or_else(|| plain(text))
}

/// The text of a post as people read it, without its markup.
pub fn text_of(format: Format, text: &str) -> Cow<'_, str> {
    let html = match format {
        Format::Markdown => markdown::to_html(text).map(Cow::Owned),
        Format::Html => Some(Cow::Borrowed(text)),
        Format::Text => None,
    };
    match html {
        Some(html) if bounds::has_room_for(&html) => Cow::Owned(sanitizer::text_of(&html)),
        _ => Cow::Borrowed(text),
    }
}

/// Text without markup: paragraphs, and the lines of each.
fn plain(text: &str) -> String {
    let mut html = String::with_capacity(text.len() + text.len() / 8);
    let mut is_open = false;
    for line in text.lines() {
        if line.trim().is_empty() {
            if is_open {
                html.push_str("</p>\n");
            }
            is_open = false;
            continue;
        }
        html.push_str(if is_open { "<br>\n" } else { "<p>" });
        is_open = true;
        for character in line.chars() {
            match character {
                '&' => html.push_str("&amp;"),
                '<' => html.push_str("&lt;"),
                '>' => html.push_str("&gt;"),
                '"' => html.push_str("&quot;"),
                '\'' => html.push_str("&#39;"),
                other => html.push(other),
            }
        }
    }
    if is_open {
        html.push_str("</p>\n");
    }
    html
}
