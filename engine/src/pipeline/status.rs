//! What the pipeline counts, for `citywatch status` and for metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;
use tokio::sync::mpsc;

use super::agents::{AgentSeen, Agents};
use super::costs::{DearRule, RuleCosts};
use super::fair::Held;
use super::tap::TapHandle;
use crate::store::AgentHeard;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident => $metric:literal),* $(,)?) => {
        /// Counters since the start.
        #[derive(Clone, Debug, Default, PartialEq, Serialize)]
        pub struct PipelineStatus {
            $($(#[$doc])* pub $name: u64,)*
            /// What the pipeline is waiting for while something it needs fails; `None` when all is well.
            pub waiting_for: Option<String>,
            /// Rules that take far more than their share of the time.
            pub dear_rules: Vec<DearRule>,
            /// The rules that take the most time.
            pub slow_rules: Vec<DearRule>,
            /// What waits between the stages.
            pub queues: Vec<QueueStatus>,
            /// Why nothing is taken in, if so.
            pub intake_paused: Option<String>,
            /// What waits for its unit's turn.
            pub held: Held,
        }

        #[derive(Debug, Default)]
        struct Counters {
            $($name: AtomicU64,)*
            waiting_for: Mutex<Option<String>>,
            intake: Mutex<Intake>,
            queues: Mutex<Vec<Queue>>,
            costs: RuleCosts,
            taps: TapHandle,
            agents: Agents,
        }

        impl StatusHandle {
            $(
                $(#[$doc])*
                pub(super) fn $name(&self, by: usize) {
                    self.0.$name.fetch_add(by as u64, Ordering::Relaxed);
                    metrics::counter!($metric).increment(by as u64);
                }
            )*

            /// The counters now.
            pub fn snapshot(&self) -> PipelineStatus {
                let intake = self.lock_intake().clone();
                PipelineStatus {
                    $($name: self.0.$name.load(Ordering::Relaxed),)*
                    waiting_for: self.lock_waiting().clone(),
                    dear_rules: self.costs().dear(),
                    slow_rules: self.costs().slowest(),
                    queues: self.queues(),
                    intake_paused: intake.paused,
                    held: intake.held,
                }
            }
        }
    };
}

counters! {
    /// Records taken from the transport.
    records_in => "citywatch_engine_records_total",
    /// Bytes of them.
    bytes_in => "citywatch_engine_bytes_total",
    /// Records that came beyond their unit's quota: they waited, none was dropped.
    records_beyond_quota => "citywatch_engine_records_beyond_quota_total",
    /// How often intake was paused because the store was full.
    intake_pauses => "citywatch_engine_intake_pauses_total",
    /// Records that the store had already: sent again after a restart.
    records_known => "citywatch_engine_records_known_total",
    /// Events parsed.
    events => "citywatch_engine_events_total",
    /// Events with a problem.
    events_with_problems => "citywatch_engine_events_with_problems_total",
    /// Matches of single events found.
    matches => "citywatch_engine_matches_total",
    /// Matches of correlations, each as often as it was told: one that has grown is told again.
    correlation_matches => "citywatch_engine_correlation_matches_total",
    /// Of `matches` those that were given to alerting and taken in there, whether they raised an alert or not.
    matches_alerted => "citywatch_engine_matches_alerted_total",
    /// The same of `correlation_matches`.
    correlation_matches_alerted => "citywatch_engine_correlation_matches_alerted_total",
    /// Rows of events stored.
    events_stored => "citywatch_engine_events_stored_total",
    /// Records that could not be processed and were kept as dead letters.
    dead_letters => "citywatch_engine_dead_letters_total",
    /// Blocks inserted.
    blocks => "citywatch_engine_blocks_total",
    /// Calls to the store or to alerting that failed and were made again.
    retries => "citywatch_engine_retries_total",
}

/// A queue between two stages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QueueStatus {
    /// Who takes from it.
    pub name: String,
    /// What waits in it.
    pub waiting: usize,
    /// What may wait in it.
    pub capacity: usize,
}

/// Tells how a queue stands; none when it has ended.
struct Queue {
    name: String,
    stands: Box<dyn Fn() -> Option<(usize, usize)> + Send>,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

/// What holds up the intake.
#[derive(Clone, Debug, Default)]
struct Intake {
    paused: Option<String>,
    held: Held,
    /// Waiting and capacity of the transport's queue.
    transport: (usize, usize),
}

/// The pipeline's counters; clones share them.
#[derive(Clone, Debug, Default)]
pub struct StatusHandle(Arc<Counters>);

impl StatusHandle {
    /// Notes what the pipeline waits for, or that it no longer does.
    pub(super) fn waiting_for(&self, what: Option<String>) {
        *self.lock_waiting() = what;
    }

    /// Where samples of what flows are taken.
    pub(super) fn taps(&self) -> &TapHandle {
        &self.0.taps
    }

    /// Tells of a queue from now on, as long as it has another sender.
    pub(super) fn watch_queue<T: Send + 'static>(&self, name: String, sender: &mpsc::Sender<T>) {
        let sender = sender.downgrade();
        let stands = Box::new(move || {
            let sender = sender.upgrade()?;
            let capacity = sender.max_capacity();
            Some((capacity - sender.capacity(), capacity))
        });
        self.lock_queues().push(Queue { name, stands });
    }

    /// Notes how the transport's queue stands.
    pub(super) fn transport_queue(&self, waiting: usize, capacity: usize) {
        self.lock_intake().transport = (waiting, capacity);
    }

    /// How the queues stand, in the order in which records go through them.
    fn queues(&self) -> Vec<QueueStatus> {
        let (waiting, capacity) = self.lock_intake().transport;
        let transport = QueueStatus {
            name: "transport".to_owned(),
            waiting,
            capacity,
        };
        let queues = self.lock_queues();
        let others = queues.iter().filter_map(|queue| {
            let (waiting, capacity) = (queue.stands)()?;
            Some(QueueStatus {
                name: queue.name.clone(),
                waiting,
                capacity,
            })
        });
        std::iter::once(transport).chain(others).collect()
    }

    /// Brings the metrics of the queues up to date.
    pub(super) fn report_queues(&self) {
        for queue in self.queues() {
            metrics::gauge!("citywatch_queue_waiting", "queue" => queue.name.clone())
                .set(queue.waiting as f64);
            metrics::gauge!("citywatch_queue_capacity", "queue" => queue.name)
                .set(queue.capacity as f64);
        }
    }

    fn lock_queues(&self) -> std::sync::MutexGuard<'_, Vec<Queue>> {
        self.0
            .queues
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Notes why nothing is taken in, or that it is again.
    pub(super) fn intake_paused(&self, why: Option<String>) {
        self.lock_intake().paused = why;
    }

    /// Notes what waits for its unit's turn.
    pub(super) fn held(&self, held: Held) {
        metrics::gauge!("citywatch_engine_held_bytes", "where" => "memory")
            .set(held.memory_bytes as f64);
        metrics::gauge!("citywatch_engine_held_bytes", "where" => "disk")
            .set(held.disk_bytes as f64);
        metrics::gauge!("citywatch_engine_held_units").set(held.units.len() as f64);
        self.lock_intake().held = held;
    }

    fn lock_intake(&self) -> std::sync::MutexGuard<'_, Intake> {
        self.0
            .intake
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Agents by their heartbeats.
    pub(super) fn agents(&self) -> &Agents {
        &self.0.agents
    }

    /// Agents that were heard after `since`, or since the start without it.
    pub fn heard_after(&self, since: Option<Instant>) -> Vec<AgentHeard> {
        self.agents().heard_after(since)
    }

    /// Agents that were heard since the start, and those that were silent before it; one that was not heard for
    /// `silent_after` is silent.
    pub fn agents_seen(&self, silent_after: Duration) -> Vec<AgentSeen> {
        self.agents()
            .seen(Instant::now(), SystemTime::now(), silent_after)
    }

    /// Tells of agents that were silent already while others were heard.
    pub fn know_silent(&self, agents: Vec<AgentHeard>) {
        self.agents().know_silent(agents);
    }

    /// What single rules cost.
    pub(super) fn costs(&self) -> &RuleCosts {
        &self.0.costs
    }

    fn lock_waiting(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.0
            .waiting_for
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
