//! Rules and events made at random, from few letters so that they meet.

use std::sync::Arc;

use bumpalo::Bump;
use citywatch_parsers::record::Truncated;
use citywatch_parsers::{Event, Field, Layouts, LogSource, Origin, RecordBatch, Timestamp, Value};
use citywatch_rules::rule::{
    Alerts, Case, CidrBlock, CompareOp, Expr, FieldRef, FieldTest, Meta, Number, Position,
    Presence, RegexPattern, Relation, Test, TextPart, TextPattern, TimePart,
};
use citywatch_rules::{Rule, RuleId};
use proptest::prelude::*;

const FIELDS: [&str; 6] = ["A", "B", "Image", "CommandLine", "a.b", ""];
const WORDS: [&str; 12] = [
    "a",
    "ab",
    "\\a",
    "aB\\",
    "power",
    "powershell.exe",
    "PowerShell",
    "-enc ",
    "Ứ",
    "ſk",
    "K",
    "1",
];

/// An event that owns its parts.
#[derive(Clone, Debug)]
pub(crate) struct OwnedEvent {
    fields: Vec<(&'static str, OwnedValue)>,
    log_sources: Vec<LogSource<'static>>,
    raw: Vec<u8>,
}

#[derive(Clone, Debug)]
enum OwnedValue {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<OwnedValue>),
}

impl OwnedEvent {
    /// Calls `run` with the event, whose names are learned by `orders`.
    pub(crate) fn with(&self, orders: &mut Layouts, run: impl FnOnce(&Event<'_>)) {
        let mut batch = RecordBatch::new(Arc::new(Origin::default()));
        batch.push(&self.raw, 0, Timestamp(0), Truncated::No);
        let arena = Bump::new();
        let mut event = Event::new(batch.get(0).unwrap(), "json", &arena);
        for (name, value) in &self.fields {
            if event.get(name).is_none() {
                event.fields.push(Field {
                    name,
                    value: value.to_piece_of(batch.get(0).unwrap().raw, &arena),
                });
            }
        }
        event.order = orders.order_of(&event.fields);
        event.log_sources.extend(self.log_sources.iter().cloned());
        run(&event);
    }
}

impl OwnedValue {
    /// As a parser gives it: a text that is in the record is a piece of it.
    fn to_piece_of<'a>(&'a self, raw: &'a [u8], arena: &'a Bump) -> Value<'a> {
        if let (Self::Text(text), Ok(raw)) = (self, std::str::from_utf8(raw))
            && let Some(at) = raw.find(text.as_str())
        {
            return Value::Str(&raw[at..at + text.len()]);
        }
        self.to_value(arena)
    }

    fn to_value<'a>(&'a self, arena: &'a Bump) -> Value<'a> {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Int(value) => Value::Int(*value),
            Self::Float(value) => Value::Float(*value),
            Self::Text(text) => Value::Str(text),
            Self::List(values) => Value::List(
                arena.alloc_slice_fill_iter(values.iter().map(|value| value.to_value(arena))),
            ),
        }
    }
}

fn text() -> impl Strategy<Value = String> {
    let words = prop::collection::vec(prop::sample::select(&WORDS[..]), 0..5)
        .prop_map(|words| words.concat());
    let special = prop::sample::select(
        &[
            "",
            "1",
            "1.0",
            "-3",
            "true",
            "FALSE",
            "10.0.0.1",
            "::ffff:10.1.2.3",
            "fe80::1%eth0",
            "2026-03-01T12:30:00Z",
        ][..],
    );
    prop_oneof![6 => words, 2 => special.prop_map(str::to_owned), 1 => "[ab\\\\kKs ]{0,40}"]
}

fn scalar() -> impl Strategy<Value = OwnedValue> {
    prop_oneof![
        8 => text().prop_map(OwnedValue::Text),
        1 => Just(OwnedValue::Null),
        1 => any::<bool>().prop_map(OwnedValue::Bool),
        2 => (-3i64..12).prop_map(OwnedValue::Int),
        1 => prop::sample::select(&[1.0, 1.5, -3.0, 1e300][..]).prop_map(OwnedValue::Float),
    ]
}

fn value() -> impl Strategy<Value = OwnedValue> {
    prop_oneof![5 => scalar(), 1 => prop::collection::vec(scalar(), 0..4).prop_map(OwnedValue::List)]
}

fn log_source() -> impl Strategy<Value = LogSource<'static>> {
    let part =
        |choices: &'static [&'static str]| prop::sample::select(choices).prop_map(Into::into);
    (
        part(&["", "windows", "linux"]),
        part(&["", "", "process_creation"]),
        part(&["", "", "sysmon"]),
    )
        .prop_map(|(product, category, service)| LogSource {
            product,
            category,
            service,
        })
}

/// An event.
pub(crate) fn event() -> impl Strategy<Value = OwnedEvent> {
    let fields = prop::collection::vec((prop::sample::select(&FIELDS[..]), value()), 0..6);
    let raw = prop_oneof![3 => text().prop_map(String::into_bytes), 1 => prop::collection::vec(any::<u8>(), 0..8)];
    let sources = prop::collection::vec(log_source(), 0..3);
    (fields, sources, raw, any::<bool>()).prop_map(|(fields, log_sources, mut raw, whole)| {
        for (_, value) in fields.iter().filter(|_| whole) {
            if let OwnedValue::Text(text) = value {
                raw.extend_from_slice(text.as_bytes());
            }
        }
        OwnedEvent {
            fields,
            log_sources,
            raw,
        }
    })
}

fn pattern() -> impl Strategy<Value = TextPattern> {
    let part = prop_oneof![
        3 => prop::sample::select(&WORDS[..]).prop_map(|word| TextPart::Literal(word.into())),
        2 => Just(TextPart::Any),
        1 => Just(TextPart::One),
    ];
    (prop::collection::vec(part, 0..5), any::<bool>()).prop_map(|(parts, sensitive)| {
        TextPattern::new(
            parts,
            if sensitive {
                Case::Sensitive
            } else {
                Case::Insensitive
            },
        )
    })
}

fn regex() -> impl Strategy<Value = RegexPattern> {
    let patterns = &[
        "a+b",
        "(?i)power\\w+",
        "^$",
        "[0-9]",
        "(?:ab|enc)",
        "(?i)k",
        "(?i)ứ.*",
        "\\\\a$",
        "(?i)(?:shell|-ENC)\\.?",
        ".",
    ];
    prop::sample::select(&patterns[..]).prop_map(|pattern| RegexPattern {
        source: pattern.into(),
        pattern: pattern.into(),
        regex: regex::Regex::new(pattern).unwrap(),
    })
}

fn number() -> impl Strategy<Value = Number> {
    prop_oneof![
        (-3i128..12).prop_map(Number::Int),
        Just(Number::Float(1.0)),
        Just(Number::Float(1.5))
    ]
}

fn op() -> impl Strategy<Value = CompareOp> {
    use CompareOp::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
    prop::sample::select(&[Less, LessOrEqual, Greater, GreaterOrEqual, Equal, NotEqual][..])
}

fn field_test() -> impl Strategy<Value = Test> {
    let reference = (prop::sample::select(&FIELDS[..]), 0..4usize, any::<bool>()).prop_map(
        |(field, relation, sensitive)| {
            Test::FieldRef(FieldRef {
                field: field.into(),
                relation: [
                    Relation::Equals,
                    Relation::StartsWith,
                    Relation::EndsWith,
                    Relation::Contains,
                ][relation],
                case: if sensitive {
                    Case::Sensitive
                } else {
                    Case::Insensitive
                },
            })
        },
    );
    let networks = &["10.0.0.0/8", "fe80::/10", "::ffff:10.0.0.0/104"];
    let cidr = prop::sample::select(&networks[..]).prop_map(|text| {
        let (address, bits) = text.split_once('/').unwrap();
        Test::Cidr(CidrBlock::new(address.parse().unwrap(), bits.parse().unwrap()).unwrap())
    });
    prop_oneof![
        12 => pattern().prop_map(Test::Text),
        3 => regex().prop_map(Test::Regex),
        1 => cidr,
        2 => number().prop_map(Test::Number),
        1 => (op(), number()).prop_map(|(op, number)| Test::Compare { op, number }),
        1 => any::<bool>().prop_map(Test::Bool),
        1 => prop::sample::select(&[Presence::Present, Presence::Absent][..]).prop_map(Test::Exists),
        1 => Just(Test::Null),
        1 => reference,
        1 => op().prop_map(|op| Test::TimePart { part: TimePart::Hour, op, number: Number::Int(12) }),
    ]
}

fn leaf() -> impl Strategy<Value = Expr> {
    let field = (prop::sample::select(&FIELDS[..]), field_test()).prop_map(|(field, test)| {
        Expr::Field(FieldTest {
            field: field.into(),
            test,
        })
    });
    let keyword =
        prop_oneof![3 => pattern().prop_map(Test::Text), 1 => regex().prop_map(Test::Regex)];
    prop_oneof![10 => field, 2 => keyword.prop_map(Expr::Keyword), 1 => any::<bool>().prop_map(Expr::Const)]
}

fn expr() -> impl Strategy<Value = Expr> {
    leaf().prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Expr::And),
            prop::collection::vec(inner.clone(), 0..4).prop_map(Expr::Or),
            inner.prop_map(|inner| Expr::Not(Box::new(inner))),
        ]
    })
}

/// A rule.
pub(crate) fn rule() -> impl Strategy<Value = Arc<Rule>> {
    (expr(), log_source()).prop_map(|(condition, log_source)| {
        Arc::new(Rule {
            meta: meta("generated"),
            log_source,
            searches: vec![],
            condition,
            conditions: vec![],
            fields: vec![],
        })
    })
}

/// What a rule says about itself, mostly nothing.
pub(crate) fn meta(id: &str) -> Meta {
    Meta {
        id: RuleId(id.into()),
        name: None,
        title: id.into(),
        description: "".into(),
        status: None,
        level: None,
        author: "".into(),
        date: "".into(),
        modified: "".into(),
        tags: vec![],
        references: vec![],
        false_positives: vec![],
        taxonomy: "sigma".into(),
        path: "".into(),
        position: Position::default(),
        text: "".into(),
        changed_hash: None,
        alerts: Alerts::Own,
    }
}
