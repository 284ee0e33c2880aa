//! Templates of messages: text with `{{names}}`, and `{{#items}}...{{/items}}` for each incident.

use super::item::Item;

/// Where a text goes: what it inserts is escaped for there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A mail's text: control characters are left out.
    Text,
    /// JSON: values become parts of strings.
    Json,
}

/// Names of a message.
const MESSAGE_NAMES: [&str; 4] = ["count", "more", "severity", "link"];
/// Names of an incident, within `items`.
const ITEM_NAMES: [&str; 11] = [
    "subject", "number", "title", "title_vi", "severity", "unit", "host", "rule", "at", "clock",
    "link",
];

/// What a message tells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Content<'a> {
    pub(crate) items: &'a [Item],
    /// Items, those that are not listed included.
    pub(crate) count: i64,
    /// The console's address; empty: no links.
    pub(crate) console_url: &'a str,
}

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TemplateError {
    /// A name that is none.
    #[error("unknown name {{{{{given}}}}}; one of {}", known.join(", "))]
    Name {
        given: String,
        known: &'static [&'static str],
    },
    /// Something is opened and not closed.
    #[error("{opened} is not closed by {close}")]
    Open {
        opened: &'static str,
        close: &'static str,
    },
    /// What it makes is no JSON.
    #[error("makes no JSON: {error}")]
    NoJson { error: String },
}

/// Whether a template can be used.
pub(crate) fn check(template: &str, form: Form) -> Result<(), TemplateError> {
    let item = Item::test(0);
    let items = [item.clone(), item];
    let content = Content {
        items: &items,
        count: 2,
        console_url: "https://soc.example",
    };
    let text = render(template, form, content)?;
    if form == Form::Json
        && let Err(error) = serde_json::from_str::<serde_json::Value>(&text)
    {
        return Err(TemplateError::NoJson {
            error: error.to_string(),
        });
    }
    Ok(())
}

/// The text that a template makes.
pub(crate) fn render(
    template: &str,
    form: Form,
    content: Content<'_>,
) -> Result<String, TemplateError> {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        text.push_str(before);
        let (name, after) = closed(after)?;
        rest = after;
        if name == "#items" {
            let (inner, after) = rest.split_once("{{/items}}").ok_or(TemplateError::Open {
                opened: "{{#items}}",
                close: "{{/items}}",
            })?;
            rest = after;
            for (place, item) in content.items.iter().enumerate() {
                if form == Form::Json && place > 0 {
                    text.push(',');
                }
                render_item(inner, form, item, content, &mut text)?;
            }
            continue;
        }
        let value = message_value(name, content).ok_or_else(|| unknown(name, &MESSAGE_NAMES))?;
        text.push_str(&escaped(&value, form));
    }
    text.push_str(rest);
    Ok(text)
}

fn render_item(
    template: &str,
    form: Form,
    item: &Item,
    content: Content<'_>,
    text: &mut String,
) -> Result<(), TemplateError> {
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        text.push_str(before);
        let (name, after) = closed(after)?;
        rest = after;
        let value = item_value(name, item, content).ok_or_else(|| unknown(name, &ITEM_NAMES))?;
        text.push_str(&escaped(&value, form));
    }
    text.push_str(rest);
    Ok(())
}

fn closed(after: &str) -> Result<(&str, &str), TemplateError> {
    let (name, after) = after.split_once("}}").ok_or(TemplateError::Open {
        opened: "{{",
        close: "}}",
    })?;
    Ok((name.trim(), after))
}

fn unknown(name: &str, known: &'static [&'static str]) -> TemplateError {
    TemplateError::Name {
        given: name.to_owned(),
        known,
    }
}

fn message_value(name: &str, content: Content<'_>) -> Option<String> {
    let listed = i64::try_from(content.items.len()).unwrap_or(i64::MAX);
    Some(match name {
        "count" => content.count.to_string(),
        "more" => (content.count - listed).max(0).to_string(),
        "severity" => highest(content.items),
        "link" if content.console_url.is_empty() => String::new(),
        "link" => format!("{}/incidents", content.console_url),
        _ => return None,
    })
}

fn item_value(name: &str, item: &Item, content: Content<'_>) -> Option<String> {
    Some(match name {
        "subject" => item.subject.name().to_owned(),
        "number" => item.number.to_string(),
        "title" => item.title.clone(),
        "title_vi" => vietnamese_title(item).to_owned(),
        "severity" => item.severity.clone(),
        "unit" => item.unit.clone(),
        "host" => item.host.clone(),
        "rule" => item.rule.clone(),
        "at" => item.at.clone(),
        "clock" => item.clock.clone(),
        "link" => link(item, content.console_url),
        _ => return None,
    })
}

/// The title in Vietnamese where there is one, else as it is.
pub(crate) fn vietnamese_title(item: &Item) -> &str {
    if item.title_vi.is_empty() {
        &item.title
    } else {
        &item.title_vi
    }
}

/// The address of an incident's page; empty where the console's is not known.
pub(crate) fn link(item: &Item, console_url: &str) -> String {
    if console_url.is_empty() || item.incident_id.is_empty() {
        String::new()
    } else {
        format!("{console_url}/incidents/{}", item.incident_id)
    }
}

/// The highest severity among the items.
pub(crate) fn highest(items: &[Item]) -> String {
    items
        .iter()
        .filter_map(|item| item.severity.parse::<crate::severity::Severity>().ok())
        .max()
        .map_or_else(String::new, |severity| severity.name().to_owned())
}

fn escaped(value: &str, form: Form) -> String {
    match form {
        Form::Text => plain(value),
        Form::Json => {
            let quoted = serde_json::Value::from(value).to_string();
            quoted[1..quoted.len() - 1].to_owned()
        }
    }
}

/// A value from a log as a line of text: nothing that breaks the line, turns it around or hides in it.
pub(crate) fn plain(value: &str) -> String {
    value
        .chars()
        .map(|character| match character {
            '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
            | '\u{feff}' => '\u{fffd}',
            character if character.is_control() => ' ',
            character => character,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(title: &str) -> Item {
        Item {
            title: title.to_owned(),
            incident_id: "abc".to_owned(),
            severity: "high".to_owned(),
            ..Item::test(0)
        }
    }

    fn made(template: &str, form: Form, items: &[Item]) -> String {
        let content = Content {
            items,
            count: 5,
            console_url: "https://soc.test",
        };
        render(template, form, content).unwrap()
    }

    #[test]
    fn names_and_items_are_filled_in() {
        let items = [item("one"), item("two")];
        assert_eq!(
            made(
                "{{count}} {{ severity }} ({{more}} more)\n{{#items}}- {{title}} {{link}}\n{{/items}}",
                Form::Text,
                &items
            ),
            "5 high (3 more)\n- one https://soc.test/incidents/abc\n- two https://soc.test/incidents/abc\n"
        );
    }

    #[test]
    fn hostile_values_stay_values() {
        let items = [item("a\"}],\"b\r\nBcc: x{{count}}\u{202e}")];
        let json = made(
            r#"[{{#items}}{"t":"{{title}}"}{{/items}}]"#,
            Form::Json,
            &items,
        );
        let read: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(read[0]["t"], items[0].title.as_str());
        let text = made("{{#items}}{{title}}{{/items}}", Form::Text, &items);
        assert_eq!(text, "a\"}],\"b  Bcc: x{{count}}\u{fffd}");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let wrong = |template: &str, form| check(template, form).unwrap_err().to_string();
        assert!(
            wrong("{{counts}}", Form::Text).starts_with("unknown name {{counts}}; one of count")
        );
        assert!(wrong("{{#items}}{{more}}{{/items}}", Form::Text).contains("{{more}}"));
        assert!(wrong("{{#items}}", Form::Text).contains("not closed by {{/items}}"));
        assert!(wrong("{{count", Form::Text).contains("not closed"));
        assert!(wrong("{{count}},", Form::Json).contains("no JSON"));
        assert_eq!(check(r#"{"n":{{count}}}"#, Form::Json), Ok(()));
    }
}
