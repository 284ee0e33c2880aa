//! Syslog: RFC 5424, and RFC 3164 as it is really written: with and without `<PRI>`, with times of either
//! RFC or of ISO 8601 (rsyslog's default file format since Debian 12), with and without a host.

use super::{Fit, Format, NotThisFormat};
use super::{checkpoint, cisco_header, snare};
use crate::beginning::Begins;
use crate::bytes::{find_any, leading_number, places_of};
use crate::draft::{Draft, Room, plain_number};
use crate::event::{ProblemKind, Value};
use crate::layouts::Group;
use crate::messages::{self, Syslog};
use crate::scan::{self, Scan};
use crate::time::Timestamp;
use crate::when;

pub(super) const SYSLOG: Format = Format {
    name: "syslog",
    description: "syslog: RFC 5424, RFC 3164 and its variants, and what the programs behind it say",
    begins: Begins::WORD.or(Begins::ANGLE),
    detect,
    read,
};

/// Asked last: a time as rsyslog writes it and a host are all that lines without a program's tag have.
pub(super) const BARE_SYSLOG: Format = Format {
    begins: Begins::DATE,
    detect: detect_bare,
    ..SYSLOG
};

fn detect_bare(text: &str) -> Option<&'static str> {
    let (_, rest) = when::iso(text, &jiff::tz::TimeZone::UTC)?;
    let is_rfc3339 = text.as_bytes()[10] == b'T' && text.len() - rest.len() > 19;
    (is_rfc3339 && rest.starts_with(' ')).then_some("begins with a time as rsyslog writes it")
}

/// RFC 5424 table 1.
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
    "ftp", "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4",
    "local5", "local6", "local7",
];
/// RFC 5424 table 2.
const SEVERITIES: [&str; 8] = [
    "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug",
];

fn detect(text: &str) -> Option<&'static str> {
    if without_octet_count(text).is_some_and(|text| priority(text).is_ok()) {
        return Some("begins with a syslog priority");
    }
    let context = crate::context::ParseContext::default();
    let now_is_no_matter = crate::time::Timestamp::from_seconds(1_750_000_000);
    let bsd_text = text.strip_prefix('*').unwrap_or(text);
    if let Some((_, rest)) = when::bsd(bsd_text, now_is_no_matter, &context) {
        return rest
            .starts_with([' ', ':'])
            .then_some("begins with a time as in RFC 3164");
    }
    // An ISO time begins many logs: a host and a program's tag must follow.
    let (_, rest) =
        when::iso(text, &context.default_zone).filter(|_| text.as_bytes()[10] == b'T')?;
    let (rest, _host) = scan::next_word(rest).ok()?;
    let (_, tag) = scan::next_word(rest).ok()?;
    (tag.ends_with(':') && tag.len() > 1).then_some("begins with an ISO time, a host and a program")
}

fn read<'a>(draft: &mut Draft<'a, '_>, text: &'a str) -> Fit {
    let text = without_octet_count(text).unwrap_or(text);
    let (rest, priority) = match priority(text) {
        Ok((rest, priority)) => (rest, Some(priority)),
        Err(_) => (text, None),
    };
    if let Some(known) = priority
        // The version; there is no other than the first.
        && let Some(rest) = scan::after(rest, "1 ")
    {
        return rfc5424(draft, rest, known);
    }
    rfc3164(draft, rest, priority)
}

fn facility_of(priority: u8) -> &'static str {
    FACILITIES[usize::from(priority >> 3)]
}

fn severity_of(priority: u8) -> &'static str {
    SEVERITIES[usize::from(priority & 7)]
}

fn priority_fields(draft: &mut Draft<'_, '_>, priority: Option<u8>) {
    if let Some(priority) = priority {
        draft.push("facility", Value::Str(facility_of(priority)));
        draft.push("severity", Value::Str(severity_of(priority)));
    }
}

/// What the header of a message says in fields; texts that are not there are empty.
struct Header<'a> {
    priority: Option<u8>,
    program: &'a str,
    pid: &'a str,
    /// What it is as a number, where that is known already.
    pid_number: Option<i64>,
    message_id: &'a str,
    /// What stands behind it; `None` where more comes before it.
    message: Option<&'a str>,
}

impl<'a> Header<'a> {
    /// Adds its fields, and the host that the draft has by now: for correlations to group by.
    fn write(&self, draft: &mut Draft<'a, '_>) {
        /// Stands for the names of a header.
        static NAMES: &str = "facility severity hostname program pid msgid message";
        let host = draft.event.host;
        let message = self.message.unwrap_or("");
        let before = draft.begin_group();
        let which = draft.put_group(7, |room| {
            let mut which = 0;
            if let Some(priority) = self.priority {
                which = 1;
                room.put("facility", Value::Str(facility_of(priority)));
                room.put("severity", Value::Str(severity_of(priority)));
            }
            put_text(room, &mut which, 1, "hostname", host);
            put_text(room, &mut which, 2, "program", self.program);
            match self.pid_number.or_else(|| plain_number(self.pid)) {
                Some(number) => {
                    which |= 1 << 3;
                    room.put("pid", Value::Int(number));
                }
                None => put_text(room, &mut which, 3, "pid", self.pid),
            }
            put_text(room, &mut which, 4, "msgid", self.message_id);
            put_text(room, &mut which, 5, "message", message);
            which
        });
        draft.end_group(before, Group::of(&NAMES, which), |draft| {
            priority_fields(draft, self.priority);
            draft.text("hostname", host);
            draft.text("program", self.program);
            draft.number("pid", self.pid);
            draft.text("msgid", self.message_id);
            draft.text("message", message);
        });
    }
}

/// Puts a text unless it is empty, and notes its number in `which`.
#[inline(always)]
fn put_text<'a>(
    room: &mut Room<'a>,
    which: &mut u32,
    number: u32,
    name: &'static str,
    text: &'a str,
) {
    if !text.is_empty() {
        *which |= 1 << number;
        room.put(name, Value::Str(text));
    }
}

/// `123 <34>...`: RFC 6587's framing by octet count, where a collector left it in.
fn without_octet_count(text: &str) -> Option<&str> {
    if scan::begins(text, "<") {
        return Some(text);
    }
    // Most texts without a priority begin with a letter.
    if !text.as_bytes().first()?.is_ascii_digit() {
        return None;
    }
    let (count, rest) = text.split_once(' ')?;
    let is_count =
        (1..=7).contains(&count.len()) && count.bytes().all(|byte| byte.is_ascii_digit());
    (is_count && rest.starts_with('<')).then_some(rest)
}

/// `<PRI>` of at most 191.
#[inline]
fn priority(text: &str) -> Scan<'_, u8> {
    let value = |digit: &u8| u16::from(digit.wrapping_sub(b'0'));
    // Mostly of two digits.
    if let Some([b'<', ten @ b'0'..=b'9', one @ b'0'..=b'9', b'>']) = text.as_bytes().first_chunk()
    {
        return Ok((&text[4..], (ten - b'0') * 10 + (one - b'0')));
    }
    let (digits, number) = match text.as_bytes() {
        [b'<', one @ b'0'..=b'9', b'>', ..] => (1, value(one)),
        [
            b'<',
            hundred @ b'0'..=b'9',
            ten @ b'0'..=b'9',
            one @ b'0'..=b'9',
            b'>',
            ..,
        ] => (3, value(hundred) * 100 + value(ten) * 10 + value(one)),
        _ => return Err(nom::Err::Error(())),
    };
    match (u8::try_from(number), text.get(digits + 2..)) {
        (Ok(number @ 0..=191), Some(rest)) => Ok((rest, number)),
        _ => Err(nom::Err::Error(())),
    }
}

/// RFC 5424 section 6: `TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA [MSG]`.
fn rfc5424<'a>(draft: &mut Draft<'a, '_>, text: &'a str, priority: u8) -> Fit {
    let Ok((rest, [time, host, program, pid, message_id])) = words(text) else {
        priority_fields(draft, Some(priority));
        return Err(NotThisFormat);
    };
    let read = draft.scratch.dates.iso(time, &draft.context.default_zone);
    match read {
        Some((time, "")) => draft.time(time),
        _ if time == "-" => {}
        _ => draft.note(ProblemKind::BadTime, "the time is not as RFC 5424 has it"),
    }
    draft.host(host);
    let without_dash = |text: &'a str| if text == "-" { "" } else { text };
    let mut header = Header {
        priority: Some(priority),
        program: without_dash(program),
        pid: without_dash(pid),
        pid_number: None,
        message_id: without_dash(message_id),
        message: None,
    };
    let rest = without_spaces(rest);
    let rest = checkpoint::fields_of(rest).unwrap_or(rest);
    let message = match scan::after(rest, "-") {
        Some(message) => message_of_5424(message),
        None => {
            header.write(draft);
            if checkpoint::is_one(rest) {
                return checkpoint::read(draft, rest);
            }
            let message = message_of_5424(structured_data(draft, rest));
            if let Some((_, columns)) = snare::parts(message) {
                return from_snare(draft, columns);
            }
            messages::read(draft, header.syslog(message));
            return Ok(());
        }
    };
    let speaker = messages::speaker(draft, header.program);
    if !speaker.is_known()
        && let Some((_, columns)) = snare::parts(message)
    {
        header.write(draft);
        return from_snare(draft, columns);
    }
    let syslog = header.syslog(message).trimmed();
    header.message = Some(syslog.message);
    header.write(draft);
    messages::understand_of(draft, syslog, speaker);
    Ok(())
}

/// The text behind structured data, without the mark that may stand before it. rsyslog writes the space that stood behind
/// an older header's tag as part of the message.
fn message_of_5424(text: &str) -> &str {
    let message = scan::after(text, " ").unwrap_or(text);
    let message = scan::after(message, "\u{FEFF}").unwrap_or(message);
    scan::after(message, " ").unwrap_or(message)
}

/// As many words, each behind spaces but the first.
#[inline]
fn words<const COUNT: usize>(mut text: &str) -> Scan<'_, [&str; COUNT]> {
    let mut words = [""; COUNT];
    // Mostly all of them are near, and one space is behind each.
    if let Some(near) = text.as_bytes().first_chunk() {
        let mut spaces = places_of(b' ', near);
        let mut begin = 0;
        let mut found = 0;
        while found < COUNT && spaces != 0 {
            let end = spaces.trailing_zeros() as usize;
            if end == begin {
                break;
            }
            words[found] = &text[begin..end];
            found += 1;
            begin = end + 1;
            spaces &= spaces - 1;
        }
        if found == COUNT {
            return Ok((&text[begin - 1..], words));
        }
    }
    for (place, word) in words.iter_mut().enumerate() {
        (text, *word) = if place == 0 {
            scan::word(text)?
        } else {
            scan::next_word(text)?
        };
    }
    Ok((text, words))
}

/// `[id name="value" ...][id ...]`; gives what follows.
fn structured_data<'a>(draft: &mut Draft<'a, '_>, text: &'a str) -> &'a str {
    let mut rest = text;
    while let Some(element) = scan::after(rest, "[") {
        let Some(end_of_id) = find_any([b' ', b']'], element.as_bytes()) else {
            draft.note(ProblemKind::Partial, "structured data is not closed");
            return rest;
        };
        let (id, mut parameters) = element.split_at(end_of_id);
        while let Some(parameter) = scan::after(parameters, " ") {
            let Some(equals) = scan::find_near(b'=', parameter.as_bytes()) else {
                break;
            };
            let (name, value_text) = (&parameter[..equals], &parameter[equals + 1..]);
            let Ok((after, value)) = quoted(draft, value_text) else {
                break;
            };
            let name = draft.inner_name("sd.", id, name);
            draft.push(name, Value::Str(value));
            parameters = after;
        }
        match scan::after(parameters, "]") {
            Some(after) => rest = after,
            None => {
                draft.note(
                    ProblemKind::Partial,
                    "structured data is not as RFC 5424 has it",
                );
                return parameters;
            }
        }
    }
    rest
}

/// A value in quotes, its escapes resolved; mostly there are none.
#[inline]
fn quoted<'a>(draft: &Draft<'a, '_>, text: &'a str) -> Scan<'a, &'a str> {
    if let Some(rest) = scan::after(text, "\"")
        && let Some(end) = find_any([b'"', b'\\'], rest.as_bytes())
        && rest.as_bytes()[end] == b'"'
    {
        return Ok((&rest[end + 1..], &rest[..end]));
    }
    let (after, value) = scan::quoted(text)?;
    Ok((after, scan::unescape(value, draft.arena)))
}

fn rfc3164<'a>(draft: &mut Draft<'a, '_>, text: &'a str, priority: Option<u8>) -> Fit {
    let received_at = draft.event.record.received_at;
    let whole = text;
    let text = match text.as_bytes().first() {
        Some(b' ' | b'*') => text.trim_start_matches([' ', '*']),
        _ => text,
    };
    let time = draft
        .scratch
        .dates
        .bsd(text, received_at, draft.context)
        .or_else(|| when::iso(text, &draft.context.default_zone));
    let rest = time.map_or(text, |(_, rest)| rest);
    let behind_time = without_spaces(scan::after(rest, ":").unwrap_or(rest));
    let (host, behind_host) = if time.is_some() {
        host_of(behind_time)
    } else {
        ("", behind_time)
    };
    let tag = program_tag(behind_host);
    // Where a program that is known speaks, no device of Cisco's and no Snare does: most records need not be searched
    // for their marks.
    let speaker = messages::speaker(draft, tag.program);
    if !speaker.is_known() {
        // The first letters of the marks: mostly there is neither.
        let head = &whole[..whole.floor_char_boundary(HEAD_BYTES_MAX)];
        let has_mark = find_any([b'%', b'M'], head.as_bytes()).is_some();
        if has_mark && let Some(header) = cisco_header::read(whole, received_at, draft.context) {
            priority_fields(draft, priority);
            return from_cisco(draft, &header, priority.map(facility_of));
        }
        if has_mark
            && (time.is_some() || priority.is_some())
            && snare::MARK.find(head).is_some()
            && let Some((host, columns)) = snare_columns(behind_time)
        {
            time_of_header(draft, time.map(|(time, _)| time));
            draft.host(host);
            priority_fields(draft, priority);
            host_field(draft);
            return from_snare(draft, columns);
        }
    }
    if time.is_none() && priority.is_none() {
        return Err(NotThisFormat);
    }
    time_of_header(draft, time.map(|(time, _)| time));
    draft.host(host);
    let mut header = Header {
        priority,
        program: tag.program,
        pid: tag.pid,
        pid_number: tag.pid_number,
        message_id: "",
        message: None,
    };
    let syslog = header.syslog(tag.message).trimmed();
    header.message = Some(syslog.message);
    header.write(draft);
    messages::understand_of(draft, syslog, speaker);
    // Firewalls say the time in their message.
    if time.is_none() && draft.event.event_time != received_at {
        let problems = &mut draft.event.problems;
        problems.retain(|problem| problem.kind != ProblemKind::BadTime);
    }
    Ok(())
}

/// The time that RFC 3164 has at the beginning.
fn time_of_header(draft: &mut Draft<'_, '_>, time: Option<Timestamp>) {
    match time {
        Some(time) => draft.time(time),
        None => draft.note(ProblemKind::BadTime, "no time where RFC 3164 has one"),
    }
}

impl<'a> Header<'a> {
    fn syslog(&self, message: &'a str) -> Syslog<'a> {
        Syslog {
            program: self.program,
            facility: self.priority.map(facility_of),
            message,
        }
    }
}

/// Bytes in which the marks are looked for that may stand behind a header.
const HEAD_BYTES_MAX: usize = 512;

/// Snare's columns, behind a host or none, or behind a host and a program's tag that relays put before them.
fn snare_columns(text: &str) -> Option<(&str, &str)> {
    snare::parts(text).or_else(|| {
        let (host, rest) = text.split_once(' ')?;
        let (_, columns) = snare::parts(rest.trim_start_matches(' '))?;
        Some((host, columns))
    })
}

fn from_snare<'a>(draft: &mut Draft<'a, '_>, columns: &'a str) -> Fit {
    if snare::read_columns(draft, columns).is_err() {
        draft.note(ProblemKind::Partial, "columns of Snare are missing");
        draft.push_if_absent("message", Value::Str(columns));
    }
    Ok(())
}

fn from_cisco<'a>(
    draft: &mut Draft<'a, '_>,
    header: &cisco_header::Header<'a>,
    facility: Option<&'static str>,
) -> Fit {
    match header.time {
        cisco_header::Clock::Set(time) => draft.time(time),
        cisco_header::Clock::NeverSet => draft.note(
            ProblemKind::BadTime,
            "the device's clock was never set (`*`); the time of receipt is taken",
        ),
        cisco_header::Clock::Silent => {}
    }
    draft.host(header.host);
    host_field(draft);
    let (program, message) = ("", header.message);
    messages::read(
        draft,
        Syslog {
            program,
            facility,
            message,
        },
    );
    Ok(())
}

/// The host, unless the first word is a program's tag. Some devices name themselves twice.
fn host_of(text: &str) -> (&str, &str) {
    // Mostly there is no bracket in the first word, and that is seen while its end is looked for.
    let bytes = text.as_bytes();
    let mut has_bracket = false;
    let mut found = find_any([b' ', b'['], bytes);
    if let Some(at) = found
        && bytes[at] == b'['
    {
        has_bracket = true;
        found = scan::find_near(b' ', bytes);
    }
    let Some(end) = found else {
        return ("", text);
    };
    let (first, rest) = (&text[..end], &text[end + 1..]);
    let is_tag = match first.as_bytes() {
        [b'%' | b'[' | b'(', ..] | [.., b':'] => true,
        word => has_bracket && word.contains(&b']'),
    };
    if is_tag {
        return ("", text);
    }
    let rest = without_spaces(rest);
    let same = |rest| scan::after(rest, first).and_then(|rest| scan::after(rest, " "));
    match rest
        .as_bytes()
        .first()
        .filter(|byte| first.as_bytes().first() == Some(byte))
        .and_then(|_| same(rest))
    {
        Some(behind) => (first, without_spaces(behind)),
        None => (first, rest),
    }
}

/// The text from the first character on that is no space; there mostly is one, or none.
#[inline]
fn without_spaces(text: &str) -> &str {
    match text.as_bytes() {
        [b' ', behind, ..] if *behind != b' ' => &text[1..],
        [b' ', ..] => text.trim_start_matches(' '),
        _ => text,
    }
}

struct Tag<'t> {
    program: &'t str,
    pid: &'t str,
    /// What the process's number is, where it is known to be one.
    pid_number: Option<i64>,
    message: &'t str,
}

/// `program[pid]: message`, `program: message`, or a message only.
fn program_tag(text: &str) -> Tag<'_> {
    let none = Tag {
        program: "",
        pid: "",
        pid_number: None,
        message: text,
    };
    let Some(end) = find_any([b':', b'[', b' '], text.as_bytes()) else {
        return none;
    };
    let (program, rest) = text.split_at(end);
    // CEF and LEEF begin as a tag does.
    if program.is_empty() || scan::begins(rest, " ") || matches!(program, "CEF" | "LEEF") {
        return none;
    }
    if let Some(rest) = scan::after(rest, ":") {
        return Tag {
            program,
            pid: "",
            pid_number: None,
            message: without_spaces(rest),
        };
    }
    // What stands in brackets has no space in it.
    let pid_text = &rest[1..];
    let (end, pid_number) = match number_in_bracket(pid_text.as_bytes()) {
        Some((end, number)) => (Some(end), Some(number)),
        None => (find_any([b']', b' '], pid_text.as_bytes()), None),
    };
    match end {
        Some(end) if pid_text.as_bytes()[end] == b']' => {
            let (pid, rest) = (&pid_text[..end], &pid_text[end + 1..]);
            let message = scan::after(rest, ":").unwrap_or(rest);
            Tag {
                program,
                pid,
                pid_number,
                message: without_spaces(message),
            }
        }
        _ => none,
    }
}

/// The number of up to seven digits, without zeros before it, that stands before a closing bracket, and its length.
#[inline]
fn number_in_bracket(text: &[u8]) -> Option<(usize, i64)> {
    let (digits, number) = leading_number(text)?;
    let is_plain = text[0] != b'0' && text[digits] == b']';
    is_plain.then_some((digits, i64::from(number)))
}

/// The host as a field, for correlations to group by: the agent's where the line names none.
fn host_field(draft: &mut Draft<'_, '_>) {
    let host = draft.event.host;
    draft.text("hostname", host);
}
