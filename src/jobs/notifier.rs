//! The notifier between those who write jobs and the worker of the same process.

use std::sync::Arc;

use tokio::sync::Notify;

/// Notifies the worker of this process that there is something to do; elsewhere it is
/// found within a second. Cloning is cheap.
#[derive(Clone, Debug, Default)]
pub struct JobNotifier(Arc<Notify>);

impl JobNotifier {
    /// To be called after the commit: before it there is nothing to see.
    pub fn notify(&self) {
        self.0.notify_one();
    }

    /// Waits until there may be something to do.
    pub async fn notified(&self) {
        self.0.notified().await;
    }
}
