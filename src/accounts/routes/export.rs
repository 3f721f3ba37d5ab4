//! The export over HTTP: one JSON document that is streamed while it is read.

use std::collections::VecDeque;
use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use actix_web::web::{Bytes, Data};
use futures_util::stream;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::views::{
    AuditView, CodeView, SessionView, UserInfo, audit_example, code_example, session_example,
    userinfo_example,
};
use crate::accounts::Accounts;
use crate::accounts::actions::{Export, ExportRest, Part};
use crate::accounts::extract::Caller;
use crate::core::telemetry::request;
use crate::error::{Code, Error};
use crate::http::response::{self, CacheControl};
use crate::jobs::views::{JobView, job_example};
use crate::posts::views::{Post, post_example};
use crate::social::views::{Comment, Follow, Like, comment_example, follow_example, like_example};

/// Everything stored about a user, but for the hash of their password.
#[derive(ToSchema)]
#[allow(dead_code)] // described here, written piece by piece below
pub struct ExportAnswer {
    userinfo: UserInfo,
    sessions: Vec<SessionView>,
    codes: Vec<CodeView>,
    /// Messages that were sent to the user, or are to be, as far as they are still kept.
    jobs: Vec<JobView>,
    audit: Vec<AuditView>,
    posts: Vec<Post>,
    comments: Vec<Comment>,
    likes: Vec<Like>,
    /// Whom they follow.
    following: Vec<Follow>,
}

pub fn example() -> Value {
    json!({
        "userinfo": userinfo_example(), "sessions": [session_example()], "codes": [code_example()],
        "jobs": [job_example()], "audit": [audit_example()], "posts": [post_example()], "comments": [comment_example()], "likes": [like_example()],
        "following": [follow_example()],
    })
}

struct Writer {
    rest: ExportRest,
    ready: VecDeque<Bytes>,
    /// Whether the list that is being written has an element yet.
    has_element: bool,
    request_id: Option<Arc<str>>,
}

pub async fn export(caller: Caller, app: Data<Accounts>) -> Result<HttpResponse, Error> {
    let export = Export::begin(&app.directory, caller.user_id)
        .await?
        .ok_or_else(|| Error::new(Code::SessionEnded))?;
    let writer = Writer {
        ready: VecDeque::from([head(&export, caller.session_id)?]),
        rest: export.rest,
        has_element: false,
        request_id: request::current(),
    };
    let body = stream::try_unfold(writer, Writer::next);
    Ok(response::builder(StatusCode::OK, CacheControl::NoStore)
        .insert_header((
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"inkpot-export.json\"",
        ))
        .streaming(Box::pin(body)))
}

/// The document up to the first of the lists that are written while they are read.
fn head(export: &Export, session_id: i64) -> Result<Bytes, Error> {
    let user: UserInfo = export.user.clone().into();
    let sessions: Vec<SessionView> = (export.sessions.iter().cloned())
        .map(|session| SessionView::new(session, session_id))
        .collect();
    let codes: Vec<CodeView> = export.codes.iter().cloned().map(Into::into).collect();
    let head = format!(
        "{{\"userinfo\":{},\"sessions\":{},\"codes\":{},\"jobs\":[",
        text(&user)?,
        text(&sessions)?,
        text(&codes)?
    );
    Ok(Bytes::from(head))
}

fn text<T: Serialize>(value: &T) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|e| Error::internal(e))
}

impl Writer {
    /// The next bytes of the document.
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, Error> {
        while self.ready.is_empty() {
            // Part of the answer is out already: all that is left is to cut it off.
            let request_id = self.request_id.clone();
            let request_id = request_id.as_deref();
            let is_over = self.read().await.inspect_err(|error| {
                let cause = error.cause.as_ref();
                let place = cause
                    .and_then(|cause| cause.place)
                    .map(tracing::field::display);
                let cause = cause.map(|cause| cause.text.as_str());
                // The body is sent when its request has left the middleware.
                tracing::error!(request_id, cause, place, "an export was cut off");
            })?;
            if is_over {
                return Ok(None);
            }
        }
        Ok(self.ready.pop_front().map(|bytes| (bytes, self)))
    }

    /// Reads the next part and makes bytes of it; whether there was none.
    async fn read(&mut self) -> Result<bool, Error> {
        let Some(part) = self.rest.next().await? else {
            return Ok(true);
        };
        match part {
            Part::Jobs(jobs) if jobs.is_empty() => self.next_list(b"],\"audit\":["),
            Part::Jobs(jobs) => self.elements(jobs, JobView::from)?,
            Part::Audit(entries) if entries.is_empty() => self.next_list(b"],\"posts\":["),
            Part::Audit(entries) => self.elements(entries, AuditView::from)?,
            Part::Posts(posts) if posts.is_empty() => self.next_list(b"],\"comments\":["),
            Part::Posts(posts) => self.elements(posts, Post::from)?,
            Part::Comments(comments) if comments.is_empty() => self.next_list(b"],\"likes\":["),
            Part::Comments(comments) => self.elements(comments, |row| Comment::from(&row))?,
            Part::Likes(likes) if likes.is_empty() => self.next_list(b"],\"following\":["),
            Part::Likes(likes) => self.elements(likes, Like::from)?,
            Part::Following(following) if following.is_empty() => self.next_list(b"]}"),
            Part::Following(following) => self.elements(following, Follow::from)?,
        }
        Ok(false)
    }

    fn next_list(&mut self, between: &'static [u8]) {
        self.ready.push_back(Bytes::from_static(between));
        self.has_element = false;
    }

    fn elements<T, V: Serialize>(
        &mut self,
        rows: Vec<T>,
        view: impl Fn(T) -> V,
    ) -> Result<(), Error> {
        for row in rows {
            let comma = if self.has_element { "," } else { "" };
            self.has_element = true;
            let element = format!("{comma}{}", text(&view(row))?);
            self.ready.push_back(Bytes::from(element));
        }
        Ok(())
    }
}
