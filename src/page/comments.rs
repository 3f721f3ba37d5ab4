//! What is said to a post: comments, a page of them, and the places that the modules fill.

use std::collections::HashMap;

use maud::{Markup, PreEscaped, html};

use super::Site;
use super::lists::{author_path, encode, post_path};
use super::wording::Wording;
use crate::core::clock::rfc3339;
use crate::core::page::Listed;
use crate::posts::html as content;
use crate::posts::stored::PostSummary;
use crate::posts::types::Format;
use crate::social::types::StoredComment;

/// Comments of a page.
pub const SIZE: u32 = 50;

/// A page of the comments of a post.
pub struct CommentsPage {
    /// From 1.
    pub number: i64,
    pub listed: Listed<StoredComment>,
}

/// Where a comment is found, whatever page it is on.
fn comment_path(post: &PostSummary, comment_id: i64) -> String {
    format!("{}?comment={comment_id}", post_path(post))
}

/// A page of the comments of a post, as a path of this server.
pub fn page_path(post: &PostSummary, number: i64) -> String {
    let path = post_path(post);
    if number > 1 {
        format!("{path}?comments={number}")
    } else {
        path
    }
}

/// All of it; tens of milliseconds for the longest comments.
pub fn section(site: &Site, wording: &Wording, post: &PostSummary, page: &CommentsPage) -> Markup {
    let rows = &page.listed.rows;
    let here = Here {
        site,
        wording,
        post,
        shown: rows.iter().map(|row| (row.comment_id, row)).collect(),
    };
    let count = post.counts.comments;
    html! {
        section.comments id="comments" aria-labelledby="comments-title" data-comments {
            h2 id="comments-title" {
                @if count == 0 { (wording.say("comments.none")) }
                @else { (wording.count("comments.count", count)) }
            }
            @if !rows.is_empty() {
                ol { @for row in rows { (here.item(row)) } }
            }
            (here.pager(page))
            p.guest {
                a href=(site.at(&format!("/login?next={}", encode(&post_path(post))))) {
                    (wording.say("comments.login"))
                }
            }
            (form(wording))
        }
    }
}

/// What the parts of a page know of it.
struct Here<'a> {
    site: &'a Site,
    wording: &'a Wording,
    post: &'a PostSummary,
    shown: HashMap<i64, &'a StoredComment>,
}

impl Here<'_> {
    fn item(&self, comment: &StoredComment) -> Markup {
        let (id, wording) = (comment.comment_id, self.wording);
        let place = format!("comment-{id}");
        let (Some(author), Some(author_id), false) =
            (&comment.author, comment.author_id, comment.is_deleted())
        else {
            return html! {
                li.gone id=(place) tabindex="-1" { p.meta { (wording.say("comments.gone")) } }
            };
        };
        let path = author_path(author_id, comment.author_username.as_deref());
        // Written by the sanitizer, as the content of a post is.
        let text = content::render_at(&place, Format::Markdown, comment.content());
        html! {
            li id=(place) tabindex="-1" data-comment=(id) data-author=(author_id) {
                p.meta {
                    span {
                        a rel="author" href=(self.site.at(&path)) data-user=(author_id) { bdi { (author) } }
                    }
                    " · "
                    a href=(self.site.at(&comment_path(self.post, id))) rel="nofollow" {
                        time datetime=(rfc3339(comment.created)) { (wording.day(comment.created)) }
                    }
                    @if let Some(to) = comment.reply_to { " · " (self.reply(to)) }
                    @if comment.updated > comment.created {
                        " · " span data-edited { (wording.say("comments.edited")) }
                    }
                    span.tools data-tools {
                        button.link type="button" data-reply=(id) aria-label=(self.reply_label(author)) {
                            (wording.say("comments.reply"))
                        }
                    }
                }
                div.text dir="auto" { (PreEscaped(text)) }
            }
        }
    }

    fn reply_label(&self, author: &str) -> String {
        let values = [("name", author)];
        self.wording.fill("comments.reply_label", &values)
    }

    /// What a comment answers.
    fn reply(&self, to: i64) -> Markup {
        let wording = self.wording;
        let shown = self.shown.get(&to);
        let path = match shown {
            Some(_) => format!("#comment-{to}"),
            None => self.site.at(&comment_path(self.post, to)),
        };
        let name =
            shown.and_then(|comment| comment.author.as_ref().filter(|_| !comment.is_deleted()));
        html! {
            a href=(path) rel="nofollow" {
                @match name {
                    Some(name) => { (wording.say("comments.reply_to")) " " bdi { (name) } }
                    None => { (wording.say("comments.reply_to_other")) }
                }
            }
        }
    }

    fn pager(&self, page: &CommentsPage) -> Markup {
        let size = i64::from(SIZE);
        let pages = page
            .listed
            .count
            .map_or(1, |count| (count + size - 1) / size);
        if pages <= 1 {
            return html! {};
        }
        let (number, wording) = (page.number, self.wording);
        let path = |number| format!("{}#comments", self.site.at(&page_path(self.post, number)));
        let place = [("n", &*number.to_string()), ("of", &*pages.to_string())];
        html! {
            nav.pager aria-label=(wording.say("comments.pages")) {
                @if number > 1 {
                    a.newer href=(path(number - 1)) { (wording.say("comments.earlier")) }
                }
                span.meta { (wording.fill("list.page", &place)) }
                @if number < pages {
                    a.older href=(path(number + 1)) { (wording.say("comments.later")) }
                }
            }
        }
    }
}

/// Where one comments; hidden from guests.
fn form(wording: &Wording) -> Markup {
    html! {
        form.comment data-form="comment" novalidate method="dialog" {
            fieldset disabled {
                p.meta data-answered hidden {}
                input type="hidden" id="comment-reply_to" name="reply_to";
                p.error id="comment-reply_to-error" {}
                div.field {
                    label for="comment-content" { (wording.say("comments.label")) }
                    textarea id="comment-content" name="content" rows="4" required
                        aria-describedby="comment-content-help comment-content-error" dir="auto" {}
                    p.help id="comment-content-help" { (wording.say("comments.help")) }
                    p.error id="comment-content-error" {}
                }
                p.error data-error role="alert" {}
                p.buttons {
                    button type="submit" { (wording.say("comments.submit")) }
                    span.meta data-kept aria-live="polite" {}
                }
            }
        }
    }
}
