//! `citywatch rules`: work with Sigma rules.

pub(super) mod blocks;
mod correlated;
mod eval;
mod evaluator;
mod exports;
pub(super) mod inputs;
mod joining;
mod lanes;
mod line_buffer;
mod lines;

use std::process::ExitCode;

use clap::Subcommand;

/// What can be done with rules.
#[derive(Debug, Subcommand)]
pub enum RulesCommand {
    /// Match files of records against rules: one JSON line per match
    Eval(eval::EvalArgs),
}

/// Runs one of them.
pub fn run(command: RulesCommand) -> anyhow::Result<ExitCode> {
    match command {
        RulesCommand::Eval(args) => eval::run(args),
    }
}
