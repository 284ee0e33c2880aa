//! All that is known of one entity: a host, a user, an address, a file, a digest.

use serde::Serialize;
use sqlx::{AnyPool, Row};
use utoipa::ToSchema;

use super::read::views;
use super::view::{Incident, rfc3339};
use super::{IncidentRow, Verdict};
use crate::accounts::Scope;
use crate::clocks::ClocksConfig;
use crate::severity::Severity;
use crate::sql::Conditions;

/// Incidents and alerts that are told, the latest.
const TOLD_MAX: usize = 100;

/// What is known of an entity, in the units that may be seen.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct EntityPage {
    kind: String,
    value: String,
    first_seen_at: String,
    last_seen_at: String,
    incident_count: i64,
    /// Of these, those that wait for somebody.
    open: i64,
    true_positives: i64,
    benign_true_positives: i64,
    false_positives: i64,
    /// Units in whose incidents it was named, those with the most first.
    units: Vec<EntityUnit>,
    /// The latest.
    incidents: Vec<Incident>,
    /// The latest.
    alerts: Vec<EntityAlert>,
}

/// A unit in whose incidents an entity was named.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct EntityUnit {
    unit: String,
    incidents: i64,
}

/// An alert that names an entity.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct EntityAlert {
    id: String,
    incident_id: String,
    rule_id: String,
    rule_title: String,
    #[schema(value_type = Severity)]
    severity: &'static str,
    unit: String,
    host: String,
    /// Of its first event.
    event_time: String,
    last_event_time: String,
    event_count: i64,
}

/// The entity's page; none where nothing of it may be seen.
pub(crate) async fn entity(
    pool: &AnyPool,
    clocks: &ClocksConfig,
    kind: &str,
    value: &str,
    scope: &Scope,
) -> Result<Option<EntityPage>, sqlx::Error> {
    let named = || {
        let mut conditions = Conditions::default();
        conditions.push("merged_into IS NULL");
        conditions.entity(kind, value);
        conditions.scope("unit", scope);
        conditions
    };
    let verdict = |verdict: Verdict| {
        let name = verdict.name();
        format!("CAST(SUM(CASE WHEN verdict = '{name}' THEN 1 ELSE 0 END) AS BIGINT) AS {name}s")
    };
    let conditions = named();
    let sql = format!(
        "SELECT COUNT(*) AS incidents, MIN(first_event_at) AS first, MAX(last_event_at) AS last, \
         CAST(SUM(CASE WHEN state IN ('new', 'acknowledged', 'in_progress') THEN 1 ELSE 0 END) AS BIGINT) \
         AS waiting, {}, {}, {} FROM incidents{}",
        verdict(Verdict::TruePositive),
        verdict(Verdict::BenignTruePositive),
        verdict(Verdict::FalsePositive),
        conditions.clause()
    );
    let totals = conditions.query(sql).fetch_one(pool).await?;
    let first: Option<i64> = totals.try_get("first")?;
    let last: Option<i64> = totals.try_get("last")?;
    let Some((first, last)) = first.zip(last) else {
        return Ok(None);
    };
    let conditions = named();
    let sql = format!(
        "SELECT * FROM incidents{} ORDER BY last_event_at DESC, number DESC LIMIT {TOLD_MAX}",
        conditions.clause()
    );
    let rows: Vec<IncidentRow> = conditions.query_as(sql).fetch_all(pool).await?;
    Ok(Some(EntityPage {
        kind: kind.to_owned(),
        value: value.to_owned(),
        first_seen_at: rfc3339(first),
        last_seen_at: rfc3339(last),
        incident_count: totals.try_get("incidents")?,
        open: totals.try_get("waiting")?,
        true_positives: totals.try_get("true_positives")?,
        benign_true_positives: totals.try_get("benign_true_positives")?,
        false_positives: totals.try_get("false_positives")?,
        units: units(pool, named()).await?,
        incidents: views(pool, clocks, rows).await?,
        alerts: alerts(pool, kind, value, scope).await?,
    }))
}

async fn units(pool: &AnyPool, conditions: Conditions) -> Result<Vec<EntityUnit>, sqlx::Error> {
    let sql = format!(
        "SELECT unit, COUNT(*) AS n FROM incidents{} GROUP BY unit ORDER BY n DESC, unit LIMIT {TOLD_MAX}",
        conditions.clause()
    );
    let rows = conditions.query(sql).fetch_all(pool).await?;
    rows.iter()
        .map(|row| {
            Ok(EntityUnit {
                unit: row.try_get("unit")?,
                incidents: row.try_get("n")?,
            })
        })
        .collect()
}

async fn alerts(
    pool: &AnyPool,
    kind: &str,
    value: &str,
    scope: &Scope,
) -> Result<Vec<EntityAlert>, sqlx::Error> {
    let mut conditions = Conditions::default();
    conditions.push("alerts.id = named.alert_id");
    conditions.compare("named.kind", "=", kind.to_owned());
    conditions.compare("named.value", "=", value.to_owned());
    conditions.scope("named.unit", scope);
    let sql = format!(
        "SELECT alerts.* FROM alert_entities AS named, alerts{} \
         ORDER BY named.at DESC, named.alert_id LIMIT {TOLD_MAX}",
        conditions.clause()
    );
    let rows = conditions.query(sql).fetch_all(pool).await?;
    rows.iter()
        .map(|row| {
            Ok(EntityAlert {
                id: row.try_get("id")?,
                incident_id: row.try_get("incident_id")?,
                rule_id: row.try_get("rule_id")?,
                rule_title: row.try_get("rule_title")?,
                severity: Severity::of_rank(row.try_get("severity")?).name(),
                unit: row.try_get("unit")?,
                host: row.try_get("host")?,
                event_time: rfc3339(row.try_get("first_event_at")?),
                last_event_time: rfc3339(row.try_get("last_event_at")?),
                event_count: row.try_get("event_count")?,
            })
        })
        .collect()
}
