use std::sync::Arc;

use bumpalo::Bump;
use citywatch_parsers::{
    Event, Field, Layouts, LogSource, Origin, ParseContext, Parser, RecordBatch, Timestamp, Value,
    record::Truncated,
};
use citywatch_rules::rule::{Case, Expr, FieldTest, Meta, Number, Test, TextPart, TextPattern};
use citywatch_rules::{Rule, RuleId};

use super::{Compiled, LogSourceMode, Matcher, RuleHit};

fn rule(id: &str, product: &'static str, condition: Expr) -> Arc<Rule> {
    let meta = Meta {
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
        position: Default::default(),
        text: "".into(),
        changed_hash: None,
        alerts: Default::default(),
    };
    let log_source = LogSource {
        product: product.into(),
        ..LogSource::default()
    };
    Arc::new(Rule {
        meta,
        log_source,
        searches: vec![],
        condition,
        conditions: vec![],
        fields: vec![],
    })
}

fn text(field: &str, pattern: &str) -> Expr {
    let parts = pattern.split_inclusive('*').flat_map(|part| {
        let (literal, any) = part
            .strip_suffix('*')
            .map_or((part, false), |literal| (literal, true));
        [
            Some(TextPart::Literal(literal.into())),
            any.then_some(TextPart::Any),
        ]
    });
    let test = Test::Text(TextPattern::new(parts.flatten(), Case::Insensitive));
    if field.is_empty() {
        Expr::Keyword(test)
    } else {
        Expr::Field(FieldTest {
            field: field.into(),
            test,
        })
    }
}

fn hits(rules: &[Arc<Rule>], raw: &str, fields: &[(&str, Value<'_>)]) -> Vec<u32> {
    let compiled = Arc::new(Compiled::new(rules, LogSourceMode::Strict).unwrap());
    hits_of(&mut compiled.matcher(), raw, fields)
}

fn hits_of(matcher: &mut Matcher, raw: &str, fields: &[(&str, Value<'_>)]) -> Vec<u32> {
    let mut batch = RecordBatch::new(Arc::new(Origin::default()));
    batch.push(raw.as_bytes(), 0, Timestamp(0), Truncated::No);
    let arena = Bump::new();
    let mut event = Event::new(batch.get(0).unwrap(), "json", &arena);
    for (name, value) in fields {
        event.fields.push(Field {
            name: arena.alloc_str(name),
            value: *value,
        });
    }
    event.log_sources.push(LogSource {
        product: "windows".into(),
        ..LogSource::default()
    });
    let mut found: Vec<RuleHit> = Vec::new();
    matcher.match_event(&event, &mut found);
    found.iter().map(|hit| hit.rule.0).collect()
}

#[test]
fn a_remembered_value_rules_out_what_is_asked_for_every_event() {
    let not = |expr| Expr::Not(Box::new(expr));
    let usual = |field| Expr::Or(vec![text(field, "*.exe"), text(field, "system")]);
    let rules = [
        // The field is searched for this one's sake.
        rule("found", "windows", text("Image", "*\\powershell.exe")),
        rule("unusual", "windows", not(usual("Image"))),
        rule(
            "both unusual",
            "windows",
            Expr::And(vec![not(usual("Image")), not(text("Parent", "*.exe"))]),
        ),
        // Nothing that the one field has says what the other has not.
        rule(
            "either",
            "windows",
            Expr::Or(vec![not(usual("Image")), not(text("Parent", "*.exe"))]),
        ),
    ];
    let compiled = Arc::new(Compiled::new(&rules, LogSourceMode::Strict).unwrap());
    assert_eq!(compiled.unwitnessed().count(), 3);
    let mut matcher = compiled.matcher();
    let list = [Value::Str("a.txt"), Value::Str("B.EXE")];
    let none = [Value::Str("a.txt"), Value::Null];
    for _ in 0..4 {
        let mut of = |fields: &[(&str, Value<'_>)]| hits_of(&mut matcher, "", fields);
        let (exe, txt) = (Value::Str("B.EXE"), Value::Str("a.txt"));
        assert_eq!(of(&[("Image", exe)]), [3]);
        assert_eq!(of(&[("Image", txt)]), [1, 2, 3]);
        assert_eq!(of(&[("Image", exe), ("Parent", exe)]), [0_u32; 0]);
        assert_eq!(of(&[("Image", txt), ("Parent", exe)]), [1, 3]);
        // The first of two of a name counts.
        assert_eq!(of(&[("Image", txt), ("Image", exe)]), [1, 2, 3]);
        assert_eq!(of(&[("Image", exe), ("Image", txt)]), [3]);
        assert_eq!(of(&[("Image", Value::List(&list))]), [3]);
        assert_eq!(of(&[("Image", Value::List(&none))]), [1, 2, 3]);
    }
    let before = matcher.candidates_judged();
    assert_eq!(
        hits_of(&mut matcher, "", &[("Image", Value::Str("B.EXE"))]),
        [3]
    );
    assert_eq!(matcher.candidates_judged() - before, 1);
}

#[test]
fn rules_of_all_kinds_are_found() {
    let not = |expr| Expr::Not(Box::new(expr));
    let rules = [
        rule("suffix", "windows", text("Image", "*\\powershell.exe")),
        rule("contains", "", text("CommandLine", "*-EncodedCommand *")),
        rule("linux", "linux", text("Image", "*\\powershell.exe")),
        rule("no witness", "windows", not(text("Image", "*\\cmd.exe"))),
        rule(
            "number",
            "windows",
            Expr::Field(FieldTest {
                field: "EventID".into(),
                test: Test::Number(Number::Int(1)),
            }),
        ),
        rule("keyword", "windows", text("", "*mimikatz*")),
        rule(
            "both",
            "windows",
            Expr::And(vec![
                text("Image", "C:\\*"),
                text("CommandLine", "*a*d*"),
                not(text("User", "*")),
            ]),
        ),
        rule(
            "null",
            "windows",
            Expr::Field(FieldTest {
                field: "Absent".into(),
                test: Test::Null,
            }),
        ),
        rule("in a list", "windows", text("Tags", "ỨNG*")),
    ];
    let tags = [Value::Null, Value::Str("Ứng dụng")];
    let event = [
        ("Image", Value::Str("C:\\Windows\\PowerShell.EXE")),
        ("CommandLine", Value::Str("powershell -encodedcommand AAAA")),
        ("EventID", Value::Str("1")),
        ("Tags", Value::List(&tags)),
    ];
    assert_eq!(
        hits(&rules, "log: Mimikatz", &event),
        [0, 1, 3, 4, 5, 6, 7, 8]
    );
    assert_eq!(
        hits(
            &rules,
            "",
            &[
                ("EventID", Value::Int(1)),
                ("Image", Value::Str("c:\\cmd.exe"))
            ]
        ),
        [4, 7]
    );
}

/// Events of services whose names are alike, all with the same fields, then of one that a rule is about.
#[test]
fn log_sources_with_similar_names_are_not_taken_for_each_other() {
    let rules = [rule("rule", "payments", text("msg", "*evilthing*"))];
    let compiled = Arc::new(Compiled::new(&rules, LogSourceMode::Strict).unwrap());
    let mut matcher = compiled.matcher();
    let mut orders = Layouts::default();
    let arena = Bump::new();
    let mut batch = RecordBatch::new(Arc::new(Origin::default()));
    batch.push(b"{}", 0, Timestamp(0), Truncated::No);
    let others = (0..3_000).map(|number| format!("worker-prod-{number:04}-eu-west-1"));
    for (place, product) in others.enumerate() {
        for product in [product.as_str(), "payments"] {
            if (place, product) == (0, "payments") {
                // It comes after two of the others.
                continue;
            }
            let mut event = Event::new(batch.get(0).unwrap(), "json", &arena);
            event.fields.push(Field {
                name: "msg",
                value: Value::Str("an evilthing"),
            });
            event.order = orders.order_of(&event.fields);
            event.log_sources.push(LogSource {
                product: product.to_owned().into(),
                ..LogSource::default()
            });
            let mut found = Vec::new();
            matcher.match_event(&event, &mut found);
            assert_eq!(
                found.len(),
                usize::from(product == "payments"),
                "{place}: {product}"
            );
        }
    }
    assert!(matcher.plans_dropped() > 0);
}

/// Values that never repeat are searched for keywords together, behind those that do: each is found in its own field, none
/// in two, and fields are told in their order.
#[test]
fn keywords_are_found_in_values_that_never_repeat() {
    let rules = [
        rule("ascii", "windows", text("", "*mimikatz*")),
        rule("folded", "windows", text("", "*ứng dụng lạ*")),
    ];
    let compiled = Arc::new(Compiled::new(&rules, LogSourceMode::Strict).unwrap());
    let mut matcher = compiled.matcher();
    let mut orders = Layouts::default();
    let arena = Bump::new();
    let mut batch = RecordBatch::new(Arc::new(Origin::default()));
    batch.push(b"{}", 0, Timestamp(0), Truncated::No);
    for number in 0..3_000 {
        let (values, expected): ([String; 3], Vec<(u32, Vec<&str>)>) = match number % 5 {
            0 => (
                [
                    format!("{number} MimiKatz"),
                    format!("-{number}"),
                    "mimikatz".to_owned(),
                ],
                vec![(0, vec!["a", "c"])],
            ),
            1 => (
                [
                    format!("{number}"),
                    format!("ỨNG DỤNG LẠ {number}"),
                    "x".to_owned(),
                ],
                vec![(1, vec!["b"])],
            ),
            // The end of one and the beginning of the next.
            2 => (
                [
                    format!("{number} mimi"),
                    format!("katz {number} ứng dụng"),
                    " lạ".to_owned(),
                ],
                vec![],
            ),
            _ => (
                [format!("{number}"), format!("y{number}"), "z".to_owned()],
                vec![],
            ),
        };
        let mut event = Event::new(batch.get(0).unwrap(), "json", &arena);
        for (name, value) in ["a", "b", "c"].into_iter().zip(&values) {
            event.fields.push(Field {
                name,
                value: Value::Str(arena.alloc_str(value)),
            });
        }
        event.order = orders.order_of(&event.fields);
        event.log_sources.push(LogSource {
            product: "windows".into(),
            ..LogSource::default()
        });
        let mut found = Vec::new();
        matcher.match_event(&event, &mut found);
        let found: Vec<(u32, Vec<&str>)> = found
            .iter()
            .map(|hit| {
                let names = hit.matched.pairs(&event).map(|(name, _)| name);
                (hit.rule.0, names.collect())
            })
            .collect();
        assert_eq!(found, expected, "{values:?}");
    }
}

/// Documents whose values never repeat are searched as a whole first; what they hold besides values (names, escapes)
/// neither hides a keyword nor makes one, and numbers and booleans are searched as text where a keyword could be in them.
#[test]
fn keywords_are_found_in_documents_whose_values_never_repeat() {
    let keywords = [
        "*mimikatz*",
        "*rue*",
        "*7.25*",
        "*lạ lùng*",
        "*k\\x*",
        "*nan*",
    ];
    let rules: Vec<_> = keywords
        .iter()
        .map(|keyword| rule(keyword, "", text("", keyword)))
        .collect();
    for rules in [&rules[..], &rules[..1]] {
        let compiled = Arc::new(Compiled::new(rules, LogSourceMode::Loose).unwrap());
        let mut matcher = compiled.matcher();
        let mut parser = Parser::new(ParseContext::default());
        for number in 0..2_000 {
            // What stands in the document, and the rules that hold.
            let (values, expected): (String, &[u32]) = match number % 9 {
                0 => (r#""a":"MimiKatz","b":"-""#.to_owned(), &[0]),
                1 => (r#""a":"mimi\u006batz","b":"-""#.to_owned(), &[0]),
                2 => (r#""a":"-","mimikatz":"-""#.to_owned(), &[]),
                3 => (r#""a":true,"b":false"#.to_owned(), &[1]),
                4 => (r#""a":127.25,"b":7.2"#.to_owned(), &[2]),
                5 => (r#""a":"LẠ LÙNG","b":"-""#.to_owned(), &[3]),
                6 => (r#""a":"k\\x","b":"k\\\\x""#.to_owned(), &[4]),
                7 => (r#""a":"nan","b":["mimikatz"]"#.to_owned(), &[0, 5]),
                _ => (r#""a":"-","b":"-""#.to_owned(), &[]),
            };
            let noise = format!("value {number} of many that are different each time");
            let raw = format!(r#"{{"n":"{noise}","m":"{noise}",{values}}}"#);
            let mut batch = RecordBatch::new(Arc::new(Origin::default()));
            batch.push(raw.as_bytes(), 0, Timestamp(0), Truncated::No);
            let arena = Bump::new();
            let mut events = Vec::new();
            parser.parse_batch(&batch, &arena, &mut events);
            let mut found = Vec::new();
            matcher.match_event(&events[0], &mut found);
            let found: Vec<u32> = found.iter().map(|hit| hit.rule.0).collect();
            let known = |rule: &&u32| (**rule as usize) < rules.len();
            let expected: Vec<u32> = expected.iter().filter(known).copied().collect();
            assert_eq!(found, expected, "{raw}");
        }
    }
}

/// What is told of a part of a condition that does not hold takes nothing with it that comes behind.
#[test]
fn fields_of_alternatives_are_told_each_for_itself() {
    let either = Expr::Or(vec![
        Expr::And(vec![
            text("a", "x*"),
            Expr::Or(vec![text("b", "y*"), text("c", "z*")]),
        ]),
        text("c", "*w"),
    ]);
    let same_field = Expr::And(vec![
        Expr::Or(vec![text("c", "z*"), text("c", "*v")]),
        Expr::Not(Box::new(text("a", "n*"))),
    ]);
    let rules = [
        rule("either", "windows", either),
        rule("same field", "windows", same_field),
    ];
    // Values of a, b and c, and what is told of the rules that hold.
    type Told<'t> = &'t [(u32, &'t [&'t str])];
    let cases: [([&str; 3], Told<'_>); 5] = [
        (["-", "y", "zw"], &[(0, &["c"]), (1, &["c"])]),
        (["x", "y", "w"], &[(0, &["a", "b", "c"])]),
        (["x", "-", "z"], &[(0, &["a", "c"]), (1, &["c"])]),
        (["x", "y", "-"], &[(0, &["a", "b"])]),
        (["n", "y", "z"], &[]),
    ];
    let compiled = Arc::new(Compiled::new(&rules, LogSourceMode::Loose).unwrap());
    let mut matcher = compiled.matcher();
    let mut batch = RecordBatch::new(Arc::new(Origin::default()));
    batch.push(b"{}", 0, Timestamp(0), Truncated::No);
    for (values, expected) in cases {
        let arena = Bump::new();
        let mut event = Event::new(batch.get(0).unwrap(), "json", &arena);
        for (name, value) in ["a", "b", "c"].into_iter().zip(values) {
            event.fields.push(Field {
                name,
                value: Value::Str(value),
            });
        }
        let mut found = Vec::new();
        matcher.match_event(&event, &mut found);
        let found: Vec<(u32, Vec<&str>)> = found
            .iter()
            .map(|hit| {
                let names = hit.matched.pairs(&event).map(|(name, _)| name);
                (hit.rule.0, names.collect())
            })
            .collect();
        let expected: Vec<(u32, Vec<&str>)> = expected
            .iter()
            .map(|(rule, names)| (*rule, names.to_vec()))
            .collect();
        assert_eq!(found, expected, "{values:?}");
    }
}
