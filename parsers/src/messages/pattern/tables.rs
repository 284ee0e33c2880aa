//! Tables of messages: which of its patterns a text is compared with.

use super::{Message, Pattern, Places, Tail};
use crate::scan::Beginning;

/// Tables of messages, taken apart when they were first asked for; found by their address, for they are part of the program.
#[derive(Default)]
pub(crate) struct Tables {
    /// Places in `tables` plus one, by address, open addressing.
    slots: Vec<u16>,
    tables: Vec<Table>,
    /// By a program's number, where its table is.
    of_programs: Vec<Option<TablePlace>>,
}

/// Where a table is among those that were taken apart.
#[derive(Clone, Copy)]
pub(crate) struct TablePlace(u16);

/// A table of messages whose patterns are taken apart.
pub(super) struct Table {
    of: &'static [Message],
    /// Of each byte that a text may begin with, the patterns that may fit, in their order; of any other byte, the last.
    by_first: Box<[u8; 256]>,
    candidates: Vec<Vec<Candidate>>,
    patterns: Vec<Pattern>,
}

/// A pattern that may fit.
struct Candidate {
    place: u16,
    /// What its text begins with.
    beginning: Beginning,
}

impl Tables {
    pub(super) fn place_of(&mut self, table: &'static [Message]) -> TablePlace {
        let mut slot = self.slot(table);
        if self.slots.get(slot).is_none_or(|place| *place == 0) {
            slot = self.add(table);
        }
        TablePlace(self.slots[slot] - 1)
    }

    /// The same of the table of the program with this number, which is asked for again and again.
    #[inline]
    pub(crate) fn of_program(&mut self, number: u8, table: &'static [Message]) -> TablePlace {
        match self.of_programs.get(usize::from(number)) {
            Some(Some(place)) => *place,
            _ => self.learn_program(number, table),
        }
    }

    #[cold]
    fn learn_program(&mut self, number: u8, table: &'static [Message]) -> TablePlace {
        let place = self.place_of(table);
        let programs = self.of_programs.len().max(usize::from(number) + 1);
        self.of_programs.resize(programs, None);
        self.of_programs[usize::from(number)] = Some(place);
        place
    }

    #[inline]
    pub(super) fn at(&self, place: TablePlace) -> &Table {
        &self.tables[usize::from(place.0)]
    }

    /// Where a table is, or the free place for it.
    fn slot(&self, table: &'static [Message]) -> usize {
        let mask = self.slots.len().wrapping_sub(1);
        let address = table.as_ptr().addr();
        let mut slot = (address / align_of::<Message>()) & mask;
        while let Some(place @ 1..) = self.slots.get(slot) {
            if std::ptr::eq(self.tables[usize::from(*place) - 1].of, table) {
                break;
            }
            slot = (slot + 1) & mask;
        }
        slot
    }

    #[cold]
    fn add(&mut self, table: &'static [Message]) -> usize {
        self.tables.push(Table::new(table));
        if self.slots.len() < self.tables.len() * 4 {
            self.slots = vec![0; (self.tables.len() * 8).next_power_of_two()];
        }
        for place in 0..self.tables.len() {
            let slot = self.slot(self.tables[place].of);
            self.slots[slot] =
                u16::try_from(place + 1).expect("the program has some dozens of tables");
        }
        self.slot(table)
    }
}

impl Table {
    fn new(of: &'static [Message]) -> Self {
        let first = |message: &Message| match message.pattern.as_bytes().first() {
            None | Some(b'{' | b'$') => None,
            first => first.copied(),
        };
        let patterns: Vec<Pattern> = of.iter().map(Pattern::of).collect();
        let candidates_of = |byte: Option<u8>| -> Vec<Candidate> {
            let fits = |message: &Message| first(message).is_none_or(|first| Some(first) == byte);
            let places = of.iter().enumerate().filter(|(_, message)| fits(message));
            places
                .map(|(place, _)| Candidate {
                    place: u16::try_from(place).expect("tables have some dozens of lines"),
                    beginning: patterns[place].taken.head.text.beginning(),
                })
                .collect()
        };
        let mut firsts: Vec<u8> = of.iter().filter_map(first).collect();
        firsts.sort_unstable();
        firsts.dedup();
        let row = |row: usize| u8::try_from(row).expect("there are fewer first letters than bytes");
        let mut by_first = Box::new([row(firsts.len()); 256]);
        for (place, first) in firsts.iter().enumerate() {
            by_first[usize::from(*first)] = row(place);
        }
        let rows = firsts.iter().copied().map(Some).chain([None]);
        Self {
            of,
            by_first,
            candidates: rows.map(candidates_of).collect(),
            patterns,
        }
    }

    /// The first message that fits: its place, and what it adds besides its places.
    #[inline]
    pub(super) fn find<'a>(&self, text: &'a str, places: &mut Places<'a>) -> Option<(usize, Tail)> {
        let first = text.as_bytes().first().copied().unwrap_or(0);
        let candidates = &self.candidates[usize::from(self.by_first[usize::from(first)])];
        // Of a shorter text the beginnings are not compared.
        let beginning = text.as_bytes().first_chunk().copied();
        candidates
            .iter()
            .filter(|candidate| {
                beginning.is_none_or(|beginning| candidate.beginning.is_of(beginning))
            })
            .map(|candidate| usize::from(candidate.place))
            .find(|place| {
                places.clear();
                self.patterns[*place].taken.fits(text, places)
            })
            .map(|place| (place, self.patterns[place].tail))
    }
}
