//! A name occurs once in an event: finds the place of a name among the fields, and gathers the values of
//! names that come again. Both in constant time per field, for a hostile record has as many as it likes.

use bumpalo::Bump;
use bumpalo::collections::Vec as ArenaVec;
use xxhash_rust::xxh3::xxh3_64;

use crate::event::{Field, Value};

/// Up to here a filter and a linear search are fastest; beyond it there is a table.
const LINEAR_MAX: usize = 64;

/// Finds fields by name.
#[derive(Default)]
pub(crate) struct Names<'a> {
    /// One bit per hash: most names of most events are seen to be new without any comparison.
    filter: [u64; 8],
    /// Places plus one by hash, open addressing; made when the fields outgrow the linear search.
    table: Option<&'a mut [u32]>,
    /// Fields whose names are in the filter and the table: names are learned when one is looked for.
    learned: usize,
}

impl<'a> Names<'a> {
    /// The place of the field of that name.
    pub(crate) fn find(
        &mut self,
        fields: &[Field<'a>],
        name: &str,
        arena: &'a Bump,
    ) -> Option<usize> {
        while self.learned < fields.len() {
            self.learned += 1;
            self.insert(&fields[..self.learned], arena);
        }
        if let Some(table) = &self.table {
            return slots(table.len(), name)
                .map(|slot| table[slot] as usize)
                .take_while(|place| *place != 0)
                .map(|place| place - 1)
                .find(|place| fields[*place].name == name);
        }
        let (word, bit) = filter_bit(name);
        if self.filter[word] & bit == 0 {
            return None;
        }
        fields.iter().position(|field| field.name == name)
    }

    /// Learns the name of the last of `fields`.
    fn insert(&mut self, fields: &[Field<'a>], arena: &'a Bump) {
        let Some(last) = fields.last() else { return };
        let (word, bit) = filter_bit(last.name);
        self.filter[word] |= bit;
        match &mut self.table {
            Some(table) if fields.len() * 2 <= table.len() => {
                place_in(table, fields, fields.len() - 1)
            }
            None if fields.len() <= LINEAR_MAX => {}
            _ => {
                let table = arena.alloc_slice_fill_copy((fields.len() * 8).next_power_of_two(), 0);
                for place in 0..fields.len() {
                    place_in(table, fields, place);
                }
                self.table = Some(table);
            }
        }
    }
}

fn place_in(table: &mut [u32], fields: &[Field<'_>], place: usize) {
    let free = slots(table.len(), fields[place].name).find(|slot| table[*slot] == 0);
    if let Some(slot) = free {
        table[slot] = u32::try_from(place + 1).expect("fields are bounded far below 2^32");
    }
}

fn slots(table_len: usize, name: &str) -> impl Iterator<Item = usize> {
    let mask = table_len - 1;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "any bits of the hash will do"
    )]
    let start = xxh3_64(name.as_bytes()) as usize;
    (0..table_len).map(move |step| start.wrapping_add(step) & mask)
}

fn filter_bit(name: &str) -> (usize, u64) {
    let bytes = name.as_bytes();
    let mut hash = bytes.len() as u64;
    if let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) {
        let middle = bytes[bytes.len() / 2];
        let near_end = bytes[bytes.len() * 3 / 4];
        hash ^= u64::from(first) << 8
            | u64::from(last) << 16
            | u64::from(middle) << 24
            | u64::from(near_end) << 32;
    }
    hash = hash.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    ((hash >> 61) as usize, 1 << ((hash >> 55) & 63))
}

/// Values of names that came again, gathered here until somebody looks.
#[derive(Default)]
pub(crate) struct Lists<'a> {
    open: Option<Open<'a>>,
}

struct Open<'a> {
    /// By place of the field: which list, plus one.
    list_of: ArenaVec<'a, u32>,
    lists: ArenaVec<'a, (usize, ArenaVec<'a, Value<'a>>)>,
}

impl<'a> Lists<'a> {
    /// Adds a value to the field at `place`.
    pub(crate) fn add(
        &mut self,
        field: &mut Field<'a>,
        place: usize,
        value: Value<'a>,
        arena: &'a Bump,
    ) {
        let open = self.open.get_or_insert_with(|| Open {
            list_of: ArenaVec::new_in(arena),
            lists: ArenaVec::new_in(arena),
        });
        if open.list_of.len() <= place {
            open.list_of.resize(place + 1, 0);
        }
        if open.list_of[place] == 0 {
            let mut list = ArenaVec::new_in(arena);
            append(&mut list, field.value);
            open.lists.push((place, list));
            open.list_of[place] =
                u32::try_from(open.lists.len()).expect("fields are bounded far below 2^32");
        }
        let list = open.list_of[place] as usize - 1;
        append(&mut open.lists[list].1, value);
    }

    /// Writes the gathered lists into their fields. Asked before each look at a field, and mostly there are none.
    #[inline]
    pub(crate) fn settle(&mut self, fields: &mut [Field<'a>]) {
        if self.open.is_some() {
            self.settle_open(fields);
        }
    }

    #[cold]
    fn settle_open(&mut self, fields: &mut [Field<'a>]) {
        if let Some(open) = self.open.take() {
            for (place, list) in open.lists {
                fields[place].value = Value::List(list.into_bump_slice());
            }
        }
    }
}

fn append<'a>(list: &mut ArenaVec<'a, Value<'a>>, value: Value<'a>) {
    match value {
        Value::List(items) => list.extend_from_slice(items),
        other => list.push(other),
    }
}
