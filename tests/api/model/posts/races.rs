//! Two requests at once about one post or one key, mostly through two processes: what
//! comes of them is one of few things.

use std::time::Instant;

use serde_json::{Value, json};

use super::author::Author;
use super::post::{Post, is_changed_by, later};
use crate::model::http::{Call, Reply};
use crate::model::random::Random;
use crate::model::world::Two;

#[derive(Clone, Copy, Debug)]
enum Race {
    /// Both change what they have seen: one is too late.
    GuardedPatches,
    /// Both change other fields: nothing is lost.
    OtherFields,
    /// One publishes and one unpublishes.
    Statuses,
    PatchAndDelete,
    Deletes,
    /// One request twice.
    SameKey,
    /// Two requests with one key.
    OneKeyForTwo,
    /// The author takes another name while a post changes.
    RenameAndPatch,
}

const RACES: [Race; 8] = [
    Race::GuardedPatches,
    Race::OtherFields,
    Race::Statuses,
    Race::PatchAndDelete,
    Race::Deletes,
    Race::SameKey,
    Race::OneKeyForTwo,
    Race::RenameAndPatch,
];

/// Has two meet about what an author has; the second may be the admin.
pub fn race(two: &Two, author: &mut Author, admin: &str, chance: &mut Random) {
    let Some(post) = chance.pick_of(author.posts.values().cloned()) else {
        return;
    };
    let race = *chance.pick(&RACES);
    two.note(&format!("{race:?} of author {}", author.number));
    let first = chance.below(2);
    let second = if chance.percent(80) { 1 - first } else { first };
    let other = if chance.percent(30) {
        admin.to_owned()
    } else {
        author.token.clone()
    };
    let mut arena = Arena {
        two,
        author,
        other,
        processes: (first, second),
    };
    match race {
        Race::GuardedPatches => arena.guarded_patches(post),
        Race::OtherFields => arena.other_fields(post),
        Race::Statuses => arena.statuses(post),
        Race::PatchAndDelete => arena.patch_and_delete(&post),
        Race::Deletes => arena.deletes(&post),
        Race::SameKey => arena.same_key(),
        Race::OneKeyForTwo => arena.one_key_for_two(),
        Race::RenameAndPatch => arena.rename_and_patch(post),
    }
}

struct Arena<'a> {
    two: &'a Two,
    author: &'a mut Author,
    /// The token of who sends the second request.
    other: String,
    processes: (usize, usize),
}

impl Arena<'_> {
    /// Sends both at once.
    fn meet(&self, one: Call, other: Call) -> [Reply; 2] {
        let one = one.token(&self.author.token);
        let other = other.token(&self.other);
        let (first, second) = self.processes;
        self.two.race([(first, one), (second, other)])
    }

    /// Takes in the state of a post that an answer has.
    fn became(&mut self, mut post: Post, value: &Value, etag: Option<String>) {
        post.change_to(value.clone(), etag);
        self.author.hazy.insert(post.id(), Instant::now());
        self.author.touched.insert(post.id());
        self.author.posts.insert(post.id(), post);
    }

    fn guarded_patches(&mut self, post: Post) {
        let Some(etag) = post.etag.clone() else {
            return;
        };
        let changes = [0, 1].map(|_| json!({ "title": self.author.label() }));
        let [one, other] = changes
            .clone()
            .map(|change| Call::patch(post.path(), change).header("If-Match", &etag));
        let replies = self.meet(one, other);
        let won = usize::from(replies[0].status != 200);
        replies[1 - won].problem(412, "precondition_failed");
        let value = replies[won].clone().expect(200).json()["post"].clone();
        assert!(is_changed_by(&post.value, &changes[won], &value), "{value}");
        let etag = Some(replies[won].header("etag").to_owned());
        self.became(post, &value, etag);
    }

    fn other_fields(&mut self, post: Post) {
        let (title, content) = (self.author.label(), self.author.label());
        let changes = [json!({ "title": title }), json!({ "content": content })];
        let [one, other] = changes
            .clone()
            .map(|change| Call::patch(post.path(), change));
        let [first, second] = self.meet(one, other).map(|reply| reply.expect(200));
        let values = [&first, &second].map(|reply| reply.json()["post"].clone());
        // The one that came first answers with its own change only.
        let [a, b] = &values;
        let last = later(a, b);
        let both = json!({ "title": title, "content": content });
        assert!(
            is_changed_by(&post.value, &both, last),
            "{last} is not both"
        );
        let was_first = usize::from(std::ptr::eq(last, a));
        let before = &values[was_first];
        assert!(
            is_changed_by(&post.value, &changes[was_first], before),
            "{before}"
        );
        let etag = [&first, &second][1 - was_first].header("etag").to_owned();
        self.became(post, last, Some(etag));
    }

    fn statuses(&mut self, post: Post) {
        let statuses = ["published", "draft"];
        let changes = statuses.map(|status| json!({ "status": status, "as_new": true }));
        let [one, other] = changes
            .clone()
            .map(|change| Call::patch(post.path(), change));
        let replies = self.meet(one, other).map(|reply| reply.expect(200));
        let values = replies.map(|reply| reply.json()["post"].clone());
        for (value, status) in values.iter().zip(statuses) {
            assert_eq!(value["status"], status, "its own change: {value}");
        }
        let [a, b] = &values;
        let last = later(a, b);
        let earlier = if std::ptr::eq(last, a) { b } else { a };
        let change = json!({ "status": last["status"] });
        assert!(is_changed_by(earlier, &change, last), "{earlier} to {last}");
        // It may have been published anew, also when it was published before.
        let mut between = post;
        between.change_to(earlier.clone(), None);
        self.became(between, last, None);
    }

    fn patch_and_delete(&mut self, post: &Post) {
        let change = json!({ "content": self.author.label(), "tags": ["red"] });
        let patch = Call::patch(post.path(), change.clone());
        let [patched, deleted] = self.meet(patch, Call::delete(post.path()));
        deleted.expect(204);
        match patched.status {
            200 => {
                let value = patched.json()["post"].clone();
                assert!(is_changed_by(&post.value, &change, &value), "{value}");
            }
            _ => patched.problem(404, "post_not_found"),
        }
        self.author.hazy.insert(post.id(), Instant::now());
        self.author.deleted(post.id());
    }

    fn deletes(&mut self, post: &Post) {
        let delete = || Call::delete(post.path());
        let mut replies = self.meet(delete(), delete());
        replies.sort_by_key(|reply| reply.status);
        let [done, late] = replies;
        done.expect(204);
        late.problem(404, "post_not_found");
        self.author.deleted(post.id());
    }

    /// A publication with a key, always.
    fn keyed(&mut self) -> (Call, String) {
        loop {
            if let (call, Some(key)) = self.author.publication() {
                return (call, key);
            }
        }
    }

    fn same_key(&mut self) {
        self.other.clone_from(&self.author.token);
        let (call, key) = self.keyed();
        let mut replies = self.meet(call.clone(), call.clone());
        replies.sort_by_key(|reply| reply.status);
        let [done, other] = replies;
        if other.status == 201 {
            assert_eq!(done.body, other.body, "one post");
        } else {
            other.problem(409, "idempotency_key_in_use");
        }
        self.author.published(&call, Some(&key), done);
    }

    fn one_key_for_two(&mut self) {
        self.other.clone_from(&self.author.token);
        let (call, key) = self.keyed();
        let mut body = call.body.clone().unwrap();
        body["title"] = json!(self.author.label());
        let calls = [call.clone(), call.with_body(body)];
        let [one, other] = calls.clone();
        let replies = self.meet(one, other);
        let won = usize::from(replies[0].status != 201);
        let lost = &replies[1 - won];
        match lost.status {
            409 => lost.problem(409, "idempotency_key_in_use"),
            _ => lost.problem(422, "idempotency_key_reused"),
        }
        let done = replies[won].clone();
        self.author.published(&calls[won], Some(&key), done);
    }

    fn rename_and_patch(&mut self, post: Post) {
        let name = format!("Author {}", self.author.label());
        // Only the author does that.
        self.other.clone_from(&self.author.token);
        let change = json!({ "title": self.author.label() });
        let patch = Call::patch(post.path(), change.clone());
        let rename = Call::patch("/user/me", json!({ "name": name }));
        let [patched, renamed] = self.meet(patch, rename).map(|reply| reply.expect(200));
        assert_eq!(renamed.json()["userinfo"]["name"], name);
        let mut value = patched.json()["post"].clone();
        let mut before = post.value.clone();
        // It was answered with one of the two names.
        assert!(value["author"] == name || value["author"] == before["author"]);
        before["author"] = value["author"].clone();
        assert!(is_changed_by(&before, &change, &value), "{value}");
        value["author"] = json!(name);
        self.became(post, &value, None);
        self.author.name.clone_from(&name);
        for (id, post) in &mut self.author.posts {
            self.author.hazy.insert(*id, Instant::now());
            let mut value = post.value.clone();
            value["author"] = json!(name);
            post.change_to(value, None);
        }
    }
}
