//! Slugs as they are kept: the present one in the row of its post, with a unique index, those of before
//! in a table of their own. Who needs one looks which are free, and the index settles races: a
//! transaction that lost one is begun anew ([`is_lost_race`](super::is_lost_race)).

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use diesel::prelude::*;

use super::posts::summary_columns;
use crate::accounts::types::DELETED;
use crate::core::db::Conn;
use crate::core::db::dialect::{TakenSlug, load_taken_slugs};
use crate::core::db::schema::{content, old_slug, post, user};
use crate::posts::publication::Prepared;
use crate::posts::slug::{self, numbered};
use crate::posts::stored::{PostSummary, StoredPost};
use crate::posts::types::Status;

/// The slug that a post is to have.
#[derive(Clone, Copy, Debug)]
pub enum Wanted<'s> {
    /// None, or the one that it has.
    Nothing,
    /// This one, chosen by the author with this id or for them. It may be one that another post of
    /// theirs had before, which then leads there no more.
    Chosen(&'s str, i64),
    /// This one, or with a number if it is taken.
    Made(&'s str),
}

impl<'s> Wanted<'s> {
    /// That of a post which is made.
    pub fn by(job: &'s Prepared) -> Self {
        let new = &job.request.post;
        match (&new.slug, new.status) {
            (Some(slug), _) => Self::Chosen(slug.as_str(), job.request.author_id),
            (None, Status::Published) => Self::Made(&job.title_slug),
            (None, Status::Draft | Status::Scheduled) => Self::Nothing,
        }
    }
}

/// The slug that a post gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assigned {
    Nothing,
    Slug(String),
    /// Somebody has the one that was chosen.
    Taken,
}

/// The numbers that were given last, by the slug in front of them: who publishes under one title again and
/// again is not asked anew how many there are. Wrong ones cost a few statements.
#[derive(Debug, Default)]
pub struct LastNumbers(Mutex<HashMap<String, i64>>);

/// Slugs whose last numbers are known.
const KNOWN: usize = 1_024;

impl LastNumbers {
    /// Takes `count` numbers after the last one, `jump` beyond it; `None` if it is not known.
    fn take(&self, slug: &str, count: usize, jump: i64) -> Option<i64> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = known.get_mut(slug)?;
        let first = last.saturating_add(1).saturating_add(jump);
        *last = first.saturating_add(i64::try_from(count).unwrap_or(0)) - 1;
        Some(first)
    }

    fn set(&self, slug: &str, last: i64) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KNOWN && !known.contains_key(slug) {
            known.clear();
        }
        known.insert(slug.to_owned(), last);
    }
}

/// Older slugs of a post; with more of them the oldest lead there no more.
const OLD_MOST: i64 = 100;

/// Assigns slugs, in order, each once; what is chosen before what is made. `race`: how many were lost
/// so far, by which numbers lie further apart. One statement where all are free, or `last` is right.
pub fn assign(
    conn: &mut Conn,
    wanted: &[Wanted<'_>],
    race: u32,
    last: &LastNumbers,
) -> QueryResult<Vec<Assigned>> {
    let likely = likely_numbers(wanted, race, last);
    let names: HashSet<&str> = (wanted.iter())
        .filter_map(|one| match one {
            Wanted::Nothing => None,
            Wanted::Chosen(slug, _) | Wanted::Made(slug) => Some(*slug),
        })
        .chain(likely.values().flatten().map(String::as_str))
        .collect();
    let names: Vec<&str> = names.into_iter().collect();
    let known = load_taken(conn, &names)?;
    let mut given: HashSet<String> = HashSet::new();
    let mut assigned = vec![Assigned::Nothing; wanted.len()];
    for (one, assigned) in wanted.iter().zip(&mut assigned) {
        let Wanted::Chosen(slug, author_id) = *one else {
            continue;
        };
        let is_free = match known.get(slug) {
            None => true,
            Some(former) => *former == Some(author_id),
        };
        *assigned = if is_free && given.insert(slug.to_owned()) {
            if known.contains_key(slug) {
                diesel::delete(old_slug::table.find(slug)).execute(conn)?;
            }
            Assigned::Slug(slug.to_owned())
        } else {
            Assigned::Taken
        };
    }
    let mut crowded: HashMap<&str, Vec<usize>> = HashMap::new();
    for (place, one) in wanted.iter().enumerate() {
        let Wanted::Made(slug) = *one else { continue };
        let is_free = !known.contains_key(slug) && !slug::is_reserved(slug);
        if is_free && given.insert(slug.to_owned()) {
            assigned[place] = Assigned::Slug(slug.to_owned());
        } else {
            crowded.entry(slug).or_default().push(place);
        }
    }
    for (slug, mut places) in crowded {
        for name in likely.get(slug).into_iter().flatten() {
            if !known.contains_key(name) && !places.is_empty() && given.insert(name.clone()) {
                assigned[places.remove(0)] = Assigned::Slug(name.clone());
            }
        }
        if places.is_empty() {
            continue;
        }
        let numbers = free_numbers(conn, slug, places.len(), &mut given, race)?;
        for (place, number) in places.into_iter().zip(numbers) {
            assigned[place] = Assigned::Slug(numbered(slug, number));
            last.set(slug, number);
        }
    }
    Ok(assigned)
}

/// The slug that a post gets with a change: the one that was chosen, or, when it is published and has
/// none, that of its title.
pub fn assign_to(
    conn: &mut Conn,
    before: &PostSummary,
    after: &PostSummary,
    race: u32,
) -> QueryResult<Assigned> {
    let title_slug = slug::of_title(&after.title);
    let wanted = match &after.slug {
        Some(slug) if before.slug.as_ref() != Some(slug) => Wanted::Chosen(slug, after.author_id),
        None if after.published => Wanted::Made(&title_slug),
        _ => return Ok(Assigned::Nothing),
    };
    let assigned = assign(conn, &[wanted], race, &LastNumbers::default())?.pop();
    Ok(assigned.unwrap_or(Assigned::Nothing))
}

/// For each slug that is made and whose last number is known, those after it.
fn likely_numbers<'w>(
    wanted: &[Wanted<'w>],
    race: u32,
    last: &LastNumbers,
) -> HashMap<&'w str, Vec<String>> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for one in wanted {
        if let Wanted::Made(slug) = *one {
            *counts.entry(slug).or_default() += 1;
        }
    }
    let mut likely = HashMap::new();
    for (slug, count) in counts {
        if let Some(first) = last.take(slug, count, jump(race)) {
            let numbers = (first..).take(count);
            likely.insert(slug, numbers.map(|number| numbered(slug, number)).collect());
        }
    }
    likely
}

/// Slugs that are asked for in one statement.
const AT_ONCE: usize = 64;

/// Those that are taken, each with the author who had it before.
fn load_taken(conn: &mut Conn, slugs: &[&str]) -> QueryResult<HashMap<String, Option<i64>>> {
    let mut taken = HashMap::new();
    for slugs in slugs.chunks(AT_ONCE) {
        for TakenSlug { slug, former } in load_taken_slugs(conn, slugs)? {
            // A post that has it counts more than one that had it.
            let known = taken.entry(slug).or_insert(former);
            *known = known.and(former);
        }
    }
    Ok(taken)
}

/// Which of these numbers of a slug are free, in their order.
fn load_free(conn: &mut Conn, slug: &str, numbers: &[i64]) -> QueryResult<Vec<(i64, bool)>> {
    let names: Vec<String> = numbers.iter().map(|n| numbered(slug, *n)).collect();
    let taken = load_taken(conn, &names.iter().map(String::as_str).collect::<Vec<_>>())?;
    let is_free = |name| !taken.contains_key(name);
    Ok((numbers.iter().copied().zip(names.iter().map(is_free))).collect())
}

/// `count` numbers of a slug that are free. How many are taken hardly matters: it is looked at
/// some dozens of numbers in each of a few statements.
fn free_numbers(
    conn: &mut Conn,
    slug: &str,
    count: usize,
    given: &mut HashSet<String>,
    race: u32,
) -> QueryResult<Vec<i64>> {
    let mut from = first_free(conn, slug)?.saturating_add(jump(race));
    let mut found = Vec::new();
    let mut step = 1;
    while found.len() < count {
        let window: Vec<i64> = (from..).take(AT_ONCE).collect();
        for (number, is_free) in load_free(conn, slug, &window)? {
            if is_free && found.len() < count && given.insert(numbered(slug, number)) {
                found.push(number);
            }
        }
        // What is taken in one piece, by whatever means, is not walked through.
        let window = i64::try_from(AT_ONCE).unwrap_or(i64::MAX);
        from = from.saturating_add(window.saturating_mul(step));
        step = step.saturating_mul(2);
    }
    Ok(found)
}

/// Who loses races for a number takes one that lies further off, by chance.
fn jump(race: u32) -> i64 {
    if race < 2 {
        return 0;
    }
    let most = 1_u32 << (2 * race).min(20);
    getrandom::u32().map_or(0, |random| i64::from(random % most))
}

/// The first numbers that are looked at, one by one.
const FIRST: i64 = 17;
/// Beyond them every power of two up to this one.
const POWERS: u32 = 40;
/// Between two of these, so many at once.
const BETWEEN: i64 = 32;

/// A number of a slug that is free where the one before it is taken. The numbers are mostly taken from
/// the first on: so it is the first free one, or nearly.
fn first_free(conn: &mut Conn, slug: &str) -> QueryResult<i64> {
    let mut numbers: Vec<i64> = (2..=FIRST).collect();
    numbers.extend((5..=POWERS).map(|power| 1_i64 << power));
    let mut low = 1;
    loop {
        let seen = load_free(conn, slug, &numbers)?;
        let end = seen.iter().position(|(_, is_free)| *is_free);
        let Some(end) = end else {
            // All of them, up to a number that nobody reaches.
            let last = numbers.last().copied().unwrap_or(low);
            return Ok(last.saturating_add(1));
        };
        let high = seen[end].0;
        if let Some(before) = end.checked_sub(1) {
            low = seen[before].0;
        }
        if high - low <= 1 {
            return Ok(high);
        }
        let step = ((high - low) / BETWEEN).max(1);
        let step = usize::try_from(step).unwrap_or(usize::MAX);
        numbers = (low + 1..high).skip(step - 1).step_by(step).collect();
        numbers.push(high);
    }
}

/// Keeps the slug that a post had, which the transaction holds, when it has another one now. Of what
/// nobody else has seen nothing is kept.
pub fn keep_old(conn: &mut Conn, before: &PostSummary, after: &PostSummary) -> QueryResult<()> {
    let Some(slug) = &before.slug else {
        return Ok(());
    };
    let was_seen = before.published || before.draft.withdrawn;
    if !was_seen || after.slug.as_ref() == Some(slug) {
        return Ok(());
    }
    diesel::delete(old_slug::table.find(slug)).execute(conn)?;
    diesel::insert_into(old_slug::table)
        .values((
            old_slug::slug.eq(slug),
            old_slug::post_id.eq(after.post_id),
            old_slug::replaced.eq(after.updated),
        ))
        .execute(conn)?;
    let oldest: Vec<String> = old_slug::table
        .filter(old_slug::post_id.eq(after.post_id))
        .order(old_slug::replaced.desc())
        .offset(OLD_MOST)
        .limit(OLD_MOST)
        .select(old_slug::slug)
        .load(conn)?;
    for slug in oldest {
        diesel::delete(old_slug::table.find(slug)).execute(conn)?;
    }
    Ok(())
}

/// The post that has a slug, with its text, draft or not; `None` when its author was deleted.
pub fn find_post(conn: &mut Conn, slug: &str) -> QueryResult<Option<StoredPost>> {
    post::table
        .inner_join(content::table)
        .left_join(user::table)
        .filter(post::slug.eq(slug))
        .filter(user::role.ne(DELETED))
        .select((summary_columns!(), content::body))
        .first(conn)
        .optional()
}

/// The post that had a slug before.
pub fn find_moved(conn: &mut Conn, slug: &str) -> QueryResult<Option<PostSummary>> {
    let post_id: Option<i64> = old_slug::table
        .find(slug)
        .select(old_slug::post_id)
        .first(conn)
        .optional()?;
    let Some(post_id) = post_id else {
        return Ok(None);
    };
    post::table
        .left_join(user::table)
        .filter(post::post_id.eq(post_id))
        .filter(user::role.ne(DELETED))
        .select(summary_columns!())
        .first(conn)
        .optional()
}
