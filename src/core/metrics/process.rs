//! What the system knows of this process, by the names that all clients of Prometheus have
//! for it. Where there is no `/proc`, nothing is told.

use std::fmt;
use std::fs;

use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};

use super::families::{Families, number, whole};

/// Tells of the process.
pub fn describe(families: &mut Families<'_>) -> fmt::Result {
    families.gauges(
        "inkpot_build_info",
        "Always 1; the label is the version.",
        [([("version", env!("CARGO_PKG_VERSION"))], 1.0)],
    )?;
    let Some(stat) =
        (fs::read_to_string("/proc/self/stat").ok()).and_then(|text| Stat::parse(&text))
    else {
        return Ok(());
    };
    let ticks = whole(clock_ticks_per_second());
    families.counter_of_fractions(
        "process_cpu_seconds",
        "Time of the processors that the process has used, in seconds.",
        whole(stat.user_ticks + stat.system_ticks) / ticks,
    )?;
    families.gauge(
        "process_resident_memory_bytes",
        "Memory of the machine that the process has, in bytes.",
        whole(stat.resident_pages) * number(page_size()),
    )?;
    families.gauge(
        "process_virtual_memory_bytes",
        "Addresses that the process has taken, in bytes.",
        whole(stat.virtual_bytes),
    )?;
    families.gauge(
        "process_threads",
        "Threads of the process.",
        whole(stat.threads),
    )?;
    if let Ok(files) = fs::read_dir("/proc/self/fd") {
        // The directory that is read is one of them.
        let open = files.count().saturating_sub(1);
        families.gauge("process_open_fds", "Files that are open.", number(open))?;
    }
    if let Some(max) = getrlimit(Resource::Nofile).current {
        families.gauge("process_max_fds", "Files that may be open.", whole(max))?;
    }
    let boot = fs::read_to_string("/proc/stat").ok();
    if let Some(boot) = boot.as_deref().and_then(boot_time) {
        families.gauge(
            "process_start_time_seconds",
            "When the process was started, in seconds since 1970.",
            whole(boot) + whole(stat.started_ticks) / ticks,
        )?;
    }
    Ok(())
}

/// Of `/proc/self/stat` (proc(5)).
#[derive(Debug, PartialEq)]
struct Stat {
    user_ticks: u64,
    system_ticks: u64,
    threads: u64,
    /// Since the machine was started.
    started_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The name of the program is in parentheses, and may have anything in it. The first
        // field after it is the third.
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse().ok();
        Some(Self {
            user_ticks: field(14)?,
            system_ticks: field(15)?,
            threads: field(20)?,
            started_ticks: field(22)?,
            virtual_bytes: field(23)?,
            resident_pages: field(24)?,
        })
    }
}

/// When the machine was started, in seconds since 1970, by `/proc/stat`.
fn boot_time(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_is_read() {
        let text = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 1111 222 13 14 15 16 4 18 98765 1234567 890 \
                    18446744073709551615 0";
        let expected = Stat {
            user_ticks: 1111,
            system_ticks: 222,
            threads: 4,
            started_ticks: 98765,
            virtual_bytes: 1_234_567,
            resident_pages: 890,
        };
        assert_eq!(Stat::parse(text), Some(expected));
        assert_eq!(Stat::parse("7 (a) S 1"), None);
        assert_eq!(
            boot_time("cpu 1 2\nbtime 1795248000\nx"),
            Some(1_795_248_000)
        );
        assert_eq!(boot_time("cpu 1 2"), None);
    }
}
