//! The document of a post.

use maud::{PreEscaped, html};

use super::Site;
use super::layout::{self, Head};
use super::lists::{byline, post_path, shown, tag_path};
use super::wording::Wording;
use crate::core::clock::rfc3339;
use crate::posts::html as content;
use crate::posts::stored::{PostSummary, StoredPost};

/// The document; tens of milliseconds for a megabyte.
pub fn render(site: &Site, wording: &Wording, post: &StoredPost) -> String {
    let summary = &post.summary;
    let head = Head {
        title: Some(&summary.title),
        description: shown(&summary.excerpt).map(str::to_owned),
        path: Some(post_path(summary)),
        post: Some(summary),
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
                p.buttons data-tools data-post=(summary.post_id) data-author=(summary.author_id) hidden {
                    a.button.quiet href=(site.at(&format!("/write/{}", summary.post_id))) {
                        (wording.say("post.edit"))
                    }
                    button.quiet type="button" data-delete { (wording.say("post.delete")) }
                }
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
            }
        }
    };
    layout::document(site, wording, &head, &main)
}

/// Whether it is worth telling that a post was changed: not on the day it was published.
fn is_edited(post: &PostSummary) -> bool {
    post.updated.date() > post.date.date()
}
