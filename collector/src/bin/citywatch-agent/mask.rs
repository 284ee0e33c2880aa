//! `citywatch-agent mask`: what would be masked of a text, before anything is sent.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use citywatch_collector::{AgentConfig, Masker, Masking};
use clap::Args;

/// A longer line is shown in pieces, as the agent cuts it.
const LINE_BYTES_MAX: u64 = 1 << 20;

#[derive(Args)]
pub(crate) struct MaskArgs {
    #[command(flatten)]
    pub(crate) common: super::Common,
    /// The source whose rules hold, as the configuration names it: `files[0]`, `http[1]`, `stdin`; without it
    /// those of [masking]
    #[arg(short, long)]
    source: Option<String>,
    /// What to mask, line by line; - for standard input
    #[arg(value_name = "FILE")]
    input: PathBuf,
}

/// 0 when it was read to its end; the masked lines go to standard output, the counts to standard error.
pub(crate) fn mask(config: &AgentConfig, args: &MaskArgs) -> ExitCode {
    let own = match &args.source {
        None => None,
        Some(wanted) => {
            let sources = config.sources();
            let Some((_, mask)) = sources.iter().find(|(name, _)| name == wanted) else {
                let known: Vec<_> = sources.iter().map(|(name, _)| name.as_str()).collect();
                return super::refuse(&format!(
                    "there is no source `{wanted}`; there are: {}",
                    known.join(", ")
                ));
            };
            mask.map(<[String]>::to_vec)
        }
    };
    let masker =
        Masking::load(&config.masking).and_then(|masking| masking.of_source(own.as_deref()));
    let masker = match masker {
        Ok(Some(masker)) => masker,
        Ok(None) => {
            return super::refuse(
                "nothing is masked: name kinds in [masking] `kinds`, or in the source's `mask`",
            );
        }
        Err(error) => return super::refuse(&error.to_string()),
    };
    match mask_input(&masker, &args.input) {
        Ok(counts) => {
            eprintln!("{counts}");
            ExitCode::SUCCESS
        }
        // Who has seen enough closes the pipe.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("citywatch-agent: {}: {error}", args.input.display());
            ExitCode::FAILURE
        }
    }
}

fn mask_input(masker: &Masker, path: &Path) -> io::Result<String> {
    let mut input: Box<dyn BufRead> = if path.as_os_str() == "-" {
        Box::new(io::stdin().lock())
    } else {
        Box::new(BufReader::new(File::open(path)?))
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let (mut lines, mut masked_lines) = (0_u64, 0_u64);
    let mut line = Vec::new();
    loop {
        line.clear();
        if input
            .by_ref()
            .take(LINE_BYTES_MAX)
            .read_until(b'\n', &mut line)?
            == 0
        {
            break;
        }
        lines += 1;
        let found = masker.find(&line);
        masked_lines += u64::from(!found.is_empty());
        for value in found {
            *counts.entry(value.kind.to_owned()).or_default() += 1;
        }
        out.write_all(&masker.mask(&line))?;
    }
    out.flush()?;
    let kinds: Vec<_> = counts
        .iter()
        .map(|(kind, count)| format!("{kind} {count}"))
        .collect();
    let kinds = if kinds.is_empty() {
        "nothing".into()
    } else {
        kinds.join(", ")
    };
    Ok(format!("masked: {kinds}; {masked_lines} of {lines} lines"))
}
