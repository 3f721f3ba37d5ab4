//! Lists by several tags, each of which many posts have and hardly any has all: how many posts are gone through for a part
//! of them, and that the parts are the whole list.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};
use diesel::connection::SimpleConnection;
use inkpot::core::db::{Conn, DatabaseUrl, connection};
use inkpot::core::page::ListPart;
use inkpot::http::page::PageRequest;
use inkpot::posts::list::{Cursor, Dates, Filter, Sort};
use inkpot::posts::storage::check;
use inkpot::posts::storage::{archive, lists};
use inkpot::posts::types::Tag;

use crate::harness::{Backend, TestDatabase, posts};
use crate::plans::{all_statements, faults, rows_read};

const AUTHORS: i64 = 5;
/// Numbers, of which two thirds are posts.
const NUMBERS: i64 = 30_000;
/// Posts that are gone through.
const DEPTH: i64 = 2000;
/// The posts that have both tags.
const BOTH: [i64; 3] = [100, 9002, 29_996];
/// Posts of one date, all of which are gone through together.
const TIES: i64 = 4096 * 2 / 3 + 1;
/// Posts between dates that are counted before.
const FEW: i64 = 5001;

/// Gives each post that has not the tag `even` the tag `odd`, and a few both.
fn fill(conn: &mut Conn) {
    for n in 1..=AUTHORS {
        conn.batch_execute(&format!(
            "INSERT INTO user (user_id, email, email_key, name, password, role, is_active, email_verified, \
             mobile_verified, created, updated) VALUES ({n}, 'u{n}', 'u{n}', 'u{n}', '', 'user', 1, 0, 0, \
             '2026-01-01 00:00:00', '2026-01-01 00:00:00')"
        ))
        .unwrap();
    }
    posts::insert_many(conn, AUTHORS, NUMBERS);
    let both = BOTH.map(|id| id.to_string()).join(", ");
    for sql in [
        "UPDATE post SET tags = 'all\nodd' WHERE post_id % 2 = 1".to_owned(),
        format!("UPDATE post SET tags = 'all\neven\nodd' WHERE post_id IN ({both})"),
        format!(
            "INSERT INTO post_tag (tag, published, place, post_id, author_id) \
             SELECT 'odd', 1, place, post_id, author_id FROM post WHERE post_id % 2 = 1 OR post_id IN ({both})"
        ),
    ] {
        conn.batch_execute(&sql).unwrap();
    }
    let missing = check::missing_counts(conn, &|_| Ok(())).unwrap();
    check::add_missing(conn, &missing).unwrap();
}

fn year(year: i32) -> NaiveDateTime {
    let day = NaiveDate::from_ymd_opt(year, 1, 1).unwrap();
    day.and_time(NaiveTime::MIN)
}

/// Reads a list from cursor to cursor; gives the ids, and how many parts it took.
fn walk(conn: &mut Conn, filter: &Filter, size: u32) -> (Vec<i64>, usize) {
    let (mut found, mut position) = (Vec::new(), None);
    for parts in 1.. {
        let before = rows_read(conn);
        let part = ListPart::Below { position, size };
        let mut next = None;
        let queries = all_statements(conn, |conn| {
            let listed = lists::load_within(conn, filter, part, DEPTH)
                .unwrap()
                .listed;
            assert!(listed.rows.len() <= size as usize);
            found.extend(listed.rows.iter().map(|post| post.post_id));
            next = listed.next;
        });
        // Each once in every window to see where they end, once to be looked at, and once for the other tag.
        let mut most = 6 * DEPTH + 3 * (1 << 10) + 100;
        if filter.is_by_date() {
            most += FEW + 2 * TIES;
        }
        let read = rows_read(conn) - before;
        assert!(read < most, "{filter:?}: {read} rows at {position:?}");
        if parts < 3 {
            // Of those that go through posts: the few that are shown are looked up.
            let passes = ["SELECT t.", "SELECT p.", "SELECT COUNT(*) AS number FROM ("];
            let is_walk = |sql: &&String| passes.iter().any(|start| sql.starts_with(start));
            for sql in queries.iter().filter(is_walk) {
                let wrong = faults(conn, sql);
                assert!(wrong.is_empty(), "{sql}: {wrong:?}");
            }
        }
        if next.is_none() {
            return (found, parts);
        }
        // It is one that comes back from a client.
        let told = next.map(|next: Cursor| next.to_string()).unwrap();
        assert_eq!(Cursor::parse(&told), next);
        assert!(filter.fits(next.unwrap()) && next != position, "{told}");
        position = next;
    }
    unreachable!("a list has an end")
}

fn many_have_each_tag_and_few_have_all(backend: Backend) {
    let Some(database) = TestDatabase::create(backend) else {
        return;
    };
    let url = DatabaseUrl::parse(&database.url()).unwrap();
    let mut conn = connection::open(&url).unwrap();
    let conn = &mut conn;
    fill(conn);
    let tags = |names: &[&str]| names.iter().map(|name| Tag((*name).to_owned())).collect();
    let both = || Filter {
        tags: tags(&["even", "odd"]),
        ..Filter::default()
    };
    let newest: Vec<i64> = BOTH.iter().rev().copied().collect();
    let dates = Dates {
        since: Some(year(2000)),
        until: Some(year(2030)),
    };
    for dates in [Dates::default(), dates] {
        for (sort, expected) in [(Sort::Newest, &newest[..]), (Sort::Oldest, &BOTH[..])] {
            let filter = Filter {
                dates,
                sort,
                ..both()
            };
            for size in [1, 20] {
                let (found, parts) = walk(conn, &filter, size);
                assert_eq!(found, expected, "{filter:?}");
                assert!((5..=20).contains(&parts), "{filter:?}: {parts}");
            }
            // A page is what the newest of them have; where there may be more, nothing is counted.
            let page = ListPart::Page(PageRequest { page: 1, size: 20 });
            let listed = lists::load_within(conn, &filter, page, DEPTH)
                .unwrap()
                .listed;
            assert_eq!(listed.rows.len(), 1);
            assert_eq!(listed.count, None);
            assert!(listed.next.is_some());
            let whole = lists::load(conn, &filter, page).unwrap().listed;
            assert_eq!((whole.rows.len(), whole.count), (3, Some(3)));
            assert_eq!(whole.next, None);
        }
    }
    // Those of which there are enough end nowhere before.
    let filter = Filter {
        tags: tags(&["all", "even"]),
        ..Filter::default()
    };
    let (found, parts) = walk(conn, &filter, 100);
    assert_eq!(found.len(), 10_000);
    assert_eq!(parts, 100);
    // Of months those that are whole are told.
    let all = archive::load_months(conn, &filter).unwrap();
    let some = archive::load_months_within(conn, &filter, DEPTH).unwrap();
    assert!((1..all.len()).contains(&some.len()), "{some:?} of {all:?}");
    assert_eq!(some, all[..some.len()]);
    let none = archive::load_months_within(conn, &both(), DEPTH).unwrap();
    assert_eq!(none.iter().map(|(_, posts)| posts).sum::<i64>(), 1);
}

#[test]
fn many_have_each_tag_and_few_have_all_on_sqlite() {
    many_have_each_tag_and_few_have_all(Backend::Sqlite);
}

#[test]
fn many_have_each_tag_and_few_have_all_on_mysql() {
    many_have_each_tag_and_few_have_all(Backend::Mysql);
}
