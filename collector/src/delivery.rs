//! How a transport hands batches to the engine and hears what became durable.
//!
//! Spool and Kafka look the same from the engine: a bounded channel of [`Delivery`]s, each with a
//! [`Receipt`] to be answered once its records are stored. Receipts may be answered in any order;
//! the transport moves its position over the longest answered prefix only.

use citywatch_parsers::RecordBatch;
use tokio::sync::mpsc;

/// A batch with the receipt for it.
#[derive(Debug)]
pub struct Delivery {
    /// The records: of one stream, in order.
    pub batch: RecordBatch,
    /// To be acknowledged when they are stored.
    pub receipt: Receipt,
}

/// Where a delivery stands in its transport.
///
/// Dropping a receipt without [`Receipt::acknowledge`] leaves the transport's position where it is:
/// the records come again after a restart.
#[derive(Debug)]
#[must_use = "records whose receipt is dropped are delivered again after a restart"]
pub struct Receipt {
    lane: u32,
    sequence: u64,
    answers: mpsc::UnboundedSender<Acknowledged>,
}

/// An answered receipt, on its way back to the transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Acknowledged {
    /// The transport's lane: 0 for the spool, the partition's number in an assignment for Kafka.
    pub lane: u32,
    /// The delivery's place in its lane.
    pub sequence: u64,
}

impl Receipt {
    /// A receipt for delivery `sequence` of `lane`; answers arrive at `answers`. Deliveries in flight
    /// are bounded by the channel of deliveries, so the channel of answers need not be.
    pub fn new(lane: u32, sequence: u64, answers: mpsc::UnboundedSender<Acknowledged>) -> Self {
        Self {
            lane,
            sequence,
            answers,
        }
    }

    /// The transport's lane. A Kafka partition that goes to another engine and comes back is a new
    /// lane: what was known of its streams' stored positions may be out of date then.
    pub fn lane(&self) -> u32 {
        self.lane
    }

    /// Tells the transport that the delivery is durable downstream.
    pub fn acknowledge(self) {
        // The transport may be gone at shutdown: then the records come again, and are known.
        let _ = self.answers.send(Acknowledged {
            lane: self.lane,
            sequence: self.sequence,
        });
    }
}
