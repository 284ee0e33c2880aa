//! Rules and events in words, as several commands tell of them.

use citywatch_parsers::{Event, LogSource};
use citywatch_rules::explain::Branch;

use super::style::printable;

/// `windows/process_creation`, `category webserver`; of what names nothing `any log source`.
pub fn log_source(source: &LogSource<'_>) -> String {
    let parts = [
        ("product", &source.product),
        ("category", &source.category),
        ("service", &source.service),
    ];
    let named = parts.iter().filter(|(_, part)| !part.is_empty());
    let words: Vec<String> = named
        .map(|(name, part)| format!("{name} {}", printable(part)))
        .collect();
    if words.is_empty() {
        "any log source".to_owned()
    } else {
        words.join(", ")
    }
}

/// All log sources of an event.
pub fn log_sources(event: &Event<'_>) -> String {
    let words: Vec<String> = event.log_sources.iter().map(log_source).collect();
    if words.is_empty() {
        "of no known log source".to_owned()
    } else {
        words.join("; or ")
    }
}

/// A leaf that is not as the rule wants it.
pub fn missing(leaf: &Branch, indent: &str) -> String {
    let wanted = if leaf.holds {
        "must not hold"
    } else {
        "does not hold"
    };
    let seen = leaf.seen.as_deref().unwrap_or_default();
    format!(
        "{indent}{} {wanted}; the event has {}",
        printable(&leaf.asks),
        printable(seen)
    )
}
