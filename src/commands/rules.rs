//! `citywatch rules`: work with Sigma rules.

pub(super) mod blocks;
mod check;
mod correlated;
mod eval;
mod evaluator;
mod explain;
mod exports;
pub(super) mod inputs;
mod joining;
mod lanes;
mod line_buffer;
mod lines;
mod records;
mod style;
mod test;
mod words;
mod xml;

use std::process::ExitCode;

use clap::Subcommand;

/// What can be done with rules.
#[derive(Debug, Subcommand)]
pub enum RulesCommand {
    /// Match files of records against rules: one JSON line per match
    Eval(eval::EvalArgs),
    /// Check rules: form, conventions, and what can never match
    Check(check::CheckArgs),
    /// Run the tests that lie beside rules
    Test(test::TestArgs),
    /// Show why a rule matches an event, or why not and what came nearest
    Explain(explain::ExplainArgs),
}

/// Runs one of them.
pub fn run(command: RulesCommand) -> anyhow::Result<ExitCode> {
    match command {
        RulesCommand::Eval(args) => eval::run(args),
        RulesCommand::Check(args) => check::run(&args),
        RulesCommand::Test(args) => test::run(&args),
        RulesCommand::Explain(args) => explain::run(&args),
    }
}
