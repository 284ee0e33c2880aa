//! Remembers what the search of a value found.
//!
//! Nine values of ten that logs bring were there a moment ago in the same field, and most hold no
//! witness. For them a hash and a comparison replace the check for ASCII, the folding and all
//! searches. The memo is a table of fixed size that an event's thread has for itself; what does not fit
//! replaces what was there. Equal hashes are told apart by the bytes, so it never changes an answer.

use citywatch_parsers::bytes::same_bytes;

use super::denials::Denied;
use super::keys::{hash_bytes, index_u32};
use super::names::FieldIndex;
use super::predicate::{Indexed, PredicateId};

/// Longest value that is remembered.
pub(super) const VALUE_BYTES_MAX: usize = 1_024;
/// Bytes of a value that stand in the entry itself, which then is one line of the cache.
const SHORT_BYTES_MAX: usize = 43;
const SETS: usize = 1_024;
/// Values with the same place in the table.
const WAYS: usize = 4;
/// Bytes of longer values, and findings, after which all is forgotten: those of replaced values
/// are in it too.
const LONG_BYTES_MAX: usize = 512 << 10;
const FINDINGS_MAX: usize = 64 << 10;
/// Most findings of one value.
const FINDINGS_OF_VALUE_MAX: usize = 256;
/// Spreads hashes in a way that those who write logs do not know beforehand in detail.
const SEED: u64 = 0x5bd1_e995_7c3a_91d7;

/// A witness in a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Finding {
    pub(super) predicate: PredicateId,
    pub(super) proof: Proof,
}

/// What it means that a predicate was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Proof {
    /// It may hold.
    Perhaps,
    /// It holds.
    Holds,
}

impl From<Indexed> for Proof {
    fn from(indexed: Indexed) -> Self {
        if indexed == Indexed::Exactly {
            Self::Holds
        } else {
            Self::Perhaps
        }
    }
}

/// How a value was searched: equal keys and bytes give equal findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MemoKey(u64);

impl MemoKey {
    /// Of a text that is searched under a plan in the index of this field, and in no other.
    pub(super) fn of_text(plan: u32, own: Option<FieldIndex>) -> Self {
        let own = own.map_or(0, |own| u64::from(own.0) + 1);
        Self(u64::from(plan) << 40 | own << 2)
    }

    /// The same, searched for keywords too or not.
    #[inline]
    pub(super) fn with_keywords(self, with_keywords: bool) -> Self {
        Self(self.0 | u64::from(with_keywords) << 1)
    }

    /// The same of a whole number.
    #[inline]
    pub(super) fn of_number(self) -> Self {
        Self(self.0 | 1)
    }
}

/// A remembered value: its place in the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Remembered(u32);

#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Entry {
    key: MemoKey,
    len: u16,
    findings_count: u16,
    findings: u32,
    /// Where a longer value is.
    long: u32,
    denied: Denied,
    short: [u8; SHORT_BYTES_MAX],
}

const VACANT: Entry = Entry {
    key: MemoKey(u64::MAX),
    len: 0,
    findings_count: 0,
    findings: 0,
    long: 0,
    denied: 0,
    short: [0; SHORT_BYTES_MAX],
};

/// The table.
#[derive(Debug)]
pub(super) struct ValueMemo {
    /// Parts of hashes, never 0 where there is an entry: what is looked at first.
    tags: Box<[[u32; WAYS]]>,
    entries: Box<[Entry]>,
    long: Vec<u8>,
    findings: Vec<Finding>,
    /// Which of a set is replaced next.
    victim: usize,
}

/// A place in the table for a value that is not there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vacancy {
    set: usize,
    tag: u32,
}

impl ValueMemo {
    /// Remembers nothing yet.
    pub(super) fn new() -> Self {
        Self {
            tags: vec![[0; WAYS]; SETS].into(),
            entries: vec![VACANT; SETS * WAYS].into(),
            long: Vec::new(),
            findings: Vec::new(),
            victim: 0,
        }
    }

    /// Whether `guess` is `value`: a field often has the value that it had last, and then nothing
    /// waits for a hash.
    #[inline(always)]
    pub(super) fn is(&self, guess: Remembered, key: MemoKey, value: &[u8]) -> bool {
        let entry = &self.entries[guess.0 as usize];
        entry.key == key
            && usize::from(entry.len) == value.len()
            && same_bytes(self.value_of(entry), value)
    }

    /// Where `value` is, or where to remember it.
    ///
    /// # Errors
    /// When it is not known.
    #[inline]
    pub(super) fn look_up(&self, key: MemoKey, value: &[u8]) -> Result<Remembered, Vacancy> {
        let hash = hash_bytes(value, SEED ^ key.0);
        #[allow(
            clippy::cast_possible_truncation,
            reason = "a hash: any of its bits do"
        )]
        let (set, tag) = (hash as usize % SETS, (hash >> 32) as u32 | 1);
        // All are compared at once; mostly one is it, or none.
        let is_same = self.tags[set].map(|other| other == tag);
        let mut ways = (0..WAYS).fold(0_u32, |ways, way| ways | u32::from(is_same[way]) << way);
        while ways != 0 {
            let way = ways.trailing_zeros() as usize;
            ways &= ways - 1;
            let found = Remembered(index_u32(set * WAYS + way));
            if self.is(found, key, value) {
                return Ok(found);
            }
        }
        Err(Vacancy { set, tag })
    }

    #[inline]
    fn value_of<'m>(&'m self, entry: &'m Entry) -> &'m [u8] {
        let len = usize::from(entry.len);
        if len <= SHORT_BYTES_MAX {
            &entry.short[..len]
        } else {
            &self.long[entry.long as usize..entry.long as usize + len]
        }
    }

    /// What was found in a value.
    #[inline]
    pub(super) fn findings(&self, found: Remembered) -> &[Finding] {
        let entry = &self.entries[found.0 as usize];
        let start = entry.findings as usize;
        &self.findings[start..start + usize::from(entry.findings_count)]
    }

    /// The rules that a value rules out.
    #[inline]
    pub(super) fn denied(&self, found: Remembered) -> Denied {
        self.entries[found.0 as usize].denied
    }

    /// Remembers what was found in a value of at most [`VALUE_BYTES_MAX`] bytes, and what it rules out. Findings may be
    /// there twice.
    pub(super) fn remember(
        &mut self,
        vacancy: Vacancy,
        key: MemoKey,
        value: &[u8],
        findings: &mut Vec<Finding>,
        denied: Denied,
    ) {
        findings.sort_unstable();
        findings.dedup();
        if findings.len() > FINDINGS_OF_VALUE_MAX {
            return;
        }
        if self.long.len() + value.len() > LONG_BYTES_MAX
            || self.findings.len() + findings.len() > FINDINGS_MAX
        {
            self.forget();
        }
        let mut entry = Entry {
            key,
            len: u16::try_from(value.len()).expect("no longer than the bound"),
            findings_count: u16::try_from(findings.len()).expect("no more than the bound"),
            findings: index_u32(self.findings.len()),
            long: index_u32(self.long.len()),
            denied,
            short: [0; SHORT_BYTES_MAX],
        };
        match entry.short.get_mut(..value.len()) {
            Some(short) => short.copy_from_slice(value),
            None => self.long.extend_from_slice(value),
        }
        self.findings.extend_from_slice(findings);
        let tags = &mut self.tags[vacancy.set];
        let way = tags.iter().position(|&tag| tag == 0).unwrap_or_else(|| {
            self.victim += 1;
            self.victim % WAYS
        });
        tags[way] = vacancy.tag;
        self.entries[vacancy.set * WAYS + way] = entry;
    }

    /// Forgets all.
    pub(super) fn forget(&mut self) {
        self.tags.fill([0; WAYS]);
        self.entries.fill(VACANT);
        self.long.clear();
        self.findings.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(number: u32) -> Finding {
        Finding {
            predicate: PredicateId(number),
            proof: Proof::Perhaps,
        }
    }

    fn denied(number: u32) -> Denied {
        number.to_le_bytes()[0]
    }

    #[test]
    fn what_is_remembered_is_what_was_found_however_much_comes() {
        let mut memo = ValueMemo::new();
        let mut hits = 0;
        for step in 0..60_000u32 {
            let number = step % if step % 3 == 0 { 7_000 } else { 200 };
            let value = format!("{number}").repeat(1 + number as usize % 90);
            let key = MemoKey(u64::from(number % 3));
            match memo.look_up(key, value.as_bytes()) {
                Ok(found) => {
                    hits += 1;
                    assert_eq!(memo.findings(found), [finding(number)], "{value}");
                    assert_eq!(memo.denied(found), denied(number), "{value}");
                }
                Err(vacancy) => {
                    let mut findings = vec![finding(number), finding(number)];
                    memo.remember(
                        vacancy,
                        key,
                        value.as_bytes(),
                        &mut findings,
                        denied(number),
                    );
                    let found = memo.look_up(key, value.as_bytes()).unwrap();
                    assert_eq!(memo.denied(found), denied(number));
                    assert_eq!(memo.findings(found), [finding(number)]);
                }
            }
        }
        assert!(hits > 1_000, "{hits}");
        assert!(memo.look_up(MemoKey(9), b"1").is_err());
        assert!(memo.long.len() <= LONG_BYTES_MAX && memo.findings.len() <= FINDINGS_MAX);
    }
}
