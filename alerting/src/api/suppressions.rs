//! Suppressions: previewed, set, listed, looked into, ended.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use citywatch_parsers::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::App;
use super::caller::Caller;
use super::field_fault::FieldFault;
use super::problem::{JsonBody, Params, Problem};
use super::refusal::{Refusal, Thing};
use super::triage::check_text;
use crate::accounts::Scope;
use crate::clock::DAY_MICROS;
use crate::suppression::{self, FieldValue, NewSuppression, Standing, Suppression, Target};

/// A preview looks so far back.
const PREVIEW_DAYS: i64 = 7;
/// What is not looked at again for a year is forgotten: set it anew.
const DAYS_MAX: i64 = 366;
const FIELDS_MAX: usize = 20;
const PAGE: i64 = 100;

/// Which matches are meant.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SuppressionWanted)]
pub(super) struct Wanted {
    #[serde(default)]
    rule_id: String,
    #[serde(default)]
    unit: String,
    #[serde(default)]
    host: String,
    #[serde(default)]
    fields: Vec<FieldValue>,
}

impl Wanted {
    async fn check(self, app: &App, caller: &Caller) -> Result<Target, Problem> {
        let target = Target {
            rule_id: self.rule_id.trim().to_owned(),
            unit: self.unit.trim().to_owned(),
            host: self.host.trim().to_owned(),
            fields: self.fields,
        };
        if target.is_empty() {
            return Err(Problem::field("rule_id", FieldFault::HidesEverything));
        }
        for (name, value) in [
            ("rule_id", &target.rule_id),
            ("unit", &target.unit),
            ("host", &target.host),
        ] {
            if value.len() > 500 {
                return Err(Problem::field(name, FieldFault::TooLong { bytes_max: 500 }));
            }
        }
        if target.fields.len() > FIELDS_MAX {
            return Err(Problem::field(
                "fields",
                FieldFault::Count {
                    min: 0,
                    max: FIELDS_MAX,
                },
            ));
        }
        for (place, field) in target.fields.iter().enumerate() {
            if field.name.is_empty() || field.name.len() > 500 {
                return Err(Problem::field(
                    format!("fields[{place}].name"),
                    FieldFault::Length {
                        bytes_min: 1,
                        bytes_max: 500,
                    },
                ));
            }
            if field.value.len() > 4_000 {
                return Err(Problem::field(
                    format!("fields[{place}].value"),
                    FieldFault::TooLong { bytes_max: 4_000 },
                ));
            }
        }
        if !app.units.covers(caller.scope(), &target.unit).await? {
            let fault = if target.unit.is_empty() {
                FieldFault::UnitNeeded
            } else {
                FieldFault::OutsideUnits
            };
            return Err(Problem::field("unit", fault));
        }
        if !app.units.knows(&target.unit).await? {
            return Err(Problem::field("unit", FieldFault::NoSuchUnit));
        }
        Ok(target)
    }
}

/// `POST /api/v1/suppressions/preview`: what it would have hidden in the last 7 days.
pub(super) async fn preview(
    State(app): State<App>,
    caller: Caller,
    JsonBody(wanted): JsonBody<Wanted>,
) -> Result<Response, Problem> {
    let target = wanted.check(&app, &caller).await?;
    let since = app.clock.now().as_micros() - PREVIEW_DAYS * DAY_MICROS;
    let preview = suppression::preview(app.database.pool(), &target, caller.scope(), since).await?;
    Ok(Json(preview).into_response())
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SuppressionWish {
    #[serde(default)]
    rule_id: String,
    #[serde(default)]
    unit: String,
    #[serde(default)]
    host: String,
    #[serde(default)]
    fields: Vec<FieldValue>,
    reason: String,
    /// RFC 3339.
    ends_at: String,
}

/// `POST /api/v1/suppressions`
pub(super) async fn make(
    State(app): State<App>,
    caller: Caller,
    JsonBody(new): JsonBody<SuppressionWish>,
) -> Result<Response, Problem> {
    check_text("reason", &new.reason)?;
    let ends_at = end(&app, &new.ends_at)?;
    let wanted = Wanted {
        rule_id: new.rule_id,
        unit: new.unit,
        host: new.host,
        fields: new.fields,
    };
    let target = wanted.check(&app, &caller).await?;
    let made = app.suppressions.make(NewSuppression {
        target: &target,
        reason: new.reason.trim(),
        created_by: caller.name(),
        ends_at,
    });
    let id = made
        .await?
        .ok_or_else(|| Problem::of(Refusal::TooManySuppressions))?;
    let suppression = visible(&app, &caller, &id).await?;
    Ok((StatusCode::CREATED, Json(suppression)).into_response())
}

fn end(app: &App, text: &str) -> Result<Timestamp, Problem> {
    let time: jiff::Timestamp = text.parse().map_err(|_| {
        let given = text.to_owned();
        Problem::field("ends_at", FieldFault::NoTime { given })
    })?;
    let (time, now) = (time.as_microsecond(), app.clock.now().as_micros());
    if time <= now {
        return Err(Problem::field("ends_at", FieldFault::Past));
    }
    if time > now + DAYS_MAX * DAY_MICROS {
        return Err(Problem::field(
            "ends_at",
            FieldFault::TooFar { days_max: DAYS_MAX },
        ));
    }
    Ok(Timestamp(time))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct ListParams {
    /// `active` (the default), `ended` or `all`.
    state: Option<String>,
    cursor: Option<String>,
}

/// `GET /api/v1/suppressions`: the newest first; `state` is `active` (the default), `ended` or `all`.
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Params(params): Params<ListParams>,
) -> Result<Json<Value>, Problem> {
    let standing = match params.state.as_deref().unwrap_or("active") {
        "active" | "" => Standing::Active,
        "ended" => Standing::Ended,
        "all" => Standing::Any,
        other => {
            return Err(Problem::field(
                "state",
                FieldFault::unknown(other, ["active", "ended", "all"]),
            ));
        }
    };
    let skip = cursor(params.cursor.as_deref())?.unwrap_or(0).max(0);
    let mut items = app
        .suppressions
        .list(standing, caller.scope(), skip, PAGE + 1)
        .await?;
    let more = items.len() > usize::try_from(PAGE).unwrap_or(usize::MAX);
    items.truncate(usize::try_from(PAGE).unwrap_or(usize::MAX));
    let next_cursor = more.then(|| (skip + PAGE).to_string());
    Ok(Json(json!({ "items": items, "next_cursor": next_cursor })))
}

/// `GET /api/v1/suppressions/{id}`
pub(super) async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Suppression>, Problem> {
    Ok(Json(visible(&app, &caller, &id).await?))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct HiddenParams {
    cursor: Option<String>,
}

/// `GET /api/v1/suppressions/{id}/hidden`: what it hid, the latest first.
pub(super) async fn hidden(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Params(params): Params<HiddenParams>,
) -> Result<Json<Value>, Problem> {
    let before = cursor(params.cursor.as_deref())?.unwrap_or(i64::MAX);
    visible(&app, &caller, &id).await?;
    let items = app
        .suppressions
        .hidden(&id, caller.scope(), before, PAGE)
        .await?;
    let next_cursor = items
        .last()
        .map(|last| last.number)
        .filter(|number| *number > 1)
        .map(|number| number.to_string());
    Ok(Json(json!({ "items": items, "next_cursor": next_cursor })))
}

/// `DELETE /api/v1/suppressions/{id}`: ends it now. It stays in the list of those that ended.
pub(super) async fn finish(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    visible(&app, &caller, &id).await?;
    if !app.suppressions.end(&id, caller.name()).await? {
        return Err(Problem::of(Refusal::EndedBefore));
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn visible(app: &App, caller: &Caller, id: &str) -> Result<Suppression, Problem> {
    let scope: &Scope = caller.scope();
    app.suppressions
        .one(id, scope)
        .await?
        .ok_or_else(|| Problem::missing(Thing::Suppression))
}

fn cursor(text: Option<&str>) -> Result<Option<i64>, Problem> {
    text.filter(|text| !text.is_empty())
        .map(|text| {
            text.parse()
                .map_err(|_| Problem::field("cursor", FieldFault::NoCursor))
        })
        .transpose()
}
