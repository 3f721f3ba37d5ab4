//! The threads of a worker.

use std::thread::JoinHandle;

use super::Worker;

/// Threads of a worker: what computes for long in one job leaves another to the rest.
const THREADS: usize = 2;

/// Starts a worker on threads of its own, so that nothing it does slows requests. It
/// ends some time after `stop`.
pub fn start(
    worker: Worker,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<JoinHandle<()>, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .thread_name("jobs")
        .enable_all()
        .build()
        .map_err(|e| format!("cannot start the worker: {e}"))?;
    std::thread::Builder::new()
        .name("jobs".to_owned())
        .spawn(move || {
            runtime.block_on(worker.run(stop));
            // What blocks in a job that was given up must not hold up the end.
            runtime.shutdown_background();
        })
        .map_err(|e| format!("cannot start the worker: {e}"))
}
