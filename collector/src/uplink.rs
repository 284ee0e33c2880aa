//! From an agent straight to an engine's HTTPS intake: for sites from which no Kafka is to be had.
//!
//! One batch at a time on one connection, so that a stream keeps its order; a batch is done when the
//! intake has said that it is durable there. An intake that cannot be reached is tried again for ever.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use axum::body::Bytes;
use citywatch_parsers::RecordBatch;
use hyper::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::frame::FrameError;
use crate::https::{Client, HttpsError, Trust};
use crate::identity::{Identity, IdentityError};
use crate::intake::{BATCHES_PATH, Taken};
use crate::kafka::pack;

/// Batches that wait to be sent.
const QUEUE_MAX: usize = 4;
const RETRY_AFTER_MIN: Duration = Duration::from_millis(200);
const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);
const BATCH_BYTES_MIN: usize = 16 << 10;

/// The intake to send to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UplinkConfig {
    /// `https://host:port`; where the agent was enrolled if absent.
    #[serde(default)]
    pub url: Option<String>,
    /// Largest batch in bytes; the server's `[intake] batch_bytes_max` must allow it.
    #[serde(default = "default_batch_bytes_max")]
    pub batch_bytes_max: usize,
}

fn default_batch_bytes_max() -> usize {
    1_000_000
}

/// Why a batch has not arrived.
#[derive(Clone, Debug, thiserror::Error)]
pub enum UplinkError {
    /// The sender's thread cannot be started, or its certificates cannot be used.
    #[error("HTTPS to the intake: {0}")]
    Start(String),
    /// The batch cannot be packed.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The intake will not have it.
    #[error("{url} refuses a batch: {reason}")]
    Refused {
        /// The intake.
        url: String,
        /// In its words.
        reason: String,
    },
    /// It was sent after one that failed, or the agent ends.
    #[error("the batch was not sent")]
    Ended,
}

impl From<IdentityError> for UplinkError {
    fn from(error: IdentityError) -> Self {
        Self::Start(error.to_string())
    }
}

impl From<HttpsError> for UplinkError {
    fn from(error: HttpsError) -> Self {
        Self::Start(error.to_string())
    }
}

/// How an uplink stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UplinkStatus {
    /// The intake.
    pub url: String,
    /// Whether the last batch arrived.
    pub connected: bool,
    /// The last fault, until it is over.
    pub last_error: Option<String>,
    /// Why the intake makes dead letters of what it is sent, if it does.
    pub refused: Option<String>,
    /// Batches that are durable there since this start.
    pub delivered_batches: u64,
    /// Their bytes.
    pub delivered_bytes: u64,
    /// Batches among them that became dead letters.
    pub refused_batches: u64,
}

/// Sends batches to an intake; clones share one connection. The last one's end ends it.
#[derive(Clone, Debug)]
pub struct Uplink {
    shared: Arc<Shared>,
    requests: mpsc::Sender<Request>,
    identity: Arc<Identity>,
    _stop: Arc<tokio_util::sync::DropGuard>,
}

/// Tells how an uplink stands, without keeping it open.
#[derive(Clone, Debug)]
pub struct UplinkMonitor(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    url: String,
    bytes_max: AtomicUsize,
    /// Grows with each failure: what was handed over before it is not sent any more.
    generation: AtomicU64,
    delivered_batches: AtomicU64,
    delivered_bytes: AtomicU64,
    refused_batches: AtomicU64,
    faults: Mutex<Faults>,
}

#[derive(Debug, Default)]
struct Faults {
    connected: bool,
    last_error: Option<String>,
    refused: Option<String>,
}

#[derive(Debug)]
struct Request {
    generation: u64,
    messages: Vec<Vec<u8>>,
    answer: oneshot::Sender<Result<(), UplinkError>>,
}

/// Answers once for a batch.
#[derive(Debug)]
pub struct Ticket(oneshot::Receiver<Result<(), UplinkError>>);

impl Ticket {
    /// Waits until the batch is durable at the intake. May be called again if it was not waited out.
    ///
    /// # Errors
    /// [`UplinkError`]; what was submitted after this batch has not arrived either.
    pub async fn settled(&mut self) -> Result<(), UplinkError> {
        (&mut self.0).await.unwrap_or(Err(UplinkError::Ended))
    }
}

impl Uplink {
    /// Starts an uplink. The intake need not be there: batches wait for it.
    ///
    /// # Errors
    /// [`UplinkError::Start`].
    pub fn start(config: &UplinkConfig, identity: Arc<Identity>) -> Result<Self, UplinkError> {
        let current = identity.current();
        let url = config.url.clone().unwrap_or(current.note.server.clone());
        let shared = Arc::new(Shared {
            url,
            bytes_max: AtomicUsize::new(config.batch_bytes_max.max(BATCH_BYTES_MIN)),
            generation: AtomicU64::new(0),
            delivered_batches: AtomicU64::new(0),
            delivered_bytes: AtomicU64::new(0),
            refused_batches: AtomicU64::new(0),
            faults: Mutex::default(),
        });
        let (requests, queue) = mpsc::channel(QUEUE_MAX);
        let stop = CancellationToken::new();
        let client = make_client(&shared, &identity)?;
        let sender = Sender {
            shared: Arc::clone(&shared),
            identity: Arc::clone(&identity),
            serial: current.note.serial.clone(),
            client,
            queue,
            stop: stop.clone(),
        };
        let failed = |error: io::Error| UplinkError::Start(error.to_string());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        thread::Builder::new()
            .name("agent-uplink".into())
            .spawn(move || runtime.block_on(sender.run()))
            .map_err(failed)?;
        Ok(Self {
            shared,
            requests,
            identity,
            _stop: Arc::new(stop.drop_guard()),
        })
    }

    /// Hands a batch over; it is packed and sealed, in parts if it is large.
    ///
    /// # Errors
    /// [`UplinkError`]; then nothing submitted later will arrive before it is submitted again.
    pub async fn submit(&self, batch: &RecordBatch) -> Result<Ticket, UplinkError> {
        // Read first: a failure meanwhile must not let this pass.
        let generation = self.shared.generation.load(Ordering::Acquire);
        let current = self.identity.current();
        let bytes_max = self.shared.bytes_max.load(Ordering::Relaxed);
        let frames = pack(batch, bytes_max.saturating_sub(current.seal_bytes()))?;
        let messages = frames.iter().map(|frame| current.seal(frame)).collect();
        self.hand_over(generation, messages).await
    }

    pub(crate) async fn submit_sealed(&self, bytes: Vec<u8>) -> Result<Ticket, UplinkError> {
        let generation = self.shared.generation.load(Ordering::Acquire);
        self.hand_over(generation, vec![bytes]).await
    }

    async fn hand_over(
        &self,
        generation: u64,
        messages: Vec<Vec<u8>>,
    ) -> Result<Ticket, UplinkError> {
        let (answer, ticket) = oneshot::channel();
        let request = Request {
            generation,
            messages,
            answer,
        };
        self.requests
            .send(request)
            .await
            .map_err(|_| UplinkError::Ended)?;
        Ok(Ticket(ticket))
    }

    /// For asking how it stands.
    pub fn monitor(&self) -> UplinkMonitor {
        UplinkMonitor(Arc::clone(&self.shared))
    }
}

impl UplinkMonitor {
    /// How the uplink stands now.
    pub fn status(&self) -> UplinkStatus {
        let shared = &self.0;
        let faults = shared.faults.lock().unwrap_or_else(PoisonError::into_inner);
        UplinkStatus {
            url: shared.url.clone(),
            connected: faults.connected,
            last_error: faults.last_error.clone(),
            refused: faults.refused.clone(),
            delivered_batches: shared.delivered_batches.load(Ordering::Relaxed),
            delivered_bytes: shared.delivered_bytes.load(Ordering::Relaxed),
            refused_batches: shared.refused_batches.load(Ordering::Relaxed),
        }
    }
}

fn make_client(shared: &Shared, identity: &Identity) -> Result<Client, UplinkError> {
    let trust = Trust::Roots(identity.roots()?);
    Ok(Client::new(&shared.url, trust, Some(&identity.current()))?)
}

/// The thread that sends.
struct Sender {
    shared: Arc<Shared>,
    identity: Arc<Identity>,
    /// Of the certificate that the client shows.
    serial: String,
    client: Client,
    queue: mpsc::Receiver<Request>,
    stop: CancellationToken,
}

impl Sender {
    async fn run(mut self) {
        while let Some(request) = self.queue.recv().await {
            if request.generation < self.shared.generation.load(Ordering::Acquire) {
                // Who submits in order begins again from the one that failed.
                let _ = request.answer.send(Err(UplinkError::Ended));
                continue;
            }
            let sent = self.send(request.messages.into()).await;
            if sent.is_err() {
                self.shared.generation.fetch_add(1, Ordering::AcqRel);
            }
            // Who stopped waiting reads the records again.
            let _ = request.answer.send(sent);
        }
    }

    async fn send(&mut self, mut messages: VecDeque<Vec<u8>>) -> Result<(), UplinkError> {
        while let Some(message) = messages.pop_front() {
            self.send_one(Bytes::from(message)).await?;
        }
        Ok(())
    }

    async fn send_one(&mut self, message: Bytes) -> Result<(), UplinkError> {
        let mut retry_after = RETRY_AFTER_MIN;
        loop {
            self.follow_renewal();
            let posted = self.client.ask(
                Method::POST,
                BATCHES_PATH,
                "application/octet-stream",
                message.clone(),
            );
            let answer = tokio::select! {
                () = self.stop.cancelled() => return Err(UplinkError::Ended),
                answer = posted => answer,
            };
            let fault = match answer {
                Ok(answer) if answer.status == StatusCode::OK => {
                    match serde_json::from_slice::<Taken>(&answer.body) {
                        Ok(taken) => {
                            self.arrived(message.len(), taken);
                            return Ok(());
                        }
                        Err(error) => format!("its answer is none of an intake: {error}"),
                    }
                }
                Ok(answer) if answer.status == StatusCode::PAYLOAD_TOO_LARGE => {
                    let smaller = (message.len() / 2).max(BATCH_BYTES_MIN);
                    self.shared.bytes_max.fetch_min(smaller, Ordering::Relaxed);
                    tracing::warn!(
                        bytes = message.len(),
                        smaller,
                        "the intake takes no batch of this size, sending smaller ones"
                    );
                    return Err(UplinkError::Refused {
                        url: self.shared.url.clone(),
                        reason: answer.complaint(),
                    });
                }
                // Whatever else it says, the records are kept here and tried again: nothing is given up.
                Ok(answer) => answer.complaint(),
                Err(error) => error.to_string(),
            };
            self.failed(&fault);
            tokio::select! {
                () = self.stop.cancelled() => return Err(UplinkError::Ended),
                () = tokio::time::sleep(retry_after) => {}
            }
            retry_after = (retry_after * 2).min(RETRY_AFTER_MAX);
        }
    }

    /// Shows the new certificate once there is one.
    fn follow_renewal(&mut self) {
        let serial = self.identity.current().note.serial.clone();
        if serial == self.serial {
            return;
        }
        match make_client(&self.shared, &self.identity) {
            Ok(client) => {
                self.client = client;
                self.serial = serial;
            }
            Err(error) => tracing::error!(%error, "the renewed certificate cannot be shown"),
        }
    }

    fn arrived(&self, bytes: usize, taken: Taken) {
        let shared = &self.shared;
        shared.delivered_batches.fetch_add(1, Ordering::Relaxed);
        shared
            .delivered_bytes
            .fetch_add(bytes as u64, Ordering::Relaxed);
        let mut faults = shared.faults.lock().unwrap_or_else(PoisonError::into_inner);
        if !faults.connected {
            tracing::info!(url = shared.url, "the intake takes batches");
        }
        faults.connected = true;
        faults.last_error = None;
        if let Some(reason) = &taken.refused {
            shared.refused_batches.fetch_add(1, Ordering::Relaxed);
            metrics::counter!("citywatch_agent_refused_batches_total").increment(1);
            if faults.refused.as_ref() != Some(reason) {
                tracing::error!(
                    reason,
                    "the engine makes dead letters of what this agent sends"
                );
            }
        }
        faults.refused = taken.refused;
    }

    fn failed(&self, fault: &str) {
        metrics::counter!("citywatch_agent_send_retries_total").increment(1);
        let mut faults = self
            .shared
            .faults
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if faults.last_error.as_deref() != Some(fault) {
            tracing::warn!(
                url = self.shared.url,
                fault,
                "a batch did not arrive, trying again"
            );
        }
        faults.connected = false;
        faults.last_error = Some(fault.to_owned());
    }
}
