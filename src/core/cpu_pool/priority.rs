//! How many threads costly work has, and how it gives way to all other threads of the process.
//!
//! On Linux a nice value is a thread's own: niced threads may be as many as there are processors,
//! since a thread that serves a request takes the processor from them as soon as it wakes. Two things
//! no nice value helps against, and there half of the processors are left free instead:
//!
//! - **A quota** (`cpu.max` of a cgroup, `--cpus` of a container) stops all threads of the process alike
//!   when it is used up, whoever used it.
//! - **Other systems** have one nice value for the whole process.

/// The nice value of threads for costly work. Ten steps are a weight of a tenth: beside a thread that never
/// rests, costly work gets on with a tenth of the processor. A higher value would starve logins where reads
/// keep all processors busy, and wakes no reader sooner.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// How many threads to have on so many processors when they give way, and when they do not.
pub fn threads(processors: usize, gives_way: bool) -> usize {
    if gives_way {
        processors.max(1)
    } else {
        (processors / 2).max(1)
    }
}

/// Lowers the calling thread's priority below that of the others of its process, which cannot be undone. Returns
/// whether it gives way to them now.
#[cfg(target_os = "linux")]
pub fn give_way() -> bool {
    use rustix::process::{getpriority_process, setpriority_process};

    let me = rustix::thread::gettid();
    let lowered = getpriority_process(Some(me))
        .and_then(|own| setpriority_process(Some(me), (own + NICENESS).min(19)));
    lowered.is_ok() && !has_quota()
}

/// Does nothing.
#[cfg(not(target_os = "linux"))]
pub fn give_way() -> bool {
    false
}

/// Whether the process may run on more processors at a time than it may use up: the standard library
/// counts the quotas of cgroups among its limits, the affinity mask does not.
#[cfg(target_os = "linux")]
fn has_quota() -> bool {
    let usable = std::thread::available_parallelism().map_or(1, usize::from);
    let allowed =
        rustix::thread::sched_getaffinity(None).map_or(usable, |set| set.count() as usize);
    usable < allowed
}
