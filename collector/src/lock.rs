//! A directory belongs to one process at a time.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

/// A directory that was just given up is let go by its threads a moment later.
const ATTEMPTS: u32 = 50;
const PAUSE: Duration = Duration::from_millis(20);

/// Why a directory cannot be taken.
#[derive(Debug)]
pub(crate) enum LockError {
    /// Another process has it.
    Taken,
    /// The file system refused.
    Io(io::Error),
}

/// Takes `dir` for as long as the file lives.
pub(crate) fn take(dir: &Path) -> Result<File, LockError> {
    let lock = File::create(dir.join("lock")).map_err(LockError::Io)?;
    for _ in 0..ATTEMPTS {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) => thread::sleep(PAUSE),
            Err(TryLockError::Error(error)) => return Err(LockError::Io(error)),
        }
    }
    Err(LockError::Taken)
}
