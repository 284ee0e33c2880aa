//! What makes a file the same file: device, inode, and the first bytes, since inodes are used again.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};

use serde::{Deserialize, Serialize};

/// As many first bytes as tell two log files apart: they hold a time or a serial.
const FINGERPRINT_BYTES_MAX: usize = 1024;

/// Where the file system keeps a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

/// Checksum of a file's first bytes, as many as there were when it was taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fingerprint {
    pub(crate) bytes: u32,
    pub(crate) crc: u32,
}

impl Identity {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }
}

impl Fingerprint {
    /// Of a file's first bytes.
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        let mut buffer = [0; FINGERPRINT_BYTES_MAX];
        let head = read_head(file, &mut buffer)?;
        Ok(Self {
            bytes: u32::try_from(head.len()).expect("at most 1024"),
            crc: crc32fast::hash(head),
        })
    }

    /// Whether it covers all it ever will.
    pub(crate) fn is_complete(self) -> bool {
        self.bytes as usize == FINGERPRINT_BYTES_MAX
    }

    /// Whether `file` still begins with the bytes it was taken of. An empty fingerprint knows nothing
    /// and fits every file.
    pub(crate) fn fits(self, file: &File) -> io::Result<bool> {
        let mut buffer = [0; FINGERPRINT_BYTES_MAX];
        let head = read_head(
            file,
            &mut buffer[..(self.bytes as usize).min(FINGERPRINT_BYTES_MAX)],
        )?;
        Ok(head.len() == self.bytes as usize && crc32fast::hash(head) == self.crc)
    }
}

/// Whether all that `beginning` holds stands at the beginning of `file`; only a file shorter than a
/// fingerprint is looked at, others are told apart by theirs.
pub(crate) fn begins_with(file: &File, beginning: &File) -> io::Result<bool> {
    let (mut long, mut short) = ([0; FINGERPRINT_BYTES_MAX], [0; FINGERPRINT_BYTES_MAX]);
    let (long, short) = (
        read_head(file, &mut long)?,
        read_head(beginning, &mut short)?,
    );
    Ok(short.len() < FINGERPRINT_BYTES_MAX && long.starts_with(short))
}

/// A checksum of a file's first line, once it is complete (or long enough): what a stream is named
/// after, so that the name is the same however much of the file there was when it was found.
pub(crate) fn first_line_crc(file: &File) -> io::Result<Option<u32>> {
    let mut buffer = [0; FINGERPRINT_BYTES_MAX];
    let head = read_head(file, &mut buffer)?;
    Ok(match memchr::memchr(b'\n', head) {
        Some(newline) => Some(crc32fast::hash(&head[..newline])),
        None if head.len() == FINGERPRINT_BYTES_MAX => Some(crc32fast::hash(head)),
        None => None,
    })
}

fn read_head<'a>(file: &File, buffer: &'a mut [u8]) -> io::Result<&'a [u8]> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(&buffer[..filled])
}
