//! Texts that are almost JSON: cut off by a transport's bound, with escapes or control characters that JSON has not, as servers write
//! them that put a log line together themselves. Who could spoil a record by one character of a user agent would not be seen.

use bumpalo::Bump;
use bumpalo::collections::{String as ArenaString, Vec as ArenaVec};

use super::DEPTH_MAX;

/// A text that was mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mended<'a> {
    /// Probably JSON now.
    pub(crate) text: &'a str,
    /// What was wrong, for people.
    pub(crate) what: &'static str,
}

const CUT_OFF: &str = "the JSON text is cut off; what is there is read";
const NOT_QUITE: &str = "not quite JSON (escapes, control characters, commas or NaN that it has not); read as it is meant";
const TOO_DEEP: &str = "nested deeper than 1,024 levels; what is below is left out";

/// Mends a text, if it is one of these. Its cost is its length.
pub(crate) fn mended<'a>(text: &str, arena: &'a Bump) -> Option<Mended<'a>> {
    let mut mender = Mender {
        text,
        at: 0,
        out: ArenaString::with_capacity_in(text.len() + 64, arena),
        closers: ArenaVec::new_in(arena),
        kept: 0,
        expects_name: false,
        comma_at: None,
        what: None,
    };
    mender.all()?;
    Some(Mended {
        what: mender.what?,
        text: mender.out.into_bump_str(),
    })
}

struct Mender<'t, 'a> {
    text: &'t str,
    at: usize,
    out: ArenaString<'a>,
    /// What closes the maps and lists that are open.
    closers: ArenaVec<'a, char>,
    /// Where `out` ends when an unfinished member or item is left out.
    kept: usize,
    /// Whether the next string is a member's name.
    expects_name: bool,
    /// Where in `out` a comma is, if nothing came behind it.
    comma_at: Option<usize>,
    what: Option<&'static str>,
}

impl Mender<'_, '_> {
    fn all(&mut self) -> Option<()> {
        while let Some(byte) = self.text.as_bytes().get(self.at).copied() {
            match byte {
                b'"' => {
                    self.comma_at = None;
                    self.string()?;
                }
                b'{' | b'[' if self.closers.len() + 1 >= DEPTH_MAX => {
                    self.comma_at = None;
                    self.skip_container();
                }
                b'{' | b'[' => {
                    self.open(byte);
                }
                b'}' | b']' => self.close(byte)?,
                b',' => {
                    self.kept = self.out.len();
                    self.comma_at = Some(self.out.len());
                    self.expects_name = self.closers.last() == Some(&'}');
                    self.copy_one();
                }
                b':' => {
                    self.expects_name = false;
                    self.copy_one();
                }
                b' ' | b'\t' | b'\r' | b'\n' => self.copy_one(),
                _ => self.word()?,
            }
            if self.closers.is_empty() {
                // What stands behind the text makes it something else.
                return self.text[self.at..].trim().is_empty().then_some(());
            }
        }
        if self.closers.is_empty() {
            return None;
        }
        self.cut_off();
        Some(())
    }

    fn cut_off(&mut self) {
        self.what = Some(CUT_OFF);
        self.out.truncate(self.kept);
        while let Some(closer) = self.closers.pop() {
            self.out.push(closer);
        }
    }

    fn copy_one(&mut self) {
        self.out.push(char::from(self.text.as_bytes()[self.at]));
        self.at += 1;
    }

    fn open(&mut self, byte: u8) {
        self.comma_at = None;
        self.closers.push(if byte == b'{' { '}' } else { ']' });
        self.expects_name = byte == b'{';
        self.copy_one();
        self.kept = self.out.len();
    }

    fn close(&mut self, byte: u8) -> Option<()> {
        if self.closers.pop()? != char::from(byte) {
            return None;
        }
        if let Some(comma) = self.comma_at.take() {
            self.what = self.what.or(Some(NOT_QUITE));
            self.out.truncate(comma);
        }
        self.copy_one();
        self.kept = self.out.len();
        self.expects_name = false;
        Some(())
    }

    /// A number, `true`, `null`; `NaN` is what some libraries write for no number.
    fn word(&mut self) -> Option<()> {
        self.comma_at = None;
        let rest = &self.text[self.at..];
        let end = rest
            .find(|c: char| {
                matches!(c, ',' | ':' | '"' | '{' | '}' | '[' | ']') || c.is_whitespace()
            })
            .unwrap_or(rest.len());
        let word = &rest[..end];
        if word.is_empty() {
            return None;
        }
        // Numbers beyond the range of a double are none either.
        let is_too_large = || word.parse::<f64>().is_ok_and(f64::is_infinite);
        if matches!(word, "NaN" | "Infinity" | "-Infinity") || is_too_large() {
            self.what = self.what.or(Some(NOT_QUITE));
            self.out.push_str("null");
        } else {
            self.out.push_str(word);
        }
        self.at += end;
        Some(())
    }

    /// A map or list that is nested too deep, as `null`.
    fn skip_container(&mut self) {
        self.what = Some(TOO_DEEP);
        self.out.push_str("null");
        let bytes = self.text.as_bytes();
        let mut open = 0_usize;
        while let Some(byte) = bytes.get(self.at) {
            self.at += 1;
            match byte {
                b'{' | b'[' => open += 1,
                b'}' | b']' => {
                    open -= 1;
                    if open == 0 {
                        return;
                    }
                }
                b'"' => {
                    while let Some(byte) = bytes.get(self.at) {
                        self.at += 1;
                        match byte {
                            b'\\' => self.at += 1,
                            b'"' => break,
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        self.at = self.at.min(bytes.len());
    }

    /// A string with its quotes. One that is cut off is closed if it is a value.
    fn string(&mut self) -> Option<()> {
        let is_name = self.expects_name;
        self.copy_one();
        loop {
            let rest = &self.text[self.at..];
            let plain = rest
                .find(|c: char| c == '"' || c == '\\' || c < ' ')
                .unwrap_or(rest.len());
            self.out.push_str(&rest[..plain]);
            self.at += plain;
            match self.text.as_bytes().get(self.at) {
                Some(b'"') => {
                    self.copy_one();
                    return Some(());
                }
                Some(b'\\') => self.escape(),
                Some(control) => {
                    self.what = self.what.or(Some(NOT_QUITE));
                    self.code(u16::from(*control));
                    self.at += 1;
                }
                None => {
                    if !is_name {
                        self.out.push('"');
                        self.kept = self.out.len();
                    }
                    return Some(());
                }
            }
        }
    }

    fn code(&mut self, unit: u16) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        self.out.push_str("\\u");
        for shift in [12, 8, 4, 0] {
            let digit = usize::from(unit >> shift & 15);
            self.out.push(char::from(HEX[digit]));
        }
    }

    /// What stands behind a backslash.
    fn escape(&mut self) {
        let bytes = &self.text.as_bytes()[self.at..];
        let hex = |from: usize, digits: usize| -> Option<u16> {
            let digits = bytes.get(from..from + digits)?;
            let text = std::str::from_utf8(digits).ok()?;
            let is_hex = digits.iter().all(u8::is_ascii_hexdigit);
            is_hex.then(|| u16::from_str_radix(text, 16).ok()).flatten()
        };
        match bytes.get(1) {
            // Cut off within the escape.
            None => {
                self.at += 1;
                return;
            }
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.copy_one();
                self.copy_one();
                return;
            }
            Some(b'u') => match hex(2, 4) {
                Some(high @ 0xD800..=0xDBFF) => {
                    let low = (bytes.get(6..8) == Some(b"\\u"))
                        .then(|| hex(8, 4))
                        .flatten();
                    if let Some(low @ 0xDC00..=0xDFFF) = low {
                        self.code(high);
                        self.code(low);
                        self.at += 12;
                        return;
                    }
                    // Half of a character.
                    self.code(0xFFFD);
                    self.at += 6;
                }
                Some(0xDC00..=0xDFFF) => {
                    self.code(0xFFFD);
                    self.at += 6;
                }
                Some(unit) => {
                    self.code(unit);
                    self.at += 6;
                    return;
                }
                None if bytes[2..].iter().all(u8::is_ascii_hexdigit) => {
                    self.at = self.text.len();
                    return;
                }
                None => {
                    self.out.push_str("\\\\");
                    self.at += 1;
                }
            },
            // nginx, Apache and C write bytes so.
            Some(b'x') => match hex(2, 2) {
                Some(byte) => {
                    self.code(byte);
                    self.at += 4;
                }
                None => {
                    self.out.push_str("\\\\");
                    self.at += 1;
                }
            },
            Some(_) => {
                self.out.push_str("\\\\");
                self.at += 1;
            }
        }
        self.what = self.what.or(Some(NOT_QUITE));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Option<(String, &'static str)> {
        let arena = Bump::new();
        mended(text, &arena).map(|mended| (mended.text.to_owned(), mended.what))
    }

    #[test]
    fn what_is_almost_json_becomes_json() {
        for (text, expected, what) in [
            (r#"{"a":"\x16\x03"}"#, r#"{"a":"\u0016\u0003"}"#, NOT_QUITE),
            (r#"{"a":"\ud800 b"}"#, r#"{"a":"\ufffd b"}"#, NOT_QUITE),
            (
                r#"{"a":"\udc00\ud83d\ude00"}"#,
                r#"{"a":"\ufffd\ud83d\ude00"}"#,
                NOT_QUITE,
            ),
            ("{\"a\":\"x\ty\"}", r#"{"a":"x\u0009y"}"#, NOT_QUITE),
            (
                r#"{"a":"C:\Users\x"}"#,
                r#"{"a":"C:\\Users\\x"}"#,
                NOT_QUITE,
            ),
            (r#"{"a":"\u12"}"#, r#"{"a":"\\u12"}"#, NOT_QUITE),
            (
                r#"{"a":[1,2,],"b":NaN,}"#,
                r#"{"a":[1,2],"b":null}"#,
                NOT_QUITE,
            ),
            (r#"{"a":1e999}"#, r#"{"a":null}"#, NOT_QUITE),
            (r#"{"a":1,"b":"lo"#, r#"{"a":1,"b":"lo"}"#, CUT_OFF),
            (r#"{"a":1,"b":"lo\"#, r#"{"a":1,"b":"lo"}"#, CUT_OFF),
            (r#"{"a":1,"b":"lo\u00"#, r#"{"a":1,"b":"lo"}"#, CUT_OFF),
            (r#"{"a":1,"na"#, r#"{"a":1}"#, CUT_OFF),
            (r#"{"a":1,"b":12"#, r#"{"a":1}"#, CUT_OFF),
            (
                r#"{"a":{"b":[1,{"c":"d"},"e"#,
                r#"{"a":{"b":[1,{"c":"d"},"e"]}}"#,
                CUT_OFF,
            ),
            (
                r#"{"a":{"b":[1,{"c":"d"}"#,
                r#"{"a":{"b":[1,{"c":"d"}]}}"#,
                CUT_OFF,
            ),
            (r#"{"a":"#, "{}", CUT_OFF),
            ("{", "{}", CUT_OFF),
        ] {
            let (found, why) = told(text).unwrap();
            assert_eq!((found.as_str(), why), (expected, what), "{text}");
            serde_json::from_str::<serde_json::Value>(&found).unwrap();
        }
    }

    #[test]
    fn what_is_json_or_something_else_is_left() {
        for text in [
            r#"{"a":1}"#,
            r#"{"a":"\u00e9\n\ud83d\ude00"}"#,
            r#"{"a":1}{"b":2}"#,
            r#"{"a":[1}"#,
            r#"{"a":1} and more"#,
            "",
            "}",
        ] {
            assert_eq!(told(text), None, "{text}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let deep = format!(
            r#"{{"a":1,"d":{}1{},"z":2}}"#,
            "{\"a\":[".repeat(5_000),
            "]}".repeat(5_000)
        );
        let (found, what) = told(&deep).unwrap();
        assert_eq!(what, TOO_DEEP);
        assert!(found.ends_with(r#","z":2}"#) && found.contains("null"));
        let open = "[".repeat(1 << 20);
        let (found, _) = told(&open).unwrap();
        assert!(found.len() < 3_000);
    }
}
