//! Where a target begins: the project's own fixtures.

use std::fs;
use std::path::{Path, PathBuf};

use super::targets::{INPUT_BYTES_MAX, Seed, Target};

/// The seeds of a target, in the order of their files' names. Folders that are not there are named in `missing`.
pub fn of(target: &Target, project: &Path, missing: &mut Vec<&'static str>) -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for &place in target.seeds {
        let mut files = Vec::new();
        list(&project.join(place), &mut files);
        if files.is_empty() {
            missing.push(place);
        }
        for file in files {
            let Ok(content) = fs::read(&file) else {
                continue;
            };
            match target.seed {
                Seed::File => seeds.push(content),
                Seed::Line => seeds.extend(
                    content
                        .split(|&byte| byte == b'\n')
                        .filter(|line| !line.is_empty())
                        .map(<[u8]>::to_vec),
                ),
                Seed::Condition => seeds.extend(
                    String::from_utf8_lossy(&content)
                        .lines()
                        .filter_map(|line| line.trim_start().strip_prefix("condition: "))
                        .map(|condition| condition.as_bytes().to_vec()),
                ),
            }
        }
    }
    seeds.retain(|seed| seed.len() <= INPUT_BYTES_MAX);
    seeds.sort();
    seeds.dedup();
    seeds
}

/// Files below a folder; what goldens say is no seed.
fn list(path: &Path, files: &mut Vec<PathBuf>) {
    if path.is_file() {
        files.push(path.to_owned());
        return;
    }
    let mut entries: Vec<PathBuf> = fs::read_dir(path)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    entries.sort();
    for entry in entries {
        let is_golden = entry
            .extension()
            .is_some_and(|extension| extension == "json" || extension == "md");
        if !is_golden {
            list(&entry, files);
        }
    }
}
