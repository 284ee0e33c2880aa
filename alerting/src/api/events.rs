//! Search over stored events, and one of them.

use std::net::Ipv6Addr;
use std::str::FromStr;
use std::time::Instant;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use citywatch_engine::EventId;
use citywatch_engine::store::{EventCursor, EventQuery, EventSummary, Store, StoreError};
use citywatch_parsers::{Timestamp, UnitId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::App;
use super::caller::Caller;
use super::problem::{Params, Problem};
use crate::accounts::Scope;

const LIMIT_DEFAULT: u32 = 100;
const LIMIT_MAX: u32 = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SearchParams {
    from: Option<String>,
    to: Option<String>,
    q: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
}

/// `GET /api/v1/events`
pub(super) async fn search(
    State(app): State<App>,
    caller: Caller,
    Params(params): Params<SearchParams>,
) -> Result<Json<Value>, Problem> {
    let limit = params.limit.unwrap_or(LIMIT_DEFAULT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Problem::field(
            "limit",
            format!("must be from 1 to {LIMIT_MAX}"),
        ));
    }
    let cursor = params.cursor.filter(|cursor| !cursor.is_empty());
    let cursor =
        cursor.map(|cursor| EventCursor::from_str(&cursor).map_err(|error| store_problem(&error)));
    let query = EventQuery {
        from: time("from", params.from)?,
        to: time("to", params.to)?,
        text: params.q.unwrap_or_default(),
        units: visible_units(&app, caller.scope()).await?,
        limit,
        cursor: cursor.transpose()?,
    };
    let started = Instant::now();
    let items = store(&app)?
        .search(&query)
        .await
        .map_err(|error| store_problem(&error))?;
    let elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let last = items.last().filter(|_| items.len() >= limit as usize);
    let next_cursor = last.map(|last| {
        EventCursor {
            event_time: last.event_time,
            id: last.id,
        }
        .to_string()
    });
    let items: Vec<Value> = items.iter().map(summary).collect();
    Ok(Json(
        json!({ "items": items, "next_cursor": next_cursor, "elapsed_ms": elapsed_ms }),
    ))
}

/// `GET /api/v1/events/{id}`
pub(super) async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let id: EventId = id.parse().map_err(|_| Problem::missing("event"))?;
    let event = store(&app)?
        .event(id)
        .await
        .map_err(|error| store_problem(&error))?;
    let units = visible_units(&app, caller.scope()).await?;
    let event = event
        .filter(|event| units.is_none_or(|units| units.contains(&event.summary.unit)))
        .ok_or_else(|| Problem::missing("event"))?;
    let mut value = summary(&event.summary);
    let fields: Vec<Value> = event
        .fields
        .iter()
        .map(|(name, value)| json!({ "name": name, "value": value }))
        .collect();
    value["fields"] = fields.into();
    value["problems"] = event.problems.into();
    value["agent"] = event.record.agent.as_str().into();
    value["stream"] = event.record.stream.as_str().into();
    // Positions may exceed what JavaScript's numbers hold.
    value["position"] = event.record.position.to_string().into();
    Ok(Json(value))
}

fn store(app: &App) -> Result<&Store, Problem> {
    app.store.as_ref().ok_or_else(|| {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "This process has no event store: set [store] url in its configuration. Incidents work without.",
        )
    })
}

fn store_problem(error: &StoreError) -> Problem {
    match error {
        StoreError::Invalid { what, .. } => {
            let field = if *what == "cursor" { "cursor" } else { "q" };
            Problem::field(field, error.to_string())
        }
        _ => {
            tracing::warn!(%error, "a search failed");
            metrics::counter!("citywatch_api_store_errors_total").increment(1);
            let detail = if error.is_retryable() {
                "The event store does not answer in time. Narrow the time range, or try again."
            } else {
                "The event store refused the search. The log of this process says why."
            };
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
        }
    }
}

fn time(field: &str, text: Option<String>) -> Result<Option<Timestamp>, Problem> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let time: jiff::Timestamp = text.parse().map_err(|_| {
        Problem::field(
            field,
            format!("{text:?} is no time; write it like 2026-11-22T03:04:05Z (RFC 3339)"),
        )
    })?;
    Ok(Some(Timestamp(time.as_microsecond())))
}

/// The units that the caller may see; none means all.
async fn visible_units(app: &App, scope: &Scope) -> Result<Option<Vec<UnitId>>, Problem> {
    let Scope::Subtree(root) = scope else {
        return Ok(None);
    };
    let mut units: Vec<String> =
        sqlx::query_scalar("SELECT unit FROM unit_ancestors WHERE ancestor = $1")
            .bind(root.as_str())
            .fetch_all(app.database.pool())
            .await?;
    if !units.contains(root) {
        units.push(root.clone());
    }
    Ok(Some(
        units
            .iter()
            .map(|unit| UnitId::from(unit.as_str()))
            .collect(),
    ))
}

fn summary(event: &EventSummary) -> Value {
    json!({
        "id": event.id,
        "event_time": event.event_time.to_string(),
        "received_at": event.received_at.to_string(),
        "unit": event.unit,
        "host": event.host,
        "format": event.format,
        "product": event.product,
        "category": event.category,
        "service": event.service,
        "user": event.user,
        "source_address": event.source_address.map(address),
        "source_port": event.source_port,
        "destination_address": event.destination_address.map(address),
        "destination_port": event.destination_port,
        "process": event.process,
        "parent_process": event.parent_process,
        "command_line": event.command_line,
        "hash": event.hash,
        "url": event.url,
        "action": event.action,
        "outcome": event.outcome,
        "event_code": event.event_code,
        "message": event.message,
        "raw": event.raw,
    })
}

fn address(address: Ipv6Addr) -> String {
    address.to_canonical().to_string()
}
