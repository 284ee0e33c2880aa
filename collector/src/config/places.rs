//! Where in a configuration's text a key stands, for messages that say it.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The line, from 1, of what a message such as `files[0].mask: unknown kind` speaks of; of the nearest that is
/// there if the key itself is missing.
pub(super) fn line_of(text: &str, message: &str) -> Option<usize> {
    let key = message.split_once(": ")?.0;
    let table = DeTable::parse(text).ok()?;
    let mut place = None;
    let mut here = Here::Table(table.get_ref());
    for step in steps(key) {
        let Some((span, next)) = here.step(&step) else {
            break;
        };
        place = Some(span);
        here = next;
    }
    let place = place?;
    Some(text.get(..place)?.matches('\n').count() + 1)
}

/// `files[0].mask` is a key, a number and a key.
enum Step {
    Key(String),
    Number(usize),
}

fn steps(key: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    for part in key.split('.') {
        let (name, number) = part.split_once('[').unwrap_or((part, ""));
        steps.push(Step::Key(name.to_owned()));
        if let Some(number) = number
            .strip_suffix(']')
            .and_then(|number| number.parse().ok())
        {
            steps.push(Step::Number(number));
        }
    }
    steps
}

enum Here<'t> {
    Table(&'t DeTable<'t>),
    Value(&'t DeValue<'t>),
}

impl<'t> Here<'t> {
    /// Where the step's value begins, and the value.
    fn step(&self, step: &Step) -> Option<(usize, Self)> {
        let table = match self {
            Self::Table(table) => Some(*table),
            Self::Value(DeValue::Table(table)) => Some(table),
            Self::Value(_) => None,
        };
        match (step, self) {
            (Step::Key(name), _) => {
                let found =
                    |(key, _): &(&'t Spanned<_>, &'t Spanned<DeValue<'t>>)| key_text(key) == *name;
                let (key, value) = table?.iter().find(found)?;
                Some((key.span().start, Self::Value(value.get_ref())))
            }
            (Step::Number(number), Self::Value(DeValue::Array(values))) => {
                let value = values.get(*number)?;
                Some((value.span().start, Self::Value(value.get_ref())))
            }
            _ => None,
        }
    }
}

fn key_text<K: AsRef<str>>(key: &Spanned<K>) -> &str {
    key.get_ref().as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stand_on_lines() {
        let text = "name = ''\n\n[[files]]\npaths = ['a']\n[[files]]\npaths = []\nmask = ['x']\n[kafka]\nbrokers = 'x'\n[kafka.tls]\nca = 'y'\n";
        for (message, line) in [
            ("name: empty", Some(1)),
            ("files[0].paths: x", Some(4)),
            ("files[1].mask: x", Some(7)),
            // What is missing is told where it should stand.
            ("files[1].encoding: x", Some(5)),
            ("files[1]: pattern `a: b`", Some(5)),
            ("kafka.tls.ca: x", Some(11)),
            ("kafka.brokers: x", Some(9)),
            ("batch_bytes_max: x", None),
            ("no key", None),
        ] {
            assert_eq!(line_of(text, message), line, "{message}");
        }
    }
}
