//! The agent: sources on one side, a sink on the other, and the status of both.

mod spools;

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::config::AgentConfig;
use crate::lock::{self, LockError};
use crate::masking::{Masking, MaskingError};
use crate::sink::{Sink, SinkMonitor};
use crate::sources::files::lines::BatchLimits;
use crate::sources::files::tailer::{Tailer, TailerSettings};
use crate::sources::host::Host;
use crate::sources::received::{BindError, Listeners};
use crate::sources::resumed::{OpenError, Reading, Resumed};
use crate::sources::tls::ListenTlsError;
use crate::spool::{SpoolError, SpoolMonitor};
use crate::status::AgentStatus;

use spools::SpoolMonitors;

/// Batches between the agent's own spool and Kafka.
const DELIVERIES_MAX: usize = 16;

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
    /// An address cannot be had.
    #[error("cannot listen on {address}: {source}; choose another address or port{}", privileged_hint(.address, .source))]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's answer.
        source: io::Error,
    },
    /// The certificate of an address cannot be used.
    #[error(transparent)]
    ListenTls(#[from] ListenTlsError),
    /// What senders must know cannot be read.
    #[error("http.sign_in: {0}")]
    SignIn(String),
    /// What is to be masked cannot be.
    #[error(transparent)]
    Masking(#[from] MaskingError),
    /// The agent's own spool cannot be used.
    #[error(transparent)]
    Spool(#[from] SpoolError),
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
    ended: Vec<oneshot::Receiver<()>>,
}

/// Tells how an agent stands, from anywhere.
#[derive(Clone, Debug)]
pub struct AgentMonitor {
    status: SharedStatus,
    sink: SinkMonitor,
    listeners: Listeners,
    spools: SpoolMonitors,
    ends_by_itself: bool,
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
            listeners: Vec::new(),
            spool: None,
            source_spools: Vec::new(),
            problems: Vec::new(),
            sink: sink_monitor.status(),
            checkpoint_error: None,
            in_flight: 0,
            send_retries: 0,
        });
        let limits = BatchLimits {
            records_max: config.batch_records_max,
            bytes_max: config.batch_bytes_max,
        };
        let masking = Masking::load(&config.masking)?;
        let host = Host::of(config);
        let maskers = config.files.iter();
        let maskers = maskers.map(|group| masking.of_source(group.mask.as_deref()));
        let settings = TailerSettings {
            maskers: maskers.collect::<Result<_, _>>()?,
            host: host.clone(),
            groups: config.files.clone(),
            limits,
        };
        let (groups, mut listeners, spools) = spools::open(config, &sink, limits, &masking)?;
        let resumed = Resumed::open(config, &dir, &masking, &mut listeners)?;
        let lock = Arc::new(lock);
        let mut ended = Vec::new();
        for group in groups {
            let shutdown = shutdown.clone();
            let name = group.name();
            let serve = async move { group.serve(&shutdown).await };
            ended.push(run_thread(&name, serve)?);
        }
        if !resumed.is_empty() {
            let reading = Reading {
                host: host.clone(),
                limits,
                sink: sink.clone(),
                shutdown: shutdown.clone(),
            };
            let lock = Arc::clone(&lock);
            let read = async move {
                resumed.serve(reading).await;
                drop(lock);
            };
            ended.push(run_thread("agent-journals", read)?);
        }
        let mut tailer =
            Tailer::new(settings, sink, status.clone(), &dir).map_err(state_dir_error)?;
        let read_files = async move {
            tailer.run(&shutdown).await;
            drop((tailer, lock));
        };
        ended.push(run_thread("agent-files", read_files)?);
        let monitor = AgentMonitor {
            status,
            sink: sink_monitor,
            listeners,
            spools,
            ends_by_itself: config.reads_only_stdin(),
        };
        Ok(AgentHandle { monitor, ended })
    }
}

/// Runs `work` on a thread of its own; the receiver hears when it has ended.
fn run_thread(
    name: &str,
    work: impl Future<Output = ()> + Send + 'static,
) -> Result<oneshot::Receiver<()>, AgentError> {
    let (end, ended) = oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(AgentError::Thread)?;
    let run = move || {
        runtime.block_on(work);
        // No one may wait for the end.
        let _ = end.send(());
    };
    thread::Builder::new()
        .name(name.into())
        .spawn(run)
        .map_err(AgentError::Thread)?;
    Ok(ended)
}

impl From<OpenError> for AgentError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::State(dir, source) => Self::StateDir { dir, source },
            OpenError::Masking(error) => Self::Masking(error),
        }
    }
}

impl From<BindError> for AgentError {
    fn from(error: BindError) -> Self {
        match error {
            BindError::Address(address, source) => Self::Listen { address, source },
            BindError::Tls(error) => Self::ListenTls(error),
            BindError::Masking(error) => Self::Masking(error),
            BindError::SignIn(reason) => Self::SignIn(reason),
        }
    }
}

fn privileged_hint(address: &SocketAddr, source: &io::Error) -> &'static str {
    if source.kind() == io::ErrorKind::PermissionDenied && address.port() < 1024 {
        ", or give the agent the capability CAP_NET_BIND_SERVICE"
    } else {
        ""
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
        for ended in self.ended {
            // An error means that the thread is gone, which is what was waited for.
            let _ = ended.await;
        }
    }
}

impl AgentMonitor {
    /// How the agent stands now.
    pub fn status(&self) -> AgentStatus {
        let mut status = self.status.lock().clone();
        status.sink = self.sink.status();
        status.listeners = self.listeners.status();
        status.spool = self.spools.shared.as_ref().map(SpoolMonitor::status);
        status.source_spools = self.spools.own_status();
        status
    }

    /// Brings the metrics of the agent's queues up to date.
    pub fn report_metrics(&self) {
        self.status().report_metrics();
    }

    /// Whether there is nothing left to do: standard input is all that is read, it is at its end, and
    /// what came of it has been sent.
    pub fn has_finished(&self) -> bool {
        // In this order: what is over has been appended before.
        self.ends_by_itself
            && self
                .listeners
                .status()
                .iter()
                .all(|listener| listener.is_over)
            && self.spools.are_empty()
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
