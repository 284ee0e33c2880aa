//! `citywatch`: one command for all of Citywatch. This file reads the command line; each subcommand
//! lives in a file of its own under `commands/`.

#![allow(
    unreachable_pub,
    reason = "nothing is reachable in a binary: `pub` here means the module's interface"
)]

mod certificate_end;
mod commands;
mod config;
mod definition_files;
mod demo;
mod faults;
mod input;
mod intake;
mod logging;
mod monitor;
mod monitor_token;
mod own_agent;
mod parts;
mod placeholders;
mod private_file;
mod report;
mod rule_files;
mod rule_pipelines;
mod rules_keeper;
mod saying;
mod shutdown;
mod store_access;
mod store_process;
mod stored;
mod system;
mod visible;
mod watching;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};

/// The log pipeline and detector of a city's security operations center.
#[derive(Debug, Parser)]
#[command(name = "citywatch", version, max_term_width = 110, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  citywatch up                          run the whole system on this machine, data in ./citywatch-data
  citywatch up --config citywatch.toml  the same with your own settings
  citywatch status                      what runs, how fast, how far behind
  citywatch tap events --filter host=web01 --limit 100
                                        events of one host as they flow
  citywatch parse --explain /var/log/auth.log
                                        what each record becomes, and why it is taken for what it is
  citywatch rules eval --rules rules/library events.ndjson
                                        match a file against rules, one line per match
  citywatch rules test rules/library    run the tests that lie beside rules
  citywatch completion bash >> ~/.bashrc
                                        let the shell complete these commands";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the whole system in one command: agent, spool, engine, store, alerting, console
    Up(commands::up::UpArgs),
    /// Run the engine alone: records from Kafka in, events, matches and alerts out
    Engine(ConfigArgs),
    /// Run the console and the HTTP API alone, on the incidents that engines raise
    Serve(ConfigArgs),
    /// Run the embedded event store alone: the ClickHouse engine behind a local HTTP endpoint
    Store(commands::store::StoreArgs),
    /// Show what runs, how fast, how far behind, and what is being retried
    Status(commands::status::StatusArgs),
    /// Watch what flows, what waits and what is slow, as it changes
    Top(commands::top::TopArgs),
    /// Look at samples of records, events or matches as they flow
    Tap(commands::tap::TapArgs),
    /// Look at the records that could not be processed or stored, and replay them
    #[command(subcommand)]
    DeadLetters(commands::dead_letters::DeadLettersCommand),
    /// Show what records become: format, time, fields, problems; check a site's own formats
    Parse(commands::parse::ParseArgs),
    /// Work with Sigma rules
    #[command(subcommand)]
    Rules(commands::rules::RulesCommand),
    /// Print what completes this command line in a shell
    Completion(commands::completion::CompletionArgs),
    /// Work with people's accounts
    #[command(subcommand)]
    User(commands::user::UserCommand),
    /// Check the log of what people did, and print its head
    #[command(subcommand)]
    Audit(commands::audit::AuditCommand),
    /// Print what the HTTP API takes and gives, as an OpenAPI document
    Openapi,
    /// Let agents enrol themselves, and revoke their certificates
    #[command(subcommand)]
    Ca(commands::ca::CaCommand),
}

/// Where the settings come from.
#[derive(Clone, Debug, Args)]
pub struct ConfigArgs {
    /// Configuration file (TOML); every setting has a default
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.command {
        Command::Up(args) => commands::up::run(&args),
        Command::Engine(args) => commands::engine::run(&args),
        Command::Serve(args) => commands::serve::run(&args),
        Command::Store(args) => commands::store::run(&args),
        Command::Status(args) => commands::status::run(&args),
        Command::Top(args) => commands::top::run(&args),
        Command::Tap(args) => commands::tap::run(&args),
        Command::DeadLetters(command) => commands::dead_letters::run(&command),
        Command::Parse(args) => commands::parse::run(&args),
        Command::Rules(command) => commands::rules::run(command),
        Command::Completion(args) => commands::completion::run(&args, Cli::command()),
        Command::User(command) => commands::user::run(&command),
        Command::Audit(command) => commands::audit::run(&command),
        Command::Openapi => commands::openapi::run(),
        Command::Ca(command) => commands::ca::run(&command),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("citywatch: {error:#}");
            report::exit_code(&error)
        }
    }
}
