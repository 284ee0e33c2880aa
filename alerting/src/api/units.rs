//! Units: the tree, how each stands, and what changes when offices are renamed, moved or merged.

use std::collections::{BTreeMap, HashSet};

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::Row;
use utoipa::ToSchema;

use super::App;
use super::caller::Caller;
use super::problem::{JsonBody, Problem};
use crate::accounts::{ImportError, Scope, Unit, UnitPast};
use crate::incidents::rfc3339;
use crate::severity::Severity;
use crate::sql::Conditions;

/// `GET /api/v1/units`
pub(super) async fn list(State(app): State<App>, caller: Caller) -> Result<Json<Value>, Problem> {
    let items = app.units.list(caller.scope()).await?;
    Ok(Json(json!({ "items": items })))
}

#[derive(Serialize, ToSchema)]
pub(super) struct Imported {
    /// Units that were added, renamed or moved.
    changed: usize,
}

fn whole_city(caller: &Caller) -> Result<(), Problem> {
    if *caller.scope() == Scope::City {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::FORBIDDEN,
        "Only who sees the whole city changes its tree of units.",
    ))
}

/// `PUT /api/v1/units`: CSV with the columns id, name and parent.
pub(super) async fn import(
    State(app): State<App>,
    caller: Caller,
    csv: String,
) -> Result<Json<Imported>, Problem> {
    whole_city(&caller)?;
    let changed = app
        .units
        .import(&csv)
        .await
        .map_err(|error| refused("body", error))?;
    Ok(Json(Imported { changed }))
}

fn refused(field: &str, error: ImportError) -> Problem {
    match error {
        ImportError::Database(error) => error.into(),
        error => Problem::field(field, error.to_string()),
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

/// `PATCH /api/v1/units/{id}`: renames or moves one. What it was called and where it was stays known.
pub(super) async fn change(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    JsonBody(wish): JsonBody<UnitWish>,
) -> Result<Json<Unit>, Problem> {
    whole_city(&caller)?;
    let unit = known(&app, &caller, &id).await?;
    let name = wish.name.map_or(unit.name, |name| name.trim().to_owned());
    if name.is_empty() || name.len() > 300 {
        return Err(Problem::field("name", "must be 1 to 300 bytes"));
    }
    let parent = wish.parent.unwrap_or(unit.parent);
    let wanted = Unit {
        id: id.clone(),
        name,
        parent,
    };
    app.units
        .change(vec![wanted])
        .await
        .map_err(|error| refused("parent", error))?;
    Ok(Json(known(&app, &caller, &id).await?))
}

/// Which unit takes another in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UnitMerge {
    /// The id of the unit that takes it in.
    into: String,
}

/// `POST /api/v1/units/{id}/merge`: it goes below the unit that takes it in, and so do those below it. Its events keep
/// its id; who sees the other unit sees them.
pub(super) async fn merge(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    JsonBody(merge): JsonBody<UnitMerge>,
) -> Result<Json<Unit>, Problem> {
    whole_city(&caller)?;
    let unit = known(&app, &caller, &id).await?;
    if merge.into == id {
        return Err(Problem::field("into", "is the unit itself"));
    }
    let all = app.units.list(&Scope::City).await?;
    if !all.iter().any(|other| other.id == merge.into) {
        return Err(Problem::field("into", "there is no such unit"));
    }
    let mut wanted = vec![Unit {
        parent: merge.into.clone(),
        ..unit
    }];
    wanted.extend(
        all.into_iter()
            .filter(|below| below.parent == id && below.id != merge.into)
            .map(|below| Unit {
                parent: merge.into.clone(),
                ..below
            }),
    );
    app.units
        .change(wanted)
        .await
        .map_err(|error| refused("into", error))?;
    Ok(Json(known(&app, &caller, &id).await?))
}

async fn known(app: &App, caller: &Caller, id: &str) -> Result<Unit, Problem> {
    app.units
        .one(id, caller.scope())
        .await?
        .ok_or_else(|| Problem::missing("unit"))
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

/// The agents of a unit and those below it; none where the event store does not answer: the rest of the page does.
async fn agents(app: &App, id: &str) -> Result<Option<Vec<AgentPosture>>, Problem> {
    let Some(store) = &app.store else {
        return Ok(None);
    };
    let now = app.clock.now();
    let heard = match store.agents_heard(now).await {
        Ok(heard) => heard,
        Err(error) => {
            tracing::warn!(%error, "the agents of a unit could not be read");
            return Ok(None);
        }
    };
    let below: Vec<String> =
        sqlx::query_scalar("SELECT unit FROM unit_ancestors WHERE ancestor = $1")
            .bind(id)
            .fetch_all(app.database.pool())
            .await?;
    let within: HashSet<&str> = below.iter().map(String::as_str).chain([id]).collect();
    let mut agents: Vec<AgentPosture> = heard
        .into_iter()
        .filter(|heard| within.contains(heard.unit.as_str()))
        .map(|heard| AgentPosture {
            silent: now.as_micros() - heard.heard_at > SILENT_MICROS,
            unit: heard.unit,
            agent: heard.agent,
            last_heard_at: rfc3339(heard.heard_at),
        })
        .collect();
    // Those that were silent for longest first.
    agents.sort_by(|one, other| one.last_heard_at.cmp(&other.last_heard_at));
    Ok(Some(agents))
}
