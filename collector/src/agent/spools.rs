//! Which spool keeps the records of which source.
//!
//! What is received once goes to a spool: to the agent's own, or, where the source says what happens at the bound, to one
//! of its own, so that a source whose oldest records may go takes nothing of a source that waits. Where all
//! goes to a spool anyway, as within `citywatch up`, only the latter have one.

use std::fs;
use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

use super::{AgentError, DELIVERIES_MAX};
use crate::config::AgentConfig;
use crate::forward;
use crate::masking::Masking;
use crate::sink::Sink;
use crate::sources::files::lines::BatchLimits;
use crate::sources::received::Listeners;
use crate::sources::receivers::Receivers;
use crate::spool::{Spool, SpoolLimits, SpoolMonitor, SpoolReader, SpoolWriter, WhenFull};
use crate::status::SourceSpool;

/// The folder of sources' own spools, in the state directory.
const OWN_SPOOLS: &str = "spools";

/// Sources that share a spool.
pub(super) struct Group {
    /// Whose, where it is one source's own.
    source: Option<String>,
    receivers: Receivers,
    route: Route,
}

/// How received records reach the sink: at once where that is a spool, else through one of the
/// agent's own, because nobody could send them again.
enum Route {
    Direct(Sink),
    Spooled {
        writer: SpoolWriter,
        reader: SpoolReader,
        sink: Sink,
    },
}

/// Tells how the spools stand.
#[derive(Clone, Debug, Default)]
pub(super) struct SpoolMonitors {
    pub(super) shared: Option<SpoolMonitor>,
    pub(super) own: Vec<(String, SpoolMonitor)>,
}

impl SpoolMonitors {
    pub(super) fn own_status(&self) -> Vec<SourceSpool> {
        let own = self.own.iter();
        own.map(|(source, spool)| SourceSpool {
            source: source.clone(),
            spool: spool.status(),
        })
        .collect()
    }

    /// Whether all that was appended is acknowledged.
    pub(super) fn are_empty(&self) -> bool {
        let own = self.own.iter().map(|(_, spool)| spool);
        self.shared.iter().chain(own).all(|spool| {
            let spool = spool.status();
            spool.acknowledged >= spool.appended
        })
    }
}

/// Binds all sources and opens their spools; what a source that is gone by now left in its spool is sent, too.
pub(super) fn open(
    config: &AgentConfig,
    sink: &Sink,
    limits: BatchLimits,
    masking: &Masking,
) -> Result<(Vec<Group>, Listeners, SpoolMonitors), AgentError> {
    let (mut groups, mut listeners) = (Vec::new(), Listeners::default());
    let mut monitors = SpoolMonitors::default();
    let (shared, own) = divided(config);
    let (receivers, bound) = Receivers::bind(&shared, limits, masking)?;
    listeners.0.extend(bound.0);
    if !receivers.is_empty() {
        let route = if matches!(sink, Sink::Spool(_)) {
            Route::Direct(sink.clone())
        } else {
            let dir = config.state_dir.join("spool");
            let (route, monitor) = Route::through(&dir, config.spool.clone(), sink)?;
            monitors.shared = Some(monitor);
            route
        };
        groups.push(Group {
            source: None,
            receivers,
            route,
        });
    }
    let folder = config.state_dir.join(OWN_SPOOLS);
    let mut left = folders_in(&folder);
    for (source, when_full, only) in own {
        let dir = folder.join(file_name(&source));
        left.retain(|other| *other != dir);
        let (receivers, bound) = Receivers::bind(&only, limits, masking)?;
        listeners.0.extend(bound.0);
        let limits = SpoolLimits {
            when_full,
            ..config.spool.clone()
        };
        let (route, monitor) = Route::through(&dir, limits, sink)?;
        monitors.own.push((source.clone(), monitor));
        groups.push(Group {
            source: Some(source),
            receivers,
            route,
        });
    }
    for dir in left {
        let nothing = reading_nothing(config);
        let (receivers, _) = Receivers::bind(&nothing, limits, masking)?;
        let (route, monitor) = Route::through(&dir, config.spool.clone(), sink)?;
        let name = dir.file_name().unwrap_or_default().to_string_lossy();
        monitors.own.push((name.clone().into_owned(), monitor));
        groups.push(Group {
            source: Some(name.into_owned()),
            receivers,
            route,
        });
    }
    Ok((groups, listeners, monitors))
}

impl Group {
    /// A name for its thread.
    pub(super) fn name(&self) -> String {
        match &self.source {
            None => "agent-listeners".to_owned(),
            Some(source) => format!("agent-{source}"),
        }
    }

    /// Serves its sources until `shutdown`.
    pub(super) async fn serve(self, shutdown: &CancellationToken) {
        let receivers = self.receivers;
        let (writer, reader, onward) = match self.route {
            Route::Direct(sink) => return receivers.serve(&sink, shutdown).await,
            Route::Spooled {
                writer,
                reader,
                sink,
            } => (writer, reader, sink),
        };
        let sink = Sink::Spool(writer);
        let stop_reading = CancellationToken::new();
        let (deliveries, task) = match reader.start(DELIVERIES_MAX, stop_reading.clone()) {
            Ok(started) => started,
            Err(error) => {
                tracing::error!(%error, "received records stay in the spool");
                return receivers.serve(&sink, shutdown).await;
            }
        };
        let serve = receivers.serve(&sink, shutdown);
        tokio::join!(serve, forward::forward(deliveries, &onward, shutdown));
        stop_reading.cancel();
        task.ended().await;
    }
}

impl Route {
    fn through(
        dir: &Path,
        limits: SpoolLimits,
        sink: &Sink,
    ) -> Result<(Self, SpoolMonitor), AgentError> {
        let (writer, reader) = Spool::open(dir, limits)?;
        let monitor = writer.monitor();
        let route = Self::Spooled {
            writer,
            reader,
            sink: sink.clone(),
        };
        Ok((route, monitor))
    }
}

fn reading_nothing(config: &AgentConfig) -> AgentConfig {
    AgentConfig {
        syslog: Vec::new(),
        http: Vec::new(),
        command: Vec::new(),
        stdin: None,
        ..config.clone()
    }
}

/// The sources that share the agent's spool, and each of the others by itself.
fn divided(config: &AgentConfig) -> (AgentConfig, Vec<(String, WhenFull, AgentConfig)>) {
    let nothing = reading_nothing(config);
    let (mut shared, mut own) = (nothing.clone(), Vec::new());
    for syslog in &config.syslog {
        match syslog.when_full {
            None => shared.syslog.push(syslog.clone()),
            Some(when_full) => {
                let only = AgentConfig {
                    syslog: vec![syslog.clone()],
                    ..nothing.clone()
                };
                let protocols: Vec<&str> = syslog.protocols.iter().map(|p| p.name()).collect();
                let name = format!("syslog-{}-{}", protocols.join("-"), syslog.listen);
                own.push((name, when_full, only));
            }
        }
    }
    for http in &config.http {
        match http.when_full {
            None => shared.http.push(http.clone()),
            Some(when_full) => {
                let only = AgentConfig {
                    http: vec![http.clone()],
                    ..nothing.clone()
                };
                own.push((format!("http-{}", http.listen), when_full, only));
            }
        }
    }
    for command in &config.command {
        match command.when_full {
            None => shared.command.push(command.clone()),
            Some(when_full) => {
                let only = AgentConfig {
                    command: vec![command.clone()],
                    ..nothing.clone()
                };
                own.push((format!("command-{}", command.name()), when_full, only));
            }
        }
    }
    match &config.stdin {
        Some(stdin) if stdin.when_full.is_some() => {
            let only = AgentConfig {
                stdin: Some(stdin.clone()),
                ..nothing
            };
            let when_full = stdin.when_full.unwrap_or_default();
            own.push(("stdin".to_owned(), when_full, only));
        }
        stdin => shared.stdin.clone_from(stdin),
    }
    (shared, own)
}

fn file_name(source: &str) -> String {
    let plain = |letter: char| match letter {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' => letter,
        _ => '_',
    };
    source.chars().map(plain).collect()
}

fn folders_in(folder: &Path) -> Vec<PathBuf> {
    // None are there before the first source asks for one.
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    folders
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpStream;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::Agent;
    use crate::config::parse_toml;
    use crate::kafka::Producer;

    const PATIENCE: Duration = Duration::from_secs(120);

    #[test]
    fn a_source_that_says_what_happens_at_the_bound_has_a_spool_of_its_own() {
        let text = "[[syslog]]\nlisten = \"[::1]:514\"\nwhen_full = \"drop_oldest\"\n\
             [[syslog]]\nlisten = \"127.0.0.1:601\"\n\
             [[http]]\nlisten = \"127.0.0.1:9200\"\nwhen_full = \"block\"\n\
             [[command]]\nrun = [\"/bin/x y\"]\nwhen_full = \"drop_oldest\"\n[stdin]\n";
        let config: AgentConfig = parse_toml(text, Path::new("agent.toml")).unwrap();
        let (shared, own) = divided(&config);
        assert_eq!((shared.syslog.len(), shared.http.len()), (1, 0));
        assert!(shared.stdin.is_some() && shared.command.is_empty());
        let own: Vec<(String, WhenFull)> = own
            .into_iter()
            .map(|(source, when_full, only)| {
                let sources = only.syslog.len() + only.http.len() + only.command.len();
                assert_eq!((sources, only.stdin.is_none()), (1, true));
                (file_name(&source), when_full)
            })
            .collect();
        let expected = [
            ("syslog-udp-tcp-___1__514".to_owned(), WhenFull::DropOldest),
            ("http-127.0.0.1_9200".to_owned(), WhenFull::Block),
            ("command-x_y".to_owned(), WhenFull::DropOldest),
        ];
        assert_eq!(own, expected);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_source_that_drops_takes_nothing_of_one_that_waits() {
        let dir = tempfile::tempdir().unwrap();
        let text = format!(
            "name = 'a'\nstate_dir = '{}'\n[spool]\nbytes_max = 200000\n[kafka]\nbrokers = '127.0.0.1:1'\n\
             [[syslog]]\nlisten = '127.0.0.1:0'\nprotocols = ['tcp']\nwhen_full = 'drop_oldest'\n\
             [[syslog]]\nlisten = '127.0.0.1:0'\nprotocols = ['tcp']\n",
            dir.path().display()
        );
        let config: AgentConfig = parse_toml(&text, Path::new("agent.toml")).unwrap();
        // Nobody is there: all of it stays in the spools.
        let producer = Producer::new(config.kafka.as_ref().unwrap()).unwrap();
        let shutdown = CancellationToken::new();
        let agent = Agent::start(&config, Sink::Kafka(producer), shutdown.clone()).unwrap();
        let addresses: Vec<String> = agent
            .status()
            .listeners
            .iter()
            .map(|listener| listener.address.split_once("://").unwrap().1.to_owned())
            .collect();
        let [waits, drops] = &addresses[..] else {
            panic!("{addresses:?}")
        };
        TcpStream::connect(waits)
            .unwrap()
            .write_all(&b"<38>sshd: kept\n".repeat(5))
            .unwrap();
        let mut flood = TcpStream::connect(drops).unwrap();
        let (begun, mut number) = (Instant::now(), 0_u64);
        let status = loop {
            // What does not repeat does not shrink.
            for _ in 0..200 {
                number = number
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                let line = format!("<38>sshd: {number:020} {:020}\n", number.rotate_left(17));
                flood.write_all(line.as_bytes()).unwrap();
            }
            let status = agent.status();
            let has_dropped = status.source_spools[0].spool.dropped_records > 0;
            if has_dropped && status.listeners[0].durable_records == 5 {
                break status;
            }
            assert!(begun.elapsed() < PATIENCE, "{status:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        assert!(status.source_spools[0].source.starts_with("syslog-tcp-"));
        let shared = status.spool.unwrap();
        assert_eq!((shared.dropped_records, shared.acknowledged), (0, 0));
        shutdown.cancel();
        agent.ended().await;
    }
}
