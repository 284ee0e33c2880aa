//! An Event is a parsed Record: typed fields, log source, event time.

use std::borrow::Cow;
use std::fmt;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ops::{Deref, DerefMut};

use bumpalo::Bump;
use bumpalo::collections::Vec as ArenaVec;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::layouts::NameOrder;
use crate::record::Record;
use crate::time::Timestamp;

/// A parsed record, borrowing from its batch and the batch's arena.
#[derive(Debug)]
pub struct Event<'a> {
    /// The record it was read from.
    pub record: Record<'a>,
    /// Place among the events of the same record: 0 but for formats that wrap many in one.
    pub sub_index: u32,
    /// Name of the format that read it, as in the parsers' table.
    pub format: &'static str,
    /// When it happened, as the record says; `received_at` where it does not.
    pub event_time: Timestamp,
    /// The host it speaks of; empty when unknown.
    pub host: &'a str,
    /// All log sources it belongs to, most specific first (Sysmon 13 has three).
    pub log_sources: LogSources<'a>,
    /// Fields in the order of the record; nested names joined by dots. A name occurs once.
    pub fields: ArenaVec<'a, Field<'a>>,
    /// Which names the fields have and in which order, where the parser knows; whoever renames or adds fields
    /// afterwards clears it.
    pub order: Option<NameOrder>,
    /// What was wrong with the record.
    pub problems: SmallVec<[Problem; 1]>,
}

/// The log sources of an event: a list in the arena. Mostly their texts are borrowed, and then nothing is to be done when the
/// event goes: to look for texts to free took a twenty-fifth of the time that reading a line of syslog takes.
#[derive(Debug)]
pub struct LogSources<'a> {
    list: ManuallyDrop<ArenaVec<'a, LogSource<'a>>>,
    /// Whether a text may have been put there that is not borrowed.
    may_own: bool,
}

impl<'a> LogSources<'a> {
    /// None yet.
    #[inline]
    pub fn new_in(arena: &'a Bump) -> Self {
        Self {
            list: ManuallyDrop::new(ArenaVec::new_in(arena)),
            may_own: false,
        }
    }

    /// The list, for sources to be put there whose texts are borrowed, and for nothing else.
    #[inline(always)]
    pub(crate) fn borrowing(&mut self) -> &mut ArenaVec<'a, LogSource<'a>> {
        &mut self.list
    }
}

impl<'a> Deref for LogSources<'a> {
    type Target = ArenaVec<'a, LogSource<'a>>;

    #[inline]
    fn deref(&self) -> &Self::Target {
        &self.list
    }
}

impl DerefMut for LogSources<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.may_own = true;
        &mut self.list
    }
}

impl Drop for LogSources<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.may_own {
            // SAFETY: nobody uses it afterwards.
            unsafe { ManuallyDrop::drop(&mut self.list) }
        }
    }
}

impl PartialEq for LogSources<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.list == other.list
    }
}

impl<'s, 'a> IntoIterator for &'s LogSources<'a> {
    type Item = &'s LogSource<'a>;
    type IntoIter = std::slice::Iter<'s, LogSource<'a>>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.iter()
    }
}

impl<'s, 'a> IntoIterator for &'s mut LogSources<'a> {
    type Item = &'s mut LogSource<'a>;
    type IntoIter = std::slice::IterMut<'s, LogSource<'a>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

/// A named value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Field<'a> {
    /// Name as SigmaHQ's rules use it for this log source.
    pub name: &'a str,
    /// Its value.
    pub value: Value<'a>,
}

/// A value as the record gave it. Maps are flattened to dotted field names; a list of maps becomes
/// one list per dotted name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Present and null.
    Null,
    /// true or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A whole number above `i64::MAX`.
    UInt(u64),
    /// Any other number.
    Float(f64),
    /// Text.
    Str(&'a str),
    /// Several values.
    List(&'a [Value<'a>]),
}

/// What a Sigma rule's `logsource` speaks of; an unset part is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSource<'a> {
    /// `windows`, `linux`, `zeek`, ...
    pub product: Cow<'a, str>,
    /// `process_creation`, `webserver`, ...
    pub category: Cow<'a, str>,
    /// `sysmon`, `sshd`, `auditd`, ...
    pub service: Cow<'a, str>,
}

/// What was wrong with a record; the event holds what could be read all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Which kind, for counting.
    pub kind: ProblemKind,
    /// What, in words, with the place where it is known.
    pub detail: Cow<'static, str>,
}

/// Kinds of problems, each a label of the counter `citywatch_parse_problems_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProblemKind {
    /// No grammar read it: the raw text is the message.
    Unparsed,
    /// The record does not have the format it is said to have; another read it.
    FormatMismatch,
    /// No or an impossible time: `received_at` stands in.
    BadTime,
    /// Bytes that are not the text they should be were replaced.
    BadEncoding,
    /// The record or its structure was longer or deeper than the bound.
    TooLarge,
    /// A part could not be read; the rest stands.
    Partial,
}

impl ProblemKind {
    /// The counter's label.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unparsed => "unparsed",
            Self::FormatMismatch => "format_mismatch",
            Self::BadTime => "bad_time",
            Self::BadEncoding => "bad_encoding",
            Self::TooLarge => "too_large",
            Self::Partial => "partial",
        }
    }
}

impl<'a> Event<'a> {
    /// An event of `record` without fields, at the time of its receipt.
    #[inline(always)]
    pub fn new(record: Record<'a>, format: &'static str, arena: &'a Bump) -> Self {
        Self {
            record,
            sub_index: 0,
            format,
            event_time: record.received_at,
            host: record.origin.host.as_deref().unwrap_or(""),
            log_sources: LogSources::new_in(arena),
            fields: ArenaVec::new_in(arena),
            order: None,
            problems: SmallVec::new(),
        }
    }

    /// As [`Self::new`], made where it stays: an event is large, and made elsewhere it is copied there.
    #[inline(always)]
    pub(crate) fn begin_in(
        room: &mut MaybeUninit<Self>,
        record: Record<'a>,
        format: &'static str,
        arena: &'a Bump,
    ) {
        // All fields by name, so that one that is added later cannot be forgotten here.
        let Self {
            record,
            sub_index,
            format,
            event_time,
            host,
            log_sources,
            fields,
            order,
            problems,
        } = Self::new(record, format, arena);
        let event = room.as_mut_ptr();
        // SAFETY: each field is written once, within the room for an event.
        unsafe {
            (&raw mut (*event).record).write(record);
            (&raw mut (*event).sub_index).write(sub_index);
            (&raw mut (*event).format).write(format);
            (&raw mut (*event).event_time).write(event_time);
            (&raw mut (*event).host).write(host);
            (&raw mut (*event).log_sources).write(log_sources);
            (&raw mut (*event).fields).write(fields);
            (&raw mut (*event).order).write(order);
            (&raw mut (*event).problems).write(problems);
        }
    }

    /// The value of field `name` (exact, case-sensitive).
    pub fn get(&self, name: &str) -> Option<Value<'a>> {
        self.fields
            .iter()
            .find(|field| field.name == name)
            .map(|field| field.value)
    }

    /// Notes a problem.
    pub fn note(&mut self, kind: ProblemKind, detail: impl Into<Cow<'static, str>>) {
        self.problems.push(Problem {
            kind,
            detail: detail.into(),
        });
    }
}

impl<'a> Value<'a> {
    /// The text, if it is text.
    pub fn as_str(self) -> Option<&'a str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }
}

impl fmt::Display for Value<'_> {
    /// As text: numbers in decimal, null as nothing, lists joined by a comma.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => Ok(()),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "{value}"),
            Self::UInt(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value}"),
            Self::Str(value) => f.write_str(value),
            Self::List(values) => {
                for (index, value) in values.iter().enumerate() {
                    if index > 0 {
                        f.write_str(",")?;
                    }
                    write!(f, "{value}")?;
                }
                Ok(())
            }
        }
    }
}
