//! The extractor that limits how often an address may call a route.

use std::marker::PhantomData;
use std::net::IpAddr;

use actix_web::HttpRequest;
use actix_web::dev::Payload;

use super::client_address;
use super::endpoint::Operation;
use super::handler::{self, Extract};
use crate::core::rate_limits::{RateLimits, Route};
use crate::error::{Code, Error};

/// One of the limited routes as a type, for [`Admitted`].
pub trait Limited: 'static {
    const ROUTE: Route;
}

/// [`Route::Login`].
pub struct Login;
/// [`Route::Registration`].
pub struct Registration;
/// [`Route::Refresh`].
pub struct Refresh;
/// [`Route::Code`].
pub struct UseOfCode;

impl Limited for Login {
    const ROUTE: Route = Route::Login;
}
impl Limited for Registration {
    const ROUTE: Route = Route::Registration;
}
impl Limited for Refresh {
    const ROUTE: Route = Route::Refresh;
}
impl Limited for UseOfCode {
    const ROUTE: Route = Route::Code;
}

/// Guards a route by address: the client's, which had a token left in its bucket. It
/// stands before what reads the body, so that who tries too often is refused before the
/// body is read, let alone judged.
pub struct Admitted<L> {
    pub address: IpAddr,
    route: PhantomData<L>,
}

impl<L: Limited> Extract for Admitted<L> {
    async fn extract(request: &HttpRequest, _: &mut Payload) -> Result<Self, Error> {
        let address = client_address::of_request(request)?.0;
        let limits = handler::part::<RateLimits>(request)?;
        limits.check_address(L::ROUTE, address).await?;
        Ok(Self {
            address,
            route: PhantomData,
        })
    }

    fn describe(operation: Operation) -> Operation {
        operation.refuses(&[Code::RateLimited])
    }
}
