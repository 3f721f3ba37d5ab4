//! A post as the model knows it, and what a change makes of it.

use chrono::{DateTime, FixedOffset};
use serde_json::{Value, json};

/// The members that the model computes.
const COMPUTED: [&str; 13] = [
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
    "slug",
    "publish_at",
];

/// How the summaries begin that authors give; those that are made begin as the content does.
pub const OWN: &str = "about ";

/// A post that is there.
#[derive(Clone, Debug)]
pub struct Post {
    /// As answers have it.
    pub value: Value,
    /// That of the present state; `None` where it was not read since the state changed.
    pub etag: Option<String>,
    /// That of an earlier state.
    pub stale: Option<String>,
    /// The date of its publication, where it is withdrawn.
    pub withdrawn: Option<Value>,
    /// Slugs that it had when everybody saw it.
    pub former: Vec<String>,
}

impl Post {
    pub fn new(value: Value, etag: Option<String>) -> Self {
        Self {
            value,
            etag,
            stale: None,
            withdrawn: None,
            former: Vec::new(),
        }
    }

    pub fn slug(&self) -> &str {
        self.value["slug"].as_str().unwrap()
    }

    /// Whether a change made this state of it.
    pub fn is_changed_by(&self, change: &Value, after: &Value) -> bool {
        is_changed(&self.value, self.withdrawn.as_ref(), change, after)
    }

    /// Where it stands in lists, the newest with the greatest: dates all have one form.
    pub fn rank(&self) -> (String, i64) {
        let date = self.value["date"].as_str().unwrap_or_default();
        (date.to_owned(), self.id())
    }

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

    /// Takes a new state.
    pub fn change_to(&mut self, value: Value, etag: Option<String>) {
        let was_published = self.is_published();
        let is_other = self.value != value;
        if was_published && self.value["slug"] != value["slug"] {
            self.former.push(self.slug().to_owned());
        }
        // It may be had again.
        self.former.retain(|slug| value["slug"] != slug.as_str());
        let date = self.value["date"].clone();
        self.value = value;
        if is_other {
            self.stale = self.etag.take().or(self.stale.take());
        }
        if self.is_published() && !was_published {
            self.withdrawn = None;
        }
        if was_published && !self.is_published() {
            self.withdrawn = Some(date);
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
    let status = body
        .get("status")
        .map_or("published", |s| s.as_str().unwrap());
    let is_published = status == "published";
    let slug = match body.get("slug") {
        Some(slug) => slug.clone(),
        None if is_published => slug_of(&body["title"]),
        None => Value::Null,
    };
    let expected = json!({
        "post_id": post["post_id"],
        "post_title": body["title"],
        "post_content": body["content"],
        "author": author.1,
        "author_id": author.0,
        "date": if is_published { post["updated"].clone() } else { Value::Null },
        "updated": post["updated"],
        "created": post["updated"],
        "format": "markdown",
        "status": status,
        "tags": lower(&body["tags"]),
        "slug": slug,
        "publish_at": body["publish_at"],
    });
    computed(post) == expected && has_summary(body, &Value::Null, post)
}

/// The slug that a title of the model is made into.
fn slug_of(title: &Value) -> Value {
    json!(title.as_str().unwrap().to_lowercase().replace(' ', "-"))
}

/// Whether a post has the summary that a request gave, or one that is made of its text.
fn has_summary(request: &Value, before: &Value, after: &Value) -> bool {
    let is_own = |summary: &Value| summary.as_str().is_some_and(|text| text.starts_with(OWN));
    let (was, is) = (&before["summary"], &after["summary"]);
    match request.get("summary") {
        Some(Value::String(given)) => is == given.as_str(),
        None if is_own(was) || request.get("content").is_none() => was == is,
        Some(_) | None => !is_own(is),
    }
}

/// Whether a scheduled post published itself at its time.
pub fn is_due(before: &Value, publish_at: &str, after: &Value) -> bool {
    let mut expected = computed(before);
    expected["status"] = json!("published");
    expected["date"] = json!(publish_at);
    expected["publish_at"] = Value::Null;
    if expected["slug"].is_null() {
        expected["slug"] = slug_of(&before["post_title"]);
    }
    expected["updated"] = after["updated"].clone();
    time(&before["updated"]) < time(&after["updated"])
        && computed(after) == expected
        && before["summary"] == after["summary"]
}

/// Whether a change of the state before made the one after.
pub fn is_changed_by(before: &Value, change: &Value, after: &Value) -> bool {
    is_changed(before, None, change, after)
}

/// The same of a post that may have been withdrawn, and when it was published then.
fn is_changed(before: &Value, withdrawn: Option<&Value>, change: &Value, after: &Value) -> bool {
    let mut expected = computed(before);
    for (field, given) in change.as_object().unwrap() {
        match field.as_str() {
            "title" => expected["post_title"] = given.clone(),
            "content" => expected["post_content"] = given.clone(),
            "status" => {
                expected["status"] = given.clone();
                if given != "scheduled" {
                    expected["publish_at"] = Value::Null;
                }
            }
            "slug" | "publish_at" => expected[field] = given.clone(),
            "tags" => expected["tags"] = lower(given),
            "summary" | "as_new" => {}
            other => panic!("no field {other}"),
        }
    }
    let is_published = expected["status"] == "published";
    if is_published && expected["slug"].is_null() {
        expected["slug"] = slug_of(&expected["post_title"]);
    }
    let is_another = expected != computed(before) || before["summary"] != after["summary"];
    let (earlier, later) = (time(&before["updated"]), time(&after["updated"]));
    if is_published != (before["status"] == "published") {
        let is_new = change.get("as_new").is_some_and(|new| *new == json!(true));
        expected["date"] = match withdrawn.filter(|_| !is_new) {
            _ if !is_published => Value::Null,
            Some(date) => date.clone(),
            None => after["updated"].clone(),
        };
    }
    expected["updated"] = after["updated"].clone();
    let is_in_time = if is_another {
        earlier < later
    } else {
        earlier <= later
    };
    is_in_time && computed(after) == expected && has_summary(change, before, after)
}

/// Which of two states of one post is the later one.
pub fn later<'a>(one: &'a Value, other: &'a Value) -> &'a Value {
    if time(&one["updated"]) < time(&other["updated"]) {
        other
    } else {
        one
    }
}
