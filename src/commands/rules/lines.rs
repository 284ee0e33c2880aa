//! The forms in which matches are shown: a JSON line that other programs build on, and a table.

use std::borrow::Cow;
use std::io::Write;

use citywatch_engine::RuleInfo;
use citywatch_parsers::Timestamp;
use clap::ValueEnum;

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
    head: Vec<u8>,
    tail: Vec<u8>,
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
        let (mut head, mut tail) = (Vec::new(), Vec::new());
        match output {
            Output::Ndjson => {
                head.extend_from_slice(b"{\"rule_id\":");
                json(&rule.id, &mut head);
                head.extend_from_slice(b",\"title\":");
                json(&rule.title, &mut head);
                head.extend_from_slice(b",\"level\":");
                json(&rule.level, &mut head);
                head.extend_from_slice(b",\"file\":");
                tail.extend_from_slice(b"},\"tags\":");
                serde_json::to_writer(&mut tail, &rule.tags)
                    .expect("a list of strings is always JSON");
                tail.extend_from_slice(b"}\n");
            }
            Output::Table => {
                let level = printable(&rule.level);
                write!(head, "{level:<13} ").expect("writing to memory cannot fail");
                write!(tail, "{}", printable(&rule.title)).expect("writing to memory cannot fail");
            }
        }
        Self { head, tail }
    }

    /// Appends the line of a match. Of two values of a field the first is told.
    pub fn write<'m>(
        &self,
        place: Place<'_>,
        matched: impl Iterator<Item = (&'m str, Cow<'m, str>)>,
        output: Output,
        lines: &mut Vec<u8>,
    ) {
        lines.extend_from_slice(&self.head);
        match output {
            Output::Ndjson => {
                json(place.file, lines);
                write!(
                    lines,
                    ",\"record\":{},\"event_time\":\"{}\",\"matched\":{{",
                    place.record, place.event_time
                )
                .expect("writing to memory cannot fail");
                let mut names: Vec<&str> = Vec::with_capacity(8);
                for (name, value) in matched {
                    if names.contains(&name) {
                        continue;
                    }
                    if !names.is_empty() {
                        lines.push(b',');
                    }
                    names.push(name);
                    json(name, lines);
                    lines.push(b':');
                    json(&value, lines);
                }
                lines.extend_from_slice(&self.tail);
            }
            Output::Table => {
                write!(
                    lines,
                    "{}  {}:{}  ",
                    place.event_time,
                    printable(place.file),
                    place.record
                )
                .expect("writing to memory cannot fail");
                lines.extend_from_slice(&self.tail);
                for (index, (name, value)) in matched.enumerate() {
                    let space = if index == 0 { "  " } else { " " };
                    write!(lines, "{space}{}={}", printable(name), printable(&value))
                        .expect("writing to memory cannot fail");
                }
                lines.push(b'\n');
            }
        }
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

/// Appends a text as JSON. Most of the time of writing lines goes here: what needs no escape is looked at eight
/// bytes at a time and copied at once.
fn json(text: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut rest = text.as_bytes();
    out.push(b'"');
    loop {
        let plain = plain_bytes(rest);
        out.extend_from_slice(&rest[..plain]);
        let Some((&byte, after)) = rest[plain..].split_first() else {
            break;
        };
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => {
                let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&digits);
            }
        }
        rest = after;
    }
    out.push(b'"');
}

/// How many bytes at the front JSON takes as they are.
fn plain_bytes(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    let mut plain = 0;
    for word in bytes.chunks_exact(8) {
        let word = u64::from_le_bytes(word.try_into().expect("chunks of eight"));
        let zero_bytes = |word: u64| word.wrapping_sub(ONES) & !word;
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let special = zero_bytes(word ^ (ONES * u64::from(b'"')))
            | zero_bytes(word ^ (ONES * u64::from(b'\\')))
            | control;
        // A borrow may mark a byte too many, but only behind a right one: the lowest is right.
        if special & HIGH != 0 {
            return plain + (special & HIGH).trailing_zeros() as usize / 8;
        }
        plain += 8;
    }
    let is_special = |&byte: &u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    plain
        + bytes[plain..]
            .iter()
            .position(is_special)
            .unwrap_or(bytes.len() - plain)
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

    const PLACE: Place<'_> = Place {
        file: "a\u{1b}b.log",
        record: 7,
        event_time: "2026-11-22T03:04:05.000006Z",
    };

    #[test]
    fn a_line_is_json_with_the_promised_keys_in_their_order() {
        let matched = [("User", "x\n\"y\""), ("User", "again"), ("", "word")];
        let mut lines = Vec::new();
        RuleLine::new(&rule(), Output::Ndjson).write(
            PLACE,
            matched
                .map(|(name, value)| (name, Cow::Borrowed(value)))
                .into_iter(),
            Output::Ndjson,
            &mut lines,
        );
        assert_eq!(
            String::from_utf8(lines).unwrap(),
            "{\"rule_id\":\"r-1\",\"title\":\"A \\\"title\\\"\",\"level\":\"high\",\"file\":\"a\\u001bb.log\",\"record\":7,\
             \"event_time\":\"2026-11-22T03:04:05.000006Z\",\"matched\":{\"User\":\"x\\n\\\"y\\\"\",\"\":\"word\"},\
             \"tags\":[\"attack.t1110\"]}\n"
        );
    }

    #[test]
    fn texts_are_escaped_as_serde_does() {
        let mut texts: Vec<String> = (0..=0x100u32)
            .filter_map(char::from_u32)
            .map(String::from)
            .collect();
        texts.extend(
            [
                "",
                "C:\\Windows\\System32",
                "12345678\"",
                "Ứng dụng \u{7f} \u{1f}x",
                "\u{0}\u{1}\u{2}",
            ]
            .map(String::from),
        );
        for text in &texts {
            for place in 0..9 {
                let padded = format!("{}{text}{}", "a".repeat(place), "b".repeat(9));
                let mut ours = Vec::new();
                json(&padded, &mut ours);
                let read: String = serde_json::from_slice(&ours).unwrap();
                assert_eq!(read, padded);
                assert!(ours.len() <= serde_json::to_string(&padded).unwrap().len() + 4);
            }
        }
    }

    #[test]
    fn a_row_commands_no_terminal() {
        let matched = [("User", "x\u{1b}[2J")];
        let mut lines = Vec::new();
        RuleLine::new(&rule(), Output::Table).write(
            PLACE,
            matched
                .map(|(name, value)| (name, Cow::Borrowed(value)))
                .into_iter(),
            Output::Table,
            &mut lines,
        );
        assert_eq!(
            String::from_utf8(lines).unwrap(),
            "high          2026-11-22T03:04:05.000006Z  a\\u{1b}b.log:7  A \"title\"  User=x\\u{1b}[2J\n"
        );
    }
}
