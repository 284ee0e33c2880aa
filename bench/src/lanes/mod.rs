//! Lanes of events that the recordings alone do not give: made of recorded events by varying hosts, users,
//! paths, programs, addresses and times. The same seed gives the same bytes.

mod city;
mod random;
mod text;
mod windows;
mod zeek;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use serde_json::{Map, Value};

use crate::corpus::{self, Corpus};
pub(crate) use city::City;

/// What kind of events is measured with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Lane {
    /// The Windows recordings as they are: 2.6 KB on average
    Windows,
    /// Sysmon process creations of 0.5 to 1 KB
    Sysmon,
    /// Lines of sshd, sudo, cron, systemd, mail and others
    Syslog,
    /// Lines of auditd
    Auditd,
    /// Small events that no rule matches
    Quiet,
    /// Events that many rules match
    Many,
}

impl Lane {
    /// All lanes, in the order in which they are measured.
    pub(crate) const ALL: [Self; 6] = [
        Self::Windows,
        Self::Sysmon,
        Self::Syslog,
        Self::Auditd,
        Self::Quiet,
        Self::Many,
    ];

    /// As it is given on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Windows => "windows",
            Self::Sysmon => "sysmon",
            Self::Syslog => "syslog",
            Self::Auditd => "auditd",
            Self::Quiet => "quiet",
            Self::Many => "many",
        }
    }

    /// The format its records are read as.
    pub(crate) const fn format(self) -> &'static str {
        match self {
            Self::Syslog => "syslog",
            Self::Auditd => "auditd",
            Self::Windows | Self::Sysmon | Self::Quiet | Self::Many => "json",
        }
    }

    /// How rsigma is told to read them. As it is published it has no format for auditd's lines: it takes them
    /// as text, which costs it least.
    pub(crate) const fn rsigma_format(self) -> &'static str {
        match self {
            Self::Syslog => "syslog",
            Self::Auditd => "auto",
            Self::Windows | Self::Sysmon | Self::Quiet | Self::Many => "json",
        }
    }
}

/// How much is made, and from which seed.
#[derive(Clone, Debug, Args)]
pub(crate) struct Making {
    /// Events of each lane that is made
    #[arg(long, default_value_t = 200_000)]
    pub(crate) lane_events: usize,
    /// What the lanes are made from, besides the recordings
    #[arg(long, default_value_t = 20_261_122)]
    pub(crate) seed: u64,
}

/// Writes lanes as files, for a reader or a peer.
#[derive(Debug, Args)]
pub(crate) struct WriteOptions {
    /// Which lanes; all when none is given
    #[arg(long, value_enum)]
    lane: Vec<Lane>,
    /// The folder to write `<lane>.log` or `<lane>.ndjson` to
    #[arg(long)]
    out: PathBuf,
    /// Directories of rules that say which events many rules match; SigmaHQ's `rules` of ../shared when none is given
    #[arg(long)]
    rules: Vec<PathBuf>,
    #[command(flatten)]
    making: Making,
}

/// Writes the lanes.
pub(crate) fn write(options: &WriteOptions) -> Result<()> {
    fs::create_dir_all(&options.out)?;
    let lanes = if options.lane.is_empty() {
        Lane::ALL.to_vec()
    } else {
        options.lane.clone()
    };
    let rules = corpus::rules(&corpus::rule_directories(&options.rules))?;
    let scorer = crate::matching::Scorer::new(&rules)?;
    for lane in lanes {
        let corpus = make(lane, &options.making, &scorer)?;
        let ending = if lane.format() == "json" {
            "ndjson"
        } else {
            "log"
        };
        let path = options.out.join(format!("{}.{ending}", lane.name()));
        corpus.write(&path)?;
        println!(
            "{}: {} events, {} bytes, sha256 {}",
            path.display(),
            corpus.records,
            corpus.bytes,
            corpus.hash
        );
    }
    Ok(())
}

/// Makes the next event of a lane.
type VaryOne = Box<dyn FnMut(&mut City) -> Vec<u8>>;

/// The events of a lane.
pub(crate) fn make(
    lane: Lane,
    making: &Making,
    scorer: &crate::matching::Scorer,
) -> Result<Corpus> {
    if lane == Lane::Windows {
        return Corpus::read(&corpus::windows_recordings()?);
    }
    let mut city = City::new(making.seed, lane.name());
    let mut maker: VaryOne = match lane {
        Lane::Windows => unreachable!("returned above"),
        Lane::Sysmon => {
            let recorded = windows::process_creations(&recorded_lines()?);
            Box::new(move |city| windows::vary_process(&recorded, city))
        }
        Lane::Syslog => {
            let recorded = text::syslog_lines(&recorded_text(SYSLOG)?);
            Box::new(move |city| text::vary_syslog(&recorded, city))
        }
        Lane::Auditd => {
            let recorded = text::auditd_lines(&recorded_text(AUDITD)?);
            Box::new(move |city| text::vary_auditd(&recorded, city))
        }
        Lane::Quiet => {
            let mut recorded = zeek::connections(&zeek_connections()?);
            recorded.retain(|event| scorer.matches(&bytes_of(event)) == 0);
            let mut windows = windows::small(&recorded_lines()?, SMALL_BYTES_MAX);
            windows.retain(|event| scorer.matches(&bytes_of(event)) == 0);
            anyhow::ensure!(
                !recorded.is_empty() && !windows.is_empty(),
                "these rules leave no event that none of them matches"
            );
            // Programs vary too, so an event may match at last: such a one is made again.
            let scorer = scorer.clone();
            Box::new(move |city| {
                loop {
                    let line = if city.random.percent(50) {
                        zeek::vary(city.random.pick(&recorded), city)
                    } else {
                        windows::vary_line(city.random.pick(&windows), city)
                    };
                    if scorer.matches(&line) == 0 {
                        return line;
                    }
                }
            })
        }
        Lane::Many => {
            let recorded = most_matched(&recorded_lines()?, scorer);
            Box::new(move |city| windows::vary_line(city.random.pick(&recorded), city))
        }
    };
    let lines = (0..making.lane_events).map(|_| maker(&mut city));
    Ok(Corpus::of_lines(lane.format(), lines))
}

/// Varied process creations of Sysmon of about so many bytes, without end.
pub(crate) fn process_creations(
    seed: u64,
    bytes: std::ops::RangeInclusive<usize>,
) -> Result<impl Iterator<Item = Vec<u8>>> {
    let recorded = windows::process_creations(&recorded_lines()?);
    let mut city = City::new(seed, Lane::Sysmon.name());
    let end = *bytes.end();
    Ok(std::iter::repeat_with(move || {
        windows::shortened(windows::vary_process(&recorded, &mut city), end)
    })
    .filter(move |line| bytes.contains(&line.len())))
}

/// So many of the recorded Windows events, evenly chosen of all.
pub(crate) fn windows_events(count: usize) -> Result<Vec<Vec<u8>>> {
    let lines = recorded_lines()?;
    let step = lines.len().div_ceil(count.max(1)).max(1);
    Ok(lines.into_iter().step_by(step).collect())
}

/// Lines of syslog of which so many percent are failed sign-ins over SSH, half of them from one of
/// [`GUESSERS`] addresses, the others from anywhere.
pub(crate) fn failed_sign_ins(making: &Making, percent: usize) -> Result<Corpus> {
    let mut city = City::new(making.seed, "failed sign-ins");
    let mut others = text::syslog_lines(&recorded_text(SYSLOG)?);
    let failed = text::take_lines(&mut others, "Failed password for ");
    anyhow::ensure!(!failed.is_empty(), "no failed sign-in was recorded");
    let guessers: Vec<String> = (0..GUESSERS).map(|_| city.outer_address()).collect();
    let lines = (0..making.lane_events).map(|_| {
        if !city.random.percent(percent) {
            return text::vary_syslog(&others, &mut city);
        }
        let line = text::vary_syslog(&failed, &mut city);
        if city.random.percent(50) {
            let guesser = city.random.pick(&guessers);
            text::from_address(line, guesser)
        } else {
            line
        }
    });
    Ok(Corpus::of_lines("syslog", lines))
}

/// Addresses that passwords are guessed from.
const GUESSERS: usize = 50;

/// The largest event of the lane of small ones, in bytes.
const SMALL_BYTES_MAX: usize = 400;
/// Recorded events that the lane of many matches is made of, and the largest of them in bytes: longer ones
/// would measure reading.
const MANY_EVENTS: usize = 500;
const MANY_BYTES_MAX: usize = 3_000;

const SYSLOG: &[&str] = &[
    "shared:sshd-logs",
    "shared:sshd-success-logs",
    "shared:pam-logs",
    "shared:syslog-logs",
    "shared:postfix-logs",
    "shared:dovecot-logs",
    "shared:vsftpd-logs",
    "shared:pureftpd-logs",
    "shared:iptables-logs",
    "deploy/demo/logs/bastion-01/auth.log",
    "deploy/demo/logs/bastion-01/syslog",
    "deploy/demo/logs/portal-web-01/auth.log",
    "deploy/demo/logs/portal-web-01/syslog",
    "parsers/testdata/syslog/0001_sshd.log",
    "parsers/testdata/syslog/0002_accounts_and_privileges.log",
    "parsers/testdata/syslog/0005_services.log",
];
const AUDITD: &[&str] = &[
    "shared:auditd-logs",
    "deploy/demo/logs/bastion-01/audit.log",
    "deploy/demo/logs/portal-web-01/audit.log",
    "parsers/testdata/auditd/0002_users.log",
];

/// The text of these files, of ../shared/logs and of the project.
fn recorded_text(files: &[&str]) -> Result<String> {
    let mut all = String::new();
    for file in files {
        let paths = match file.strip_prefix("shared:") {
            Some(folder) => {
                corpus::files_below(&corpus::shared().join("logs").join(folder), "log")?
            }
            None => vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file)],
        };
        for path in paths {
            let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
            all.push_str(&String::from_utf8_lossy(&bytes));
            all.push('\n');
        }
    }
    Ok(all)
}

/// All lines of the Windows recordings.
fn recorded_lines() -> Result<Vec<Vec<u8>>> {
    let mut lines = Vec::new();
    for file in corpus::windows_recordings()? {
        let content = fs::read(&file).with_context(|| file.display().to_string())?;
        lines.extend(
            content
                .split(|&byte| byte == b'\n')
                .filter(|line| !line.is_empty())
                .map(<[u8]>::to_vec),
        );
    }
    Ok(lines)
}

fn zeek_connections() -> Result<String> {
    let folder = corpus::shared().join("events/otrf/compound/LSASS_campaign_06");
    let mut all = String::new();
    for archive in corpus::files_below(&folder, "zip")? {
        let file = fs::File::open(&archive)?;
        let mut archive = zip::ZipArchive::new(std::io::BufReader::new(file))?;
        all.push_str(&std::io::read_to_string(archive.by_name("conn.log")?)?);
    }
    Ok(all)
}

fn bytes_of(event: &Map<String, Value>) -> Vec<u8> {
    serde_json::to_vec(event).unwrap_or_default()
}

/// The recorded events that most rules match.
fn most_matched(lines: &[Vec<u8>], scorer: &crate::matching::Scorer) -> Vec<Map<String, Value>> {
    let mut scored: Vec<(usize, usize)> = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| line.len() <= MANY_BYTES_MAX)
        .map(|(at, line)| (scorer.matches(line), at))
        .collect();
    scored.sort_by_key(|&(matches, at)| (std::cmp::Reverse(matches), at));
    let best = scored.into_iter().take(MANY_EVENTS);
    best.filter_map(|(_, at)| serde_json::from_slice(&lines[at]).ok())
        .collect()
}
