//! Builds the WHERE of a query: names are literals of the program, values are always parameters.

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::{Query, QueryAs};
use sqlx::{Any, AssertSqlSafe, FromRow};

use crate::accounts::Scope;

/// What stands between the parts of a text that is found by how it begins.
const PART_ENDS: [char; 3] = [' ', '/', '.'];

/// Conditions joined by AND, with their values.
#[derive(Clone, Debug, Default)]
pub(crate) struct Conditions {
    parts: Vec<String>,
    values: Vec<Value>,
}

/// A parameter.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(String),
    Number(i64),
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl Conditions {
    /// A condition without a value.
    pub(crate) fn push(&mut self, condition: &'static str) {
        self.parts.push(condition.to_owned());
    }

    /// `column operator value`.
    pub(crate) fn compare(
        &mut self,
        column: &'static str,
        operator: &'static str,
        value: impl Into<Value>,
    ) {
        let place = self.place(value.into());
        self.parts.push(format!("{column} {operator} {place}"));
    }

    /// The column has one of these values.
    pub(crate) fn one_of<'a>(
        &mut self,
        column: &'static str,
        values: impl Iterator<Item = &'a str>,
    ) {
        let places: Vec<String> = values
            .map(|value| self.place(Value::Text(value.to_owned())))
            .collect();
        self.in_list(column, &places);
    }

    /// The column has one of these numbers.
    pub(crate) fn one_of_numbers(
        &mut self,
        column: &'static str,
        values: impl Iterator<Item = i64>,
    ) {
        let places: Vec<String> = values
            .map(|value| self.place(Value::Number(value)))
            .collect();
        self.in_list(column, &places);
    }

    fn in_list(&mut self, column: &'static str, places: &[String]) {
        // An empty list holds nothing; PostgreSQL has no empty list.
        let list = if places.is_empty() {
            "NULL".to_owned()
        } else {
            places.join(", ")
        };
        self.parts.push(format!("{column} IN ({list})"));
    }

    /// The column has one of these values, or none where `empty` says so.
    pub(crate) fn one_of_or_empty<'a>(
        &mut self,
        column: &'static str,
        values: impl Iterator<Item = &'a str>,
        empty: bool,
    ) {
        self.one_of(column, values);
        if empty && let Some(part) = self.parts.pop() {
            self.parts.push(format!("({part} OR {column} IS NULL)"));
        }
    }

    /// One of these bits is set in the column.
    pub(crate) fn any_bit(&mut self, column: &'static str, bits: i64) {
        let place = self.place(Value::Number(bits));
        self.parts.push(format!("({column} & {place}) <> 0"));
    }

    /// The pair of columns lies before a pair of numbers, in the order from the highest.
    pub(crate) fn below(&mut self, columns: [&'static str; 2], values: [i64; 2]) {
        let [first, second] = values.map(|value| self.place(Value::Number(value)));
        let [one, two] = columns;
        self.parts.push(format!(
            "({one} < {first} OR ({one} = {first} AND {two} < {second}))"
        ));
    }

    /// The text in that column begins so.
    pub(crate) fn begins(&mut self, column: &'static str, beginning: &str) {
        let length = self.place(Value::Number(
            i64::try_from(beginning.chars().count()).unwrap_or(i64::MAX),
        ));
        let place = self.place(Value::Text(beginning.to_owned()));
        // No LIKE: what was typed may hold its wildcards.
        self.parts.push(format!(
            "SUBSTR({column}, 1, CAST({length} AS INTEGER)) = {place}"
        ));
    }

    /// The column begins with a text, and there a part of it ends: at its end, or before a space, a slash or a dot.
    pub(crate) fn begins_in_whole_parts(&mut self, column: &'static str, beginning: &str) {
        self.begins(column, beginning);
        if beginning.ends_with(PART_ENDS) {
            return;
        }
        let next = beginning.chars().count() + 1;
        self.parts.push(format!(
            "SUBSTR({column}, {next}, 1) IN ('', ' ', '/', '.')"
        ));
    }

    /// The unit in that column is `root` or below it.
    pub(crate) fn subtree(&mut self, column: &'static str, root: &str) {
        self.scope(column, &Scope::Subtree(root.to_owned()));
    }

    /// The incident names this entity.
    pub(crate) fn entity(&mut self, kind: &str, value: &str) {
        let kind = self.place(Value::Text(kind.to_owned()));
        let value = self.place(Value::Text(value.to_owned()));
        self.parts.push(format!(
            "id IN (SELECT incident_id FROM incident_entities WHERE kind = {kind} AND value = {value})"
        ));
    }

    /// The column is among what a query gives: `query` ends where its one value goes, `rest` follows it.
    pub(crate) fn within(
        &mut self,
        column: &'static str,
        query: &'static str,
        value: impl Into<Value>,
        rest: &'static str,
    ) {
        let place = self.place(value.into());
        self.parts
            .push(format!("{column} IN ({query} {place} {rest})"));
    }

    /// The unit in that column is one that may be seen.
    pub(crate) fn scope(&mut self, column: &'static str, scope: &Scope) {
        if let Scope::Subtree(root) = scope {
            let place = self.place(Value::Text(root.clone()));
            self.parts.push(format!(
                "({column} = {place} OR {column} IN \
                 (SELECT unit FROM unit_ancestors WHERE ancestor = {place}))"
            ));
        }
    }

    fn place(&mut self, value: Value) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }

    /// ` WHERE ...`, or nothing without conditions.
    pub(crate) fn clause(&self) -> String {
        if self.parts.is_empty() {
            String::new()
        } else {
            format!(" WHERE {}", self.parts.join(" AND "))
        }
    }

    /// A query with these values bound. `sql` is made of literals and [`Conditions::clause`] alone.
    pub(crate) fn query(self, sql: String) -> Query<'static, Any, AnyArguments> {
        self.values.into_iter().fold(
            sqlx::query(AssertSqlSafe(sql)),
            |query, value| match value {
                Value::Text(text) => query.bind(text),
                Value::Number(number) => query.bind(number),
            },
        )
    }

    /// The same, for rows of a type.
    pub(crate) fn query_as<T>(self, sql: String) -> QueryAs<'static, Any, T, AnyArguments>
    where
        T: for<'r> FromRow<'r, AnyRow>,
    {
        self.values.into_iter().fold(
            sqlx::query_as(AssertSqlSafe(sql)),
            |query, value| match value {
                Value::Text(text) => query.bind(text),
                Value::Number(number) => query.bind(number),
            },
        )
    }
}
