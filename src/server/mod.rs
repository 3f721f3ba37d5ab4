//! From settings to a running server: `start` puts it together, `run` runs it and stops
//! it in order (`listener`), `follow` learns from the database what other processes changed, `metrics` answers those
//! who watch, `service_manager` tells who has started the process.

mod follow;
mod listener;
mod metrics;
mod run;
mod service_manager;
mod signals;
mod start;

pub use self::metrics::serve_metrics;
pub use self::run::{run, run_worker};
pub use self::service_manager::ServiceManager;
pub use self::signals::Signals;
pub use self::start::{
    Bound, Prepared, PreparedWorker, bind, open_database, prepare, prepare_worker, serve,
};
