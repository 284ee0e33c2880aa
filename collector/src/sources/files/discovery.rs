//! Which files there are, and where the rest of a rotated one went.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern};

use super::FilesConfig;
use super::checkpoints::Checkpoint;
use super::identity::{self, Identity};

const MATCHING: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: false,
};

/// What a group's patterns match now.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) paths: Vec<PathBuf>,
    /// Directories that cannot be read, patterns that match nothing.
    pub(crate) problems: Vec<String>,
}

/// Whether `pattern` is one, or a plain path.
pub(crate) fn is_pattern(pattern: &str) -> bool {
    pattern.contains(['*', '?', '['])
}

/// All paths that a group speaks of, sorted; patterns have been checked when the configuration was read.
pub(crate) fn expand(group: &FilesConfig) -> Found {
    let exclude: Vec<(Pattern, &str)> = group
        .exclude
        .iter()
        .filter_map(|text| Some((Pattern::new(text).ok()?, text.as_str())))
        .collect();
    let mut found = Found::default();
    for pattern in &group.paths {
        let before = found.paths.len();
        if !is_pattern(pattern) {
            if Path::new(pattern).exists() {
                found.paths.push(pattern.into());
            }
        } else if let Ok(paths) = glob::glob_with(pattern, MATCHING) {
            for path in paths {
                match path {
                    Ok(path) if !is_excluded(&path, &exclude) => found.paths.push(path),
                    Ok(_) => {}
                    Err(error) => found.problems.push(format!(
                        "{}: {}",
                        error.path().display(),
                        error.error()
                    )),
                }
            }
        }
        if found.paths.len() == before {
            found
                .problems
                .push(format!("{pattern}: no file matches yet"));
        }
    }
    found.paths.sort();
    found.paths.dedup();
    found
}

fn is_excluded(path: &Path, exclude: &[(Pattern, &str)]) -> bool {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy())
        .unwrap_or_default();
    exclude.iter().any(|(pattern, text)| {
        if text.contains('/') {
            pattern.matches_path_with(path, MATCHING)
        } else {
            pattern.matches(&name)
        }
    })
}

/// Finds what is left of a file that is no longer where it was: renamed (the same inode under another
/// name), or copied before it was truncated (the same first bytes under a name that begins with its
/// own, and long enough to hold what has been read).
pub(crate) fn find_remainder(
    old: &Checkpoint,
    current: Option<Identity>,
) -> Option<(PathBuf, File)> {
    let dir = old.path.parent()?;
    let name = old.path.file_name()?.as_encoded_bytes();
    let mut copies = Vec::new();
    for entry in fs::read_dir(if dir.as_os_str().is_empty() {
        Path::new(".")
    } else {
        dir
    })
    .ok()?
    .flatten()
    {
        let path = dir.join(entry.file_name());
        let Ok(metadata) = fs::metadata(&path) else {
            continue;
        };
        if !metadata.is_file() || metadata.len() < old.offset {
            continue;
        }
        let identity = Identity::of(&metadata);
        if Some(identity) == current {
            continue;
        }
        let is_renamed = identity == old.identity;
        let is_named_after =
            path != old.path && entry.file_name().as_encoded_bytes().starts_with(name);
        if !is_renamed && (!is_named_after || old.fingerprint.bytes == 0) {
            continue;
        }
        let Ok(file) = File::open(&path) else {
            continue;
        };
        if !old.fingerprint.fits(&file).unwrap_or(false) {
            continue;
        }
        if is_renamed {
            return Some((path, file));
        }
        copies.push((metadata.modified().ok(), path, file));
    }
    // Of several the one changed last: the others are from rotations before.
    copies.sort_by_key(|(modified, ..)| *modified);
    copies.pop().map(|(_, path, file)| (path, file))
}

/// Whether a file found at `path` may be a copy of one that is being read, made by a rotation that
/// has not truncated it yet, or has only begun to copy.
pub(crate) fn may_be_copy(path: &Path, file: &File, original: &Checkpoint) -> bool {
    let (Some(name), Some(original_name)) = (path.file_name(), original.path.file_name()) else {
        return false;
    };
    path.parent() == original.path.parent()
        && name != original_name
        && name
            .as_encoded_bytes()
            .starts_with(original_name.as_encoded_bytes())
        && original.fingerprint.bytes > 0
        && (original.fingerprint.fits(file).unwrap_or(false)
            || is_begun_copy(file, &original.path).unwrap_or(false))
}

/// Whether `file` holds nothing but the first bytes of the file at `original`, or nothing at all.
fn is_begun_copy(file: &File, original: &Path) -> io::Result<bool> {
    identity::begins_with(&File::open(original)?, file)
}
