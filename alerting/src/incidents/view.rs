//! Incidents as the API shows them: times as RFC 3339 in UTC, severities and states by name.

use std::collections::BTreeMap;

use citywatch_parsers::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::IncidentRow;
use crate::attack::tactic_names;
use crate::clocks::ClockView;
use crate::severity::Severity;

/// A time of the database as RFC 3339 in UTC.
pub(crate) fn rfc3339(micros: i64) -> String {
    Timestamp(micros).to_string()
}

/// An incident in a list.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Incident {
    pub(crate) id: String,
    pub(crate) number: i64,
    pub(crate) title: String,
    /// In Vietnamese; empty where the rule has no such title.
    pub(crate) title_vi: String,
    #[schema(value_type = Severity)]
    pub(crate) severity: &'static str,
    #[schema(value_type = super::State)]
    pub(crate) state: String,
    pub(crate) unit: String,
    pub(crate) host: String,
    pub(crate) entities: Vec<Entity>,
    pub(crate) rule: RuleSummary,
    pub(crate) tags: Vec<String>,
    /// From 0 to 100: how urgent it is.
    pub(crate) score: i64,
    /// ATT&CK's tactics of its rules, in the order of an attack.
    pub(crate) tactics: Vec<String>,
    /// Rules whose alerts it holds.
    pub(crate) rule_count: i64,
    pub(crate) alert_count: i64,
    /// Different events of its alerts, where `event_count_exact`; else at most so many: alerts of several rules, or of a
    /// correlation, may hold the same events, and one that is not among the incident's kept events counts for each.
    pub(crate) event_count: i64,
    /// Whether no event is counted twice in `event_count`.
    pub(crate) event_count_exact: bool,
    pub(crate) first_event_at: String,
    pub(crate) last_event_at: String,
    pub(crate) created_at: String,
    pub(crate) updated_at: String,
    pub(crate) assignee: Option<String>,
    #[schema(value_type = Option<super::Verdict>)]
    pub(crate) verdict: Option<String>,
    pub(crate) verdict_reason: Option<String>,
    pub(crate) acknowledged_at: Option<String>,
    pub(crate) resolved_at: Option<String>,
    pub(crate) closed_at: Option<String>,
    /// The first to run out first.
    pub(crate) clocks: Vec<ClockView>,
    /// It is of played recordings: nothing of it happened.
    pub(crate) demonstration: bool,
    /// The incident that took this one in.
    pub(crate) merged_into: Option<String>,
    pub(crate) version: i64,
}

/// Whom or what an incident is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Entity {
    /// `host`, `user`, `address`, `hash` or `file`.
    pub(crate) kind: String,
    pub(crate) value: String,
}

/// The rule that opened an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct RuleSummary {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) title_vi: String,
    #[schema(value_type = Severity)]
    pub(crate) level: String,
    pub(crate) correlation: bool,
}

impl Incident {
    pub(crate) fn new(row: IncidentRow, entities: Vec<Entity>, clocks: Vec<ClockView>) -> Self {
        Self {
            event_count_exact: row.counts_events_exactly(),
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
            score: row.score,
            tactics: tactic_names(row.tactics)
                .into_iter()
                .map(str::to_owned)
                .collect(),
            rule_count: row.rule_count,
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
            demonstration: row.demonstration != 0,
            merged_into: row.merged_into,
            version: row.version,
        }
    }
}

/// One incident with all that a verdict needs.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct IncidentDetail {
    #[serde(flatten)]
    pub(crate) incident: Incident,
    pub(crate) alerts: Vec<AlertView>,
    pub(crate) events: Vec<EventView>,
    pub(crate) rules: Vec<RuleView>,
    pub(crate) history: Vec<HistoryView>,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Alert)]
pub(crate) struct AlertView {
    pub(crate) id: String,
    pub(crate) rule_id: String,
    pub(crate) rule_title: String,
    #[schema(value_type = Severity)]
    pub(crate) severity: &'static str,
    /// Of its first event.
    pub(crate) event_time: String,
    pub(crate) last_event_time: String,
    pub(crate) window: Option<Window>,
    pub(crate) group: Vec<NameValue>,
    /// Different events of this alert; other alerts may hold the same.
    pub(crate) event_count: i64,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Window {
    pub(crate) start: String,
    pub(crate) end: String,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = EvidenceEvent)]
pub(crate) struct EventView {
    pub(crate) id: String,
    pub(crate) event_time: String,
    pub(crate) received_at: String,
    pub(crate) host: String,
    pub(crate) unit: String,
    pub(crate) format: String,
    pub(crate) raw: String,
    pub(crate) fields: Vec<NameValue>,
    pub(crate) matched: Vec<NameValue>,
    pub(crate) rule_ids: Vec<String>,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = RuleText)]
pub(crate) struct RuleView {
    pub(crate) id: String,
    pub(crate) title: String,
    /// In Vietnamese; empty where the rule says nothing in it.
    pub(crate) title_vi: String,
    #[schema(value_type = Severity)]
    pub(crate) level: String,
    pub(crate) description: String,
    pub(crate) description_vi: String,
    pub(crate) tags: Vec<String>,
    pub(crate) text: String,
    pub(crate) content_hash: String,
    pub(crate) correlation: bool,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = HistoryEntry)]
pub(crate) struct HistoryView {
    pub(crate) at: String,
    pub(crate) who: String,
    /// `opened`, `state`, `assignee`, `verdict`, `verdict_reason`, `comment`, `merged`, `report` or `overdue`.
    pub(crate) kind: String,
    /// In English; of a comment, its text.
    pub(crate) what: String,
    /// The same in parts: `from` and `to` of a change (`none` for nothing), `rule` and `rule_vi` of what opened it,
    /// `clock` and `due_at`, `clock` and `reference`, `took_in`, `merged_into`. Empty in old lines.
    pub(crate) parameters: BTreeMap<String, String>,
}

/// A field, or a part of a group, with its value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct NameValue {
    pub(crate) name: String,
    /// A text, a number, yes or no, null, or a list of these.
    pub(crate) value: Value,
}

/// A JSON column; what cannot be read is empty rather than a page that fails.
pub(crate) fn json<T: DeserializeOwned + Default>(text: &str) -> T {
    serde_json::from_str(text).unwrap_or_default()
}
