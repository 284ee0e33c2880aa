//! The agent within `citywatch up`: who it is, where its records go, and its heartbeats.
//!
//! What goes to the spool never leaves the process and is not signed. What goes to Kafka or to an intake is signed as any
//! agent's is, with the identity in `[agent] identity_dir`; where the authority is at hand it is made and renewed here.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use citywatch_collector::authority::Authority;
use citywatch_collector::heartbeat::Caretaker;
use citywatch_collector::identity::beside;
use citywatch_collector::kafka::Producer;
use citywatch_collector::uplink::Uplink;
use citywatch_collector::{Agent, AgentConfig, AgentHandle, AgentMonitor, Identity, Sink};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::report::UsageError;

/// How often the metrics of its queues are brought up to date.
const REPORT_EVERY: Duration = Duration::from_secs(5);

/// The agent before its start.
pub struct OwnAgent {
    config: AgentConfig,
    identity: Option<Arc<Identity>>,
    authority: Option<(Arc<Authority>, Duration)>,
}

impl OwnAgent {
    /// Whose records go to the spool.
    ///
    /// # Errors
    /// [`UsageError`] when the configuration says that they go elsewhere.
    pub fn of_spool(config: &Config) -> anyhow::Result<Self> {
        without_monitor(config)?;
        let elsewhere = [
            ("kafka", config.agent.kafka.is_some()),
            ("https", config.agent.https.is_some()),
        ];
        if let Some((section, _)) = elsewhere.into_iter().find(|(_, is_set)| *is_set) {
            return Err(UsageError(format!(
                "[agent.{section}] is set, but the engine takes records from the spool: set [input] from = \"kafka\", or remove [agent.{section}]"
            ))
            .into());
        }
        Ok(Self {
            config: config.agent.clone(),
            identity: None,
            authority: None,
        })
    }

    /// Whose records go to Kafka or to an intake; none if the configuration names neither.
    ///
    /// # Errors
    /// [`UsageError`] when it names both, when the agent must sign and cannot, or when its identity is another's.
    pub fn of_network(config: &Config) -> anyhow::Result<Option<Self>> {
        without_monitor(config)?;
        let mut agent = config.agent.clone();
        match (&agent.kafka, &agent.https) {
            (None, None) => return Ok(None),
            (Some(_), Some(_)) => {
                let words = "[agent.https] is set, and [agent.kafka] too; records go to one of them: remove the other";
                return Err(UsageError(words.to_owned()).into());
            }
            _ => {}
        }
        let authority = if Authority::signs_in(&config.ca.dir) {
            let valid = crate::intake::certificates_valid(config);
            Some((Arc::new(Authority::open(&config.ca.dir)?), valid))
        } else {
            None
        };
        let mut identity = agent
            .adopt_identity()
            .map_err(|error| UsageError(format!("[agent] {error}")))?;
        if let Some((authority, valid)) = &authority {
            let server = config.intake.listen.map_or_else(String::new, server);
            let current = identity.take();
            identity = Some(present(authority, *valid, current, &agent, &server)?);
            agent
                .adopt_identity()
                .map_err(|error| UsageError(format!("[agent] {error}")))?;
        }
        let must_sign = must_sign(config, &agent);
        if let (Some(reason), None) = (must_sign, &identity) {
            return Err(UsageError(format!(
                "{reason}, and the agent of this process has no identity: run `citywatch ca init` here, or enrol it with `citywatch-agent enroll` into {}",
                agent.identity_dir().display()
            ))
            .into());
        }
        Ok(Some(Self {
            config: agent,
            identity: identity.map(Arc::new),
            authority,
        }))
    }

    /// Opens the way to Kafka or to an intake.
    ///
    /// # Errors
    /// When the configuration cannot be used; brokers that are away are waited for.
    pub fn network_sink(&self) -> anyhow::Result<Sink> {
        match (&self.config.kafka, &self.config.https, &self.identity) {
            (Some(kafka), _, identity) => Producer::signing(kafka, identity.clone())
                .map(Sink::Kafka)
                .context("[agent.kafka]"),
            (None, Some(https), Some(identity)) => Uplink::start(https, Arc::clone(identity))
                .map(Sink::Https)
                .context("[agent.https]"),
            _ => anyhow::bail!("[agent] nothing says where records go"),
        }
    }

    /// Starts it, with a heartbeat each minute if it reads anything.
    ///
    /// # Errors
    /// When it cannot start.
    pub fn start(self, sink: Sink, stop: &CancellationToken) -> anyhow::Result<AgentHandle> {
        let agent = Agent::start(&self.config, sink.clone(), stop.clone()).context("the agent")?;
        if self.config.reads_nothing() {
            return Ok(agent);
        }
        let mut caretaker = Caretaker::new(&self.config, self.identity, agent.monitor(), sink);
        if let Some((authority, valid)) = self.authority {
            caretaker = caretaker.renewing_with(authority, valid);
        }
        tokio::spawn(caretaker.run(stop.clone()));
        tokio::spawn(report(agent.monitor(), stop.clone()));
        Ok(agent)
    }
}

/// Keeps the metrics of its queues up to date, among those of the process.
async fn report(monitor: AgentMonitor, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(REPORT_EVERY);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => monitor.report_metrics(),
        }
    }
}

/// The process tells metrics itself.
fn without_monitor(config: &Config) -> anyhow::Result<()> {
    if config.agent.monitor.is_some() {
        let words = "[agent.monitor] is set, but metrics and status of this agent are told by [monitor]: remove it";
        return Err(UsageError(words.to_owned()).into());
    }
    Ok(())
}

/// Why the agent must sign, if it must.
fn must_sign(config: &Config, agent: &AgentConfig) -> Option<String> {
    if agent.https.is_some() {
        return Some("[agent.https] takes signed batches only".to_owned());
    }
    let topic = &agent.kafka.as_ref()?.topic;
    let settings = config.kafka.as_ref()?.topics.get(topic)?;
    settings
        .require_signed
        .then(|| format!("[kafka.topics.\"{topic}\"] require_signed"))
}

/// The identity as it is to be used from now on: the one that is there, renewed if it is time, or a new one.
fn present(
    authority: &Authority,
    valid: Duration,
    current: Option<Identity>,
    agent: &AgentConfig,
    server: &str,
) -> anyhow::Result<Identity> {
    let now = SystemTime::now();
    let dir = agent.identity_dir();
    if let Some(identity) = current {
        let serial = identity.current().note.serial.clone();
        let known = authority.certificates()?;
        let is_revoked = known
            .iter()
            .any(|issued| issued.serial == serial && issued.revoked_at.is_some());
        let has_ended = identity.current().left(now).is_zero();
        if is_revoked || !has_ended {
            if !is_revoked && identity.current().is_due(now) {
                beside::renew(authority, &identity, valid, now)
                    .with_context(|| format!("[agent] identity in {}", dir.display()))?;
            }
            return Ok(identity);
        }
    }
    let name = (agent.unit.as_str(), agent.name.as_str());
    beside::enrol(authority, name, server, &dir, valid, now).map_err(|error| {
        UsageError(format!(
            "[agent] cannot get a certificate as {} of {}: {error}",
            agent.name, agent.unit
        ))
        .into()
    })
}

/// By what this process's own intake is reached from here.
fn server(mut listen: SocketAddr) -> String {
    if listen.ip().is_unspecified() {
        listen.set_ip(match listen {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    format!("https://{listen}")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use citywatch_collector::config::parse_toml;

    use super::*;

    fn config(dir: &Path, text: &str) -> Config {
        let mut config: Config = parse_toml(text, Path::new("citywatch.toml")).unwrap();
        config.data.dir = dir.to_owned();
        config.complete();
        config
    }

    const KAFKA: &str = "[input]\nfrom = \"kafka\"\n[kafka]\nbrokers = \"k:9092\"\n[kafka.topics.t]\nrequire_signed = true\n[agent]\nname = \"soc-1\"\nunit = \"hcmc/soc\"\n[agent.kafka]\nbrokers = \"k:9092\"\ntopic = \"t\"\n";

    fn refused(result: anyhow::Result<Option<OwnAgent>>) -> String {
        result.err().unwrap().to_string()
    }

    #[test]
    fn where_records_go_is_said_once() {
        let dir = tempfile::tempdir().unwrap();
        for section in ["kafka", "https"] {
            let text = format!("[agent.{section}]\n");
            let text = text.replace("kafka]\n", "kafka]\nbrokers = \"k:9092\"\n");
            let error = OwnAgent::of_spool(&config(dir.path(), &text))
                .err()
                .unwrap();
            let words = format!("remove [agent.{section}]");
            assert!(error.to_string().contains(&words), "{error}");
        }
        let both = format!("{KAFKA}[agent.https]\n");
        let error = refused(OwnAgent::of_network(&config(dir.path(), &both)));
        assert!(error.contains("remove the other"), "{error}");
        let neither = config(dir.path(), "");
        assert!(OwnAgent::of_network(&neither).unwrap().is_none());
    }

    #[test]
    fn who_must_sign_and_cannot_is_told_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let error = refused(OwnAgent::of_network(&config(dir.path(), KAFKA)));
        assert!(error.contains("require_signed"), "{error}");
        assert!(error.contains("citywatch ca init"), "{error}");
        let https = "[agent.https]\nurl = \"https://soc:8790\"\n";
        let error = refused(OwnAgent::of_network(&config(dir.path(), https)));
        assert!(error.contains("[agent.https]"), "{error}");
        // Where unsigned batches are taken it may go without.
        let unsigned = KAFKA.replace("require_signed = true\n", "");
        let agent = OwnAgent::of_network(&config(dir.path(), &unsigned)).unwrap();
        assert!(agent.unwrap().identity.is_none());
    }

    #[test]
    fn beside_the_authority_it_gets_its_identity_by_itself() {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path(), KAFKA);
        Authority::init(&config.ca.dir, SystemTime::now()).unwrap();
        let serial = || {
            let agent = OwnAgent::of_network(&config).unwrap().unwrap();
            let current = agent.identity.unwrap().current();
            assert_eq!(current.holder.to_string(), "soc-1 of hcmc/soc");
            current.note.serial.clone()
        };
        let first = serial();
        assert_eq!(serial(), first, "it keeps it");
        // Who was revoked stays so.
        let authority = Authority::open(&config.ca.dir).unwrap();
        authority.revoke("soc-1", SystemTime::now()).unwrap();
        assert_eq!(serial(), first);
    }
}
