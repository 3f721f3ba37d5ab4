//! `Idempotency-Key`: makes a request that makes something safe to repeat.

use std::future::ready;

use actix_web::HttpRequest;
use actix_web::dev::Payload;
use serde_json::json;
use utoipa::openapi::path::ParameterIn;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::endpoint::Operation;
use super::handler::Extract;
use crate::core::idempotency_key::{IDEMPOTENCY_KEY_MAX, IdempotencyKey};
use crate::error::{Code, Error};

/// The header of the request.
const HEADER: &str = "idempotency-key";

/// The key of a request; `None` without the header.
#[derive(Clone, Debug)]
pub struct OptionalKey(pub Option<IdempotencyKey>);

impl Extract for OptionalKey {
    fn extract(
        request: &HttpRequest,
        _: &mut Payload,
    ) -> impl Future<Output = Result<Self, Error>> {
        let mut lines = request.headers().get_all(HEADER);
        let key = match (lines.next(), lines.next()) {
            (None, _) => Ok(None),
            (Some(key), None) => IdempotencyKey::parse(key.as_bytes())
                .map(Some)
                .ok_or_else(|| Error::new(Code::IdempotencyKeyInvalid)),
            (Some(_), Some(_)) => Err(Error::new(Code::IdempotencyKeyInvalid)),
        };
        ready(key.map(Self))
    }

    fn describe(operation: Operation) -> Operation {
        operation
            .parameter(
                "Idempotency-Key",
                ParameterIn::Header,
                "Makes the request safe to repeat for 24 hours: with the same key and body the \
                 answer is that of the first, and nothing is made again.",
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .min_length(Some(1))
                    .max_length(Some(IDEMPOTENCY_KEY_MAX))
                    .pattern(Some("^[!-~]+$"))
                    .into(),
                json!("0b9cb9b2-7e8e-4d7b-9a51-6c1c2b6e2f55"),
            )
            .refuses(&[
                Code::IdempotencyKeyInvalid,
                Code::IdempotencyKeyInUse,
                Code::IdempotencyKeyReused,
            ])
    }
}
