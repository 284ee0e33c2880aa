//! SigmaHQ's tables of what a log source means, against what events are classified as: each channel and event id of
//! `logsource-conditions.yml` gives its log source, and so does what `logsource-fields.json` names.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bumpalo::Bump;
use citywatch_parsers::record::Truncated;
use citywatch_parsers::{LogSource, Origin, ParseContext, RecordBatch, Timestamp, parse_batch};

/// The directory with shared test input, if it is there.
fn sigma() -> Option<PathBuf> {
    let shared = std::env::var_os("CITYWATCH_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        PathBuf::from,
    );
    let sigma = shared.join("sigma");
    if sigma.is_dir() {
        return Some(sigma);
    }
    eprintln!(
        "skipped: nothing at {} (set CITYWATCH_SHARED)",
        sigma.display()
    );
    None
}

/// An entry of `logsource-conditions.yml`.
#[derive(Debug, Default)]
struct Entry {
    name: String,
    category: String,
    service: String,
    /// The service whose channels carry it.
    carried_by: String,
    event_ids: Vec<i64>,
    event_type: String,
    channels: Vec<String>,
}

/// The file has a fixed layout of four, eight and twelve spaces, which is read here line by line.
fn entries(text: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut section = String::new();
    for line in text
        .lines()
        .skip_while(|line| *line != "logsources:")
        .skip(1)
    {
        let line = line.split(" #").next().unwrap_or("").trim_end();
        let depth = line.len() - line.trim_start().len();
        let text = line.trim_start();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let (key, value) = text.split_once(':').unwrap_or((text, ""));
        let value = value.trim();
        if depth == 4 {
            entries.push(Entry {
                name: key.to_owned(),
                ..Entry::default()
            });
            continue;
        }
        let entry = entries.last_mut().unwrap();
        match (depth, section.as_str(), key) {
            (8, _, "category") => value.clone_into(&mut entry.category),
            (8, _, "service") => value.clone_into(&mut entry.service),
            (8, _, _) => key.clone_into(&mut section),
            (12, "rewrite", "service") => value.clone_into(&mut entry.carried_by),
            (12, "conditions", "EventType") => value.clone_into(&mut entry.event_type),
            (12, "conditions", "EventID") => entry.event_ids.extend(value.parse::<i64>()),
            (16, "conditions", _) => entry
                .event_ids
                .push(text.trim_start_matches("- ").parse().unwrap()),
            (12, "sources", _) => {
                let source = text.trim_start_matches("- ").trim_matches(['"', '\'']);
                let channel = source.strip_prefix("WinEventLog:");
                entry.channels.extend(channel.map(str::to_owned));
            }
            _ => {}
        }
    }
    entries
}

/// The log sources of a Windows event in JSON.
fn classified(channel: &str, event_id: i64, event_type: &str) -> Vec<LogSource<'static>> {
    let kind = if event_type.is_empty() {
        String::new()
    } else {
        format!(r#","EventType":"{event_type}""#)
    };
    log_sources(&format!(
        r#"{{"Channel":"{channel}","EventID":{event_id},"Computer":"ubnd-ws-017"{kind}}}"#
    ))
}

fn log_sources(record: &str) -> Vec<LogSource<'static>> {
    let mut batch = RecordBatch::new(Arc::new(Origin::default()));
    batch.push(record.as_bytes(), 0, Timestamp(0), Truncated::No);
    let arena = Bump::new();
    let events = parse_batch(&batch, &arena, &ParseContext::default());
    let owned = |text: &str| std::borrow::Cow::Owned(text.to_owned());
    let sources = events[0].log_sources.iter().map(|source| LogSource {
        product: owned(&source.product),
        category: owned(&source.category),
        service: owned(&source.service),
    });
    sources.collect()
}

fn has(sources: &[LogSource<'_>], category: &str, service: &str) -> bool {
    sources.iter().any(|source| {
        source.product == "windows"
            && (category.is_empty() || source.category == category)
            && (service.is_empty() || source.service == service)
    })
}

#[test]
fn each_channel_and_event_id_gives_its_log_source() {
    let Some(sigma) = sigma() else { return };
    let text = fs::read_to_string(sigma.join("logsource-conditions.yml")).unwrap();
    let entries = entries(&text);
    let mut channels: BTreeMap<&str, &[String]> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| !entry.channels.is_empty()) {
        channels.insert(&entry.service, &entry.channels);
    }
    let mut wrong = Vec::new();
    let mut checked = 0;
    for entry in &entries {
        for channel in &entry.channels {
            checked += 1;
            let sources = classified(channel, 1, "");
            if !has(&sources, "", &entry.service) {
                wrong.push(format!("{}: {channel} gives {sources:?}", entry.name));
            }
        }
        for &event_id in &entry.event_ids {
            for channel in channels[entry.carried_by.as_str()] {
                checked += 1;
                let sources = classified(channel, event_id, &entry.event_type);
                if !has(&sources, &entry.category, "") || !has(&sources, "", &entry.carried_by) {
                    let name = &entry.name;
                    wrong.push(format!("{name}: {channel} {event_id} gives {sources:?}"));
                }
            }
        }
    }
    assert!(checked > 100, "only {checked} combinations were read");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// No event is given a category that the table has for another one: what is not in it is listed here.
#[test]
fn no_event_id_gives_a_category_that_is_not_its_own() {
    let Some(sigma) = sigma() else { return };
    let text = fs::read_to_string(sigma.join("logsource-conditions.yml")).unwrap();
    let entries = entries(&text);
    let mut allowed: BTreeSet<(&str, i64, &str)> = entries
        .iter()
        .flat_map(|entry| {
            let ids = entry.event_ids.iter();
            ids.map(|&id| (entry.carried_by.as_str(), id, entry.category.as_str()))
        })
        .collect();
    // The taxonomy appendix calls it so.
    allowed.insert(("sysmon", 24, "clipboard_capture"));
    for (service, channel) in [
        ("sysmon", "Microsoft-Windows-Sysmon/Operational"),
        ("security", "Security"),
        ("powershell", "Microsoft-Windows-PowerShell/Operational"),
        ("powershell-classic", "Windows PowerShell"),
        (
            "windefend",
            "Microsoft-Windows-Windows Defender/Operational",
        ),
        ("system", "System"),
    ] {
        for event_id in 0..5_000 {
            for event_type in ["", "CreateKey", "DeleteKey", "DeleteValue", "SetValue"] {
                for source in classified(channel, event_id, event_type) {
                    assert!(
                        source.category.is_empty()
                            || allowed.contains(&(service, event_id, &*source.category)),
                        "{channel} {event_id} {event_type} gives {source:?}"
                    );
                }
                if service != "sysmon" {
                    break;
                }
            }
        }
    }
}

/// What the table of fields names for Windows, some event has.
#[test]
fn every_windows_log_source_with_fields_can_come() {
    let Some(sigma) = sigma() else { return };
    let text = fs::read_to_string(sigma.join("logsource-fields.json")).unwrap();
    let table: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut sources = Vec::new();
    for event_id in (0..300).chain([400, 600, 800, 4_103, 4_104, 4_688, 1_116]) {
        for channel in ["Microsoft-Windows-Sysmon/Operational", "Windows PowerShell"] {
            for event_type in ["", "CreateKey", "DeleteKey"] {
                sources.extend(classified(channel, event_id, event_type));
            }
        }
        sources.extend(classified(
            "Microsoft-Windows-PowerShell/Operational",
            event_id,
            "",
        ));
    }
    for event_id in [12, 19] {
        sources.extend(log_sources(&format!(
            r#"{{"EventID":{event_id},"Provider_Name":"Microsoft-Windows-Kernel-File"}}"#
        )));
    }
    let categories = table["legit"]["windows"]["category"].as_object().unwrap();
    // `file_block` is called by its two kinds elsewhere, Sysmon 9 `raw_access_thread`.
    let renamed = ["file_block", "raw_access_read"];
    let missing: Vec<&String> = categories
        .keys()
        .filter(|category| !renamed.contains(&category.as_str()))
        .filter(|category| !has(&sources, category, ""))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
