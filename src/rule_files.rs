//! Finds rule files on disk; the rules crate itself does no I/O.

use std::collections::HashSet;
use std::fs::{File, FileType, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use citywatch_rules::{FILE_BYTES_MAX, RuleSource};

use crate::report::UsageError;

/// Reads every `.yml` and `.yaml` file below `paths` in the order of their names; `*.test.yml` are
/// rule tests, not rules. A path that does not exist is a usage error; a file or folder that cannot be read is
/// returned among the second list, in words, and the others go on.
pub fn read(paths: &[PathBuf]) -> anyhow::Result<(Vec<RuleSource>, Vec<String>)> {
    let mut found = Found::default();
    for path in paths {
        if !path.exists() {
            return Err(UsageError(format!(
                "no rules at {}: the path does not exist; name a rule file or a directory of them",
                path.display()
            ))
            .into());
        }
        found
            .add(path)
            .with_context(|| format!("cannot list {}", path.display()))?;
    }
    let (sources, unreadable) = read_files(&found.files);
    Ok((sources, [found.unreadable, unreadable].concat()))
}

/// The rule files below `paths` and the tests (`*.test.yml`) below them, each in the order of their names; what cannot be
/// listed, in words. A path of a test stands for itself.
///
/// # Errors
/// When a path does not exist.
pub fn list(paths: &[PathBuf]) -> anyhow::Result<Listed> {
    let mut found = Found::default();
    for path in paths {
        if !path.exists() {
            return Err(UsageError(format!(
                "{}: the path does not exist; name a rule file or a directory of them",
                path.display()
            ))
            .into());
        }
        found
            .add(path)
            .with_context(|| format!("cannot list {}", path.display()))?;
    }
    let (tests, rules) = found.files.into_iter().partition(|path| is_test(path));
    Ok(Listed {
        rules,
        tests: [tests, found.tests].concat(),
        unreadable: found.unreadable,
    })
}

/// What lies below some paths.
#[derive(Debug, Default)]
pub struct Listed {
    /// Rule files.
    pub rules: Vec<PathBuf>,
    /// Tests of rules.
    pub tests: Vec<PathBuf>,
    /// Folders that cannot be listed, in words.
    pub unreadable: Vec<String>,
}

/// So many files are read by several threads.
const FILES_SHARED_MIN: usize = 64;

/// Reads these files; those that cannot be read are returned in words.
pub fn read_files(files: &[PathBuf]) -> (Vec<RuleSource>, Vec<String>) {
    let read = |file: &PathBuf| match read_one(file) {
        Ok(text) => Ok(RuleSource {
            path: file.to_string_lossy().into(),
            text: text.into(),
        }),
        Err(error) => Err(format!("{}{error}", file.display())),
    };
    let threads = match files.len() {
        0..FILES_SHARED_MIN => 1,
        _ => std::thread::available_parallelism().map_or(1, usize::from),
    };
    let parts = std::thread::scope(|scope| {
        let mut parts = files.chunks(files.len().div_ceil(threads).max(1));
        let own = parts.next().unwrap_or_default();
        let others: Vec<_> = parts
            .map(|part| scope.spawn(move || part.iter().map(read).collect::<Vec<_>>()))
            .collect();
        let mut all: Vec<Result<RuleSource, String>> = own.iter().map(read).collect();
        for other in others {
            all.extend(
                other
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            );
        }
        all
    });
    let (mut sources, mut unreadable) = (Vec::with_capacity(files.len()), Vec::new());
    for part in parts {
        match part {
            Ok(source) => sources.push(source),
            Err(words) => unreadable.push(words),
        }
    }
    (sources, unreadable)
}

/// Whether a path is a rule file by its name, or a directory with one below it.
pub fn holds_rules(path: &Path) -> bool {
    if path.is_dir() {
        let mut found = Found::default();
        return found.add_below(path).is_ok() && !found.files.is_empty();
    }
    is_rule(path)
}

/// What tells whether rule files changed: their names, times and sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(u64);

/// Looks at the rule files below `paths` without reading them.
///
/// # Errors
/// When they cannot be listed.
pub fn fingerprint(paths: &[PathBuf]) -> std::io::Result<Fingerprint> {
    let mut found = Found::default();
    for path in paths {
        found.add(path)?;
    }
    let mut hasher = DefaultHasher::new();
    found.unreadable.hash(&mut hasher);
    for file in &found.files {
        file.hash(&mut hasher);
        // A file that is just being replaced differs from all that it was and will be.
        if let Ok(metadata) = std::fs::metadata(file) {
            (metadata.ino(), metadata.size()).hash(&mut hasher);
            (metadata.mtime(), metadata.mtime_nsec()).hash(&mut hasher);
            (metadata.ctime(), metadata.ctime_nsec()).hash(&mut hasher);
        }
    }
    Ok(Fingerprint(hasher.finish()))
}

/// What a walk has come upon.
#[derive(Default)]
struct Found {
    files: Vec<PathBuf>,
    /// Tests that lie beside rules.
    tests: Vec<PathBuf>,
    /// Folders that cannot be listed, in words.
    unreadable: Vec<String>,
    /// Folders, by device and number: links may lead to one again and again, or in a circle.
    folders: HashSet<(u64, u64)>,
}

impl Found {
    /// A path as it is configured: a folder, or a file whatever its name.
    fn add(&mut self, path: &Path) -> std::io::Result<()> {
        if path.is_dir() {
            return self.add_below(path);
        }
        self.files.push(path.to_owned());
        Ok(())
    }

    /// What is hidden is left out: version control, the copies behind a mounted ConfigMap's links, locks of editors.
    fn add_below(&mut self, folder: &Path) -> std::io::Result<()> {
        let metadata = std::fs::metadata(folder)?;
        if !self.folders.insert((metadata.dev(), metadata.ino())) {
            return Ok(());
        }
        let mut entries = std::fs::read_dir(folder)?
            .map(|entry| entry.map(|entry| (entry.file_name(), entry.file_type().ok())))
            .collect::<std::io::Result<Vec<_>>>()?;
        entries.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        for (name, kind) in entries {
            let path = folder.join(name);
            if is_hidden(&path) {
                continue;
            }
            // Where a link leads must be asked.
            let is_folder = match kind {
                Some(kind) if !kind.is_symlink() => kind.is_dir(),
                _ => path.is_dir(),
            };
            if !is_folder {
                if is_rule(&path) {
                    self.files.push(path);
                } else if is_test(&path) {
                    self.tests.push(path);
                }
            } else if let Err(error) = self.add_below(&path) {
                let said = format!("{}: cannot be listed: {error}", path.display());
                self.unreadable.push(said);
            }
        }
        Ok(())
    }
}

fn is_hidden(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

fn is_test(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.to_string_lossy().ends_with(".test.yml"))
}

fn is_rule(path: &Path) -> bool {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy())
        .unwrap_or_default();
    (name.ends_with(".yml") || name.ends_with(".yaml")) && !name.ends_with(".test.yml")
}

/// Where a zero byte tells that a file is no text.
const BINARY_BYTES: usize = 8_192;

/// The text of a rule file, or why it has none, to be put behind the file's name.
fn read_one(path: &Path) -> Result<String, String> {
    let io = |error: std::io::Error| format!(": {error}");
    // Asked before it is opened: opening a pipe waits for somebody who writes to it.
    let metadata = std::fs::metadata(path).map_err(io)?;
    if !metadata.is_file() {
        let kind = kind_in_words(metadata.file_type());
        return Err(format!(
            ": {kind}, and rules are read from regular files only; write them into one"
        ));
    }
    let bytes = read_bytes(path, &metadata).map_err(io)?;
    if bytes.len() > FILE_BYTES_MAX {
        return Err(format!(
            ":1:1: the file is larger than the {FILE_BYTES_MAX} bytes that a rule file may have; split it"
        ));
    }
    String::from_utf8(bytes).map_err(|error| {
        let (valid, rest) = error.as_bytes().split_at(error.utf8_error().valid_up_to());
        if valid.is_empty() && (rest.starts_with(&[0xFF, 0xFE]) || rest.starts_with(&[0xFE, 0xFF]))
        {
            return ":1:1: the file is UTF-16; save it as UTF-8".to_owned();
        }
        if memchr::memchr(
            0,
            &error.as_bytes()[..error.as_bytes().len().min(BINARY_BYTES)],
        )
        .is_some()
        {
            return ":1:1: the file is no text; rules are YAML, and other files take another ending"
                .to_owned();
        }
        let line = 1 + memchr::memchr_iter(b'\n', valid).count();
        let line_start = memchr::memrchr(b'\n', valid).map_or(0, |end| end + 1);
        let column = 1 + String::from_utf8_lossy(&valid[line_start..])
            .chars()
            .count();
        let byte = rest.first().copied().unwrap_or_default();
        format!(":{line}:{column}: the byte 0x{byte:02X} is not UTF-8; save the file as UTF-8")
    })
}

/// The content, and of what is too large one byte more than it may have.
fn read_bytes(path: &Path, metadata: &Metadata) -> std::io::Result<Vec<u8>> {
    let bytes_max = FILE_BYTES_MAX as u64 + 1;
    // The size is known, so one read brings all and another its end.
    let expected = usize::try_from(metadata.len().min(bytes_max)).unwrap_or(0);
    let mut bytes = Vec::with_capacity(expected + 1);
    File::open(path)?.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn kind_in_words(kind: FileType) -> &'static str {
    if kind.is_fifo() {
        "this is a pipe"
    } else if kind.is_socket() {
        "this is a socket"
    } else if kind.is_dir() {
        "this is a folder"
    } else {
        "this is a device"
    }
}
