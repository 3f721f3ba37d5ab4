//! Everything stored about a user, as one JSON document that is written while it is
//! read: a user may have more posts than fit into memory.

use std::collections::VecDeque;

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use actix_web::web::{Bytes, Data};
use futures_util::stream;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::own;
use super::views::{
    AuditView, CodeView, SessionView, UserInfo, audit_example, code_example, session_example,
    userinfo_example,
};
use crate::accounts::Accounts;
use crate::accounts::extract::Caller;
use crate::accounts::storage::{audit, codes, sessions};
use crate::error::Error;
use crate::http::response::{self, Keep};
use crate::jobs;
use crate::jobs::views::{JobView, job_example};
use crate::posts::store;
use crate::posts::views::{Post, post_example};

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
}

pub fn example() -> Value {
    json!({
        "userinfo": userinfo_example(), "sessions": [session_example()], "codes": [code_example()],
        "jobs": [job_example()], "audit": [audit_example()], "posts": [post_example()],
    })
}

/// What is to be written next.
enum Step {
    /// Jobs after this one.
    Jobs(i64),
    /// Rows of the audit after this one.
    Audit(i64),
    /// Drafts or published posts after this place.
    Posts {
        published: bool,
        after: i64,
    },
    End,
}

struct Writer {
    app: Data<Accounts>,
    user_id: i64,
    step: Option<Step>,
    ready: VecDeque<Bytes>,
    /// Whether the list that is being written has an element yet.
    has_element: bool,
}

pub async fn export(caller: Caller, app: Data<Accounts>) -> Result<HttpResponse, Error> {
    let user = own::load(&app, caller).await?;
    let now = app.clock.now();
    let (live, codes) = app
        .db
        .read(move |conn| {
            let live = sessions::load_live(conn, caller.user_id, now)?;
            Ok((live, codes::load_of_user(conn, caller.user_id)?))
        })
        .await?;
    let codes: Vec<CodeView> = codes.into_iter().map(Into::into).collect();
    let live: Vec<SessionView> = live
        .into_iter()
        .map(|session| SessionView::new(session, caller.session_id))
        .collect();
    let info: UserInfo = user.into();
    let head = format!(
        "{{\"userinfo\":{},\"sessions\":{},\"codes\":{},\"jobs\":[",
        text(&info)?,
        text(&live)?,
        text(&codes)?
    );
    let writer = Writer {
        app,
        user_id: caller.user_id,
        step: Some(Step::Jobs(0)),
        ready: VecDeque::from([Bytes::from(head)]),
        has_element: false,
    };
    let body = stream::try_unfold(writer, |mut writer| async move {
        while writer.ready.is_empty() {
            let Some(step) = writer.step.take() else {
                return Ok(None);
            };
            // Part of the answer is out already: all that is left is to cut it off.
            writer.write(step).await.inspect_err(|error| {
                tracing::error!(cause = error.cause, "an export was cut off");
            })?;
        }
        Ok::<_, Error>(writer.ready.pop_front().map(|bytes| (bytes, writer)))
    });
    Ok(response::builder(StatusCode::OK, Keep::Never)
        .insert_header((
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"inkpot-export.json\"",
        ))
        .streaming(Box::pin(body)))
}

fn text<T: Serialize>(value: &T) -> Result<String, Error> {
    serde_json::to_string(value).map_err(Error::internal)
}

impl Writer {
    async fn write(&mut self, step: Step) -> Result<(), Error> {
        let user_id = self.user_id;
        self.step = match step {
            Step::Jobs(after) => {
                let db = &self.app.db;
                let jobs = db
                    .read(move |conn| jobs::store::load_of_user(conn, user_id, after))
                    .await?;
                match jobs.last().map(|job| job.job_id) {
                    Some(last) => {
                        for job in jobs {
                            self.element(&JobView::from(job))?;
                        }
                        Some(Step::Jobs(last))
                    }
                    None => {
                        self.ready.push_back(Bytes::from_static(b"],\"audit\":["));
                        self.has_element = false;
                        Some(Step::Audit(0))
                    }
                }
            }
            Step::Audit(after) => {
                let db = &self.app.db;
                let records = db
                    .read(move |conn| audit::load_after(conn, user_id, after))
                    .await?;
                match records.last().map(|record| record.audit_id) {
                    Some(last) => {
                        for record in records {
                            self.element(&AuditView::from(record))?;
                        }
                        Some(Step::Audit(last))
                    }
                    None => {
                        self.ready.push_back(Bytes::from_static(b"],\"posts\":["));
                        self.has_element = false;
                        Some(Step::Posts {
                            published: false,
                            after: 0,
                        })
                    }
                }
            }
            Step::Posts { published, after } => {
                let db = &self.app.db;
                let posts = db
                    .read(move |conn| store::load_after(conn, user_id, published, after))
                    .await?;
                match posts.last().map(|(head, _)| head.place) {
                    Some(after) => {
                        for (head, content) in posts {
                            self.element(&Post::new(head, content))?;
                        }
                        Some(Step::Posts { published, after })
                    }
                    None if !published => Some(Step::Posts {
                        published: true,
                        after: 0,
                    }),
                    None => Some(Step::End),
                }
            }
            Step::End => {
                self.ready.push_back(Bytes::from_static(b"]}"));
                None
            }
        };
        Ok(())
    }

    fn element<T: Serialize>(&mut self, value: &T) -> Result<(), Error> {
        let mut element = if self.has_element {
            ",".to_owned()
        } else {
            String::new()
        };
        self.has_element = true;
        element.push_str(&text(value)?);
        self.ready.push_back(Bytes::from(element));
        Ok(())
    }
}
