//! `/jobs` over HTTP, for admins.

use actix_web::http::{StatusCode, header};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;
use utoipa::openapi::path::ParameterIn;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::State;
use super::events::JobWritten;
use super::store::{self, Retried};
use super::views::{JobAnswer, JobsAnswer, job_example};
use crate::accounts::extract::Admin;
use crate::error::{Code, Error};
use crate::http::endpoint::{Endpoint, Operation};
use crate::http::page::{PageRequest, Pagination, query_value};
use crate::http::path::Id;
use crate::http::response::{self, Keep};
use crate::jobs::Jobs;

const TAG: &str = "jobs";

/// The endpoints of this module.
pub fn endpoints() -> Vec<Endpoint> {
    let by_admin = |id, summary| {
        Operation::new(id, TAG, summary)
            .description("For admins.")
            .database()
    };
    let state = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(State::ALL.map(State::name)))
        .build();
    let mut waiting = job_example();
    waiting["state"] = json!("waiting");
    waiting["due"] = json!("2026-11-24T08:00:00Z");
    waiting["finished"] = json!(null);
    waiting["attempts"] = json!(0);
    vec![
        Endpoint::new("/jobs").get(
            by_admin("listJobs", "A page of jobs, newest first")
                .parameter(
                    "state",
                    ParameterIn::Query,
                    "Of this state only.",
                    state.into(),
                    json!("dead"),
                )
                .answers::<JobsAnswer>(
                    StatusCode::OK,
                    json!({
                        "jobs": [job_example()],
                        "pagination": { "count": 1, "pages": 1, "page": 1, "size": 20 },
                    }),
                )
                .refuses(&[Code::QueryInvalid]),
            list,
        ),
        Endpoint::new("/jobs/{id}/retry").post(
            by_admin("retryJob", "The job is due now, its tries counted anew")
                .answers::<JobAnswer>(StatusCode::OK, json!({ "job": waiting }))
                .refuses(&[Code::JobNotFound, Code::JobNotRetryable]),
            retry,
        ),
    ]
}

async fn list(
    _: Admin,
    request: PageRequest,
    req: HttpRequest,
    app: Data<Jobs>,
) -> Result<HttpResponse, Error> {
    let given = query_value(req.query_string(), "state").filter(|state| !state.is_empty());
    let state = match &given {
        Some(name) => Some(State::named(name).ok_or_else(|| {
            Error::with_detail(
                Code::QueryInvalid,
                "state is waiting, running, done or dead",
            )
        })?),
        None => None,
    };
    let (records, count) = app
        .db
        .read(move |conn| store::load_page(conn, state, request))
        .await?;
    let pagination = Pagination::new(request, count);
    let kept: Vec<_> = given.map(|state| ("state", state)).into_iter().collect();
    let link = pagination.link("/jobs/", &kept);
    let answer = JobsAnswer {
        jobs: records.into_iter().map(Into::into).collect(),
        pagination,
    };
    let mut response = response::json(StatusCode::OK, Keep::Never, &answer)?;
    let link = header::HeaderValue::try_from(link).map_err(|e| Error::internal(e))?;
    response.headers_mut().insert(header::LINK, link);
    Ok(response)
}

async fn retry(_: Admin, id: Id, app: Data<Jobs>) -> Result<HttpResponse, Error> {
    let now = app.clock.now();
    let retried = app
        .db
        .write(move |conn| store::retry(conn, id.0, now))
        .await?;
    match retried {
        Retried::Waiting(record) => {
            app.bus.publish(&JobWritten {});
            let answer = JobAnswer { job: record.into() };
            response::json(StatusCode::OK, Keep::Never, &answer)
        }
        Retried::NotRetryable => Err(Error::new(Code::JobNotRetryable)),
        Retried::NotFound => Err(Error::new(Code::JobNotFound)),
    }
}
