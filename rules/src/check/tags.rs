//! Tags (Sigma specification, appendix "Tags").

use super::{Document, Fix, Notes, scalars};
use crate::attack::TACTICS;
use crate::error::nearest;
use crate::rule::Position;

const NAMESPACES: &[&str] = &["attack", "car", "cve", "d3fend", "detection", "stp", "tlp"];

pub(super) fn check(document: &Document<'_>, notes: &mut Notes<'_>) {
    let Some(entry) = document.entry("tags") else {
        return;
    };
    let tags = scalars(&entry.value);
    for (tag, at) in &tags {
        check_tag(&tag.text, *at, notes);
    }
    let has = |fits: &dyn Fn(&str) -> bool| {
        let names = tags
            .iter()
            .filter_map(|(tag, _)| tag.text.strip_prefix("attack."));
        names.into_iter().any(fits)
    };
    if has(&is_technique) && !has(&|name| TACTICS.contains(&name)) {
        notes.add(
            "CW143",
            entry.position,
            "the tags name a technique of ATT&CK, but no tactic",
        );
    }
}

fn check_tag(tag: &str, at: Position, notes: &mut Notes<'_>) {
    let lower = tag.to_lowercase();
    if lower != tag && !tag.starts_with("d3fend.") {
        let fix = Fix::Replace {
            from: tag.to_owned(),
            to: lower.clone(),
        };
        notes.fix("CW140", at, format!("{tag:?} is not in lower case"), fix);
    }
    let Some((namespace, name)) = lower.split_once('.').filter(|(namespace, name)| {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
        !namespace.is_empty()
            && !name.is_empty()
            && namespace.chars().all(fits)
            && name.chars().all(|c| fits(c) || c == '.')
    }) else {
        notes.add(
            "CW138",
            at,
            format!("{tag:?} is no tag of the form namespace.name"),
        );
        return;
    };
    match namespace {
        "attack" => attack(name, at, notes),
        "car" => {
            let words: Vec<&str> = name.split('-').collect();
            if words.len() != 3 || words.iter().any(|word| word.parse::<u32>().is_err()) {
                notes.add(
                    "CW147",
                    at,
                    format!("{tag:?}: car tags are written car.2016-04-005"),
                );
            }
        }
        "cve" => {
            let fits = name.split_once('-').is_some_and(|(year, number)| {
                year.len() == 4
                    && number.len() >= 4
                    && year.parse::<u32>().is_ok()
                    && number.parse::<u64>().is_ok()
            });
            if !fits {
                notes.add(
                    "CW145",
                    at,
                    format!("{tag:?}: cve tags are written cve.2021-44228"),
                );
            }
        }
        "detection" if !matches!(name, "dfir" | "emerging-threats" | "threat-hunting") => {
            notes.add("CW146", at, format!("{tag:?}: there are detection.dfir, detection.emerging-threats and detection.threat-hunting"));
        }
        "stp" => {
            let mut chars = name.chars();
            let fits = matches!(chars.next(), Some('1'..='5'))
                && matches!(chars.next(), None | Some('a' | 'u' | 'k'))
                && chars.next().is_none();
            if !fits {
                notes.add("CW148", at, format!("{tag:?}: stp tags are a number from 1 to 5, with a, u or k behind it where it is known"));
            }
        }
        "tlp" if !matches!(name, "red" | "amber" | "amber-strict" | "green" | "clear") => {
            notes.add("CW144", at, format!("{tag:?}: there are tlp.red, tlp.amber, tlp.amber-strict, tlp.green and tlp.clear"));
        }
        _ if NAMESPACES.contains(&namespace) => {}
        _ => {
            let meant = nearest(namespace, NAMESPACES.iter().copied());
            let hint = meant
                .map(|meant| format!("; did you mean {meant}?"))
                .unwrap_or_default();
            notes.add(
                "CW149",
                at,
                format!("{namespace:?} is no namespace of tags that the specification knows{hint}"),
            );
        }
    }
}

fn attack(name: &str, at: Position, notes: &mut Notes<'_>) {
    if is_technique(name) || TACTICS.contains(&name) || is_numbered(name) {
        return;
    }
    let dashed = name.replace('_', "-");
    if TACTICS.contains(&dashed.as_str()) {
        let fix = Fix::Replace {
            from: format!("attack.{name}"),
            to: format!("attack.{dashed}"),
        };
        notes.fix(
            "CW141",
            at,
            format!("tactics are written with -: attack.{dashed}"),
            fix,
        );
        return;
    }
    let looks_numbered = name.starts_with(['t', 'g', 's', 'm', 'a', 'd'])
        && name.chars().skip(1).any(|c| c.is_ascii_digit());
    if looks_numbered {
        notes.add(
            "CW142",
            at,
            format!("attack.{name}: techniques are written attack.t1059 or attack.t1059.001"),
        );
        return;
    }
    let meant = nearest(name, TACTICS.iter().copied());
    let hint = meant
        .map(|meant| format!("; did you mean attack.{meant}?"))
        .unwrap_or_default();
    notes.add(
        "CW141",
        at,
        format!("attack.{name} is no tactic of ATT&CK{hint}"),
    );
}

/// `t1059`, `t1059.001`.
pub(crate) fn is_technique(name: &str) -> bool {
    let digits =
        |text: &str, count: usize| text.len() == count && text.chars().all(|c| c.is_ascii_digit());
    name.strip_prefix('t')
        .is_some_and(|number| match number.split_once('.') {
            None => digits(number, 4),
            Some((number, sub)) => digits(number, 4) && digits(sub, 3),
        })
}

/// Groups, software, data sources, mitigations, assets.
fn is_numbered(name: &str) -> bool {
    let digits = |text: &str| text.len() == 4 && text.chars().all(|c| c.is_ascii_digit());
    ["ds", "g", "s", "m", "a"]
        .iter()
        .any(|start| name.strip_prefix(start).is_some_and(digits))
}
