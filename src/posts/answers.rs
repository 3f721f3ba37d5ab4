//! Finished answers about posts: under which key each is kept, what it was made of,
//! and what a write changes.

use std::fmt::Write as _;
use std::sync::Arc;

use actix_web::dev::ServiceRequest;
use sha2::{Digest, Sha256};

use super::Posts;
use super::events::PostState;
use super::lists::{Filter, Part};
use super::store::PostHead;
use crate::core::cache::Cache;
use crate::core::cache::changes::Source;
use crate::core::db::DbError;
use crate::http::cached_response;
use crate::http::middleware::Hit;
use crate::http::page::PageRequest;
use crate::http::path::parse_id;

/// The finished answers of a process.
pub type Answers = Cache<Key>;

/// What an answer is asked for by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// A published post.
    Post(i64),
    /// A page of all posts.
    Page(PageRequest),
    /// Any other list or feed, by a hash of all that it was asked for with.
    Other([u8; 16]),
}

/// What writes change and answers are made of.
#[derive(Hash)]
enum Made<'a> {
    Post(i64),
    AllPosts,
    PostsOf(i64),
    PostsWith(&'a str),
    /// Whatever there is: names of authors are in every answer.
    Anything,
}

impl Key {
    /// That of a part of a list; `kind` tells lists and feeds apart.
    pub fn of_list(kind: &str, filter: &Filter, part: Part) -> Self {
        if let (true, "list", Part::Page(request)) = (filter.is_open(), kind, part) {
            return Self::Page(request);
        }
        let Filter {
            author,
            tag,
            words,
            drafts_of,
        } = filter;
        let words = words.as_ref().map(super::search::Query::canonical);
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "{kind} {author:?} {tag:?} {words:?} {drafts_of:?} {part:?}"
        );
        let digest: [u8; 32] = Sha256::digest(text).into();
        let mut short = [0; 16];
        short.copy_from_slice(&digest[..16]);
        Self::Other(short)
    }

    /// That of a request in its plainest spelling, and its route: what is asked for
    /// most, told without the router. Any other request goes its way.
    pub fn of_path(path: &str, query: &str) -> Option<(Self, &'static str)> {
        let rest = path.strip_prefix("/post")?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if let Some(id) = rest.strip_prefix('/') {
            return Some((Self::Post(parse_id(id)?), "/post/{id}"));
        }
        let is_plain = |pair: &str| pair.starts_with("page=") || pair.starts_with("size=");
        if !rest.is_empty() || !(query.is_empty() || query.split('&').all(is_plain)) {
            return None;
        }
        Some((Self::Page(PageRequest::of_query(query)), "/post"))
    }
}

/// What the answer with a post was made of.
pub fn sources_of_post(post_id: i64) -> Vec<Source> {
    vec![
        Source::of(&Made::Post(post_id)),
        Source::of(&Made::Anything),
    ]
}

/// What a part of a list was made of.
pub fn sources_of_list(filter: &Filter) -> Vec<Source> {
    let list = match (filter.author, &filter.tag) {
        (Some(author), _) => Made::PostsOf(author),
        (None, Some(tag)) => Made::PostsWith(&tag.0),
        (None, None) => Made::AllPosts,
    };
    vec![Source::of(&list), Source::of(&Made::Anything)]
}

impl From<&PostHead> for PostState {
    fn from(head: &PostHead) -> Self {
        Self {
            post_id: head.post_id,
            author_id: head.author_id,
            published: head.published,
            tags: head.tags().into_iter().map(str::to_owned).collect(),
        }
    }
}

/// Says that a post is not what it was, and so are the lists that it is or was in.
pub fn post_changed(answers: &Answers, states: &[PostState]) {
    let mut sources = Vec::new();
    for state in states {
        sources.push(Source::of(&Made::Post(state.post_id)));
        // Drafts are in no answer that is kept.
        if state.published {
            sources.push(Source::of(&Made::AllPosts));
            sources.push(Source::of(&Made::PostsOf(state.author_id)));
            for tag in &state.tags {
                sources.push(Source::of(&Made::PostsWith(tag)));
            }
        }
    }
    answers.changed(&sources);
}

/// Says that nothing is known to be what it was.
pub fn anything_changed(answers: &Answers) {
    answers.changed(&[Source::of(&Made::Anything)]);
}

/// Whether it is not known that a write did not happen: a `COMMIT` that was lost may
/// have been done.
pub fn is_perhaps_changed(error: &DbError) -> bool {
    match error {
        DbError::Unavailable(_) | DbError::Fault(_) => true,
        DbError::Unique(_) | DbError::ForeignKey(_) => false,
    }
}

/// The finished answer to a GET in its plainest spelling, if it is there: what is asked
/// for most goes round the router.
pub fn lookup(posts: Arc<Posts>, request: &ServiceRequest) -> Option<Hit<'_>> {
    let (key, route) = Key::of_path(request.path(), request.query_string())?;
    let entry = posts.answers.get(&key)?;
    let headers = request.headers();
    let response =
        async move { cached_response::answer(&posts.answers, &key, &entry, headers).await };
    Some(Hit {
        route,
        response: Box::pin(response),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_requests_are_told_without_the_router() {
        let page = |page, size| Some((Key::Page(PageRequest { page, size }), "/post"));
        let post = |id| Some((Key::Post(id), "/post/{id}"));
        for (path, query, expected) in [
            ("/post/1", "", post(1)),
            ("/post/1/", "", post(1)),
            ("/post/9223372036854775807", "x=y", post(i64::MAX)),
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
            ("/post/pub", "", None),
            ("/post/", "page=1&tag=x", None),
            ("/post/", "%70age=2", None),
            ("/post/", "before=", None),
            ("/post/", "status=draft", None),
            ("/post/", "&", None),
        ] {
            assert_eq!(Key::of_path(path, query), expected, "{path}?{query}");
        }
    }

    #[test]
    fn everything_that_is_asked_for_makes_another_key() {
        let words = |text: &str| Some(super::super::search::Query::parse(text));
        let part = Part::Page(PageRequest { page: 1, size: 20 });
        let below = |place| Part::Below { place, size: 20 };
        let open = Filter::default;
        let keys = [
            Key::of_list("list", &open(), part),
            Key::of_list("atom", &open(), part),
            Key::of_list("list", &open(), below(None)),
            Key::of_list("list", &open(), below(Some(7))),
            Key::of_list(
                "list",
                &Filter {
                    author: Some(7),
                    ..open()
                },
                part,
            ),
            Key::of_list(
                "list",
                &Filter {
                    drafts_of: Some(7),
                    ..open()
                },
                part,
            ),
            Key::of_list(
                "list",
                &Filter {
                    words: words("a b"),
                    ..open()
                },
                part,
            ),
            Key::of_list(
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
