//! What makes matches one alert, and alerts one incident. Both keys depend on the match alone: a replay,
//! or another order of arrival, gives the same.

use citywatch_engine::Match;
use citywatch_parsers::Timestamp;
use ring::digest::{Context, SHA256};

use crate::clock::MINUTE_MICROS;
use crate::config::AlertsConfig;

/// The id of the alert that a match belongs to: derived from rule, group and window. A rule without
/// correlation groups by unit and host, and its windows are aligned to the epoch.
pub(crate) fn alert_id(found: &Match, config: &AlertsConfig) -> String {
    match found.window {
        Some((start, _)) => {
            let start = start.as_micros().to_string();
            derive("alert", &[&group_key(found), &start])
        }
        None => {
            let (start, _) = aligned_window(found.event_time, config);
            derive(
                "alert",
                &[&group_key(found), &start.as_micros().to_string()],
            )
        }
    }
}

/// The window of an alert without correlation: its start and its end.
pub(crate) fn aligned_window(
    event_time: Timestamp,
    config: &AlertsConfig,
) -> (Timestamp, Timestamp) {
    let length = i64::from(config.window_minutes.max(1)) * MINUTE_MICROS;
    let start = event_time.as_micros().div_euclid(length) * length;
    (Timestamp(start), Timestamp(start + length))
}

/// What the alerts of one incident have in common: rule and group, or rule, unit and host.
pub(crate) fn group_key(found: &Match) -> String {
    let mut parts: Vec<&str> = vec![&found.rule.id];
    if found.rule.correlation {
        for (name, value) in &found.group {
            parts.push(name);
            parts.push(value);
        }
        derive("correlation group", &parts)
    } else {
        parts.push(found.unit.as_str());
        parts.push(&found.host);
        derive("host group", &parts)
    }
}

/// The id of the alert that goes on where another one's incident was closed within the window: that one stays as it was judged.
pub(crate) fn alert_id_after(alert_id: &str, closed_incident: &str) -> String {
    derive("alert after", &[alert_id, closed_incident])
}

/// The id of the incident that an alert opens.
pub(crate) fn incident_id(alert_id: &str) -> String {
    derive("incident", &[alert_id])
}

/// 128 bits of SHA-256 over the parts and their lengths, as hexadecimal digits.
fn derive(kind: &str, parts: &[&str]) -> String {
    let mut context = Context::new(&SHA256);
    for part in std::iter::once(&kind).chain(parts) {
        context.update(&(part.len() as u64).to_le_bytes());
        context.update(part.as_bytes());
    }
    hexadecimal(&context.finish().as_ref()[..16])
}

/// Lower-case hexadecimal digits.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}
