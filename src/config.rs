//! The configuration of the whole: one TOML file, a section per department, a default for every key.
//!
//! Each department owns its section's type; this file only brings them together, turns mistakes into
//! one line that says where and what to do, and makes relative paths relative to the file.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use citywatch_alerting::AlertingConfig;
use citywatch_collector::AgentConfig;
use citywatch_collector::IntakeConfig;
use citywatch_collector::SpoolLimits;
use citywatch_collector::config::parse_toml;
use citywatch_collector::kafka::ConsumerConfig;
use citywatch_engine::pipeline::PipelineConfig;
use citywatch_engine::store::StoreConfig;
use serde::Deserialize;

use crate::demo::DemoConfig;
use crate::report::UsageError;
use crate::watching::WatchConfig;

/// All settings.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where everything embedded keeps its data.
    pub data: DataConfig,
    /// The agent within `citywatch up`.
    pub agent: AgentConfig,
    /// Kafka, for `citywatch engine`, and for `citywatch up` with `[input] from = "kafka"`.
    pub kafka: Option<ConsumerConfig>,
    /// How records reach the engine.
    pub input: InputConfig,
    /// The durable queue between agent and engine.
    pub spool: SpoolLimits,
    /// What records are read with besides the built-in formats.
    pub parsers: ParsersConfig,
    /// The engine.
    pub engine: PipelineConfig,
    /// The event store. Without `url`, `citywatch up` starts the embedded one.
    pub store: StoreConfig,
    /// The embedded store.
    pub embedded_store: EmbeddedStoreConfig,
    /// Alerts, incidents, accounts and the console.
    pub alerting: AlertingConfig,
    /// What is watched beside the records.
    pub watch: WatchConfig,
    /// Metrics, health and status.
    pub monitor: MonitorConfig,
    /// The authority that vouches for agents.
    pub ca: CaConfig,
    /// Recordings that are played as a history: this installation is a demonstration then.
    pub demo: Option<DemoConfig>,
    /// The HTTPS door at which agents enrol and, without Kafka, hand in their batches.
    pub intake: IntakeConfig,
}

/// The authority that vouches for agents.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CaConfig {
    /// Its folder; unset: `ca` in the data folder.
    pub dir: PathBuf,
}

/// Where data rests.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataConfig {
    /// Folder for spool, store, incidents and the agent's positions; made if missing.
    pub dir: PathBuf,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("citywatch-data"),
        }
    }
}

/// How records reach the engine.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InputConfig {
    /// Which transport.
    pub from: Transport,
}

/// A transport.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// The durable queue on this machine's disk.
    #[default]
    Spool,
    /// Kafka.
    Kafka,
}

/// What records are read with.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ParsersConfig {
    /// File or folder of a site's own text formats (`*.toml`); changes are taken over while records flow.
    pub definitions: Option<PathBuf>,
}

/// The embedded store.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EmbeddedStoreConfig {
    /// libchdb.so; unset: looked for in CITYWATCH_LIBCHDB, the cache of deploy/setup.sh, and beside the program.
    pub library: Option<PathBuf>,
    /// Where it listens; unset: a free port on loopback.
    pub listen: Option<SocketAddr>,
}

/// The operators' listener.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MonitorConfig {
    /// Where metrics, health and status answer, without sign-in: keep it on loopback or a management network.
    pub listen: SocketAddr,
}

impl Default for MonitorConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8788)),
        }
    }
}

impl Config {
    /// Reads `path`, or takes the defaults without one.
    ///
    /// # Errors
    /// [`UsageError`] in one line: file, line, column, what is wrong and the nearest right word.
    pub fn load(path: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = path else {
            return Ok(Self::default());
        };
        let text = std::fs::read_to_string(path).map_err(|error| {
            UsageError(format!(
                "cannot read the configuration {}: {error}",
                path.display()
            ))
        })?;
        let mut config: Self =
            parse_toml(&text, path).map_err(|error| UsageError(error.to_string()))?;
        config.resolve(path.parent().unwrap_or_else(|| Path::new("")));
        Ok(config)
    }

    /// Makes the paths in the file relative to the file's folder, so that a configuration means the
    /// same wherever the command is run. The data folder stays relative to where it is run.
    fn resolve(&mut self, folder: &Path) {
        let engine = &mut self.engine;
        for path in engine.rules.iter_mut().chain(&mut engine.pipelines) {
            *path = folder.join(&path);
        }
        for group in &mut self.agent.files {
            // A pattern without a slash among the excluded is for names, wherever the file lies.
            let excluded = group
                .exclude
                .iter_mut()
                .filter(|pattern| pattern.contains('/'));
            for path in group.paths.iter_mut().chain(excluded) {
                *path = folder.join(&path).to_string_lossy().into_owned();
            }
        }
        if self.ca.dir != Path::new("") {
            self.ca.dir = folder.join(&self.ca.dir);
        }
        if let Some(demo) = &mut self.demo {
            demo.resolve(folder);
        }
        let smtp = self.alerting.notifications.smtp.as_mut();
        if let Some(file) = smtp.and_then(|smtp| smtp.password_file.as_mut()) {
            *file = folder.join(&file);
        }
        let tls = &mut self.alerting.tls;
        for path in [
            &mut tls.certificate,
            &mut tls.private_key,
            &mut self.embedded_store.library,
            &mut self.parsers.definitions,
        ]
        .into_iter()
        .flatten()
        {
            *path = folder.join(&path);
        }
    }

    /// Puts what the departments keep below the data folder, where the configuration says nothing else.
    pub fn complete(&mut self) {
        let defaults = Self::default();
        if self.alerting.data_dir == defaults.alerting.data_dir {
            self.alerting.data_dir = self.data.dir.join("alerting");
        }
        if self.agent.state_dir == defaults.agent.state_dir {
            self.agent.state_dir = self.data.dir.join("agent");
        }
        if self.ca.dir == defaults.ca.dir {
            self.ca.dir = self.data.dir.join("ca");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::{Config, parse_toml};

    fn cases(kind: &str) -> Vec<PathBuf> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("src/testdata/config")
            .join(kind);
        let files = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let mut cases: Vec<_> = files
            .filter(|path| path.extension().is_some_and(|e| e == "toml"))
            .collect();
        cases.sort();
        assert!(!cases.is_empty(), "no cases of kind {kind}");
        cases
    }

    /// Compares with the file beside the case; writes it when missing or with `UPDATE=1`.
    fn check_golden(case: &Path, extension: &str, got: &str) {
        let golden = case.with_extension(extension);
        if std::env::var_os("UPDATE").is_some() || !golden.exists() {
            std::fs::write(&golden, got).unwrap();
        }
        let expected = std::fs::read_to_string(&golden).unwrap();
        assert_eq!(got, expected, "{}", golden.display());
    }

    #[test]
    fn right_configurations_are_read() {
        for case in cases("ok") {
            let text = std::fs::read_to_string(&case).unwrap();
            let config: Config = parse_toml(&text, &case).unwrap_or_else(|error| panic!("{error}"));
            let folder = Path::new("/etc/citywatch");
            let mut resolved = config;
            resolved.resolve(folder);
            resolved.complete();
            // The agent is named after this machine unless the configuration names it.
            let machine = format!("{:?}", Config::default().agent.name);
            check_golden(
                &case,
                "txt",
                &format!("{resolved:#?}\n").replace(&machine, "(this machine)"),
            );
        }
    }

    #[test]
    fn mistakes_are_named_in_one_line() {
        for case in cases("err") {
            let text = std::fs::read_to_string(&case).unwrap();
            let name = case.file_name().unwrap().to_str().unwrap().to_owned();
            let mistake = parse_toml::<Config>(&text, Path::new(&name))
                .expect_err(&name)
                .to_string();
            assert_eq!(mistake.lines().count(), 1, "{mistake}");
            check_golden(&case, "txt", &format!("{mistake}\n"));
        }
    }

    #[test]
    fn the_examples_are_right() {
        for path in [
            "deploy/citywatch.example.toml",
            "deploy/compose/citywatch.toml",
            "deploy/demo/citywatch.toml",
            "deploy/demo/city.toml",
        ] {
            Config::load(Some(&Path::new(env!("CARGO_MANIFEST_DIR")).join(path))).unwrap();
        }
    }
}
