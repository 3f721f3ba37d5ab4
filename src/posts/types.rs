//! The input of an author, parsed: title, status, tags, and a post that is made of them.

use chrono::{DateTime, Datelike, NaiveDateTime};
use serde::Serialize;
use unicode_normalization::UnicodeNormalization;
use utoipa::ToSchema;

pub use crate::core::idempotency_key::IdempotencyKey;
use crate::core::text::{is_blank, is_direction_override};
use crate::error::Code;
pub use crate::http::body::Change;
use crate::http::body::Fault;
use crate::posts::slug::Slug;

/// Characters of a title.
pub const TITLE_MAX: usize = 256;
/// Characters of a tag.
pub const TAG_MAX: usize = 32;
/// Characters of a summary by the author.
pub const SUMMARY_MAX: usize = 500;
/// Tags of a post.
pub const TAGS_MAX: usize = 10;

/// A title: 1 to 256 characters, kept as it is.
#[derive(Clone, Debug)]
pub struct Title(pub String);

impl Title {
    pub fn parse(text: &str) -> Result<Self, Fault> {
        if is_blank(text) {
            return Err(Fault(
                Code::TitleEmpty,
                "needs at least one visible character",
            ));
        }
        refuse_overrides(text)?;
        if text.chars().count() > TITLE_MAX {
            return Err(Fault(Code::TitleTooLong, "has at most 256 characters"));
        }
        Ok(Self(text.to_owned()))
    }
}

/// What an author says a post is about, in a line: 1 to 500 characters, kept as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary(pub String);

impl Summary {
    pub fn parse(text: &str) -> Result<Self, Fault> {
        if is_blank(text) {
            return Err(Fault(
                Code::SummaryEmpty,
                "needs at least one visible character",
            ));
        }
        refuse_overrides(text)?;
        if text.chars().count() > SUMMARY_MAX {
            return Err(Fault(Code::SummaryTooLong, "has at most 500 characters"));
        }
        Ok(Self(text.to_owned()))
    }
}

/// Refuses what turns the direction of what stands after it.
fn refuse_overrides(text: &str) -> Result<(), Fault> {
    if text.chars().any(is_direction_override) {
        return Err(Fault(
            Code::ControlCharacter,
            "holds a character that turns the direction of text (U+202D or U+202E)",
        ));
    }
    Ok(())
}

/// Whether everybody sees a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Published,
    /// Only its author and admins see it.
    Draft,
    /// A draft that is published by itself at its `publish_at`.
    Scheduled,
}

impl Status {
    pub fn parse(text: &str) -> Result<Self, Fault> {
        match text {
            "published" => Ok(Self::Published),
            "draft" => Ok(Self::Draft),
            "scheduled" => Ok(Self::Scheduled),
            _ => Err(Fault(
                Code::StatusInvalid,
                "is published, draft or scheduled",
            )),
        }
    }
}

/// When a post is to be published: a date and time with an offset (RFC 3339), kept in UTC and whole
/// microseconds; one between two of them is the later. Whether it is one to come, a clock says.
pub fn parse_publish_at(text: &str) -> Result<NaiveDateTime, Fault> {
    let micros = |time: DateTime<_>| {
        let is_between = time.timestamp_subsec_nanos() % 1000 > 0;
        time.timestamp_micros() + i64::from(is_between)
    };
    (DateTime::parse_from_rfc3339(text).ok())
        .and_then(|time| DateTime::from_timestamp_micros(micros(time)))
        .map(|time| time.naive_utc())
        .ok_or(Fault(
            Code::PublishAtInvalid,
            "is not a time with its offset as 2026-11-26T09:00:00+01:00 (RFC 3339)",
        ))
}

/// The date that an admin gives a post: as [`parse_publish_at`], but to the microsecond before. Whether it is past, a clock
/// says.
pub fn parse_date(text: &str) -> Result<NaiveDateTime, Fault> {
    let date = (DateTime::parse_from_rfc3339(text).ok())
        .and_then(|time| DateTime::from_timestamp_micros(time.timestamp_micros()))
        .map(|time| time.naive_utc())
        .ok_or(Fault(
            Code::DateInvalid,
            "is not a time with its offset as 2019-05-01T12:00:00+01:00 (RFC 3339)",
        ))?;
    // Of years that every database takes.
    if !(1000..=9999).contains(&date.year()) {
        return Err(Fault(
            Code::DateOutOfRange,
            "is not of the years from 1000 on",
        ));
    }
    Ok(date)
}

/// How a text is read where it is shown as HTML. It is kept and returned as it was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// `CommonMark` with GitHub's tables, task lists, strikethrough and footnotes.
    #[default]
    Markdown,
    Html,
    /// Paragraphs and lines.
    Text,
}

impl Format {
    pub fn parse(text: &str) -> Result<Self, Fault> {
        Self::of_name(text).ok_or(Fault(Code::FormatInvalid, "is markdown, html or text"))
    }

    /// That of the column; a version to come may know more of them.
    pub(super) fn of_name(name: &str) -> Option<Self> {
        [Self::Markdown, Self::Html, Self::Text]
            .into_iter()
            .find(|format| format.name() == name)
    }

    /// As in JSON, and in the column.
    pub fn name(self) -> &'static str {
        match self {
            Self::Markdown => "markdown",
            Self::Html => "html",
            Self::Text => "text",
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
        if is_blank(&tag) {
            return Err(Fault(
                Code::TagEmpty,
                "needs at least one visible character",
            ));
        }
        refuse_overrides(&tag)?;
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
    /// In UTC; there if the status is [`Status::Scheduled`], and only then.
    pub publish_at: Option<NaiveDateTime>,
    /// In UTC; there if an admin gives another one than that of the publication, and only with the status
    /// [`Status::Published`].
    pub date: Option<NaiveDateTime>,
    /// Each once.
    pub tags: Vec<Tag>,
    pub format: Format,
    /// That of the title if there is none.
    pub slug: Option<Slug>,
    /// The beginning of the text if there is none.
    pub summary: Option<Summary>,
}

/// A content that somebody wants to see as others would read it.
#[derive(Clone, Debug)]
pub struct Preview {
    pub content: String,
    pub format: Format,
}

/// What of a post is changed.
#[derive(Clone, Debug)]
pub struct PostChange {
    pub title: Option<Title>,
    pub content: Option<String>,
    pub status: Option<Status>,
    /// In UTC; set without a status, or with [`Status::Scheduled`].
    pub publish_at: Change<NaiveDateTime>,
    /// In UTC; only by an admin.
    pub date: Option<NaiveDateTime>,
    pub tags: Option<Vec<Tag>>,
    pub format: Option<Format>,
    pub slug: Option<Slug>,
    /// To clear it is to have it made of the text again.
    pub summary: Change<Summary>,
    /// A post that was published before and is published again gets a new date, and goes to
    /// the top of the lists.
    pub as_new: bool,
}

impl PostChange {
    /// Whether it changes anything at all.
    pub fn is_empty(&self) -> bool {
        let Self {
            title,
            content,
            status,
            publish_at,
            date,
            tags,
            format,
            slug,
            summary,
            // Only with a status.
            as_new: _,
        } = self;
        title.is_none()
            && content.is_none()
            && status.is_none()
            && *publish_at == Change::Keep
            && date.is_none()
            && tags.is_none()
            && format.is_none()
            && slug.is_none()
            && *summary == Change::Keep
    }
}
