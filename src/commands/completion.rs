//! `citywatch completion`: scripts that complete the command line in shells.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use clap_complete::Shell;

/// Options of `citywatch completion`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  citywatch completion bash > /etc/bash_completion.d/citywatch
  citywatch completion zsh > \"${fpath[1]}/_citywatch\"
  citywatch completion fish > ~/.config/fish/completions/citywatch.fish")]
pub struct CompletionArgs {
    /// For which shell
    #[arg(value_enum)]
    shell: KnownShell,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum KnownShell {
    Bash,
    Zsh,
    Fish,
}

/// Runs it; `command` is the whole command line.
pub fn run(args: &CompletionArgs, mut command: clap::Command) -> anyhow::Result<ExitCode> {
    let shell = match args.shell {
        KnownShell::Bash => Shell::Bash,
        KnownShell::Zsh => Shell::Zsh,
        KnownShell::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "citywatch", &mut script);
    std::io::Write::write_all(&mut std::io::stdout(), &script)?;
    Ok(ExitCode::SUCCESS)
}
