//! Reading many files: each once, on several threads, with the outcome of one after the other.

use std::sync::Arc;

use super::allowance::{Allowance, Taken};
use super::bind::Binder;
use super::document::{self, Document};
use super::{FILE_BYTES_MAX, FILE_PROBLEMS_MAX, LoadOptions, RuleSet, RuleSource};
use crate::error::{ErrorKind, RuleError};
use crate::rule::Position;
use crate::threads::in_ranges;
use crate::yaml;

/// Files that a thread takes at a time.
const FILES_AT_ONCE: usize = 32;

/// Who wants to see what is read besides what becomes of it.
pub(crate) trait Onlooker: Sync {
    /// What was seen in some files.
    type Seen: Default + Send;
    /// Documents of one file that are looked at, also where they are not loaded any more.
    const DOCUMENTS_MAX: usize;

    /// A file, before its documents.
    fn file(&self, source: &RuleSource, seen: &mut Self::Seen);
    /// A document of it.
    fn document(&self, source: &RuleSource, yaml: &yaml::Document<'_>, seen: &mut Self::Seen);
}

/// Nobody looks on.
pub(super) struct Nobody;

impl Onlooker for Nobody {
    type Seen = ();
    const DOCUMENTS_MAX: usize = 0;

    fn file(&self, _: &RuleSource, (): &mut ()) {}
    fn document(&self, _: &RuleSource, _: &yaml::Document<'_>, (): &mut ()) {}
}

/// A document that was read, or why it was not.
struct Read {
    position: Position,
    outcome: Result<Document, Box<RuleError>>,
    taken: Taken,
}

/// Reads all sources. What is seen comes in pieces, in the order of the sources.
pub(crate) fn load<O: Onlooker>(
    sources: &[RuleSource],
    options: &LoadOptions,
    onlooker: &O,
) -> (RuleSet, Vec<O::Seen>) {
    let parts = in_ranges(sources.len(), FILES_AT_ONCE, |range| {
        let mut seen = O::Seen::default();
        let files: Vec<Vec<Read>> = sources[range]
            .iter()
            .map(|source| {
                // Each file may take all that there is; the sum is looked at when all are there.
                let allowance = Allowance::new(options);
                read_file(source, &allowance, onlooker, &mut seen)
            })
            .collect();
        (files, seen)
    });
    let (files, seen): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
    let files: Vec<Vec<Read>> = files.into_iter().flatten().collect();
    let taken = files.iter().flatten().map(|read| read.taken).sum();
    let allowance = Allowance::new(options);
    let mut binder = Binder::new(&allowance);
    if allowance.take_all(taken) {
        for (source, documents) in sources.iter().zip(files) {
            add(source, documents, &allowance, &mut binder);
        }
    } else {
        // Together they take too much. One after the other, it shows which are the first that do not fit.
        drop(files);
        for source in sources {
            let documents = read_in_turn(source, &allowance);
            add(source, documents, &allowance, &mut binder);
        }
    }
    (binder.finish(), seen)
}

/// Adds the documents of one file. What one of them has taken is given back when it is refused.
fn add(
    source: &RuleSource,
    documents: impl IntoIterator<Item = Read>,
    allowance: &Allowance<'_>,
    binder: &mut Binder<'_>,
) {
    let problems_before = binder.problems.len();
    for read in documents {
        if binder.problems.len() - problems_before >= FILE_PROBLEMS_MAX {
            binder.problems.push(RuleError {
                path: Arc::clone(&source.path),
                position: read.position,
                title: None,
                id: None,
                kind: ErrorKind::TooManyProblems {
                    problems_max: FILE_PROBLEMS_MAX,
                },
            });
            break;
        }
        let added = read.outcome.and_then(|document| {
            binder
                .add(document)
                .inspect_err(|_| allowance.put_back(read.taken))
        });
        if let Err(error) = added {
            binder.problems.push(*error);
        }
    }
}

/// All documents of a file, until there are more problems than are told.
fn read_file<O: Onlooker>(
    source: &RuleSource,
    allowance: &Allowance<'_>,
    onlooker: &O,
    seen: &mut O::Seen,
) -> Vec<Read> {
    onlooker.file(source, seen);
    if let Some(refused) = refuse_large(source) {
        return vec![refused];
    }
    let mut reads: Vec<Read> = Vec::new();
    let mut problems = 0;
    for (index, yaml) in yaml::read_documents(&source.text).enumerate() {
        let is_seen = index < O::DOCUMENTS_MAX;
        // One more is read than may be broken: it says where telling ends.
        let is_read = problems <= FILE_PROBLEMS_MAX;
        if !is_seen && !is_read {
            break;
        }
        if is_seen {
            onlooker.document(source, &yaml, seen);
        }
        if is_read {
            let read = read_document(source, &yaml, allowance);
            problems += usize::from(read.outcome.is_err() || problems == FILE_PROBLEMS_MAX);
            reads.push(read);
        }
    }
    reads
}

/// The documents of a file, each read when it is asked for.
fn read_in_turn<'r>(
    source: &'r RuleSource,
    allowance: &'r Allowance<'_>,
) -> Box<dyn Iterator<Item = Read> + 'r> {
    match refuse_large(source) {
        Some(refused) => Box::new(std::iter::once(refused)),
        None => Box::new(
            yaml::read_documents(&source.text).map(|yaml| read_document(source, &yaml, allowance)),
        ),
    }
}

fn read_document(
    source: &RuleSource,
    yaml: &yaml::Document<'_>,
    allowance: &Allowance<'_>,
) -> Read {
    let left = allowance.left();
    let outcome = document::read(&source.path, yaml, allowance);
    if outcome.is_err() {
        allowance.give_back(left);
    }
    Read {
        position: yaml.position,
        taken: allowance.taken_since(left),
        outcome,
    }
}

fn refuse_large(source: &RuleSource) -> Option<Read> {
    let bytes = source.text.len();
    if bytes <= FILE_BYTES_MAX {
        return None;
    }
    let position = Position { line: 1, column: 1 };
    let error = RuleError {
        path: Arc::clone(&source.path),
        position,
        title: None,
        id: None,
        kind: ErrorKind::FileTooLarge {
            bytes,
            bytes_max: FILE_BYTES_MAX,
        },
    };
    Some(Read {
        position,
        outcome: Err(Box::new(error)),
        taken: Taken::default(),
    })
}
