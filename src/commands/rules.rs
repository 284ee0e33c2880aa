//! `citywatch rules`: work with Sigma rules.

mod bench;
pub(super) mod blocks;
mod check;
mod correlated;
mod diff;
mod eval;
mod evaluator;
mod explain;
mod exports;
mod fetch;
mod fmt;
mod history;
mod hunt;
mod impact;
pub(super) mod inputs;
mod joining;
mod lanes;
mod line_buffer;
mod lines;
mod loaded;
mod new;
mod records;
mod sql;
mod stats;
mod style;
mod test;
mod watched_file;
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
    /// Write rule files in their canonical form; comments are kept
    Fmt(fmt::FmtArgs),
    /// Write a rule to begin with, from questions or from an event
    New(new::NewArgs),
    /// Show what changes when one rule set takes another's place, over the same events
    Diff(diff::DiffArgs),
    /// Measure what each rule costs, the dearest first
    Bench(bench::BenchArgs),
    /// Take rules from an archive or a git directory, pinned by a hash
    Fetch(fetch::FetchArgs),
    /// Write rules as SQL that finds the same events in ClickHouse
    Sql(sql::SqlArgs),
    /// Match stored events of the past against rules
    Hunt(hunt::HuntArgs),
    /// Tell what rules would have raised over stored events: alerts per day, units and hosts
    Impact(impact::ImpactArgs),
    /// Count rules by level, status, log source and kinds of tests
    Stats(stats::StatsArgs),
    /// List the fields that rules ask, and those that events do not have
    Fields(stats::FieldsArgs),
    /// Show which techniques of ATT&CK rules cover, also as a layer of the Navigator
    Coverage(stats::CoverageArgs),
}

/// Runs one of them.
pub fn run(command: RulesCommand) -> anyhow::Result<ExitCode> {
    match command {
        RulesCommand::Eval(args) => eval::run(args),
        RulesCommand::Check(args) => check::run(&args),
        RulesCommand::Test(args) => test::run(&args),
        RulesCommand::Explain(args) => explain::run(&args),
        RulesCommand::Fmt(args) => fmt::run(&args),
        RulesCommand::New(args) => new::run(&args),
        RulesCommand::Diff(args) => diff::run(&args),
        RulesCommand::Bench(args) => bench::run(&args),
        RulesCommand::Fetch(args) => fetch::run(&args),
        RulesCommand::Sql(args) => sql::run(&args),
        RulesCommand::Hunt(args) => hunt::run(&args),
        RulesCommand::Impact(args) => impact::run(&args),
        RulesCommand::Stats(args) => stats::stats(&args),
        RulesCommand::Fields(args) => stats::fields(&args),
        RulesCommand::Coverage(args) => stats::coverage(&args),
    }
}
