//! Kafka to the engine: one thread that polls, collects, delivers and commits.
//!
//! librdkafka calls its callbacks from within `poll`, on that same thread, so what they share with
//! it is locked without contention. The thread always goes on polling, even while the engine is
//! busy: who does not poll for `max.poll.interval.ms` loses its partitions without a word.

mod assignment;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use citywatch_parsers::{LogSource, Origin, RecordBatch, Timestamp};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers, Message, OwnedMessage};
use serde::Serialize;
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use assignment::{Context, SharedState};

use super::connection::{Connection, ConnectionWatch};
use super::lanes::{Collected, Lanes, Partition, position_of};
use super::senders::UnitsByAddress;
use super::{
    ConsumerConfig, HEADER_FORMAT, HEADER_FRAMING, HEADERS_LOG_SOURCE, TopicConfig, client_config,
};
use crate::clock;
use crate::delivery::{Acknowledged, Delivery, Receipt};
use crate::frame::{self, FRAMING_PACKED, sealed};
use crate::heartbeat::HEARTBEAT;
use crate::identity::{Door, Refusal, Refused, Unsigned, Verifier};

/// How long others' records are collected into a batch.
const COLLECT_FOR: Duration = Duration::from_millis(100);
const POLL_FOR: Duration = Duration::from_millis(50);
/// A busy engine is waited for this long before the partitions are paused.
const BUSY_PATIENCE: Duration = Duration::from_millis(500);
/// How long the end waits for the engine's answers.
const END_PATIENCE: Duration = Duration::from_secs(30);
/// A longer value of a header names no log source.
const LOG_SOURCE_BYTES_MAX: usize = 64;
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// How often it is asked whether the topics are there, and how long that may hold up the records.
const TOPICS_EVERY: Duration = Duration::from_secs(10);
const TOPICS_PATIENCE: Duration = Duration::from_millis(500);

/// Why a consumer cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ConsumeError {
    /// librdkafka refuses the configuration.
    #[error("Kafka consumer: {0}; check `kafka.options` and the topics' names")]
    Config(#[from] KafkaError),
    /// No thread can be started.
    #[error("cannot start the Kafka consumer's thread: {0}")]
    Thread(std::io::Error),
}

/// How a consumer stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConsumerStatus {
    /// Whether the brokers are there, and the lag.
    pub connection: Connection,
    /// Partitions assigned to this engine.
    pub partitions: usize,
    /// Topics that are to be read and are not there; they are waited for.
    pub missing_topics: Vec<String>,
    /// Records delivered since this start.
    pub records: u64,
    /// Messages that could not be decoded since this start.
    pub undecodable: u64,
    /// Messages that nobody vouches for since this start: unsigned, wrongly signed, revoked.
    pub refused: u64,
    /// How often the engine was so busy that partitions were paused since this start.
    pub pauses: u64,
}

/// Reads topics; see [`Consumer::start`].
#[derive(Debug)]
pub struct Consumer;

/// A consumer at work.
#[derive(Debug)]
pub struct ConsumerTask {
    monitor: ConsumerMonitor,
    ended: oneshot::Receiver<()>,
}

/// Tells how a consumer stands, from anywhere.
#[derive(Clone, Debug)]
pub struct ConsumerMonitor(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    connection: ConnectionWatch,
    partitions: AtomicU64,
    records: AtomicU64,
    undecodable: AtomicU64,
    refused: AtomicU64,
    pauses: AtomicU64,
    missing_topics: Mutex<Vec<String>>,
}

impl Counts {
    fn missing_topics(&self) -> Vec<String> {
        let missing = self.missing_topics.lock();
        missing.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Consumer {
    /// Reads the topics of `config` as part of its group, at most `deliveries_max` batches ahead of
    /// the receiver, until `shutdown`. Messages that cannot be decoded come as batches of the format
    /// [`frame::UNDECODABLE`].
    ///
    /// # Errors
    /// [`ConsumeError`]; brokers that are not there are no error, they are waited for.
    pub fn start(
        config: &ConsumerConfig,
        deliveries_max: usize,
        shutdown: CancellationToken,
    ) -> Result<(mpsc::Receiver<Delivery>, ConsumerTask), ConsumeError> {
        Self::start_verifying(config, None, deliveries_max, shutdown)
    }

    /// The same, with signatures checked. What is refused comes as batches of the format [`frame::REFUSED`].
    ///
    /// # Errors
    /// As [`Consumer::start`].
    pub fn start_verifying(
        config: &ConsumerConfig,
        verifier: Option<Arc<Verifier>>,
        deliveries_max: usize,
        shutdown: CancellationToken,
    ) -> Result<(mpsc::Receiver<Delivery>, ConsumerTask), ConsumeError> {
        let counts = Arc::new(Counts::default());
        let (answers, answered) = mpsc::unbounded_channel();
        let context = Context {
            counts: Arc::clone(&counts),
            shared: Mutex::new(SharedState {
                lanes: Lanes::default(),
                answered,
                gone: Vec::new(),
            }),
        };
        let consumer: BaseConsumer<Context> = native_config(config).create_with_context(context)?;
        let topics: Vec<&str> = config.topics.keys().map(String::as_str).collect();
        consumer.subscribe(&topics)?;

        let (deliveries, receiver) = mpsc::channel(deliveries_max);
        let (end, ended) = oneshot::channel();
        let poller = Poller {
            consumer,
            topics: topics_of(config),
            deliveries,
            answers,
            counts: Arc::clone(&counts),
            overflow: VecDeque::new(),
            door: Door::new(verifier),
            topics_looked_for: Instant::now(),
        };
        thread::Builder::new()
            .name("kafka-consumer".into())
            .spawn(move || {
                poller.run(&shutdown);
                // No one may wait for the end.
                let _ = end.send(());
            })
            .map_err(ConsumeError::Thread)?;
        Ok((
            receiver,
            ConsumerTask {
                monitor: ConsumerMonitor(counts),
                ended,
            },
        ))
    }
}

impl ConsumerTask {
    /// For asking how the consumer stands.
    pub fn monitor(&self) -> ConsumerMonitor {
        self.monitor.clone()
    }

    /// Waits until the consumer has ended: after its shutdown, once every receipt has been
    /// acknowledged or dropped (for 30 s at most) and the offsets are committed.
    pub async fn ended(self) {
        // An error means that the thread is gone, which is what was waited for.
        let _ = self.ended.await;
    }
}

impl ConsumerMonitor {
    /// How the consumer stands now.
    pub fn status(&self) -> ConsumerStatus {
        let counts = &self.0;
        ConsumerStatus {
            connection: counts.connection.get(),
            partitions: counts.partitions.load(Ordering::Relaxed) as usize,
            missing_topics: counts.missing_topics(),
            records: counts.records.load(Ordering::Relaxed),
            undecodable: counts.undecodable.load(Ordering::Relaxed),
            refused: counts.refused.load(Ordering::Relaxed),
            pauses: counts.pauses.load(Ordering::Relaxed),
        }
    }
}

fn native_config(config: &ConsumerConfig) -> rdkafka::ClientConfig {
    let mut client = client_config(&config.brokers, config.tls.as_ref());
    client.set("group.id", &config.group);
    client.set("auto.offset.reset", "earliest");
    // A topic that is made, or made anew, is noticed within this time.
    client.set("topic.metadata.refresh.interval.ms", "10000");
    client.set("enable.auto.commit", "true");
    client.set("auto.commit.interval.ms", "1000");
    client.set("enable.auto.offset.store", "false");
    client.set("partition.assignment.strategy", "cooperative-sticky");
    // The default of 1000 holds a fast loop to 200,000 messages/s.
    client.set("fetch.queue.backoff.ms", "5");
    // What lies in memory ahead of the engine, however far it lags.
    client.set("queued.max.messages.kbytes", "32768");
    for (name, value) in &config.options {
        client.set(name, value);
    }
    client
}

/// A topic's settings, ready for each message.
struct Topic {
    unit: String,
    /// With the zone, if the topic has one.
    format: String,
    units: UnitsByAddress,
    require_signed: bool,
}

fn topics_of(config: &ConsumerConfig) -> HashMap<String, Topic> {
    let topic = |settings: &TopicConfig| Topic {
        unit: settings.unit.clone(),
        require_signed: settings.require_signed,
        format: match &settings.time_zone {
            Some(zone) => with_zone(&settings.format, zone),
            None => settings.format.clone(),
        },
        units: UnitsByAddress::new(
            settings.units_by_address.iter(),
            settings.address_field.clone(),
        ),
    };
    let topics = config.topics.iter();
    topics
        .map(|(name, settings)| (name.clone(), topic(settings)))
        .collect()
}

/// A header comes last in a format's name, for it may hold anything.
fn with_zone(format: &str, zone: &str) -> String {
    match format.split_once(';') {
        Some((name, parameters)) => format!("{name}; zone={zone};{parameters}"),
        None => format!("{format}; zone={zone}"),
    }
}

/// The polling thread.
struct Poller {
    consumer: BaseConsumer<Context>,
    topics: HashMap<String, Topic>,
    deliveries: mpsc::Sender<Delivery>,
    answers: UnboundedSender<Acknowledged>,
    counts: Arc<Counts>,
    /// Messages that came while the partitions were being paused.
    overflow: VecDeque<OwnedMessage>,
    door: Door,
    topics_looked_for: Instant,
}

/// The engine has gone, or the shutdown has come: nothing more is delivered.
struct Over;

impl Poller {
    fn run(mut self, shutdown: &CancellationToken) {
        while !shutdown.is_cancelled() && !self.deliveries.is_closed() {
            if self.step(shutdown).is_err() {
                break;
            }
        }
        self.end();
    }

    fn step(&mut self, shutdown: &CancellationToken) -> Result<(), Over> {
        let consumer = &self.consumer;
        consumer.context().store_answered(consumer);
        self.leave_to_others();
        if let Some(message) = self.overflow.pop_front() {
            self.take(&message, shutdown)?;
        } else if let Some(polled) = self.poll(POLL_FOR) {
            self.take(&polled, shutdown)?;
        }
        self.look_for_topics();
        self.deliver_due(shutdown)
    }

    /// Asks now and then whether the topics are there: librdkafka tells once of one that is not, if at all.
    fn look_for_topics(&mut self) {
        if self.topics_looked_for.elapsed() < TOPICS_EVERY {
            return;
        }
        self.topics_looked_for = Instant::now();
        let Ok(metadata) = self.consumer.fetch_metadata(None, TOPICS_PATIENCE) else {
            // The connection tells of it.
            return;
        };
        let is_there = |name: &str| {
            let mut topics = metadata.topics().iter();
            topics.any(|topic| topic.name() == name && !topic.partitions().is_empty())
        };
        let mut missing: Vec<String> = self
            .topics
            .keys()
            .filter(|name| !is_there(name))
            .cloned()
            .collect();
        missing.sort();
        metrics::gauge!("citywatch_kafka_topics_missing").set(missing.len() as f64);
        let told = self.counts.missing_topics.lock();
        let mut told = told.unwrap_or_else(PoisonError::into_inner);
        for topic in missing.iter().filter(|topic| !told.contains(topic)) {
            tracing::warn!(%topic, "a topic is not there: make it, or take it out of [kafka.topics]; until then it is waited for");
        }
        for topic in told.iter().filter(|topic| !missing.contains(topic)) {
            tracing::info!(%topic, "the topic is there");
        }
        *told = missing;
    }

    /// Lets go of what was kept of partitions that went away: whoever has them now reads it again.
    fn leave_to_others(&mut self) {
        let gone = std::mem::take(&mut self.consumer.context().lock().gone);
        let stays = |message: &OwnedMessage| {
            let place = (message.topic(), message.partition());
            !gone
                .iter()
                .any(|(topic, partition)| (&**topic, *partition) == place)
        };
        if !gone.is_empty() {
            self.overflow.retain(stays);
        }
    }

    /// One message, detached from librdkafka only when it must outlive the next poll.
    fn poll(&self, patience: Duration) -> Option<OwnedMessage> {
        match self.consumer.poll(patience)? {
            Ok(message) => Some(message.detach()),
            Err(error) => {
                self.counts.connection.failed(&error.to_string());
                tracing::warn!(%error, "Kafka cannot be read, trying again");
                metrics::counter!("citywatch_kafka_errors_total").increment(1);
                None
            }
        }
    }

    fn take(&mut self, message: &OwnedMessage, shutdown: &CancellationToken) -> Result<(), Over> {
        let partition: Partition = (message.topic().into(), message.partition());
        let Some(payload) = message.payload() else {
            // A tombstone: nothing to store, so it is answered as soon as it is read.
            return self.deliver(&partition, None, message.offset() + 1, shutdown);
        };
        let unsigned = self.unsigned(message.topic());
        let packed = is_packed(message, payload);
        if packed || unsigned == Unsigned::Refused {
            self.deliver_collected(&partition, shutdown)?;
            let opened = if packed {
                self.door.open(payload, unsigned)
            } else {
                self.door.refuse(Refusal::Unsigned)
            };
            let batch = opened.unwrap_or_else(|refused| self.dead(message, payload, &refused));
            return self.deliver(&partition, Some(batch), message.offset() + 1, shutdown);
        }
        let origin = self.foreign_origin(message);
        let received_at = received_at(message);
        let (before, full) = {
            let mut shared = self.consumer.context().lock();
            let lane = shared.lanes.lane(&partition);
            (
                lane.collect(origin, payload, message.offset(), received_at),
                lane.take_full(),
            )
        };
        for Collected {
            batch, next_offset, ..
        } in before.into_iter().chain(full)
        {
            self.deliver(&partition, Some(batch), next_offset, shutdown)?;
        }
        Ok(())
    }

    fn unsigned(&self, topic: &str) -> Unsigned {
        match self.topics.get(topic) {
            Some(topic) if topic.require_signed => Unsigned::Refused,
            _ => Unsigned::Taken,
        }
    }

    /// What cannot be taken, on its way to the dead letters.
    fn dead(&self, message: &OwnedMessage, payload: &[u8], refused: &Refused) -> RecordBatch {
        let (topic, partition, offset) = (message.topic(), message.partition(), message.offset());
        tracing::warn!(%refused, topic, partition, offset, "a message cannot be taken, it goes to the dead letters");
        let (agent, stream) = (agent_of(topic), partition.to_string());
        let (position, now) = (position_of(offset), clock::now());
        match refused {
            Refused::Frame(_) => {
                self.counts.undecodable.fetch_add(1, Ordering::Relaxed);
                metrics::counter!("citywatch_undecodable_frames_total").increment(1);
                frame::undecodable(&agent, &stream, position, payload, now)
            }
            Refused::Identity(refusal) => {
                self.counts.refused.fetch_add(1, Ordering::Relaxed);
                let reason = refusal.to_string();
                frame::refused(&agent, &stream, position, payload, now, &reason)
            }
        }
    }

    fn foreign_origin(&self, message: &OwnedMessage) -> Origin {
        let topic = self.topics.get(message.topic());
        let named =
            header(message, HEADER_FORMAT).and_then(|format| std::str::from_utf8(format).ok());
        // A name that only the transport may give.
        let format = named
            .filter(|format| !frame::is_transports_own(format) && *format != HEARTBEAT)
            .unwrap_or_else(|| topic.map_or("auto", |topic| &topic.format));
        let by_address = topic.and_then(|topic| {
            topic
                .units
                .unit_of(message.key(), message.payload().unwrap_or_default())
        });
        let unit = by_address.unwrap_or_else(|| topic.map_or("local", |topic| &topic.unit));
        Origin {
            unit: unit.into(),
            agent: agent_of(message.topic()).as_str().into(),
            stream: message.partition().to_string().as_str().into(),
            format: format.into(),
            log_source: log_source(message),
            ..Origin::default()
        }
    }

    fn deliver_due(&mut self, shutdown: &CancellationToken) -> Result<(), Over> {
        let deadline = Instant::now().checked_sub(COLLECT_FOR);
        let due = deadline
            .map(|deadline| self.consumer.context().lock().lanes.due(deadline))
            .unwrap_or_default();
        due.iter()
            .try_for_each(|partition| self.deliver_collected(partition, shutdown))
    }

    fn deliver_collected(
        &mut self,
        partition: &Partition,
        shutdown: &CancellationToken,
    ) -> Result<(), Over> {
        let collected = self
            .consumer
            .context()
            .lock()
            .lanes
            .lane(partition)
            .take_collected();
        let Some(Collected {
            batch, next_offset, ..
        }) = collected
        else {
            return Ok(());
        };
        self.deliver(partition, Some(batch), next_offset, shutdown)
    }

    fn deliver(
        &mut self,
        partition: &Partition,
        batch: Option<RecordBatch>,
        next_offset: i64,
        shutdown: &CancellationToken,
    ) -> Result<(), Over> {
        let (lane, sequence) = {
            let mut shared = self.consumer.context().lock();
            let lane = shared.lanes.lane(partition);
            (lane.number, lane.hand_out(next_offset))
        };
        let receipt = Receipt::new(lane, sequence, self.answers.clone());
        let Some(batch) = batch.filter(|batch| !batch.is_empty()) else {
            receipt.acknowledge();
            return Ok(());
        };
        let records = batch.len() as u64;
        self.send(Delivery { batch, receipt }, shutdown)?;
        self.counts.records.fetch_add(records, Ordering::Relaxed);
        metrics::counter!("citywatch_kafka_records_total").increment(records);
        Ok(())
    }

    /// Hands a delivery over. While the engine is busy the partitions are paused and polling goes on.
    fn send(&mut self, mut delivery: Delivery, shutdown: &CancellationToken) -> Result<(), Over> {
        let since = Instant::now();
        let mut paused = false;
        loop {
            delivery = match self.deliveries.try_send(delivery) {
                Ok(()) => break,
                Err(mpsc::error::TrySendError::Closed(_)) => return Err(Over),
                Err(mpsc::error::TrySendError::Full(delivery)) => delivery,
            };
            if shutdown.is_cancelled() {
                return Err(Over);
            }
            if since.elapsed() < BUSY_PATIENCE {
                thread::sleep(LOOK_AGAIN);
                continue;
            }
            if !paused {
                self.counts.pauses.fetch_add(1, Ordering::Relaxed);
                metrics::counter!("citywatch_kafka_pauses_total").increment(1);
            }
            paused = true;
            // Again each time: partitions may have been assigned in the meantime.
            if let Ok(assignment) = self.consumer.assignment() {
                self.warn_on(self.consumer.pause(&assignment));
            }
            let polled = self.poll(POLL_FOR);
            self.leave_to_others();
            self.overflow.extend(polled);
            self.consumer.context().store_answered(&self.consumer);
            if !self
                .consumer
                .context()
                .lock()
                .lanes
                .holds(delivery.receipt.lane())
            {
                // Its partition went to another engine, which reads it again.
                break;
            }
        }
        if paused && let Ok(assignment) = self.consumer.assignment() {
            self.warn_on(self.consumer.resume(&assignment));
        }
        Ok(())
    }

    fn warn_on(&self, result: Result<(), KafkaError>) {
        if let Err(error) = result {
            tracing::debug!(%error, "Kafka");
        }
    }

    /// Waits for the engine's answers, commits and leaves the group.
    fn end(self) {
        let Self {
            consumer,
            deliveries,
            answers,
            ..
        } = self;
        // The senders left are the receipts'.
        drop((deliveries, answers));
        let partitions = consumer.context().lock().lanes.partitions();
        consumer
            .context()
            .settle(&consumer, &partitions, END_PATIENCE);
        drop(consumer);
    }
}

fn agent_of(topic: &str) -> String {
    format!("kafka/{topic}")
}

fn header<'a>(message: &'a OwnedMessage, key: &str) -> Option<&'a [u8]> {
    message
        .headers()?
        .iter()
        .find(|header| header.key == key)?
        .value
}

/// What the message's headers say of its log source. What is no plain name says nothing.
fn log_source(message: &OwnedMessage) -> LogSource<'static> {
    let is_name =
        |value: &&str| value.len() <= LOG_SOURCE_BYTES_MAX && !value.contains(char::is_whitespace);
    let [product, category, service] = HEADERS_LOG_SOURCE.map(|key| {
        let value = header(message, key).and_then(|value| std::str::from_utf8(value).ok());
        value.filter(is_name).unwrap_or("").to_lowercase().into()
    });
    LogSource {
        product,
        category,
        service,
    }
}

fn is_packed(message: &OwnedMessage, payload: &[u8]) -> bool {
    header(message, HEADER_FRAMING).is_some_and(|framing| framing == FRAMING_PACKED.as_bytes())
        || frame::peek(payload).is_ok()
        || sealed::is_sealed(payload)
}

/// The broker's time where the topic has it; a producer's own claim is not believed.
fn received_at(message: &OwnedMessage) -> Timestamp {
    match message.timestamp() {
        rdkafka::Timestamp::LogAppendTime(millis) => Timestamp::from_millis(millis),
        _ => clock::now(),
    }
}
