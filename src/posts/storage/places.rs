//! Where posts stand in lists: the column `place`, which is made of the date.
//!
//! A place is the date in microseconds since the year 1. No two posts have the same: where one is taken,
//! the next free number above is given, and a new post stands above all that have its date. So lists in the order of places are in the order of dates, a
//! place is known before the row is written, and it says in which month, day and part of a day the post
//! is counted ([`counts`](super::counts)). For that it stays in the part of the day in which its date is.
//!
//! That no two are the same the words of posts see to, whose key it is: of two transactions that take one
//! at once the second is refused, and begun anew ([`is_lost_race`](super::is_lost_race)).
//!
//! Before, a place was the id of a row, in the order of publication. Such places are below [`DATED`] and
//! below all that are made of dates; they are moved ([`moving`](super::moving)).

use std::collections::{HashMap, HashSet};

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};
use diesel::prelude::*;

use crate::core::db::Conn;
use crate::core::db::dialect::{
    Neighbourhood, any_of, first_published, last_published, look_at_dates,
};
use crate::core::db::schema::post;
use crate::posts::list::{Filter, Sort};

/// Places from this one on are made of dates: those of posts lie between 3.1e16 and 3.2e17. Ids are below.
pub const DATED: i64 = 1_000_000_000_000_000;
/// The places of a day, by UTC.
pub const DAY: i64 = 86_400_000_000;
/// Those of a 64th of a day: 1,350 seconds.
pub const PART: i64 = DAY / 64;

/// The time of place 0.
fn beginning() -> NaiveDateTime {
    let day = NaiveDate::from_ymd_opt(1, 1, 1).unwrap_or_default();
    day.and_time(NaiveTime::MIN)
}

/// The place that a date makes, if it is free.
pub fn of_date(date: NaiveDateTime) -> i64 {
    let since = date.signed_duration_since(beginning());
    since.num_microseconds().unwrap_or(i64::MAX)
}

/// The date that makes a place.
pub fn date_of(place: i64) -> NaiveDateTime {
    let since = TimeDelta::microseconds(place);
    beginning()
        .checked_add_signed(since)
        .unwrap_or(NaiveDateTime::MAX)
}

/// Where the cursor of before leads that was this position, of a list: behind the post that still stands there, or
/// whose id it is, as positions were mostly; or before the next one that there is.
pub fn present(conn: &mut Conn, filter: &Filter, position: i64) -> QueryResult<i64> {
    let is_there: Option<i64> = post::table
        .filter(post::published.eq(filter.published()))
        .filter(post::place.eq(position))
        .select(post::place)
        .first(conn)
        .optional()?;
    if is_there.is_some() {
        return Ok(position);
    }
    let is_ascending = filter.sort == Sort::Oldest;
    let next = match filter.drafts_of {
        Some(author) => find_draft(conn, author, position, is_ascending)?,
        None if is_ascending => first_published(conn, position)?,
        None => last_published(conn, position.saturating_add(1))?,
    };
    let Some(next) = next else {
        return Ok(if is_ascending { i64::MAX } else { 0 });
    };
    let place: i64 = post::table.find(next).select(post::place).first(conn)?;
    Ok(match (next == position, is_ascending) {
        (true, _) => place,
        (false, true) => place - 1,
        (false, false) => place + 1,
    })
}

/// The draft of an author with this id, or the next one.
fn find_draft(
    conn: &mut Conn,
    author: i64,
    post_id: i64,
    is_ascending: bool,
) -> QueryResult<Option<i64>> {
    let drafts = post::table
        .filter(post::author_id.eq(author))
        .filter(post::published.eq(false))
        .select(post::post_id);
    if is_ascending {
        drafts
            .filter(post::post_id.ge(post_id))
            .order(post::post_id)
            .first(conn)
    } else {
        drafts
            .filter(post::post_id.le(post_id))
            .order(post::post_id.desc())
            .first(conn)
    }
    .optional()
}

/// Who loses a race for a place takes one that lies further off, by chance, and at once: a crowd of one date would go on
/// to meet at the next.
fn jump(race: u32) -> i64 {
    if race == 0 {
        return 0;
    }
    let most = 64_u32 << (3 * race).min(18);
    getrandom::u32().map_or(0, |random| i64::from(random % most))
}

/// Numbers that are looked at in one statement.
const AT_ONCE: usize = 64;
/// Between two numbers of which one is taken and the other is free, so many at once.
const BETWEEN: i64 = 32;

/// Whether a post is published, and its date.
pub type Dated = (bool, NaiveDateTime);

/// Places for new posts, in their order: each another one, and free as far as this transaction sees. One with a date
/// that others have stands above these, whose ids are lower. `race`: how many were lost so far. One statement where no
/// two have one date.
pub fn take(conn: &mut Conn, posts: &[Dated], race: u32) -> QueryResult<Vec<i64>> {
    let mut different = posts.to_vec();
    different.sort_unstable();
    different.dedup();
    let plain: Vec<i64> = different.iter().map(|(_, date)| of_date(*date)).collect();
    let Neighbourhood { last, mut taken } = look_at_dates(conn, &different, &plain)?;
    let bases: HashMap<Dated, i64> = (different.iter().zip(plain).enumerate())
        .map(|(n, (post, base))| {
            let end = base.div_euclid(PART) * PART + PART - 1;
            // Those of before are moved below.
            let above = last.get(&n).filter(|last| **last >= DATED);
            let base = above.map_or(base, |last| (last + 1).min(end));
            if above.is_some() {
                // It was not looked at.
                taken.insert(base);
            }
            (*post, base)
        })
        .collect();
    let bases: Vec<i64> = (posts.iter())
        .map(|post| bases.get(post).copied().unwrap_or(of_date(post.1)))
        .collect();
    take_from(conn, &bases, &taken, race)
}

/// The same for a post that is there: the place that it has, where that is one of its date.
pub fn take_for(conn: &mut Conn, place: i64, post: Dated, race: u32) -> QueryResult<i64> {
    if place == of_date(post.1) {
        return Ok(place);
    }
    let taken = take(conn, &[post], race)?;
    (taken.first().copied()).ok_or(diesel::result::Error::NotFound)
}

/// The same from these numbers on, without a look at what has which date.
pub fn take_above(conn: &mut Conn, bases: &[i64], race: u32) -> QueryResult<Vec<i64>> {
    let taken = load_taken(conn, bases)?;
    take_from(conn, bases, &taken, race)
}

fn take_from(
    conn: &mut Conn,
    bases: &[i64],
    taken: &HashSet<i64>,
    race: u32,
) -> QueryResult<Vec<i64>> {
    let mut order: Vec<usize> = (0..bases.len()).collect();
    // It is stable: those of one date stay in their order.
    order.sort_by_key(|n| bases[*n]);
    let mut given: HashSet<i64> = HashSet::new();
    let mut places = bases.to_vec();
    for same in order.chunk_by(|one, other| bases[*one] == bases[*other]) {
        let base = bases[same[0]];
        let is_free = !taken.contains(&base) && !given.contains(&base);
        let numbers = if is_free && same.len() == 1 {
            given.insert(base);
            vec![base]
        } else {
            free_near(conn, base, same.len(), &mut given, jump(race))?
        };
        for (n, number) in same.iter().zip(numbers) {
            places[*n] = number;
        }
    }
    Ok(places)
}

/// Those of some numbers that posts have.
fn load_taken(conn: &mut Conn, numbers: &[i64]) -> QueryResult<HashSet<i64>> {
    let mut taken = HashSet::new();
    for some in numbers.chunks(AT_ONCE) {
        let found: Vec<i64> = post::table
            // So that the index of the lists leads there.
            .filter(post::published.eq(true).or(post::published.eq(false)))
            .filter(any_of(post::place, some))
            .select(post::place)
            .load(conn)?;
        taken.extend(found);
    }
    Ok(taken)
}

/// `count` free numbers in their order, from this one up, or down where the part of the day ends.
fn free_near(
    conn: &mut Conn,
    base: i64,
    count: usize,
    given: &mut HashSet<i64>,
    jump: i64,
) -> QueryResult<Vec<i64>> {
    let first = base.div_euclid(PART) * PART;
    for (direction, room) in [(1, first + PART - 1 - base), (-1, base - first)] {
        let mut found = free_beside(conn, (base, direction, room), count, given, jump)?;
        if found.len() == count {
            found.sort_unstable();
            return Ok(found);
        }
    }
    // A billion posts in half an hour.
    Err(diesel::result::Error::NotFound)
}

/// The same in one direction, as many as there are within so many numbers.
fn free_beside(
    conn: &mut Conn,
    (base, direction, room): (i64, i64, i64),
    count: usize,
    given: &mut HashSet<i64>,
    jump: i64,
) -> QueryResult<Vec<i64>> {
    let at = |distance: i64| base + direction * distance;
    let window = i64::try_from(AT_ONCE).unwrap_or(i64::MAX);
    let first = first_free(conn, &at, room, given)?;
    if count == 1 && jump == 0 && first <= room {
        given.insert(at(first));
        return Ok(vec![at(first)]);
    }
    let mut from = first.saturating_add(jump);
    let mut found = Vec::new();
    while found.len() < count && from <= room {
        let numbers: Vec<i64> = (from..=room).take(AT_ONCE).map(at).collect();
        let taken = load_taken(conn, &numbers)?;
        for number in numbers {
            if found.len() < count && !taken.contains(&number) && given.insert(number) {
                found.push(number);
            }
        }
        from = from.saturating_add(window);
    }
    Ok(found)
}

/// A distance at which a number is free where the one before it is taken. Numbers are mostly taken in one
/// piece: so it is the end of that, found in a few statements, however many there are.
fn first_free(
    conn: &mut Conn,
    at: &impl Fn(i64) -> i64,
    room: i64,
    given: &HashSet<i64>,
) -> QueryResult<i64> {
    let mut distances: Vec<i64> = (std::iter::once(0).chain((0..31).map(|power| 1 << power)))
        .filter(|distance| *distance < room)
        .collect();
    distances.push(room);
    let mut low = -1;
    loop {
        let numbers: Vec<i64> = distances.iter().map(|distance| at(*distance)).collect();
        let taken = load_taken(conn, &numbers)?;
        let is_free = |number: &i64| !taken.contains(number) && !given.contains(number);
        let Some(end) = numbers.iter().position(is_free) else {
            // None in this direction.
            return Ok(room + 1);
        };
        let high = distances[end];
        if let Some(before) = end.checked_sub(1) {
            low = distances[before];
        }
        if high - low <= 1 {
            return Ok(high);
        }
        let step = usize::try_from((high - low) / BETWEEN).unwrap_or(1).max(1);
        distances = (low + 1..high).step_by(step).collect();
        distances.push(high);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_date() {
        let date = |text: &str| text.parse::<NaiveDateTime>().unwrap();
        assert_eq!(of_date(date("0001-01-01T00:00:00")), 0);
        for text in [
            "1000-01-01T00:00:00",
            "2026-11-26T18:00:00.000001",
            "9999-12-31T23:59:59.999999",
        ] {
            let place = of_date(date(text));
            assert!(place > DATED);
            assert_eq!(date_of(place), date(text));
        }
        // A cursor has at most 18 digits.
        assert!(of_date(date("9999-12-31T23:59:59.999999")) < 1_000_000_000_000_000_000);
        assert_eq!(of_date(date("2026-11-26T00:00:00")) % DAY, 0);
        assert_eq!(DAY % PART, 0);
    }
}
