//! Scopes: the words of drafts are spelt apart from those of published posts, each
//! author's apart from all others'. So a search reads nothing in the index of what it must
//! not find: nobody's drafts cost those who search what is published.

use std::borrow::Cow;

use super::words::{TOKEN_MAX, WORDS_MAX};

/// Whose words a token is one of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// What everybody may read.
    Published,
    /// The drafts of a user.
    DraftsOf(i64),
}

impl Scope {
    /// That of a post.
    pub fn of(published: bool, author_id: i64) -> Self {
        if published {
            Self::Published
        } else {
            Self::DraftsOf(author_id)
        }
    }

    /// Tokens, one space between them, as they are stored and looked for in this scope. At
    /// most [`INDEXED_MAX`](super::INDEXED_MAX) bytes with the name of the author, cut between tokens.
    ///
    /// Those of drafts begin with a `d` and the author's id. No other token begins so, and
    /// none goes on with a digit, so that no id is the beginning of another. What becomes
    /// longer than a token may be is cut, in posts and in queries alike.
    pub fn spell(self, tokens: &str) -> Cow<'_, str> {
        let Self::DraftsOf(author_id) = self else {
            return Cow::Borrowed(tokens);
        };
        let before = format!("d{author_id}");
        let room = TOKEN_MAX - before.len();
        let mut spelt = String::new();
        for token in tokens.split_terminator(' ') {
            let token = token.get(..room).unwrap_or(token);
            if spelt.len() + before.len() + token.len() + 1 > WORDS_MAX {
                break;
            }
            if !spelt.is_empty() {
                spelt.push(' ');
            }
            spelt.push_str(&before);
            spelt.push_str(token);
        }
        Cow::Owned(spelt)
    }
}

#[cfg(test)]
mod tests {
    use super::super::words_of;
    use super::*;

    #[test]
    fn drafts_have_words_of_their_own() {
        let words = words_of("One", &["t"], "ж 中").text;
        assert_eq!(Scope::of(true, 7).spell(&words), words);
        assert_eq!(
            Scope::of(false, 7).spell(&words),
            "d7taaone d7zzz d7aaone d7zzz d7aat d7zzz d7qqe d7qxegd"
        );
        assert_eq!(Scope::DraftsOf(7).spell(""), "");
        // No word of one is a word, or the beginning of one, of another.
        let first = Scope::DraftsOf(1).spell("aa q").into_owned();
        let other = Scope::DraftsOf(12).spell("aa q").into_owned();
        for (one, two) in first.split(' ').zip(other.split(' ')) {
            assert!(!two.starts_with(one), "{one} {two}");
        }
    }

    #[test]
    fn words_of_drafts_are_no_longer_than_others() {
        let long = words_of("", &[], &"a".repeat(200)).text;
        for scope in [Scope::DraftsOf(1), Scope::DraftsOf(i64::MAX)] {
            let spelt = scope.spell(&long).into_owned();
            let longest = spelt.split(' ').map(str::len).max();
            assert_eq!(longest, Some(TOKEN_MAX));
        }
        let many = "aab ".repeat(WORDS_MAX / 4);
        let spelt = Scope::DraftsOf(i64::MAX).spell(&many).into_owned();
        assert!((WORDS_MAX - 2 * TOKEN_MAX..=WORDS_MAX).contains(&spelt.len()));
    }
}
