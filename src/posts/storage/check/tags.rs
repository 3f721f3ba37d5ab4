//! Rows of `post_tag` against the tags of the posts, both ways.

use std::collections::{HashMap, HashSet};

use diesel::prelude::*;

use super::{PostRow, SOME, load_some};
use crate::core::db::Conn;
use crate::core::db::dialect;
use crate::core::db::schema::{post, post_tag};
use crate::core::progress::Progress;
use crate::posts::stored::split_tags;

/// A row: tag, whether published, place, post and author.
pub type TagRow = (String, bool, i64, i64, i64);

/// What is wrong with the rows.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Rows that no post stands behind.
    pub orphans: Vec<TagRow>,
    /// Posts that are not under all of their tags.
    pub missing: Vec<i64>,
}

/// Compares every row with its post, and every post with its rows. Call it in a snapshot.
/// `progress` hears how many rows were read.
pub fn compare(conn: &mut Conn, progress: Progress<'_>) -> QueryResult<Found> {
    let mut found = Found::default();
    let (mut read, mut right) = (0, 0);
    let mut last = None;
    loop {
        let rows = load_rows(conn, last.as_ref())?;
        let Some(newest) = rows.last().cloned() else {
            break;
        };
        read += i64::try_from(rows.len()).unwrap_or(0);
        let orphans = without_posts(conn, rows, &mut right)?;
        found.orphans.extend(orphans);
        last = Some(newest);
        progress(read)?;
    }
    // Rows are unique: when there are as many right ones as posts have tags, none is missing.
    let mut after = 0;
    let mut owed = 0;
    let mut tagged = Vec::new();
    loop {
        let (newest, posts) = load_tagged(conn, after)?;
        let Some(newest) = newest else { break };
        after = newest;
        owed += posts.iter().map(|post| tags_of(post).len()).sum::<usize>();
        tagged.extend(posts.iter().map(|post| post.0));
        progress(read)?;
    }
    if owed != right {
        for id in tagged {
            progress(read)?;
            if is_missing(conn, id)? {
                found.missing.push(id);
            }
        }
    }
    Ok(found)
}

/// Rows in the order of their key, after `last`. As several ranges: of one that compares
/// whole rows MySQL makes none.
fn load_rows(conn: &mut Conn, last: Option<&TagRow>) -> QueryResult<Vec<TagRow>> {
    let all = post_tag::table
        .order((post_tag::tag, post_tag::published, post_tag::place))
        .limit(SOME);
    let Some((tag, published, place, ..)) = last else {
        return all.load(conn);
    };
    let same = all
        .filter(post_tag::tag.eq(tag))
        .filter(post_tag::published.eq(published))
        .filter(post_tag::place.gt(place))
        .load::<TagRow>(conn)?;
    if !same.is_empty() {
        return Ok(same);
    }
    if !published {
        let rows = all
            .filter(post_tag::tag.eq(tag))
            .filter(post_tag::published.eq(true))
            .load::<TagRow>(conn)?;
        if !rows.is_empty() {
            return Ok(rows);
        }
    }
    all.filter(post_tag::tag.gt(tag)).load(conn)
}

fn tags_of(post: &PostRow) -> HashSet<&str> {
    split_tags(&post.4).collect()
}

/// Whether the row is one of this post's.
fn belongs(row: &TagRow, post: &PostRow) -> bool {
    let (tag, published, place, post_id, author_id) = row;
    let (id, author, is_published, position, tags, _) = post;
    let place_of_post = (id, author, is_published, position);
    (post_id, author_id, published, place) == place_of_post
        && split_tags(tags).any(|one| one == tag)
}

/// Those that no post stands behind; `right` grows by the others.
fn without_posts(
    conn: &mut Conn,
    rows: Vec<TagRow>,
    right: &mut usize,
) -> QueryResult<Vec<TagRow>> {
    let mut ids: Vec<i64> = rows.iter().map(|row| row.3).collect();
    ids.sort_unstable();
    ids.dedup();
    let posts: HashMap<i64, PostRow> = post::table
        .filter(post::post_id.eq_any(ids))
        .select((
            post::post_id,
            post::author_id,
            post::published,
            post::place,
            post::tags,
            post::date,
        ))
        .load::<PostRow>(conn)?
        .into_iter()
        .map(|post| (post.0, post))
        .collect();
    let is_orphan = |row: &TagRow| !posts.get(&row.3).is_some_and(|post| belongs(row, post));
    let (orphans, theirs): (Vec<_>, Vec<_>) = rows.into_iter().partition(is_orphan);
    *right += theirs.len();
    Ok(orphans)
}

/// Some posts after an id, those that have tags, and the last id of those that were read.
fn load_tagged(conn: &mut Conn, after: i64) -> QueryResult<(Option<i64>, Vec<PostRow>)> {
    let mut posts = load_some(conn, after)?;
    let newest = posts.last().map(|post| post.0);
    posts.retain(|post| !post.4.is_empty());
    Ok((newest, posts))
}

/// Whether a post lacks a row of its own.
fn is_missing(conn: &mut Conn, post_id: i64) -> QueryResult<bool> {
    let (tags, published, place, author_id): (String, bool, i64, i64) = post::table
        .find(post_id)
        .select((post::tags, post::published, post::place, post::author_id))
        .first(conn)?;
    let tags: HashSet<&str> = split_tags(&tags).collect();
    let rows: i64 = post_tag::table
        .filter(post_tag::tag.eq_any(&tags))
        .filter(post_tag::published.eq(published))
        .filter(post_tag::place.eq(place))
        .filter(post_tag::post_id.eq(post_id))
        .filter(post_tag::author_id.eq(author_id))
        .count()
        .get_result(conn)?;
    Ok(usize::try_from(rows) != Ok(tags.len()))
}

/// Deletes rows that no post stood behind, unless one does by now.
pub fn delete_orphans(conn: &mut Conn, rows: &[TagRow]) -> QueryResult<()> {
    for row in rows {
        dialect::lock_post(conn, row.3)?;
        let orphans = without_posts(conn, vec![row.clone()], &mut 0)?;
        for (tag, published, place, ..) in &orphans {
            diesel::delete(post_tag::table.find((tag, published, place))).execute(conn)?;
        }
    }
    Ok(())
}
