//! A read-only hash table from 64-bit keys to lists, built once and probed millions of times.
//!
//! Nearly all probes find nothing, so a bitmap that fits the first-level cache answers them; only
//! what passes it looks into the table itself.

use citywatch_parsers::bytes::{u32_at, u64_at};

/// Bits of the bitmap per key: one probe in 32 of an unknown key passes it.
const FILTER_BITS_PER_KEY: usize = 32;
/// Most bits of the bitmap: 32 KiB, of which the first-level cache holds the parts in use.
const FILTER_BITS_MAX: usize = 1 << 18;
const EMPTY: u64 = u64::MAX;

/// A multimap from `u64` to `T`.
#[derive(Debug)]
pub(super) struct KeyTable<T> {
    filter: Box<[u64]>,
    filter_shift: u32,
    keys: Box<[u64]>,
    /// Per slot of `keys` the range of `items`.
    ranges: Box<[(u32, u32)]>,
    items: Box<[T]>,
}

/// Spreads the bits of a key; the upper ones are the best.
#[inline]
pub(super) fn mix(key: u64) -> u64 {
    let product = u128::from(key ^ 0x9E37_79B9_7F4A_7C15) * 0xD6E8_FEB8_6659_FD93_u128;
    #[allow(
        clippy::cast_possible_truncation,
        reason = "both halves of the product are used"
    )]
    {
        (product >> 64) as u64 ^ product as u64
    }
}

impl<T> Default for KeyTable<T> {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl<T> KeyTable<T> {
    /// A table of these items. Items of one key keep their order.
    pub(super) fn new(mut entries: Vec<(u64, T)>) -> Self {
        entries.sort_by_key(|entry| entry.0);
        let mut spans: Vec<(u64, u32, u32)> = Vec::new();
        for (position, (key, _)) in entries.iter().enumerate() {
            let position = index_u32(position);
            match spans.last_mut() {
                Some((last, _, end)) if last == key => *end = position + 1,
                _ => spans.push((*key, position, position + 1)),
            }
        }
        let filter_bits = (spans.len() * FILTER_BITS_PER_KEY)
            .next_power_of_two()
            .clamp(64, FILTER_BITS_MAX);
        let slots = (spans.len() * 2).next_power_of_two().max(2);
        let mut table = Self {
            filter: vec![0; filter_bits / 64].into(),
            filter_shift: 64 - filter_bits.trailing_zeros(),
            keys: vec![EMPTY; slots].into(),
            ranges: vec![(0, 0); slots].into(),
            items: entries.into_iter().map(|entry| entry.1).collect(),
        };
        for (key, start, end) in spans {
            table.insert(key, start, end);
        }
        table
    }

    fn insert(&mut self, key: u64, start: u32, end: u32) {
        let hash = mix(key);
        let bit = self.filter_bit(hash);
        self.filter[bit / 64] |= 1 << (bit % 64);
        let mut slot = self.first_slot(hash);
        while self.keys[slot] != EMPTY {
            slot = (slot + 1) & (self.keys.len() - 1);
        }
        self.keys[slot] = stored(key);
        self.ranges[slot] = (start, end);
    }

    #[inline]
    fn filter_bit(&self, hash: u64) -> usize {
        index_usize(hash >> self.filter_shift)
    }

    #[inline]
    fn first_slot(&self, hash: u64) -> usize {
        index_usize(hash) & (self.keys.len() - 1)
    }

    /// Whether nothing is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The items of `key`.
    #[inline]
    pub(super) fn get(&self, key: u64) -> &[T] {
        let hash = mix(key);
        let bit = self.filter_bit(hash);
        if self.filter[bit / 64] >> (bit % 64) & 1 == 0 {
            return &[];
        }
        self.find(key, hash)
    }

    #[inline(never)]
    fn find(&self, key: u64, hash: u64) -> &[T] {
        let key = stored(key);
        let mut slot = self.first_slot(hash);
        while self.keys[slot] != EMPTY {
            if self.keys[slot] == key {
                let (start, end) = self.ranges[slot];
                return &self.items[start as usize..end as usize];
            }
            slot = (slot + 1) & (self.keys.len() - 1);
        }
        &[]
    }
}

/// Keys as they stand in the table: the mark of an empty slot is no key.
#[inline]
fn stored(key: u64) -> u64 {
    if key == EMPTY { EMPTY - 1 } else { key }
}

/// An index of something of which no rule set has four billion.
pub(super) fn index_u32(index: usize) -> u32 {
    u32::try_from(index).expect("rule sets are bounded far below 2^32 of anything")
}

#[inline]
fn index_usize(hash: u64) -> usize {
    #[allow(
        clippy::cast_possible_truncation,
        reason = "a hash: any of its bits do"
    )]
    {
        hash as usize
    }
}

/// Up to 16 bytes of `bytes` and its length in one number: equal bytes give equal numbers, and
/// few others do. `fold` is set in each byte beforehand.
#[inline]
pub(super) fn sketch(bytes: &[u8], fold: u64) -> u64 {
    let length = bytes.len();
    let (first, last) = match length {
        0 => (0, 0),
        1..=3 => (
            u64::from(bytes[0]) | u64::from(bytes[length / 2]) << 8,
            u64::from(bytes[length - 1]),
        ),
        4..=7 => (
            u64::from(u32_at(bytes, 0)),
            u64::from(u32_at(bytes, length - 4)),
        ),
        _ => (u64_at(bytes, 0), u64_at(bytes, length - 8)),
    };
    mix((first | fold).wrapping_mul(0x2545_F491_4F6C_DD1D)
        ^ (last | fold).rotate_left(23)
        ^ (length as u64) << 56)
}

/// A hash of all bytes and their number.
#[inline]
pub(super) fn hash_bytes(bytes: &[u8], seed: u64) -> u64 {
    let length = bytes.len();
    let fold = |left: u64, right: u64| {
        let product = u128::from(left) * u128::from(right);
        #[allow(
            clippy::cast_possible_truncation,
            reason = "both halves of the product are used"
        )]
        {
            (product >> 64) as u64 ^ product as u64
        }
    };
    const FACTOR: u64 = 0xA076_1D64_78BD_642F;
    let (first, last) = match length {
        0 => (0, 0),
        1..=3 => (
            u64::from(bytes[0]) | u64::from(bytes[length / 2]) << 8,
            u64::from(bytes[length - 1]),
        ),
        4..=7 => (
            u64::from(u32_at(bytes, 0)),
            u64::from(u32_at(bytes, length - 4)),
        ),
        8..=16 => (u64_at(bytes, 0), u64_at(bytes, length - 8)),
        _ => {
            // Two chains, so that the processor can work at both.
            let (mut even, mut odd) = (seed, seed ^ FACTOR);
            let mut chunks = bytes.chunks_exact(32);
            for chunk in &mut chunks {
                even = fold(u64_at(chunk, 0) ^ even, u64_at(chunk, 8) ^ FACTOR);
                odd = fold(u64_at(chunk, 16) ^ odd, u64_at(chunk, 24) ^ FACTOR);
            }
            if chunks.remainder().len() > 16 {
                let rest = chunks.remainder();
                even = fold(u64_at(rest, 0) ^ even, u64_at(rest, 8) ^ FACTOR);
            }
            (
                u64_at(bytes, length - 16) ^ even,
                u64_at(bytes, length - 8) ^ odd,
            )
        }
    };
    let mixed = fold(first ^ seed, last ^ FACTOR);
    fold(mixed ^ length as u64, FACTOR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_put_in_and_nothing_else() {
        let entries: Vec<(u64, u32)> = (0..5_000u32)
            .map(|n| (u64::from(n % 1_000).wrapping_mul(7), n))
            .collect();
        let table = KeyTable::new(entries);
        for key in 0..10_000u64 {
            let expected: Vec<u32> = if key % 7 == 0 && key / 7 < 1_000 {
                (0..5)
                    .map(|n| u32::try_from(key / 7).unwrap() + n * 1_000)
                    .collect()
            } else {
                vec![]
            };
            assert_eq!(table.get(key), expected, "key {key}");
        }
        assert_eq!(KeyTable::new(vec![(u64::MAX, 1u8)]).get(u64::MAX), [1]);
        assert!(KeyTable::<u8>::new(vec![]).get(0).is_empty());
    }

    #[test]
    fn hashes_see_every_byte() {
        let text: Vec<u8> = (0..200u8).collect();
        for length in 0..text.len() {
            let text = &text[..length];
            let mut hashes = vec![hash_bytes(text, 1), hash_bytes(text, 2)];
            for at in 0..length {
                let mut other = text.to_vec();
                other[at] ^= 1;
                hashes.push(hash_bytes(&other, 1));
            }
            hashes.sort_unstable();
            hashes.dedup();
            assert_eq!(hashes.len(), length + 2);
        }
    }

    #[test]
    fn sketches_tell_short_texts_apart() {
        let texts = [
            "",
            "a",
            "b",
            "ab",
            "ba",
            "abc",
            "abcd",
            "abcde",
            "abcdefgh",
            "abcdefghi",
            "abcdefgh abcdefgh",
        ];
        for (i, left) in texts.iter().enumerate() {
            for (j, right) in texts.iter().enumerate() {
                assert_eq!(
                    sketch(left.as_bytes(), 0) == sketch(right.as_bytes(), 0),
                    i == j,
                    "{left} {right}"
                );
            }
        }
        let fold = 0x2020_2020_2020_2020;
        assert_eq!(
            sketch(b"PowerShell.exe", fold),
            sketch(b"powershell.EXE", fold)
        );
    }
}
