//! Results as files: what was measured, where, with which command and which input.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// Writes `measured` with its circumstances to `bench/results/NAME.json`.
pub(crate) fn write(name: &str, measured: &Value) -> Result<()> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("results");
    fs::create_dir_all(&directory)?;
    let path = directory.join(format!("{name}.json"));
    let command: Vec<String> = std::env::args().skip(1).map(portable).collect();
    let document = json!({
        "command": format!("cargo run --release -p citywatch-bench -- {}", command.join(" ")),
        "host": host(),
        "measured_at": jiff::Timestamp::now().to_string(),
        "measured": measured,
    });
    let text = serde_json::to_string_pretty(&document)? + "\n";
    fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
}

/// An argument as somebody else can give it: an absolute path relative to the project, or beside it;
/// of any other place only the name, since it means nothing elsewhere.
fn portable(argument: String) -> String {
    let path = Path::new(&argument);
    if !path.is_absolute() {
        return argument;
    }
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    let inside = project.and_then(|project| path.strip_prefix(project).ok());
    let beside = project.and_then(|project| path.strip_prefix(project.parent()?).ok());
    match (inside, beside) {
        (Some(inside), _) => inside.display().to_string(),
        (None, Some(beside)) => Path::new("..").join(beside).display().to_string(),
        (None, None) => path.file_name().map_or_else(
            || "/".to_owned(),
            |name| name.to_string_lossy().into_owned(),
        ),
    }
}

fn host() -> Value {
    let cpu_info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        cpu_info
            .lines()
            .find(|line| line.starts_with(name))
            .and_then(|line| line.split(':').nth(1))
            .unwrap_or("")
            .trim()
            .to_owned()
    };
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    json!({ "cpu": field("model name"), "family": field("cpu family"), "model": field("model\t"), "cores": cores })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_names_no_path_of_this_machine() {
        let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let given = |path: &Path| portable(path.display().to_string());
        assert_eq!(given(&project.join("rules/library")), "rules/library");
        assert_eq!(
            given(&project.parent().unwrap().join("shared/events")),
            "../shared/events"
        );
        assert_eq!(
            portable("/somewhere/else/events.ndjson".into()),
            "events.ndjson"
        );
        assert_eq!(portable("--runs".into()), "--runs");
    }
}
