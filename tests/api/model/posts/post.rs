//! A post as the model knows it, and what a change makes of it.

use chrono::{DateTime, FixedOffset};
use serde_json::{Value, json};

/// The members that the model computes.
const COMPUTED: [&str; 11] = [
    "post_id",
    "post_title",
    "post_content",
    "author",
    "author_id",
    "date",
    "updated",
    "created",
    "format",
    "status",
    "tags",
];

/// A post that is there.
#[derive(Clone, Debug)]
pub struct Post {
    /// As answers have it.
    pub value: Value,
    /// That of the present state; `None` where it was not read since the state changed.
    pub etag: Option<String>,
    /// That of an earlier state.
    pub stale: Option<String>,
    /// Before and after its publication, by the numbers of the trace; both its position
    /// in the list of all from when that was read.
    pub span: (u64, u64),
}

impl Post {
    pub fn id(&self) -> i64 {
        self.value["post_id"].as_i64().unwrap()
    }

    pub fn is_published(&self) -> bool {
        self.value["status"] == "published"
    }

    pub fn path(&self) -> String {
        format!("/post/{}", self.id())
    }

    /// As lists have it.
    pub fn item(&self) -> Value {
        let mut item = self.value.clone();
        item.as_object_mut().unwrap().remove("post_content");
        item
    }

    pub fn has_tag(&self, tag: &str) -> bool {
        let tags = self.value["tags"].as_array().unwrap();
        tags.iter().any(|known| known == tag)
    }

    /// Takes a new state, made between these times.
    pub fn change_to(&mut self, value: Value, etag: Option<String>, span: (u64, u64)) {
        let was_published = self.is_published();
        let is_other = self.value != value;
        self.value = value;
        if is_other {
            self.stale = self.etag.take().or(self.stale.take());
        }
        if self.is_published() && !was_published {
            self.span = span;
        }
        self.etag = etag;
    }
}

/// What the model computes of a post.
fn computed(post: &Value) -> Value {
    COMPUTED
        .iter()
        .map(|name| ((*name).to_owned(), post[*name].clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn time(value: &Value) -> DateTime<FixedOffset> {
    DateTime::parse_from_rfc3339(value.as_str().unwrap()).unwrap()
}

fn lower(tags: &Value) -> Value {
    let tags = tags.as_array().into_iter().flatten();
    tags.map(|tag| json!(tag.as_str().unwrap().to_lowercase()))
        .collect()
}

/// Whether a request to publish made this post.
pub fn is_made_by(body: &Value, author: (i64, &str), post: &Value) -> bool {
    let is_draft = body.get("status").is_some_and(|status| status == "draft");
    let expected = json!({
        "post_id": post["post_id"],
        "post_title": body["title"],
        "post_content": body["content"],
        "author": author.1,
        "author_id": author.0,
        "date": if is_draft { Value::Null } else { post["updated"].clone() },
        "updated": post["updated"],
        "created": post["updated"],
        "format": "markdown",
        "status": if is_draft { "draft" } else { "published" },
        "tags": lower(&body["tags"]),
    });
    computed(post) == expected
}

/// Whether a change of the state before made the one after.
pub fn is_changed_by(before: &Value, change: &Value, after: &Value) -> bool {
    let mut expected = computed(before);
    for (field, given) in change.as_object().unwrap() {
        match field.as_str() {
            "title" => expected["post_title"] = given.clone(),
            "content" => expected["post_content"] = given.clone(),
            "status" => expected["status"] = given.clone(),
            "tags" => expected["tags"] = lower(given),
            "as_new" => {}
            other => panic!("no field {other}"),
        }
    }
    let is_another = expected != computed(before);
    let (earlier, later) = (time(&before["updated"]), time(&after["updated"]));
    if expected["status"] != before["status"] {
        let is_published = expected["status"] == "published";
        expected["date"] = if is_published {
            after["updated"].clone()
        } else {
            Value::Null
        };
    }
    expected["updated"] = after["updated"].clone();
    let is_in_time = if is_another {
        earlier < later
    } else {
        earlier <= later
    };
    is_in_time && computed(after) == expected
}

/// Which of two states of one post is the later one.
pub fn later<'a>(one: &'a Value, other: &'a Value) -> &'a Value {
    if time(&one["updated"]) < time(&other["updated"]) {
        other
    } else {
        one
    }
}
