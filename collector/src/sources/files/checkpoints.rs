//! What is remembered of each file across restarts.
//!
//! One small JSON file, replaced as a whole. It may lag behind what was sent: then the same records
//! are sent again with the same identity, and the engine drops them.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::identity::{Fingerprint, Identity};
use crate::durable::Kept;

/// Files that are gone are forgotten, the longest gone first, beyond this many.
const GONE_MAX: usize = 10_000;
const VERSION: u32 = 1;

/// One file's place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    /// Where it was seen last.
    pub(crate) path: PathBuf,
    /// Its stream's name.
    pub(crate) stream: String,
    pub(crate) identity: Identity,
    pub(crate) fingerprint: Fingerprint,
    /// Everything before this offset is durable downstream.
    pub(crate) offset: u64,
    /// Where records that were sent were cut by time, at or above `offset`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) cuts: Vec<u64>,
}

/// All that is remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checkpoints {
    pub(super) version: u32,
    /// Patterns that have been looked at once: files that appear later are new from their beginning.
    pub(crate) started: Vec<String>,
    pub(crate) files: Vec<Checkpoint>,
}

/// Where checkpoints are kept, and what was kept there last.
#[derive(Debug)]
pub(crate) struct CheckpointStore(Kept<Checkpoints>);

impl CheckpointStore {
    /// Reads what is there.
    pub(crate) fn open(dir: &Path) -> io::Result<(Self, Checkpoints)> {
        let kept = Kept::<Checkpoints>::open(dir.join("checkpoints.json"))?;
        let saved = kept.get().clone();
        Ok((Self(kept), saved))
    }

    /// Writes them durably, if they differ from what was written last.
    pub(crate) fn save(&mut self, mut checkpoints: Checkpoints) -> io::Result<()> {
        checkpoints.version = VERSION;
        let surplus = checkpoints.files.len().saturating_sub(GONE_MAX);
        if surplus > 0 {
            checkpoints.files.drain(..surplus);
        }
        self.0.keep(checkpoints)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn checkpoint() -> Checkpoint {
        Checkpoint {
            path: "/var/log/a.log".into(),
            stream: "/var/log/a.log#1.2".into(),
            identity: Identity {
                device: 1,
                inode: 2,
            },
            fingerprint: Fingerprint { bytes: 3, crc: 4 },
            offset: 5,
            cuts: vec![7],
        }
    }

    #[test]
    fn what_is_saved_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let (mut store, empty) = CheckpointStore::open(dir.path()).unwrap();
        assert!(empty.files.is_empty());
        store
            .save(Checkpoints {
                files: vec![checkpoint()],
                started: vec!["x".into()],
                version: 0,
            })
            .unwrap();
        let (_, again) = CheckpointStore::open(dir.path()).unwrap();
        assert_eq!(
            (again.files, again.started),
            (vec![checkpoint()], vec!["x".into()])
        );
    }

    #[test]
    fn a_damaged_file_is_set_aside() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("checkpoints.json"), "{\"version\":1,").unwrap();
        let (_, empty) = CheckpointStore::open(dir.path()).unwrap();
        assert!(empty.files.is_empty());
        assert!(dir.path().join("checkpoints.damaged").exists());
    }
}
