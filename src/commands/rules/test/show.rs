//! Shows what came of tests: for people, for programs, for CI.

use std::io::Write;

use serde_json::json;

use super::super::style::{Style, printable};
use super::super::xml::escape;
use super::{Output, Report, TestArgs, Tested};

/// Rule files without tests that are named.
const UNTESTED_SHOWN_MAX: usize = 20;

/// Prints a report.
pub(super) fn show(report: &Report, args: &TestArgs) -> std::io::Result<()> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let written = match args.output {
        Output::Table => table(report, args, Style::of_stdout(), &mut out),
        Output::Junit => junit(report, &mut out),
        Output::Json => {
            let all = json!({
                "tests": report.results, "problems": report.problems, "untested": report.untested,
                "passed": report.results.len() - report.failed(), "failed": report.failed(),
                "seconds": report.seconds,
            });
            writeln!(out, "{all:#}")
        }
        Output::Ndjson => ndjson(report, &mut out),
    };
    match written.and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

fn ndjson(report: &Report, out: &mut impl Write) -> std::io::Result<()> {
    for result in &report.results {
        writeln!(out, "{}", serde_json::to_string(result)?)?;
    }
    for problem in &report.problems {
        writeln!(out, "{}", json!({"problem": problem}))?;
    }
    Ok(())
}

pub(super) fn table(
    report: &Report,
    args: &TestArgs,
    style: Style,
    out: &mut impl Write,
) -> std::io::Result<()> {
    for result in &report.results {
        if let Some(failure) = &result.failure {
            let name = printable(&result.test);
            writeln!(
                out,
                "{} {}:{} {}: {}",
                style.bad("FAIL"),
                result.path,
                result.line,
                style.strong(&name),
                printable(&failure.message)
            )?;
            for detail in &failure.details {
                writeln!(out, "     {detail}")?;
            }
        } else if args.verbose {
            let ok = style.good("ok  ");
            let name = printable(&result.test);
            writeln!(out, "{ok} {}:{} {name}", result.path, result.line)?;
        }
    }
    for problem in &report.problems {
        writeln!(out, "{} {}", style.bad("FAIL"), printable(problem))?;
    }
    if report.untested_fail || args.verbose {
        for path in report.untested.iter().take(UNTESTED_SHOWN_MAX) {
            let what = if report.untested_fail {
                style.bad("FAIL")
            } else {
                style.doubtful("none")
            };
            writeln!(out, "{what} {path}: there are no tests beside it")?;
        }
    }
    writeln!(out, "{}", summary(report, style))
}

fn summary(report: &Report, style: Style) -> String {
    let passed = report.results.len() - report.failed();
    let mut parts = vec![style.good(&format!("{passed} passed"))];
    if report.failed() > 0 {
        parts.push(style.bad(&format!("{} failed", report.failed())));
    }
    if !report.problems.is_empty() {
        parts.push(style.bad(&format!("{} problems", report.problems.len())));
    }
    if !report.untested.is_empty() {
        let words = format!("{} rule files without tests", report.untested.len());
        parts.push(style.doubtful(&words));
    }
    format!("{}; {:.2} s", parts.join(", "), report.seconds)
}

/// As Jenkins, GitLab and GitHub read it.
fn junit(report: &Report, out: &mut impl Write) -> std::io::Result<()> {
    let total = report.results.len() + report.problems.len();
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    writeln!(
        out,
        "<testsuites name=\"citywatch rules test\" tests=\"{total}\" failures=\"{}\" errors=\"{}\" time=\"{:.3}\">",
        report.failed(),
        report.problems.len(),
        report.seconds
    )?;
    for suite in report.results.chunk_by(|a, b| a.path == b.path) {
        let failures = suite.iter().filter(|one| one.failure.is_some()).count();
        let seconds: f64 = suite.iter().map(|one| one.seconds).sum();
        writeln!(
            out,
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{failures}\" errors=\"0\" time=\"{seconds:.3}\">",
            escape(&suite[0].path),
            suite.len()
        )?;
        for result in suite {
            junit_case(result, out)?;
        }
        writeln!(out, "  </testsuite>")?;
    }
    if !report.problems.is_empty() {
        let count = report.problems.len();
        writeln!(
            out,
            "  <testsuite name=\"rules that could not be tested\" tests=\"{count}\" failures=\"0\" errors=\"{count}\" time=\"0\">"
        )?;
        for problem in &report.problems {
            let problem = escape(problem);
            writeln!(
                out,
                "    <testcase classname=\"problem\" name=\"{problem}\"><error message=\"{problem}\"/></testcase>"
            )?;
        }
        writeln!(out, "  </testsuite>")?;
    }
    writeln!(out, "</testsuites>")
}

fn junit_case(result: &Tested, out: &mut impl Write) -> std::io::Result<()> {
    write!(
        out,
        "    <testcase classname=\"{}\" name=\"{}\" file=\"{}\" line=\"{}\" time=\"{:.3}\"",
        escape(&result.rule),
        escape(&result.test),
        escape(&result.path),
        result.line,
        result.seconds
    )?;
    match &result.failure {
        None => writeln!(out, "/>"),
        Some(failure) => writeln!(
            out,
            ">\n      <failure message=\"{}\">{}</failure>\n    </testcase>",
            escape(&failure.message),
            escape(&failure.details.join("\n"))
        ),
    }
}
