//! The condition language (rules specification, "Condition").
//!
//! From loosest to tightest: `or`, `and`, `not`, `x of pattern`, parentheses. A condition is read into
//! a tree over names first and inlined into an [`Expr`] after, so that explaining can use the tree.

use std::collections::HashMap;
use std::fmt;

use crate::error::{ErrorKind, Problem, nearest};
use crate::rule::{Expr, Position, Search};

/// Nesting of parentheses and `not`; real rules have below 10.
const DEPTH_MAX: usize = 100;
/// Parts of a rule's conditions with the searches in place; the largest SigmaHQ rule has below 3,000.
const SIZE_MAX: usize = 200_000;
/// Bytes of a condition; those of SigmaHQ have below 300.
const TEXT_BYTES_MAX: usize = 100_000;
/// Ways to pick `2 of` some searches and the like.
const COMBINATIONS_MAX: usize = 1_000;

/// A condition over names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// A search by name.
    Name(String),
    /// How many of the searches that fit a pattern must hold.
    Of {
        /// How many.
        quantity: Quantity,
        /// The pattern; `*` stands for any text. `None` for `them`.
        pattern: Option<String>,
    },
    /// All of them.
    And(Vec<Condition>),
    /// One of them.
    Or(Vec<Condition>),
    /// It does not hold.
    Not(Box<Condition>),
}

/// How many searches must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// `all of`.
    All,
    /// `1 of`, `any of`, `2 of`: at least so many.
    AtLeast(usize),
}

impl fmt::Display for Condition {
    /// As it may be written, with parentheses around what is looser than its place.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |f: &mut fmt::Formatter<'_>, parts: &[Self], word: &str| {
            for (index, part) in parts.iter().enumerate() {
                if index > 0 {
                    write!(f, " {word} ")?;
                }
                match part {
                    Self::And(_) | Self::Or(_) => write!(f, "({part})")?,
                    _ => write!(f, "{part}")?,
                }
            }
            Ok(())
        };
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Of { quantity, pattern } => {
                match quantity {
                    Quantity::All => f.write_str("all")?,
                    Quantity::AtLeast(count) => write!(f, "{count}")?,
                }
                write!(f, " of {}", pattern.as_deref().unwrap_or("them"))
            }
            Self::And(parts) => joined(f, parts, "and"),
            Self::Or(parts) => joined(f, parts, "or"),
            Self::Not(part) => match **part {
                Self::And(_) | Self::Or(_) => write!(f, "not ({part})"),
                _ => write!(f, "not {part}"),
            },
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token<'a> {
    Open,
    Close,
    And,
    Or,
    Not,
    Word(&'a str),
}

/// Reads a condition. `position` is where its text begins; problems are placed in it.
pub(crate) fn parse(text: &str, position: Position) -> Result<Condition, Problem> {
    if text.len() > TEXT_BYTES_MAX {
        let bytes = text.len();
        let reason = format!(
            "it has {bytes} bytes, the limit is {TEXT_BYTES_MAX}; write patterns (1 of x_*) or split the rule"
        );
        return Err(Problem::new(position, ErrorKind::Condition { reason }));
    }
    let (tokens, end) = tokenize(text, position)?;
    let mut parser = Parser {
        tokens: &tokens,
        next: 0,
        depth: 0,
        end,
    };
    let condition = parser.or()?;
    match parser.peek() {
        None => Ok(condition),
        Some(Token::Close) => Err(parser.problem("a ) without a ( before it")),
        Some(_) => Err(parser.problem("two parts without and, or between them")),
    }
}

/// Words with their places. Continuation lines of a YAML scalar are told by line; their column counts
/// from the text's own margin, which YAML takes away.
fn tokenize(
    text: &str,
    position: Position,
) -> Result<(Vec<(Token<'_>, Position)>, Position), Problem> {
    let mut tokens = Vec::new();
    let mut at = position;
    let mut rest = text;
    loop {
        let trimmed = rest.trim_start();
        at = advanced(at, &rest[..rest.len() - trimmed.len()]);
        let Some(first) = trimmed.chars().next() else {
            return Ok((tokens, at));
        };
        let length = match first {
            '(' | ')' => 1,
            _ => trimmed
                .find(|c: char| c.is_whitespace() || c == '(' || c == ')')
                .unwrap_or(trimmed.len()),
        };
        let (word, after) = trimmed.split_at(length);
        let token = match word {
            "(" => Token::Open,
            ")" => Token::Close,
            _ if word.eq_ignore_ascii_case("and") => Token::And,
            _ if word.eq_ignore_ascii_case("or") => Token::Or,
            _ if word.eq_ignore_ascii_case("not") => Token::Not,
            "|" => {
                let reason =
                    "aggregations behind | are not part of Sigma 2; write a correlation rule"
                        .to_owned();
                return Err(Problem::new(at, ErrorKind::Condition { reason }));
            }
            _ => Token::Word(word),
        };
        tokens.push((token, at));
        at = advanced(at, word);
        rest = after;
    }
}

/// The place behind `text` that begins at `from`.
fn advanced(from: Position, text: &str) -> Position {
    text.chars().fold(from, |at, c| match c {
        '\n' => Position {
            line: at.line.saturating_add(1),
            column: 1,
        },
        _ => Position {
            line: at.line,
            column: at.column.saturating_add(1),
        },
    })
}

struct Parser<'a> {
    tokens: &'a [(Token<'a>, Position)],
    next: usize,
    depth: usize,
    end: Position,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a Token<'a>> {
        self.tokens.get(self.next).map(|(token, _)| token)
    }

    fn problem(&self, reason: &str) -> Problem {
        let position = self
            .tokens
            .get(self.next)
            .map_or(self.end, |&(_, position)| position);
        Problem::new(
            position,
            ErrorKind::Condition {
                reason: reason.to_owned(),
            },
        )
    }

    fn or(&mut self) -> Result<Condition, Problem> {
        let mut parts = vec![self.and()?];
        while self.peek() == Some(&Token::Or) {
            self.next += 1;
            parts.push(self.and()?);
        }
        Ok(if parts.len() == 1 {
            parts.remove(0)
        } else {
            Condition::Or(parts)
        })
    }

    fn and(&mut self) -> Result<Condition, Problem> {
        let mut parts = vec![self.not()?];
        while self.peek() == Some(&Token::And) {
            self.next += 1;
            parts.push(self.not()?);
        }
        Ok(if parts.len() == 1 {
            parts.remove(0)
        } else {
            Condition::And(parts)
        })
    }

    fn not(&mut self) -> Result<Condition, Problem> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.problem("parentheses and not nested deeper than 100 levels"));
        }
        let condition = if self.peek() == Some(&Token::Not) {
            self.next += 1;
            Condition::Not(Box::new(self.not()?))
        } else {
            self.operand()?
        };
        self.depth -= 1;
        Ok(condition)
    }

    fn operand(&mut self) -> Result<Condition, Problem> {
        match self.peek() {
            Some(Token::Open) => {
                self.next += 1;
                let inner = self.or()?;
                if self.peek() != Some(&Token::Close) {
                    return Err(self.problem("a ( without its )"));
                }
                self.next += 1;
                Ok(inner)
            }
            Some(Token::Word(word)) => {
                if let Some(Token::Word(of)) =
                    self.tokens.get(self.next + 1).map(|(token, _)| token)
                    && of.eq_ignore_ascii_case("of")
                {
                    return self.of(word);
                }
                self.next += 1;
                Ok(Condition::Name((*word).to_owned()))
            }
            Some(Token::Close) => {
                Err(self.problem("nothing where a search's name should be, before )"))
            }
            Some(Token::And | Token::Or | Token::Not) => {
                Err(self.problem("nothing where a search's name should be, before an operator"))
            }
            None => Err(self.problem("it ends where a search's name should be")),
        }
    }

    fn of(&mut self, word: &str) -> Result<Condition, Problem> {
        let quantity = if word.eq_ignore_ascii_case("all") {
            Quantity::All
        } else if word.eq_ignore_ascii_case("any") {
            Quantity::AtLeast(1)
        } else {
            match word.parse() {
                Ok(count) if count > 0 => Quantity::AtLeast(count),
                _ => {
                    return Err(
                        self.problem("before \"of\" stands all, any, or a number from 1 on")
                    );
                }
            }
        };
        self.next += 2;
        let Some(Token::Word(pattern)) = self.peek() else {
            return Err(self.problem("after \"of\" stands them or a pattern such as selection_*"));
        };
        self.next += 1;
        let pattern = (!pattern.eq_ignore_ascii_case("them")).then(|| (*pattern).to_owned());
        Ok(Condition::Of { quantity, pattern })
    }
}

/// Puts the searches of a rule in place of their names in its conditions.
pub(crate) struct Inliner<'a> {
    searches: &'a [Search],
    places: HashMap<&'a str, usize>,
    sizes: Vec<usize>,
    /// Where the condition is written.
    position: Position,
    /// Expressions put in place so far: a short condition can name a large search many times.
    size: usize,
}

impl<'a> Inliner<'a> {
    /// For conditions over `searches`.
    pub(crate) fn new(searches: &'a [Search]) -> Self {
        let names = searches.iter().map(|search| &*search.name);
        Self {
            searches,
            places: names.zip(0..).collect(),
            sizes: searches.iter().map(|search| search.expr.parts()).collect(),
            position: Position::default(),
            size: 0,
        }
    }

    /// What all conditions so far have come to.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// A condition with the searches in place. `position` is where it is written.
    pub(crate) fn condition(
        &mut self,
        condition: &Condition,
        position: Position,
    ) -> Result<Expr, Problem> {
        self.position = position;
        self.inline(condition)
    }

    fn inline(&mut self, condition: &Condition) -> Result<Expr, Problem> {
        match condition {
            Condition::And(parts) => Ok(Expr::And(self.all(parts)?)),
            Condition::Or(parts) => Ok(Expr::Or(self.all(parts)?)),
            Condition::Not(part) => Ok(Expr::Not(Box::new(self.inline(part)?))),
            Condition::Name(name) => match self.places.get(name.as_str()) {
                Some(&index) => {
                    self.grow(self.sizes[index])?;
                    Ok(self.searches[index].expr.clone())
                }
                None => {
                    let suggestion =
                        nearest(name, self.searches.iter().map(|search| &*search.name));
                    Err(self.problem(ErrorKind::UnknownSearch {
                        name: name.clone(),
                        suggestion,
                    }))
                }
            },
            Condition::Of { quantity, pattern } => {
                let fitting: Vec<usize> = (0..self.searches.len())
                    .filter(|&index| fits(pattern.as_deref(), &self.searches[index].name))
                    .collect();
                if fitting.is_empty() {
                    let pattern = pattern.clone().unwrap_or_else(|| "them".to_owned());
                    return Err(self.problem(ErrorKind::NoSearchFits { pattern }));
                }
                self.quantified(*quantity, &fitting)
            }
        }
    }

    fn all(&mut self, parts: &[Condition]) -> Result<Vec<Expr>, Problem> {
        parts.iter().map(|part| self.inline(part)).collect()
    }

    /// Counts what is about to be put in place.
    fn grow(&mut self, size: usize) -> Result<(), Problem> {
        self.size = self.size.saturating_add(size);
        if self.size > SIZE_MAX {
            let reason = format!(
                "with its searches in place it has more than {SIZE_MAX} parts; split the rule"
            );
            return Err(self.problem(ErrorKind::Condition { reason }));
        }
        Ok(())
    }

    /// The searches at these places.
    fn at(&mut self, places: &[usize]) -> Result<Vec<Expr>, Problem> {
        self.grow(places.iter().map(|&place| self.sizes[place]).sum())?;
        let exprs = places.iter().map(|&place| &self.searches[place].expr);
        Ok(exprs.cloned().collect())
    }

    fn problem(&self, kind: ErrorKind) -> Problem {
        Problem::new(self.position, kind)
    }

    /// At least `quantity` of the searches at `fitting`. Two or more are spelled out as the Or of all Ands of that size,
    /// which is fine for the few searches that rules have.
    fn quantified(&mut self, quantity: Quantity, fitting: &[usize]) -> Result<Expr, Problem> {
        let count = match quantity {
            Quantity::All => return Ok(Expr::And(self.at(fitting)?)),
            Quantity::AtLeast(1) => return Ok(Expr::Or(self.at(fitting)?)),
            Quantity::AtLeast(count) => count,
        };
        if count > fitting.len() {
            let reason = format!("{count} of {} searches can never hold", fitting.len());
            return Err(self.problem(ErrorKind::Condition { reason }));
        }
        let mut picks: Vec<Vec<usize>> = vec![Vec::new()];
        for _ in 0..count {
            let longer = picks.iter().flat_map(|pick| {
                // Picks rise, so that each comes once.
                let rest = pick
                    .last()
                    .map_or(0, |&last| fitting.partition_point(|&place| place <= last));
                fitting[rest..]
                    .iter()
                    .map(move |&place| [pick.as_slice(), &[place]].concat())
            });
            picks = longer.take(COMBINATIONS_MAX + 1).collect();
            if picks.len() > COMBINATIONS_MAX {
                let reason = format!(
                    "{count} of {} searches has more than {COMBINATIONS_MAX} combinations",
                    fitting.len()
                );
                return Err(self.problem(ErrorKind::Condition { reason }));
            }
        }
        let picked = picks.iter().map(|pick| Ok(Expr::And(self.at(pick)?)));
        Ok(Expr::Or(picked.collect::<Result<_, Problem>>()?))
    }
}

/// Whether `pattern` speaks of the search `name`. Names that begin with `_` are left out unless the
/// pattern itself begins so.
pub(crate) fn fits(pattern: Option<&str>, name: &str) -> bool {
    match pattern {
        None => !name.starts_with('_'),
        Some(pattern) => {
            (pattern.starts_with('_') || !name.starts_with('_')) && glob(pattern, name)
        }
    }
}

/// Whether `name` fits `pattern`, where `*` stands for any text.
fn glob(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = name.strip_prefix(parts.next().unwrap_or("")) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(start) => rest = &rest[start + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}
