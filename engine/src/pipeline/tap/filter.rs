//! What a watcher wants to see: `host=web01 level!=low message~failed`, all of it at once.

use citywatch_parsers::{Event, Record, Value};
use thiserror::Error;

use crate::matches::Match;

/// Conditions that must all hold. Without any, everything is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TapFilter(Vec<Condition>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Condition {
    name: String,
    test: Test,
    /// Lower case.
    value: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Test {
    /// `=`, with `*` for anything at the value's ends.
    Is,
    /// `!=`
    IsNot,
    /// `~`
    Contains,
}

/// A condition that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "\"{condition}\" is no filter: write name=value, name!=value or name~part, for example host=web01"
)]
pub struct FilterError {
    /// As it was written.
    pub condition: String,
}

impl TapFilter {
    /// Reads conditions.
    ///
    /// # Errors
    /// [`FilterError`] for the first that cannot be read.
    pub fn parse<'t>(conditions: impl IntoIterator<Item = &'t str>) -> Result<Self, FilterError> {
        let conditions = conditions.into_iter().map(|text| {
            let at = text.find(['=', '~', '!']).filter(|at| *at > 0);
            let parsed = at.and_then(|at| {
                let (name, rest) = text.split_at(at);
                let (test, value) = rest
                    .strip_prefix("!=")
                    .map(|value| (Test::IsNot, value))
                    .or_else(|| rest.strip_prefix('=').map(|value| (Test::Is, value)))
                    .or_else(|| rest.strip_prefix('~').map(|value| (Test::Contains, value)))?;
                Some(Condition {
                    name: name.to_owned(),
                    test,
                    value: value.to_lowercase(),
                })
            });
            parsed.ok_or_else(|| FilterError {
                condition: text.to_owned(),
            })
        });
        conditions.collect::<Result<_, _>>().map(Self)
    }

    /// Whether a record is wanted; of fields it knows only where it came from, and `raw`.
    pub(super) fn holds_for_record(&self, record: &Record<'_>) -> bool {
        self.0.iter().all(|condition| {
            let value = of_record(record, &condition.name);
            condition.holds(value.as_deref())
        })
    }

    /// Whether an event is wanted.
    pub(super) fn holds_for_event(&self, event: &Event<'_>) -> bool {
        self.0.iter().all(|condition| {
            let has_source = |part: fn(&citywatch_parsers::LogSource<'_>) -> String| {
                let mut sources = event.log_sources.iter().map(part);
                let positive = condition.positive();
                sources.any(|value| positive.holds(Some(&value))) != condition.is_negative()
            };
            match condition.name.as_str() {
                "host" => condition.holds(Some(event.host)),
                "format" => condition.holds(Some(event.format)),
                "product" => has_source(|source| source.product.to_string()),
                "category" => has_source(|source| source.category.to_string()),
                "service" => has_source(|source| source.service.to_string()),
                name => match event.get(name) {
                    Some(value) => condition.holds(Some(&shown(value))),
                    None => condition.holds(of_record(&event.record, name).as_deref()),
                },
            }
        })
    }

    /// Whether a match is wanted; a field is that of any of its events.
    pub(super) fn holds_for_match(&self, found: &Match) -> bool {
        self.0
            .iter()
            .all(|condition| match condition.name.as_str() {
                "rule" => condition.holds(Some(&found.rule.id)),
                "title" => condition.holds(Some(&found.rule.title)),
                "level" => condition.holds(Some(&found.rule.level)),
                "unit" => condition.holds(Some(found.unit.as_str())),
                "host" => condition.holds(Some(&found.host)),
                name => {
                    let positive = condition.positive();
                    let has = found.evidence.iter().any(|shown| {
                        let mut fields = shown.event.fields.iter();
                        fields.any(|(field, value)| {
                            let text = || match value.to_json() {
                                serde_json::Value::String(text) => text,
                                other => other.to_string(),
                            };
                            field.eq_ignore_ascii_case(name) && positive.holds(Some(&text()))
                        })
                    });
                    has != condition.is_negative()
                }
            })
    }
}

impl Condition {
    fn is_negative(&self) -> bool {
        self.test == Test::IsNot
    }

    /// The same without its negation.
    fn positive(&self) -> Self {
        let test = match self.test {
            Test::IsNot => Test::Is,
            test => test,
        };
        Self {
            test,
            ..self.clone()
        }
    }

    fn holds(&self, value: Option<&str>) -> bool {
        let Some(value) = value else {
            return self.is_negative();
        };
        let value = value.to_lowercase();
        match self.test {
            Test::Contains => value.contains(&self.value),
            Test::Is => is_like(&value, &self.value),
            Test::IsNot => !is_like(&value, &self.value),
        }
    }
}

/// Equality, or with `*` at an end of the pattern a beginning, an end or a part.
fn is_like(value: &str, pattern: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(_), Some(_)) => value.contains(pattern.trim_matches('*')),
        (Some(end), None) => value.ends_with(end),
        (None, Some(begin)) => value.starts_with(begin),
        (None, None) => value == pattern,
    }
}

fn of_record(record: &Record<'_>, name: &str) -> Option<String> {
    let origin = record.origin;
    Some(match name {
        "unit" => origin.unit.to_string(),
        "agent" => origin.agent.to_string(),
        "stream" => origin.stream.to_string(),
        "host" => origin.host.as_deref()?.to_owned(),
        "format" => origin.format.to_string(),
        "raw" => String::from_utf8_lossy(record.raw).into_owned(),
        _ => return None,
    })
}

fn shown(value: Value<'_>) -> String {
    match value {
        Value::Str(text) => text.to_owned(),
        other => serde_json::to_string(&other).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bumpalo::Bump;
    use citywatch_parsers::record::Truncated;
    use citywatch_parsers::{Field, LogSource, Origin, RecordBatch, Timestamp};

    use super::*;

    fn holds(conditions: &[&str]) -> bool {
        let origin = Origin {
            unit: "linh-xuan".into(),
            agent: "a1".into(),
            ..Origin::default()
        };
        let mut batch = RecordBatch::new(Arc::new(origin));
        batch.push(b"Failed password", 7, Timestamp(0), Truncated::No);
        let arena = Bump::new();
        let mut event = Event::new(batch.get(0).unwrap(), "syslog", &arena);
        event.host = "Web01";
        event.log_sources.push(LogSource {
            product: "linux".into(),
            service: "sshd".into(),
            ..LogSource::default()
        });
        event.fields.push(Field {
            name: "user",
            value: Value::Str("root"),
        });
        event.fields.push(Field {
            name: "port",
            value: Value::Int(22),
        });
        TapFilter::parse(conditions.iter().copied())
            .unwrap()
            .holds_for_event(&event)
    }

    #[test]
    fn conditions_hold_together() {
        assert!(holds(&[]));
        assert!(holds(&[
            "host=web01",
            "user=root",
            "port=22",
            "unit=linh-xuan"
        ]));
        assert!(holds(&[
            "host=web*",
            "user!=admin",
            "raw~password",
            "product=linux"
        ]));
        assert!(holds(&[
            "service=*ssh*",
            "missing!=x",
            "format=syslog",
            "agent=a1"
        ]));
        assert!(!holds(&["host=web01", "user=admin"]));
        assert!(!holds(&["missing=x"]));
        assert!(!holds(&["product!=linux"]));
        assert!(!holds(&["port=2"]));
    }

    #[test]
    fn what_is_no_condition_is_said() {
        for wrong in ["web01", "=x", "a!b", ""] {
            let error = TapFilter::parse([wrong]).unwrap_err().to_string();
            assert!(error.contains("name=value"), "{error}");
        }
    }
}
