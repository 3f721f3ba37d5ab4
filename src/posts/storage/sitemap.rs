//! What the sitemap has: published posts by ranges of their ids, each read along the primary key.

use chrono::NaiveDateTime;
use diesel::prelude::*;

use super::lists::load_deleted_authors;
use crate::core::db::Conn;
use crate::core::db::dialect;
use crate::core::db::schema::post;
use crate::posts::feed::sitemap::{PIECE, PIECES_MAX, SitemapRow};

/// The columns of a row, and whether and to whom it counts.
type Row = (i64, Option<String>, NaiveDateTime, bool, i64);

/// The published posts of a piece: those with the ids from `piece` × [`PIECE`] up to the next
/// piece. Call it in a snapshot.
pub fn load_piece(conn: &mut Conn, piece: i64) -> QueryResult<Vec<SitemapRow>> {
    let first = piece.saturating_mul(PIECE);
    let deleted = load_deleted_authors(conn)?;
    // Drafts are left out here: a database that is asked for published posts may read all of them.
    let rows: Vec<Row> = post::table
        .filter(post::post_id.ge(first))
        .filter(post::post_id.lt(first.saturating_add(PIECE)))
        .filter(dialect::in_time(post::post_id))
        .order(post::post_id)
        .select((
            post::post_id,
            post::slug,
            post::updated,
            post::published,
            post::author_id,
        ))
        .load(conn)?;
    let shown = |(post_id, slug, updated, published, author): Row| {
        (published && !deleted.contains(&author)).then_some(SitemapRow {
            post_id,
            slug,
            updated,
        })
    };
    Ok(rows.into_iter().filter_map(shown).collect())
}

/// The pieces that have published posts, in order, at most [`PIECES_MAX`]: a read each. Call it
/// in a snapshot.
pub fn load_pieces(conn: &mut Conn) -> QueryResult<Vec<i64>> {
    let mut pieces = Vec::new();
    let mut from = 0;
    while pieces.len() < PIECES_MAX {
        let Some(id) = dialect::first_published(conn, from)? else {
            break;
        };
        let piece = id / PIECE;
        pieces.push(piece);
        from = (piece + 1).saturating_mul(PIECE);
    }
    Ok(pieces)
}
