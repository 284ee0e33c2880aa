//! How a transport hands batches to the engine and hears what became durable.
//!
//! Spool and Kafka look the same from the engine: a bounded channel of [`Delivery`]s, each with a
//! [`Receipt`] to be answered once its records are stored. Receipts may be answered in any order;
//! the transport moves its position over the longest answered prefix only.
//!
//! Before a block is stored, its plan goes into the transport's keeping through [`Plans`]: whoever has the
//! lane next finds it there and can settle what became of the block before storing anything more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use citywatch_parsers::RecordBatch;
use tokio::sync::{mpsc, oneshot};

/// A batch with the receipt for it.
#[derive(Debug)]
pub struct Delivery {
    /// The records: of one stream, in order.
    pub batch: RecordBatch,
    /// To be acknowledged when they are stored.
    pub receipt: Receipt,
    /// The plan that was kept of the lane when it came here: its block may be stored, or not, or be on its
    /// way still, sent by an engine that has lost the lane.
    pub left_behind: Option<Arc<str>>,
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
    life: Arc<LaneLife>,
    /// Held from when the engine begins with the delivery.
    at_work: Option<Arc<()>>,
}

/// Whether a lane goes on, shared by the transport and the lane's receipts.
#[derive(Debug, Default)]
pub(crate) struct LaneLife {
    is_over: AtomicBool,
    at_work: Arc<()>,
}

impl LaneLife {
    /// The lane goes away: the engine begins with none of its deliveries any more.
    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
    }

    /// Deliveries that the engine has begun with and not answered.
    pub(crate) fn at_work(&self) -> usize {
        Arc::strong_count(&self.at_work) - 1
    }
}

/// Where plans are kept: the offset commits' metadata of Kafka, a file beside the spool.
#[derive(Clone, Debug)]
pub struct Plans(mpsc::UnboundedSender<PlanRequest>);

/// The transport has ended: nothing is kept any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the transport has ended")]
pub struct PlansEnded;

/// What is asked of a transport.
#[derive(Debug)]
pub(crate) struct PlanRequest {
    pub(crate) lanes: Vec<u32>,
    /// To be kept for each of the lanes; without it, only whether they are lost is asked.
    pub(crate) plan: Option<Arc<str>>,
    /// The lanes that are lost; if there are any, nothing is kept.
    pub(crate) lost: oneshot::Sender<Vec<u32>>,
}

impl Plans {
    /// A keeper's door and what comes through it.
    pub(crate) fn channel() -> (Self, mpsc::UnboundedReceiver<PlanRequest>) {
        let (requests, receiver) = mpsc::unbounded_channel();
        (Self(requests), receiver)
    }

    /// Keeps `plan` for each of the lanes in place of the one before, and returns once that is durable. Where some
    /// of the lanes are lost to another engine, nothing is kept and these are returned. Waits for as long as
    /// the transport cannot tell.
    ///
    /// # Errors
    /// [`PlansEnded`].
    pub async fn keep(&self, lanes: Vec<u32>, plan: &str) -> Result<Vec<u32>, PlansEnded> {
        self.ask(lanes, Some(plan.into())).await
    }

    /// Which of the lanes are lost.
    ///
    /// # Errors
    /// [`PlansEnded`].
    pub async fn lost(&self, lanes: Vec<u32>) -> Result<Vec<u32>, PlansEnded> {
        self.ask(lanes, None).await
    }

    async fn ask(&self, lanes: Vec<u32>, plan: Option<Arc<str>>) -> Result<Vec<u32>, PlansEnded> {
        let (lost, answer) = oneshot::channel();
        let request = PlanRequest { lanes, plan, lost };
        self.0.send(request).map_err(|_| PlansEnded)?;
        answer.await.map_err(|_| PlansEnded)
    }
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
            life: Arc::default(),
            at_work: None,
        }
    }

    /// The same for a lane that may go away.
    pub(crate) fn of(
        life: &Arc<LaneLife>,
        lane: u32,
        sequence: u64,
        answers: mpsc::UnboundedSender<Acknowledged>,
    ) -> Self {
        Self {
            life: Arc::clone(life),
            ..Self::new(lane, sequence, answers)
        }
    }

    /// Begins with the delivery; `false` when its lane has gone to another engine, which reads it again. Once that is so
    /// it stays so: of a lane nothing is left out but its end.
    pub fn begin(&mut self) -> bool {
        let at_work = Arc::clone(&self.life.at_work);
        // In this order: who has ended the lane waits for what it sees at work.
        let goes_on = !self.life.is_over.load(Ordering::SeqCst);
        self.at_work = goes_on.then_some(at_work);
        goes_on
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
