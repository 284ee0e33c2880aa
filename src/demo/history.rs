//! Plays the history, day by day, through spool, engine, store and alerting.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use citywatch_alerting::{Alerting, Clock};
use citywatch_collector::spool::SpoolMonitor;
use citywatch_collector::{Sink, Spool};
use citywatch_engine::MatchDelivery;
use citywatch_engine::pipeline::{LoadedRules, Pipeline, PipelineConfig, PipelineParts};
use citywatch_engine::store::{AgentHeard, Store};
use citywatch_engine::watch::IntakeGate;
use citywatch_parsers::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::PART;
use super::analysts::{Analysts, Cue};
use super::config::DemoConfig;
use super::programme::programme;
use super::recording::{Playing, Recordings, agent_of};
use crate::config::{Config, Transport};
use crate::parts::{PartState, Parts};
use crate::report::{UsageError, say};
use crate::saying::Saying;
use crate::system;

/// What was played, in the data folder.
const PLAYED: &str = "demonstration.json";
/// How often it is looked whether all of a day is stored.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Rows wait no longer for their block: the next day begins when this one's are stored.
const FLUSH_INTERVAL_MS: u64 = 5;
/// Batches and deliveries on their way.
const AHEAD: usize = 8;

/// How far the history is played.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Played {
    /// In words, for who looks into the data folder.
    what: String,
    seed: u64,
    days: u32,
    /// The end of the history, in microseconds since 1970.
    end: i64,
    days_played: u32,
}

impl Played {
    fn path(data_dir: &Path) -> PathBuf {
        data_dir.join(PLAYED)
    }

    fn read(data_dir: &Path) -> anyhow::Result<Option<Self>> {
        let path = Self::path(data_dir);
        match std::fs::read(&path) {
            Ok(bytes) => Ok(Some(
                serde_json::from_slice(&bytes).with_context(|| path.display().to_string())?,
            )),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| path.display().to_string()),
        }
    }

    /// Replaces the file as a whole: a start finds the one before or this one.
    fn write(&self, data_dir: &Path) -> anyhow::Result<()> {
        let path = Self::path(data_dir);
        let beside = path.with_extension("new");
        let text = serde_json::to_vec_pretty(self).context("numbers always serialize")?;
        std::fs::write(&beside, text)
            .and_then(|()| std::fs::rename(&beside, &path))
            .with_context(|| path.display().to_string())
    }

    fn saying(&self) -> Saying {
        Saying::Demonstration {
            days_played: self.days_played,
            days: self.days,
        }
    }
}

/// What is needed to play.
pub struct History<'h> {
    /// All settings.
    pub config: &'h Config,
    /// What is played.
    pub demo: &'h DemoConfig,
    /// Where events go.
    pub store: &'h Store,
    /// The rules.
    pub rules: &'h Arc<LoadedRules>,
    /// The register of parts.
    pub parts: &'h Parts,
    /// Ends it.
    pub signal: &'h CancellationToken,
}

impl History<'_> {
    /// Plays what was not played yet. Ends early at the signal; the next start goes on from there.
    pub async fn play(&self) -> anyhow::Result<()> {
        self.demo.check()?;
        if self.config.input.from != Transport::Spool || self.config.alerting.database_url.is_some()
        {
            let words = "[demo] plays into a data folder of its own: leave out [input] from and [alerting] database_url";
            return Err(UsageError(words.to_owned()).into());
        }
        let dir = &self.config.data.dir;
        let known = Played::read(dir)?;
        let is_first = known.is_none();
        let mut played = known.unwrap_or_else(|| Played {
            what: "Recordings were played into this folder. Nothing of it happened.".to_owned(),
            seed: self.demo.seed,
            days: self.demo.days,
            end: jiff::Timestamp::now().as_microsecond(),
            days_played: 0,
        });
        if played.days_played < played.days {
            say(&format!(
                "playing {} days of recordings, which takes a minute: a demonstration, nothing of it happened",
                played.days
            ));
            self.play_rest(&mut played, is_first).await?;
        }
        self.parts.set(PART, PartState::Running, played.saying());
        Ok(())
    }

    async fn play_rest(&self, played: &mut Played, is_first: bool) -> anyhow::Result<()> {
        // The history of a start that was interrupted is the one that it had begun.
        let demo = DemoConfig {
            seed: played.seed,
            days: played.days,
            ..self.demo.clone()
        };
        let recordings = Recordings::read(&demo)?;
        let end = Timestamp(played.end);
        let days = programme(&demo, end);
        let mut left = days.iter().skip(played.days_played as usize).flatten();
        let clock = Clock::manual(left.next().map_or(end, |first| first.at));
        let alerting = self.open_alerting(&clock).await?;
        let begun = alerting.begin_demonstration().await;
        begun.map_err(|error| {
            let dir = self.config.data.dir.display();
            UsageError(format!("[demo] cannot be played into {dir}: {error}"))
        })?;
        if is_first {
            played.write(&self.config.data.dir)?;
        }
        let stop = CancellationToken::new();
        let console = alerting.bind(([127, 0, 0, 1], 0).into())?;
        let address = console.url();
        let served = tokio::spawn(console.run(stop.clone()));
        let analysts =
            Analysts::prepare(&demo, &alerting, &clock, end, &address, self.config).await?;
        let outcome = self.play_days(&recordings, &days, analysts, played).await;
        for person in &demo.people {
            // Their sessions end, and nobody knows the new password: an administrator can make one.
            alerting.reset_user(&person.name).await?;
        }
        if played.days_played == played.days {
            self.note_agents(&demo, &days).await?;
        }
        stop.cancel();
        served.await.context("the console's task")??;
        alerting.close().await;
        outcome
    }

    /// Alerting under the history's clock. Sessions do not end while weeks go by.
    async fn open_alerting(&self, clock: &Clock) -> anyhow::Result<Alerting> {
        let mut config = self.config.alerting.clone();
        config.sessions.idle_minutes = 366 * 24 * 60;
        config.sessions.absolute_hours = 366 * 24;
        let alerting = Alerting::open_at(config, Some(self.store.clone()), clock.clone())
            .await
            .context("incidents and accounts")?;
        system::ensure_administrator(&alerting, &self.config.data.dir).await?;
        Ok(alerting)
    }

    /// Notes when the offices' agents were heard last, as their heartbeats would have: one has been silent since.
    async fn note_agents(
        &self,
        demo: &DemoConfig,
        days: &[Vec<Playing<'_>>],
    ) -> anyhow::Result<()> {
        let mut heard = Vec::new();
        for office in &demo.offices {
            let mut played = days.iter().flatten();
            let last = played.rfind(|playing| playing.office.unit == office.unit);
            heard.extend(last.map(|playing| AgentHeard {
                agent: agent_of(office),
                unit: office.unit.clone(),
                host: office.hosts.values().next().cloned().unwrap_or_default(),
                heard_at: playing.at.as_micros(),
            }));
        }
        self.store.note_agents(&heard).await.context("the agents")
    }

    async fn play_days(
        &self,
        recordings: &Recordings,
        days: &[Vec<Playing<'_>>],
        analysts: Analysts,
        played: &mut Played,
    ) -> anyhow::Result<()> {
        let stage = Stage::open(self, analysts)?;
        let mut outcome = Ok(());
        for (number, day) in days.iter().enumerate().skip(played.days_played as usize) {
            self.parts.set(PART, PartState::Starting, played.saying());
            let until = days
                .get(number + 1)
                .and_then(|next| next.first())
                .map_or(Timestamp(played.end), |next| next.at);
            outcome = stage.play(recordings, day, until, self.signal).await;
            if outcome.is_err() || self.signal.is_cancelled() {
                break;
            }
            played.days_played += 1;
            played.write(&self.config.data.dir)?;
        }
        outcome.and(stage.close().await)
    }
}

/// What a day is played through.
struct Stage {
    sink: Sink,
    monitor: SpoolMonitor,
    spool: citywatch_collector::spool::SpoolTask,
    pipeline: Pipeline,
    stop: CancellationToken,
    cues: mpsc::Sender<Cue>,
    forwards: tokio::task::JoinHandle<()>,
    analysts: std::thread::JoinHandle<anyhow::Result<()>>,
}

impl Stage {
    fn open(history: &History<'_>, analysts: Analysts) -> anyhow::Result<Self> {
        let config = history.config;
        let stop = CancellationToken::new();
        let (writer, reader) = Spool::open(&config.data.dir.join("spool"), config.spool.clone())
            .context("the spool")?;
        let monitor = reader.monitor();
        let plans = reader.plans().context("the spool's plans")?;
        let (deliveries, spool) = reader
            .start(AHEAD, stop.clone())
            .context("the spool's reader")?;
        let (cues, cued) = mpsc::channel(AHEAD);
        let (alerts, matches) = mpsc::channel(AHEAD);
        let parts = PipelineParts {
            deliveries,
            plans,
            store: history.store.clone(),
            rules: Arc::clone(history.rules),
            definitions: crate::definition_files::watch(&config.parsers, history.parts, &stop)?,
            alerts,
            gate: IntakeGate::default(),
            held: Some(config.data.dir.join("held")),
        };
        let engine = PipelineConfig {
            flush_interval_ms: FLUSH_INTERVAL_MS,
            ..config.engine.clone()
        };
        let pipeline = Pipeline::start(&engine, parts, stop.clone())?;
        let analysts = std::thread::Builder::new()
            .name("demonstration".to_owned())
            .spawn(move || analysts.work(cued))
            .context("cannot start a thread")?;
        let forwards = tokio::spawn(forward(matches, cues.clone()));
        Ok(Self {
            sink: Sink::Spool(writer),
            monitor,
            spool,
            pipeline,
            stop,
            cues,
            forwards,
            analysts,
        })
    }

    /// Plays a day and waits until all of it is stored, and until the people have done what they had to do by its end.
    async fn play(
        &self,
        recordings: &Recordings,
        day: &[Playing<'_>],
        until: Timestamp,
        signal: &CancellationToken,
    ) -> anyhow::Result<()> {
        let mut tickets = Vec::new();
        for (number, playing) in day.iter().enumerate() {
            for batch in recordings.batches(*playing) {
                tickets.push(self.sink.submit(&batch).await?);
            }
            // What comes of a scene has its time only if nothing later overtakes it.
            if !playing.scene.quiet || number + 1 == day.len() {
                for mut ticket in tickets.drain(..) {
                    ticket.settled().await?;
                }
                if !self.is_stored(signal).await {
                    return Ok(());
                }
            }
        }
        let (done, is_done) = oneshot::channel();
        if self.cues.send(Cue::DayOver { until, done }).await.is_ok() {
            // Without an answer they have failed: their thread says why.
            let _ = is_done.await;
        }
        Ok(())
    }

    /// Waits until all that was handed on is stored; false when it will not be.
    async fn is_stored(&self, signal: &CancellationToken) -> bool {
        loop {
            let spool = self.monitor.status();
            if spool.appended == spool.acknowledged {
                return true;
            }
            if signal.is_cancelled() || self.analysts.is_finished() {
                return false;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Ends all of it, in the order in which records flow.
    async fn close(self) -> anyhow::Result<()> {
        drop(self.sink);
        self.stop.cancel();
        drop(self.cues);
        self.pipeline.ended().await;
        self.spool.ended().await;
        self.forwards.await.context("the way to the people")?;
        let ended = tokio::task::spawn_blocking(move || self.analysts.join()).await?;
        ended.unwrap_or_else(|_| Err(anyhow::anyhow!("the demonstration's thread panicked")))
    }
}

/// Hands the engine's matches on, in their order.
async fn forward(mut matches: mpsc::Receiver<MatchDelivery>, cues: mpsc::Sender<Cue>) {
    while let Some(delivery) = matches.recv().await {
        if cues.send(Cue::Matches(delivery)).await.is_err() {
            return;
        }
    }
}
