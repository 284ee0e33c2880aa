//! Events of the tests' own making.

use std::sync::Arc;

use bumpalo::Bump;
use citywatch_engine::EventId;
use citywatch_engine::store::EventRow;
use citywatch_parsers::record::Truncated;
use citywatch_parsers::{
    AgentId, Event, Field, LogSource, Origin, RecordBatch, StreamId, Timestamp, UnitId, Value,
};

/// 2026-03-01T00:00:00Z.
pub(crate) const DAY: Timestamp = Timestamp::from_seconds(1_772_323_200);

pub(crate) fn origin(stream: &str) -> Arc<Origin> {
    Arc::new(Origin {
        unit: UnitId::from("hcmc/linh-xuan"),
        agent: AgentId::from("agent-1"),
        stream: StreamId::from(stream),
        host: Some("web-1".into()),
        format: "auto".into(),
        log_source: LogSource::default(),
    })
}

/// The row of an event with these fields, received `seconds` into the day, at `position`.
pub(crate) fn row(
    stream: &str,
    position: u64,
    seconds: i64,
    raw: &str,
    fields: &[(&'static str, Value<'static>)],
) -> EventRow {
    let time = Timestamp(DAY.0 + seconds * 1_000_000);
    let mut batch = RecordBatch::new(origin(stream));
    batch.push(raw.as_bytes(), position, time, Truncated::No);
    let record = batch.get(0).unwrap();
    let arena = Bump::new();
    let mut event = Event::new(record, "test", &arena);
    event.log_sources.push(LogSource {
        product: "linux".into(),
        service: "sshd".into(),
        ..LogSource::default()
    });
    event
        .fields
        .extend(fields.iter().map(|(name, value)| Field {
            name,
            value: *value,
        }));
    EventRow::from_event(&event, EventId::of("agent-1", stream, position, 0))
}

/// Rows of a stream, one a second or so, from `first` on.
pub(crate) fn rows(stream: &str, first: u64, count: u64) -> Vec<EventRow> {
    (first..first + count)
        .map(|position| {
            let raw = format!(
                "Mar  1 00:00:00 web-1 sshd[{}]: Failed password for invalid user admin{} from 203.0.113.{} port {} ssh2",
                1000 + position % 5000,
                position,
                position % 250,
                1024 + position % 60_000,
            );
            row(stream, position, i64::try_from(position % 80_000).unwrap(), &raw, &[
                ("user", Value::Str("admin")),
                ("src_ip", Value::Str("203.0.113.9")),
                ("action", Value::Str("failure")),
            ])
        })
        .collect()
}
