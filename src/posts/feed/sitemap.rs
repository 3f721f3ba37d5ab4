//! The sitemap (<https://www.sitemaps.org/protocol.html>): all posts by their public links, in
//! pieces by their ids, so that a piece of old posts stays as it is.

use std::fmt::Write as _;

use chrono::NaiveDateTime;

use super::Blog;
use crate::core::clock::rfc3339;

/// Ids of a piece, and so posts at most: what the protocol allows.
pub const PIECE: i64 = 50_000;
/// Pieces of an index: what the protocol allows. 2.5 thousand million ids.
pub const PIECES_MAX: usize = 50_000;

/// Where it is.
pub const PATH: &str = "/sitemap.xml";

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n";
const NAMESPACE: &str = "http://www.sitemaps.org/schemas/sitemap/0.9";

/// A post in a sitemap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SitemapRow {
    pub post_id: i64,
    pub slug: Option<String>,
    pub updated: NaiveDateTime,
}

/// Whether there is any: where people read posts nowhere there is nothing to find.
pub fn is_there(blog: &Blog) -> bool {
    blog.post_url.is_some()
}

/// A piece.
pub fn write_piece(blog: &Blog, rows: &[SitemapRow]) -> String {
    let mut xml = format!("{HEAD}<urlset xmlns=\"{NAMESPACE}\">\n");
    for row in rows {
        let Some(url) = &blog.post_url else { break };
        let url = url.of(row.post_id, row.slug.as_deref());
        // Writing to a String cannot fail.
        let _ = writeln!(
            xml,
            "<url><loc>{}</loc><lastmod>{}</lastmod></url>",
            escaped(&url),
            rfc3339(row.updated)
        );
    }
    xml.push_str("</urlset>\n");
    xml
}

/// The index of several pieces.
pub fn write_index(blog: &Blog, pieces: &[i64]) -> String {
    let mut xml = format!("{HEAD}<sitemapindex xmlns=\"{NAMESPACE}\">\n");
    for piece in pieces {
        let url = blog.public_url.join(&format!("{PATH}?piece={piece}"));
        // Writing to a String cannot fail.
        let _ = writeln!(xml, "<sitemap><loc>{}</loc></sitemap>", escaped(&url));
    }
    xml.push_str("</sitemapindex>\n");
    xml
}

/// A URL in XML. Quotes do not matter between tags, and are escaped by URLs.
fn escaped(url: &str) -> String {
    url.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
