//! The route table: each endpoint is its handlers and its description at once, so
//! that `openapi.yaml`, the `Allow` header and the router cannot disagree.

use std::borrow::Cow;
use std::future::ready;
use std::rc::Rc;

use actix_web::http::{Method, StatusCode};
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};
use url::form_urlencoded;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::header::Header;
use utoipa::openapi::path::{
    HttpMethod, OperationBuilder, Parameter, ParameterBuilder, ParameterIn, PathItemBuilder,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::schema::{ArrayBuilder, KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{Paths, Ref, RefOr, Required, Schema, SecurityRequirement};
use utoipa::{PartialSchema, ToSchema};

use super::body::{Document, Field};
use super::handler::{self, Answering, AnyHandler, Handler, Whole};
use crate::error::{Code, Error};

/// A named schema of the description.
pub type NamedSchema = (String, RefOr<Schema>);

/// A path and what can be done there.
pub struct Endpoint {
    path: &'static str,
    operations: Vec<(Method, Operation, AnyHandler)>,
}

impl Endpoint {
    /// `path` without a trailing slash; with one it is the same resource.
    pub fn new(path: &'static str) -> Self {
        Self {
            path,
            operations: Vec::new(),
        }
    }

    /// `GET`, and `HEAD` with it.
    pub fn get<Args, H: Handler<Args>>(self, operation: Operation, handler: H) -> Self {
        self.with(Method::GET, operation, handler)
    }

    pub fn post<Args, H: Handler<Args>>(self, operation: Operation, handler: H) -> Self {
        self.with(Method::POST, operation, handler)
    }

    pub fn put<Args, H: Handler<Args>>(self, operation: Operation, handler: H) -> Self {
        self.with(Method::PUT, operation, handler)
    }

    pub fn patch<Args, H: Handler<Args>>(self, operation: Operation, handler: H) -> Self {
        self.with(Method::PATCH, operation, handler)
    }

    pub fn delete<Args, H: Handler<Args>>(self, operation: Operation, handler: H) -> Self {
        self.with(Method::DELETE, operation, handler)
    }

    fn with<Args, H: Handler<Args>>(
        mut self,
        method: Method,
        operation: Operation,
        handler: H,
    ) -> Self {
        let operation = H::describe(operation).refuses(&[Code::QueryInvalid]);
        // The middleware refuses what a foreign page wants changed.
        let operation = if method == Method::GET {
            operation
        } else {
            operation.refuses(&[Code::OriginRefused])
        };
        self.operations
            .push((method, operation, handler::erase(handler)));
        self
    }

    /// Its path with `{parameters}`.
    pub fn path(&self) -> &'static str {
        self.path
    }

    /// The methods that its description lists.
    pub fn methods(&self) -> Vec<Method> {
        self.operations.iter().map(|(m, _, _)| m.clone()).collect()
    }

    /// The value of `Allow`.
    fn allow(&self) -> String {
        let mut methods = Vec::new();
        for (method, _, _) in &self.operations {
            methods.push(method.as_str());
            if *method == Method::GET {
                methods.push("HEAD");
            }
        }
        methods.push("OPTIONS");
        methods.join(", ")
    }

    /// Adds the endpoint to the router, with and without the trailing slash.
    pub fn register(self, config: &mut ServiceConfig) {
        let paths = [self.path.to_owned(), format!("{}/", self.path)];
        let allow = self.allow();
        let handlers: Vec<(Method, Vec<KnownParameter>, AnyHandler)> =
            (self.operations.into_iter())
                .map(|(method, operation, handler)| (method, operation.query_parameters(), handler))
                .collect();
        let handlers = Rc::new(handlers);
        let answer = move |Whole(request, payload): Whole| -> Answering {
            let asked = match *request.method() {
                Method::HEAD => Method::GET,
                ref method => method.clone(),
            };
            match handlers.iter().find(|(method, ..)| *method == asked) {
                Some((_, known, handler)) => match check_query(request.query_string(), known) {
                    Ok(()) => handler(request, payload),
                    Err(error) => Box::pin(ready(Err(error))),
                },
                None => Box::pin(ready(options_or_refuse(&request, &allow))),
            }
        };
        // Two resources and not one with both paths: a set of paths is a set of regular expressions.
        for path in paths {
            let route = web::route().to(answer.clone());
            config.service(web::resource(path).default_service(route));
        }
    }

    /// Describes the endpoint and gives the schemas that its description names.
    pub fn describe(&self, paths: &mut Paths) -> Vec<NamedSchema> {
        let mut item = PathItemBuilder::new();
        let mut schemas = Vec::new();
        for (method, operation, _) in &self.operations {
            let method = match *method {
                Method::POST => HttpMethod::Post,
                Method::PUT => HttpMethod::Put,
                Method::PATCH => HttpMethod::Patch,
                Method::DELETE => HttpMethod::Delete,
                _ => HttpMethod::Get,
            };
            item = item.operation(method, operation.describe());
            schemas.extend((operation.schemas)());
        }
        paths.paths.insert(self.path.to_owned(), item.build());
        schemas
    }
}

/// A parameter of the query string.
#[derive(Clone)]
struct KnownParameter {
    name: String,
    may_repeat: bool,
}

/// Refuses parameters that the operation does not know, or that are there twice: what a
/// slip in a name asks for would not be done, and nobody would see.
fn check_query(query: &str, known: &[KnownParameter]) -> Result<(), Error> {
    if query.is_empty() {
        return Ok(());
    }
    let mut seen: Vec<&String> = Vec::new();
    for (name, _) in form_urlencoded::parse(query.as_bytes()) {
        let Some(known) = known.iter().find(|known| known.name == name) else {
            let shown = name.chars().filter(|c| !c.is_control());
            let name: String = shown.take(NAME_SHOWN).collect();
            let detail = format!("The parameter {name} is not known here.");
            return Err(Error::with_detail(Code::QueryInvalid, detail));
        };
        if !known.may_repeat && seen.contains(&&known.name) {
            let detail = format!("The parameter {} is there twice.", known.name);
            return Err(Error::with_detail(Code::QueryInvalid, detail));
        }
        seen.push(&known.name);
    }
    Ok(())
}

/// Characters of a name that an error repeats.
const NAME_SHOWN: usize = 64;

/// Answers `OPTIONS` with the methods of a path, and refuses every other one.
pub fn options_or_refuse(request: &HttpRequest, allow: &str) -> Result<HttpResponse, Error> {
    if *request.method() == Method::OPTIONS {
        return Ok(HttpResponse::NoContent()
            .insert_header(("allow", allow))
            .finish());
    }
    Err(Error::method_not_allowed(allow))
}

/// The pattern of a route as the table has it, whichever slash was used.
pub fn canonical(pattern: &str) -> &str {
    match pattern.trim_end_matches('/') {
        "" => pattern,
        path => path,
    }
}

/// What one method of a path does, as clients read it.
pub struct Operation {
    id: &'static str,
    /// What it does, as a verb.
    summary: &'static str,
    /// What has come of it when it succeeds.
    outcome: &'static str,
    tag: &'static str,
    description: Cow<'static, str>,
    needs_token: bool,
    may_have_token: bool,
    parameters: Vec<Parameter>,
    /// Parameters of the query string that may be there several times.
    repeated: Vec<&'static str>,
    body: Option<RequestBody>,
    status: StatusCode,
    answer: Answer,
    headers: Vec<(&'static str, &'static str)>,
    is_revalidated: bool,
    /// What the `Location` of a 301 is; `None` where there is none.
    moved: Option<&'static str>,
    /// The schema of what a WebSocket sends.
    frames: Option<String>,
    codes: Vec<Code>,
    schemas: Box<dyn Fn() -> Vec<NamedSchema>>,
}

/// The body that a request has.
struct RequestBody {
    schema: &'static str,
    is_required: bool,
    example: Value,
}

/// The body of a success.
enum Answer {
    Json {
        media_type: &'static str,
        schema: String,
        example: Value,
    },
    Text {
        media_type: &'static str,
    },
    Other {
        media_type: &'static str,
    },
    Nothing,
}

impl Operation {
    /// `id` is what generated clients call it; `summary` what it does, as a verb, and
    /// `outcome` what has come of it when it succeeds.
    pub fn new(
        id: &'static str,
        tag: &'static str,
        summary: &'static str,
        outcome: &'static str,
    ) -> Self {
        Self {
            id,
            summary,
            outcome,
            tag,
            description: Cow::Borrowed(""),
            needs_token: false,
            may_have_token: false,
            parameters: Vec::new(),
            repeated: Vec::new(),
            body: None,
            status: StatusCode::OK,
            answer: Answer::Other {
                media_type: "application/json",
            },
            headers: Vec::new(),
            is_revalidated: false,
            moved: None,
            frames: None,
            codes: vec![Code::Internal],
            schemas: Box::new(Vec::new),
        }
    }

    pub fn description(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.description = text.into();
        self
    }

    /// Needs a token.
    pub fn token(mut self) -> Self {
        self.needs_token = true;
        self.codes.extend([
            Code::TokenConflict,
            Code::TokenMissing,
            Code::InvalidToken,
            Code::TokenExpired,
            Code::SessionEnded,
        ]);
        self
    }

    /// Takes a token, and does without.
    pub fn may_have_token(self) -> Self {
        let mut operation = self.token();
        operation.needs_token = false;
        operation.may_have_token = true;
        operation
    }

    /// Takes a token and does without, and refuses none: it need not be good any more.
    pub fn may_name_token(mut self) -> Self {
        self.codes.push(Code::TokenConflict);
        self.may_have_token = true;
        self
    }

    /// Asks the database.
    pub fn database(mut self) -> Self {
        self.codes.push(Code::Unavailable);
        self
    }

    /// Takes a body.
    pub fn body<T: Document>(mut self) -> Self {
        self.body = Some(RequestBody {
            schema: T::NAME,
            is_required: !T::MAY_BE_ABSENT,
            example: T::example(),
        });
        self.codes.extend([
            Code::MalformedJson,
            Code::MalformedRequest,
            Code::RequestTimeout,
            Code::BodyTooLarge,
            Code::UnsupportedMediaType,
            Code::ValidationFailed,
        ]);
        if T::IS_LONG {
            self.codes.push(Code::Overloaded);
        }
        self.also(|| {
            let shared = T::FIELDS.iter().filter_map(Field::shared_schema);
            shared
                .chain([(T::NAME.to_owned(), T::schema().into())])
                .collect()
        })
    }

    /// Succeeds with `status` and a JSON body.
    pub fn answers<T: ToSchema>(mut self, status: StatusCode, example: Value) -> Self {
        self.status = status;
        self.answer = Answer::Json {
            media_type: "application/json",
            schema: T::name().into_owned(),
            example,
        };
        self.also(|| named_schemas::<T>())
    }

    /// Sends frames of this kind where the request is upgraded to a WebSocket, of which
    /// `OpenAPI` has no notion.
    pub fn sends_frames<T: ToSchema>(mut self) -> Self {
        self.frames = Some(T::name().into_owned());
        self.also(|| named_schemas::<T>())
    }

    /// The same JSON under a media type of its own; call it after [`answers`](Self::answers).
    pub fn called(mut self, name: &'static str) -> Self {
        if let Answer::Json { media_type, .. } = &mut self.answer {
            *media_type = name;
        }
        self
    }

    /// Succeeds with 200 and text of this kind.
    pub fn answers_document(mut self, media_type: &'static str) -> Self {
        self.answer = Answer::Text { media_type };
        self
    }

    /// Succeeds with 200 and an object in this notation.
    pub fn answers_text(mut self, media_type: &'static str) -> Self {
        self.answer = Answer::Other { media_type };
        self
    }

    /// Succeeds with 204.
    pub fn answers_nothing(mut self) -> Self {
        self.status = StatusCode::NO_CONTENT;
        self.answer = Answer::Nothing;
        self
    }

    /// A header of the success.
    pub fn header(mut self, name: &'static str, description: &'static str) -> Self {
        self.headers.push((name, description));
        self
    }

    /// A read that can be revalidated.
    pub fn revalidates(mut self) -> Self {
        self.is_revalidated = true;
        self.text_header(
            "If-None-Match",
            "An ETag of an earlier answer: 304 without a body when it is still the state.",
            "\"rB6nMz3q1cG0pXyJw9eT4A\"",
        )
        .header("ETag", "Strong; differs for each Content-Encoding.")
    }

    /// May answer 301 to what has this name now.
    pub fn may_have_moved(mut self, location: &'static str) -> Self {
        self.moved = Some(location);
        self
    }

    /// What a cursor that is a position looks like (a regular expression).
    pub const POSITION: &'static str = "^([1-9][0-9]{0,17})?$";

    /// Takes `page` and `size`, or `before` in place of `page`, and answers with a `Link` header.
    pub fn pages(self) -> Self {
        self.pages_with_cursor(Self::POSITION, "1234")
    }

    /// The same with cursors of another form.
    pub fn pages_with_cursor(self, pattern: &'static str, example: &'static str) -> Self {
        self.numbered_pages().cursor(
            pattern,
            "The `next` of an earlier answer; empty for the top. `page` does not count then.",
            example,
        )
    }

    /// Takes `before`, a cursor.
    pub fn cursor(
        self,
        pattern: &'static str,
        description: &'static str,
        example: &'static str,
    ) -> Self {
        let cursor = ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(pattern));
        self.parameter(
            "before",
            ParameterIn::Query,
            description,
            cursor.into(),
            json!(example),
        )
    }

    /// Takes `page` and `size` only, and answers with a `Link` header.
    pub fn numbered_pages(self) -> Self {
        let number = |format| {
            ObjectBuilder::new()
                .schema_type(Type::Integer)
                .format(Some(SchemaFormat::KnownFormat(format)))
                .minimum(Some(1))
                .build()
                .into()
        };
        let page = number(KnownFormat::Int64);
        self.parameter("page", ParameterIn::Query, "From 1.", page, json!(1))
            .parameter(
                "size",
                ParameterIn::Query,
                "Items a page, at most 100.",
                number(KnownFormat::Int32),
                json!(20),
            )
            .header(
                "Link",
                "`first`, `prev`, `next` and `last` (RFC 8288); not there where it would have more than 2 KB.",
            )
    }

    /// The `{id}` in the path.
    pub fn id_in_path(mut self, example: i64) -> Self {
        self.codes.push(Code::PathInvalid);
        self.parameter(
            "id",
            ParameterIn::Path,
            "Which one.",
            id_schema(),
            json!(example),
        )
    }

    /// A header that a request may have.
    pub fn text_header(
        self,
        name: &'static str,
        description: &'static str,
        example: &'static str,
    ) -> Self {
        let text = ObjectBuilder::new().schema_type(Type::String).build();
        self.parameter(
            name,
            ParameterIn::Header,
            description,
            text.into(),
            json!(example),
        )
    }

    /// Another parameter; those in the path are required, others are not.
    pub fn parameter(
        mut self,
        name: &'static str,
        place: ParameterIn,
        description: &'static str,
        schema: RefOr<Schema>,
        example: Value,
    ) -> Self {
        let required = if place == ParameterIn::Path {
            Required::True
        } else {
            Required::False
        };
        self.parameters.push(
            ParameterBuilder::new()
                .name(name)
                .parameter_in(place)
                .required(required)
                .description(Some(description))
                .schema(Some(schema))
                .example(Some(example))
                .build(),
        );
        self
    }

    /// A parameter of the query string that may be there several times, at most `most`.
    pub fn repeated_parameter(
        mut self,
        name: &'static str,
        description: &'static str,
        item: RefOr<Schema>,
        most: usize,
        example: Value,
    ) -> Self {
        self.repeated.push(name);
        let several = ArrayBuilder::new().items(item).max_items(Some(most));
        self.parameter(
            name,
            ParameterIn::Query,
            description,
            several.into(),
            example,
        )
    }

    /// The parameters of its query string.
    fn query_parameters(&self) -> Vec<KnownParameter> {
        let of_query = |parameter: &&Parameter| parameter.parameter_in == ParameterIn::Query;
        let known = |parameter: &Parameter| KnownParameter {
            name: parameter.name.clone(),
            may_repeat: self.repeated.contains(&parameter.name.as_str()),
        };
        self.parameters.iter().filter(of_query).map(known).collect()
    }

    /// Refuses with these codes, beside those that its other properties bring.
    pub fn refuses(mut self, codes: &[Code]) -> Self {
        self.codes.extend(codes);
        self
    }

    fn also(mut self, more: impl Fn() -> Vec<NamedSchema> + 'static) -> Self {
        let earlier = self.schemas;
        self.schemas = Box::new(move || {
            let mut schemas = earlier();
            schemas.extend(more());
            schemas
        });
        self
    }

    fn describe(&self) -> utoipa::openapi::path::Operation {
        let mut operation = OperationBuilder::new()
            .operation_id(Some(self.id))
            .summary(Some(self.summary))
            .tag(self.tag);
        if !self.description.is_empty() {
            operation = operation.description(Some(self.description.as_ref()));
        }
        if self.needs_token {
            operation = operation
                .security(SecurityRequirement::new::<_, [&str; 0], &str>("bearer", []))
                .security(SecurityRequirement::new::<_, [&str; 0], &str>("jwt", []));
        } else if self.may_have_token {
            operation = operation
                .security(SecurityRequirement::default())
                .security(SecurityRequirement::new::<_, [&str; 0], &str>("bearer", []))
                .security(SecurityRequirement::new::<_, [&str; 0], &str>("jwt", []));
        } else {
            operation = operation.securities(Some([]));
        }
        for parameter in &self.parameters {
            operation = operation.parameter(parameter.clone());
        }
        if let Some(body) = &self.body {
            let content = ContentBuilder::new()
                .schema(Some(Ref::from_schema_name(body.schema)))
                .example(Some(body.example.clone()))
                .build();
            operation = operation.request_body(Some(
                RequestBodyBuilder::new()
                    .required(Some(if body.is_required {
                        Required::True
                    } else {
                        Required::False
                    }))
                    .content("application/json", content)
                    .build(),
            ));
        }
        if let Some(name) = &self.frames {
            let schema = json!({ "$ref": format!("#/components/schemas/{name}") });
            operation =
                operation.extensions(Some(Extensions::builder().add("x-frames", schema).build()));
        }
        operation = operation.response(self.status.as_str(), self.success());
        if self.is_revalidated {
            operation = operation.response(
                "304",
                with_request_id(
                    ResponseBuilder::new()
                        .description("What If-None-Match names is still the state."),
                ),
            );
        }
        if let Some(location) = self.moved {
            operation = operation.response(
                "301",
                with_request_id(ResponseBuilder::new().description("It has another name now."))
                    .header("Location", header(Type::String, location)),
            );
        }
        for status in self.refusal_statuses() {
            operation = operation.response(status.as_str(), self.refusal(status));
        }
        operation.build()
    }

    fn success(&self) -> ResponseBuilder {
        let mut response = with_request_id(ResponseBuilder::new().description(self.outcome));
        response = match &self.answer {
            Answer::Json {
                media_type,
                schema,
                example,
            } => response.content(
                *media_type,
                ContentBuilder::new()
                    .schema(Some(Ref::from_schema_name(schema)))
                    .example(Some(example.clone()))
                    .build(),
            ),
            Answer::Text { media_type } => response.content(
                *media_type,
                ContentBuilder::new()
                    .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
                    .build(),
            ),
            Answer::Nothing => response,
            Answer::Other { media_type } => response.content(
                *media_type,
                ContentBuilder::new()
                    .schema(Some(ObjectBuilder::new().schema_type(Type::Object)))
                    .build(),
            ),
        };
        for (name, description) in &self.headers {
            response = response.header(*name, header(Type::String, description));
        }
        response
    }

    fn refusal_statuses(&self) -> Vec<StatusCode> {
        let mut statuses: Vec<StatusCode> = self.codes.iter().map(|code| code.status()).collect();
        statuses.sort_unstable();
        statuses.dedup();
        statuses
    }

    /// One status, with every code that it can mean here in `x-codes`.
    fn refusal(&self, status: StatusCode) -> ResponseBuilder {
        let mut codes: Vec<Code> = (self.codes.iter().copied())
            .filter(|code| code.status() == status)
            .collect();
        // In the order of the table, each once, whichever property brought it.
        codes.sort_unstable_by_key(|code| *code as usize);
        codes.dedup();
        let names: Vec<&str> = codes.iter().map(|code| code.name()).collect();
        let first = codes[0].row();
        let example = json!({
            "type": format!("/problems/{}", first.name),
            "title": first.title,
            "status": status.as_u16(),
            "detail": first.explanation,
            "code": first.name,
            "request_id": "01JD3ZK6W0Q7V4T8N5XH2B9CRM",
        });
        let titles: Vec<&str> = codes.iter().map(|code| code.row().title).collect();
        let mut response = with_request_id(ResponseBuilder::new());
        if codes.iter().any(|code| code.has_challenge()) {
            let text = "What is missing, or wrong with the token that was sent (RFC 6750 §3).";
            response = response.header("WWW-Authenticate", header(Type::String, text));
        }
        if matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        ) {
            let text = "Seconds to wait before another try.";
            response = response.header("Retry-After", header(Type::Integer, text));
        }
        response
            .description(titles.join(", or ") + ".")
            .content(
                "application/problem+json",
                ContentBuilder::new()
                    .schema(Some(Ref::from_schema_name("Problem")))
                    .example(Some(example))
                    .build(),
            )
            .extensions(Some(
                Extensions::builder().add("x-codes", json!(names)).build(),
            ))
    }
}

/// The schema of an id. Without its size, generators take 32 bits.
pub fn id_schema() -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
        .minimum(Some(1))
        .maximum(Some(i64::MAX))
        .build()
        .into()
}

/// The schema of a type, and those that it names.
fn named_schemas<T: ToSchema>() -> Vec<NamedSchema> {
    let mut schemas = vec![(T::name().into_owned(), <T as PartialSchema>::schema())];
    T::schemas(&mut schemas);
    schemas
}

/// The description of a header of an answer.
fn header(kind: Type, description: &str) -> Header {
    let format = (kind == Type::Integer).then_some(SchemaFormat::KnownFormat(KnownFormat::Int32));
    let schema = ObjectBuilder::new().schema_type(kind).format(format);
    let mut header = Header::new(schema.build());
    header.description = Some(description.to_owned());
    header
}

/// With the header that every answer has.
fn with_request_id(response: ResponseBuilder) -> ResponseBuilder {
    let text = "Names the request, as the log does: that of the request if it was sane.";
    response.header("X-Request-Id", header(Type::String, text))
}
