//! Reads the values of placeholders in rules from a file of its own.

use std::collections::BTreeMap;
use std::path::Path;

use citywatch_collector::config::parse_toml;
use serde::Deserialize;

use crate::config::Config;
use crate::report::UsageError;

/// Placeholders by name.
pub type Placeholders = BTreeMap<String, Vec<String>>;

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// Reads a file of placeholders: TOML by its ending, where `[engine]` says that it is a configuration
/// of Citywatch, anything else as YAML.
///
/// # Errors
/// [`UsageError`] in one line: file, line, column, what is wrong.
pub fn read(path: &Path) -> anyhow::Result<Placeholders> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        UsageError(format!(
            "cannot read the placeholders {}: {error}",
            path.display()
        ))
    })?;
    if path.extension().is_none_or(|extension| extension != "toml") {
        return citywatch_rules::read_placeholders(&path.display().to_string(), &text)
            .map_err(|error| UsageError(error.to_string()).into());
    }
    if text
        .lines()
        .any(|line| line.trim_start().starts_with("[engine"))
    {
        return Ok(Config::load(Some(path))?.engine.placeholders);
    }
    let table: BTreeMap<String, OneOrMany> =
        parse_toml(&text, path).map_err(|error| UsageError(error.to_string()))?;
    let lists = table.into_iter().map(|(name, values)| match values {
        OneOrMany::One(value) => (name, vec![value]),
        OneOrMany::Many(values) => (name, values),
    });
    Ok(lists.collect())
}
