//! `/check` over HTTP, for admins.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::actions;
use super::actions::check::read_found;
use super::jobs::check::new_check;
use super::types::Check;
use super::views::{CheckView, check_example};
use crate::accounts::extract::Admin;
use crate::error::Error;
use crate::http::endpoint::{Endpoint, Operation};
use crate::http::response::{self, CacheControl};
use crate::maintenance::Maintenance;

#[derive(Serialize, ToSchema)]
struct CheckAnswer {
    check: CheckView,
}

/// The endpoint of this module.
pub fn endpoints() -> Vec<Endpoint> {
    let operation =
        |id, summary, outcome| Operation::new(id, "service", summary, outcome).database();
    let answer = |check: &Value| json!({ "check": check });
    let mut asked = check_example();
    asked["state"] = json!("waiting");
    asked["part"] = json!("counts");
    asked["report"] = json!(null);
    vec![
        Endpoint::new("/check")
            .get(
                operation(
                    "getCheck",
                    "Read what the newest check found",
                    "The newest check, and what the newest one found that came to its end",
                )
                .description(
                    "For admins. A check compares what is kept of posts and users (counts, rows of tags, the search's index, \
                     jobs of scheduled posts) with what there is. What is wrong is mended by `inkpot check --repair`.",
                )
                .answers::<CheckAnswer>(StatusCode::OK, answer(&check_example())),
                read,
            )
            .post(
                operation(
                    "askForCheck",
                    "Ask for a check",
                    "A job does it; or one was under way, which this is then",
                )
                .description(
                    "For admins. There is one at a time, however often it is asked for. It reads everything that it compares, in \
                     parts, as a job that gives way to requests: `GET` says how far it is.",
                )
                .answers::<CheckAnswer>(StatusCode::ACCEPTED, answer(&asked)),
                ask,
            ),
    ]
}

async fn read(_: Admin, maintenance: Data<Maintenance>) -> Result<HttpResponse, Error> {
    shown(StatusCode::OK, actions::find(&maintenance).await?)
}

async fn ask(_: Admin, maintenance: Data<Maintenance>) -> Result<HttpResponse, Error> {
    let job = new_check(maintenance.clock.now()).map_err(|why| Error::internal(why))?;
    shown(StatusCode::ACCEPTED, actions::ask(&maintenance, job).await?)
}

fn shown(status: StatusCode, check: Check) -> Result<HttpResponse, Error> {
    let report = check.row.report.as_deref().map(read_found);
    let answer = CheckAnswer {
        check: CheckView::new(check, report),
    };
    response::json(status, CacheControl::NoStore, &answer)
}
