//! Transformations from their text: types and parameters.

use std::sync::Arc;

use super::fields::{FieldMapping, Targets};
use super::hashes::{ExtractFields, HashesFields};
use super::items::{AddCondition, Transformation};
use super::placeholders::Selection;
use super::plain::Plain;
use super::read::{ITEM_KEYS, flag, item_value, log_source, read_item, regex, value_problem};
use super::replace::{ReplaceString, Replacement, Within};
use super::values::{CASE_METHODS, REGEX_METHODS, RegexMethod, TYPE_TARGETS};
use crate::error::Problem;
use crate::load::draft::{Branch, Value};
use crate::load::keys::{Keys, choose};
use crate::load::read_added_search;
use crate::load::values::Template;
use crate::rule::Number;
use crate::yaml::{Kind, Node};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Type {
    FieldMapping,
    PrefixMapping,
    Suffix,
    Prefix,
    DropItem,
    Hashes,
    Extract,
    WildcardPlaceholders,
    ValuePlaceholders,
    AddCondition,
    ChangeLogSource,
    AddField,
    RemoveField,
    SetField,
    ReplaceString,
    MapString,
    SetState,
    Regex,
    SetValue,
    Convert,
    RuleFailure,
    ItemFailure,
    StrictFields,
    SetAttribute,
    Nest,
    Case,
    /// Index into [`REFUSED`].
    Refused(usize),
}

/// Types that pySigma has and that cannot mean anything here, with the reason.
const REFUSED: &[(&str, &str)] = &[
    (
        "query_expression_placeholders",
        "puts words of a query language into the query, and there is none here; use value_placeholders with vars, or give the placeholder values in the configuration ([engine.placeholders])",
    ),
    (
        "field_name_transform",
        "takes a function of Python's, which a file cannot hold; use field_name_mapping, field_name_prefix or field_name_suffix",
    ),
    (
        "file_placeholders",
        "reads another file; write its values under vars and use value_placeholders, or into the configuration ([engine.placeholders])",
    ),
    (
        "http_placeholders",
        "asks a server while rules are loaded; write the values under vars and use value_placeholders",
    ),
    (
        "command_placeholders",
        "runs a command while rules are loaded; write the values under vars and use value_placeholders",
    ),
];

/// Types by name with their parameters.
const TYPES: &[(&str, Type, &[&str])] = &[
    ("field_name_mapping", Type::FieldMapping, &["mapping"]),
    (
        "field_name_prefix_mapping",
        Type::PrefixMapping,
        &["mapping"],
    ),
    ("field_name_suffix", Type::Suffix, &["suffix"]),
    ("field_name_prefix", Type::Prefix, &["prefix"]),
    ("drop_detection_item", Type::DropItem, &[]),
    (
        "hashes_fields",
        Type::Hashes,
        &[
            "valid_hash_algos",
            "field_prefix",
            "drop_algo_prefix",
            "field_to_parse",
        ],
    ),
    (
        "extract_fields",
        Type::Extract,
        &["regex", "field_prefix", "preserve_unmatched"],
    ),
    (
        "wildcard_placeholders",
        Type::WildcardPlaceholders,
        &["include", "exclude"],
    ),
    (
        "value_placeholders",
        Type::ValuePlaceholders,
        &["include", "exclude"],
    ),
    (
        "add_condition",
        Type::AddCondition,
        &["conditions", "name", "template", "negated"],
    ),
    (
        "change_logsource",
        Type::ChangeLogSource,
        &["category", "product", "service"],
    ),
    ("add_field", Type::AddField, &["field"]),
    ("remove_field", Type::RemoveField, &["field"]),
    ("set_field", Type::SetField, &["fields"]),
    (
        "replace_string",
        Type::ReplaceString,
        &["regex", "replacement", "skip_special", "interpret_special"],
    ),
    ("map_string", Type::MapString, &["mapping"]),
    ("set_state", Type::SetState, &["key", "val"]),
    ("regex", Type::Regex, &["method"]),
    ("set_value", Type::SetValue, &["value", "force_type"]),
    ("convert_type", Type::Convert, &["target_type"]),
    ("rule_failure", Type::RuleFailure, &["message"]),
    ("detection_item_failure", Type::ItemFailure, &["message"]),
    ("strict_field_mapping_failure", Type::StrictFields, &[]),
    (
        "set_custom_attribute",
        Type::SetAttribute,
        &["attribute", "value"],
    ),
    ("nest", Type::Nest, &["items"]),
    ("case", Type::Case, &["method"]),
];

/// Reads what an item does.
pub(super) fn read(
    keys: &Keys<'_>,
    node: &Node,
    path: &Arc<str>,
    depth: usize,
) -> Result<Transformation, Problem> {
    let refused = REFUSED
        .iter()
        .enumerate()
        .map(|(index, (name, _))| (*name, Type::Refused(index)));
    let names: Vec<(&str, Type)> = TYPES
        .iter()
        .map(|&(name, kind, _)| (name, kind))
        .chain(refused)
        .collect();
    let type_node = keys.need("type", ITEM_KEYS)?;
    let kind = choose(type_node, "type of transformation", &names)?;
    if let Type::Refused(index) = kind {
        let (name, reason) = REFUSED[index];
        return Err(value_problem(type_node.position, name, reason));
    }
    let own = TYPES.iter().find(|(_, other, _)| *other == kind);
    let own = own.map_or(&[][..], |(_, _, parameters)| parameters);
    let known: Vec<&str> = ITEM_KEYS.iter().chain(own).copied().collect();
    keys.only(&known)?;
    let read = Parameters { keys, node };
    Ok(match kind {
        Type::Nest => {
            let node = keys.need("items", ITEM_KEYS)?;
            let Kind::List(nodes) = &node.kind else {
                return Err(node.wrong("items", "a list of transformations"));
            };
            let items = nodes.iter().map(|node| read_item(node, path, depth + 1));
            Transformation::Nest(items.collect::<Result<_, _>>()?)
        }
        Type::FieldMapping
        | Type::PrefixMapping
        | Type::Suffix
        | Type::Prefix
        | Type::DropItem
        | Type::Hashes
        | Type::Extract
        | Type::AddField
        | Type::RemoveField
        | Type::SetField => read.of_fields(kind)?,
        Type::ReplaceString
        | Type::MapString
        | Type::Regex
        | Type::SetValue
        | Type::Convert
        | Type::Case
        | Type::WildcardPlaceholders
        | Type::ValuePlaceholders => read.of_values(kind)?,
        _ => read.of_rules(kind)?,
    })
}

/// The keys of a transformation.
struct Parameters<'k> {
    keys: &'k Keys<'k>,
    node: &'k Node,
}

impl Parameters<'_> {
    fn need(&self, key: &'static str) -> Result<&Node, Problem> {
        self.keys.need(key, ITEM_KEYS)
    }

    fn text(&self, key: &'static str) -> Result<String, Problem> {
        Ok(self.need(key)?.text(key)?.to_owned())
    }

    fn texts(&self, key: &'static str) -> Result<Vec<String>, Problem> {
        let texts = self.need(key)?.texts(key)?;
        Ok(texts.into_iter().map(|(text, _)| text.to_owned()).collect())
    }

    fn names(&self, key: &'static str) -> Result<Vec<Arc<str>>, Problem> {
        Ok(self.texts(key)?.into_iter().map(Arc::from).collect())
    }

    fn flag(&self, key: &'static str) -> Result<bool, Problem> {
        self.keys.get(key).map_or(Ok(false), |node| flag(node, key))
    }

    fn of_fields(&self, kind: Type) -> Result<Transformation, Problem> {
        Ok(match kind {
            Type::FieldMapping => Transformation::Fields(FieldMapping::Names(self.mapping()?)),
            Type::PrefixMapping => {
                let prefixes = self.mapping()?.into_iter().map(|(prefix, targets)| {
                    let reason =
                        "keywords have no name and so no prefix; map it with field_name_mapping";
                    let prefix =
                        prefix.ok_or_else(|| value_problem(self.node.position, "null", reason))?;
                    Ok((prefix, targets))
                });
                let prefixes = prefixes.collect::<Result<_, Problem>>()?;
                Transformation::Fields(FieldMapping::Prefixes(prefixes))
            }
            Type::Suffix => Transformation::Fields(FieldMapping::AddSuffix(self.text("suffix")?)),
            Type::Prefix => Transformation::Fields(FieldMapping::AddPrefix(self.text("prefix")?)),
            Type::Hashes => {
                let fields = match self.keys.get("field_to_parse") {
                    Some(_) => self.texts("field_to_parse")?,
                    None => vec!["Hashes".to_owned(), "Hash".to_owned()],
                };
                Transformation::Hashes(HashesFields {
                    algorithms: self.texts("valid_hash_algos")?,
                    field_prefix: self.optional_text("field_prefix")?.unwrap_or_default(),
                    drop_algorithm: self.flag("drop_algo_prefix")?,
                    fields,
                })
            }
            Type::Extract => {
                let node = self.need("regex")?;
                let regex = regex(node)?;
                if regex.group_names().is_empty() {
                    let reason = "needs at least one named group: (?P<name>...)";
                    return Err(value_problem(node.position, node.text("regex")?, reason));
                }
                Transformation::Extract(ExtractFields {
                    regex,
                    field_prefix: self.optional_text("field_prefix")?,
                    preserve_unmatched: self.flag("preserve_unmatched")?,
                })
            }
            Type::AddField => Transformation::AddFields(self.names("field")?),
            Type::RemoveField => Transformation::RemoveFields(self.names("field")?),
            Type::SetField => Transformation::SetFields(self.names("fields")?),
            _ => Transformation::DropItem,
        })
    }

    fn optional_text(&self, key: &'static str) -> Result<Option<String>, Problem> {
        let text = |node: &Node| node.text(key).map(str::to_owned);
        self.keys.get(key).map(text).transpose()
    }

    /// Names to one name or several; `null` is that of keywords.
    fn mapping(&self) -> Result<Vec<(Option<String>, Targets)>, Problem> {
        let mut mapping = Vec::new();
        for entry in self.need("mapping")?.entries("mapping")? {
            let name = match entry.key.as_str() {
                "" | "~" | "null" => None,
                name => Some(name.to_owned()),
            };
            let targets = match &entry.value.kind {
                Kind::List(_) => {
                    let names = entry.value.texts("mapping")?.into_iter();
                    Targets::Many(names.map(|(name, _)| Arc::from(name)).collect())
                }
                _ => Targets::One(Arc::from(entry.value.text("mapping")?)),
            };
            if targets == Targets::Many(Vec::new()) {
                let reason =
                    "must become at least one field; use drop_detection_item to drop items";
                return Err(value_problem(entry.position, &entry.key, reason));
            }
            mapping.push((name, targets));
        }
        Ok(mapping)
    }

    fn of_values(&self, kind: Type) -> Result<Transformation, Problem> {
        Ok(match kind {
            Type::WildcardPlaceholders => Transformation::WildcardPlaceholders(self.selection()?),
            Type::ValuePlaceholders => Transformation::ValuePlaceholders(self.selection()?),
            Type::MapString => {
                let mut names = Vec::new();
                for entry in self.need("mapping")?.entries("mapping")? {
                    let texts = entry.value.texts("mapping")?;
                    if texts.is_empty() {
                        let reason = "must become at least one text";
                        return Err(value_problem(entry.position, &entry.key, reason));
                    }
                    let texts = texts.into_iter().map(|(text, _)| text.to_owned());
                    names.push((entry.key.clone(), texts.collect()));
                }
                Transformation::MapString(names)
            }
            Type::Regex => Transformation::Regex(match self.keys.get("method") {
                Some(node) => choose(node, "method", REGEX_METHODS)?,
                None => RegexMethod::IgnoreCaseBrackets,
            }),
            Type::SetValue => Transformation::SetValue(self.set_value()?),
            Type::Convert => {
                let node = self.need("target_type")?;
                Transformation::Convert(choose(node, "type", TYPE_TARGETS)?)
            }
            Type::Case => Transformation::Case(match self.keys.get("method") {
                Some(node) => choose(node, "method", CASE_METHODS)?,
                None => CASE_METHODS[0].1,
            }),
            _ => {
                let regex = regex(self.need("regex")?)?;
                let node = self.need("replacement")?;
                let replacement = Replacement::parse(node.text("replacement")?, &regex)
                    .map_err(|kind| Problem::new(node.position, kind))?;
                let within = match (self.flag("skip_special")?, self.flag("interpret_special")?) {
                    (false, _) => Within::Whole,
                    (true, false) => Within::Literals,
                    (true, true) => Within::LiteralsWithWildcards,
                };
                Transformation::ReplaceString(ReplaceString {
                    regex,
                    replacement,
                    within,
                })
            }
        })
    }

    fn selection(&self) -> Result<Selection, Problem> {
        match (self.keys.get("include"), self.keys.get("exclude")) {
            (None, None) => Ok(Selection::All),
            (Some(_), None) => Ok(Selection::Include(self.texts("include")?)),
            (None, Some(_)) => Ok(Selection::Exclude(self.texts("exclude")?)),
            (Some(_), Some(node)) => {
                let reason = "include and exclude cannot stand side by side; keep one of them";
                Err(value_problem(node.position, "exclude", reason))
            }
        }
    }

    fn set_value(&self) -> Result<Value, Problem> {
        #[derive(Clone, Copy)]
        enum Forced {
            Text,
            Number,
        }
        let node = self.need("value")?;
        let Some(force) = self.keys.get("force_type") else {
            return item_value(node);
        };
        let types = [("str", Forced::Text), ("num", Forced::Number)];
        let text = node.text("value")?;
        match choose(force, "type", &types)? {
            Forced::Text => Ok(Value::Text(Template::parse(text))),
            Forced::Number => match Number::parse(text) {
                Some(number) => Ok(Value::Number {
                    number,
                    text: text.to_owned(),
                }),
                None => Err(value_problem(node.position, text, "is no number")),
            },
        }
    }

    fn of_rules(&self, kind: Type) -> Result<Transformation, Problem> {
        Ok(match kind {
            Type::AddCondition => {
                let node = self.need("conditions")?;
                Transformation::AddCondition(AddCondition {
                    name: self.optional_text("name")?.map(Arc::from),
                    search: self.search(node)?,
                    template: self.flag("template")?,
                    negated: self.flag("negated")?,
                })
            }
            Type::ChangeLogSource => Transformation::ChangeLogSource(log_source(self.keys)?),
            Type::SetState => {
                Transformation::SetState(self.text("key")?, Plain::of(self.need("val")?))
            }
            Type::SetAttribute => Transformation::SetAttribute(
                self.text("attribute")?,
                Plain::of(self.need("value")?),
            ),
            Type::RuleFailure => Transformation::RuleFailure(self.text("message")?),
            Type::ItemFailure => Transformation::ItemFailure(self.text("message")?),
            _ => Transformation::StrictFields,
        })
    }

    fn search(&self, node: &Node) -> Result<Branch, Problem> {
        match &node.kind {
            Kind::Map(entries) if !entries.is_empty() => read_added_search(node),
            _ => Err(node.wrong("conditions", "a map of fields to values")),
        }
    }
}
