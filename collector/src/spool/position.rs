//! The acknowledged position on disk: two slots written in turn, so that one is always whole.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::SpoolError;

/// Slots lie in sectors of their own: a torn write damages one at most.
const SLOT_AT: [u64; 2] = [0, 512];
const SLOT_BYTES: usize = 12;

/// A number that only grows, kept in a file.
#[derive(Debug)]
pub(super) struct PositionFile {
    path: PathBuf,
    file: File,
    value: u64,
    next_slot: usize,
}

impl PositionFile {
    /// Opens or creates it; without a whole slot the value is 0, and what was acknowledged before
    /// is delivered again.
    pub(super) fn open(path: &Path) -> Result<Self, SpoolError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(SpoolError::io("open", path))?;
        let slots = SLOT_AT.map(|at| read_slot(&file, at).unwrap_or(0));
        let (value, next_slot) = if slots[0] >= slots[1] {
            (slots[0], 1)
        } else {
            (slots[1], 0)
        };
        Ok(Self {
            path: path.to_owned(),
            file,
            value,
            next_slot,
        })
    }

    pub(super) fn value(&self) -> u64 {
        self.value
    }

    /// Writes a higher value. It survives the process at once, and the machine after [`Self::sync`]:
    /// a position that is too low costs a repetition, never a loss.
    pub(super) fn advance(&mut self, value: u64) -> Result<(), SpoolError> {
        let mut slot = [0; SLOT_BYTES];
        slot[..8].copy_from_slice(&value.to_le_bytes());
        slot[8..].copy_from_slice(&crc32fast::hash(&value.to_le_bytes()).to_le_bytes());
        self.file
            .write_all_at(&slot, SLOT_AT[self.next_slot])
            .map_err(SpoolError::io("write", &self.path))?;
        self.value = value;
        self.next_slot = 1 - self.next_slot;
        Ok(())
    }

    pub(super) fn sync(&self) -> Result<(), SpoolError> {
        self.file
            .sync_data()
            .map_err(SpoolError::io("sync", &self.path))
    }
}

fn read_slot(file: &File, at: u64) -> io::Result<u64> {
    let mut slot = [0; SLOT_BYTES];
    file.read_exact_at(&mut slot, at)?;
    let (value, checksum) = slot.split_at(8);
    if crc32fast::hash(value).to_le_bytes() != checksum {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(u64::from_le_bytes(value.try_into().expect("eight bytes")))
}
