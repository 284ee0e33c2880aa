//! Values of placeholders from a file: names, each with a value or a list of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::{ErrorKind, Problem, RuleError};
use crate::rule::Position;
use crate::yaml;

/// Reads a YAML (or JSON) map of names, without percent signs, to a value or a list of values.
///
/// # Errors
/// Where the text is no such map: file, line, column and what is wrong.
pub fn read_placeholders(
    path: &str,
    text: &str,
) -> Result<BTreeMap<String, Vec<String>>, Box<RuleError>> {
    let with = |problem: Problem| {
        Box::new(RuleError {
            path: Arc::from(path),
            position: problem.position,
            title: None,
            id: None,
            kind: problem.kind,
        })
    };
    let mut placeholders = BTreeMap::new();
    for document in yaml::read_documents(text) {
        let root = document.root.map_err(with)?;
        for entry in root.entries("the file of placeholders").map_err(with)? {
            check_name(&entry.key, entry.position).map_err(with)?;
            let values = entry.value.texts(&entry.key).map_err(with)?;
            let values = values
                .into_iter()
                .map(|(text, _)| text.to_owned())
                .collect();
            placeholders.insert(entry.key.clone(), values);
        }
    }
    Ok(placeholders)
}

fn check_name(name: &str, position: Position) -> Result<(), Problem> {
    if !name.is_empty() && !name.contains('%') {
        return Ok(());
    }
    let reason = "is no name of a placeholder; write it without percent signs".to_owned();
    Err(Problem::new(
        position,
        ErrorKind::Value {
            value: name.to_owned(),
            reason,
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_and_a_list_are_read() {
        let text = "admins: [root, 'adm*']\nserver: dc-1\nport: 443\nnone:\n";
        let read = read_placeholders("p.yml", text).unwrap();
        let expected = [
            ("admins", vec!["root", "adm*"]),
            ("none", vec![]),
            ("port", vec!["443"]),
            ("server", vec!["dc-1"]),
        ];
        let expected: BTreeMap<String, Vec<String>> = expected
            .into_iter()
            .map(|(name, values)| {
                (
                    name.to_owned(),
                    values.into_iter().map(str::to_owned).collect(),
                )
            })
            .collect();
        assert_eq!(read, expected);
        assert!(read_placeholders("p.yml", "").unwrap().is_empty());
    }

    #[test]
    fn mistakes_are_said_with_their_place() {
        for (text, said) in [
            (
                "- a\n",
                "p.yml:1:1: the file of placeholders must be a map of keys and values, but is a list",
            ),
            (
                "a: {b: c}\n",
                "p.yml:1:4: a must be text or a list of texts, but is a map",
            ),
            (
                "ok: x\n'%a%': x\n",
                "p.yml:2:1: \"%a%\": is no name of a placeholder; write it without percent signs",
            ),
        ] {
            assert_eq!(
                read_placeholders("p.yml", text).unwrap_err().to_string(),
                said
            );
        }
    }
}
