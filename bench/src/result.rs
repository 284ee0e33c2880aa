//! Where a measurement was taken and how, beside what it found.

use std::path::Path;

use anyhow::Context;
use serde::Serialize;

/// The machine and the command, so that somebody else can take the same measurement.
#[derive(Debug, Serialize)]
pub struct Setting {
    /// The processor's name.
    pub processor: String,
    /// Cores that may be used.
    pub cores: usize,
    /// Kernel.
    pub kernel: String,
    /// Version of Citywatch.
    pub version: &'static str,
    /// Arguments of the measurement, paths left out.
    pub command: String,
}

impl Setting {
    /// Of this machine and `command`.
    pub fn here(command: String) -> Self {
        let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let processor = cpu
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            processor: processor.map_or_else(|| "unknown".to_owned(), |(_, name)| name.to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: kernel.trim().to_owned(),
            version: env!("CARGO_PKG_VERSION"),
            command,
        }
    }
}

/// Writes `bench/results/<name>.json`.
pub fn write(name: &str, result: &impl Serialize) -> anyhow::Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("results")
        .join(format!("{name}.json"));
    let text = serde_json::to_string_pretty(result)? + "\n";
    std::fs::write(&path, text).with_context(|| path.display().to_string())?;
    eprintln!("written to bench/results/{name}.json");
    Ok(())
}
