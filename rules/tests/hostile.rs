//! Rule files that a little text makes expensive: each must be read, or refused with its reason, at a cost and with
//! messages in proportion to the file. Before each of these had a bound, the file took minutes or gigabytes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../tests/support/cost.rs"]
mod cost;

use std::time::Duration;

use citywatch_rules::{LoadOptions, RuleSet, RuleSource};

/// What the slowest of these may cost: a thousand times what a rule costs, on a slow machine, in a debug build. What
/// they cost without bounds is minutes to hours.
const COST_MAX: Duration = Duration::from_secs(60);

const HEAD: &str = "title: T\nid: t\nlogsource: {category: test}\ndetection:\n";

fn load(text: String) -> RuleSet {
    let source = RuleSource::new("h.yml", text);
    let (set, cost) = cost::of(|| RuleSet::load([source], &LoadOptions::default()));
    assert!(cost < COST_MAX, "{cost:?}");
    for problem in &set.problems {
        assert!(problem.to_string().len() < 2_000);
    }
    set
}

/// The one problem of a file.
fn refused(text: String, said: &str) {
    let set = load(text);
    let first = set.problems.first().map(ToString::to_string);
    assert!(
        first.as_ref().is_some_and(|first| first.contains(said)),
        "{first:?}"
    );
}

fn value(item: &str, value: &str) -> String {
    format!("{HEAD}  s:\n    {item}: '{value}'\n  condition: s\n")
}

fn rule(number: usize) -> String {
    format!(
        "---\ntitle: r{number}\nid: r{number}\nlogsource: {{category: test}}\ndetection: {{s: {{A: {number}}}, condition: s}}\n"
    )
}

fn correlation(number: usize, of: &str) -> String {
    format!(
        "---\ntitle: c{number}\nname: c{number}\ncorrelation:\n  type: event_count\n  rules: [{of}]\n  timespan: 5m\n  condition: {{gte: 2}}\n"
    )
}

#[test]
fn regular_expressions_are_read_in_one_pass() {
    // Each of these begins something whose end was looked for to the end of the text.
    for unit in ["{", "[:", "\\\\p{", "\\\\x{", "(?#"] {
        let pattern = unit.repeat(99_000 / unit.len()).replace("\\\\", "\\");
        load(value("A|re", &pattern));
        load(value("A|re", &format!("[{pattern}]")));
    }
    refused(
        value("A|re", &"a".repeat(200_000)),
        "it has 200000 bytes, the limit is 100000",
    );
}

#[test]
fn regular_expressions_are_bounded_together() {
    let items: String = (0..600)
        .map(|n| format!("      - '[0-9a-f]{{4000}}{n}'\n"))
        .collect();
    refused(
        format!("{HEAD}  s:\n    A|re:\n{items}  condition: s\n"),
        "more than 134217728 bytes of regular expressions",
    );
}

#[test]
fn dashes_do_not_multiply_long_texts() {
    let long = "x".repeat(1_000_000);
    assert_eq!(load(value("A|windash|contains", &long)).rules.len(), 1);
    refused(
        value("A|windash", &format!("{long} -a -b -c -d")),
        "bytes of patterns, more than 16777216; shorten its values or split it",
    );
}

#[test]
fn conditions_do_not_multiply_searches() {
    let values: String = (0..5_000).map(|n| format!("      - v{n}\n")).collect();
    let search = format!("{HEAD}  s:\n    A:\n{values}  condition");
    refused(
        format!("{search}:\n{}", "    - s\n".repeat(10_000)),
        "it has more than 200000 parts",
    );
    let three: String = ["a", "b", "c"]
        .map(|name| format!("  {name}:\n    A:\n{values}"))
        .concat();
    load(format!("{HEAD}{three}  condition: 2 of them\n"));
    // Names are looked up, not searched for.
    let many: String = (0..1_000)
        .map(|n| format!("  s{n}: {{A: {n}}}\n"))
        .collect();
    let names: Vec<String> = (0..10_000).map(|n| format!("s{}", n % 1_000)).collect();
    let set = load(format!("{HEAD}{many}  condition: {}\n", names.join(" or ")));
    assert_eq!(set.rules.len(), 1, "{:?}", set.problems);
    refused(
        format!(
            "{HEAD}  s: {{A: 1}}\n  condition: {}\n",
            "s or ".repeat(30_000)
        ),
        "it has 149999 bytes, the limit is 100000",
    );
    refused(
        format!(
            "{HEAD}{}  condition: s1\n",
            (0..2_000)
                .map(|n| format!("  s{n}: {{A: 1}}\n"))
                .collect::<String>()
        ),
        "more than 1000 searches",
    );
    refused(
        format!(
            "{HEAD}  s: {{A: 1}}\n  condition: {}s{}\n",
            "(".repeat(10_000),
            ")".repeat(10_000)
        ),
        "nested deeper than 100 levels",
    );
}

#[test]
fn rules_are_bounded_together() {
    let values: String = (0..9_000).map(|n| format!(" v{n},")).collect();
    let twenty = ["s"; 20].join(" or ");
    let large = |number: usize| {
        format!(
            "---\ntitle: {number}\nlogsource: {{category: test}}\ndetection:\n  s: {{A: [{values}]}}\n  condition: [{twenty}]\n"
        )
    };
    let set = load((0..13).map(large).collect());
    assert_eq!((set.rules.len(), set.problems.len()), (10, 3));
    let last = set.problems.last().unwrap().to_string();
    assert!(last.contains("more than 2000000 tests"), "{last}");
    // What a broken rule took is given back.
    let broken = |number: usize| large(number).replace("condition: [", "condition: [s, t, ");
    let set = load((0..13).map(broken).chain([large(13)]).collect());
    assert_eq!((set.rules.len(), set.problems.len()), (1, 13));
}

#[test]
fn filters_do_not_multiply_rules() {
    let values: String = (0..9_000).map(|n| format!(" v{n},")).collect();
    let filter = format!(
        "---\ntitle: f\nlogsource: {{category: test}}\nfilter: {{rules: any, s: {{A: [{values}]}}, condition: not s}}\n"
    );
    let set = load((0..1_000).map(rule).chain([filter]).collect());
    assert_eq!(set.rules.len(), 1_000);
    assert_eq!(set.problems.len(), 1);
    let said = set.problems[0].to_string();
    assert!(said.contains("more than 2000000 tests"), "{said}");
}

#[test]
fn what_is_not_there_is_not_looked_for_without_end() {
    let names: String = (0..20_000).map(|n| format!(" rx{n}y,")).collect();
    let filter = format!(
        "---\ntitle: f\nlogsource: {{category: test}}\nfilter: {{rules: [{names}], s: {{A: 1}}, condition: not s}}\n"
    );
    let set = load((0..3_000).map(rule).chain([filter]).collect());
    assert_eq!(set.problems.len(), 20_000);
    let set = load(
        (0..3_000)
            .map(|n| correlation(n, &format!("xc{n}y")))
            .collect(),
    );
    assert_eq!(set.problems.len(), 3_000);
}

#[test]
fn correlations_are_put_in_order_in_one_pass() {
    let set = load(
        (0..10_000)
            .map(|n| correlation(n, &format!("c{}", n + 1)))
            .chain([rule(1).replace("r1", "c10000")])
            .collect(),
    );
    assert_eq!((set.correlations.len(), set.problems.len()), (10_000, 0));
    let set = load(
        (0..10_000)
            .map(|n| correlation(n, &format!("c{}", (n + 1) % 10_000)))
            .collect(),
    );
    assert_eq!(set.problems.len(), 10_000);
    let said = set.problems[0].to_string();
    assert!(
        said.ends_with(
            "circle: c0 -> c1 -> c2 -> c3 -> c4 -> c5 -> c6 -> c7 -> c8 -> c9 -> c10; break it"
        ),
        "{said}"
    );
    let words: Vec<String> = (0..10_000).map(|n| format!("c{n}")).collect();
    refused(
        format!(
            "title: c\ncorrelation:\n  type: temporal\n  timespan: 5m\n  condition: {}\n",
            words.join(" or ")
        ),
        "more than 1000 rules",
    );
}

#[test]
fn aliases_do_not_multiply_texts() {
    let long = "x".repeat(100_000);
    refused(
        format!("title: &a {long}\ntags: [{}]\n", "*a,".repeat(10_000)),
        "aliases",
    );
    let map: String = (0..1_000).map(|n| format!("k{n}: 1,")).collect();
    let merges: String = (0..100)
        .map(|n| format!("b{n}: {{<<: [{}]}}\n", "*a,".repeat(1_000)))
        .collect();
    refused(format!("a: &a {{{map}}}\n{merges}"), "aliases");
}

#[test]
fn a_file_that_is_none_is_left_early() {
    let set = load("---\nx\n".repeat(500_000));
    assert_eq!(set.problems.len(), 1_001);
    let last = set.problems.last().unwrap().to_string();
    assert!(
        last.contains("more than 1000 problems in one file"),
        "{last}"
    );
}

/// A message repeats the beginning of what is wrong, never megabytes of it.
#[test]
fn messages_stay_short() {
    let long = "x".repeat(1_000_000);
    for text in [
        value(&format!("? A|{long}\n   "), "x"),
        value("A|cidr", &long),
        value("A|re", &format!("({long}")),
        format!("{HEAD}  s: {{A: 1}}\n  condition: {}\n", &long[..90_000]),
        format!(
            "{HEAD}  s: {{A: 1}}\n  condition: 1 of {}*\n",
            &long[..90_000]
        ),
        format!("title: T\nlevel: {long}\n"),
        rule(1).replace("r1", &long).repeat(2),
        correlation(1, &long),
    ] {
        assert!(!load(text).problems.is_empty());
    }
}
