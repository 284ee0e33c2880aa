//! Judges stored events of a span of time by rules: what `hunt` and `impact` have in common.
//!
//! Events are read once for all rules, a stretch of time per scan. SQL leaves out what no rule can be about; the compiled engine
//! judges the rest, so that what is found is what the engine would have found.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use citywatch_engine::detect::{Compiled, LogSourceMode, RuleHit};
use citywatch_engine::store::{EventScan, Selection, Store};
use citywatch_engine::{EventId, RuleInfo};
use citywatch_parsers::{Event, Timestamp};
use citywatch_rules::RuleSet;
use citywatch_rules::sql::{Bound, Translator, log_sources};
use clap::Args;

use super::correlated::{Correlating, Identity, Wanted};
use super::loaded::load;
use super::style::Progress;
use crate::config::Config;
use crate::report::UsageError;
use crate::rule_pipelines::PipelineArgs;
use crate::stored::{StoreArgs, time_option, zone_of};

/// Events that one scan reads, unless a quarter of an hour has more. A scan ends before the time that a store gives a statement.
const SCANNED_MAX: u64 = 5_000_000;
/// Up to so many rules, the database looks for what each wants; of more, for their log sources alone.
const NARROWED_RULES_MAX: usize = 40;

/// Which stored events are judged, and how rules are read: options of `hunt` and of `impact`.
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// Events at this time or later
    #[arg(long, default_value = "24h", value_name = "TIME")]
    from: String,
    /// Events before this time; all later ones where it is not given
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Events of this unit alone, by its id; may be given several times
    #[arg(long = "unit", value_name = "UNIT")]
    units: Vec<String>,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    pipelines: PipelineArgs,
}

impl HistoryArgs {
    /// The configuration with the data folder that the command names, and the events that it names.
    ///
    /// # Errors
    /// When the configuration cannot be read, a time is none, or the end is not behind the beginning.
    pub fn load(&self) -> anyhow::Result<(Config, Selection)> {
        let config = self.store.load()?;
        let zone = zone_of(&config);
        let from = time_option("--from", &self.from, &zone)?;
        let to = self.to.as_deref();
        let to = to.map(|to| time_option("--to", to, &zone)).transpose()?;
        if let Some(to) = to.filter(|to| *to <= from) {
            return Err(UsageError(format!("--to {to} is not behind --from {from}")).into());
        }
        let selection = Selection {
            from: Some(from),
            to,
            units: self.units.clone(),
        };
        Ok((config, selection))
    }
}

/// Rules ready to judge stored events.
pub struct History {
    /// The rules.
    pub set: RuleSet,
    /// The same, compiled.
    pub compiled: Arc<Compiled>,
    /// Rules and files that were left out.
    pub left_out: usize,
    definitions: String,
    condition: Option<String>,
}

/// An event for which rules hold.
pub struct Found<'f, 'a> {
    /// Its id.
    pub id: EventId,
    /// The event.
    pub event: &'f Event<'a>,
    /// Which rules, and what in the event made them hold.
    pub hits: &'f [RuleHit],
}

/// A correlation that holds, with its last event.
pub struct FoundCorrelation {
    /// The correlation.
    pub rule: Arc<RuleInfo>,
    /// Its time.
    pub event_time: Timestamp,
    /// The group-by names with their values.
    pub group: Vec<(String, String)>,
    /// The last event.
    pub last: EventPlace,
}

/// Which event, and where it came from.
#[derive(Clone, Debug)]
pub struct EventPlace {
    /// Its id.
    pub id: EventId,
    /// Its unit.
    pub unit: String,
    /// Its host.
    pub host: String,
}

/// What was read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Events in the span.
    pub events: u64,
    /// Those that the database did not leave out.
    pub judged: u64,
    /// Statements that read them.
    pub scans: u64,
    /// Time of the first event.
    pub first: Timestamp,
    /// Time of the last event.
    pub last: Timestamp,
}

/// What is told of a reading while it goes on.
pub trait Listener {
    /// Rules hold for an event.
    fn found(&mut self, found: &Found<'_, '_>);
    /// A scan is over; the next one covers later times.
    ///
    /// # Errors
    /// When nobody wants to hear more.
    fn scanned(&mut self) -> anyhow::Result<()>;
}

impl History {
    /// Loads and compiles rules.
    ///
    /// # Errors
    /// When there are none, or they cannot be compiled.
    pub fn load(paths: &[PathBuf], args: &HistoryArgs) -> anyhow::Result<Self> {
        let loaded = load(paths, args.store.config.config.as_deref(), &args.pipelines)?;
        let compiled = Arc::new(Compiled::new(&loaded.set.rules, LogSourceMode::Strict)?);
        let (definitions, condition) = narrowing(&loaded.set);
        Ok(Self {
            set: loaded.set,
            compiled,
            left_out: loaded.left_out,
            definitions,
            condition,
        })
    }

    /// Reads the events that are selected; the correlations that hold come last.
    ///
    /// # Errors
    /// What the store says, or the listener.
    pub async fn read(
        &self,
        store: &Store,
        selection: &Selection,
        listener: &mut dyn Listener,
    ) -> anyhow::Result<(Counts, Vec<FoundCorrelation>)> {
        let stretches = store.event_stretches(selection, SCANNED_MAX).await?;
        let (Some(first), Some(last)) = (stretches.first(), stretches.last()) else {
            return Ok((Counts::default(), Vec::new()));
        };
        let mut counts = Counts {
            events: stretches.iter().map(|stretch| stretch.events).sum(),
            first: first.first,
            last: last.last,
            ..Counts::default()
        };
        let wanted = Wanted::of(&self.set);
        let mut correlating =
            (!self.set.correlations.is_empty()).then(|| Correlating::new(&self.set));
        let mut places: HashMap<u64, EventPlace> = HashMap::new();
        let mut matcher = self.compiled.matcher();
        let mut hits = Vec::new();
        let mut progress = Progress::new("scans", stretches.len());
        for stretch in stretches {
            let scan = EventScan {
                selection: Selection {
                    from: Some(stretch.first),
                    to: Some(Timestamp(stretch.last.as_micros().saturating_add(1))),
                    units: selection.units.clone(),
                },
                definitions: self.definitions.clone(),
                condition: self.condition.clone(),
            };
            let mut gathered = Vec::new();
            let mut number = counts.judged;
            let mut judge = |id: EventId, event: &Event<'_>| {
                number += 1;
                hits.clear();
                matcher.match_event(event, &mut hits);
                if hits.is_empty() {
                    return;
                }
                let known = gathered.len();
                let identity = || Identity { id, place: number };
                wanted.gather_as(event, &hits, identity, &mut gathered);
                if gathered.len() > known {
                    places.insert(number, place_of(id, event));
                }
                listener.found(&Found {
                    id,
                    event,
                    hits: &hits,
                });
            };
            counts.judged += store.scan_events(&scan, &mut judge).await?;
            counts.scans += 1;
            if let Some(correlating) = &mut correlating {
                correlating.add(&mut gathered);
            }
            listener.scanned()?;
            progress.step();
        }
        let found = correlating.map(|correlating| correlated(correlating, &places));
        Ok((counts, found.unwrap_or_default()))
    }
}

fn correlated(
    correlating: Correlating,
    places: &HashMap<u64, EventPlace>,
) -> Vec<FoundCorrelation> {
    let (held, refused) = correlating.finish();
    if refused > 0 {
        crate::report::say(&format!(
            "{refused} matches were too many for the correlations: windows that they belong to may be missing; take a shorter span"
        ));
    }
    let found = held.into_iter().filter_map(|held| {
        let last = places.get(&held.record)?.clone();
        Some(FoundCorrelation {
            rule: held.rule,
            event_time: held.event_time,
            group: held.group,
            last,
        })
    });
    found.collect()
}

/// Where an event came from.
pub fn place_of(id: EventId, event: &Event<'_>) -> EventPlace {
    EventPlace {
        id,
        unit: event.record.origin.unit.to_string(),
        host: event.host.to_owned(),
    }
}

/// What the database is asked for: at least the events of the rules.
fn narrowing(set: &RuleSet) -> (String, Option<String>) {
    if set.rules.len() > NARROWED_RULES_MAX {
        let sources = set.rules.iter().map(|rule| &rule.log_source);
        return (String::new(), log_sources(sources));
    }
    let mut translator = Translator::new(Bound::Narrowing);
    let conditions = set.rules.iter().map(|rule| translator.rule(rule));
    let conditions: Result<Vec<String>, _> = conditions.collect();
    match conditions {
        Ok(conditions) => {
            let any: Vec<String> = conditions
                .iter()
                .map(|condition| format!("({condition})"))
                .collect();
            (
                translator.with_clause(),
                Some(format!("({})", any.join(" OR "))),
            )
        }
        Err(_) => (String::new(), None),
    }
}
