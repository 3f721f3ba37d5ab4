//! The extractor that limits how often an address may call a route (rate limit).

use std::marker::PhantomData;
use std::net::IpAddr;

use actix_web::HttpRequest;
use actix_web::dev::Payload;

use super::client_address;
use super::endpoint::Operation;
use super::handler::{self, Extract};
use crate::core::rate_limits::{DeclaredLimit, RateLimits};
use crate::error::{Code, Error};

/// Guards a route by the limit `L`: the client's address, which had a token left in its
/// bucket. It
/// stands before what reads the body, so that who tries too often is refused before the
/// body is read, let alone judged.
pub struct RateLimited<L> {
    pub address: IpAddr,
    limit: PhantomData<L>,
}

impl<L: DeclaredLimit> Extract for RateLimited<L> {
    async fn extract(request: &HttpRequest, _: &mut Payload) -> Result<Self, Error> {
        let address = client_address::of_request(request)?.0;
        let limits = handler::part::<RateLimits>(request)?;
        limits.check_address(&L::LIMIT, address).await?;
        Ok(Self {
            address,
            limit: PhantomData,
        })
    }

    fn describe(operation: Operation) -> Operation {
        operation.refuses(&[Code::RateLimited])
    }
}
