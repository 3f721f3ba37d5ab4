//! Posts that have no slug or no summary yet: those from before there were any, and what a program of
//! before writes beside this one.

use chrono::NaiveDateTime;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use super::slugs::{self, Assigned, LastNumbers, Wanted};
use crate::core::db::Conn;
use crate::core::db::dialect::any_of;
use crate::core::db::schema::{content, post};
use crate::posts::types::Format;
use crate::posts::{slug, summary};

diesel::define_sql_function! {
    /// Characters of a text: `length` of them from number `first`, which counts from 1.
    #[sql_name = "substr"]
    fn beginning(text: Text, first: BigInt, length: BigInt) -> Text;
}

diesel::define_sql_function! {
    /// The first that is not null.
    fn coalesce(first: Nullable<Text>, other: Text) -> Text;
}

/// Posts without a slug that are looked at in one statement; most are drafts, which need none.
const LOOKED_AT: i64 = 1_000;
/// Posts that are filled in one transaction: others that write wait for it.
const AT_ONCE: usize = 100;

/// Posts after an id that may have to be filled.
pub struct Found {
    /// Those that have to, at most as many as a transaction fills.
    pub ids: Vec<i64>,
    /// From which id to go on; `None` at the end.
    pub next: Option<i64>,
}

/// Looks for posts that are to be filled, in the order of their ids.
pub fn load_some(conn: &mut Conn, after: i64) -> QueryResult<Found> {
    let rows: Vec<(i64, bool, bool)> = post::table
        .filter(post::slug.is_null())
        .filter(post::post_id.gt(after))
        .order(post::post_id)
        .limit(LOOKED_AT)
        .select((post::post_id, post::published, post::summary.is_null()))
        .load(conn)?;
    let mut found = Found {
        ids: Vec::new(),
        next: None,
    };
    for (id, published, lacks_summary) in rows {
        if found.ids.len() == AT_ONCE {
            break;
        }
        if published || lacks_summary {
            found.ids.push(id);
        }
        found.next = Some(id);
    }
    Ok(found)
}

/// How many posts are to be filled.
pub fn count(conn: &mut Conn) -> QueryResult<i64> {
    post::table
        .filter(post::slug.is_null())
        .filter(post::published.eq(true).or(post::summary.is_null()))
        .count()
        .get_result(conn)
}

/// What a post is filled with.
pub struct Filling {
    post_id: i64,
    /// In the state of this time: one that was changed since is filled with what it is then.
    updated: NaiveDateTime,
    /// What its title is as a slug; `None` for a draft.
    title_slug: Option<String>,
    /// `None` where it has one.
    summary: Option<String>,
}

type Row = (i64, String, bool, NaiveDateTime, String, bool, String);

/// Makes what these posts lack. Outside of transactions, for it takes its time.
pub fn load_fillings(conn: &mut Conn, ids: &[i64]) -> QueryResult<Vec<Filling>> {
    let characters = i64::try_from(summary::READ_MAX).unwrap_or(i64::MAX);
    let rows: Vec<Row> = post::table
        .inner_join(content::table)
        .filter(any_of(post::post_id, ids))
        .order(post::post_id)
        .select((
            post::post_id,
            post::title,
            post::published,
            post::updated,
            post::format,
            post::summary.is_null(),
            beginning(content::body, 1, characters),
        ))
        .load(conn)?;
    let fillings = rows.into_iter().map(
        |(post_id, title, published, updated, format, lacks_summary, text)| Filling {
            post_id,
            updated,
            title_slug: published.then(|| slug::of_title(&title)),
            summary: lacks_summary.then(|| {
                let format = Format::of_name(&format).unwrap_or(Format::Text);
                summary::of_text(format, &text)
            }),
        },
    );
    Ok(fillings.collect())
}

/// Fills posts; gives how many there were that nobody had filled or changed. `race` and `last`: as
/// for [`slugs::assign`].
pub fn fill(
    conn: &mut Conn,
    fillings: &[Filling],
    (race, last): (u32, &LastNumbers),
) -> QueryResult<usize> {
    let wanted: Vec<_> = (fillings.iter())
        .map(|one| {
            one.title_slug
                .as_deref()
                .map_or(Wanted::Nothing, Wanted::Made)
        })
        .collect();
    let slugs = slugs::assign(conn, &wanted, race, last)?;
    let mut filled = 0;
    for (one, slug) in fillings.iter().zip(slugs) {
        let slug = match slug {
            Assigned::Slug(slug) => Some(slug),
            Assigned::Nothing | Assigned::Taken => None,
        };
        if slug.is_none() && one.summary.is_none() {
            continue;
        }
        filled += diesel::update(
            post::table
                .filter(post::post_id.eq(one.post_id))
                // Not `IS NULL`: the index of slugs has a thousand posts without one.
                .filter(coalesce(post::slug, "").eq(""))
                .filter(post::updated.eq(one.updated)),
        )
        .set((
            slug.map(|slug| post::slug.eq(slug)),
            one.summary.as_ref().map(|text| post::summary.eq(text)),
        ))
        .execute(conn)?;
    }
    Ok(filled)
}
