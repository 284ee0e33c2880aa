//! Rules that raised alerts: how often, and how often in vain.

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::{AnyPool, Row};

use super::App;
use super::caller::Caller;
use super::problem::{Params, Problem};
use crate::accounts::Scope;
use crate::incidents::{json as json_column, rfc3339};
use crate::sql::Conditions;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleParams {
    /// Only this rule, with its text.
    id: Option<String>,
}

/// A rule in its newest version, with what became of its alerts in the units that may be seen.
#[derive(Clone, Debug, Serialize)]
struct RuleFigures {
    id: String,
    title: String,
    title_vi: String,
    level: String,
    description: String,
    description_vi: String,
    tags: Value,
    correlation: bool,
    content_hash: String,
    /// Versions that raised alerts.
    versions: u64,
    /// Only where one rule is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(flatten)]
    figures: Figures,
    /// Matches that suppressions hid and that are still kept.
    hidden: i64,
}

#[derive(Clone, Debug, Default, Serialize)]
struct Figures {
    incidents: i64,
    /// Of these, those that wait for somebody.
    open: i64,
    alerts: i64,
    events: i64,
    true_positives: i64,
    benign_true_positives: i64,
    false_positives: i64,
    last_event_at: Option<String>,
}

/// `GET /api/v1/rules`: those with the most incidents first.
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Params(params): Params<RuleParams>,
) -> Result<Json<Value>, Problem> {
    let pool = app.database.pool();
    let wanted = params.id.filter(|id| !id.is_empty());
    let mut figures = figures(pool, caller.scope(), wanted.as_deref()).await?;
    let hidden = hidden(pool, caller.scope(), wanted.as_deref()).await?;
    let mut rules = newest(pool, wanted.as_deref()).await?;
    // A rule of which nothing may be seen is not told: it would tell of other units.
    rules.retain(|rule| figures.contains_key(&rule.id) || hidden.contains_key(&rule.id));
    for rule in &mut rules {
        rule.figures = figures.remove(&rule.id).unwrap_or_default();
        rule.hidden = hidden.get(&rule.id).copied().unwrap_or(0);
    }
    if wanted.is_some() && rules.is_empty() {
        return Err(Problem::missing("rule"));
    }
    rules.sort_by(|one, other| {
        (other.figures.incidents, &one.title).cmp(&(one.figures.incidents, &other.title))
    });
    Ok(Json(json!({ "items": rules })))
}

async fn figures(
    pool: &AnyPool,
    scope: &Scope,
    id: Option<&str>,
) -> Result<HashMap<String, Figures>, sqlx::Error> {
    let mut conditions = Conditions::default();
    conditions.push("merged_into IS NULL");
    if let Some(id) = id {
        conditions.compare("rule_id", "=", id.to_owned());
    }
    conditions.scope("unit", scope);
    let verdict = |name: &str| {
        format!("CAST(SUM(CASE WHEN verdict = '{name}' THEN 1 ELSE 0 END) AS BIGINT) AS {name}s")
    };
    let sql = format!(
        "SELECT rule_id, COUNT(*) AS incidents, CAST(SUM(CASE WHEN state IN ('new', 'acknowledged', \
         'in_progress') THEN 1 ELSE 0 END) AS BIGINT) AS waiting, CAST(SUM(alert_count) AS BIGINT) AS alerts, \
         CAST(SUM(event_count) AS BIGINT) AS events, {}, {}, {}, MAX(last_event_at) AS last_event \
         FROM incidents{} GROUP BY rule_id",
        verdict("true_positive"),
        verdict("benign_true_positive"),
        verdict("false_positive"),
        conditions.clause()
    );
    let rows = conditions.query(sql).fetch_all(pool).await?;
    rows.iter()
        .map(|row| {
            let figures = Figures {
                incidents: row.try_get("incidents")?,
                open: row.try_get("waiting")?,
                alerts: row.try_get("alerts")?,
                events: row.try_get("events")?,
                true_positives: row.try_get("true_positives")?,
                benign_true_positives: row.try_get("benign_true_positives")?,
                false_positives: row.try_get("false_positives")?,
                last_event_at: Some(rfc3339(row.try_get("last_event")?)),
            };
            Ok((row.try_get("rule_id")?, figures))
        })
        .collect()
}

async fn hidden(
    pool: &AnyPool,
    scope: &Scope,
    id: Option<&str>,
) -> Result<HashMap<String, i64>, sqlx::Error> {
    let mut conditions = Conditions::default();
    if let Some(id) = id {
        conditions.compare("rule_id", "=", id.to_owned());
    }
    conditions.scope("unit", scope);
    let sql = format!(
        "SELECT rule_id, COUNT(*) AS hidden FROM suppressed_matches{} GROUP BY rule_id",
        conditions.clause()
    );
    let rows = conditions.query(sql).fetch_all(pool).await?;
    rows.iter()
        .map(|row| Ok((row.try_get("rule_id")?, row.try_get("hidden")?)))
        .collect()
}

/// The newest version of each rule.
async fn newest(pool: &AnyPool, id: Option<&str>) -> Result<Vec<RuleFigures>, sqlx::Error> {
    let mut conditions = Conditions::default();
    if let Some(id) = id {
        conditions.compare("id", "=", id.to_owned());
    }
    let sql = format!(
        "SELECT * FROM rules{} ORDER BY first_seen_at, content_hash",
        conditions.clause()
    );
    let mut rules: HashMap<String, RuleFigures> = HashMap::new();
    for row in conditions.query(sql).fetch_all(pool).await? {
        let rule = RuleFigures {
            id: row.try_get("id")?,
            title: row.try_get("title")?,
            title_vi: row.try_get("title_vi")?,
            level: row.try_get("level")?,
            description: row.try_get("description")?,
            description_vi: row.try_get("description_vi")?,
            tags: json_column(row.try_get("tags")?),
            correlation: row.try_get::<i64, _>("correlation")? != 0,
            content_hash: row.try_get("content_hash")?,
            versions: 1,
            text: id.map(|_| row.try_get("body")).transpose()?,
            figures: Figures::default(),
            hidden: 0,
        };
        let before = rules.get(&rule.id).map_or(0, |before| before.versions);
        let versions = before + 1;
        rules.insert(rule.id.clone(), RuleFigures { versions, ..rule });
    }
    Ok(rules.into_values().collect())
}
