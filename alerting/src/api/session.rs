//! Signing in and out.

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};

use super::caller::{Caller, Transport};
use super::problem::{JsonBody, Problem};
use super::{App, Peer};
use crate::accounts::{Session, Verdict};

/// Longer ones are nobody's.
const NAME_BYTES_MAX: usize = 256;
/// Hashing takes time by length, too.
const PASSWORD_BYTES_MAX: usize = 1024;

/// Who wants in.
#[derive(Deserialize)]
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
        return Err(Problem::field("user", "name or password is too long"));
    }
    let name = crate::accounts::normalised(&name);
    if let Verdict::RetryAfter { seconds } =
        app.sign_in_limits.begin(&name, address, app.clock.now())
    {
        tracing::warn!(%address, "sign-in refused: too many wrong passwords");
        return Err(Problem::too_many(
            format!(
                "Too many wrong passwords. Try again in {} minutes.",
                (seconds + 59) / 60
            ),
            seconds,
        ));
    }
    let user = app.users.find(&name).await?.filter(|user| !user.disabled);
    let expected = user.as_ref().map(|user| user.password_hash.clone());
    let right = app.users.passwords.verify(password, expected).await;
    let Some(user) = user.filter(|_| right) else {
        metrics::counter!("citywatch_sign_ins_total", "result" => "failed").increment(1);
        tracing::warn!(%address, "sign-in failed");
        return Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "Name or password is wrong.",
        ));
    };
    app.sign_in_limits.succeeded(&name, address);
    metrics::counter!("citywatch_sign_ins_total", "result" => "succeeded").increment(1);
    let (token, session) = app.sessions.begin(user, &address.to_string()).await?;
    let lifetime = i64::from(app.config.sessions.absolute_hours.max(1)) * 3600;
    Ok(with_cookie(
        transport,
        &token,
        lifetime,
        Json(description(&session)).into_response(),
    ))
}

/// `GET /api/v1/session`
pub(super) async fn show(caller: Caller) -> Json<Value> {
    Json(description(&caller.session))
}

/// `DELETE /api/v1/session`
pub(super) async fn sign_out(
    State(app): State<App>,
    Extension(transport): Extension<Transport>,
    caller: Caller,
) -> Result<Response, Problem> {
    app.sessions.end(&caller.session.token_hash).await?;
    Ok(with_cookie(
        transport,
        "",
        0,
        StatusCode::NO_CONTENT.into_response(),
    ))
}

fn description(session: &Session) -> Value {
    json!({
        "user": { "name": session.user.name, "role": session.user.role.name() },
        "csrf": session.csrf,
    })
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
