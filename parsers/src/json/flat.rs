//! Objects of plain values and lists of such, as most records are, whose names come as those of a record before
//! did: what is expected of the next name is compared with the text, and values go into the event's fields at once, without
//! nodes between. All else is left to the general reader, which also learns the names.

use bumpalo::Bump;
use bumpalo::collections::Vec as ArenaVec;

use super::lanes::{self, Lanes};
use super::strings::Room;
use super::{Buffers, Reader, Width};
use crate::event::{Field, Value};
use crate::layouts::{EMPTY, Layout, Layouts};

/// Items of a list for which memory is taken at once.
const LIST_EXPECTED: usize = 4;

/// What laurel's records begin with.
const LAUREL_ID: &str = "ID";

/// Whether reading by what is expected pays: where it did not, it is not tried with the next records, with more of them
/// each time it fails again.
#[derive(Default)]
pub(crate) struct Foresight {
    /// Records with which it is not tried.
    skip: u8,
    /// Records that are left out after the next failure.
    penalty: u8,
}

impl Foresight {
    const PENALTY_MAX: u8 = 63;

    fn is_worth_trying(&mut self) -> bool {
        let skipped = self.skip > 0;
        self.skip = self.skip.saturating_sub(1);
        !skipped
    }

    fn learn(&mut self, worked: bool) {
        if worked {
            self.penalty = 0;
        } else {
            self.skip = self.penalty;
            self.penalty = (self.penalty * 2 + 1).min(Self::PENALTY_MAX);
        }
    }
}

impl Buffers {
    /// Adds the members of an object to `fields`, which are empty, if it is of a kind that was read before: names in a known
    /// order, no maps in it and no maps and lists in its lists, and none of the signs of forms that have a reader of their own (a single
    /// member, which may be a list of events, and laurel's `ID`). Gives the layout of its names. Leaves `fields` empty where
    /// it is of another kind, or where the text is no JSON.
    #[inline]
    pub(crate) fn read_foreseen<'a>(
        &mut self,
        text: &'a str,
        arena: &'a Bump,
        layouts: &mut Layouts,
        fields: &mut ArenaVec<'a, Field<'a>>,
    ) -> Option<Layout> {
        if !self.foresight.is_worth_trying() {
            return None;
        }
        let read = read_foreseen(self.width, text, arena, layouts, fields);
        if read.is_none() {
            fields.clear();
        }
        self.foresight.learn(read.is_some());
        read
    }
}

pub(super) fn read_foreseen<'a>(
    width: Width,
    text: &'a str,
    arena: &'a Bump,
    layouts: &mut Layouts,
    fields: &mut ArenaVec<'a, Field<'a>>,
) -> Option<Layout> {
    match width {
        // SAFETY: a width is made from what the machine has.
        #[cfg(target_arch = "x86_64")]
        Width::Avx512 => unsafe { read_avx512(text, arena, layouts, fields) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Width::Avx2 => unsafe { read_avx2(text, arena, layouts, fields) },
        Width::Portable => read_with::<lanes::Portable>(text, arena, layouts, fields),
    }
}

/// # Safety
/// The machine must have these instructions.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,popcnt,avx512f,avx512bw,avx512vbmi,avx512vbmi2")]
unsafe fn read_avx512<'a>(
    text: &'a str,
    arena: &'a Bump,
    layouts: &mut Layouts,
    fields: &mut ArenaVec<'a, Field<'a>>,
) -> Option<Layout> {
    read_with::<lanes::Avx512>(text, arena, layouts, fields)
}

/// # Safety
/// The machine must have these instructions.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1")]
unsafe fn read_avx2<'a>(
    text: &'a str,
    arena: &'a Bump,
    layouts: &mut Layouts,
    fields: &mut ArenaVec<'a, Field<'a>>,
) -> Option<Layout> {
    read_with::<lanes::Avx2>(text, arena, layouts, fields)
}

#[inline(always)]
fn read_with<'a, L: Lanes>(
    text: &'a str,
    arena: &'a Bump,
    layouts: &mut Layouts,
    fields: &mut ArenaVec<'a, Field<'a>>,
) -> Option<Layout> {
    let mut reader = Reader::<L> {
        text,
        bytes: text.as_bytes(),
        at: 0,
        room: Room::new(arena),
        lanes: std::marker::PhantomData,
    };
    reader.foreseen(arena, layouts, fields)
}

impl<'a, L: Lanes> Reader<'a, L> {
    #[inline(always)]
    fn foreseen(
        &mut self,
        arena: &'a Bump,
        layouts: &mut Layouts,
        fields: &mut ArenaVec<'a, Field<'a>>,
    ) -> Option<Layout> {
        if self.next()? != b'{' {
            return None;
        }
        let mut layout = EMPTY;
        let mut members = 0;
        loop {
            if self.next()? != b'"' {
                return None;
            }
            members += 1;
            let (name, next) = self.known_name(layouts, layout)?;
            if name == LAUREL_ID {
                return None;
            }
            if self.next()? != b':' {
                return None;
            }
            let value = match self.next()? {
                b'"' => Some(Value::Str(self.string()?)),
                b'{' if self.next()? == b'}' => None,
                b'[' => self.list(arena)?,
                byte => Some(self.plain(byte)?),
            };
            // What nothing is in is no field.
            if let Some(value) = value {
                layout = next?;
                fields.push(Field { name, value });
            }
            match self.next()? {
                b',' => {}
                b'}' => break,
                _ => return None,
            }
        }
        self.skip_spaces();
        (self.at == self.bytes.len() && members > 1).then_some(layout)
    }

    /// A list of plain values whose opening bracket has been read; nothing if it is empty.
    #[inline(always)]
    fn list(&mut self, arena: &'a Bump) -> Option<Option<Value<'a>>> {
        let mut byte = self.next()?;
        if byte == b']' {
            return Some(None);
        }
        let mut values = ArenaVec::with_capacity_in(LIST_EXPECTED, arena);
        loop {
            values.push(match byte {
                b'"' => Value::Str(self.string()?),
                byte => self.plain(byte)?,
            });
            match self.next()? {
                b',' => byte = self.next()?,
                b']' => return Some(Some(Value::List(values.into_bump_slice()))),
                _ => return None,
            }
        }
    }

    /// The name whose opening quote has been read, and where it leads, if that is known.
    #[inline(always)]
    fn known_name(
        &mut self,
        layouts: &mut Layouts,
        layout: Layout,
    ) -> Option<(&'a str, Option<Layout>)> {
        let begin = self.at;
        if let Some((length, next)) = layouts.foresee(layout, &self.bytes[begin..]) {
            self.at = begin + length + 1;
            return Some((self.text.get(begin..begin + length)?, Some(next)));
        }
        let name = self.string()?;
        Some((name, layouts.follow(layout, name)))
    }
}
