//! From a line written to its alert committed, through agent, broker, engine and alerting, at a steady rate.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use citywatch_alerting::{Alerting, AlertingConfig};
use citywatch_collector::kafka::{Consumer, ConsumerConfig, Producer, ProducerConfig};
use citywatch_collector::{Agent, AgentConfig, Sink};
use citywatch_engine::detect::LogSourceMode;
use citywatch_engine::pipeline::{LoadedRules, Pipeline, PipelineConfig, PipelineParts};
use citywatch_engine::store::SyncToDisk;
use citywatch_engine::watch::IntakeGate;
use citywatch_engine::{Match, MatchDelivery, MatchId};
use citywatch_parsers::Definitions;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::store::StoreProcess;
use super::{Broker, Options};
use crate::corpus;

const TOPIC: &str = "bench-latency";
/// One line of so many raises an alert.
const ALARM_EVERY: u64 = 20;
const RULE: &str = "title: Alarm\nid: 00000000-0000-4000-8000-000000000001\nlogsource: {category: test}\nlevel: high\n\
                    detection:\n  selection: {alarm: 'yes'}\n  condition: selection\n";
/// Holds as soon as enough of them came, and lets each of them raise its alert, too.
const CORRELATION: &str = "title: Many Alarms\nid: 00000000-0000-4000-8000-000000000002\nlevel: high\ncorrelation:\n  type: event_count\n  \
                           rules: [00000000-0000-4000-8000-000000000001]\n  generate: true\n  group-by: [host]\n  timespan: 1m\n  condition: {gte: 10}\n";
/// Lines are written in so many steps per second.
const STEPS_PER_S: u64 = 100;
/// The goal for the 99th of 100.
const GOAL_MS: f64 = 1_000.0;
const PATIENCE: Duration = Duration::from_secs(60);

/// Delays in ms.
#[derive(Default)]
struct Seen {
    /// By the line's number.
    alarms: BTreeMap<u64, f64>,
    /// Of alerts of the correlation when they first came, since the last line that they needed.
    correlations: HashMap<MatchId, f64>,
}

type Delays = Arc<Mutex<Seen>>;

pub(super) async fn measure(
    options: &Options,
    broker: &Broker,
    rules: &Path,
    dir: &Path,
) -> Result<Value> {
    broker.topic(TOPIC, 4)?;
    let dir = dir.join("latency");
    std::fs::create_dir_all(dir.join("logs"))?;
    std::fs::write(dir.join("alarm.yml"), RULE)?;
    std::fs::write(dir.join("alarms.yml"), CORRELATION)?;
    let process = StoreProcess::start(&dir.join("store"), SyncToDisk::Always)?;
    let store = process.client().await?;
    let alerting = AlertingConfig {
        data_dir: dir.join("alerting"),
        ..AlertingConfig::default()
    };
    let alerting = Alerting::open(alerting, Some(store.clone())).await?;

    let directories = [
        rules.to_owned(),
        dir.join("alarm.yml"),
        dir.join("alarms.yml"),
    ];
    let rules = LoadedRules::new(corpus::rules(&directories)?, LogSourceMode::Strict)?;
    let rules_loaded = rules.len();
    let stop = CancellationToken::new();
    let config =
        json!({ "brokers": broker.address(), "topics": { TOPIC: {} }, "group": "latency" });
    let config: ConsumerConfig = serde_json::from_value(config)?;
    let (deliveries, consumer) = Consumer::start(&config, 8, stop.clone())?;
    let delays = Delays::default();
    let begun = Instant::now();
    let parts = PipelineParts {
        deliveries,
        plans: consumer.plans(),
        store,
        rules: Arc::new(rules),
        definitions: watch::channel(Definitions::default()).1,
        alerts: timed(alerting.intake(), begun, Arc::clone(&delays)),
        gate: IntakeGate::default(),
        held: None,
    };
    let pipeline = Pipeline::start(&PipelineConfig::default(), parts, stop.clone())?;

    let producer = json!({ "brokers": broker.address(), "topic": TOPIC });
    let producer: ProducerConfig = serde_json::from_value(producer)?;
    let agent: AgentConfig = toml::from_str(&format!(
        "name = \"bench\"\nstate_dir = \"{0}/agent\"\n[[files]]\npaths = [\"{0}/logs/*.log\"]\nformat = \"json\"\nread_from = \"beginning\"\n",
        dir.display()
    ))?;
    let stop_agent = CancellationToken::new();
    let agent = Agent::start(
        &agent,
        Sink::Kafka(Producer::new(&producer)?),
        stop_agent.clone(),
    )?;

    let lines = options.lines_per_s * options.latency_s;
    write_lines(&dir.join("logs/bench.log"), options, begun).await?;
    let alarms = usize::try_from(lines.div_ceil(ALARM_EVERY))?;
    let since = Instant::now();
    while lock(&delays).alarms.len() < alarms && since.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stop_agent.cancel();
    agent.ended().await;
    stop.cancel();
    pipeline.ended().await;
    consumer.ended().await;
    alerting.close().await;

    let seen = lock(&delays);
    let found = seen.alarms.len();
    ensure!(found == alarms, "{found} of {alarms} alerts came");
    Ok(json!({
        "lines_per_s": options.lines_per_s,
        "lines": lines,
        "rules": rules_loaded,
        "alerts": spread(seen.alarms.values()),
        "alerts_of_a_correlation": spread(seen.correlations.values()),
        "p99_goal_ms": GOAL_MS,
    }))
}

fn spread<'a>(delays: impl Iterator<Item = &'a f64>) -> Value {
    let mut sorted: Vec<f64> = delays.copied().collect();
    sorted.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let index = (sorted.len().saturating_sub(1) as f64 * share) as usize;
        sorted.get(index).map(|delay| delay.round())
    };
    json!({
        "count": sorted.len(),
        "p50_ms": at(0.5),
        "p99_ms": at(0.99),
        "max_ms": at(1.0),
    })
}

fn lock(delays: &Delays) -> std::sync::MutexGuard<'_, Seen> {
    // Whole between insertions.
    delays.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Hands deliveries on and notes when they are committed.
fn timed(
    intake: mpsc::Sender<MatchDelivery>,
    begun: Instant,
    delays: Delays,
) -> mpsc::Sender<MatchDelivery> {
    let (sender, mut deliveries) = mpsc::channel::<MatchDelivery>(16);
    tokio::spawn(async move {
        while let Some(MatchDelivery { matches, done }) = deliveries.recv().await {
            let written: Vec<(What, f64)> = matches.iter().filter_map(of_match).collect();
            let (committed, answer) = oneshot::channel();
            let delivery = MatchDelivery {
                matches,
                done: committed,
            };
            if intake.send(delivery).await.is_err() {
                return;
            }
            let delays = Arc::clone(&delays);
            tokio::spawn(async move {
                if answer.await.is_ok() {
                    let now_ms = begun.elapsed().as_secs_f64() * 1e3;
                    let mut delays = lock(&delays);
                    for (what, written_ms) in written {
                        let delay = now_ms - written_ms;
                        match what {
                            What::Alarm(number) => delays.alarms.entry(number).or_insert(delay),
                            What::Correlation(id) => delays.correlations.entry(id).or_insert(delay),
                        };
                    }
                    let _ = done.send(());
                }
            });
        }
    });
    sender
}

enum What {
    Alarm(u64),
    Correlation(MatchId),
}

/// What raised an alert, and when the last of its lines was written.
fn of_match(found: &Match) -> Option<(What, f64)> {
    let number = |name: &str| {
        let evidence = found.evidence.iter();
        let values = evidence.filter_map(|evidence| {
            let value = evidence.event.fields.get(name)?.text()?;
            value.parse::<f64>().ok()
        });
        values.reduce(f64::max)
    };
    let what = if found.rule.correlation {
        What::Correlation(found.id)
    } else {
        What::Alarm(number("number")? as u64)
    };
    Some((what, number("written_ms")?))
}

async fn write_lines(path: &Path, options: &Options, begun: Instant) -> Result<()> {
    let mut file = std::fs::File::create(path).context("the log")?;
    let mut steps = tokio::time::interval(Duration::from_millis(1_000 / STEPS_PER_S));
    let per_step = options.lines_per_s / STEPS_PER_S;
    let mut number = 0;
    for _ in 0..options.latency_s * STEPS_PER_S {
        steps.tick().await;
        let written_ms = begun.elapsed().as_secs_f64() * 1e3;
        let mut text = String::new();
        for _ in 0..per_step {
            let alarm = if number % ALARM_EVERY == 0 {
                "yes"
            } else {
                "no"
            };
            let host = number % 97;
            text.push_str(&format!(
                "{{\"category\":\"test\",\"alarm\":\"{alarm}\",\"number\":{number},\"written_ms\":{written_ms:.3},\"host\":\"host-{host}\",\"user\":\"u{}\",\"message\":\"session {number} opened from 198.51.100.{host} by a program that says something about itself\"}}\n",
                number % 977
            ));
            number += 1;
        }
        file.write_all(text.as_bytes())?;
    }
    Ok(())
}
