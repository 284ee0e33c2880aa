//! Batches to Kafka: in order, without holes, each answered when the brokers have it for good.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use citywatch_parsers::RecordBatch;
use citywatch_parsers::record::Truncated;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{
    BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer,
};
use rdkafka::types::RDKafkaErrorCode;
use serde::Serialize;
use tokio::sync::oneshot;

use super::connection::{Connection, ConnectionWatch};
use super::{
    HEADER_AGENT, HEADER_FORMAT, HEADER_FRAMING, HEADER_STREAM, ProducerConfig, client_config,
};
use crate::frame::{self, FRAMING_PACKED, FrameError};
use crate::identity::Identity;

/// What headers and key add to a message's size at most; a format may carry 4 KiB of a file's top.
const OVERHEAD_BYTES: usize = 8192;
const MESSAGE_BYTES_MIN: usize = 16 << 10;
const PROBE_PATIENCE: Duration = Duration::from_secs(5);
const QUEUE_FULL_PAUSE: Duration = Duration::from_millis(20);

/// Why a batch is not in the topic.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ProduceError {
    /// librdkafka refuses the configuration.
    #[error("Kafka producer: {0}; check `kafka.options`")]
    Config(KafkaError),
    /// The batch cannot be packed.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The brokers will not have it.
    #[error("Kafka topic {topic}: {error}{remedy}")]
    Refused {
        /// The topic.
        topic: String,
        /// What the brokers say.
        error: KafkaError,
        /// What to do, with a separator before it; empty if there is nothing to say.
        remedy: &'static str,
    },
    /// A sealed batch does not fit into a message.
    #[error("a sealed batch of {bytes} bytes does not fit into a message of {bytes_max}")]
    TooLarge {
        /// Its bytes.
        bytes: usize,
        /// How many it may have.
        bytes_max: usize,
    },
    /// The producer ended before an answer came.
    #[error("the Kafka producer ended before the brokers answered")]
    Ended,
}

/// How a producer stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProducerStatus {
    /// Where it sends to.
    pub brokers: String,
    /// The topic.
    pub topic: String,
    /// Whether the brokers are there.
    pub connection: Connection,
    /// Messages the brokers have taken since this start.
    pub delivered_messages: u64,
    /// Their bytes.
    pub delivered_bytes: u64,
}

/// Sends batches to a topic; clones share one connection.
#[derive(Clone, Debug)]
pub struct Producer {
    inner: Arc<Inner>,
}

/// Tells how a producer stands, without keeping it open.
#[derive(Clone, Debug)]
pub struct ProducerMonitor {
    brokers: String,
    topic: String,
    counts: Arc<Counts>,
}

#[derive(Debug)]
struct Inner {
    config: ProducerConfig,
    identity: Option<Arc<Identity>>,
    counts: Arc<Counts>,
    live: Mutex<Live>,
    message_bytes_max: AtomicUsize,
}

/// A librdkafka producer; after a failure a new one takes its place.
struct Live {
    generation: u64,
    producer: Option<Arc<ThreadedProducer<Context>>>,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live")
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Counts {
    connection: ConnectionWatch,
    delivered_messages: AtomicU64,
    delivered_bytes: AtomicU64,
}

/// Answers once for a batch, which may be several messages.
#[derive(Debug)]
pub struct Ticket {
    inner: Arc<Inner>,
    generation: u64,
    /// Messages not answered yet, the last first.
    messages: Vec<Answer>,
}

#[derive(Debug)]
struct Answer {
    bytes: usize,
    receiver: oneshot::Receiver<Result<(), KafkaError>>,
}

impl Producer {
    /// Makes a producer. The brokers need not be there: batches wait for them.
    ///
    /// # Errors
    /// [`ProduceError::Config`] for properties that librdkafka does not accept.
    pub fn new(config: &ProducerConfig) -> Result<Self, ProduceError> {
        Self::signing(config, None)
    }

    /// Makes a producer that signs each batch with the agent's key, if there is one.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn signing(
        config: &ProducerConfig,
        identity: Option<Arc<Identity>>,
    ) -> Result<Self, ProduceError> {
        let counts = Arc::new(Counts::default());
        let producer = create(config, config.message_bytes_max, &counts)?;
        let inner = Inner {
            config: config.clone(),
            identity,
            counts,
            live: Mutex::new(Live {
                generation: 0,
                producer: Some(Arc::new(producer)),
            }),
            message_bytes_max: AtomicUsize::new(config.message_bytes_max),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Asks the brokers for the topic; returns its number of partitions. Blocks for 5 s at most.
    ///
    /// # Errors
    /// [`ProduceError`] when no broker answers, or the topic is not there.
    pub fn probe(config: &ProducerConfig) -> Result<usize, ProduceError> {
        let producer = create(config, config.message_bytes_max, &Arc::default())?;
        let refused = |error| refused(&config.topic, error);
        let metadata = producer
            .client()
            .fetch_metadata(Some(&config.topic), PROBE_PATIENCE)
            .map_err(refused)?;
        let topic = metadata
            .topics()
            .first()
            .filter(|topic| topic.error().is_none() && !topic.partitions().is_empty());
        let unknown = KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopicOrPartition);
        topic
            .map(|topic| topic.partitions().len())
            .ok_or_else(|| refused(unknown))
    }

    /// Hands a batch to librdkafka; the ticket answers when all in-sync replicas have it. Batches
    /// that do not fit into a message are sent in parts.
    ///
    /// # Errors
    /// [`ProduceError`]; then nothing submitted later will arrive before it is submitted again.
    pub async fn submit(&self, batch: &RecordBatch) -> Result<Ticket, ProduceError> {
        let signer = self.inner.identity.as_ref().map(|own| own.current());
        let seal_bytes = signer.as_ref().map_or(0, |signer| signer.seal_bytes());
        let mut frames = pack(batch, self.frame_bytes_max().saturating_sub(seal_bytes))?;
        if let Some(signer) = signer {
            frames = frames.iter().map(|frame| signer.seal(frame)).collect();
        }
        self.send_all(batch, frames).await
    }

    /// Hands the bytes of a batch over that another agent packed and sealed.
    ///
    /// # Errors
    /// [`ProduceError::TooLarge`] for what does not fit into a message; otherwise as [`Self::submit`].
    pub(crate) async fn submit_sealed(
        &self,
        batch: &RecordBatch,
        bytes: Vec<u8>,
    ) -> Result<Ticket, ProduceError> {
        let bytes_max = self.frame_bytes_max();
        if bytes.len() > bytes_max {
            let bytes = bytes.len();
            return Err(ProduceError::TooLarge { bytes, bytes_max });
        }
        self.send_all(batch, vec![bytes]).await
    }

    fn frame_bytes_max(&self) -> usize {
        let message_bytes_max = self.inner.message_bytes_max.load(Ordering::Relaxed);
        message_bytes_max
            .saturating_sub(OVERHEAD_BYTES)
            .max(MESSAGE_BYTES_MIN)
    }

    /// Ends the connection and begins another one: with what its files hold now, after a certificate was
    /// renewed. What is on its way is sent again.
    pub fn reconnect(&self) {
        let generation = self
            .inner
            .live
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .generation;
        self.inner.replace(generation);
    }

    async fn send_all(
        &self,
        batch: &RecordBatch,
        frames: Vec<Vec<u8>>,
    ) -> Result<Ticket, ProduceError> {
        let (generation, producer) = self.inner.live()?;
        let mut messages = Vec::new();
        for frame in frames {
            match self.send(&producer, batch, &frame).await {
                Ok(receiver) => messages.push(Answer {
                    bytes: frame.len(),
                    receiver,
                }),
                Err(error) => {
                    self.inner.replace(generation);
                    return Err(self.inner.refused(error, frame.len()));
                }
            }
        }
        messages.reverse();
        Ok(Ticket {
            inner: Arc::clone(&self.inner),
            generation,
            messages,
        })
    }

    async fn send(
        &self,
        producer: &ThreadedProducer<Context>,
        batch: &RecordBatch,
        frame: &[u8],
    ) -> Result<oneshot::Receiver<Result<(), KafkaError>>, KafkaError> {
        let origin = &batch.origin;
        // Streams of different agents may have the same name: a file's path.
        let key = format!("{}/{}", origin.agent, origin.stream);
        let headers = [
            (HEADER_AGENT, origin.agent.as_str()),
            (HEADER_STREAM, origin.stream.as_str()),
            (HEADER_FORMAT, &origin.format),
            (HEADER_FRAMING, FRAMING_PACKED),
        ];
        let headers = headers
            .into_iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| {
                headers.insert(Header {
                    key,
                    value: Some(value),
                })
            });
        let (answer, receiver) = oneshot::channel();
        let mut record = BaseRecord::with_opaque_to(&self.inner.config.topic, Box::new(answer))
            .key(&key)
            .payload(frame)
            .headers(headers);
        loop {
            match producer.send(record) {
                Ok(()) => return Ok(receiver),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    tokio::time::sleep(QUEUE_FULL_PAUSE).await;
                }
                Err((error, _)) => return Err(error),
            }
        }
    }

    /// For asking how the producer stands.
    pub fn monitor(&self) -> ProducerMonitor {
        ProducerMonitor {
            brokers: self.inner.config.brokers.clone(),
            topic: self.inner.config.topic.clone(),
            counts: Arc::clone(&self.inner.counts),
        }
    }
}

impl ProducerMonitor {
    /// How the producer stands now.
    pub fn status(&self) -> ProducerStatus {
        ProducerStatus {
            brokers: self.brokers.clone(),
            topic: self.topic.clone(),
            connection: self.counts.connection.get(),
            delivered_messages: self.counts.delivered_messages.load(Ordering::Relaxed),
            delivered_bytes: self.counts.delivered_bytes.load(Ordering::Relaxed),
        }
    }
}

impl Ticket {
    /// Waits until the brokers have all of the batch. May be called again if it was not waited out.
    ///
    /// # Errors
    /// [`ProduceError`]; what was submitted after this batch is not in the topic either.
    pub async fn settled(&mut self) -> Result<(), ProduceError> {
        while let Some(answer) = self.messages.last_mut() {
            let result = (&mut answer.receiver).await;
            let bytes = answer.bytes;
            self.messages.pop();
            if let Ok(Ok(())) = result {
                continue;
            }
            self.inner.replace(self.generation);
            return Err(match result {
                Ok(Err(error)) => self.inner.refused(error, bytes),
                _ => ProduceError::Ended,
            });
        }
        Ok(())
    }
}

impl Inner {
    fn live(&self) -> Result<(u64, Arc<ThreadedProducer<Context>>), ProduceError> {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        let producer = match &live.producer {
            Some(producer) => Arc::clone(producer),
            None => {
                let producer = Arc::new(create(
                    &self.config,
                    self.message_bytes_max.load(Ordering::Relaxed),
                    &self.counts,
                )?);
                live.producer = Some(Arc::clone(&producer));
                producer
            }
        };
        Ok((live.generation, producer))
    }

    /// Ends the producer of `generation`: what it still has fails, and a new one begins.
    fn replace(&self, generation: u64) {
        let ended = {
            let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
            if live.generation != generation {
                return;
            }
            live.generation += 1;
            live.producer.take()
        };
        drop(ended);
    }

    fn refused(&self, error: KafkaError, bytes: usize) -> ProduceError {
        if is_too_large(&error) {
            let smaller = (bytes / 2).max(MESSAGE_BYTES_MIN);
            self.message_bytes_max
                .fetch_min(smaller + OVERHEAD_BYTES, Ordering::Relaxed);
            tracing::warn!(
                bytes,
                smaller,
                "the topic takes no message of this size, sending smaller ones; set `kafka.message_bytes_max` to the topic's `max.message.bytes`"
            );
        }
        let refused = refused(&self.config.topic, error);
        self.counts.connection.failed(&refused.to_string());
        refused
    }
}

fn is_too_large(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{InvalidMessageSize, MessageSizeTooLarge};
    matches!(
        error.rdkafka_error_code(),
        Some(MessageSizeTooLarge | InvalidMessageSize)
    )
}

fn refused(topic: &str, error: KafkaError) -> ProduceError {
    let remedy = match error.rdkafka_error_code() {
        _ if is_too_large(&error) => "; sending smaller messages",
        Some(RDKafkaErrorCode::UnknownTopic | RDKafkaErrorCode::UnknownTopicOrPartition) => {
            "; create the topic"
        }
        Some(RDKafkaErrorCode::TopicAuthorizationFailed) => "; allow this agent to write to it",
        Some(RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::AllBrokersDown) => {
            "; no broker answers: check `kafka.brokers`, the network and the firewall"
        }
        _ => "",
    };
    ProduceError::Refused {
        topic: topic.to_owned(),
        error,
        remedy,
    }
}

fn create(
    config: &ProducerConfig,
    message_bytes_max: usize,
    counts: &Arc<Counts>,
) -> Result<ThreadedProducer<Context>, ProduceError> {
    let mut client = client_config(&config.brokers, config.tls.as_ref());
    client.set("acks", "all");
    client.set("enable.idempotence", "true");
    client.set("enable.gapless.guarantee", "true");
    // For ever: what is given up would be a hole in its stream.
    client.set("message.timeout.ms", "0");
    client.set("message.max.bytes", message_bytes_max.to_string());
    // The topic's bound holds for messages that travel together, too.
    client.set("batch.size", message_bytes_max.to_string());
    client.set("queue.buffering.max.kbytes", "16384");
    // Frames are packed already.
    client.set("compression.type", "none");
    client.set("partitioner", "murmur2_random");
    for (name, value) in &config.options {
        client.set(name, value);
    }
    client
        .create_with_context(Context {
            counts: Arc::clone(counts),
        })
        .map_err(ProduceError::Config)
}

/// Hears librdkafka's events and answers the tickets.
struct Context {
    counts: Arc<Counts>,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.counts.connection.log(level, facility, message);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.counts.connection.stats_raw(statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.counts.connection.error(error, reason);
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = Box<oneshot::Sender<Result<(), KafkaError>>>;

    fn delivery(&self, result: &DeliveryResult<'_>, answer: Self::DeliveryOpaque) {
        let result = match result {
            Ok(message) => {
                let bytes = message.payload_len() as u64;
                self.counts
                    .delivered_messages
                    .fetch_add(1, Ordering::Relaxed);
                self.counts
                    .delivered_bytes
                    .fetch_add(bytes, Ordering::Relaxed);
                self.counts.connection.works();
                Ok(())
            }
            Err((error, _)) => Err(error.clone()),
        };
        // Who stopped waiting reads the records again.
        let _ = answer.send(result);
    }
}

/// Packs a batch into frames of at most `frame_bytes_max`; a single record that does not fit is cut.
pub(crate) fn pack(
    batch: &RecordBatch,
    frame_bytes_max: usize,
) -> Result<Vec<Vec<u8>>, FrameError> {
    let frame = frame::encode(batch)?;
    if frame.len() <= frame_bytes_max {
        return Ok(vec![frame]);
    }
    if let (1, Some(record)) = (batch.len(), batch.get(0)) {
        metrics::counter!("citywatch_agent_truncated_records_total").increment(1);
        let mut cut = RecordBatch::new(Arc::clone(&batch.origin));
        cut.push(
            &record.raw[..record.raw.len() / 2],
            record.position,
            record.received_at,
            Truncated::Yes,
        );
        return pack(&cut, frame_bytes_max);
    }
    let mut frames = Vec::new();
    for half in [0..batch.len() / 2, batch.len() / 2..batch.len()] {
        let mut part = RecordBatch::new(Arc::clone(&batch.origin));
        for record in batch.iter().skip(half.start).take(half.len()) {
            part.push(
                record.raw,
                record.position,
                record.received_at,
                record.truncated,
            );
        }
        frames.extend(pack(&part, frame_bytes_max)?);
    }
    Ok(frames)
}

#[cfg(test)]
mod tests {
    use citywatch_parsers::{Origin, Timestamp};

    use super::*;
    use crate::frame::DecodeLimits;

    fn noise(bytes: usize) -> Vec<u8> {
        let mut state = 88_172_645_463_325_252_u64;
        let next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        };
        std::iter::repeat_with(next).take(bytes).collect()
    }

    #[test]
    fn a_batch_too_large_for_a_message_is_sent_in_parts() {
        let mut batch = RecordBatch::new(Arc::new(Origin::default()));
        for position in 0..10 {
            batch.push(&noise(3000), position, Timestamp(1), Truncated::No);
        }
        batch.push(&noise(50_000), 10, Timestamp(1), Truncated::No);
        let frames = pack(&batch, 10_000).unwrap();
        assert!(frames.len() > 3 && frames.iter().all(|frame| frame.len() <= 10_000));
        let parts: Vec<_> = frames
            .iter()
            .map(|frame| frame::decode(frame, &DecodeLimits::default()).unwrap())
            .collect();
        let positions: Vec<u64> = parts
            .iter()
            .flat_map(|part| {
                part.iter()
                    .map(|record| record.position)
                    .collect::<Vec<_>>()
            })
            .collect();
        assert_eq!(positions, (0..=10).collect::<Vec<_>>());
        assert_eq!(
            parts.last().unwrap().get(0).unwrap().truncated,
            Truncated::Yes
        );
    }
}
