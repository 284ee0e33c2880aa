//! Correlating: matches per second into one window with very many different values, and what correlation
//! rules cost of the throughput of a lane.

mod share;
mod values;

use anyhow::Result;
use clap::Args;
use serde_json::json;

use crate::lanes::{Lane, Making};
use crate::process::pin;
use crate::results;

/// How much is correlated.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Matches into one window
    #[arg(long, default_value_t = 600_000)]
    matches: u32,
    /// Different values among them
    #[arg(long, default_value_t = 100_000)]
    values: u32,
    /// Also measure a lane of syslog with and without correlation rules, with so many percent of its events
    /// matching a rule that they read
    #[arg(long, value_delimiter = ',')]
    shares: Vec<usize>,
    /// Also measure these lanes as they are, with and without all correlations of the library
    #[arg(long, value_delimiter = ',')]
    lanes: Vec<Lane>,
    /// Records of a batch of the lane: after so many its matches are correlated. 4,096 is what the agent sends at
    /// most, and does while there is more to read
    #[arg(long, default_value_t = 4_096)]
    batch_records: usize,
    /// Runs; the median counts
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// The core to run on
    #[arg(long, default_value_t = 0)]
    core: usize,
    /// Write the result to bench/results under this name
    #[arg(long)]
    save: Option<String>,
    #[command(flatten)]
    making: Making,
}

/// Measures and prints.
pub(crate) fn measure(options: &Options) -> Result<()> {
    pin(options.core)?;
    let mut measured = json!({});
    if options.matches > 0 {
        measured["values"] = values::measure(options)?;
    }
    if !options.shares.is_empty() {
        measured["lane"] = share::of_sign_ins(options)?;
    }
    if !options.lanes.is_empty() {
        measured["lanes"] = share::of_lanes(options)?;
    }
    println!("{}", serde_json::to_string_pretty(&measured)?);
    match &options.save {
        Some(name) => results::write(name, &measured),
        None => Ok(()),
    }
}
