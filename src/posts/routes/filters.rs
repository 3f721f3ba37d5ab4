//! The parameters that say which posts a list has, and in which order.

use chrono::{DateTime, NaiveDateTime};
use serde_json::json;
use url::form_urlencoded;
use utoipa::openapi::path::ParameterIn;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{RefOr, Schema};

use crate::accounts::types::Username;
use crate::core::clock::rfc3339;
use crate::error::{Code, Error};
use crate::http::endpoint::Operation;
use crate::http::page::query_value;
use crate::http::path::parse_id;
use crate::posts::Posts;
use crate::posts::actions::read;
use crate::posts::list::{Dates, Filter, Sort};
use crate::posts::search::{Query, TooLong};
use crate::posts::types::{Status, TAG_MAX, TAGS_MAX, Tag};

/// An author as a request names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Author {
    Id(i64),
    Name(Username),
}

/// The parameters that [`author_and_tags`] reads.
pub fn take_author_and_tags(operation: Operation) -> Operation {
    let author = ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some("^([1-9][0-9]{0,18}|@\\S{1,64})?$"));
    operation
        .parameter(
            "author",
            ParameterIn::Query,
            "By this user only: an id, or a username as `@ann-smith`. A username that nobody has is \
             404, an id an empty list.",
            author.into(),
            json!("@ann-smith"),
        )
        .repeated_parameter(
            "tag",
            "With this tag only; several times: with all of these, at most 10.",
            tag_schema(),
            TAGS_MAX,
            json!(["rust"]),
        )
        .refuses(&[Code::UserNotFound])
}

/// A tag in a query string: empty as absent, or something visible.
pub fn tag_schema() -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .max_length(Some(TAG_MAX))
        .pattern(Some("^$|\\S"))
        .into()
}

/// The parameters that [`filter_of`] reads.
pub fn take_filter(operation: Operation) -> Operation {
    let text = ObjectBuilder::new().schema_type(Type::String);
    let time = || {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
    };
    let sort = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(Sort::ALL.map(Sort::name)));
    let status = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(["published", "draft"]));
    let feed = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some([FOLLOWING]));
    take_author_and_tags(operation)
        .parameter(
            "q",
            ParameterIn::Query,
            "With all of these words in title, content, tags or the author's name, whatever their case \
             and accents; `\"a phrase\"`, a beginning as `wor*`. At most 64 words; in scripts without \
             spaces each pair of neighbours is one. Where no post has the last word that is not in \
             quotes, it counts as the beginning of one, and the answer has that as `as_beginning`.",
            text.into(),
            json!("hello wor*"),
        )
        .parameter(
            "since",
            ParameterIn::Query,
            "Published at this time or later (RFC 3339). With dates the order is that of `date`, then \
             of ids. Drafts have no date: with them it is refused.",
            time().into(),
            json!("2026-11-01T00:00:00Z"),
        )
        .parameter(
            "until",
            ParameterIn::Query,
            "Published before this time, which is not among them (RFC 3339).",
            time().into(),
            json!("2026-12-01T00:00:00Z"),
        )
        .parameter(
            "sort",
            ParameterIn::Query,
            "`newest` first, or `oldest`; `relevance`, for what `q` finds and its default: what has all \
             words in its title first, then by how well it fits. Of more than 500 posts the newest 500 \
             are put in order so, with the newest 500 that have the words in their title; the others follow, newest \
             first. Cursors go on in the order that they came from.",
            sort.into(),
            json!("newest"),
        )
        .parameter(
            "status",
            ParameterIn::Query,
            "`draft`: one's own drafts, those that are scheduled among them, which needs a token; otherwise \
             published posts.",
            status.into(),
            json!("published"),
        )
        .parameter(
            "feed",
            ParameterIn::Query,
            "`following`: only posts by those whom one follows, which needs a token. It has a `count` where one \
             follows fewer than 1,000, and pages end behind 1,000 posts; `before` leads on. Not for drafts.",
            feed.into(),
            json!("following"),
        )
}

/// The author whose posts a request asks for; an empty parameter is none.
pub fn author(query: &str) -> Result<Option<Author>, Error> {
    let Some(text) = given(query, "author") else {
        return Ok(None);
    };
    let author = match text.strip_prefix('@') {
        // What is no username is nobody's.
        Some(name) => Username::parse(name)
            .map(Author::Name)
            .map_err(|_| Error::new(Code::UserNotFound))?,
        None => parse_id(&text)
            .map(Author::Id)
            .ok_or_else(|| invalid("author", NO_USER))?,
    };
    Ok(Some(author))
}

/// The tags that a request asks for, in one order and each once; an empty one is none.
pub fn tags(query: &str) -> Result<Vec<Tag>, Error> {
    let mut tags = Vec::new();
    for (_, text) in form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "tag") {
        if !text.is_empty() {
            tags.push(Tag::parse(&text).map_err(|fault| invalid("tag", fault.1))?);
        }
    }
    tags.sort_unstable();
    tags.dedup();
    if tags.len() > TAGS_MAX {
        return Err(invalid("tag", "is there more than 10 times"));
    }
    Ok(tags)
}

/// The published posts by an author, with tags, or both, and the author that is to be found by
/// name.
pub fn author_and_tags(query: &str) -> Result<(Filter, Option<Username>), Error> {
    let (author, by_name) = match author(query)? {
        None => (None, None),
        Some(Author::Id(id)) => (Some(id), None),
        Some(Author::Name(name)) => (None, Some(name)),
    };
    let filter = Filter {
        author,
        tags: tags(query)?,
        ..Filter::default()
    };
    Ok((filter, by_name))
}

/// The same with the author in the filter whom a request names; 404 when nobody has the name, which
/// is not kept: somebody may take it.
pub async fn with_author(
    posts: &Posts,
    filter: &Filter,
    by_name: Option<&Username>,
) -> Result<Filter, Error> {
    let mut filter = filter.clone();
    if let Some(name) = by_name {
        let found = read::find_author(posts, name.clone()).await?;
        filter.author = Some(found.ok_or_else(|| Error::new(Code::UserNotFound))?);
    }
    Ok(filter)
}

/// All that a request says of which posts it wants. `drafts_of`: the user who asks for their drafts.
pub fn filter_of(query: &str, drafts_of: Option<i64>) -> Result<(Filter, Option<Username>), Error> {
    let (filter, by_name) = author_and_tags(query)?;
    let words = (given(query, "q").filter(|text| !text.trim().is_empty()))
        .map(|text| Query::parse(&text).map_err(|TooLong| invalid("q", TOO_LONG)))
        .transpose()?;
    let dates = Dates {
        since: time(query, "since")?,
        until: time(query, "until")?,
    };
    if drafts_of.is_some() && !dates.are_all() {
        let name = dates.since.map_or("until", |_| "since");
        return Err(invalid(name, "is not for drafts, which have no date"));
    }
    let sort = sort(query, words.is_some())?;
    let filter = Filter {
        words,
        drafts_of,
        dates,
        sort,
        ..filter
    };
    Ok((filter, by_name))
}

fn sort(query: &str, has_words: bool) -> Result<Sort, Error> {
    let Some(name) = given(query, "sort") else {
        return Ok(default_sort(has_words));
    };
    match Sort::ALL.into_iter().find(|sort| sort.name() == name) {
        Some(Sort::Relevance) if !has_words => Err(invalid("sort", "is relevance, which needs q")),
        Some(sort) => Ok(sort),
        None => Err(invalid("sort", "is newest, oldest or relevance")),
    }
}

/// The order of a list that says nothing of it.
fn default_sort(has_words: bool) -> Sort {
    if has_words {
        Sort::Relevance
    } else {
        Sort::default()
    }
}

/// A time of a query string. Dates are whole microseconds, so of one between two the later stands
/// for it: the same dates are before it.
fn time(query: &str, name: &str) -> Result<Option<NaiveDateTime>, Error> {
    let Some(text) = given(query, name) else {
        return Ok(None);
    };
    let micros = |time: DateTime<_>| {
        let is_between = time.timestamp_subsec_nanos() % 1000 > 0;
        (time.timestamp_micros() + i64::from(is_between)).clamp(FIRST, LAST)
    };
    (DateTime::parse_from_rfc3339(&text).ok())
        .and_then(|time| DateTime::from_timestamp_micros(micros(time)))
        .map(|time| Some(time.naive_utc()))
        .ok_or_else(|| invalid(name, NO_TIME))
}

/// Whether the query string asks for drafts.
pub fn wants_drafts(query: &str) -> Result<bool, Error> {
    let status = given(query, "status").map(|text| Status::parse(&text));
    match status {
        None | Some(Ok(Status::Published)) => Ok(false),
        Some(Ok(Status::Draft)) => Ok(true),
        Some(Ok(Status::Scheduled) | Err(_)) => Err(invalid(
            "status",
            "is published or draft; what is scheduled is among the drafts",
        )),
    }
}

/// Whether the query string asks for the posts of those whom one follows.
pub fn wants_followed(query: &str) -> Result<bool, Error> {
    match given(query, "feed").as_deref() {
        None => Ok(false),
        Some(FOLLOWING) => Ok(true),
        Some(_) => Err(invalid("feed", "is following")),
    }
}

/// The value of `feed`.
const FOLLOWING: &str = "following";

/// The filter as parameters, the same for all ways to ask for it: of what was asked
/// nothing is repeated. `None` if it cannot be written.
pub fn parameters(
    filter: &Filter,
    by_name: Option<&Username>,
) -> Option<Vec<(&'static str, String)>> {
    let Filter {
        author,
        tags,
        words,
        drafts_of,
        followed_by,
        dates,
        sort,
    } = filter;
    let mut parameters = Vec::new();
    if let Some(name) = by_name {
        parameters.push(("author", format!("@{}", name.key)));
    } else if let Some(author) = author {
        parameters.push(("author", author.to_string()));
    }
    for tag in tags {
        parameters.push(("tag", tag.0.clone()));
    }
    if let Some(words) = words {
        parameters.push(("q", words.spelling()?));
    }
    for (name, time) in [("since", dates.since), ("until", dates.until)] {
        if let Some(time) = time {
            parameters.push((name, rfc3339(time)));
        }
    }
    if drafts_of.is_some() {
        parameters.push(("status", "draft".to_owned()));
    }
    if followed_by.is_some() {
        parameters.push(("feed", FOLLOWING.to_owned()));
    }
    if *sort != default_sort(words.is_some()) {
        parameters.push(("sort", sort.name().to_owned()));
    }
    Some(parameters)
}

/// The value of a parameter; an empty one counts as absent.
pub fn given(query: &str, name: &str) -> Option<String> {
    query_value(query, name).filter(|value| !value.is_empty())
}

/// The refusal of a parameter; `why` goes on from its name.
pub fn invalid(name: &str, why: &str) -> Error {
    Error::with_detail(Code::QueryInvalid, format!("The parameter {name} {why}."))
}

/// The first and the last microsecond that have a name in RFC 3339: by its own clock a time may lie a day
/// beyond them.
const FIRST: i64 = -62_167_219_200_000_000;
const LAST: i64 = 253_402_300_799_999_999;

const NO_USER: &str = "is neither the id of a user nor a username behind an @";
const NO_TIME: &str = "is not a time as 2026-11-01T00:00:00Z (RFC 3339); a + in it is written %2B";
const TOO_LONG: &str =
    "has more than 64 words, where each pair of neighbours counts in scripts without spaces";
