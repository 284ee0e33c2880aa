//! Personal data, masked before anything leaves the host or is written to its spool.
//!
//! A value becomes a token such as `<email:9f86d081884c>`: its kind, and the beginning of its HMAC-SHA-256
//! under the agent's key. The same value gives the same token, however it is written, so analysts follow it
//! without reading it. Records keep their syntax: a bare number of JSON becomes a text, and in XML the token
//! is escaped. The time is linear in the record's length.

mod digits;
mod email;
mod numbers;
mod patterns;
mod syntax;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use citywatch_parsers::{Origin, RecordBatch};
use regex::bytes::Regex;
use ring::hmac;
use serde::{Deserialize, Serialize};

use numbers::Wanted;
use syntax::Syntax;

/// Bytes of a value's HMAC that stand in its token: 48 bits tell a million values apart.
const TOKEN_BYTES: usize = 6;
const KEY_CHARACTERS_MIN: usize = 32;

/// The kinds that need no pattern.
pub const KINDS: [&str; 5] = ["cccd", "cmnd", "phone", "email", "card"];

/// What is masked, and with which key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MaskingConfig {
    /// The key's file, readable by the agent's user alone. The same key on all agents gives the same tokens.
    pub key_file: Option<PathBuf>,
    /// What is masked in each source that does not say otherwise: kinds, and names of `patterns`.
    pub kinds: Vec<String>,
    /// Kinds of one's own: a regular expression each; its first group is the value if it has one.
    pub patterns: BTreeMap<String, String>,
}

/// Why nothing can be masked.
#[derive(Debug, thiserror::Error)]
pub enum MaskingError {
    /// The key cannot be read.
    #[error("masking.key_file: {}: {reason}", .path.display())]
    Key {
        /// The key's file.
        path: PathBuf,
        /// Why, and what to do.
        reason: String,
    },
    /// There is none.
    #[error(
        "masking.key_file: missing; make one with `(umask 077; head -c 32 /dev/urandom | base64 > /etc/citywatch/masking.key)`"
    )]
    NoKey,
    /// A pattern cannot be used.
    #[error("masking.patterns.{name}: {reason}")]
    Pattern {
        /// Its name.
        name: String,
        /// Why, and what to do.
        reason: String,
    },
}

impl MaskingConfig {
    /// What makes no sense, one sentence each, naming the key. `sources` are the sources' own lists with their keys.
    pub fn problems<'a>(
        &self,
        sources: impl IntoIterator<Item = (String, Option<&'a [String]>)>,
    ) -> Vec<String> {
        let mut problems = Vec::new();
        let mut masks_anything = !self.kinds.is_empty();
        let unknown = |key: &str, kinds: &[String]| {
            let problem = |kind: &String| self.kind_problem(key, kind);
            kinds.iter().filter_map(problem).collect::<Vec<_>>()
        };
        problems.extend(unknown("masking.kinds", &self.kinds));
        for (key, kinds) in sources {
            let kinds = kinds.unwrap_or_default();
            masks_anything |= !kinds.is_empty();
            problems.extend(unknown(&key, kinds));
        }
        for (name, pattern) in &self.patterns {
            if let Err(error) = patterns::compile(name, pattern) {
                problems.push(error.to_string());
            }
        }
        if masks_anything && let Err(error) = self.key() {
            problems.push(error.to_string());
        }
        problems
    }

    fn kind_problem(&self, key: &str, kind: &str) -> Option<String> {
        if KINDS.contains(&kind) || self.patterns.contains_key(kind) {
            return None;
        }
        let known = KINDS
            .into_iter()
            .chain(self.patterns.keys().map(String::as_str));
        let nearest = known
            .max_by(|a, b| strsim::jaro_winkler(a, kind).total_cmp(&strsim::jaro_winkler(b, kind)));
        let nearest = nearest.unwrap_or_default();
        Some(format!(
            "{key}: unknown kind `{kind}`; did you mean `{nearest}`? Kinds of your own stand in [masking.patterns]"
        ))
    }

    fn key(&self) -> Result<hmac::Key, MaskingError> {
        let path = self.key_file.as_deref().ok_or(MaskingError::NoKey)?;
        let refused = |reason: String| MaskingError::Key {
            path: path.to_owned(),
            reason,
        };
        let key = read_key(path).map_err(|error| refused(error.to_string()))?;
        let key = key.trim_ascii();
        if key.len() < KEY_CHARACTERS_MIN {
            return Err(refused(format!(
                "{} characters are too few for a key: make one with `head -c 32 /dev/urandom | base64`",
                key.len()
            )));
        }
        Ok(hmac::Key::new(hmac::HMAC_SHA256, key))
    }
}

/// Only a file that nobody else can read is a key.
fn read_key(path: &Path) -> io::Result<Vec<u8>> {
    let mode = fs::metadata(path)?.mode();
    if mode & 0o077 != 0 {
        let others = format!(
            "others may read it (mode {:04o}): `chmod 600` it, and make another key if they did",
            mode & 0o7777
        );
        return Err(io::Error::other(others));
    }
    fs::read(path)
}

/// Makes the maskers of an agent's sources.
#[derive(Debug)]
pub struct Masking {
    config: MaskingConfig,
    key: Option<hmac::Key>,
}

impl Masking {
    /// Reads the key, if there is one.
    ///
    /// # Errors
    /// [`MaskingError`] when it cannot be used.
    pub fn load(config: &MaskingConfig) -> Result<Self, MaskingError> {
        let key = config
            .key_file
            .is_some()
            .then(|| config.key())
            .transpose()?;
        Ok(Self {
            config: config.clone(),
            key,
        })
    }

    /// The masker of a source with a list of its own, or without; none where nothing is masked.
    ///
    /// # Errors
    /// [`MaskingError`] when there is no key, or a pattern cannot be used.
    pub fn of_source(&self, own: Option<&[String]>) -> Result<Option<Arc<Masker>>, MaskingError> {
        let kinds = own.unwrap_or(&self.config.kinds);
        if kinds.is_empty() {
            return Ok(None);
        }
        let key = self.key.clone().ok_or(MaskingError::NoKey)?;
        let has = |kind: &str| kinds.iter().any(|wanted| wanted == kind);
        let mut patterns = Vec::new();
        for (name, pattern) in &self.config.patterns {
            if has(name) {
                patterns.push((name.clone(), patterns::compile(name, pattern)?));
            }
        }
        Ok(Some(Arc::new(Masker {
            key,
            email: has("email"),
            numbers: Wanted {
                cccd: has("cccd"),
                cmnd: has("cmnd"),
                phone: has("phone"),
                card: has("card"),
            },
            patterns,
        })))
    }
}

/// Finds and replaces personal data in records.
#[derive(Debug)]
pub struct Masker {
    key: hmac::Key,
    email: bool,
    numbers: Wanted,
    patterns: Vec<(String, Regex)>,
}

/// A value that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<'m> {
    /// Where it stands.
    pub range: Range<usize>,
    /// What it is.
    pub kind: &'m str,
    /// The value without what differs from writing to writing.
    value: Vec<u8>,
}

impl Masker {
    /// All values in a text, in order; they do not overlap.
    pub fn find(&self, text: &[u8]) -> Vec<Found<'_>> {
        self.find_with(text, Syntax::of(text))
    }

    fn find_with(&self, text: &[u8], syntax: Syntax) -> Vec<Found<'_>> {
        let mut found = Vec::new();
        if self.email {
            email::find(text, syntax, &mut found);
        }
        if self.numbers.any() {
            numbers::find(text, syntax, self.numbers, &mut found);
        }
        for (name, pattern) in &self.patterns {
            patterns::find(text, name, pattern, &mut found);
        }
        found.sort_by_key(|found| (found.range.start, std::cmp::Reverse(found.range.end)));
        join_overlapping(text, found)
    }

    /// The text with a token in the place of each value.
    pub fn mask<'t>(&self, text: &'t [u8]) -> Cow<'t, [u8]> {
        let syntax = Syntax::of(text);
        let found = self.find_with(text, syntax);
        if found.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut masked = Vec::with_capacity(text.len() + 16 * found.len());
        let mut places = syntax.places(text);
        let mut end = 0;
        for value in &found {
            masked.extend_from_slice(&text[end..value.range.start]);
            let token = self.token(value);
            places.write(&value.range, &token, &mut masked);
            end = value.range.end;
            metrics::counter!("citywatch_agent_masked_values_total", "kind" => value.kind.to_owned())
                .increment(1);
        }
        masked.extend_from_slice(&text[end..]);
        Cow::Owned(masked)
    }

    /// The batch with all its records masked, and what its format says of a file's top; itself if there is nothing.
    pub fn mask_batch(&self, batch: RecordBatch) -> RecordBatch {
        self.mask_batch_with(batch, |raw| self.mask(raw))
    }

    /// The same for records whose syntax is kept by `mask`.
    pub(crate) fn mask_batch_with(
        &self,
        batch: RecordBatch,
        mask: impl for<'r> Fn(&'r [u8]) -> Cow<'r, [u8]>,
    ) -> RecordBatch {
        let format = self.mask(batch.origin.format.as_bytes());
        let origin = match &format {
            Cow::Borrowed(_) => Arc::clone(&batch.origin),
            Cow::Owned(format) => Arc::new(Origin {
                format: String::from_utf8_lossy(format).as_ref().into(),
                ..Origin::clone(&batch.origin)
            }),
        };
        let texts: Vec<_> = batch.iter().map(|record| mask(record.raw)).collect();
        let is_changed = !Arc::ptr_eq(&origin, &batch.origin)
            || texts.iter().any(|text| matches!(text, Cow::Owned(_)));
        if !is_changed {
            drop(texts);
            return batch;
        }
        let mut masked = RecordBatch::new(origin);
        for (record, text) in batch.iter().zip(&texts) {
            masked.push(text, record.position, record.received_at, record.truncated);
        }
        masked
    }

    /// `<kind:hmac>`.
    fn token(&self, found: &Found<'_>) -> String {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(found.kind.as_bytes());
        context.update(&[0]);
        context.update(&found.value);
        let tag = context.sign();
        let tag = &tag.as_ref()[..TOKEN_BYTES];
        let hex: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("<{}:{hex}>", found.kind)
    }
}

/// Values that overlap are one, of the first one's kind: nothing of either may stay.
fn join_overlapping<'m>(text: &[u8], found: Vec<Found<'m>>) -> Vec<Found<'m>> {
    let mut joined: Vec<Found<'m>> = Vec::with_capacity(found.len());
    for value in found {
        match joined.last_mut() {
            Some(last) if value.range.start < last.range.end => {
                if value.range.end > last.range.end {
                    last.range.end = value.range.end;
                    last.value = text[last.range.clone()].to_vec();
                }
            }
            _ => joined.push(value),
        }
    }
    joined
}

#[cfg(test)]
mod tests;
