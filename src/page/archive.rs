//! What there is, by its month and by its tag.

use maud::{Markup, html};

use super::Site;
use super::layout::{self, Head};
use super::lists::{encode, tag_path};
use super::wording::Wording;
use crate::core::page::Listed;
use crate::posts::list::TagSort;

/// Tags of a page.
pub const TAGS: u32 = 100;

/// The path of the posts of a month.
pub fn month_path(year: i64, month: i64) -> String {
    format!("/archive/{year:04}-{month:02}")
}

/// The months that have posts, the newest first: year, month, and how many.
pub fn months(site: &Site, wording: &Wording, months: &[(i64, i64, i64)]) -> String {
    let title = wording.say("archive.title");
    let head = Head {
        title: Some(title),
        description: Some(wording.fill("archive.about", &[("site", &site.title)])),
        path: Some("/archive".to_owned()),
        ..Head::default()
    };
    let years = months.chunk_by(|one, next| one.0 == next.0);
    let main = html! {
        header.list { h1 { (title) } }
        @if months.is_empty() { div.empty { p { (wording.say("list.empty")) } } }
        @for year in years {
            @if let Some((number, ..)) = year.first() {
                section aria-labelledby=(format!("year-{number}")) {
                    h2 id=(format!("year-{number}")) { (number) }
                    ul.rows.counted {
                        @for (year, month, posts) in year {
                            li {
                                a href=(site.at(&month_path(*year, *month))) { (wording.month(*month)) }
                                span.meta { (wording.count("list.posts", *posts)) }
                            }
                        }
                    }
                }
            }
        }
    };
    layout::document(site, wording, &head, &main)
}

/// A page of the tags.
pub struct TagsPage {
    /// What they begin with.
    pub beginning: String,
    pub sort: TagSort,
    /// From 1.
    pub number: i64,
    pub listed: Listed<(String, i64)>,
}

impl TagsPage {
    /// The path of another page, in this order or another one.
    fn path(&self, sort: TagSort, number: i64) -> String {
        let mut query = Vec::new();
        if !self.beginning.is_empty() {
            query.push(format!("q={}", encode(&self.beginning)));
        }
        if sort != TagSort::default() {
            query.push(format!("sort={}", sort.name()));
        }
        if number > 1 {
            query.push(format!("page={number}"));
        }
        if query.is_empty() {
            "/tags".to_owned()
        } else {
            format!("/tags?{}", query.join("&"))
        }
    }

    /// The document.
    pub fn render(&self, site: &Site, wording: &Wording) -> String {
        let (number, most) = (self.number, i64::from(TAGS));
        let title = wording.say("tags.title");
        let pages = self
            .listed
            .count
            .map_or(1, |count| ((count + most - 1) / most).max(1));
        let is_whole = self.beginning.is_empty();
        let head = Head {
            title: Some(title),
            description: is_whole.then(|| wording.fill("tags.about", &[("site", &site.title)])),
            path: is_whole.then(|| self.path(self.sort, number)),
            newer: (number > 1).then(|| self.path(self.sort, number - 1)),
            older: (number < pages).then(|| self.path(self.sort, number + 1)),
            ..Head::default()
        };
        let main = html! {
            header.list { h1 { (title) } }
            form.search role="search" action=(site.at("/tags")) method="get" {
                label for="tags-q" { (wording.say("tags.find")) }
                input type="search" id="tags-q" name="q" value=(self.beginning) maxlength="32" dir="auto";
                button type="submit" { (wording.say("search.submit")) }
            }
            (self.orders(site, wording))
            @if self.listed.rows.is_empty() {
                div.empty { p { (wording.say(if is_whole { "tags.empty" } else { "tags.none" })) } }
            } @else {
                ul.rows.counted {
                    @for (tag, posts) in &self.listed.rows {
                        li {
                            a href=(site.at(&tag_path(tag))) dir="auto" { (tag) }
                            span.meta { (wording.count("list.posts", *posts)) }
                        }
                    }
                }
            }
            (layout::pager(site, wording, &head, &wording.fill("list.page", &[("n", &number.to_string()), ("of", &pages.to_string())])))
        };
        layout::document(site, wording, &head, &main)
    }

    fn orders(&self, site: &Site, wording: &Wording) -> Markup {
        let order = |sort: TagSort, text: &str| {
            let current = (sort == self.sort).then_some("true");
            html! { a href=(site.at(&self.path(sort, 1))) aria-current=[current] { (text) } }
        };
        html! {
            p.ways {
                (order(TagSort::Posts, wording.say("tags.by_posts")))
                (order(TagSort::Name, wording.say("tags.by_name")))
            }
        }
    }
}
