//! Request bodies: the fields of a comment, and how they are read.

use serde_json::{Value, json};

use crate::core::settings::Settings;
use crate::http::body::{Document, Field, Input, Kind};
use crate::social::types::{COMMENT_MAX, CommentText, NewComment};

/// The most bytes that JSON makes of a character: two times `\uD83D`.
const ESCAPED: usize = 12;
/// The rest of a comment's body.
const REST: usize = 4096;

const CONTENT: Field = Field {
    name: "content",
    required: true,
    kind: Kind::Text {
        min: 1,
        max: Some(COMMENT_MAX),
        pattern: Some("^[^\\x00-\\x08\\x0B\\x0C\\x0E-\\x1F\\x7F-\\x9F]*$"),
        format: None,
    },
    description: "Markdown, 1 to 10,000 characters, kept character for character. Of control characters \\n, \\r \
                  and \\t are taken.",
    example: "Well *said*.",
};

const REPLY_TO: Field = Field {
    name: "reply_to",
    required: false,
    kind: Kind::Id,
    description: "The comment of the same post that it answers.",
    example: "7",
};

fn limit() -> usize {
    COMMENT_MAX * ESCAPED + REST
}

fn content(input: &mut Input) -> Option<CommentText> {
    let text = input.text("content", &['\n', '\r', '\t'])?;
    match CommentText::parse(&text) {
        Ok(content) => Some(content),
        Err(fault) => {
            input.fault("content", fault.0, fault.1);
            None
        }
    }
}

impl Document for NewComment {
    const NAME: &'static str = "CommentInput";
    const FIELDS: &'static [Field] = &[CONTENT, REPLY_TO];

    const IS_LONG: bool = true;

    fn limit(_: &Settings) -> usize {
        limit()
    }

    // Without what it may answer, which is not there everywhere.
    fn example() -> Value {
        json!({ CONTENT.name: CONTENT.example })
    }

    fn read(input: &mut Input, _: &Settings) -> Option<Self> {
        let content = content(input);
        let reply_to = input.id("reply_to");
        Some(Self {
            content: content?,
            reply_to,
        })
    }
}

impl Document for CommentText {
    const NAME: &'static str = "CommentPatch";
    const FIELDS: &'static [Field] = &[CONTENT];

    const IS_LONG: bool = true;

    fn limit(_: &Settings) -> usize {
        limit()
    }

    fn read(input: &mut Input, _: &Settings) -> Option<Self> {
        content(input)
    }
}
