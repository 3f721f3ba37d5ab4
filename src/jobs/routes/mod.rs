//! `/jobs` over HTTP, for admins.

mod answers;

use std::future::ready;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;
use utoipa::openapi::path::ParameterIn;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use self::answers::{JobAnswer, JobsAnswer};
use super::views::job_example;
use crate::accounts::extract::Admin;
use crate::error::{Code, Error};
use crate::http::endpoint::{Endpoint, Operation};
use crate::http::handler::Extract;
use crate::http::page::{Pagination, UncountedPart, query_value};
use crate::http::path::Id;
use crate::http::response::{self, CacheControl};
use crate::jobs::types::{JobStatus, Retried};
use crate::jobs::{Jobs, actions};

const TAG: &str = "jobs";

/// The endpoints of this module.
pub fn endpoints() -> Vec<Endpoint> {
    let by_admin = |id, summary, outcome| {
        Operation::new(id, TAG, summary, outcome)
            .description("For admins.")
            .database()
    };
    let mut waiting = job_example();
    waiting["state"] = json!("waiting");
    waiting["due"] = json!("2026-11-24T08:00:00Z");
    waiting["finished"] = json!(null);
    waiting["attempts"] = json!(0);
    vec![
        Endpoint::new("/jobs").get(
            by_admin(
                "listJobs",
                "List jobs, newest first",
                "A page of jobs, newest first",
            )
            .answers::<JobsAnswer>(
                StatusCode::OK,
                json!({
                    "jobs": [job_example()],
                    "pagination": Pagination::example(),
                }),
            ),
            list,
        ),
        Endpoint::new("/jobs/{id}/retry").post(
            by_admin(
                "retryJob",
                "Make a job due now",
                "The job is due now, its tries counted anew",
            )
            .answers::<JobAnswer>(StatusCode::OK, json!({ "job": waiting }))
            .refuses(&[Code::JobNotFound, Code::JobNotRetryable]),
            retry,
        ),
    ]
}

/// The parameter `state`: jobs of this status only.
struct StatusFilter(Option<JobStatus>);

impl Extract for StatusFilter {
    fn extract(
        request: &HttpRequest,
        _: &mut Payload,
    ) -> impl Future<Output = Result<Self, Error>> {
        let given = query_value(request.query_string(), "state").filter(|name| !name.is_empty());
        let status = given.map(|name| JobStatus::named(&name).ok_or(name));
        ready(status.transpose().map(Self).map_err(|_| {
            Error::with_detail(
                Code::QueryInvalid,
                "state is waiting, running, done or dead",
            )
        }))
    }

    fn describe(operation: Operation) -> Operation {
        let names = ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(JobStatus::ALL.map(JobStatus::name)))
            .build();
        let (name, text) = ("state", "Of this state only.");
        operation
            .parameter(name, ParameterIn::Query, text, names.into(), json!("dead"))
            .refuses(&[Code::QueryInvalid])
    }
}

async fn list(
    _: Admin,
    StatusFilter(status): StatusFilter,
    UncountedPart(part): UncountedPart,
    jobs: Data<Jobs>,
) -> Result<HttpResponse, Error> {
    let listed = actions::list(&jobs, status, part).await?;
    let pagination = Pagination::new(part, &listed);
    let kept = status.map(|status| ("state", status.name().to_owned()));
    let link = pagination.link("/jobs/", kept.as_slice());
    let answer = JobsAnswer {
        jobs: listed.rows.into_iter().map(Into::into).collect(),
        pagination,
    };
    response::part_of_list(&answer, link)
}

async fn retry(_: Admin, id: Id, jobs: Data<Jobs>) -> Result<HttpResponse, Error> {
    match actions::retry(&jobs, id.0).await? {
        Retried::Waiting(job) => {
            let answer = JobAnswer { job: job.into() };
            response::json(StatusCode::OK, CacheControl::NoStore, &answer)
        }
        Retried::NotRetryable => Err(Error::new(Code::JobNotRetryable)),
        Retried::NotFound => Err(Error::new(Code::JobNotFound)),
    }
}
