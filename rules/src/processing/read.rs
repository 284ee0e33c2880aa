//! Pipelines from their text: items with their conditions.

use std::collections::BTreeMap;
use std::sync::Arc;

use citywatch_parsers::LogSource;

use super::attributes::{AttributeTest, OPERATORS};
use super::conditions::{
    FieldCondition, ItemCondition, Names, Quantity, RuleCondition, StateTest, ValueTest,
};
use super::items::{Conditions, Item, Join};
use super::parameters;
use super::plain::Plain;
use super::regex::PythonRegex;
use crate::condition::{self, Condition};
use crate::error::{ErrorKind, Problem, RuleError, nearest};
use crate::load::keys::{Keys, choose};
use crate::load::{FILE_BYTES_MAX, RuleSource};
use crate::rule::{CompareOp, Position};
use crate::yaml::{self, Kind, Node, Resolved};

/// Transformations nested in one another.
const NESTING_MAX: usize = 16;

/// A file once read.
pub(super) struct File {
    pub(super) priority: i128,
    pub(super) items: Vec<Item>,
    pub(super) vars: BTreeMap<String, Vec<String>>,
}

const KEYS: &[&str] = &[
    "name",
    "priority",
    "vars",
    "transformations",
    "allowed_backends",
    "postprocessing",
    "finalizers",
];

/// Keys of an item that are not its transformation's.
pub(super) const ITEM_KEYS: &[&str] = &[
    "id",
    "type",
    "rule_conditions",
    "rule_cond_op",
    "rule_cond_not",
    "rule_cond_expr",
    "detection_item_conditions",
    "detection_item_cond_op",
    "detection_item_cond_not",
    "detection_item_cond_expr",
    "field_name_conditions",
    "field_name_cond_op",
    "field_name_cond_not",
    "field_name_cond_expr",
];

pub(super) fn value_problem(position: Position, value: &str, reason: impl Into<String>) -> Problem {
    Problem::new(
        position,
        ErrorKind::Value {
            value: value.to_owned(),
            reason: reason.into(),
        },
    )
}

/// Reads a pipeline's file.
pub(super) fn read_file(source: &RuleSource) -> Result<File, Vec<RuleError>> {
    let error = |problem: Problem| RuleError {
        path: Arc::clone(&source.path),
        position: problem.position,
        title: None,
        id: None,
        kind: problem.kind,
    };
    let bytes = source.text.len();
    if bytes > FILE_BYTES_MAX {
        let bytes_max = FILE_BYTES_MAX;
        let kind = ErrorKind::FileTooLarge { bytes, bytes_max };
        return Err(vec![error(Problem::new(
            Position { line: 1, column: 1 },
            kind,
        ))]);
    }
    let mut documents = yaml::read_documents(&source.text);
    let Some(document) = documents.next() else {
        let reason = "holds no pipeline; write its transformations: a list";
        let problem = value_problem(Position { line: 1, column: 1 }, &source.path, reason);
        return Err(vec![error(problem)]);
    };
    if let Some(second) = documents.next() {
        let reason = "a pipeline is one document; write each into a file of its own";
        return Err(vec![error(value_problem(second.position, "---", reason))]);
    }
    let root = document.root.map_err(|problem| vec![error(problem)])?;
    let (file, problems) =
        read_root(&root, &source.path).map_err(|problem| vec![error(problem)])?;
    if problems.is_empty() {
        Ok(file)
    } else {
        Err(problems.into_iter().map(error).collect())
    }
}

fn read_root(root: &Node, path: &Arc<str>) -> Result<(File, Vec<Problem>), Problem> {
    let keys = Keys::of(root, "the pipeline")?;
    keys.only(KEYS)?;
    let mut problems = Vec::new();
    for (key, reason) in [
        (
            "postprocessing",
            "works on a backend's query, and there is none here: rules are evaluated themselves; remove the section",
        ),
        (
            "finalizers",
            "work on a backend's queries, and there are none here: rules are evaluated themselves; remove the section",
        ),
    ] {
        let entry = keys.entries.iter().find(|entry| entry.key == key);
        if let Some(entry) = entry.filter(|entry| !is_empty(&entry.value)) {
            problems.push(value_problem(entry.position, key, reason));
        }
    }
    let priority = match keys.get("priority").map(|node| (node, &node.kind)) {
        None => 0,
        Some((_, Kind::Scalar(scalar)))
            if let Resolved::Number(crate::rule::Number::Int(n)) = scalar.value =>
        {
            n
        }
        Some((node, _)) => return Err(node.wrong("priority", "a whole number")),
    };
    let vars = match keys.get("vars") {
        Some(node) if !is_empty(node) => read_vars(node)?,
        _ => BTreeMap::new(),
    };
    let mut items = Vec::new();
    if let Some(node) = keys.get("transformations").filter(|node| !is_empty(node)) {
        let Kind::List(nodes) = &node.kind else {
            return Err(node.wrong("transformations", "a list"));
        };
        for node in nodes {
            match read_item(node, path, 0) {
                Ok(item) => items.push(item),
                Err(problem) => problems.push(problem),
            }
        }
    }
    let file = File {
        priority,
        items,
        vars,
    };
    Ok((file, problems))
}

fn is_empty(node: &Node) -> bool {
    match &node.kind {
        Kind::List(items) => items.is_empty(),
        Kind::Map(entries) => entries.is_empty(),
        Kind::Scalar(scalar) => scalar.value == Resolved::Null,
    }
}

fn read_vars(node: &Node) -> Result<BTreeMap<String, Vec<String>>, Problem> {
    let mut vars = BTreeMap::new();
    for entry in node.entries("vars")? {
        let values = entry.value.texts(&entry.key)?;
        let values = values.into_iter().map(|(text, _)| text.to_owned());
        vars.insert(entry.key.clone(), values.collect());
    }
    Ok(vars)
}

/// Reads one item; `depth` tells how many others it is nested in.
pub(super) fn read_item(node: &Node, path: &Arc<str>, depth: usize) -> Result<Item, Problem> {
    if depth > NESTING_MAX {
        let reason = format!(
            "transformations nested more than {NESTING_MAX} levels; write them in one list"
        );
        return Err(value_problem(node.position, "nest", reason));
    }
    let keys = Keys::of(node, "the transformation")?;
    let id = match keys.get("id") {
        Some(node) if !is_empty(node) => Some(Arc::from(node.text("id")?)),
        _ => None,
    };
    Ok(Item {
        id,
        place: Arc::from(format!("{path}:{}", node.position)),
        rules: read_conditions(&keys, "rule", read_rule_condition)?,
        items: read_conditions(&keys, "detection_item", read_item_condition)?,
        fields: read_conditions(&keys, "field_name", read_field_condition)?,
        transformation: parameters::read(&keys, node, path, depth)?,
    })
}

/// Conditions of one of the three kinds and how they are joined.
fn read_conditions<C>(
    keys: &Keys<'_>,
    kind: &str,
    read: impl Fn(&Node) -> Result<C, Problem>,
) -> Result<Conditions<C>, Problem> {
    let get = |key: &str| {
        let name = format!("{kind}_{key}");
        keys.get(&name).filter(|node| !is_empty(node))
    };
    let mut conditions = Vec::new();
    let node = get("conditions");
    match node.map(|node| (node, &node.kind)) {
        None => {}
        Some((_, Kind::List(nodes))) => {
            for (index, node) in nodes.iter().enumerate() {
                conditions.push((index.to_string(), read(node)?));
            }
        }
        Some((_, Kind::Map(entries))) => {
            for entry in entries {
                conditions.push((entry.key.clone(), read(&entry.value)?));
            }
        }
        Some((node, Kind::Scalar(_))) => {
            return Err(node.wrong("conditions", "a list, or a map of names to conditions"));
        }
    }
    let op = match get("cond_op") {
        None => None,
        Some(node) => Some(choose(
            node,
            "way to join conditions",
            &[("and", Link::And), ("or", Link::Or)],
        )?),
    };
    let join = match (get("cond_expr"), op) {
        (Some(expression), Some(_)) => {
            let reason = "an expression says how conditions are joined; remove the operator";
            return Err(value_problem(expression.position, "cond_expr", reason));
        }
        (Some(expression), None) => {
            if !matches!(node.map(|node| &node.kind), Some(Kind::Map(_))) {
                let reason = "an expression speaks of conditions by name; write them as a map of names to conditions";
                return Err(value_problem(expression.position, "cond_expr", reason));
            }
            Join::Expression(read_expression(expression, &conditions)?)
        }
        (None, Some(Link::Or)) => Join::Any,
        (None, _) => Join::All,
    };
    let negated = match get("cond_not") {
        None => false,
        Some(node) => flag(node, "cond_not")?,
    };
    Ok(Conditions {
        conditions,
        join,
        negated,
    })
}

#[derive(Clone, Copy)]
enum Link {
    And,
    Or,
}

fn read_expression<C>(node: &Node, conditions: &[(String, C)]) -> Result<Condition, Problem> {
    let expression = condition::parse(node.text("an expression")?, node.position)?;
    let mut named = Vec::new();
    names(&expression, node, &mut named)?;
    for name in &named {
        if !conditions.iter().any(|(known, _)| known == name) {
            let known = conditions.iter().map(|(known, _)| known.as_str());
            let kind = ErrorKind::UnknownValue {
                what: "condition of this transformation",
                value: (*name).to_owned(),
                suggestion: nearest(name, known),
            };
            return Err(Problem::new(node.position, kind));
        }
    }
    match conditions
        .iter()
        .find(|(name, _)| !named.contains(&name.as_str()))
    {
        None => Ok(expression),
        Some((name, _)) => {
            let reason =
                "the expression does not speak of this condition; add it or remove the condition";
            Err(value_problem(node.position, name, reason))
        }
    }
}

fn names<'e>(
    expression: &'e Condition,
    node: &Node,
    found: &mut Vec<&'e str>,
) -> Result<(), Problem> {
    match expression {
        Condition::Name(name) => {
            found.push(name);
            Ok(())
        }
        Condition::Of { .. } => {
            let reason = "an expression of conditions has names, and, or, not and parentheses only";
            Err(value_problem(node.position, "of", reason))
        }
        Condition::And(parts) | Condition::Or(parts) => {
            parts.iter().try_for_each(|part| names(part, node, found))
        }
        Condition::Not(part) => names(part, node, found),
    }
}

/// `true` or `false`.
pub(super) fn flag(node: &Node, what: &str) -> Result<bool, Problem> {
    match &node.kind {
        Kind::Scalar(scalar) => match scalar.value {
            Resolved::Bool(value) => Ok(value),
            _ => Err(node.wrong(what, "true or false")),
        },
        _ => Err(node.wrong(what, "true or false")),
    }
}

/// The log source of a condition or a transformation: at least one part.
pub(super) fn log_source(keys: &Keys<'_>) -> Result<LogSource<'static>, Problem> {
    let part = |key: &str| match keys.get(key) {
        Some(node) if !is_empty(node) => node.text(key).map(str::to_lowercase),
        _ => Ok(String::new()),
    };
    let source = LogSource {
        category: part("category")?.into(),
        product: part("product")?.into(),
        service: part("service")?.into(),
    };
    if source.category.is_empty() && source.product.is_empty() && source.service.is_empty() {
        let reason = "name at least one of category, product and service";
        return Err(value_problem(keys.position, "logsource", reason));
    }
    Ok(source)
}

/// The type of a condition and its keys; what else is written is refused.
fn typed<'n, T: Copy>(
    node: &'n Node,
    table: &[(&str, (T, &[&str]))],
) -> Result<(T, Keys<'n>), Problem> {
    let keys = Keys::of(node, "the condition")?;
    let types: Vec<(&str, usize)> = table
        .iter()
        .enumerate()
        .map(|(index, (name, _))| (*name, index))
        .collect();
    let index = choose(keys.need("type", &[])?, "type of condition", &types)?;
    let (_, (kind, allowed)) = table[index];
    let known: Vec<&str> = ["type"].iter().chain(allowed).copied().collect();
    keys.only(&known)?;
    Ok((kind, keys))
}

#[derive(Clone, Copy)]
enum RuleType {
    LogSource,
    ContainsItem,
    ContainsField,
    ProcessedBy,
    State,
    IsRule,
    IsCorrelation,
    Attribute,
    Tag,
}

fn read_rule_condition(node: &Node) -> Result<RuleCondition, Problem> {
    let (kind, keys) = typed(
        node,
        &[
            (
                "logsource",
                (RuleType::LogSource, &["category", "product", "service"]),
            ),
            (
                "contains_detection_item",
                (RuleType::ContainsItem, &["field", "value"]),
            ),
            ("contains_field", (RuleType::ContainsField, &["field"])),
            (
                "processing_item_applied",
                (RuleType::ProcessedBy, &["processing_item_id"]),
            ),
            ("processing_state", (RuleType::State, &["key", "val", "op"])),
            ("is_sigma_rule", (RuleType::IsRule, &[])),
            ("is_sigma_correlation_rule", (RuleType::IsCorrelation, &[])),
            (
                "rule_attribute",
                (RuleType::Attribute, &["attribute", "value", "op"]),
            ),
            ("tag", (RuleType::Tag, &["tag"])),
        ],
    )?;
    let text = |key: &'static str| Ok::<_, Problem>(keys.need(key, &[])?.text(key)?.to_owned());
    Ok(match kind {
        RuleType::LogSource => RuleCondition::LogSource(log_source(&keys)?),
        RuleType::ContainsField => RuleCondition::ContainsField(text("field")?),
        RuleType::ContainsItem => {
            let node = keys.need("value", &[])?;
            RuleCondition::ContainsItem {
                field: text("field")?,
                value: item_value(node)?,
            }
        }
        RuleType::ProcessedBy => RuleCondition::ProcessedBy(processed_by(&keys)?),
        RuleType::State => RuleCondition::State(read_state(&keys)?),
        RuleType::IsRule => RuleCondition::IsRule,
        RuleType::IsCorrelation => RuleCondition::IsCorrelation,
        RuleType::Attribute => {
            let node = keys.need("value", &[])?;
            let op = match keys.get("op") {
                Some(node) => choose(node, "operator", OPERATORS)?,
                None => OPERATORS[0].1,
            };
            let test = AttributeTest {
                attribute: text("attribute")?,
                value: match &node.kind {
                    // Dates are text whatever they look like to YAML.
                    Kind::Scalar(scalar) => Plain::of_scalar(scalar),
                    _ => return Err(node.wrong("value", "a single value")),
                },
                op,
            };
            test.check().map_err(|reason| {
                value_problem(node.position, node.text("value").unwrap_or(""), reason)
            })?;
            RuleCondition::Attribute(test)
        }
        RuleType::Tag => {
            let tag = text("tag")?;
            if !tag.contains('.') {
                let reason = "a tag is a namespace and a name with a dot between: attack.t1059";
                return Err(value_problem(keys.position, &tag, reason));
            }
            RuleCondition::Tag(tag)
        }
    })
}

/// A plain value as the values of items are.
pub(super) fn item_value(node: &Node) -> Result<crate::load::draft::Value, Problem> {
    let plain = Plain::single(node, "value")?;
    plain
        .as_value()
        .ok_or_else(|| node.wrong("value", "a single value"))
}

fn processed_by(keys: &Keys<'_>) -> Result<Arc<str>, Problem> {
    let node = keys.need("processing_item_id", &[])?;
    Ok(Arc::from(node.text("processing_item_id")?))
}

fn read_state(keys: &Keys<'_>) -> Result<StateTest, Problem> {
    const OPERATORS: &[(&str, CompareOp)] = &[
        ("eq", CompareOp::Equal),
        ("ne", CompareOp::NotEqual),
        ("gte", CompareOp::GreaterOrEqual),
        ("gt", CompareOp::Greater),
        ("lte", CompareOp::LessOrEqual),
        ("lt", CompareOp::Less),
    ];
    Ok(StateTest {
        key: keys.need("key", &[])?.text("key")?.to_owned(),
        value: Plain::single(keys.need("val", &[])?, "val")?,
        op: match keys.get("op") {
            Some(node) => choose(node, "operator", OPERATORS)?,
            None => CompareOp::Equal,
        },
    })
}

#[derive(Clone, Copy)]
enum ItemType {
    MatchString,
    MatchValue,
    Wildcard,
    Null,
    ProcessedBy,
    State,
}

fn read_item_condition(node: &Node) -> Result<ItemCondition, Problem> {
    let (kind, keys) = typed(
        node,
        &[
            (
                "match_string",
                (ItemType::MatchString, &["cond", "pattern", "negate"]),
            ),
            ("match_value", (ItemType::MatchValue, &["cond", "value"])),
            ("contains_wildcard", (ItemType::Wildcard, &["cond"])),
            ("is_null", (ItemType::Null, &["cond"])),
            (
                "processing_item_applied",
                (ItemType::ProcessedBy, &["processing_item_id"]),
            ),
            ("processing_state", (ItemType::State, &["key", "val", "op"])),
        ],
    )?;
    let test = match kind {
        ItemType::ProcessedBy => return Ok(ItemCondition::ProcessedBy(processed_by(&keys)?)),
        ItemType::State => return Ok(ItemCondition::State(read_state(&keys)?)),
        ItemType::MatchString => {
            let negate = match keys.get("negate") {
                Some(node) => flag(node, "negate")?,
                None => false,
            };
            ValueTest::String {
                pattern: regex(keys.need("pattern", &[])?)?,
                negate,
            }
        }
        ItemType::MatchValue => ValueTest::Equals(item_value(keys.need("value", &[])?)?),
        ItemType::Wildcard => ValueTest::HasWildcard,
        ItemType::Null => ValueTest::IsNull,
    };
    let quantities = [("any", Quantity::Any), ("all", Quantity::All)];
    let quantity = choose(keys.need("cond", &[])?, "number of values", &quantities)?;
    Ok(ItemCondition::Values(quantity, test))
}

/// An expression.
pub(super) fn regex(node: &Node) -> Result<PythonRegex, Problem> {
    PythonRegex::new(node.text("a regular expression")?)
        .map_err(|kind| Problem::new(node.position, kind))
}

#[derive(Clone, Copy)]
enum FieldType {
    Include,
    Exclude,
    ProcessedBy,
    State,
}

fn read_field_condition(node: &Node) -> Result<FieldCondition, Problem> {
    let (kind, keys) = typed(
        node,
        &[
            ("include_fields", (FieldType::Include, &["fields", "mode"])),
            ("exclude_fields", (FieldType::Exclude, &["fields", "mode"])),
            (
                "processing_item_applied",
                (FieldType::ProcessedBy, &["processing_item_id"]),
            ),
            (
                "processing_state",
                (FieldType::State, &["key", "val", "op"]),
            ),
        ],
    )?;
    Ok(match kind {
        FieldType::Include => FieldCondition::Include(read_names(&keys)?),
        FieldType::Exclude => FieldCondition::Exclude(read_names(&keys)?),
        FieldType::ProcessedBy => FieldCondition::ProcessedBy(processed_by(&keys)?),
        FieldType::State => FieldCondition::State(read_state(&keys)?),
    })
}

fn read_names(keys: &Keys<'_>) -> Result<Names, Problem> {
    #[derive(Clone, Copy)]
    enum Mode {
        Plain,
        Patterns,
    }
    let fields = keys.need("fields", &[])?.texts("fields")?;
    let mode = match keys.get("mode") {
        Some(node) => choose(
            node,
            "mode",
            &[("plain", Mode::Plain), ("re", Mode::Patterns)],
        )?,
        None => Mode::Plain,
    };
    Ok(match mode {
        Mode::Plain => Names::Plain(fields.iter().map(|(name, _)| (*name).to_owned()).collect()),
        Mode::Patterns => {
            let patterns = fields.iter().map(|(pattern, position)| {
                PythonRegex::new(pattern).map_err(|kind| Problem::new(*position, kind))
            });
            Names::Patterns(patterns.collect::<Result<_, _>>()?)
        }
    })
}
