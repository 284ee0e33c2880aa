//! Reproducible measurements of Citywatch. Each prints what it found and writes it, with host,
//! command and a hash of what it read, to `bench/results/`.

#![allow(
    unreachable_pub,
    reason = "nothing is reachable in a binary: `pub` here means the module's interface"
)]
#![allow(clippy::print_stdout, reason = "results are this program's output")]

mod corpus;
mod correlation;
mod input;
mod lanes;
mod matching;
mod parsing;
mod peer;
mod pipeline;
mod process;
mod results;
mod streaming;
mod tape;

use clap::{Parser, Subcommand};

/// Measure Citywatch. Build with --release: a debug build measures nothing.
#[derive(Debug, Parser)]
#[command(name = "citywatch-bench")]
struct Cli {
    #[command(subcommand)]
    measurement: Measurement,
}

#[derive(Debug, Subcommand)]
enum Measurement {
    /// Events per second and core from bytes to matches, beside rsigma where bench/peers has built it
    Matching(matching::Options),
    /// Records per second and core into Events, per format, beside VRL's function for it where bench/peers has built it
    Parsing(parsing::Options),
    /// Matches per second into a correlation with very many different values; what correlation rules cost
    Correlation(correlation::Options),
    /// Write the lanes of varied events to files
    Lanes(lanes::WriteOptions),
    /// Events per second through the whole embedded pipeline: file, spool, parser, matcher, store, alerting
    Pipeline(pipeline::PipelineArgs),
    /// From a Kafka topic to the store and to alerts: beside the store alone, parsing alone, a bare loop, and rsigma
    Streaming(streaming::Options),
}

fn main() -> anyhow::Result<()> {
    if cfg!(debug_assertions) {
        eprintln!(
            "citywatch-bench: this is a debug build; its figures mean nothing: use cargo run --release"
        );
    }
    match Cli::parse().measurement {
        Measurement::Matching(options) => matching::measure(&options),
        Measurement::Parsing(options) => parsing::measure(&options),
        Measurement::Correlation(options) => correlation::measure(&options),
        Measurement::Lanes(options) => lanes::write(&options),
        Measurement::Pipeline(args) => pipeline::measure(&args),
        Measurement::Streaming(options) => streaming::measure(&options),
    }
}
