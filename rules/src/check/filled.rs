//! Which fields our parsers fill, for the log sources whose formats have a fixed set of them.
//!
//! `filled.txt` is made of the parsers' goldens (`parsers/testdata`), a line for each log source: product/category/service and the
//! fields. Log sources that a format with fields of its own making may give (JSON, CEF, Windows events and the like) are left out: there,
//! what a golden does not have may come all the same.

use std::sync::OnceLock;

use citywatch_parsers::LogSource;

const TABLE: &str = include_str!("filled.txt");

/// A log source, `*` where a format with open fields gives it, and the fields.
struct Line {
    parts: [&'static str; 3],
    is_open: bool,
    fields: Vec<&'static str>,
}

fn table() -> &'static [Line] {
    static LINES: OnceLock<Vec<Line>> = OnceLock::new();
    LINES.get_or_init(|| TABLE.lines().filter_map(read_line).collect())
}

fn read_line(line: &'static str) -> Option<Line> {
    let (source, fields) = line.split_once(':')?;
    let mut parts = source.split('/');
    let parts = [parts.next()?, parts.next()?, parts.next()?];
    let fields: Vec<&str> = fields.split_whitespace().collect();
    Some(Line {
        parts,
        is_open: fields == ["*"],
        fields,
    })
}

/// The fields that events of this log source may have, if that is known of all formats that give it.
pub(super) fn filled(source: &LogSource<'_>) -> Option<Vec<&'static str>> {
    let asked = [&*source.product, &*source.category, &*source.service];
    let covers = |line: &&Line| {
        let mut pairs = asked.iter().zip(line.parts);
        pairs.all(|(asked, part)| asked.is_empty() || **asked == *part)
    };
    let lines: Vec<&Line> = table().iter().filter(covers).collect();
    if asked.iter().all(|part| part.is_empty())
        || lines.is_empty()
        || lines.iter().any(|line| line.is_open)
    {
        return None;
    }
    Some(
        lines
            .iter()
            .flat_map(|line| line.fields.iter().copied())
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::fmt::Write as _;
    use std::fs;
    use std::path::{Path, PathBuf};

    use crate::yaml::{self, Kind, Node};

    /// Formats that fill whatever fields a record names.
    const OPEN: &[&str] = &[
        "auditd",
        "cef",
        "cloudtrail",
        "cri",
        "csv",
        "docker",
        "envoy",
        "gelf",
        "iis",
        "journald",
        "journald_export",
        "json",
        "keycloak",
        "kubernetes_audit",
        "laurel",
        "leef",
        "logfmt",
        "modsecurity",
        "mssql",
        "otlp",
        "snare",
        "suricata",
        "vpc_flow",
        "w3c",
        "web_json",
        "windows_json",
        "windows_xml",
        "zeek",
        "zeek_tsv",
    ];

    fn goldens(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                goldens(&path, found);
            } else if path
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                found.push(path);
            }
        }
    }

    fn get<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
        let Kind::Map(entries) = &node.kind else {
            return None;
        };
        let entry = entries.iter().find(|entry| entry.key == key)?;
        Some(&entry.value)
    }

    #[test]
    fn the_table_is_what_the_goldens_have() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut paths = Vec::new();
        goldens(&root.join("../parsers/testdata"), &mut paths);
        let mut sources: BTreeMap<String, (bool, BTreeSet<String>)> = BTreeMap::new();
        for path in paths {
            let text = fs::read_to_string(&path).unwrap();
            // JSON is YAML.
            for document in yaml::read_documents(&text) {
                let Ok(root) = document.root else { continue };
                let Kind::List(events) = &root.kind else {
                    continue;
                };
                for event in events {
                    let (Some(fields), Some(list)) =
                        (get(event, "fields"), get(event, "logsources"))
                    else {
                        continue;
                    };
                    let (Kind::Map(fields), Kind::List(list)) = (&fields.kind, &list.kind) else {
                        continue;
                    };
                    let format = get(event, "format").and_then(|node| node.text("format").ok());
                    for source in list {
                        let part = |key| {
                            get(source, key)
                                .and_then(|node| node.text(key).ok())
                                .unwrap_or("")
                        };
                        let name = format!(
                            "{}/{}/{}",
                            part("product"),
                            part("category"),
                            part("service")
                        );
                        let known = sources.entry(name).or_default();
                        known.0 |= format.is_none_or(|format| OPEN.contains(&format));
                        known.1.extend(fields.iter().map(|entry| entry.key.clone()));
                    }
                }
            }
        }
        assert!(sources.len() > 50, "the goldens were found");
        let mut table = String::new();
        for (name, (is_open, fields)) in &sources {
            let fields: Vec<&str> = fields
                .iter()
                .map(String::as_str)
                .filter(|field| !field.contains(char::is_whitespace))
                .collect();
            let fields = if *is_open {
                "*".to_owned()
            } else {
                fields.join(" ")
            };
            let _ = writeln!(table, "{name}: {fields}");
        }
        let path = root.join("src/check/filled.txt");
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&path, &table).unwrap();
        }
        assert!(
            fs::read_to_string(&path).unwrap() == table,
            "UPDATE=1 refreshes src/check/filled.txt from the parsers' goldens"
        );
    }
}
