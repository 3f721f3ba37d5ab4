//! Many posts at once, by plain SQL that both databases take.

use diesel::connection::SimpleConnection;
use inkpot::core::db::Conn;
use inkpot::posts::storage::check;

/// Digits, to be multiplied to numbers.
const DIGITS: &str = "(SELECT 0 AS d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 \
     UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)";

/// Inserts posts with the numbers from 1 to `total` (at most 100,000) as ids, but for
/// multiples of three, with the tag `all` and every other one with `even`; number n is
/// by user `1 + n % authors`. Those with the same `n / 4096` are of one date: November for odd ones,
/// October for even ones of the year `2010 + n / 8192`. Their words are `word` and, for multiples of 7, `seventh`.
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
    let tags = "CASE WHEN n % 2 = 0 THEN 'all\neven' ELSE 'all' END";
    for sql in [
        format!(
            "INSERT INTO post (post_id, author_id, title, date, updated, published, place, tags) \
             SELECT n, 1 + n % {authors}, 'Title', CONCAT(2010 + (n >> 13), '-1', (n >> 12) & 1, '-01 00:00:00'), \
             '2026-01-01 00:00:00', 1, n, {tags} FROM {numbers}"
        ),
        format!("INSERT INTO content (post_id, body) SELECT n, 'Content' FROM {numbers}"),
        format!(
            "INSERT INTO post_tag (tag, published, place, post_id, author_id) \
             SELECT 'all', 1, n, n, 1 + n % {authors} FROM {numbers}"
        ),
        format!(
            "INSERT INTO post_tag (tag, published, place, post_id, author_id) \
             SELECT 'even', 1, n, n, 1 + n % {authors} FROM {numbers} AND n % 2 = 0"
        ),
        format!(
            "INSERT INTO post_words ({key}, words) \
             SELECT n, CASE WHEN n % 7 = 0 THEN '{seventh}' ELSE '{plain}' END FROM {numbers}"
        ),
    ] {
        conn.batch_execute(&sql).unwrap();
    }
    let missing = check::missing_counts(conn, &|_| Ok(())).unwrap();
    check::add_missing(conn, &missing).unwrap();
}
