//! Things that a request asks about, by a parameter that may be there several times.

use std::future::ready;
use std::marker::PhantomData;

use actix_web::HttpRequest;
use actix_web::dev::Payload;
use serde_json::json;

use crate::error::{Code, Error};
use crate::http::endpoint::{Operation, id_schema};
use crate::http::handler::Extract;
use crate::http::path::parse_id;

/// What may be asked about.
pub trait Kind: 'static {
    /// The parameter.
    const NAME: &'static str;
    const DESCRIPTION: &'static str;
    /// The refusal.
    const DETAIL: &'static str;
}

/// Posts.
pub enum Posts {}

impl Kind for Posts {
    const NAME: &'static str = "post";
    const DESCRIPTION: &'static str = "Which posts are asked for.";
    const DETAIL: &'static str = "The parameter post is the id of a post, at most a hundred times.";
}

/// Users.
pub enum Users {}

impl Kind for Users {
    const NAME: &'static str = "user";
    const DESCRIPTION: &'static str = "Which users are asked for.";
    const DETAIL: &'static str = "The parameter user is the id of a user, at most a hundred times.";
}

/// As many may be asked for at once as a page has.
const MOST: usize = 100;

/// The ids of what is asked for.
pub struct AskedFor<K>(pub Vec<i64>, pub PhantomData<K>);

impl<K: Kind> Extract for AskedFor<K> {
    fn extract(
        request: &HttpRequest,
        _: &mut Payload,
    ) -> impl Future<Output = Result<Self, Error>> {
        let pairs = url::form_urlencoded::parse(request.query_string().as_bytes());
        let ids: Option<Vec<i64>> = pairs
            .filter(|(name, _)| name == K::NAME)
            .map(|(_, value)| parse_id(&value))
            .collect();
        ready(
            (ids.filter(|ids| ids.len() <= MOST))
                .map(|ids| Self(ids, PhantomData))
                .ok_or_else(|| Error::with_detail(Code::QueryInvalid, K::DETAIL)),
        )
    }

    fn describe(operation: Operation) -> Operation {
        let schema = id_schema();
        operation.repeated_parameter(K::NAME, K::DESCRIPTION, schema, MOST, json!([1, 2]))
    }
}
