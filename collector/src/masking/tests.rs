//! What is masked and what is not: folders of texts, and properties.

use proptest::prelude::*;

use super::*;

fn masker_of(kinds: &[&str], patterns: &[(&str, &str)]) -> Masker {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    fs::write(&path, "0123456789abcdef0123456789abcdef\n").unwrap();
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let pattern = |(name, pattern): &(&str, &str)| (name.to_string(), pattern.to_string());
    let config = MaskingConfig {
        key_file: Some(path),
        kinds: kinds.iter().map(ToString::to_string).collect(),
        patterns: patterns.iter().map(pattern).collect(),
    };
    assert_eq!(config.problems([]), Vec::<String>::new());
    let masking = Masking::load(&config).unwrap();
    Arc::into_inner(masking.of_source(None).unwrap().unwrap()).unwrap()
}

fn masker() -> Masker {
    masker_of(&KINDS, &[])
}

fn masked(masker: &Masker, text: &str) -> String {
    String::from_utf8(masker.mask(text.as_bytes()).into_owned()).unwrap()
}

/// Texts of a folder, each line a text of its own.
fn lines(folder: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata/masking")
        .join(folder);
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut lines = Vec::new();
    for path in files {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).unwrap();
        let texts = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with("## "));
        lines.extend(texts.map(|line| (name.clone(), line.to_owned())));
    }
    assert!(!lines.is_empty());
    lines
}

/// `[[...]]` stands around each value of the positives; the file's name is its kind.
#[test]
fn values_are_found_where_they_are_marked_and_nowhere_else() {
    let masker = masker();
    for (kind, line) in lines("positive") {
        let (mut text, mut expected) = (String::new(), Vec::new());
        let mut rest = line.as_str();
        while let Some((before, after)) = rest.split_once("[[") {
            let (value, behind) = after.split_once("]]").unwrap();
            text.push_str(before);
            expected.push((text.len()..text.len() + value.len(), kind.as_str()));
            text.push_str(value);
            rest = behind;
        }
        text.push_str(rest);
        let found = masker.find(text.as_bytes());
        let found: Vec<_> = found
            .iter()
            .map(|found| (found.range.clone(), found.kind))
            .collect();
        assert_eq!(found, expected, "{kind}: {text}");
    }
}

#[test]
fn other_texts_stay_as_they_are() {
    let masker = masker();
    for (name, line) in lines("negative") {
        assert_eq!(masked(&masker, &line), line, "{name}");
    }
}

#[test]
fn the_same_value_has_one_token_however_it_is_written_and_another_under_another_key() {
    let masker = masker();
    let token = |text: &str| {
        let masked = masked(&masker, text);
        let start = masked.find('<').unwrap();
        masked[start..=masked.find('>').unwrap()].to_owned()
    };
    let phone = token("gọi 0901234567");
    assert_eq!(phone.len(), "<phone:>".len() + 12);
    for text in [
        "+84901234567",
        "+84 90 123 4567",
        "0901.234.567",
        "(+84) 901234567",
        "?to=%2B84901234567",
    ] {
        assert_eq!(token(text), phone, "{text}");
    }
    assert_ne!(token("0901234568"), phone);
    assert_eq!(
        token("An.Nguyen@Example.VN"),
        token("u=an.nguyen%40example.vn")
    );
    assert_ne!(token("4111 1111 1111 1111"), token("5555555555554444"));
}

#[test]
fn json_stays_json_and_xml_stays_xml() {
    let masker = masker();
    let json = r#"{"phone":84901234567,"list":[84901234567, "a\"0901234567","x\\"],"m":"line\nan@example.vn","t":"\u002B84901234567","n":-123456789.5}"#;
    let text = masked(&masker, json);
    let value: serde_json::Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let phone = value["phone"].as_str().unwrap().to_owned();
    assert!(phone.starts_with("<phone:"), "{text}");
    assert_eq!(value["list"][0], phone.as_str());
    assert_eq!(value["list"][1], format!("a\"{phone}"));
    assert_eq!(value["t"], phone.as_str());
    assert!(
        value["m"].as_str().unwrap().starts_with("line\n<email:"),
        "{text}"
    );
    assert_eq!(value["n"], -123_456_789.5);
    let syslog = format!("<13>1 2026-11-22T10:00:00Z host app - - - {json}");
    let text = masked(&masker, &syslog);
    let (_, json) = text.split_once("- - - ").unwrap();
    assert!(
        serde_json::from_str::<serde_json::Value>(json).is_ok(),
        "{text}"
    );

    let xml = masked(&masker, "<Data Name='Mail'>an@example.vn</Data>");
    assert!(
        xml.starts_with("<Data Name='Mail'>&lt;email:") && xml.ends_with("&gt;</Data>"),
        "{xml}"
    );
}

#[test]
fn own_patterns_mask_their_group_and_have_bounds() {
    let masker = masker_of(
        &["student"],
        &[
            ("student", r"student=([A-Z]{2}[0-9]{6})"),
            ("other", "x{1,2}"),
        ],
    );
    let text = masked(&masker, "student=AB123456 x an@example.vn");
    assert!(
        text.starts_with("student=<student:") && text.ends_with("> x an@example.vn"),
        "{text}"
    );

    let problem =
        |name: &str, pattern: &str| patterns::compile(name, pattern).unwrap_err().to_string();
    assert!(problem("a", "x+").contains("write a bound"));
    assert!(problem("a", "x?").contains("matches nothing at all"));
    assert!(problem("a", "(").contains("masking.patterns.a: "));
    assert!(problem("email", "x").contains("has this name already"));
    assert!(problem("A>", "x").contains("lower-case letters"));
}

#[test]
fn what_makes_no_sense_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let config = |kinds: &[&str]| MaskingConfig {
        key_file: Some(path.clone()),
        kinds: kinds.iter().map(ToString::to_string).collect(),
        ..MaskingConfig::default()
    };
    assert!(config(&["email"]).problems([])[0].contains("No such file"));
    fs::write(&path, "0123456789abcdef0123456789abcdef").unwrap();
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
    assert!(
        config(&["email"]).problems([])[0].contains("others may read it (mode 0640): `chmod 600`")
    );
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let unknown = config(&["emial"]).problems([]);
    assert!(
        unknown[0].contains("masking.kinds: unknown kind `emial`; did you mean `email`?"),
        "{unknown:?}"
    );
    let own = ["phones".to_owned()];
    let unknown = config(&[]).problems([("files[0].mask".into(), Some(own.as_slice()))]);
    assert!(
        unknown[0].starts_with("files[0].mask: unknown kind `phones`"),
        "{unknown:?}"
    );
    fs::write(&path, "short").unwrap();
    assert!(config(&["email"]).problems([])[0].contains("5 characters are too few"));
    let none = MaskingConfig {
        kinds: vec!["email".into()],
        ..MaskingConfig::default()
    };
    assert!(none.problems([])[0].contains("masking.key_file: missing"));
    assert_eq!(MaskingConfig::default().problems([]), Vec::<String>::new());
}

#[test]
fn the_time_is_linear() {
    // Each of these would take very long if it were squared.
    let masker = masker_of(
        &["cccd", "cmnd", "phone", "email", "card", "own"],
        &[("own", "a[b ]{1,100}c")],
    );
    for unit in [
        "@", "a@b.", "0", "0 ", "4-", "+84 ", "ab", "%40", "\\u0040", "\"", "079-",
    ] {
        let text = unit.repeat((1 << 19) / unit.len());
        masker.mask(text.as_bytes());
    }
}

#[test]
fn a_batch_without_values_is_the_same_and_one_with_them_keeps_its_positions() {
    let masker = masker();
    let origin = Arc::new(Origin {
        format: "csv; header=an@example.vn,x".into(),
        ..Origin::default()
    });
    let mut batch = RecordBatch::new(Arc::default());
    for (position, text) in [(3, "one"), (9, "an@example.vn"), (40, "")] {
        batch.push(
            text.as_bytes(),
            position,
            citywatch_parsers::Timestamp(7),
            citywatch_parsers::record::Truncated::No,
        );
    }
    let masked = masker.mask_batch(batch.clone());
    let positions: Vec<_> = masked.iter().map(|record| record.position).collect();
    assert_eq!(positions, [3, 9, 40]);
    assert_eq!(masked.get(0).unwrap().raw, b"one");
    assert!(masked.get(1).unwrap().raw.starts_with(b"<email:"));
    batch.origin = origin;
    let format = masker.mask_batch(batch).origin.format.to_string();
    assert!(
        format.starts_with("csv; header=<email:") && format.ends_with(">,x"),
        "{format}"
    );
}

/// A value of each kind, as people write it.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        "0(90|91|32|56|79|86)[1-9][0-9]{6}",
        "\\+84 (90|91|32|56|79|86) [1-9][0-9]{2} [0-9]{4}",
        "(001|031|048|079|092)[0-3][0-9]{8}",
        "(01|02|17|24|38)[0-9]{7}",
        "[a-z][a-z0-9._]{0,8}[a-z0-9]@[a-z]{2,8}\\.(vn|com|gov\\.vn)",
        Just("4111111111111111".to_owned()),
        Just("9704 0000 0000 0018".to_owned()),
    ]
}

/// What stands around a value.
fn between() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ ,;:=\"'|(<>\t]{1,3}[a-zđ]{0,4}[ ,;:=\"|\t]",
        Just("\\n ".to_owned()),
        Just(" - ".to_owned())
    ]
}

proptest! {
    #[test]
    fn what_is_masked_is_gone(values in prop::collection::vec((between(), value()), 1..8), end in between()) {
        let masker = masker();
        let mut text = String::new();
        for (before, value) in &values {
            text.push_str(before);
            text.push_str(value);
        }
        text.push_str(&end);
        let masked = masked(&masker, &text);
        for (_, value) in &values {
            prop_assert!(!masked.contains(value.as_str()), "{} stays in {}", value, masked);
        }
        let again = masker.mask(masked.as_bytes()).into_owned();
        prop_assert_eq!(String::from_utf8(again).unwrap(), masked, "masked once is masked");
    }

    #[test]
    fn any_bytes_are_taken(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        masker().mask(&bytes);
    }

    #[test]
    fn json_stays_json(texts in prop::collection::vec(("[a-z]{1,4}", "[\\PC\"\\\\\n]{0,8}", value()), 1..6), number in 84_900_000_000_u64..84_999_999_999) {
        let mut object = serde_json::Map::new();
        for (key, before, value) in &texts {
            object.insert(key.clone(), serde_json::json!([format!("{before} {value}"), number, {"x": number}]));
        }
        let text = serde_json::Value::Object(object).to_string();
        let masked = masked(&masker(), &text);
        prop_assert!(serde_json::from_str::<serde_json::Value>(&masked).is_ok(), "{}", masked);
        let number = number.to_string();
        prop_assert!(!masked.contains(&number), "{}", masked);
    }
}
