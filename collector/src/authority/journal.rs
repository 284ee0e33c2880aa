//! What the authority has done, one JSON object per line; the file is only ever appended to.
//!
//! Several processes work on it (`citywatch ca` while `citywatch up` runs): each reads and appends under
//! the folder's lock, and reads on from where it was.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// One thing that was done. Times are seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
pub(super) enum Entry {
    /// A token was made.
    Token {
        id: String,
        /// SHA-256 of the secret part, hexadecimal. The secret has 192 bits of randomness, so a fast hash does.
        secret_sha256: String,
        unit: String,
        /// The agent that it is for; whoever comes first if none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        agent: Option<String>,
        #[serde(default)]
        relay: bool,
        at: i64,
        until: i64,
    },
    /// A certificate was signed; this also uses up the token that allowed it.
    Certificate {
        serial: String,
        unit: String,
        agent: String,
        #[serde(default)]
        relay: bool,
        at: i64,
        until: i64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<String>,
        /// The certificate that it follows.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        renews: Option<String>,
    },
    /// A certificate was signed for a server or another client: it is no agent's.
    Other {
        serial: String,
        name: String,
        at: i64,
        until: i64,
    },
    /// A certificate was revoked.
    Revoked { serial: String, at: i64 },
}

/// The file, open for reading on and appending.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    /// What has been read, in bytes.
    read: u64,
}

impl Journal {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            read: 0,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What was appended since the last call. What a crash left at the end without a line end is cut, so
    /// call it under the lock.
    pub(super) fn read_on(&mut self) -> io::Result<Vec<Entry>> {
        self.file.seek(SeekFrom::Start(self.read))?;
        let mut bytes = Vec::new();
        self.file.read_to_end(&mut bytes)?;
        let whole = bytes
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        let mut entries = Vec::new();
        for line in bytes[..whole].split(|byte| *byte == b'\n') {
            if line.is_empty() {
                continue;
            }
            entries.push(
                serde_json::from_slice(line)
                    .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?,
            );
        }
        self.read += whole as u64;
        if whole < bytes.len() {
            self.file.set_len(self.read)?;
        }
        Ok(entries)
    }

    /// Appends under the lock, after [`Self::read_on`]; returns when it is durable.
    pub(super) fn append(&mut self, entry: &Entry) -> io::Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        self.file.write_all(&line)?;
        self.file.sync_data()?;
        self.read += line.len() as u64;
        Ok(())
    }
}
