//! Incidents: the list, one of them, and what people change about it.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use super::App;
use super::caller::Caller;
use super::problem::{JsonBody, Params, Problem};
use crate::database::Counter;
use crate::incidents::{
    self, ChangeError, IncidentFilter, Stamp, State as IncidentState, StateChange,
};

const LIMIT_DEFAULT: u32 = 50;
const LIMIT_MAX: u32 = 500;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListParams {
    limit: Option<u32>,
    cursor: Option<String>,
    state: Option<String>,
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
        .filter(|cursor| !cursor.is_empty())
        .map(|cursor| {
            cursor.parse().map_err(|_| {
                Problem::field("cursor", "use next_cursor of an earlier answer as it is")
            })
        });
    let before: Option<i64> = before.transpose()?;
    let filter = IncidentFilter {
        states: states(params.state.as_deref().unwrap_or(""))?,
    };
    let pool = app.database.pool();
    // Read before the rows: a stream that goes on from here misses nothing.
    let change = crate::changes::latest(&app.database).await?;
    let mut items =
        incidents::list(pool, &filter, caller.scope(), before, i64::from(limit) + 1).await?;
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

/// States from a list joined by commas; `open` stands for those that wait for somebody.
fn states(text: &str) -> Result<Vec<IncidentState>, Problem> {
    let mut states = Vec::new();
    for name in text
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
    {
        if name == "open" {
            states.extend([
                IncidentState::New,
                IncidentState::Acknowledged,
                IncidentState::InProgress,
            ]);
            continue;
        }
        states.push(state(name)?);
    }
    Ok(states)
}

fn state(name: &str) -> Result<IncidentState, Problem> {
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
    let detail = incidents::detail(app.database.pool(), &id, caller.scope())
        .await?
        .ok_or_else(|| Problem::missing("incident"))?;
    Ok(tagged(
        detail.incident.version,
        Json(detail).into_response(),
    ))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    state: String,
}

/// `PATCH /api/v1/incidents/{id}` with `If-Match`.
pub(super) async fn change(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    JsonBody(change): JsonBody<Change>,
) -> Result<Response, Problem> {
    let seen_version = seen_version(&headers)?;
    let state = state(&change.state)?;
    let pool = app.database.pool();
    if incidents::one(pool, &id, caller.scope()).await?.is_none() {
        return Err(Problem::missing("incident"));
    }
    let mut write = app.database.write().await?;
    let change = write.next(Counter::Change).await?;
    let stamp = Stamp {
        at: app.clock.now(),
        who: &caller.user().name,
        change,
    };
    incidents::change_state(
        &mut write,
        StateChange {
            id: &id,
            seen_version,
            state,
        },
        stamp,
    )
    .await?;
    write.commit().await?;
    app.changes.announce(change);
    let incident = incidents::one(pool, &id, caller.scope())
        .await?
        .ok_or_else(|| Problem::missing("incident"))?;
    Ok(tagged(incident.version, Json(incident).into_response()))
}

impl From<ChangeError> for Problem {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Missing => Self::missing("incident"),
            ChangeError::Merged { into } => Self::merged(into),
            ChangeError::Conflict { current } => Self::conflict(current),
            ChangeError::Database(error) => error.into(),
        }
    }
}

/// The version in `If-Match`, as `ETag` gave it, with or without quotes.
fn seen_version(headers: &HeaderMap) -> Result<i64, Problem> {
    let Some(value) = headers.get(header::IF_MATCH) else {
        return Err(Problem::new(
            StatusCode::PRECONDITION_REQUIRED,
            "The header If-Match is missing: send the version of the incident that you saw.",
        ));
    };
    let text = value.to_str().unwrap_or("").trim();
    text.strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or(text)
        .parse()
        .map_err(|_| {
            Problem::field(
                "If-Match",
                "must be the version of the incident that you saw, a number",
            )
        })
}

fn tagged(version: i64, mut response: Response) -> Response {
    let tag = HeaderValue::try_from(format!("\"{version}\"")).expect("a number is plain ASCII");
    response.headers_mut().insert(header::ETAG, tag);
    response
}
