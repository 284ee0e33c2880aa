//! Finds rule files on disk; the rules crate itself does no I/O.

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

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if path.is_file() {
        files.push(path.to_owned());
        return Ok(());
    }
    let mut entries: Vec<PathBuf> = std::fs::read_dir(path)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    entries.sort();
    for entry in entries {
        if entry.is_dir() {
            collect(&entry, files)?;
        } else if is_rule(&entry) {
            files.push(entry);
        }
    }
    Ok(())
}

fn is_rule(path: &Path) -> bool {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy())
        .unwrap_or_default();
    (name.ends_with(".yml") || name.ends_with(".yaml")) && !name.ends_with(".test.yml")
}

fn read_one(path: &Path) -> std::io::Result<String> {
    let bytes = std::fs::metadata(path)?.len();
    if bytes > RULE_FILE_BYTES_MAX {
        return Err(std::io::Error::other(format!(
            "{bytes} bytes is more than a rule file may have"
        )));
    }
    let bytes = std::fs::read(path)?;
    String::from_utf8(bytes).map_err(|_| std::io::Error::other("not UTF-8 text"))
}
