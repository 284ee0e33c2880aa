//! Shows remarks: for people, for programs, for CI.

use std::collections::HashMap;
use std::io::Write;

use citywatch_rules::check::{CATALOGUE, Remark, Severity};
use serde_json::{Value as Json, json};

use super::super::style::{Style, printable};
use super::super::xml::escape;
use super::{CheckArgs, Checked, Output};

/// Characters of a line that are shown.
const LINE_CHARS_MAX: usize = 160;

pub(super) fn show(checked: &Checked, args: &CheckArgs) -> std::io::Result<()> {
    let mut out = std::io::BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
    let written = match args.output {
        Output::Table => table(checked, Style::of_stdout(), &mut out),
        Output::Json => {
            let remarks: Vec<Json> = checked.remarks.iter().map(as_json).collect();
            let all = json!({"files": checked.sources.len(), "remarks": remarks, "seconds": checked.seconds});
            writeln!(out, "{all:#}")
        }
        Output::Ndjson => checked
            .remarks
            .iter()
            .try_for_each(|remark| writeln!(out, "{}", as_json(remark))),
        Output::Sarif => writeln!(out, "{:#}", sarif(checked)),
        Output::Junit => junit(checked, &mut out),
    };
    match written.and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

fn as_json(remark: &Remark) -> Json {
    json!({
        "path": &*remark.path, "line": remark.position.line, "column": remark.position.column,
        "code": remark.kind.code, "name": remark.kind.name, "severity": remark.kind.severity.name(),
        "message": remark.message, "fixable": remark.fix.is_some(),
    })
}

fn table(checked: &Checked, style: Style, out: &mut impl Write) -> std::io::Result<()> {
    let texts: HashMap<&str, &str> = checked
        .sources
        .iter()
        .map(|source| (&*source.path, &*source.text))
        .collect();
    for remark in &checked.remarks {
        let name = remark.kind.severity.name();
        let severity = match remark.kind.severity {
            Severity::Error => style.bad(name),
            Severity::Warning => style.doubtful(name),
            Severity::Info => style.faint(name),
        };
        let message = printable(&remark.message);
        writeln!(
            out,
            "{}:{}: {severity} {}: {message}",
            remark.path, remark.position, remark.kind.code
        )?;
        if remark.kind.severity == Severity::Error
            && let Some(text) = texts.get(&*remark.path)
        {
            caret(text, remark, style, out)?;
        }
    }
    let count = |severity| {
        checked
            .remarks
            .iter()
            .filter(|remark| remark.kind.severity == severity)
            .count()
    };
    let mut parts = Vec::new();
    for (severity, word) in [
        (Severity::Error, "errors"),
        (Severity::Warning, "warnings"),
        (Severity::Info, "remarks"),
    ] {
        if count(severity) > 0 {
            parts.push(format!("{} {word}", count(severity)));
        }
    }
    let fixable = checked
        .remarks
        .iter()
        .filter(|remark| remark.fix.is_some())
        .count();
    if fixable > 0 {
        parts.push(format!("--fix puts {fixable} right"));
    }
    let words = if parts.is_empty() {
        style.good("nothing to remark")
    } else {
        parts.join(", ")
    };
    writeln!(
        out,
        "{} files: {words}; {:.2} s",
        checked.sources.len(),
        checked.seconds
    )
}

/// The line, and a caret under the place.
fn caret(text: &str, remark: &Remark, style: Style, out: &mut impl Write) -> std::io::Result<()> {
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let at = (remark.position.line as usize).saturating_sub(1);
    let (number, line, column) = match text.lines().nth(at) {
        Some(line) => (at + 1, line, remark.position.column as usize - 1),
        // What is missing at the end is missing behind the last line that says anything.
        None => match text
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.trim().is_empty())
            .last()
        {
            Some((last, line)) => (last + 1, line, line.trim_end().chars().count()),
            None => return Ok(()),
        },
    };
    // Of a long line the part around the place.
    let skipped = column.saturating_sub(LINE_CHARS_MAX / 2);
    let shown: String = line.chars().skip(skipped).take(LINE_CHARS_MAX).collect();
    let before: String = shown.chars().take(column - skipped).collect();
    let number = number.to_string();
    writeln!(out, "  {} | {}", style.faint(&number), printable(&shown))?;
    let width = number.len() + printable(&before).chars().count();
    writeln!(out, "  {}   {}", " ".repeat(width), style.bad("^"))
}

/// SARIF 2.1.0, section 3.
fn sarif(checked: &Checked) -> Json {
    let level = |severity| match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "note",
    };
    let rules: Vec<Json> = CATALOGUE
        .iter()
        .map(|kind| {
            json!({
                "id": kind.code, "name": kind.name,
                "shortDescription": {"text": kind.what}, "help": {"text": kind.advice},
                "defaultConfiguration": {"level": level(kind.severity)},
            })
        })
        .collect();
    let results: Vec<Json> = checked
        .remarks
        .iter()
        .map(|remark| {
            let index = CATALOGUE.iter().position(|kind| kind.code == remark.kind.code);
            json!({
                "ruleId": remark.kind.code, "ruleIndex": index, "level": level(remark.kind.severity),
                "message": {"text": remark.message},
                "locations": [{"physicalLocation": {
                    "artifactLocation": {"uri": remark.path.trim_start_matches("./").replace(' ', "%20")},
                    "region": {"startLine": remark.position.line, "startColumn": remark.position.column},
                }}],
            })
        })
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": "citywatch rules check", "version": env!("CARGO_PKG_VERSION"), "rules": rules}},
            "columnKind": "unicodeCodePoints", "results": results,
        }],
    })
}

fn junit(checked: &Checked, out: &mut impl Write) -> std::io::Result<()> {
    let mut by_path: HashMap<&str, Vec<&Remark>> = HashMap::new();
    for remark in &checked.remarks {
        by_path.entry(&remark.path).or_default().push(remark);
    }
    let mut paths: Vec<&str> = checked.sources.iter().map(|source| &*source.path).collect();
    let mut others: Vec<&str> = by_path
        .keys()
        .copied()
        .filter(|path| !paths.contains(path))
        .collect();
    others.sort_unstable();
    paths.append(&mut others);
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    writeln!(
        out,
        "<testsuites><testsuite name=\"citywatch rules check\" tests=\"{}\" failures=\"{}\" errors=\"0\" time=\"{:.3}\">",
        paths.len(),
        by_path.len(),
        checked.seconds
    )?;
    for path in paths {
        let name = escape(path);
        write!(
            out,
            "  <testcase classname=\"rules\" name=\"{name}\" file=\"{name}\" time=\"0\""
        )?;
        match by_path.get(path) {
            None => writeln!(out, "/>")?,
            Some(remarks) => {
                let line = |remark: &&Remark| {
                    format!(
                        "{}: {} {}: {}",
                        remark.position,
                        remark.kind.severity.name(),
                        remark.kind.code,
                        remark.message
                    )
                };
                let lines: Vec<String> = remarks.iter().map(line).collect();
                writeln!(
                    out,
                    "><failure message=\"{} remarks\">{}</failure></testcase>",
                    remarks.len(),
                    escape(&lines.join("\n"))
                )?;
            }
        }
    }
    writeln!(out, "</testsuite></testsuites>")
}
