//! The peers beside us, on the same core: rsigma with the same rules and events, VRL with the same records.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::corpus::Corpus;
use crate::process::cpu_s;

/// What rsigma did on a corpus.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PeerRun {
    pub(crate) load_s: f64,
    pub(crate) matches: usize,
    pub(crate) events_per_s: f64,
}

/// rsigma, where bench/peers/build.sh has built it.
#[derive(Debug)]
pub(crate) struct Rsigma<'r> {
    rules: &'r Path,
    runs: usize,
}

impl<'r> Rsigma<'r> {
    /// To be run on these rules, or `None` where it is not built.
    pub(crate) fn find(rules: &'r Path, runs: usize) -> Option<Self> {
        let found = Path::new(PROGRAM).is_file();
        if !found {
            eprintln!("skipped: rsigma, which bench/peers/build.sh builds");
        }
        found.then_some(Self { rules, runs })
    }

    /// Its events per second of CPU, net of loading: the median of the runs.
    pub(crate) fn run(&self, corpus: &Corpus, input_format: &str) -> Result<PeerRun> {
        let file = tempfile::NamedTempFile::new()?;
        corpus.write(file.path())?;
        let (load_s, _) = self.run_once(Path::new("/dev/null"), input_format)?;
        let mut times = Vec::new();
        let mut matches = 0;
        for _ in 0..self.runs.clamp(1, 3) {
            let (seconds, found) = self.run_once(file.path(), input_format)?;
            times.push(seconds - load_s);
            matches = found;
        }
        times.sort_by(f64::total_cmp);
        let seconds = times[times.len() / 2];
        Ok(PeerRun {
            load_s,
            matches,
            events_per_s: (corpus.records as f64 / seconds).round(),
        })
    }

    fn run_once(&self, input: &Path, input_format: &str) -> Result<(f64, usize)> {
        let begin = cpu_s(libc::RUSAGE_CHILDREN);
        let output = Command::new(PROGRAM)
            .args(["engine", "eval", "--logsource-routing", "--quiet"])
            .args(["--output-format", "ndjson", "--input-format", input_format])
            .arg("-r")
            .arg(self.rules)
            .stdin(File::open(input)?)
            .stderr(Stdio::null())
            .output()
            .context("running rsigma")?;
        if !output.status.success() {
            bail!("rsigma failed: {}", output.status);
        }
        let matches = output.stdout.iter().filter(|&&byte| byte == b'\n').count();
        Ok((cpu_s(libc::RUSAGE_CHILDREN) - begin, matches))
    }
}

const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/target/bin/rsigma");

/// What VRL did with a file of records.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct VrlRun {
    /// Seconds of CPU of one run, after one that warmed up.
    pub(crate) seconds: f64,
    /// Records that the function could read.
    pub(crate) parsed: usize,
}

/// VRL, where bench/peers/build.sh has built what runs it.
#[derive(Debug)]
pub(crate) struct Vrl {
    program: PathBuf,
}

impl Vrl {
    /// To be run, or `None` where it is not built.
    pub(crate) fn find() -> Option<Self> {
        let program = std::env::var_os("CITYWATCH_PEER_VRL")
            .map_or_else(|| PathBuf::from(VRL_PROGRAM), PathBuf::from);
        let found = program.is_file();
        if !found {
            eprintln!("skipped: VRL, which bench/peers/build.sh builds");
        }
        found.then_some(Self { program })
    }

    /// One run of a function over the lines of a file.
    pub(crate) fn run(&self, function: &str, file: &Path) -> Result<VrlRun> {
        let output = Command::new(&self.program)
            .args([function, "1"])
            .arg(file)
            .stderr(Stdio::inherit())
            .output()
            .context("running citywatch-peer-vrl")?;
        if !output.status.success() {
            bail!("citywatch-peer-vrl failed: {}", output.status);
        }
        serde_json::from_slice(&output.stdout).context("the answer of citywatch-peer-vrl")
    }
}

const VRL_PROGRAM: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/peers/target/release/citywatch-peer-vrl"
);
