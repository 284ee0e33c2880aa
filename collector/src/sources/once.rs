//! A stream of bytes that comes once: cut into records, and kept before more of it is read.
//!
//! Positions are byte offsets from the agent's start, which is part of the stream's name.

use std::io;
use std::sync::Arc;

use citywatch_parsers::{Origin, RecordBatch};
use tokio::io::AsyncReadExt;
use tokio::process::ChildStdout;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::files::Joining;
use super::files::lines::{BatchLimits, Chunk, RECORD_BYTES_MAX, Tail, push_long, split};
use super::received::{COLLECT_FOR, Counts, PENDING_BYTES_MAX, keep};
use crate::clock;
use crate::sink::Sink;

/// Bytes read at once.
pub(super) const READ_BYTES: usize = 64 << 10;
/// A joined record is complete when nothing came for this many collections.
const QUIET_TICKS: u32 = 5;

/// What comes in.
pub(super) enum Input {
    /// A command's output.
    Output(ChildStdout),
    /// What a thread reads that cannot be interrupted.
    Thread(mpsc::Receiver<io::Result<Vec<u8>>>),
}

impl Input {
    /// The next bytes; none at the end.
    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Output(output) => {
                let length = output.read(buffer).await?;
                Ok(buffer[..length].to_vec())
            }
            Self::Thread(received) => received.recv().await.unwrap_or_else(|| Ok(Vec::new())),
        }
    }
}

/// Why reading stopped.
#[derive(Debug)]
pub(super) enum Stopped {
    /// The input is at its end, or broken.
    Ended(io::Result<()>),
    /// The agent stops.
    Shutdown,
}

/// Bytes that are not records yet, and records that are not kept yet.
pub(super) struct ByteStream {
    joining: Joining,
    limits: BatchLimits,
    /// Begins where nothing has been taken yet.
    buffer: Vec<u8>,
    /// Position of the buffer's first byte.
    offset: u64,
    rest: Rest,
    origin: Arc<Origin>,
    batch: RecordBatch,
    full: Vec<RecordBatch>,
    pending_bytes: usize,
}

/// What becomes of the bytes that come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    Taken,
    /// They belong to a record that was cut.
    PassedOverToLineEnd,
}

impl ByteStream {
    pub(super) fn new(origin: Origin, joining: Joining, limits: BatchLimits) -> Self {
        let origin = Arc::new(origin);
        Self {
            joining,
            limits,
            buffer: Vec::new(),
            offset: 0,
            rest: Rest::Taken,
            batch: RecordBatch::new(Arc::clone(&origin)),
            origin,
            full: Vec::new(),
            pending_bytes: 0,
        }
    }

    /// Takes bytes over; never holds more than one record's bound of what is not a record yet.
    fn receive(&mut self, mut bytes: &[u8]) {
        self.pending_bytes += bytes.len();
        if self.rest == Rest::PassedOverToLineEnd {
            let end = memchr::memchr(b'\n', bytes).map(|end| end + 1);
            let passed = end.unwrap_or(bytes.len());
            self.offset += passed as u64;
            bytes = &bytes[passed..];
            if end.is_some() {
                self.rest = Rest::Taken;
            }
        }
        self.buffer.extend_from_slice(bytes);
        self.cut(Tail::Waits);
        if self.buffer.len() > RECORD_BYTES_MAX {
            self.cut(Tail::TakeLines);
        }
        if self.buffer.len() > RECORD_BYTES_MAX {
            let head = &self.buffer[..RECORD_BYTES_MAX];
            push_long(head, self.offset, clock::now(), &mut self.batch);
            self.offset += self.buffer.len() as u64;
            self.buffer = Vec::new();
            self.rest = Rest::PassedOverToLineEnd;
        }
    }

    /// Everything that is a record by now.
    fn take(&mut self, tail: Tail) -> Vec<RecordBatch> {
        self.cut(tail);
        if tail == Tail::TakeAll {
            self.offset += self.buffer.len() as u64;
            self.buffer = Vec::new();
            self.rest = Rest::Taken;
        }
        self.pending_bytes = 0;
        self.close_batch();
        std::mem::take(&mut self.full)
    }

    fn cut(&mut self, tail: Tail) {
        let mut start = 0;
        loop {
            let chunk = Chunk {
                bytes: &self.buffer[start..],
                offset: self.offset + start as u64,
                cuts: &[],
                received_at: clock::now(),
            };
            let taken = split(chunk, self.joining, tail, self.limits, &mut self.batch);
            start += taken;
            let is_full = self.batch.len() >= self.limits.records_max
                || self.batch.bytes() >= self.limits.bytes_max;
            if !is_full {
                break;
            }
            self.close_batch();
        }
        self.buffer.drain(..start);
        self.offset += start as u64;
    }

    fn close_batch(&mut self) {
        if !self.batch.is_empty() {
            let next = RecordBatch::new(Arc::clone(&self.origin));
            self.full.push(std::mem::replace(&mut self.batch, next));
        }
    }

    /// Reads `input` until its end or `shutdown`. While the sink waits, nothing is read, and who
    /// writes waits too.
    pub(super) async fn read(
        &mut self,
        input: &mut Input,
        sink: &Sink,
        counts: &Counts,
        shutdown: &CancellationToken,
    ) -> Stopped {
        let mut buffer = vec![0; READ_BYTES];
        let mut ticks = interval(COLLECT_FOR);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut quiet_ticks = 0;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return Stopped::Shutdown,
                read = input.read(&mut buffer) => match read {
                    Ok(bytes) if bytes.is_empty() => return Stopped::Ended(Ok(())),
                    Ok(bytes) => {
                        quiet_ticks = 0;
                        self.receive(&bytes);
                        if self.pending_bytes >= PENDING_BYTES_MAX {
                            self.keep(Tail::Waits, sink, counts).await;
                        }
                    }
                    Err(error) => return Stopped::Ended(Err(error)),
                },
                _ = ticks.tick() => {
                    quiet_ticks += 1;
                    let tail = if quiet_ticks > QUIET_TICKS { Tail::TakeLines } else { Tail::Waits };
                    self.keep(tail, sink, counts).await;
                }
            }
        }
    }

    /// Takes the last line too, though its end is missing: nothing more comes of it.
    pub(super) async fn keep_all(&mut self, sink: &Sink, counts: &Counts) {
        self.keep(Tail::TakeAll, sink, counts).await;
    }

    async fn keep(&mut self, tail: Tail, sink: &Sink, counts: &Counts) {
        let batches = self.take(tail);
        counts.received(&batches);
        // What is not kept has been counted and logged; nobody waits for an answer.
        let _ = keep(sink, batches, counts).await;
    }
}

#[cfg(test)]
mod tests {
    use citywatch_parsers::record::Truncated;
    use proptest::prelude::*;

    use super::*;

    fn records(pieces: &[&[u8]], joining: Joining) -> Vec<(u64, Vec<u8>, Truncated)> {
        let limits = BatchLimits {
            records_max: 3,
            bytes_max: 1 << 20,
        };
        let mut stream = ByteStream::new(Origin::default(), joining, limits);
        let mut batches = Vec::new();
        for piece in pieces {
            stream.receive(piece);
            assert!(stream.buffer.len() <= RECORD_BYTES_MAX);
        }
        batches.extend(stream.take(Tail::TakeAll));
        assert!(batches.iter().all(|batch| batch.len() <= 4));
        let spans = batches
            .iter()
            .flat_map(|batch| batch.iter().zip(batch.spans()));
        spans
            .map(|(record, span)| (record.position, record.raw.to_vec(), span.truncated))
            .collect()
    }

    #[test]
    fn lines_are_records_at_their_offsets() {
        let found = records(
            &[b"one\r\n\ntw", b"o\nthree\nfour\nfive\nhalf"],
            Joining::None,
        );
        let texts: Vec<_> = found
            .iter()
            .map(|(position, raw, _)| (*position, String::from_utf8_lossy(raw)))
            .collect();
        let expected = [
            (0, "one"),
            (6, "two"),
            (10, "three"),
            (16, "four"),
            (21, "five"),
            (26, "half"),
        ];
        assert_eq!(texts, expected.map(|(at, text)| (at, text.into())));
    }

    #[test]
    fn a_line_without_end_is_cut_and_the_next_is_whole() {
        let mut bytes = vec![b'x'; 3 * RECORD_BYTES_MAX];
        bytes.extend_from_slice(b"\nnext\n");
        let found = records(
            &bytes.chunks(READ_BYTES).collect::<Vec<_>>(),
            Joining::Indent,
        );
        assert_eq!(found.len(), 2);
        assert_eq!(
            (found[0].1.len(), found[0].2),
            (RECORD_BYTES_MAX, Truncated::Yes)
        );
        let position = 3 * RECORD_BYTES_MAX as u64 + 1;
        assert_eq!(found[1], (position, b"next".to_vec(), Truncated::No));
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(bytes in "([a-z]{1,4}|\n| ){0,40}", size in 1_usize..20) {
            for joining in [Joining::None, Joining::Indent, Joining::Paragraph] {
                let whole = records(&[bytes.as_bytes()], joining);
                prop_assert_eq!(records(&bytes.as_bytes().chunks(size).collect::<Vec<_>>(), joining), whole);
            }
        }
    }
}
