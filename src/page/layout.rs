//! What every document has: the head, the header with the ways through the site, the footer.

use maud::{DOCTYPE, Markup, html};

use super::Site;
use super::assets::Assets;
use super::wording::Wording;
use crate::core::clock::rfc3339;
use crate::posts::feed::Format;
use crate::posts::stored::PostSummary;

/// What a document says of itself.
#[derive(Default)]
pub struct Head<'a> {
    /// Without the site's.
    pub title: Option<&'a str>,
    pub description: Option<String>,
    /// Its one address, as a path of this server; none for what has no address of its own.
    pub path: Option<String>,
    /// The filter of the feed that goes with it, as a query string with its `?`.
    pub feed: String,
    /// Of a list, the neighbours as paths of this server.
    pub newer: Option<String>,
    pub older: Option<String>,
    /// A post that it is.
    pub post: Option<&'a PostSummary>,
    /// What somebody searched for, for the field in the header.
    pub is_search: bool,
    /// The module that works on it; empty where none does.
    pub page: &'static str,
}

/// The document around `main`.
pub fn document(site: &Site, wording: &Wording, head: &Head, main: &Markup) -> String {
    let is_home = head.path.as_deref() == Some("/");
    let markup = html! {
        (DOCTYPE)
        html lang=(wording.tag()) data-base=(site.at("")) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (full_title(site, wording, head)) }
                (described(site, wording, head))
                // Before anything is drawn, so that nothing jumps.
                script src=(site.at(&Assets::path("early.js"))) {}
                script type="module" src=(site.at(&Assets::path("main.js"))) {}
                link rel="stylesheet" href=(site.at(&Assets::path("style.css")));
                link rel="icon" type="image/svg+xml" href=(site.at(&Assets::path("icon.svg")));
                meta name="color-scheme" content="light dark";
            }
            body data-page=(head.page) {
                a.skip href="#main" { (wording.say("layout.skip")) }
                header.site {
                    @if is_home {
                        h1.name { a href=(site.at("/")) dir="auto" { (site.title) } }
                    } @else {
                        p.name { a href=(site.at("/")) dir="auto" { (site.title) } }
                    }
                    (ways(site, wording, head))
                }
                div.notices data-notices role="status" {}
                main id="main" tabindex="-1" { (main) }
                footer.site {
                    p {
                        a href=(site.at("/archive")) { (wording.say("archive.title")) }
                        " · " a href=(site.at("/tags")) { (wording.say("tags.title")) }
                        " · " a href=(format!("{}{}", site.at(Format::Atom.path()), head.feed)) {
                            (wording.say("layout.feed"))
                        }
                        " · " a href=(site.at("/docs")) { (wording.say("layout.docs")) }
                        " · " (wording.say("layout.powered"))
                    }
                }
            }
        }
    };
    markup.into_string()
}

/// The ways to the neighbours of a page of a list; `place` says where it is.
pub fn pager(site: &Site, wording: &Wording, head: &Head, place: &str) -> Markup {
    if head.newer.is_none() && head.older.is_none() {
        return html! {};
    }
    html! {
        nav.pager aria-label=(wording.say("list.pages")) {
            @if let Some(path) = &head.newer {
                a.newer rel="prev" href=(site.at(path)) { (wording.say("list.newer")) }
            }
            span.meta { (place) }
            @if let Some(path) = &head.older {
                a.older rel="next" href=(site.at(path)) { (wording.say("list.older")) }
            }
        }
    }
}

/// The ways through the site: for guests, and for who is logged in as far as the browser knows.
fn ways(site: &Site, wording: &Wording, head: &Head) -> Markup {
    let way = |path: &str, text: &str| {
        html! { a href=(site.at(path)) { (text) } }
    };
    html! {
        nav aria-label=(wording.say("layout.menu")) {
            @if !head.is_search { (way("/search", wording.say("layout.search"))) }
            (way("/people", wording.say("layout.people")))
            span.out {
                (way("/login", wording.say("layout.login")))
                @if site.is_open { (way("/register", wording.say("layout.register"))) }
            }
            span.in {
                (way("/write", wording.say("layout.write")))
                a href=(site.at("/me")) title=(wording.say("me.title")) data-user-name {}
                a.admin href=(site.at("/admin")) { (wording.say("layout.admin")) }
                button.link type="button" data-log-out { (wording.say("layout.logout")) }
            }
        }
    }
}

fn full_title(site: &Site, wording: &Wording, head: &Head) -> String {
    head.title.map_or_else(
        || site.title.clone(),
        |what| wording.fill("list.title", &[("what", what), ("site", &site.title)]),
    )
}

/// What machines read: search engines, previews of links, feed readers.
fn described(site: &Site, wording: &Wording, head: &Head) -> Markup {
    let url = canonical(site, head);
    let feed = |format: Format| format!("{}{}", site.at(format.path()), head.feed);
    let (title, kind) = (head.title.unwrap_or(&site.title), kind_of(head));
    html! {
        @if let Some(text) = &head.description {
            meta name="description" content=(text);
            meta property="og:description" content=(text);
        }
        @if let Some(url) = &url {
            link rel="canonical" href=(url);
            meta property="og:url" content=(url);
            meta property="og:title" content=(title);
            meta property="og:type" content=(kind);
            meta property="og:site_name" content=(site.title);
        } @else {
            meta name="robots" content="noindex";
        }
        @if let Some(post) = head.post {
            meta name="author" content=(post.author);
            meta property="article:published_time" content=(rfc3339(post.date));
            meta property="article:modified_time" content=(rfc3339(post.updated));
            @for tag in post.tags() { meta property="article:tag" content=(tag); }
        }
        @if let Some(path) = &head.newer { link rel="prev" href=(site.at(path)); }
        @if let Some(path) = &head.older { link rel="next" href=(site.at(path)); }
        @for format in [Format::Atom, Format::Json] {
            link rel="alternate" type=(format.media_type()) title=(site.title) href=(feed(format));
        }
        @if let Some(post) = head.post {
            @let title = wording.fill("list.title", &[("what", &post.title), ("site", &site.title)]);
            @for format in [Format::Atom, Format::Json] {
                link rel="alternate" type=(format.media_type()) title=(title)
                    href=(site.at(&format.path_of_comments(post.post_id)));
            }
        }
    }
}

/// The one address of what is shown: of a post that where people read posts.
fn canonical(site: &Site, head: &Head) -> Option<String> {
    let post = head.post.zip(site.post_url.as_ref());
    match post {
        Some((post, url)) => Some(url.of(post.post_id, post.slug.as_deref())),
        None => (head.path.as_ref()).map(|path| site.public_url.join(path)),
    }
}

fn kind_of(head: &Head) -> &'static str {
    if head.post.is_some() {
        "article"
    } else {
        "website"
    }
}
