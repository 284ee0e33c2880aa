//! Conditions of SQL for single fields. What was typed is always a parameter.

use std::net::IpAddr;

use clickhouse::query::Query;

use super::language::{Part, Wanted};

/// A parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Param {
    Text(String),
    Texts(Vec<String>),
    Number(u64),
}

/// The parameters of a statement, `q0` the first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Params(Vec<Param>);

impl Params {
    /// Notes a parameter; how the statement names it.
    pub(super) fn place(&mut self, param: Param) -> String {
        let kind = match param {
            Param::Text(_) => "String",
            Param::Texts(_) => "Array(String)",
            Param::Number(_) => "UInt64",
        };
        self.0.push(param);
        format!("{{q{}:{kind}}}", self.0.len() - 1)
    }

    /// Gives `call` the parameters.
    pub(super) fn bind(&self, mut call: Query) -> Query {
        for (index, param) in self.0.iter().enumerate() {
            let name = format!("q{index}");
            call = match param {
                Param::Text(text) => call.param(&name, text),
                Param::Texts(texts) => call.param(&name, texts),
                Param::Number(number) => call.param(&name, number),
            };
        }
        call
    }

    #[cfg(test)]
    pub(super) fn texts(&self) -> Vec<String> {
        self.0
            .iter()
            .map(|param| match param {
                Param::Text(text) => text.clone(),
                Param::Texts(texts) => texts.join(" "),
                Param::Number(number) => number.to_string(),
            })
            .collect()
    }
}

/// `value`, an expression, is as it is wanted. `present` says whether it is there, where that is not the same as not
/// being empty.
pub(super) fn text_condition(
    value: &str,
    present: Option<&str>,
    wanted: &Wanted,
    params: &mut Params,
) -> String {
    match wanted {
        Wanted::Present => present.map_or_else(|| format!("{value} != ''"), str::to_owned),
        Wanted::Pattern(parts) => {
            let place = params.place(Param::Text(like_pattern(parts)));
            format!("{value} ILIKE {place}")
        }
        Wanted::Network(first, _) => {
            let place = params.place(Param::Text(first.to_string()));
            format!("{value} = {place}")
        }
        Wanted::Number(relation, number) => {
            let place = params.place(Param::Number(*number));
            format!("toUInt64OrNull({value}) {relation} {place}")
        }
    }
}

/// One of the columns of addresses is as it is wanted.
pub(super) fn address_condition(
    columns: &[&'static str],
    wanted: &Wanted,
    params: &mut Params,
) -> String {
    let parts: Vec<String> = columns
        .iter()
        .map(|column| match wanted {
            Wanted::Network(first, last) => {
                let first = params.place(Param::Text(mapped(*first)));
                let last = params.place(Param::Text(mapped(*last)));
                format!("{column} BETWEEN toIPv6({first}) AND toIPv6({last})")
            }
            _ => format!("{column} != toIPv6('::')"),
        })
        .collect();
    format!("({})", parts.join(" OR "))
}

/// A column of ports is as it is wanted.
pub(super) fn port_condition(column: &str, wanted: &Wanted, params: &mut Params) -> String {
    match wanted {
        Wanted::Number(relation, number) => {
            let place = params.place(Param::Number(*number));
            format!("{column} {relation} {place}")
        }
        _ => format!("{column} != 0"),
    }
}

/// As the columns have it: IPv4 mapped.
fn mapped(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => format!("::ffff:{address}"),
        IpAddr::V6(address) => address.to_string(),
    }
}

/// A LIKE pattern: stars as its `%`, its own wildcards taken literally.
fn like_pattern(parts: &[Part]) -> String {
    parts
        .iter()
        .map(|part| match part {
            Part::Star => "%".to_owned(),
            Part::Text(text) => escaped(text),
        })
        .collect()
}

/// A text in which LIKE finds no wildcard.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(letter, '%' | '_' | '\\') {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}
