//! The agent's configuration, and errors that say where and what to do.

mod places;

use std::fs;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::identity::{Identity, IdentityError};
use crate::kafka::ProducerConfig;
use crate::masking::MaskingConfig;
use crate::sources::command::{self, CommandConfig};
use crate::sources::evtx::{self, EvtxConfig};
use crate::sources::files::FilesConfig;
use crate::sources::http::HttpConfig;
use crate::sources::journald::{self, JournaldConfig};
use crate::sources::stdin::StdinConfig;
use crate::sources::syslog::SyslogConfig;
use crate::spool::{SpoolLimits, WhenFull};
use crate::uplink::UplinkConfig;

/// What an agent reads and where it sends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AgentConfig {
    /// The agent's name, unique in the city: with stream and position it identifies a record for
    /// ever. The host's name by default.
    pub name: String,
    /// The host its records speak of. The host's name by default.
    pub host: String,
    /// The office, where no certificate vouches for another.
    pub unit: String,
    /// Where positions are kept.
    pub state_dir: PathBuf,
    /// Most records in a batch.
    pub batch_records_max: usize,
    /// A batch is sent when it has this many bytes.
    pub batch_bytes_max: usize,
    /// The files to read.
    pub files: Vec<FilesConfig>,
    /// systemd's journals to read.
    pub journald: Vec<JournaldConfig>,
    /// The EVTX files to read.
    pub evtx: Vec<EvtxConfig>,
    /// The addresses to listen on for syslog.
    pub syslog: Vec<SyslogConfig>,
    /// The addresses to listen on for HTTP.
    pub http: Vec<HttpConfig>,
    /// The commands whose output is read.
    pub command: Vec<CommandConfig>,
    /// How standard input is read; it is not if absent.
    pub stdin: Option<StdinConfig>,
    /// Personal data that leaves the host as tokens only.
    pub masking: MaskingConfig,
    /// Bounds of the spool that keeps what was received until Kafka has it.
    pub spool: SpoolLimits,
    /// The Kafka topic to send to.
    pub kafka: Option<ProducerConfig>,
    /// The engine's HTTPS intake to send to, where no Kafka is to be had.
    pub https: Option<UplinkConfig>,
    /// Where the agent's identity is kept; `identity` in the state directory if absent.
    pub identity_dir: Option<PathBuf>,
    /// Where `citywatch-agent` tells metrics and status; nowhere if absent.
    pub monitor: Option<MonitorConfig>,
}

/// Where metrics, health and status are told, without sign-in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MonitorConfig {
    /// Address and port.
    pub listen: SocketAddr,
}

impl Default for AgentConfig {
    fn default() -> Self {
        let host = host_name();
        Self {
            name: host.clone(),
            host,
            unit: "local".into(),
            state_dir: "citywatch-data/agent".into(),
            batch_records_max: 4096,
            batch_bytes_max: 1 << 20,
            files: Vec::new(),
            journald: Vec::new(),
            evtx: Vec::new(),
            syslog: Vec::new(),
            http: Vec::new(),
            command: Vec::new(),
            stdin: None,
            masking: MaskingConfig::default(),
            spool: SpoolLimits::default(),
            kafka: None,
            https: None,
            identity_dir: None,
            monitor: None,
        }
    }
}

/// What is wrong with a configuration file.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("{}: cannot read the configuration: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// It is not TOML, or has keys or values that are not known.
    #[error("{path}:{line}:{column}: {message}", path = .path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
        /// What is wrong, and what was meant.
        message: String,
    },
    /// The agent's identity cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Values that make no sense, all of them.
    #[error("{}", .problems.join("\n"))]
    Invalid {
        /// One sentence each, naming the key.
        problems: Vec<String>,
    },
}

impl AgentConfig {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        let config: Self = parse_toml(&text, path)?;
        let problems = config.problems();
        if problems.is_empty() {
            return Ok(config);
        }
        let placed = problems
            .iter()
            .map(|problem| match places::line_of(&text, problem) {
                Some(line) => format!("{}:{line}: {problem}", path.display()),
                None => format!("{}: {problem}", path.display()),
            });
        Err(ConfigError::Invalid {
            problems: placed.collect(),
        })
    }

    /// Where the agent's identity is kept.
    pub fn identity_dir(&self) -> PathBuf {
        self.identity_dir
            .clone()
            .unwrap_or_else(|| self.state_dir.join("identity"))
    }

    /// Looks whether the agent was enrolled, and takes its name and unit from its certificate: others would
    /// be refused.
    ///
    /// # Errors
    /// [`ConfigError::Identity`] when the identity cannot be used; [`ConfigError::Invalid`] when the
    /// configuration names another agent or unit.
    pub fn adopt_identity(&mut self) -> Result<Option<Identity>, ConfigError> {
        let Some(identity) = Identity::open(&self.identity_dir())? else {
            return Ok(None);
        };
        let holder = identity.current().holder.clone();
        let defaults = Self::default();
        let mut problems = Vec::new();
        for (key, value, default, own) in [
            (
                "name",
                &mut self.name,
                defaults.name,
                holder.agent().as_str(),
            ),
            (
                "unit",
                &mut self.unit,
                defaults.unit,
                holder.unit().as_str(),
            ),
        ] {
            if *value != default && value != own {
                problems.push(format!(
                    "{key}: \"{value}\", but this agent was enrolled as {holder}; remove the key, or enrol it anew"
                ));
            }
            own.clone_into(value);
        }
        if problems.is_empty() {
            Ok(Some(identity))
        } else {
            Err(ConfigError::Invalid { problems })
        }
    }

    /// Whether no source is configured.
    pub fn reads_nothing(&self) -> bool {
        self.stdin.is_none() && self.reads_nothing_but_stdin()
    }

    /// Whether the agent is done at the end of standard input.
    pub(crate) fn reads_only_stdin(&self) -> bool {
        self.stdin.is_some() && self.reads_nothing_but_stdin()
    }

    fn reads_nothing_but_stdin(&self) -> bool {
        self.files.is_empty()
            && self.journald.is_empty()
            && self.evtx.is_empty()
            && self.syslog.is_empty()
            && self.http.is_empty()
            && self.command.is_empty()
    }

    /// Every source as the configuration names it (`files[0]`), with what is masked of it if it says so.
    pub fn sources(&self) -> Vec<(String, Option<&[String]>)> {
        fn named<'m>(
            section: &str,
            masks: impl Iterator<Item = &'m Option<Vec<String>>>,
        ) -> Vec<(String, Option<&'m [String]>)> {
            let name = |(index, mask): (usize, &'m Option<Vec<String>>)| {
                (format!("{section}[{index}]"), mask.as_deref())
            };
            masks.enumerate().map(name).collect()
        }
        let mut sources = named("files", self.files.iter().map(|source| &source.mask));
        sources.extend(named(
            "journald",
            self.journald.iter().map(|source| &source.mask),
        ));
        sources.extend(named("evtx", self.evtx.iter().map(|source| &source.mask)));
        sources.extend(named(
            "syslog",
            self.syslog.iter().map(|source| &source.mask),
        ));
        sources.extend(named("http", self.http.iter().map(|source| &source.mask)));
        sources.extend(named(
            "command",
            self.command.iter().map(|source| &source.mask),
        ));
        if let Some(stdin) = &self.stdin {
            sources.push(("stdin".into(), stdin.mask.as_deref()));
        }
        sources
    }

    /// The sources that say themselves what happens when their spool is full.
    pub fn own_spools(&self) -> Vec<(String, WhenFull)> {
        fn named(
            section: &str,
            policies: impl Iterator<Item = Option<WhenFull>>,
        ) -> Vec<(String, WhenFull)> {
            let name = |(index, policy): (usize, Option<WhenFull>)| {
                Some((format!("{section}[{index}]"), policy?))
            };
            policies.enumerate().filter_map(name).collect()
        }
        let mut own = named("syslog", self.syslog.iter().map(|source| source.when_full));
        own.extend(named(
            "http",
            self.http.iter().map(|source| source.when_full),
        ));
        own.extend(named(
            "command",
            self.command.iter().map(|source| source.when_full),
        ));
        let stdin = self.stdin.as_ref().and_then(|stdin| stdin.when_full);
        own.extend(stdin.map(|policy| ("stdin".to_owned(), policy)));
        own
    }

    /// What makes no sense, one sentence each, naming the key.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.name.is_empty() {
            problems.push(
                "name: empty; give the agent a name that no other agent of the city has".into(),
            );
        }
        for (key, value, max) in [
            ("batch_records_max", self.batch_records_max, 100_000),
            ("batch_bytes_max", self.batch_bytes_max, 16 << 20),
        ] {
            if value == 0 || value > max {
                problems.push(format!("{key}: {value} is out of range; choose 1 to {max}"));
            }
        }
        for (index, group) in self.files.iter().enumerate() {
            problems.extend(group.problems(index));
        }
        for (index, syslog) in self.syslog.iter().enumerate() {
            problems.extend(
                syslog
                    .problems()
                    .into_iter()
                    .map(|problem| format!("syslog[{index}].{problem}")),
            );
        }
        for (index, http) in self.http.iter().enumerate() {
            let found = http.problems().into_iter();
            problems.extend(found.map(|problem| format!("http[{index}].{problem}")));
        }
        problems.extend(command::problems(&self.command));
        problems.extend(journald::problems(&self.journald));
        problems.extend(evtx::problems(&self.evtx));
        let masked = self.sources();
        let masked = masked
            .iter()
            .map(|(name, mask)| (format!("{name}.mask"), *mask));
        problems.extend(self.masking.problems(masked));
        if self.kafka.is_some() && self.https.is_some() {
            problems.push(
                "https: [kafka] is set too; records go to one of them: remove the other".into(),
            );
        }
        if let Some(kafka) = &self.kafka {
            problems.extend(
                kafka
                    .problems()
                    .into_iter()
                    .map(|problem| format!("kafka.{problem}")),
            );
        }
        problems
    }
}

/// Reads TOML into a configuration. A key that is not known is answered with the nearest one that is.
///
/// # Errors
/// [`ConfigError::Syntax`].
pub fn parse_toml<T: DeserializeOwned>(text: &str, path: &Path) -> Result<T, ConfigError> {
    toml::from_str(text).map_err(|error| {
        let (line, column) = line_and_column(text, error.span());
        ConfigError::Syntax {
            path: path.to_owned(),
            line,
            column,
            message: with_nearest(error.message()),
        }
    })
}

fn line_and_column(text: &str, span: Option<Range<usize>>) -> (usize, usize) {
    let before = text
        .get(..span.map_or(0, |span| span.start))
        .unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .unwrap_or_default()
        .chars()
        .count()
        + 1;
    (line, column)
}

/// ``unknown field `pathz`, expected one of `paths`, `format` `` and the like, said for people.
fn with_nearest(message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let (kind, found) = match (message.split_once(" `"), quoted.next()) {
        (Some(("unknown field", _)), Some(found)) => ("key", found),
        (Some(("unknown variant", _)), Some(found)) => ("value", found),
        _ => return message.trim_end().replace('\n', "; "),
    };
    let known: Vec<&str> = quoted.collect();
    let nearest = known
        .iter()
        .max_by(|a, b| strsim::jaro_winkler(a, found).total_cmp(&strsim::jaro_winkler(b, found)));
    match nearest {
        Some(nearest) if strsim::jaro_winkler(nearest, found) > 0.7 => {
            format!("unknown {kind} `{found}`; did you mean `{nearest}`?")
        }
        _ => format!("unknown {kind} `{found}`; known here: {}", known.join(", ")),
    }
}

pub(crate) fn host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() {
        "localhost".into()
    } else {
        name.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        parse_toml::<AgentConfig>(text, Path::new("agent.toml"))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn defaults_need_no_file() {
        let config: AgentConfig = parse_toml("", Path::new("agent.toml")).unwrap();
        assert_eq!(config, AgentConfig::default());
        assert_eq!(config.problems(), Vec::<String>::new());
    }

    #[test]
    fn unknown_keys_are_answered_with_the_nearest() {
        assert_eq!(
            error("name = 'a'\n[[files]]\npathz = ['x']\n"),
            "agent.toml:3:1: unknown key `pathz`; did you mean `paths`?"
        );
        assert_eq!(
            error("[[files]]\npaths = ['x']\nmultiline = 'audit'\n"),
            "agent.toml:3:13: unknown value `audit`; did you mean `auditd`?"
        );
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let config: AgentConfig = parse_toml(
            "name = ''\n[[files]]\npaths = ['/var/[']\n[[files]]\npaths = []\n",
            Path::new("a"),
        )
        .unwrap();
        let problems = config.problems();
        assert_eq!(problems.len(), 3, "{problems:?}");
    }
}
