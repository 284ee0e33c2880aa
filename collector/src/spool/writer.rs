//! The writing half: one thread that appends, syncs once for all who wait, and then answers.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use citywatch_parsers::RecordBatch;
use tokio::sync::{mpsc, oneshot};

use super::segment::{ActiveSegment, ENTRY_HEADER_BYTES, HEADER_BYTES};
use super::state::{Dropped, Room, Shared, SpoolMonitor};
use super::{SpoolError, WhenFull};
use crate::frame;

/// Frames that may wait for the writer's thread.
const REQUESTS_MAX: usize = 64;
/// A group is written when it has this much, even if more is waiting.
const GROUP_BYTES_MAX: usize = 8 << 20;
const RETRY_AFTER_MIN: Duration = Duration::from_millis(100);
const RETRY_AFTER_MAX: Duration = Duration::from_secs(5);

/// Answers once: with the frame's sequence when it is durable.
pub type Ticket = oneshot::Receiver<Result<u64, SpoolError>>;

/// Appends frames to a spool; clones write to the same one.
#[derive(Clone, Debug)]
pub struct SpoolWriter {
    requests: mpsc::Sender<Request>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Request {
    frame: Vec<u8>,
    answer: oneshot::Sender<Result<u64, SpoolError>>,
}

impl SpoolWriter {
    pub(super) fn start(shared: Arc<Shared>, active: ActiveSegment) -> Result<Self, SpoolError> {
        let (requests, queue) = mpsc::channel(REQUESTS_MAX);
        let dir = shared.dir.clone();
        let mut thread = WriterThread {
            shared: Arc::clone(&shared),
            active,
            queue,
            scratch: Vec::new(),
        };
        thread::Builder::new()
            .name("spool-writer".into())
            .spawn(move || thread.run())
            .map_err(SpoolError::io("start a thread for", &dir))?;
        Ok(Self { requests, shared })
    }

    /// Appends a frame; returns its sequence once it is durable.
    ///
    /// # Errors
    /// [`SpoolError::TooLarge`] for a frame that can never fit. A full disk is no error: it is tried
    /// again until there is room, and [`SpoolMonitor::status`] shows the fault.
    pub async fn append(&self, frame: Vec<u8>) -> Result<u64, SpoolError> {
        self.submit(frame)
            .await?
            .await
            .unwrap_or(Err(SpoolError::Closed))
    }

    /// Packs a batch and appends it.
    ///
    /// # Errors
    /// As [`Self::append`]; [`SpoolError::Frame`] for a batch too large to pack.
    pub async fn append_batch(&self, batch: &RecordBatch) -> Result<u64, SpoolError> {
        self.append(frame::encode(batch)?).await
    }

    /// Hands a frame over; the ticket answers when it is durable. Frames are written in the order
    /// in which they were handed over.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub async fn submit(&self, frame: Vec<u8>) -> Result<Ticket, SpoolError> {
        let bytes = entry_bytes(&frame) + HEADER_BYTES;
        if bytes > self.shared.limits.bytes_max {
            return Err(SpoolError::TooLarge {
                bytes,
                bytes_max: self.shared.limits.bytes_max,
            });
        }
        let (answer, ticket) = oneshot::channel();
        self.requests
            .send(Request { frame, answer })
            .await
            .map_err(|_| SpoolError::Closed)?;
        Ok(ticket)
    }

    /// For asking how the spool stands.
    pub fn monitor(&self) -> SpoolMonitor {
        SpoolMonitor(Arc::clone(&self.shared))
    }
}

fn entry_bytes(frame: &[u8]) -> u64 {
    frame.len() as u64 + ENTRY_HEADER_BYTES
}

struct WriterThread {
    shared: Arc<Shared>,
    active: ActiveSegment,
    queue: mpsc::Receiver<Request>,
    scratch: Vec<u8>,
}

/// The spool's users are gone: nothing waits for an answer any more.
struct Abandoned;

impl WriterThread {
    fn run(&mut self) {
        while let Some(request) = self.queue.blocking_recv() {
            let mut bytes = request.frame.len();
            let mut group = vec![request];
            while bytes < GROUP_BYTES_MAX
                && let Ok(request) = self.queue.try_recv()
            {
                bytes += request.frame.len();
                group.push(request);
            }
            if self.write(group).is_err() {
                return;
            }
        }
    }

    fn write(&mut self, mut group: Vec<Request>) -> Result<(), Abandoned> {
        while !group.is_empty() {
            let rest = group.split_off(self.fitting(&group));
            let bytes = group
                .iter()
                .map(|request| entry_bytes(&request.frame))
                .sum();
            self.make_room(bytes)?;
            let first = self.append(&group)?;
            for (sequence, request) in (first..).zip(group) {
                // Who stopped waiting does not hear it; the frame is durable all the same.
                let _ = request.answer.send(Ok(sequence));
            }
            group = rest;
        }
        Ok(())
    }

    /// How many of the group go into one write: up to a segment's size, one at least.
    fn fitting(&self, group: &[Request]) -> usize {
        let mut bytes = 0;
        let within = group.iter().take_while(|request| {
            bytes += entry_bytes(&request.frame);
            bytes <= self.shared.limits.segment_bytes()
        });
        within.count().max(1)
    }

    /// Makes sure that `bytes` fit under the bound, by waiting or dropping as the limits say.
    fn make_room(&mut self, bytes: u64) -> Result<(), Abandoned> {
        if self.active.info().bytes + bytes > self.shared.limits.segment_bytes()
            && !self.active.is_empty()
        {
            self.roll()?;
        }
        let mut counted = false;
        while self.shared.has_room_for(bytes) == Room::Full {
            if self.shared.limits.when_full == WhenFull::DropOldest {
                if self.shared.drop_oldest() == Dropped::Nothing {
                    self.roll()?;
                }
                continue;
            }
            if self.shared.acknowledged() >= self.active.next() && !self.active.is_empty() {
                self.roll()?;
                continue;
            }
            if !counted {
                counted = true;
                self.shared.count_wait();
                tracing::warn!(
                    bytes_max = self.shared.limits.bytes_max,
                    "the spool is full: senders wait until the engine has caught up"
                );
            }
            if self.queue.is_closed() {
                return Err(Abandoned);
            }
            self.shared.wait_for_room(RETRY_AFTER_MIN);
        }
        Ok(())
    }

    fn append(&mut self, group: &[Request]) -> Result<u64, Abandoned> {
        let first = self.active.next();
        let frames: Vec<&[u8]> = group
            .iter()
            .map(|request| request.frame.as_slice())
            .collect();
        let mut scratch = std::mem::take(&mut self.scratch);
        self.persist(|thread| thread.active.append(&frames, &mut scratch))?;
        self.scratch = scratch;
        self.scratch.shrink_to(GROUP_BYTES_MAX / 8);
        self.shared.grown(&self.active.info(), self.active.next());
        Ok(first)
    }

    fn roll(&mut self) -> Result<(), Abandoned> {
        self.persist(|thread| {
            thread.active = ActiveSegment::create(&thread.shared.dir, thread.active.next())?;
            Ok(())
        })?;
        self.shared.push_segment(self.active.info());
        self.shared.remove_acknowledged();
        Ok(())
    }

    /// Tries until it works: a full disk is waited out, and shown.
    fn persist(
        &mut self,
        mut attempt: impl FnMut(&mut Self) -> Result<(), SpoolError>,
    ) -> Result<(), Abandoned> {
        let mut retry_after = RETRY_AFTER_MIN;
        while let Err(error) = attempt(self) {
            tracing::error!(%error, retry_after_ms = retry_after.as_millis() as u64, "the spool cannot be written, trying again");
            metrics::counter!("citywatch_spool_write_errors_total").increment(1);
            self.shared.set_fault(error.to_string());
            if self.queue.is_closed() {
                return Err(Abandoned);
            }
            thread::sleep(retry_after);
            retry_after = (retry_after * 2).min(RETRY_AFTER_MAX);
        }
        Ok(())
    }
}
