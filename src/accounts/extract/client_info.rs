//! The extractor of the client info.

use std::future::ready;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{HttpMessage, HttpRequest};

use crate::accounts::client_info::ClientInfo;
use crate::error::Error;
use crate::http::client_address;
use crate::http::handler::Extract;
use crate::http::request_id::RequestId;

impl Extract for ClientInfo {
    fn extract(
        request: &HttpRequest,
        _: &mut Payload,
    ) -> impl Future<Output = Result<Self, Error>> {
        ready(of(request))
    }
}

fn of(request: &HttpRequest) -> Result<ClientInfo, Error> {
    let address = client_address::of_request(request)?.0;
    let user_agent = request
        .headers()
        .get(header::USER_AGENT)
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
        .unwrap_or_default();
    let request_id = request
        .extensions()
        .get::<RequestId>()
        .map(|id| id.0.clone());
    Ok(ClientInfo::new(
        address,
        &user_agent,
        request_id.unwrap_or_default(),
    ))
}
