//! `--watch`: runs the tests again when a file changes.

use std::io::{IsTerminal, Write};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use super::super::style::Style;
use super::{Report, TestArgs, run_once, show};
use crate::rule_files;

/// How often files are looked at: from save to result takes little more than this and the tests themselves.
const LOOK_EVERY: Duration = Duration::from_millis(150);

/// Runs until it is interrupted, or nobody reads.
pub(super) fn run(args: &TestArgs) -> anyhow::Result<ExitCode> {
    let mut seen = None;
    let mut files = Vec::new();
    loop {
        let now = stamps(args, &files);
        if seen.as_ref() == Some(&now) {
            std::thread::sleep(LOOK_EVERY);
            continue;
        }
        // What changes while tests run is found at the next look.
        seen = Some(now);
        let shown = match run_once(args) {
            Ok(report) => show(&report, args).map(|()| files = report.files),
            // A path may be away for a moment: editors save by renaming.
            Err(error) => writeln!(std::io::stdout(), "{error:#}"),
        };
        if shown.is_err() {
            return Ok(ExitCode::SUCCESS);
        }
        let with_files = stamps(args, &files);
        if let Some(seen) = &mut seen {
            let new = with_files
                .into_iter()
                .filter(|(path, _)| files.contains(path));
            seen.extend(new);
            seen.sort();
            seen.dedup();
        }
    }
}

fn show(report: &Report, args: &TestArgs) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    if out.is_terminal() {
        write!(out, "\x1b[2J\x1b[H")?;
    }
    show::table(report, args, Style::of_stdout(), &mut out)?;
    writeln!(out, "{}", Style::of_stdout().faint("watching; Ctrl-C ends"))?;
    out.flush()
}

type Stamps = Vec<(PathBuf, (u64, u64, Option<SystemTime>))>;

/// Names, sizes and times of all files that the tests read.
fn stamps(args: &TestArgs, files: &[PathBuf]) -> Stamps {
    let pipelines = args.pipelines.files.clone();
    let paths = [args.paths.clone(), args.with.clone(), pipelines].concat();
    let listed = rule_files::list(&paths).unwrap_or_default();
    let mut all = [listed.rules, listed.tests, files.to_vec()].concat();
    // A rule that is named by itself has its test beside it.
    let beside = args.paths.iter().filter(|path| path.is_file());
    all.extend(beside.map(|path| path.with_extension("test.yml")));
    all.sort();
    all.dedup();
    let stamp = |path: PathBuf| {
        let metadata = std::fs::metadata(&path).ok();
        let of = metadata.map_or((0, 0, None), |metadata| {
            (metadata.ino(), metadata.size(), metadata.modified().ok())
        });
        (path, of)
    };
    all.into_iter().map(stamp).collect()
}
