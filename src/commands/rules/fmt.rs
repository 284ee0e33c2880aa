//! `citywatch rules fmt`: rule files in their canonical form.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use citywatch_rules::format::{FormatError, format};
use clap::Args;

use super::check::replace;
use crate::report::say;
use crate::rule_files;

/// Options of `citywatch rules fmt`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  citywatch rules fmt rules/            write the files anew where they differ
  citywatch rules fmt --check rules/    only name those that differ, for CI
  citywatch rules fmt - < rule.yml      from standard input to standard output

Keys stand in SigmaHQ's order, levels are indented by four blanks, nothing stands behind lines. Comments stay with what they
stand before. What comes out is read again: where it would not say the same, the file stays as it is.

Exit code 0; 1 when a file cannot be formatted, or with --check differs; 2 for a wrong command line.")]
pub struct FmtArgs {
    /// Rule files, or directories with all below them, or - for standard input
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Change nothing; name the files that differ
    #[arg(long)]
    check: bool,
}

/// Runs it.
pub fn run(args: &FmtArgs) -> anyhow::Result<ExitCode> {
    if let [path] = args.paths.as_slice()
        && path.as_os_str() == "-"
    {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        return Ok(match format(&text) {
            Ok(made) => {
                std::io::stdout().write_all(made.as_bytes())?;
                ExitCode::SUCCESS
            }
            Err(error) => {
                say(&in_words("-", &error));
                ExitCode::FAILURE
            }
        });
    }
    let listed = rule_files::list(&args.paths)?;
    let (sources, unreadable) = rule_files::read_files(&listed.rules);
    let mut failed = unreadable.len() + listed.unreadable.len();
    for words in listed.unreadable.iter().chain(&unreadable) {
        say(words);
    }
    let mut differing = 0;
    for source in &sources {
        match format(&source.text) {
            Ok(made) if made == *source.text => {}
            Ok(made) => {
                differing += 1;
                println_path(&source.path);
                if !args.check {
                    replace(Path::new(&*source.path), &made)?;
                }
            }
            Err(error) => {
                failed += 1;
                say(&in_words(&source.path, &error));
            }
        }
    }
    let what = if args.check { "differ" } else { "written anew" };
    say(&format!("{} files, {differing} {what}", sources.len()));
    Ok(if failed > 0 || args.check && differing > 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn println_path(path: &str) {
    let _ = writeln!(std::io::stdout(), "{path}");
}

fn in_words(path: &str, error: &FormatError) -> String {
    match error {
        FormatError::NotYaml(words) => format!("{path}:{words}"),
        FormatError::Unusual => format!(
            "{path}: its form is too unusual to be moved without a change of meaning; it stays as it is"
        ),
    }
}
