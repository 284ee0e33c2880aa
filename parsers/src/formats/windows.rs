//! Windows events, whichever agent wrote them: the names that SigmaHQ's rules use, the log source, and
//! Security's process creation under Sysmon's names.

use jiff::tz::TimeZone;

use super::windows_sources::classify;
use super::{Fit, Format, NotThisFormat, json, windows_inserts, windows_xml};
use crate::beginning::Begins;
use crate::draft::{Draft, int_of};
use crate::event::Value;
use crate::layouts::NOWHERE;
use crate::when;

pub(super) const WINDOWS_JSON: Format = Format {
    name: "windows_json",
    description: "Windows events as JSON: NXLog, Winlogbeat, Elastic Agent, Wazuh, Azure Monitor, EVTX dumps",
    // As JSON it is detected; its shape then says that it is a Windows event.
    begins: Begins::NOTHING,
    detect: |_| None,
    read,
};

fn read<'a>(draft: &mut Draft<'a, '_>, text: &'a str) -> Fit {
    json::read(draft, text)?;
    if draft.event.format == "windows_json" {
        Ok(())
    } else {
        Err(NotThisFormat)
    }
}

/// Other agents' names of System's fields, and Sigma's.
static NAMES: [(&str, &[&str]); 4] = [
    (
        "EventID",
        &[
            "winlog.event_id",
            "event_id",
            "data.win.system.eventID",
            "event.code",
            "EventId",
            "eventid",
        ],
    ),
    (
        "Provider_Name",
        &[
            "SourceName",
            "winlog.provider_name",
            "Provider",
            "EventSourceName",
            "ProviderName",
            "Source",
            "data.win.system.providerName",
            "source_name",
            "event.provider",
        ],
    ),
    (
        "Channel",
        &[
            "winlog.channel",
            "log_name",
            "data.win.system.channel",
            "EventLog",
            "LogName",
        ],
    ),
    (
        "Computer",
        &[
            "winlog.computer_name",
            "Hostname",
            "data.win.system.computer",
            "computer_name",
            "ComputerName",
            "MachineName",
            "host.name",
        ],
    ),
];

/// Whether the fields are those of a Windows event.
pub(super) fn is_windows_event(draft: &mut Draft<'_, '_>) -> bool {
    let answer = draft.follows_from_names(" is a Windows event", |draft| {
        let mut has = |names: &[&'static str]| names.iter().any(|name| draft.get(name).is_some());
        let [(id, ids), (provider, providers), (channel, channels), _] = NAMES;
        let is_one = (has(&[id]) || has(&ids[..3]))
            && (has(&[channel, provider, "ProviderGuid"]) || has(channels) || has(&providers[..6]));
        is_one.then_some(0)
    });
    answer.is_some()
}

/// What is asked of an event once its fields have Sigma's names; the constants are places in it.
static ASKED: [&str; 10] = [
    "EventID",
    "Channel",
    "Provider_Name",
    "Computer",
    "TimeCreated_SystemTime",
    "EventData",
    "StringInserts",
    "EventType",
    "UtcTime",
    // In Wazuh's archives and alerts, whose own `timestamp` is the manager's.
    "data.win.system.systemTime",
];
const EVENT_ID: usize = 0;
const CHANNEL: usize = 1;
const PROVIDER: usize = 2;
const COMPUTER: usize = 3;
const TIME: usize = 4;
const EVENT_DATA: usize = 5;
const INSERTS: usize = 6;
const EVENT_TYPE: usize = 7;
const UTC_TIME: usize = 8;
const WAZUH_TIME: usize = 9;

/// Once all fields are there: names, time, host, log sources.
pub(super) fn finish<'a>(draft: &mut Draft<'a, '_>) {
    draft.event.format = if draft.event.format == "windows_xml" {
        "windows_xml"
    } else {
        "windows_json"
    };
    names(draft);
    let mut asked = draft.places_of(&ASKED);
    let event_id = draft.value_at(asked[EVENT_ID]).and_then(int_of);
    if let Some(event_id) = event_id {
        draft.set_at(asked[EVENT_ID], Value::Int(event_id));
    }
    if let Some(text) = draft.str_at(asked[EVENT_DATA]) {
        event_data_in_text(draft, text);
        asked = draft.places_of(&ASKED);
    }
    let provider = draft.str_at(asked[PROVIDER]).unwrap_or("");
    if let Some(Value::List(values)) = draft.value_at(asked[INSERTS]) {
        windows_inserts::name(draft, values, provider, event_id.unwrap_or(0));
        asked = draft.places_of(&ASKED);
    }
    let time = draft
        .str_at(asked[TIME])
        .or_else(|| draft.str_at(asked[WAZUH_TIME]));
    if let Some(text) = time
        && let Some(time) = when::any(text, draft.context)
    {
        draft.time(time);
    } else if draft.event.event_time == draft.event.record.received_at
        && let Some(text) = draft.str_at(asked[UTC_TIME])
        && let Some((time, _)) = when::iso(text, &TimeZone::UTC)
    {
        // Sysmon's own, where what sent the event left out the log's.
        draft.time(time);
    }
    if let Some(computer) = draft.str_at(asked[COMPUTER]) {
        draft.host(computer);
    }
    let channel = draft.str_at(asked[CHANNEL]).unwrap_or("");
    let event_type = draft.str_at(asked[EVENT_TYPE]).unwrap_or("");
    classify(draft, channel, provider, event_id.unwrap_or(0), event_type);
    if event_id == Some(4688) && provider == "Microsoft-Windows-Security-Auditing"
        || channel.eq_ignore_ascii_case("Security") && event_id == Some(4688)
    {
        process_creation(draft);
    }
    outcome(draft, event_id.unwrap_or(0), channel);
    if channel == "RPCFW" || provider == "RPCFW" {
        rpc_firewall(draft);
    }
    if provider == "Microsoft-Windows-IIS-Logging" {
        for (from, to) in [
            ("csUser-Agent", "cs-user-agent"),
            ("csReferer", "cs-referer"),
            ("csCookie", "cs-cookie"),
        ] {
            draft.alias(from, to);
        }
        draft.source("windows", "webserver", "iis");
    }
}

/// Zero Networks' RPC Firewall writes to a log of its own, and its data without names.
fn rpc_firewall(draft: &mut Draft<'_, '_>) {
    if let Some(Value::List(values)) = draft.get("Data") {
        let event_id = draft.get_int("EventID").unwrap_or(0);
        windows_inserts::name(draft, values, "RPCFW", event_id);
    }
    draft.alias("Channel", "EventLog");
    draft.alias("Provider_Name", "EventLog");
    draft.source("rpc_firewall", "application", "");
}

/// Adds what other agents call otherwise under Sigma's names, where those are not there.
fn names(draft: &mut Draft<'_, '_>) {
    static KEY: [&str; 1] = ["other agents' names"];
    // Places of the fields that are added once more, in the order of the names.
    let others = draft.table_of_names(&KEY, |draft| {
        let mut table = NOWHERE;
        for (entry, (name, others)) in table.iter_mut().zip(&NAMES) {
            if draft.get(name).is_none() {
                *entry = others
                    .iter()
                    .map(|other| draft.index_of(other))
                    .find(|place| *place != u32::MAX)
                    .unwrap_or(u32::MAX);
            }
        }
        table
    });
    for (place, (name, _)) in others.into_iter().zip(&NAMES) {
        if let Some(value) = draft.value_at(place) {
            draft.push(name, value);
        }
    }
}

/// From System's fields.
pub(super) fn time_and_host(draft: &mut Draft<'_, '_>) {
    if let Some(time) = draft
        .get_str("TimeCreated_SystemTime")
        .and_then(|text| when::any(text, draft.context))
    {
        draft.time(time);
    }
    if let Some(computer) = draft.get_str("Computer") {
        draft.host(computer);
    }
}

/// Azure Monitor gives EventData as text: XML or JSON.
fn event_data_in_text<'a>(draft: &mut Draft<'a, '_>, text: &'a str) {
    if text.starts_with('{') {
        // Text that is no JSON stays what it is.
        let _ = json::object_fields(draft, text);
    } else if text.starts_with('<') {
        windows_xml::event_data(draft, text);
    }
}

/// SIDs of mandatory labels, as Sysmon names them.
const INTEGRITY: [(&str, &str); 6] = [
    ("S-1-16-0", "Untrusted"),
    ("S-1-16-4096", "Low"),
    ("S-1-16-8192", "Medium"),
    ("S-1-16-8448", "Medium"),
    ("S-1-16-12288", "High"),
    ("S-1-16-16384", "System"),
];

fn process_creation(draft: &mut Draft<'_, '_>) {
    draft.alias("NewProcessName", "Image");
    draft.alias("ParentProcessName", "ParentImage");
    draft.alias("SubjectLogonId", "LogonId");
    if let Some(user) = draft.get_str("SubjectUserName").filter(|user| *user != "-") {
        let user = match draft
            .get_str("SubjectDomainName")
            .filter(|domain| *domain != "-")
        {
            Some(domain) => draft.concat(&[domain, "\\", user]),
            None => user,
        };
        draft.push_if_absent("User", Value::Str(user));
    }
    let label = draft.get_str("MandatoryLabel").unwrap_or("");
    if let Some((_, level)) = INTEGRITY.iter().find(|(sid, _)| *sid == label) {
        draft.push_if_absent("IntegrityLevel", Value::Str(level));
    }
}

/// Security's events about signing in and about processes, by id: what was tried and how it ended.
const OUTCOMES: [(i64, &str, &str); 12] = [
    (4624, "login", "success"),
    (4625, "login", "failure"),
    (4634, "logout", "success"),
    (4648, "login", ""),
    (4688, "execute", "success"),
    (4720, "user_add", "success"),
    (4726, "user_delete", "success"),
    (4728, "group_member_add", "success"),
    (4732, "group_member_add", "success"),
    (4740, "user_lock", "success"),
    (4771, "authenticate", "failure"),
    (1102, "log_clear", "success"),
];

fn outcome(draft: &mut Draft<'_, '_>, event_id: i64, channel: &str) {
    if !channel.eq_ignore_ascii_case("Security") {
        return;
    }
    if let Some((_, action, outcome)) = OUTCOMES.iter().find(|(id, ..)| *id == event_id) {
        draft.push_if_absent("action", Value::Str(action));
        if !outcome.is_empty() {
            draft.push_if_absent("outcome", Value::Str(outcome));
        }
    }
}
