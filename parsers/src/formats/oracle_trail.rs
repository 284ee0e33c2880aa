//! Oracle Database's audit trail in files: XML (`AUDIT_TRAIL=XML`, a record per `<AuditRecord>`) and text (`*.aud`: a
//! line with the time, then `KEY:[LENGTH] "value"`), as the Database Security Guide describes them ("Auditing Database
//! Use"). What goes through syslog is a definition (`oracle_audit`).

use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::{Fit, Format, NotThisFormat};
use crate::beginning::Begins;
use crate::draft::Draft;
use crate::event::{ProblemKind, Value};
use crate::scan;
use crate::time::Timestamp;
use crate::when;
use jiff::tz::TimeZone;

pub(super) const ORACLE_TRAIL: Format = Format {
    name: "oracle_trail",
    description: "Oracle Database's audit trail in files, as XML or text",
    begins: Begins::ANGLE.or(Begins::LETTER).or(Begins::OTHER),
    detect: |text| {
        let is_xml = text.starts_with("<AuditRecord>") || is_frame(text);
        if is_xml {
            return Some("begins with Oracle's audit record in XML");
        }
        (text_body(text).is_some())
            .then_some("begins with a time and LENGTH, as Oracle's audit trail")
    },
    read,
};

/// The lines of an XML file that are no records.
fn is_frame(text: &str) -> bool {
    static SCHEMA: LazyLock<Finder<'_>> = LazyLock::new(|| {
        Finder::new("http://xmlns.oracle.com/oracleas/schema/dbserver_audittrail")
    });
    text == "</Audit>" || SCHEMA.find(text.as_bytes()).is_some()
}

/// Names in both forms, and the field that each is.
const NAMES: [(&str, &str); 38] = [
    ("DB_User", "User"),
    ("DATABASE USER", "User"),
    ("USERID", "User"),
    ("OS_User", "os_user"),
    ("CLIENT USER", "os_user"),
    ("OS$USERID", "os_user"),
    ("Userhost", "SourceHostname"),
    ("USERHOST", "SourceHostname"),
    ("Sql_Text", "CommandLine"),
    ("SQLTEXT", "CommandLine"),
    ("Returncode", "error_code"),
    ("RETURNCODE", "error_code"),
    ("STATUS", "error_code"),
    ("Action", "action_code"),
    ("ACTION NUMBER", "action_code"),
    ("Session_Id", "session"),
    ("SESSIONID", "session"),
    ("Comment_Text", "comment"),
    ("COMMENT$TEXT", "comment"),
    ("CLIENT ADDRESS", "comment"),
    ("Terminal", "terminal"),
    ("TERMINAL", "terminal"),
    ("CLIENT TERMINAL", "terminal"),
    ("PRIVILEGE", "privilege"),
    ("Priv_Used", "privilege"),
    ("Object_Schema", "schema"),
    ("OBJ$CREATOR", "schema"),
    ("Object_Name", "object"),
    ("OBJ$NAME", "object"),
    ("OS_Process", "pid"),
    ("DBID", "dbid"),
    ("STATEMENT", "statement_id"),
    ("StatementId", "statement_id"),
    ("ENTRYID", "entry"),
    ("EntryId", "entry"),
    ("Instance_Number", "instance"),
    ("Audit_Type", "audit_type"),
    ("TransactionId", "transaction"),
];

/// Numbers of actions (`AUDIT_ACTIONS`) that have a name here; others are `execute`.
const ACTIONS: [(&str, &str); 22] = [
    ("100", "login"),
    ("101", "logout"),
    ("102", "logout"),
    ("3", "query"),
    ("2", "insert"),
    ("6", "update"),
    ("7", "delete"),
    ("1", "table_add"),
    ("12", "table_delete"),
    ("15", "table_change"),
    ("85", "table_truncate"),
    ("51", "user_add"),
    ("53", "user_delete"),
    ("43", "user_change"),
    ("52", "role_add"),
    ("54", "role_delete"),
    ("17", "grant"),
    ("108", "grant"),
    ("114", "grant"),
    ("18", "revoke"),
    ("49", "system_change"),
    ("35", "database_change"),
];

fn read<'a>(draft: &mut Draft<'a, '_>, text: &'a str) -> Fit {
    if text.starts_with("<AuditRecord>") {
        read_xml(draft, text);
    } else if is_frame(text) {
        draft.text("message", text);
        return Ok(());
    } else if let Some((time, body)) = text_body(text) {
        if let Some(time) = time_of(draft, time) {
            draft.time(time);
        }
        read_text(draft, body);
    } else {
        return Err(NotThisFormat);
    }
    conclude(draft);
    Ok(())
}

/// `Sun Nov 22 09:15:30 2026 +07:00`; the offset may be missing.
fn time_of(draft: &Draft<'_, '_>, text: &str) -> Option<Timestamp> {
    let (local, offset) = when::ctime(text, &TimeZone::UTC)?;
    let Some((hours, minutes)) = offset.trim().split_once(':') else {
        return when::any(text, draft.context);
    };
    let sign = if hours.starts_with('-') { -1 } else { 1 };
    let hours = hours
        .trim_start_matches(['+', '-'])
        .parse::<i64>()
        .ok()
        .filter(|hours| *hours < 24)?;
    let minutes = minutes
        .parse::<i64>()
        .ok()
        .filter(|minutes| (0..60).contains(minutes))?;
    Some(Timestamp(
        local.0 - sign * (hours * 60 + minutes) * 60_000_000,
    ))
}

fn field<'a>(draft: &mut Draft<'a, '_>, key: &'a str, value: &'a str) {
    let named = NAMES.iter().find(|(known, _)| *known == key);
    let name = named.map_or(key, |(_, name)| *name);
    match name {
        "User" | "os_user" | "SourceHostname" | "CommandLine" | "dbid" | "session" | "object"
        | "schema" | "transaction" => draft.text(name, value),
        _ => draft.number(name, value),
    }
}

/// `<Name>value</Name>` one after the other.
fn read_xml<'a>(draft: &mut Draft<'a, '_>, text: &'a str) {
    let mut rest = text.strip_prefix("<AuditRecord>").unwrap_or(text);
    while let Some((name, behind)) = rest
        .split_once('<')
        .and_then(|(_, rest)| rest.split_once('>'))
    {
        if name.starts_with('/') {
            rest = behind;
            continue;
        }
        // Elements without content, and such with attributes (`<Sql_Text length="9">`).
        let tag = name.split([' ', '/']).next().unwrap_or("");
        let Some(end) = behind.find("</") else {
            return;
        };
        let (value, behind) = if name.ends_with('/') {
            ("", behind)
        } else {
            behind.split_at(end)
        };
        if tag == "Extended_Timestamp" {
            if let Some(time) = when::any(value, draft.context) {
                draft.time(time);
            }
        } else {
            let value = super::windows_xml::unescape(draft, value);
            field(draft, tag, value);
        }
        rest = behind;
    }
}

/// The time and what follows it, if the record is a text trail's.
fn text_body(text: &str) -> Option<(&str, &str)> {
    // Most texts are told by the byte behind the day of the week.
    if text.as_bytes().get(3) != Some(&b' ') {
        return None;
    }
    let (time, rest) = text.split_once('\n')?;
    let is_time = time.len() >= 24 && time.as_bytes()[3] == b' ' && time.is_ascii();
    let rest = rest.trim_start_matches(['\r', '\n', ' ']);
    (is_time && rest.starts_with("LENGTH")).then_some((time.trim_end(), rest))
}

/// `KEY :[LENGTH] 'value'`, by the length where it holds, since values may hold quotes.
fn read_text<'a>(draft: &mut Draft<'a, '_>, text: &'a str) {
    let mut rest = text;
    while let Some((key, behind)) = rest.split_once(':') {
        let key = key.trim();
        if key.contains(['\'', '"', '\n']) {
            // A value that its length did not end.
            draft.note_once(
                ProblemKind::Partial,
                "a value has not the length that it is said to have",
            );
            return;
        }
        let behind = behind.trim_start();
        let (length, behind) = match behind
            .strip_prefix('[')
            .and_then(|text| text.split_once(']'))
        {
            Some((length, behind)) => (length.parse::<usize>().ok(), behind.trim_start()),
            None => (None, behind),
        };
        let Some(quote) = behind.chars().next().filter(|c| matches!(c, '\'' | '"')) else {
            return;
        };
        let value = &behind[1..];
        let by_length = length.filter(|length| {
            value
                .get(*length..)
                .is_some_and(|rest| rest.starts_with(quote))
        });
        let Some(end) = by_length.or_else(|| value.find(quote)) else {
            return;
        };
        match key {
            "LENGTH" => {}
            // What was done, as text; in the other form its number.
            "ACTION" if value[..end].parse::<u32>().is_err() => {
                draft.text("CommandLine", &value[..end])
            }
            "ACTION" => field(draft, "ACTION NUMBER", &value[..end]),
            _ => field(draft, key, &value[..end]),
        }
        rest = &value[end + 1..];
    }
}

fn conclude<'a>(draft: &mut Draft<'a, '_>) {
    let comment = draft.get_str("comment").unwrap_or("");
    if let Some((host, _)) =
        scan::between(comment, "(HOST=", ")").filter(|(host, _)| scan::is_ip(host))
    {
        draft.text("SourceIp", host);
    }
    if let Some((port, _)) = scan::between(comment, "(PORT=", ")") {
        draft.number("SourcePort", port);
    }
    let code = draft
        .get_int("action_code")
        .map(|code| draft.format(format_args!("{code}")));
    let action = match code {
        Some(code) => ACTIONS
            .iter()
            .find(|(known, _)| *known == code)
            .map_or("execute", |(_, action)| *action),
        None if draft.get_str("CommandLine") == Some("CONNECT") => "login",
        None => "execute",
    };
    let outcome = match draft.get("error_code") {
        Some(Value::Int(0)) => "success",
        Some(_) => "failure",
        None => "",
    };
    draft.action(action, outcome);
    draft.source("oracle", "database", "");
}
