//! Grok's patterns as regular expressions: `%{IP:SourceIp}` becomes a group of the expression that IP stands for.
//!
//! The names are those of Logstash's core patterns; the expressions are written for an engine without look-around
//! and back references, which reads hostile text in linear time.

use std::collections::BTreeMap;

/// The usual patterns. What is meant by a name is said in Logstash's documentation of the grok filter.
#[rustfmt::skip]
const PATTERNS: [(&str, &str); 52] = [
    ("USERNAME", r"[a-zA-Z0-9._-]+"),
    ("USER", "%{USERNAME}"),
    ("EMAILLOCALPART", r"[a-zA-Z0-9!#$%&'*+/=?^_`{|}~.-]+"),
    ("EMAILADDRESS", "%{EMAILLOCALPART}@%{HOSTNAME}"),
    ("INT", r"[+-]?[0-9]+"),
    ("POSINT", r"[1-9][0-9]*"),
    ("NONNEGINT", r"[0-9]+"),
    ("NUMBER", r"[+-]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)"),
    ("BASE10NUM", "%{NUMBER}"),
    ("BASE16NUM", r"[+-]?(?:0x)?[0-9A-Fa-f]+"),
    ("WORD", r"[0-9A-Za-z_]+"),
    ("NOTSPACE", r"[^ \t\r\n]+"),
    ("SPACE", r"[ \t\r\n]*"),
    ("DATA", r".*?"),
    ("GREEDYDATA", r".*"),
    ("QUOTEDSTRING", r#"(?:"(?:\\.|[^\\"])*"|'(?:\\.|[^\\'])*')"#),
    ("QS", "%{QUOTEDSTRING}"),
    ("UUID", r"[A-Fa-f0-9]{8}-(?:[A-Fa-f0-9]{4}-){3}[A-Fa-f0-9]{12}"),
    ("MAC", r"(?:[A-Fa-f0-9]{2}[:-]){5}[A-Fa-f0-9]{2}|(?:[A-Fa-f0-9]{4}\.){2}[A-Fa-f0-9]{4}"),
    ("IPV4", r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}"),
    ("IPV6", r"[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:]*:[0-9A-Fa-f.:]*(?:%[0-9A-Za-z._-]+)?"),
    ("IP", "%{IPV6}|%{IPV4}"),
    ("HOSTNAME", r"[0-9A-Za-z_](?:[0-9A-Za-z_.-]*[0-9A-Za-z_])?\.?"),
    ("IPORHOST", "%{IP}|%{HOSTNAME}"),
    ("HOSTPORT", "%{IPORHOST}:%{POSINT}"),
    ("PATH", "%{UNIXPATH}|%{WINPATH}"),
    ("UNIXPATH", r"/[^ \t\r\n]*"),
    ("WINPATH", r"(?:[A-Za-z]:|\\)(?:\\[^\\?*]*)+"),
    ("URIPROTO", r"[A-Za-z][A-Za-z0-9+.-]*"),
    ("URIHOST", "%{IPORHOST}(?::%{POSINT})?"),
    ("URIPATH", r"/[^ \t\r\n?#]*"),
    ("URIPARAM", r"\?[^ \t\r\n#]*"),
    ("URIPATHPARAM", "%{URIPATH}(?:%{URIPARAM})?"),
    ("URI", "%{URIPROTO}://(?:%{USER}(?::[^@]*)?@)?(?:%{URIHOST})?(?:%{URIPATHPARAM})?"),
    ("MONTH", r"(?i:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sep(?:tember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"),
    ("MONTHNUM", r"0?[1-9]|1[0-2]"),
    ("MONTHDAY", r"0[1-9]|[12][0-9]|3[01]|[1-9]"),
    ("DAY", r"(?i:mon(?:day)?|tue(?:sday)?|wed(?:nesday)?|thu(?:rsday)?|fri(?:day)?|sat(?:urday)?|sun(?:day)?)"),
    ("YEAR", r"[0-9]{4}|[0-9]{2}"),
    ("HOUR", r"2[0-3]|[01]?[0-9]"),
    ("MINUTE", r"[0-5][0-9]"),
    ("SECOND", r"(?:[0-5]?[0-9]|60)(?:[:.,][0-9]+)?"),
    ("TIME", "(?:%{HOUR}):(?:%{MINUTE}):(?:%{SECOND})"),
    ("ISO8601_TIMEZONE", r"Z|[+-][0-9]{2}:?[0-9]{2}"),
    ("TIMESTAMP_ISO8601", r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}[T ][0-9]{1,2}:[0-9]{2}(?::?[0-9]{2}(?:[.,][0-9]+)?)?(?: ?(?:%{ISO8601_TIMEZONE}))?"),
    ("HTTPDATE", r"[0-9]{1,2}/%{MONTH}/[0-9]{4}:(?:%{TIME}) [+-][0-9]{4}"),
    ("SYSLOGTIMESTAMP", r"%{MONTH} +[0-9]{1,2} (?:%{TIME})"),
    ("DATESTAMP_EVENTLOG", r"[0-9]{14}"),
    ("PROG", r"[\x21-\x5a\x5c\x5e-\x7e]+"),
    ("SYSLOGPROG", r"%{PROG}(?:\[%{POSINT}\])?"),
    ("SYSLOGHOST", "%{IPORHOST}"),
    ("LOGLEVEL", r"(?i:alert|trace|debug|notice|info(?:rmation)?|warn(?:ing)?|err(?:or)?|crit(?:ical)?|fatal|severe|emerg(?:ency)?)"),
];

/// Patterns within patterns that are followed: ends those that contain themselves.
const DEPTH_MAX: usize = 16;
/// The expression may grow no longer than this.
const EXPANDED_BYTES_MAX: usize = 64 << 10;

/// A grok pattern as a regular expression.
#[derive(Debug)]
pub(super) struct Expanded {
    pub(super) regex: String,
    /// The field that group `g<place>` stands for and the type that the pattern gives it.
    pub(super) names: Vec<(String, Option<String>)>,
}

/// Expands a grok pattern; `own` are the patterns of the file.
pub(super) fn expand(grok: &str, own: &BTreeMap<String, String>) -> Result<Expanded, String> {
    let mut expanded = Expanded {
        regex: String::with_capacity(grok.len() * 4),
        names: Vec::new(),
    };
    expand_into(grok, own, &mut expanded, 0)?;
    Ok(expanded)
}

fn expand_into(
    grok: &str,
    own: &BTreeMap<String, String>,
    expanded: &mut Expanded,
    depth: usize,
) -> Result<(), String> {
    if depth > DEPTH_MAX {
        return Err("patterns within patterns go too deep; does one contain itself?".to_owned());
    }
    let mut rest = grok;
    while let Some((literal, behind)) = rest.split_once("%{") {
        expanded.regex.push_str(literal);
        let (place, after) = behind
            .split_once('}')
            .ok_or("`%{` is not closed by `}`; write `\\%\\{` where it is text")?;
        rest = after;
        let mut parts = place.splitn(3, ':');
        let (name, field, kind) = (parts.next().unwrap_or(""), parts.next(), parts.next());
        let pattern = pattern_of(name, own)?;
        match field {
            Some(field) => {
                let group = expanded.names.len();
                expanded.regex.push_str(&format!("(?P<g{group}>"));
                expanded
                    .names
                    .push((dotted(field), kind.map(str::to_owned)));
            }
            None => expanded.regex.push_str("(?:"),
        }
        expand_into(pattern, own, expanded, depth + 1)?;
        expanded.regex.push(')');
        if expanded.regex.len() > EXPANDED_BYTES_MAX {
            return Err(format!(
                "the pattern expands to more than {EXPANDED_BYTES_MAX} bytes"
            ));
        }
    }
    expanded.regex.push_str(rest);
    Ok(())
}

fn pattern_of<'p>(name: &str, own: &'p BTreeMap<String, String>) -> Result<&'p str, String> {
    if let Some(pattern) = own.get(name) {
        return Ok(pattern);
    }
    if let Some((_, pattern)) = PATTERNS.iter().find(|(known, _)| *known == name) {
        return Ok(pattern);
    }
    let known = PATTERNS
        .iter()
        .map(|(name, _)| *name)
        .chain(own.keys().map(String::as_str));
    Err(match super::file::nearest(name, known) {
        Some(nearest) => format!("there is no pattern `{name}`; did you mean `{nearest}`?"),
        None => format!("there is no pattern `{name}`; define it under [patterns]"),
    })
}

/// Elastic's way of nesting, `[source][ip]`, as a dotted name.
fn dotted(field: &str) -> String {
    match field
        .strip_prefix('[')
        .and_then(|field| field.strip_suffix(']'))
    {
        Some(inner) => inner.replace("][", "."),
        None => field.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_become_groups() {
        let own = BTreeMap::from([("ID".to_owned(), "x%{INT}".to_owned())]);
        let expanded = expand(r"a %{ID:id} %{IP:[source][ip]} %{INT:n:int}", &own).unwrap();
        let names: Vec<_> = expanded
            .names
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(names, ["id", "source.ip", "n"]);
        assert!(
            expanded
                .regex
                .starts_with("a (?P<g0>x(?:[+-]?[0-9]+)) (?P<g1>(?:")
        );
        assert_eq!(expanded.names[2].1.as_deref(), Some("int"));
    }

    #[test]
    fn mistakes_are_told() {
        let none = BTreeMap::new();
        assert!(
            expand("%{IPX:a}", &none)
                .unwrap_err()
                .contains("did you mean `IP")
        );
        assert!(expand("%{IP", &none).unwrap_err().contains("not closed"));
        let own = BTreeMap::from([("A".to_owned(), "%{A}".to_owned())]);
        assert!(expand("%{A}", &own).unwrap_err().contains("itself"));
    }

    #[test]
    fn each_pattern_is_an_expression() {
        let none = BTreeMap::new();
        for (name, _) in PATTERNS {
            let expanded = expand(&format!("%{{{name}:x}}"), &none).unwrap();
            regex_automata::meta::Regex::new(&expanded.regex).unwrap();
        }
    }
}
