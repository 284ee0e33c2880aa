//! Notification routes and the messages that went by them.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::App;
use super::caller::Caller;
use super::field_fault::FieldFault;
use super::incidents::tagged;
use super::problem::{JsonBody, Params, Problem};
use super::refusal::{Refusal, Thing};
use super::triage::seen_version;
use crate::notification::{
    self, Form, NoAddress, Route, RouteKind, RouteTrouble, RouteWish, Subject, addresses,
    check_template,
};
use crate::severity::Severity;

const NAME_BYTES_MAX: usize = 100;
const TARGET_BYTES_MAX: usize = 2_000;
const TEMPLATE_BYTES_MAX: usize = 20_000;
const ADDRESSES_MAX: usize = 20;
const GROUP_MINUTES_MAX: i64 = 24 * 60;
const PAGE: i64 = 100;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RouteWanted {
    name: String,
    #[schema(value_type = RouteKind)]
    kind: String,
    target: String,
    #[serde(default)]
    unit: String,
    #[serde(default = "high")]
    #[schema(value_type = Severity)]
    severity_min: String,
    #[serde(default = "every_subject")]
    #[schema(value_type = Vec<Subject>)]
    subjects: Vec<String>,
    #[serde(default = "five")]
    group_minutes: i64,
    #[serde(default)]
    template: String,
    #[serde(default = "yes")]
    enabled: bool,
}

fn high() -> String {
    Severity::High.name().to_owned()
}

fn every_subject() -> Vec<String> {
    Subject::ALL
        .iter()
        .map(|subject| subject.name().to_owned())
        .collect()
}

fn five() -> i64 {
    5
}

fn yes() -> bool {
    true
}

impl RouteWanted {
    async fn check(self, app: &App, caller: &Caller) -> Result<RouteWish, Problem> {
        let name = self.name.trim().to_owned();
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return Err(Problem::field(
                "name",
                FieldFault::Length {
                    bytes_min: 1,
                    bytes_max: NAME_BYTES_MAX,
                },
            ));
        }
        let kind = RouteKind::of_name(&self.kind).ok_or_else(|| {
            Problem::field(
                "kind",
                FieldFault::unknown(&self.kind, ["email", "webhook"]),
            )
        })?;
        let target = self.target.trim().to_owned();
        if target.len() > TARGET_BYTES_MAX {
            let fault = FieldFault::TooLong {
                bytes_max: TARGET_BYTES_MAX,
            };
            return Err(Problem::field("target", fault));
        }
        let form = match kind {
            RouteKind::Email => {
                check_addresses(app, &target)?;
                Form::Text
            }
            RouteKind::Webhook => {
                check_url(&target)?;
                Form::Json
            }
        };
        if self.template.len() > TEMPLATE_BYTES_MAX {
            let fault = FieldFault::TooLong {
                bytes_max: TEMPLATE_BYTES_MAX,
            };
            return Err(Problem::field("template", fault));
        }
        if !self.template.is_empty() {
            check_template(&self.template, form)
                .map_err(|error| Problem::field("template", error.into()))?;
        }
        if !(0..=GROUP_MINUTES_MAX).contains(&self.group_minutes) {
            let fault = FieldFault::Range {
                min: 0,
                max: GROUP_MINUTES_MAX,
            };
            return Err(Problem::field("group_minutes", fault));
        }
        let severity_min = self.severity_min.parse().map_err(|_| {
            let fault = FieldFault::unknown_severity(&self.severity_min);
            Problem::field("severity_min", fault)
        })?;
        let unit = self.unit.trim().to_owned();
        if !app.units.covers(caller.scope(), &unit).await? {
            return Err(Problem::field("unit", FieldFault::OutsideUnits));
        }
        if !app.units.knows(&unit).await? {
            return Err(Problem::field("unit", FieldFault::NoSuchUnit));
        }
        Ok(RouteWish {
            name,
            kind,
            target,
            unit,
            severity_min,
            subjects: subjects(&self.subjects)?,
            group_minutes: self.group_minutes,
            template: self.template,
            enabled: self.enabled,
        })
    }
}

fn check_addresses(app: &App, target: &str) -> Result<(), Problem> {
    if app.config.notifications.smtp.is_none() {
        return Err(Problem::field("kind", FieldFault::NoMailServer));
    }
    let list = addresses(target).map_err(|NoAddress(given)| {
        Problem::field("target", FieldFault::NoMailAddress { given })
    })?;
    if list.is_empty() || list.len() > ADDRESSES_MAX {
        let fault = FieldFault::Count {
            min: 1,
            max: ADDRESSES_MAX,
        };
        return Err(Problem::field("target", fault));
    }
    Ok(())
}

fn check_url(target: &str) -> Result<(), Problem> {
    let wrong = |fault| Problem::field("target", fault);
    let url: Uri = target.parse().map_err(|_| wrong(FieldFault::NoUrl))?;
    if !matches!(url.scheme_str(), Some("http" | "https")) || url.host().is_none() {
        return Err(wrong(FieldFault::NoUrl));
    }
    if url
        .authority()
        .is_some_and(|authority| authority.as_str().contains('@'))
    {
        return Err(wrong(FieldFault::UrlWithPassword));
    }
    Ok(())
}

fn subjects(names: &[String]) -> Result<Vec<Subject>, Problem> {
    let mut subjects = Vec::new();
    for name in names {
        let subject = Subject::of_name(name).ok_or_else(|| {
            Problem::field("subjects", FieldFault::unknown(name, ["opened", "overdue"]))
        })?;
        if !subjects.contains(&subject) {
            subjects.push(subject);
        }
    }
    if subjects.is_empty() {
        return Err(Problem::field("subjects", FieldFault::Empty));
    }
    Ok(subjects)
}

#[derive(Serialize, ToSchema)]
pub(super) struct RouteList {
    items: Vec<Route>,
    /// Of these, the ones by which nothing gets through.
    troubles: Vec<RouteTrouble>,
    /// Whether there is a mail server.
    email: bool,
}

/// `GET /api/v1/notifications/routes`
pub(super) async fn routes(
    State(app): State<App>,
    caller: Caller,
) -> Result<Json<RouteList>, Problem> {
    let items = app.routes.list(caller.scope()).await?;
    let email = app.config.notifications.smtp.is_some();
    let troubles = app.routes.troubles(caller.scope()).await?;
    Ok(Json(RouteList {
        items,
        troubles,
        email,
    }))
}

#[derive(Serialize, ToSchema)]
pub(super) struct MadeRoute {
    #[serde(flatten)]
    route: Route,
    /// Signs a webhook's messages; told this once, and not of e-mail.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schema(required = false)]
    secret: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct RouteSecret {
    secret: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct TestMessage {
    message_id: String,
}

/// `POST /api/v1/notifications/routes`: answers with a webhook's secret, this once.
pub(super) async fn make(
    State(app): State<App>,
    caller: Caller,
    JsonBody(wanted): JsonBody<RouteWanted>,
) -> Result<Response, Problem> {
    let wish = wanted.check(&app, &caller).await?;
    let (id, secret) = app.routes.make(&wish, caller.name()).await?;
    let route = managed(&app, &caller, &id).await?;
    Ok((StatusCode::CREATED, Json(MadeRoute { route, secret })).into_response())
}

/// `PUT /api/v1/notifications/routes/{id}` with `If-Match`.
pub(super) async fn change(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    JsonBody(wanted): JsonBody<RouteWanted>,
) -> Result<Response, Problem> {
    let seen_version = seen_version(&headers)?;
    let route = managed(&app, &caller, &id).await?;
    let wish = wanted.check(&app, &caller).await?;
    if wish.kind != route.kind {
        return Err(Problem::field("kind", FieldFault::Fixed));
    }
    if !app.routes.change(&id, seen_version, &wish).await? {
        return Err(Problem::conflict(route.version));
    }
    let route = managed(&app, &caller, &id).await?;
    Ok(tagged(route.version, Json(route).into_response()))
}

/// `DELETE /api/v1/notifications/routes/{id}`
pub(super) async fn remove(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    managed(&app, &caller, &id).await?;
    app.routes.remove(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/v1/notifications/routes/{id}/secret`: a new one, told this once; the old one signs no more.
pub(super) async fn renew_secret(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<RouteSecret>, Problem> {
    let route = managed(&app, &caller, &id).await?;
    if route.kind != RouteKind::Webhook {
        return Err(Problem::of(Refusal::NotSigned));
    }
    let secret = app.routes.renew_secret(&id).await?;
    Ok(Json(RouteSecret { secret }))
}

/// `POST /api/v1/notifications/routes/{id}/test`: sends a message that says that it is a test.
pub(super) async fn test(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    managed(&app, &caller, &id).await?;
    let mut write = app.database.write().await?;
    let message = notification::enqueue_test(&mut write, &id, app.clock.now()).await?;
    write.commit().await?;
    let body = TestMessage {
        message_id: message,
    };
    Ok((StatusCode::ACCEPTED, Json(body)).into_response())
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct MessageParams {
    cursor: Option<String>,
}

/// `GET /api/v1/notifications/messages`: what was sent, waits or failed, the newest first.
pub(super) async fn messages(
    State(app): State<App>,
    caller: Caller,
    Params(params): Params<MessageParams>,
) -> Result<Json<Value>, Problem> {
    let before: i64 = match params.cursor.as_deref().filter(|cursor| !cursor.is_empty()) {
        None => i64::MAX,
        Some(cursor) => cursor
            .parse()
            .map_err(|_| Problem::field("cursor", FieldFault::NoCursor))?,
    };
    let found = app.outbox.list(caller.scope(), before, PAGE).await?;
    let full = found.len() >= usize::try_from(PAGE).unwrap_or(usize::MAX);
    let next_cursor = found
        .last()
        .filter(|_| full)
        .map(|(created_at, _)| created_at.to_string());
    let items: Vec<_> = found.into_iter().map(|(_, message)| message).collect();
    Ok(Json(json!({ "items": items, "next_cursor": next_cursor })))
}

/// `POST /api/v1/notifications/messages/{id}/retry`: one that was given up is tried again.
pub(super) async fn retry(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    if app.outbox.state_of(&id, caller.scope()).await?.is_none() {
        return Err(Problem::missing(Thing::Message));
    }
    if !app.outbox.retry(&id).await? {
        return Err(Problem::of(Refusal::NotGivenUp));
    }
    Ok(StatusCode::ACCEPTED)
}

async fn managed(app: &App, caller: &Caller, id: &str) -> Result<Route, Problem> {
    app.routes
        .one(id, caller.scope())
        .await?
        .ok_or_else(|| Problem::missing(Thing::NotificationRoute))
}
