//! A post as its author sends it.

use crate::app::App;
use crate::error::{Code, Error};
use crate::http::body::{Document, Fault, Field, Input, Kind, VISIBLE};

/// Characters of a title.
pub const TITLE_MAX: usize = 256;
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

/// A post that somebody publishes.
#[derive(Clone, Debug)]
pub struct NewPost {
    pub title: Title,
    /// Kept and returned character for character.
    pub content: String,
}

/// What of a post is changed.
#[derive(Clone, Debug)]
pub struct PostChange {
    pub title: Option<Title>,
    pub content: Option<String>,
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
    ];

    fn limit(app: &App) -> usize {
        NewPost::limit(app)
    }

    fn read(input: &mut Input, app: &App) -> Option<Self> {
        for name in ["title", "content"] {
            if input.is_null(name) {
                input.fault(name, Code::FieldNotClearable, "cannot be null");
            }
        }
        let title = input.parse("title", Title::parse);
        let content = content(input, app);
        Some(Self { title, content })
    }
}

impl Document for NewPost {
    const NAME: &'static str = "NewPost";
    const FIELDS: &'static [Field] = &[TITLE, CONTENT];

    fn limit(app: &App) -> usize {
        max_content(app) * ESCAPED + REST
    }

    fn read(input: &mut Input, app: &App) -> Option<Self> {
        let title = input.parse("title", Title::parse);
        let content = content(input, app);
        Some(Self {
            title: title?,
            content: content?,
        })
    }
}

/// Takes the content, with its own limit.
fn content(input: &mut Input, app: &App) -> Option<String> {
    let content = input.text("content", &['\n', '\r', '\t']);
    if content.as_ref().is_some_and(String::is_empty) {
        input.fault("content", Code::ContentEmpty, "has at least one byte");
    }
    if content
        .as_ref()
        .is_some_and(|text| text.len() > max_content(app))
    {
        input.refuse(Error::with_detail(
            Code::ContentTooLarge,
            format!(
                "The content of a post has at most {} bytes.",
                max_content(app)
            ),
        ));
    }
    content
}

fn max_content(app: &App) -> usize {
    usize::try_from(app.settings.max_content).unwrap_or(usize::MAX / (2 * ESCAPED))
}
