//! The room's part of the response cache: the key of each response, the cache tags of what it was
//! made of, and the tags that an event invalidates.

use crate::core::cache::invalidation::CacheTag;
use crate::core::page::ListPart;
use crate::http::response_cache::CacheKey;
pub use crate::http::response_cache::{ResponseCache, respond_from_anywhere};
use crate::posts::events::PostState;
use crate::posts::feed::Format;
use crate::social::events::CommentsChanged;
use crate::social::types::FollowList;

/// What writes change and responses are made of; each is a cache tag.
#[derive(Hash)]
enum Dependency {
    CommentsOf(i64),
    Comment(i64),
    /// What a list shows of a user: how many posts, followers and whom they follow, there are.
    CountsOf(i64),
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

/// The key of the feed of a post's comments in this format, from a cursor on.
pub fn key_of_feed(post_id: i64, format: Format, before: Option<i64>) -> CacheKey {
    CacheKey::other(&format!("{format:?} of comments of {post_id} {before:?}"))
}

/// The key of a comment.
pub fn key_of(comment_id: i64) -> CacheKey {
    CacheKey::other(&format!("comment {comment_id}"))
}

/// The key of a part of the list of those who follow a user, or whom they follow.
pub fn key_of_follows(user_id: i64, list: FollowList, part: ListPart) -> CacheKey {
    CacheKey::other(&format!("{} of {user_id} {part:?}", list.name()))
}

/// The cache tags of a part of a list of a user's that shows these.
pub fn tags_of_follows(user_id: i64, shown: impl Iterator<Item = i64>) -> Vec<CacheTag> {
    let counted = std::iter::once(user_id).chain(shown);
    let mut tags: Vec<CacheTag> = counted.map(|id| tag(&Dependency::CountsOf(id))).collect();
    tags.push(tag(&Dependency::Anything));
    tags
}

/// Invalidates the responses that show what is counted of these users, or who they are that
/// follow them.
pub fn follows_changed(cache: &ResponseCache, user_ids: &[i64]) {
    let tags: Vec<CacheTag> = (user_ids.iter())
        .map(|id| tag(&Dependency::CountsOf(*id)))
        .collect();
    cache.invalidate(&tags);
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

/// Invalidates what hangs on posts that are others, or are not to be seen any more, and what tells how
/// many their authors have.
pub fn post_changed(cache: &ResponseCache, states: &[PostState]) {
    let of_posts = (states.iter()).map(|state| tag(&Dependency::CommentsOf(state.post_id)));
    let of_authors = (states.iter())
        .filter(|state| state.published)
        .map(|state| tag(&Dependency::CountsOf(state.author_id)));
    let tags: Vec<CacheTag> = of_posts.chain(of_authors).collect();
    cache.invalidate(&tags);
}

/// Invalidates every response.
pub fn anything_changed(cache: &ResponseCache) {
    cache.invalidate(&[tag(&Dependency::Anything)]);
}
