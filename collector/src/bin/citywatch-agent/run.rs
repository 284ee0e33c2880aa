//! The agent's life as a process: signals, the status file, the end.

use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use std::sync::Arc;

use citywatch_collector::heartbeat::Caretaker;
use citywatch_collector::kafka::Producer;
use citywatch_collector::uplink::Uplink;
use citywatch_collector::{Agent, AgentConfig, AgentHandle, AgentMonitor, Identity, Sink};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::monitor::Monitor;

const STATUS_EVERY: Duration = Duration::from_secs(5);

/// How often it is looked whether standard input, if it is all that is read, has been sent.
const FINISH_CHECKED_EVERY: Duration = Duration::from_secs(1);

/// Runs until a signal, or the end of standard input if nothing else is read; 0 after a clean end, 1 when something the agent needs fails.
pub(crate) fn run(config: &AgentConfig, identity: Option<&Arc<Identity>>) -> ExitCode {
    let filter =
        EnvFilter::try_from_env("CITYWATCH_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .json()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .init();
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return failed(&format!("cannot start: {error}")),
    };
    runtime.block_on(async {
        let shutdown = CancellationToken::new();
        let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
        let (Ok(interrupt), Ok(terminate)) = signals else { return failed("cannot listen for signals") };
        let sink = match open_sink(config, identity.cloned()) {
            Ok(sink) => sink,
            Err(error) => return super::refuse(&error),
        };
        let monitor = match open_monitor(config).await {
            Ok(monitor) => monitor,
            Err(error) => return failed(&error),
        };
        let agent = match Agent::start(config, sink.clone(), shutdown.clone()) {
            Ok(agent) => agent,
            Err(error) => return failed(&error.to_string()),
        };
        if let Some(monitor) = monitor {
            monitor.serve(agent.monitor(), shutdown.clone());
        }
        let caretaker = Caretaker::new(config, identity.cloned(), agent.monitor(), sink);
        tokio::spawn(caretaker.run(shutdown.clone()));
        match identity {
            Some(identity) => {
                let current = identity.current();
                tracing::info!(holder = %current.holder, serial = current.note.serial, days_left = current.left(SystemTime::now()).as_secs() / 86_400, "batches are signed");
            }
            None => tracing::warn!("this agent was not enrolled: its batches are not signed"),
        }
        tracing::info!(agent = %config.name, unit = %config.unit, version = env!("CARGO_PKG_VERSION"), "the agent runs");
        live(agent, &config.state_dir.join("status.json"), &shutdown, interrupt, terminate).await
    })
}

async fn open_monitor(config: &AgentConfig) -> Result<Option<Monitor>, String> {
    match &config.monitor {
        Some(monitor) => Monitor::open(monitor.listen).await.map(Some),
        None => Ok(None),
    }
}

/// Where records go: to Kafka, or to an intake.
fn open_sink(config: &AgentConfig, identity: Option<Arc<Identity>>) -> Result<Sink, String> {
    let words = |error: &dyn std::fmt::Display| error.to_string();
    match (&config.kafka, &config.https, identity) {
        (Some(kafka), _, identity) => Producer::signing(kafka, identity)
            .map(Sink::Kafka)
            .map_err(|error| words(&error)),
        (None, Some(https), Some(identity)) => Uplink::start(https, identity)
            .map(Sink::Https)
            .map_err(|error| words(&error)),
        _ => Err("nothing says where records go".into()),
    }
}

async fn live(
    agent: AgentHandle,
    status_path: &Path,
    shutdown: &CancellationToken,
    mut interrupt: Signal,
    mut terminate: Signal,
) -> ExitCode {
    let monitor = agent.monitor();
    let mut ticks = tokio::time::interval(STATUS_EVERY);
    let mut finish_checks = tokio::time::interval(FINISH_CHECKED_EVERY);
    loop {
        tokio::select! {
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            _ = ticks.tick() => write_status(&monitor, status_path),
            _ = finish_checks.tick() => {
                if monitor.has_finished() {
                    break;
                }
            }
        }
    }
    tracing::info!("stopping: waiting for what is on its way");
    shutdown.cancel();
    tokio::select! {
        () = agent.ended() => {}
        _ = interrupt.recv() => {
            tracing::warn!("stopped at once: what was on its way is sent again after the next start");
            return ExitCode::from(130);
        }
    }
    write_status(&monitor, status_path);
    tracing::info!("stopped");
    ExitCode::SUCCESS
}

/// Replaces the status file; for people and monitoring, so it need not survive a power cut.
fn write_status(monitor: &AgentMonitor, path: &Path) {
    let status = serde_json::to_vec_pretty(&monitor.status()).expect("a status is always JSON");
    let fresh = path.with_extension("new");
    if let Err(error) = std::fs::write(&fresh, status).and_then(|()| std::fs::rename(&fresh, path))
    {
        tracing::warn!(path = %path.display(), %error, "the status cannot be written");
    }
}

fn failed(message: &str) -> ExitCode {
    eprintln!("citywatch-agent: {message}");
    ExitCode::FAILURE
}
