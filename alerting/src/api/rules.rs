//! Rules: those that are loaded and those that raised alerts; how often, how often in vain, and whether they raise any.

use std::collections::HashMap;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::{AnyPool, Row};
use utoipa::ToSchema;

use super::App;
use super::caller::Caller;
use super::explain::{ConditionPart, condition};
use super::incidents::tagged;
use super::problem::{JsonBody, Params, Problem};
use super::reader_clock::ahead_micros;
use super::refusal::{Refusal, Thing};
use super::triage::{check_text, seen_version};
use crate::accounts::Scope;
use crate::clock::DAY_MICROS;
use crate::database::storable;
use crate::incidents::{json as json_column, rfc3339};
use crate::intake::choice::{Choice, Why};
use crate::intake::switches::{UNDECIDED, switches};
use crate::intake::translation::translation_of;
use crate::sql::Conditions;

/// Days that a rule's page shows.
const DAYS: i64 = 30;

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleParams {
    /// Only this rule, with its text.
    id: Option<String>,
}

/// How one rule is shown.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct DetailParams {
    /// How many minutes the reader's clock is ahead of UTC, from -840 to 840; 0 by default. Days begin where its days do.
    utc_offset_minutes: Option<i32>,
}

/// A rule in its newest version, with what became of its alerts in the units that may be seen.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct RuleFigures {
    id: String,
    title: String,
    title_vi: String,
    #[schema(value_type = crate::severity::Severity)]
    level: String,
    /// `stable`, `test`, `experimental`, `deprecated`, `unsupported`; empty where the rule names none.
    status: String,
    description: String,
    description_vi: String,
    tags: Vec<String>,
    correlation: bool,
    content_hash: String,
    /// Whether an engine works with it now.
    loaded: bool,
    /// Whether its matches become alerts.
    alerts_on: bool,
    why: Why,
    /// Versions that raised alerts.
    versions: u64,
    /// Only where one rule is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(flatten)]
    figures: Figures,
    /// Matches that suppressions hid and that are still kept.
    hidden: i64,
    /// Matches that were not shown because the rule is switched off.
    switched_off: i64,
    /// What judging it costs the engine; null where it is none of the dearest, or no engine runs in this process.
    cost: Option<RuleCost>,
}

#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[schema(as = RuleCounts)]
struct Figures {
    /// Incidents that are called after it: it is the most severe of their rules.
    incidents: i64,
    /// Of these, those that wait for somebody.
    open: i64,
    /// Its alerts, in whatever incident.
    alerts: i64,
    /// Events of these.
    events: i64,
    true_positives: i64,
    benign_true_positives: i64,
    false_positives: i64,
    /// Of the incidents that somebody judged, the part judged a false positive, from 0 to 1; null as long as none was.
    /// A benign true positive is one that was judged, and none that was false: the rule was right.
    false_positive_share: Option<f64>,
    last_event_at: Option<String>,
}

/// `GET /api/v1/rules`: those with the most incidents first.
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Params(params): Params<RuleParams>,
) -> Result<Json<Value>, Problem> {
    let wanted = params.id.filter(|id| !id.is_empty());
    let rules = rules(&app, &caller, wanted.as_deref()).await?;
    if wanted.is_some() && rules.is_empty() {
        return Err(Problem::missing(Thing::Rule));
    }
    Ok(Json(json!({ "items": rules })))
}

async fn rules(
    app: &App,
    caller: &Caller,
    wanted: Option<&str>,
) -> Result<Vec<RuleFigures>, Problem> {
    let pool = app.database.pool();
    let mut figures = figures(pool, caller.scope(), wanted).await?;
    let hidden = counts(
        pool,
        caller.scope(),
        wanted,
        "suppressed_matches",
        "COUNT(*)",
    )
    .await?;
    let sum = "CAST(SUM(match_count) AS BIGINT)";
    let switched_off = counts(pool, caller.scope(), wanted, "rule_silence", sum).await?;
    let choice = Choice {
        config: &app.config.alerts,
        switches: switches(pool).await?,
    };
    let mut rules = newest(pool, wanted).await?;
    // A rule that is no longer loaded and of which nothing may be seen is not told: it would tell of other units.
    rules.retain(|rule| {
        rule.loaded || figures.contains_key(&rule.id) || hidden.contains_key(&rule.id)
    });
    let mut costs = HashMap::new();
    read_costs(&app.status.read(), &mut costs);
    for rule in &mut rules {
        rule.cost = costs.remove(&rule.id);
        let decision = choice.decide(&rule.id, &rule.level, || rule.status.clone());
        (rule.alerts_on, rule.why) = (decision.alerts, decision.why);
        rule.figures = figures.remove(&rule.id).unwrap_or_default();
        rule.hidden = hidden.get(&rule.id).copied().unwrap_or(0);
        rule.switched_off = switched_off.get(&rule.id).copied().unwrap_or(0);
    }
    rules.sort_by(|one, other| {
        (other.figures.incidents, &one.title).cmp(&(one.figures.incidents, &other.title))
    });
    Ok(rules)
}

async fn figures(
    pool: &AnyPool,
    scope: &Scope,
    id: Option<&str>,
) -> Result<HashMap<String, Figures>, sqlx::Error> {
    let mut conditions = Conditions::default();
    if let Some(id) = id {
        conditions.compare("rule_id", "=", id.to_owned());
    }
    conditions.scope("unit", scope);
    let sql = format!(
        "SELECT rule_id, COUNT(*) AS alerts, CAST(SUM(event_count) AS BIGINT) AS events, \
         MAX(last_event_at) AS last_event FROM alerts{} GROUP BY rule_id",
        conditions.clause()
    );
    let rows = conditions.query(sql).fetch_all(pool).await?;
    let mut figures = HashMap::with_capacity(rows.len());
    for row in rows {
        let of_alerts = Figures {
            alerts: row.try_get("alerts")?,
            events: row.try_get("events")?,
            last_event_at: Some(rfc3339(row.try_get("last_event")?)),
            ..Figures::default()
        };
        figures.insert(row.try_get("rule_id")?, of_alerts);
    }
    add_incidents(pool, scope, id, &mut figures).await?;
    Ok(figures)
}

/// What became of the incidents that are called after each rule.
async fn add_incidents(
    pool: &AnyPool,
    scope: &Scope,
    id: Option<&str>,
    figures: &mut HashMap<String, Figures>,
) -> Result<(), sqlx::Error> {
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
         'in_progress') THEN 1 ELSE 0 END) AS BIGINT) AS waiting, {}, {}, {} \
         FROM incidents{} GROUP BY rule_id",
        verdict("true_positive"),
        verdict("benign_true_positive"),
        verdict("false_positive"),
        conditions.clause()
    );
    for row in conditions.query(sql).fetch_all(pool).await? {
        let of_rule: &mut Figures = figures.entry(row.try_get("rule_id")?).or_default();
        of_rule.incidents = row.try_get("incidents")?;
        of_rule.open = row.try_get("waiting")?;
        of_rule.true_positives = row.try_get("true_positives")?;
        of_rule.benign_true_positives = row.try_get("benign_true_positives")?;
        of_rule.false_positives = row.try_get("false_positives")?;
        of_rule.set_share();
    }
    Ok(())
}

impl Figures {
    fn set_share(&mut self) {
        let judged = self.true_positives + self.benign_true_positives + self.false_positives;
        if judged > 0 {
            self.false_positive_share = Some(self.false_positives as f64 / judged as f64);
        }
    }
}

/// A count per rule over a table with rule and unit.
async fn counts(
    pool: &AnyPool,
    scope: &Scope,
    id: Option<&str>,
    table: &'static str,
    count: &'static str,
) -> Result<HashMap<String, i64>, sqlx::Error> {
    let mut conditions = Conditions::default();
    if let Some(id) = id {
        conditions.compare("rule_id", "=", id.to_owned());
    }
    conditions.scope("unit", scope);
    let sql = format!(
        "SELECT rule_id, {count} AS counted FROM {table}{} GROUP BY rule_id",
        conditions.clause()
    );
    let rows = conditions.query(sql).fetch_all(pool).await?;
    rows.iter()
        .map(|row| Ok((row.try_get("rule_id")?, row.try_get("counted")?)))
        .collect()
}

/// The newest version of each rule: as it is loaded, else as it raised its last alert.
async fn newest(pool: &AnyPool, id: Option<&str>) -> Result<Vec<RuleFigures>, sqlx::Error> {
    let clause = |conditions: &mut Conditions| {
        if let Some(id) = id {
            conditions.compare("id", "=", id.to_owned());
        }
        conditions.clause()
    };
    let mut rules: HashMap<String, RuleFigures> = HashMap::new();
    for (table, order) in [
        ("rules", "first_seen_at, content_hash"),
        ("rules_loaded", "id"),
    ] {
        let mut conditions = Conditions::default();
        let clause = clause(&mut conditions);
        let sql = format!("SELECT * FROM {table}{clause} ORDER BY {order}");
        for row in conditions.query(sql).fetch_all(pool).await? {
            let loaded = table == "rules_loaded";
            let body: String = row.try_get("body")?;
            let id_of: String = row.try_get("id")?;
            let before = rules.get(&id_of).map_or(0, |before| before.versions);
            let rule = RuleFigures {
                title: row.try_get("title")?,
                title_vi: row.try_get("title_vi")?,
                level: row.try_get("level")?,
                status: translation_of(&body).status,
                description: row.try_get("description")?,
                description_vi: row.try_get("description_vi")?,
                tags: json_column(row.try_get("tags")?),
                correlation: row.try_get::<i64, _>("correlation")? != 0,
                content_hash: row.try_get("content_hash")?,
                loaded,
                alerts_on: false,
                why: Why::Fits,
                versions: before + u64::from(!loaded),
                text: id.map(|_| body),
                figures: Figures::default(),
                hidden: 0,
                switched_off: 0,
                cost: None,
                id: id_of.clone(),
            };
            rules.insert(id_of, rule);
        }
    }
    Ok(rules.into_values().collect())
}

/// A rule, explained.
#[derive(Serialize, ToSchema)]
pub(super) struct RuleDetail {
    #[serde(flatten)]
    rule: RuleFigures,
    /// What it asks, as a tree; null where its text cannot be read.
    condition: Option<ConditionPart>,
    /// The last 30 days, without those on which nothing happened.
    days: Vec<RuleDay>,
    /// What a lead decided; null where nobody did.
    switch: Option<RuleSwitch>,
    /// Goes back as If-Match with a change of the switch.
    version: i64,
}

/// What judging a rule costs, of a sample.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct RuleCost {
    /// Of the time of all rules.
    share: f64,
    /// Since the engine's start.
    seconds: f64,
}

/// Gathers the dearest rules that the system's status names, wherever it does.
fn read_costs(status: &Value, costs: &mut HashMap<String, RuleCost>) {
    match status {
        Value::Object(parts) => {
            if let (Some(id), Some(share), Some(seconds)) = (
                parts.get("rule_id").and_then(Value::as_str),
                parts.get("share").and_then(Value::as_f64),
                parts.get("seconds").and_then(Value::as_f64),
            ) {
                costs.insert(id.to_owned(), RuleCost { share, seconds });
                return;
            }
            parts.values().for_each(|part| read_costs(part, costs));
        }
        Value::Array(parts) => parts.iter().for_each(|part| read_costs(part, costs)),
        _ => {}
    }
}

/// What a rule found on a day.
#[derive(Serialize, ToSchema)]
struct RuleDay {
    /// Where the day begins.
    at: String,
    alerts: i64,
    events: i64,
}

/// What a lead decided about a rule.
#[derive(Serialize, ToSchema)]
struct RuleSwitch {
    /// Null where the decision was taken back.
    alerts: Option<bool>,
    reason: String,
    changed_by: String,
    changed_at: String,
}

/// `GET /api/v1/rules/{id}`
pub(super) async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Params(params): Params<DetailParams>,
) -> Result<Response, Problem> {
    let detail = detail(&app, &caller, &id, &params).await?;
    Ok(tagged(detail.version, Json(detail).into_response()))
}

async fn detail(
    app: &App,
    caller: &Caller,
    id: &str,
    params: &DetailParams,
) -> Result<RuleDetail, Problem> {
    let ahead = ahead_micros(params.utc_offset_minutes)?;
    let pool = app.database.pool();
    let rule = rules(app, caller, Some(id))
        .await?
        .pop()
        .ok_or_else(|| Problem::missing(Thing::Rule))?;
    let row = sqlx::query("SELECT * FROM rule_switches WHERE rule_id = $1")
        .bind(id)
        .fetch_optional(pool)
        .await?;
    let mut version = 0;
    let mut switch = None;
    if let Some(row) = row {
        version = row.try_get("version")?;
        switch = Some(RuleSwitch {
            alerts: match row.try_get("alerts")? {
                UNDECIDED => None,
                alerts => Some(alerts != 0),
            },
            reason: row.try_get("reason")?,
            changed_by: row.try_get("changed_by")?,
            changed_at: rfc3339(row.try_get("changed_at")?),
        });
    }
    Ok(RuleDetail {
        condition: condition(rule.text.as_deref().unwrap_or("")),
        days: days(app, caller.scope(), id, ahead).await?,
        rule,
        switch,
        version,
    })
}

/// By days of a clock that is so many microseconds ahead of UTC.
async fn days(app: &App, scope: &Scope, id: &str, ahead: i64) -> Result<Vec<RuleDay>, sqlx::Error> {
    let since = app.clock.now().as_micros() - DAYS * DAY_MICROS;
    let mut conditions = Conditions::default();
    conditions.compare("rule_id", "=", id.to_owned());
    conditions.compare("first_event_at", ">=", since);
    conditions.scope("unit", scope);
    let sql = format!(
        "SELECT (first_event_at + {ahead}) / {DAY_MICROS} AS day, COUNT(*) AS alerts, \
         CAST(SUM(event_count) AS BIGINT) AS events FROM alerts{} GROUP BY day ORDER BY day",
        conditions.clause()
    );
    let rows = conditions.query(sql).fetch_all(app.database.pool()).await?;
    rows.iter()
        .map(|row| {
            Ok(RuleDay {
                at: rfc3339(row.try_get::<i64, _>("day")? * DAY_MICROS - ahead),
                alerts: row.try_get("alerts")?,
                events: row.try_get("events")?,
            })
        })
        .collect()
}

/// What a lead wants of a rule.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleWish {
    /// Whether its matches become alerts; null leaves it to level and status again.
    #[serde(deserialize_with = "present")]
    #[schema(required = true)]
    alerts: Option<bool>,
    /// Why.
    reason: String,
}

fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    Option::deserialize(deserializer)
}

/// `PATCH /api/v1/rules/{id}` with `If-Match`: holds from the next commit of matches on.
pub(super) async fn change(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Params(params): Params<DetailParams>,
    headers: HeaderMap,
    JsonBody(wish): JsonBody<RuleWish>,
) -> Result<Response, Problem> {
    if *caller.scope() != Scope::City {
        return Err(Problem::of(Refusal::RulesOfWholeCity));
    }
    let seen_version = seen_version(&headers)?;
    check_text("reason", &wish.reason)?;
    let before = detail(&app, &caller, &id, &params).await?;
    if before.version != seen_version {
        return Err(Problem::conflict(before.version));
    }
    let mut write = app.database.write().await?;
    // Without a wish the row stays, so that its version goes on counting.
    let alerts = wish.alerts.map_or(UNDECIDED, i64::from);
    let changed = sqlx::query(
        "INSERT INTO rule_switches (rule_id, alerts, reason, changed_by, changed_at, version) \
         VALUES ($1, $2, $3, $4, $5, 1) ON CONFLICT (rule_id) DO UPDATE SET alerts = $2, reason = $3, \
         changed_by = $4, changed_at = $5, version = rule_switches.version + 1 \
         WHERE rule_switches.version = $6",
    )
    .bind(id.as_str())
    .bind(alerts)
    .bind(storable(wish.reason.trim()).into_owned())
    .bind(caller.name())
    .bind(app.clock.now().as_micros())
    .bind(seen_version)
    .execute(&mut *write)
    .await?
    .rows_affected();
    write.commit().await?;
    let after = detail(&app, &caller, &id, &params).await?;
    if changed == 0 {
        return Err(Problem::conflict(after.version));
    }
    Ok(tagged(after.version, Json(after).into_response()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cost_is_found_wherever_the_status_has_it() {
        let status = json!({"details": {"engine": [{"rules": [
            {"rule_id": "a", "share": 0.5, "seconds": 2.0}, {"rule_id": "b", "share": 0.1, "seconds": 1.0}]}]}});
        let mut costs = HashMap::new();
        read_costs(&status, &mut costs);
        assert_eq!(costs.len(), 2);
        assert_eq!((costs["b"].share, costs["b"].seconds), (0.1, 1.0));
    }
}
