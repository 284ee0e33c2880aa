//! Whose records a source's are, where it does not say otherwise.

use citywatch_parsers::{LogSource, Origin};

use crate::clock;
use crate::config::AgentConfig;

/// The agent, its office and its host.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    pub(crate) agent: String,
    pub(crate) unit: String,
    pub(crate) name: String,
}

impl Host {
    pub(crate) fn of(config: &AgentConfig) -> Self {
        Self {
            agent: config.name.clone(),
            unit: config.unit.clone(),
            name: config.host.clone(),
        }
    }

    /// The origin of a stream's records; unit and host are the source's own, if it has any.
    pub(crate) fn origin(
        &self,
        stream: &str,
        (unit, host): (Option<&str>, Option<&str>),
        (format, log_source): (&str, &LogSource<'static>),
    ) -> Origin {
        Origin {
            unit: unit.unwrap_or(&self.unit).into(),
            agent: self.agent.as_str().into(),
            stream: stream.into(),
            host: Some(host.unwrap_or(&self.name).into()),
            format: format.into(),
            log_source: log_source.clone(),
        }
    }
}

/// The name of a stream that begins now, and whose positions count from here.
pub(crate) fn stream_from_now(name: &str) -> String {
    format!("{name}#{:x}", clock::now().as_micros())
}
