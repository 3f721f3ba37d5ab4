//! Which request a line of the log belongs to: the id travels with the request's task
//! and with the work that the task hands to the blocking pool, and the formats put it
//! into every line that has no `request_id` of its own.
//!
//! A task-local and no span: it costs one allocation a request, and a request that is
//! answered from the cache does not enter it at all.

use std::future::Future;
use std::sync::Arc;

/// What the id is called in a line.
pub(super) const FIELD: &str = "request_id";

tokio::task_local! {
    static REQUEST_ID: Arc<str>;
}

/// Runs `request` so that its lines have the id.
pub async fn scope<F: Future>(id: Arc<str>, request: F) -> F::Output {
    REQUEST_ID.scope(id, request).await
}

/// The id of the request that is worked on here.
pub fn current() -> Option<Arc<str>> {
    REQUEST_ID.try_with(Arc::clone).ok()
}

/// `work`, for another thread, on which its lines have the id of the request here.
pub fn inherit<T>(work: impl FnOnce() -> T) -> impl FnOnce() -> T {
    let id = current();
    move || match id {
        Some(id) => REQUEST_ID.sync_scope(id, work),
        None => work(),
    }
}

/// Calls `with` with the id, if there is one.
pub(super) fn with_current<T>(with: impl FnOnce(&str) -> T) -> Option<T> {
    REQUEST_ID.try_with(|id| with(id)).ok()
}
