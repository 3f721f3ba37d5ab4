//! Request bodies: the fields of a post, and how they are read.

use chrono::NaiveDateTime;
use serde_json::Value;
use utoipa::PartialSchema;
use utoipa::openapi::schema::KnownFormat;

use crate::core::settings::Settings;
use crate::error::{Code, Error};
use crate::http::body::{Document, Field, Input, Kind, VISIBLE};
use crate::posts::slug::{SLUG_MAX, SLUG_PATTERN, Slug};
use crate::posts::types::{
    Change, Format, NewPost, PostChange, Preview, SUMMARY_MAX, Status, Summary, TAG_MAX, TAGS_MAX,
    TITLE_MAX, Tag, Title, parse_date, parse_publish_at,
};

/// The most that JSON can blow a byte of text up to: `\u0000`.
const ESCAPED: usize = 6;
/// The rest of a post's body.
const REST: usize = 16 * 1024;

const TITLE: Field = Field {
    name: "title",
    required: true,
    kind: Kind::Text {
        min: 1,
        max: Some(TITLE_MAX),
        pattern: Some(VISIBLE),
        format: None,
    },
    description: "Kept as it is; control characters are refused.",
    example: "Hello, world",
};

const CONTENT: Field = Field {
    name: "content",
    required: true,
    kind: Kind::Text {
        min: 1,
        max: None,
        pattern: Some("^[^\\x00-\\x08\\x0B\\x0C\\x0E-\\x1F\\x7F-\\x9F]*$"),
        format: None,
    },
    description: "1 byte to 1 MiB (a setting of the server), kept character for character. Of control \
                  characters \\n, \\r and \\t are taken.",
    example: "The *first* of many.",
};

const STATUS: Field = Field {
    name: "status",
    required: false,
    kind: Kind::Choice {
        name: "Status",
        schema: <Status as PartialSchema>::schema,
    },
    description: "`published`; `draft`, which only its author and admins see; or `scheduled`, a draft that is published by \
                  itself at its `publish_at`. Published if absent, and scheduled with a `publish_at`.",
    example: "published",
};

const PUBLISH_AT: Field = Field {
    name: "publish_at",
    required: false,
    kind: Kind::Text {
        min: 1,
        max: None,
        pattern: None,
        format: Some(KnownFormat::DateTime),
    },
    description: "When a scheduled post is published, by the server's clock (that of its database, on MySQL): a time to come, \
                  with any offset (RFC 3339), at most ten years ahead. Its `date` is then this time.",
    example: "2027-01-01T09:00:00+01:00",
};

const DATE: Field = Field {
    name: "date",
    required: false,
    kind: Kind::Text {
        min: 1,
        max: None,
        pattern: None,
        format: Some(KnownFormat::DateTime),
    },
    description: "Only from an admin: when the post was published, with any offset (RFC 3339), in place of now; a time from \
                  the year 1000 on that is not to come. The post stands in lists where this date belongs. Not for drafts \
                  and what is scheduled.",
    example: "2019-05-01T12:00:00Z",
};

const TAGS: Field = Field {
    name: "tags",
    required: false,
    kind: Kind::Texts {
        most: TAGS_MAX,
        max: TAG_MAX,
        pattern: VISIBLE,
    },
    description: "At most 10; trimmed, lower-cased, equal ones once, in this order.",
    example: "rust",
};

const FORMAT: Field = Field {
    name: "format",
    required: false,
    kind: Kind::Choice {
        name: "Format",
        schema: <Format as PartialSchema>::schema,
    },
    description: "How the content is read where it is shown as HTML: `markdown` (CommonMark with GitHub's tables, task \
                  lists, strikethrough and footnotes), `html`, or `text`. Markdown if absent.",
    example: "markdown",
};

const SLUG: Field = Field {
    name: "slug",
    required: false,
    kind: Kind::Text {
        min: 1,
        max: Some(SLUG_MAX),
        pattern: Some(SLUG_PATTERN),
        format: None,
    },
    description: "The post's name in links: 1 to 100 of a-z, 0-9 and -, not digits alone, not the name of a route. If \
                  absent it is made of the title when the post is first published.",
    example: "hello-world",
};

const SUMMARY: Field = Field {
    name: "summary",
    required: false,
    kind: Kind::Text {
        min: 1,
        max: Some(SUMMARY_MAX),
        pattern: Some(VISIBLE),
        format: None,
    },
    description: "What the post is about, in a line. If absent it is the beginning of the content without its markup, at \
                  most 200 characters.",
    example: "The first of many.",
};

const AS_NEW: Field = Field {
    name: "as_new",
    required: false,
    kind: Kind::Boolean,
    description: "With the status `published`, for a post that was published before: its `date` is now, and it goes to \
                  the top of the lists. It keeps date and place otherwise.",
    example: "false",
};

impl Document for PostChange {
    const NAME: &'static str = "PostPatch";
    const NOT_NULL: &'static [&'static str] = &[
        "title", "content", "status", "date", "tags", "format", "slug", "as_new",
    ];
    const FIELDS: &'static [Field] = &[
        Field {
            required: false,
            ..TITLE
        },
        Field {
            required: false,
            ..CONTENT
        },
        Field {
            description: "`published`, `draft` or `scheduled`, which needs a `publish_at` unless it has one. A draft that is \
                          published is new: `date` is then. One that was published before keeps its date, unless \
                          `as_new`. Any but `scheduled` takes `publish_at` away.",
            ..STATUS
        },
        Field {
            description: "When the post is published by itself: a time to come, with any offset (RFC 3339), at most ten years \
                          ahead. It makes a draft `scheduled`; a published post is withdrawn for it only with that \
                          status. Null: it is a draft that is published by hand.",
            ..PUBLISH_AT
        },
        Field {
            description: "Only from an admin: when the post was published, with any offset (RFC 3339); a time from the year 1000 \
                          on that is not to come. The post goes to where this date belongs in lists. For a post that is \
                          published, or is with the same request.",
            ..DATE
        },
        Field {
            description: "At most 10, in the place of all that there were; trimmed, lower-cased, equal ones once.",
            ..TAGS
        },
        Field {
            description: "How the content is read where it is shown as HTML: `markdown`, `html` or `text`.",
            ..FORMAT
        },
        Field {
            description: "The post's name in links. The one before goes on leading to the post.",
            ..SLUG
        },
        Field {
            description: "What the post is about, in a line; null: the beginning of the content again.",
            ..SUMMARY
        },
        AS_NEW,
    ];

    const IS_LONG: bool = true;

    fn limit(settings: &Settings) -> usize {
        NewPost::limit(settings)
    }

    fn example() -> Value {
        published_now(Self::FIELDS)
    }

    fn read(input: &mut Input, settings: &Settings) -> Option<Self> {
        for name in Self::NOT_NULL {
            if input.is_null(name) {
                input.fault(name, Code::FieldNotClearable, "cannot be null");
            }
        }
        let title = input.parse("title", Title::parse);
        let content = content(input, settings);
        let (status, publish_at) = change_of_status(input);
        let may_have_date = matches!(status, None | Some(Status::Published));
        let date = date(input, may_have_date && publish_at == Change::Keep);
        let tags = tags(input);
        let format = input.parse("format", Format::parse);
        let slug = input.parse("slug", Slug::parse);
        let summary = input.change("summary", Summary::parse);
        let as_new = input.boolean("as_new").unwrap_or(false);
        Some(Self {
            title,
            content,
            status,
            publish_at,
            date,
            tags,
            format,
            slug,
            summary,
            as_new,
        })
    }
}

impl Document for NewPost {
    const NAME: &'static str = "PostInput";
    const FIELDS: &'static [Field] = &[
        TITLE, CONTENT, STATUS, PUBLISH_AT, DATE, TAGS, FORMAT, SLUG, SUMMARY,
    ];

    const IS_LONG: bool = true;

    fn limit(settings: &Settings) -> usize {
        max_content(settings) * ESCAPED + REST
    }

    fn example() -> Value {
        published_now(Self::FIELDS)
    }

    fn read(input: &mut Input, settings: &Settings) -> Option<Self> {
        let title = input.parse("title", Title::parse);
        let content = content(input, settings);
        let (status, publish_at) = status(input);
        let date = date(input, status == Status::Published);
        let tags = tags(input);
        let format = input.parse("format", Format::parse);
        let slug = input.parse("slug", Slug::parse);
        let summary = input.parse("summary", Summary::parse);
        Some(Self {
            title: title?,
            content: content?,
            status,
            publish_at,
            date,
            tags: tags.unwrap_or_default(),
            format: format.unwrap_or_default(),
            slug,
            summary,
        })
    }
}

impl Document for Preview {
    const NAME: &'static str = "PreviewInput";
    const FIELDS: &'static [Field] = &[CONTENT, FORMAT];

    const IS_LONG: bool = true;

    fn limit(settings: &Settings) -> usize {
        NewPost::limit(settings)
    }

    fn read(input: &mut Input, settings: &Settings) -> Option<Self> {
        let content = content(input, settings);
        let format = input.parse("format", Format::parse);
        Some(Self {
            content: content?,
            format: format.unwrap_or_default(),
        })
    }
}

/// A body with every field but those times that do not go with its status, or come from an admin.
fn published_now(fields: &[Field]) -> Value {
    let is_now = |field: &&Field| ![PUBLISH_AT.name, DATE.name].contains(&field.name);
    let fields = fields.iter().filter(is_now);
    fields.map(|field| (field.name, field.example())).collect()
}

/// The status of a new post, and when it is to be published. Whoever says when means that it is to be
/// scheduled.
fn status(input: &mut Input) -> (Status, Option<NaiveDateTime>) {
    let has_time = input.has("publish_at");
    let publish_at = input.parse("publish_at", parse_publish_at);
    let status = input.parse("status", Status::parse);
    match status {
        None if has_time => (Status::Scheduled, publish_at),
        Some(Status::Scheduled) => {
            if !has_time {
                input.fault("publish_at", Code::FieldMissing, NEEDED);
            }
            (Status::Scheduled, publish_at)
        }
        status => {
            if has_time {
                input.fault("publish_at", Code::PublishAtUnexpected, UNEXPECTED);
            }
            (status.unwrap_or(Status::Published), None)
        }
    }
}

/// The same for a change, of which the post itself says what is missing.
fn change_of_status(input: &mut Input) -> (Option<Status>, Change<NaiveDateTime>) {
    let has_time = input.has("publish_at");
    let publish_at = input.change("publish_at", parse_publish_at);
    let status = input.parse("status", Status::parse);
    match status {
        Some(Status::Scheduled) if publish_at == Change::Clear => {
            input.fault("publish_at", Code::FieldMissing, NEEDED);
        }
        Some(Status::Published | Status::Draft) if has_time => {
            input.fault("publish_at", Code::PublishAtUnexpected, UNEXPECTED);
        }
        _ => {}
    }
    (status, publish_at)
}

/// The date of a post, which only what is published has.
fn date(input: &mut Input, may_have_date: bool) -> Option<NaiveDateTime> {
    if !may_have_date && input.has("date") {
        input.fault("date", Code::DateUnexpected, UNDATED);
    }
    input.parse("date", parse_date)
}

/// Of the date of what is not published.
pub(super) const UNDATED: &str = "is only for the status published";

/// Of a scheduled post.
pub(super) const NEEDED: &str = "is needed with the status scheduled";
const UNEXPECTED: &str = "is only for the status scheduled";

fn tags(input: &mut Input) -> Option<Vec<Tag>> {
    input.parse_all("tags", (TAGS_MAX, Code::TooManyTags), Tag::parse)
}

/// Takes the content, with its own limit.
fn content(input: &mut Input, settings: &Settings) -> Option<String> {
    let content = input.text("content", &['\n', '\r', '\t']);
    if content.as_ref().is_some_and(String::is_empty) {
        input.fault("content", Code::ContentEmpty, "has at least one byte");
    }
    if content
        .as_ref()
        .is_some_and(|text| text.len() > max_content(settings))
    {
        input.refuse(Error::with_detail(
            Code::ContentTooLarge,
            format!(
                "The content of a post has at most {} bytes.",
                max_content(settings)
            ),
        ));
    }
    content
}

fn max_content(settings: &Settings) -> usize {
    usize::try_from(settings.max_content).unwrap_or(usize::MAX / (2 * ESCAPED))
}
