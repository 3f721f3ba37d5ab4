//! The tags of published posts in both orders, kept in memory: a page of them costs the same however
//! many there are, and after a write the numbers of its tags alone are read again.
//!
//! Why a page is never older than what was acknowledged before it was asked for: who commits says which
//! tags may have changed ([`changed`](TagBoard::changed)) before the answer, and before the response
//! cache drops what it has. A reader takes these and reads their numbers after that. What is said later
//! stays for the next reader, and the response cache does not keep what this one made.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Mutex as Turn, MutexGuard as Held};

use super::events::PostState;
use super::list::TagSort;
use crate::core::cache::Moment;
use crate::core::page::{Listed, PageRequest};

/// Tags that are kept at most; with more, each page reads them all.
pub const KEPT_MAX: usize = 200_000;
/// Tags that are read one by one at most; beyond them all are read anew.
const CHANGED_MAX: usize = 1000;

/// What is kept of a process.
#[derive(Default)]
pub struct TagBoard {
    /// One reader at a time brings it up to date.
    board: Turn<Option<Board>>,
    changed: Mutex<Changed>,
}

/// What writes have said since it was last taken.
#[derive(Debug, Default)]
pub struct Changed {
    tags: BTreeSet<String>,
    /// Whether there were more than are noted.
    are_more: bool,
}

impl Changed {
    /// The tags; `None` when all are to be read.
    pub fn tags(&self) -> Option<&BTreeSet<String>> {
        (!self.are_more).then_some(&self.tags)
    }
}

impl TagBoard {
    /// Hears what posts are, or are no more: to be called after `COMMIT`, before the response cache.
    pub fn changed(&self, states: &[PostState]) {
        let mut changed = self.lock_changed();
        for state in states.iter().filter(|state| state.published) {
            changed.tags.extend(state.tags.iter().cloned());
        }
        if changed.tags.len() > CHANGED_MAX {
            changed.tags.clear();
            changed.are_more = true;
        }
    }

    /// What was said since, for the reader who has the turn.
    pub fn take_changed(&self) -> Changed {
        std::mem::take(&mut *self.lock_changed())
    }

    /// The turn to bring the board up to date. Who takes the board out and does not come back leaves
    /// none.
    pub async fn turn(&self) -> Held<'_, Option<Board>> {
        self.board.lock().await
    }

    fn lock_changed(&self) -> std::sync::MutexGuard<'_, Changed> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All tags that published posts have, with how many these are.
#[derive(Debug)]
pub struct Board {
    /// When all of it was read.
    read: Moment,
    by_name: BTreeMap<Arc<str>, i64>,
    by_posts: BTreeSet<(Reverse<i64>, Arc<str>)>,
}

impl Board {
    /// Of all numbers, as they were read at that moment.
    pub fn new(read: Moment, numbers: BTreeMap<String, i64>) -> Self {
        let mut board = Self {
            read,
            by_name: BTreeMap::new(),
            by_posts: BTreeSet::new(),
        };
        board.update(numbers);
        board
    }

    /// When all of it was read.
    pub fn read(&self) -> Moment {
        self.read
    }

    /// Whether it is small enough to be kept.
    pub fn is_small(&self) -> bool {
        self.by_name.len() <= KEPT_MAX
    }

    /// Takes newer numbers over; a tag with none is there no more.
    pub fn update(&mut self, numbers: BTreeMap<String, i64>) {
        for (tag, posts) in numbers {
            let known = self.by_name.remove_entry(tag.as_str());
            if let Some((name, before)) = known {
                self.by_posts.remove(&(Reverse(before), name));
            }
            if posts > 0 {
                let name: Arc<str> = tag.into();
                self.by_name.insert(Arc::clone(&name), posts);
                self.by_posts.insert((Reverse(posts), name));
            }
        }
    }

    /// A page of the tags that begin so.
    pub fn page(
        &self,
        beginning: &str,
        sort: TagSort,
        request: PageRequest,
    ) -> Listed<(String, i64)> {
        let skip = usize::try_from(request.offset()).unwrap_or(usize::MAX);
        let size = request.size as usize;
        let owned = |(tag, posts): (&Arc<str>, &i64)| (tag.to_string(), *posts);
        let (rows, count) = match (beginning, sort) {
            ("", TagSort::Posts) => {
                let page = self.by_posts.iter().skip(skip).take(size);
                let rows = page.map(|(posts, tag)| owned((tag, &posts.0))).collect();
                (rows, self.by_posts.len())
            }
            ("", TagSort::Name) => {
                let page = self.by_name.iter().skip(skip).take(size);
                (page.map(owned).collect(), self.by_name.len())
            }
            (beginning, sort) => {
                let first = (
                    std::ops::Bound::Included(beginning),
                    std::ops::Bound::Unbounded,
                );
                let mut found: Vec<_> = (self.by_name.range::<str, _>(first))
                    .take_while(|(tag, _)| tag.starts_with(beginning))
                    .collect();
                if sort == TagSort::Posts {
                    // Those with as many stay in the order of their names.
                    found.sort_by_key(|(_, posts)| Reverse(**posts));
                }
                let page = found.iter().copied().skip(skip).take(size);
                (page.map(owned).collect(), found.len())
            }
        };
        Listed {
            rows,
            count: i64::try_from(count).ok(),
            next: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::clock::Clock;
    use crate::http::response_cache::ResponseCache;

    fn now() -> Moment {
        let clock = Clock::by_hand(chrono::DateTime::UNIX_EPOCH);
        ResponseCache::new(1 << 20, None, clock).begin()
    }

    fn numbers(of: &[(&str, i64)]) -> BTreeMap<String, i64> {
        (of.iter().map(|(tag, posts)| ((*tag).to_owned(), *posts))).collect()
    }

    fn page(board: &Board, beginning: &str, sort: TagSort) -> (Vec<String>, i64) {
        let request = PageRequest { page: 1, size: 3 };
        let listed = board.page(beginning, sort, request);
        let rows = listed.rows.iter();
        let rows = rows.map(|(tag, posts)| format!("{tag} {posts}")).collect();
        (rows, listed.count.unwrap())
    }

    #[test]
    fn both_orders_follow_what_changes() {
        let of = [("a", 1), ("ab", 3), ("b", 3), ("c", 2), ("gone", 0)];
        let mut board = Board::new(now(), numbers(&of));
        let names = |rows: [&str; 3], count| (rows.map(str::to_owned).to_vec(), count);
        let (posts, name) = (TagSort::Posts, TagSort::Name);
        assert_eq!(page(&board, "", posts), names(["ab 3", "b 3", "c 2"], 4));
        assert_eq!(page(&board, "", name), names(["a 1", "ab 3", "b 3"], 4));
        assert_eq!(page(&board, "a", name).0, ["a 1", "ab 3"]);
        assert_eq!(
            page(&board, "a", posts),
            (vec!["ab 3".to_owned(), "a 1".to_owned()], 2)
        );
        board.update(numbers(&[("a", 5), ("ab", 0), ("b", 1), ("new", 1)]));
        assert_eq!(page(&board, "", posts), names(["a 5", "c 2", "b 1"], 4));
        assert_eq!(page(&board, "", name), names(["a 5", "b 1", "c 2"], 4));
        let second = PageRequest { page: 2, size: 3 };
        assert_eq!(board.page("", posts, second).rows, [("new".to_owned(), 1)]);
    }

    #[test]
    fn what_writes_name_is_noted_once_and_up_to_a_bound() {
        let state = |published, tags: &[String]| PostState {
            position: None,
            post_id: 1,
            author_id: 1,
            published,
            tags: tags.to_vec(),
            slug: None,
        };
        let board = TagBoard::default();
        let (one, two) = (["a".to_owned()], ["b".to_owned()]);
        board.changed(&[state(true, &one), state(false, &two), state(true, &one)]);
        let changed = board.take_changed();
        let tags: Vec<&String> = changed.tags().unwrap().iter().collect();
        assert_eq!(tags, ["a"]);
        assert!(board.take_changed().tags().unwrap().is_empty());
        let many: Vec<String> = (0..=CHANGED_MAX).map(|n| n.to_string()).collect();
        board.changed(&[state(true, &many)]);
        assert!(board.take_changed().tags().is_none());
    }
}
