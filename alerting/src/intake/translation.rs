//! What a rule says beside what it looks for: what it is called in Vietnamese (`title_vi` and `description_vi` under
//! its key `citywatch`), and its status.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use citywatch_engine::RuleInfo;
use saphyr_parser::{Event, Parser};

/// Longer texts are no titles and no descriptions.
const TEXT_CHARACTERS_MAX: usize = 4_000;
/// A rule nested deeper is none: what follows is not looked at.
const DEPTH_MAX: usize = 64;

/// The Vietnamese texts of a rule; empty where it has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Translation {
    pub(crate) title: String,
    pub(crate) description: String,
    /// `stable`, `test`, `experimental`, `deprecated`, `unsupported`.
    pub(crate) status: String,
}

/// Rules whose status is remembered.
const STATUSES_MAX: usize = 100_000;

/// Statuses of rules by the hash of their text, each read once. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Statuses(Arc<Mutex<HashMap<String, String>>>);

impl Statuses {
    /// The status of a rule; empty where it names none.
    pub(crate) fn of(&self, rule: &RuleInfo) -> String {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(status) = known.get(&rule.content_hash) {
            return status.clone();
        }
        if known.len() >= STATUSES_MAX {
            known.clear();
        }
        let status = translation_of(&rule.text).status;
        known.insert(rule.content_hash.clone(), status.clone());
        status
    }
}

/// Reads them from the rule as it was written. A text that is no YAML has none: whoever loads rules has
/// said so.
pub(crate) fn translation_of(rule: &str) -> Translation {
    let mut found = Translation::default();
    // Where we are: whether each open node is a mapping, and for a mapping the key whose value comes next.
    let mut path: Vec<Open> = Vec::new();
    for event in Parser::new_from_str(rule) {
        let Ok((event, _)) = event else { break };
        match event {
            Event::MappingStart(..) => path.push(Open::mapping()),
            Event::SequenceStart(..) => path.push(Open::Sequence),
            Event::MappingEnd | Event::SequenceEnd => {
                path.pop();
                finish_value(&mut path);
            }
            Event::Scalar(text, ..) => {
                if let [
                    Open::Mapping { key: Some(outer) },
                    Open::Mapping { key: Some(inner) },
                ] = path.as_slice()
                    && outer == "citywatch"
                {
                    let place = match inner.as_str() {
                        "title_vi" => Some(&mut found.title),
                        "description_vi" => Some(&mut found.description),
                        _ => None,
                    };
                    if let Some(place) = place {
                        *place = text.trim().chars().take(TEXT_CHARACTERS_MAX).collect();
                    }
                } else if let [Open::Mapping { key: Some(key) }] = path.as_slice()
                    && key == "status"
                {
                    found.status = text.trim().to_lowercase().chars().take(40).collect();
                }
                scalar(&mut path, &text);
            }
            Event::Alias(_) => scalar(&mut path, ""),
            Event::DocumentEnd => break,
            _ => {}
        }
        if path.len() > DEPTH_MAX {
            break;
        }
    }
    found
}

enum Open {
    Mapping { key: Option<String> },
    Sequence,
}

impl Open {
    fn mapping() -> Self {
        Self::Mapping { key: None }
    }
}

/// A scalar is a key where none waits for its value, else a value.
fn scalar(path: &mut [Open], text: &str) {
    if let Some(Open::Mapping { key }) = path.last_mut() {
        *key = match key.take() {
            None => Some(text.to_owned()),
            Some(_) => None,
        };
    }
}

/// A mapping or a list that ended was the value of the key before it.
fn finish_value(path: &mut [Open]) {
    if let Some(Open::Mapping { key }) = path.last_mut() {
        *key = None;
    }
}

#[cfg(test)]
mod tests {
    use citywatch_engine::watch::notices::{Notice, NoticeRule};
    use citywatch_parsers::Timestamp;

    use super::*;

    #[test]
    fn what_is_told_of_citywatch_itself_has_vietnamese_texts() {
        for rule in NoticeRule::ALL {
            let notice = Notice {
                rule,
                unit: "".into(),
                host: String::new(),
                time: Timestamp(0),
                key: String::new(),
                words: "words".to_owned(),
                numbers: Vec::new(),
            };
            let told = notice.to_match().rule;
            let read = translation_of(&told.text);
            assert!(
                !read.title.is_empty() && read.title != told.title,
                "{rule:?}"
            );
            assert!(
                read.description.len() > 20,
                "{rule:?}: {}",
                read.description
            );
            assert_eq!(read.status, "stable", "{rule:?}");
        }
    }

    #[test]
    fn the_texts_of_our_own_key_are_read() {
        let rule = "title: A\nstatus: Test\ndetection:\n  selection:\n    - title_vi: no\n    - x\n  condition: selection\n\
                    citywatch:\n  title_vi: Đoán mật khẩu\n  more: {title_vi: no}\n  description_vi: |\n    Hai\n    dòng.\n";
        assert_eq!(
            translation_of(rule),
            Translation {
                title: "Đoán mật khẩu".to_owned(),
                description: "Hai\ndòng.".to_owned(),
                status: "test".to_owned(),
            }
        );
    }

    #[test]
    fn without_them_there_are_none() {
        for rule in [
            "",
            "title: A\ntitle_vi: B\n",
            "citywatch: title_vi\n",
            "citywatch: [title_vi, B]\n",
            ": : [",
        ] {
            assert_eq!(translation_of(rule), Translation::default(), "{rule:?}");
        }
    }
}
