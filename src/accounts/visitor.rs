//! From where a request comes: what sessions and the audit keep of it.

use std::future::ready;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{HttpMessage, HttpRequest};

use crate::error::Error;
use crate::http::client_address;
use crate::http::handler::Extract;
use crate::http::request_id::RequestId;

/// Characters of a `User-Agent` that are kept.
const USER_AGENT_MAX: usize = 256;

/// Address, device and name of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Visitor {
    pub ip: String,
    pub user_agent: String,
    pub request_id: String,
}

impl Visitor {
    /// That of a request.
    pub fn of(request: &HttpRequest) -> Result<Self, Error> {
        let user_agent = request
            .headers()
            .get(header::USER_AGENT)
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .unwrap_or_default();
        let request_id = request
            .extensions()
            .get::<RequestId>()
            .map(|id| id.0.clone());
        Ok(Self {
            ip: client_address::of_request(request)?
                .0
                .to_canonical()
                .to_string(),
            user_agent: user_agent
                .chars()
                .filter(|c| !c.is_control())
                .take(USER_AGENT_MAX)
                .collect(),
            request_id: request_id.unwrap_or_default(),
        })
    }

    /// The operator at the command line.
    pub fn operator() -> Self {
        Self {
            ip: "local".to_owned(),
            user_agent: "command line".to_owned(),
            request_id: ulid::Ulid::generate().to_string(),
        }
    }
}

impl Extract for Visitor {
    fn extract(
        request: &HttpRequest,
        _: &mut Payload,
    ) -> impl Future<Output = Result<Self, Error>> {
        ready(Self::of(request))
    }
}
