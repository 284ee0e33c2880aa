//! Which files are read: those the patterns match, those that were rotated away, and their copies.

use std::collections::{HashMap, HashSet};
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use citywatch_parsers::Origin;

use super::{Key, Tailer};
use crate::sources::files::checkpoints::Checkpoint;
use crate::sources::files::identity::Identity;
use crate::sources::files::tailed::{self, TailedFile, Watch};
use crate::sources::files::{FilesConfig, ReadFrom, coding, discovery};

/// How long a possible copy of a file is held back for its original to be truncated.
const COPY_PATIENCE: Duration = Duration::from_secs(5);

impl Tailer {
    /// Looks for all files that the patterns match, and notices which are gone.
    pub(super) fn rescan(&mut self, now: Instant) {
        let mut seen = HashSet::new();
        self.problems.clear();
        let matched = self
            .files
            .iter()
            .filter(|(_, file)| file.watch == Watch::Matched);
        let by_path = matched
            .map(|(key, file)| (file.path.clone(), *key))
            .collect();
        for group in 0..self.settings.groups.len() {
            let found = discovery::expand(&self.settings.groups[group]);
            self.problems.extend(found.problems);
            for path in found.paths {
                match fs::metadata(&path) {
                    Ok(metadata) if metadata.is_file() => {
                        seen.extend(self.meet(group, path, &metadata, &by_path, now))
                    }
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => self.problems.push(format!("{}: {error}", path.display())),
                }
            }
        }
        for (key, file) in &mut self.files {
            if file.watch == Watch::Matched && !seen.contains(key) {
                file.watch = Watch::Draining;
            }
        }
        let started = self.settings.groups.iter().flat_map(|group| &group.paths);
        self.started = started.cloned().collect();
        self.held_back.retain(|path, _| path.exists());
    }

    /// A file that a pattern matches: one that is being read, one that was read before, or a new one.
    fn meet(
        &mut self,
        group: usize,
        path: PathBuf,
        metadata: &Metadata,
        by_path: &HashMap<PathBuf, Key>,
        now: Instant,
    ) -> Option<Key> {
        let identity = Identity::of(metadata);
        if let Some(key) = self.by_identity.get(&identity).copied() {
            let file = self.files.get_mut(&key)?;
            file.path = path;
            file.watch = Watch::Matched;
            return Some(key);
        }
        if let Some(checkpoint) = self.take_remembered(identity, &path, metadata) {
            let file = self.resume(&Checkpoint { path, ..checkpoint }, group, now);
            return Some(self.track(file));
        }
        if self.is_held_back(&path, by_path, now) {
            return None;
        }
        let config = &self.settings.groups[group];
        let is_first_look = !config
            .paths
            .iter()
            .all(|pattern| self.started.contains(pattern));
        let offset = match config.read_from {
            ReadFrom::End if is_first_look => {
                tailed::end_offset(&path, config.cutting().encoding).unwrap_or(0)
            }
            _ => 0,
        };
        tracing::info!(path = %path.display(), offset, "reading a new file");
        let file = TailedFile::fresh(path, group, config.cutting(), identity, offset, now);
        Some(self.track(file))
    }

    fn track(&mut self, file: TailedFile) -> Key {
        let key = self.next_key;
        self.next_key += 1;
        self.by_identity.insert(file.identity, key);
        self.files.insert(key, file);
        key
    }

    /// The checkpoint of a file that was read before, if it still begins as it did.
    fn take_remembered(
        &mut self,
        identity: Identity,
        path: &Path,
        metadata: &Metadata,
    ) -> Option<Checkpoint> {
        let fits = |checkpoint: &Checkpoint| {
            checkpoint.identity == identity
                && metadata.len() >= checkpoint.offset
                && match fs::File::open(path) {
                    Ok(file) => checkpoint.fingerprint.fits(&file).unwrap_or(false),
                    // Unreadable now: it is taken for the same, and looked at when it can be read.
                    Err(_) => true,
                }
        };
        let place = self.remembered.iter().rposition(fits)?;
        Some(self.remembered.remove(place))
    }

    fn resume(&self, checkpoint: &Checkpoint, group: usize, now: Instant) -> TailedFile {
        let origin = self.origin(group, &checkpoint.stream);
        TailedFile::resumed(
            checkpoint,
            group,
            self.settings.groups[group].cutting(),
            origin,
            now,
        )
    }

    /// Whether a new file may be a rotation's copy of one whose original is not truncated yet: then
    /// the original goes on in the copy, and reading both would give everything twice.
    fn is_held_back(&mut self, path: &Path, by_path: &HashMap<PathBuf, Key>, now: Instant) -> bool {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let shorter = name
            .char_indices()
            .skip(1)
            .map(|(end, _)| path.with_file_name(&name[..end]));
        let mut originals =
            shorter.filter_map(|original| self.files.get(by_path.get(&original)?)?.checkpoint());
        let Some(original) = originals.next() else {
            return false;
        };
        let Ok(file) = fs::File::open(path) else {
            return false;
        };
        if !discovery::may_be_copy(path, &file, &original) {
            return false;
        }
        let since = *self.held_back.entry(path.to_owned()).or_insert(now);
        now.duration_since(since) < COPY_PATIENCE
    }

    /// After a start: what was being read and is no longer matched may lie beside where it was.
    pub(super) fn recover_remainders(&mut self, now: Instant) {
        for checkpoint in std::mem::take(&mut self.remembered) {
            let group = self
                .settings
                .groups
                .iter()
                .position(|group| covers(group, &checkpoint.path));
            let remainder = group
                .and_then(|group| Some((group, discovery::find_remainder(&checkpoint, None)?)));
            let Some((group, (path, file))) = remainder else {
                self.remembered.push(checkpoint);
                continue;
            };
            let Ok(metadata) = file.metadata() else {
                continue;
            };
            let identity = Identity::of(&metadata);
            // Its first bytes tell that it is the same content: a copy that was just taken for a new
            // file goes on where its original was left.
            if let Some(key) = self.by_identity.get(&identity).copied() {
                let untouched = self
                    .files
                    .get(&key)
                    .is_some_and(|file| file.origin.is_none());
                if !untouched {
                    self.remembered.push(checkpoint);
                    continue;
                }
                self.files.remove(&key);
            }
            tracing::info!(path = %path.display(), offset = checkpoint.offset, "reading the rest of a rotated file");
            let mut resumed = self.resume(&checkpoint, group, now);
            resumed.move_to(path, file, identity);
            self.track(resumed);
        }
    }

    /// A file that was rotated away and is not open: the rest is looked for beside it.
    pub(super) fn reach_remainder(&mut self, key: Key) {
        let Some(file) = self.files.get_mut(&key) else {
            return;
        };
        let remainder = file.checkpoint().and_then(|checkpoint| {
            let (path, opened) = discovery::find_remainder(&checkpoint, None)?;
            let identity = opened
                .metadata()
                .map(|metadata| Identity::of(&metadata))
                .ok()?;
            Some((path, opened, identity))
        });
        let Some((path, opened, identity)) = remainder else {
            file.watch = Watch::Lost;
            return;
        };
        file.move_to(path, opened, identity);
        self.by_identity.insert(identity, key);
    }

    /// A file was truncated, or written anew in place: its old content goes on in a copy if there is
    /// one, its new content is a new stream.
    pub(super) fn rewritten(&mut self, key: Key, now: Instant) {
        let Some(old) = self.files.get_mut(&key) else {
            return;
        };
        let (path, group, identity) = (old.path.clone(), old.group, old.identity);
        let unread = Checkpoint {
            offset: old.read,
            ..old.checkpoint().unwrap_or(Checkpoint {
                path: path.clone(),
                stream: String::new(),
                identity,
                fingerprint: old.fingerprint,
                offset: old.read,
                cuts: Vec::new(),
            })
        };
        let copy = discovery::find_remainder(&unread, Some(identity));
        let copy =
            copy.and_then(|(path, file)| Some((path, Identity::of(&file.metadata().ok()?), file)));
        match copy {
            Some((copy_path, copy_identity, copy_file))
                if !self.by_identity.contains_key(&copy_identity) =>
            {
                tracing::info!(path = %path.display(), copy = %copy_path.display(), "the file was copied and truncated; reading the copy to its end");
                old.move_to(copy_path, copy_file, copy_identity);
                self.by_identity.insert(copy_identity, key);
            }
            _ => {
                let unread_bytes = old.size.saturating_sub(old.read);
                tracing::info!(path = %path.display(), unread_bytes, "the file was truncated; reading its new content");
                metrics::counter!("citywatch_agent_truncated_away_bytes_total")
                    .increment(unread_bytes);
                old.watch = Watch::Lost;
            }
        }
        let fresh = TailedFile::fresh(
            path,
            group,
            self.settings.groups[group].cutting(),
            identity,
            0,
            now,
        );
        let fresh_key = self.track(fresh);
        if let Some(fresh) = self.files.get_mut(&fresh_key) {
            fresh.look(now);
        }
    }

    /// Names a new file's stream, once its first line is there.
    pub(super) fn name_stream(&mut self, key: Key, now: Instant) {
        let Some(file) = self.files.get(&key).filter(|file| file.origin.is_none()) else {
            return;
        };
        let Some(crc) = file.stream_crc(now) else {
            return;
        };
        // Made of what anyone finds in the file again: without its checkpoints the agent gives the
        // same records the same identities, and the engine drops them.
        let base = format!(
            "{}#{:x}.{crc:08x}",
            file.path.display(),
            file.identity.inode
        );
        let mut stream = base.clone();
        let mut generation = 1;
        while self.is_stream_known(&stream) {
            generation += 1;
            stream = format!("{base}.{generation}");
        }
        let origin = self.origin(file.group, &stream);
        if let Some(file) = self.files.get_mut(&key) {
            file.origin = Some(origin);
        }
    }

    fn is_stream_known(&self, stream: &str) -> bool {
        let live = self.files.values().filter_map(|file| file.origin.as_ref());
        live.map(|origin| origin.stream.as_str())
            .any(|known| known == stream)
            || self
                .remembered
                .iter()
                .any(|checkpoint| checkpoint.stream == stream)
    }

    fn origin(&self, group: usize, stream: &str) -> Arc<Origin> {
        let config = &self.settings.groups[group];
        let format = coding::format_in(&config.encoding, &config.format);
        Arc::new(self.settings.host.origin(
            stream,
            (config.unit.as_deref(), config.host.as_deref()),
            (&format, &config.log_source),
        ))
    }
}

/// Whether a group's patterns match `path`, be it there or not.
fn covers(group: &FilesConfig, path: &Path) -> bool {
    group.paths.iter().any(|pattern| {
        Path::new(pattern) == path
            || glob::Pattern::new(pattern).is_ok_and(|pattern| pattern.matches_path(path))
    })
}
