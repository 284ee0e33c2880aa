//! Linux's audit log: raw or enriched, one line or all lines of a serial in one record.
//!
//! The event is what the lines say together: a field of each under its own name, and beside them the fields
//! of the log sources it also belongs to (process creation, file event, network connection).

use bumpalo::collections::{String as ArenaString, Vec as ArenaVec};

use super::sockaddr::internet_address;
use super::syscalls::syscall_name;
use super::{Fit, Format, NotThisFormat};
use crate::beginning::Begins;
use crate::bytes::same_bytes;
use crate::draft::{Draft, first_str, int_of};
use crate::event::{ProblemKind, Value};
use crate::layouts::Table;
use crate::scan::{self, Pair, Quotes, Word};
use crate::when;

pub(super) const AUDITD: Format = Format {
    name: "auditd",
    description: "Linux audit: raw or enriched, one line or all lines of a serial",
    begins: Begins::PAIR.or(Begins::LETTER).or(Begins::BRACKET),
    detect,
    read,
};

/// Separates what the kernel said from what auditd added (log_format = ENRICHED).
const ENRICHED: char = '\u{1d}';

const EXECVE: Word = Word::new("type=EXECVE");
/// What a program said to the audit system stands in quotes behind it.
const SAID: Word = Word::new("msg='");

/// Fields that hold what processes choose: written in quotes, or in hexadecimal when they hold odd bytes.
fn is_untrusted(key: &str) -> bool {
    let of_that_length: &[&str] = match key.len() {
        2 => &["vm", "sw"],
        3 => &["exe", "cwd", "key", "cmd", "dir", "grp"],
        4 => &["comm", "name", "acct", "file", "path", "data"],
        5 => &["ocomm", "watch"],
        8 => &["old-disk", "new-disk", "root_dir"],
        9 => &["proctitle"],
        _ => &[],
    };
    of_that_length
        .iter()
        .any(|name| same_bytes(name.as_bytes(), key.as_bytes()))
}

/// `type=T msg=audit(time:serial): fields`.
struct Line<'t> {
    node: &'t str,
    kind: &'t str,
    time: &'t str,
    serial: &'t str,
    fields: &'t str,
}

fn line(text: &str) -> Option<Line<'_>> {
    let (node, text) = match scan::after(text, "node=") {
        Some(rest) => scan::split_near(rest, b' ')?,
        None => ("", text),
    };
    let text = scan::after(text, "audit: ").unwrap_or(text);
    let (kind, rest) = scan::split_near(scan::after(text, "type=")?, b' ')?;
    let rest = scan::after(rest, "msg=").unwrap_or(rest);
    let (stamp, fields) = scan::split_near(scan::after(rest, "audit(")?, b')')?;
    let (time, serial) = scan::split_near(stamp, b':')?;
    let fields = scan::after(fields, ":").unwrap_or(fields);
    Some(Line {
        node,
        kind,
        time,
        serial,
        fields,
    })
}

fn without_uptime(text: &str) -> &str {
    text.strip_prefix('[')
        .and_then(|text| text.split_once("] "))
        .map_or(text, |(_, rest)| rest)
}

fn detect(text: &str) -> Option<&'static str> {
    line(without_uptime(text)).map(|_| "begins with type= and audit(time:serial)")
}

/// What is gathered over the lines of a record.
struct Gathered<'a> {
    arguments: ArenaVec<'a, &'a str>,
    has_execve: bool,
    destination: Option<&'a [u8]>,
    created: Option<&'a str>,
    deleted: Option<&'a str>,
}

fn read<'a>(draft: &mut Draft<'a, '_>, text: &'a str) -> Fit {
    let first = line(without_uptime(text)).ok_or(NotThisFormat)?;
    match when::epoch_text(first.time) {
        Some(time) => draft.time(time),
        None => draft.note(ProblemKind::BadTime, "the time in audit(...) is none"),
    }
    draft.host(first.node);
    // Correlations group by it, as by syslog's; an audit record alone does not say where it was written.
    let host = draft.event.host;
    draft.text("hostname", host);
    draft.number("serial", first.serial);
    let mut gathered = Gathered::new(draft, EXECVE.find(text).is_some());
    if memchr::memchr(b'\n', text.as_bytes()).is_none() {
        line_fields(draft, &first, &mut gathered);
        finish(draft, &gathered);
        return Ok(());
    }
    for text in text.lines().filter(|text| !text.is_empty()) {
        match line(without_uptime(text)) {
            Some(line) if line.serial == first.serial => line_fields(draft, &line, &mut gathered),
            Some(_) => {
                draft.note_once(ProblemKind::Partial, "lines of another serial are left out")
            }
            None => draft.note_once(ProblemKind::Partial, "a line is not of the audit log"),
        }
    }
    finish(draft, &gathered);
    Ok(())
}

fn line_fields<'a>(draft: &mut Draft<'a, '_>, line: &Line<'a>, gathered: &mut Gathered<'a>) {
    draft.text("type", line.kind);
    let (fields, inner) = match SAID.split(line.fields) {
        Some((before, inner)) => (
            before,
            inner.rsplit_once('\'').map_or(inner, |(inner, _)| inner),
        ),
        None => (line.fields, ""),
    };
    let is_execve = line.kind == "EXECVE";
    let mut path = (None, None);
    let kernel_and_added = fields.split(ENRICHED).chain(
        line.fields
            .rsplit_once(ENRICHED)
            .filter(|_| !inner.is_empty())
            .map(|(_, added)| added),
    );
    for part in kernel_and_added {
        for pair in scan::pairs_by(part, &[' ', '\u{1d}']) {
            let Some(value) = value_of(draft, &pair, is_execve) else {
                continue;
            };
            match pair.key {
                "name" => path.0 = Some(value),
                "nametype" => path.1 = Some(value),
                "saddr" => gathered.destination = scan::hex(value, draft.arena),
                _ => {}
            }
            if is_execve && is_argument(pair.key) {
                argument(draft, &pair, value, gathered);
            } else if gathered.has_execve && line.kind == "SYSCALL" && is_argument(pair.key) {
                let name = draft.concat(&["syscall_", pair.key]);
                draft.text(name, value);
            } else {
                field(draft, pair.key, value);
            }
        }
    }
    for pair in scan::pairs_by(inner, &[' ', ',']) {
        if let Some(value) = value_of(draft, &pair, false) {
            // Here it is the host that somebody came from; `hostname` is the one that speaks.
            let key = if pair.key == "hostname" {
                "SourceHostname"
            } else {
                pair.key
            };
            field(draft, key, value);
        }
    }
    match path {
        (Some(name), Some("CREATE")) => gathered.created = Some(name),
        (Some(name), Some("DELETE")) => gathered.deleted = Some(name),
        _ => {}
    }
}

/// Keys set by rules may be several, joined by a control character.
fn field<'a>(draft: &mut Draft<'a, '_>, key: &'a str, value: &'a str) {
    if key == "key" && value.contains('\u{1}') {
        for one in value.split('\u{1}') {
            draft.text(key, one);
        }
    } else if matches!(key, "a0" | "a1" | "a2" | "a3") {
        draft.text(key, value);
    } else {
        draft.number(key, value);
    }
}

/// `a0`, `a12`, `a1[3]`, but not `a1_len`.
fn is_argument(key: &str) -> bool {
    key.strip_prefix('a')
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()) && !rest.contains('_'))
}

/// A long argument is cut into parts `a1[0]`, `a1[1]`, which follow each other.
fn argument<'a>(
    draft: &mut Draft<'a, '_>,
    pair: &Pair<'a>,
    value: &'a str,
    gathered: &mut Gathered<'a>,
) {
    match pair.key.split_once('[') {
        Some((name, "0]")) => {
            draft.text(name, value);
            gathered.arguments.push(value);
        }
        Some((name, _)) => {
            if let Some(whole) = gathered.arguments.last_mut() {
                let longer = draft.concat(&[whole, value]);
                *whole = longer;
                draft.set_given(name, Value::Str(longer));
            }
        }
        None => {
            draft.push(pair.key, Value::Str(value));
            gathered.arguments.push(value);
        }
    }
}

/// The value as text: quotes off, hexadecimal decoded; `None` for what stands for nothing.
fn value_of<'a>(draft: &Draft<'a, '_>, pair: &Pair<'a>, is_execve: bool) -> Option<&'a str> {
    if pair.quotes == Quotes::Double {
        return Some(pair.value);
    }
    let value = pair.value.trim_end_matches(',');
    if matches!(value, "" | "(null)" | "?" | "(none)" | "\"?\"") {
        return None;
    }
    let may_be_hex = is_untrusted(pair.key) || (is_execve && is_argument(pair.key));
    if !may_be_hex {
        return Some(value);
    }
    let Some(bytes) = scan::hex(value, draft.arena) else {
        return Some(value);
    };
    let text = ArenaString::from_utf8_lossy_in(bytes, draft.arena).into_bump_str();
    let text = text.trim_end_matches('\0');
    if !text.contains('\0') {
        return Some(text);
    }
    let mut spaced = ArenaString::with_capacity_in(text.len(), draft.arena);
    spaced.extend(text.chars().map(|c| if c == '\0' { ' ' } else { c }));
    Some(spaced.into_bump_str())
}

/// What kinds of lines mean. Kinds that are not here are named by their type alone.
const ACTIONS: [(&str, &str); 17] = [
    ("USER_LOGIN", "login"),
    ("USER_AUTH", "authenticate"),
    ("USER_LOGOUT", "logout"),
    ("USER_CMD", "sudo"),
    ("USER_START", "session_open"),
    ("USER_END", "session_close"),
    ("USER_ERR", "authenticate"),
    ("USER_CHAUTHTOK", "password_change"),
    ("ADD_USER", "user_add"),
    ("DEL_USER", "user_delete"),
    ("ADD_GROUP", "group_add"),
    ("DEL_GROUP", "group_delete"),
    ("SERVICE_START", "service_start"),
    ("SERVICE_STOP", "service_stop"),
    ("CONFIG_CHANGE", "audit_config_change"),
    ("EXECVE", "execute"),
    ("ANOM_PROMISCUOUS", "promiscuous_mode"),
];

/// The same for laurel's JSON, whose fields have the same names.
pub(super) fn finish_laurel(draft: &mut Draft<'_, '_>) {
    let kind = draft.get("type");
    let mut gathered = Gathered::new(draft, has(kind, "EXECVE"));
    if let Some(Value::Str("CREATE")) = draft.get("nametype") {
        gathered.created = draft.get_str("name");
    }
    finish(draft, &gathered);
}

impl<'a> Gathered<'a> {
    fn new(draft: &Draft<'a, '_>, has_execve: bool) -> Self {
        Self {
            arguments: ArenaVec::new_in(draft.arena),
            has_execve,
            destination: None,
            created: None,
            deleted: None,
        }
    }
}

/// What is asked of an event once its lines are read; the constants are places in it.
static ASKED: [&str; 9] = [
    "SYSCALL", "syscall", "UID", "acct", "uid", "type", "res", "success", "addr",
];
const CALL: usize = 0;
const CALL_NUMBER: usize = 1;
const USER_NAME: usize = 2;
const ACCOUNT: usize = 3;
const USER_NUMBER: usize = 4;
const TYPE: usize = 5;
const RESULT: usize = 6;
const SUCCESS: usize = 7;
const ADDRESS: usize = 8;

fn finish<'a>(draft: &mut Draft<'a, '_>, gathered: &Gathered<'a>) {
    let asked = draft.places_of(&ASKED);
    let call = call_name(draft, &asked);
    let user = draft
        .str_at(asked[USER_NAME])
        .or_else(|| draft.str_at(asked[ACCOUNT]));
    match (user, draft.value_at(asked[USER_NUMBER])) {
        (Some(user), _) => draft.push_if_absent("User", Value::Str(user)),
        (None, Some(uid)) => {
            let uid = draft.format(format_args!("{uid}"));
            draft.push_if_absent("User", Value::Str(uid));
        }
        (None, None) => {}
    }
    if gathered.has_execve || matches!(call, Some("execve" | "execveat")) {
        process_creation(draft, gathered);
    }
    file_and_network(draft, gathered, call);
    let kind = draft.value_at(asked[TYPE]);
    let action = ACTIONS
        .iter()
        .find(|(name, _)| has(kind, name))
        .map_or("", |(_, action)| action);
    let result = draft
        .str_at(asked[RESULT])
        .or_else(|| draft.str_at(asked[SUCCESS]));
    let number = draft.value_at(asked[RESULT]).and_then(int_of);
    let outcome = match (result, number) {
        (Some("success" | "yes"), _) | (None, Some(1)) => "success",
        (Some("failed" | "no"), _) | (None, Some(0)) => "failure",
        _ => "",
    };
    draft.action(action, outcome);
    if action == "sudo" {
        draft.alias("cmd", "CommandLine");
    }
    if let Some(address) = draft
        .str_at(asked[ADDRESS])
        .filter(|address| scan::is_ip(address))
    {
        draft.push_if_absent("SourceIp", Value::Str(address));
    }
    draft.source("linux", "", "auditd");
}

fn has(value: Option<Value<'_>>, text: &str) -> bool {
    match value {
        Some(Value::Str(value)) => same_bytes(value.as_bytes(), text.as_bytes()),
        Some(Value::List(values)) => values.iter().any(|value| value.as_str() == Some(text)),
        _ => false,
    }
}

/// The name of the system call, added as `SYSCALL` where the log is not enriched.
fn call_name<'a>(draft: &mut Draft<'a, '_>, asked: &Table) -> Option<&'a str> {
    if let Some(name) = draft.str_at(asked[CALL]) {
        return Some(name);
    }
    let call = draft.value_at(asked[CALL_NUMBER])?;
    let number = int_of(call).and_then(|number| u16::try_from(number).ok());
    let name = match number {
        Some(number) => syscall_name(draft.get_str("arch")?, number)?,
        None => first_str(call)?,
    };
    draft.push("SYSCALL", Value::Str(name));
    Some(name)
}

fn process_creation<'a>(draft: &mut Draft<'a, '_>, gathered: &Gathered<'a>) {
    draft.source("linux", "process_creation", "");
    if gathered.arguments.is_empty() {
        draft.alias("proctitle", "CommandLine");
    } else {
        let mut line = ArenaString::new_in(draft.arena);
        for (place, argument) in gathered.arguments.iter().enumerate() {
            if place > 0 {
                line.push(' ');
            }
            line.push_str(argument);
        }
        draft.push_if_absent("CommandLine", Value::Str(line.into_bump_str()));
    }
    process_fields(draft);
    draft.alias("cwd", "CurrentDirectory");
    draft.alias("ppid", "ParentProcessId");
    draft.alias("auid", "LogonId");
}

fn process_fields(draft: &mut Draft<'_, '_>) {
    draft.alias("exe", "Image");
    draft.alias("pid", "ProcessId");
}

fn file_and_network<'a>(draft: &mut Draft<'a, '_>, gathered: &Gathered<'a>, call: Option<&str>) {
    for (name, category) in [
        (gathered.created, "file_event"),
        (gathered.deleted, "file_delete"),
    ] {
        if let Some(name) = name {
            let path = absolute(draft, name);
            draft.push_if_absent("TargetFilename", Value::Str(path));
            process_fields(draft);
            draft.source("linux", category, "");
        }
    }
    let Some((address, port)) = gathered.destination.and_then(internet_address) else {
        return;
    };
    if call == Some("connect") {
        let address = draft.format(format_args!("{address}"));
        draft.push_if_absent("DestinationIp", Value::Str(address));
        draft.push_if_absent("DestinationPort", Value::Int(i64::from(port)));
        draft.push_if_absent("Initiated", Value::Str("true"));
        process_fields(draft);
        draft.source("linux", "network_connection", "");
    }
}

fn absolute<'a>(draft: &mut Draft<'a, '_>, name: &'a str) -> &'a str {
    match draft.get_str("cwd") {
        Some(directory) if !name.starts_with('/') => draft.concat(&[
            directory.trim_end_matches('/'),
            "/",
            name.strip_prefix("./").unwrap_or(name),
        ]),
        _ => name,
    }
}
