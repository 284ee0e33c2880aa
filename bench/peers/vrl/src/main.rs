//! Times one VRL function on each line of a file: what Vector's `remap` would do with it.
//!
//! `citywatch-peer-vrl FUNCTION RUNS FILE` prints one JSON object: records, parsed, seconds of CPU of the median run.
//! A file that ends with `.vrl` is a whole program instead of a function.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use vrl::compiler::{Context, Program, TargetValue, TimeZone, compile, state::RuntimeState};
use vrl::value::{Secrets, Value};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [function, runs, file] = arguments.as_slice() else {
        bail!("usage: citywatch-peer-vrl FUNCTION RUNS FILE, such as: parse_syslog 5 lane.log");
    };
    let runs: usize = runs.parse().context("RUNS is a number")?;
    let arguments = match function.as_str() {
        "parse_apache_log" => ", format: \"combined\"",
        "parse_nginx_log" => ", format: \"combined\"",
        _ => "",
    };
    let program = if function.ends_with(".vrl") {
        std::fs::read_to_string(function).with_context(|| format!("reading {function}"))?
    } else {
        format!(". = {function}!(.message{arguments})")
    };
    let program = compile(&program, &vrl::stdlib::all())
        .map_err(|problems| anyhow::anyhow!("{program}: {problems:?}"))?
        .program;
    let content = std::fs::read(file).with_context(|| format!("reading {file}"))?;
    let lines: Vec<&[u8]> = content
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
        .collect();
    // One run warms up.
    let (parsed, _) = timed(&program, &lines);
    let mut seconds: Vec<f64> = (0..runs.max(1))
        .map(|_| timed(&program, &lines).1)
        .collect();
    seconds.sort_by(f64::total_cmp);
    println!(
        "{}",
        serde_json::json!({"records": lines.len(), "parsed": parsed, "seconds": seconds[seconds.len() / 2]})
    );
    Ok(())
}

/// How many lines the program read, and the seconds of CPU it took.
fn timed(program: &Program, lines: &[&[u8]]) -> (usize, f64) {
    let begin = cpu_s();
    let parsed = lines.iter().filter(|line| parses(program, line)).count();
    (parsed, cpu_s() - begin)
}

fn parses(program: &Program, line: &[u8]) -> bool {
    // What Vector hands over: an object with the line as its message.
    let mut fields = BTreeMap::new();
    fields.insert(
        "message".into(),
        Value::from(bytes::Bytes::copy_from_slice(line)),
    );
    let mut target = TargetValue {
        value: Value::Object(fields),
        metadata: Value::Object(BTreeMap::new()),
        secrets: Secrets::default(),
    };
    let zone = TimeZone::default();
    let mut state = RuntimeState::default();
    let mut context = Context::new(&mut target, &mut state, &zone);
    let read = program.resolve(&mut context).is_ok();
    std::hint::black_box(&target);
    read
}

/// Seconds of CPU that this process has used.
fn cpu_s() -> f64 {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is to memory for one structure, which all zeroes are a value of.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
        usage.assume_init()
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}
