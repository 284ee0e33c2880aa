//! What watches an agent from outside: metrics in Prometheus' format, health and status, as the engine has them.
//!
//! - `GET /metrics`: Prometheus text format 0.0.4.
//! - `GET /health/live`: 200 while the process answers.
//! - `GET /status`: what `status.json` says, as of now.

use std::net::SocketAddr;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use citywatch_collector::AgentMonitor;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// The listener, before the agent whose status it tells has begun: what is counted from the start on is told.
pub(crate) struct Monitor {
    listener: TcpListener,
    prometheus: PrometheusHandle,
}

#[derive(Clone)]
struct Told {
    prometheus: PrometheusHandle,
    agent: AgentMonitor,
}

impl Monitor {
    /// Takes the address, and the process's metrics from here on.
    ///
    /// # Errors
    /// In words, with what to do.
    pub(crate) async fn open(listen: SocketAddr) -> Result<Self, String> {
        let listener = TcpListener::bind(listen).await.map_err(|error| {
            format!("cannot listen on {listen} for metrics and status: {error}; stop what uses the port, or set another [monitor] listen")
        })?;
        let prometheus = PrometheusBuilder::new()
            .install_recorder()
            .map_err(|error| format!("metrics cannot be counted: {error}"))?;
        Ok(Self {
            listener,
            prometheus,
        })
    }

    /// Answers until `shutdown`.
    pub(crate) fn serve(self, agent: AgentMonitor, shutdown: CancellationToken) {
        if let Ok(address) = self.listener.local_addr() {
            tracing::info!(%address, "metrics and status are told");
        }
        let told = Told {
            prometheus: self.prometheus,
            agent,
        };
        let router = Router::new()
            .route("/metrics", get(metrics_text))
            .route("/health/live", get(|| async { "live\n" }))
            .route(
                "/status",
                get(|State(told): State<Told>| async move { Json(told.agent.status()) }),
            )
            .with_state(told);
        tokio::spawn(async move {
            let serve = axum::serve(self.listener, router)
                .with_graceful_shutdown(shutdown.cancelled_owned());
            if let Err(error) = serve.await {
                tracing::error!(%error, "metrics and status are not told any more");
            }
        });
    }
}

async fn metrics_text(State(told): State<Told>) -> Response {
    told.agent.report_metrics();
    // Nothing else looks after histograms that nobody asks for.
    told.prometheus.run_upkeep();
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4")],
        told.prometheus.render(),
    )
        .into_response()
}
