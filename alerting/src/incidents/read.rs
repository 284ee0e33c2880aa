//! Reads incidents, bounded to the units that a person may see.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use sqlx::any::AnyRow;
use sqlx::{AnyPool, Row};

use super::view::{
    AlertView, Entity, EventView, HistoryView, Incident, IncidentDetail, NameValue, RuleView,
    Window, json, rfc3339,
};
use super::{IncidentRow, State};
use crate::accounts::Scope;
use crate::clocks::{self, ClocksConfig, OVERDUE, Report};
use crate::severity::Severity;
use crate::sql::Conditions;

/// Rows of one kind that an incident's page shows at most; the counts tell of the others.
const DETAIL_ROWS_MAX: i64 = 1_000;

/// Which incidents.
#[derive(Clone, Debug, Default)]
pub(crate) struct IncidentFilter {
    /// In one of these states; empty: in any.
    pub(crate) states: Vec<State>,
    /// Of one of these severities; empty: of any.
    pub(crate) severities: Vec<Severity>,
    /// Of one of these units; empty: of any.
    pub(crate) units: Vec<String>,
    /// Of this unit or one below it.
    pub(crate) unit_below: Option<String>,
    /// Assigned to one of these; empty: to any.
    pub(crate) assignees: Vec<String>,
    /// Assigned to nobody, besides.
    pub(crate) unassigned: bool,
    /// Called after one of these rules; empty: after any.
    pub(crate) rules: Vec<String>,
    /// With one of these tactics; 0: with any.
    pub(crate) tactics: i64,
    /// Of this host.
    pub(crate) host: Option<String>,
    /// With this verdict.
    pub(crate) verdict: Option<String>,
    /// Naming this entity: kind and value.
    pub(crate) entity: Option<(String, String)>,
    /// Only those with a clock that ran out and still waits.
    pub(crate) overdue: bool,
    /// Whose last event is not before this.
    pub(crate) from: Option<i64>,
    /// Whose last event is before this.
    pub(crate) to: Option<i64>,
}

/// What the index of hosts holds of them: their names come from logs, and one may be longer than an index takes.
const HOST_BEGINNING: &str = "substr(host, 1, 60)";

fn beginning_of(host: &str) -> String {
    host.chars().take(60).collect()
}

/// A part of a filter that is a facet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    State,
    Severity,
    Unit,
    Assignee,
    Rule,
    Tactic,
}

/// In which order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Order {
    /// The newest first.
    #[default]
    Newest,
    /// The most urgent first, of equal ones the newest.
    Score,
}

/// The conditions of a filter but for one part of it.
pub(super) fn conditions(
    filter: &IncidentFilter,
    scope: &Scope,
    except: Option<Part>,
) -> Conditions {
    let mut conditions = Conditions::default();
    conditions.push("merged_into IS NULL");
    let asks = |part: Part, chosen: bool| chosen && except != Some(part);
    if asks(Part::State, !filter.states.is_empty()) {
        conditions.one_of("state", filter.states.iter().map(|state| state.name()));
    }
    if asks(Part::Severity, !filter.severities.is_empty()) {
        conditions.one_of_numbers(
            "severity",
            filter.severities.iter().map(|severity| severity.rank()),
        );
    }
    if asks(Part::Unit, !filter.units.is_empty()) {
        conditions.one_of("unit", filter.units.iter().map(String::as_str));
    }
    if let Some(root) = &filter.unit_below {
        conditions.subtree("unit", root);
    }
    if asks(
        Part::Assignee,
        filter.unassigned || !filter.assignees.is_empty(),
    ) {
        let names = filter.assignees.iter().map(String::as_str);
        conditions.one_of_or_empty("assignee", names, filter.unassigned);
    }
    if asks(Part::Rule, !filter.rules.is_empty()) {
        conditions.one_of("rule_id", filter.rules.iter().map(String::as_str));
    }
    if asks(Part::Tactic, filter.tactics != 0) {
        conditions.any_bit("tactics", filter.tactics);
    }
    if let Some(verdict) = &filter.verdict {
        conditions.compare("verdict", "=", verdict.clone());
    }
    if let Some(host) = &filter.host {
        conditions.compare(HOST_BEGINNING, "=", beginning_of(host));
        conditions.compare("host", "=", host.clone());
    }
    if let Some((kind, value)) = &filter.entity {
        conditions.entity(kind, value);
    }
    if filter.overdue {
        conditions.push(OVERDUE);
    }
    if let Some(from) = filter.from {
        conditions.compare("last_event_at", ">=", from);
    }
    if let Some(to) = filter.to {
        conditions.compare("last_event_at", "<", to);
    }
    conditions.scope("unit", scope);
    conditions
}

/// The number of incidents.
pub(crate) async fn count(
    pool: &AnyPool,
    filter: &IncidentFilter,
    scope: &Scope,
) -> Result<i64, sqlx::Error> {
    let conditions = conditions(filter, scope, None);
    let sql = format!("SELECT COUNT(*) FROM incidents{}", conditions.clause());
    conditions.query(sql).fetch_one(pool).await?.try_get(0)
}

/// Incidents in an order, `limit` at most: those after the one with score and number `after`.
pub(crate) async fn list(
    pool: &AnyPool,
    clocks: &ClocksConfig,
    filter: &IncidentFilter,
    scope: &Scope,
    (order, after): (Order, Option<[i64; 2]>),
    limit: i64,
) -> Result<Vec<Incident>, sqlx::Error> {
    let mut conditions = conditions(filter, scope, Some(Part::State));
    let by = match order {
        Order::Newest => {
            if let Some([_, number]) = after {
                conditions.compare("number", "<", number);
            }
            "number DESC"
        }
        Order::Score => {
            if let Some(after) = after {
                conditions.below(["score", "number"], after);
            }
            "score DESC, number DESC"
        }
    };
    let clause = conditions.clause();
    let first = format!("ORDER BY {by} LIMIT {limit}");
    // Of one state the first ones are read from an index in their order; of several all would be sorted.
    let wanted: &[State] = match filter.states.as_slice() {
        [] => &State::ALL,
        states => states,
    };
    let states: BTreeSet<&str> = wanted.iter().map(|state| state.name()).collect();
    let each: Vec<String> = states
        .iter()
        .map(|state| {
            format!("SELECT * FROM (SELECT * FROM incidents{clause} AND state = '{state}' {first}) AS of_{state}")
        })
        .collect();
    let sql = format!(
        "SELECT * FROM ({}) AS listed {first}",
        each.join(" UNION ALL ")
    );
    views(
        pool,
        clocks,
        conditions.query_as(sql).fetch_all(pool).await?,
    )
    .await
}

/// Incidents that changed after place `sequence` in the stream of changes, in the order of their last
/// change, each with its place.
pub(crate) async fn changed_after(
    pool: &AnyPool,
    clocks: &ClocksConfig,
    scope: &Scope,
    sequence: i64,
    limit: i64,
) -> Result<Vec<(i64, Incident)>, sqlx::Error> {
    let mut conditions = Conditions::default();
    conditions.compare("change_sequence", ">", sequence);
    conditions.scope("unit", scope);
    // One transaction changes several incidents under one number: never stop in the middle of it.
    let sql = format!(
        "SELECT * FROM incidents{0} AND change_sequence <= COALESCE((SELECT change_sequence FROM \
         incidents{0} ORDER BY change_sequence LIMIT 1 OFFSET {limit}), 9223372036854775807) \
         ORDER BY change_sequence, number",
        conditions.clause()
    );
    let rows: Vec<IncidentRow> = conditions.query_as(sql).fetch_all(pool).await?;
    let sequences: Vec<i64> = rows.iter().map(|row| row.change_sequence).collect();
    Ok(sequences
        .into_iter()
        .zip(views(pool, clocks, rows).await?)
        .collect())
}

/// The incidents of rows, with their entities and clocks.
pub(super) async fn views(
    pool: &AnyPool,
    clocks: &ClocksConfig,
    rows: Vec<IncidentRow>,
) -> Result<Vec<Incident>, sqlx::Error> {
    let mut entities: HashMap<String, Vec<Entity>> = HashMap::new();
    let mut reports: HashMap<String, Vec<Report>> = HashMap::new();
    // SQLite takes 32,766 parameters, and a page is at most 500 rows.
    for page in rows.chunks(500) {
        let mut conditions = Conditions::default();
        conditions.one_of("incident_id", page.iter().map(|row| row.id.as_str()));
        let sql = format!(
            "SELECT incident_id, kind, value FROM incident_entities{} ORDER BY incident_id, kind, value",
            conditions.clause()
        );
        for row in conditions.query(sql).fetch_all(pool).await? {
            let entity = Entity {
                kind: row.try_get("kind")?,
                value: row.try_get("value")?,
            };
            entities
                .entry(row.try_get("incident_id")?)
                .or_default()
                .push(entity);
        }
        let mut conditions = Conditions::default();
        conditions.one_of("incident_id", page.iter().map(|row| row.id.as_str()));
        let sql = format!("SELECT * FROM incident_reports{}", conditions.clause());
        for row in conditions.query(sql).fetch_all(pool).await? {
            let report = Report {
                clock: row.try_get("clock")?,
                reported_at: row.try_get("reported_at")?,
                reference: row.try_get("reference")?,
            };
            reports
                .entry(row.try_get("incident_id")?)
                .or_default()
                .push(report);
        }
    }
    Ok(rows
        .into_iter()
        .map(|row| {
            let entities = entities.remove(&row.id).unwrap_or_default();
            let reports = reports.remove(&row.id).unwrap_or_default();
            let clocks = clocks::clocks(&row, &reports, clocks);
            Incident::new(row, entities, clocks)
        })
        .collect())
}

/// One incident as lists show it, if it exists and the person may see it.
pub(crate) async fn one(
    pool: &AnyPool,
    clocks: &ClocksConfig,
    id: &str,
    scope: &Scope,
) -> Result<Option<Incident>, sqlx::Error> {
    let mut conditions = Conditions::default();
    conditions.compare("id", "=", id.to_owned());
    conditions.scope("unit", scope);
    let sql = format!("SELECT * FROM incidents{}", conditions.clause());
    let rows = conditions.query_as(sql).fetch_all(pool).await?;
    Ok(views(pool, clocks, rows).await?.pop())
}

/// Those of the incidents that the person may see.
pub(crate) async fn visible_ids<'a>(
    pool: &AnyPool,
    ids: impl Iterator<Item = &'a str>,
    scope: &Scope,
) -> Result<HashSet<String>, sqlx::Error> {
    let mut conditions = Conditions::default();
    conditions.one_of("id", ids);
    conditions.scope("unit", scope);
    let sql = format!("SELECT id FROM incidents{}", conditions.clause());
    let rows = conditions.query(sql).fetch_all(pool).await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

/// One incident with all that belongs to it.
pub(crate) async fn detail(
    pool: &AnyPool,
    clocks: &ClocksConfig,
    id: &str,
    scope: &Scope,
) -> Result<Option<IncidentDetail>, sqlx::Error> {
    let Some(incident) = one(pool, clocks, id, scope).await? else {
        return Ok(None);
    };
    Ok(Some(IncidentDetail {
        incident,
        alerts: alerts(pool, id).await?,
        events: events(pool, id).await?,
        rules: rules(pool, id).await?,
        history: history(pool, id).await?,
    }))
}

async fn alerts(pool: &AnyPool, incident_id: &str) -> Result<Vec<AlertView>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT * FROM alerts WHERE incident_id = $1 ORDER BY first_event_at, id LIMIT $2",
    )
    .bind(incident_id)
    .bind(DETAIL_ROWS_MAX)
    .fetch_all(pool)
    .await?;
    rows.iter().map(alert).collect()
}

fn alert(row: &AnyRow) -> Result<AlertView, sqlx::Error> {
    let start: Option<i64> = row.try_get("window_start")?;
    let end: Option<i64> = row.try_get("window_end")?;
    Ok(AlertView {
        id: row.try_get("id")?,
        rule_id: row.try_get("rule_id")?,
        rule_title: row.try_get("rule_title")?,
        severity: Severity::of_rank(row.try_get("severity")?).name(),
        event_time: rfc3339(row.try_get("first_event_at")?),
        last_event_time: rfc3339(row.try_get("last_event_at")?),
        window: start.zip(end).map(|(start, end)| Window {
            start: rfc3339(start),
            end: rfc3339(end),
        }),
        group: json(row.try_get("group_values")?),
        event_count: row.try_get("event_count")?,
    })
}

async fn events(pool: &AnyPool, incident_id: &str) -> Result<Vec<EventView>, sqlx::Error> {
    let mut matched: BTreeMap<String, (Vec<NameValue>, Vec<String>)> = BTreeMap::new();
    let rows = sqlx::query(
        "SELECT event_id, rule_id, matched FROM incident_event_rules WHERE incident_id = $1 \
         ORDER BY event_id, rule_id",
    )
    .bind(incident_id)
    .fetch_all(pool)
    .await?;
    for row in &rows {
        let (fields, rule_ids) = matched.entry(row.try_get("event_id")?).or_default();
        rule_ids.push(row.try_get("rule_id")?);
        for value in json::<Vec<NameValue>>(row.try_get("matched")?) {
            if !fields.contains(&value) {
                fields.push(value);
            }
        }
    }
    let rows = sqlx::query(
        "SELECT * FROM incident_events WHERE incident_id = $1 ORDER BY event_time, event_id LIMIT $2",
    )
    .bind(incident_id)
    .bind(DETAIL_ROWS_MAX)
    .fetch_all(pool)
    .await?;
    rows.iter()
        .map(|row| {
            let id: String = row.try_get("event_id")?;
            let (fields_matched, rule_ids) = matched.remove(&id).unwrap_or_default();
            Ok(EventView {
                id,
                event_time: rfc3339(row.try_get("event_time")?),
                received_at: rfc3339(row.try_get("received_at")?),
                host: row.try_get("host")?,
                unit: row.try_get("unit")?,
                format: row.try_get("format")?,
                raw: row.try_get("raw")?,
                fields: json(row.try_get("fields")?),
                matched: fields_matched,
                rule_ids,
            })
        })
        .collect()
}

async fn rules(pool: &AnyPool, incident_id: &str) -> Result<Vec<RuleView>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT * FROM rules WHERE EXISTS (SELECT 1 FROM alerts WHERE alerts.incident_id = $1 \
         AND alerts.rule_id = rules.id AND alerts.rule_hash = rules.content_hash) ORDER BY title, id",
    )
    .bind(incident_id)
    .fetch_all(pool)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(RuleView {
                id: row.try_get("id")?,
                title: row.try_get("title")?,
                title_vi: row.try_get("title_vi")?,
                level: row.try_get("level")?,
                description: row.try_get("description")?,
                description_vi: row.try_get("description_vi")?,
                tags: json(row.try_get("tags")?),
                text: row.try_get("body")?,
                content_hash: row.try_get("content_hash")?,
                correlation: row.try_get::<i64, _>("correlation")? != 0,
            })
        })
        .collect()
}

async fn history(pool: &AnyPool, incident_id: &str) -> Result<Vec<HistoryView>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT at, who, kind, what, parameters FROM incident_history WHERE incident_id = $1 ORDER BY number LIMIT $2",
    )
    .bind(incident_id)
    .bind(DETAIL_ROWS_MAX)
    .fetch_all(pool)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(HistoryView {
                at: rfc3339(row.try_get("at")?),
                who: row.try_get("who")?,
                kind: row.try_get("kind")?,
                what: row.try_get("what")?,
                parameters: json(row.try_get("parameters")?),
            })
        })
        .collect()
}
