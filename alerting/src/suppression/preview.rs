//! What a suppression would have hidden: asked before it is set.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use serde_json::Value;
use sqlx::any::AnyRow;
use sqlx::{AnyPool, Row};

use super::target::Target;
use crate::accounts::Scope;
use crate::incidents::{json, rfc3339};
use crate::severity::Severity;
use crate::sql::Conditions;

/// Alerts that are looked at, the latest first.
const ALERTS_MAX: usize = 20_000;
/// Incidents that are named.
const NAMED_MAX: usize = 10;
/// Ids of one query.
const IDS_PER_QUERY: usize = 500;

/// What would have been hidden since a time.
///
/// Where fields are asked for, the events decide that incidents kept as evidence: of an alert with more
/// events than were kept, those that were kept stand for the others.
#[derive(Clone, Debug, Default, Serialize, utoipa::ToSchema)]
#[schema(as = SuppressionPreview)]
pub(crate) struct Preview {
    since: String,
    /// Alerts of which nothing would have been seen.
    alerts: u64,
    /// Alerts that would have been smaller.
    alerts_in_part: u64,
    /// Events of all these.
    events: i64,
    /// Incidents that would not have been opened.
    incidents: u64,
    /// Incidents that would have been smaller.
    incidents_in_part: u64,
    /// Of both, those that somebody judged a true positive: a reason not to hide them.
    true_positives: u64,
    /// Of both, those that somebody judged a false or a benign positive.
    false_positives: u64,
    /// False when there were more alerts than are looked at.
    complete: bool,
    /// The latest incidents.
    items: Vec<NamedIncident>,
}

/// An incident of a preview.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
struct NamedIncident {
    id: String,
    number: i64,
    title: String,
    /// In Vietnamese; empty where the rule has none.
    title_vi: String,
    #[schema(value_type = Severity)]
    severity: &'static str,
    #[schema(value_type = crate::incidents::State)]
    state: String,
    #[schema(value_type = Option<crate::incidents::Verdict>)]
    verdict: Option<String>,
    /// Whether it would have been hidden as a whole.
    whole: bool,
}

struct AlertRow {
    incident_id: String,
    rule_id: String,
    unit: String,
    host: String,
    correlation: bool,
    group: Vec<(String, String)>,
    event_count: i64,
    first_event_at: i64,
    last_event_at: i64,
}

/// How much of an alert would have been hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Share {
    Nothing,
    /// So many of its kept events.
    Part(i64),
    Whole,
}

/// What the target would have hidden since `since`, of the units that may be seen.
pub(crate) async fn preview(
    pool: &AnyPool,
    target: &Target,
    scope: &Scope,
    since: i64,
) -> Result<Preview, sqlx::Error> {
    let mut alerts = alerts(pool, target, scope, since).await?;
    let complete = alerts.len() <= ALERTS_MAX;
    alerts.truncate(ALERTS_MAX);
    let shares = if target.fields.is_empty() {
        vec![Share::Whole; alerts.len()]
    } else {
        shares_by_fields(pool, target, &alerts).await?
    };
    let mut preview = Preview {
        since: rfc3339(since),
        complete,
        ..Preview::default()
    };
    // By incident: alerts hidden as a whole, and alerts hidden in part.
    let mut incidents: HashMap<&str, (i64, i64)> = HashMap::new();
    for (alert, share) in alerts.iter().zip(shares) {
        match share {
            Share::Nothing => continue,
            Share::Whole => {
                preview.alerts += 1;
                preview.events += alert.event_count;
                incidents.entry(&alert.incident_id).or_default().0 += 1;
            }
            Share::Part(events) => {
                preview.alerts_in_part += 1;
                preview.events += events;
                incidents.entry(&alert.incident_id).or_default().1 += 1;
            }
        }
    }
    name_incidents(pool, &incidents, &mut preview).await?;
    Ok(preview)
}

/// Alerts that the target means but for its fields: one more than are looked at, if there are more.
async fn alerts(
    pool: &AnyPool,
    target: &Target,
    scope: &Scope,
    since: i64,
) -> Result<Vec<AlertRow>, sqlx::Error> {
    let mut conditions = Conditions::default();
    conditions.compare("last_event_at", ">=", since);
    for (column, value) in [("rule_id", &target.rule_id), ("host", &target.host)] {
        if !value.is_empty() {
            conditions.compare(column, "=", value.clone());
        }
    }
    if !target.unit.is_empty() {
        conditions.scope("unit", &Scope::Subtree(target.unit.clone()));
    }
    conditions.scope("unit", scope);
    let sql = format!(
        "SELECT * FROM alerts{} ORDER BY last_event_at DESC LIMIT {}",
        conditions.clause(),
        ALERTS_MAX + 1
    );
    let rows = conditions.query(sql).fetch_all(pool).await?;
    rows.iter().map(alert_row).collect()
}

fn alert_row(row: &AnyRow) -> Result<AlertRow, sqlx::Error> {
    let group = match json(row.try_get("group_values")?) {
        Value::Array(values) => values,
        _ => Vec::new(),
    };
    let text = |value: &Value, name: &str| value[name].as_str().unwrap_or("").to_owned();
    Ok(AlertRow {
        incident_id: row.try_get("incident_id")?,
        rule_id: row.try_get("rule_id")?,
        unit: row.try_get("unit")?,
        host: row.try_get("host")?,
        correlation: row.try_get::<Option<i64>, _>("window_start")?.is_some(),
        group: group
            .iter()
            .map(|value| (text(value, "name"), text(value, "value")))
            .collect(),
        event_count: row.try_get("event_count")?,
        first_event_at: row.try_get("first_event_at")?,
        last_event_at: row.try_get("last_event_at")?,
    })
}

/// An event that an incident kept, as far as it concerns a rule.
struct KeptEvent {
    unit: String,
    host: String,
    event_time: i64,
    /// Which of the target's fields it fulfils.
    fulfils: Vec<bool>,
}

async fn shares_by_fields(
    pool: &AnyPool,
    target: &Target,
    alerts: &[AlertRow],
) -> Result<Vec<Share>, sqlx::Error> {
    let mut ids: Vec<&str> = alerts
        .iter()
        .map(|alert| alert.incident_id.as_str())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    let mut kept: HashMap<(String, String), Vec<KeptEvent>> = HashMap::new();
    for chunk in ids.chunks(IDS_PER_QUERY) {
        let mut conditions = Conditions::default();
        conditions.push("by_rule.incident_id = event.incident_id");
        conditions.push("by_rule.event_id = event.event_id");
        conditions.one_of("event.incident_id", chunk.iter().copied());
        let sql = format!(
            "SELECT event.incident_id, by_rule.rule_id, event.unit, event.host, event.event_time, \
             event.fields FROM incident_events AS event, incident_event_rules AS by_rule{}",
            conditions.clause()
        );
        for row in conditions.query(sql).fetch_all(pool).await? {
            let of = (row.try_get("incident_id")?, row.try_get("rule_id")?);
            kept.entry(of).or_default().push(kept_event(&row, target)?);
        }
    }
    Ok(alerts
        .iter()
        .map(|alert| {
            let of = (alert.incident_id.clone(), alert.rule_id.clone());
            share(alert, kept.get(&of).map_or(&[], Vec::as_slice), target)
        })
        .collect())
}

fn kept_event(row: &AnyRow, target: &Target) -> Result<KeptEvent, sqlx::Error> {
    let fields: Value = json(row.try_get("fields")?);
    let holds = |wanted: &super::FieldValue| {
        fields.as_array().is_some_and(|fields| {
            fields
                .iter()
                .any(|field| field["name"] == wanted.name.as_str() && wanted.is(&field["value"]))
        })
    };
    Ok(KeptEvent {
        unit: row.try_get("unit")?,
        host: row.try_get("host")?,
        event_time: row.try_get("event_time")?,
        fulfils: target.fields.iter().map(holds).collect(),
    })
}

fn share(alert: &AlertRow, kept: &[KeptEvent], target: &Target) -> Share {
    let own: Vec<&KeptEvent> = kept
        .iter()
        .filter(|event| {
            (alert.first_event_at..=alert.last_event_at).contains(&event.event_time)
                && (alert.correlation || (event.unit == alert.unit && event.host == alert.host))
        })
        .collect();
    if alert.correlation {
        let all = target.fields.iter().enumerate().all(|(place, field)| {
            let by_group = alert
                .group
                .iter()
                .any(|(name, value)| *name == field.name && field.is(&value.as_str().into()));
            by_group || (!own.is_empty() && own.iter().all(|event| event.fulfils[place]))
        });
        return if all { Share::Whole } else { Share::Nothing };
    }
    let hidden = own
        .iter()
        .filter(|event| event.fulfils.iter().all(|holds| *holds))
        .count();
    if hidden == 0 {
        Share::Nothing
    } else if hidden == own.len() {
        Share::Whole
    } else {
        Share::Part(i64::try_from(hidden).unwrap_or(i64::MAX))
    }
}

async fn name_incidents(
    pool: &AnyPool,
    incidents: &HashMap<&str, (i64, i64)>,
    preview: &mut Preview,
) -> Result<(), sqlx::Error> {
    let ids: Vec<&str> = incidents.keys().copied().collect();
    let mut named: BTreeMap<i64, NamedIncident> = BTreeMap::new();
    for chunk in ids.chunks(IDS_PER_QUERY) {
        let mut conditions = Conditions::default();
        conditions.one_of("id", chunk.iter().copied());
        let sql = format!(
            "SELECT id, number, title, title_vi, severity, state, verdict, alert_count FROM incidents{}",
            conditions.clause()
        );
        for row in conditions.query(sql).fetch_all(pool).await? {
            let id: String = row.try_get("id")?;
            let verdict: Option<String> = row.try_get("verdict")?;
            let whole = incidents[id.as_str()].0 >= row.try_get::<i64, _>("alert_count")?;
            if whole {
                preview.incidents += 1;
            } else {
                preview.incidents_in_part += 1;
            }
            match verdict.as_deref() {
                Some("true_positive") => preview.true_positives += 1,
                Some(_) => preview.false_positives += 1,
                None => {}
            }
            let number: i64 = row.try_get("number")?;
            let incident = NamedIncident {
                id,
                number,
                title: row.try_get("title")?,
                title_vi: row.try_get("title_vi")?,
                severity: Severity::of_rank(row.try_get("severity")?).name(),
                state: row.try_get("state")?,
                verdict,
                whole,
            };
            named.insert(-number, incident);
            if named.len() > NAMED_MAX {
                named.pop_last();
            }
        }
    }
    preview.items = named.into_values().collect();
    Ok(())
}
