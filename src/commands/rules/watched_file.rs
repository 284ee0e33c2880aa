//! Files whose reading is shown by a bar.

use std::cell::RefCell;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::rc::Rc;

use super::style::Progress;

/// Whether a bar shows how far reading has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progressing {
    /// It does, on a terminal.
    Shown,
    /// It would stand between what is told.
    Hidden,
}

/// A file with the bar that moves while it is read.
pub struct WatchedFile {
    file: File,
    /// Bytes since the bar moved.
    bytes: usize,
    bar: Option<Rc<RefCell<Progress>>>,
}

/// How often the bar moves.
const STEP_BYTES: usize = 1 << 20;

impl WatchedFile {
    /// A file that moves `bar`.
    pub fn new(file: File, bar: Option<Rc<RefCell<Progress>>>) -> Self {
        Self {
            file,
            bytes: 0,
            bar,
        }
    }
}

impl Read for WatchedFile {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.read(buffer)?;
        if let Some(bar) = &self.bar {
            self.bytes += count;
            while self.bytes >= STEP_BYTES {
                self.bytes -= STEP_BYTES;
                bar.borrow_mut().step();
            }
        }
        Ok(count)
    }
}

impl Seek for WatchedFile {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.file.seek(to)
    }
}

/// A bar for what these files have.
pub fn bar_of(files: &[PathBuf]) -> Rc<RefCell<Progress>> {
    let bytes: u64 = files
        .iter()
        .filter_map(|file| std::fs::metadata(file).ok())
        .map(|metadata| metadata.len())
        .sum();
    let steps = usize::try_from(bytes).unwrap_or(usize::MAX) / STEP_BYTES;
    Rc::new(RefCell::new(Progress::new("MiB", steps)))
}
