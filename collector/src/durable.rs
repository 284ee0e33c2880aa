//! Small files that are replaced as a whole and survive a power cut.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Writes a file beside the old one, durably, and puts it in its place.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let fresh = path.with_extension("new");
    let mut file = File::create(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    if let Some(dir) = path.parent() {
        File::open(dir)?.sync_all()?;
    }
    Ok(())
}

/// A value that is kept as JSON in a file of its own.
#[derive(Debug)]
pub(crate) struct Kept<T> {
    path: PathBuf,
    saved: T,
}

impl<T: Clone + Default + PartialEq + Serialize + DeserializeOwned> Kept<T> {
    /// Reads what is there, or begins with nothing. A file that cannot be understood is set aside:
    /// reading everything again costs time, and loses nothing.
    pub(crate) fn open(path: PathBuf) -> io::Result<Self> {
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir)?;
        }
        let saved = match fs::read(&path) {
            Ok(bytes) => match serde_json::from_slice(&bytes) {
                Ok(saved) => saved,
                Err(error) => {
                    let aside = path.with_extension("damaged");
                    tracing::error!(path = %path.display(), aside = %aside.display(), %error, "the positions cannot be read: set aside, sources are read from their beginning");
                    fs::rename(&path, &aside)?;
                    T::default()
                }
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => T::default(),
            Err(error) => return Err(error),
        };
        Ok(Self { path, saved })
    }

    /// What was kept last.
    pub(crate) fn get(&self) -> &T {
        &self.saved
    }

    /// Keeps it durably, if it differs from what was kept last.
    pub(crate) fn keep(&mut self, value: T) -> io::Result<()> {
        if value == self.saved {
            return Ok(());
        }
        let bytes = serde_json::to_vec(&value).expect("numbers and texts are always JSON");
        replace(&self.path, &bytes)?;
        self.saved = value;
        Ok(())
    }
}
