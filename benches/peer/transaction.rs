//! What the server has to do in the database to publish, and nothing else: the
//! statements of its transaction, one for one. When those change, these do.

use std::sync::atomic::{AtomicU64, Ordering};

use chrono::NaiveDateTime;
use diesel::prelude::*;
use inkpot::core::db::dialect::Batch;
use inkpot::core::db::schema::{content, post, user};
use inkpot::core::db::{Conn, dialect};
use inkpot::posts::search::{self, PostWords, Scope};
use inkpot::posts::slug;
use inkpot::posts::storage::counts;

/// How many posts this process has published.
static PUBLISHED: AtomicU64 = AtomicU64::new(0);

/// A post whose words for the search are made already.
pub struct Ready<'a> {
    pub author_id: i64,
    pub title: &'a str,
    pub text: &'a str,
    pub words: &'a PostWords,
}

/// Publishes; the transaction around it is the caller's.
pub fn publish(conn: &mut Conn, ready: &Ready<'_>, now: NaiveDateTime) -> QueryResult<()> {
    let name: String = user::table
        .find(ready.author_id)
        .filter(user::is_active.eq(true))
        .select(user::name)
        .first(conn)?;
    let slug = slug::of_title(ready.title);
    let taken = dialect::load_taken_slugs(conn, &[&slug])?;
    let slug = if taken.is_empty() {
        slug
    } else {
        // Titles are the same again and again, and what is measured is not how a number is found. No two of
        // a run are alike, and those of another run have other times.
        let number = PUBLISHED.fetch_add(1, Ordering::Relaxed);
        format!("{slug}-{}-{number}", now.and_utc().timestamp_micros())
    };
    diesel::insert_into(post::table)
        .values((
            post::author_id.eq(ready.author_id),
            post::title.eq(ready.title),
            post::date.eq(now),
            post::updated.eq(now),
            post::created.eq(now),
            post::published.eq(true),
            post::place.eq(0),
            post::tags.eq(""),
            post::withdrawn.eq(false),
            post::publish_at.eq(None::<NaiveDateTime>),
            post::format.eq("markdown"),
            post::weights.eq(&ready.words.weights),
            post::slug.eq(slug),
            post::summary.eq(""),
            post::own_summary.eq(false),
        ))
        .execute(conn)?;
    let id = dialect::last_insert(conn)?;
    diesel::insert_into(content::table)
        .values((content::post_id.eq(id), content::body.eq(ready.text)))
        .execute(conn)?;
    let words = search::with_author(&name, &ready.words.text, Scope::Published);
    dialect::insert_words(conn, id, &words)?;
    let mut batch = Batch::new(conn);
    batch.push(format!("UPDATE post SET place = {id} WHERE post_id = {id}"));
    let author = format!("u{}", ready.author_id);
    let month = counts::month_of(now);
    let rows = [
        (("a".to_owned(), 0, id >> 8), 1),
        (("a".to_owned(), 1, id >> 14), 1),
        (("a".to_owned(), counts::MONTHS, month), 1),
        ((author.clone(), 0, id >> 8), 1),
        ((author.clone(), 1, id >> 14), 1),
        ((author, counts::MONTHS, month), 1),
    ];
    batch.add_counts(rows.iter().map(|(block, by)| (block, *by)));
    batch.run(conn)
}
