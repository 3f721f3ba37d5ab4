//! Many posts at once, by plain SQL that both databases take, and their lists as a reader walks through them.

use chrono::NaiveDate;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use inkpot::core::db::schema::post;
use inkpot::core::db::{Conn, dialect};
use inkpot::posts::storage::posts::{find_post, words_of};
use inkpot::posts::storage::{check, places};

use super::Client;

/// All of a list from cursor to cursor.
pub async fn walk(reader: &Client<'_>, path: &str, size: usize) -> Vec<i64> {
    let (mut found, mut before) = (Vec::new(), String::new());
    loop {
        let path = format!("{path}&size={size}&before={before}");
        let answer = reader.get(&path).await.expect(200);
        let posts = answer["posts"].as_array().unwrap().iter();
        found.extend(posts.map(|post| post["post_id"].as_i64().unwrap()));
        match answer["pagination"]["next"].as_str() {
            Some(next) => next.clone_into(&mut before),
            None => return found,
        }
    }
}

/// Digits, to be multiplied to numbers.
const DIGITS: &str = "(SELECT 0 AS d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 \
     UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)";

/// Where the post with this number stands that [`insert_many`] inserts.
pub fn place_of(n: i64) -> i64 {
    let (year, month) = (
        2010 + i32::try_from(n >> 13).unwrap(),
        10 + u32::try_from((n >> 12) & 1).unwrap(),
    );
    let date = NaiveDate::from_ymd_opt(year, month, 1).unwrap();
    places::of_date(date.and_hms_opt(0, 0, 0).unwrap()) + (n & 4095)
}

/// Inserts posts with the numbers from 1 to `total` (at most 100,000) as ids, but for
/// multiples of three, with the tag `all` and every other one with `even`; number n is
/// by user `1 + n % authors`. Those with the same `n / 4096` are of one date: November for odd ones,
/// October for even ones of the year `2010 + n / 8192`; they stand in the order of their numbers. Their words are `word` and, for multiples of 7, `seventh`.
pub fn insert_many(conn: &mut Conn, authors: i64, total: i64) {
    let numbers = format!(
        "(SELECT 1 + a.d + 10 * b.d + 100 * c.d + 1000 * d.d + 10000 * e.d AS n \
          FROM {DIGITS} a, {DIGITS} b, {DIGITS} c, {DIGITS} d, {DIGITS} e) numbers \
         WHERE n <= {total} AND n % 3 <> 0"
    );
    let key = if matches!(conn, Conn::Mysql(_)) {
        "place"
    } else {
        "rowid"
    };
    let word = |text: &str| {
        inkpot::posts::search::words_of("", &[], text)
            .text
            .trim()
            .to_owned()
    };
    let (plain, seventh) = (word("word"), word("word seventh"));
    let cases: Vec<String> = (0..=total >> 12)
        .map(|part| format!("WHEN {part} THEN {}", place_of(part << 12)))
        .collect();
    let place = format!("(CASE n >> 12 {} END + (n & 4095))", cases.join(" "));
    let tags = "CASE WHEN n % 2 = 0 THEN 'all\neven' ELSE 'all' END";
    for sql in [
        format!(
            "INSERT INTO post (post_id, author_id, title, date, updated, published, place, tags) \
             SELECT n, 1 + n % {authors}, 'Title', CONCAT(2010 + (n >> 13), '-1', (n >> 12) & 1, '-01 00:00:00'), \
             '2026-01-01 00:00:00', 1, {place}, {tags} FROM {numbers}"
        ),
        format!("INSERT INTO content (post_id, body) SELECT n, 'Content' FROM {numbers}"),
        format!(
            "INSERT INTO post_tag (tag, published, place, post_id, author_id) \
             SELECT 'all', 1, {place}, n, 1 + n % {authors} FROM {numbers}"
        ),
        format!(
            "INSERT INTO post_tag (tag, published, place, post_id, author_id) \
             SELECT 'even', 1, {place}, n, 1 + n % {authors} FROM {numbers} AND n % 2 = 0"
        ),
        format!(
            "INSERT INTO post_words ({key}, words) \
             SELECT {place}, CASE WHEN n % 7 = 0 THEN '{seventh}' ELSE '{plain}' END FROM {numbers}"
        ),
    ] {
        conn.batch_execute(&sql).unwrap();
    }
    let missing = check::missing_counts(conn, &|_| Ok(())).unwrap();
    check::add_missing(conn, &missing).unwrap();
}

/// Has every row of this tag refused as one that is there already, whichever it is, until [`allow_tag`].
pub fn refuse_tag(conn: &mut Conn, tag: &str) {
    let sql = match conn {
        Conn::Mysql(_) => format!(
            "CREATE TRIGGER refused BEFORE INSERT ON post_tag FOR EACH ROW \
             IF NEW.tag = '{tag}' THEN SIGNAL SQLSTATE '23000' SET MYSQL_ERRNO = 1062, \
             MESSAGE_TEXT = 'Duplicate entry for key refused'; END IF"
        ),
        Conn::Sqlite(_) => format!(
            "CREATE TRIGGER refused BEFORE INSERT ON post_tag WHEN NEW.tag = '{tag}' BEGIN \
             INSERT INTO count_upkeep (name, version, filled) VALUES ('posts', 0, 0); END"
        ),
    };
    conn.batch_execute(&sql).unwrap();
}

/// Takes them again.
pub fn allow_tag(conn: &mut Conn) {
    conn.batch_execute("DROP TRIGGER refused").unwrap();
}

/// Puts posts back to the places that a program of before gave them, their ids, with its counts: as if nobody
/// had moved them.
pub fn put_back(conn: &mut Conn) {
    let rows: Vec<(i64, i64)> = post::table
        .select((post::post_id, post::place))
        .load(conn)
        .unwrap();
    for (id, place) in rows {
        dialect::delete_words(conn, &[place]).unwrap();
        let words = words_of(&find_post(conn, id).unwrap().unwrap());
        dialect::insert_words(conn, id, &words.text).unwrap();
    }
    for sql in [
        "UPDATE post_tag SET place = post_id",
        "UPDATE post SET place = post_id",
        "DELETE FROM post_count WHERE level IN (4, 5) OR level = 2 AND list LIKE 'd%'",
        "INSERT INTO post_count (list, level, block, slot, posts) \
         SELECT 'a', 1, place >> 14, 0, COUNT(*) FROM post WHERE published = 1 GROUP BY place >> 14",
        "UPDATE count_upkeep SET filled = 0, ended = NULL WHERE name = 'places'",
    ] {
        conn.batch_execute(sql).unwrap();
    }
}
