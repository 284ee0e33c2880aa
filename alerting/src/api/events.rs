//! Search over stored events, and one of them.

use std::net::Ipv6Addr;
use std::str::FromStr;
use std::time::Instant;

use axum::Json;
use axum::extract::{Path, State};
use citywatch_engine::EventId;
use citywatch_engine::store::{
    EventCursor, EventQuery, EventSummary, Store, StoreError, StoredEvent,
};
use citywatch_parsers::{Timestamp, UnitId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::App;
use super::caller::Caller;
use super::field_fault::FieldFault;
use super::incidents::between;
use super::problem::{Params, Problem};
use super::refusal::{Refusal, Thing};
use crate::accounts::Scope;
use crate::incidents::{Entity, NameValue};
use crate::intake::entities::{self, EntityKind};

const LIMIT_DEFAULT: u32 = 100;
const LIMIT_MAX: u32 = 1_000;
const NEIGHBOURS_DEFAULT: u32 = 5;
const NEIGHBOURS_MAX: u32 = 100;
/// Of each text of an event in a list; one line of a log may be a megabyte, and a page holds a thousand.
const LISTED_BYTES_MAX: usize = 4_096;

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct SearchParams {
    /// Not before this time (RFC 3339).
    from: Option<String>,
    /// Before this time (RFC 3339).
    to: Option<String>,
    /// The search line: `user:root and src_ip:10.0.0.0/8 and not process:*sshd and "failed password"`.
    q: Option<String>,
    /// From 1 to 1,000; 100 by default.
    limit: Option<u32>,
    cursor: Option<String>,
}

/// `GET /api/v1/events`
pub(super) async fn search(
    State(app): State<App>,
    caller: Caller,
    Params(params): Params<SearchParams>,
) -> Result<Json<EventPage>, Problem> {
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
    let cursor = params.cursor.filter(|cursor| !cursor.is_empty());
    let cursor =
        cursor.map(|cursor| EventCursor::from_str(&cursor).map_err(|error| store_problem(&error)));
    let (from, to) = between(params.from.as_deref(), params.to.as_deref())?;
    let query = EventQuery {
        from: from.map(Timestamp),
        to: to.map(Timestamp),
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
    let items = items.into_iter().map(Row::listed).collect();
    Ok(Json(EventPage {
        items,
        next_cursor,
        elapsed_ms,
    }))
}

/// What a search is asked of, without a page.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct ExploreParams {
    /// Not before this time (RFC 3339).
    from: Option<String>,
    /// Before this time (RFC 3339).
    to: Option<String>,
    /// The search line, as in a search.
    q: Option<String>,
}

impl ExploreParams {
    async fn query(self, app: &App, caller: &Caller) -> Result<EventQuery, Problem> {
        let (from, to) = between(self.from.as_deref(), self.to.as_deref())?;
        Ok(EventQuery {
            from: from.map(Timestamp),
            to: to.map(Timestamp),
            text: self.q.unwrap_or_default(),
            units: visible_units(app, caller.scope()).await?,
            ..EventQuery::default()
        })
    }
}

/// Fields of the newest events that a search finds, those that most have first.
#[derive(Serialize, ToSchema)]
pub(super) struct FieldList {
    items: Vec<FieldTop>,
    elapsed_ms: u64,
}

#[derive(Serialize, ToSchema)]
struct FieldTop {
    /// As the query language takes it.
    name: String,
    /// Of the newest 10,000 events, those that have it.
    events: u64,
    /// Its different values among these.
    distinct: u64,
    /// What its values name: `host`, `user`, `address`, `hash` or `file`; null where they name nothing of that kind.
    entity: Option<&'static str>,
    /// The most frequent first.
    top: Vec<FieldTopValue>,
}

#[derive(Serialize, ToSchema)]
struct FieldTopValue {
    value: String,
    events: u64,
    /// The entity that it names, as its page calls it.
    entity: Option<String>,
}

/// `GET /api/v1/events/fields`
pub(super) async fn fields(
    State(app): State<App>,
    caller: Caller,
    Params(params): Params<ExploreParams>,
) -> Result<Json<FieldList>, Problem> {
    let query = params.query(&app, &caller).await?;
    let started = Instant::now();
    let found = store(&app)?
        .field_values(&query)
        .await
        .map_err(|error| store_problem(&error))?;
    let elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let items = found.into_iter().map(|field| {
        let entity = entities::kind_of_name(&field.name);
        FieldTop {
            name: field.name,
            events: field.events,
            distinct: field.distinct,
            entity: entity.map(EntityKind::name),
            top: field
                .top
                .into_iter()
                .map(|top| FieldTopValue {
                    entity: entity.and_then(|kind| entities::of_value(kind, &top.value)),
                    value: top.value,
                    events: top.events,
                })
                .collect(),
        }
    });
    Ok(Json(FieldList {
        items: items.collect(),
        elapsed_ms,
    }))
}

/// Events over time.
#[derive(Serialize, ToSchema)]
pub(super) struct EventHistogram {
    /// Of one bar.
    seconds: i64,
    /// All events that the search finds.
    total: u64,
    /// Bars that are not empty, the earliest first.
    bars: Vec<EventBar>,
    elapsed_ms: u64,
}

#[derive(Serialize, ToSchema)]
struct EventBar {
    /// Where it begins.
    at: String,
    events: u64,
}

/// `GET /api/v1/events/histogram`
pub(super) async fn histogram(
    State(app): State<App>,
    caller: Caller,
    Params(params): Params<ExploreParams>,
) -> Result<Json<EventHistogram>, Problem> {
    let query = params.query(&app, &caller).await?;
    let started = Instant::now();
    let found = store(&app)?
        .time_bars(&query)
        .await
        .map_err(|error| store_problem(&error))?;
    let bars = found.bars.iter().map(|(at, events)| EventBar {
        at: at.to_string(),
        events: *events,
    });
    Ok(Json(EventHistogram {
        seconds: found.seconds,
        total: found.bars.iter().map(|(_, events)| events).sum(),
        bars: bars.collect(),
        elapsed_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    }))
}

/// `GET /api/v1/events/{id}`
pub(super) async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<EventDetail>, Problem> {
    let event = visible_event(&app, &caller, &id).await?;
    let entities = entities::of_event(&event.summary.host, &event.fields)
        .into_iter()
        .map(|(kind, value)| Entity {
            kind: kind.name().to_owned(),
            value,
        });
    Ok(Json(EventDetail {
        row: Row::whole(event.summary),
        entities: entities.collect(),
        fields: event
            .fields
            .into_iter()
            .map(|(name, value)| NameValue { name, value })
            .collect(),
        problems: event.problems,
        agent: event.record.agent.as_str().to_owned(),
        stream: event.record.stream.as_str().to_owned(),
        position: event.record.position.to_string(),
    }))
}

/// Events around one, on the same host of the same unit, within a day; each list the earliest first.
#[derive(Serialize, ToSchema)]
pub(super) struct EventNeighbours {
    before: Vec<Row>,
    after: Vec<Row>,
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct NeighbourParams {
    /// On each side, from 1 to 100; 5 by default.
    limit: Option<u32>,
}

/// `GET /api/v1/events/{id}/neighbours`
pub(super) async fn neighbours(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Params(params): Params<NeighbourParams>,
) -> Result<Json<EventNeighbours>, Problem> {
    let limit = params.limit.unwrap_or(NEIGHBOURS_DEFAULT);
    if !(1..=NEIGHBOURS_MAX).contains(&limit) {
        return Err(Problem::field(
            "limit",
            FieldFault::Range {
                min: 1,
                max: NEIGHBOURS_MAX.into(),
            },
        ));
    }
    let event = visible_event(&app, &caller, &id).await?;
    let found = store(&app)?
        .neighbours(&event.summary, limit)
        .await
        .map_err(|error| store_problem(&error))?;
    Ok(Json(EventNeighbours {
        before: found.before.into_iter().map(Row::listed).collect(),
        after: found.after.into_iter().map(Row::listed).collect(),
    }))
}

/// The event, where the caller may see its unit.
async fn visible_event(app: &App, caller: &Caller, id: &str) -> Result<StoredEvent, Problem> {
    let id: EventId = id.parse().map_err(|_| Problem::missing(Thing::Event))?;
    let event = store(app)?
        .event(id)
        .await
        .map_err(|error| store_problem(&error))?;
    let units = visible_units(app, caller.scope()).await?;
    event
        .filter(|event| units.is_none_or(|units| units.contains(&event.summary.unit)))
        .ok_or_else(|| Problem::missing(Thing::Event))
}

fn store(app: &App) -> Result<&Store, Problem> {
    app.store
        .as_ref()
        .ok_or_else(|| Problem::of(Refusal::StoreNotSet))
}

fn store_problem(error: &StoreError) -> Problem {
    match error {
        StoreError::Invalid { what, .. } => {
            let field = if *what == "cursor" { "cursor" } else { "q" };
            Problem::field(
                field,
                FieldFault::Malformed {
                    error: error.to_string(),
                },
            )
        }
        StoreError::Search {
            at,
            length,
            fault,
            reason,
        } => {
            let fault = FieldFault::Search {
                fault: (*fault).into(),
                reason: reason.clone(),
            };
            Problem::place("q", fault, (*at, *length))
        }
        _ => {
            tracing::warn!(%error, "a search failed");
            metrics::counter!("citywatch_api_store_errors_total").increment(1);
            Problem::of(if error.is_retryable() {
                Refusal::StoreAway
            } else {
                Refusal::StoreRefused
            })
        }
    }
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

/// An event in a list. Texts that it does not have are empty, addresses and ports null. Texts are cut at 4,096 bytes, at a
/// character; `GET /api/v1/events/{id}` gives them whole.
#[derive(Serialize, ToSchema)]
#[schema(as = EventRow)]
struct Row {
    id: String,
    event_time: String,
    received_at: String,
    unit: String,
    host: String,
    format: String,
    product: String,
    category: String,
    service: String,
    user: String,
    source_address: Option<String>,
    source_port: Option<u16>,
    destination_address: Option<String>,
    destination_port: Option<u16>,
    process: String,
    parent_process: String,
    command_line: String,
    hash: String,
    url: String,
    action: String,
    outcome: String,
    event_code: String,
    message: String,
    raw: String,
    /// Names of the texts that are cut here.
    truncated: Vec<&'static str>,
}

/// A page of events.
#[derive(Serialize, ToSchema)]
pub(super) struct EventPage {
    items: Vec<Row>,
    next_cursor: Option<String>,
    elapsed_ms: u64,
}

/// An event with its fields.
#[derive(Serialize, ToSchema)]
pub(super) struct EventDetail {
    #[serde(flatten)]
    row: Row,
    fields: Vec<NameValue>,
    /// Whom and what it names.
    entities: Vec<Entity>,
    problems: Vec<String>,
    agent: String,
    stream: String,
    /// A text: positions may exceed what JavaScript's numbers hold.
    position: String,
}

impl Row {
    /// As it stands in a list.
    fn listed(event: EventSummary) -> Self {
        let mut row = Self::whole(event);
        let texts = [
            ("host", &mut row.host),
            ("user", &mut row.user),
            ("process", &mut row.process),
            ("parent_process", &mut row.parent_process),
            ("command_line", &mut row.command_line),
            ("hash", &mut row.hash),
            ("url", &mut row.url),
            ("action", &mut row.action),
            ("outcome", &mut row.outcome),
            ("event_code", &mut row.event_code),
            ("message", &mut row.message),
            ("raw", &mut row.raw),
        ];
        for (name, text) in texts {
            if text.len() > LISTED_BYTES_MAX {
                text.truncate(text.floor_char_boundary(LISTED_BYTES_MAX));
                row.truncated.push(name);
            }
        }
        row
    }

    fn whole(event: EventSummary) -> Self {
        Self {
            id: event.id.to_string(),
            event_time: event.event_time.to_string(),
            received_at: event.received_at.to_string(),
            unit: event.unit.to_string(),
            host: event.host,
            format: event.format,
            product: event.product,
            category: event.category,
            service: event.service,
            user: event.user,
            source_address: event.source_address.map(address),
            source_port: event.source_port,
            destination_address: event.destination_address.map(address),
            destination_port: event.destination_port,
            process: event.process,
            parent_process: event.parent_process,
            command_line: event.command_line,
            hash: event.hash,
            url: event.url,
            action: event.action,
            outcome: event.outcome,
            event_code: event.event_code,
            message: event.message,
            raw: event.raw,
            truncated: Vec::new(),
        }
    }
}

fn address(address: Ipv6Addr) -> String {
    address.to_canonical().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_cuts_long_texts_and_says_so() {
        let event = |raw: &str, message: &str| EventSummary {
            id: EventId::of("agent", "stream", 1, 0),
            event_time: Timestamp(0),
            received_at: Timestamp(0),
            unit: "unit".into(),
            host: String::new(),
            format: String::new(),
            product: String::new(),
            category: String::new(),
            service: String::new(),
            user: String::new(),
            source_address: None,
            source_port: None,
            destination_address: None,
            destination_port: None,
            process: String::new(),
            parent_process: String::new(),
            command_line: String::new(),
            hash: String::new(),
            url: String::new(),
            action: String::new(),
            outcome: String::new(),
            event_code: String::new(),
            message: message.to_owned(),
            raw: raw.to_owned(),
        };
        // 4,096 bytes would end within the last of these characters.
        let long = format!("x{}", "ế".repeat(1_400));
        let row = Row::listed(event(&long, "short"));
        assert_eq!((row.raw.len(), row.message.as_str()), (4_096, "short"));
        assert_eq!(row.truncated, ["raw"]);
        let row = Row::listed(event(&long, &"y".repeat(1_000_000)));
        assert_eq!(
            (row.message.len(), row.truncated),
            (4_096, vec!["message", "raw"])
        );
        let fits = "z".repeat(4_096);
        let row = Row::listed(event(&fits, ""));
        assert_eq!((row.raw == fits, row.truncated.len()), (true, 0));
        assert_eq!(Row::whole(event(&long, "")).raw, long);
    }
}
