//! An incident as the table holds it.

use crate::database::Write;

/// A row of the table `incidents`; times in microseconds since the epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct IncidentRow {
    pub(crate) id: String,
    pub(crate) number: i64,
    pub(crate) group_key: String,
    pub(crate) title: String,
    /// In Vietnamese; empty where the rule has no such title.
    pub(crate) title_vi: String,
    pub(crate) severity: i64,
    pub(crate) state: String,
    pub(crate) unit: String,
    pub(crate) host: String,
    pub(crate) rule_id: String,
    pub(crate) rule_hash: String,
    pub(crate) rule_title: String,
    pub(crate) rule_title_vi: String,
    pub(crate) rule_level: String,
    pub(crate) rule_correlation: i64,
    pub(crate) tags: String,
    pub(crate) alert_count: i64,
    pub(crate) event_count: i64,
    pub(crate) evidence_count: i64,
    pub(crate) first_event_at: i64,
    pub(crate) last_event_at: i64,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
    pub(crate) assignee: Option<String>,
    pub(crate) verdict: Option<String>,
    pub(crate) verdict_reason: Option<String>,
    pub(crate) acknowledged_at: Option<i64>,
    pub(crate) resolved_at: Option<i64>,
    pub(crate) closed_at: Option<i64>,
    pub(crate) merged_into: Option<String>,
    pub(crate) version: i64,
    pub(crate) change_sequence: i64,
    pub(crate) score: i64,
    /// A bit each; see `attack.rs`.
    pub(crate) tactics: i64,
    /// Rules whose alerts it holds.
    pub(crate) rule_count: i64,
    pub(crate) entity_count: i64,
    /// 1: it is of played recordings.
    pub(crate) demonstration: i64,
}

impl IncidentRow {
    /// Whether all its alerts are of one rule that matches each event by itself: no event is in two of them.
    pub(crate) fn has_one_plain_rule(&self) -> bool {
        self.rule_count == 1 && self.rule_correlation == 0
    }

    /// Whether `event_count` counts no event twice: its alerts cannot share any, or all are among the copies.
    pub(crate) fn counts_events_exactly(&self) -> bool {
        self.has_one_plain_rule() || self.event_count <= self.evidence_count
    }
}

/// Reads one inside a transaction; an error when there is none of that id.
pub(crate) async fn row(write: &mut Write, id: &str) -> Result<IncidentRow, sqlx::Error> {
    sqlx::query_as("SELECT * FROM incidents WHERE id = $1")
        .bind(id)
        .fetch_one(&mut **write)
        .await
}

/// Inserts a new one. What only people set (assignee, verdict, times of its life) is not set yet.
pub(crate) async fn insert(write: &mut Write, row: &IncidentRow) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO incidents (id, number, group_key, title, severity, state, unit, host, rule_id, \
         rule_hash, rule_title, rule_level, rule_correlation, tags, alert_count, event_count, \
         evidence_count, first_event_at, last_event_at, created_at, updated_at, version, \
         change_sequence, title_vi, rule_title_vi, tactics, demonstration) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, \
         $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27)",
    )
    .bind(row.id.as_str())
    .bind(row.number)
    .bind(row.group_key.as_str())
    .bind(row.title.as_str())
    .bind(row.severity)
    .bind(row.state.as_str())
    .bind(row.unit.as_str())
    .bind(row.host.as_str())
    .bind(row.rule_id.as_str())
    .bind(row.rule_hash.as_str())
    .bind(row.rule_title.as_str())
    .bind(row.rule_level.as_str())
    .bind(row.rule_correlation)
    .bind(row.tags.as_str())
    .bind(row.alert_count)
    .bind(row.event_count)
    .bind(row.evidence_count)
    .bind(row.first_event_at)
    .bind(row.last_event_at)
    .bind(row.created_at)
    .bind(row.updated_at)
    .bind(row.version)
    .bind(row.change_sequence)
    .bind(row.title_vi.as_str())
    .bind(row.rule_title_vi.as_str())
    .bind(row.tactics)
    .bind(row.demonstration)
    .execute(&mut **write)
    .await?;
    Ok(())
}
