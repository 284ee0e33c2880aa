//! What kept a rule from being loaded, as remarks.

use super::{Remark, kind_by_code};
use crate::error::{ErrorKind, RuleError};

/// Adds remarks for problems of loading, unless a check has told of the same place as an error.
pub(super) fn add(problems: &[RuleError], remarks: &mut Vec<Remark>) {
    use std::collections::HashSet;
    let told: HashSet<(&str, crate::rule::Position)> = remarks
        .iter()
        .filter(|remark| remark.kind.severity == super::Severity::Error)
        .map(|remark| (&*remark.path, remark.position))
        .collect();
    let new: Vec<Remark> = problems
        .iter()
        .filter(|problem| !told.contains(&(&*problem.path, problem.position)))
        .map(|problem| Remark {
            kind: kind_by_code(code_of(&problem.kind)).expect("codes are those of the catalogue"),
            path: problem.path.clone(),
            position: problem.position,
            message: problem.kind.to_string(),
            fix: None,
        })
        .collect();
    remarks.extend(new);
}

fn code_of(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Yaml { .. } => "CW001",
        ErrorKind::FileTooLarge { .. } => "CW003",
        ErrorKind::TooDeep { .. } => "CW004",
        ErrorKind::TooManyNodes { .. } | ErrorKind::TooLongExpanded { .. } => "CW005",
        ErrorKind::DuplicateKey { .. } => "CW006",
        ErrorKind::TooManyProblems { .. } => "CW011",
        ErrorKind::TooMuchInAll { .. } => "CW012",
        ErrorKind::MissingKey { key, within, .. } => match (*key, *within) {
            ("title", _) => "CW101",
            ("logsource", _) => "CW201",
            ("detection", _) => "CW210",
            ("condition", "filter") => "CW504",
            ("condition", "detection") => "CW211",
            ("condition", _) => "CW408",
            ("type", _) => "CW401",
            ("rules", "filter") => "CW501",
            ("rules", _) => "CW403",
            ("timespan", _) => "CW405",
            ("field", _) => "CW409",
            _ => "CW013",
        },
        ErrorKind::UnknownKey { within, .. } => match *within {
            "correlation" => "CW427",
            "logsource" => "CW205",
            _ => "CW009",
        },
        ErrorKind::WrongType { what, .. } => match what.as_str() {
            "the rule" => "CW007",
            "a search" | "an item of a search" => "CW213",
            "the value" => "CW307",
            "generate" => "CW412",
            _ => "CW162",
        },
        ErrorKind::UnknownValue { what, .. } => match *what {
            "status" => "CW114",
            "level" => "CW127",
            "correlation type" => "CW402",
            _ => "CW162",
        },
        ErrorKind::UnknownModifier { .. } => "CW301",
        ErrorKind::Modifier { modifier, reason } => match *modifier {
            _ if reason.contains("written twice") => "CW302",
            "all" if reason.contains("two values") => "CW304",
            "base64" | "base64offset" => "CW319",
            _ => "CW303",
        },
        ErrorKind::Value { value, reason } => value_code(value, reason),
        ErrorKind::Regex { reason, .. } => {
            if reason.contains("linear time") {
                "CW313"
            } else if reason.contains("bytes, the limit") || reason.contains("too large") {
                "CW314"
            } else {
                "CW312"
            }
        }
        ErrorKind::Placeholder { .. } => "CW320",
        ErrorKind::TooManyPatterns { .. } | ErrorKind::TooLongPatterns { .. } => "CW339",
        ErrorKind::Condition { reason } => {
            if reason.contains("without a search") {
                "CW212"
            } else if reason.contains("count") && reason.contains('|') {
                "CW215"
            } else {
                "CW216"
            }
        }
        ErrorKind::UnknownSearch { .. } => "CW217",
        ErrorKind::NoSearchFits { .. } => "CW218",
        ErrorKind::Duplicate { what, .. } => match *what {
            "name" => "CW602",
            _ => "CW601",
        },
        ErrorKind::UnknownRule { .. } => "CW413",
        ErrorKind::Cycle { .. } => "CW414",
        ErrorKind::FilterLogSource { .. } => "CW509",
        ErrorKind::Pipeline { .. } => "CW014",
    }
}

fn value_code(value: &str, reason: &str) -> &'static str {
    let says = |words: &str| reason.contains(words);
    if value == "timeframe" {
        "CW214"
    } else if says("split it with ---") {
        "CW010"
    } else if says("null cannot") || says("null has no") {
        "CW306"
    } else if says("exists takes") {
        "CW324"
    } else if says("named twice") {
        "CW416"
    } else if value == "rules" {
        "CW404"
    } else if says("network") || says("host bits") || says("prefix") || says("address") {
        "CW311"
    } else if says("timespan") || says("duration") || says("unit") {
        "CW406"
    } else if says("1 to") || says("0 to") {
        "CW325"
    } else if says("number") {
        "CW323"
    } else {
        "CW340"
    }
}
