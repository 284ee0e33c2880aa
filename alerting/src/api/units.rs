//! Units: the tree, how each stands, and what changes when offices are renamed, moved or merged.

use std::collections::{BTreeMap, HashSet};

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::Row;
use utoipa::ToSchema;

use super::App;
use super::caller::Caller;
use super::field_fault::FieldFault;
use super::incidents::tagged;
use super::problem::{JsonBody, Problem};
use super::refusal::{Refusal, Thing};
use super::triage::seen_version;
use crate::accounts::{Imported, Scope, TreeError, Unit, UnitPast};
use crate::incidents::rfc3339;
use crate::severity::Severity;
use crate::sql::Conditions;

/// `GET /api/v1/units`
pub(super) async fn list(State(app): State<App>, caller: Caller) -> Result<Json<Value>, Problem> {
    let items = app.units.list(caller.scope()).await?;
    Ok(Json(json!({ "items": items })))
}

fn whole_city(caller: &Caller) -> Result<(), Problem> {
    if *caller.scope() == Scope::City {
        return Ok(());
    }
    Err(Problem::of(Refusal::TreeOfWholeCity))
}

/// `PUT /api/v1/units`: CSV with the columns id, name and parent. A unit that was merged away stays where it is.
pub(super) async fn import(
    State(app): State<App>,
    caller: Caller,
    csv: Bytes,
) -> Result<Json<Imported>, Problem> {
    whole_city(&caller)?;
    let csv = std::str::from_utf8(&csv).map_err(|error| {
        let line = csv[..error.valid_up_to()]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        let error = format!(
            "line {}: this is not UTF-8; save the file as \"CSV UTF-8\", then try again",
            line + 1
        );
        Problem::of(Refusal::Unreadable { error })
    })?;
    let imported = app.units.import(csv).await;
    Ok(Json(imported.map_err(|error| refused("body", error))?))
}

fn refused(field: &str, error: TreeError) -> Problem {
    match error {
        TreeError::Database(error) => error.into(),
        TreeError::Missing => Problem::missing(Thing::Unit),
        TreeError::Conflict { current } => Problem::conflict(current),
        TreeError::Line { line, fault } => Problem::field(field, FieldFault::Line { line, fault }),
        TreeError::Loop { unit } => Problem::field(field, FieldFault::UnitLoop { unit }),
        TreeError::UnknownParent { unit, parent } => {
            Problem::field(field, FieldFault::UnknownParent { unit, parent })
        }
    }
}

/// What to change about a unit; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UnitWish {
    name: Option<String>,
    /// The unit above it; empty at the top.
    parent: Option<String>,
}

/// `PATCH /api/v1/units/{id}` with `If-Match`: renames or moves one. What it was called and where it was stays known.
pub(super) async fn change(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    JsonBody(wish): JsonBody<UnitWish>,
) -> Result<Response, Problem> {
    whole_city(&caller)?;
    let seen_version = seen_version(&headers)?;
    let name = wish.name.map(|name| name.trim().to_owned());
    if name
        .as_ref()
        .is_some_and(|name| name.is_empty() || name.len() > 300)
    {
        return Err(Problem::field(
            "name",
            FieldFault::Length {
                bytes_min: 1,
                bytes_max: 300,
            },
        ));
    }
    app.units
        .edit(&id, seen_version, name, wish.parent)
        .await
        .map_err(|error| refused("parent", error))?;
    answer(&app, &caller, &id).await
}

/// Which unit takes another in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UnitMerge {
    /// The id of the unit that takes it in.
    into: String,
}

/// `POST /api/v1/units/{id}/merge` with `If-Match`: it goes below the unit that takes it in, and so do those below it. Its
/// events keep its id; who sees the other unit sees them.
pub(super) async fn merge(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    JsonBody(merge): JsonBody<UnitMerge>,
) -> Result<Response, Problem> {
    whole_city(&caller)?;
    let seen_version = seen_version(&headers)?;
    if merge.into == id {
        return Err(Problem::field("into", FieldFault::Itself));
    }
    if app.units.one(&merge.into, &Scope::City).await?.is_none() {
        return Err(Problem::field("into", FieldFault::NoSuchUnit));
    }
    app.units
        .merge(&id, seen_version, &merge.into)
        .await
        .map_err(|error| refused("into", error))?;
    answer(&app, &caller, &id).await
}

/// The unit as it is now, with its version.
async fn answer(app: &App, caller: &Caller, id: &str) -> Result<Response, Problem> {
    let unit = known(app, caller, id).await?;
    Ok(tagged(unit.version, Json(unit).into_response()))
}

async fn known(app: &App, caller: &Caller, id: &str) -> Result<Unit, Problem> {
    app.units
        .one(id, caller.scope())
        .await?
        .ok_or_else(|| Problem::missing(Thing::Unit))
}

/// How a unit stands, with those below it.
#[derive(Serialize, ToSchema)]
pub(super) struct Posture {
    unit: Unit,
    /// What it was called before and where it was, the latest first.
    past: Vec<UnitPast>,
    /// Open incidents by severity.
    open: BTreeMap<String, i64>,
    /// Open incidents that nobody is assigned to.
    unassigned: i64,
    /// Incidents of the last 30 days.
    incidents: i64,
    /// When its last incident's last event happened; null where there was none.
    last_incident_at: Option<String>,
    /// When an agent there was heard last; null where none was or there is no event store.
    last_heard_at: Option<String>,
    /// Its agents; null where there is no event store.
    agents: Option<Vec<AgentPosture>>,
}

/// An agent of a unit.
#[derive(Serialize, ToSchema)]
struct AgentPosture {
    unit: String,
    agent: String,
    last_heard_at: String,
    /// Not heard for an hour.
    silent: bool,
}

/// An agent that is not heard for so long is told as silent.
const SILENT_MICROS: i64 = crate::clock::HOUR_MICROS;

/// `GET /api/v1/units/{id}/posture`
pub(super) async fn posture(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Posture>, Problem> {
    let unit = known(&app, &caller, &id).await?;
    let pool = app.database.pool();
    let within = || {
        let mut conditions = Conditions::default();
        conditions.push("merged_into IS NULL");
        conditions.subtree("unit", &id);
        conditions.scope("unit", caller.scope());
        conditions
    };
    let mut conditions = within();
    conditions.push("state IN ('new', 'acknowledged', 'in_progress')");
    let sql = format!(
        "SELECT severity, COUNT(*) AS n, CAST(SUM(CASE WHEN assignee IS NULL THEN 1 ELSE 0 END) AS BIGINT) \
         AS unassigned FROM incidents{} GROUP BY severity",
        conditions.clause()
    );
    let mut open: BTreeMap<String, i64> = Severity::ALL
        .iter()
        .map(|severity| (severity.name().to_owned(), 0))
        .collect();
    let mut unassigned = 0;
    for row in conditions.query(sql).fetch_all(pool).await? {
        let severity = Severity::of_rank(row.try_get("severity")?);
        open.insert(severity.name().to_owned(), row.try_get("n")?);
        unassigned += row.try_get::<i64, _>("unassigned")?;
    }
    let mut conditions = within();
    let since = app.clock.now().as_micros() - 30 * crate::clock::DAY_MICROS;
    conditions.compare("last_event_at", ">=", since);
    let sql = format!(
        "SELECT COUNT(*) AS n, MAX(last_event_at) AS last FROM incidents{}",
        conditions.clause()
    );
    let row = conditions.query(sql).fetch_one(pool).await?;
    let last: Option<i64> = row.try_get("last")?;
    let agents = agents(&app, &id).await?;
    let last_heard_at = agents
        .iter()
        .flatten()
        .map(|agent| agent.last_heard_at.clone())
        .max();
    Ok(Json(Posture {
        past: app.units.past(&id).await?,
        unit,
        open,
        unassigned,
        incidents: row.try_get("n")?,
        last_incident_at: last.map(rfc3339),
        last_heard_at,
        agents,
    }))
}

/// How a unit stands within the tree, with those below it.
#[derive(Serialize, ToSchema)]
pub(super) struct UnitStanding {
    id: String,
    /// Open incidents by severity; those without any are left out.
    open: BTreeMap<String, i64>,
    /// Its agents that were ever heard; null where there is no event store, or it does not answer.
    agents: Option<i64>,
    /// Those that were not heard for an hour.
    silent: Option<i64>,
    /// When the one that was silent for longest was heard last.
    silent_since: Option<String>,
}

/// `GET /api/v1/postures`: the whole tree at once, units about which there is nothing to tell left out.
pub(super) async fn postures(
    State(app): State<App>,
    caller: Caller,
) -> Result<Json<Value>, Problem> {
    let pool = app.database.pool();
    let mut standings: BTreeMap<String, UnitStanding> = app
        .units
        .list(caller.scope())
        .await?
        .into_iter()
        .map(|unit| (unit.id.clone(), UnitStanding::of(unit.id)))
        .collect();
    let above = app.units.above().await?;
    let mut conditions = Conditions::default();
    conditions.push("merged_into IS NULL");
    conditions.push("state IN ('new', 'acknowledged', 'in_progress')");
    conditions.scope("unit", caller.scope());
    let sql = format!(
        "SELECT unit, severity, COUNT(*) AS n FROM incidents{} GROUP BY unit, severity",
        conditions.clause()
    );
    for row in conditions.query(sql).fetch_all(pool).await? {
        let (unit, n): (String, i64) = (row.try_get("unit")?, row.try_get("n")?);
        let severity = Severity::of_rank(row.try_get("severity")?);
        for id in above.get(&unit).into_iter().flatten() {
            if let Some(standing) = standings.get_mut(id) {
                *standing.open.entry(severity.name().to_owned()).or_default() += n;
            }
        }
    }
    if let Some(heard) = heard(&app).await {
        for standing in standings.values_mut() {
            (standing.agents, standing.silent) = (Some(0), Some(0));
        }
        for agent in heard {
            for id in above.get(&agent.unit).into_iter().flatten() {
                if let Some(standing) = standings.get_mut(id) {
                    standing.hear(&agent);
                }
            }
        }
    }
    let items: Vec<UnitStanding> = standings
        .into_values()
        .filter(|standing| !standing.open.is_empty() || standing.agents.is_some_and(|n| n > 0))
        .collect();
    Ok(Json(json!({ "items": items })))
}

impl UnitStanding {
    fn of(id: String) -> Self {
        Self {
            id,
            open: BTreeMap::new(),
            agents: None,
            silent: None,
            silent_since: None,
        }
    }

    fn hear(&mut self, agent: &AgentPosture) {
        *self.agents.get_or_insert(0) += 1;
        if !agent.silent {
            return;
        }
        *self.silent.get_or_insert(0) += 1;
        // They come with those that were silent for longest first.
        self.silent_since
            .get_or_insert_with(|| agent.last_heard_at.clone());
    }
}

/// The agents of a unit and those below it; none where the event store does not answer: the rest of the page does.
async fn agents(app: &App, id: &str) -> Result<Option<Vec<AgentPosture>>, Problem> {
    let Some(mut agents) = heard(app).await else {
        return Ok(None);
    };
    let below: Vec<String> =
        sqlx::query_scalar("SELECT unit FROM unit_ancestors WHERE ancestor = $1")
            .bind(id)
            .fetch_all(app.database.pool())
            .await?;
    let within: HashSet<&str> = below.iter().map(String::as_str).chain([id]).collect();
    agents.retain(|agent| within.contains(agent.unit.as_str()));
    Ok(Some(agents))
}

/// All agents that were ever heard, those that were silent for longest first; none where there is no event store, or it
/// does not answer.
async fn heard(app: &App) -> Option<Vec<AgentPosture>> {
    let store = app.store.as_ref()?;
    let now = app.clock.now();
    let heard = match store.agents_heard(now).await {
        Ok(heard) => heard,
        Err(error) => {
            tracing::warn!(%error, "the agents of units could not be read");
            return None;
        }
    };
    let mut agents: Vec<AgentPosture> = heard
        .into_iter()
        .map(|heard| AgentPosture {
            silent: now.as_micros() - heard.heard_at > SILENT_MICROS,
            unit: heard.unit,
            agent: heard.agent,
            last_heard_at: rfc3339(heard.heard_at),
        })
        .collect();
    agents.sort_by(|one, other| one.last_heard_at.cmp(&other.last_heard_at));
    Some(agents)
}
