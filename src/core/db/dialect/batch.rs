//! Batches: statements made of our own names and numbers and of quoted texts. Where the
//! two dialects differ, the difference is in here.
//!
//! The database gets the statements one by one: several in one packet are applied wrongly
//! by a Galera cluster when it repeats a transaction that had a conflict.

use chrono::NaiveDateTime;
use diesel::connection::SimpleConnection;
use diesel::result::QueryResult;

use crate::core::db::connection::Conn;

/// Slots that a block's count is spread over on MySQL: with fewer, publishers queue
/// behind each other's commits; with more, readers add up more rows.
const COUNT_SLOTS: u32 = 8;
/// Rows of one `INSERT`, which keeps a statement well below the packet limit.
const ROWS_PER_INSERT: usize = 500;
/// Of hexadecimal numbers.
const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// A row of `post_tag`.
#[derive(Clone, Copy, Debug)]
pub struct TagRow<'a> {
    pub tag: &'a str,
    pub published: bool,
    pub place: i64,
    pub post_id: i64,
    pub author_id: i64,
}

/// Statements that belong together.
pub struct Batch {
    statements: Vec<String>,
    is_mysql: bool,
}

impl Batch {
    /// An empty batch in the dialect of `conn`.
    pub fn new(conn: &Conn) -> Self {
        Self {
            statements: Vec::new(),
            is_mysql: matches!(conn, Conn::Mysql(_)),
        }
    }

    /// Whether the dialect is that of MySQL.
    pub fn is_mysql(&self) -> bool {
        self.is_mysql
    }

    /// Adds a statement, which holds nothing that a client sent.
    pub fn push(&mut self, sql: impl Into<String>) {
        self.statements.push(sql.into());
    }

    /// A text as a literal. In hexadecimal, where there is nothing to escape; on MySQL as it is where it has nothing that a
    /// mode of the server could read otherwise, for that is half as long: quotes are doubled, which they are in every mode. (What
    /// a connection sends is UTF-8, as Rust's strings are, so that no quote is a part of a character.)
    pub fn text(&self, text: &str) -> String {
        if !self.is_mysql {
            return format!("CAST({} AS TEXT)", Self::bytes(text.as_bytes()));
        }
        if text.bytes().any(|byte| matches!(byte, b'\\' | b'\0')) {
            return format!("_utf8mb4 {}", Self::bytes(text.as_bytes()));
        }
        let mut literal = String::with_capacity(text.len() + 16);
        literal.push_str("_utf8mb4'");
        for (n, piece) in text.split('\'').enumerate() {
            if n > 0 {
                literal.push_str("''");
            }
            literal.push_str(piece);
        }
        literal.push('\'');
        literal
    }

    /// A text of ASCII letters, digits, dots and spaces as a literal, which a column of ASCII takes as it is. Any other text as
    /// [`text`](Self::text).
    pub fn plain(&self, text: &str) -> String {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'.');
        if self.is_mysql && text.bytes().all(is_plain) {
            format!("_ascii'{text}'")
        } else {
            self.text(text)
        }
    }

    /// The same of what may be absent.
    pub fn text_or_null(&self, text: Option<&str>) -> String {
        text.map_or_else(|| "NULL".to_owned(), |text| self.text(text))
    }

    /// Bytes as a literal.
    pub fn bytes(bytes: &[u8]) -> String {
        let mut literal = String::with_capacity(bytes.len() * 2 + 3);
        literal.push_str("x'");
        for byte in bytes {
            for digit in [byte >> 4, byte & 15] {
                literal.push(char::from(DIGITS[usize::from(digit)]));
            }
        }
        literal.push('\'');
        literal
    }

    /// Adds to the counts that are kept of lists: list, level, block, and by how many.
    pub fn add_counts<'r>(&mut self, rows: impl Iterator<Item = (&'r (String, i32, i64), i64)>) {
        let slot = self.slot();
        let values: Vec<String> = rows
            .map(|((list, level, block), by)| {
                format!("({}, {level}, {block}, {slot}, {by})", self.text(list))
            })
            .collect();
        let adding = if self.is_mysql {
            "ON DUPLICATE KEY UPDATE posts = posts + VALUES(posts)"
        } else {
            "ON CONFLICT DO UPDATE SET posts = posts + excluded.posts"
        };
        for values in values.chunks(ROWS_PER_INSERT) {
            self.push(format!(
                "INSERT INTO post_count (list, level, block, slot, posts) VALUES {} {adding}",
                values.join(", ")
            ));
        }
    }

    /// Adds to what is counted of posts: post, kind of count, and by how many.
    pub fn add_post_stats(&mut self, rows: impl Iterator<Item = ((i64, i32), i64)>) {
        self.add_stats("post_stat (post_id", rows);
    }

    /// The same for users.
    pub fn add_user_stats(&mut self, rows: impl Iterator<Item = ((i64, i32), i64)>) {
        self.add_stats("user_stat (user_id", rows);
    }

    /// `of`: the table, and the column that says of what.
    fn add_stats(&mut self, of: &str, rows: impl Iterator<Item = ((i64, i32), i64)>) {
        let slot = self.slot();
        let values: Vec<String> = rows
            .map(|((id, kind), by)| format!("({id}, {kind}, {slot}, {by})"))
            .collect();
        let adding = if self.is_mysql {
            "ON DUPLICATE KEY UPDATE number = number + VALUES(number)"
        } else {
            "ON CONFLICT DO UPDATE SET number = number + excluded.number"
        };
        for values in values.chunks(ROWS_PER_INSERT) {
            self.push(format!(
                "INSERT INTO {of}, kind, slot, number) VALUES {} {adding}",
                values.join(", ")
            ));
        }
    }

    /// The slot of a kept number that this connection adds to.
    fn slot(&self) -> String {
        // SQLite has one writer at a time, which cannot be in anybody's way.
        if self.is_mysql {
            format!("CONNECTION_ID() % {COUNT_SLOTS}")
        } else {
            "0".to_owned()
        }
    }

    /// A time as a literal, as the columns have it: to the microsecond on MySQL, on SQLite the text that
    /// Diesel makes of it.
    pub fn time(&self, time: NaiveDateTime) -> String {
        let format = if self.is_mysql {
            "'%Y-%m-%d %H:%M:%S%.6f'"
        } else {
            "'%F %T%.f'"
        };
        time.format(format).to_string()
    }

    /// Lists posts under their tags.
    pub fn insert_tags(&mut self, rows: &[TagRow<'_>]) {
        for rows in rows.chunks(ROWS_PER_INSERT) {
            let values: Vec<String> = rows
                .iter()
                .map(|row| {
                    let TagRow {
                        tag,
                        published,
                        place,
                        post_id,
                        author_id,
                    } = row;
                    let (tag, published) = (self.text(tag), u8::from(*published));
                    format!("({tag}, {published}, {place}, {post_id}, {author_id})")
                })
                .collect();
            self.push(format!(
                "INSERT INTO post_tag (tag, published, place, post_id, author_id) VALUES {}",
                values.join(", ")
            ));
        }
    }

    /// Takes a post off the lists of its tags.
    pub fn delete_tags(&mut self, tags: &[&str], published: bool, place: i64) {
        if tags.is_empty() {
            return;
        }
        let published = u8::from(published);
        let tags: Vec<String> = tags.iter().map(|tag| self.text(tag)).collect();
        self.push(format!(
            "DELETE FROM post_tag WHERE tag IN ({}) AND published = {published} AND place = {place}",
            tags.join(", ")
        ));
    }

    /// Takes posts off the list of a tag.
    pub fn delete_places(&mut self, tag: &str, published: bool, places: &[i64]) {
        for places in places.chunks(ROWS_PER_INSERT) {
            let (tag, published) = (self.text(tag), u8::from(published));
            let places: Vec<String> = places.iter().map(i64::to_string).collect();
            self.push(format!(
                "DELETE FROM post_tag WHERE tag = {tag} AND published = {published} AND place IN ({})",
                places.join(", ")
            ));
        }
    }

    /// Runs the statements inside the transaction that the connection is in.
    pub fn run(&self, conn: &mut Conn) -> QueryResult<()> {
        for sql in &self.statements {
            conn.batch_execute(sql)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_ends_its_literal() {
        let batch = |is_mysql| Batch {
            statements: Vec::new(),
            is_mysql,
        };
        for (text, literal) in [
            ("", "_utf8mb4''"),
            ("it's", "_utf8mb4'it''s'"),
            ("''", "_utf8mb4''''''"),
            ("中\n\"`; --", "_utf8mb4'中\n\"`; --'"),
            ("a\\", "_utf8mb4 x'615c'"),
            ("\\'", "_utf8mb4 x'5c27'"),
            ("\0'", "_utf8mb4 x'0027'"),
        ] {
            assert_eq!(batch(true).text(text), literal);
            let bytes = Batch::bytes(text.as_bytes());
            assert_eq!(batch(false).text(text), format!("CAST({bytes} AS TEXT)"));
        }
        assert_eq!(batch(true).plain("aaa q1. zzz"), "_ascii'aaa q1. zzz'");
        assert_eq!(batch(true).plain("a'b"), "_utf8mb4'a''b'");
        assert_eq!(batch(false).plain("a"), "CAST(x'61' AS TEXT)");
    }
}
