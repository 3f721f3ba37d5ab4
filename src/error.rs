//! Every refusal that a client can meet: one table of codes, one shape
//! (`application/problem+json`, RFC 9457), one place that renders it.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::Location;
use std::time::Duration;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

use crate::core::cpu_pool::PoolError;
use crate::core::db::DbError;
use crate::core::rate_limits::LimitExceeded;
use crate::core::telemetry::chain::Chain;

/// A row of the table of codes.
pub struct Row {
    pub code: Code,
    pub name: &'static str,
    /// `None` for codes that stand in `errors` only, beside a field.
    pub status: Option<u16>,
    pub title: &'static str,
    pub explanation: &'static str,
}

macro_rules! codes {
    ($($variant:ident $name:literal $status:expr, $title:literal, $explanation:literal;)*) => {
        /// The closed list of codes that a client can be told.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code { $($variant,)* }

        /// The table of codes, in the order of [`Code`].
        pub const TABLE: &[Row] = &[$(Row {
            code: Code::$variant,
            name: $name,
            status: $status,
            title: $title,
            explanation: $explanation,
        },)*];
    };
}

codes! {
    MalformedRequest "malformed_request" Some(400), "Malformed request", "The request is not valid HTTP, or one of its headers cannot be read.";
    MalformedJson "malformed_json" Some(400), "Malformed JSON", "The body is not JSON in UTF-8. The detail says where reading stopped, by line and column.";
    PathInvalid "path_invalid" Some(400), "Malformed path", "A part of the path is not what the route takes: ids are whole numbers from 1 to 9223372036854775807 without leading zeros, slugs have a-z, 0-9 and -.";
    QueryInvalid "query_invalid" Some(400), "Malformed query", "A parameter of the query string cannot be read; the detail names it.";
    IdempotencyKeyInvalid "idempotency_key_invalid" Some(400), "Malformed idempotency key", "The header Idempotency-Key is given once and has 1 to 255 visible ASCII characters.";
    TokenConflict "token_conflict" Some(400), "Two different tokens", "The headers Authorization and JWT both carry a token, and the two differ.";
    TokenMissing "token_missing" Some(401), "Token missing", "The route needs a token: send Authorization: Bearer <token>; to refresh, the refresh token in the body or the cookie.";
    InvalidToken "invalid_token" Some(401), "Invalid token", "The token is malformed, not from this service, or its user is gone; a refresh token, that no live session has it. Log in again.";
    TokenExpired "token_expired" Some(401), "Token expired", "The token was good until its time ended. Refresh it, or log in again.";
    SessionEnded "session_ended" Some(401), "Session ended", "The session of the token has ended: by a logout, a new password, its time, or because its user is not active. Log in again.";
    RefreshTokenUsed "refresh_token_used" Some(401), "Refresh token used", "The refresh token was used before, and so was its successor: somebody has a copy, and the session was ended. Log in again.";
    InvalidCredentials "invalid_credentials" Some(401), "Invalid credentials", "No account with this identifier and this password. Which of the two is wrong is not told.";
    WrongPassword "wrong_password" Some(403), "Wrong password", "The field current_password is not the account's password.";
    WrongCode "wrong_code" Some(403), "Wrong code", "The code is not the one that was sent last, has expired, was used, or was tried too often. Ask for a new one.";
    CodeExpired "code_expired" Some(403), "Code expired", "The code that was sent last has expired. Ask for a new one.";
    CodeUsed "code_used" Some(403), "Code used", "The code that was sent last was used already, or what it was sent to has changed. Ask for a new one.";
    AdminsOnly "admins_only" Some(403), "Admins only", "The route is for users with the role admin.";
    RegistrationClosed "registration_closed" Some(403), "Registration closed", "Nobody registers here by themselves: an admin creates the account.";
    NotYourPost "not_your_post" Some(403), "Not your post", "Only its author and admins may change or delete a post.";
    NotYourComment "not_your_comment" Some(403), "Not your comment", "Only its author may change a comment; its author, the author of the post, and admins may delete it.";
    OriginRefused "origin_refused" Some(403), "Origin refused", "A request that is authorized by a cookie, or opens a live stream, must come from a page of this server or of a listed origin.";
    NotFound "not_found" Some(404), "Not found", "Nothing is served under this path.";
    UserNotFound "user_not_found" Some(404), "User not found", "No user has this id or username.";
    PostNotFound "post_not_found" Some(404), "Post not found", "No post has this id or slug.";
    CommentNotFound "comment_not_found" Some(404), "Comment not found", "No comment has this id, or it was deleted.";
    SessionNotFound "session_not_found" Some(404), "Session not found", "You have no live session with this id.";
    JobNotFound "job_not_found" Some(404), "Job not found", "No job has this id.";
    MethodNotAllowed "method_not_allowed" Some(405), "Method not allowed", "The path exists, but not with this method. The Allow header lists those it takes.";
    RequestTimeout "request_timeout" Some(408), "Request timeout", "The request did not arrive in time.";
    EmailTaken "email_taken" Some(409), "E-mail taken", "Another account has this e-mail address.";
    UsernameTaken "username_taken" Some(409), "Username taken", "Another account has this username.";
    MobileTaken "mobile_taken" Some(409), "Mobile taken", "Another account has this mobile number.";
    SlugTaken "slug_taken" Some(409), "Slug taken", "Another post has this slug, or had it and still is where it leads.";
    LastAdmin "last_admin" Some(409), "Last admin", "The last active admin can be neither demoted, deactivated nor deleted.";
    FollowSelf "follow_self" Some(409), "Yourself", "Nobody follows themselves.";
    AlreadyVerified "already_verified" Some(409), "Already verified", "The address or number is verified already.";
    NoMobile "no_mobile" Some(409), "No mobile number", "The account has no mobile number to send a code to.";
    JobNotRetryable "job_not_retryable" Some(409), "Job not retryable", "The job is running or done. Only one that is dead or waiting can be tried again.";
    IdempotencyKeyInUse "idempotency_key_in_use" Some(409), "Under way", "The first request with this Idempotency-Key is still under way. Repeat this one a little later.";
    PreconditionFailed "precondition_failed" Some(412), "Precondition failed", "What is to be changed is no longer in the state that If-Match names. Read it again and decide.";
    BodyTooLarge "body_too_large" Some(413), "Body too large", "The body is larger than this route takes.";
    ContentTooLarge "content_too_large" Some(413), "Content too large", "The content of the post is longer than this server keeps.";
    UriTooLong "uri_too_long" Some(414), "URL too long", "The URL is longer than the server reads: path and query have at most 65,534 bytes.";
    UnsupportedMediaType "unsupported_media_type" Some(415), "Unsupported media type", "Bodies are JSON in UTF-8: send Content-Type: application/json, without a Content-Encoding.";
    ValidationFailed "validation_failed" Some(422), "Validation failed", "The body is JSON, but fields of it do not fit. The list errors names each of them.";
    IdempotencyKeyReused "idempotency_key_reused" Some(422), "Idempotency key reused", "The Idempotency-Key was used for another body within the last 24 hours.";
    RateLimited "rate_limited" Some(429), "Too many requests", "Too many tries from this address or at this account. Try again after the time in Retry-After.";
    TooManySockets "too_many_sockets" Some(429), "Too many sockets", "The user has ten sockets open already, or the address very many. Close one first.";
    HeadersTooLarge "headers_too_large" Some(431), "Headers too large", "The request line and headers together have more than 96 KiB, or there are more than 96 headers.";
    Internal "internal" Some(500), "Internal error", "A fault of the server. Its log has the details under the request id.";
    Overloaded "overloaded" Some(503), "Overloaded", "Too much of this work is waiting already. Try again after the time in Retry-After.";
    Unavailable "unavailable" Some(503), "Unavailable", "The database cannot be reached just now. Try again after the time in Retry-After. A write may or may not have happened.";
    NotReady "not_ready" Some(503), "Not ready", "A part that the service needs does not work, or the process stops; checks has each part.";

    FieldUnknown "field_unknown" None, "Unknown field", "The body has a field that the route does not take.";
    FieldMissing "field_missing" None, "Missing field", "The body lacks a field that the route needs.";
    FieldMistyped "field_mistyped" None, "Mistyped field", "The value is of another JSON type than the route takes.";
    FieldDuplicate "field_duplicate" None, "Duplicate field", "The body names the field more than once.";
    FieldConflict "field_conflict" None, "Conflicting fields", "Of several fields that mean the same, exactly one may be given.";
    ControlCharacter "control_character" None, "Control character", "The text contains a control character.";
    FieldNotClearable "field_not_clearable" None, "Field cannot be cleared", "The field must have a value: null is refused.";
    RoleInvalid "role_invalid" None, "Invalid role", "A role is user or admin.";
    EmailInvalid "email_invalid" None, "Invalid e-mail", "The text is not an e-mail address.";
    NameEmpty "name_empty" None, "Empty name", "A name needs at least one visible character.";
    NameTooLong "name_too_long" None, "Name too long", "A name has at most 64 characters.";
    UsernameInvalid "username_invalid" None, "Invalid username", "A username has 2 to 64 characters of A-Z a-z 0-9 _ . -, at least one of them a letter.";
    UsernameReserved "username_reserved" None, "Reserved username", "The username is the name of a part of the site or of a role, and is nobody's.";
    BioTooLong "bio_too_long" None, "Bio too long", "What somebody says of themselves has at most 1,000 characters.";
    ImageInvalid "image_invalid" None, "Invalid image", "An image is given by its URL, http or https, with at most 2,048 characters and without a name and password.";
    MobileInvalid "mobile_invalid" None, "Invalid mobile number", "A mobile number is given in international form, + and 8 to 15 digits, and is one that its country has.";
    PasswordTooShort "password_too_short" None, "Password too short", "A password needs at least 8 characters.";
    PasswordTooLong "password_too_long" None, "Password too long", "A password has at most 1024 bytes.";
    PasswordAllDigits "password_all_digits" None, "Password of digits only", "A password may not consist of digits alone.";
    PasswordCommon "password_common" None, "Common password", "The password is one of those that are guessed first.";
    PasswordSimilar "password_similar" None, "Password too similar", "The password is too close to the account's e-mail address, name or username.";
    ChannelInvalid "channel_invalid" None, "Invalid channel", "A channel is email or mobile.";
    CodeMalformed "code_malformed" None, "Malformed code", "A code has six digits.";
    TitleEmpty "title_empty" None, "Empty title", "A title needs at least one visible character.";
    TitleTooLong "title_too_long" None, "Title too long", "A title has at most 256 characters.";
    FormatInvalid "format_invalid" None, "Invalid format", "A format is markdown, html or text.";
    SlugInvalid "slug_invalid" None, "Invalid slug", "A slug has 1 to 100 characters of a-z, 0-9 and -, and not digits alone.";
    SlugReserved "slug_reserved" None, "Reserved slug", "The slug is the name of a route, and no post's.";
    SummaryEmpty "summary_empty" None, "Empty summary", "A summary needs at least one visible character.";
    SummaryTooLong "summary_too_long" None, "Summary too long", "A summary has at most 500 characters.";
    StatusInvalid "status_invalid" None, "Invalid status", "A status is published, draft or scheduled.";
    PublishAtInvalid "publish_at_invalid" None, "Invalid time", "A time of publication is a date and time with its offset, as in RFC 3339.";
    PublishAtOutOfRange "publish_at_out_of_range" None, "Time out of range", "A post is scheduled for a time to come, at most ten years ahead.";
    PublishAtUnexpected "publish_at_unexpected" None, "Unexpected time", "Only what is scheduled has a time of publication to come.";
    DateInvalid "date_invalid" None, "Invalid date", "The date of a post is a date and time with its offset, as in RFC 3339.";
    DateOutOfRange "date_out_of_range" None, "Date out of range", "The date of a post is a time from the year 1000 on that is not to come; what is to come is scheduled.";
    DateUnexpected "date_unexpected" None, "Unexpected date", "Only what is published, or is published with the request, has a date.";
    TooManyTags "too_many_tags" None, "Too many tags", "A post has at most 10 tags.";
    TagEmpty "tag_empty" None, "Empty tag", "A tag needs at least one visible character.";
    TagTooLong "tag_too_long" None, "Tag too long", "A tag has at most 32 characters.";
    ContentEmpty "content_empty" None, "Empty content", "The content of a post has at least one byte, that of a comment a visible character.";
    CommentTooLong "comment_too_long" None, "Comment too long", "A comment has at most 10,000 characters.";
    ReplyInvalid "reply_invalid" None, "Invalid reply", "What a comment answers is a comment of the same post that was not deleted.";
}

impl Code {
    /// The code's row of the table.
    pub fn row(self) -> &'static Row {
        // The enum and the table come from the same list, in the same order.
        &TABLE[self as usize]
    }

    /// What clients compare: lower case with underscores, never changed.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Whether its problem says by `WWW-Authenticate` what token would be needed.
    pub fn has_challenge(self) -> bool {
        // RFC 6750 §3.1: with 403 the token is good, and another would be needed.
        self.status() == StatusCode::UNAUTHORIZED
            || matches!(
                self,
                Self::AdminsOnly | Self::NotYourPost | Self::NotYourComment
            )
    }

    /// Whether a token was given that counts for nothing: `invalid_token` in the words of
    /// RFC 6750 §3.1, which has one for all.
    pub fn is_of_bad_token(self) -> bool {
        matches!(
            self,
            Self::InvalidToken | Self::TokenExpired | Self::SessionEnded | Self::RefreshTokenUsed
        )
    }

    /// The status of a problem with this code; 422 for codes of fields.
    pub fn status(self) -> StatusCode {
        self.row()
            .status
            .and_then(|s| StatusCode::from_u16(s).ok())
            .unwrap_or(StatusCode::UNPROCESSABLE_ENTITY)
    }
}

/// One field of the body that does not fit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// JSON pointer (RFC 6901) to the field; empty for the whole body.
    #[schema(example = "/email")]
    pub pointer: String,
    /// One of the closed list of codes.
    #[schema(schema_with = code_schema)]
    pub code: &'static str,
    /// For people.
    #[schema(example = "is not an e-mail address")]
    pub detail: String,
}

impl FieldError {
    /// For the top-level field `name`.
    pub fn new(name: &str, code: Code, detail: impl Into<String>) -> Self {
        Self {
            // RFC 6901 §3
            pointer: format!("/{}", name.replace('~', "~0").replace('/', "~1")),
            code: code.name(),
            detail: detail.into(),
        }
    }

    /// For an item of the list `name`, counted from 0.
    pub fn of_item(name: &str, index: usize, code: Code, detail: impl Into<String>) -> Self {
        let list = Self::new(name, code, detail);
        Self {
            pointer: format!("{}/{index}", list.pointer),
            ..list
        }
    }

    /// For the body as a whole.
    pub fn of_body(code: Code, detail: impl Into<String>) -> Self {
        Self {
            pointer: String::new(),
            code: code.name(),
            detail: detail.into(),
        }
    }
}

/// `application/problem+json` (RFC 9457) as this service fills it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem<'a> {
    /// Where the code is explained, relative to the server's host.
    #[serde(rename = "type")]
    #[schema(example = "/problems/validation_failed", format = "uri-reference")]
    pub kind: String,
    /// The code's title, always the same for the same code.
    #[schema(example = "Validation failed")]
    pub title: &'static str,
    /// The HTTP status.
    #[schema(example = 422, minimum = 400, maximum = 599)]
    pub status: u16,
    /// What it was this time, for people.
    #[schema(example = "1 field needs attention")]
    pub detail: &'a str,
    /// One of the closed list of codes, for programs.
    #[schema(schema_with = code_schema)]
    pub code: &'static str,
    /// What the server's log calls this request.
    #[schema(example = "01JD3ZK6W0Q7V4T8N5XH2B9CRM")]
    pub request_id: &'a str,
    /// Every field that does not fit (422), or whose value another has (409).
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(required = false)]
    pub errors: &'a [FieldError],
    /// Each part of the service that readiness depends on, and how it is (`/readyz`).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(required = false, example = json!({"process": "ok", "database": "away", "migrations": "unknown"}))]
    pub checks: BTreeMap<&'static str, &'static str>,
}

/// The closed list as an enum.
fn code_schema() -> utoipa::openapi::schema::Object {
    utoipa::openapi::schema::ObjectBuilder::new()
        .schema_type(utoipa::openapi::schema::Type::String)
        .enum_values(Some(TABLE.iter().map(|row| row.name)))
        .build()
}

/// What a fault came from, for the log.
#[derive(Clone, Debug)]
pub struct Cause {
    pub text: String,
    /// Where in the code it was met; `None` where that says nothing.
    pub place: Option<&'static Location<'static>>,
}

impl Cause {
    /// Met by the caller.
    #[track_caller]
    pub fn new(cause: impl fmt::Display) -> Self {
        Self::at(cause, Location::caller())
    }

    /// Met at a place that was noted.
    pub fn at(cause: impl fmt::Display, place: &'static Location<'static>) -> Self {
        Self {
            text: cause.to_string(),
            place: Some(place),
        }
    }
}

impl From<&DbError> for Cause {
    /// Met by whoever asked for the unit of work.
    fn from(error: &DbError) -> Self {
        Self::at(Chain(error), error.place())
    }
}

/// A refusal on its way to the client.
#[derive(Clone, Debug)]
pub struct Error {
    pub code: Code,
    /// For the client; never anything of the inside.
    pub detail: String,
    pub fields: Vec<FieldError>,
    /// For the log only.
    pub cause: Option<Box<Cause>>,
    /// Methods of the path, for 405.
    pub allow: Option<String>,
    /// What the client is told to wait, for 429.
    pub retry_after: Option<Duration>,
    /// Parts of the service and how they are, for `not_ready`.
    pub checks: Box<[(&'static str, &'static str)]>,
}

/// What a client is told to wait when it is told to come back.
pub const RETRY_AFTER: Duration = Duration::from_secs(2);

impl Error {
    /// A refusal with the code's own explanation as its detail.
    pub fn new(code: Code) -> Self {
        Self::with_detail(code, code.row().explanation)
    }

    pub fn with_detail(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            fields: Vec::new(),
            cause: None,
            allow: None,
            retry_after: None,
            checks: Box::default(),
        }
    }

    /// 422 with every field that does not fit.
    pub fn fields(fields: Vec<FieldError>) -> Self {
        let detail = match fields.len() {
            1 => "1 field needs attention".to_owned(),
            n => format!("{n} fields need attention"),
        };
        Self {
            fields,
            ..Self::with_detail(Code::ValidationFailed, detail)
        }
    }

    /// 500; `cause` and the caller's place go to the log, the client gets the request id.
    /// As a path, in `map_err(|e| Error::internal(e))`, it would name a place in the standard
    /// library: call it in a closure.
    #[track_caller]
    pub fn internal(cause: impl fmt::Display) -> Self {
        Self {
            cause: Some(Cause::new(cause).into()),
            ..Self::new(Code::Internal)
        }
    }

    /// 405 with the methods that the path takes.
    pub fn method_not_allowed(allow: &str) -> Self {
        Self {
            allow: Some(allow.to_owned()),
            ..Self::new(Code::MethodNotAllowed)
        }
    }

    /// Renders the body for the request that `request_id` names. `base`: the path under
    /// which the world reaches this server.
    pub fn body(&self, request_id: &str, base: &str) -> Vec<u8> {
        let row = self.code.row();
        serde_json::to_vec(&Problem {
            kind: format!("{base}/problems/{}", row.name),
            title: row.title,
            status: self.code.status().as_u16(),
            detail: &self.detail,
            code: row.name,
            request_id,
            errors: &self.fields,
            checks: self.checks.iter().copied().collect(),
        })
        // Strings and numbers only: writing them to memory cannot fail.
        .unwrap_or_default()
    }

    /// The answer for the request that `request_id` names; `base` as for
    /// [`body`](Self::body).
    pub fn respond(&self, request_id: &str, base: &str) -> HttpResponse {
        let mut response = HttpResponseBuilder::new(self.code.status());
        response.insert_header((header::CONTENT_TYPE, "application/problem+json"));
        response.insert_header((header::CACHE_CONTROL, "no-store"));
        match self.code.status() {
            StatusCode::UNAUTHORIZED => {
                // RFC 6750 §3: no error code when no token was given.
                let challenge = if self.code.is_of_bad_token() {
                    "Bearer realm=\"inkpot\", error=\"invalid_token\""
                } else {
                    "Bearer realm=\"inkpot\""
                };
                response.insert_header((header::WWW_AUTHENTICATE, challenge));
            }
            StatusCode::FORBIDDEN if self.code.has_challenge() => {
                let challenge = "Bearer realm=\"inkpot\", error=\"insufficient_scope\"";
                response.insert_header((header::WWW_AUTHENTICATE, challenge));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                response.insert_header((header::RETRY_AFTER, RETRY_AFTER.as_secs()));
            }
            _ => {}
        }
        if let Some(wait) = self.retry_after {
            // Whole seconds, and never too early.
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response.insert_header((header::RETRY_AFTER, seconds.max(1)));
        }
        if let Some(allow) = &self.allow {
            response.insert_header((header::ALLOW, allow.as_str()));
        }
        response.body(self.body(request_id, base))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.detail)
    }
}

impl std::error::Error for Error {}

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        self.code.status()
    }

    /// The edge renders errors with their request id; this is what is left for one
    /// that never reaches it.
    fn error_response(&self) -> HttpResponse {
        self.respond("", "")
    }
}

impl From<LimitExceeded> for Error {
    fn from(refused: LimitExceeded) -> Self {
        Self {
            retry_after: Some(refused.retry_after),
            ..Self::new(Code::RateLimited)
        }
    }
}

impl From<PoolError> for Error {
    #[track_caller]
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Overloaded => Self::new(Code::Overloaded),
            PoolError::Lost(why) => Self::internal(why),
        }
    }
}

impl From<DbError> for Error {
    /// For units of work that have no refusals of their own.
    fn from(error: DbError) -> Self {
        Self {
            cause: Some(Cause::from(&error).into()),
            ..Self::new(match error {
                DbError::Unavailable(_) | DbError::UnknownOutcome(_) => Code::Unavailable,
                // Refusals that the unit of work did not foresee.
                DbError::Unique(_) | DbError::ForeignKey(_) | DbError::Fault(_) => Code::Internal,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_knows_its_place() {
        let line = line!() + 1;
        let cause = Error::internal("broken").cause.unwrap();
        let place = cause.place.unwrap();
        assert_eq!(
            (cause.text.as_str(), place.file(), place.line()),
            ("broken", file!(), line)
        );
        let line = line!() + 1;
        let cause = Error::from(DbError::fault("broken")).cause.unwrap();
        let place = cause.place.unwrap();
        assert_eq!(cause.text, "a unit of work failed: broken");
        assert_eq!((place.file(), place.line()), (file!(), line));
    }

    /// `?` passes its own place on.
    #[test]
    fn a_fault_of_a_pool_has_the_place_of_the_question_mark() {
        let line = line!() + 1;
        let ask = || -> Result<(), Error> { Ok(Err(PoolError::Lost("gone"))?) };
        let place = ask().unwrap_err().cause.unwrap().place.unwrap();
        assert_eq!((place.file(), place.line()), (file!(), line));
    }

    /// A function's path that is called by the standard library has its place there.
    #[test]
    fn no_place_is_lost_in_the_standard_library() {
        let mut folders = vec![std::path::PathBuf::from(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/src"
        ))];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let text = std::fs::read_to_string(&path).unwrap_or_default();
                let lines = text.lines().enumerate();
                for (number, line) in lines.filter(|(_, line)| !line.trim().starts_with("//")) {
                    let paths = ["(Error::internal", "(Failure::fault", "(DbError::fault"];
                    let is_path = paths.iter().any(|path| line.contains(&format!("{path})")));
                    assert!(
                        !is_path,
                        "{}:{}: call it in a closure",
                        path.display(),
                        number + 1
                    );
                }
            }
        }
    }
}
