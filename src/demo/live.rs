//! What goes on after the history, for as long as the program runs: quiet scenes, now and then one that an analyst sees
//! every day, and the heartbeats of the offices' agents.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use citywatch_collector::Sink;
use citywatch_collector::heartbeat::{HEARTBEAT, Heartbeat};
use citywatch_parsers::record::Truncated;
use citywatch_parsers::{Origin, RecordBatch, Timestamp};
use tokio_util::sync::CancellationToken;

use super::config::{DemoConfig, Hours, Office, Scene};
use super::programme::{Chance, is_at_work, length_us};
use super::recording::{Playing, Recordings, agent_of, local};

/// Between two scenes.
const SCENE_EVERY: Duration = Duration::from_secs(20);
/// Of so many scenes one is not quiet.
const QUIET_SCENES: u64 = 40;
/// What is seen on every fifth day or oftener is what an analyst sees every day: the city has many offices.
const COMMON_PER_WORKDAY: f64 = 0.2;
/// So many turns lie between two heartbeats: a minute.
const TURNS_PER_HEARTBEAT: u64 = 3;
/// A scene is not begun again at an office before the one there was over for so long.
const REST_US: i64 = 5_000_000;

/// Plays on until `stop`, into the transport that the office's own agents would use.
pub async fn play_on(demo: DemoConfig, sink: Sink, stop: CancellationToken) {
    let recordings = match Recordings::read(&demo) {
        Ok(recordings) => recordings,
        Err(error) => {
            tracing::warn!(
                error = format!("{error:#}"),
                "the demonstration does not go on"
            );
            return;
        }
    };
    let offices: Vec<&Office> = demo
        .offices
        .iter()
        .filter(|one| one.silent_days == 0)
        .collect();
    let mut busy: HashMap<&str, i64> = HashMap::new();
    let mut every = tokio::time::interval(SCENE_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for turn in 0_u64.. {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = every.tick() => {}
        }
        let now = jiff::Timestamp::now().as_microsecond();
        let mut batches = Vec::new();
        if turn.is_multiple_of(TURNS_PER_HEARTBEAT) {
            batches.extend(offices.iter().map(|office| heartbeat(office, now)));
        }
        let mut chance = Chance::of(demo.seed, &[now.unsigned_abs()]);
        let is_quiet = turn % QUIET_SCENES != QUIET_SCENES / 2;
        let drawn = drawn(&demo.scenes, &offices, is_quiet, now, &mut chance);
        if let Some((scene, office)) = drawn {
            // It has just been over, as the last minutes of a log are.
            let at = now - length_us(scene) - REST_US;
            let free = busy.get(office.unit.as_str()).copied().unwrap_or(i64::MIN);
            if at > free {
                busy.insert(office.unit.as_str(), now);
                let at = Timestamp(at);
                batches.extend(recordings.batches(Playing { scene, office, at }));
            }
        }
        for batch in batches {
            let kept = match sink.submit(&batch).await {
                Ok(mut ticket) => ticket.settled().await,
                Err(error) => Err(error),
            };
            if let Err(error) = kept {
                tracing::warn!(%error, "a scene of the demonstration was not kept");
            }
        }
    }
}

/// A scene that fits the hour, and an office for it.
fn drawn<'d>(
    scenes: &'d [Scene],
    offices: &[&'d Office],
    is_quiet: bool,
    now: i64,
    chance: &mut Chance,
) -> Option<(&'d Scene, &'d Office)> {
    let works = is_at_work(local(Timestamp(now)));
    let mut fitting = Vec::new();
    for scene in scenes {
        let is_wanted = match is_quiet {
            true => scene.quiet,
            false => !scene.quiet && scene.per_workday >= COMMON_PER_WORKDAY,
        };
        if is_wanted && (works || scene.hours == Hours::Any) {
            let offices = offices.iter().filter(|office| office.has(scene));
            fitting.extend(offices.map(|office| (scene, *office)));
        }
    }
    let place = chance.within(0, fitting.len() as u64);
    fitting.get(usize::try_from(place).unwrap_or(0)).copied()
}

/// What the agent of an office says each minute.
fn heartbeat(office: &Office, now: i64) -> RecordBatch {
    let said = Heartbeat {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        sent_at_us: now,
        clock_offset_us: Some(0),
        ..Heartbeat::default()
    };
    let host = office
        .hosts
        .values()
        .next()
        .map(|host| host.as_str().into());
    let mut batch = RecordBatch::new(Arc::new(Origin {
        unit: office.unit.as_str().into(),
        agent: agent_of(office).as_str().into(),
        stream: HEARTBEAT.into(),
        host,
        format: HEARTBEAT.into(),
        ..Origin::default()
    }));
    let text = serde_json::to_vec(&said).unwrap_or_default();
    batch.push(&text, now.unsigned_abs(), Timestamp(now), Truncated::No);
    batch
}
