//! The route table of the whole service.

use actix_web::HttpResponse;
use actix_web::web::{self, ServiceConfig};

use crate::error::{Code, Error};
use crate::http::endpoint::Endpoint;
use crate::{accounts, jobs, meta, page, posts, presence, social};

/// Every endpoint. Fixed paths stand before patterns that would match them.
pub fn endpoints() -> Vec<Endpoint> {
    [
        presence::routes::endpoints(),
        accounts::routes::endpoints(),
        accounts::routes::keys::endpoints(),
        posts::routes::endpoints(),
        social::routes::endpoints(),
        jobs::routes::endpoints(),
        meta::endpoints(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Gives a router every endpoint and the documents, and 404 for the rest.
pub fn register(config: &mut ServiceConfig) {
    for endpoint in endpoints() {
        endpoint.register(config);
    }
    page::routes::register(config);
    config.default_service(web::to(|| async {
        Err::<HttpResponse, _>(Error::new(Code::NotFound))
    }));
}
