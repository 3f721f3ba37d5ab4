//! Documents with many posts: the newest, an author's, those with a tag, what was searched for.

use maud::{Markup, html};

use super::Site;
use super::archive::month_path;
use super::layout::{self, Head};
use super::wording::Wording;
use crate::accounts::types::PublicUser;
use crate::core::clock::rfc3339;
use crate::core::page::Listed;
use crate::posts::list::Cursor;
use crate::posts::stored::{Excerpt, PostSummary};
use crate::posts::types::Tag;

/// Posts of a page.
pub const SIZE: u32 = 10;

/// Which list it is.
#[derive(Clone, Debug)]
pub enum Which {
    Newest,
    Author(PublicUser),
    Tag(Tag),
    Month {
        year: i32,
        /// From 1.
        month: u32,
    },
    /// With words, as they were written; they may be too many to look for.
    Search {
        words: String,
        is_too_long: bool,
    },
}

/// A page of a list.
pub struct ListPage {
    pub which: Which,
    /// From 1.
    pub number: i64,
    pub listed: Listed<PostSummary, Cursor>,
    /// The last word of a search, where it was found as a beginning alone.
    pub beginning: Option<String>,
}

/// Nothing, of a list that was not read.
pub fn nothing<T, C>() -> Listed<T, C> {
    Listed {
        rows: Vec::new(),
        count: None,
        next: None,
    }
}

/// Segments of paths, and values of query strings.
pub fn encode(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes())
        .collect::<String>()
        .replace('+', "%20")
}

/// The path of an author's posts.
pub fn author_path(user_id: i64, username: Option<&str>) -> String {
    match username {
        Some(name) => format!("/@{}", encode(name)),
        None => format!("/u/{user_id}"),
    }
}

/// The path of the posts with a tag.
pub fn tag_path(tag: &str) -> String {
    format!("/t/{}", encode(tag))
}

/// The path of a post: by its slug, or by its id until it has one.
pub fn post_path(post: &PostSummary) -> String {
    match &post.slug {
        Some(slug) => format!("/p/{slug}"),
        None => format!("/p/{}", post.post_id),
    }
}

impl Which {
    /// The path of its first page, and the parameters that all pages have.
    fn address(&self) -> (String, Option<String>) {
        match self {
            Self::Newest => ("/".to_owned(), None),
            Self::Author(user) => (author_path(user.user_id, user.username.as_deref()), None),
            Self::Tag(tag) => (tag_path(&tag.0), None),
            Self::Month { year, month } => (month_path(i64::from(*year), i64::from(*month)), None),
            Self::Search { words, .. } => {
                let words = (!words.is_empty()).then(|| format!("q={}", encode(words)));
                ("/search".to_owned(), words)
            }
        }
    }

    /// The path of a page of it.
    fn path(&self, number: i64) -> String {
        let (path, words) = self.address();
        let number = (number > 1).then(|| format!("page={number}"));
        let query: Vec<String> = words.into_iter().chain(number).collect();
        if query.is_empty() {
            path
        } else {
            format!("{path}?{}", query.join("&"))
        }
    }

    /// The filter of its feed.
    fn feed(&self) -> String {
        match self {
            Self::Newest | Self::Month { .. } | Self::Search { .. } => String::new(),
            Self::Author(user) => format!("?author={}", user.user_id),
            Self::Tag(tag) => format!("?tag={}", encode(&tag.0)),
        }
    }

    fn title(&self, wording: &Wording) -> Option<String> {
        match self {
            Self::Newest => None,
            Self::Author(user) => Some(user.name.clone()),
            Self::Tag(tag) => Some(wording.fill("list.tag_posts", &[("tag", &tag.0)])),
            Self::Month { year, month } => {
                let month = wording.month(i64::from(*month));
                let year = year.to_string();
                Some(wording.fill("date.month", &[("month", month), ("year", &year)]))
            }
            Self::Search { words, .. } if words.is_empty() => {
                Some(wording.say("search.title").to_owned())
            }
            Self::Search { words, .. } => Some(wording.fill("search.some", &[("words", words)])),
        }
    }

    fn description(&self, site: &Site, wording: &Wording) -> String {
        match self {
            Self::Author(user) => user.bio.as_ref().map_or_else(
                || wording.fill("list.author_posts", &[("name", &user.name)]),
                |bio| bio.split_whitespace().collect::<Vec<_>>().join(" "),
            ),
            Self::Tag(tag) => wording.fill("list.tag_posts", &[("tag", &tag.0)]),
            Self::Month { .. } => wording.fill("archive.about", &[("site", &site.title)]),
            _ => wording.fill("list.newest", &[("site", &site.title)]),
        }
    }
}

impl ListPage {
    /// All pages, where they can be told.
    fn pages(&self) -> Option<i64> {
        let size = i64::from(SIZE);
        (self.listed.count).map(|count| ((count + size - 1) / size).max(1))
    }

    fn has_older(&self) -> bool {
        self.pages()
            .map_or(self.listed.next.is_some(), |pages| self.number < pages)
    }

    /// The document.
    pub fn render(&self, site: &Site, wording: &Wording) -> String {
        let number = self.number;
        let title = self.which.title(wording);
        let is_search = matches!(self.which, Which::Search { .. });
        let head = Head {
            title: title.as_deref(),
            description: (!is_search).then(|| self.which.description(site, wording)),
            path: (!is_search).then(|| self.which.path(number)),
            feed: self.which.feed(),
            newer: (number > 1).then(|| self.which.path(number - 1)),
            older: self.has_older().then(|| self.which.path(number + 1)),
            post: None,
            is_search,
            page: if matches!(self.which, Which::Author(_)) {
                "author"
            } else {
                ""
            },
        };
        let main = html! {
            (self.heading(site, wording, title.as_deref()))
            @if self.listed.rows.is_empty() {
                (self.empty(site, wording))
            } @else {
                div.posts { @for post in &self.listed.rows { (item(site, wording, post)) } }
            }
            (self.pager(site, wording, &head))
        };
        layout::document(site, wording, &head, &main)
    }

    fn heading(&self, site: &Site, wording: &Wording, title: Option<&str>) -> Markup {
        match &self.which {
            Which::Newest => html! {
                (views(site, wording, false))
                h2.unseen { (wording.say("list.first")) }
            },
            Which::Author(user) => html! {
                header.list {
                    @if let Some(image) = &user.image {
                        img.portrait src=(image) alt="" width="96" height="96" referrerpolicy="no-referrer";
                    }
                    h1 dir="auto" data-user=(user.user_id) { (user.name) }
                    p.meta {
                        @if let Some(name) = &user.username { span { "@" (name) } " · " }
                        (wording.count("list.posts", user.posts)) " · "
                        (wording.fill("list.since", &[("day", &wording.day(user.created))]))
                    }
                    @if let Some(bio) = &user.bio { p.bio dir="auto" { (bio) } }
                    p.meta {
                        span data-followers { (wording.count("list.followers", user.follows.followers)) } " · "
                        (wording.fill("list.follows", &[("n", &user.follows.following.to_string())]))
                    }
                    p.buttons.follow {
                        button.quiet type="button" disabled data-follow=(user.user_id) {
                            (wording.say("follow.begin"))
                        }
                    }
                }
            },
            Which::Tag(_) | Which::Month { .. } => html! {
                header.list {
                    h1 dir="auto" { @if let Some(title) = title { (title) } }
                    @if let Some(count) = self.listed.count {
                        p.meta { (wording.count("list.posts", count)) }
                    }
                }
            },
            Which::Search { words, is_too_long } => html! {
                header.list {
                    h1 { (wording.say("search.title")) }
                    form.search role="search" action=(site.at("/search")) method="get" {
                        label for="q" { (wording.say("search.label")) }
                        input type="search" id="q" name="q" value=(words) maxlength="500"
                            aria-describedby="search-help" dir="auto";
                        button type="submit" { (wording.say("search.submit")) }
                    }
                    p.meta id="search-help" {
                        @if *is_too_long { (wording.say("search.too_long")) }
                        @else if words.is_empty() { (wording.say("search.ask")) }
                        @else if self.listed.count == Some(0) {}
                        @else if let Some(count) = self.listed.count {
                            (Self::found(wording, words, count))
                        } @else { (wording.fill("search.some", &[("words", words)])) }
                    }
                    @if let Some(word) = &self.beginning {
                        p.meta { (wording.fill("search.beginning", &[("word", word)])) }
                    }
                }
            },
        }
    }

    fn found(wording: &Wording, words: &str, count: i64) -> String {
        if count == 1 {
            return wording.fill("search.found.one", &[("words", words)]);
        }
        let number = count.to_string();
        wording.fill("search.found.many", &[("n", &number), ("words", words)])
    }

    /// What stands in place of posts.
    fn empty(&self, site: &Site, wording: &Wording) -> Markup {
        let none = |name| wording.say(name).to_owned();
        // With what to do: a text, and the way on.
        let (text, hint, way) = match &self.which {
            Which::Newest => (
                none("list.empty"),
                Some(wording.say("list.empty_hint")),
                ("/admin", "list.setup"),
            ),
            Which::Author(user) => (
                wording.fill("list.author_empty", &[("name", &user.name)]),
                None,
                ("/", "problem.home"),
            ),
            Which::Tag(_) => (none("list.tag_empty"), None, ("/tags", "list.all_tags")),
            Which::Month { .. } => (none("archive.empty"), None, ("/archive", "list.all_months")),
            Which::Search { words, is_too_long } if words.is_empty() || *is_too_long => {
                return html! {};
            }
            Which::Search { .. } => (
                none("search.none"),
                Some(wording.say("search.none_hint")),
                ("/tags", "list.all_tags"),
            ),
        };
        html! {
            div.empty {
                p { (text) }
                @if let Some(hint) = hint { p.meta { (hint) } }
                @if matches!(self.which, Which::Newest) {
                    p.in { a.button href=(site.at("/write")) { (wording.say("list.write")) } }
                }
                p.meta { a href=(site.at(way.0)) { (wording.say(way.1)) } }
            }
        }
    }

    fn pager(&self, site: &Site, wording: &Wording, head: &Head) -> Markup {
        let number = self.number.to_string();
        let place = match self.pages() {
            Some(pages) => wording.fill("list.page", &[("n", &number), ("of", &pages.to_string())]),
            None => wording.fill("list.page_alone", &[("n", &number)]),
        };
        layout::pager(site, wording, head, &place)
    }
}

/// The ways to look at the newest posts, for who is logged in as far as the browser knows.
pub fn views(site: &Site, wording: &Wording, are_followed: bool) -> Markup {
    let view = |path: &str, name: &str, is_here: bool| {
        html! {
            a href=(site.at(path)) aria-current=[is_here.then_some("page")] { (wording.say(name)) }
        }
    };
    html! {
        nav.views aria-label=(wording.say("list.views")) {
            (view("/", "list.all", !are_followed))
            (view("/following", "following.title", are_followed))
        }
    }
}

fn item(site: &Site, wording: &Wording, post: &PostSummary) -> Markup {
    html! {
        article {
            h2 dir="auto" { a href=(site.at(&post_path(post))) { (post.title) } }
            (byline(site, wording, post))
            @if let Some(text) = shown(&post.excerpt) { p.teaser dir="auto" { (text) } }
        }
    }
}

/// What a post is about, where there is something to say.
pub fn shown(excerpt: &Excerpt) -> Option<&str> {
    excerpt.text.as_deref().filter(|text| !text.is_empty())
}

/// Who wrote a post, and when.
pub fn byline(site: &Site, wording: &Wording, post: &PostSummary) -> Markup {
    let author = author_path(post.author_id, post.author_username.as_deref());
    html! {
        p.meta {
            span { (wording.say("list.by")) " "
                a rel="author" href=(site.at(&author)) data-user=(post.author_id) { bdi { (post.author) } } }
            " · "
            time datetime=(rfc3339(post.date)) { (wording.day(post.date)) }
        }
    }
}
