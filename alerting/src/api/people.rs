//! Administration: people, tokens, and the audit log.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::App;
use super::caller::Caller;
use super::field_fault::FieldFault;
use super::incidents::{between, tagged};
use super::problem::{JsonBody, Params, Problem};
use super::refusal::{Refusal, Thing};
use super::triage::seen_version;
use crate::accounts::{NewToken, Person, PersonChange, Role, UserError};
use crate::audit::AuditRow;
use crate::clock::DAY_MICROS;
use crate::incidents::rfc3339;
use crate::sql::Conditions;

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

#[derive(Serialize, ToSchema)]
pub(super) struct MadePerson {
    id: String,
    name: String,
    /// Told this once.
    password: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct NewPassword {
    name: String,
    /// Told this once.
    password: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct MadeToken {
    id: String,
    /// Told this once.
    token: String,
    expires_at: String,
}

/// An entry of the audit log.
#[derive(Serialize, ToSchema)]
pub(super) struct AuditEntry {
    sequence: i64,
    at: String,
    who: String,
    role: String,
    address: String,
    action: String,
    subject: String,
    detail: String,
    hash: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPerson {
    name: String,
    #[schema(value_type = Role)]
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
        return Err(Problem::field("name", FieldFault::NoUserName));
    }
    let role = role(&new.role)?;
    within(&app, &caller, &new.unit).await?;
    let made = app.users.make(&new.name, role, &new.unit).await?;
    let (id, first) = made.ok_or_else(|| {
        Problem::of(Refusal::NameTaken {
            name: new.name.clone(),
        })
    })?;
    let body = MadePerson {
        id,
        name: first.user,
        password: first.password,
    };
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PersonWish {
    #[schema(value_type = Option<Role>)]
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
    JsonBody(wish): JsonBody<PersonWish>,
) -> Result<Response, Problem> {
    let seen_version = seen_version(&headers)?;
    let person = managed(&app, &caller, &id).await?;
    if person.name == caller.name() {
        return Err(Problem::of(Refusal::OwnAccount));
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
) -> Result<Json<NewPassword>, Problem> {
    let person = managed(&app, &caller, &id).await?;
    match app.users.reset(&person.name).await {
        Ok(first) => Ok(Json(NewPassword {
            name: first.user,
            password: first.password,
        })),
        Err(UserError::Unknown { .. }) => Err(Problem::missing(Thing::User)),
        Err(UserError::Database(error)) => Err(error.into()),
    }
}

/// The person, if they are within the caller's units.
async fn managed(app: &App, caller: &Caller, id: &str) -> Result<Person, Problem> {
    let person = app
        .users
        .person(id)
        .await?
        .ok_or_else(|| Problem::missing(Thing::User))?;
    if app.units.covers(caller.scope(), &person.unit).await? {
        Ok(person)
    } else {
        Err(Problem::missing(Thing::User))
    }
}

async fn within(app: &App, caller: &Caller, unit: &str) -> Result<(), Problem> {
    if !app.units.covers(caller.scope(), unit).await? {
        return Err(Problem::field("unit", FieldFault::OutsideUnits));
    }
    if !app.units.knows(unit).await? {
        return Err(Problem::field("unit", FieldFault::NoSuchUnit));
    }
    Ok(())
}

fn role(name: &str) -> Result<Role, Problem> {
    Role::of_name(name).ok_or_else(|| {
        let known: Vec<_> = Role::ALL.iter().map(|role| role.name()).collect();
        Problem::field("role", FieldFault::unknown(name, known))
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

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenWish {
    name: String,
    #[schema(value_type = Role)]
    role: String,
    #[serde(default)]
    unit: String,
    days: i64,
}

/// `POST /api/v1/tokens`: answers with the secret, this once.
pub(super) async fn make_token(
    State(app): State<App>,
    caller: Caller,
    JsonBody(new): JsonBody<TokenWish>,
) -> Result<Response, Problem> {
    // A token that makes tokens would outlive its own end.
    caller.session()?;
    if new.name.trim().is_empty() || new.name.len() > 100 {
        return Err(Problem::field(
            "name",
            FieldFault::Length {
                bytes_min: 1,
                bytes_max: 100,
            },
        ));
    }
    if !(1..=TOKEN_DAYS_MAX).contains(&new.days) {
        return Err(Problem::field(
            "days",
            FieldFault::Range {
                min: 1,
                max: TOKEN_DAYS_MAX,
            },
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
    let body = MadeToken {
        id,
        token: secret,
        expires_at: rfc3339(expires_at),
    };
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
    let token = token.ok_or_else(|| Problem::missing(Thing::Token))?;
    if !app.units.covers(caller.scope(), &token.unit).await? || !app.tokens.revoke(&id).await? {
        return Err(Problem::missing(Thing::Token));
    }
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct AuditParams {
    /// From 1 to 1,000; 100 by default.
    limit: Option<u32>,
    cursor: Option<String>,
    /// Only what this person or token did, called exactly so: `an`, `token:siem`.
    who: Option<String>,
    /// Only this action: `POST /api/v1/session`, or how it begins, in whole parts between spaces, slashes and dots: `POST`,
    /// `POST /api/v1/incidents` (not `POST /api/v1/inc`).
    action: Option<String>,
    /// Only what was asked of this address or what begins with it: `/api/v1/incidents/`.
    subject: Option<String>,
    /// Not before this time (RFC 3339).
    from: Option<String>,
    /// Before this time (RFC 3339).
    to: Option<String>,
}

/// `GET /api/v1/audit`: newest first.
pub(super) async fn audit(
    State(app): State<App>,
    caller: Caller,
    Params(params): Params<AuditParams>,
) -> Result<Json<Value>, Problem> {
    if *caller.scope() != crate::accounts::Scope::City {
        return Err(Problem::of(Refusal::AuditOfWholeCity));
    }
    let limit = i64::from(params.limit.unwrap_or(100).clamp(1, 1_000));
    let mut conditions = Conditions::default();
    if let Some(cursor) = params.cursor.as_deref().filter(|cursor| !cursor.is_empty()) {
        let before: i64 = cursor
            .parse()
            .map_err(|_| Problem::field("cursor", FieldFault::NoCursor))?;
        conditions.compare("sequence", "<", before);
    }
    if let Some(who) = params.who.filter(|who| !who.is_empty()) {
        conditions.compare("who", "=", who);
    }
    if let Some(action) = params.action.filter(|action| !action.is_empty()) {
        conditions.begins_in_whole_parts("action", &action);
    }
    if let Some(subject) = params.subject.filter(|subject| !subject.is_empty()) {
        conditions.begins("subject", &subject);
    }
    let (from, to) = between(params.from.as_deref(), params.to.as_deref())?;
    if let Some(from) = from {
        conditions.compare("at", ">=", from);
    }
    if let Some(to) = to {
        conditions.compare("at", "<", to);
    }
    let sql = format!(
        "SELECT * FROM audit{} ORDER BY sequence DESC LIMIT {limit}",
        conditions.clause()
    );
    let rows = conditions.query(sql).fetch_all(app.database.pool()).await?;
    let rows: Vec<AuditRow> = rows.iter().map(AuditRow::read).collect::<Result<_, _>>()?;
    let full = rows.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
    let next_cursor = rows
        .last()
        .map(|row| row.sequence)
        .filter(|sequence| full && *sequence > 1);
    let items: Vec<AuditEntry> = rows
        .into_iter()
        .map(|row| AuditEntry {
            sequence: row.sequence,
            at: rfc3339(row.at),
            who: row.who,
            role: row.role,
            address: row.address,
            action: row.action,
            subject: row.subject,
            detail: row.detail,
            hash: row.hash,
        })
        .collect();
    Ok(Json(
        json!({ "items": items, "next_cursor": next_cursor.map(|sequence| sequence.to_string()) }),
    ))
}
