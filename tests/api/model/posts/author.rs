//! Somebody who writes, in a thread of their own: nobody else touches their posts then,
//! so that every answer can be told beforehand. They use one process as long as that
//! lives, and the other one then.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use chrono::{SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

use super::post::{OWN, Post, is_made_by};
use super::text;
use crate::model::http::{Call, Reply};
use crate::model::random::Random;
use crate::model::world::{SOON, Two};

/// Sizes of the list of one's own that is read.
pub const OWN_SIZES: [usize; 2] = [5, 100];

/// A request to publish with a key, and what came of it.
#[derive(Clone, Debug)]
pub struct Keyed {
    pub call: Call,
    pub reply: Reply,
}

/// What was not answered, for the process was killed: it is there whole or not at all.
#[derive(Clone, Debug)]
pub enum Doubt {
    Publish {
        call: Call,
        key: Option<String>,
    },
    /// `change`: `None` where it must have been refused.
    Patch {
        post: Post,
        change: Option<Value>,
    },
    Delete {
        post: Post,
        may_be_done: bool,
    },
    /// A post that publishes itself at this time; unless it is certain, it may never have been scheduled.
    Due {
        post: Post,
        publish_at: String,
        is_certain: bool,
    },
}

/// What an author does.
#[derive(Clone, Copy, Debug)]
enum Step {
    Publish,
    Repeat,
    Reuse,
    Patch,
    Schedule,
    Delete,
    Read,
    ReadElsewhere,
    Drafts,
    Own,
    EditOthers,
}

pub struct Author {
    pub number: usize,
    pub id: i64,
    pub name: String,
    pub token: String,
    pub posts: BTreeMap<i64, Post>,
    /// Ids of posts that were deleted.
    pub gone: Vec<i64>,
    pub keyed: Vec<Keyed>,
    pub doubts: Vec<Doubt>,
    /// The states that a post had lately, and until when, for who reads elsewhere: null
    /// where it was not there for everybody.
    pub states: BTreeMap<i64, Vec<(Value, Option<Instant>)>>,
    /// Posts that had states between, or whose present state not both processes have
    /// shown yet, and since when.
    pub hazy: BTreeMap<i64, Instant>,
    /// Posts that are another than when all was read the last time.
    pub touched: BTreeSet<i64>,
    /// Posts of others, published when the round began.
    pub others: Vec<i64>,
    /// The process that is used.
    pub home: usize,
    /// Whether that one knows all that this author has done.
    pub is_at_home: bool,
    pub chance: Random,
    made: usize,
}

impl Author {
    pub fn new(number: usize, answer: &Value, chance: Random) -> Self {
        Self {
            number,
            id: answer["userinfo"]["user_id"].as_i64().unwrap(),
            name: answer["userinfo"]["name"].as_str().unwrap().to_owned(),
            token: answer["token"].as_str().unwrap().to_owned(),
            posts: BTreeMap::new(),
            gone: Vec::new(),
            keyed: Vec::new(),
            doubts: Vec::new(),
            states: BTreeMap::new(),
            hazy: BTreeMap::new(),
            touched: BTreeSet::new(),
            others: Vec::new(),
            home: 0,
            is_at_home: true,
            chance,
            made: 0,
        }
    }

    /// A label that no other text of the run has.
    pub fn label(&mut self) -> String {
        self.made += 1;
        format!("n{}x{}", self.number, self.made)
    }

    /// Makes so many steps.
    pub fn act(&mut self, two: &Two, steps: usize) {
        for _ in 0..steps {
            let step = match self.chance.below(100) {
                0..26 => Step::Publish,
                26..31 => Step::Repeat,
                31..34 => Step::Reuse,
                34..58 => Step::Patch,
                58..62 => Step::Schedule,
                62..68 => Step::Delete,
                68..80 => Step::Read,
                80..88 => Step::ReadElsewhere,
                88..92 => Step::Drafts,
                92..96 => Step::Own,
                _ => Step::EditOthers,
            };
            two.note(&format!("author {}: {step:?}", self.number));
            match step {
                Step::Publish => self.publish(two),
                Step::Repeat => self.repeat(two),
                Step::Reuse => self.reuse(two),
                Step::Patch => self.patch(two),
                Step::Schedule => self.schedule(two),
                Step::Delete => self.delete(two),
                Step::Read => self.read(two),
                Step::ReadElsewhere => self.read_elsewhere(two),
                Step::Drafts => self.list_drafts(two),
                Step::Own => self.list_own(two),
                Step::EditOthers => self.edit_others(two),
            }
            two.acted();
        }
    }

    /// Sends to the process that is used; when it does not answer the other one is used
    /// from now on, which may know for a while less than was done.
    fn send(&mut self, two: &Two, call: &Call) -> Option<Reply> {
        let reply = two.send(self.home, call);
        if reply.is_none() {
            self.home = 1 - self.home;
            self.is_at_home = false;
        }
        reply
    }

    /// A request to publish, and its key.
    pub fn publication(&mut self) -> (Call, Option<String>) {
        let label = self.label();
        let mut body = json!({
            "title": text::title(&mut self.chance, &label),
            "content": text::content(&mut self.chance, &label),
            "tags": text::tags(&mut self.chance),
        });
        match self.chance.below(20) {
            0..5 => body["status"] = json!("draft"),
            5..8 => {
                body["status"] = json!("scheduled");
                body["publish_at"] = json!(self.far());
            }
            _ => {}
        }
        if self.chance.percent(20) {
            body["slug"] = json!(format!("s-{label}"));
        }
        if self.chance.percent(20) {
            body["summary"] = json!(format!("{OWN}{label}"));
        }
        let path = *self.chance.pick(&["/post/pub", "/post", "/post/"]);
        let call = Call::post(path, body).token(&self.token);
        if self.chance.percent(40) {
            let key = format!("key-{label}");
            return (call.header("Idempotency-Key", &key), Some(key));
        }
        (call, None)
    }

    fn publish(&mut self, two: &Two) {
        let (call, key) = self.publication();
        match self.send(two, &call) {
            Some(reply) => self.published(&call, key.as_ref(), reply),
            None => self.doubts.push(Doubt::Publish { call, key }),
        }
    }

    /// Takes in the answer to a request to publish.
    pub fn published(&mut self, call: &Call, key: Option<&String>, reply: Reply) {
        let reply = reply.expect(201);
        let answer = reply.json();
        let (value, id) = (answer["post"].clone(), answer["post_id"].as_i64().unwrap());
        let body = call.body.as_ref().unwrap();
        assert!(
            is_made_by(body, (self.id, &self.name), &value),
            "{call:?} made {value}"
        );
        assert_eq!(answer["user_id"], self.id);
        assert_eq!(value["post_id"], id);
        assert_eq!(reply.header("location"), format!("/post/{id}"));
        let is_new = !self.posts.contains_key(&id) && !self.gone.contains(&id);
        assert!(is_new, "the id {id} once more");
        let etag = Some(reply.header("etag").to_owned());
        self.add(Post::new(value, etag));
        if key.is_some() {
            let call = call.clone();
            self.keyed.push(Keyed { call, reply });
        }
    }

    /// Takes in a new post.
    pub fn add(&mut self, post: Post) {
        let id = post.id();
        self.states.insert(id, vec![(Value::Null, None)]);
        self.posts.insert(id, post);
        self.remember(id);
    }

    /// Writes down how everybody sees a post from now on.
    pub fn remember(&mut self, id: i64) {
        let seen = match self.posts.get(&id) {
            Some(post) if post.is_published() => post.value.clone(),
            _ => Value::Null,
        };
        let states = self.states.entry(id).or_default();
        match states.last_mut() {
            Some((last, _)) if *last == seen => return,
            Some((_, until)) => *until = Some(Instant::now()),
            None => {}
        }
        states.push((seen, None));
        self.touched.insert(id);
    }

    /// Whether an old state of a post may be shown still by who did not make the present
    /// one.
    fn is_hazy(&self, id: i64) -> bool {
        let since = self.hazy.get(&id);
        since.is_some_and(|since| since.elapsed() <= SOON)
    }

    /// Forgets what nobody may see any more.
    pub fn forget_states(&mut self) {
        let is_recent = |until: &Instant| until.elapsed() <= SOON;
        self.hazy.retain(|_, until| is_recent(until));
        for states in self.states.values_mut() {
            states.retain(|(_, until)| until.as_ref().is_none_or(is_recent));
        }
    }

    fn repeat(&mut self, two: &Two) {
        let Some(Keyed { call, reply }) = self.chance.pick_of(self.keyed.clone()) else {
            return;
        };
        let process = self.chance.below(2);
        if let Some(again) = two.send(process, &call) {
            assert_eq!(again.status, 201, "{again:?}");
            assert_eq!(again.body, reply.body, "byte for byte");
            assert_eq!(again.header("etag"), reply.header("etag"));
        }
    }

    fn reuse(&mut self, two: &Two) {
        let Some(Keyed { call, .. }) = self.chance.pick_of(self.keyed.clone()) else {
            return;
        };
        let mut body = call.body.clone().unwrap();
        body["title"] = json!(self.label());
        if let Some(reply) = self.send(two, &call.with_body(body)) {
            reply.problem(422, "idempotency_key_reused");
        }
    }

    /// One of the author's posts.
    fn any(&mut self) -> Option<Post> {
        self.chance.pick_of(self.posts.values().cloned())
    }

    /// Puts an `If-Match` to a request or not; false where it must be refused.
    fn guard(&mut self, call: Call, post: &Post) -> (Call, bool) {
        match (self.chance.below(8), &post.etag, &post.stale) {
            (0, _, Some(stale)) => (call.header("If-Match", stale), false),
            (1, _, Some(stale)) => {
                let several = format!("{stale}, \"nothing\"");
                (call.header("If-Match", &several), false)
            }
            (2 | 3, Some(etag), _) => (call.header("If-Match", etag), true),
            (4, Some(etag), _) => {
                let several = format!("\"nothing\", {etag}");
                (call.header("If-Match", &several), true)
            }
            (5, _, _) => (call.header("If-Match", "*"), true),
            _ => (call, true),
        }
    }

    /// Some fields of a post, anew.
    pub fn change(&mut self) -> Value {
        let label = self.label();
        let mut change = json!({});
        if self.chance.percent(40) {
            change["title"] = json!(text::title(&mut self.chance, &label));
        }
        if self.chance.percent(40) {
            change["content"] = json!(text::content(&mut self.chance, &label));
        }
        if self.chance.percent(35) {
            change["tags"] = json!(text::tags(&mut self.chance));
        }
        if self.chance.percent(20) {
            change["slug"] = json!(format!("s-{label}"));
        }
        if self.chance.percent(20) {
            let own = self.chance.percent(70);
            change["summary"] = own.then(|| format!("{OWN}{label}")).into();
        }
        if self.chance.percent(40) {
            let status = *self
                .chance
                .pick(&["draft", "published", "published", "scheduled"]);
            change["status"] = json!(status);
            if status == "scheduled" {
                change["publish_at"] = json!(self.far());
            }
            // Else it has date and place again.
            if self.chance.percent(60) {
                change["as_new"] = json!(true);
            }
        }
        change
    }

    /// A time that does not come while the model runs.
    fn far(&mut self) -> String {
        let days = 2 + i64::try_from(self.chance.below(1000)).unwrap();
        told(TimeDelta::days(days))
    }

    /// Has a post published by itself in a moment.
    fn schedule(&mut self, two: &Two) {
        let Some(mut post) = self.any() else { return };
        let soon = 200 + i64::try_from(self.chance.below(1000)).unwrap();
        let publish_at = told(TimeDelta::milliseconds(soon));
        let change = json!({ "status": "scheduled", "publish_at": publish_at });
        let call = Call::patch(post.path(), change.clone()).token(&self.token);
        let reply = self.send(two, &call);
        if let Some(reply) = &reply {
            // The time may have come before the request did.
            if reply.status == 422 {
                reply.problem(422, "validation_failed");
                return;
            }
            let value = reply.clone().expect(200).json()["post"].clone();
            assert!(
                post.is_changed_by(&change, &value),
                "{change} of {} made {value}",
                post.value
            );
            post.change_to(value, None);
        }
        self.posts.remove(&post.id());
        self.doubts.push(Doubt::Due {
            post,
            publish_at,
            is_certain: reply.is_some(),
        });
    }

    fn patch(&mut self, two: &Two) {
        let Some(mut post) = self.any() else { return };
        let change = self.change();
        let call = Call::patch(post.path(), change.clone()).token(&self.token);
        let (call, may_be_done) = self.guard(call, &post);
        let Some(reply) = self.send(two, &call) else {
            self.posts.remove(&post.id());
            let change = may_be_done.then_some(change);
            self.doubts.push(Doubt::Patch { post, change });
            return;
        };
        if !may_be_done {
            reply.problem(412, "precondition_failed");
            return;
        }
        let reply = reply.expect(200);
        let value = reply.json()["post"].clone();
        assert!(
            post.is_changed_by(&change, &value),
            "{change} of {} made {value}",
            post.value
        );
        let etag = Some(reply.header("etag").to_owned());
        post.change_to(value, etag);
        let id = post.id();
        self.posts.insert(id, post);
        self.remember(id);
    }

    fn delete(&mut self, two: &Two) {
        let Some(post) = self.any() else { return };
        let call = Call::delete(post.path()).token(&self.token);
        let (call, may_be_done) = self.guard(call, &post);
        match self.send(two, &call) {
            None => {
                self.posts.remove(&post.id());
                self.doubts.push(Doubt::Delete { post, may_be_done });
            }
            Some(reply) if may_be_done => {
                reply.expect(204);
                self.deleted(post.id());
            }
            Some(reply) => reply.problem(412, "precondition_failed"),
        }
    }

    pub fn deleted(&mut self, id: i64) {
        self.posts.remove(&id);
        self.gone.push(id);
        self.remember(id);
    }

    fn read(&mut self, two: &Two) {
        if self.chance.percent(20)
            && let Some(id) = self.chance.pick_of(self.gone.clone())
        {
            if self.is_at_home
                && !self.is_hazy(id)
                && let Some(reply) = self.send(two, &Call::get(format!("/post/{id}")))
            {
                reply.problem(404, "post_not_found");
            }
            return;
        }
        let Some(post) = self.any() else { return };
        // A draft may have been published a moment ago, for all that the other one knows.
        if !self.is_at_home || self.is_hazy(post.id()) {
            return;
        }
        let call = Call::get(post.path()).token(&self.token);
        if let Some(reply) = self.send(two, &call) {
            let etag = check_read(&post, &reply);
            self.posts.get_mut(&post.id()).unwrap().etag = Some(etag.clone());
            let again = call.header("If-None-Match", &etag);
            if let Some(reply) = self.send(two, &again) {
                assert_eq!(reply.status, 304, "{reply:?}");
            }
        }
    }

    /// Everybody sees there what the post is, or was a moment ago.
    fn read_elsewhere(&mut self, two: &Two) {
        let Some((id, states)) = self.chance.pick_of(&self.states) else {
            return;
        };
        let sent = Instant::now();
        if self.is_hazy(*id) {
            return;
        }
        // What is in doubt has a state that is not known yet.
        let is_known = self.posts.contains_key(id) || self.gone.contains(id);
        let call = Call::get(format!("/post/{id}"));
        if let Some(reply) = two.send(1 - self.home, &call)
            && is_known
        {
            let seen = reply.json()["post"].clone();
            assert!(matches!(reply.status, 200 | 404), "{reply:?}");
            let may_be = states.iter().any(|(state, until)| {
                *state == seen
                    && until.is_none_or(|until| sent.saturating_duration_since(until) <= SOON)
            });
            assert!(may_be, "{seen} is none of {states:?}");
        }
    }

    fn list_drafts(&mut self, two: &Two) {
        let call = Call::get("/post/?status=draft&size=100").token(&self.token);
        let Some(reply) = self.send(two, &call) else {
            return;
        };
        if !self.doubts.is_empty() {
            return;
        }
        let answer = reply.expect(200).json();
        let drafts = self.posts.values().filter(|post| !post.is_published());
        let mut drafts: Vec<Value> = drafts.map(Post::item).collect();
        assert_eq!(answer["pagination"]["count"], drafts.len());
        let mut listed = answer["posts"].as_array().unwrap().clone();
        if drafts.len() <= listed.len() {
            for list in [&mut drafts, &mut listed] {
                list.sort_by_key(|post| post["post_id"].as_i64());
            }
            assert_eq!(drafts, listed);
        }
    }

    fn list_own(&mut self, two: &Two) {
        // What publishes itself may be in it or not yet.
        if !self.is_at_home || !self.doubts.is_empty() {
            return;
        }
        let size = *self.chance.pick(&OWN_SIZES);
        if let Some(reply) = self.send(two, &self.own_list(size)) {
            self.check_own_list(size, &reply).unwrap();
        }
    }

    pub fn own_list(&self, size: usize) -> Call {
        Call::get(format!("/post?author={}&size={size}", self.id))
    }

    /// Whether a list has the author's newest posts.
    pub fn check_own_list(&self, size: usize, reply: &Reply) -> Result<(), String> {
        let answer = reply.json();
        let mut own: Vec<&Post> = self.posts.values().collect();
        own.retain(|post| post.is_published());
        own.sort_by_key(|post| std::cmp::Reverse(post.rank()));
        let items: Vec<Value> = own.iter().take(size).map(|post| post.item()).collect();
        let fits = reply.status == 200
            && answer["pagination"]["count"] == own.len()
            && answer["posts"] == Value::from(items.clone());
        fits.then_some(())
            .ok_or_else(|| format!("{answer} has not {items:?} of {}", own.len()))
    }

    /// What is somebody else's stays as it is.
    fn edit_others(&mut self, two: &Two) {
        let Some(id) = self.chance.pick_of(self.others.clone()) else {
            return;
        };
        let path = format!("/post/{id}");
        let call = if self.chance.percent(50) {
            Call::patch(path, json!({ "title": "stolen" }))
        } else {
            Call::delete(path)
        };
        if let Some(reply) = self.send(two, &call.token(&self.token)) {
            // It may be a draft by now, or gone.
            if reply.status == 404 {
                reply.problem(404, "post_not_found");
            } else {
                reply.problem(403, "not_your_post");
            }
        }
    }
}

/// So much later than now, as answers tell times.
fn told(later: TimeDelta) -> String {
    (Utc::now() + later).to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// Sees that this is the post as it is; gives its ETag.
pub fn check_read(post: &Post, reply: &Reply) -> String {
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.json()["post"], post.value);
    let etag = reply.header("etag").to_owned();
    if let Some(known) = &post.etag {
        assert_eq!(&etag, known);
    }
    etag
}
