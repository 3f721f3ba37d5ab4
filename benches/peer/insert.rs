//! The one place where measurements write to a database: by the server's own
//! functions, so that whatever they keep beside the rows is kept here too.

use chrono::{DateTime, NaiveDateTime, TimeDelta};
use diesel::prelude::*;
use inkpot::accounts::password::Password;
use inkpot::accounts::storage::users;
use inkpot::accounts::types::{Email, Name, NewUser};
use inkpot::core::db::Conn;
use inkpot::core::db::schema::{post, user};
use inkpot::posts::actions::publish::prepare_request;
use inkpot::posts::publication::{Prepared, Publish};
use inkpot::posts::storage::posts as store;
use inkpot::posts::types::{Format, NewPost, Status, Tag, Title};

use crate::Outcome;
use crate::words::{self, Dice};

/// The password of every author.
pub const PASSWORD: &str = "correct horse battery staple";
/// The cost of its hash, the server's default: a login does not hash it anew.
pub const COST: u32 = 12;
/// Seconds since the epoch of the first post; each is a minute younger than the one before.
const FIRST: i64 = 1_577_836_800;

/// The author who has written a tenth of all posts.
pub const BUSY: i64 = 1;

/// How many posts there are.
pub fn count(conn: &mut Conn) -> QueryResult<u64> {
    let count: i64 = post::table.count().get_result(conn)?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// Adds authors up to this number, `author-1@example.org` and so on.
pub fn authors(conn: &mut Conn, number: u64) -> Outcome<()> {
    let there: i64 = user::table.count().get_result(conn)?;
    let there = u64::try_from(there)?;
    if there >= number {
        return Ok(());
    }
    // One for all: a quarter of a second each would be minutes.
    let password_hash = Password::attempt(PASSWORD).hash(COST)?;
    let invalid = |field: &str| format!("{field} of an author is refused");
    let rows: Vec<NewUser> = (there + 1..=number)
        .map(|n| {
            Ok(NewUser {
                email: Email::parse(&format!("author-{n}@example.org"))
                    .map_err(|_| invalid("the address"))?,
                name: Name::parse(&format!("Author {n}")).map_err(|_| invalid("the name"))?,
                username: None,
                mobile: None,
                password_hash: password_hash.clone(),
                now: date(0),
            })
        })
        .collect::<Result<_, String>>()?;
    conn.transaction(|conn| {
        for new in &rows {
            users::insert_user(conn, new)?;
        }
        QueryResult::Ok(())
    })?;
    Ok(())
}

/// A post that is ready to be inserted.
pub struct Row {
    job: Prepared,
    slug: String,
}

/// The post with this number, the same in every run. Texts are of `sizes` bytes, from
/// and to.
pub fn row(number: u64, authors: u64, sizes: (usize, usize)) -> Outcome<Row> {
    let mut dice = Dice::new(number);
    let spread = u64::try_from(sizes.1 - sizes.0)? + 1;
    let bytes = sizes.0 + usize::try_from(dice.roll(spread))?;
    // One author has written a tenth of all, and all under one tag.
    let drawn = i64::try_from(1 + dice.roll(authors))?;
    let is_busy = number.is_multiple_of(10);
    let author_id = if is_busy { BUSY } else { drawn };
    let mut tags: Vec<Tag> = (0..dice.roll(4))
        .map(|_| Tag(format!("tag-{}", dice.roll(100))))
        .collect();
    if is_busy {
        tags.push(Tag("tag-0".into()));
    }
    tags.sort();
    tags.dedup();
    let new = NewPost {
        title: Title(words::title(number, &mut dice)),
        content: words::text(bytes, &mut dice),
        status: Status::Published,
        publish_at: None,
        date: None,
        tags,
        format: Format::Markdown,
        slug: None,
        summary: None,
    };
    let request = Publish {
        author_id,
        post: new,
        key: None,
    };
    Ok(Row {
        job: prepare_request(request, date(i64::try_from(number)?)),
        slug: format!("post-{number}"),
    })
}

/// Inserts rows in one transaction.
pub fn posts(conn: &mut Conn, rows: &[Row]) -> Outcome<()> {
    conn.transaction(|conn| {
        for Row { job, slug } in rows {
            // Without its author the post would be missed, silently.
            store::insert_post(conn, job, Some(slug.clone()), 0)?
                .ok_or(diesel::result::Error::NotFound)?;
        }
        QueryResult::Ok(())
    })?;
    Ok(())
}

pub fn date(minutes: i64) -> NaiveDateTime {
    DateTime::from_timestamp(FIRST, 0)
        .unwrap_or_default()
        .naive_utc()
        + TimeDelta::minutes(minutes)
}
