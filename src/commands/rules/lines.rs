//! The forms in which matches are shown: a JSON line that other programs build on, and a table.

use std::borrow::Cow;
use std::io::Write;

use citywatch_engine::{EventId, RuleInfo};
use citywatch_parsers::Timestamp;
use clap::ValueEnum;
use smallvec::SmallVec;

use super::line_buffer::LineBuffer;

/// How to show matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// A JSON object per line
    Ndjson,
    /// For reading
    Table,
}

/// The parts of a rule's lines that are always the same, ready to be written.
#[derive(Debug)]
pub struct RuleLine {
    head: Box<[u8]>,
    tail: Box<[u8]>,
}

/// Where a match is.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The file.
    pub file: &'a str,
    /// The record's number in it.
    pub record: u64,
    /// As [`TimeText`] has it.
    pub event_time: &'a str,
}

impl RuleLine {
    /// The parts for `rule`.
    pub fn new(rule: &RuleInfo, output: Output) -> Self {
        let (mut head, mut tail) = (LineBuffer::default(), LineBuffer::default());
        match output {
            Output::Ndjson => {
                head.push(b"{\"rule_id\":");
                head.push_json(&rule.id);
                head.push(b",\"title\":");
                head.push_json(&rule.title);
                head.push(b",\"level\":");
                head.push_json(&rule.level);
                tail.push(b"},\"tags\":");
                serde_json::to_writer(&mut tail, &rule.tags)
                    .expect("a list of strings is always JSON");
                tail.push(b"}\n");
            }
            Output::Table => {
                let level = printable(&rule.level);
                write!(head, "{level:<13} ").expect("writing to memory cannot fail");
                write!(tail, "{}", printable(&rule.title)).expect("writing to memory cannot fail");
            }
        }
        Self {
            head: head.as_bytes().into(),
            tail: tail.as_bytes().into(),
        }
    }

    /// Appends the line of a match. Of two values of a field the first is told.
    pub fn write<'m>(
        &self,
        place: &PlaceText,
        matched: impl Iterator<Item = (&'m str, Cow<'m, str>)>,
        output: Output,
        lines: &mut LineBuffer,
    ) {
        lines.push(&self.head);
        lines.push(place.0.as_bytes());
        match output {
            Output::Ndjson => {
                let mut names: SmallVec<[&str; 8]> = SmallVec::new();
                for (name, value) in matched {
                    if names.contains(&name) {
                        continue;
                    }
                    if !names.is_empty() {
                        lines.push(b",");
                    }
                    names.push(name);
                    lines.push_json(name);
                    lines.push(b":");
                    lines.push_json(&value);
                }
                lines.push(&self.tail);
            }
            Output::Table => {
                lines.push(&self.tail);
                for (index, (name, value)) in matched.enumerate() {
                    let space = if index == 0 { "  " } else { " " };
                    write!(lines, "{space}{}={}", printable(name), printable(&value))
                        .expect("writing to memory cannot fail");
                }
                lines.push(b"\n");
            }
        }
    }
}

/// Which event of the store a match is of.
#[derive(Clone, Copy, Debug)]
pub struct StoredPlace<'a> {
    /// The event's id; a correlation's last event's.
    pub event_id: EventId,
    /// Its unit.
    pub unit: &'a str,
    /// Its host.
    pub host: &'a str,
    /// As [`TimeText`] has it.
    pub event_time: &'a str,
}

/// What lines say of a place: the same for all matches of an event.
#[derive(Debug, Default)]
pub struct PlaceText(LineBuffer);

impl PlaceText {
    /// Takes another place.
    pub fn set(&mut self, place: Place<'_>, output: Output) {
        let text = &mut self.0;
        text.clear();
        match output {
            Output::Ndjson => {
                text.push(b",\"file\":");
                text.push_json(place.file);
                write!(
                    text,
                    ",\"record\":{},\"event_time\":\"{}\",\"matched\":{{",
                    place.record, place.event_time
                )
            }
            Output::Table => write!(
                text,
                "{}  {}:{}  ",
                place.event_time,
                printable(place.file),
                place.record
            ),
        }
        .expect("writing to memory cannot fail");
    }

    /// Takes the place of another event of the store.
    pub fn set_stored(&mut self, place: StoredPlace<'_>, output: Output) {
        let text = &mut self.0;
        text.clear();
        match output {
            Output::Ndjson => {
                write!(text, ",\"event_id\":\"{}\",\"unit\":", place.event_id)
                    .expect("writing to memory cannot fail");
                text.push_json(place.unit);
                text.push(b",\"host\":");
                text.push_json(place.host);
                write!(
                    text,
                    ",\"event_time\":\"{}\",\"matched\":{{",
                    place.event_time
                )
            }
            Output::Table => write!(
                text,
                "{}  {}/{}  ",
                place.event_time,
                printable(place.unit),
                printable(place.host)
            ),
        }
        .expect("writing to memory cannot fail");
    }
}

/// The text of a time, kept for the events of the same microsecond.
#[derive(Debug, Default)]
pub struct TimeText {
    time: Option<Timestamp>,
    text: String,
}

impl TimeText {
    /// RFC 3339 in UTC.
    pub fn of(&mut self, time: Timestamp) -> &str {
        if self.time != Some(time) {
            use std::fmt::Write;
            self.time = Some(time);
            self.text.clear();
            write!(self.text, "{time}").expect("writing to memory cannot fail");
        }
        &self.text
    }
}

/// Log content must not command the terminal: control characters are shown as escapes.
fn printable(value: &str) -> String {
    let mut shown = String::with_capacity(value.len().min(200));
    for c in value.chars().take(200) {
        if c.is_control() {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule() -> RuleInfo {
        RuleInfo {
            id: "r-1".to_owned(),
            title: "A \"title\"".to_owned(),
            level: "high".to_owned(),
            description: String::new(),
            tags: vec!["attack.t1110".to_owned()],
            log_source: citywatch_parsers::LogSource::default(),
            text: String::new(),
            content_hash: String::new(),
            correlation: false,
        }
    }

    fn place(output: Output) -> PlaceText {
        let mut text = PlaceText::default();
        text.set(
            Place {
                file: "a\u{1b}b.log",
                record: 7,
                event_time: "2026-11-22T03:04:05.000006Z",
            },
            output,
        );
        text
    }

    #[test]
    fn a_line_is_json_with_the_promised_keys_in_their_order() {
        let matched = [("User", "x\n\"y\""), ("User", "again"), ("", "word")];
        let mut lines = LineBuffer::default();
        RuleLine::new(&rule(), Output::Ndjson).write(
            &place(Output::Ndjson),
            matched
                .map(|(name, value)| (name, Cow::Borrowed(value)))
                .into_iter(),
            Output::Ndjson,
            &mut lines,
        );
        assert_eq!(
            std::str::from_utf8(lines.as_bytes()).unwrap(),
            "{\"rule_id\":\"r-1\",\"title\":\"A \\\"title\\\"\",\"level\":\"high\",\"file\":\"a\\u001bb.log\",\"record\":7,\
             \"event_time\":\"2026-11-22T03:04:05.000006Z\",\"matched\":{\"User\":\"x\\n\\\"y\\\"\",\"\":\"word\"},\
             \"tags\":[\"attack.t1110\"]}\n"
        );
    }

    #[test]
    fn a_row_commands_no_terminal() {
        let matched = [("User", "x\u{1b}[2J")];
        let mut lines = LineBuffer::default();
        RuleLine::new(&rule(), Output::Table).write(
            &place(Output::Table),
            matched
                .map(|(name, value)| (name, Cow::Borrowed(value)))
                .into_iter(),
            Output::Table,
            &mut lines,
        );
        assert_eq!(
            std::str::from_utf8(lines.as_bytes()).unwrap(),
            "high          2026-11-22T03:04:05.000006Z  a\\u{1b}b.log:7  A \"title\"  User=x\\u{1b}[2J\n"
        );
    }
}
