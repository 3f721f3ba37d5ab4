//! The room's part of the response cache: the key of each response, the cache tags of what it was
//! made of, and the tags that an event invalidates.

use crate::core::cache::invalidation::CacheTag;
use crate::core::page::ListPart;
use crate::http::response_cache::CacheKey;
pub use crate::http::response_cache::{ResponseCache, respond};
use crate::posts::events::PostState;
use crate::social::events::CommentsChanged;

/// What writes change and responses are made of; each is a cache tag.
#[derive(Hash)]
enum Dependency {
    CommentsOf(i64),
    Comment(i64),
    /// Whatever there is: names of authors are in every response.
    Anything,
}

fn tag(dependency: &Dependency) -> CacheTag {
    // Beside those of other rooms.
    CacheTag::of(&("social", dependency))
}

/// The key of a part of the list of a post's comments.
pub fn key_of_list(post_id: i64, part: ListPart) -> CacheKey {
    CacheKey::other(&format!("comments of {post_id} {part:?}"))
}

/// The key of a comment.
pub fn key_of(comment_id: i64) -> CacheKey {
    CacheKey::other(&format!("comment {comment_id}"))
}

/// The cache tags of a part of the list of a post's comments.
pub fn tags_of_list(post_id: i64) -> Vec<CacheTag> {
    vec![
        tag(&Dependency::CommentsOf(post_id)),
        tag(&Dependency::Anything),
    ]
}

/// The cache tags of a comment, and of its post where it is known.
pub fn tags_of(comment_id: i64, post_id: Option<i64>) -> Vec<CacheTag> {
    let post = post_id.map(|id| tag(&Dependency::CommentsOf(id)));
    let mut tags = vec![
        tag(&Dependency::Comment(comment_id)),
        tag(&Dependency::Anything),
    ];
    tags.extend(post);
    tags
}

/// Invalidates the responses with these comments.
pub fn comments_changed(cache: &ResponseCache, changed: &CommentsChanged) {
    let CommentsChanged {
        post_ids,
        comment_ids,
    } = changed;
    let posts = post_ids.iter().map(|id| tag(&Dependency::CommentsOf(*id)));
    let comments = comment_ids.iter().map(|id| tag(&Dependency::Comment(*id)));
    let tags: Vec<CacheTag> = posts.chain(comments).collect();
    cache.invalidate(&tags);
}

/// Invalidates what hangs on posts that are others, or are not to be seen any more.
pub fn post_changed(cache: &ResponseCache, states: &[PostState]) {
    let tags: Vec<CacheTag> = (states.iter())
        .map(|state| tag(&Dependency::CommentsOf(state.post_id)))
        .collect();
    cache.invalidate(&tags);
}

/// Invalidates every response.
pub fn anything_changed(cache: &ResponseCache) {
    cache.invalidate(&[tag(&Dependency::Anything)]);
}
