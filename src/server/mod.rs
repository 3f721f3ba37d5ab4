//! From settings to a running server: `start` puts it together, `run` runs it and stops
//! it in order, `follow` learns from the database what other processes changed, `metrics` answers those
//! who watch.

mod follow;
mod metrics;
mod run;
mod start;

pub use self::metrics::serve_metrics;
pub use self::run::{run, run_worker};
pub use self::start::{
    Bound, Prepared, PreparedWorker, bind, open_database, prepare, prepare_worker, serve,
};
