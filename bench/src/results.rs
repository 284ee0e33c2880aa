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
    // The command without this machine's paths.
    let command: Vec<String> = std::env::args().skip(1).collect();
    let document = json!({
        "command": format!("cargo run --release -p citywatch-bench -- {}", command.join(" ")),
        "host": host(),
        "measured_at": jiff::Timestamp::now().to_string(),
        "measured": measured,
    });
    let text = serde_json::to_string_pretty(&document)? + "\n";
    fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
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
