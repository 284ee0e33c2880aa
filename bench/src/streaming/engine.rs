//! `citywatch engine` of the measurement's own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::Value;

use super::store::{StoreProcess, free_port};
use super::{Broker, program};
use crate::pipeline::{memory_mib, own_cpu_seconds};

/// It ends with this value.
pub(super) struct Engine {
    child: Child,
    monitor: u16,
    log: PathBuf,
}

impl Engine {
    /// Starts it on one topic, with its data in `dir`.
    pub(super) fn start(
        broker: &Broker,
        topic: &str,
        store: &StoreProcess,
        rules: &Path,
        dir: &Path,
    ) -> Result<Self> {
        std::fs::create_dir_all(dir)?;
        let monitor = free_port()?;
        let config = format!(
            "[data]\ndir = {:?}\n[monitor]\nlisten = \"127.0.0.1:{monitor}\"\n[engine]\nclock_behind_max_days = 0\nrules = [{rules:?}]\n{}[kafka]\nbrokers = \"{}\"\n[kafka.topics.\"{topic}\"]\n",
            dir.join("data"),
            store.section(),
            broker.address()
        );
        std::fs::write(dir.join("engine.toml"), config)?;
        let log = dir.join("engine.log");
        let out = std::fs::File::create(&log)?;
        let child = Command::new(program("citywatch")?)
            .arg("engine")
            .arg("--config")
            .arg(dir.join("engine.toml"))
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()?;
        Ok(Self {
            child,
            monitor,
            log,
        })
    }

    /// What it says of itself; none before it listens.
    pub(super) fn status(&mut self) -> Result<Option<EngineStatus>> {
        if let Some(status) = self.child.try_wait()? {
            let said = std::fs::read_to_string(&self.log)?;
            bail!("citywatch engine ended: {status}: {said}");
        }
        let asked = ureq::get(format!("http://127.0.0.1:{}/status", self.monitor)).call();
        let Ok(mut answer) = asked else {
            return Ok(None);
        };
        let text = answer.body_mut().read_to_string()?;
        Ok(Some(EngineStatus(serde_json::from_str(&text)?)))
    }

    /// Looks at it every so often from the first record that it takes: start-up and the loading of rules do not count. What
    /// `begin` says at that moment is there at each look, until one has an answer.
    pub(super) fn watch<B, T>(
        &mut self,
        every: Duration,
        begin: impl FnOnce(&Self) -> B,
        mut look: impl FnMut(&Self, &EngineStatus, &B) -> Result<Option<T>>,
    ) -> Result<T> {
        let (mut begin, mut begun) = (Some(begin), None);
        loop {
            std::thread::sleep(every);
            let Some(status) = self.status()? else {
                continue;
            };
            if status.total("records_in") == 0 {
                continue;
            }
            if let Some(begin) = begin.take() {
                begun = Some(begin(self));
            }
            if let Some(begun) = &begun
                && let Some(answer) = look(self, &status, begun)?
            {
                return Ok(answer);
            }
        }
    }

    /// The sum of a histogram in seconds, and how many values it has.
    pub(super) fn spent(&self, metric: &str) -> Result<(f64, f64)> {
        let asked = ureq::get(format!("http://127.0.0.1:{}/metrics", self.monitor)).call();
        let text = asked?.body_mut().read_to_string()?;
        let of = |suffix: &str| {
            let name = format!("{metric}_{suffix}");
            let mut lines = text.lines().filter_map(|line| line.split_once(' '));
            let value = lines.find(|(found, _)| *found == name);
            value.and_then(|(_, value)| value.parse().ok())
        };
        Ok((of("sum").unwrap_or(0.0), of("count").unwrap_or(0.0)))
    }

    /// CPU seconds that it has used.
    pub(super) fn cpu_s(&self) -> f64 {
        own_cpu_seconds(self.child.id())
    }

    /// A line of its status in /proc (`VmHWM`, `VmRSS`), in MiB.
    pub(super) fn memory_mib(&self, line: &str) -> f64 {
        memory_mib(self.child.id(), line)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The document that `/status` answers with.
pub(super) struct EngineStatus(Value);

impl EngineStatus {
    /// A total since its start.
    pub(super) fn total(&self, name: &str) -> u64 {
        self.0["totals"][name].as_u64().unwrap_or(0)
    }

    /// Events that are stored or dead letters.
    pub(super) fn settled(&self) -> u64 {
        self.total("events_stored") + self.total("dead_letters")
    }

    /// Rules that are loaded.
    pub(super) fn rules(&self) -> Value {
        self.0["details"]["rules"]["loaded"].clone()
    }
}
