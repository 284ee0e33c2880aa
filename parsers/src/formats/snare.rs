//! Snare's text form of Windows events, which NXLog writes too: columns separated by tabs behind `MSWinEventLog`
//! (Snare for Windows, "Event output format"). The last column is the message with its line ends and tabs made spaces;
//! EventData is found again by the labels in it.

use bumpalo::collections::String as ArenaString;

use super::{Fit, Format, NotThisFormat, windows};
use crate::beginning::Begins;
use crate::bytes::find_any;
use crate::draft::Draft;
use crate::event::Value;
use crate::scan::Word;
use crate::when;

pub(super) const SNARE: Format = Format {
    name: "snare",
    description: "Windows events as Snare's tab separated text (MSWinEventLog)",
    begins: Begins::WORD.or(Begins::BRACKET),
    detect,
    read,
};

pub(super) const MARK: Word = Word::new("MSWinEventLog");

/// Bytes in which the mark is looked for: a host's name may stand before it.
const HOST_BYTES_MAX: usize = 256;

fn detect(text: &str) -> Option<&'static str> {
    parts(text).map(|_| "has Snare's mark MSWinEventLog, alone or behind a host")
}

/// The host before the mark, and what follows the mark from its separator on.
pub(super) fn parts(text: &str) -> Option<(&str, &str)> {
    let head = &text[..text.floor_char_boundary(HOST_BYTES_MAX)];
    // Every record of unknown format is asked: most are done with here.
    if matches!(
        head.as_bytes().first(),
        None | Some(b'{' | b'<' | b'"' | b'|')
    ) {
        return None;
    }
    // The mark begins it, or stands behind the first word.
    let first = find_any([b' ', b'\t', b'#', b'M'], head.as_bytes())?;
    if matches!(head.as_bytes()[first], b' ' | b'\t') {
        let behind = head[first..].trim_start_matches([' ', '\t']);
        if !matches!(behind.as_bytes(), [b'M' | b'#', ..]) {
            return None;
        }
    }
    let at = MARK.find(head)?;
    let (before, behind) = (&text[..at], &text[at + MARK.as_str().len()..]);
    let host = before.trim_end_matches(['\t', ' ']);
    let host = host.strip_suffix("#011").unwrap_or(host);
    let is_host = !host.contains([' ', '\t', '<', '{', '"', '|']);
    let is_marked = behind.starts_with(['\t']) || behind.starts_with("#011");
    let is_apart = before.is_empty() || host.len() < before.len();
    (is_host && is_marked && is_apart).then_some((host, behind))
}

fn read<'a>(draft: &mut Draft<'a, '_>, text: &'a str) -> Fit {
    let (host, columns) = parts(text).ok_or(NotThisFormat)?;
    draft.host(host);
    read_columns(draft, columns)
}

/// Names of the columns that become fields as they stand. The time and the message are read besides.
const COLUMNS: [&str; 13] = [
    "Criticality",
    "Channel",
    "SnareCounter",
    "EventTime",
    "EventID",
    "Provider_Name",
    "User",
    "SIDType",
    "EventLogType",
    "Computer",
    "Category",
    "Data",
    "message",
];

/// Reads what follows the mark. The event keeps its format's name.
pub(super) fn read_columns<'a>(draft: &mut Draft<'a, '_>, text: &'a str) -> Fit {
    let format = draft.event.format;
    let text = with_tabs(draft, text);
    let mut columns = text.trim_start_matches('\t').split('\t').map(str::trim);
    for name in COLUMNS {
        let Some(column) = columns.next() else {
            break;
        };
        match name {
            _ if column.is_empty() || column == "N/A" => {}
            "Criticality" | "SnareCounter" | "EventID" => draft.number(name, column),
            _ => draft.text(name, column),
        }
    }
    if draft.get_int("EventID").is_none() || draft.get("Channel").is_none() {
        return Err(NotThisFormat);
    }
    if let Some(time) = draft
        .get_str("EventTime")
        .and_then(|text| when::any(text, draft.context))
    {
        draft.time(time);
    }
    let message = draft.get_str("message").unwrap_or("");
    let channel = draft.get_str("Channel").unwrap_or("");
    if channel.contains("Sysmon") {
        sysmon_data(draft, message);
    } else {
        labelled_data(draft, message, channel);
    }
    windows::finish(draft);
    draft.event.format = format;
    Ok(())
}

/// rsyslog writes control characters as `#` and three octal digits.
fn with_tabs<'a>(draft: &Draft<'a, '_>, text: &'a str) -> &'a str {
    if !text.starts_with("#011") {
        return text;
    }
    let mut plain = ArenaString::with_capacity_in(text.len(), draft.arena);
    for column in text.split("#011") {
        plain.push('\t');
        plain.push_str(column);
    }
    plain.into_bump_str()
}

/// The pieces of a message between two or more spaces, each with its place.
fn pieces(message: &str) -> impl Iterator<Item = (usize, &str)> {
    let start = message.as_ptr() as usize;
    message
        .split("  ")
        .map(str::trim)
        .filter(|piece| !piece.is_empty())
        .map(move |piece| (piece.as_ptr() as usize - start, piece))
}

/// Sysmon's `Name: value` pairs. A value reaches up to the next pair, for command lines may hold several spaces.
fn sysmon_data<'a>(draft: &mut Draft<'a, '_>, message: &'a str) {
    let mut open: Option<(&'a str, usize)> = None;
    let close = |draft: &mut Draft<'a, '_>, open: Option<(&'a str, usize)>, end: usize| {
        let Some((name, from)) = open else { return };
        match message[from..end].trim() {
            "" | "-" => {}
            // The columns of the record have a user too: whose process wrote the event.
            value if name == "User" => draft.set("User", Value::Str(value)),
            value => draft.number(name, value),
        }
    };
    for (at, piece) in pieces(message) {
        let Some((name, _)) = piece
            .split_once(':')
            .filter(|(name, rest)| is_name(name) && (rest.is_empty() || rest.starts_with(' ')))
        else {
            continue;
        };
        close(draft, open, at);
        open = Some((&message[at..at + name.len()], at + name.len() + 1));
    }
    close(draft, open, message.len());
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Labels that mean the same under whatever heading.
const LABELS: [(&str, &str); 28] = [
    ("Logon Type", "LogonType"),
    ("Logon Process", "LogonProcessName"),
    ("Authentication Package", "AuthenticationPackageName"),
    ("Workstation Name", "WorkstationName"),
    ("Source Workstation", "Workstation"),
    ("Source Network Address", "IpAddress"),
    ("Client Address", "IpAddress"),
    ("Source Address", "IpAddress"),
    ("Source Port", "IpPort"),
    ("Client Port", "IpPort"),
    ("Status", "Status"),
    ("Sub Status", "SubStatus"),
    ("Failure Reason", "FailureReason"),
    ("Failure Code", "Status"),
    ("New Process ID", "NewProcessId"),
    ("New Process Name", "NewProcessName"),
    ("Creator Process ID", "ProcessId"),
    ("Creator Process Name", "ParentProcessName"),
    ("Caller Process Name", "ProcessName"),
    ("Process Name", "ProcessName"),
    ("Process Command Line", "CommandLine"),
    ("Token Elevation Type", "TokenElevationType"),
    ("Mandatory Label", "MandatoryLabel"),
    ("Service Name", "ServiceName"),
    ("Service File Name", "ServiceFileName"),
    ("Task Name", "TaskName"),
    ("Share Name", "ShareName"),
    ("Group Name", "TargetUserName"),
];

/// Labels of an account: as the subject, as a member of a group, as the target.
const ACCOUNT: [(&str, &str, &str, &str); 4] = [
    (
        "Security ID",
        "SubjectUserSid",
        "MemberSid",
        "TargetUserSid",
    ),
    (
        "Account Name",
        "SubjectUserName",
        "MemberName",
        "TargetUserName",
    ),
    (
        "Account Domain",
        "SubjectDomainName",
        "",
        "TargetDomainName",
    ),
    ("Logon ID", "SubjectLogonId", "", "TargetLogonId"),
];

/// `Subject:   Security ID:  S-1-5-18   Account Name:  DC01$`: headings, labels and values of Windows' own messages.
fn labelled_data<'a>(draft: &mut Draft<'a, '_>, message: &'a str, channel: &str) {
    let mut heading = "";
    let mut label = "";
    for (at, piece) in pieces(message) {
        if let Some(name) = piece.strip_suffix(':') {
            if field_of(label, heading).is_none() && !label.is_empty() {
                heading = label;
            }
            label = name;
            if field_of(name, "").is_none() {
                heading = name;
            }
            continue;
        }
        let (name, value, from) = match piece.split_once(':') {
            Some((name, value)) if field_of(name, heading).is_some() && value.starts_with(' ') => {
                (name, value.trim(), at + name.len() + 1)
            }
            _ => (label, piece, at),
        };
        label = "";
        let Some(field) = field_of(name, heading) else {
            continue;
        };
        let (field, value) = match field {
            "CommandLine" => (field, command_line(&message[from..])),
            "ServiceFileName" if channel.eq_ignore_ascii_case("System") => ("ImagePath", value),
            _ => (field, value),
        };
        if !matches!(value, "-" | "") {
            draft.push_if_absent(field, value_of(value));
        }
    }
}

/// Numbers are numbers.
fn value_of(text: &str) -> Value<'_> {
    crate::draft::plain_number(text).map_or(Value::Str(text), Value::Int)
}

/// The last thing said of a new process; an explanation follows it.
fn command_line(text: &str) -> &str {
    let end = text
        .find("  Token Elevation Type indicates")
        .unwrap_or(text.len());
    text[..end].trim()
}

fn field_of(label: &str, heading: &str) -> Option<&'static str> {
    if let Some((_, field)) = LABELS.iter().find(|(known, _)| *known == label) {
        return Some(field);
    }
    let (_, subject, member, target) = ACCOUNT.iter().find(|(known, ..)| *known == label)?;
    let field = match heading {
        "Subject" | "Creator Subject" => subject,
        "Member" => member,
        _ => target,
    };
    (!field.is_empty()).then_some(*field)
}
