//! What the heavier tests read: SigmaHQ's rules, their regression cases and recorded events. None of it is part of the
//! project; where it is missing, a test says so and is skipped.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use citywatch_parsers::evtx::EvtxFile;
use citywatch_parsers::record::Truncated;
use citywatch_parsers::{Origin, RecordBatch, Timestamp};
use citywatch_rules::{LoadOptions, RuleSet, RuleSource};

/// Records of a batch.
const BATCH_RECORDS: usize = 64;

/// The directory with shared test input, if it is there.
pub(crate) fn shared() -> Option<PathBuf> {
    let shared = std::env::var_os("CITYWATCH_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        PathBuf::from,
    );
    if shared.join("sigma").is_dir() {
        return Some(shared);
    }
    eprintln!(
        "skipped: no SigmaHQ rules at {} (set CITYWATCH_SHARED)",
        shared.join("sigma").display()
    );
    None
}

/// Whether the heavy checks are asked for.
pub(crate) fn everything() -> bool {
    std::env::var_os("CITYWATCH_ALL").is_some_and(|value| value == "1")
}

/// All rules of SigmaHQ, whatever folder they lie in.
pub(crate) fn sigmahq(shared: &Path) -> RuleSet {
    let mut sources = Vec::new();
    for folder in fs::read_dir(shared.join("sigma")).unwrap() {
        let folder = folder.unwrap();
        if folder.file_name().to_string_lossy().starts_with("rules") {
            sources.extend(files_below(&folder.path(), &["yml"]));
        }
    }
    sources.sort();
    let sources = sources.into_iter().map(|file| {
        let text = fs::read_to_string(&file).unwrap();
        RuleSource::new(file.display().to_string(), text)
    });
    let set = RuleSet::load(sources, &LoadOptions::default());
    assert!(set.rules.len() > 3_700, "{} rules", set.rules.len());
    set
}

/// The records of a file or archive, in batches with the name of what they were read from. EVTX files are
/// decoded, JSON documents of many lines are one record, all else is one record per line.
pub(crate) fn records_of(path: &Path, each: &mut dyn FnMut(&str, RecordBatch)) {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("zip") => {
            let file = BufReader::new(fs::File::open(path).unwrap());
            let mut archive = zip::ZipArchive::new(file).unwrap();
            for index in 0..archive.len() {
                let member = archive.by_index(index).unwrap();
                if member.is_file() {
                    let member_name = format!("{name}/{}", member.name().unwrap());
                    lines(&member_name, member, each);
                }
            }
        }
        Some("evtx") => {
            let mut file = EvtxFile::open(fs::read(path).unwrap()).unwrap();
            let records = file.records().map(|record| record.unwrap().json);
            batches(&name, records, each);
        }
        _ => {
            let content = fs::read(path).unwrap();
            let whole = serde_json::from_slice::<serde::de::IgnoredAny>(&content).is_ok();
            if whole {
                batches(&name, [content], each);
            } else {
                lines(&name, &*content, each);
            }
        }
    }
}

fn lines(name: &str, content: impl Read, each: &mut dyn FnMut(&str, RecordBatch)) {
    let lines = BufReader::with_capacity(1 << 20, content).split(b'\n');
    let lines = lines.map(|line| line.unwrap().trim_ascii_end().to_vec());
    batches(name, lines.filter(|line| !line.is_empty()), each);
}

fn batches(
    name: &str,
    records: impl IntoIterator<Item = Vec<u8>>,
    each: &mut dyn FnMut(&str, RecordBatch),
) {
    let origin = Arc::new(Origin {
        format: "auto".into(),
        ..Origin::default()
    });
    let mut batch = RecordBatch::new(Arc::clone(&origin));
    for (position, record) in (1..).zip(records) {
        batch.push(&record, position, Timestamp(0), Truncated::No);
        if batch.len() == BATCH_RECORDS {
            let full = std::mem::replace(&mut batch, RecordBatch::new(Arc::clone(&origin)));
            each(name, full);
        }
    }
    if !batch.is_empty() {
        each(name, batch);
    }
}

/// Files with one of these extensions below a directory, sorted.
pub(crate) fn files_below(directory: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path, extensions));
        } else if path
            .extension()
            .is_some_and(|found| extensions.iter().any(|extension| found == *extension))
        {
            files.push(path);
        }
    }
    files.sort();
    files
}
