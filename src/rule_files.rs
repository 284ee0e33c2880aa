//! Finds rule files on disk; the rules crate itself does no I/O.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use citywatch_rules::RuleSource;

use crate::report::UsageError;

/// Largest rule file that is read, in bytes; the rules crate refuses what is larger than its own bound.
const RULE_FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Reads every `.yml` and `.yaml` file below `paths` in the order of their names; `*.test.yml` are
/// rule tests, not rules. A path that does not exist is a usage error; a file that cannot be read is
/// returned among the second list, and the others go on.
pub fn read(paths: &[PathBuf]) -> anyhow::Result<(Vec<RuleSource>, Vec<String>)> {
    let mut files = Vec::new();
    for path in paths {
        if !path.exists() {
            return Err(UsageError(format!(
                "no rules at {}: the path does not exist; name a rule file or a directory of them",
                path.display()
            ))
            .into());
        }
        collect(path, &mut files).with_context(|| format!("cannot list {}", path.display()))?;
    }
    let mut sources = Vec::with_capacity(files.len());
    let mut unreadable = Vec::new();
    for file in files {
        match read_one(&file) {
            Ok(text) => sources.push(RuleSource {
                path: file.to_string_lossy().into(),
                text: text.into(),
            }),
            Err(error) => unreadable.push(format!("{}: {error}", file.display())),
        }
    }
    Ok((sources, unreadable))
}

/// Whether a path is a rule file by its name, or a directory with one below it.
pub fn holds_rules(path: &Path) -> bool {
    if path.is_dir() {
        let mut files = Vec::new();
        return collect_below(path, &mut files).is_ok() && !files.is_empty();
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
    let mut files = Vec::new();
    for path in paths {
        collect(path, &mut files)?;
    }
    let mut hasher = DefaultHasher::new();
    for file in &files {
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

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if path.is_file() {
        files.push(path.to_owned());
        return Ok(());
    }
    collect_below(path, files)
}

/// Hidden folders are left out: version control, and the copies behind a mounted ConfigMap's links.
fn collect_below(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let mut entries = std::fs::read_dir(folder)?
        .map(|entry| entry.and_then(|entry| Ok((entry.path(), entry.file_type()?))))
        .collect::<std::io::Result<Vec<_>>>()?;
    entries.sort_by(|(a, _), (b, _)| a.cmp(b));
    for (path, kind) in entries {
        let is_dir = kind.is_dir() || (kind.is_symlink() && leads_elsewhere(&path, folder));
        if is_dir && !is_hidden(&path) {
            collect_below(&path, files)?;
        } else if is_dir {
            continue;
        } else if is_rule(&path) {
            files.push(path);
        }
    }
    Ok(())
}

/// Whether a link leads to a folder, and not back to one that it stands in.
fn leads_elsewhere(link: &Path, folder: &Path) -> bool {
    let (Ok(target), Ok(folder)) = (link.canonicalize(), folder.canonicalize()) else {
        return false;
    };
    target.is_dir() && !folder.starts_with(target)
}

fn is_hidden(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

fn is_rule(path: &Path) -> bool {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy())
        .unwrap_or_default();
    (name.ends_with(".yml") || name.ends_with(".yaml")) && !name.ends_with(".test.yml")
}

fn read_one(path: &Path) -> std::io::Result<String> {
    let file = std::fs::File::open(path)?;
    let bytes_expected = file.metadata()?.len();
    if bytes_expected > RULE_FILE_BYTES_MAX {
        return Err(std::io::Error::other(format!(
            "{bytes_expected} bytes is more than a rule file may have"
        )));
    }
    // The size is known, so one read brings all and another its end.
    let mut bytes = Vec::with_capacity(usize::try_from(bytes_expected).unwrap_or(0) + 1);
    file.take(RULE_FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    String::from_utf8(bytes).map_err(|_| std::io::Error::other("not UTF-8 text"))
}
