//! A file that deliveries wait in, as good as memory: not synced, empty after a restart.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;

use citywatch_collector::frame::{self, DecodeLimits};
use citywatch_parsers::RecordBatch;

const NAME: &str = "intake-held";

/// Where a batch is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    at: u64,
    len: usize,
}

/// Batches one after the other; it begins anew once all of them were taken.
#[derive(Debug)]
pub(super) struct HeldFile {
    folder: Option<PathBuf>,
    file: Option<File>,
    end: u64,
    /// Bytes of batches that wait.
    bytes: u64,
    waiting: usize,
    has_failed: bool,
}

impl HeldFile {
    /// A file in `folder`; without one nothing can be put.
    pub(super) fn new(folder: Option<PathBuf>) -> Self {
        Self {
            folder,
            file: None,
            end: 0,
            bytes: 0,
            waiting: 0,
            has_failed: false,
        }
    }

    /// Bytes that wait.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether something can be put below this bound.
    pub(super) fn has_room(&self, bytes_max: u64) -> bool {
        self.folder.is_some() && !self.has_failed && self.end < bytes_max
    }

    /// Puts a batch; none when it cannot.
    pub(super) fn put(&mut self, batch: &RecordBatch, bytes_max: u64) -> Option<Place> {
        if !self.has_room(bytes_max) {
            return None;
        }
        let frame = frame::encode(batch).ok()?;
        match self.append(&frame) {
            Ok(place) => Some(place),
            Err(error) => {
                // Memory and the transport remain.
                tracing::warn!(%error, "no room on disk for records beyond their unit's quota: they wait in the transport");
                self.has_failed = true;
                None
            }
        }
    }

    fn append(&mut self, frame: &[u8]) -> io::Result<Place> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(open(self.folder.as_ref())?),
        };
        let place = Place {
            at: self.end,
            len: frame.len(),
        };
        file.write_all_at(frame, place.at)?;
        self.end += frame.len() as u64;
        self.bytes += frame.len() as u64;
        self.waiting += 1;
        Ok(place)
    }

    /// Takes a batch out.
    pub(super) fn take(&mut self, place: Place) -> Option<RecordBatch> {
        let mut frame = vec![0; place.len];
        let read = self.file.as_ref()?.read_exact_at(&mut frame, place.at);
        self.bytes -= place.len as u64;
        self.waiting -= 1;
        if self.waiting == 0 {
            self.end = 0;
            self.has_failed = false;
            if let Some(file) = &mut self.file {
                // What stays behind is overwritten.
                let _ = file.set_len(0).and_then(|()| file.flush());
            }
        }
        read.ok()?;
        frame::decode(&frame, &DecodeLimits::default()).ok()
    }
}

#[cfg(test)]
impl HeldFile {
    /// Loses what it holds, as a broken disk does.
    pub(super) fn lose(&self) {
        let file = self.file.as_ref().expect("something was put");
        file.set_len(0).expect("an open file");
    }
}

/// Opens it and takes its name away, so that it ends with the process.
fn open(folder: Option<&PathBuf>) -> io::Result<File> {
    let folder = folder.ok_or(io::ErrorKind::NotFound)?;
    std::fs::create_dir_all(folder)?;
    let path = folder.join(NAME);
    let file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}
