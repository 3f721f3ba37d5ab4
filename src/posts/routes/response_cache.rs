//! The response cache of posts, lists and feeds: the key of each response, the cache tags
//! of what it was made of, and the tags that an event invalidates.

use std::fmt::Write as _;
use std::sync::Arc;

use actix_web::dev::ServiceRequest;

use crate::accounts::types::Username;
use crate::core::cache::invalidation::CacheTag;
use crate::core::page::{ListPart, PageRequest};
use crate::http::cached_response;
use crate::http::middleware::Hit;
use crate::http::path::parse_id;
use crate::http::response_cache::patience;
pub use crate::http::response_cache::{CacheKey, ResponseCache, respond, respond_from_anywhere};
use crate::posts::events::PostState;
use crate::posts::list::{Cursor, Filter, Neighbours};
use crate::posts::search::Query;
use crate::posts::slug::{is_reserved, is_slug};

/// What writes change and responses are made of; each is a cache tag.
#[derive(Hash)]
enum Dependency<'a> {
    Post(i64),
    /// What is counted of a post.
    CountsOf(i64),
    Slug(&'a str),
    AllPosts,
    PostsOf(i64),
    PostsWith(&'a str),
    /// Whether posts stand there in the list of all: the block of this number of positions, which are so many bits wide.
    Positions(u32, i64),
    /// The same wherever, of a program that does not tell.
    AnyPosition,
    /// Whatever there is: names of authors are in every response.
    Anything,
}

impl CacheKey {
    /// That of a published post with its content as HTML.
    pub fn of_html(post_id: i64) -> Self {
        Self::other(&format!("html of {post_id}"))
    }

    /// That of the document of a published post in that language; `name`: its id or slug, of which
    /// none is written like the other.
    pub fn of_document(language: &str, name: &str) -> Self {
        Self::other(&format!("document of {name} in {language}"))
    }

    /// The same by its slug.
    pub fn of_html_by_slug(slug: &str) -> Self {
        Self::other(&format!("html of slug {slug}"))
    }

    /// The same of a list whose author a request names: two names are two keys, whoever has them.
    pub fn of_list_by(
        kind: &str,
        filter: &Filter,
        by_name: Option<&Username>,
        part: ListPart<Cursor>,
    ) -> Self {
        match by_name {
            None => Self::of_list(kind, filter, part),
            Some(name) => Self::of_list(&format!("{kind} by @{}", name.key), filter, part),
        }
    }

    /// That of the sitemap, or of a piece of it.
    pub fn of_sitemap(piece: Option<i64>) -> Self {
        Self::other(&format!("sitemap {piece:?}"))
    }

    /// That of a part of a list; `kind` tells lists and feeds apart.
    pub fn of_list(kind: &str, filter: &Filter, part: ListPart<Cursor>) -> Self {
        if let (true, "list", ListPart::Page(request)) = (filter.is_open(), kind, part) {
            return Self::Page(request);
        }
        let Filter {
            author,
            tags,
            words,
            drafts_of,
            followed_by,
            dates,
            sort,
        } = filter;
        let words = words.as_ref().map(Query::canonical);
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "{kind} {author:?} {tags:?} {words:?} {drafts_of:?} {followed_by:?} {dates:?} {sort:?} {part:?}"
        );
        Self::other(&text)
    }

    /// That of a request in its plainest spelling, and its route: what is asked for
    /// most, told without the router. Any other request goes its way.
    pub fn of_path(path: &str, query: &str) -> Option<(Self, &'static str)> {
        let rest = path.strip_prefix("/post")?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if let Some(id) = rest.strip_prefix('/') {
            if !query.is_empty() {
                return None;
            }
            let key = match parse_id(id) {
                Some(id) => Self::Post(id),
                None if is_slug(id) && !is_reserved(id) => Self::Slug(id.into()),
                None => return None,
            };
            return Some((key, "/post/{id}"));
        }
        let (mut pages, mut sizes) = (0, 0);
        let mut is_plain = |pair: &str| {
            pages += u32::from(pair.starts_with("page="));
            sizes += u32::from(pair.starts_with("size="));
            pair.starts_with("page=") || pair.starts_with("size=")
        };
        if !rest.is_empty() || !(query.is_empty() || query.split('&').all(&mut is_plain)) {
            return None;
        }
        if pages > 1 || sizes > 1 {
            return None;
        }
        Some((Self::Page(PageRequest::of_query(query)), "/post"))
    }
}

/// The cache tags of a post.
pub fn tags_of_post(post_id: i64) -> Vec<CacheTag> {
    vec![
        CacheTag::of(&Dependency::Post(post_id)),
        CacheTag::of(&Dependency::CountsOf(post_id)),
        CacheTag::of(&Dependency::Anything),
    ]
}

/// The cache tags of the posts that a part of a list shows, beside those of the list: of what is
/// counted of each. So a like invalidates the pages that show the post, and no others.
pub fn tags_of_items(post_ids: &[i64]) -> impl Iterator<Item = CacheTag> {
    (post_ids.iter()).map(|id| CacheTag::of(&Dependency::CountsOf(*id)))
}

/// The cache tags of what a slug leads to: of the post that has it, if one has.
pub fn tags_of_slug(slug: &str, post_id: Option<i64>) -> Vec<CacheTag> {
    let mut tags = vec![
        CacheTag::of(&Dependency::Slug(slug)),
        CacheTag::of(&Dependency::Anything),
    ];
    tags.extend(post_id.map(|id| CacheTag::of(&Dependency::Post(id))));
    tags
}

/// The cache tags of a part of a list.
pub fn tags_of_list(filter: &Filter) -> Vec<CacheTag> {
    let list = match (filter.author, filter.tags.first()) {
        (Some(author), _) => Dependency::PostsOf(author),
        // Whatever comes or goes has all of its tags.
        (None, Some(tag)) => Dependency::PostsWith(&tag.0),
        (None, None) => Dependency::AllPosts,
    };
    vec![CacheTag::of(&list), CacheTag::of(&Dependency::Anything)]
}

/// Widths of the blocks of positions, which are microseconds, in bits: from a tenth of a second to a year. What comes between two
/// posts is told by one or two of them.
const BLOCKS: [u32; 9] = [16, 24, 27, 30, 33, 36, 39, 42, 45];

/// The cache tags of the neighbours of a post at a position, in the list of all: of each of them, and of what may come
/// between. So what comes or goes elsewhere leaves them; before the newest post that is whatever comes or goes.
pub fn tags_of_neighbours(position: i64, around: &Neighbours) -> Vec<CacheTag> {
    let Neighbours { newer, older } = around;
    let mut tags = vec![
        CacheTag::of(&Dependency::AnyPosition),
        CacheTag::of(&Dependency::Anything),
    ];
    let shown = [newer, older].into_iter().flatten();
    tags.extend(shown.map(|post| CacheTag::of(&Dependency::Post(post.post_id))));
    // None is below.
    let below = older.as_ref().map_or(0, |post| post.position);
    tags.extend(tags_between(below, position));
    match newer {
        Some(newer) => tags.extend(tags_between(position, newer.position)),
        None => tags.push(CacheTag::of(&Dependency::AllPosts)),
    }
    tags
}

/// The cache tags of the positions between two.
fn tags_between(low: i64, high: i64) -> Vec<CacheTag> {
    let (first, last) = (low.saturating_add(1), high.saturating_sub(1));
    if first > last {
        return Vec::new();
    }
    let bits = (BLOCKS.into_iter()).find(|bits| (last >> bits) - (first >> bits) <= 1);
    bits.map_or_else(
        || vec![CacheTag::of(&Dependency::AllPosts)],
        |bits| {
            let mut blocks = vec![first >> bits, last >> bits];
            blocks.dedup();
            let tag = |block| CacheTag::of(&Dependency::Positions(bits, block));
            blocks.into_iter().map(tag).collect()
        },
    )
}

/// The cache tag of whatever there is.
pub fn tag_of_anything() -> CacheTag {
    CacheTag::of(&Dependency::Anything)
}

/// Invalidates the responses with a post, and with the lists that it is or was in.
pub fn post_changed(cache: &ResponseCache, states: &[PostState]) {
    let mut tags = Vec::new();
    for state in states {
        tags.push(CacheTag::of(&Dependency::Post(state.post_id)));
        tags.extend((state.slug.iter()).map(|slug| CacheTag::of(&Dependency::Slug(slug))));
        // Drafts are in no response that is kept.
        if state.published {
            tags.push(CacheTag::of(&Dependency::AllPosts));
            tags.push(CacheTag::of(&Dependency::PostsOf(state.author_id)));
            for tag in &state.tags {
                tags.push(CacheTag::of(&Dependency::PostsWith(tag)));
            }
            match state.position {
                Some(position) => tags.extend(
                    BLOCKS.map(|bits| CacheTag::of(&Dependency::Positions(bits, position >> bits))),
                ),
                None => tags.push(CacheTag::of(&Dependency::AnyPosition)),
            }
        }
    }
    cache.invalidate(&tags);
}

/// Invalidates the responses that show what is counted of these posts.
pub fn posts_counted(cache: &ResponseCache, post_ids: &[i64]) {
    let tags: Vec<CacheTag> = tags_of_items(post_ids).collect();
    cache.invalidate(&tags);
}

/// Invalidates every response.
pub fn anything_changed(cache: &ResponseCache) {
    cache.invalidate(&[CacheTag::of(&Dependency::Anything)]);
}

/// The cached response to a GET in its plainest spelling, if it is there: what is asked
/// for most goes round the router.
pub fn lookup(cache: Arc<ResponseCache>, request: &ServiceRequest) -> Option<Hit<'_>> {
    let (key, route) = CacheKey::of_path(request.path(), request.query_string())?;
    let headers = request.headers();
    let entry = cache.get_by(&key, || patience(headers))?;
    let response = async move { cached_response::respond(&cache, &key, &entry, headers).await };
    Some(Hit {
        route,
        response: Box::pin(response),
    })
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDateTime;

    use super::*;
    use crate::posts::list::{Dates, Sort};
    use crate::posts::types::Tag;

    #[test]
    fn plain_requests_are_told_without_the_router() {
        let page = |page, size| Some((CacheKey::Page(PageRequest { page, size }), "/post"));
        let post = |id| Some((CacheKey::Post(id), "/post/{id}"));
        let slug = |slug: &str| Some((CacheKey::Slug(slug.into()), "/post/{id}"));
        for (path, query, expected) in [
            ("/post/1", "", post(1)),
            ("/post/1/", "", post(1)),
            ("/post/9223372036854775807", "", post(i64::MAX)),
            ("/post/1", "x=y", None),
            ("/post/", "page=1&size=2&page=1", None),
            ("/post", "", page(1, 20)),
            ("/post/", "", page(1, 20)),
            ("/post/", "page=3&size=7", page(3, 7)),
            ("/post", "size=1000", page(1, 100)),
            ("/post/", "page=x", page(1, 20)),
            ("/post/01", "", None),
            ("/post/0", "", None),
            ("/post//", "", None),
            ("/post/%31", "", None),
            ("/posts", "", None),
            ("/post/1/2", "", None),
            ("/post/a-b", "", slug("a-b")),
            ("/post/a-b/", "", slug("a-b")),
            ("/post/a-b", "x=y", None),
            ("/post/A", "", None),
            ("/post/archive", "", None),
            ("/post/pub", "", None),
            ("/post/", "page=1&tag=x", None),
            ("/post/", "%70age=2", None),
            ("/post/", "before=", None),
            ("/post/", "status=draft", None),
            ("/post/", "&", None),
        ] {
            assert_eq!(CacheKey::of_path(path, query), expected, "{path}?{query}");
        }
    }

    /// Of whatever width: what is told of a position reaches what depends on it, and of the others few.
    #[test]
    fn what_comes_between_two_posts_is_told() {
        for (low, high) in [
            (7, 8),
            (7, 9),
            (7, 10),
            (7, 30),
            (0, 1000),
            (100, 70_000),
            (-5, 3),
            (5, 1 << 40),
            (1 << 55, (1 << 55) + (1 << 20)),
            (1 << 55, (1 << 55) + (1 << 43)),
            (1 << 55, (1 << 55) + (1 << 50)),
        ] {
            let tags = tags_between(low, high);
            assert!(tags.len() <= 2, "{low} {high}");
            let is_told = |position: i64| {
                let told =
                    BLOCKS.map(|bits| CacheTag::of(&Dependency::Positions(bits, position >> bits)));
                let all = CacheTag::of(&Dependency::AllPosts);
                tags.iter().any(|tag| *tag == all || told.contains(tag))
            };
            let inside = [low + 1, low + (high - low) / 2, high - 1];
            for position in inside.into_iter().filter(|at| low < *at && *at < high) {
                assert!(is_told(position), "{low} {position} {high}");
            }
        }
        assert_eq!(tags_between(7, 8), []);
        assert_eq!(tags_between(7, 9).len(), 1);
    }

    #[test]
    fn everything_that_is_asked_for_makes_another_key() {
        let words = |text: &str| Some(Query::parse(text).unwrap());
        let part = ListPart::Page(PageRequest { page: 1, size: 20 });
        let below = |position: Option<i64>| ListPart::Below {
            position: position.map(Cursor::Position),
            size: 20,
        };
        let dated = |since| Filter {
            dates: Dates { since, until: None },
            ..Filter::default()
        };
        let open = Filter::default;
        let keys = [
            CacheKey::of_list("list", &open(), part),
            CacheKey::of_list("atom", &open(), part),
            CacheKey::of_list("list with content", &open(), part),
            CacheKey::of_list("list with html", &open(), part),
            CacheKey::of_html(1),
            CacheKey::of_html(2),
            CacheKey::of_document("en", "1"),
            CacheKey::of_document("zh", "1"),
            CacheKey::of_document("zh", "a"),
            CacheKey::of_html_by_slug("a"),
            CacheKey::of_sitemap(None),
            CacheKey::of_sitemap(Some(0)),
            CacheKey::Slug("a".into()),
            CacheKey::Slug("b".into()),
            CacheKey::of_list("list", &open(), below(None)),
            CacheKey::of_list("list", &open(), below(Some(7))),
            CacheKey::of_list("list by @ann-smith", &open(), part),
            CacheKey::of_list("list", &dated(Some(NaiveDateTime::default())), part),
            CacheKey::of_list(
                "list",
                &Filter {
                    sort: Sort::Oldest,
                    ..open()
                },
                part,
            ),
            CacheKey::of_list(
                "list",
                &Filter {
                    tags: vec![Tag("a".to_owned()), Tag("b".to_owned())],
                    ..open()
                },
                part,
            ),
            CacheKey::of_list(
                "list",
                &Filter {
                    author: Some(7),
                    ..open()
                },
                part,
            ),
            CacheKey::of_list(
                "list",
                &Filter {
                    drafts_of: Some(7),
                    ..open()
                },
                part,
            ),
            CacheKey::of_list(
                "list",
                &Filter {
                    followed_by: Some(7),
                    ..open()
                },
                part,
            ),
            CacheKey::of_list(
                "list",
                &Filter {
                    words: words("a b"),
                    ..open()
                },
                part,
            ),
            CacheKey::of_list(
                "list",
                &Filter {
                    words: words("\"a b\""),
                    ..open()
                },
                part,
            ),
        ];
        for (n, key) in keys.iter().enumerate() {
            assert!(!keys[..n].contains(key), "{n}");
        }
    }
}
