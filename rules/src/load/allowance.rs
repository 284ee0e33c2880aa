//! What rules may take together while they are loaded.
//!
//! A few kilobytes can stand for gigabytes: a condition that names a large search a thousand times, dashes that
//! multiply a long text, counted repetitions in regular expressions, a filter on every rule. Each of them has a
//! bound of its own; the sums over all rules of one load are bounded here.

use std::cell::Cell;
use std::iter::Sum;

use super::LoadOptions;
use crate::error::ErrorKind;

/// Tests and operators of all rules, searches in place; all of SigmaHQ has below 200,000.
pub(super) const PARTS_MAX: usize = 2_000_000;
/// Bytes of all texts that values are compared with.
pub(super) const TEXT_BYTES_MAX: usize = 256 << 20;
/// Bytes of all compiled regular expressions, each counted by a generous class of size; SigmaHQ's have 18 MiB.
pub(super) const REGEX_BYTES_MAX: usize = 128 << 20;

/// How rules are read, and how much more they may take.
pub(super) struct Allowance<'o> {
    pub(super) options: &'o LoadOptions,
    left: Cell<Left>,
}

/// What is left of each sum.
#[derive(Clone, Copy)]
pub(super) struct Left {
    parts: usize,
    text_bytes: usize,
    regex_bytes: usize,
}

/// What a document has taken of each sum.
#[derive(Clone, Copy, Default)]
pub(super) struct Taken {
    parts: usize,
    text_bytes: usize,
    regex_bytes: usize,
}

impl Sum for Taken {
    fn sum<I: Iterator<Item = Self>>(taken: I) -> Self {
        taken.fold(Self::default(), |sum, one| Self {
            parts: sum.parts.saturating_add(one.parts),
            text_bytes: sum.text_bytes.saturating_add(one.text_bytes),
            regex_bytes: sum.regex_bytes.saturating_add(one.regex_bytes),
        })
    }
}

impl<'o> Allowance<'o> {
    pub(super) fn new(options: &'o LoadOptions) -> Self {
        Self {
            options,
            left: Cell::new(Left {
                parts: PARTS_MAX,
                text_bytes: TEXT_BYTES_MAX,
                regex_bytes: REGEX_BYTES_MAX,
            }),
        }
    }

    /// What is left, to be given back when the rule that is read next turns out to be broken.
    pub(super) fn left(&self) -> Left {
        self.left.get()
    }

    /// Gives back what was taken since.
    pub(super) fn give_back(&self, left: Left) {
        self.left.set(left);
    }

    /// What was taken since.
    pub(super) fn taken_since(&self, before: Left) -> Taken {
        let now = self.left.get();
        Taken {
            parts: before.parts - now.parts,
            text_bytes: before.text_bytes - now.text_bytes,
            regex_bytes: before.regex_bytes - now.regex_bytes,
        }
    }

    /// Takes a sum as a whole, or nothing of it.
    pub(super) fn take_all(&self, sum: Taken) -> bool {
        let left = self.left.get();
        let less = (|| {
            Some(Left {
                parts: left.parts.checked_sub(sum.parts)?,
                text_bytes: left.text_bytes.checked_sub(sum.text_bytes)?,
                regex_bytes: left.regex_bytes.checked_sub(sum.regex_bytes)?,
            })
        })();
        self.left.set(less.unwrap_or(left));
        less.is_some()
    }

    /// Gives back what one document had taken.
    pub(super) fn put_back(&self, taken: Taken) {
        let left = self.left.get();
        self.left.set(Left {
            parts: left.parts + taken.parts,
            text_bytes: left.text_bytes + taken.text_bytes,
            regex_bytes: left.regex_bytes + taken.regex_bytes,
        });
    }

    pub(super) fn take_parts(&self, count: usize) -> Result<(), ErrorKind> {
        self.take(count, PARTS_MAX, "tests", |left| &mut left.parts)
    }

    pub(super) fn take_text(&self, bytes: usize) -> Result<(), ErrorKind> {
        self.take(bytes, TEXT_BYTES_MAX, "bytes of text", |left| {
            &mut left.text_bytes
        })
    }

    pub(super) fn take_regex(&self, bytes: usize) -> Result<(), ErrorKind> {
        self.take(
            bytes,
            REGEX_BYTES_MAX,
            "bytes of regular expressions",
            |left| &mut left.regex_bytes,
        )
    }

    fn take(
        &self,
        count: usize,
        count_max: usize,
        what: &'static str,
        sum: impl Fn(&mut Left) -> &mut usize,
    ) -> Result<(), ErrorKind> {
        let mut left = self.left.get();
        let rest = sum(&mut left);
        match rest.checked_sub(count) {
            Some(less) => *rest = less,
            None => return Err(ErrorKind::TooMuchInAll { what, count_max }),
        }
        self.left.set(left);
        Ok(())
    }
}
