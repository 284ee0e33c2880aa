//! The HTTP API under `/api/v1`, and the pages beside it.
//!
//! Invariants:
//! - Every route stands in [`ROUTES`], with the least role that may use it; there is no other way in. A
//!   test walks the table, and the OpenAPI document is made of it.
//! - What a person may see is bounded where queries are built, by the scope in [`Caller`].
//! - Errors are problems (RFC 9457) that name field and reason.

mod attack;
mod caller;
mod describe;
mod entities;
mod events;
mod explain;
mod field_fault;
mod guard;
mod idempotency;
mod incidents;
mod notifications;
mod people;
mod problem;
mod reader_clock;
mod refusal;
mod routes;
mod rules;
mod session;
mod status;
mod stream;
mod suppressions;
mod triage;
mod units;
mod views;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use citywatch_engine::store::Store;
use tokio_util::sync::CancellationToken;
use tower_http::compression::CompressionLayer;
use tower_http::timeout::TimeoutLayer;

pub(crate) use caller::Transport;
pub use describe::openapi_json;
pub(crate) use guard::{CertificateOrigin, Doors};
pub use routes::{ROUTES, Route};
pub(crate) use status::StatusSource;
pub(crate) use stream::Followers;

use crate::accounts::{Role, Sessions, SignInLimits, Tokens, Units, Users};
use crate::audit::Audit;
use crate::changes::Changes;
use crate::clock::Clock;
use crate::config::AlertingConfig;
use crate::database::Database;
use crate::demonstration::{self, Demonstration};
use crate::incidents::Rescores;
use crate::notification::{Outbox, Routes};
use crate::suppression::Suppressions;
use problem::Problem;
use refusal::Refusal;

/// Longest body of a request: nothing here uploads files.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// After this a request has failed. A stream's answer has begun by then.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// What handlers work with. Cheap to clone.
#[derive(Clone)]
pub(crate) struct App(Arc<AppInner>);

/// See [`App`].
pub(crate) struct AppInner {
    pub(crate) config: Arc<AlertingConfig>,
    pub(crate) clock: Clock,
    pub(crate) database: Database,
    pub(crate) users: Users,
    pub(crate) sessions: Sessions,
    pub(crate) tokens: Tokens,
    pub(crate) units: Units,
    pub(crate) suppressions: Suppressions,
    pub(crate) routes: Routes,
    pub(crate) outbox: Outbox,
    pub(crate) audit: Audit,
    pub(crate) sign_in_limits: SignInLimits,
    pub(crate) changes: Changes,
    pub(crate) rescores: Rescores,
    pub(crate) followers: Followers,
    pub(crate) store: Option<Store>,
    pub(crate) demonstration: Demonstration,
    pub(crate) status: StatusSource,
    pub(crate) shutdown: CancellationToken,
}

impl App {
    pub(crate) fn new(inner: AppInner) -> Self {
        Self(Arc::new(inner))
    }
}

impl std::ops::Deref for App {
    type Target = AppInner;

    fn deref(&self) -> &AppInner {
        &self.0
    }
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("App")
    }
}

/// Who may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody: signing in, and nothing else.
    Public,
    /// Who is signed in with this role or a higher one.
    AtLeast(Role),
}

/// Whether the audit log tells of a route's use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It does, before the route does anything.
    Yes,
    /// What pages ask for by themselves, again and again, is not told; nor what changes nothing and shows
    /// no event.
    No,
}

/// The whole site: API and console, behind its guards.
pub(crate) fn site(app: App, doors: Doors) -> Router {
    let mark = app.demonstration.clone();
    let mut api = Router::new();
    for route in ROUTES {
        let guard = middleware::from_fn_with_state((app.clone(), route), caller::admit);
        api = api.route(route.path, (route.handler)().layer(guard));
    }
    let api = api
        .method_not_allowed_fallback(async || Problem::of(Refusal::WrongMethod))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::GATEWAY_TIMEOUT,
            REQUEST_TIMEOUT,
        ))
        .layer(middleware::map_response(say_timeout))
        .with_state(app);
    let doors = Arc::new(doors);
    api.fallback(crate::assets::serve)
        .layer(middleware::from_fn_with_state(
            doors.clone(),
            guard::check_request,
        ))
        .layer(CompressionLayer::new().gzip(true).br(true))
        .layer(middleware::from_fn_with_state(doors, guard::add_headers))
        .layer(middleware::from_fn_with_state(
            mark,
            demonstration::mark_answer,
        ))
        .layer(middleware::from_fn(guard::measure))
}

/// The layer that ends what takes too long says it with a status alone.
async fn say_timeout(response: Response) -> Response {
    let silent = !response.headers().contains_key(header::CONTENT_TYPE);
    if silent && response.status() == StatusCode::GATEWAY_TIMEOUT {
        return Problem::of(Refusal::TimedOut).into_response();
    }
    response
}

/// The address that a request came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// The answer for an address under `/api/` that is none.
pub(crate) fn no_such_route() -> Response {
    Problem::of(Refusal::NoSuchAddress).into_response()
}
