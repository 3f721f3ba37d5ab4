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

    /// A text as a literal. In hexadecimal: there is nothing in it to escape.
    pub fn text(&self, text: &str) -> String {
        let bytes = Self::bytes(text.as_bytes());
        if self.is_mysql {
            format!("_utf8mb4 {bytes}")
        } else {
            format!("CAST({bytes} AS TEXT)")
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
