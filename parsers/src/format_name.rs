//! How the format of a source is named: a name, and what is known besides of how its records are written.

/// A format as configuration, a Kafka header or `--format` name it:
/// `csv; charset=windows-1258; header=time,user,address`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FormatName<'f> {
    /// `syslog`, `auto`, ...; empty for `auto`.
    pub name: &'f str,
    /// The encoding of records that are no UTF-8.
    pub charset: Option<&'f str>,
    /// The time zone of records that name none.
    pub zone: Option<&'f str>,
    /// The lines at the top of the file that say what columns there are. It comes last, for it may hold anything.
    pub header: Option<&'f str>,
    /// A parameter that there is not.
    pub unknown: Option<&'f str>,
}

/// What a header may be long: more is no header. Formats travel with each batch.
pub(crate) const HEADER_BYTES_MAX: usize = 4 << 10;

impl<'f> FormatName<'f> {
    /// Takes the text apart.
    pub fn of(text: &'f str) -> Self {
        let Some((name, mut rest)) = text.split_once(';') else {
            return Self {
                name: text.trim(),
                ..Self::default()
            };
        };
        let mut found = Self {
            name: name.trim(),
            ..Self::default()
        };
        loop {
            rest = rest.trim_start();
            let (key, value) = rest.split_once('=').unwrap_or((rest, ""));
            if key.trim().eq_ignore_ascii_case("header") {
                found.header = (value.len() <= HEADER_BYTES_MAX).then_some(value);
                return found;
            }
            let (parameter, further) = rest.split_once(';').unwrap_or((rest, ""));
            let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            if key.trim().eq_ignore_ascii_case("charset") {
                found.charset = Some(value.trim());
            } else if key.trim().eq_ignore_ascii_case("zone") {
                found.zone = Some(value.trim());
            } else if !parameter.trim().is_empty() {
                found.unknown = Some(parameter.trim());
            }
            if further.is_empty() {
                return found;
            }
            rest = further;
        }
    }

    /// The same with this header, as text.
    pub fn with_header(self, header: &str) -> String {
        let name = if self.name.is_empty() {
            "auto"
        } else {
            self.name
        };
        let mut text = name.to_owned();
        for (key, value) in [("charset", self.charset), ("zone", self.zone)] {
            if let Some(value) = value {
                text += &format!("; {key}={value}");
            }
        }
        text + &format!("; header={header}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_taken_apart() {
        let plain = FormatName {
            name: "syslog",
            ..FormatName::default()
        };
        assert_eq!(FormatName::of("syslog"), plain);
        assert_eq!(FormatName::of(" syslog ; "), plain);
        let zoned = FormatName::of("syslog; zone=Asia/Tokyo");
        assert_eq!((zoned.name, zoned.zone), ("syslog", Some("Asia/Tokyo")));
        let both = FormatName::of("csv; Charset = windows-1258 ; header=a;b=c;d");
        assert_eq!(
            (both.name, both.charset, both.header, both.unknown),
            ("csv", Some("windows-1258"), Some("a;b=c;d"), None)
        );
        assert_eq!(
            FormatName::of(&both.with_header("x\ny")),
            FormatName {
                header: Some("x\ny"),
                ..both
            }
        );
        assert_eq!(
            FormatName::of("auto; charst=x; charset=y"),
            FormatName {
                name: "auto",
                charset: Some("y"),
                unknown: Some("charst=x"),
                header: None,
                zone: None
            }
        );
        let long = format!("csv; header={}", "x".repeat(HEADER_BYTES_MAX + 1));
        assert_eq!(FormatName::of(&long).header, None);
    }
}
