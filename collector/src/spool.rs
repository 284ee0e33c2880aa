//! The spool: a durable queue of frames on disk between what cannot wait and what may be away.
//!
//! Invariants:
//! - [`SpoolWriter::append`] returns after `fsync`; appends that wait together share one.
//! - The acknowledged position moves over the longest acknowledged prefix only; a segment is deleted
//!   when all of it lies below that position.
//! - A spool torn at any byte opens again with every entry that was whole; nothing of it is read
//!   before its checksum held.
//! - It never grows beyond [`SpoolLimits::bytes_max`]: then appends wait, or the oldest entries go
//!   and are counted.
//!
//! On disk: `lock`, `acknowledged`, `plan`, and segments `<first sequence>.spool`, each a header and entries
//! of length, checksum and frame.

mod plan;
mod position;
mod reader;
mod segment;
mod state;
mod writer;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use reader::{SpoolReader, SpoolTask};
pub use state::{SpoolMonitor, SpoolStatus};
pub use writer::{SpoolWriter, Ticket};

use position::PositionFile;
use segment::ActiveSegment;
use state::Shared;

use crate::lock::{self, LockError};

/// Bounds of a spool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SpoolLimits {
    /// Most bytes on disk.
    pub bytes_max: u64,
    /// A segment is closed beyond this size; an eighth of `bytes_max` if that is less.
    pub segment_bytes_max: u64,
    /// What happens at `bytes_max`.
    pub when_full: WhenFull,
}

/// What a full spool does with one more frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenFull {
    /// The sender waits: for sources that can be read again.
    #[default]
    Block,
    /// The oldest segment goes, and what was lost with it is counted.
    DropOldest,
}

impl Default for SpoolLimits {
    /// 4 GiB in segments of 64 MiB; the sender waits when it is full.
    fn default() -> Self {
        Self {
            bytes_max: 4 << 30,
            segment_bytes_max: 64 << 20,
            when_full: WhenFull::Block,
        }
    }
}

impl SpoolLimits {
    fn segment_bytes(&self) -> u64 {
        self.segment_bytes_max.min(self.bytes_max / 8).max(1)
    }
}

/// What went wrong with a spool.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// Another process works with it.
    #[error("{}: another process uses this spool; stop it, or choose another directory", .dir.display())]
    Locked {
        /// The spool's directory.
        dir: PathBuf,
    },
    /// The file system refused.
    #[error("{}: cannot {what}: {source}", .path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A frame that never fits.
    #[error(
        "a frame of {bytes} bytes is larger than the spool may be ({bytes_max}): raise bytes_max"
    )]
    TooLarge {
        /// The frame's bytes.
        bytes: u64,
        /// The spool's bound.
        bytes_max: u64,
    },
    /// The batch cannot become a frame.
    #[error(transparent)]
    Frame(#[from] crate::frame::FrameError),
    /// The spool was closed before the frame was durable.
    #[error("the spool was closed before the frame was durable")]
    Closed,
}

impl SpoolError {
    fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }
}

/// A spool on disk; see [`Spool::open`].
#[derive(Debug)]
pub struct Spool;

impl Spool {
    /// Opens the spool in `dir`, making it if need be, and mends a torn end. The two halves may live
    /// in different tasks; the writer can be cloned.
    ///
    /// # Errors
    /// [`SpoolError::Locked`] when another process has it, [`SpoolError::Io`] when the directory
    /// cannot be read or written.
    pub fn open(dir: &Path, limits: SpoolLimits) -> Result<(SpoolWriter, SpoolReader), SpoolError> {
        fs::create_dir_all(dir).map_err(SpoolError::io("create directory", dir))?;
        let lock = take_lock(dir)?;
        let position = PositionFile::open(&dir.join("acknowledged"))?;
        let acknowledged = position.value();

        let mut segments = segment::list(dir)?;
        let active = match segments.pop_back() {
            Some(last) => {
                let (active, cut_bytes) = ActiveSegment::reopen(&last.path, last.first)?;
                if cut_bytes > 0 {
                    tracing::warn!(path = %last.path.display(), cut_bytes, "the spool's end was torn and has been cut; what was acknowledged to senders is whole");
                    metrics::counter!("citywatch_spool_torn_bytes_total").increment(cut_bytes);
                }
                segments.push_back(active.info());
                active
            }
            None => {
                let active = ActiveSegment::create(dir, acknowledged)?;
                segments.push_back(active.info());
                active
            }
        };
        // Sequences never go back: what is appended next must lie above what was acknowledged.
        let active = if active.next() < acknowledged {
            let next = ActiveSegment::create(dir, acknowledged)?;
            segments.push_back(next.info());
            next
        } else {
            active
        };

        let shared = Arc::new(Shared::new(
            dir.to_owned(),
            limits,
            segments,
            acknowledged,
            active.next(),
            lock,
        ));
        shared.remove_acknowledged();
        let writer = SpoolWriter::start(Arc::clone(&shared), active)?;
        Ok((writer, SpoolReader::new(shared, position)))
    }
}

fn take_lock(dir: &Path) -> Result<File, SpoolError> {
    lock::take(dir).map_err(|error| match error {
        LockError::Taken => SpoolError::Locked {
            dir: dir.to_owned(),
        },
        LockError::Io(source) => SpoolError::Io {
            what: "lock",
            path: dir.to_owned(),
            source,
        },
    })
}

#[cfg(test)]
mod tests;
