//! Reading: records per second of one core into Events, beside the function of Vector's language (VRL) for the
//! same format on the same records, and, for JSON, beside simd-json's tape.

mod kinds;
mod records;

use anyhow::Result;
use bumpalo::Bump;
use citywatch_parsers::{Event, ParseContext, Parser, RecordBatch};
use clap::Args;
use serde_json::{Value, json};

use crate::corpus::Corpus;
use crate::peer::Vrl;
use crate::process::{cpu_s, pin};
use crate::results;
use crate::tape::Tape;
use kinds::Kind;

/// What is read and how often.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Kinds of records; all when none is given
    #[arg(long, value_enum)]
    kind: Vec<Kind>,
    /// Rounds of each kind. In a round we and the peer take turns, so that a change of the machine's speed falls
    /// on both; the median of the rounds' ratios counts
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// The core to run on
    #[arg(long, default_value_t = 0)]
    core: usize,
    /// Write the result to bench/results under this name
    #[arg(long)]
    save: Option<String>,
    /// Records of each kind
    #[arg(long, default_value_t = 100_000)]
    records: usize,
    /// What the records are made from, besides recordings
    #[arg(long, default_value_t = 20_261_122)]
    seed: u64,
}

/// How many times as fast as VRL we want to be.
const GOAL_TIMES_VRL: f64 = 5.0;
/// Of what simd-json's tape reaches on small records, this share.
const GOAL_SHARE_OF_TAPE: f64 = 0.6;

/// Measures and prints.
pub(crate) fn measure(options: &Options) -> Result<()> {
    pin(options.core)?;
    let kinds = if options.kind.is_empty() {
        Kind::ALL.to_vec()
    } else {
        options.kind.clone()
    };
    let mut measured = json!({
        "seed": options.seed,
        "rounds": options.rounds,
        "goal_times_vrl": GOAL_TIMES_VRL,
        "goal_share_of_json_tape": GOAL_SHARE_OF_TAPE,
        "kinds": {},
    });
    let peer = Vrl::find();
    for kind in kinds {
        let corpus = kind.corpus(options.seed, options.records)?;
        let result = measure_kind(kind, &corpus, peer.as_ref(), options.rounds)?;
        eprintln!("{}: {}", kind.name(), summary(&result));
        measured["kinds"][kind.name()] = result;
    }
    println!("{}", serde_json::to_string_pretty(&measured)?);
    match &options.save {
        Some(name) => results::write(name, &measured),
        None => Ok(()),
    }
}

/// Seconds per run of all who read.
#[derive(Default)]
struct Times {
    named: Vec<f64>,
    detected: Vec<f64>,
    tape: Vec<f64>,
    vrl: Vec<f64>,
    /// Less what VRL takes for the record `1`: the event that Vector hands over is made within its time, which
    /// is not reading.
    vrl_net: Vec<f64>,
    /// VRL's function, and what else it takes for the message to be read too.
    vrl_whole: Vec<f64>,
}

fn measure_kind(kind: Kind, corpus: &Corpus, peer: Option<&Vrl>, rounds: usize) -> Result<Value> {
    let detecting = corpus.with_format("auto");
    let peer_input = tempfile::NamedTempFile::new()?;
    corpus.write(peer_input.path())?;
    let mut reader = Reader::new();
    let read = reader.read(corpus);
    reader.read(&detecting);
    let peer_nothing = tempfile::NamedTempFile::new()?;
    Corpus::of_lines("json", (0..corpus.records).map(|_| b"1".to_vec()))
        .write(peer_nothing.path())?;
    let mut tape = Tape::default();
    let mut times = Times::default();
    let mut vrl_parsed = 0;
    for _ in 0..rounds.max(1) {
        times.named.push(timed(|| {
            reader.read(corpus);
        }));
        if let Some(peer) = peer {
            let run = peer.run(kind.vrl_function(), peer_input.path())?;
            times.vrl.push(run.seconds);
            vrl_parsed = run.parsed;
            let nothing = peer.run("parse_json", peer_nothing.path())?;
            times.vrl_net.push(run.seconds - nothing.seconds);
            if let Some(program) = kind.vrl_program() {
                let run = peer.run(program, peer_input.path())?;
                times.vrl_whole.push(run.seconds);
            }
        }
        if kind.is_json() {
            times.tape.push(timed(|| {
                corpus.batches.iter().for_each(|batch| tape.read(batch))
            }));
        }
        times.detected.push(timed(|| {
            reader.read(&detecting);
        }));
    }
    let records = corpus.records as f64;
    let per_s = |seconds: &[f64]| (records / median(seconds)).round();
    let mut result = json!({
        "records": corpus.records,
        "bytes_per_record": corpus.bytes / corpus.records.max(1),
        "corpus_sha256": corpus.hash,
        "format": kind.format(),
        "fields_per_event": read.fields as f64 / records,
        "events_with_problems": read.with_problems,
        "records_per_s": per_s(&times.named),
        "records_per_s_format_detected": per_s(&times.detected),
    });
    if !times.vrl.is_empty() {
        result["vrl"] = json!({
            "function": kind.vrl_function(),
            "records_per_s": per_s(&times.vrl),
            "records_per_s_net_of_calling": per_s(&times.vrl_net),
            "parsed": vrl_parsed,
        });
        result["times_vrl"] = json!(ratio(&times.vrl, &times.named));
        result["times_vrl_net_of_calling"] = json!(ratio(&times.vrl_net, &times.named));
    }
    if !times.vrl_whole.is_empty() {
        result["times_vrl_reading_as_much"] = json!(ratio(&times.vrl_whole, &times.named));
    }
    if !times.tape.is_empty() {
        result["json_tape_records_per_s"] = json!(per_s(&times.tape));
        result["share_of_json_tape"] = json!(ratio(&times.tape, &times.named));
    }
    Ok(result)
}

fn summary(result: &Value) -> String {
    let mut said = format!("{} records/s", result["records_per_s"]);
    for (name, unit) in [
        ("times_vrl", "times VRL"),
        ("times_vrl_net_of_calling", "net of calling it"),
        (
            "times_vrl_reading_as_much",
            "times VRL where it reads the message too",
        ),
        ("share_of_json_tape", "of the tape"),
    ] {
        if let Some(number) = result[name].as_f64() {
            said.push_str(&format!(", {number:.2} {unit}"));
        }
    }
    said
}

/// What one thread reads with, kept from run to run as the pipeline does.
struct Reader {
    parser: Parser,
    arena: Bump,
}

/// What came of a corpus.
#[derive(Default)]
struct Read {
    fields: usize,
    with_problems: usize,
}

impl Reader {
    fn new() -> Self {
        Self {
            parser: Parser::new(ParseContext::default()),
            arena: Bump::new(),
        }
    }

    fn read(&mut self, corpus: &Corpus) -> Read {
        let mut read = Read::default();
        for batch in &corpus.batches {
            self.batch(batch, &mut read);
        }
        read
    }

    fn batch(&mut self, batch: &RecordBatch, read: &mut Read) {
        let mut events: Vec<Event<'_>> = Vec::with_capacity(batch.len());
        self.parser.parse_batch(batch, &self.arena, &mut events);
        for event in std::hint::black_box(&events) {
            read.fields += event.fields.len();
            read.with_problems += usize::from(!event.problems.is_empty());
        }
        drop(events);
        self.arena.reset();
    }
}

fn timed(run: impl FnOnce()) -> f64 {
    let begin = cpu_s(libc::RUSAGE_SELF);
    run();
    cpu_s(libc::RUSAGE_SELF) - begin
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The median of the rounds' ratios.
fn ratio(of: &[f64], to: &[f64]) -> f64 {
    let ratios: Vec<f64> = of.iter().zip(to).map(|(of, to)| of / to).collect();
    median(&ratios)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_is_read_without_a_problem() {
        for kind in Kind::ALL.into_iter().filter(|kind| !kind.is_json()) {
            let corpus = kind.corpus(7, 200).unwrap();
            let read = Reader::new().read(&corpus);
            assert_eq!(read.with_problems, 0, "{}", kind.name());
            assert!(read.fields > 5 * corpus.records, "{}", kind.name());
        }
    }

    #[test]
    fn a_ratio_is_the_median_of_the_rounds() {
        assert_eq!(ratio(&[2.0, 9.0, 4.0], &[1.0, 1.0, 1.0]), 4.0);
    }
}
