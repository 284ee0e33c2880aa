//! How records reach the engine within `citywatch up`: an agent on one side, a transport in the middle.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use citywatch_collector::agent::AgentMonitor;
use citywatch_collector::kafka::{ConnectionState, Consumer, ConsumerMonitor, ConsumerTask};
use citywatch_collector::spool::{SpoolMonitor, SpoolTask};
use citywatch_collector::status::AgentStatus;
use citywatch_collector::{AgentHandle, Delivery, Plans, Sink, Spool, SpoolWriter, Verifier};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Transport};
use crate::faults::Backlog;
use crate::own_agent::OwnAgent;
use crate::parts::{PartState, Parts};
use crate::report::UsageError;
use crate::saying::{Saying, Unreadable};

/// Deliveries that the transport hands out ahead of the engine.
const DELIVERIES_AHEAD: usize = 8;
/// How often the register's word on the agent is brought up to date.
const AGENT_ASKED_EVERY: Duration = Duration::from_secs(1);

/// Agent and transport, running.
pub struct Input {
    agent: Option<AgentHandle>,
    transport: TransportTask,
    spool: Option<SpoolWriter>,
}

enum TransportTask {
    Spool {
        task: SpoolTask,
        monitor: SpoolMonitor,
        plans: Plans,
    },
    Kafka {
        task: ConsumerTask,
        monitor: ConsumerMonitor,
    },
}

/// What can be asked of agent and transport from elsewhere.
pub struct InputMonitor {
    agent: Option<AgentMonitor>,
    transport: TransportMonitor,
}

enum TransportMonitor {
    Spool(SpoolMonitor),
    Kafka(ConsumerMonitor),
}

impl Input {
    /// Starts both. The agent ends with `stop_agent`; the transport hands out nothing new after
    /// `stop_transport`.
    pub fn open(
        config: &Config,
        verifier: Option<Arc<Verifier>>,
        parts: &Parts,
        stop_agent: &CancellationToken,
        stop_transport: &CancellationToken,
    ) -> anyhow::Result<(Self, mpsc::Receiver<Delivery>)> {
        match config.input.from {
            Transport::Spool => {
                Self::over_spool(config, verifier, parts, stop_agent, stop_transport)
            }
            Transport::Kafka => {
                Self::over_kafka(config, verifier, parts, stop_agent, stop_transport)
            }
        }
    }

    fn over_spool(
        config: &Config,
        verifier: Option<Arc<Verifier>>,
        parts: &Parts,
        stop_agent: &CancellationToken,
        stop_transport: &CancellationToken,
    ) -> anyhow::Result<(Self, mpsc::Receiver<Delivery>)> {
        let agent = OwnAgent::of_spool(config)?;
        let (writer, reader) = Spool::open(&config.data.dir.join("spool"), config.spool.clone())
            .context("the spool")?;
        let monitor = reader.monitor();
        let plans = reader.plans().context("the spool's plans")?;
        let (deliveries, task) = reader
            .verifying(verifier)
            .start(DELIVERIES_AHEAD, stop_transport.clone())
            .context("the spool's reader")?;
        parts.set(
            "spool",
            PartState::Running,
            Saying::At {
                place: config.data.dir.join("spool").display().to_string(),
            },
        );
        let sink = Sink::Spool(writer.clone());
        let agent = start_agent(config, agent, sink, parts, stop_agent)?;
        Ok((
            Self {
                agent: Some(agent),
                transport: TransportTask::Spool {
                    task,
                    monitor,
                    plans,
                },
                spool: Some(writer),
            },
            deliveries,
        ))
    }

    fn over_kafka(
        config: &Config,
        verifier: Option<Arc<Verifier>>,
        parts: &Parts,
        stop_agent: &CancellationToken,
        stop_transport: &CancellationToken,
    ) -> anyhow::Result<(Self, mpsc::Receiver<Delivery>)> {
        let agent = match OwnAgent::of_network(config)? {
            None => {
                parts.set("agent", PartState::Running, Saying::AgentNotSet);
                None
            }
            Some(agent) => {
                let sink = agent.network_sink()?;
                Some(start_agent(config, agent, sink, parts, stop_agent)?)
            }
        };
        let (task, deliveries) = start_consumer(config, verifier, parts, stop_transport)?;
        let monitor = task.monitor();
        Ok((
            Self {
                agent,
                transport: TransportTask::Kafka { task, monitor },
                spool: None,
            },
            deliveries,
        ))
    }

    /// Where batches from elsewhere can be appended; once. The spool ends when all who append have gone.
    pub fn spool(&mut self) -> Option<Sink> {
        self.spool.take().map(Sink::Spool)
    }

    /// Where the transport keeps what is about to be stored.
    pub fn plans(&self) -> Plans {
        match &self.transport {
            TransportTask::Spool { plans, .. } => plans.clone(),
            TransportTask::Kafka { task, .. } => task.plans(),
        }
    }

    /// For asking how agent and transport stand.
    pub fn monitor(&self) -> InputMonitor {
        InputMonitor {
            agent: self.agent.as_ref().map(AgentHandle::monitor),
            transport: match &self.transport {
                TransportTask::Spool { monitor, .. } => TransportMonitor::Spool(monitor.clone()),
                TransportTask::Kafka { monitor, .. } => TransportMonitor::Kafka(monitor.clone()),
            },
        }
    }

    /// Waits until the agent has ended, its positions saved.
    pub async fn agent_ended(&mut self) {
        if let Some(agent) = self.agent.take() {
            agent.ended().await;
        }
    }

    /// Waits until the transport has ended, every acknowledgement written.
    pub async fn transport_ended(self) {
        match self.transport {
            TransportTask::Spool { task, .. } => task.ended().await,
            TransportTask::Kafka { task, .. } => task.ended().await,
        }
    }
}

/// What there is to say of topics that are not there.
fn missing(topics: &[String]) -> Option<String> {
    (!topics.is_empty()).then(|| {
        format!(
            "not there: topic {}; make it, or take it out of [kafka.topics]",
            topics.join(", ")
        )
    })
}

/// How far the engine is behind its partitions; as far as can be while Kafka does not answer.
pub fn kafka_backlog(monitor: &ConsumerMonitor) -> Backlog {
    let connection = monitor.status().connection;
    let waiting: u64 = match connection.state {
        ConnectionState::Connected => connection.lag_records.values().sum(),
        // The part `kafka` tells of it; what nobody can read is not known.
        _ => return Backlog::default(),
    };
    Backlog {
        waiting: Some(waiting),
        spool_percent: None,
    }
}

/// Starts taking records from Kafka, shown in the register as part `kafka`.
pub fn start_consumer(
    config: &Config,
    verifier: Option<Arc<Verifier>>,
    parts: &Parts,
    shutdown: &CancellationToken,
) -> anyhow::Result<(ConsumerTask, mpsc::Receiver<Delivery>)> {
    let kafka = config.kafka.as_ref().ok_or_else(|| {
        UsageError("records are to come from Kafka, but there is no [kafka] section: set brokers and topics there".to_owned())
    })?;
    let problems = kafka.problems();
    if !problems.is_empty() {
        return Err(UsageError(format!("[kafka] {}", problems.join("; [kafka] "))).into());
    }
    let (deliveries, task) =
        Consumer::start_verifying(kafka, verifier, DELIVERIES_AHEAD, shutdown.clone())
            .context("[kafka]")?;
    let at_brokers = Saying::At {
        place: kafka.brokers.clone(),
    };
    parts.set("kafka", PartState::Starting, at_brokers.clone());
    let (monitor, parts, shutdown) = (task.monitor(), parts.clone(), shutdown.clone());
    tokio::spawn(async move {
        let mut shown = None;
        while !shutdown.is_cancelled() {
            let status = monitor.status();
            let error = status
                .connection
                .last_error
                .or_else(|| missing(&status.missing_topics));
            if shown.as_ref() != Some(&error) {
                match &error {
                    None => parts.set("kafka", PartState::Running, at_brokers.clone()),
                    Some(error) => {
                        let error = error.clone();
                        parts.set("kafka", PartState::Retrying, Saying::Failed { error });
                    }
                }
                shown = Some(error);
            }
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
    });
    Ok((task, deliveries))
}

fn start_agent(
    config: &Config,
    agent: OwnAgent,
    sink: Sink,
    parts: &Parts,
    stop: &CancellationToken,
) -> anyhow::Result<AgentHandle> {
    let agent = agent.start(sink, stop)?;
    if config.agent.reads_nothing() {
        parts.set("agent", PartState::Running, Saying::AgentIdle);
        return Ok(agent);
    }
    let (monitor, parts, stop) = (agent.monitor(), parts.clone(), stop.clone());
    tokio::spawn(async move {
        while !stop.is_cancelled() {
            parts.set("agent", PartState::Running, describe(&monitor.status()));
            tokio::time::sleep(AGENT_ASKED_EVERY).await;
        }
    });
    Ok(agent)
}

/// What the agent reads and what it cannot read.
fn describe(status: &AgentStatus) -> Saying {
    let unreadable = || {
        let sources = status.sources.iter();
        sources.filter_map(|source| Some((source, source.last_error.as_deref()?)))
    };
    Saying::AgentReads {
        files: status.sources.len(),
        unreadable: unreadable().count(),
        first_unreadable: unreadable().next().map(|(source, error)| Unreadable {
            path: source.path.display().to_string(),
            error: error.to_owned(),
        }),
        problem: status.problems.first().cloned(),
    }
}

impl InputMonitor {
    /// How the agent stands: what lags, what cannot be read.
    pub fn agent(&self) -> serde_json::Value {
        let Some(agent) = &self.agent else {
            return serde_json::Value::Null;
        };
        let status = agent.status();
        let lag_bytes: u64 = status.sources.iter().map(|source| source.lag_bytes).sum();
        let unreadable = status
            .sources
            .iter()
            .filter(|source| source.last_error.is_some())
            .count();
        let mut value = serde_json::to_value(&status).unwrap_or_default();
        if let Some(map) = value.as_object_mut() {
            map.insert("lag_bytes".to_owned(), lag_bytes.into());
            map.insert("unreadable".to_owned(), unreadable.into());
        }
        value
    }

    /// How far the engine is behind the transport.
    pub fn backlog(&self) -> Backlog {
        match &self.transport {
            TransportMonitor::Spool(monitor) => {
                let status = monitor.status();
                Backlog {
                    waiting: Some(status.appended.saturating_sub(status.acknowledged)),
                    spool_percent: Some(status.bytes * 100 / status.bytes_max.max(1)),
                }
            }
            TransportMonitor::Kafka(monitor) => kafka_backlog(monitor),
        }
    }

    /// How the transport stands.
    pub fn transport(&self) -> serde_json::Value {
        match &self.transport {
            TransportMonitor::Spool(monitor) => json!({ "spool": monitor.status() }),
            TransportMonitor::Kafka(monitor) => json!({ "kafka": monitor.status() }),
        }
    }
}
