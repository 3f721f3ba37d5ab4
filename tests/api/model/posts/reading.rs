//! What both processes must tell when all that was done is known to them: each post,
//! each list, page and cursor, compared with what the model has.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::{Value, json};
use url::form_urlencoded;

use super::author::{Author, OWN_SIZES, check_read};
use super::post::Post;
use super::text::{Piece, TAGS};
use crate::model::http::Call;
use crate::model::random::Random;
use crate::model::world::{SOON, Two, until};

/// Which posts a list has.
#[derive(Clone, Debug, Default)]
struct Filter {
    author: Option<i64>,
    tags: Vec<&'static str>,
    pieces: Vec<Piece>,
    /// As answers have it.
    since: Option<String>,
    until: Option<String>,
    is_oldest_first: bool,
}

impl Filter {
    fn any(authors: &[Author], chance: &mut Random) -> Self {
        Self {
            author: chance.percent(35).then(|| chance.pick(authors).id),
            tags: match chance.below(6) {
                0 | 1 => vec![*chance.pick(&TAGS)],
                2 => vec![*chance.pick(&TAGS), *chance.pick(&TAGS)],
                _ => Vec::new(),
            },
            pieces: match chance.below(5) {
                0 => vec![Piece::any(chance)],
                1 => vec![Piece::any(chance), Piece::any(chance)],
                _ => Vec::new(),
            },
            since: Self::any_date(authors, chance),
            until: Self::any_date(authors, chance),
            is_oldest_first: chance.percent(30),
        }
    }

    /// Mostly none.
    fn any_date(authors: &[Author], chance: &mut Random) -> Option<String> {
        if !chance.percent(15) {
            return None;
        }
        let posts = &chance.pick(authors).posts;
        let post = chance.pick_of(posts.values().cloned())?;
        post.value["date"].as_str().map(str::to_owned)
    }

    fn takes(&self, post: &Post) -> bool {
        // They all have one form.
        let date = post.value["date"].as_str().unwrap_or_default();
        self.author.is_none_or(|id| post.value["author_id"] == id)
            && self.tags.iter().all(|tag| post.has_tag(tag))
            && self
                .since
                .as_ref()
                .is_none_or(|since| date >= since.as_str())
            && self
                .until
                .as_ref()
                .is_none_or(|until| date < until.as_str())
            && self.pieces.iter().all(|piece| piece.is_in(&post.value))
    }

    /// The path of a list, with these parameters as well.
    fn path(&self, own: &[(&str, String)]) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(own);
        if let Some(author) = self.author {
            query.append_pair("author", &author.to_string());
        }
        for tag in &self.tags {
            query.append_pair("tag", tag);
        }
        for (name, time) in [("since", &self.since), ("until", &self.until)] {
            if let Some(time) = time {
                query.append_pair(name, time);
            }
        }
        if self.is_oldest_first {
            query.append_pair("sort", "oldest");
        } else if !self.pieces.is_empty() {
            query.append_pair("sort", "newest");
        }
        if !self.pieces.is_empty() {
            let words: Vec<String> = self.pieces.iter().map(Piece::text).collect();
            query.append_pair("q", &words.join(" "));
        }
        format!("/post/?{}", query.finish())
    }
}

/// Reads all, and compares it with what the authors know.
pub struct Reading<'a> {
    pub two: &'a Two,
    pub chance: &'a mut Random,
    /// From then on nothing old may be told.
    pub deadline: Instant,
}

impl<'a> Reading<'a> {
    pub fn new(two: &'a Two, chance: &'a mut Random) -> Self {
        Self {
            two,
            chance,
            deadline: Instant::now() + SOON,
        }
    }

    /// Reads the lists from both processes, and some posts; `samples` of each kind.
    pub fn check(&mut self, authors: &mut [Author], samples: usize) {
        let mut posts: Vec<&Post> = authors.iter().flat_map(|a| a.posts.values()).collect();
        posts.retain(|post| post.is_published());
        posts.sort_by_key(|post| std::cmp::Reverse(post.rank()));
        for process in [0, 1] {
            self.check_all(process, &posts);
            self.check_numbers(process, &posts);
            for _ in 0..samples {
                let filter = Filter::any(authors, self.chance);
                self.check_page(process, &filter, &posts);
            }
            for _ in 0..samples.div_ceil(4) {
                let filter = Filter::any(authors, self.chance);
                self.check_cursor(process, &filter, &posts);
            }
            for author in &*authors {
                self.check_drafts(process, author);
                for size in OWN_SIZES {
                    let call = author.own_list(size);
                    until(self.deadline, || {
                        author.check_own_list(size, &self.two.ask(process, &call))
                    });
                }
            }
        }
        for author in &mut *authors {
            self.check_posts(author, samples);
        }
    }

    /// All items of a list, by pages.
    fn pages(&self, process: usize, filter: &Filter) -> Result<Vec<Value>, String> {
        let mut items = Vec::new();
        for page in 1.. {
            let own = [("page", page.to_string()), ("size", "100".to_owned())];
            let answer = self.two.ask(process, &Call::get(filter.path(&own)));
            let answer = answer.expect(200).json();
            let posts = answer["posts"].as_array().unwrap();
            items.extend(posts.iter().cloned());
            if answer["pagination"]["next"].is_null() {
                let count = answer["pagination"]["count"].as_u64().unwrap();
                let is_whole = count == items.len() as u64;
                return is_whole
                    .then_some(items)
                    .ok_or_else(|| format!("{} counts {count}", filter.path(&own)));
            }
        }
        unreachable!("a list has an end")
    }

    /// The whole list is the same from both.
    fn check_all(&self, process: usize, posts: &[&Post]) {
        let expected: Vec<Value> = posts.iter().map(|post| post.item()).collect();
        until(self.deadline, || {
            let items = self.pages(process, &Filter::default())?;
            (items == expected)
                .then_some(())
                .ok_or_else(|| format!("the list of {process}: {items:?} is not {expected:?}"))
        });
    }

    /// The numbers of months and tags are those of the posts.
    fn check_numbers(&self, process: usize, posts: &[&Post]) {
        let (mut months, mut tags) = (BTreeMap::new(), BTreeMap::new());
        for post in posts {
            let month = &post.value["date"].as_str().unwrap()[..7];
            *months.entry(month.to_owned()).or_insert(0) += 1;
            for tag in post.value["tags"].as_array().unwrap() {
                *tags.entry(tag.as_str().unwrap().to_owned()).or_insert(0) += 1;
            }
        }
        for (path, list, name, expected) in [
            ("/post/archive", "months", "month", months),
            ("/tag/?size=100", "tags", "tag", tags),
        ] {
            until(self.deadline, || {
                let reply = self.two.ask(process, &Call::get(path.to_owned()));
                let answer = reply.expect(200).json();
                let found: BTreeMap<String, i64> = (answer[list].as_array().unwrap().iter())
                    .map(|one| {
                        (
                            one[name].as_str().unwrap().to_owned(),
                            one["posts"].as_i64().unwrap(),
                        )
                    })
                    .collect();
                (found == expected)
                    .then_some(())
                    .ok_or_else(|| format!("{process} {path}: {found:?} is not {expected:?}"))
            });
        }
    }

    /// What a list must have.
    fn items(filter: &Filter, posts: &[&Post]) -> Vec<Value> {
        let taken = posts.iter().filter(|post| filter.takes(post));
        let mut items: Vec<Value> = taken.map(|post| post.item()).collect();
        if filter.is_oldest_first {
            items.reverse();
        }
        items
    }

    fn check_page(&mut self, process: usize, filter: &Filter, posts: &[&Post]) {
        let items = Self::items(filter, posts);
        let size = *self.chance.pick(&[1, 2, 3, 7, 20, 50, 100]);
        let pages = items.len().div_ceil(size);
        // Now and then past the end.
        let page = 1 + self.chance.below(pages + 2);
        let own = [("page", page.to_string()), ("size", size.to_string())];
        let call = Call::get(filter.path(&own));
        let shown: Vec<Value> = items
            .iter()
            .skip((page - 1) * size)
            .take(size)
            .cloned()
            .collect();
        let has_more = page < pages;
        until(self.deadline, || {
            let reply = self.two.ask(process, &call).expect(200);
            let answer = reply.json();
            let pagination = &answer["pagination"];
            let wanted = json!({
                "count": items.len(), "pages": pages, "page": page, "size": size,
                "next": pagination["next"],
            });
            let fits = answer["posts"] == Value::from(shown.clone())
                && *pagination == wanted
                && pagination["next"].is_null() != has_more;
            let said = || format!("{process} {call:?}: {answer} has not {shown:?}, {wanted}");
            fits.then_some(()).ok_or_else(said)?;
            let again = call.clone().header("If-None-Match", reply.header("etag"));
            let again = self.two.ask(process, &again);
            (again.status == 304)
                .then_some(())
                .ok_or_else(|| format!("{again:?}"))
        });
    }

    /// Goes from cursor to cursor to the end.
    fn check_cursor(&mut self, process: usize, filter: &Filter, posts: &[&Post]) {
        let items = Self::items(filter, posts);
        let size = *self.chance.pick(&[3, 7, 20, 100]);
        until(self.deadline, || {
            let (mut found, mut cursor) = (Vec::new(), String::new());
            loop {
                let own = [("before", cursor.clone()), ("size", size.to_string())];
                let answer = self.two.ask(process, &Call::get(filter.path(&own)));
                let answer = answer.expect(200).json();
                let page = answer["posts"].as_array().unwrap();
                found.extend(page.iter().cloned());
                match answer["pagination"]["next"].as_str() {
                    // Every page but the last one is full.
                    Some(next) if page.len() == size => next.clone_into(&mut cursor),
                    Some(_) => return Err(format!("a short page: {answer}")),
                    None => break,
                }
            }
            (found == items)
                .then_some(())
                .ok_or_else(|| format!("{process} {filter:?}: {found:?} is not {items:?}"))
        });
    }

    fn check_drafts(&mut self, process: usize, author: &Author) {
        let mut drafts: Vec<&Post> = author.posts.values().collect();
        drafts.retain(|post| !post.is_published());
        let tag = self.chance.percent(30).then(|| *self.chance.pick(&TAGS));
        drafts.retain(|post| tag.is_none_or(|tag| post.has_tag(tag)));
        let mut expected: Vec<Value> = drafts.iter().map(|post| post.item()).collect();
        let filter = Filter {
            tags: tag.into_iter().collect(),
            ..Filter::default()
        };
        let mut found = Vec::new();
        for page in 1.. {
            let own = [
                ("status", "draft".to_owned()),
                ("size", "100".to_owned()),
                ("page", page.to_string()),
            ];
            let call = Call::get(filter.path(&own)).token(&author.token);
            let answer = self.two.ask(process, &call).expect(200).json();
            assert_eq!(answer["pagination"]["count"], expected.len());
            found.extend(answer["posts"].as_array().unwrap().iter().cloned());
            if answer["pagination"]["next"].is_null() {
                break;
            }
        }
        for list in [&mut expected, &mut found] {
            list.sort_by_key(|post| post["post_id"].as_i64());
        }
        assert_eq!(found, expected);
    }

    /// Those of an author's posts that were touched, and some more, by their ids from both.
    fn check_posts(&mut self, author: &mut Author, samples: usize) {
        let mut ids = std::mem::take(&mut author.touched);
        for _ in 0..samples {
            ids.extend(self.chance.pick_of(author.posts.keys().copied()));
        }
        ids.extend(self.chance.pick_of(author.gone.iter().copied()));
        for id in ids {
            for process in [0, 1] {
                match author.posts.get_mut(&id) {
                    Some(post) if post.is_published() => self.check_post(process, post),
                    Some(post) => {
                        let call = Call::get(post.path());
                        self.until_missing(process, &call);
                        let own = self.two.ask(process, &call.token(&author.token));
                        post.etag = Some(check_read(post, &own));
                    }
                    None => self.until_missing(process, &Call::get(format!("/post/{id}"))),
                }
            }
            author.hazy.remove(&id);
        }
    }

    fn check_post(&self, process: usize, post: &mut Post) {
        let call = Call::get(post.path());
        until(self.deadline, || {
            let reply = self.two.ask(process, &call);
            let etag = reply.header("etag").to_owned();
            let is_known = post.etag.as_ref().is_none_or(|known| *known == etag);
            let value = reply.json()["post"].clone();
            if reply.status != 200 || value != post.value || !is_known {
                return Err(format!("{process}: {reply:?} is not {post:?}"));
            }
            let again = call.clone().header("If-None-Match", &etag);
            let again = self.two.ask(process, &again);
            post.etag = Some(etag);
            let is_same = again.status == 304;
            is_same.then_some(()).ok_or_else(|| format!("{again:?}"))
        });
        // By its names as well.
        let by_slug = Call::get(format!("/post/{}", post.slug()));
        until(self.deadline, || {
            let reply = self.two.ask(process, &by_slug);
            (reply.status == 200 && reply.json()["post"] == post.value)
                .then_some(())
                .ok_or_else(|| format!("{process}: {by_slug:?}: {reply:?} is not {post:?}"))
        });
        for former in &post.former {
            let call = Call::get(format!("/post/{former}"));
            until(self.deadline, || {
                let reply = self.two.ask(process, &call);
                let leads = reply.status == 301 && reply.header("location").ends_with(post.slug());
                leads
                    .then_some(())
                    .ok_or_else(|| format!("{process}: {call:?}: {reply:?} of {post:?}"))
            });
        }
        if let Some(stale) = &post.stale {
            let again = call.header("If-None-Match", stale);
            self.two.ask(process, &again).expect(200);
        }
    }

    fn until_missing(&self, process: usize, call: &Call) {
        until(self.deadline, || {
            let reply = self.two.ask(process, call);
            (reply.code() == "post_not_found")
                .then_some(())
                .ok_or_else(|| format!("{process} {call:?}: {reply:?}"))
        });
    }
}
