//! From where a request comes: what sessions and the audit keep of it.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpMessage, HttpRequest};

use crate::error::Error;
use crate::http::client_address;
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
    /// The operator at the command line.
    pub fn operator() -> Self {
        Self {
            ip: "local".to_owned(),
            user_agent: "command line".to_owned(),
            request_id: ulid::Ulid::generate().to_string(),
        }
    }
}

impl FromRequest for Visitor {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let user_agent = req
            .headers()
            .get(header::USER_AGENT)
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .unwrap_or_default();
        let request_id = req.extensions().get::<RequestId>().map(|id| id.0.clone());
        ready(client_address::of_request(req).map(|address| {
            Self {
                ip: address.0.to_canonical().to_string(),
                user_agent: user_agent
                    .chars()
                    .filter(|c| !c.is_control())
                    .take(USER_AGENT_MAX)
                    .collect(),
                request_id: request_id.unwrap_or_default(),
            }
        }))
    }
}
