//! Who calls: finds the session or the token, checks role and CSRF token, and writes into the audit log
//! what is asked for before a handler does it.

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use ring::digest::{SHA256, digest};
use serde_json::Value;

use super::idempotency::{Begun, Keyed};
use super::problem::Problem;
use super::refusal::Refusal;
use super::{Access, App, BODY_BYTES_MAX, Peer, Recorded, Route};
use crate::accounts::{Role, Scope, Session, Token};
use crate::audit::Entry;

/// The cookie's name under HTTPS: browsers accept `__Host-` only with Secure, Path=/ and no Domain.
const COOKIE_SECURE: &str = "__Host-citywatch";
/// Its name on loopback, where there is no HTTPS.
const COOKIE_PLAIN: &str = "citywatch";

/// Header in which mutating requests carry the session's CSRF token.
const CSRF_HEADER: &str = "x-csrf-token";

/// Keys of bodies whose values reach no log.
const SECRET_KEYS: &[&str] = &["password", "current_password", "new_password", "token"];

/// Who makes a request.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    name: String,
    pub(crate) role: Role,
    scope: Scope,
    pub(crate) proof: Proof,
}

/// How a caller proved who it is.
#[derive(Clone, Debug)]
pub(crate) enum Proof {
    /// A person in a browser.
    Session(Session),
    /// A program; the token's id.
    Token(String),
}

impl From<Session> for Caller {
    fn from(session: Session) -> Self {
        let user = session.user.clone();
        Self {
            name: user.name,
            role: user.role,
            scope: user.scope,
            proof: Proof::Session(session),
        }
    }
}

impl From<Token> for Caller {
    fn from(token: Token) -> Self {
        let name = format!("token:{}", token.name);
        Self {
            name,
            role: token.role,
            scope: token.scope,
            proof: Proof::Token(token.id),
        }
    }
}

impl Caller {
    /// The name that stands in histories: a person's, or `token:` and a token's.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What the caller may see.
    pub(crate) fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The session; a token has none.
    pub(crate) fn session(&self) -> Result<&Session, Problem> {
        match &self.proof {
            Proof::Session(session) => Ok(session),
            Proof::Token(_) => Err(Problem::of(Refusal::NotForTokens)),
        }
    }

    /// Whether the caller may still do what it was let in for.
    pub(crate) async fn holds(&self, app: &App) -> Result<bool, sqlx::Error> {
        match &self.proof {
            Proof::Session(session) => app.sessions.holds(&session.token_hash).await,
            Proof::Token(id) => app.tokens.holds(id).await,
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts
            .extensions
            .get::<Self>()
            .cloned()
            .ok_or_else(Problem::signed_out)
    }
}

/// Whether cookies travel under HTTPS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    /// HTTPS.
    Tls,
    /// HTTP on loopback.
    Plain,
}

impl Transport {
    pub(crate) fn cookie_name(self) -> &'static str {
        match self {
            Self::Tls => COOKIE_SECURE,
            Self::Plain => COOKIE_PLAIN,
        }
    }
}

/// Lets a request through to its handler if its caller may use the route.
pub(crate) async fn admit(
    State((app, route)): State<(App, &'static Route)>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let Access::AtLeast(role) = route.access else {
        return Ok(next.run(request).await);
    };
    let (mut parts, body) = request.into_parts();
    let caller = caller(&app, &parts).await?;
    let record = Record::new(&app, route, &caller, &parts);
    if caller.role < role {
        record.append("refused: the role is too low").await?;
        return Err(Problem::of(Refusal::role_too_low(role, caller.role)));
    }
    if !is_mutating(&parts.method) {
        parts.extensions.insert(caller);
        return answer(record, "", Request::from_parts(parts, body), next).await;
    }
    let body = whole(body).await?;
    let keyed = Keyed::of(route, &caller, &parts, &body)?;
    parts.extensions.insert(caller);
    let detail = detail(&body);
    let request = Request::from_parts(parts, Body::from(body));
    let Some(keyed) = keyed else {
        return answer(record, &detail, request, next).await;
    };
    if let Begun::Again(response) = keyed.begin(&app).await? {
        record
            .append("sent again: answered as the first time, and not done again")
            .await?;
        return Ok(response);
    }
    // A task of its own: who sent it may be gone, and what is begun is done and noted all the same.
    let task = tokio::spawn(async move {
        let response = answer(record, &detail, request, next).await;
        keyed.finish(&app, response.into_response()).await
    });
    match task.await {
        Ok(response) => Ok(response),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Problem::of(Refusal::OutcomeUnknown)),
        },
    }
}

/// Writes into the audit log what is asked for, lets it be done, and writes whether it failed.
async fn answer(
    record: Record,
    detail: &str,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let sequence = match record.recorded {
        Recorded::Yes => Some(record.append(detail).await?),
        Recorded::No => None,
    };
    let response = next.run(request).await;
    let status = response.status();
    if let Some(sequence) = sequence
        && !status.is_success()
    {
        record
            .append(&format!("entry {sequence} failed: {status}"))
            .await?;
    }
    Ok(response)
}

async fn caller(app: &App, parts: &Parts) -> Result<Caller, Problem> {
    if let Some(secret) = bearer(&parts.headers) {
        // No browser adds this header by itself, so no page can make one send it: no CSRF token needed.
        return app
            .tokens
            .find(secret)
            .await?
            .map(Caller::from)
            .ok_or_else(Problem::signed_out);
    }
    let transport = *parts
        .extensions
        .get::<Transport>()
        .ok_or_else(Problem::signed_out)?;
    let token = cookie(&parts.headers, transport.cookie_name()).ok_or_else(Problem::signed_out)?;
    let session = app
        .sessions
        .find(token)
        .await?
        .ok_or_else(Problem::signed_out)?;
    if is_mutating(&parts.method) {
        check_csrf(&parts.headers, &session.csrf)?;
    }
    Ok(session.into())
}

/// What the audit log tells of a request.
struct Record {
    app: App,
    who: String,
    role: Role,
    recorded: Recorded,
    action: String,
    subject: String,
    address: String,
}

impl Record {
    fn new(app: &App, route: &Route, caller: &Caller, parts: &Parts) -> Self {
        let subject = parts.uri.path_and_query().map_or("", |path| path.as_str());
        Self {
            app: app.clone(),
            who: caller.name().to_owned(),
            role: caller.role,
            recorded: route.recorded,
            action: format!("{} {}", route.method, route.path),
            subject: subject.chars().take(2_000).collect(),
            address: parts
                .extensions
                .get::<Peer>()
                .map_or_else(String::new, |Peer(ip)| ip.to_string()),
        }
    }

    async fn append(&self, detail: &str) -> Result<i64, Problem> {
        let entry = Entry {
            who: &self.who,
            role: self.role.name(),
            address: &self.address,
            action: &self.action,
            subject: &self.subject,
            detail,
        };
        Ok(self.app.audit.append(entry).await?)
    }
}

/// The body, read.
async fn whole(body: Body) -> Result<Bytes, Problem> {
    to_bytes(body, BODY_BYTES_MAX).await.map_err(|_| {
        Problem::of(Refusal::TooLong {
            bytes_max: BODY_BYTES_MAX,
        })
    })
}

/// What of a body may be told.
fn detail(body: &[u8]) -> String {
    match serde_json::from_slice::<Value>(body) {
        Ok(mut value) => {
            redact(&mut value);
            value.to_string()
        }
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    }
}

fn redact(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                if SECRET_KEYS.contains(&key.as_str()) {
                    *value = "***".into();
                } else if key == "target"
                    && let Some(url) = value.as_str().and_then(without_path)
                {
                    *value = url.into();
                } else {
                    redact(value);
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(redact),
        _ => {}
    }
}

/// A URL without what stands behind its host, which may be a key: webhooks of chats are. None for other texts.
fn without_path(text: &str) -> Option<String> {
    let (scheme, rest) = text.trim().split_once("://")?;
    if !matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https") {
        return None;
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let host = rest[..end].rsplit('@').next().unwrap_or("");
    let more = if end < rest.len() { "/***" } else { "" };
    Some(format!("{scheme}://{host}{more}"))
}

/// Whether a request changes something.
pub(crate) fn is_mutating(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

fn check_csrf(headers: &HeaderMap, expected: &str) -> Result<(), Problem> {
    let given = headers
        .get(CSRF_HEADER)
        .map_or(&[][..], |value| value.as_bytes());
    // Digests are compared, so that the time tells nothing about the token.
    if digest(&SHA256, given).as_ref() == digest(&SHA256, expected.as_bytes()).as_ref() {
        return Ok(());
    }
    Err(Problem::of(Refusal::WrongCsrfToken))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .strip_prefix("Bearer ")
        .map(str::trim)
}

/// The value of a cookie.
fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(key, value)| (key == name).then_some(value))
}
