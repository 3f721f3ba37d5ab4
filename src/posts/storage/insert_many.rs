//! Several posts in one transaction. What they share is written once: counts, and on MySQL, where each
//! statement is a round trip, everything is a statement of many rows.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;

use super::counts::Additions;
use super::places;
use super::posts::{add_to_lists, insert_with_parts, summary_of};
use super::slugs::{self, Assigned, LastNumbers, Wanted};
use crate::core::db::Conn;
use crate::core::db::dialect::{self, Batch};
use crate::core::db::schema::{post, user};
use crate::posts::publication::Prepared;
use crate::posts::search;
use crate::posts::stored::{AuthorNames, DraftState, PostSummary};

/// Inserts posts that are new and have no key that is known, and gives their summaries, in
/// order, or why not, of which nothing is kept then. `race` and `last`: as for [`slugs::assign`] and
/// [`places::take`].
///
/// `None` where one with a key cannot be inserted, and nothing is written: whether the key is known comes
/// before all else, for who repeats a request finds its slug taken by its own post.
pub fn insert_posts(
    conn: &mut Conn,
    jobs: &[Arc<Prepared>],
    (race, last): (u32, &LastNumbers),
) -> QueryResult<Option<Vec<Result<PostSummary, NotInserted>>>> {
    let authors = load_authors(conn, jobs)?;
    let wanted: Vec<_> = jobs.iter().map(|job| Wanted::by(job)).collect();
    let slugs = slugs::assign(conn, &wanted, race, last)?;
    let mut posts: Vec<Result<PostSummary, NotInserted>> = (jobs.iter().zip(slugs))
        .map(|(job, slug)| {
            let author = authors.get(&job.request.author_id);
            let author = author.ok_or(NotInserted::NoAuthor)?.clone();
            let slug = match slug {
                Assigned::Nothing => None,
                Assigned::Slug(slug) => Some(slug),
                Assigned::Taken => return Err(NotInserted::SlugTaken),
            };
            Ok(summary_of(job, author, slug))
        })
        .collect();
    let is_refused = |post: &Result<_, _>| post.is_err();
    if (jobs.iter().zip(&posts)).any(|(job, post)| job.request.key.is_some() && is_refused(post)) {
        return Ok(None);
    }
    if posts.iter().all(is_refused) {
        return Ok(Some(posts));
    }
    let dated: Vec<_> = (posts.iter().flatten())
        .map(|post| (post.published, post.date))
        .collect();
    let positions = places::take(conn, &dated, race)?;
    for (post, position) in posts.iter_mut().flatten().zip(positions) {
        post.position = position;
    }
    match conn {
        Conn::Sqlite(_) => insert_one_by_one(conn, jobs, &mut posts)?,
        Conn::Mysql(_) => insert_at_once(conn, jobs, &mut posts)?,
    }
    insert_into_lists(conn, &posts)?;
    Ok(Some(posts))
}

/// Why a post is not inserted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotInserted {
    /// The author is not there (any more) or not active.
    NoAuthor,
    /// Another post has the slug that was chosen.
    SlugTaken,
}

fn load_authors(conn: &mut Conn, jobs: &[Arc<Prepared>]) -> QueryResult<HashMap<i64, AuthorNames>> {
    let mut ids: Vec<i64> = jobs.iter().map(|job| job.request.author_id).collect();
    ids.sort_unstable();
    ids.dedup();
    let authors: Vec<(i64, AuthorNames)> = user::table
        .filter(dialect::any_of(user::user_id, &ids))
        .filter(user::is_active.eq(true))
        .select((user::user_id, (user::name, user::username)))
        .load(conn)?;
    Ok(authors.into_iter().collect())
}

/// Rows, contents and words, by statements that stay prepared.
fn insert_one_by_one(
    conn: &mut Conn,
    jobs: &[Arc<Prepared>],
    posts: &mut [Result<PostSummary, NotInserted>],
) -> QueryResult<()> {
    for (job, post) in jobs.iter().zip(posts) {
        if let Ok(post) = post {
            insert_with_parts(conn, job, post)?;
        }
    }
    Ok(())
}

/// The same by a few statements of many rows.
///
/// The ids that one statement gives need not follow each other on a cluster. So they are read by the
/// positions of the rows.
fn insert_at_once(
    conn: &mut Conn,
    jobs: &[Arc<Prepared>],
    posts: &mut [Result<PostSummary, NotInserted>],
) -> QueryResult<()> {
    insert_rows(conn, jobs, posts)?;
    let ids = load_ids(conn, posts)?;
    for post in posts.iter_mut().flatten() {
        let id = ids
            .get(&post.position)
            .ok_or(diesel::result::Error::NotFound)?;
        post.post_id = *id;
    }
    insert_parts(conn, jobs, posts)
}

fn insert_rows(
    conn: &mut Conn,
    jobs: &[Arc<Prepared>],
    posts: &[Result<PostSummary, NotInserted>],
) -> QueryResult<()> {
    let mut batch = Batch::new(conn);
    let mut sql = String::from(
        "INSERT INTO post (author_id, title, date, updated, created, published, place, tags, \
         withdrawn, publish_at, format, weights, slug, summary, own_summary) VALUES ",
    );
    let inserted =
        (jobs.iter().zip(posts)).filter_map(|(job, post)| Some((job, post.as_ref().ok()?)));
    for (n, (job, post)) in inserted.enumerate() {
        // Whole: no column is left out unnoticed.
        let PostSummary {
            post_id: _,
            author_id,
            title,
            date,
            updated,
            created,
            published,
            position,
            tags,
            draft: DraftState {
                withdrawn,
                publish_at,
            },
            format,
            slug,
            excerpt,
            author: _,
            author_username: _,
            counts: _,
        } = post;
        // Writing to a String cannot fail.
        let _ = write!(
            sql,
            "{}({author_id}, {}, {}, {}, {}, {}, {position}, {}, {}, {}, {}, {}, {}, {}, {})",
            if n == 0 { "" } else { ", " },
            batch.text(title),
            batch.time(*date),
            batch.time(*updated),
            batch.time(*created),
            u8::from(*published),
            batch.text(tags),
            u8::from(*withdrawn),
            publish_at.map_or_else(|| "NULL".to_owned(), |time| batch.time(time)),
            batch.text(format),
            Batch::bytes(&job.words.weights),
            batch.text_or_null(slug.as_deref()),
            batch.text_or_null(excerpt.text.as_deref()),
            u8::from(excerpt.is_own),
        );
    }
    batch.push(sql);
    batch.run(conn)
}

/// The ids of the rows with the positions of these posts, by position.
fn load_ids(
    conn: &mut Conn,
    posts: &[Result<PostSummary, NotInserted>],
) -> QueryResult<HashMap<i64, i64>> {
    let mut ids = HashMap::new();
    // The index of the lists leads there, by whether they are published.
    for published in [true, false] {
        let positions: Vec<i64> = (posts.iter().flatten())
            .filter(|post| post.published == published)
            .map(|post| post.position)
            .collect();
        if positions.is_empty() {
            continue;
        }
        let some: Vec<(i64, i64)> = post::table
            .filter(post::published.eq(published))
            .filter(dialect::any_of(post::place, &positions))
            .select((post::place, post::post_id))
            .load(conn)?;
        ids.extend(some);
    }
    Ok(ids)
}

/// Contents and words.
fn insert_parts(
    conn: &mut Conn,
    jobs: &[Arc<Prepared>],
    posts: &[Result<PostSummary, NotInserted>],
) -> QueryResult<()> {
    let mut batch = Batch::new(conn);
    let rows = |text: &dyn Fn(&Prepared, &PostSummary) -> (i64, String)| {
        let inserted =
            (jobs.iter().zip(posts)).filter_map(|(job, post)| Some((job, post.as_ref().ok()?)));
        let rows: Vec<String> = inserted
            .map(|(job, post)| {
                let (key, text) = text(job, post);
                format!("({key}, {text})")
            })
            .collect();
        rows.join(", ")
    };
    let contents = rows(&|job, post| (post.post_id, batch.text(&job.request.post.content)));
    let words = rows(&|job, post| {
        let words = search::with_author(&post.author, &job.words.text, post.scope());
        (post.position, batch.plain(&words))
    });
    // The words first: who was overtaken does not know their ids.
    let sql = format!("INSERT INTO post_words (place, words) VALUES {words}");
    dialect::or_place_taken(conn.batch_execute(&sql))?;
    batch.push(format!(
        "INSERT INTO content (post_id, body) VALUES {contents}"
    ));
    batch.run(conn)
}

/// Tags and counts.
fn insert_into_lists(
    conn: &mut Conn,
    posts: &[Result<PostSummary, NotInserted>],
) -> QueryResult<()> {
    let mut batch = Batch::new(conn);
    let mut additions = Additions::default();
    let mut tags = Vec::new();
    for post in posts.iter().flatten() {
        add_to_lists(post, &mut tags, &mut additions);
    }
    batch.insert_tags(&tags);
    additions.write(&mut batch);
    batch.run(conn)
}
