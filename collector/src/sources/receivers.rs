//! All sources whose records come once, side by side.

use std::sync::Arc;

use citywatch_parsers::{LogSource, Origin};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::command::{self, CommandConfig};
use super::files::lines::BatchLimits;
use super::http;
use super::received::{BindError, Counts, Listeners};
use super::stdin::{self, StdinConfig};
use super::syslog::{self, Bound};
use crate::clock;
use crate::config::AgentConfig;
use crate::masking::Masking;
use crate::sink::Sink;

/// Bound and ready to be served.
pub(crate) struct Receivers {
    agent: String,
    unit: String,
    host: String,
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
            agent: config.name.clone(),
            unit: config.unit.clone(),
            host: config.host.clone(),
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
    pub(crate) async fn serve(mut self, sink: &Sink, shutdown: &CancellationToken) {
        let mut tasks = JoinSet::new();
        for (config, counts) in std::mem::take(&mut self.commands) {
            let origin = self.origin(
                &format!("command:{}", config.name()),
                (config.unit.as_deref(), config.host.as_deref()),
                (&config.format, &config.log_source),
            );
            let (sink, shutdown) = (sink.clone(), shutdown.clone());
            tasks.spawn(command::serve(
                config,
                origin,
                self.limits,
                sink,
                counts,
                shutdown,
            ));
        }
        if let Some((config, counts)) = self.stdin.take() {
            let origin = self.origin(
                "stdin",
                (config.unit.as_deref(), config.host.as_deref()),
                (&config.format, &config.log_source),
            );
            let (sink, shutdown) = (sink.clone(), shutdown.clone());
            tasks.spawn(stdin::serve(
                config,
                origin,
                self.limits,
                sink,
                counts,
                shutdown,
            ));
        }
        for bound in std::mem::take(&mut self.http) {
            let (agent, unit) = (self.agent.clone(), self.unit.clone());
            let (sink, shutdown) = (sink.clone(), shutdown.clone());
            tasks.spawn(http::serve(bound, agent, unit, sink, shutdown));
        }
        syslog::serve(self.syslog, &self.agent, &self.unit, sink, shutdown).await;
        while tasks.join_next().await.is_some() {}
    }

    /// The stream's name carries the time of the start, from which its positions count.
    fn origin(
        &self,
        name: &str,
        (unit, host): (Option<&str>, Option<&str>),
        (format, log_source): (&str, &LogSource<'static>),
    ) -> Origin {
        let stream = format!("{name}#{:x}", clock::now().as_micros());
        Origin {
            unit: unit.unwrap_or(&self.unit).into(),
            agent: self.agent.as_str().into(),
            stream: stream.as_str().into(),
            host: Some(host.unwrap_or(&self.host).into()),
            format: format.into(),
            log_source: log_source.clone(),
        }
    }
}
