//! Batches that a topic keeps and that cannot be unpacked here: where they begin and end.
//!
//! librdkafka stays before such a batch for ever, and its Rust binding tells neither the partition nor the
//! offset. So a second consumer, which is of no group, looks where each partition stands. Kafka hands a batch out whole whichever
//! of its offsets is asked for, so its end is found by asking for later and later ones, and then between the last that
//! led to it and the first that did not: 40 questions for a million messages.

use std::ffi::CStr;
use std::ptr;
use std::time::{Duration, Instant};

use rdkafka::bindings as native;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tokio_util::sync::CancellationToken;

use super::lanes::Partition;
use super::unpacking::{UNPACKED_BYTES_MAX, UNPACKED_BYTES_MAX_DEFAULT};

/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(10);
const POLL_FOR: Duration = Duration::from_millis(100);

/// Where a partition stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) partition: Partition,
    /// The offset that is read next; none before the first message: what is committed, or the beginning.
    pub(super) offset: Option<i64>,
}

/// A batch that cannot be unpacked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UnreadableBatch {
    /// Where its partition stood when it was looked for.
    pub(super) place: Place,
    /// Its first offset that is to be read.
    pub(super) first: i64,
    /// The first offset behind it.
    pub(super) next: i64,
    /// What is the matter with it, and what to do.
    pub(super) reason: String,
}

/// Whether an error says that some batch cannot be unpacked.
pub(super) fn tells_of_unreadable(error: &KafkaError) -> bool {
    matches!(error, KafkaError::MessageConsumption(code) if is_unreadable(*code))
}

fn is_unreadable(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::BadCompression
            | RDKafkaErrorCode::BadMessage
            | RDKafkaErrorCode::NotImplemented
    )
}

/// Says nothing: whoever reads says what cannot be read.
struct Silent;

impl ClientContext for Silent {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(?level, facility, message, "librdkafka, looking for a batch");
    }
}

impl ConsumerContext for Silent {}

/// Looks at partitions, beside the engine's consumer.
pub(super) struct Probe {
    consumer: BaseConsumer<Silent>,
    unpacked_bytes_max: String,
    cancelled: CancellationToken,
}

/// What lies at an offset.
enum Seen {
    /// A message, or the end of the partition.
    Readable,
    Unreadable(Fault),
}

/// What librdkafka says of a batch.
struct Fault {
    /// The offset by which it names the batch, the same from wherever in it.
    named: i64,
    code: RDKafkaErrorCode,
    words: String,
}

impl Probe {
    /// Connects as `reader` does, the consumer whose partitions it looks at.
    ///
    /// # Errors
    /// When librdkafka refuses the configuration.
    pub(super) fn new(reader: &ClientConfig, cancelled: CancellationToken) -> KafkaResult<Self> {
        let mut config = reader.clone();
        for (name, value) in [
            ("enable.partition.eof", "true"),
            ("auto.offset.reset", "error"),
            ("statistics.interval.ms", "0"),
            ("fetch.wait.max.ms", "20"),
            ("fetch.error.backoff.ms", "5"),
            // Of what can be read, one message tells all.
            ("fetch.message.max.bytes", "1024"),
        ] {
            config.set(name, value);
        }
        let unpacked_bytes_max = reader.get(UNPACKED_BYTES_MAX);
        Ok(Self {
            unpacked_bytes_max: unpacked_bytes_max
                .map_or_else(|| UNPACKED_BYTES_MAX_DEFAULT.to_string(), str::to_owned),
            consumer: config.create_with_context(Silent)?,
            cancelled,
        })
    }

    /// The batch that cannot be unpacked where a partition stands, if there is one.
    ///
    /// # Errors
    /// In words, when the brokers do not tell.
    pub(super) fn unreadable_at(&self, place: &Place) -> Result<Option<UnreadableBatch>, String> {
        let partition = &place.partition;
        let watermarks = self
            .consumer
            .fetch_watermarks(&partition.0, partition.1, PATIENCE);
        let (low, high) = watermarks.map_err(|error| error.to_string())?;
        let stands = match place.offset {
            Some(offset) => offset,
            None => self.committed(partition)?.unwrap_or(low),
        };
        if stands >= high {
            return Ok(None);
        }
        let Seen::Unreadable(fault) = self.look(partition, stands)? else {
            return Ok(None);
        };
        let next = self.end_of(&fault, partition, stands, high)?;
        let first = stands.max(fault.named.min(next - 1));
        Ok(Some(UnreadableBatch {
            place: place.clone(),
            first,
            next,
            reason: self.reason(partition, first, next, &fault),
        }))
    }

    /// The first offset behind a batch that is met at `inside`; at `high` there is nothing yet.
    fn end_of(
        &self,
        fault: &Fault,
        partition: &Partition,
        inside: i64,
        high: i64,
    ) -> Result<i64, String> {
        let (mut inside, mut beyond) = (inside, high);
        let mut step = 1;
        while inside + 1 < beyond {
            let middle = inside + (beyond - inside) / 2;
            let asked = middle.min(inside.saturating_add(step));
            match self.look(partition, asked)? {
                Seen::Unreadable(other) if other.named == fault.named => {
                    inside = asked;
                    step *= 2;
                }
                _ => beyond = asked,
            }
        }
        Ok(beyond)
    }

    fn committed(&self, (topic, number): &Partition) -> Result<Option<i64>, String> {
        let mut asked = TopicPartitionList::new();
        asked.add_partition(topic, *number);
        let told = self.consumer.committed_offsets(asked, PATIENCE);
        let told = told.map_err(|error| error.to_string())?;
        let entries = told.elements();
        let offset = entries.first().map(|entry| entry.offset());
        Ok(offset.and_then(|offset| match offset {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        }))
    }

    /// What is met where reading begins at `offset`.
    fn look(&self, partition: &Partition, offset: i64) -> Result<Seen, String> {
        let mut list = TopicPartitionList::new();
        let added = list.add_partition_offset(&partition.0, partition.1, Offset::Offset(offset));
        added
            .and_then(|()| self.consumer.assign(&list))
            .map_err(|error| error.to_string())?;
        let deadline = Instant::now() + PATIENCE;
        let mut last_words = None;
        while Instant::now() < deadline && !self.cancelled.is_cancelled() {
            match self.poll() {
                None => {}
                Some(Ok(())) => return Ok(Seen::Readable),
                Some(Err(fault)) if is_unreadable(fault.code) => {
                    return Ok(Seen::Unreadable(fault));
                }
                // The brokers are away, or the like: librdkafka tries again.
                Some(Err(fault)) => last_words = Some(fault.words),
            }
        }
        Err(last_words.unwrap_or_else(|| "the brokers do not answer".to_owned()))
    }

    /// A message or the partition's end, or a fault with what the Rust binding leaves out of it.
    fn poll(&self) -> Option<Result<(), Fault>> {
        let patience_ms = i32::try_from(POLL_FOR.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the handle lives as long as the consumer, which is borrowed. What is polled is this function's own until it is
        // destroyed below, and nothing that points into it is returned.
        unsafe {
            let message =
                native::rd_kafka_consumer_poll(self.consumer.client().native_ptr(), patience_ms);
            if message.is_null() {
                return None;
            }
            let told = match RDKafkaErrorCode::from((*message).err) {
                RDKafkaErrorCode::NoError | RDKafkaErrorCode::PartitionEOF => Ok(()),
                code => Err(Fault {
                    named: (*message).offset,
                    code,
                    words: words(native::rd_kafka_message_errstr(message)),
                }),
            };
            native::rd_kafka_message_destroy(message);
            Some(told)
        }
    }

    fn reason(&self, (topic, number): &Partition, first: i64, next: i64, fault: &Fault) -> String {
        let what = match fault.code {
            RDKafkaErrorCode::BadCompression => format!(
                "the batch unpacks to more than {} bytes ([kafka.options] {UNPACKED_BYTES_MAX}) or is damaged: have its sender make smaller batches",
                self.unpacked_bytes_max
            ),
            RDKafkaErrorCode::BadMessage => {
                "the batch is damaged: look at the disks of the brokers".to_owned()
            }
            _ => "the batch is packed in a way that is not known here: choose another compression for its sender".to_owned(),
        };
        let last = next - 1;
        format!(
            "offsets {first} to {last} of partition {number} of topic {topic} cannot be read and were passed over; {what}. The topic keeps them for as long as it keeps anything ({})",
            fault.words
        )
    }
}

/// A text of librdkafka's.
///
/// # Safety
/// `text` is null, or ends with a zero byte and lives until this returns.
unsafe fn words(text: *const std::ffi::c_char) -> String {
    if ptr::eq(text, ptr::null()) {
        return "no reason is given".to_owned();
    }
    // SAFETY: as this function's own.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_string_lossy().into_owned()
}
