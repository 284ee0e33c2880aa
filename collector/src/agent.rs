//! The agent: sources on one side, a sink on the other, and the status of both.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::config::AgentConfig;
use crate::lock::{self, LockError};
use crate::sink::{Sink, SinkMonitor};
use crate::sources::files::lines::BatchLimits;
use crate::sources::files::tailer::{Tailer, TailerSettings};
use crate::status::AgentStatus;

/// Why an agent cannot start.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Its directory cannot be used.
    #[error("{}: cannot use the agent's state directory: {source}", .dir.display())]
    StateDir {
        /// The directory.
        dir: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Another agent uses its directory.
    #[error("{}: another agent uses this state directory; stop it, or set another `state_dir`", .dir.display())]
    Locked {
        /// The directory.
        dir: PathBuf,
    },
    /// No thread can be started.
    #[error("cannot start the agent's thread: {0}")]
    Thread(io::Error),
}

/// Reads the sources of a configuration; see [`Agent::start`].
#[derive(Debug)]
pub struct Agent;

/// A running agent.
#[derive(Debug)]
pub struct AgentHandle {
    monitor: AgentMonitor,
    ended: oneshot::Receiver<()>,
}

/// Tells how an agent stands, from anywhere.
#[derive(Clone, Debug)]
pub struct AgentMonitor {
    status: SharedStatus,
    sink: SinkMonitor,
}

impl Agent {
    /// Reads the configured sources into `sink` until `shutdown`. What cannot be read or sent is
    /// tried again for ever, and the status shows it.
    ///
    /// # Errors
    /// When the state directory cannot be used.
    pub fn start(
        config: &AgentConfig,
        sink: Sink,
        shutdown: CancellationToken,
    ) -> Result<AgentHandle, AgentError> {
        let dir = config.state_dir.clone();
        let state_dir_error = |source| AgentError::StateDir {
            dir: dir.clone(),
            source,
        };
        fs::create_dir_all(&dir).map_err(state_dir_error)?;
        let lock = lock::take(&dir).map_err(|error| match error {
            LockError::Taken => AgentError::Locked { dir: dir.clone() },
            LockError::Io(source) => state_dir_error(source),
        })?;

        let sink_monitor = sink.monitor();
        let status = SharedStatus::new(AgentStatus {
            name: config.name.clone(),
            version: env!("CARGO_PKG_VERSION"),
            sources: Vec::new(),
            problems: Vec::new(),
            sink: sink_monitor.status(),
            checkpoint_error: None,
            in_flight: 0,
            send_retries: 0,
        });
        let settings = TailerSettings {
            agent: config.name.clone(),
            unit: config.unit.clone(),
            host: config.host.clone(),
            groups: config.files.clone(),
            limits: BatchLimits {
                records_max: config.batch_records_max,
                bytes_max: config.batch_bytes_max,
            },
        };
        let mut tailer =
            Tailer::new(settings, sink, status.clone(), &dir).map_err(state_dir_error)?;
        let (end, ended) = oneshot::channel();
        thread::Builder::new()
            .name("agent-files".into())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_time()
                    .build();
                let runtime =
                    runtime.expect("a runtime with a clock alone asks nothing of the system");
                runtime.block_on(tailer.run(&shutdown));
                drop((tailer, lock));
                // No one may wait for the end.
                let _ = end.send(());
            })
            .map_err(AgentError::Thread)?;
        Ok(AgentHandle {
            monitor: AgentMonitor {
                status,
                sink: sink_monitor,
            },
            ended,
        })
    }
}

impl AgentHandle {
    /// How the agent stands now.
    pub fn status(&self) -> AgentStatus {
        self.monitor.status()
    }

    /// For asking how the agent stands from elsewhere.
    pub fn monitor(&self) -> AgentMonitor {
        self.monitor.clone()
    }

    /// Waits until the agent has ended: after its shutdown, with positions saved.
    pub async fn ended(self) {
        // An error means that the thread is gone, which is what was waited for.
        let _ = self.ended.await;
    }
}

impl AgentMonitor {
    /// How the agent stands now.
    pub fn status(&self) -> AgentStatus {
        let mut status = self.status.lock().clone();
        status.sink = self.sink.status();
        status
    }
}

/// The status as the agent's thread writes and others read it.
#[derive(Clone, Debug)]
pub(crate) struct SharedStatus(Arc<Mutex<AgentStatus>>);

impl SharedStatus {
    fn new(status: AgentStatus) -> Self {
        Self(Arc::new(Mutex::new(status)))
    }

    pub(crate) fn update(&self, change: impl FnOnce(&mut AgentStatus)) {
        change(&mut self.lock());
    }

    fn lock(&self) -> MutexGuard<'_, AgentStatus> {
        // A status is whole between assignments, whatever panicked while it was held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
