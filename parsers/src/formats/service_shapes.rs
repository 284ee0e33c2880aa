//! Services that log JSON of their own: Nextcloud, MongoDB, MySQL's audit, Keycloak, CAS, Liferay, Samba, PostgreSQL. The rows by which
//! they are known stand in `shapes`.

use super::text_log_tables::{KEYCLOAK, POSTGRESQL};
use crate::draft::Draft;
use crate::event::Value;
use crate::messages::{Message, message, read_table};
use crate::scan;
use crate::when;

static NEXTCLOUD: &[Message] = &[
    message(
        "Login failed: '{User*}' (Remote IP: '{SourceIp:i}'",
        "login",
        "failure",
    ),
    message(
        "Login failed: {User*} (Remote IP: {SourceIp:i})",
        "login",
        "failure",
    ),
    message("Login failed: \"{User*}\"", "login", "failure"),
    message("Login successful: \"{User*}\"", "login", "success"),
    message("Login attempt: \"{User*}\"", "login_attempt", ""),
    message("Logout occurred", "logout", "success"),
    message(
        "Bruteforce attempt from \"{SourceIp:i}\" detected",
        "login_limit",
        "failure",
    ),
    message(
        "Trusted domain error. \"{SourceIp:i}\" tried to access",
        "access",
        "failure",
    ),
    message("User created: \"{TargetUser}\"", "user_add", "success"),
    message("User deleted: \"{TargetUser}\"", "user_delete", "success"),
    message(
        "Password of user \"{TargetUser}\" has been changed",
        "password_change",
        "success",
    ),
    message(
        "User \"{TargetUser}\" added to group \"{TargetGroup}\"",
        "group_member_add",
        "success",
    ),
    message(
        "User \"{TargetUser}\" removed from group \"{TargetGroup}\"",
        "group_member_delete",
        "success",
    ),
    message(
        "File with id \"{file_id}\" {operation}: \"{TargetFilename}\"$",
        "file_access",
        "success",
    ),
    message(
        "File with id \"{file_id}\" renamed from \"{TargetFilename}\" to \"{NewFilename}\"$",
        "file_rename",
        "success",
    ),
    message(
        "File {operation}: \"{TargetFilename}\"$",
        "file_access",
        "success",
    ),
    message(
        "The file \"{TargetFilename}\" with ID \"{file_id}\" has been shared {_}",
        "share",
        "success",
    ),
    message(
        "The folder \"{TargetFilename}\" with ID \"{file_id}\" has been shared {_}",
        "share",
        "success",
    ),
];

/// Words of Nextcloud's audit for what was done with a file.
const FILE_OPERATIONS: [(&str, &str); 6] = [
    ("accessed", "file_read"),
    ("created", "file_create"),
    ("written to", "file_write"),
    ("updated", "file_write"),
    ("deleted", "file_delete"),
    ("restored", "file_restore"),
];

/// The object's message; behind a syslog header it is the last of two.
fn own_message<'a>(draft: &mut Draft<'a, '_>) -> &'a str {
    let of = |value: Value<'a>| match value {
        Value::Str(text) => Some(text),
        _ => None,
    };
    match draft.get("message") {
        Some(Value::List(values)) => values.iter().rev().find_map(|value| of(*value)),
        Some(value) => of(value),
        None => None,
    }
    .unwrap_or("")
}

/// Nextcloud's log and its app `admin_audit`.
pub(super) fn nextcloud(draft: &mut Draft<'_, '_>) {
    let text = own_message(draft);
    read_table(draft, NEXTCLOUD, text);
    let operation = draft.get_str("operation").unwrap_or("");
    let known = FILE_OPERATIONS.iter().find(|(word, _)| *word == operation);
    if let Some((_, action)) = known {
        draft.action(action, "");
    }
    draft.source("", "application", "nextcloud");
}

/// Address and port as one text: `203.0.113.9:51515`, Samba's `ipv4:203.0.113.9:51515`.
fn source_address<'a>(draft: &mut Draft<'a, '_>, text: &'a str) {
    let plain = scan::after(text, "ipv4:")
        .or_else(|| scan::after(text, "ipv6:"))
        .unwrap_or(text);
    if let Some((address, port)) = scan::ip_and_port(plain) {
        draft.push_if_absent("SourceIp", Value::Str(address));
        if let Ok(port) = port.parse() {
            draft.push_if_absent("SourcePort", Value::Int(port));
        }
    } else if scan::is_ip(plain) {
        draft.push_if_absent("SourceIp", Value::Str(plain));
    }
}

/// MongoDB from 4.4 on (manual, "Log Messages").
pub(super) fn mongodb(draft: &mut Draft<'_, '_>) {
    match draft.get_str("msg") {
        Some("Authentication failed" | "Failed to authenticate") => {
            draft.action("login", "failure")
        }
        Some("Authentication succeeded" | "Successfully authenticated") => {
            draft.action("login", "success")
        }
        Some("Connection accepted") => draft.action("connect", "success"),
        Some("Connection ended") => draft.action("disconnect", ""),
        _ => {}
    }
    for name in ["attr.remote", "attr.client"] {
        if let Some(text) = draft.get_str(name) {
            source_address(draft, text);
        }
    }
    draft.alias("attr.principalName", "User");
    draft.alias("attr.user", "User");
    draft.source("mongodb", "database", "");
}

/// What MongoDB's audit calls things that have a name here; others keep theirs.
const MONGODB_AUDIT: [(&str, &str); 10] = [
    ("authenticate", "login"),
    ("logout", "logout"),
    ("clientMetadata", "connect"),
    ("createUser", "user_add"),
    ("dropUser", "user_delete"),
    ("updateUser", "user_change"),
    ("createRole", "role_add"),
    ("grantRolesToUser", "grant"),
    ("revokeRolesFromUser", "revoke"),
    ("dropDatabase", "database_delete"),
];

/// MongoDB's audit as JSON (manual, "System Event Audit Messages").
pub(super) fn mongodb_audit(draft: &mut Draft<'_, '_>) {
    if let Some(time) = draft
        .get_str("ts.$date")
        .and_then(|text| when::any(text, draft.context))
    {
        draft.time(time);
    }
    draft.alias("remote.ip", "SourceIp");
    draft.alias("remote.port", "SourcePort");
    draft.alias("param.user", "User");
    draft.alias("users.user", "User");
    let event = draft.get_str("atype").unwrap_or("");
    match MONGODB_AUDIT.iter().find(|(known, _)| *known == event) {
        Some((_, action)) => draft.action(action, ""),
        None => draft.alias("atype", "action"),
    }
    if let Some(code) = draft.get_int("result") {
        draft.action("", if code == 0 { "success" } else { "failure" });
    }
    draft.source("mongodb", "database", "");
}

/// Keycloak's server log as JSON, and that of other Java servers in this form (Quarkus, WildFly).
pub(super) fn java_server(draft: &mut Draft<'_, '_>) {
    let logger = draft.get_str("loggerName").unwrap_or("");
    if !logger.starts_with("org.keycloak") {
        draft.source("jvm", "application", "");
        return;
    }
    let text = own_message(draft);
    for pair in scan::pairs_by(text, &[',', ' ']) {
        draft.number(pair.key, pair.value.trim());
    }
    read_table(draft, KEYCLOAK, text);
    draft.source("", "application", "keycloak");
}

/// Names of CAS's audited actions, as its definition has them for the log of lines.
const CAS_ACTIONS: [(&str, &str, &str); 8] = [
    ("AUTHENTICATION_SUCCESS", "login", "success"),
    ("AUTHENTICATION_FAILED", "login", "failure"),
    ("TICKET_GRANTING_TICKET_CREATED", "session_open", "success"),
    (
        "TICKET_GRANTING_TICKET_NOT_CREATED",
        "session_open",
        "failure",
    ),
    (
        "TICKET_GRANTING_TICKET_DESTROYED",
        "session_close",
        "success",
    ),
    ("SERVICE_TICKET_CREATED", "ticket", "success"),
    ("SERVICE_TICKET_NOT_CREATED", "ticket", "failure"),
    (
        "SERVICE_TICKET_VALIDATE_FAILED",
        "ticket_validate",
        "failure",
    ),
];

/// CAS's audit trail as JSON.
pub(super) fn cas(draft: &mut Draft<'_, '_>) {
    if let Some(time) = draft
        .get_str("when")
        .and_then(|text| when::any(text, draft.context))
    {
        draft.time(time);
    }
    draft.alias("who", "User");
    draft.alias("clientIpAddress", "SourceIp");
    draft.alias("serverIpAddress", "DestinationIp");
    draft.alias("action", "event_type");
    let event = draft.get_str("action").unwrap_or("");
    if let Some((_, action, outcome)) = CAS_ACTIONS.iter().find(|(known, ..)| *known == event) {
        draft.action(action, outcome);
    }
    draft.source("jvm", "application", "cas");
}

const LIFERAY_EVENTS: [(&str, &str, &str); 9] = [
    ("LOGIN", "login", "success"),
    ("LOGIN_FAILURE", "login", "failure"),
    ("LOGIN_DNE", "login", "failure"),
    ("LOGOUT", "logout", "success"),
    ("ADD", "add", "success"),
    ("UPDATE", "change", "success"),
    ("DELETE", "delete", "success"),
    ("ASSIGN", "grant", "success"),
    ("UNASSIGN", "revoke", "success"),
];

/// Liferay's audit messages; their time is of digits only, in UTC: `20261122021530123`.
pub(super) fn liferay(draft: &mut Draft<'_, '_>) {
    if let Some(text) = draft
        .get_str("timestamp")
        .filter(|text| text.len() == 17 && text.bytes().all(|byte| byte.is_ascii_digit()))
    {
        let part = |from: usize, to: usize| text.get(from..to).unwrap_or("");
        // Its hours go from 1 to 24.
        let hour = if part(8, 10) == "24" {
            "00"
        } else {
            part(8, 10)
        };
        let written = draft.format(format_args!(
            "{}-{}-{}T{hour}:{}:{}.{}Z",
            part(0, 4),
            part(4, 6),
            part(6, 8),
            part(10, 12),
            part(12, 14),
            part(14, 17)
        ));
        if let Some(time) = when::any(written, draft.context) {
            draft.time(time);
        }
    }
    for (from, to) in [
        ("userLogin", "User"),
        ("userEmailAddress", "User"),
        ("userName", "User"),
        ("clientIP", "SourceIp"),
        ("clientHost", "SourceHostname"),
    ] {
        if draft.get_str(from).is_some_and(|text| !text.is_empty()) {
            draft.alias(from, to);
        }
    }
    let event = draft.get_str("eventType").unwrap_or("");
    if let Some((_, action, outcome)) = LIFERAY_EVENTS.iter().find(|(known, ..)| *known == event) {
        draft.action(action, outcome);
    }
    draft.source("jvm", "application", "liferay");
}

/// Samba's audit as JSON ("Setting up Audit Logging"): who signed in, and who got at what.
pub(super) fn samba(draft: &mut Draft<'_, '_>) {
    for name in [
        "Authentication.remoteAddress",
        "Authorization.remoteAddress",
    ] {
        if let Some(text) = draft.get_str(name) {
            source_address(draft, text);
        }
    }
    for (from, to) in [
        ("Authentication.clientAccount", "User"),
        ("Authorization.account", "User"),
        ("Authentication.workstation", "SourceHostname"),
        ("Authentication.passwordType", "AuthMethod"),
        ("Authorization.authType", "AuthMethod"),
    ] {
        draft.alias(from, to);
    }
    match draft.get_str("Authentication.status") {
        Some("NT_STATUS_OK") => draft.action("login", "success"),
        Some(_) => {
            draft.action("login", "failure");
            draft.alias("Authentication.status", "reason");
        }
        None => draft.action("session_open", "success"),
    }
    draft.source("linux", "", "samba");
}

/// PostgreSQL's log as JSON (documentation, "Using JSON-Format Log Output").
pub(super) fn postgresql(draft: &mut Draft<'_, '_>) {
    for (from, to) in [
        ("user", "User"),
        ("dbname", "database"),
        ("remote_host", "SourceIp"),
        ("remote_port", "SourcePort"),
        ("error_severity", "level"),
        ("state_code", "error_code"),
    ] {
        draft.alias(from, to);
    }
    let text = own_message(draft);
    read_table(draft, POSTGRESQL, text);
    draft.source("postgresql", "database", "");
}

/// What MySQL's and Percona's audit call things that have a name here; others keep theirs.
const MYSQL_AUDIT: [(&str, &str); 14] = [
    ("connect", "login"),
    ("change_user", "login"),
    ("disconnect", "disconnect"),
    ("status", "query"),
    ("read", "read"),
    ("insert", "write"),
    ("update", "write"),
    ("delete", "delete"),
    ("startup", "service_start"),
    ("shutdown", "service_stop"),
    ("query", "query"),
    ("execute", "query"),
    ("quit", "disconnect"),
    ("change user", "login"),
];

/// What was done, by whom, and how it ended: both audits say it by the same words.
fn mysql_action<'a>(draft: &mut Draft<'a, '_>, event: &'a str, status: &'static str) {
    let lower = &*draft.arena.alloc_str(&event.to_ascii_lowercase());
    match MYSQL_AUDIT.iter().find(|(known, _)| *known == lower) {
        Some((_, action)) => draft.action(action, ""),
        None => draft.push_if_absent("action", Value::Str(lower)),
    }
    if let Some(code) = draft.get_int(status) {
        draft.push_if_absent("error_code", Value::Int(code));
        draft.action("", if code == 0 { "success" } else { "failure" });
    }
    draft.source("mysql", "database", "");
}

/// MySQL Enterprise Audit as JSON (reference manual, "Audit Log File Formats"), which Percona's filter writes as well. Its
/// times are in UTC and do not say so.
pub(super) fn mysql_audit(draft: &mut Draft<'_, '_>) {
    if let Some(text) = draft.get_str("timestamp") {
        let text = draft.concat(&[text.trim_end_matches('Z'), "Z"]);
        if let Some(time) = when::any(text, draft.context) {
            draft.time(time);
        }
    }
    for (from, to) in [
        ("login.user", "User"),
        ("account.user", "User"),
        ("login.ip", "SourceIp"),
        ("account.host", "SourceHostname"),
        ("connection_data.db", "database"),
        ("table_access_data.db", "database"),
        ("table_access_data.table", "object"),
        ("general_data.query", "CommandLine"),
        ("table_access_data.query", "CommandLine"),
    ] {
        if draft.get_str(from).is_some_and(|text| !text.is_empty()) {
            draft.alias(from, to);
        }
    }
    let event = draft.get_str("event").unwrap_or("");
    let status = if draft.get("connection_data.status").is_some() {
        "connection_data.status"
    } else {
        "general_data.status"
    };
    mysql_action(draft, event, status);
}

/// Percona's audit plugin as JSON (Percona Server for MySQL, "Audit Log Plugin").
pub(super) fn percona_audit(draft: &mut Draft<'_, '_>) {
    if let Some(text) = draft.get_str("audit_record.timestamp") {
        let plain = text
            .trim_end_matches("UTC")
            .trim_end()
            .trim_end_matches('Z');
        let text = draft.concat(&[plain, "Z"]);
        if let Some(time) = when::any(text, draft.context) {
            draft.time(time);
        }
    }
    // `root[root] @ localhost [127.0.0.1]` in queries, `root` in connections.
    let user = draft.get_str("audit_record.user").unwrap_or("");
    let user = user.split(['[', ' ']).next().unwrap_or("");
    if !user.is_empty() {
        draft.push_if_absent("User", Value::Str(user));
    }
    for (from, to) in [
        ("audit_record.ip", "SourceIp"),
        ("audit_record.host", "SourceHostname"),
        ("audit_record.os_user", "os_user"),
        ("audit_record.os_login", "os_user"),
        ("audit_record.db", "database"),
        ("audit_record.sqltext", "CommandLine"),
    ] {
        if draft.get_str(from).is_some_and(|text| !text.is_empty()) {
            draft.alias(from, to);
        }
    }
    let event = draft.get_str("audit_record.name").unwrap_or("");
    mysql_action(draft, event, "audit_record.status");
}
