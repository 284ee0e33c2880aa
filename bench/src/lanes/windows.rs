//! Windows events of the recordings, varied: Sysmon process creations, small ones, and those that rules love.

use serde_json::{Map, Value};

use super::city::City;

type Object = Map<String, Value>;

/// What a varied process creation has of a recorded one: it is the event without the text that says it again.
const PROCESS_FIELDS: &[&str] = &[
    "EventID",
    "Channel",
    "Hostname",
    "UtcTime",
    "ProcessGuid",
    "ProcessId",
    "Image",
    "OriginalFileName",
    "Description",
    "Product",
    "Company",
    "CommandLine",
    "CurrentDirectory",
    "User",
    "LogonId",
    "IntegrityLevel",
    "Hashes",
    "ParentProcessGuid",
    "ParentProcessId",
    "ParentImage",
    "ParentCommandLine",
];
/// What belongs to the program that is started, and to the one that starts it.
const CHILD: &[&str] = &[
    "Image",
    "OriginalFileName",
    "Description",
    "Product",
    "Company",
    "CommandLine",
    "IntegrityLevel",
];
const PARENT: &[&str] = &["ParentImage", "ParentCommandLine"];
/// What a small event has of a recorded one.
const SMALL_FIELDS: &[&str] = &[
    "EventID",
    "Channel",
    "Hostname",
    "@timestamp",
    "TimeCreated",
    "SubjectUserName",
    "SubjectDomainName",
    "SubjectLogonId",
    "ObjectServer",
    "HandleId",
    "ProcessId",
    "ProcessName",
    "Application",
    "SourceAddress",
    "SourcePort",
    "DestAddress",
    "DestPort",
    "EventType",
    "TargetObject",
    "Image",
];
/// The size of a process creation in this lane, in bytes.
const PROCESS_BYTES: std::ops::RangeInclusive<usize> = 500..=1_000;

/// The recorded process creations of Sysmon.
pub(crate) fn process_creations(lines: &[Vec<u8>]) -> Vec<Object> {
    let events = lines
        .iter()
        .filter_map(|line| serde_json::from_slice::<Object>(line).ok());
    events
        .filter(|event| {
            is(event, "EventID", "1")
                && is(event, "Channel", "Microsoft-Windows-Sysmon/Operational")
                && event.contains_key("ParentImage")
        })
        .map(|event| {
            let kept = PROCESS_FIELDS.iter().filter_map(|&name| {
                let value = event.get(name)?.clone();
                Some((name.to_owned(), value))
            });
            kept.collect()
        })
        .collect()
}

/// A process creation of 0.5 to 1 KB: a recorded one with another parent, host, user and time, or a program
/// that no recording has.
pub(crate) fn vary_process(recorded: &[Object], city: &mut City) -> Vec<u8> {
    loop {
        let mut event = city.random.pick(recorded).clone();
        if city.random.percent(50) {
            copy(city.random.pick(recorded), PARENT, &mut event);
        }
        match city.random.below(4) {
            0 => copy(city.random.pick(recorded), CHILD, &mut event),
            1 | 2 => unknown_program(&mut event, city),
            _ => {}
        }
        vary(&mut event, city);
        // Long command lines make long events: the hashes go first, then the event.
        let mut line = bytes_of(&event);
        if line.len() > *PROCESS_BYTES.end() {
            event.remove("Hashes");
            line = bytes_of(&event);
        }
        if PROCESS_BYTES.contains(&line.len()) {
            return line;
        }
    }
}

/// The event without what agents are commonly told to leave out, as far as it is longer than that.
pub(crate) fn shortened(line: Vec<u8>, bytes_max: usize) -> Vec<u8> {
    const LEFT_OUT: [&str; 5] = [
        "Hashes",
        "ParentProcessGuid",
        "LogonId",
        "CurrentDirectory",
        "Company",
    ];
    let Ok(mut event) = serde_json::from_slice::<Object>(&line) else {
        return line;
    };
    let mut line = line;
    for name in LEFT_OUT {
        if line.len() <= bytes_max {
            break;
        }
        event.remove(name);
        line = bytes_of(&event);
    }
    line
}

/// A recorded event with another host, user and time, otherwise as it is.
pub(crate) fn vary_line(recorded: &Object, city: &mut City) -> Vec<u8> {
    let mut event = recorded.clone();
    vary(&mut event, city);
    bytes_of(&event)
}

/// Recorded events reduced to a few fields, where that makes them no larger than so many bytes. They say
/// that they are Windows events, as shippers do: or rules that ask for what is absent hold for all of them.
pub(crate) fn small(lines: &[Vec<u8>], bytes_max: usize) -> Vec<Object> {
    let events = lines
        .iter()
        .filter_map(|line| serde_json::from_slice::<Object>(line).ok());
    events
        .map(|event| {
            let kept = SMALL_FIELDS.iter().filter_map(|&name| {
                let value = event.get(name)?.clone();
                Some((name.to_owned(), value))
            });
            let product = ("product".to_owned(), Value::from("windows"));
            kept.chain([product]).collect::<Object>()
        })
        .filter(|event| event.len() > 6 && bytes_of(event).len() <= bytes_max)
        .collect()
}

fn is(event: &Object, name: &str, wanted: &str) -> bool {
    match event.get(name) {
        Some(Value::String(text)) => text == wanted,
        Some(Value::Number(number)) => number.to_string() == wanted,
        _ => false,
    }
}

fn copy(from: &Object, names: &[&str], to: &mut Object) {
    for &name in names {
        if let Some(value) = from.get(name) {
            to.insert(name.to_owned(), value.clone());
        }
    }
}

fn unknown_program(event: &mut Object, city: &mut City) {
    let program = city.program();
    let mut set = |name: &str, value: String| {
        event.insert(name.to_owned(), Value::String(value));
    };
    set(
        "CommandLine",
        format!("\"{}\"{}", program.image, program.arguments),
    );
    set("Image", program.image);
    set("OriginalFileName", program.file);
    set("Description", format!("{} component", program.vendor));
    set("Product", program.vendor.to_owned());
    set("Company", program.vendor.to_owned());
}

/// Another host, user, time, process and file; the user's folder in paths follows the user.
fn vary(event: &mut Object, city: &mut City) {
    let host = city.host();
    let user = city.user();
    let domain = city.domain();
    let at = jiff::Timestamp::from_millisecond(city.next_ms()).unwrap_or_default();
    let recorded_user = ["User", "AccountName", "SubjectUserName"]
        .iter()
        .find_map(|name| event.get(*name)?.as_str())
        .map(|user| user.rsplit('\\').next().unwrap_or(user).to_owned())
        .filter(|user| is_person(user));
    for (name, value) in event.iter_mut() {
        let Value::String(text) = value else { continue };
        match name.as_str() {
            "Hostname" | "Computer" | "host" => *text = format!("{host}.hcmc.local"),
            "User" if is_person(text.rsplit('\\').next().unwrap_or(text)) => {
                *text = format!("{domain}\\{user}");
            }
            "UtcTime" => *text = at.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string(),
            "@timestamp" | "TimeCreated" | "EventTime" => {
                *text = at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
            }
            "ProcessGuid" | "ParentProcessGuid" | "SourceProcessGUID" | "TargetProcessGUID"
            | "LogonGuid" => *text = guid(city),
            "ProcessId" | "ParentProcessId" | "LogonId" | "HandleId"
                if text.bytes().all(|byte| byte.is_ascii_digit()) =>
            {
                *text = (city.random.below(16_000) * 4).to_string();
            }
            "Hashes" => {
                *text = format!("SHA256={}", city.random.hex(64).to_uppercase());
            }
            "DestAddress" | "SourceAddress" | "SourceIp" | "DestinationIp"
                if text.contains('.') && !text.starts_with("127.") =>
            {
                *text = city.inner_address();
            }
            _ => {
                if let Some(recorded) = &recorded_user
                    && text.contains(recorded.as_str())
                {
                    *text = text.replace(recorded.as_str(), &user);
                }
            }
        }
    }
}

/// Service accounts keep their names: rules ask for them.
fn is_person(user: &str) -> bool {
    user.len() > 2
        && !user.ends_with('$')
        && ![
            "SYSTEM",
            "LOCAL SERVICE",
            "NETWORK SERVICE",
            "ANONYMOUS LOGON",
        ]
        .contains(&user)
}

fn guid(city: &mut City) -> String {
    let mut part = |digits| city.random.hex(digits);
    format!(
        "{{{}-{}-{}-{}-{}}}",
        part(8),
        part(4),
        part(4),
        part(4),
        part(12)
    )
}

fn bytes_of(event: &Object) -> Vec<u8> {
    serde_json::to_vec(event).unwrap_or_default()
}
