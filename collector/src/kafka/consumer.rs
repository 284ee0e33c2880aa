//! Kafka to the engine: one thread that polls, collects and delivers, and one that commits.
//!
//! librdkafka calls its callbacks from within `poll`, on that same thread, so what they share with
//! it is locked without contention. The thread always goes on polling, even while the engine is
//! busy: who does not poll for `max.poll.interval.ms` loses its partitions without a word.

mod assignment;
mod commits;
mod gaps;
mod messages;
mod settings;
mod taking;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use citywatch_parsers::RecordBatch;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{Message, OwnedMessage};
use rdkafka::{Offset, TopicPartitionList};
use serde::Serialize;
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use assignment::{Context, Lost, SharedState, revoke_patience};
use commits::{Commits, Committer};
use gaps::Gaps;
use settings::{Topic, native_config, poll_interval_max, topics_of};

use super::connection::{Connection, ConnectionWatch};
use super::lanes::{Collected, Lane, Lanes, Partition};
use super::makings::{Arrival, Makings, Untold};
use super::probe::tells_of_unreadable;
use super::{ConsumerConfig, unpacking};
use crate::delivery::{Acknowledged, Delivery, Plans};
use crate::identity::{Door, Verifier};

/// How long others' records are collected into a batch.
const COLLECT_FOR: Duration = Duration::from_millis(100);
const POLL_FOR: Duration = Duration::from_millis(50);
/// A busy engine is waited for this long before the partitions are paused.
const BUSY_PATIENCE: Duration = Duration::from_millis(500);
/// How long the end waits for the engine's answers.
const END_PATIENCE: Duration = Duration::from_secs(30);
/// How long the end waits, beyond that, for the consumer to commit and to leave its group.
const LEAVE_PATIENCE: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// How often it is asked whether the topics are there, and how long that may hold up the records.
const TOPICS_EVERY: Duration = Duration::from_secs(10);
const TOPICS_PATIENCE: Duration = Duration::from_millis(500);
/// How long the brokers are asked for the plan of a partition before polling goes on.
const PLAN_PATIENCE: Duration = Duration::from_secs(2);

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
    /// Messages in batches that cannot be unpacked and were passed over since this start.
    pub unreadable: u64,
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
    plans: Plans,
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
    unreadable: AtomicU64,
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
    /// [`crate::frame::UNDECODABLE`], those that cannot even be unpacked as one of [`crate::frame::UNREADABLE`].
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

    /// The same, with signatures checked. What is refused comes as batches of the format [`crate::frame::REFUSED`].
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
        let native = native_config(config);
        unpacking::bound(&native);
        let (answers, answered) = mpsc::unbounded_channel();
        let context = Context {
            counts: Arc::clone(&counts),
            shared: Mutex::new(SharedState {
                lanes: Lanes::default(),
                answered,
                gone: Vec::new(),
            }),
            commits: Commits::default(),
            revoke_patience: revoke_patience(poll_interval_max(&native)),
            has_ended: AtomicBool::new(false),
        };
        let consumer: BaseConsumer<Context> = native.create_with_context(context)?;
        let topics: Vec<&str> = config.topics.keys().map(String::as_str).collect();
        consumer.subscribe(&topics)?;
        let consumer = Arc::new(consumer);
        let (plans, requests) = Plans::channel();
        let done = CancellationToken::new();
        let committer = Committer {
            consumer: Arc::clone(&consumer),
            requests,
            done: done.clone(),
        };
        let committer = thread::Builder::new()
            .name("kafka-committer".into())
            .spawn(move || committer.run())
            .map_err(ConsumeError::Thread)?;

        let (deliveries, receiver) = mpsc::channel(deliveries_max);
        let (end, ended) = oneshot::channel();
        let poller = Poller {
            consumer,
            topics: topics_of(config),
            deliveries,
            answers,
            counts: Arc::clone(&counts),
            overflow: VecDeque::new(),
            paused: Paused::No,
            door: Door::new(verifier),
            makings: Makings::default(),
            gaps: Gaps::new(native, shutdown.clone()),
            topics_looked_for: Instant::now(),
        };
        thread::Builder::new()
            .name("kafka-consumer".into())
            .spawn(move || {
                let consumer = poller.run(&shutdown);
                done.cancel();
                if committer.join().is_err() {
                    tracing::error!("the thread that commits offsets failed");
                }
                // The last one leaves the group.
                drop(consumer);
                // No one may wait for the end.
                let _ = end.send(());
            })
            .map_err(ConsumeError::Thread)?;
        Ok((
            receiver,
            ConsumerTask {
                monitor: ConsumerMonitor(counts),
                plans,
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

    /// Where plans are kept before blocks are stored.
    pub fn plans(&self) -> Plans {
        self.plans.clone()
    }

    /// Waits until the consumer has ended: after its shutdown, once every receipt has been
    /// acknowledged or dropped (for 30 s at most) and the offsets are committed. A group that cannot be left is not waited for
    /// for ever.
    pub async fn ended(self) {
        // An error of the channel means that the thread is gone, which is what was waited for.
        if tokio::time::timeout(END_PATIENCE + LEAVE_PATIENCE, self.ended)
            .await
            .is_err()
        {
            tracing::warn!(
                "the consumer group could not be left in time: Kafka gives its partitions to others after `session.timeout.ms`, and what is not committed is delivered again"
            );
        }
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
            unreadable: counts.unreadable.load(Ordering::Relaxed),
            pauses: counts.pauses.load(Ordering::Relaxed),
        }
    }
}

/// The polling thread.
struct Poller {
    consumer: Arc<BaseConsumer<Context>>,
    topics: HashMap<String, Topic>,
    deliveries: mpsc::Sender<Delivery>,
    answers: UnboundedSender<Acknowledged>,
    counts: Arc<Counts>,
    /// Messages that came while the partitions were being paused.
    overflow: VecDeque<OwnedMessage>,
    /// Since something has to be waited for; until all that came meanwhile is handed over.
    paused: Paused,
    door: Door,
    makings: Makings,
    gaps: Gaps,
    topics_looked_for: Instant,
}

/// Whether the partitions are paused.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Paused {
    No,
    Yes,
}

/// The engine has gone, or the shutdown has come: nothing more is delivered.
struct Over;

impl Poller {
    /// Runs to the end; what is returned leaves the group when it is dropped.
    fn run(mut self, shutdown: &CancellationToken) -> Arc<BaseConsumer<Context>> {
        while !shutdown.is_cancelled() && !self.deliveries.is_closed() {
            if self.step(shutdown).is_err() {
                break;
            }
        }
        self.end()
    }

    fn step(&mut self, shutdown: &CancellationToken) -> Result<(), Over> {
        self.consumer.context().take_answers();
        self.leave_to_others();
        if self.overflow.is_empty() {
            self.resume();
            self.pass_over_gaps(shutdown)?;
        }
        // What came while something was handed over comes first: offsets grow.
        let waiting = self.overflow.pop_front();
        let message = waiting.or_else(|| self.poll(POLL_FOR));
        // One poll may take a partition away, give it back and bring its first message again: to be read anew.
        self.leave_to_others();
        if let Some(message) = message {
            let partition: Partition = (message.topic().into(), message.partition());
            let offset = message.offset();
            match self.arrived(&partition, offset) {
                Ok(Arrival::New) => self.take(&message, &partition, shutdown)?,
                Ok(Arrival::Again) => {}
                Err(Untold) => {
                    self.overflow.push_front(message);
                    self.poll_paused();
                }
            }
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
            self.makings.gone(&gone);
            self.overflow.retain(stays);
        }
    }

    /// Polls while something has to be waited for: who does not poll loses its partitions. They are paused, so that
    /// little comes.
    fn poll_paused(&mut self) {
        self.paused = Paused::Yes;
        // Again each time: partitions may have been assigned in the meantime.
        if let Ok(assignment) = self.consumer.assignment() {
            self.warn_on(self.consumer.pause(&assignment));
        }
        let polled = self.poll(POLL_FOR);
        self.leave_to_others();
        self.overflow.extend(polled);
        self.consumer.context().take_answers();
    }

    fn resume(&mut self) {
        if self.paused == Paused::Yes
            && let Ok(assignment) = self.consumer.assignment()
        {
            self.warn_on(self.consumer.resume(&assignment));
            self.paused = Paused::No;
        }
    }

    /// One message, detached from librdkafka only when it must outlive the next poll.
    fn poll(&mut self, patience: Duration) -> Option<OwnedMessage> {
        match self.consumer.poll(patience)? {
            Ok(message) => Some(self.detached(&message)),
            Err(error) if tells_of_unreadable(&error) => {
                // Again and again, until it is passed over.
                self.gaps.told();
                None
            }
            Err(error) => {
                self.counts.connection.failed(&error.to_string());
                tracing::warn!(%error, "Kafka cannot be read, trying again");
                metrics::counter!("citywatch_kafka_errors_total").increment(1);
                None
            }
        }
    }

    /// The first message of a partition begins its lane, with the plan that was kept there; `false` when
    /// the brokers did not tell.
    fn begin_lane(&self, partition: &Partition, offset: i64) -> bool {
        let context = self.consumer.context();
        if context.lock().lanes.lane(partition).is_some() {
            return true;
        }
        let mut asked = TopicPartitionList::new();
        asked.add_partition(&partition.0, partition.1);
        let told = self.consumer.committed_offsets(asked, PLAN_PATIENCE);
        let entries = told.as_ref().map(TopicPartitionList::elements);
        let entry = match &entries {
            Ok(entries) => entries.first().map(|entry| (entry, entry.error())),
            Err(error) => {
                tracing::debug!(%error, "the committed offsets cannot be read, trying again");
                return false;
            }
        };
        let Some((entry, Ok(()))) = entry else {
            return false;
        };
        let next_offset = match entry.offset() {
            Offset::Offset(offset) => offset,
            // Nothing is committed: there was nothing before this message.
            _ => offset,
        };
        let plan = Some(entry.metadata()).filter(|plan| !plan.is_empty());
        let lanes = &mut context.lock().lanes;
        lanes.begin(partition, next_offset, plan.map(Into::into));
        true
    }

    /// Finds out which lane and which making of its topic a message is of.
    fn arrived(&mut self, partition: &Partition, offset: i64) -> Result<Arrival, Untold> {
        if !self.begin_lane(partition, offset) {
            return Err(Untold);
        }
        self.makings
            .arrived(self.consumer.client(), partition, offset)
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
            .and_then(Lane::take_collected);
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
        let (receipt, left_behind) = {
            let mut shared = self.consumer.context().lock();
            // The partition may have gone while something else of it was handed over.
            let Some(lane) = shared.lanes.lane(partition) else {
                return Ok(());
            };
            let receipt = lane.hand_out(next_offset, self.answers.clone());
            (receipt, lane.left_behind.clone())
        };
        let Some(batch) = batch.filter(|batch| !batch.is_empty()) else {
            receipt.acknowledge();
            return Ok(());
        };
        let records = batch.len() as u64;
        let delivery = Delivery {
            batch,
            receipt,
            left_behind,
        };
        self.send(delivery, shutdown)?;
        self.counts.records.fetch_add(records, Ordering::Relaxed);
        metrics::counter!("citywatch_kafka_records_total").increment(records);
        Ok(())
    }

    /// Hands a delivery over. While the engine is busy the partitions are paused and polling goes on.
    fn send(&mut self, mut delivery: Delivery, shutdown: &CancellationToken) -> Result<(), Over> {
        let since = Instant::now();
        let mut has_waited = false;
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
            if !has_waited {
                self.counts.pauses.fetch_add(1, Ordering::Relaxed);
                metrics::counter!("citywatch_kafka_pauses_total").increment(1);
            }
            has_waited = true;
            self.poll_paused();
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
        Ok(())
    }

    fn warn_on(&self, result: Result<(), KafkaError>) {
        if let Err(error) = result {
            tracing::debug!(%error, "Kafka");
        }
    }

    /// Waits for the engine's answers, commits and leaves the group.
    fn end(mut self) -> Arc<BaseConsumer<Context>> {
        let partitions = self.consumer.context().lock().lanes.partitions();
        // The senders left are the receipts'.
        self.deliveries = mpsc::channel(1).0;
        self.answers = mpsc::unbounded_channel().0;
        let deadline = Instant::now() + END_PATIENCE;
        self.consumer.context().end_lanes(&partitions);
        while self.consumer.context().is_awaited(&partitions) && Instant::now() < deadline {
            // Who does not poll is put out of the group, and could commit nothing. What comes is left to the next one.
            self.poll_paused();
            self.overflow.clear();
        }
        self.consumer
            .context()
            .forget(&self.consumer, &partitions, Lost::No);
        self.consumer
            .context()
            .has_ended
            .store(true, Ordering::Relaxed);
        self.consumer
    }
}
