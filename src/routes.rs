//! The route table of the whole service.

use actix_web::HttpResponse;
use actix_web::web::{self, ServiceConfig};

use crate::error::{Code, Error};
use crate::http::endpoint::Endpoint;
use crate::{accounts, jobs, maintenance, meta, page, posts, presence, social};

/// Every endpoint. Fixed paths stand before patterns that would match them; what is asked for most is first.
pub fn endpoints() -> Vec<Endpoint> {
    [
        posts::routes::endpoints(),
        presence::routes::endpoints(),
        accounts::routes::endpoints(),
        accounts::routes::keys::endpoints(),
        social::routes::endpoints(),
        jobs::routes::endpoints(),
        maintenance::routes::endpoints(),
        meta::endpoints(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Gives a router every endpoint and the documents, and 404 for the rest.
pub fn register(config: &mut ServiceConfig) {
    // The router tries one after the other. Fixed paths are compared, patterns cost more.
    let (patterns, fixed): (Vec<_>, Vec<_>) =
        (endpoints().into_iter()).partition(|endpoint| endpoint.path().contains('{'));
    for endpoint in fixed.into_iter().chain(patterns) {
        endpoint.register(config);
    }
    page::routes::register(config);
    config.default_service(web::to(|| async {
        Err::<HttpResponse, _>(Error::new(Code::NotFound))
    }));
}
