//! What was seen of a fault, and the table of all of them.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use super::WELL;
use super::world::{KINDS, Kind, Sample};
use crate::harness::process::shown;

const DOCUMENT: &str = "docs/reliability.md";

/// What was seen of a fault.
pub struct Seen {
    pub samples: Vec<Sample>,
    pub from: Instant,
    pub to: Instant,
}

impl Seen {
    fn of(&self, kind: Kind) -> impl Iterator<Item = &Sample> {
        self.samples
            .iter()
            .filter(move |sample| sample.kind == kind)
    }

    /// Requests that were under way while the fault was there.
    fn meanwhile(&self, kind: Kind) -> Vec<&Sample> {
        self.of(kind)
            .filter(|sample| sample.begun + sample.took >= self.from && sample.begun <= self.to)
            .collect()
    }

    /// From the end of the fault to the end of the last refusal.
    fn until_well(&self) -> Duration {
        let refused = self.samples.iter().filter(|sample| !sample.is_well());
        let last = refused.map(|sample| sample.begun + sample.took).max();
        last.map_or(Duration::ZERO, |last| {
            last.saturating_duration_since(self.to)
        })
    }

    /// How long the slowest hundredth of the requests before the fault took at least, and of those
    /// meanwhile.
    pub fn calm_and_meanwhile(&self, kind: Kind) -> (Duration, Duration) {
        let before = |sample: &&Sample| sample.begun + sample.took < self.from;
        let calm: Vec<&Sample> = self.of(kind).filter(before).collect();
        (slow(&calm), slow(&self.meanwhile(kind)))
    }

    /// What clients saw, as the table says it.
    fn told(&self) -> String {
        let (mut answered, mut refused) = (Vec::new(), Vec::new());
        for (kind, name) in KINDS {
            let samples = self.meanwhile(kind);
            let all = samples.len();
            let (well, not): (Vec<&Sample>, Vec<&Sample>) =
                samples.into_iter().partition(|sample| sample.is_well());
            if not.is_empty() {
                answered.push(format!("{name} (99 % within {})", in_words(slow(&well))));
            } else {
                let within = in_words(slow(&not));
                let number = not.len();
                refused.push(format!("{name} ({number} of {all}, 99 % within {within})"));
            }
        }
        let mut text = String::new();
        for (what, who) in [("answered", answered), ("503", refused)] {
            if !who.is_empty() {
                let separator = if text.is_empty() { "" } else { ". " };
                // Writing to a String cannot fail.
                let _ = write!(text, "{separator}{what}: {}", who.join(", "));
            }
        }
        text
    }

    /// Sees that these kinds met nothing but answers.
    #[track_caller]
    pub fn spares(&self, kinds: &[Kind]) {
        for kind in kinds {
            let samples = self.meanwhile(*kind);
            assert!(samples.len() > 2, "{kind:?}: {}", samples.len());
            let refused = samples.iter().filter(|sample| !sample.is_well()).count();
            assert_eq!(refused, 0, "{kind:?} of {}", samples.len());
        }
    }

    #[track_caller]
    pub fn refuses(&self, kind: Kind) {
        let is_refused = self.meanwhile(kind).iter().any(|sample| !sample.is_well());
        assert!(is_refused, "{kind:?} was not refused: the fault is none");
    }
}

/// The time of the slowest hundredth, at least.
fn slow(samples: &[&Sample]) -> Duration {
    let mut all: Vec<Duration> = samples.iter().map(|sample| sample.took).collect();
    all.sort();
    all.get(all.len() * 99 / 100).copied().unwrap_or_default()
}

/// A time as people read it.
pub fn in_words(time: Duration) -> String {
    match time.as_micros() {
        0..10_000 => format!("{:.1} ms", time.as_secs_f64() * 1000.0),
        10_000..1_000_000 => format!("{} ms", time.as_millis()),
        _ => format!("{:.1} s", time.as_secs_f64()),
    }
}

/// A table in the document, by its name there.
pub struct Table {
    name: &'static str,
    rows: String,
}

impl Table {
    pub fn of(name: &'static str) -> Self {
        let rows = String::new();
        Self { name, rows }
    }

    /// What was seen of a fault, after which all must be well soon.
    #[track_caller]
    pub fn row(&mut self, fault: &str, how: &str, seen: &Seen) {
        self.row_with(fault, how, seen, "");
    }

    /// The same with more to say.
    #[track_caller]
    pub fn row_with(&mut self, fault: &str, how: &str, seen: &Seen, more: &str) {
        let well = seen.until_well();
        let told = seen.told();
        self.add(fault, how, &format!("{told}{more}"), &in_words(well));
        assert!(well <= WELL, "{fault}: well after {well:?}");
    }

    pub fn add(&mut self, fault: &str, how: &str, seen: &str, well: &str) {
        let row = format!("| {fault} | {how} | {seen} | {well} |");
        shown(&row);
        self.rows.push_str(&row);
        self.rows.push('\n');
    }

    /// Puts the rows into the document.
    pub fn write(&self) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(DOCUMENT);
        let text = std::fs::read_to_string(&path).unwrap();
        let Self { name, rows } = self;
        let begin = format!("<!-- make chaos writes this table: {name} -->\n");
        let end = format!("<!-- the end of {name} -->\n");
        let (before, rest) = text.split_once(&begin).expect("the place of the table");
        let (_, after) = rest.split_once(&end).expect("the end of the table");
        let head = "| Fault | How it was made | What clients saw meanwhile | Well again after |\n\
                    |---|---|---|---|\n";
        std::fs::write(path, format!("{before}{begin}{head}{rows}{end}{after}")).unwrap();
    }
}
