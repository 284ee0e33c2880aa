//! Signing in and out.

use std::net::IpAddr;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::caller::{Caller, Transport};
use super::field_fault::FieldFault;
use super::problem::{JsonBody, Problem};
use super::refusal::Refusal;
use super::{App, Peer};
use crate::accounts::{Role, Verdict};
use crate::audit::Entry;

/// Longer ones are nobody's.
const NAME_BYTES_MAX: usize = 256;
/// NIST SP 800-63B asks for 8 at least, and for no rules about their kinds.
const PASSWORD_CHARACTERS_MIN: usize = 12;
/// Hashing takes time by length, too.
const PASSWORD_BYTES_MAX: usize = 1024;

/// Who wants in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Credentials {
    user: String,
    password: String,
}

/// `POST /api/v1/session`
pub(super) async fn sign_in(
    State(app): State<App>,
    Extension(Peer(address)): Extension<Peer>,
    Extension(transport): Extension<Transport>,
    JsonBody(credentials): JsonBody<Credentials>,
) -> Result<Response, Problem> {
    let Credentials {
        user: name,
        password,
    } = credentials;
    if name.len() > NAME_BYTES_MAX || password.len() > PASSWORD_BYTES_MAX {
        return Err(Problem::field(
            "user",
            FieldFault::TooLong {
                bytes_max: NAME_BYTES_MAX,
            },
        ));
    }
    let name = crate::accounts::normalised(&name);
    if let Some(changed_at) = app.users.password_changed_at(&name).await? {
        app.sign_in_limits.password_changed(&name, changed_at);
    }
    if let Verdict::RetryAfter { seconds, refusals } =
        app.sign_in_limits.begin(&name, address, app.clock.now())
    {
        tracing::warn!(%address, "sign-in refused: too many wrong passwords");
        // The first, and how many they became, without a flood of them in the log: the 1st, 10th, 100th, ...
        if is_power_of_ten(refusals) {
            record(&app, &name, "", address, &format!("refused: {refusals}")).await?;
        }
        return Err(Problem::too_many_passwords(seconds));
    }
    let user = app.users.find(&name).await?.filter(|user| !user.disabled);
    let expected = user.as_ref().map(|user| user.password_hash.clone());
    let right = app.users.passwords.verify(password, expected).await;
    let Some(user) = user.filter(|_| right) else {
        metrics::counter!("citywatch_sign_ins_total", "result" => "failed").increment(1);
        tracing::warn!(%address, "sign-in failed");
        record(&app, &name, "", address, "failed").await?;
        return Err(Problem::of(Refusal::WrongNameOrPassword));
    };
    app.sign_in_limits.succeeded(&name, address);
    metrics::counter!("citywatch_sign_ins_total", "result" => "succeeded").increment(1);
    record(&app, &user.name, user.role.name(), address, "succeeded").await?;
    let (token, session) = app.sessions.begin(user, &address.to_string()).await?;
    let lifetime = i64::from(app.config.sessions.absolute_hours.max(1)) * 3600;
    Ok(with_cookie(
        transport,
        &token,
        lifetime,
        Json(description(&app, &session.into())).into_response(),
    ))
}

/// `GET /api/v1/session`
pub(super) async fn show(State(app): State<App>, caller: Caller) -> Json<SessionView> {
    Json(description(&app, &caller))
}

/// `DELETE /api/v1/session`
pub(super) async fn sign_out(
    State(app): State<App>,
    Extension(transport): Extension<Transport>,
    caller: Caller,
) -> Result<Response, Problem> {
    app.sessions.end(&caller.session()?.token_hash).await?;
    Ok(with_cookie(
        transport,
        "",
        0,
        StatusCode::NO_CONTENT.into_response(),
    ))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PasswordChange {
    current_password: String,
    new_password: String,
}

/// `PUT /api/v1/session/password`: the caller's own.
pub(super) async fn change_password(
    State(app): State<App>,
    Extension(Peer(address)): Extension<Peer>,
    caller: Caller,
    JsonBody(change): JsonBody<PasswordChange>,
) -> Result<StatusCode, Problem> {
    let session = caller.session()?;
    let length = change.new_password.chars().count();
    if length < PASSWORD_CHARACTERS_MIN || change.new_password.len() > PASSWORD_BYTES_MAX {
        let fault = FieldFault::ShortPassword {
            characters_min: PASSWORD_CHARACTERS_MIN,
        };
        return Err(Problem::field("new_password", fault));
    }
    // Who finds an open browser guesses no faster than who stands before the door.
    if let Verdict::RetryAfter { seconds, .. } =
        app.sign_in_limits
            .begin(caller.name(), address, app.clock.now())
    {
        return Err(Problem::too_many_passwords(seconds));
    }
    let expected = Some(session.user.password_hash.clone());
    if !app
        .users
        .passwords
        .verify(change.current_password, expected)
        .await
    {
        return Err(Problem::field(
            "current_password",
            FieldFault::WrongPassword,
        ));
    }
    app.sign_in_limits.succeeded(caller.name(), address);
    app.users
        .set_password(&session.user.id, change.new_password, &session.token_hash)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

fn is_power_of_ten(number: u64) -> bool {
    number
        .checked_ilog10()
        .is_some_and(|digits| 10_u64.pow(digits) == number)
}

async fn record(
    app: &App,
    who: &str,
    role: &str,
    address: IpAddr,
    detail: &str,
) -> Result<(), Problem> {
    let address = address.to_string();
    let entry = Entry {
        who,
        role,
        address: &address,
        action: "POST /api/v1/session",
        subject: "/api/v1/session",
        detail,
    };
    app.audit.append(entry).await?;
    Ok(())
}

/// Who is signed in.
#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
pub(super) struct SessionView {
    user: SignedIn,
    /// Goes back as X-CSRF-Token with what changes something; a token has none.
    csrf: Option<String>,
    /// What this installation holds are played recordings, not what happens in the city.
    demonstration: bool,
}

#[derive(Serialize, ToSchema)]
struct SignedIn {
    name: String,
    role: Role,
    /// The unit whose subtree is seen; empty for the whole city.
    unit: String,
}

fn description(app: &App, caller: &Caller) -> SessionView {
    SessionView {
        user: SignedIn {
            name: caller.name().to_owned(),
            role: caller.role,
            unit: caller.scope().root().to_owned(),
        },
        csrf: caller.session().ok().map(|session| session.csrf.clone()),
        demonstration: app.demonstration.is_set(),
    }
}

fn with_cookie(
    transport: Transport,
    token: &str,
    seconds: i64,
    mut response: Response,
) -> Response {
    let secure = match transport {
        Transport::Tls => "; Secure",
        Transport::Plain => "",
    };
    let cookie = format!(
        "{}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}",
        transport.cookie_name()
    );
    let cookie = HeaderValue::try_from(cookie).expect("names and tokens are plain ASCII");
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    response
}
