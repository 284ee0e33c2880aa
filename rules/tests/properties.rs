//! Properties: no text can make the reader panic or hang, and what it reads means one thing.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../../tests/support/cost.rs"]
mod cost;

use citywatch_parsers::Timestamp;
use citywatch_rules::fold::fold_text;
use citywatch_rules::reference::{self, RuleMatch};
use citywatch_rules::rule::{Case, Shape, TextPart, TextPattern};
use citywatch_rules::{LoadOptions, RuleSet, RuleSource};
use proptest::prelude::*;

fn load(text: &str) -> RuleSet {
    RuleSet::load([RuleSource::new("p.yml", text)], &LoadOptions::default())
}

fn rule_with(detection: &str) -> String {
    format!("title: t\nlogsource: {{product: p}}\ndetection:\n{detection}")
}

/// Words that rules are made of, so that nonsense is near enough to sense to get past the first check.
fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("title: ".to_owned()),
        Just("detection:\n".to_owned()),
        Just("  selection:\n".to_owned()),
        Just("    F|contains|all: ".to_owned()),
        Just("    F|re: ".to_owned()),
        Just("  condition: selection\n".to_owned()),
        Just("correlation:\n  type: temporal\n".to_owned()),
        Just("  timespan: 5m\n".to_owned()),
        Just("logsource: {product: x}\n".to_owned()),
        Just("---\n".to_owned()),
        Just("&a ".to_owned()),
        Just("*a ".to_owned()),
        Just("<<: ".to_owned()),
        "[\\[\\]{}:,'\"|>&*!%#\n -]{0,6}",
        "\\PC{0,8}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_without_panic(words in prop::collection::vec(word(), 0..40)) {
        let text = words.concat();
        let set = load(&text);
        for problem in &set.problems {
            prop_assert!(problem.position.line >= 1, "{problem}");
        }
    }

    #[test]
    fn any_condition_is_read_without_panic(
        condition in prop::collection::vec(
            prop_oneof![Just("("), Just(")"), Just("not"), Just("and"), Just("or"), Just("1"), Just("all"), Just("of"), Just("them"), Just("a"), Just("a*"), Just("_b"), Just("|")],
            0..30,
        )
    ) {
        load(&rule_with(&format!("  a: {{F: 1}}\n  _b: {{G: 1}}\n  condition: {:?}\n", condition.join(" "))));
    }

    #[test]
    fn any_regex_compiles_or_says_why(regex in "(\\PC|[\\\\()\\[\\]{}|*+?^$.,:<=!&~-]|[a-z0-9]){0,20}") {
        let text = rule_with(&format!("  a:\n    F|re: '{}'\n  condition: a\n", regex.replace('\'', "''")));
        let set = load(&text);
        prop_assert_eq!(set.rules.len() + set.problems.len(), 1, "{:?}", set.problems);
        for problem in &set.problems {
            prop_assert!(problem.to_string().contains("regular expression"), "{}", problem);
        }
    }

    /// The pattern's shapes and its parts must agree: matching is defined twice, once for speed.
    #[test]
    fn shapes_agree_with_a_regular_expression(
        parts in prop::collection::vec(
            prop_oneof![Just("*"), Just("?"), Just("a"), Just("B"), Just("ab"), Just("\\*"), Just("\\"), Just("é")],
            0..6,
        ),
        text in "[abAB*?\\\\éÉ]{0,8}",
    ) {
        let source = parts.concat();
        let yaml = rule_with(&format!("  a: {{F: '{source}'}}\n  condition: a\n"));
        let set = load(&yaml);
        prop_assert_eq!(set.problems.len(), 0);
        let mut pattern = None;
        set.rules[0].condition.walk(&mut |expr| {
            if let citywatch_rules::Expr::Field(test) = expr
                && let citywatch_rules::Test::Text(found) = &test.test
            {
                pattern = Some(found.clone());
            }
        });
        let pattern = pattern.unwrap();
        let mut regex = String::from("(?is)^");
        for part in pattern.parts() {
            match part {
                TextPart::Literal(literal) => regex.push_str(&regex::escape(literal)),
                TextPart::One => regex.push('.'),
                TextPart::Any => regex.push_str(".*"),
            }
        }
        regex.push('$');
        let expected = regex::Regex::new(&regex).unwrap().is_match(&text);
        prop_assert_eq!(reference::text_fits(&pattern, &text), expected, "{} {:?}", source, text);
    }

    #[test]
    fn patterns_print_what_they_read(text in "[ab*?\\\\]{0,10}") {
        let read = |text: &str| {
            let yaml = rule_with(&format!("  a: {{F|cased: '{text}'}}\n  condition: a\n"));
            format!("{:?}", load(&yaml).rules[0].condition)
        };
        let set = load(&rule_with(&format!("  a: {{F|cased: '{text}'}}\n  condition: a\n")));
        let citywatch_rules::Expr::Field(test) = &set.rules[0].condition else { panic!() };
        let citywatch_rules::Test::Text(pattern) = &test.test else { panic!() };
        prop_assert_eq!(read(&text), read(&pattern.to_string()));
    }

    #[test]
    fn folding_is_idempotent_and_keeps_the_number_of_characters(text in "\\PC{0,20}") {
        let folded = fold_text(&text).into_owned();
        prop_assert_eq!(fold_text(&folded), folded.as_str());
        prop_assert_eq!(folded.chars().count(), text.chars().count());
    }

    #[test]
    fn canonical_patterns_have_no_parts_that_could_be_one(
        parts in prop::collection::vec(prop_oneof![
            Just(TextPart::Any), Just(TextPart::One), "[a-z]{0,2}".prop_map(|text| TextPart::Literal(text.into()))
        ], 0..10)
    ) {
        let pattern = TextPattern::new(parts, Case::Insensitive);
        for pair in pattern.parts().windows(2) {
            let both_literal = matches!(pair, [TextPart::Literal(_), TextPart::Literal(_)]);
            let any_first = matches!(pair, [TextPart::Any, TextPart::Any | TextPart::One]);
            prop_assert!(!both_literal && !any_first, "{:?}", pattern);
        }
        if pattern.parts().is_empty() {
            prop_assert_eq!(pattern.shape(), Shape::Equals(""));
        }
    }

    /// The order of arrival and repetitions never change the alerts; a monotone alert is never taken back.
    #[test]
    fn alerts_are_a_function_of_the_set_of_matches(
        events in prop::collection::vec((0usize..3, 0i64..100, 0u8..2), 1..20),
        seed in any::<u64>(),
        kind in 0usize..8,
    ) {
        let body = [
            "type: event_count\n  condition: {gte: 3}",
            "type: value_count\n  condition: {field: V, gte: 3}",
            "type: temporal",
            "type: temporal_ordered",
            "type: temporal\n  condition: r0 and (r1 or r2)",
            "type: event_count\n  condition: {eq: 3}",
            "type: value_avg\n  condition: {field: V, gt: 50}",
            "type: temporal\n  condition: r0 and r1 and not r2",
        ][kind];
        let rules: String = (0..3)
            .map(|n| format!("title: r{n}\nname: r{n}\nlogsource: {{}}\ndetection: {{s: {{E: {n}}}, condition: s}}\n---\n"))
            .collect();
        let set = load(&format!("{rules}title: c\ncorrelation:\n  rules: [r0, r1, r2]\n  group-by: [G]\n  timespan: 10s\n  {body}\n"));
        prop_assert_eq!(set.problems.len(), 0, "{:?}", set.problems);
        let matches: Vec<RuleMatch> = events
            .iter()
            .enumerate()
            .map(|(index, &(rule, second, group))| RuleMatch {
                rule,
                event: index as u128,
                time: Timestamp::from_seconds(second),
                fields: vec![("G".to_owned(), Some(group.to_string())), ("V".to_owned(), Some(second.to_string()))],
            })
            .collect();
        let alerts = reference::correlate(&set, &matches);
        let mut shuffled = matches.clone();
        shuffled.sort_by_key(|found| (found.event as u64).wrapping_mul(seed | 1));
        shuffled.extend(matches.iter().take(5).cloned());
        prop_assert_eq!(&reference::correlate(&set, &shuffled), &alerts);
        if set.correlations[0].kind.is_monotone() {
            let fewer = reference::correlate(&set, &matches[1..]);
            for alert in &fewer {
                prop_assert!(
                    alerts.iter().any(|other| other.group == alert.group && other.window_start == alert.window_start),
                    "{:?} was taken back", alert
                );
            }
        }
    }
}

#[test]
fn hostile_files_are_bounded() {
    let long_key = format!("title: {}\n", "x".repeat(1 << 20));
    let deep = "[".repeat(1 << 20);
    let deep_block = (0..2_000)
        .map(|n| format!("{}- \n", " ".repeat(n)))
        .collect::<String>();
    let many_documents = "---\na\n".repeat(20_000);
    let many_parentheses = rule_with(&format!(
        "  a: {{F: 1}}\n  condition: {}a\n",
        "(".repeat(1 << 20)
    ));
    let many_nots = rule_with(&format!(
        "  a: {{F: 1}}\n  condition: {}a\n",
        "not ".repeat(1 << 18)
    ));
    let many_names = rule_with(&format!(
        "  a: {{F: [{}]}}\n  condition: a{}\n",
        vec!["x"; 10_000].join(","),
        " and a".repeat(100_000)
    ));
    let many_stars = rule_with(&format!(
        "  {}: {{F: 1}}\n  condition: 1 of {}b\n",
        "a".repeat(1_000),
        "*a".repeat(10_000)
    ));
    let too_large = "a".repeat((10 << 20) + 1);
    let many_keys: String = (0..50_000).map(|n| format!("k{n}: 1\n")).collect();
    let many_values = rule_with(&format!(
        "  a: {{F: [{}]}}\n  condition: a\n",
        vec!["x"; 100_000].join(",")
    ));
    let nul = "\0\0\0";
    let many_dashes = rule_with(&format!(
        "  a: {{F|windash|contains: '{}'}}\n  condition: a\n",
        " -a".repeat(100_000)
    ));
    for text in [
        &long_key,
        &deep,
        &deep_block,
        &many_documents,
        &many_parentheses,
        &many_nots,
        &many_names,
        &many_stars,
        &too_large,
        &many_keys,
        &many_dashes,
        nul,
    ] {
        let (set, taken) = cost::of(|| load(text));
        assert!(
            !set.problems.is_empty() || text.trim().is_empty(),
            "{:?}",
            &text[..50.min(text.len())]
        );
        assert!(
            taken.as_secs() < 60,
            "{taken:?} for {:?}",
            &text[..50.min(text.len())]
        );
    }
    // A list is as long as it is.
    let (set, taken) = cost::of(|| load(&many_values));
    assert!(set.problems.is_empty() && set.rules.len() == 1);
    assert!(taken.as_secs() < 60, "{taken:?}");
}
