//! Which request a line of the log belongs to: its id travels with the request's task, with
//! the work that the task hands to the blocking pool and with the jobs that it causes, and
//! the formats put it into every line that has no `request_id` of its own. So does the id of
//! the trace that the request belongs to.
//!
//! A task-local and no span: it costs one allocation a request, and a request that is
//! answered from the cache does not enter it at all.

use std::future::Future;
use std::sync::Arc;

use super::trace::Trace;

/// What the id is called in a line.
pub(super) const FIELD: &str = "request_id";
/// What the id of the trace is called.
pub(super) const TRACE_FIELD: &str = "trace_id";

/// A request, for what is done because of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    pub request_id: Arc<str>,
    pub trace: Option<Trace>,
}

tokio::task_local! {
    static CONTEXT: Context;
}

/// Runs `request` so that its lines have the id.
pub async fn scope<F: Future>(context: Context, request: F) -> F::Output {
    CONTEXT.scope(context, request).await
}

/// The same for what perhaps no request has caused.
pub async fn scope_of<F: Future>(context: Option<Context>, work: F) -> F::Output {
    match context {
        Some(context) => CONTEXT.scope(context, work).await,
        None => work.await,
    }
}

/// The id of the request that is worked on here.
pub fn current() -> Option<Arc<str>> {
    CONTEXT
        .try_with(|context| Arc::clone(&context.request_id))
        .ok()
}

/// The request that is worked on here.
pub fn context() -> Option<Context> {
    CONTEXT.try_with(Context::clone).ok()
}

/// `work`, for another thread, on which its lines have the id of the request here.
pub fn inherit<T>(work: impl FnOnce() -> T) -> impl FnOnce() -> T {
    let context = context();
    move || match context {
        Some(context) => CONTEXT.sync_scope(context, work),
        None => work(),
    }
}

/// Calls `with` with the request, if there is one.
pub(super) fn with_current<T>(with: impl FnOnce(&Context) -> T) -> Option<T> {
    CONTEXT.try_with(|context| with(context)).ok()
}
