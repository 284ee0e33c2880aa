//! What can be set about the pipeline: section `[engine]` of `citywatch.toml`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use citywatch_parsers::ParseContext;
use jiff::tz::TimeZone;
use serde::Deserialize;

use super::{PipelineError, QuotaConfig};
use crate::detect::LogSourceMode;

/// Settings of the pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PipelineConfig {
    /// Sigma rules: files, or directories that are read with all below them.
    pub rules: Vec<PathBuf>,
    /// How often the rules are looked at for changes, in seconds; 0: only on SIGHUP.
    pub rules_check_interval_s: u64,
    /// Values of the placeholders in rules (`%name%`), by name without percent signs. `*` and `?` in a
    /// value are wildcards.
    pub placeholders: BTreeMap<String, Vec<String>>,
    /// Processing pipelines in pySigma's form that rules go through while they are loaded: files, or directories
    /// that are read with all below them.
    pub pipelines: Vec<PathBuf>,
    /// How a rule's log source is held against an event's.
    pub logsource: LogSourceRouting,
    /// Threads that parse and match; 0: one less than the machine has cores, at least one.
    pub threads: usize,
    /// Most rows in one insert.
    pub block_rows_max: usize,
    /// Most bytes of raw records in one insert.
    pub block_bytes_max: usize,
    /// Longest time that a row waits for its block to fill, in milliseconds.
    pub flush_interval_ms: u64,
    /// How late an event may come behind the newest of its stream and still be correlated in order, in seconds.
    pub lateness_s: u64,
    /// An agent that sends no heartbeat for so long is shown as silent, in seconds.
    pub agent_silent_after_s: u64,
    /// Time zone of records that name none (IANA name).
    pub time_zone: String,
    /// How far ahead of its receipt an event may lie, in hours; beyond, the time of receipt stands in.
    pub clock_ahead_max_hours: u32,
    /// How far behind it, in days; 0: any time is believed. Archives are read with a larger bound than what is being
    /// written now.
    pub clock_behind_max_days: u32,
    /// What each unit may send before others.
    pub quota: QuotaConfig,
}

/// How a rule's log source is held against an event's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogSourceRouting {
    /// One of the event's log sources equals the rule's on every part that the rule names.
    #[default]
    Strict,
    /// A rule applies unless a part is set on both sides and differs.
    Loose,
}

impl Default for PipelineConfig {
    fn default() -> Self {
        Self {
            rules: Vec::new(),
            rules_check_interval_s: 5,
            placeholders: BTreeMap::new(),
            pipelines: Vec::new(),
            logsource: LogSourceRouting::Strict,
            threads: 0,
            block_rows_max: 50_000,
            block_bytes_max: 64 * 1024 * 1024,
            flush_interval_ms: 1_000,
            lateness_s: 300,
            agent_silent_after_s: 300,
            time_zone: "Asia/Ho_Chi_Minh".to_owned(),
            clock_ahead_max_hours: 48,
            clock_behind_max_days: 180,
            quota: QuotaConfig::default(),
        }
    }
}

impl PipelineConfig {
    /// Number of worker threads.
    pub(super) fn worker_threads(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism()
                .map_or(1, |cores| cores.get().saturating_sub(1).max(1)),
            threads => threads,
        }
    }

    /// Longest wait of a row for its block.
    pub(super) fn flush_interval(&self) -> Duration {
        Duration::from_millis(self.flush_interval_ms.max(1))
    }

    /// Settings of the parsers.
    pub(super) fn parse_context(&self) -> Result<ParseContext, PipelineError> {
        let default_zone = TimeZone::get(&self.time_zone).map_err(|_| PipelineError::TimeZone {
            name: self.time_zone.clone(),
        })?;
        Ok(ParseContext {
            default_zone,
            clock_ahead_max_hours: self.clock_ahead_max_hours,
            clock_behind_max_days: self.clock_behind_max_days,
            ..ParseContext::default()
        })
    }

    /// The matcher's word for [`Self::logsource`].
    pub fn log_source_mode(&self) -> LogSourceMode {
        match self.logsource {
            LogSourceRouting::Strict => LogSourceMode::Strict,
            LogSourceRouting::Loose => LogSourceMode::Loose,
        }
    }
}
