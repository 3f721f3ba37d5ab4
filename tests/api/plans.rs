//! Every query of every list goes along an index, at 100,000 posts, and so does a worker
//! that looks for jobs: what the databases themselves say they would do.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};
use diesel::connection::{Connection, InstrumentationEvent, SimpleConnection};
use diesel::prelude::*;
use diesel::sql_types::{Nullable, Text};
use inkpot::core::db::dialect::{ErrorClass, error_class};
use inkpot::core::db::{Conn, connection, connection::DatabaseUrl, deadline};
use inkpot::core::page::ListPart;
use inkpot::http::page::PageRequest;
use inkpot::jobs::Queue;
use inkpot::jobs::storage::queue as jobs;
use inkpot::posts::feed::sitemap::PIECE;
use inkpot::posts::list::{Cursor, Dates, Filter, Sort, TagSort};
use inkpot::posts::search::Query;
use inkpot::posts::storage::lists::Part;
use inkpot::posts::storage::{archive, at_once, lists, posts as store, scheduled, sitemap};
use inkpot::posts::types::Tag;

use crate::harness::{Backend, TestDatabase, posts};

/// Users who have posts, and how many posts there are numbers for.
const AUTHORS: i64 = 50;
const POSTS: i64 = 100_000;

/// The filter of every list.
fn filters() -> Vec<Filter> {
    let words = |text: &str| Some(Query::parse(text).unwrap());
    let tags = |names: &[&str]| {
        names
            .iter()
            .map(|name| Tag((*name).to_owned()))
            .collect::<Vec<_>>()
    };
    let tag = tags(&["even"]);
    let mut all = vec![
        Filter::default(),
        Filter {
            author: Some(7),
            ..Filter::default()
        },
        Filter {
            tags: tag.clone(),
            ..Filter::default()
        },
        Filter {
            author: Some(7),
            tags: tag.clone(),
            ..Filter::default()
        },
        Filter {
            drafts_of: Some(7),
            ..Filter::default()
        },
        Filter {
            drafts_of: Some(7),
            tags: tag.clone(),
            ..Filter::default()
        },
        Filter {
            words: words("seventh"),
            ..Filter::default()
        },
        Filter {
            words: words("seventh wor*"),
            author: Some(7),
            tags: tag.clone(),
            ..Filter::default()
        },
        Filter {
            words: words("\"word seventh\""),
            drafts_of: Some(7),
            ..Filter::default()
        },
        Filter {
            tags: tags(&["all", "even"]),
            ..Filter::default()
        },
        Filter {
            author: Some(7),
            tags: tags(&["all", "even"]),
            ..Filter::default()
        },
        Filter {
            dates: between(2012, 2018),
            ..Filter::default()
        },
        Filter {
            author: Some(7),
            dates: between(2012, 2018),
            ..Filter::default()
        },
        Filter {
            tags: tags(&["all", "even"]),
            dates: between(2012, 2018),
            ..Filter::default()
        },
        // Few between the dates, and many with the tag.
        Filter {
            tags: tags(&["even"]),
            dates: between(2012, 2012),
            ..Filter::default()
        },
        Filter {
            words: words("seventh"),
            dates: between(2012, 2012),
            ..Filter::default()
        },
    ];
    all.extend(followed(&tag));
    all
}

/// Lists of two who follow: the one many, the other more users than there are authors.
const FOLLOWERS: [i64; 2] = [8, 9];

fn followed(tag: &[Tag]) -> Vec<Filter> {
    let by = |follower| Filter {
        followed_by: Some(follower),
        ..Filter::default()
    };
    let [few, many] = FOLLOWERS.map(by);
    vec![
        few.clone(),
        many,
        Filter {
            author: Some(7),
            ..few.clone()
        },
        Filter {
            tags: tag.to_vec(),
            ..few.clone()
        },
        Filter {
            dates: between(2012, 2018),
            ..few
        },
    ]
}

/// Has both follow every third author, and the second more than a thousand others.
fn insert_follows(conn: &mut Conn) {
    let others: Vec<String> = (1..=1000)
        .map(|n| {
            let n = 10_000 + n;
            format!(
                "({n}, 'o{n}', 'o{n}', 'o{n}', '', 'user', 1, 0, 0, '2026-01-01 00:00:00', '2026-01-01 00:00:00')"
            )
        })
        .collect();
    let time = "'2026-01-01 00:00:00'";
    for sql in [
        format!(
            "INSERT INTO user (user_id, email, email_key, name, password, role, is_active, email_verified, \
             mobile_verified, created, updated) VALUES {}",
            others.join(", ")
        ),
        format!(
            "INSERT INTO follow (follower_id, followed_id, created) SELECT 8, user_id, {time} FROM user \
             WHERE user_id < 10000 AND user_id % 3 = 1"
        ),
        format!(
            "INSERT INTO follow (follower_id, followed_id, created) SELECT 9, user_id, {time} FROM user \
             WHERE user_id > 10000 OR user_id % 3 = 1"
        ),
    ] {
        conn.batch_execute(&sql).unwrap();
    }
}

/// Every list, in both ways of paging, at its top and in its depth.
fn lists() -> Vec<(String, Filter, ListPart<Cursor>)> {
    let page = |page| ListPart::Page(PageRequest { page, size: 20 });
    let below = |position| ListPart::Below { position, size: 20 };
    let mut all = Vec::new();
    for filter in filters() {
        let middle = if filter.is_by_date() {
            Cursor::Dated {
                date: day(2012),
                post_id: 18_000,
            }
        } else {
            Cursor::Position(posts::place_of(POSTS / 2))
        };
        for part in [
            page(1),
            page(3),
            page(1500),
            below(None),
            below(Some(middle)),
        ] {
            // Pages of these end long before.
            if filter.followed_by.is_some() && part == page(1500) {
                continue;
            }
            for sort in Sort::ALL {
                if sort == Sort::Relevance && filter.words.is_none() {
                    continue;
                }
                let part = match part {
                    ListPart::Below { position, size } if sort == Sort::Relevance => {
                        let position = position.map(|_| Cursor::Ranked {
                            score: 0,
                            position: posts::place_of(POSTS / 2),
                        });
                        ListPart::Below { position, size }
                    }
                    part => part,
                };
                let filter = Filter {
                    sort,
                    ..filter.clone()
                };
                all.push((format!("{filter:?} {part:?}"), filter, part));
            }
        }
    }
    all
}

/// The date of many posts of this year.
fn day(year: i32) -> NaiveDateTime {
    let day = NaiveDate::from_ymd_opt(year, 10, 1).unwrap();
    day.and_time(NaiveTime::MIN)
}

/// The dates of these years.
fn between(first: i32, last: i32) -> Dates {
    Dates {
        since: Some(day(first)),
        until: Some(day(last + 1)),
    }
}

/// The statements that `work` sends, with their values in them.
fn statements(conn: &mut Conn, work: impl FnOnce(&mut Conn)) -> Vec<String> {
    let queries = all_statements(conn, work);
    // A search has its time in a comment before it.
    let queries = queries
        .iter()
        .map(|query| match query.strip_prefix("/*M!") {
            Some(query) => query.split_once("*/ ").map_or(query, |(_, query)| query),
            None => query,
        });
    queries
        .filter(|query| query.starts_with("SELECT"))
        .map(str::to_owned)
        .collect()
}

/// Those that are no queries as well. A batch is one of them.
pub fn all_statements(conn: &mut Conn, work: impl FnOnce(&mut Conn)) -> Vec<String> {
    let sent = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&sent);
    conn.set_instrumentation(move |event: InstrumentationEvent<'_>| {
        if let InstrumentationEvent::StartQuery { query, .. } = event {
            heard.lock().unwrap().push(query.to_string());
        }
    });
    work(conn);
    conn.set_instrumentation(|_: InstrumentationEvent<'_>| {});
    let sent = sent.lock().unwrap().clone();
    sent.iter().map(|text| filled(text)).collect()
}

/// Puts the values of a statement, told behind it, in the places of its `?`.
fn filled(text: &str) -> String {
    let Some((sql, values)) = text.rsplit_once(" -- binds: ") else {
        return text.to_owned();
    };
    let values: Vec<serde_json::Value> = serde_json::from_str(values).unwrap_or_else(|_| {
        // Times are told without quotes; texts beside them have no commas here.
        let told = values.trim_matches(['[', ']']).split(", ");
        told.map(|value| serde_json::from_str(value).unwrap_or_else(|_| value.into()))
            .collect()
    });
    let mut values = values.iter().map(|value| match value {
        serde_json::Value::String(text) => format!("'{text}'"),
        // Bytes are told as numbers.
        serde_json::Value::Array(bytes) => {
            let each = bytes.iter().map(|byte| byte.as_u64().unwrap());
            let hex: Vec<String> = each.map(|byte| format!("{byte:02x}")).collect();
            format!("X'{}'", hex.concat())
        }
        other => other.to_string(),
    });
    let mut parts = sql.split('?');
    let mut whole = parts.next().unwrap().to_owned();
    for part in parts {
        whole.push_str(&values.next().unwrap());
        whole.push_str(part);
    }
    whole
}

#[derive(QueryableByName)]
struct SqliteStep {
    #[diesel(sql_type = Text)]
    detail: String,
}

#[derive(QueryableByName)]
struct MysqlStep {
    #[diesel(sql_type = Nullable<Text>)]
    table: Option<String>,
    #[diesel(sql_type = Nullable<Text>, column_name = "type")]
    access: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    key: Option<String>,
    #[diesel(sql_type = Nullable<Text>, column_name = "Extra")]
    extra: Option<String>,
}

/// What is wrong with the plan of a query; nothing, as it should be.
pub fn faults(conn: &mut Conn, sql: &str) -> Vec<String> {
    match conn {
        Conn::Sqlite(conn) => {
            let steps: Vec<SqliteStep> = diesel::sql_query(format!("EXPLAIN QUERY PLAN {sql}"))
                .load(conn)
                .unwrap();
            steps
                .into_iter()
                .map(|step| step.detail)
                // The full-text index is a table that is searched by scanning it for a word.
                .filter(|step| {
                    let scans = step.starts_with("SCAN") && !step.contains("VIRTUAL TABLE INDEX");
                    // What was found up to a bound, and is counted.
                    let scans = scans && step != "SCAN found";
                    scans || step.contains("TEMP B-TREE")
                })
                .collect()
        }
        Conn::Mysql(conn) => {
            let steps: Vec<MysqlStep> =
                diesel::sql_query(format!("EXPLAIN FORMAT=TRADITIONAL {sql}"))
                    .load(conn)
                    .unwrap();
            // The matches of a full-text search have no order of their own: they are
            // sorted, and they only.
            let is_search = steps
                .iter()
                .any(|step| step.access.as_deref() == Some("fulltext"));
            steps
                .into_iter()
                .filter(|step| {
                    let scans = matches!(step.access.as_deref(), Some("ALL" | "index"));
                    // What was found up to a bound, and is counted.
                    let table = step.table.as_deref().unwrap_or_default();
                    let scans = scans && !table.starts_with("<derived");
                    let extra = step.extra.as_deref().unwrap_or_default();
                    let sorts = extra.contains("filesort") || extra.contains("temporary");
                    scans || sorts && !is_search
                })
                .map(|step| {
                    let MysqlStep {
                        table,
                        access,
                        key,
                        extra,
                    } = step;
                    format!("{table:?} {access:?} {key:?} {extra:?}")
                })
                .collect()
        }
    }
}

/// Whether SQLite goes on with a statement when its time is over, which may go through many rows: MySQL
/// ends all of them.
fn has_no_end(conn: &mut Conn, sql: &str) -> bool {
    let Conn::Sqlite(conn) = conn else {
        return false;
    };
    let whole = format!("SELECT COUNT(*) FROM ({sql})");
    let done = deadline::within_time(Duration::ZERO, || diesel::sql_query(whole).execute(conn));
    if let Err(error) = done {
        assert_eq!(error_class(&error), ErrorClass::TimeLimit, "{error}: {sql}");
    }
    // Rows by their keys, the first of a range of an index, some blocks of counts; and whom an
    // operator has deleted.
    let is_first = sql.contains(" LIMIT ") && !sql.contains(" OFFSET ");
    let is_short = [
        " IN (",
        "`post_count`.`list` = ",
        "FROM post_count WHERE list = ",
        "BETWEEN",
        "`role` = 'deleted'",
    ];
    !sql.contains("in_time(") && !is_first && !is_short.iter().any(|part| sql.contains(part))
}

/// Rows that a list may cost at any depth: 20 posts, those of their authors, some blocks
/// of counts. Lists that are counted along their index
/// cost what they find.
const READ_MAX: i64 = 1000;
/// Posts of one date, which are in one block of counts.
const TIES: i64 = 4096 * 2 / 3 + 1;

#[derive(QueryableByName)]
struct Counter {
    #[diesel(sql_type = Text, column_name = "Value")]
    value: String,
}

/// Rows that this connection has read so far, as MySQL counts them. What is planned may
/// look well and still read half of the table.
pub fn rows_read(conn: &mut Conn) -> i64 {
    counted(conn, "Handler_read%")
}

fn counted(conn: &mut Conn, counters: &str) -> i64 {
    let Conn::Mysql(conn) = conn else { return 0 };
    let counters: Vec<Counter> =
        diesel::sql_query(format!("SHOW SESSION STATUS LIKE '{counters}'"))
            .load(conn)
            .unwrap();
    let values = counters.iter().map(|row| row.value.parse::<i64>().unwrap());
    values.sum()
}

fn every_list_goes_along_an_index(backend: Backend) {
    let Some(database) = TestDatabase::create(backend) else {
        return;
    };
    let url = DatabaseUrl::parse(&database.url()).unwrap();
    let mut conn = connection::open(&url).unwrap();
    for n in 1..=AUTHORS {
        conn.batch_execute(&format!(
            "INSERT INTO user (user_id, email, email_key, name, password, role, is_active, email_verified, \
             mobile_verified, created, updated) VALUES ({n}, 'u{n}', 'u{n}', 'u{n}', '', 'user', 1, 0, 0, \
             '2026-01-01 00:00:00', '2026-01-01 00:00:00')"
        ))
        .unwrap();
    }
    posts::insert_many(&mut conn, AUTHORS, POSTS);
    insert_follows(&mut conn);
    // An empty table would be read whole, rightly.
    conn.batch_execute(
        "INSERT INTO post_stat (post_id, kind, slot, number) SELECT post_id, 1, 0, 1 FROM post",
    )
    .unwrap();
    conn.batch_execute(
        "INSERT INTO job (kind, lane, state, due, attempts, payload, dedup_key, created) \
         SELECT 'publish_post', 'publish', 'waiting', '2030-01-01 00:00:00', 0, '', CONCAT('publish_post ', post_id), \
         '2026-01-01 00:00:00' FROM post WHERE post_id < 10000",
    )
    .unwrap();
    conn.batch_execute(
        "UPDATE post SET publish_at = '2026-01-01 00:00:00' WHERE post_id BETWEEN 1000 AND 1100",
    )
    .unwrap();
    // With the statistics that the database has of itself, and with good ones.
    judge(&mut conn);
    let analyze = match &conn {
        Conn::Sqlite(_) => "ANALYZE",
        Conn::Mysql(_) => {
            "ANALYZE TABLE post, post_tag, post_count, post_stat, post_words, content, user, job, follow"
        }
    };
    conn.batch_execute(analyze).unwrap();
    judge(&mut conn);

    // And what is judged here can be judged: plans that are bad are seen to be.
    for sql in [
        "SELECT * FROM post WHERE title = 'x'",
        "SELECT post_id FROM post WHERE published = 1 ORDER BY title",
        "SELECT COUNT(*) FROM post WHERE tags = ''",
    ] {
        assert!(!faults(&mut conn, sql).is_empty(), "{sql}");
    }
}

/// Rows that a list may cost which has so many matches, where they are counted.
fn most_read(filter: &Filter, matches: Option<i64>) -> i64 {
    // The others have what they match counted, and gone through to a page: a row of an
    // index each, or some of the search's.
    let is_counted = filter.counted().is_some();
    let is_sorted = filter.is_by_date() && !filter.tags.is_empty();
    let is_plain = filter.tags.is_empty() && filter.dates.are_all();
    let is_followed = filter.followed_by.is_some() && is_plain;
    let is_of_many = 4 * i64::from(filter.followed_by == Some(FOLLOWERS[1]));
    match (matches, filter.words.is_some()) {
        _ if is_counted => READ_MAX + TIES,
        // The next post of each author, or so many posts of all.
        _ if is_followed => 2 * READ_MAX + (1 << 13) * is_of_many,
        // And whether each that has the tag or lies between the dates is by one of them.
        _ if filter.followed_by.is_some() => READ_MAX + 3 * POSTS,
        // Those with the tag, their dates, and whether they have the other one.
        _ if is_sorted => READ_MAX + 3 * POSTS,
        (None, false) => READ_MAX,
        // Each is looked at once more for every other tag; what is counted is written down first.
        (Some(matches), false) if filter.tags.len() > 1 || filter.is_by_date() => {
            READ_MAX + 6 * matches
        }
        (Some(matches), false) => READ_MAX + 2 * matches,
        (_, true) => i64::MAX,
    }
}

/// What finding the pieces of the sitemap asks.
fn pieces_of_the_sitemap(conn: &mut Conn) -> Vec<String> {
    let before = rows_read(conn);
    let queries = statements(conn, |conn| {
        assert_eq!(sitemap::load_pieces(conn).unwrap(), [0, 1, 2]);
    });
    assert!(rows_read(conn) - before < 100);
    queries
}

/// What looking for scheduled posts that nobody publishes asks.
fn scheduled_without_a_job(conn: &mut Conn) -> Vec<String> {
    let before = rows_read(conn);
    let queries = statements(conn, |conn| {
        let lost = scheduled::load_lost(conn, Some(day(2027)), 100).unwrap();
        assert!(lost.is_empty());
    });
    assert!(rows_read(conn) - before < READ_MAX);
    queries
}

/// What reading a part of a list outside of a snapshot asks, where that is done: it finds the same, and reads as few rows.
fn at_once(
    conn: &mut Conn,
    name: &str,
    (filter, part): (&Filter, ListPart<Cursor>),
    most: i64,
) -> Option<Vec<String>> {
    if !at_once::can_load(filter, part) {
        return None;
    }
    let before = rows_read(conn);
    let mut found = None;
    let queries = statements(conn, |conn| {
        found = at_once::load(conn, filter, part).unwrap();
    });
    let read = rows_read(conn) - before;
    assert!(read < most, "{name} read {read} rows at once");
    let listed = lists::load(conn, filter, part).unwrap().listed;
    let ids = |listed: &Part| -> Vec<i64> { listed.rows.iter().map(|post| post.post_id).collect() };
    match found {
        Some(found) => {
            let found = found.listed;
            assert_eq!(ids(&found), ids(&listed), "{name}");
            assert_eq!(
                (found.count, found.next),
                (listed.count, listed.next),
                "{name}"
            );
        }
        None => assert!(listed.rows.is_empty(), "{name} takes no snapshot"),
    }
    Some(queries)
}

/// Sees that no list has a bad plan or reads more than it must.
fn judge(conn: &mut Conn) {
    let mut seen = 0;
    let mut wrong = Vec::new();
    let mut look = |conn: &mut Conn, name: &str, queries: Vec<String>, is_sorted: bool| {
        assert!(!queries.is_empty(), "{name}: no query was heard");
        for sql in queries {
            seen += 1;
            let is_sorting = |fault: &String| {
                let sorts = fault.contains("filesort") || fault.contains("TEMP B-TREE");
                sorts && !fault.contains("ALL") && !fault.contains("\"index\"")
            };
            if has_no_end(conn, &sql) {
                wrong.push(format!(
                    "{name}\n    {sql}\n    goes on when its time is over"
                ));
            }
            let faults = faults(conn, &sql).into_iter();
            for fault in faults.filter(|fault| !is_sorted || !is_sorting(fault)) {
                wrong.push(format!("{name}\n    {sql}\n    {fault}"));
            }
        }
    };
    for (name, filter, part) in lists() {
        let before = rows_read(conn);
        let mut matches = None;
        let queries = statements(conn, |conn| {
            matches = lists::load(conn, &filter, part).unwrap().listed.count;
        });
        let read = rows_read(conn) - before;
        let most = most_read(&filter, matches);
        let is_sorted = filter.is_by_date() && !filter.tags.is_empty();
        assert!(read < most, "{name} read {read} rows for {matches:?}");
        look(conn, &name, queries, is_sorted);
        if let Some(queries) = at_once(conn, &name, (&filter, part), most) {
            look(conn, &format!("at once: {name}"), queries, is_sorted);
        }
    }
    let queries = statements(conn, |conn| {
        store::find_post(conn, 50_000).unwrap().unwrap();
        let after = posts::place_of(1000);
        assert_eq!(lists::load_after(conn, 7, true, after).unwrap().len(), 16);
    });
    look(conn, "posts with their texts", queries, false);
    for filter in filters() {
        // What has neighbours is published, and nothing is told around those whom one follows.
        let has_neighbours = filter.published() && filter.followed_by.is_none();
        if filter.words.is_some() || filter.is_by_date() || !has_neighbours {
            continue;
        }
        let before = rows_read(conn);
        let queries = statements(conn, |conn| {
            lists::find_neighbours(conn, 50_000, &filter)
                .unwrap()
                .unwrap();
        });
        assert!(rows_read(conn) - before < READ_MAX, "{filter:?}");
        // One post is sorted at times, where it was asked for by its position.
        look(conn, &format!("around {filter:?}"), queries, true);
        let before = rows_read(conn);
        let queries = statements(conn, |conn| {
            assert!(!archive::load_months(conn, &filter).unwrap().is_empty());
        });
        // Of what is not kept each date is read.
        let most = filter.counted().map_or(5 * POSTS, |_| READ_MAX);
        assert!(rows_read(conn) - before < most, "{filter:?}");
        look(conn, &format!("months of {filter:?}"), queries, false);
    }
    for beginning in ["", "ev"] {
        let before = rows_read(conn);
        let first = PageRequest { page: 1, size: 20 };
        let queries = statements(conn, |conn| {
            let tags = archive::load_tags(conn, beginning, TagSort::Posts, first).unwrap();
            assert!(!tags.rows.is_empty());
        });
        assert!(rows_read(conn) - before < READ_MAX, "{beginning}");
        look(conn, "tags", queries, false);
    }
    // Of the tags that a write has named.
    let before = rows_read(conn);
    let named = ["even".to_owned(), "none".to_owned()].into();
    let queries = statements(conn, |conn| {
        let numbers = archive::read_numbers(conn, Some(&named)).unwrap().unwrap();
        assert!(numbers["even"] > 1000 && numbers["none"] == 0);
    });
    assert!(rows_read(conn) - before < 30);
    look(conn, "some tags", queries, false);
    let queries = pieces_of_the_sitemap(conn);
    look(conn, "pieces of the sitemap", queries, false);
    let before = rows_read(conn);
    let queries = statements(conn, |conn| {
        assert!(sitemap::load_piece(conn, 1).unwrap().len() > 10_000);
    });
    assert!(rows_read(conn) - before < PIECE + 100);
    look(conn, "a piece of the sitemap", queries, false);
    let queries = scheduled_without_a_job(conn);
    look(conn, "scheduled posts without a job", queries, false);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 80, "{seen}");
}

#[test]
fn every_list_goes_along_an_index_on_sqlite() {
    every_list_goes_along_an_index(Backend::Sqlite);
}

#[test]
fn every_list_goes_along_an_index_on_mysql() {
    every_list_goes_along_an_index(Backend::Mysql);
}

/// Jobs that are done, and that wait and are due.
const DONE: i64 = 200_000;
const DUE: i64 = 20_000;

fn a_worker_reads_only_the_jobs_that_it_takes(backend: Backend) {
    let Some(database) = TestDatabase::create(backend) else {
        return;
    };
    let url = DatabaseUrl::parse(&database.url()).unwrap();
    let mut conn = connection::open(&url).unwrap();
    insert_jobs(&mut conn, DONE, "'done', NULL");
    insert_jobs(&mut conn, DUE, "'waiting', '2026-01-01 00:00:00'");
    // With the statistics that the database has of itself, and with good ones; and again,
    // for a statement that is kept may do otherwise the second time.
    take_some(&mut conn);
    take_some(&mut conn);
    let analyze = match &conn {
        Conn::Sqlite(_) => "ANALYZE",
        Conn::Mysql(_) => "ANALYZE TABLE job",
    };
    conn.batch_execute(analyze).unwrap();
    take_some(&mut conn);
    // And when there is nothing left to take.
    conn.batch_execute("UPDATE job SET state = 'done', due = NULL WHERE state = 'waiting'")
        .unwrap();
    take_some(&mut conn);
}

/// Inserts jobs of one lane in this state, doubling them.
pub fn insert_jobs(conn: &mut Conn, number: i64, state_and_due: &str) {
    const COLUMNS: &str = "kind, lane, state, due, attempts, payload, created";
    let one = format!("'mail_notice', 'mail', {state_and_due}, 0, '{{}}', '2026-01-01 00:00:00'");
    conn.batch_execute(&format!("INSERT INTO job ({COLUMNS}) VALUES ({one})"))
        .unwrap();
    let mut there = 1;
    while there < number {
        let more = there.min(number - there);
        conn.batch_execute(&format!(
            "INSERT INTO job ({COLUMNS}) SELECT {one} FROM job LIMIT {more}"
        ))
        .unwrap();
        there += more;
    }
}

/// Sees how a worker finds jobs of all queues, and how many rows that costs.
fn take_some(conn: &mut Conn) {
    let now = chrono::DateTime::from_timestamp(1_800_000_000, 0)
        .unwrap()
        .naive_utc();
    let free = Queue::ALL.map(|queue| (queue, queue.concurrency()));
    // What the database looks at in an index is no row that it has read.
    let before = rows_read(conn) + counted(conn, "Handler_icp_attempts");
    let mut taken = 0;
    let queries = statements(conn, |conn| {
        conn.transaction(|conn| {
            let some = jobs::settle_and_claim(conn, "lease", &[], &free, now)?;
            taken = i64::try_from(some.len()).unwrap();
            jobs::next_due(conn, &Queue::ALL)
        })
        .unwrap();
    });
    let read = rows_read(conn) + counted(conn, "Handler_icp_attempts") - before;
    assert_eq!(queries.len(), 2 * Queue::ALL.len());
    let (claims, asks) = queries.split_at(Queue::ALL.len());
    let (claim, ask) = match conn {
        Conn::Sqlite(_) => (
            "SEARCH job USING INDEX job_lane_due (lane=? AND due<?)",
            "SEARCH job USING COVERING INDEX job_lane_due (lane=?)",
        ),
        Conn::Mysql(_) => ("range job_lane_due", "while planning"),
    };
    for (queries, right) in [(claims, claim), (asks, ask)] {
        for sql in queries {
            assert_eq!(way(conn, sql), right, "{sql}");
        }
    }
    // In the index, in the table, and once more to be changed; and the ends of ranges.
    assert!(read <= 3 * taken + 20, "{read} for {taken}");
}

/// How a query of one table finds its rows.
fn way(conn: &mut Conn, sql: &str) -> String {
    match conn {
        Conn::Sqlite(conn) => {
            let step: SqliteStep = diesel::sql_query(format!("EXPLAIN QUERY PLAN {sql}"))
                .get_result(conn)
                .unwrap();
            step.detail
        }
        Conn::Mysql(conn) => {
            let step: MysqlStep = diesel::sql_query(format!("EXPLAIN FORMAT=TRADITIONAL {sql}"))
                .get_result(conn)
                .unwrap();
            let told = |text: Option<String>| text.unwrap_or_default();
            match step.table {
                Some(_) => format!("{} {}", told(step.access), told(step.key)),
                // Found by one look into an index, or not found.
                None => "while planning".to_owned(),
            }
        }
    }
}

#[test]
fn a_worker_reads_only_the_jobs_that_it_takes_on_sqlite() {
    a_worker_reads_only_the_jobs_that_it_takes(Backend::Sqlite);
}

#[test]
fn a_worker_reads_only_the_jobs_that_it_takes_on_mysql() {
    a_worker_reads_only_the_jobs_that_it_takes(Backend::Mysql);
}
