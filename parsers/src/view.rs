//! An event as JSON for people and tests: what `citywatch parse` prints and what the goldens hold.

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use crate::event::{Event, Field, LogSource, Problem, Value};
use crate::pivots::{Pivots, pivots};

/// Serializes an event as `{"format","event_time","host","logsources","pivots","fields","problems"}`, fields in
/// the order of the record; `sub_index` is there when it is not 0.
pub struct EventJson<'e, 'a>(pub &'e Event<'a>);

impl Serialize for EventJson<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let event = self.0;
        let mut map = serializer.serialize_map(None)?;
        if event.sub_index > 0 {
            map.serialize_entry("sub_index", &event.sub_index)?;
        }
        map.serialize_entry("format", event.format)?;
        map.serialize_entry("event_time", &event.event_time.to_string())?;
        map.serialize_entry("host", event.host)?;
        map.serialize_entry("logsources", &Sources(&event.log_sources))?;
        map.serialize_entry("pivots", &PivotsJson(&pivots(event)))?;
        map.serialize_entry("fields", &Fields(&event.fields))?;
        map.serialize_entry("problems", &Problems(&event.problems))?;
        map.end()
    }
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(value) => serializer.serialize_i64(*value),
            Self::UInt(value) => serializer.serialize_u64(*value),
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::Str(value) => serializer.serialize_str(value),
            Self::List(values) => serializer.collect_seq(values.iter()),
        }
    }
}

struct Fields<'e, 'a>(&'e [Field<'a>]);

impl Serialize for Fields<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|field| (field.name, field.value)))
    }
}

struct Sources<'e, 'a>(&'e [LogSource<'a>]);

impl Serialize for Sources<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for source in self.0 {
            let parts = [
                ("product", &source.product),
                ("category", &source.category),
                ("service", &source.service),
            ];
            list.serialize_element(&Named(
                parts.map(|(name, part)| (name, Some(Value::Str(part)))),
            ))?;
        }
        list.end()
    }
}

struct Problems<'e>(&'e [Problem]);

impl Serialize for Problems<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for problem in self.0 {
            let parts = [("kind", problem.kind.name()), ("detail", &*problem.detail)];
            list.serialize_element(&Named(
                parts.map(|(name, part)| (name, Some(Value::Str(part)))),
            ))?;
        }
        list.end()
    }
}

/// Names and values; what is absent or empty is left out.
struct Named<'a, const COUNT: usize>([(&'static str, Option<Value<'a>>); COUNT]);

impl<const COUNT: usize> Serialize for Named<'_, COUNT> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let present = self
            .0
            .iter()
            .filter_map(|(name, value)| value.map(|value| (name, value)));
        serializer.collect_map(present.filter(|(_, value)| *value != Value::Str("")))
    }
}

struct PivotsJson<'e, 'a>(&'e Pivots<'a>);

impl Serialize for PivotsJson<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let pivots = self.0;
        let source = pivots.source_address.map(|address| address.to_string());
        let destination = pivots
            .destination_address
            .map(|address| address.to_string());
        let port = |port: Option<u16>| port.map(|port| Value::Int(i64::from(port)));
        let text = |text: Option<_>| text.map(Value::Str);
        Named([
            ("user", text(pivots.user)),
            ("source_address", text(source.as_deref())),
            ("source_port", port(pivots.source_port)),
            ("destination_address", text(destination.as_deref())),
            ("destination_port", port(pivots.destination_port)),
            ("process", text(pivots.process)),
            ("parent_process", text(pivots.parent_process)),
            ("command_line", text(pivots.command_line)),
            ("hash", text(pivots.hash)),
            ("url", text(pivots.url)),
            ("action", text(pivots.action)),
            ("outcome", text(pivots.outcome)),
            ("event_code", pivots.event_code),
            ("message", text(pivots.message)),
        ])
        .serialize(serializer)
    }
}
