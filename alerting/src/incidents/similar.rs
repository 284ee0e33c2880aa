//! Incidents like this one, and what was decided about them.

use std::collections::HashSet;

use serde::Serialize;
use sqlx::AnyPool;

use super::IncidentRow;
use super::read::views;
use super::view::Incident;
use crate::accounts::Scope;
use crate::clocks::ClocksConfig;
use crate::sql::Conditions;

/// Incidents that are compared: the newest of the same rule, and as many that share an entity.
const COMPARED_MAX: usize = 200;
/// Incidents that are told.
const TOLD_MAX: usize = 10;

/// An incident that resembles another.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = SimilarIncident)]
pub(crate) struct Similar {
    #[serde(flatten)]
    incident: Incident,
    /// Whether the same rule opened it.
    same_rule: bool,
    /// Entities that both name.
    shared_entities: usize,
}

/// The incidents most like `incident`: the same rule counts as three shared entities, and so does that
/// somebody judged it; of equal ones the newest first.
pub(crate) async fn similar(
    pool: &AnyPool,
    clocks: &ClocksConfig,
    incident: &Incident,
    scope: &Scope,
) -> Result<Vec<Similar>, sqlx::Error> {
    let mut rows = same_rule(pool, incident, scope).await?;
    let known: HashSet<String> = rows.iter().map(|row| row.id.clone()).collect();
    let sharing = sharing_entities(pool, incident, scope).await?;
    rows.extend(sharing.into_iter().filter(|row| !known.contains(&row.id)));
    let mut found: Vec<Similar> = views(pool, clocks, rows)
        .await?
        .into_iter()
        .map(|other| Similar {
            same_rule: other.rule.id == incident.rule.id,
            shared_entities: other
                .entities
                .iter()
                .filter(|entity| incident.entities.contains(entity))
                .count(),
            incident: other,
        })
        .collect();
    found.sort_by_key(|similar| {
        let likeness = similar.shared_entities
            + 3 * usize::from(similar.same_rule)
            + 3 * usize::from(similar.incident.verdict.is_some());
        (std::cmp::Reverse(likeness), -similar.incident.number)
    });
    found.truncate(TOLD_MAX);
    Ok(found)
}

async fn same_rule(
    pool: &AnyPool,
    incident: &Incident,
    scope: &Scope,
) -> Result<Vec<IncidentRow>, sqlx::Error> {
    let mut conditions = Conditions::default();
    conditions.push("merged_into IS NULL");
    conditions.compare("rule_id", "=", incident.rule.id.clone());
    conditions.compare("id", "<>", incident.id.clone());
    conditions.scope("unit", scope);
    let sql = format!(
        "SELECT * FROM incidents{} ORDER BY number DESC LIMIT {COMPARED_MAX}",
        conditions.clause()
    );
    conditions.query_as(sql).fetch_all(pool).await
}

async fn sharing_entities(
    pool: &AnyPool,
    incident: &Incident,
    scope: &Scope,
) -> Result<Vec<IncidentRow>, sqlx::Error> {
    let mut conditions = Conditions::default();
    conditions.push("merged_into IS NULL");
    conditions.compare("id", "<>", incident.id.clone());
    // Bounded inside: a user like root may be named by each incident there is.
    conditions.within(
        "id",
        "SELECT other.incident_id FROM incident_entities AS own JOIN incident_entities AS other \
         ON other.kind = own.kind AND other.value = own.value WHERE own.incident_id =",
        incident.id.clone(),
        "LIMIT 500",
    );
    conditions.scope("unit", scope);
    let sql = format!(
        "SELECT * FROM incidents{} ORDER BY number DESC LIMIT {COMPARED_MAX}",
        conditions.clause()
    );
    conditions.query_as(sql).fetch_all(pool).await
}
