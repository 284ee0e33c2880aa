//! Who calls: finds the session, checks role and CSRF token before a handler runs.

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use ring::digest::{SHA256, digest};

use super::problem::Problem;
use super::{Access, App};
use crate::accounts::{Scope, Session};

/// The cookie's name under HTTPS: browsers accept `__Host-` only with Secure, Path=/ and no Domain.
const COOKIE_SECURE: &str = "__Host-citywatch";
/// Its name on loopback, where there is no HTTPS.
const COOKIE_PLAIN: &str = "citywatch";

/// Header in which mutating requests carry the session's CSRF token.
pub(crate) const CSRF_HEADER: &str = "x-csrf-token";

/// Who makes a request.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) session: Session,
}

impl Caller {
    /// The name that stands in histories.
    pub(crate) fn name(&self) -> &str {
        &self.session.user.name
    }

    /// What the caller may see.
    pub(crate) fn scope(&self) -> &Scope {
        &self.session.user.scope
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
    State((app, access)): State<(App, Access)>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let Access::AtLeast(role) = access else {
        return Ok(next.run(request).await);
    };
    let transport = *request
        .extensions()
        .get::<Transport>()
        .ok_or_else(Problem::signed_out)?;
    let token =
        cookie(request.headers(), transport.cookie_name()).ok_or_else(Problem::signed_out)?;
    let session = app
        .sessions
        .find(token)
        .await?
        .ok_or_else(Problem::signed_out)?;
    if is_mutating(request.method()) {
        check_csrf(request.headers(), &session.csrf)?;
    }
    if session.user.role < role {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            format!(
                "This needs the role {role}; yours is {}. Ask an administrator.",
                session.user.role
            ),
        ));
    }
    request.extensions_mut().insert(Caller { session });
    Ok(next.run(request).await)
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
    Err(Problem::new(
        StatusCode::FORBIDDEN,
        "The header X-CSRF-Token is missing or wrong: send the token that GET /api/v1/session tells.",
    ))
}

/// The value of a cookie.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(key, value)| (key == name).then_some(value))
}
