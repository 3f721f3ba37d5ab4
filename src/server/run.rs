//! A server or a worker that runs, and the order in which its parts stop.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use actix_server::{Server, ServerHandle};
use futures_util::FutureExt;
use tokio::sync::oneshot;

use super::follow::follow;
use super::listener;
use super::service_manager::ServiceManager;
use super::signals::{EndAsked, Signals};
use super::start::{Bound, DRAIN_SECONDS, PreparedWorker, watch};
use crate::core::clock_sync;
use crate::core::replica;
use crate::core::telemetry::chain::Chain;
use crate::jobs::worker::{Worker, thread};
use crate::posts::actions::check;
use crate::posts::actions::fill::{self, Pass};
use crate::posts::actions::move_posts::{self, Moved};
use crate::presence::actions::refresh_names::refresh_names;
use crate::presence::messages::Change;
use crate::state::AppState;

/// How long indexing rests after it failed.
const INDEXING_PAUSE: Duration = Duration::from_secs(30);

/// Counts the posts of each month, day and tag where a version that did not know of them has written,
/// beside the requests.
fn fill_counts(app: &AppState) {
    loop {
        match check::fill_and_announce(&app.posts) {
            Ok(false) => return,
            Ok(true) => return tracing::info!("counted the posts of months, days and tags"),
            Err(error) => tracing::warn!(
                error = %Chain(&error), place = %error.place(),
                "cannot count the posts of months, days and tags; goes on with it in half a minute"
            ),
        }
        std::thread::sleep(INDEXING_PAUSE);
    }
}

/// Indexes posts that are not, or not as this version does it, beside the requests. It goes
/// on after a failure: an update may mark every post, and a database may be away meanwhile.
fn index_pending(app: &AppState) {
    let hear = |done| tracing::info!(done, "indexing posts for the search");
    loop {
        match check::index_and_announce(&app.posts, usize::MAX, &hear) {
            Ok(0) => return,
            Ok(done) => return tracing::info!(done, "indexed posts for the search"),
            Err(error) => tracing::warn!(
                error = %Chain(&error), place = %error.place(),
                "cannot index posts for the search; goes on with it in half a minute"
            ),
        }
        std::thread::sleep(INDEXING_PAUSE);
    }
}

/// Between two looks for posts that are to be filled.
const FILLING_PAUSE: Duration = Duration::from_secs(1);
/// So many looks are for new posts only, then all are looked at again: a program of before may have
/// published a draft meanwhile.
const LOOKS: u32 = 600;
/// Ids are given before their rows are seen: so many are looked at again.
const IN_FLIGHT: i64 = 1_000;

/// Gives posts slugs and summaries that have none, beside the requests: those from before there were
/// any, and for as long as the process runs what programs of before write.
fn fill_posts(app: &AppState) {
    let hear = |filled| tracing::info!(filled, "giving posts slugs and summaries");
    let (mut after, mut looks) = (0, 0);
    loop {
        match fill::fill_and_announce(&app.housekeeping, &app.bus, after, &hear) {
            Ok(Pass { filled, last }) => {
                if filled > 0 {
                    tracing::info!(filled, "gave posts slugs and summaries");
                }
                looks += 1;
                after = if looks % LOOKS == 0 {
                    0
                } else {
                    (last - IN_FLIGHT).max(0)
                };
                std::thread::sleep(FILLING_PAUSE);
            }
            Err(error) => {
                tracing::warn!(
                    error = %Chain(&error), place = %error.place(),
                    "cannot give posts slugs and summaries; goes on with it in half a minute"
                );
                std::thread::sleep(INDEXING_PAUSE);
            }
        }
    }
}

/// So many looks for posts that are to be moved, and it is looked whether a program of before has changed others, whose
/// counts it does not all keep; and whether counts of before are to be deleted.
const LOOKS_AT_COUNTS: u32 = 30;

/// Moves posts to the places that their dates make, beside the requests: those from before places were made of dates, and
/// for as long as the process runs what programs of before write.
fn move_posts(app: &AppState) {
    let hear = |posts| tracing::info!(posts, "moving posts to the places of their dates");
    let mut looks = 0;
    loop {
        let (db, now) = (&app.housekeeping, app.clock.now());
        match move_posts::move_and_announce(db, &app.bus, now, &hear) {
            Ok(Moved { posts, .. }) => {
                if posts > 0 {
                    tracing::info!(posts, "moved posts to the places of their dates");
                }
                looks += 1;
                if posts > 0 || looks % LOOKS_AT_COUNTS == 0 {
                    fill_counts(app);
                    delete_old_counts(app);
                }
                std::thread::sleep(FILLING_PAUSE);
            }
            Err(error) => {
                tracing::warn!(
                    error = %Chain(&error), place = %error.place(),
                    "cannot move posts to the places of their dates; goes on with it in half a minute"
                );
                std::thread::sleep(INDEXING_PAUSE);
            }
        }
    }
}

fn delete_old_counts(app: &AppState) {
    match move_posts::delete_old_counts(&app.housekeeping, app.clock.now()) {
        Ok(false) => {}
        Ok(true) => tracing::info!("deleted the counts of a version before"),
        Err(error) => tracing::warn!(
            error = %Chain(&error), place = %error.place(),
            "cannot delete the counts of a version before; tries again in half a minute"
        ),
    }
}

/// Runs until SIGTERM or Ctrl-C, then lets requests and jobs that are under way end.
pub async fn run(bound: Bound, manager: ServiceManager) -> std::io::Result<()> {
    let (handle, listener, mut signals) = (bound.handle, bound.listener, bound.signals);
    let drain = bound.app.drain.clone();
    let indexed = bound.app.clone();
    // Ends with the process, in the middle of the work too: each step is whole.
    std::thread::spawn(move || {
        fill_counts(&indexed);
        index_pending(&indexed);
    });
    let filled = bound.app.clone();
    std::thread::spawn(move || fill_posts(&filled));
    let moved = bound.app.clone();
    std::thread::spawn(move || move_posts(&moved));
    let (bus, presence) = (Arc::clone(&bound.app.bus), Arc::clone(&bound.app.presence));
    let transport = bound
        .transport
        .map(|transport| actix_web::rt::spawn(transport.run()));
    let (hub, others) = (Arc::clone(&presence), Arc::clone(&bus));
    let broadcasts = actix_web::rt::spawn(async move {
        hub.run(|version, delta| others.send(&Change { version, delta }))
            .await;
    });
    let renaming = bound.app.clone();
    let names = actix_web::rt::spawn(async move {
        refresh_names(&renaming.presence, &renaming.db).await;
    });
    let clocks = clock_sync::run(bound.app.db.clone(), bound.app.clock.clone());
    let clocks = actix_web::rt::spawn(clocks);
    let health = bound.app.health.clone();
    let following = follow_replica(&bound.app);
    let follower = actix_web::rt::spawn(follow(bound.app, bound.others));
    let watched = bound.watched.map(|(server, _)| watched(server));
    let (stop_jobs, jobs_stop) = oneshot::channel::<()>();
    let jobs = match bound.worker {
        Some(worker) => Some(start_jobs(worker, jobs_stop)?),
        None => None,
    };
    let address = bound.address;
    manager.ready();
    let stopper = async move {
        let asked = tokio::select! {
            asked = signals.end() => asked,
            never = manager.watched(Some(address)) => never,
        };
        manager.stopping();
        tracing::info!("stopping: requests and jobs under way have {DRAIN_SECONDS} seconds to end");
        health.drain();
        drop(stop_jobs);
        // First nobody is here any more, or who asks after this process left would hear of them.
        presence.stop();
        bus.leave();
        presence.closed().await;
        drain.begin();
        if asked == EndAsked::Terminate {
            drain.idle_closed().await;
        }
        listener::close(&listener).await;
        drop(listener);
        handle.stop(true).await;
    };
    let (served, ()) = futures_util::future::join(bound.server, stopper).await;
    follower.abort();
    clocks.abort();
    broadcasts.abort();
    names.abort();
    if let Some(following) = following {
        following.abort();
    }
    if let Some(transport) = transport {
        transport.abort();
    }
    if let Some(jobs) = jobs {
        ended(jobs).await?;
    }
    stop_watched(watched).await;
    tracing::info!("stopped");
    served
}

/// Keeps the replica measured, if there is one.
fn follow_replica(app: &AppState) -> Option<actix_web::rt::task::JoinHandle<()>> {
    let replica = app.replica.clone()?;
    let (primary, cache) = (app.housekeeping.clone(), app.response_cache.clone());
    let begin = move || cache.begin();
    Some(actix_web::rt::spawn(replica::run(replica, primary, begin)))
}

/// Does jobs until SIGTERM or Ctrl-C, then lets those that are under way end.
pub async fn run_worker(
    prepared: PreparedWorker,
    mut signals: Signals,
    manager: ServiceManager,
) -> std::io::Result<()> {
    let PreparedWorker {
        worker,
        app,
        transport,
        watched: listener,
    } = prepared;
    let health = app.health.clone();
    let watched = match listener {
        Some(listener) => {
            let (server, _) = watch(&app, listener).map_err(std::io::Error::other)?;
            Some(watched(server))
        }
        None => None,
    };
    let (db, clock) = (app.db, app.clock);
    let transport = transport.map(|transport| actix_web::rt::spawn(transport.run()));
    let clocks = actix_web::rt::spawn(clock_sync::run(db, clock));
    let (stop_jobs, jobs_stop) = oneshot::channel::<()>();
    let jobs = start_jobs(worker, jobs_stop)?;
    manager.ready();
    tokio::select! {
        _ = signals.end() => {}
        () = manager.watched(None) => {}
    }
    manager.stopping();
    tracing::info!("stopping: jobs under way have {DRAIN_SECONDS} seconds to end");
    health.drain();
    drop(stop_jobs);
    ended(jobs).await?;
    clocks.abort();
    if let Some(transport) = transport {
        transport.abort();
    }
    stop_watched(watched).await;
    tracing::info!("stopped");
    Ok(())
}

/// Has the listener for those who watch served, until the very end.
fn watched(server: Server) -> ServerHandle {
    let handle = server.handle();
    actix_web::rt::spawn(server);
    handle
}

async fn stop_watched(handle: Option<ServerHandle>) {
    if let Some(handle) = handle {
        handle.stop(false).await;
    }
}

fn start_jobs(worker: Worker, stop: oneshot::Receiver<()>) -> std::io::Result<JoinHandle<()>> {
    thread::start(worker, stop.map(drop)).map_err(std::io::Error::other)
}

/// Waits for the worker's threads.
async fn ended(jobs: JoinHandle<()>) -> std::io::Result<()> {
    tokio::task::spawn_blocking(move || jobs.join())
        .await?
        .map_err(|_| std::io::Error::other("the worker panicked"))
}
