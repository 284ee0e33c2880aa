//! Incidents: the list, and one of them.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use super::App;
use super::caller::Caller;
use super::problem::{Params, Problem};
use crate::incidents::{self, IncidentFilter, State as IncidentState};
use crate::severity::Severity;

const LIMIT_DEFAULT: u32 = 50;
const LIMIT_MAX: u32 = 500;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListParams {
    limit: Option<u32>,
    cursor: Option<String>,
    /// Names joined by commas.
    state: Option<String>,
    /// Names joined by commas.
    severity: Option<String>,
    assignee: Option<String>,
    verdict: Option<String>,
    unit: Option<String>,
    host: Option<String>,
    rule_id: Option<String>,
    /// `kind:value`.
    entity: Option<String>,
    /// `true`: only those with a clock that ran out and still waits.
    overdue: Option<bool>,
}

/// `GET /api/v1/incidents`: newest first. The cursor is the number of the last incident of a page, so
/// pages stand still while new incidents come in at the top.
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Params(params): Params<ListParams>,
) -> Result<Response, Problem> {
    let limit = params.limit.unwrap_or(LIMIT_DEFAULT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Problem::field(
            "limit",
            format!("must be from 1 to {LIMIT_MAX}"),
        ));
    }
    let before = params
        .cursor
        .as_deref()
        .filter(|cursor| !cursor.is_empty())
        .map(|cursor| {
            cursor.parse().map_err(|_| {
                Problem::field("cursor", "use next_cursor of an earlier answer as it is")
            })
        });
    let before: Option<i64> = before.transpose()?;
    let filter = filter(params)?;
    let pool = app.database.pool();
    // Read before the rows: a stream that goes on from here misses nothing.
    let change = crate::changes::latest(&app.database).await?;
    let mut items = incidents::list(
        pool,
        &app.config.clocks,
        &filter,
        caller.scope(),
        before,
        i64::from(limit) + 1,
    )
    .await?;
    let total = incidents::count(pool, &filter, caller.scope()).await?;
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let next_cursor = items
        .last()
        .filter(|_| more)
        .map(|last| last.number.to_string());
    Ok(Json(
        json!({ "items": items, "next_cursor": next_cursor, "total": total, "change": change }),
    )
    .into_response())
}

fn filter(params: ListParams) -> Result<IncidentFilter, Problem> {
    let mut filter = IncidentFilter::default();
    for name in names(params.state.as_deref()) {
        // Those that wait for somebody.
        if name == "open" {
            filter.states.extend([
                IncidentState::New,
                IncidentState::Acknowledged,
                IncidentState::InProgress,
            ]);
        } else {
            filter.states.push(state(name)?);
        }
    }
    for name in names(params.severity.as_deref()) {
        let severity = name.parse::<Severity>();
        filter
            .severities
            .push(severity.map_err(|error| Problem::field("severity", error.to_string()))?);
    }
    if let Some(entity) = params.entity.filter(|entity| !entity.is_empty()) {
        let (kind, value) = entity
            .split_once(':')
            .ok_or_else(|| Problem::field("entity", "write it like address:203.0.113.7"))?;
        filter.entity = Some((kind.to_owned(), value.to_owned()));
    }
    filter.overdue = params.overdue.unwrap_or(false);
    let equal = [
        ("assignee", params.assignee),
        ("verdict", params.verdict),
        ("unit", params.unit),
        ("host", params.host),
        ("rule_id", params.rule_id),
    ];
    filter.equal = equal
        .into_iter()
        .filter_map(|(column, value)| Some((column, value?)))
        .collect();
    Ok(filter)
}

fn names(list: Option<&str>) -> impl Iterator<Item = &str> {
    list.unwrap_or("")
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
}

/// The state of that name.
pub(super) fn state(name: &str) -> Result<IncidentState, Problem> {
    IncidentState::of_name(name).ok_or_else(|| {
        let known: Vec<_> = IncidentState::ALL
            .iter()
            .map(|state| state.name())
            .collect();
        Problem::field(
            "state",
            format!("unknown state {name:?}; one of {}", known.join(", ")),
        )
    })
}

/// `GET /api/v1/incidents/{id}`
pub(super) async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let detail = incidents::detail(app.database.pool(), &app.config.clocks, &id, caller.scope())
        .await?
        .ok_or_else(|| Problem::missing("incident"))?;
    Ok(tagged(
        detail.incident.version,
        Json(detail).into_response(),
    ))
}

/// `GET /api/v1/incidents/{id}/similar`
pub(super) async fn similar(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let pool = app.database.pool();
    let incident = visible(&app, &caller, &id).await?;
    let items = incidents::similar(pool, &app.config.clocks, &incident, caller.scope()).await?;
    Ok(Json(json!({ "items": items })).into_response())
}

/// The incident, if it exists and the caller may see it.
pub(super) async fn visible(
    app: &App,
    caller: &Caller,
    id: &str,
) -> Result<incidents::Incident, Problem> {
    incidents::one(app.database.pool(), &app.config.clocks, id, caller.scope())
        .await?
        .ok_or_else(|| Problem::missing("incident"))
}

/// Adds the version, to be sent back in `If-Match`.
pub(super) fn tagged(version: i64, mut response: Response) -> Response {
    let tag = HeaderValue::try_from(format!("\"{version}\"")).expect("a number is plain ASCII");
    response.headers_mut().insert(header::ETAG, tag);
    response
}
