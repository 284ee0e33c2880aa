//! `citywatch dead-letters replay`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use citywatch_alerting::Alerting;
use citywatch_collector::identity::Door;
use citywatch_engine::pipeline::{Replay, ReplayParts, Standing, standings};
use citywatch_engine::store::{DeadLetterCursor, DeadLetterQuery, DeadLetterRow, Store};
use citywatch_parsers::Definitions;
use clap::Args;

use super::{FilterArgs, mistake};
use crate::config::Config;
use crate::report::{UsageError, say};
use crate::store_access::with_store;
use crate::stored::StoreArgs;
use crate::{definition_files, rules_keeper};

/// What is held in memory at once.
const LETTERS_AT_ONCE: usize = 500;
const BYTES_AT_ONCE: usize = 32 << 20;
/// Reasons that are said of what is still refused.
const REFUSALS_SHOWN: usize = 5;

/// Options of `citywatch dead-letters replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// Ids, or their first digits: at least four; all with these digits are meant
    ids: Vec<String>,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    filter: FilterArgs,
    /// All dead letters, where neither ids nor a filter choose
    #[arg(long)]
    all: bool,
    /// Say how many would be replayed, and change nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Default)]
struct Counts {
    found: usize,
    ready: usize,
    replayed: usize,
    stored_before: usize,
    failed: usize,
    waiting: usize,
    undecodable: usize,
    unreadable: usize,
    refused: usize,
    /// Why, each reason once.
    refusals: BTreeSet<String>,
}

/// Runs it.
pub async fn run(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let config = args.store.load()?;
    let query = DeadLetterQuery {
        ids: args.ids.clone(),
        ..args.filter.query(&config)?
    };
    if query == DeadLetterQuery::default() && !args.all {
        return Err(UsageError(
            "name ids, choose by --reason, --unit, --agent, --stream, --from or --to, or say --all"
                .to_owned(),
        )
        .into());
    }
    // Judged by the authority as it is now: one that was missing may be there, an agent enrolled.
    let door = Door::new(crate::intake::authority(&config));
    let counts = with_store(&config, |store| async {
        if args.dry_run {
            return go_through(&store, &query, &door, None).await;
        }
        crate::logging::start("dead-letters");
        replay(&config, store, &query, &door).await
    })
    .await?;
    let done = if args.dry_run {
        format!("to replay {}", counts.ready)
    } else {
        format!(
            "replayed {}, failed again {}",
            counts.replayed, counts.failed
        )
    };
    writeln!(
        std::io::stdout().lock(),
        "{} found: {done}, stored before {}, waiting {}, undecodable {}, unreadable {}, refused {}",
        counts.found,
        counts.stored_before,
        counts.waiting,
        counts.undecodable,
        counts.unreadable,
        counts.refused
    )?;
    for reason in counts.refusals.iter().take(REFUSALS_SHOWN) {
        say(&format!("still refused: {reason}"));
    }
    if counts.waiting > 0 {
        say("those that wait can be replayed once later records of their streams are stored");
    }
    let left =
        counts.failed + counts.waiting + counts.undecodable + counts.unreadable + counts.refused;
    Ok(if counts.found == 0 || left > 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

async fn replay(
    config: &Config,
    store: Store,
    query: &DeadLetterQuery,
    door: &Door,
) -> anyhow::Result<Counts> {
    let rules = rules_keeper::load_once(&config.engine)?;
    let definitions =
        definition_files::load(&config.parsers, &Definitions::default(), &mut |problem| {
            say(&problem);
        })?;
    let alerting = Alerting::open(config.alerting.clone(), Some(store.clone()))
        .await
        .context("incidents and accounts")?;
    let parts = ReplayParts {
        store: store.clone(),
        rules,
        definitions,
        alerts: alerting.intake(),
    };
    let mut pipeline = Replay::start(&config.engine, parts)?;
    let counts = go_through(&store, query, door, Some(&mut pipeline)).await;
    pipeline.ended().await;
    alerting.close().await;
    counts
}

/// Looks at each dead letter that fits, and replays it where there is a pipeline.
async fn go_through(
    store: &Store,
    query: &DeadLetterQuery,
    door: &Door,
    mut pipeline: Option<&mut Replay>,
) -> anyhow::Result<Counts> {
    let mut counts = Counts::default();
    let mut after = None;
    loop {
        let letters = store
            .next_dead_letters(query, after.as_ref(), LETTERS_AT_ONCE, BYTES_AT_ONCE)
            .await
            .map_err(mistake)?;
        let Some(last) = letters.last() else {
            return Ok(counts);
        };
        after = Some(DeadLetterCursor::of(last));
        counts.found += letters.len();
        let (mut sent, mut batches, mut done) = (Vec::new(), Vec::new(), Vec::new());
        let how = standings(store, &letters, door).await?;
        for (letter, standing) in letters.into_iter().zip(how) {
            match standing {
                Standing::Ready(batch) => {
                    batches.push(batch);
                    sent.push(letter);
                }
                Standing::Stored => done.push(letter),
                Standing::Waits => counts.waiting += 1,
                Standing::Undecodable => counts.undecodable += 1,
                Standing::Unreadable => counts.unreadable += 1,
                Standing::Refused(reason) => {
                    counts.refused += 1;
                    if counts.refusals.len() < REFUSALS_SHOWN {
                        counts.refusals.insert(reason);
                    }
                }
            }
        }
        counts.ready += sent.len();
        counts.stored_before += done.len();
        let Some(pipeline) = pipeline.as_deref_mut() else {
            continue;
        };
        if !pipeline.pass(batches).await {
            anyhow::bail!("the pipeline ended before everything was stored; replay again");
        }
        // Only what the store has now is done: what failed again is a dead letter still.
        let how = standings(store, &sent, door).await?;
        for (letter, standing) in sent.into_iter().zip(how) {
            match standing {
                Standing::Stored => {
                    counts.replayed += 1;
                    done.push(letter);
                }
                _ => counts.failed += 1,
            }
        }
        mark(store, done).await?;
    }
}

/// Notes that their events are stored, month by month of their receipt: one insert is one partition.
async fn mark(store: &Store, letters: Vec<DeadLetterRow>) -> anyhow::Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros();
    let mut months = BTreeMap::<_, Vec<DeadLetterRow>>::new();
    for mut letter in letters {
        letter.replayed_at = i64::try_from(now)?;
        let received = jiff::Timestamp::from_microsecond(letter.received_at)?
            .to_zoned(jiff::tz::TimeZone::UTC);
        months
            .entry((received.year(), received.month()))
            .or_default()
            .push(letter);
    }
    for letters in months.values() {
        store.insert_dead_letters(letters).await?;
    }
    Ok(())
}
