//! The engine's own HTTPS door: agents enrol here, renew their certificates, and, where no Kafka is to be
//! had, send their batches.
//!
//! | request | who may | answer |
//! |---|---|---|
//! | `POST /v1/enroll` | who has a token | a certificate |
//! | `POST /v1/renew` | an agent, by its certificate | the next one |
//! | `POST /v1/batches` | an agent, by its certificate | 200 once the batch is durable in the transport |
//! | `GET /v1/time` | anybody | this machine's clock, in microseconds |
//!
//! Everything is JSON but a batch, which is a sealed frame as it travels through Kafka. A batch that will be
//! refused is taken all the same, so that it becomes a dead letter as it would from Kafka; the answer says so.

mod limits;
mod listener;
mod server;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::authority::{Authority, AuthorityError, VALID_DAYS};
use crate::identity::Verifier;
use crate::kafka::ProducerConfig;
use crate::sink::Sink;

pub(crate) use server::{BATCHES_PATH, TIME_PATH, Taken};

/// Section `[intake]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IntakeConfig {
    /// Where it listens; it does not if absent.
    pub listen: Option<SocketAddr>,
    /// Names and addresses by which agents reach it, besides this machine's own name and loopback.
    pub host_names: Vec<String>,
    /// Agents' certificates are valid for so long; they are renewed after two thirds of it.
    pub certificate_valid_days: u32,
    /// Most bytes of a batch, as it is sent.
    pub batch_bytes_max: usize,
    /// The topic that batches go to; for `citywatch serve`, and for `citywatch up` where records come from Kafka.
    pub kafka: Option<ProducerConfig>,
}

impl Default for IntakeConfig {
    fn default() -> Self {
        Self {
            listen: None,
            host_names: Vec::new(),
            certificate_valid_days: VALID_DAYS,
            batch_bytes_max: 8 << 20,
            kafka: None,
        }
    }
}

/// Why nothing is taken in.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// The port is not to be had.
    #[error("cannot listen on {address}: {source}; set another address or port in [intake] listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's answer.
        source: io::Error,
    },
    /// The server's certificate cannot be made.
    #[error("[intake]: {0}")]
    Authority(#[from] AuthorityError),
    /// TLS refuses it.
    #[error("[intake] TLS: {0}")]
    Tls(String),
}

/// What it works with.
#[derive(Debug)]
pub struct IntakeParts {
    /// Signs certificates.
    pub authority: Arc<Authority>,
    /// Judges those that are shown.
    pub verifier: Arc<Verifier>,
    /// Where batches go; none are taken without.
    pub sink: Option<Sink>,
    /// Agents' certificates are valid for so long.
    pub valid: Duration,
}

/// A running intake.
#[derive(Debug)]
pub struct Intake {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Intake {
    /// Listens on `listen` and answers until `shutdown`.
    ///
    /// # Errors
    /// [`IntakeError`].
    pub async fn start(
        listen: SocketAddr,
        config: &IntakeConfig,
        parts: IntakeParts,
        shutdown: CancellationToken,
    ) -> Result<Self, IntakeError> {
        let failed = |source| IntakeError::Listen {
            address: listen,
            source,
        };
        let socket = tokio::net::TcpListener::bind(listen)
            .await
            .map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        let names = own_names(address, &config.host_names);
        let certificates = listener::Certificates::new(Arc::clone(&parts.authority), names)?;
        let listener = listener::TlsListener::start(socket, certificates, shutdown.clone());
        let task = tokio::spawn(server::serve(
            listener,
            parts,
            config.batch_bytes_max,
            shutdown,
        ));
        Ok(Self { address, task })
    }

    /// Where it listens: the port that was given for port 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until it has ended.
    pub async fn ended(self) {
        // A panic there ends the intake, not the process.
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the intake failed");
        }
    }
}

/// The authority's folder, for what is said where there is none.
pub fn missing_authority(dir: &std::path::Path) -> String {
    let dir: PathBuf = dir.into();
    format!(
        "[intake] listen is set, but {}: run `citywatch ca init` with the same configuration first",
        AuthorityError::Missing { dir }
    )
}

fn own_names(listen: SocketAddr, host_names: &[String]) -> Vec<String> {
    let mut names = vec![
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
        "::1".to_owned(),
    ];
    if !listen.ip().is_unspecified() {
        names.push(listen.ip().to_string());
    }
    let host = crate::config::host_name();
    // A machine may have a name that no certificate can have.
    if rustls::pki_types::ServerName::try_from(host.as_str()).is_ok() {
        names.push(host);
    }
    names.extend(host_names.iter().cloned());
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests;
