//! Comments by chance against a naive model: what is there, in which order, with which counts.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::harness::{Client, TestApp, on_both_databases};
use crate::model::random::Random;

on_both_databases![comments_are_what_a_naive_model_says];

/// Operations of one run.
const STEPS: usize = 150;
const SEED: u64 = 70;

/// A comment as the model knows it.
#[derive(Clone)]
struct Known {
    post: i64,
    /// Whose, by their number.
    author: usize,
    content: String,
    reply_to: Option<i64>,
    deleted: bool,
}

struct Model<'a> {
    people: Vec<Client<'a>>,
    /// Posts and the number of their author.
    posts: Vec<(i64, usize)>,
    comments: BTreeMap<i64, Known>,
    chance: Random,
}

async fn comments_are_what_a_naive_model_says(app: TestApp) {
    let mut people = Vec::new();
    for name in ["ann", "bob", "eve"] {
        people.push(app.user(name).await);
    }
    let mut posts = Vec::new();
    for author in [0, 1] {
        posts.push((people[author].publish("Title", "Text").await, author));
    }
    let mut model = Model {
        people,
        posts,
        comments: BTreeMap::new(),
        chance: Random::new(SEED),
    };
    for step in 0..STEPS {
        model.step(step).await;
        if step % 5 == 0 {
            model.compare(&app).await;
        }
    }
    model.compare(&app).await;
    assert!(model.comments.values().any(|known| known.deleted));
    let db = app.state.db.clone();
    let report =
        std::thread::spawn(move || inkpot::social::actions::check::check(&db, &|_| {}).unwrap());
    assert_eq!(report.join().unwrap().differences(), 0);
}

impl Model<'_> {
    async fn step(&mut self, step: usize) {
        let who = self.chance.below(self.people.len());
        let some = self.comments.keys().copied().collect::<Vec<_>>();
        let chosen = self.chance.pick_of(some);
        match (self.chance.below(10), chosen) {
            (0..=2, _) | (_, None) => {
                let (post, _) = *self.chance.pick(&self.posts);
                self.write(who, post, None, format!("Said {step}")).await;
            }
            (3..=5, Some(parent)) => {
                let post = self.comments[&parent].post;
                self.write(who, post, Some(parent), format!("Answer {step}"))
                    .await;
            }
            (6 | 7, Some(id)) => self.change(who, id, format!("Changed {step}")).await,
            (_, Some(id)) => self.delete(who, id).await,
        }
    }

    async fn write(&mut self, who: usize, post: i64, reply_to: Option<i64>, content: String) {
        let body = json!({ "content": content, "reply_to": reply_to });
        let path = format!("/post/{post}/comments");
        let answer = self.people[who].post(&path, body).await;
        if reply_to.is_some_and(|parent| self.comments[&parent].deleted) {
            answer.faults(&[("/reply_to", "reply_invalid")]);
            return;
        }
        let id = answer.expect(201)["comment"]["comment_id"]
            .as_i64()
            .unwrap();
        let known = Known {
            post,
            author: who,
            content,
            reply_to,
            deleted: false,
        };
        assert!(self.comments.insert(id, known).is_none());
    }

    async fn change(&mut self, who: usize, id: i64, content: String) {
        let path = format!("/comment/{id}");
        let answer = self.people[who]
            .patch(&path, json!({ "content": content }))
            .await;
        let known = self.comments.get_mut(&id).unwrap();
        if known.deleted {
            answer.problem("comment_not_found");
        } else if known.author == who {
            answer.expect(200);
            known.content = content;
        } else {
            answer.problem("not_your_comment");
        }
    }

    async fn delete(&mut self, who: usize, id: i64) {
        let answer = self.people[who].delete(&format!("/comment/{id}")).await;
        let known = self.comments[&id].clone();
        let of_post = self.posts.iter().find(|(post, _)| *post == known.post);
        if known.deleted {
            answer.problem("comment_not_found");
        } else if known.author != who && of_post.unwrap().1 != who {
            answer.problem("not_your_comment");
        } else {
            answer.expect_empty(204);
            if self
                .comments
                .values()
                .any(|other| other.reply_to == Some(id))
            {
                self.comments.get_mut(&id).unwrap().deleted = true;
            } else {
                self.comments.remove(&id);
            }
        }
    }

    /// Compares every list and every count with the model.
    async fn compare(&self, app: &TestApp) {
        for (post, _) in &self.posts {
            let of_post = self
                .comments
                .iter()
                .filter(|(_, known)| known.post == *post);
            let expected: Vec<Value> = of_post
                .clone()
                .map(|(id, known)| self.shown(*id, known))
                .collect();
            let mut found = Vec::new();
            let mut before = String::new();
            loop {
                let path = format!("/post/{post}/comments?size=7&before={before}");
                let answer = app.anonymous().get(&path).await.expect(200);
                found.extend(answer["comments"].as_array().unwrap().iter().map(fields));
                match answer["pagination"]["next"].as_str() {
                    Some(next) => next.clone_into(&mut before),
                    None => break,
                }
            }
            assert_eq!(found, expected);
            let path = format!("/post/{post}/comments?size=1");
            let first = app.anonymous().get(&path).await.expect(200);
            assert_eq!(first["pagination"]["count"], expected.len());
            let there = of_post.filter(|(_, known)| !known.deleted).count();
            let read = app
                .anonymous()
                .get(&format!("/post/{post}"))
                .await
                .expect(200);
            assert_eq!(read["post"]["comments"], there);
        }
    }

    fn shown(&self, id: i64, known: &Known) -> Value {
        let author = (!known.deleted).then(|| self.people[known.author].user_id);
        let content = if known.deleted { "" } else { &known.content };
        json!({
            "comment_id": id, "author_id": author, "content": content,
            "reply_to": known.reply_to, "deleted": known.deleted,
        })
    }
}

/// What the model knows of a comment.
fn fields(comment: &Value) -> Value {
    ["comment_id", "author_id", "content", "reply_to", "deleted"]
        .into_iter()
        .map(|name| (name.to_owned(), comment[name].clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}
