//! What becomes of a captured text: a field of some type, a part of the time.

use jiff::fmt::strtime::{self, BrokenDownTime};
use jiff::tz::TimeZone;

use super::file::Kind;
use crate::context::ParseContext;
use crate::draft::Draft;
use crate::event::{ProblemKind, Value};
use crate::formats;
use crate::scan;
use crate::time::Timestamp;
use crate::when;

/// Where a captured text goes.
#[derive(Debug)]
pub(super) enum Place {
    /// That part of the time.
    Time(usize),
    /// Nowhere: it is only looked into, under this name.
    Held(&'static str),
    /// Fields of these names.
    Field { names: Vec<Name>, kind: Kind },
}

/// A field that a text becomes.
#[derive(Debug)]
pub(super) struct Name {
    pub(super) name: &'static str,
    /// What texts mean; a meaning that is empty leaves the field out, `*` is any other text.
    pub(super) values: Vec<(&'static str, &'static str)>,
}

impl Name {
    /// What the text means, where that is said.
    fn meaning(&self, text: &str) -> Option<&'static str> {
        let given = |wanted: &str| self.values.iter().find(|(from, _)| *from == wanted);
        given(text).or_else(|| given("*")).map(|(_, to)| *to)
    }
}

impl Place {
    /// Whether it is a field of that name and of no other.
    pub(super) fn is_only(&self, wanted: &str) -> bool {
        matches!(self, Self::Field { names, .. } if names.len() == 1 && names[0].name == wanted)
    }

    /// Adds the text as fields. What is empty or `-` is not there.
    pub(super) fn write<'a>(&self, draft: &mut Draft<'a, '_>, text: &'a str) {
        let Self::Field { names, kind } = self else {
            return;
        };
        // Web logs say "no user agent" by the dash, and rules look for it.
        let is_kept = |name: &str| matches!(name, "cs-user-agent" | "cs-referer");
        for name in names {
            if text.is_empty() || text == "-" && !is_kept(name.name) {
                continue;
            }
            if let Some(meaning) = name.meaning(text) {
                draft.text(name.name, meaning);
                continue;
            }
            let name = name.name;
            match kind {
                Kind::Auto => draft.number(name, text),
                Kind::String => draft.push(name, Value::Str(text)),
                Kind::Int => typed(draft, name, text, text.parse().ok().map(Value::Int)),
                Kind::Float => typed(draft, name, text, text.parse().ok().map(Value::Float)),
                Kind::Bool => typed(draft, name, text, truth(text).map(Value::Bool)),
                Kind::Ip => {
                    let plain = text.trim_matches(['[', ']']);
                    let address = scan::ip(plain).map(|_| Value::Str(plain));
                    typed(draft, name, text, address);
                }
                Kind::Host => {
                    draft.set(name, Value::Str(text));
                    draft.host(text);
                }
                Kind::Json => {
                    if formats::json_fields(draft, text).is_err() {
                        draft.note_once(ProblemKind::Partial, "a field is no JSON object");
                        draft.push(name, Value::Str(text));
                    }
                }
                Kind::Request => formats::request_fields(draft, text),
                Kind::Target => formats::target_fields(draft, text),
                Kind::Status => formats::status_fields(draft, text),
            }
        }
    }
}

/// A text that has not the type it should have is kept as text, and told.
fn typed<'a>(
    draft: &mut Draft<'a, '_>,
    name: &'static str,
    text: &'a str,
    value: Option<Value<'a>>,
) {
    if value.is_none() {
        draft.note_once(
            ProblemKind::Partial,
            "a field has not the type that the definition gives it",
        );
    }
    draft.push(name, value.unwrap_or(Value::Str(text)));
}

fn truth(text: &str) -> Option<bool> {
    const YES: [&str; 6] = ["true", "yes", "y", "t", "on", "1"];
    const NO: [&str; 6] = ["false", "no", "n", "f", "off", "0"];
    let is_one_of = |words: [&str; 6]| words.iter().any(|word| word.eq_ignore_ascii_case(text));
    if is_one_of(YES) {
        Some(true)
    } else {
        is_one_of(NO).then_some(false)
    }
}

/// Reads the time of a definition's records.
#[derive(Debug)]
pub(super) struct TimeReader {
    /// Captures that make it, joined by spaces.
    pub(super) parts: usize,
    pub(super) forms: Vec<TimeForm>,
    pub(super) zone: Option<TimeZone>,
}

/// A form in which time is written.
#[derive(Debug)]
pub(super) enum TimeForm {
    /// Without a year.
    Bsd,
    Iso,
    Clf,
    Ctime,
    DayFirst,
    MonthFirst,
    Compact,
    Epoch,
    /// As `strftime` writes it.
    Written(String),
}

impl TimeForm {
    pub(super) fn named(name: &str) -> Result<Self, String> {
        Ok(match name {
            "iso" | "iso8601" => Self::Iso,
            "bsd" | "syslog" => Self::Bsd,
            "clf" => Self::Clf,
            "ctime" => Self::Ctime,
            "day_first" => Self::DayFirst,
            "month_first" => Self::MonthFirst,
            "compact" => Self::Compact,
            "epoch" => Self::Epoch,
            _ if name.contains('%') => {
                let sample = jiff::Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC);
                strtime::format(name, &sample)
                    .map_err(|error| format!("the form of time `{name}` is not right: {error}"))?;
                Self::Written(name.to_owned())
            }
            _ => {
                return Err(format!(
                    "there is no form of time `{name}`; write iso, bsd, clf, ctime, day_first, month_first, compact, epoch, or one as strftime has it (`%d.%m.%Y %H:%M:%S`)"
                ));
            }
        })
    }

    fn read(
        &self,
        text: &str,
        received_at: Timestamp,
        context: &ParseContext,
        zone: &TimeZone,
    ) -> Option<Timestamp> {
        let found = match self {
            Self::Iso => when::iso(text, zone),
            Self::Clf => when::clf(text, zone),
            Self::Ctime => when::ctime(text, zone),
            Self::DayFirst => when::day_first(text, zone),
            Self::MonthFirst => when::month_first(text, zone),
            Self::Compact => when::compact(text, zone),
            Self::Epoch => return when::epoch_text(text),
            Self::Written(form) => return written(form, text, zone),
            Self::Bsd => {
                let context = ParseContext {
                    default_zone: zone.clone(),
                    ..context.clone()
                };
                return when::bsd(text, received_at, &context).map(|(time, _)| time);
            }
        };
        found.map(|(time, _)| time)
    }
}

/// What a definition reads that says nothing about the form.
const USUAL: [TimeForm; 6] = [
    TimeForm::Iso,
    TimeForm::Clf,
    TimeForm::Ctime,
    TimeForm::DayFirst,
    TimeForm::MonthFirst,
    TimeForm::Epoch,
];

impl TimeReader {
    /// The time that the text means.
    pub(super) fn read(
        &self,
        text: &str,
        received_at: Timestamp,
        context: &ParseContext,
    ) -> Option<Timestamp> {
        let zone = self.zone.as_ref().unwrap_or(&context.default_zone);
        let forms = if self.forms.is_empty() {
            &USUAL[..]
        } else {
            &self.forms
        };
        forms
            .iter()
            .find_map(|form| form.read(text.trim(), received_at, context, zone))
    }
}

fn written(form: &str, text: &str, zone: &TimeZone) -> Option<Timestamp> {
    let time = BrokenDownTime::parse(form, text).ok()?;
    let instant = match time.offset() {
        Some(_) => time.to_timestamp().ok()?,
        None => zone
            .to_ambiguous_timestamp(time.to_datetime().ok()?)
            .compatible()
            .ok()?,
    };
    Some(Timestamp(instant.as_microsecond()))
}
