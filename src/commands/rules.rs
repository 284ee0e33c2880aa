//! `citywatch rules`: work with Sigma rules.

mod eval;
mod inputs;

use std::process::ExitCode;

use clap::Subcommand;

/// What can be done with rules.
#[derive(Debug, Subcommand)]
pub enum RulesCommand {
    /// Match files of records against rules: one JSON line per match
    Eval(eval::EvalArgs),
}

/// Runs one of them.
pub fn run(command: &RulesCommand) -> anyhow::Result<ExitCode> {
    match command {
        RulesCommand::Eval(args) => eval::run(args),
    }
}
