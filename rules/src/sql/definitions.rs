//! What conditions speak of, each defined once in front of the statement: the values of a field, the same folded, all values.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::literal::literal;
use crate::fold::fold_char;
use crate::rule::TimePart;

/// Functions of a name or a text, defined where they are used. Aliases of lambdas need ClickHouse's analyzer (24.3 and later).
const FUNCTIONS: &[(&str, &[&str], &str)] = &[
    // The letter of a field's kind; nothing when it is absent.
    (
        "kind_of",
        &[],
        "name -> substring(field_kinds, indexOf(mapKeys(fields), name), 1)",
    ),
    // The scalars of a list as it is stored, JSON without blanks, however deep they are nested.
    (
        "items_of",
        &[],
        r#"list -> extractAll(list, '"(?:[^"\\\\]|\\\\.)*"|[^][,"]+')"#,
    ),
    // A float of JSON that is written with an exponent, without one, as its text is.
    (
        "exponent_of",
        &[],
        "item -> toInt32OrZero(extract(item, 'e[+]?(-?[0-9]+)'))",
    ),
    ("decimals_of", &[], r"item -> extract(item, '[.]([0-9]+)')"),
    (
        "written_out",
        &["exponent_of", "decimals_of"],
        "item -> concat(extract(item, '-?'), if(exponent_of(item) < 0, concat('0.', repeat('0', -1 - exponent_of(item)), extract(item, '[0-9]'), decimals_of(item)), \
         concat(extract(item, '[0-9]'), rightPad(substring(decimals_of(item), 1, greatest(exponent_of(item), 0)), greatest(exponent_of(item), 0), '0'), \
         if(length(decimals_of(item)) > exponent_of(item), concat('.', substring(decimals_of(item), greatest(exponent_of(item), 0) + 1)), ''))))",
    ),
    // Those that are not null, as text. A float without decimals is written as its text is.
    (
        "texts_of",
        &["items_of", "written_out"],
        r#"list -> arrayMap(t -> multiIf(startsWith(t, '"'), JSONExtractString(t), endsWith(t, '.0'), substring(t, 1, length(t) - 2), match(t, '[0-9]e'), written_out(t), t), arrayFilter(t -> t != 'null', items_of(list)))"#,
    ),
    // The values of a field: none where it is absent or null, the elements of a list that are not null.
    (
        "values_of",
        &["kind_of", "texts_of"],
        "name -> multiIf(kind_of(name) = 'l', texts_of(fields[name]), kind_of(name) IN ('', 'n'), emptyArrayString(), [fields[name]])",
    ),
    // Lower case of ASCII, and of the two other letters that fold to ASCII.
    (
        "fold",
        &[],
        "texts -> arrayMap(t -> lower(replaceAll(replaceAll(t, '\u{17F}', 's'), '\u{212A}', 'k')), texts)",
    ),
    // Bytes as text: a beginning of a character that does not go on, or a byte that begins none, is replaced by one sign.
    (
        "lossy",
        &[],
        r"bytes -> arrayStringConcat(arrayMap(t -> if(isValidUTF8(unhex(t)), unhex(t), '\xEF\xBF\xBD'), extractAll(hex(bytes), '(?:C[2-9A-F]|D[0-9A-F])[89AB][0-9A-F]|E0[AB][0-9A-F](?:[89AB][0-9A-F])?|E[1-9A-CEF][89AB][0-9A-F](?:[89AB][0-9A-F])?|ED[89][0-9A-F](?:[89AB][0-9A-F])?|F0[9AB][0-9A-F](?:[89AB][0-9A-F]){0,2}|F[123](?:[89AB][0-9A-F]){1,3}|F48[0-9A-F](?:[89AB][0-9A-F]){0,2}|[0-9A-F]{2}')))",
    ),
    // Dates as they are written, of any year, without a calendar of ClickHouse's, whose dates begin in 1900.
    (
        "is_leap",
        &[],
        "year -> year % 4 = 0 AND (year % 100 != 0 OR year % 400 = 0)",
    ),
    (
        "year_of",
        &[],
        "date -> toInt32OrZero(substring(date, 1, 4))",
    ),
    (
        "month_of",
        &[],
        "date -> toInt32OrZero(substring(date, 6, 2))",
    ),
    (
        "day_of",
        &[],
        "date -> toInt32OrZero(substring(date, 9, 2))",
    ),
    (
        "is_date",
        &["is_leap", "year_of", "month_of", "day_of"],
        r"date -> match(date, '\\A[0-9]{4}-(?:0[1-9]|1[0-2])-[0-9]{2}(?:[Tt ]|\\z)') AND day_of(date) BETWEEN 1 AND multiIf(month_of(date) IN (4, 6, 9, 11), 30, month_of(date) != 2, 31, is_leap(year_of(date)), 29, 28)",
    ),
    (
        "has_clock",
        &["is_date"],
        r"date -> is_date(date) AND match(date, '\\A.{10}[Tt ](?:[01][0-9]|2[0-3]):[0-5][0-9]')",
    ),
    (
        "hour_of",
        &[],
        "date -> toInt32OrZero(substring(date, 12, 2))",
    ),
    (
        "minute_of",
        &[],
        "date -> toInt32OrZero(substring(date, 15, 2))",
    ),
    // Of the year's first day, Monday is 0. The calendar repeats itself after 400 years, so that no year is below zero.
    (
        "first_weekday",
        &[],
        "year -> (year + 399 + intDiv(year + 399, 4) - intDiv(year + 399, 100) + intDiv(year + 399, 400)) % 7",
    ),
    (
        "day_of_year",
        &["is_leap", "year_of", "month_of", "day_of"],
        "date -> day_of(date) + [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334][month_of(date)] + if(month_of(date) > 2 AND is_leap(year_of(date)), 1, 0)",
    ),
    // A year has 53 weeks when it begins on a Thursday, or on a Wednesday with a leap day to come (ISO 8601).
    (
        "weeks_in",
        &["first_weekday", "is_leap"],
        "year -> if(first_weekday(year) = 3 OR (first_weekday(year) = 2 AND is_leap(year)), 53, 52)",
    ),
    (
        "counted_week",
        &["day_of_year", "first_weekday", "year_of"],
        "date -> intDiv(day_of_year(date) + 9 - (first_weekday(year_of(date)) + day_of_year(date) - 1) % 7, 7)",
    ),
    (
        "week_of",
        &["counted_week", "weeks_in", "year_of"],
        "date -> multiIf(counted_week(date) < 1, weeks_in(year_of(date) - 1), counted_week(date) > weeks_in(year_of(date)), 1, counted_week(date))",
    ),
    (
        "is_whole",
        &[],
        r"text -> match(text, '\\A-?[0-9]{1,20}\\z')",
    ),
    (
        "is_number",
        &[],
        r"text -> match(text, '\\A-?[0-9]+(?:\\.[0-9]+)?(?:[eE][+-]?[0-9]+)?\\z') AND isFinite(toFloat64OrZero(text))",
    ),
];

/// Names with what they stand for, in the order in which they need each other.
#[derive(Debug, Default)]
pub(super) struct Definitions {
    /// What is defined of which field, its name, and the expression.
    all: Vec<(String, String, String)>,
    names: BTreeSet<String>,
}

impl Definitions {
    /// `WITH` and all definitions, one in a line; empty when there are none.
    pub(super) fn with_clause(&self) -> String {
        let mut clause = String::new();
        for (index, (_, name, expression)) in self.all.iter().enumerate() {
            let begin = if index == 0 { "WITH\n    " } else { ",\n    " };
            write!(clause, "{begin}{expression} AS {name}")
                .expect("writing to a String cannot fail");
        }
        clause
    }

    /// Makes sure that a function of [`FUNCTIONS`] is there; returns its name.
    pub(super) fn function(&mut self, name: &'static str) -> &'static str {
        let found = FUNCTIONS.iter().find(|(known, _, _)| *known == name);
        let (_, needed, body) = found.expect("only functions of the table are asked for");
        for other in *needed {
            self.function(other);
        }
        self.define(name, "", format!("({body})"));
        name
    }

    /// The letter of the field's kind; nothing when it is absent.
    pub(super) fn kind(&mut self, field: &str) -> String {
        let function = self.function("kind_of");
        self.define("kind", field, format!("{function}({})", literal(field)))
    }

    /// The scalars of the field's list as they are written in JSON; meaningless where it is no list.
    pub(super) fn items(&mut self, field: &str) -> String {
        let function = self.function("items_of");
        let expression = format!("{function}(fields[{}])", literal(field));
        self.define("items", field, expression)
    }

    /// The field's values as text: none where it is absent or null, the elements of a list that are not null.
    pub(super) fn values(&mut self, field: &str) -> String {
        let function = self.function("values_of");
        self.define("values", field, format!("{function}({})", literal(field)))
    }

    /// The same, folded as far as it takes to be compared with folded ASCII.
    pub(super) fn folded(&mut self, field: &str) -> String {
        let values = self.values(field);
        let function = self.function("fold");
        self.define("folded", field, format!("{function}({values})"))
    }

    /// The same, every letter folded.
    pub(super) fn wholly_folded(&mut self, field: &str) -> String {
        let values = self.values(field);
        let (from, to) = fold_table();
        let from = self.define("letters", "", literal(&from));
        let to = self.define("letters_folded", "", literal(&to));
        let expression = format!(
            "arrayMap(x -> if(length(x) = lengthUTF8(x), lower(x), translateUTF8(x, {from}, {to})), {values})"
        );
        self.define("compared", field, expression)
    }

    /// A part of the dates among the field's values, as texts of numbers.
    pub(super) fn time_parts(&mut self, field: &str, part: TimePart) -> String {
        let (name, valid) = match part {
            TimePart::Minute => ("minute_of", "has_clock"),
            TimePart::Hour => ("hour_of", "has_clock"),
            TimePart::Day => ("day_of", "is_date"),
            TimePart::Week => ("week_of", "is_date"),
            TimePart::Month => ("month_of", "is_date"),
            TimePart::Year => ("year_of", "is_date"),
        };
        let values = self.values(field);
        let (valid, function) = (self.function(valid), self.function(name));
        let expression = format!(
            "arrayMap(t -> toString({function}(t)), arrayFilter(t -> {valid}(t), {values}))"
        );
        self.define(name, field, expression)
    }

    /// The values of all fields.
    pub(super) fn all_values(&mut self) -> String {
        let function = self.function("texts_of");
        let expression = format!(
            "arrayFlatten(arrayMap((v, k) -> multiIf(k = 'l', {function}(v), k = 'n', emptyArrayString(), [v]), \
             mapValues(fields), splitByString('', toString(field_kinds))))"
        );
        self.define("all_values", "", expression)
    }

    /// The same, folded.
    pub(super) fn all_folded(&mut self) -> String {
        let values = self.all_values();
        let function = self.function("fold");
        self.define("all_folded", "", format!("{function}({values})"))
    }

    /// The record as text, as the only element, where keywords are searched in it: in a document only the values are what was logged.
    pub(super) fn raw(&mut self) -> String {
        let lossy = self.function("lossy");
        let document =
            r"match(raw, '\\A[ \\t\\n\\f\\r]*(?:\\{|\\[[ \\t\\n\\f\\r]*\\{|<[A-Za-z?])')";
        let expression = format!(
            "if({document} OR (format = 'otlp' AND startsWith(raw, '\\n')) OR (sub_index > 0 AND raw = ''), \
             emptyArrayString(), [if(isValidUTF8(raw), raw, {lossy}(raw))])"
        );
        self.define("raw_text", "", expression)
    }

    /// The same, folded.
    pub(super) fn raw_folded(&mut self) -> String {
        let raw = self.raw();
        let function = self.function("fold");
        self.define("raw_folded", "", format!("{function}({raw})"))
    }

    /// Its name; defined when it is asked for the first time.
    fn define(&mut self, what: &str, field: &str, expression: String) -> String {
        let key = format!("{what} {field}");
        if let Some((_, name, _)) = self.all.iter().find(|(known, _, _)| *known == key) {
            return name.clone();
        }
        let mut name = what.to_owned();
        if !field.is_empty() {
            name.push('_');
            name.extend(
                field
                    .chars()
                    .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }),
            );
        }
        let wished = name.clone();
        let mut number = 1;
        while !self.names.insert(name.clone()) {
            number += 1;
            name = format!("{wished}_{number}");
        }
        self.all.push((key, name.clone(), expression));
        name
    }
}

/// All letters that fold to another, and in the same order those that they fold to.
fn fold_table() -> (String, String) {
    ('\0'..=char::MAX)
        .filter(|&c| fold_char(c) != c)
        .map(|c| (c, fold_char(c)))
        .unzip()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_letters_beyond_ascii_fold_to_ascii() {
        let found: String = ('\u{80}'..=char::MAX)
            .filter(|&c| fold_char(c).is_ascii())
            .collect();
        assert_eq!(found, "\u{17F}\u{212A}");
    }

    #[test]
    fn fields_that_look_alike_have_names_of_their_own() {
        let mut definitions = Definitions::default();
        assert_eq!(definitions.kind("a.b"), "kind_a_b");
        assert_eq!(definitions.kind("a-b"), "kind_a_b_2");
        assert_eq!(definitions.kind("a.b"), "kind_a_b");
        // One whose name would be that of a function.
        assert_eq!(definitions.kind("of"), "kind_of_2");
        assert_eq!(definitions.with_clause().lines().count(), 5);
    }
}
