//! Regular expressions: from the PCRE that rules are written in to the regex crate's syntax.
//!
//! The two differ in small ways that would make a rule mean something else or not compile at all,
//! so each expression is rewritten token by token. What cannot run in linear time is refused with
//! the reason: an attacker writes the text that it would run on.
//!
//! Source: modifiers specification, "Regular Expression" ("The supported flavor is PCRE"); pcre2pattern(3).

use std::sync::Arc;

use regex::RegexBuilder;

use crate::error::ErrorKind;
use crate::rule::RegexPattern;

/// Bytes that one compiled expression may take: the most, and the classes by which it is counted.
const COMPILED_BYTES_MAX: usize = 4 << 20;
const COMPILED_BYTES: [usize; 4] = [64 << 10, 256 << 10, 1 << 20, COMPILED_BYTES_MAX];
/// Bytes that one may have as it is written.
const SOURCE_BYTES_MAX: usize = 100_000;
/// Characters within which the end of `{n,m}`, `[:name:]`, `\p{name}` or `\x{digits}` is looked for.
const BRACED_MAX: usize = 64;

/// The flags of the `re` modifier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags {
    pub(crate) insensitive: Flag,
    pub(crate) multi_line: Flag,
    pub(crate) single_line: Flag,
}

/// Whether a flag is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Flag {
    #[default]
    Off,
    On,
}

/// Translates `source` and makes sure that it compiles. With it comes about how many bytes it takes.
pub(crate) fn translate(source: &str, flags: Flags) -> Result<(RegexPattern, usize), ErrorKind> {
    let problem = |reason: String| ErrorKind::Regex {
        regex: source.to_owned(),
        reason,
    };
    if source.len() > SOURCE_BYTES_MAX {
        let bytes = source.len();
        return Err(problem(format!(
            "it has {bytes} bytes, the limit is {SOURCE_BYTES_MAX}; split it"
        )));
    }
    let mut translator = Translator {
        chars: source.chars().collect(),
        at: 0,
        out: String::new(),
        groups: vec![flags.multi_line],
    };
    translator.run().map_err(problem)?;
    let letters: String = [
        (flags.insensitive, 'i'),
        (flags.multi_line, 'm'),
        (flags.single_line, 's'),
    ]
    .into_iter()
    .filter(|&(flag, _)| flag == Flag::On)
    .map(|(_, letter)| letter)
    .collect();
    let pattern = if letters.is_empty() {
        translator.out
    } else {
        format!("(?{letters}){}", translator.out)
    };
    match compile(&pattern) {
        Ok((regex, bytes)) => {
            let pattern = RegexPattern {
                source: Arc::from(source),
                pattern: Arc::from(pattern),
                regex,
            };
            Ok((pattern, bytes))
        }
        Err(regex::Error::CompiledTooBig(_)) => Err(problem(
            "its repetitions make it too large to compile; use smaller counts".to_owned(),
        )),
        Err(error) => {
            // The crate's message draws the expression over several lines; its last line says what is wrong.
            let text = error.to_string();
            let reason = text.lines().last().unwrap_or(&text).trim();
            Err(problem(
                reason.strip_prefix("error: ").unwrap_or(reason).to_owned(),
            ))
        }
    }
}

/// Compiles an expression. The crate does not say how large it became, but keeps within a bound that it is given.
fn compile(pattern: &str) -> Result<(regex::Regex, usize), regex::Error> {
    let mut builder = RegexBuilder::new(pattern);
    builder.nest_limit(250);
    let mut outcome = Err(regex::Error::CompiledTooBig(0));
    for bytes in COMPILED_BYTES {
        outcome = builder
            .size_limit(bytes)
            .build()
            .map(|regex| (regex, bytes));
        if !matches!(outcome, Err(regex::Error::CompiledTooBig(_))) {
            break;
        }
    }
    outcome
}

struct Translator {
    chars: Vec<char>,
    at: usize,
    out: String,
    /// Whether `^` and `$` work per line, for each open group; inline flags change the innermost.
    groups: Vec<Flag>,
}

impl Translator {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn looking_at(&self, text: &str) -> bool {
        text.chars()
            .enumerate()
            .all(|(ahead, c)| self.peek(ahead) == Some(c))
    }

    fn run(&mut self) -> Result<(), String> {
        while let Some(c) = self.peek(0) {
            match c {
                '\\' => self.escape()?,
                '[' => self.class()?,
                '(' => self.group()?,
                ')' => {
                    if self.groups.len() > 1 {
                        self.groups.pop();
                    }
                    self.copy(1);
                }
                '$' => {
                    // Without m, PCRE's $ also matches before a line break that ends the text.
                    let multi_line = self.groups.last() == Some(&Flag::On);
                    self.emit(1, if multi_line { "$" } else { r"(?:\n?\z)" });
                }
                '*' | '+' | '?' => self.quantifier(1)?,
                '{' => match self.counted() {
                    Some(length) => self.quantifier(length)?,
                    // PCRE takes a brace that begins no quantifier literally.
                    None => self.emit(1, r"\{"),
                },
                '}' => self.emit(1, r"\}"),
                _ => self.copy(1),
            }
        }
        Ok(())
    }

    /// How far ahead `end` stands, if it is near.
    fn find(&self, end: char) -> Option<usize> {
        let ahead = self.chars[self.at..].iter().take(BRACED_MAX);
        ahead.copied().position(|c| c == end)
    }

    fn copy(&mut self, count: usize) {
        self.out.extend(&self.chars[self.at..self.at + count]);
        self.at += count;
    }

    fn emit(&mut self, count: usize, text: &str) {
        self.out.push_str(text);
        self.at += count;
    }

    /// Length of the `{n}`, `{n,}` or `{n,m}` here, if it is one.
    fn counted(&self) -> Option<usize> {
        let length = self.find('}')? + 1;
        let inside: String = self.chars[self.at + 1..self.at + length - 1]
            .iter()
            .collect();
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let is_count = match inside.split_once(',') {
            None => digits(&inside),
            Some((from, to)) => digits(from) && (to.is_empty() || digits(to)),
        };
        is_count.then_some(length)
    }

    fn quantifier(&mut self, length: usize) -> Result<(), String> {
        self.copy(length);
        match self.peek(0) {
            Some('?') => self.copy(1),
            Some('+') => {
                return Err("possessive quantifiers (++, *+, ?+) need backtracking, which an attacker's text could make \
                            run for ever; remove the second +"
                    .to_owned());
            }
            _ => {}
        }
        Ok(())
    }

    fn group(&mut self) -> Result<(), String> {
        const NOT_LINEAR: &[(&str, &str)] = &[
            ("(?=", "look-ahead"),
            ("(?!", "negative look-ahead"),
            ("(?<=", "look-behind"),
            ("(?<!", "negative look-behind"),
            ("(?>", "an atomic group"),
            ("(?|", "a branch reset group"),
            ("(?(", "a conditional group"),
            ("(?R", "recursion"),
            ("(?&", "recursion"),
            ("(?P>", "recursion"),
            ("(?P=", "a backreference"),
            ("(*", "a backtracking verb"),
        ];
        if let Some((_, name)) = NOT_LINEAR.iter().find(|(text, _)| self.looking_at(text)) {
            return Err(format!(
                "{name} cannot run in linear time, so an attacker's text could make it run for ever; \
                 write a second search and join them in the condition (`and not` for negative ones)"
            ));
        }
        let inherited = self.groups.last().copied().unwrap_or_default();
        if self.looking_at("(?#") {
            match self.chars[self.at..].iter().position(|&c| c == ')') {
                Some(length) => self.at += length + 1,
                None => return Err("a comment (?# without its )".to_owned()),
            }
            return Ok(());
        }
        if self.looking_at("(?'") {
            return Err("write (?<name>...) instead of (?'name'...)".to_owned());
        }
        if self.looking_at("(?") && !self.looking_at("(?<") && !self.looking_at("(?P<") {
            return self.flags(inherited);
        }
        self.groups.push(inherited);
        // `(?<name>` or `(?P<name>`: the `?` is no quantifier.
        let length = if self.looking_at("(?P<") {
            4
        } else if self.looking_at("(?<") {
            3
        } else {
            1
        };
        self.copy(length);
        Ok(())
    }

    /// `(?i)`, `(?i:`, `(?:`, `(?s-m:`.
    fn flags(&mut self, inherited: Flag) -> Result<(), String> {
        let mut length = 2;
        let (mut to, mut multi_line) = (Flag::On, inherited);
        loop {
            match self.peek(length) {
                Some('-') => to = Flag::Off,
                Some('m') => multi_line = to,
                Some('i' | 's' | 'U') => {}
                Some(':') => {
                    self.groups.push(multi_line);
                    break;
                }
                Some(')') => {
                    if let Some(innermost) = self.groups.last_mut() {
                        *innermost = multi_line;
                    }
                    break;
                }
                Some(c) if c.is_ascii_digit() || c == '+' => {
                    return Err(
                        "recursion cannot run in linear time; write the repetition out".to_owned(),
                    );
                }
                Some(c) => {
                    return Err(format!(
                        "the group (?{c} is not supported; use (?i), (?m), (?s) or (?:...)"
                    ));
                }
                None => return Err("a ( without its )".to_owned()),
            }
            length += 1;
        }
        self.copy(length + 1);
        Ok(())
    }

    fn escape(&mut self) -> Result<(), String> {
        let Some(c) = self.peek(1) else {
            return Err(r"it ends with a single \; write \\ for a backslash".to_owned());
        };
        match c {
            'd' => self.emit(2, "[0-9]"),
            'D' => self.emit(2, "[^0-9]"),
            'w' => self.emit(2, "[0-9A-Za-z_]"),
            'W' => self.emit(2, "[^0-9A-Za-z_]"),
            's' => self.emit(2, r"[\t\n\x0B\x0C\r ]"),
            'S' => self.emit(2, r"[^\t\n\x0B\x0C\r ]"),
            'h' => self.emit(2, r"[\t ]"),
            'H' => self.emit(2, r"[^\t ]"),
            'N' => self.emit(2, r"[^\n]"),
            'R' => self.emit(2, r"(?:\r\n|[\n\x0B\x0C\r])"),
            'b' => self.emit(2, r"(?-u:\b)"),
            'Z' => self.emit(2, r"(?:\n?\z)"),
            'A' | 'z' | 'B' => self.copy(2),
            'p' | 'P' => self.property(),
            '1'..='9' | 'g' | 'k' => {
                return Err("backreferences cannot run in linear time, so an attacker's text could make it run for ever; \
                            write the text out"
                    .to_owned());
            }
            'K' | 'G' | 'C' | 'X' => return Err(format!(r"\{c} is not supported; leave it out")),
            'Q' => self.quoted(),
            _ => self.character()?,
        }
        Ok(())
    }

    /// `\p{L}`, `\pL`, `\x{2013}`: the same in both.
    fn property(&mut self) {
        let length = match self.peek(2) {
            Some('{') => self.find('}').map_or(3, |end| end + 1),
            _ => 3,
        };
        self.copy(length.min(self.chars.len() - self.at));
    }

    /// `\Q...\E`: literal text.
    fn quoted(&mut self) {
        self.at += 2;
        while self.at < self.chars.len() && !self.looking_at(r"\E") {
            let literal = regex::escape(&self.chars[self.at].to_string());
            self.emit(1, &literal);
        }
        self.at = (self.at + 2).min(self.chars.len());
    }

    /// An escape that stands for one character, inside or outside a class.
    fn character(&mut self) -> Result<(), String> {
        let Some(c) = self.peek(1) else {
            return Err(r"it ends with a single \".to_owned());
        };
        match c {
            'n' | 'r' | 't' | 'f' | 'a' => self.copy(2),
            'v' => self.emit(2, r"\x0B"),
            'e' => self.emit(2, r"\x1B"),
            'x' if self.peek(2) == Some('{') => self.property(),
            'x' => self.number(2, 16, 2),
            '0' => self.number(1, 8, 3),
            'o' => return Err(r"write \x{...} instead of \o{...}".to_owned()),
            'c' => match self.peek(2).filter(char::is_ascii) {
                Some(control) => {
                    let code = control.to_ascii_uppercase() as u32 ^ 0x40;
                    self.emit(3, &format!(r"\x{{{code:X}}}"));
                }
                None => return Err(r"\c without a letter behind it".to_owned()),
            },
            // Any other letter is an error in the crate, too, which says so better.
            c if c.is_ascii_alphanumeric() => self.copy(2),
            // `\<` is a word boundary in the crate; `\-`, `\"`, `\/`, `\ñ` mean themselves in PCRE.
            c => {
                let literal = if c.is_ascii_punctuation() && c != '<' && c != '>' {
                    format!(r"\{c}")
                } else {
                    regex::escape(&c.to_string())
                };
                self.emit(2, &literal);
            }
        }
        Ok(())
    }

    /// Digits of `radix` from `skip` on, at most `count`, as a character.
    fn number(&mut self, skip: usize, radix: u32, count: usize) {
        let digits = (0..count)
            .map_while(|i| self.peek(skip + i))
            .take_while(|c| c.is_digit(radix))
            .count();
        let code = (0..digits)
            .filter_map(|i| self.peek(skip + i)?.to_digit(radix))
            .fold(0, |code, digit| code * radix + digit);
        self.emit(skip + digits, &format!(r"\x{{{code:X}}}"));
    }

    fn class(&mut self) -> Result<(), String> {
        self.copy(1);
        if self.peek(0) == Some('^') {
            self.copy(1);
        }
        // A ] that comes first is literal.
        if self.peek(0) == Some(']') {
            self.emit(1, r"\]");
        }
        loop {
            let Some(c) = self.peek(0) else {
                return Err("a [ without its ]".to_owned());
            };
            match c {
                ']' => {
                    self.copy(1);
                    return Ok(());
                }
                '[' if self.looking_at("[:") => {
                    match self.chars[self.at..]
                        .windows(2)
                        .take(BRACED_MAX)
                        .position(|pair| pair == [':', ']'])
                    {
                        Some(length) => self.copy(length + 2),
                        None => self.emit(1, r"\["),
                    }
                }
                '\\' => self.class_escape()?,
                // Nested classes and set operations exist in the crate only.
                '[' | '&' | '~' => self.emit(1, &format!(r"\{c}")),
                '-' if self.looking_at("--") => self.emit(1, r"\-"),
                _ => self.copy(1),
            }
        }
    }

    fn class_escape(&mut self) -> Result<(), String> {
        match self.peek(1) {
            Some('d') => self.emit(2, "0-9"),
            Some('w') => self.emit(2, "0-9A-Za-z_"),
            Some('s') => self.emit(2, r"\t\n\x0B\x0C\r "),
            Some('h') => self.emit(2, r"\t "),
            Some('D' | 'W' | 'S' | 'H' | 'N') => self.escape()?,
            Some('b') => self.emit(2, r"\x08"),
            Some('p' | 'P') => self.property(),
            Some('Q') => self.quoted(),
            Some('1'..='7') => self.number(1, 8, 3),
            _ => self.character()?,
        }
        Ok(())
    }
}
