//! The ids of feeds and of their entries: they follow from the random name of the database and
//! from what they name, so that they stay when host, scheme, path or slug change.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// Makes ids.
pub struct Ids {
    installation: String,
}

impl Ids {
    /// `installation`: the random name of the database.
    pub fn new(installation: &str) -> Self {
        Self {
            installation: installation.to_owned(),
        }
    }

    /// That of a post.
    pub fn of_post(&self, post_id: i64) -> String {
        self.urn(&format!("post {post_id}"))
    }

    /// That of a comment.
    pub fn of_comment(&self, comment_id: i64) -> String {
        self.urn(&format!("comment {comment_id}"))
    }

    /// That of the feed of posts with these filters, in whatever format.
    pub fn of_feed(&self, filters: &str) -> String {
        self.urn(&format!("feed {filters}"))
    }

    /// That of the feed of a post's comments, in whatever format.
    pub fn of_comments(&self, post_id: i64) -> String {
        self.urn(&format!("comments of {post_id}"))
    }

    /// A UUID of version 8, by a hash (RFC 9562 §5.8), as a URN.
    fn urn(&self, what: &str) -> String {
        let digest = Sha256::digest(format!("inkpot {} {what}", self.installation));
        let mut urn = "urn:uuid:".to_owned();
        for (n, byte) in digest.iter().take(16).enumerate() {
            let byte = match n {
                6 => byte & 0x0f | 0x80,
                8 => byte & 0x3f | 0x80,
                _ => *byte,
            };
            if matches!(n, 4 | 6 | 8 | 10) {
                urn.push('-');
            }
            // Writing to a String cannot fail.
            let _ = write!(urn, "{byte:02x}");
        }
        urn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_uuid_and_names_one_thing_of_one_installation() {
        let (one, other) = (Ids::new("one"), Ids::new("other"));
        let ids = [
            one.of_post(1),
            one.of_post(2),
            one.of_comment(1),
            one.of_comments(1),
            one.of_feed(""),
            one.of_feed("?tag=rust"),
            other.of_post(1),
        ];
        for (n, id) in ids.iter().enumerate() {
            let uuid = id.strip_prefix("urn:uuid:").unwrap();
            let lengths: Vec<usize> = uuid.split('-').map(str::len).collect();
            assert_eq!(lengths, [8, 4, 4, 4, 12], "{id}");
            assert_eq!(uuid.as_bytes()[14], b'8', "{id}");
            assert!(
                matches!(uuid.as_bytes()[19], b'8' | b'9' | b'a' | b'b'),
                "{id}"
            );
            assert!(!ids[..n].contains(id));
        }
        // Readers know posts by them, so they never change. Computed apart from this program, of the
        // SHA-256 of `inkpot one post 1`.
        assert_eq!(ids[0], "urn:uuid:6eb5d325-d5c1-80c3-9cc9-5ee0e1288806");
    }
}
