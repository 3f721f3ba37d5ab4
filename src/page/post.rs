//! The document of a post.

use maud::{Markup, PreEscaped, html};

use super::Site;
use super::comments::{self, CommentsPage};
use super::layout::{self, Head};
use super::lists::{byline, post_path, shown, tag_path};
use super::wording::Wording;
use crate::core::clock::rfc3339;
use crate::posts::html as content;
use crate::posts::list::Neighbours;
use crate::posts::stored::{PostSummary, StoredPost};

/// The document; tens of milliseconds for a megabyte.
pub fn render(
    site: &Site,
    wording: &Wording,
    post: &StoredPost,
    page: &CommentsPage,
    around: &Neighbours,
) -> String {
    let summary = &post.summary;
    let head = Head {
        title: Some(&summary.title),
        description: shown(&summary.excerpt).map(str::to_owned),
        path: Some(post_path(summary)),
        post: Some(summary),
        newer: around.newer.as_ref().map(post_path),
        older: around.older.as_ref().map(post_path),
        page: "post",
        ..Head::default()
    };
    // The one text that is not escaped: the sanitizer has written it.
    let text = content::render(summary.post_id, summary.format(), &post.text);
    let main = html! {
        article.post {
            header {
                h1 dir="auto" { (summary.title) }
                (byline(site, wording, summary))
            }
            div.text dir="auto" { (PreEscaped(text)) }
            footer {
                @if !summary.tags().is_empty() {
                    ul.tags aria-label=(wording.say("post.tags")) {
                        @for tag in summary.tags() {
                            li { a rel="tag" href=(site.at(&tag_path(tag))) dir="auto" { (tag) } }
                        }
                    }
                }
                @if is_edited(summary) {
                    p.meta {
                        time datetime=(rfc3339(summary.updated)) {
                            (wording.fill("post.edited", &[("day", &wording.day(summary.updated))]))
                        }
                    }
                }
                (likes(wording, summary))
                p.buttons data-own data-post=(summary.post_id) data-author=(summary.author_id) hidden {
                    a.button.quiet href=(site.at(&format!("/write/{}", summary.post_id))) {
                        (wording.say("post.edit"))
                    }
                    button.quiet type="button" data-delete { (wording.say("post.delete")) }
                }
            }
        }
        (neighbours(site, wording, around))
        (comments::section(site, wording, summary, page))
    };
    layout::document(site, wording, &head, &main)
}

/// The ways to the posts before and after it.
fn neighbours(site: &Site, wording: &Wording, around: &Neighbours) -> Markup {
    let Neighbours { newer, older } = around;
    if newer.is_none() && older.is_none() {
        return html! {};
    }
    let way = |post: &PostSummary, text: &str| {
        html! {
            span { (text) }
            a href=(site.at(&post_path(post))) dir="auto" { (post.title) }
        }
    };
    html! {
        nav.around aria-label=(wording.say("post.around")) {
            @if let Some(post) = newer { p.newer { (way(post, wording.say("list.newer"))) } }
            @if let Some(post) = older { p.older { (way(post, wording.say("list.older"))) } }
        }
    }
}

/// How many like it, and the button for it, which waits for the modules.
fn likes(wording: &Wording, post: &PostSummary) -> Markup {
    let count = post.counts.likes;
    html! {
        p.buttons.likes {
            button.quiet type="button" data-like=(post.post_id) aria-pressed="false" disabled {
                (wording.say("post.like"))
            }
            span.meta data-likes=(count) aria-live="polite" {
                @if count > 0 { (wording.count("post.likes", count)) }
            }
        }
    }
}

/// Whether it is worth telling that a post was changed: not on the day it was published.
fn is_edited(post: &PostSummary) -> bool {
    post.updated.date() > post.date.date()
}
