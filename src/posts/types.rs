//! A post as its author sends it.

use serde::Serialize;
use unicode_normalization::UnicodeNormalization;
use utoipa::ToSchema;

use crate::core::settings::Settings;
use crate::error::{Code, Error};
use crate::http::body::{Document, Fault, Field, Input, Kind, VISIBLE};

/// Characters of a title.
pub const TITLE_MAX: usize = 256;
/// Characters of a tag.
pub const TAG_MAX: usize = 32;
/// Tags of a post.
pub const TAGS_MAX: usize = 10;
/// The most that JSON can blow a byte of text up to: `\u0000`.
const ESCAPED: usize = 6;
/// The rest of a post's body.
const REST: usize = 16 * 1024;

/// A title: 1 to 256 characters, kept as it is.
#[derive(Clone, Debug)]
pub struct Title(pub String);

impl Title {
    pub fn parse(text: &str) -> Result<Self, Fault> {
        if text.trim().is_empty() {
            return Err(Fault(
                Code::TitleEmpty,
                "needs at least one visible character",
            ));
        }
        if text.chars().count() > TITLE_MAX {
            return Err(Fault(Code::TitleTooLong, "has at most 256 characters"));
        }
        Ok(Self(text.to_owned()))
    }
}

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
    kind: Kind::Text {
        min: 5,
        max: Some(9),
        pattern: Some("^(published|draft)$"),
        format: None,
    },
    description: "`published`, or `draft`, which only its author and admins see. Published if absent.",
    example: "published",
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

/// Whether everybody sees a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Published,
    /// Only its author and admins see it.
    Draft,
}

impl Status {
    pub fn parse(text: &str) -> Result<Self, Fault> {
        match text {
            "published" => Ok(Self::Published),
            "draft" => Ok(Self::Draft),
            _ => Err(Fault(Code::StatusInvalid, "is published or draft")),
        }
    }
}

/// A tag: 1 to 32 characters, trimmed, in lower case and NFC, so that those that
/// look the same are the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(pub String);

impl Tag {
    pub fn parse(text: &str) -> Result<Self, Fault> {
        // Lower case of some letters is decomposed: composed afterwards.
        let tag: String = text.trim().to_lowercase().nfc().collect();
        if tag.is_empty() {
            return Err(Fault(
                Code::TagEmpty,
                "needs at least one visible character",
            ));
        }
        if tag.chars().count() > TAG_MAX {
            return Err(Fault(Code::TagTooLong, "has at most 32 characters"));
        }
        Ok(Self(tag))
    }
}

/// A post that somebody publishes or drafts.
#[derive(Clone, Debug)]
pub struct NewPost {
    pub title: Title,
    /// Kept and returned character for character.
    pub content: String,
    pub status: Status,
    /// Each once.
    pub tags: Vec<Tag>,
}

/// What of a post is changed.
#[derive(Clone, Debug)]
pub struct PostChange {
    pub title: Option<Title>,
    pub content: Option<String>,
    pub status: Option<Status>,
    pub tags: Option<Vec<Tag>>,
}

impl PostChange {
    /// Whether it changes anything at all.
    pub fn is_empty(&self) -> bool {
        let Self {
            title,
            content,
            status,
            tags,
        } = self;
        title.is_none() && content.is_none() && status.is_none() && tags.is_none()
    }
}

impl Document for PostChange {
    const NAME: &'static str = "PostPatch";
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
            description: "`published` or `draft`. A draft that is published is new: `date` is then.",
            ..STATUS
        },
        Field {
            description: "At most 10, in the place of all that there were; trimmed, lower-cased, equal ones once.",
            ..TAGS
        },
    ];

    fn limit(settings: &Settings) -> usize {
        NewPost::limit(settings)
    }

    fn read(input: &mut Input, settings: &Settings) -> Option<Self> {
        for name in ["title", "content", "status", "tags"] {
            if input.is_null(name) {
                input.fault(name, Code::FieldNotClearable, "cannot be null");
            }
        }
        let title = input.parse("title", Title::parse);
        let content = content(input, settings);
        let status = input.parse("status", Status::parse);
        let tags = tags(input);
        Some(Self {
            title,
            content,
            status,
            tags,
        })
    }
}

impl Document for NewPost {
    const NAME: &'static str = "NewPost";
    const FIELDS: &'static [Field] = &[TITLE, CONTENT, STATUS, TAGS];

    fn limit(settings: &Settings) -> usize {
        max_content(settings) * ESCAPED + REST
    }

    fn read(input: &mut Input, settings: &Settings) -> Option<Self> {
        let title = input.parse("title", Title::parse);
        let content = content(input, settings);
        let status = input.parse("status", Status::parse);
        let tags = tags(input);
        Some(Self {
            title: title?,
            content: content?,
            status: status.unwrap_or(Status::Published),
            tags: tags.unwrap_or_default(),
        })
    }
}

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
