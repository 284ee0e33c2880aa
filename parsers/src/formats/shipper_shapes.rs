//! Log lines within the envelopes of others' shippers: Vector, Fluent Bit, Beats, rsyslog, syslog-ng, NXLog and
//! Wazuh as they write JSON. An envelope holds a whole line, or what its shipper has taken apart already.

use super::read_message;
use super::shapes::{Shape, shape};
use crate::draft::Draft;
use crate::event::Value;
use crate::messages::{self, Syslog};
use crate::when;

/// What names of fields the envelopes are known by. They come after whatever a log says of itself.
pub(super) static SHAPES: [Shape; 8] = [
    // rsyslog's templates and its property `jsonmesg`.
    shape(
        "json",
        &[&["programname", "syslogtag"], &["msg", "message"]],
        syslog_parts,
    ),
    // syslog-ng's $(format-json).
    shape(
        "json",
        &[&["PROGRAM", "LEGACY_MSGHDR"], &["MESSAGE"]],
        syslog_parts,
    ),
    // Fluent Bit's syslog parsers.
    shape(
        "json",
        &[&["ident"], &["message"], &["pri", "host"]],
        syslog_parts,
    ),
    // Vector.
    shape("json", &[&["source_type"], &["message"]], line_or_parts),
    // Filebeat, from version 6 on.
    shape(
        "json",
        &[
            &["agent.type", "@metadata.beat", "beat.name"],
            &["message"],
            &["log.file.path", "input.type", "source", "process.program"],
        ],
        line_or_parts,
    ),
    // NXLog.
    shape(
        "json",
        &[
            &["SourceModuleName", "SourceModuleType"],
            &["Message", "raw_event"],
        ],
        line_or_parts,
    ),
    // Wazuh's archives and alerts.
    shape(
        "json",
        &[&["full_log"], &["location", "decoder.name", "manager.name"]],
        wazuh,
    ),
    // Fluent Bit's tail and Fluentd.
    shape(
        "json",
        &[&["log"], &["@timestamp", "date", "timestamp", "time"]],
        line,
    ),
];

/// Fields that hold a whole line or its message.
static LINES: [&str; 7] = [
    "message",
    "log",
    "full_log",
    "msg",
    "MESSAGE",
    "Message",
    "raw_event",
];
/// Fields that name the program.
static PROGRAMS: [&str; 10] = [
    "programname",
    "PROGRAM",
    "ident",
    "appname",
    "app-name",
    "SYSLOG_IDENTIFIER",
    "_COMM",
    "process.program",
    // ECS, as Filebeat's processor `syslog` writes it.
    "log.syslog.appname",
    "SourceName",
];
/// Fields that name the host, beside those of all JSON.
static HOSTS: [&str; 4] = [
    "HOST",
    "hostname",
    "predecoder.hostname",
    "log.syslog.hostname",
];
/// Fields that hold the message's own time, beside those of all JSON.
static TIMES: [&str; 3] = ["timereported", "ISODATE", "timegenerated"];

fn text_of<'a>(draft: &mut Draft<'a, '_>, names: &'static [&'static str]) -> Option<&'a str> {
    draft.first_of(names, |_, value| match value {
        Value::Str(text) if !text.is_empty() && text != "-" => Some(text),
        _ => None,
    })
}

/// A whole line.
fn line(draft: &mut Draft<'_, '_>) {
    // What stands within an envelope is no envelope by the names around it.
    if draft.is_nested() {
        return;
    }
    let Some(text) = text_of(draft, &LINES) else {
        return;
    };
    read_message(draft, text.trim_end_matches(['\n', '\r']));
    // The line's message takes the place of the line, which the record holds.
    if let Some(Value::List([_, .., message])) = draft.get("message") {
        draft.set("message", *message);
    }
    draft.event.format = "json";
}

/// A line that was taken apart if its program is known, otherwise a whole one.
fn line_or_parts(draft: &mut Draft<'_, '_>) {
    if draft.is_nested() {
        return;
    }
    match text_of(draft, &PROGRAMS) {
        Some(_) => syslog_parts(draft),
        None => line(draft),
    }
}

/// What is left of a syslog line that was taken apart.
fn syslog_parts<'a>(draft: &mut Draft<'a, '_>) {
    if draft.is_nested() {
        return;
    }
    if let Some(time) = text_of(draft, &TIMES).and_then(|text| when::any(text, draft.context)) {
        draft.time(time);
    }
    if let Some(host) = text_of(draft, &HOSTS) {
        draft.host(host);
    }
    let Some(message) = text_of(draft, &LINES) else {
        return;
    };
    let message = message
        .trim_start_matches(' ')
        .trim_end_matches(['\n', '\r']);
    let Some(program) = text_of(draft, &PROGRAMS).or_else(|| tag(draft)) else {
        return line(draft);
    };
    draft.push_if_absent("program", Value::Str(program));
    static PIDS: [&str; 6] = [
        "procid",
        "PID",
        "_PID",
        "ProcessID",
        "process.pid",
        "log.syslog.procid",
    ];
    if let Some(pid) = draft.first_of(&PIDS, |_, value| match value {
        Value::Str("" | "-") => None,
        pid => Some(pid),
    }) {
        draft.push_if_absent("pid", pid);
    }
    static FACILITIES: [&str; 7] = [
        "facility",
        "FACILITY",
        "syslogfacility-text",
        "SyslogFacility",
        "syslogfacility",
        "syslog.facility",
        "log.syslog.facility.code",
    ];
    let facility = draft.first_of(&FACILITIES, |_, value| match value {
        Value::Str(text) if text.eq_ignore_ascii_case("auth") || text == "4" => Some("auth"),
        Value::Str(text) if text.eq_ignore_ascii_case("authpriv") || text == "10" => {
            Some("authpriv")
        }
        Value::Int(4) => Some("auth"),
        Value::Int(10) => Some("authpriv"),
        _ => None,
    });
    draft.push_if_absent("message", Value::Str(message));
    messages::understand(
        draft,
        Syslog {
            program,
            facility,
            message,
        }
        .trimmed(),
    );
    draft.event.format = "json";
}

/// The program in `sshd[2211]:`.
fn tag<'a>(draft: &mut Draft<'a, '_>) -> Option<&'a str> {
    static TAGS: [&str; 2] = ["syslogtag", "LEGACY_MSGHDR"];
    let tag = text_of(draft, &TAGS)?;
    let end = tag.find(['[', ':', ' ']).unwrap_or(tag.len());
    Some(&tag[..end]).filter(|program| !program.is_empty())
}

/// Wazuh's own time and agent stand around the line.
fn wazuh(draft: &mut Draft<'_, '_>) {
    if draft.is_nested() {
        return;
    }
    static AGENTS: [&str; 2] = ["predecoder.hostname", "agent.name"];
    if let Some(host) = text_of(draft, &AGENTS) {
        draft.host(host);
    }
    line(draft);
}
