//! A Kafka broker of the measurement's own.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};

use super::project;
use crate::pipeline::own_cpu_seconds;

/// It ends with this value.
pub(super) struct Broker {
    dir: PathBuf,
    address: String,
}

impl Broker {
    /// Starts it with its data in `dir`.
    pub(super) fn start(dir: &Path) -> Result<Self> {
        let port = two_free_ports()?;
        let broker = Self {
            dir: dir.to_owned(),
            address: format!("127.0.0.1:{port}"),
        };
        broker.script("start", &[&port.to_string()])?;
        Ok(broker)
    }

    /// `host:port`.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// CPU seconds that it has used.
    pub(super) fn cpu_s(&self) -> f64 {
        let pid = std::fs::read_to_string(self.dir.join("pid")).unwrap_or_default();
        pid.trim().parse().map_or(0.0, own_cpu_seconds)
    }

    /// Makes a topic.
    pub(super) fn topic(&self, name: &str, partitions: u32) -> Result<()> {
        self.script("topic", &[name, &partitions.to_string()])
    }

    fn script(&self, action: &str, arguments: &[&str]) -> Result<()> {
        let output = Command::new("bash")
            .arg(project().join("deploy/kafka-dev.sh"))
            .arg(action)
            .arg(&self.dir)
            .args(arguments)
            .output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "kafka-dev.sh {action}: {said}");
        Ok(())
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Err(error) = self.script("stop", &[]) {
            eprintln!("{error}");
        }
    }
}

/// The broker's and, after it, its controller's.
fn two_free_ports() -> Result<u16> {
    for port in (21_000..31_000).step_by(2) {
        let free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if free(port) && free(port + 1) {
            return Ok(port);
        }
    }
    anyhow::bail!("no free ports")
}
