//! The reader against simd-json, which it replaced, on generated, broken and recorded texts; and its narrow
//! steps against its wide ones.

use proptest::prelude::*;
use simd_json::StaticNode;

use super::*;
use crate::event::Field;
use crate::layouts::{EMPTY, Layouts};

/// A value in the form that both readers' answers are brought to.
#[derive(Clone, Debug, PartialEq)]
enum Tree {
    Scalar(String),
    Map(Vec<(String, Tree)>),
    List(Vec<Tree>),
}

fn own(width: Width, text: &str) -> Option<Tree> {
    let arena = Bump::new();
    let (mut nodes, mut open) = (Vec::new(), Vec::new());
    read(width, text, &arena, &mut nodes, &mut open)?;
    let (tree, rest) = tree_of(&nodes);
    assert!(rest.is_empty());
    Some(tree)
}

fn tree_of<'n>(nodes: &'n [Node<'_>]) -> (Tree, &'n [Node<'n>]) {
    let (first, mut rest) = nodes.split_first().unwrap();
    let tree = match *first {
        Node::Scalar(value) => Tree::Scalar(format!("{value:?}")),
        Node::Object { len, count } => {
            let behind = &rest[count..];
            let members = (0..len)
                .map(|_| {
                    let Node::Scalar(Value::Str(name)) = rest[0] else {
                        panic!("a member without a name");
                    };
                    let (value, more) = tree_of(&rest[1..]);
                    rest = more;
                    (name.to_owned(), value)
                })
                .collect();
            assert_eq!(rest.len(), behind.len());
            Tree::Map(members)
        }
        Node::Array { len, count } => {
            let behind = &rest[count..];
            let items = (0..len)
                .map(|_| {
                    let (value, more) = tree_of(rest);
                    rest = more;
                    value
                })
                .collect();
            assert_eq!(rest.len(), behind.len());
            Tree::List(items)
        }
    };
    (tree, rest)
}

/// simd-json's answer in the same form; only maps and lists count as texts.
fn theirs(text: &str) -> Option<Tree> {
    let mut bytes = text.as_bytes().to_vec();
    let tape = simd_json::to_tape(&mut bytes).ok()?;
    let tree = their_tree(&tape.0, &mut 0);
    (!matches!(tree, Tree::Scalar(_))).then_some(tree)
}

fn their_tree(nodes: &[simd_json::Node<'_>], at: &mut usize) -> Tree {
    let node = nodes[*at];
    *at += 1;
    let value = match node {
        simd_json::Node::String(text) => Value::Str(text),
        simd_json::Node::Static(StaticNode::Null) => Value::Null,
        simd_json::Node::Static(StaticNode::Bool(value)) => Value::Bool(value),
        simd_json::Node::Static(StaticNode::I64(value)) => Value::Int(value),
        simd_json::Node::Static(StaticNode::U64(value)) => {
            i64::try_from(value).map_or(Value::UInt(value), Value::Int)
        }
        simd_json::Node::Static(StaticNode::F64(value)) => Value::Float(value),
        simd_json::Node::Object { len, .. } => {
            let members = (0..len).map(|_| {
                let simd_json::Node::String(name) = nodes[*at] else {
                    panic!("a member without a name");
                };
                *at += 1;
                (name.to_owned(), their_tree(nodes, at))
            });
            return Tree::Map(members.collect());
        }
        simd_json::Node::Array { len, .. } => {
            return Tree::List((0..len).map(|_| their_tree(nodes, at)).collect());
        }
    };
    Tree::Scalar(format!("{value:?}"))
}

fn check(text: &str) {
    let wanted = theirs(text);
    for width in Width::possible() {
        assert_eq!(own(width, text), wanted, "{width:?}: {text}");
    }
}

#[test]
fn forms_and_refusals() {
    for text in [
        "{}",
        "[]",
        " [ ] ",
        "[1,2]",
        "[1 ,\t2\r\n]",
        "{\"a\":1}",
        "{ \"a\" : { \"b\" : [ null , true , false ] } } ",
        "",
        " ",
        "{",
        "}",
        "[",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{\"a\":1]",
        "[1}",
        "[]]",
        "[] x",
        "1",
        "\"a\"",
        "[tru]",
        "[truex]",
        "[nul",
        "[True]",
        "[\"a]",
        "[\"\t\"]",
        "[\"\u{0}\"]",
        "[\"\u{7f}\"]",
        "[\"\\x\"]",
        "[\"\\\"]",
        "[\"\\u12\"]",
        "[\"\\u00e9\\u0041\"]",
        "[\"\\ud83d\\ude00\"]",
        "[\"\\ud83d\"]",
        "[\"\\ude00\"]",
        "[\"\\ud83d\\u0041\"]",
        "[\"\\ud83dx\"]",
        "[\"\\uD83D\\uDE00\\/\\b\\f\\n\\r\\t\\\\\\\"\"]",
        "[0]",
        "[-0]",
        "[00]",
        "[01]",
        "[-]",
        "[+1]",
        "[1.]",
        "[.5]",
        "[1.5]",
        "[1e5]",
        "[1E+5]",
        "[1e-5]",
        "[1e]",
        "[1e+]",
        "[-1.25e2]",
        "[999999999999999999]",
        "[9223372036854775807]",
        "[9223372036854775808]",
        "[18446744073709551615]",
        "[-9223372036854775808]",
        "[0.1]",
        "[1e308]",
        "[1e309]",
        "[123456789012345678.5]",
        "[0.30000000000000004]",
        "[5e-324]",
        "[2.2250738585072011e-308]",
        "{\"a\":1,\"a\":2}",
        "{\"\":\"\"}",
        "\u{FEFF}{}",
        "[\u{a0}]",
        "[\"Ấp Bắc\"]",
    ] {
        check(text);
    }
}

#[test]
fn every_length_and_place_of_an_escape() {
    for length in 0..140 {
        check(&format!("[\"{}\"]", "a".repeat(length)));
        for (place, escape) in [
            "\\n",
            "\\\\",
            "\\\"",
            "\\u1ea4",
            "\\\\\\\\\\\\",
            "\\\"\\n\\\\",
        ]
        .iter()
        .enumerate()
        {
            for behind in [0, 1, 31, 32, 33, 70] {
                let text = format!(
                    "{{\"k\":\"{}{escape}{}\",\"l\":\"{escape}\",\"m\":{place}}}",
                    "é".repeat(length / 2),
                    "b".repeat(behind)
                );
                check(&text);
            }
        }
    }
}

#[test]
fn whole_numbers_beyond_64_bits_are_doubles() {
    let tree = own(
        Width::default(),
        "[18446744073709551616,-9223372036854775809]",
    );
    let floats = [
        "Float(1.8446744073709552e19)",
        "Float(-9.223372036854776e18)",
    ];
    assert_eq!(
        tree,
        Some(Tree::List(
            floats.map(|float| Tree::Scalar(float.to_owned())).to_vec()
        ))
    );
    let value: serde_json::Value = serde_json::from_str("18446744073709551616").unwrap();
    assert_eq!(value.as_f64(), Some(1.844_674_407_370_955_2e19));
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(own(Width::default(), &nested(DEPTH_MAX)).is_some());
    assert!(own(Width::default(), &nested(DEPTH_MAX + 1)).is_none());
    assert!(own(Width::default(), &"[{\"a\":".repeat(100_000)).is_none());
}

/// Recorded events: nothing but these texts decides whether the reader is right on what is really written.
#[test]
fn recorded_texts() {
    let mut folders = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata")];
    let mut texts = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = std::fs::read(path).unwrap();
            for text in String::from_utf8_lossy(&bytes)
                .lines()
                .filter(|line| line.starts_with('{'))
            {
                check(text);
                texts += 1;
            }
        }
    }
    assert!(texts > 20, "only {texts} texts");
}

fn values() -> impl Strategy<Value = serde_json::Value> {
    let scalar = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
        "[a-c\\\\\"\n\t/é\u{1}😀]{0,80}".prop_map(Into::into),
    ];
    scalar.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::vec((any::<String>(), inner), 0..6)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn generated_texts(value in values(), pretty: bool) {
        let value = serde_json::json!([value]);
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
        let text = text.unwrap();
        check(&text);
        prop_assert!(own(Width::default(), &text).is_some());
    }

    #[test]
    fn broken_texts(
        value in values(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), "[\\[\\]{}:,\"\\\\0-9eE.+ tfnu\n-]{0,3}", 0_usize..4), 1..5),
    ) {
        let mut text = serde_json::to_string(&serde_json::json!({"k": value, "l": [1.5, "\\x"]})).unwrap();
        for (place, put, taken) in changes {
            let mut from = place.index(text.len());
            let mut to = (from + taken).min(text.len());
            while !text.is_char_boundary(from) { from -= 1; }
            while !text.is_char_boundary(to) { to += 1; }
            text.replace_range(from..to, &put);
        }
        // Digits in a row beyond 64 bits are the one case in which the readers differ by intent.
        let longest = text.split(|c: char| !c.is_ascii_digit()).map(str::len).max().unwrap_or(0);
        prop_assume!(longest < 18);
        check(&text);
    }
}

/// Reads an object whose names were learned before, in this order.
fn foreseen(width: Width, names: &[&str], text: &str) -> Option<Vec<(String, String)>> {
    let (arena, mut layouts) = (Bump::new(), Layouts::default());
    let mut layout = EMPTY;
    for name in names {
        layout = layouts.learn(layout, name);
    }
    let mut fields = bumpalo::collections::Vec::new_in(&arena);
    let read = flat::read_foreseen(width, text, &arena, &mut layouts, &mut fields)?;
    assert_eq!(read, layout, "{text}");
    let told = |field: &Field<'_>| (field.name.to_owned(), format!("{:?}", field.value));
    Some(fields.iter().map(told).collect())
}

#[test]
fn objects_of_known_names_are_read_at_once() {
    let text = r#"{"a": 1, "b":"x\ny" ,"none":[], "c.d":["p", 2.5 ,null],"e":{ },"f":-0.25}"#;
    let wanted = [
        ("a", Value::Int(1)),
        ("b", Value::Str("x\ny")),
        (
            "c.d",
            Value::List(&[Value::Str("p"), Value::Float(2.5), Value::Null]),
        ),
        ("f", Value::Float(-0.25)),
    ];
    let wanted: Vec<_> = wanted
        .iter()
        .map(|(name, value)| ((*name).to_owned(), format!("{value:?}")))
        .collect();
    for width in Width::possible() {
        let found = foreseen(width, &["a", "b", "c.d", "f"], text);
        assert_eq!(found.as_ref(), Some(&wanted), "{width:?}");
        // A name that is not known, another form, or no JSON.
        for (names, text) in [
            (&["a", "b", "c.d"][..], text),
            (&["a", "b"], r#"{"a":1,"b":{"c":2}}"#),
            (&["a", "b"], r#"{"a":1,"b":[[]]}"#),
            (&["a"], r#"{"a":1}"#),
            (&["ID", "b"], r#"{"ID":1,"b":2}"#),
            (&["a", "b"], r#"{"a":1,"b":2"#),
            (&["a", "b"], r#"{"a":1,"b":2}x"#),
            (&["a\"b", "c"], r#"{"a"b":1,"c":2}"#),
        ] {
            assert_eq!(foreseen(width, names, text), None, "{width:?}: {text}");
        }
    }
}
