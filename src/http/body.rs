//! JSON bodies: read whole, checked field by field, every fault reported at once.
//!
//! The list of fields that a body is read by is the list that describes it in
//! `openapi.yaml`, so the two cannot differ.

use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::web::BytesMut;
use actix_web::{HttpMessage, HttpRequest};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, KnownFormat, ObjectBuilder, OneOfBuilder, RefBuilder,
    Schema, SchemaFormat, SchemaType, Type,
};

use super::client_address;
use super::endpoint::{NamedSchema, Operation};
use super::expectation::Expectation;
use super::handler::{self, Extract};
use super::json::{Members, Scalar};
use super::long_bodies::{self, Held};
use crate::core::cpu_pool::{CpuPool, Requester};
use crate::core::settings::Settings;
use crate::error::{Code, Error, FieldError};

/// What every body but a post's may be long.
const LIMIT: usize = long_bodies::SHORT;
/// How long a client may be silent while it sends.
const SILENCE: Duration = Duration::from_secs(15);
/// How long a body may take: so long for every body, and a second more for so many bytes
/// of it. Who sends a byte now and then would hold a connection for hours otherwise.
const BASE_TIME: Duration = Duration::from_secs(20);
const BYTES_A_SECOND: usize = 2048;
/// Into how many pieces a chunked body may be cut: so many, and one more for so many bytes
/// of it. Each costs the server as much as a packet, and a client a few bytes.
const PIECES: usize = 4096;
const BYTES_A_PIECE: usize = 64;

/// A field of a body.
pub struct Field {
    pub name: &'static str,
    pub required: bool,
    pub kind: Kind,
    pub description: &'static str,
    pub example: &'static str,
}

/// Any text without control characters, as a pattern.
pub const NO_CONTROLS: &str = "^[^\\x00-\\x1F\\x7F-\\x9F]*$";
/// The same with something visible in it.
pub const VISIBLE: &str =
    "^[^\\x00-\\x1F\\x7F-\\x9F]*[^\\s\\x00-\\x1F\\x7F-\\x9F][^\\x00-\\x1F\\x7F-\\x9F]*$";

/// What a field holds.
pub enum Kind {
    /// `true` or `false`.
    Boolean,
    /// The id of something.
    Id,
    /// Text, its length in characters.
    Text {
        min: usize,
        /// `None`: bounded in bytes, by a check of its own.
        max: Option<usize>,
        /// ECMA-262, for clients; the check itself is code.
        pattern: Option<&'static str>,
        format: Option<KnownFormat>,
    },
    /// A text that is one of a few, by a schema that answers share.
    Choice {
        name: &'static str,
        schema: fn() -> RefOr<Schema>,
    },
    /// A list of texts, their lengths in characters.
    Texts {
        /// Items.
        most: usize,
        /// Characters of an item, of which there is one at least.
        max: usize,
        pattern: &'static str,
    },
}

impl Field {
    /// Its schema; with `is_nullable` null is a spelling of absence.
    pub fn schema(&self, is_nullable: bool) -> RefOr<Schema> {
        let types = |kind: Type| {
            if is_nullable {
                SchemaType::Array(vec![kind, Type::Null])
            } else {
                SchemaType::Type(kind)
            }
        };
        let builder = ObjectBuilder::new().description(Some(self.description));
        match &self.kind {
            Kind::Boolean => builder
                .schema_type(types(Type::Boolean))
                .examples([self.example == "true"])
                .into(),
            Kind::Id => builder
                .schema_type(types(Type::Integer))
                .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
                .minimum(Some(1))
                .maximum(Some(i64::MAX))
                .examples([json!(self.example.parse::<i64>().unwrap_or(1))])
                .into(),
            Kind::Choice { name, .. } => {
                let one = RefBuilder::new().ref_location_from_schema_name(*name);
                if !is_nullable {
                    return RefOr::Ref(one.description(Some(self.description)).build());
                }
                OneOfBuilder::new()
                    .description(Some(self.description))
                    .item(one.build())
                    .item(ObjectBuilder::new().schema_type(Type::Null))
                    .into()
            }
            Kind::Text {
                min,
                max,
                pattern,
                format,
            } => builder
                .schema_type(types(Type::String))
                .min_length(Some(*min))
                .max_length(*max)
                .pattern(*pattern)
                .format(format.clone().map(SchemaFormat::KnownFormat))
                .examples([self.example])
                .into(),
            Kind::Texts { most, max, pattern } => ArrayBuilder::new()
                .description(Some(self.description))
                .schema_type(types(Type::Array))
                .max_items(Some(*most))
                .items(
                    ObjectBuilder::new()
                        .schema_type(Type::String)
                        .min_length(Some(1))
                        .max_length(Some(*max))
                        .pattern(Some(*pattern)),
                )
                .examples([[self.example]])
                .into(),
        }
    }

    /// The schema that it shares with answers.
    pub fn shared_schema(&self) -> Option<NamedSchema> {
        match &self.kind {
            Kind::Choice { name, schema } => Some(((*name).to_owned(), schema())),
            _ => None,
        }
    }

    /// Its example as JSON.
    pub fn example(&self) -> Value {
        match &self.kind {
            Kind::Boolean => json!(self.example == "true"),
            Kind::Id => json!(self.example.parse::<i64>().unwrap_or(1)),
            Kind::Text { .. } | Kind::Choice { .. } => json!(self.example),
            Kind::Texts { .. } => json!([self.example]),
        }
    }
}

/// A body that a route takes.
pub trait Document: Sized + Send + 'static {
    /// Its name among the schemas.
    const NAME: &'static str;
    /// Every field that it may have.
    const FIELDS: &'static [Field];

    /// Fields that may be absent, but not null: what they name cannot be taken away.
    const NOT_NULL: &'static [&'static str] = &[];

    /// Whether checking it takes milliseconds, as judging a password does: it is done
    /// on the threads for costly work then, where it cannot hold up other requests.
    const IS_COSTLY: bool = false;

    /// Whether it may be so long that it needs room (`long_bodies`), as those are whose [`limit`](Self::limit)
    /// is of their own.
    const IS_LONG: bool = false;

    /// Whether no body is the same as `{}`: one of no bytes, whatever its media type, or
    /// `null`, which is what some clients make of nothing.
    const MAY_BE_ABSENT: bool = false;

    /// Takes the fields out of `input`, reporting there what does not fit; `None`
    /// only after a report.
    fn read(input: &mut Input, settings: &Settings) -> Option<Self>;

    /// Bytes that the body may be long.
    fn limit(_settings: &Settings) -> usize {
        LIMIT
    }

    /// Its schema, from [`FIELDS`](Self::FIELDS).
    fn schema() -> Schema {
        let mut builder =
            ObjectBuilder::new()
                .additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)));
        for field in Self::FIELDS {
            let is_nullable = !field.required && !Self::NOT_NULL.contains(&field.name);
            builder = builder.property(field.name, field.schema(is_nullable));
            if field.required {
                builder = builder.required(field.name);
            }
        }
        Schema::Object(builder.build())
    }

    /// A body that it takes: with every field, where they go together.
    fn example() -> Value {
        let fields = Self::FIELDS.iter();
        fields.map(|field| (field.name, field.example())).collect()
    }
}

/// The fields of a body on their way to a [`Document`], and what was wrong.
pub struct Input {
    members: Vec<(String, Scalar)>,
    fields: &'static [Field],
    faults: Vec<FieldError>,
    refusal: Option<Error>,
}

/// What a partial update does to a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change<T> {
    Keep,
    Clear,
    Set(T),
}

/// Why a text is not what its field takes.
pub struct Fault(pub Code, pub &'static str);

impl Input {
    fn new(members: Members, fields: &'static [Field]) -> Self {
        let mut faults = Vec::new();
        for name in &members.duplicates {
            faults.push(FieldError::new(
                name,
                Code::FieldDuplicate,
                "is given more than once",
            ));
        }
        for (name, _) in &members.all {
            if !fields.iter().any(|field| field.name == name) {
                faults.push(FieldError::new(
                    name,
                    Code::FieldUnknown,
                    "is not a field of this body",
                ));
            }
        }
        Self {
            members: members.all,
            fields,
            faults,
            refusal: None,
        }
    }

    /// Reports a field that does not fit.
    pub fn fault(&mut self, name: &str, code: Code, detail: &str) {
        self.faults.push(FieldError::new(name, code, detail));
    }

    /// Refuses the whole body for a reason that beats all fields.
    pub fn refuse(&mut self, error: Error) {
        self.refusal = Some(error);
    }

    /// Takes a text in which `allowed` are the only control characters.
    pub fn text(&mut self, name: &'static str, allowed: &[char]) -> Option<String> {
        let Scalar::Text(text) = self.take(name)? else {
            self.fault(name, Code::FieldMistyped, "must be a string");
            return None;
        };
        if let Some(detail) = control_character(&text, allowed) {
            self.fault(name, Code::ControlCharacter, &detail);
            return None;
        }
        Some(text)
    }

    /// Takes a text without control characters and parses it.
    pub fn parse<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, Fault>,
    ) -> Option<T> {
        let text = self.text(name, &[])?;
        match parse(&text) {
            Ok(value) => Some(value),
            Err(Fault(code, detail)) => {
                self.fault(name, code, detail);
                None
            }
        }
    }

    /// The same for what is copied from elsewhere: line ends around it are no part of it.
    pub fn parse_pasted<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, Fault>,
    ) -> Option<T> {
        let text = self.text(name, &['\r', '\n', '\t'])?;
        let text = text.trim();
        let parsed = if text.chars().any(char::is_control) {
            Err(Fault(Code::ControlCharacter, "holds a control character"))
        } else {
            parse(text)
        };
        match parsed {
            Ok(value) => Some(value),
            Err(Fault(code, detail)) => {
                self.fault(name, code, detail);
                None
            }
        }
    }

    /// Takes a list of texts without control characters and parses each; equal ones
    /// are one. Every item that does not fit is reported by its place.
    pub fn parse_all<T: PartialEq>(
        &mut self,
        name: &'static str,
        (most, too_many): (usize, Code),
        parse: impl Fn(&str) -> Result<T, Fault>,
    ) -> Option<Vec<T>> {
        let Scalar::List(items, length) = self.take(name)? else {
            self.fault(name, Code::FieldMistyped, "must be a list of strings");
            return None;
        };
        if length > most {
            self.fault(name, too_many, &format!("has at most {most} items"));
            return None;
        }
        let mut values = Vec::new();
        let mut is_whole = true;
        for (index, item) in items.iter().enumerate() {
            if let Some(detail) = item.as_ref().and_then(|text| control_character(text, &[])) {
                is_whole = false;
                let fault = FieldError::of_item(name, index, Code::ControlCharacter, detail);
                self.faults.push(fault);
                continue;
            }
            let parsed = match item {
                None => Err(Fault(Code::FieldMistyped, "must be a string")),
                Some(text) => parse(text),
            };
            match parsed {
                Ok(value) if values.contains(&value) => {}
                Ok(value) => values.push(value),
                Err(Fault(code, detail)) => {
                    is_whole = false;
                    self.faults
                        .push(FieldError::of_item(name, index, code, detail));
                }
            }
        }
        is_whole.then_some(values)
    }

    /// Takes `true` or `false`.
    pub fn boolean(&mut self, name: &'static str) -> Option<bool> {
        let Scalar::Boolean(value) = self.take(name)? else {
            self.fault(name, Code::FieldMistyped, "must be true or false");
            return None;
        };
        Some(value)
    }

    /// Takes an id, which is a whole number above 0.
    pub fn id(&mut self, name: &'static str) -> Option<i64> {
        match self.take(name)? {
            Scalar::Number(id) if id > 0 => Some(id),
            _ => {
                self.fault(name, Code::FieldMistyped, "must be an id, a whole number");
                None
            }
        }
    }

    /// Takes a field of a partial update: absent is kept, null is cleared.
    pub fn change<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, Fault>,
    ) -> Change<T> {
        if self.is_null(name) {
            return Change::Clear;
        }
        self.parse(name, parse).map_or(Change::Keep, Change::Set)
    }

    /// The same for what is copied from elsewhere ([`parse_pasted`](Self::parse_pasted)).
    pub fn change_pasted<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, Fault>,
    ) -> Change<T> {
        if self.is_null(name) {
            return Change::Clear;
        }
        self.parse_pasted(name, parse)
            .map_or(Change::Keep, Change::Set)
    }

    /// Whether the body has the field as null.
    pub fn is_null(&self, name: &str) -> bool {
        self.members
            .iter()
            .any(|(member, value)| member == name && *value == Scalar::Null)
    }

    /// Whether the body has the field with a value other than null.
    pub fn has(&self, name: &str) -> bool {
        self.members
            .iter()
            .any(|(member, value)| member == name && *value != Scalar::Null)
    }

    /// A text as given, for checks of one field against another.
    pub fn peek(&self, name: &str) -> Option<String> {
        self.members.iter().find_map(|(member, value)| match value {
            Scalar::Text(text) if member == name => Some(text.clone()),
            _ => None,
        })
    }

    /// Takes a field's value. Null is absence where a field is optional.
    fn take(&mut self, name: &'static str) -> Option<Scalar> {
        let required = self.fields.iter().any(|f| f.name == name && f.required);
        let value = self
            .members
            .iter_mut()
            .find(|(member, _)| member == name)
            .map(|(_, value)| std::mem::replace(value, Scalar::Null));
        if value.is_none() && required {
            self.fault(name, Code::FieldMissing, "is required");
        }
        value.filter(|value| required || *value != Scalar::Null)
    }

    fn finish<T>(self, value: Option<T>) -> Result<T, Error> {
        if let Some(refusal) = self.refusal {
            return Err(refusal);
        }
        if !self.faults.is_empty() {
            return Err(Error::fields(self.faults));
        }
        value.ok_or_else(|| Error::internal("a body was refused without a report"))
    }
}

/// U+FEFF in UTF-8, which some editors and shells put before a text. A parser may pass it
/// over (RFC 8259 §8.1).
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Which control character a text has that is none of `allowed`, and where: the first of
/// them, counted in characters from 1, and by line and column where it has lines.
fn control_character(text: &str, allowed: &[char]) -> Option<String> {
    let (at, found) =
        (text.chars().enumerate()).find(|(_, c)| c.is_control() && !allowed.contains(c))?;
    let before: String = text.chars().take(at).collect();
    let lines = before.matches('\n').count();
    let place = if lines == 0 {
        String::new()
    } else {
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        format!(" (line {}, column {column})", lines + 1)
    };
    let (code, number) = (u32::from(found), at + 1);
    Some(format!("has U+{code:04X} at character {number}{place}"))
}

/// Reads `bytes` as `T`.
pub fn read<T: Document>(bytes: &[u8], settings: &Settings) -> Result<T, Error> {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let bytes = if T::MAY_BE_ABSENT && matches!(bytes.trim_ascii(), b"null") {
        b"{}"
    } else {
        bytes
    };
    let mut input = Input::new(Members::parse(bytes)?, T::FIELDS);
    let value = T::read(&mut input, settings);
    input.finish(value)
}

/// The extractor: a handler that takes `Body<T>` is called with a checked `T`.
pub struct Body<T>(pub T);

impl<T: Document> Extract for Body<T> {
    async fn extract(request: &HttpRequest, payload: &mut Payload) -> Result<Self, Error> {
        let settings = handler::part::<Settings>(request)?;
        let may_be_absent = T::MAY_BE_ABSENT && !announces_bytes(request);
        if !may_be_absent {
            check_media_type(request)?;
        }
        let hold = |bytes| long_bodies::hold(client_address::of_request(request)?.0, bytes);
        let limit = T::limit(settings);
        // The room is given up when the body has become what it says.
        let (mut bytes, _room) = collect(request, payload.take(), limit, hold).await?;
        if may_be_absent {
            if bytes.is_empty() {
                bytes = BytesMut::from("{}");
            } else {
                check_media_type(request)?;
            }
        }
        if T::IS_COSTLY {
            let settings = settings.clone();
            let requester = Requester::at(client_address::of_request(request)?.0);
            return handler::part::<CpuPool>(request)?
                .run(&requester, move || read(&bytes, &settings))
                .await?
                .map(Self);
        }
        read(&bytes, settings).map(Self)
    }

    fn describe(operation: Operation) -> Operation {
        operation.body::<T>()
    }
}

/// RFC 8259 §11: `application/json`; a charset, meaningless there, may say UTF-8.
fn check_media_type(req: &HttpRequest) -> Result<(), Error> {
    let refused = || Error::new(Code::UnsupportedMediaType);
    let charset_fits = req.encoding().is_ok_and(|e| e.name() == "UTF-8");
    let type_fits = req.content_type().eq_ignore_ascii_case("application/json");
    let plain = req
        .headers()
        .get(header::CONTENT_ENCODING)
        .is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity"));
    if type_fits && charset_fits && plain {
        Ok(())
    } else {
        Err(refused())
    }
}

/// Whether the head says that there is a body of one byte at least.
fn announces_bytes(req: &HttpRequest) -> bool {
    let length = req.headers().get(header::CONTENT_LENGTH);
    length.is_some_and(|length| length != "0")
}

/// Marks a request whose body was read to its end.
pub(super) struct ReadWhole;

/// Gathers a body. `hold` makes room for one of so many bytes, once it is seen to be long.
async fn collect(
    req: &HttpRequest,
    mut payload: Payload,
    limit: usize,
    hold: impl Fn(usize) -> Result<Held, Error>,
) -> Result<(BytesMut, Option<Held>), Error> {
    let announced = req
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse::<usize>().ok());
    // What is still on its way is read by the HTTP layer, within bounds, after the answer.
    let too_large = || {
        Error::with_detail(
            Code::BodyTooLarge,
            format!("This route takes bodies of at most {limit} bytes."),
        )
    };
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    if let Some(expectation) = req.conn_data::<Expectation>() {
        expectation.wants_body();
    }
    let is_chunked = req.headers().contains_key(header::TRANSFER_ENCODING);
    let begun = Instant::now();
    let mut bytes = BytesMut::with_capacity(announced.unwrap_or(0));
    let (mut pieces, mut room) = (0, None);
    loop {
        let due = (Instant::now() + SILENCE).min(begun + time_for(bytes.len()));
        let Ok(next) = timeout_at(due, payload.next()).await else {
            return Err(Error::new(Code::RequestTimeout));
        };
        let Some(chunk) = next else {
            req.extensions_mut().insert(ReadWhole);
            return Ok((bytes, room));
        };
        let chunk = chunk.map_err(|_| {
            Error::with_detail(
                Code::MalformedRequest,
                "The body ended early or is not framed as announced.",
            )
        })?;
        if bytes.len() + chunk.len() > limit {
            return Err(too_large());
        }
        if room.is_none() && bytes.len() + chunk.len() > long_bodies::SHORT {
            room = Some(hold(announced.unwrap_or(limit))?);
        }
        bytes.extend_from_slice(&chunk);
        pieces += 1;
        if is_chunked && pieces > PIECES + bytes.len() / BYTES_A_PIECE {
            return Err(Error::with_detail(
                Code::MalformedRequest,
                "The body is cut into too many small chunks.",
            ));
        }
    }
}

/// How long a body may take until so many bytes of it are there.
fn time_for(bytes: usize) -> Duration {
    let seconds = u64::try_from(bytes / BYTES_A_SECOND).unwrap_or(u64::MAX);
    BASE_TIME.saturating_add(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use actix_web::error::PayloadError;
    use actix_web::test::TestRequest;
    use actix_web::web::Bytes;
    use futures_util::stream;
    use tokio::time::sleep;

    use super::*;

    /// A body that comes in `pieces` of `size` bytes, with a pause before each.
    fn body(pieces: usize, size: usize, pause: Duration) -> Payload {
        let pieces = stream::iter(0..pieces).then(move |_| async move {
            sleep(pause).await;
            Ok::<_, PayloadError>(Bytes::from(vec![b'x'; size]))
        });
        Payload::Stream {
            payload: Box::pin(pieces),
        }
    }

    async fn read_body(chunked: bool, payload: Payload) -> Result<usize, (Code, Duration)> {
        let mut request = TestRequest::default();
        if chunked {
            request = request.insert_header((header::TRANSFER_ENCODING, "chunked"));
        }
        let request = request.to_http_request();
        let begun = Instant::now();
        let held = |_| unreachable!("no body is long here");
        let read = collect(&request, payload, LIMIT, held).await;
        let is_marked = request.extensions().contains::<ReadWhole>();
        assert_eq!(is_marked, read.is_ok());
        read.map(|(bytes, _)| bytes.len())
            .map_err(|error| (error.code, begun.elapsed()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_may_be_slow_and_not_endless() {
        let second = Duration::from_secs(1);
        // A byte now and then.
        let (code, after) = read_body(true, body(9999, 1, 10 * second))
            .await
            .unwrap_err();
        assert_eq!(code, Code::RequestTimeout);
        assert!(after <= 21 * second, "{after:?}");
        // Nothing at all.
        let (code, after) = read_body(false, body(1, 1, 60 * second)).await.unwrap_err();
        assert_eq!(code, Code::RequestTimeout);
        assert_eq!(after, SILENCE);
        // A narrow line, all the time.
        assert_eq!(read_body(false, body(20, 3000, second)).await, Ok(60_000));
        assert_eq!(read_body(false, body(2, 100, 9 * second)).await, Ok(200));
    }

    #[tokio::test(start_paused = true)]
    async fn a_chunked_body_is_not_cut_into_crumbs() {
        let at_once = Duration::ZERO;
        let (code, _) = read_body(true, body(10_000, 1, at_once)).await.unwrap_err();
        assert_eq!(code, Code::MalformedRequest);
        // Packets are cut by the network, chunks by the client.
        assert_eq!(read_body(false, body(10_000, 1, at_once)).await, Ok(10_000));
        assert_eq!(read_body(true, body(4000, 1, at_once)).await, Ok(4000));
        assert_eq!(read_body(true, body(1000, 64, at_once)).await, Ok(64_000));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_ends_at_its_limit() {
        let at_once = Duration::ZERO;
        assert_eq!(read_body(true, body(64, 1024, at_once)).await, Ok(LIMIT));
        let (code, _) = read_body(true, body(65, 1024, at_once)).await.unwrap_err();
        assert_eq!(code, Code::BodyTooLarge);
    }
}
