//! What parsing needs to know besides the record: given by the caller, never looked up.

use crate::definitions::Definitions;
use jiff::tz::{Offset, TimeZone};

/// Settings of parsing; the same for all records of a pipeline.
#[derive(Clone, Debug)]
pub struct ParseContext {
    /// Zone of times that name none. The default is UTC+7, which Asia/Ho_Chi_Minh has kept without
    /// interruption since 1975: no time zone database is needed for it.
    pub default_zone: TimeZone,
    /// Bytes of a record that are read; the rest is left out of the fields (never of the raw text) with a Problem.
    pub record_bytes_max: usize,
    /// Fields of an event; more are left out with a Problem.
    pub fields_max: usize,
    /// Levels of nesting (JSON, XML) that become dotted names; deeper ones are left out with a Problem.
    pub depth_max: usize,
    /// What is added to what a record says.
    pub taxonomy: Taxonomy,
    /// How far a clock may run ahead of the receiver before a time without a year is taken for last year's.
    pub clock_ahead_max_hours: u32,
    /// How far an event may lie behind its receipt before an engine takes its clock for a wrong one, in days; 0: any time is
    /// believed. Readers do not look at it.
    pub clock_behind_max_days: u32,
    /// A site's own text formats.
    pub definitions: Definitions,
}

/// Whether events are brought to the names and log sources of SigmaHQ's rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Taxonomy {
    /// Events are classified; fields get the names that rules use beside their own.
    #[default]
    Sigma,
    /// Nothing is concluded: a JSON or XML record has its own fields only, and an event the log source
    /// that its record names (`product`, `category`, `service`) or its origin. For comparison with
    /// engines that work so, and for logs of unknown kinds.
    AsRecorded,
}

impl Default for ParseContext {
    fn default() -> Self {
        Self {
            default_zone: TimeZone::fixed(Offset::constant(7)),
            record_bytes_max: 1 << 20,
            fields_max: 2_048,
            depth_max: 32,
            taxonomy: Taxonomy::default(),
            clock_ahead_max_hours: 48,
            clock_behind_max_days: 180,
            definitions: Definitions::default(),
        }
    }
}
