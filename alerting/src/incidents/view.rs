//! Incidents as the API shows them: times as RFC 3339 in UTC, severities and states by name.

use citywatch_parsers::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::IncidentRow;
use crate::clocks::ClockView;
use crate::severity::Severity;

/// A time of the database as RFC 3339 in UTC.
pub(crate) fn rfc3339(micros: i64) -> String {
    Timestamp(micros).to_string()
}

/// An incident in a list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Incident {
    pub(crate) id: String,
    pub(crate) number: i64,
    pub(crate) title: String,
    /// In Vietnamese; empty where the rule has no such title.
    pub(crate) title_vi: String,
    pub(crate) severity: &'static str,
    pub(crate) state: String,
    pub(crate) unit: String,
    pub(crate) host: String,
    pub(crate) entities: Vec<Entity>,
    pub(crate) rule: RuleSummary,
    pub(crate) tags: Value,
    pub(crate) alert_count: i64,
    pub(crate) event_count: i64,
    pub(crate) first_event_at: String,
    pub(crate) last_event_at: String,
    pub(crate) created_at: String,
    pub(crate) updated_at: String,
    pub(crate) assignee: Option<String>,
    pub(crate) verdict: Option<String>,
    pub(crate) verdict_reason: Option<String>,
    pub(crate) acknowledged_at: Option<String>,
    pub(crate) resolved_at: Option<String>,
    pub(crate) closed_at: Option<String>,
    /// The first to run out first.
    pub(crate) clocks: Vec<ClockView>,
    /// The incident that took this one in.
    pub(crate) merged_into: Option<String>,
    pub(crate) version: i64,
}

/// Whom or what an incident is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Entity {
    /// `host`, `user` or `address`.
    pub(crate) kind: String,
    pub(crate) value: String,
}

/// The rule that opened an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct RuleSummary {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) title_vi: String,
    pub(crate) level: String,
    pub(crate) correlation: bool,
}

impl Incident {
    pub(crate) fn new(row: IncidentRow, entities: Vec<Entity>, clocks: Vec<ClockView>) -> Self {
        Self {
            id: row.id,
            number: row.number,
            title: row.title,
            title_vi: row.title_vi,
            severity: Severity::of_rank(row.severity).name(),
            state: row.state,
            unit: row.unit,
            host: row.host,
            entities,
            rule: RuleSummary {
                id: row.rule_id,
                title: row.rule_title,
                title_vi: row.rule_title_vi,
                level: row.rule_level,
                correlation: row.rule_correlation != 0,
            },
            tags: json(&row.tags),
            alert_count: row.alert_count,
            event_count: row.event_count,
            first_event_at: rfc3339(row.first_event_at),
            last_event_at: rfc3339(row.last_event_at),
            created_at: rfc3339(row.created_at),
            updated_at: rfc3339(row.updated_at),
            assignee: row.assignee,
            verdict: row.verdict,
            verdict_reason: row.verdict_reason,
            acknowledged_at: row.acknowledged_at.map(rfc3339),
            resolved_at: row.resolved_at.map(rfc3339),
            closed_at: row.closed_at.map(rfc3339),
            clocks,
            merged_into: row.merged_into,
            version: row.version,
        }
    }
}

/// One incident with all that a verdict needs.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct IncidentDetail {
    #[serde(flatten)]
    pub(crate) incident: Incident,
    pub(crate) alerts: Vec<AlertView>,
    pub(crate) events: Vec<EventView>,
    pub(crate) rules: Vec<RuleView>,
    pub(crate) history: Vec<HistoryView>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct AlertView {
    pub(crate) id: String,
    pub(crate) rule_id: String,
    pub(crate) rule_title: String,
    pub(crate) severity: &'static str,
    /// Of its first event.
    pub(crate) event_time: String,
    pub(crate) last_event_time: String,
    pub(crate) window: Option<Window>,
    pub(crate) group: Value,
    pub(crate) event_count: i64,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Window {
    pub(crate) start: String,
    pub(crate) end: String,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct EventView {
    pub(crate) id: String,
    pub(crate) event_time: String,
    pub(crate) received_at: String,
    pub(crate) host: String,
    pub(crate) unit: String,
    pub(crate) format: String,
    pub(crate) raw: String,
    pub(crate) fields: Value,
    pub(crate) matched: Vec<Value>,
    pub(crate) rule_ids: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct RuleView {
    pub(crate) id: String,
    pub(crate) title: String,
    /// In Vietnamese; empty where the rule says nothing in it.
    pub(crate) title_vi: String,
    pub(crate) level: String,
    pub(crate) description: String,
    pub(crate) description_vi: String,
    pub(crate) tags: Value,
    pub(crate) text: String,
    pub(crate) content_hash: String,
    pub(crate) correlation: bool,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct HistoryView {
    pub(crate) at: String,
    pub(crate) who: String,
    /// `opened`, `state`, `merged`, ...
    pub(crate) kind: String,
    pub(crate) what: String,
}

/// A JSON column; what cannot be read is null rather than a page that fails.
pub(crate) fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(Value::Null)
}
