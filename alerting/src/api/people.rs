//! Administration: people, tokens, units, and the audit log.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use citywatch_parsers::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::App;
use super::caller::Caller;
use super::incidents::tagged;
use super::problem::{JsonBody, Params, Problem};
use super::triage::seen_version;
use crate::accounts::{ImportError, NewToken, Person, PersonChange, Role, UserError};
use crate::audit::AuditRow;
use crate::clock::DAY_MICROS;
use crate::incidents::rfc3339;

/// A token that nobody renews ends.
const TOKEN_DAYS_MAX: i64 = 366;

/// `GET /api/v1/users`: those within the caller's units.
pub(super) async fn list(State(app): State<App>, caller: Caller) -> Result<Json<Value>, Problem> {
    let mut items = Vec::new();
    for person in app.users.list().await? {
        if app.units.covers(caller.scope(), &person.unit).await? {
            items.push(person);
        }
    }
    Ok(Json(json!({ "items": items })))
}

/// `GET /api/v1/assignees`
pub(super) async fn assignees(State(app): State<App>) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "items": app.users.assignees().await? })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPerson {
    name: String,
    role: String,
    #[serde(default)]
    unit: String,
}

/// `POST /api/v1/users`: answers with the person's first password, this once.
pub(super) async fn make(
    State(app): State<App>,
    caller: Caller,
    JsonBody(new): JsonBody<NewPerson>,
) -> Result<Response, Problem> {
    let allowed = |character: char| character.is_alphanumeric() || "._@-".contains(character);
    if new.name.is_empty() || new.name.len() > 64 || !new.name.chars().all(allowed) {
        return Err(Problem::field(
            "name",
            "must be 1 to 64 letters, digits or any of . _ @ -",
        ));
    }
    let role = role(&new.role)?;
    within(&app, &caller, &new.unit).await?;
    let made = app.users.make(&new.name, role, &new.unit).await?;
    let (id, first) = made.ok_or_else(|| {
        Problem::new(
            StatusCode::CONFLICT,
            format!("There is a user {:?} already.", new.name),
        )
    })?;
    let body = json!({ "id": id, "name": first.user, "password": first.password });
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    role: Option<String>,
    unit: Option<String>,
    disabled: Option<bool>,
}

/// `PATCH /api/v1/users/{id}` with `If-Match`. Nobody changes themselves: so one administrator stays.
pub(super) async fn change(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    JsonBody(wish): JsonBody<Wish>,
) -> Result<Response, Problem> {
    let seen_version = seen_version(&headers)?;
    let person = managed(&app, &caller, &id).await?;
    if person.name == caller.name() {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "Another administrator must change your account.",
        ));
    }
    let role = wish.role.as_deref().map(role).transpose()?;
    if let Some(unit) = &wish.unit {
        within(&app, &caller, unit).await?;
    }
    let change = PersonChange {
        role,
        unit: wish.unit.as_deref(),
        disabled: wish.disabled,
    };
    if !app.users.change(&person, seen_version, change).await? {
        return Err(Problem::conflict(person.version));
    }
    let person = managed(&app, &caller, &id).await?;
    Ok(tagged(person.version, Json(person).into_response()))
}

/// `POST /api/v1/users/{id}/password`: a new random one, told this once.
pub(super) async fn reset(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let person = managed(&app, &caller, &id).await?;
    match app.users.reset(&person.name).await {
        Ok(first) => Ok(Json(
            json!({ "name": first.user, "password": first.password }),
        )),
        Err(UserError::Unknown { .. }) => Err(Problem::missing("user")),
        Err(UserError::Database(error)) => Err(error.into()),
    }
}

/// The person, if they are within the caller's units.
async fn managed(app: &App, caller: &Caller, id: &str) -> Result<Person, Problem> {
    let person = app
        .users
        .person(id)
        .await?
        .ok_or_else(|| Problem::missing("user"))?;
    if app.units.covers(caller.scope(), &person.unit).await? {
        Ok(person)
    } else {
        Err(Problem::missing("user"))
    }
}

async fn within(app: &App, caller: &Caller, unit: &str) -> Result<(), Problem> {
    if app.units.covers(caller.scope(), unit).await? {
        return Ok(());
    }
    Err(Problem::field("unit", "is not within your own units"))
}

fn role(name: &str) -> Result<Role, Problem> {
    Role::of_name(name).ok_or_else(|| {
        let known: Vec<_> = Role::ALL.iter().map(|role| role.name()).collect();
        Problem::field(
            "role",
            format!("unknown role {name:?}; one of {}", known.join(", ")),
        )
    })
}

/// `GET /api/v1/tokens`
pub(super) async fn tokens(State(app): State<App>, caller: Caller) -> Result<Json<Value>, Problem> {
    let mut items = Vec::new();
    for token in app.tokens.list().await? {
        if app.units.covers(caller.scope(), &token.unit).await? {
            items.push(token);
        }
    }
    Ok(Json(json!({ "items": items })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewTokenWish {
    name: String,
    role: String,
    #[serde(default)]
    unit: String,
    days: i64,
}

/// `POST /api/v1/tokens`: answers with the secret, this once.
pub(super) async fn make_token(
    State(app): State<App>,
    caller: Caller,
    JsonBody(new): JsonBody<NewTokenWish>,
) -> Result<Response, Problem> {
    // A token that makes tokens would outlive its own end.
    caller.session()?;
    if new.name.trim().is_empty() || new.name.len() > 100 {
        return Err(Problem::field(
            "name",
            "must be 1 to 100 bytes: say what the token is for",
        ));
    }
    if !(1..=TOKEN_DAYS_MAX).contains(&new.days) {
        return Err(Problem::field(
            "days",
            format!("must be from 1 to {TOKEN_DAYS_MAX}"),
        ));
    }
    let role = role(&new.role)?;
    within(&app, &caller, &new.unit).await?;
    let expires_at = app.clock.now().as_micros() + new.days * DAY_MICROS;
    let name = crate::database::storable(new.name.trim()).into_owned();
    let token = NewToken {
        name: &name,
        role,
        unit_root: &new.unit,
        created_by: caller.name(),
        expires_at,
    };
    let (id, secret) = app.tokens.make(token).await?;
    let body = json!({ "id": id, "token": secret, "expires_at": rfc3339(expires_at) });
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

/// `DELETE /api/v1/tokens/{id}`
pub(super) async fn revoke_token(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let token = app
        .tokens
        .list()
        .await?
        .into_iter()
        .find(|token| token.id == id);
    let token = token.ok_or_else(|| Problem::missing("token"))?;
    if !app.units.covers(caller.scope(), &token.unit).await? || !app.tokens.revoke(&id).await? {
        return Err(Problem::missing("token"));
    }
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /api/v1/units`
pub(super) async fn units(State(app): State<App>, caller: Caller) -> Result<Json<Value>, Problem> {
    Ok(Json(
        json!({ "items": app.units.list(caller.scope()).await? }),
    ))
}

/// `PUT /api/v1/units`: CSV with the columns id, name and parent.
pub(super) async fn import_units(
    State(app): State<App>,
    caller: Caller,
    csv: String,
) -> Result<Json<Value>, Problem> {
    if *caller.scope() != crate::accounts::Scope::City {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "Only who sees the whole city changes its tree of units.",
        ));
    }
    match app.units.import(&csv).await {
        Ok(changed) => Ok(Json(json!({ "changed": changed }))),
        Err(ImportError::Database(error)) => Err(error.into()),
        Err(error) => Err(Problem::field("body", error.to_string())),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AuditParams {
    limit: Option<u32>,
    cursor: Option<String>,
}

/// `GET /api/v1/audit`: newest first.
pub(super) async fn audit(
    State(app): State<App>,
    caller: Caller,
    Params(params): Params<AuditParams>,
) -> Result<Json<Value>, Problem> {
    if *caller.scope() != crate::accounts::Scope::City {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "The audit log is about the whole city.",
        ));
    }
    let limit = i64::from(params.limit.unwrap_or(100).clamp(1, 1_000));
    let before: i64 = match params.cursor.as_deref().filter(|cursor| !cursor.is_empty()) {
        None => i64::MAX,
        Some(cursor) => cursor.parse().map_err(|_| {
            Problem::field("cursor", "use next_cursor of an earlier answer as it is")
        })?,
    };
    let rows =
        sqlx::query("SELECT * FROM audit WHERE sequence < $1 ORDER BY sequence DESC LIMIT $2")
            .bind(before)
            .bind(limit)
            .fetch_all(app.database.pool())
            .await?;
    let rows: Vec<AuditRow> = rows.iter().map(AuditRow::read).collect::<Result<_, _>>()?;
    let next_cursor = rows
        .last()
        .map(|row| row.sequence)
        .filter(|sequence| *sequence > 1);
    let items: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({
                "sequence": row.sequence, "at": Timestamp(row.at).to_string(), "who": row.who,
                "role": row.role, "address": row.address, "action": row.action,
                "subject": row.subject, "detail": row.detail, "hash": row.hash,
            })
        })
        .collect();
    Ok(Json(
        json!({ "items": items, "next_cursor": next_cursor.map(|sequence| sequence.to_string()) }),
    ))
}
