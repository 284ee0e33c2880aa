//! The operators' window: metrics, health and status on a loopback address of their own, without
//! sign-in, apart from the analysts' console.
//!
//! - `GET /metrics`: Prometheus text format 0.0.4.
//! - `GET /health/live`: 200 while the process answers.
//! - `GET /health/ready`: 200 when every part runs, otherwise 503 with the parts that do not.
//! - `GET /status`: the [`Status`] as JSON.
//! - `GET /tap`: samples of what flows, a line of JSON each; they hold log content, so that only who has the
//!   token of [`crate::monitor_token`] gets them.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use anyhow::Context;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use citywatch_engine::pipeline::{TapFilter, TapHandle, TapKind};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::monitor_token;
use crate::parts::{Part, PartState, Parts};

/// Rates are taken over this span.
const RATE_WINDOW: Duration = Duration::from_secs(10);
/// Longest time without a line to who watches samples.
const TAP_SILENCE_MAX: Duration = Duration::from_secs(1);

/// All that `citywatch status` shows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// Version of the program that answers.
    pub version: String,
    /// Seconds since its start.
    pub uptime_s: u64,
    /// Whether every part runs.
    pub ready: bool,
    /// The parts of this process.
    pub parts: BTreeMap<String, Part>,
    /// Totals since the start, by name.
    pub totals: BTreeMap<String, u64>,
    /// Growth of each total per second over the last ten seconds.
    pub rates_per_s: BTreeMap<String, f64>,
    /// What each part says of itself.
    pub details: serde_json::Map<String, serde_json::Value>,
}

/// What a process reports of itself, read whenever somebody asks.
pub trait Reporter: Send + Sync + 'static {
    /// Totals since the start; rates are derived from them.
    fn totals(&self) -> BTreeMap<String, u64>;
    /// Details by part.
    fn details(&self) -> serde_json::Map<String, serde_json::Value>;
}

/// Makes status reports; clones share it.
#[derive(Clone)]
pub struct Monitor(Arc<Inner>);

struct Inner {
    started: Instant,
    parts: Parts,
    prometheus: PrometheusHandle,
    reporter: Mutex<Option<Box<dyn Reporter>>>,
    samples: Mutex<VecDeque<(Instant, BTreeMap<String, u64>)>>,
    taps: OnceLock<(TapHandle, String)>,
}

impl Monitor {
    /// Installs the process's metrics recorder.
    pub fn install(parts: Parts) -> anyhow::Result<Self> {
        let prometheus = PrometheusBuilder::new()
            .set_buckets(&[
                0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
            ])
            .context("metrics buckets")?
            .install_recorder()
            .context("cannot install the metrics recorder")?;
        Ok(Self(Arc::new(Inner {
            started: Instant::now(),
            parts,
            prometheus,
            reporter: Mutex::new(None),
            samples: Mutex::new(VecDeque::new()),
            taps: OnceLock::new(),
        })))
    }

    /// Sets who reports totals and details, once the parts are up.
    pub fn report_from(&self, reporter: impl Reporter) {
        *lock(&self.0.reporter) = Some(Box::new(reporter));
    }

    /// Gives samples to who has the token.
    pub fn give_samples(&self, taps: TapHandle, token: String) {
        // The first stays: there is one pipeline.
        let _ = self.0.taps.set((taps, token));
    }

    /// The status now.
    pub fn status(&self) -> Status {
        let (totals, details) = match lock(&self.0.reporter).as_ref() {
            Some(reporter) => (reporter.totals(), reporter.details()),
            None => Default::default(),
        };
        let parts = self.0.parts.snapshot();
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_s: self.0.started.elapsed().as_secs(),
            ready: !parts.is_empty() && parts.values().all(|part| part.state == PartState::Running),
            rates_per_s: self.rates(&totals),
            parts,
            totals,
            details,
        }
    }

    fn rates(&self, totals: &BTreeMap<String, u64>) -> BTreeMap<String, f64> {
        let samples = lock(&self.0.samples);
        let Some((then, before)) = samples.front() else {
            return BTreeMap::new();
        };
        let seconds = then.elapsed().as_secs_f64().max(0.001);
        totals
            .iter()
            .map(|(name, total)| {
                let grown = total.saturating_sub(before.get(name).copied().unwrap_or(0));
                (name.clone(), grown as f64 / seconds)
            })
            .collect()
    }

    fn sample(&self) {
        let totals = lock(&self.0.reporter)
            .as_ref()
            .map(|reporter| reporter.totals())
            .unwrap_or_default();
        let mut samples = lock(&self.0.samples);
        samples.push_back((Instant::now(), totals));
        while samples.len() > 1
            && samples
                .front()
                .is_some_and(|(then, _)| then.elapsed() > RATE_WINDOW)
        {
            samples.pop_front();
        }
    }

    /// Binds `listen` and answers until `shutdown`.
    ///
    /// # Errors
    /// When the address cannot be bound: the message names the setting to change.
    pub async fn listen(
        &self,
        listen: SocketAddr,
        shutdown: CancellationToken,
    ) -> anyhow::Result<SocketAddr> {
        let listener = TcpListener::bind(listen).await.with_context(|| {
            format!("cannot listen on {listen} for metrics and status: stop what uses the port or set [monitor] listen")
        })?;
        let address = listener.local_addr().context("monitor address")?;
        let router = Router::new()
            .route("/metrics", get(metrics_text))
            .route("/tap", get(tap))
            .route("/health/live", get(|| async { "live\n" }))
            .route("/health/ready", get(ready))
            .route(
                "/status",
                get(|State(monitor): State<Self>| async move { Json(monitor.status()) }),
            )
            .with_state(self.clone());
        let monitor = self.clone();
        tokio::spawn(async move {
            let serve = axum::serve(listener, router)
                .with_graceful_shutdown(shutdown.clone().cancelled_owned());
            let sampling = async {
                let mut every_second = tokio::time::interval(Duration::from_secs(1));
                loop {
                    every_second.tick().await;
                    monitor.sample();
                    monitor.0.prometheus.run_upkeep();
                }
            };
            tokio::select! {
                outcome = serve => if let Err(error) = outcome {
                    tracing::error!(%error, "the monitor's listener ended");
                },
                () = sampling => {}
            }
        });
        Ok(address)
    }
}

async fn metrics_text(State(monitor): State<Monitor>) -> Response {
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4")],
        monitor.0.prometheus.render(),
    )
        .into_response()
}

/// Samples until the caller or the pipeline ends; each second without one tells how many were skipped.
async fn tap(
    State(monitor): State<Monitor>,
    Query(asked): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Response {
    let refuse = |status: StatusCode, words: String| (status, words + "\n").into_response();
    let Some((taps, token)) = monitor.0.taps.get() else {
        let words = "nothing flows through this process, or it is just starting";
        return refuse(StatusCode::SERVICE_UNAVAILABLE, words.to_owned());
    };
    let sent = headers.get(header::AUTHORIZATION);
    let sent = sent.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    if !sent.is_some_and(|sent| monitor_token::is_right(token, sent)) {
        let words =
            "samples hold log content: send the token of the file monitor-token in the data folder";
        return refuse(StatusCode::UNAUTHORIZED, words.to_owned());
    }
    let kind = asked.iter().find(|(name, _)| name == "kind");
    let kind = match kind.map(|(_, kind)| kind.as_str()) {
        Some("records") => TapKind::Records,
        Some("events") | None => TapKind::Events,
        Some("matches") => TapKind::Matches,
        Some(_) => {
            let words = "kind is records, events or matches";
            return refuse(StatusCode::BAD_REQUEST, words.to_owned());
        }
    };
    let conditions = asked.iter().filter(|(name, _)| name == "filter");
    let filter = match TapFilter::parse(conditions.map(|(_, text)| text.as_str())) {
        Ok(filter) => filter,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, error.to_string()),
    };
    let samples = match taps.watch(kind, filter) {
        Ok(samples) => samples,
        Err(error) => return refuse(StatusCode::TOO_MANY_REQUESTS, error.to_string()),
    };
    let lines = futures::stream::unfold((samples, 0), |(mut samples, told)| async move {
        let skipped = samples.skipped();
        if skipped > told {
            let line = format!("{{\"skipped\":{skipped}}}\n");
            return Some((Ok::<_, std::convert::Infallible>(line), (samples, skipped)));
        }
        match tokio::time::timeout(TAP_SILENCE_MAX, samples.next()).await {
            Ok(None) => None,
            Ok(Some(sample)) => Some((Ok(sample + "\n"), (samples, told))),
            // A caller that went away is noticed by writing.
            Err(_) => Some((
                Ok(format!("{{\"skipped\":{skipped}}}\n")),
                (samples, skipped),
            )),
        }
    });
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    (kind, axum::body::Body::from_stream(lines)).into_response()
}

async fn ready(State(monitor): State<Monitor>) -> Response {
    let parts = monitor.0.parts.snapshot();
    let waiting: Vec<String> = parts
        .iter()
        .filter(|(_, part)| part.state != PartState::Running)
        .map(|(name, part)| format!("{name}: {:?}: {}\n", part.state, part.detail))
        .collect();
    if waiting.is_empty() && !parts.is_empty() {
        (StatusCode::OK, "ready\n".to_owned()).into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, waiting.concat()).into_response()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
