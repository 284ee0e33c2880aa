//! Incidents: the list, and one of them.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::App;
use super::caller::Caller;
use super::field_fault::FieldFault;
use super::problem::{Params, Problem};
use super::reader_clock::ahead_micros;
use super::refusal::Thing;
use crate::attack::{TACTICS, tactic_bit};
use crate::incidents::{self, IncidentFilter, Order, State as IncidentState, Watch};
use crate::severity::Severity;

const LIMIT_DEFAULT: u32 = 50;
const LIMIT_MAX: u32 = 500;

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct ListParams {
    /// From 1 to 500; 50 by default. Facets do without.
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// `newest` (the default) or `score`.
    sort: Option<String>,
    /// Names joined by commas; `open` stands for those that wait for somebody.
    state: Option<String>,
    /// Names joined by commas.
    severity: Option<String>,
    /// Names joined by commas; `~none` stands for nobody, `~me` for the caller.
    assignee: Option<String>,
    verdict: Option<String>,
    /// Ids joined by commas.
    unit: Option<String>,
    /// This unit and those below it.
    unit_below: Option<String>,
    host: Option<String>,
    /// Ids joined by commas.
    rule_id: Option<String>,
    /// ATT&CK's tactics joined by commas: `initial-access,execution`.
    tactic: Option<String>,
    /// `kind:value`.
    entity: Option<String>,
    /// `true`: only those with a clock that ran out and still waits.
    overdue: Option<bool>,
    /// Whose last event is not before this time (RFC 3339).
    from: Option<String>,
    /// Whose last event is before this time (RFC 3339).
    to: Option<String>,
    /// How many minutes the reader's clock is ahead of UTC, from -840 to 840; 0 by default. Bars of the histogram begin
    /// where its days and hours do. The list does without.
    utc_offset_minutes: Option<i32>,
}

/// A page of incidents.
#[derive(Serialize, ToSchema)]
pub(super) struct IncidentPage {
    items: Vec<incidents::Incident>,
    next_cursor: Option<String>,
    /// All that the filter lets through.
    total: i64,
    /// Where the stream of changes stood before the page was read.
    change: i64,
}

/// `GET /api/v1/incidents`: newest first, or the most urgent. The cursor names the last incident of a page, so
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
            FieldFault::Range {
                min: 1,
                max: LIMIT_MAX.into(),
            },
        ));
    }
    let order = match params.sort.as_deref().unwrap_or("newest") {
        "newest" | "" => Order::Newest,
        "score" => Order::Score,
        other => {
            let fault = FieldFault::unknown(other, ["newest", "score"]);
            return Err(Problem::field("sort", fault));
        }
    };
    let after = cursor(params.cursor.as_deref(), order)?;
    let filter = filter(params, &caller)?;
    let pool = app.database.pool();
    // Read before the rows: a stream that goes on from here misses nothing.
    let change = crate::changes::latest(&app.database).await?;
    let (mut items, total) = tokio::try_join!(
        incidents::list(
            pool,
            &app.config.clocks,
            &filter,
            caller.scope(),
            (order, after),
            i64::from(limit) + 1,
        ),
        incidents::count(pool, &filter, caller.scope()),
    )?;
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let next_cursor = items.last().filter(|_| more).map(|last| match order {
        Order::Newest => last.number.to_string(),
        Order::Score => format!("{}:{}", last.score, last.number),
    });
    let page = IncidentPage {
        items,
        next_cursor,
        total,
        change,
    };
    Ok(Json(page).into_response())
}

/// Score and number of the last incident of the page before.
fn cursor(text: Option<&str>, order: Order) -> Result<Option<[i64; 2]>, Problem> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let read = || {
        let (score, number) = match order {
            Order::Newest => ("0", text),
            Order::Score => text.split_once(':')?,
        };
        Some([score.parse().ok()?, number.parse().ok()?])
    };
    read()
        .map(Some)
        .ok_or_else(|| Problem::field("cursor", FieldFault::NoCursor))
}

/// `GET /api/v1/incidents/facets`: counts under the same filter.
pub(super) async fn facets(
    State(app): State<App>,
    caller: Caller,
    Params(params): Params<ListParams>,
) -> Result<Json<incidents::Facets>, Problem> {
    let ahead_micros = ahead_micros(params.utc_offset_minutes)?;
    let filter = filter(params, &caller)?;
    let watch = Watch {
        now: app.clock.now().as_micros(),
        ahead_micros,
    };
    let facets = incidents::facets(app.database.pool(), &filter, caller.scope(), watch).await?;
    Ok(Json(facets))
}

fn filter(params: ListParams, caller: &Caller) -> Result<IncidentFilter, Problem> {
    let mut filter = IncidentFilter::default();
    for name in names(params.state.as_deref()) {
        // Those that wait for somebody.
        if name == "open" {
            filter.states.extend(IncidentState::OPEN);
        } else {
            filter.states.push(state(name)?);
        }
    }
    for name in names(params.severity.as_deref()) {
        let severity = name.parse::<Severity>();
        filter.severities.push(
            severity.map_err(|_| Problem::field("severity", FieldFault::unknown_severity(name)))?,
        );
    }
    for name in names(params.assignee.as_deref()) {
        match name {
            incidents::NOBODY => filter.unassigned = true,
            "~me" => filter.assignees.push(caller.name().to_owned()),
            name => filter.assignees.push(name.to_owned()),
        }
    }
    for name in names(params.tactic.as_deref()) {
        let bit = tactic_bit(name)
            .ok_or_else(|| Problem::field("tactic", FieldFault::unknown(name, TACTICS)))?;
        filter.tactics |= bit;
    }
    filter.units = names(params.unit.as_deref()).map(str::to_owned).collect();
    filter.rules = names(params.rule_id.as_deref())
        .map(str::to_owned)
        .collect();
    filter.unit_below = params.unit_below.filter(|unit| !unit.is_empty());
    if let Some(entity) = params.entity.filter(|entity| !entity.is_empty()) {
        let (kind, value) = entity
            .split_once(':')
            .ok_or_else(|| Problem::field("entity", FieldFault::NoEntity))?;
        filter.entity = Some((kind.to_owned(), value.to_owned()));
    }
    filter.overdue = params.overdue.unwrap_or(false);
    (filter.from, filter.to) = between(params.from.as_deref(), params.to.as_deref())?;
    filter.verdict = params.verdict;
    filter.host = params.host;
    Ok(filter)
}

/// `from` and `to` of the query, in microseconds since the epoch.
pub(super) fn between(
    from: Option<&str>,
    to: Option<&str>,
) -> Result<(Option<i64>, Option<i64>), Problem> {
    let (from, to) = (time("from", from)?, time("to", to)?);
    if let (Some(from), Some(to)) = (from, to)
        && from > to
    {
        return Err(Problem::from_after_to());
    }
    Ok((from, to))
}

/// A time of the query, in microseconds since the epoch.
fn time(field: &str, text: Option<&str>) -> Result<Option<i64>, Problem> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let time: jiff::Timestamp = text.parse().map_err(|_| {
        let given = text.to_owned();
        Problem::field(field, FieldFault::NoTime { given })
    })?;
    Ok(Some(time.as_microsecond()))
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
        Problem::field("state", FieldFault::unknown(name, known))
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
        .ok_or_else(|| Problem::missing(Thing::Incident))?;
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
        .ok_or_else(|| Problem::missing(Thing::Incident))
}

/// Adds the version, to be sent back in `If-Match`.
pub(super) fn tagged(version: i64, mut response: Response) -> Response {
    let tag = HeaderValue::try_from(format!("\"{version}\"")).expect("a number is plain ASCII");
    response.headers_mut().insert(header::ETAG, tag);
    response
}
