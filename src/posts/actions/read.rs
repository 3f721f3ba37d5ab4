//! Reading: a post, a part of a list, the newest posts of a feed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use diesel::QueryResult;

use crate::accounts::types::Username;
use crate::core::cache::Moment;
use crate::core::db::replica::{self, Reading};
use crate::core::db::{Bulkhead, Conn, Db, DbError};
use crate::core::gather::{Bounds, Gatherer};
use crate::core::page::{ListPart, Listed, PageRequest};
use crate::core::replica::Replica;
use crate::posts::feed::sitemap::SitemapRow;
use crate::posts::list::{Cursor, Filter, Found, Neighbours, TagSort};
pub use crate::posts::storage::followed::FOLLOWED_DEPTH;
use crate::posts::storage::{archive, at_once};
use crate::posts::storage::{lists, posts as rows, sitemap, slugs};
use crate::posts::stored::{Editor, PostSummary, StoredPost};
use crate::posts::tag_board::Board;
use crate::posts::{PostReader, Posts, ReplicaReader, feed};

/// A post that everybody may read.
pub async fn find_published(posts: &Posts, post_id: i64) -> Result<Option<StoredPost>, DbError> {
    let post = find(posts, post_id).await?;
    Ok(post.filter(|post| post.summary.published))
}

/// A post that this reader may read: published, or a draft of theirs.
pub async fn find_visible(
    posts: &Posts,
    post_id: i64,
    reader: Editor,
) -> Result<Option<StoredPost>, DbError> {
    let post = find(posts, post_id).await?;
    Ok(post.filter(|post| post.summary.published || reader.owns(&post.summary)))
}

/// What a slug leads to.
#[derive(Clone, Debug)]
pub enum BySlug {
    Post(Box<StoredPost>),
    /// It has another one now.
    Moved(Box<PostSummary>),
}

/// The post that has a slug, or had it, whoever may read it.
pub async fn find_by_slug(posts: &Posts, slug: &str) -> Result<Option<BySlug>, DbError> {
    let slug = slug.to_owned();
    let find = move |conn: &mut _| {
        if let Some(post) = slugs::find_post(conn, &slug)? {
            return Ok(Some(BySlug::Post(post.into())));
        }
        let moved = slugs::find_moved(conn, &slug)?;
        Ok(moved.map(|post| BySlug::Moved(post.into())))
    };
    posts.db.read(find).await
}

/// A post that everybody may read, by its present slug.
pub async fn find_published_by_slug(
    posts: &Posts,
    slug: &str,
) -> Result<Option<StoredPost>, DbError> {
    let slug = slug.to_owned();
    let find = move |conn: &mut _| slugs::find_post(conn, &slug);
    let post = posts.db.read(find).await?;
    Ok(post.filter(|post| post.summary.published))
}

async fn find(posts: &Posts, post_id: i64) -> Result<Option<StoredPost>, DbError> {
    if let (Some(reading), Some(reader)) = (replica::current(), &posts.replica_reader) {
        return find_at_replica(&reading, reader, post_id).await;
    }
    (posts.reader.ask(post_id).await).unwrap_or_else(|refused| Err(DbError::refused(refused)))
}

async fn find_at_replica(
    reading: &Reading,
    reader: &ReplicaReader,
    post_id: i64,
) -> Result<Option<StoredPost>, DbError> {
    let asked = (reader.ask(post_id).await).unwrap_or_else(|why| Err(DbError::refused(why)));
    let (post, beat) = asked.inspect_err(|_| reading.failed())?;
    reading.check(beat)?;
    Ok(post)
}

/// Posts that a query reads at most, of a megabyte each at worst.
const AT_ONCE: usize = 32;

/// A reader with at most so many connections at once.
pub fn post_reader(db: &Db, connections: usize) -> PostReader {
    let db = db.clone();
    let read = move |ids: Vec<i64>| read_all(&ids, |work| db.read_together(work));
    Gatherer::new("posts-read", bounds(connections), |_| 1, read)
}

/// The same at a replica.
pub fn replica_reader(replica: &Arc<Replica>, connections: usize) -> ReplicaReader {
    let replica = Arc::clone(replica);
    let read = move |ids: Vec<i64>| {
        let mut beat = 0;
        let posts = read_all(&ids, |work| {
            let (found, at) = replica.read_together(work)?;
            beat = at;
            Ok(found)
        });
        let with_beat = |post: Result<_, DbError>| post.map(|post| (post, beat));
        posts.into_iter().map(with_beat).collect()
    };
    Gatherer::new("replica-read", bounds(connections), |_| 1, read)
}

fn bounds(connections: usize) -> Bounds {
    Bounds {
        at_once: 1,
        runs: connections,
        jobs: AT_ONCE,
        weight: usize::MAX,
        queue: QUEUE,
    }
}

/// What reads posts by a connection.
type Load<'l> = dyn Fn(&mut Conn) -> QueryResult<Vec<StoredPost>> + 'l;

/// Requests that wait for their query to begin.
const QUEUE: usize = 1024;

/// Reads posts by one query, which `read` runs.
fn read_all(
    ids: &[i64],
    read: impl FnOnce(&Load<'_>) -> Result<Vec<StoredPost>, DbError>,
) -> Vec<Result<Option<StoredPost>, DbError>> {
    if let [id] = *ids {
        let found = read(&|conn| Ok(rows::find_post(conn, id)?.into_iter().collect()));
        return vec![found.map(|mut posts| posts.pop())];
    }
    match read(&|conn| rows::find_posts(conn, ids)) {
        Ok(found) => {
            let mut found: HashMap<i64, StoredPost> =
                (found.into_iter().map(|post| (post.summary.post_id, post))).collect();
            // Two may ask for one post; the last one takes it.
            let mut take = |(place, id): (usize, &i64)| {
                if ids[place + 1..].contains(id) {
                    found.get(id).cloned()
                } else {
                    found.remove(id)
                }
            };
            ids.iter()
                .enumerate()
                .map(|asked| Ok(take(asked)))
                .collect()
        }
        Err(error) => ids.iter().map(|_| Err(error.share())).collect(),
    }
}

/// The user who has this username.
pub async fn find_author(posts: &Posts, name: Username) -> Result<Option<i64>, DbError> {
    let find = move |conn: &mut _| lists::find_author(conn, &name.key);
    posts.db.read(find).await
}

/// The neighbours of a published post in a list; `None` when there is no such post.
pub async fn neighbours(
    posts: &Posts,
    post_id: i64,
    filter: Filter,
) -> Result<Option<Neighbours>, DbError> {
    let find = move |conn: &mut _| lists::find_neighbours(conn, post_id, &filter);
    posts.db.snapshot(find).await
}

/// The months of a list that have posts, as the year and the month, and how many; the newest first.
pub async fn months(posts: &Posts, filter: Filter) -> Result<Vec<(i64, i64, i64)>, DbError> {
    let load = move |conn: &mut _| archive::load_months(conn, &filter);
    let months = posts.db.snapshot(load).await?;
    let split =
        |(month, posts): (i64, i64)| (month.div_euclid(12), month.rem_euclid(12) + 1, posts);
    Ok(months.into_iter().map(split).collect())
}

/// How many posts tags have.
enum Numbers {
    All(Board),
    /// Those that writes have named.
    Changed(BTreeMap<String, i64>),
}

/// A page of the tags of published posts that begin so, with the number of posts. `now` is the moment, and
/// `holds` tells whether what was read at one still does but for the tags that writes have named.
pub async fn tags(
    posts: &Posts,
    (now, holds): (Moment, &impl Fn(Moment) -> bool),
    (beginning, sort, request): (String, TagSort, PageRequest),
) -> Result<Listed<(String, i64)>, DbError> {
    let mut turn = posts.tag_board.turn().await;
    let kept = turn.take().filter(|board| holds(board.read()));
    let changed = posts.tag_board.take_changed();
    let some = kept.as_ref().and_then(|_| changed.tags().cloned());
    let load = move |conn: &mut Conn| {
        let numbers = archive::read_numbers(conn, some.as_ref())?;
        Ok(numbers.map(|numbers| match &some {
            Some(_) => Numbers::Changed(numbers),
            // On the thread that may take its time.
            None => Numbers::All(Board::new(now, numbers)),
        }))
    };
    let board = match (posts.db.snapshot(load).await?, kept) {
        (Some(Numbers::Changed(numbers)), Some(mut board)) => {
            board.update(numbers);
            board
        }
        (Some(Numbers::All(board)), _) => board,
        // While authors are deleted, or before tags are counted.
        (Some(Numbers::Changed(_)) | None, _) => {
            drop(turn);
            let load = move |conn: &mut _| archive::load_tags(conn, &beginning, sort, request);
            return posts.db.snapshot(load).await;
        }
    };
    let page = board.page(&beginning, sort, request);
    *turn = Some(board).filter(|board| board.is_small() && holds(board.read()));
    Ok(page)
}

/// A part of a list, with its count as of the same moment; that of a search that finds many may be of a later one.
pub async fn list(
    posts: &Posts,
    filter: Filter,
    part: ListPart<Cursor>,
) -> Result<Found<PostSummary>, DbError> {
    if at_once::can_load(&filter, part) {
        let filter = filter.clone();
        let load = move |conn: &mut _| at_once::load(conn, &filter, part);
        if let Some(found) = posts.db.read(load).await? {
            return Ok(found);
        }
    }
    let db = by_cost(posts, &filter);
    let has_words = filter.words.is_some();
    let load = move |conn: &mut _| lists::load(conn, &filter, part);
    if has_words {
        // Most of them take one statement, which is of one moment by itself.
        db.read(load).await
    } else {
        db.snapshot(load).await
    }
}

/// The same with the texts of the posts.
pub async fn list_with_texts(
    posts: &Posts,
    filter: Filter,
    part: ListPart<Cursor>,
) -> Result<Found<StoredPost>, DbError> {
    let db = by_cost(posts, &filter);
    let load = move |conn: &mut _| lists::load_with_texts(conn, &filter, part);
    db.snapshot(load).await
}

/// Searches by words have connections of their own.
fn by_cost(posts: &Posts, filter: &Filter) -> Db {
    if filter.words.is_some() {
        posts.db.reading_by(Bulkhead::Searches)
    } else {
        posts.db.clone()
    }
}

/// A part of a list for a feed, with as much of each text as tells that it is too long.
pub async fn list_for_feed(
    posts: &Posts,
    filter: Filter,
    part: ListPart<Cursor>,
) -> Result<Listed<StoredPost, Cursor>, DbError> {
    let load =
        move |conn: &mut _| lists::load_with_beginnings(conn, &filter, part, feed::CHARACTERS);
    posts.db.snapshot(load).await
}

/// What the sitemap has at an address.
#[derive(Debug)]
pub enum Sitemap {
    /// The posts of a piece.
    Piece(Vec<SitemapRow>),
    /// The pieces that have posts, several.
    Index(Vec<i64>),
}

/// A piece of the sitemap, or what stands for all: the index of the pieces, or the only one. A piece is
/// tens of thousands of rows, so it has the connections of searches.
pub async fn sitemap(posts: &Posts, piece: Option<i64>) -> Result<Sitemap, DbError> {
    let load = move |conn: &mut _| {
        let piece = match piece {
            Some(piece) => piece,
            None => match sitemap::load_pieces(conn)?.as_slice() {
                [] => return Ok(Sitemap::Piece(Vec::new())),
                [only] => *only,
                several => return Ok(Sitemap::Index(several.to_vec())),
            },
        };
        sitemap::load_piece(conn, piece).map(Sitemap::Piece)
    };
    let db = posts.db.reading_by(Bulkhead::Searches);
    db.snapshot(load).await
}
