//! Ends in the server what was given up here: a statement whose connection is dropped may
//! run on for minutes, and a transaction may keep its locks.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};

/// Threads that may do so at once: with a server that is silent each waits in vain.
const AT_ONCE: usize = 4;
/// How long one tries.
const TIME: Duration = Duration::from_secs(3);

static UNDER_WAY: AtomicUsize = AtomicUsize::new(0);

/// Asks the server, on a connection and a thread of its own, to end the connection `id`.
/// Nobody learns what came of it: the connection ends by itself as well, only later.
pub(super) fn kill(opts: Opts, id: u32) {
    if UNDER_WAY.fetch_add(1, Ordering::AcqRel) >= AT_ONCE {
        UNDER_WAY.fetch_sub(1, Ordering::AcqRel);
        return;
    }
    let spawned = std::thread::Builder::new()
        .name("kill-statement".to_owned())
        .spawn(move || {
            ask(opts, id);
            UNDER_WAY.fetch_sub(1, Ordering::AcqRel);
        });
    if spawned.is_err() {
        UNDER_WAY.fetch_sub(1, Ordering::AcqRel);
    }
}

fn ask(opts: Opts, id: u32) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let Ok(runtime) = runtime else {
        return;
    };
    let asked = super::block_on(&runtime, TIME, async {
        let mut conn = Conn::new(opts).await?;
        conn.query_drop(format!("KILL {id}")).await?;
        conn.disconnect().await
    });
    if let Some(Err(error)) = asked {
        tracing::debug!(%error, connection = id, "cannot end a statement that was given up");
    }
    runtime.shutdown_background();
}
