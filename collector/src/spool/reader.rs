//! The reading half: one thread that delivers frames as batches and moves the acknowledged position.

use std::sync::Arc;
use std::thread;

use citywatch_parsers::RecordBatch;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::SpoolError;
use super::plan;
use super::position::PositionFile;
use super::segment::{SegmentReader, Step};
use super::state::{Shared, SpoolMonitor};
use crate::clock;
use crate::delivery::{Acknowledged, Delivery, Plans, Receipt};
use crate::frame;
use crate::identity::{Door, Refused, Unsigned, Verifier};
use crate::prefix::Prefix;

/// The spool is one lane.
const LANE: u32 = 0;
/// Answers taken at once: the position is written once for all of them.
const ANSWERS_AT_ONCE: usize = 256;

/// The reading half of a spool, before it starts.
#[derive(Debug)]
pub struct SpoolReader {
    shared: Arc<Shared>,
    position: PositionFile,
    door: Door,
}

/// A reader at work; see [`SpoolReader::start`].
#[derive(Debug)]
pub struct SpoolTask {
    ended: oneshot::Receiver<()>,
}

impl SpoolTask {
    /// Waits until the reader has ended: after its shutdown, once every receipt it gave out has been
    /// acknowledged or dropped and the position is on disk.
    pub async fn ended(self) {
        // An error means that the thread is gone, which is what was waited for.
        let _ = self.ended.await;
    }
}

impl SpoolReader {
    pub(super) fn new(shared: Arc<Shared>, position: PositionFile) -> Self {
        Self {
            shared,
            position,
            door: Door::default(),
        }
    }

    /// Checks the signatures of sealed frames, which agents elsewhere sent; what this machine's own agent
    /// appends is not signed and taken as it is.
    #[must_use]
    pub fn verifying(mut self, verifier: Option<Arc<Verifier>>) -> Self {
        self.door = Door::new(verifier);
        self
    }

    /// For asking how the spool stands.
    pub fn monitor(&self) -> SpoolMonitor {
        SpoolMonitor(Arc::clone(&self.shared))
    }

    /// Where plans are kept before blocks are stored.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn plans(&self) -> Result<Plans, SpoolError> {
        plan::keep(&self.shared.dir)
    }

    /// Delivers everything from the acknowledged position on, at most `deliveries_max` ahead of the
    /// receiver, until `shutdown`. Frames that cannot be decoded come as batches of the format
    /// [`frame::UNDECODABLE`].
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(
        self,
        deliveries_max: usize,
        shutdown: CancellationToken,
    ) -> Result<(mpsc::Receiver<Delivery>, SpoolTask), SpoolError> {
        let (deliveries, receiver) = mpsc::channel(deliveries_max);
        let (answers, answered) = mpsc::unbounded_channel();
        let (end, ended) = oneshot::channel();
        let dir = self.shared.dir.clone();
        let thread = ReaderThread {
            next: self.position.value(),
            left_behind: plan::read(&dir),
            durable: self.shared.durable.subscribe(),
            shared: self.shared,
            position: self.position,
            segment: None,
            prefix: Prefix::new(),
            door: self.door,
        };
        thread::Builder::new()
            .name("spool-reader".into())
            .spawn(move || {
                thread.run(deliveries, answers, answered, &shutdown);
                // No one may wait for the end.
                let _ = end.send(());
            })
            .map_err(SpoolError::io("start a thread for", &dir))?;
        Ok((receiver, SpoolTask { ended }))
    }
}

struct ReaderThread {
    shared: Arc<Shared>,
    left_behind: Option<Arc<str>>,
    position: PositionFile,
    durable: watch::Receiver<u64>,
    segment: Option<SegmentReader>,
    /// Sequence of the entry to be delivered next.
    next: u64,
    /// Deliveries on their way; the mark is the sequence after the delivered entry.
    prefix: Prefix<u64>,
    door: Door,
}

impl ReaderThread {
    fn run(
        mut self,
        deliveries: mpsc::Sender<Delivery>,
        answers: UnboundedSender<Acknowledged>,
        answered: UnboundedReceiver<Acknowledged>,
        shutdown: &CancellationToken,
    ) {
        // No I/O and no timers are awaited here, so this little runtime needs neither.
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let runtime = runtime.expect("a runtime without drivers asks nothing of the system");
        runtime.block_on(async move {
            let mut answered = answered;
            self.deliver(deliveries, answers, &mut answered, shutdown).await;
            // The senders left are the receipts': this ends when the last one is gone.
            let mut batch = Vec::new();
            while answered.recv_many(&mut batch, ANSWERS_AT_ONCE).await > 0 {
                self.acknowledge(&mut batch);
            }
            if let Err(error) = self.position.sync() {
                tracing::error!(%error, "the spool's position is not safe: acknowledged records may come again");
            }
        });
    }

    async fn deliver(
        &mut self,
        deliveries: mpsc::Sender<Delivery>,
        answers: UnboundedSender<Acknowledged>,
        answered: &mut UnboundedReceiver<Acknowledged>,
        shutdown: &CancellationToken,
    ) {
        let mut batch = Vec::new();
        loop {
            let waiting = self.next < *self.durable.borrow_and_update();
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                _ = answered.recv_many(&mut batch, ANSWERS_AT_ONCE) => self.acknowledge(&mut batch),
                permit = deliveries.reserve(), if waiting => {
                    let Ok(permit) = permit else { return };
                    if let Some(batch) = self.read() {
                        let sequence = self.prefix.hand_out(self.next);
                        let receipt = Receipt::new(LANE, sequence, answers.clone());
                        permit.send(Delivery { batch, receipt, left_behind: self.left_behind.clone() });
                    }
                }
                () = deliveries.closed(), if !waiting => return,
                // The sender lives in `shared`, which this thread holds.
                _ = self.durable.changed(), if !waiting => {}
            }
        }
    }

    fn acknowledge(&mut self, batch: &mut Vec<Acknowledged>) {
        let reached = batch
            .drain(..)
            .filter_map(|answer| self.prefix.answer(answer.sequence))
            .last();
        let Some(position) = reached else { return };
        if let Err(error) = self.position.advance(position) {
            tracing::error!(%error, "the spool's position cannot be written: acknowledged records may come again");
            metrics::counter!("citywatch_spool_write_errors_total").increment(1);
        }
        self.shared.acknowledge(position);
    }

    /// The next entry as a batch; none when it was lost, which is counted.
    fn read(&mut self) -> Option<RecordBatch> {
        let bytes = match self.read_entry() {
            Ok(bytes) => bytes?,
            Err(error) => {
                tracing::error!(%error, sequence = self.next, "an entry of the spool cannot be read back");
                self.skip_to(self.next + 1);
                return None;
            }
        };
        let sequence = self.next - 1;
        // Whose it was stood within it.
        let place = frame::Place {
            unit: "",
            agent: "spool",
            stream: "spool",
            position: sequence,
        };
        Some(self.door.open(&bytes, Unsigned::Taken).unwrap_or_else(|refused| match refused {
            Refused::Frame(error) => {
                tracing::error!(%error, sequence, "an entry of the spool is not a packed batch, it goes to the dead letters");
                metrics::counter!("citywatch_undecodable_frames_total").increment(1);
                frame::undecodable(place, &bytes, clock::now())
            }
            Refused::Identity(refusal) => {
                tracing::warn!(%refusal, sequence, "an entry of the spool is refused, it goes to the dead letters");
                let reason = refusal.to_string();
                frame::refused(place, &bytes, clock::now(), &reason)
            }
        }))
    }

    /// The bytes of the next entry; `self.next` moves past it, and past what is missing before it.
    fn read_entry(&mut self) -> Result<Option<Vec<u8>>, SpoolError> {
        let mut segment = match self
            .segment
            .take()
            .filter(|segment| segment.next <= self.next)
        {
            Some(segment) => segment,
            None => match self.shared.segment_for(self.next) {
                Some(info) => SegmentReader::open(&info.path, info.first)?,
                None => return Ok(None),
            },
        };
        if segment.first > self.next {
            // Dropped at the bound, and counted there.
            self.next = segment.first;
        }
        loop {
            let sequence = segment.next;
            match segment.step()? {
                Step::Entry(_) if sequence < self.next => {}
                Step::Entry(bytes) => {
                    self.next = sequence + 1;
                    self.segment = Some(segment);
                    return Ok(Some(bytes));
                }
                Step::Damaged => {
                    tracing::error!(path = %segment.path.display(), sequence, "an entry of the spool is damaged and left out");
                    if sequence >= self.next {
                        self.skip_to(sequence + 1);
                    }
                }
                Step::End => {
                    // Where it ends early, the next segment tells how much is missing.
                    let after = self
                        .shared
                        .segment_after(segment.first)
                        .map_or(*self.durable.borrow(), |after| after.first);
                    if after > self.next {
                        tracing::error!(path = %segment.path.display(), from = self.next, to = after, "entries of the spool cannot be read back");
                        self.skip_to(after);
                    }
                    return Ok(None);
                }
            }
        }
    }

    fn skip_to(&mut self, next: u64) {
        self.shared.count_damaged(next - self.next);
        self.next = next;
    }
}
