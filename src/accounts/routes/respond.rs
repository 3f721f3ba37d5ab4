//! How the routes of the room answer.

use actix_web::HttpResponse;
use actix_web::http::header;

use crate::accounts::failure::Failure;
use crate::accounts::password::Fault;
use crate::accounts::types::Identifier;
use crate::error::{Cause, Code, Error, FieldError};

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
