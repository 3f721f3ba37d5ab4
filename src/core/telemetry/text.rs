//! The text format of the log: time, level, target, message and fields of an event in
//! a line. There is a line for every request, so it is made without the detours of
//! formatting: the time anew each second only, texts and numbers as they are.

use std::cell::RefCell;
use std::fmt::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use chrono::DateTime;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::request;

/// The format; there are no spans.
pub struct Text;

impl<S, N> FormatEvent<S, N> for Text
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut line: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        #[expect(clippy::disallowed_methods, reason = "the log tells the real time")]
        write_time(&mut line, SystemTime::now())?;
        let meta = event.metadata();
        line.write_str(match *meta.level() {
            Level::ERROR => " ERROR ",
            Level::WARN => "  WARN ",
            Level::INFO => "  INFO ",
            Level::DEBUG => " DEBUG ",
            Level::TRACE => " TRACE ",
        })?;
        line.write_str(meta.target())?;
        line.write_char(':')?;
        let mut fields = Fields {
            line: &mut line,
            outcome: Ok(()),
            has_request_id: false,
            has_trace: false,
        };
        event.record(&mut fields);
        fields.outcome?;
        let (has_request_id, has_trace) = (fields.has_request_id, fields.has_trace);
        request::with_current(|context| {
            if !has_request_id {
                write!(line, " {}=", request::FIELD)?;
                write_text(&mut line, &context.request_id)?;
            }
            match &context.trace {
                Some(trace) if !has_trace => {
                    write!(line, " {}={}", request::TRACE_FIELD, trace.id())
                }
                _ => Ok(()),
            }
        })
        .transpose()?;
        line.write_char('\n')
    }
}

thread_local! {
    /// The second of the last line, and how it is written.
    static SECOND: RefCell<(u64, String)> = const { RefCell::new((0, String::new())) };
}

/// RFC 3339 in UTC, with microseconds.
pub(super) fn write_time(line: &mut impl Write, now: SystemTime) -> fmt::Result {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    SECOND.with_borrow_mut(|(second, text)| {
        if *second != since.as_secs() || text.is_empty() {
            let whole = i64::try_from(since.as_secs()).unwrap_or_default();
            let time = DateTime::from_timestamp(whole, 0).unwrap_or_default();
            *text = time.format("%Y-%m-%dT%H:%M:%S").to_string();
            *second = since.as_secs();
        }
        line.write_str(text)
    })?;
    let mut digits = *b".000000Z";
    let mut rest = since.subsec_micros();
    for digit in digits[1..7].iter_mut().rev() {
        // A remainder of ten.
        *digit += u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
    }
    line.write_str(std::str::from_utf8(&digits).map_err(|_| fmt::Error)?)
}

struct Fields<'l, 'w> {
    line: &'l mut Writer<'w>,
    outcome: fmt::Result,
    has_request_id: bool,
    has_trace: bool,
}

impl Fields<'_, '_> {
    fn add(&mut self, field: &Field, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        self.has_request_id |= field.name() == request::FIELD;
        self.has_trace |= field.name() == request::TRACE_FIELD;
        let write = || {
            self.line.write_char(' ')?;
            if field.name() != "message" {
                self.line.write_str(field.name())?;
                self.line.write_char('=')?;
            }
            value(self.line)
        };
        self.outcome = self.outcome.and_then(|()| write());
    }
}

impl Visit for Fields<'_, '_> {
    fn record_str(&mut self, field: &Field, text: &str) {
        self.add(field, |line| write_text(line, text));
    }

    fn record_u64(&mut self, field: &Field, number: u64) {
        self.add(field, |line| {
            // As many as the largest has.
            let mut digits = [b'0'; 20];
            let mut first = digits.len();
            let mut rest = number;
            while rest > 0 || first == digits.len() {
                first -= 1;
                digits[first] = b'0' + u8::try_from(rest % 10).unwrap_or_default();
                rest /= 10;
            }
            line.write_str(std::str::from_utf8(&digits[first..]).map_err(|_| fmt::Error)?)
        });
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let is_message = field.name() == "message";
        self.add(field, |line| {
            let text = format!("{value:?}");
            // What holds a break of line would be read as another line.
            if is_message || !text.contains(char::is_control) {
                write_plain(line, &text)
            } else {
                write!(line, "{text:?}")
            }
        });
    }
}

/// A word as it is; with anything in it that could be read as more, in quotes.
fn write_text(line: &mut Writer<'_>, text: &str) -> fmt::Result {
    let is_word = |byte: u8| byte.is_ascii_graphic() && byte != b'"';
    if !text.is_empty() && text.bytes().all(is_word) {
        line.write_str(text)
    } else {
        write!(line, "{text:?}")
    }
}

/// Without control characters.
fn write_plain(line: &mut Writer<'_>, text: &str) -> fmt::Result {
    if text.contains(char::is_control) {
        write!(line, "{}", text.escape_debug())
    } else {
        line.write_str(text)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use futures_util::FutureExt;
    use tracing_subscriber::fmt::MakeWriter;
    use tracing_subscriber::fmt::format::DefaultFields;

    use super::super::json::Json;
    use super::super::request::Context;
    use super::super::trace::Trace;
    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Kept {
        fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(line);
            Ok(line.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Kept {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    /// What `log` logs in a format.
    fn lines_of<F>(format: F, log: impl FnOnce()) -> String
    where
        F: FormatEvent<tracing_subscriber::Registry, DefaultFields> + Send + Sync + 'static,
    {
        let kept = Kept::default();
        let subscriber = tracing_subscriber::fmt()
            .event_format(format)
            .with_writer(kept.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, log);
        String::from_utf8(kept.0.lock().unwrap().clone()).unwrap()
    }

    /// The line of what `log` logs, without its time.
    fn line_of(log: impl FnOnce()) -> String {
        let line = lines_of(Text, log);
        let (time, rest) = line.split_once(' ').unwrap();
        assert_eq!(time.len(), "2026-11-21T08:02:00.123456Z".len());
        rest.to_owned()
    }

    #[test]
    fn a_line_has_its_message_and_fields() {
        let line = line_of(|| {
            tracing::info!(
                target: "a::b",
                method = "GET",
                status = 200_u64,
                nothing = 0_u16,
                user = Some(7_i64),
                none = None::<i64>,
                is = true,
                error = ?"a b",
                shown = %"a b",
                "said and done"
            );
        });
        assert_eq!(
            line,
            " INFO a::b: said and done method=GET status=200 nothing=0 user=7 is=true \
             error=\"a b\" shown=a b\n"
        );
    }

    /// Also where the request's work is done on another thread.
    #[test]
    fn a_line_of_a_request_has_its_id() {
        let log = || {
            let context = Context {
                request_id: "req-1".into(),
                trace: None,
            };
            let request = request::scope(context, async {
                tracing::info!("here");
                tracing::info!(request_id = "own", "with its own");
                request::inherit(|| tracing::info!("handed over"))
            });
            let work = request.now_or_never().unwrap();
            tracing::info!("outside");
            work();
            tracing::info!("outside");
        };
        let text = lines_of(Text, log);
        let ids: Vec<_> = (text.lines())
            .map(|line| line.split_once("request_id=").map(|(_, id)| id))
            .collect();
        let expected = [Some("req-1"), Some("own"), None, Some("req-1"), None];
        assert_eq!(ids, expected, "{text}");
        let json = lines_of(Json, log);
        let ids: Vec<serde_json::Value> = json
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .map(|line: serde_json::Value| line["request_id"].clone())
            .collect();
        assert_eq!(ids, expected.map(serde_json::Value::from), "{json}");
    }

    #[test]
    fn a_line_of_a_traced_request_has_its_trace() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        let context = Context {
            request_id: "req-1".into(),
            trace: Trace::parse(format!("00-{id}-00f067aa0ba902b7-01").as_bytes()),
        };
        let log = || {
            let request = request::scope(context.clone(), async {
                tracing::info!("here");
                tracing::info!(trace_id = "own", "with its own");
            });
            request.now_or_never().unwrap();
        };
        let text = lines_of(Text, log);
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[0].ends_with(&format!("here request_id=req-1 trace_id={id}")),
            "{text}"
        );
        assert!(
            lines[1].ends_with("own trace_id=own request_id=req-1"),
            "{text}"
        );
        let json = lines_of(Json, log);
        let traces: Vec<serde_json::Value> = (json.lines())
            .map(|line| serde_json::from_str(line).unwrap())
            .map(|line: serde_json::Value| line["trace_id"].clone())
            .collect();
        assert_eq!(traces, [id, "own"]);
    }

    #[test]
    fn json_has_the_fields_beside_the_rest() {
        let line = lines_of(Json, || {
            tracing::warn!(target: "a::b", count = 7_u64, none = None::<i64>, is = true, text = "x\ny", shown = %"s", "said");
        });
        let mut line: serde_json::Value = serde_json::from_str(&line).unwrap();
        let time = line["timestamp"].take();
        assert_eq!(
            time.as_str().unwrap().len(),
            "2026-11-21T08:02:00.123456Z".len()
        );
        let expected = serde_json::json!({
            "timestamp": null, "level": "WARN", "message": "said", "count": 7, "is": true,
            "text": "x\ny", "shown": "s", "target": "a::b",
        });
        assert_eq!(line, expected);
    }

    #[test]
    fn nothing_that_is_logged_makes_a_second_line() {
        let line = line_of(|| {
            let text = "x\n2026-11-21T00:00:00Z ERROR forged";
            tracing::error!(text, shown = %text, debug = ?text, quote = "a\"b", empty = "", "{text}");
        });
        assert_eq!(line.matches('\n').count(), 1, "{line}");
        assert!(line.contains("text=\"x\\n2026"), "{line}");
        assert!(line.contains("quote=\"a\\\"b\" empty=\"\""), "{line}");
    }

    #[test]
    fn times_are_written_to_the_microsecond() {
        for (micros, expected) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (999_999, "1970-01-01T00:00:00.999999Z"),
            (1_795_248_120_000_042, "2026-11-21T08:02:00.000042Z"),
            (1_795_248_121_120_000, "2026-11-21T08:02:01.120000Z"),
        ] {
            let mut line = String::new();
            write_time(&mut line, UNIX_EPOCH + Duration::from_micros(micros)).unwrap();
            assert_eq!(line, expected);
        }
    }
}
