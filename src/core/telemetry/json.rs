//! The JSON format of the log: an object a line, with the fields of the event beside
//! `timestamp`, `level` and `target`.

use std::fmt;
use std::time::SystemTime;

use serde::ser::{SerializeMap, Serializer};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::request;
use super::text::write_time;

/// The format; there are no spans.
pub struct Json;

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    #[expect(clippy::disallowed_methods, reason = "the log tells the real time")]
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut line: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut bytes = Vec::with_capacity(256);
        write_object(&mut bytes, SystemTime::now(), event).map_err(|_| fmt::Error)?;
        line.write_str(std::str::from_utf8(&bytes).map_err(|_| fmt::Error)?)?;
        line.write_char('\n')
    }
}

fn write_object(to: &mut Vec<u8>, now: SystemTime, event: &Event<'_>) -> serde_json::Result<()> {
    let mut time = String::with_capacity(32);
    // Writing to a String cannot fail.
    let _ = write_time(&mut time, now);
    let meta = event.metadata();
    let mut serializer = serde_json::Serializer::new(to);
    let mut map = serializer.serialize_map(None)?;
    map.serialize_entry("timestamp", &time)?;
    map.serialize_entry("level", meta.level().as_str())?;
    let mut members = Members {
        map: &mut map,
        outcome: Ok(()),
        has_request_id: false,
        has_trace: false,
    };
    event.record(&mut members);
    let (has_request_id, has_trace) = (members.has_request_id, members.has_trace);
    members.outcome?;
    request::with_current(|context| {
        if !has_request_id {
            map.serialize_entry(request::FIELD, &*context.request_id)?;
        }
        match &context.trace {
            Some(trace) if !has_trace => map.serialize_entry(request::TRACE_FIELD, trace.id()),
            _ => Ok(()),
        }
    })
    .transpose()?;
    map.serialize_entry("target", meta.target())?;
    map.end()
}

struct Members<'m, M: SerializeMap> {
    map: &'m mut M,
    outcome: Result<(), M::Error>,
    has_request_id: bool,
    has_trace: bool,
}

impl<M: SerializeMap> Members<'_, M> {
    fn add(&mut self, field: &Field, value: &(impl serde::Serialize + ?Sized)) {
        self.has_request_id |= field.name() == request::FIELD;
        self.has_trace |= field.name() == request::TRACE_FIELD;
        if self.outcome.is_ok() {
            self.outcome = self.map.serialize_entry(field.name(), value);
        }
    }
}

impl<M: SerializeMap> Visit for Members<'_, M> {
    fn record_str(&mut self, field: &Field, text: &str) {
        self.add(field, text);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, &value);
    }

    fn record_i64(&mut self, field: &Field, number: i64) {
        self.add(field, &number);
    }

    fn record_u64(&mut self, field: &Field, number: u64) {
        self.add(field, &number);
    }

    fn record_f64(&mut self, field: &Field, number: f64) {
        self.add(field, &number);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, &format!("{value:?}"));
    }
}
