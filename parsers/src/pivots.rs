//! What analysts pivot on: the typed columns of the `events` table, found by the names of fields.
//!
//! One table says which fields mean which pivot, the best first. A field whose text does not have the
//! pivot's type (a host name where an address is wanted) leaves the place to the next one.

use std::net::IpAddr;

use crate::event::{Event, Value};
use crate::scan;

/// The pivots of an event; what it does not have is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pivots<'a> {
    /// Who acts, or tries to.
    pub user: Option<&'a str>,
    /// Where it comes from. IPv4 mapped into IPv6 is given as IPv4.
    pub source_address: Option<IpAddr>,
    /// The port it comes from.
    pub source_port: Option<u16>,
    /// Where it goes to.
    pub destination_address: Option<IpAddr>,
    /// The port it goes to.
    pub destination_port: Option<u16>,
    /// Executable or program.
    pub process: Option<&'a str>,
    /// Executable of the parent process.
    pub parent_process: Option<&'a str>,
    /// Command line.
    pub command_line: Option<&'a str>,
    /// Hash or hashes, as the record writes them.
    pub hash: Option<&'a str>,
    /// URL, or the target of a request.
    pub url: Option<&'a str>,
    /// What was tried.
    pub action: Option<&'a str>,
    /// How it ended.
    pub outcome: Option<&'a str>,
    /// Event id, message id, signature id: whatever numbers the kinds of events of this log source.
    pub event_code: Option<Value<'a>>,
    /// What a person reads.
    pub message: Option<&'a str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Pivot {
    User,
    SourceAddress,
    SourcePort,
    DestinationAddress,
    DestinationPort,
    Process,
    ParentProcess,
    CommandLine,
    Hash,
    Url,
    Action,
    Outcome,
    EventCode,
    Message,
}

const PIVOT_COUNT: usize = Pivot::Message as usize + 1;

/// Per pivot the fields that mean it, the best first.
#[rustfmt::skip]
const MEANINGS: [(Pivot, &[&str]); PIVOT_COUNT] = [
    (Pivot::User, &[
        "User", "user", "user.name", "username", "user_name", "cs-username", "userIdentity.userName",
        "userIdentity.arn", "actor.alternateId", "userPrincipalName", "UserPrincipalName", "UserId", "acct",
        "TargetUserName", "suser", "usrName", "usr", "duser", "winlog.event_data.TargetUserName",
        "SubjectUserName", "winlog.event_data.SubjectUserName", "AccountName", "src_user", "srcuser",
        "properties.userPrincipalName", "actor.email", "UserName", "user.username", "actor", "client", "userName", "_UID", "TargetUser", "user_id",
        "attr.principalName", "meta.user", "account", "AccountID", "properties.initiatedBy.user.userPrincipalName",
        "protoPayload.authenticationInfo.principalEmail",
    ]),
    (Pivot::SourceAddress, &[
        "SourceIp", "c-ip", "src_ip", "source.ip", "client.ip", "SourceAddress", "IpAddress", "ClientAddress",
        "sourceIPAddress", "id.orig_h", "id_orig_h", "srcip", "src", "SRC", "client_ip", "clientip",
        "clientIP", "ClientIP", "remote_addr", "remote_ip", "remoteip", "remoteAddr", "rhost", "addr", "ip",
        "source_ip", "src-ip", "callerIpAddress", "ipAddress", "IPAddress", "sourceIPs", "client.ipAddress",
        "actor_ip", "remip", "properties.ipAddress", "request.client_ip", "attr.remote", "req.remoteAddress", "request.remote_ip",
        "transaction.client_ip", "httpRequest.clientIp", "RemoteIp", "oip", "rip", "srcaddr", "sip", "saddr",
        "properties.initiatedBy.user.ipAddress", "protoPayload.requestMetadata.callerIp",
    ]),
    (Pivot::SourcePort, &[
        "SourcePort", "c-port", "src_port", "source.port", "client.port", "IpPort", "id.orig_p", "id_orig_p",
        "srcport", "spt", "SPT", "srcPort", "sport", "rport", "transaction.client_port", "request.remote_port",
    ]),
    (Pivot::DestinationAddress, &[
        "DestinationIp", "dst_ip", "s-ip", "destination.ip", "server.ip", "DestAddress", "dest_ip",
        "id.resp_h", "id_resp_h", "dstip", "dst", "DST", "dstaddr", "dest", "daddr", "lip", "laddr", "host_ip",
    ]),
    (Pivot::DestinationPort, &[
        "DestinationPort", "dst_port", "s-port", "destination.port", "server.port", "DestPort", "dest_port",
        "id.resp_p", "id_resp_p", "dstport", "dpt", "DPT", "dport",
    ]),
    (Pivot::Process, &[
        "Image", "NewProcessName", "process.executable", "exe", "SourceImage", "ProcessName", "process.name",
        "Application", "_EXE", "_COMM", "comm", "sproc", "program",
    ]),
    (Pivot::ParentProcess, &[
        "ParentImage", "ParentProcessName", "process.parent.executable", "process.parent.name",
    ]),
    (Pivot::CommandLine, &[
        "CommandLine", "process.command_line", "ProcessCommandLine", "_CMDLINE", "ScriptBlockText",
        "HostApplication", "cmd", "proctitle",
    ]),
    (Pivot::Hash, &[
        "Hashes", "Hash", "file.hash.sha256", "sha256", "file.hash.sha1", "sha1", "file.hash.md5", "md5",
        "fileHash", "hash",
    ]),
    (Pivot::Url, &[
        "cs-uri", "c-uri", "url", "url.full", "url.original", "request", "uri", "request.uri", "http.url",
        "requestURI", "RequestUrl", "transaction.request.uri", "QueryName", "query",
    ]),
    (Pivot::Action, &[
        "action", "event.action", "eventName", "Operation", "operationName", "OperationName", "act",
        "eventType", "event_type", "verb", "Action", "op", "alert.action", "Event",
        "protoPayload.methodName",
    ]),
    (Pivot::Outcome, &[
        "outcome", "event.outcome", "result", "Result", "res", "outcome.result", "success", "ResultType",
        "ResultStatus", "Status", "status", "errorCode", "resultType", "properties.result", "auth_success",
    ]),
    (Pivot::EventCode, &[
        "EventID", "event_id", "event.code", "winlog.event_id", "signature_id", "alert.signature_id",
        "error_code", "msgid", "MESSAGE_ID", "logid", "eventid", "rule_id", "sc-status",
    ]),
    (Pivot::Message, &[
        "message", "Message", "msg", "MESSAGE", "log", "event.original", "alert.signature", "description",
    ]),
];

const NAME_COUNT: usize = {
    let mut count = 0;
    let mut pivot = 0;
    while pivot < PIVOT_COUNT {
        count += MEANINGS[pivot].1.len();
        pivot += 1;
    }
    count
};

/// A field's meaning: the pivot and its place in the order of preference.
#[derive(Clone, Copy)]
struct Meaning {
    name: &'static str,
    pivot: Pivot,
    rank: u8,
}

/// `MEANINGS` by name length, so that most fields are told apart without reading them.
static BY_LENGTH: [Meaning; NAME_COUNT] = sorted_by_length();
static LENGTH_STARTS: [u16; LENGTH_MAX + 2] = length_starts();
const LENGTH_MAX: usize = 48;

const fn sorted_by_length() -> [Meaning; NAME_COUNT] {
    let mut sorted = [Meaning {
        name: "",
        pivot: Pivot::User,
        rank: 0,
    }; NAME_COUNT];
    let mut filled = 0;
    let mut length = 0;
    while length <= LENGTH_MAX {
        let mut pivot = 0;
        while pivot < PIVOT_COUNT {
            let names = MEANINGS[pivot].1;
            let mut rank = 0;
            while rank < names.len() {
                if names[rank].len() == length {
                    sorted[filled] = Meaning {
                        name: names[rank],
                        pivot: MEANINGS[pivot].0,
                        rank: rank as u8,
                    };
                    filled += 1;
                }
                rank += 1;
            }
            pivot += 1;
        }
        length += 1;
    }
    assert!(filled == NAME_COUNT, "a name is longer than LENGTH_MAX");
    sorted
}

const fn length_starts() -> [u16; LENGTH_MAX + 2] {
    let sorted = sorted_by_length();
    let mut starts = [NAME_COUNT as u16; LENGTH_MAX + 2];
    let mut length = LENGTH_MAX + 1;
    while length > 0 {
        length -= 1;
        let mut first = 0;
        while first < NAME_COUNT && sorted[first].name.len() < length {
            first += 1;
        }
        starts[length] = first as u16;
    }
    starts
}

fn meanings_of(name: &str) -> impl Iterator<Item = &'static Meaning> {
    let length = name.len().min(LENGTH_MAX);
    let range = usize::from(LENGTH_STARTS[length])..usize::from(LENGTH_STARTS[length + 1]);
    BY_LENGTH[range]
        .iter()
        .filter(move |meaning| meaning.name == name)
}

/// The pivots of an event, by one pass over its fields.
pub fn pivots<'a>(event: &Event<'a>) -> Pivots<'a> {
    let mut pivots = Pivots::default();
    let mut ranks = [u8::MAX; PIVOT_COUNT];
    for field in &event.fields {
        for meaning in meanings_of(field.name) {
            let rank = &mut ranks[meaning.pivot as usize];
            if meaning.rank < *rank && pivots.set(meaning.pivot, field.value) {
                *rank = meaning.rank;
            }
        }
    }
    pivots
}

impl<'a> Pivots<'a> {
    /// Sets a pivot if the value has its type.
    fn set(&mut self, pivot: Pivot, value: Value<'a>) -> bool {
        match pivot {
            Pivot::SourceAddress => put(&mut self.source_address, address(value)),
            Pivot::SourcePort => put(&mut self.source_port, port(value)),
            Pivot::DestinationAddress => put(&mut self.destination_address, address(value)),
            Pivot::DestinationPort => put(&mut self.destination_port, port(value)),
            Pivot::EventCode => put(&mut self.event_code, code(value)),
            Pivot::User => put(&mut self.user, text(value)),
            Pivot::Process => put(&mut self.process, text(value)),
            Pivot::ParentProcess => put(&mut self.parent_process, text(value)),
            Pivot::CommandLine => put(&mut self.command_line, text(value)),
            Pivot::Hash => put(&mut self.hash, text(value)),
            Pivot::Url => put(&mut self.url, text(value)),
            Pivot::Action => put(&mut self.action, text(value)),
            Pivot::Outcome => put(&mut self.outcome, outcome(value)),
            Pivot::Message => put(&mut self.message, text(value)),
        }
    }
}

fn put<T>(place: &mut Option<T>, found: Option<T>) -> bool {
    let is_found = found.is_some();
    if is_found {
        *place = found;
    }
    is_found
}

fn text(value: Value<'_>) -> Option<&str> {
    match value {
        Value::Str("" | "-" | "--" | "(null)" | "?") => None,
        Value::Str(text) => Some(text),
        Value::List(values) => values.iter().find_map(|value| text(*value)),
        _ => None,
    }
}

/// Outcomes are texts; what others give as a truth value is named.
fn outcome(value: Value<'_>) -> Option<&str> {
    match value {
        Value::Bool(true) => Some("success"),
        Value::Bool(false) => Some("failure"),
        other => text(other).map(plain_outcome),
    }
}

/// Words for success and failure; what is neither stays.
const OUTCOMES: [(&str, &str); 20] = [
    ("failure", "failure"),
    ("failed", "failure"),
    ("fail", "failure"),
    ("error", "failure"),
    ("denied", "failure"),
    ("deny", "failure"),
    ("rejected", "failure"),
    ("unauthorized", "failure"),
    ("no", "failure"),
    ("false", "failure"),
    ("success", "success"),
    ("succeeded", "success"),
    ("successful", "success"),
    ("ok", "success"),
    ("passed", "success"),
    ("allow", "success"),
    ("allowed", "success"),
    ("granted", "success"),
    ("yes", "success"),
    ("true", "success"),
];

fn plain_outcome(text: &str) -> &str {
    OUTCOMES
        .iter()
        .find(|(word, _)| word.eq_ignore_ascii_case(text))
        .map_or(text, |(_, outcome)| outcome)
}

fn address(value: Value<'_>) -> Option<IpAddr> {
    match value {
        Value::Str(text) => {
            // Proxies list all whom a request came through, the client first.
            let text = text.split(',').next().unwrap_or(text).trim();
            scan::ip(text)
                .or_else(|| scan::ip_and_port(text).and_then(|(address, _)| scan::ip(address)))
        }
        Value::List(values) => values.iter().find_map(|value| address(*value)),
        _ => None,
    }
}

fn port(value: Value<'_>) -> Option<u16> {
    match value {
        Value::Int(number) => u16::try_from(number).ok(),
        Value::Str(text) => text.parse().ok(),
        Value::List(values) => values.iter().find_map(|value| port(*value)),
        _ => None,
    }
}

fn code(value: Value<'_>) -> Option<Value<'_>> {
    match value {
        Value::Int(_) | Value::UInt(_) => Some(value),
        Value::Str(_) => text(value).map(Value::Str),
        Value::List(values) => values.iter().find_map(|value| code(*value)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_each_pivot_in_its_place() {
        for (place, (pivot, names)) in MEANINGS.iter().enumerate() {
            assert_eq!(place, *pivot as usize);
            for name in *names {
                assert!(
                    meanings_of(name).any(|meaning| meaning.pivot == *pivot),
                    "{name}"
                );
            }
        }
    }
}
