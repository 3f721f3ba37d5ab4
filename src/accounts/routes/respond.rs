//! How the routes of the room answer.

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};

use crate::accounts::failure::Failure;
use crate::accounts::password::Fault;
use crate::accounts::types::Identifier;
use crate::error::{Cause, Code, Error, FieldError};
use crate::http::page::PageRequest;
use crate::http::response::{self, CacheControl};

/// The group of the routes in the API's description.
pub const TAG: &str = "users";

impl From<Failure> for Error {
    #[track_caller]
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Database(error) => error.into(),
            Failure::Pool(error) => error.into(),
            Failure::Fault { why, place } => Self {
                cause: Some(Cause::at(why, place).into()),
                ..Self::new(Code::Internal)
            },
        }
    }
}

/// The refusal of identifiers that other users have: the code of the first, and an error
/// for each.
pub fn taken(identifiers: &[Identifier]) -> Error {
    let fault = |identifier: &Identifier| {
        FieldError::new(identifier.field(), identifier.taken(), "is taken")
    };
    let code = identifiers.first().map_or(Code::Internal, |i| i.taken());
    Error {
        fields: identifiers.iter().map(fault).collect(),
        ..Error::new(code)
    }
}

/// The refusal of a new password that breaks a rule.
pub fn unfit(Fault(code, detail): Fault) -> Error {
    Error::fields(vec![FieldError::new("new_password", code, detail)])
}

/// 204 for what is nobody else's business.
pub fn nothing() -> HttpResponse {
    HttpResponse::NoContent()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .finish()
}

/// Bytes of a `Link` header: longer ones do not pass every proxy and client.
const LINK_MAX: usize = 2048;

/// Rows before a page, at most: whoever looks for older ones asks for fewer.
const DEPTH: i64 = 100_000;

/// A page of a list, with links to the others where they are not too long.
pub fn page<T: serde::Serialize>(answer: &T, link: String) -> Result<HttpResponse, Error> {
    let mut response = response::json(StatusCode::OK, CacheControl::NoStore, answer)?;
    if link.len() <= LINK_MAX {
        let link = header::HeaderValue::try_from(link).map_err(|e| Error::internal(e))?;
        response.headers_mut().insert(header::LINK, link);
    }
    Ok(response)
}

/// Rows before a page, and on it; a page that the database would have to read its way to for long
/// is refused.
pub fn range(request: PageRequest) -> Result<(i64, i64), Error> {
    let offset = request.offset();
    if offset > DEPTH {
        return Err(Error::with_detail(
            Code::QueryInvalid,
            "The parameter page is too far from the first: 100,000 rows are passed over at most.",
        ));
    }
    Ok((offset, i64::from(request.size)))
}
