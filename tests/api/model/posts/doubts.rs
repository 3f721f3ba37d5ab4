//! What was asked of a process that was killed before it answered: looked up when the
//! database is done with it. It happened whole, or not at all.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::author::{Author, Doubt};
use super::post::{Post, is_due, is_made_by};
use crate::model::http::{Call, Reply};
use crate::model::world::{SOON, Two, until};

/// How late a post may publish itself: who had its job may have been killed, and it is another's when that one's lease ends.
const LATE: Duration = Duration::from_secs(120);

impl Author {
    /// Learns from a process that was just started what became of all that is in doubt.
    pub fn resolve(&mut self, two: &Two, fresh: usize) {
        for doubt in std::mem::take(&mut self.doubts) {
            two.note(&format!("author {} doubts {doubt:?}", self.number));
            match doubt {
                Doubt::Publish {
                    call,
                    key: Some(key),
                } => {
                    // Whatever became of the first one, after this there is one post.
                    let reply = until_taken(two, fresh, &call);
                    self.published(&call, Some(&key), reply);
                }
                Doubt::Publish { call, .. } => {
                    self.find(two, fresh, &call);
                }
                Doubt::Patch { mut post, change } => {
                    let reply = self.look(two, fresh, post.id()).expect(200);
                    let value = reply.json()["post"].clone();
                    let is_done = value != post.value;
                    let may_be = change
                        .as_ref()
                        .is_some_and(|change| post.is_changed_by(change, &value));
                    assert!(!is_done || may_be, "{change:?} of {post:?} made {value}");
                    let etag = Some(reply.header("etag").to_owned());
                    post.change_to(value, etag);
                    let id = post.id();
                    self.posts.insert(id, post);
                    self.remember(id);
                }
                Doubt::Due {
                    post,
                    publish_at,
                    is_certain,
                } => self.wait_for(two, fresh, (post, &publish_at), is_certain),
                Doubt::Delete { post, may_be_done } => {
                    let reply = self.look(two, fresh, post.id());
                    if reply.status == 404 && may_be_done {
                        self.deleted(post.id());
                    } else {
                        super::author::check_read(&post, &reply);
                        self.posts.insert(post.id(), post);
                    }
                }
            }
        }
    }

    /// Waits until a post that was scheduled has published itself.
    fn wait_for(
        &mut self,
        two: &Two,
        fresh: usize,
        (mut post, publish_at): (Post, &str),
        is_certain: bool,
    ) {
        let id = post.id();
        let mut found = None;
        until(Instant::now() + LATE, || {
            let call = Call::get(post.path()).token(&self.token);
            let reply = two.peek(fresh, &call).expect(200);
            let value = &reply.json()["post"];
            let is_done = value["status"] == "published" && value["date"] == publish_at;
            let was_never = !is_certain && value["publish_at"] != publish_at;
            if !is_done && !was_never {
                return Err(format!("{id} is not published at {publish_at}: {value}"));
            }
            found = Some(reply);
            Ok(())
        });
        let reply = found.unwrap();
        let value = reply.json()["post"].clone();
        if value["date"] == publish_at {
            if !is_certain {
                // As it was between.
                post.value["status"] = "scheduled".into();
                post.value["publish_at"] = publish_at.into();
            }
            assert!(
                is_due(&post.value, publish_at, &value),
                "{} became {value}",
                post.value
            );
        } else {
            assert_eq!(value, post.value);
        }
        let etag = Some(reply.header("etag").to_owned());
        post.change_to(value, etag);
        self.posts.insert(id, post);
        self.remember(id);
    }

    fn look(&self, two: &Two, fresh: usize, id: i64) -> Reply {
        two.ask(fresh, &Call::get(format!("/post/{id}")).token(&self.token))
    }

    /// Looks for a post that may be there, whose id nobody was told.
    fn find(&mut self, two: &Two, fresh: usize, call: &Call) {
        let body = call.body.as_ref().unwrap();
        let mut found: Vec<Value> = Vec::new();
        for filter in [format!("author={}", self.id), "status=draft".to_owned()] {
            for page in 1.. {
                let path = format!("/post/?{filter}&size=100&page={page}");
                let answer = two.ask(fresh, &Call::get(path).token(&self.token));
                let answer = answer.expect(200).json();
                let posts = answer["posts"].as_array().unwrap();
                let same = posts.iter().filter(|p| p["post_title"] == body["title"]);
                found.extend(same.cloned());
                if posts.is_empty() {
                    break;
                }
            }
        }
        assert!(found.len() <= 1, "once: {found:?}");
        let Some(item) = found.first() else { return };
        let id = item["post_id"].as_i64().unwrap();
        let reply = self.look(two, fresh, id).expect(200);
        let value = reply.json()["post"].clone();
        assert!(
            is_made_by(body, (self.id, &self.name), &value),
            "{call:?} made {value}"
        );
        let etag = Some(reply.header("etag").to_owned());
        self.add(Post::new(value, etag));
    }
}

/// Repeats a request with a key that may still be under way.
fn until_taken(two: &Two, fresh: usize, call: &Call) -> Reply {
    let mut taken = None;
    until(Instant::now() + SOON, || {
        let reply = two.ask(fresh, call);
        if reply.code() == "idempotency_key_in_use" {
            return Err(format!("{call:?} is under way for ever"));
        }
        taken = Some(reply);
        Ok(())
    });
    taken.unwrap()
}
