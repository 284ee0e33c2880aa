//! Connections that Zeek recorded, as the JSON that Zeek writes, varied: small events that no rule is about.

use serde_json::{Map, Value};

use super::city::City;

/// The recorded connections of a `conn.log` of tab separated values.
pub(crate) fn connections(text: &str) -> Vec<Map<String, Value>> {
    let mut names: Vec<&str> = Vec::new();
    let mut found = Vec::new();
    for line in text.lines() {
        if let Some(listed) = line.strip_prefix("#fields\t") {
            names = listed.split('\t').collect();
        } else if !line.starts_with('#') {
            let values = names.iter().zip(line.split('\t'));
            found.push(
                values
                    .filter(|(_, value)| !["-", "(empty)"].contains(value))
                    .map(|(name, value)| ((*name).to_owned(), typed(value)))
                    .collect(),
            );
        }
    }
    found
}

/// Another time, other addresses, ports and sizes.
pub(crate) fn vary(recorded: &Map<String, Value>, city: &mut City) -> Vec<u8> {
    let mut event = recorded.clone();
    let at_ms = city.next_ms();
    let mut set = |name: &str, value: Value| {
        if let Some(known) = event.get_mut(name) {
            *known = value;
        }
    };
    set("ts", (at_ms as f64 / 1_000.0).into());
    set("uid", format!("C{}", city.random.letters(17)).into());
    set("id.orig_h", city.inner_address().into());
    set(
        "id.resp_h",
        if city.random.percent(50) {
            city.inner_address()
        } else {
            city.outer_address()
        }
        .into(),
    );
    set("id.orig_p", city.port().into());
    set("orig_bytes", city.random.skewed_below(100_000).into());
    set("resp_bytes", city.random.skewed_below(1_000_000).into());
    serde_json::to_vec(&event).unwrap_or_default()
}

fn typed(value: &str) -> Value {
    match value {
        "T" => true.into(),
        "F" => false.into(),
        _ => match (value.parse::<i64>(), value.parse::<f64>()) {
            (Ok(number), _) => number.into(),
            (_, Ok(number)) if number.is_finite() => number.into(),
            _ => value.into(),
        },
    }
}
