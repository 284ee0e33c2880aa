//! All sources whose records come once, side by side.

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::command::{self, CommandConfig};
use super::files::lines::BatchLimits;
use super::host::{Host, stream_from_now};
use super::http;
use super::received::{BindError, Counts, Listeners};
use super::stdin::{self, StdinConfig};
use super::syslog::{self, Bound};
use crate::config::AgentConfig;
use crate::masking::Masking;
use crate::sink::Sink;

/// Bound and ready to be served.
pub(crate) struct Receivers {
    host: Host,
    limits: BatchLimits,
    syslog: Vec<Bound>,
    http: Vec<http::Bound>,
    commands: Vec<(CommandConfig, Arc<Counts>)>,
    stdin: Option<(StdinConfig, Arc<Counts>)>,
}

impl Receivers {
    /// Binds all addresses; the first that cannot be had is named.
    pub(crate) fn bind(
        config: &AgentConfig,
        limits: BatchLimits,
        masking: &Masking,
    ) -> Result<(Self, Listeners), BindError> {
        let (syslog, mut listeners) = syslog::bind(&config.syslog, masking)?;
        let http = http::bind(&config.http, masking, &mut listeners)?;
        let mut counted = |name: String, mask: Option<&[String]>| {
            let counts = Arc::new(Counts::masking(masking.of_source(mask)?));
            listeners.0.push((name, Arc::clone(&counts)));
            Ok::<_, BindError>(counts)
        };
        let mut commands = Vec::new();
        for command in &config.command {
            let name = format!("command:{}", command.name());
            commands.push((command.clone(), counted(name, command.mask.as_deref())?));
        }
        let mut stdin = None;
        if let Some(config) = &config.stdin {
            stdin = Some((
                config.clone(),
                counted("stdin".into(), config.mask.as_deref())?,
            ));
        }
        let receivers = Self {
            host: Host::of(config),
            limits,
            syslog,
            http,
            commands,
            stdin,
        };
        Ok((receivers, listeners))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.syslog.is_empty()
            && self.http.is_empty()
            && self.commands.is_empty()
            && self.stdin.is_none()
    }

    /// Serves all of them until `shutdown`; what was received by then is handed to the sink.
    pub(crate) async fn serve(self, sink: &Sink, shutdown: &CancellationToken) {
        let mut tasks = JoinSet::new();
        let (host, limits) = (self.host, self.limits);
        let both = || (sink.clone(), shutdown.clone());
        for (config, counts) in self.commands {
            let origin = host.origin(
                &stream_from_now(&format!("command:{}", config.name())),
                (config.unit.as_deref(), config.host.as_deref()),
                (&config.format, &config.log_source),
            );
            let (sink, shutdown) = both();
            tasks.spawn(command::serve(
                config, origin, limits, sink, counts, shutdown,
            ));
        }
        if let Some((config, counts)) = self.stdin {
            let origin = host.origin(
                &stream_from_now("stdin"),
                (config.unit.as_deref(), config.host.as_deref()),
                (&config.format, &config.log_source),
            );
            let (sink, shutdown) = both();
            tasks.spawn(stdin::serve(config, origin, limits, sink, counts, shutdown));
        }
        for bound in self.http {
            let (sink, shutdown) = both();
            let (agent, unit) = (host.agent.clone(), host.unit.clone());
            tasks.spawn(http::serve(bound, agent, unit, sink, shutdown));
        }
        syslog::serve(self.syslog, &host.agent, &host.unit, sink, shutdown).await;
        while tasks.join_next().await.is_some() {}
    }
}
