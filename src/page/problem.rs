//! Refusals in the dress of the page, for who reads them in a browser.

use actix_web::http::StatusCode;
use maud::html;

use super::Site;
use super::layout::{self, Head};
use super::wording::Wording;

/// The document of a refusal.
pub fn render(site: &Site, wording: &Wording, status: StatusCode, request_id: &str) -> String {
    let (title, text) = match status {
        StatusCode::UNAUTHORIZED => (
            wording.say("problem.401.title"),
            wording.say("problem.401.text"),
        ),
        StatusCode::FORBIDDEN => (
            wording.say("problem.403.title"),
            wording.say("problem.403.text"),
        ),
        StatusCode::NOT_FOUND => (
            wording.say("problem.404.title"),
            wording.say("problem.404.text"),
        ),
        StatusCode::TOO_MANY_REQUESTS => (
            wording.say("problem.429.title"),
            wording.say("problem.429.text"),
        ),
        StatusCode::SERVICE_UNAVAILABLE => (
            wording.say("problem.503.title"),
            wording.say("problem.503.text"),
        ),
        status if status.is_server_error() => (
            wording.say("problem.500.title"),
            wording.say("problem.500.text"),
        ),
        _ => (
            wording.say("problem.other.title"),
            wording.say("problem.other.text"),
        ),
    };
    let is_fault = status == StatusCode::INTERNAL_SERVER_ERROR;
    let main = html! {
        div.problem {
            p.number aria-hidden="true" { (status.as_u16()) }
            h1 { (title) }
            p { (text) }
            @if is_fault { p { code { (request_id) } } }
            p { a href=(site.at("/")) { (wording.say("problem.home")) } }
        }
    };
    let head = Head {
        title: Some(title),
        ..Head::default()
    };
    layout::document(site, wording, &head, &main)
}
