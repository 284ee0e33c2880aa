//! An Event while it is being read: every grammar writes its fields through this one door, which keeps
//! the bounds and the rule that a name occurs once.

use std::borrow::Cow;
use std::fmt::Write;

use bumpalo::Bump;
use bumpalo::collections::{String as ArenaString, Vec as ArenaVec};
use smallvec::SmallVec;

use crate::bytes::{number_of_digits, put_short, same_bytes};
use crate::context::{ParseContext, Taxonomy};
use crate::event::{Event, Field, LogSource, ProblemKind, Value};
use crate::layouts::{self, Group, Layout, Places, Table};
use crate::names::{Lists, Names};
use crate::parse::Scratch;
use crate::scan::{Pair, Pairs, Piece, Spaces, Told};
use crate::time::Timestamp;

/// Wrappers within wrappers (Docker in syslog in JSON ...) that are opened.
const NESTING_MAX: u8 = 4;

/// Fields for which memory is taken before the first: as many as the last event had, up to this.
const FIELDS_EXPECTED_MAX: usize = 64;

/// Log sources for which memory is taken at the first.
const LOG_SOURCES_EXPECTED: usize = 3;

/// An event being built.
pub(crate) struct Draft<'a, 'c> {
    /// What is there so far.
    pub(crate) event: &'c mut Event<'a>,
    /// Where texts that are not in the record are kept.
    pub(crate) arena: &'a Bump,
    /// Settings.
    pub(crate) context: &'c ParseContext,
    /// Reused buffers.
    pub(crate) scratch: &'c mut Scratch,
    /// The names that the event has so far.
    layout: Layout,
    names: Names<'a>,
    lists: Lists<'a>,
    nesting: u8,
    out: &'c mut Vec<Event<'a>>,
}

/// Room for some fields behind those of an event.
pub(crate) struct Room<'a> {
    next: *mut Field<'a>,
    /// For how many.
    left: usize,
}

impl<'a> Room<'a> {
    /// Puts a field behind the others.
    ///
    /// # Panics
    /// When there was room for fewer.
    #[inline(always)]
    pub(crate) fn put(&mut self, name: &'static str, value: Value<'a>) {
        assert!(self.left > 0, "room was asked for all that is put");
        // SAFETY: there is room for one more.
        unsafe {
            self.next.write(Field { name, value });
            self.next = self.next.add(1);
        }
        self.left -= 1;
    }
}

impl<'a, 'c> Draft<'a, 'c> {
    /// Begins with an event that has no fields yet; the events before the last one of the record go to `out`.
    #[inline]
    pub(crate) fn new(
        event: &'c mut Event<'a>,
        arena: &'a Bump,
        context: &'c ParseContext,
        scratch: &'c mut Scratch,
        out: &'c mut Vec<Event<'a>>,
    ) -> Self {
        scratch.layouts.keep_bounds();
        if event.fields.capacity() == 0 {
            event.fields = ArenaVec::with_capacity_in(scratch.fields_expected, arena);
        }
        Self {
            event,
            arena,
            context,
            scratch,
            layout: layouts::EMPTY,
            names: Names::default(),
            lists: Lists::default(),
            nesting: 0,
            out,
        }
    }

    /// Forgets what a grammar wrote before it found that the record is not of its format.
    pub(crate) fn reset(&mut self) {
        let record = self.event.record;
        let problems = std::mem::take(&mut self.event.problems);
        let sub_index = self.event.sub_index;
        *self.event = Event::new(record, "text", self.arena);
        self.event.problems = problems;
        self.event.sub_index = sub_index;
        self.layout = layouts::EMPTY;
        self.names = Names::default();
        self.lists = Lists::default();
        self.nesting = 0;
    }

    /// Ends this event and begins the next one of the same record.
    pub(crate) fn split(&mut self) {
        self.lists.settle(&mut self.event.fields);
        self.event.order = self.scratch.layouts.order(self.layout);
        let record = self.event.record;
        let next = Event {
            sub_index: self.event.sub_index + 1,
            ..Event::new(record, self.event.format, self.arena)
        };
        let done = std::mem::replace(self.event, next);
        self.out.push(done);
        self.layout = layouts::EMPTY;
        self.names = Names::default();
        self.lists = Lists::default();
    }

    /// Ends the last event of the record.
    #[inline]
    pub(crate) fn finish(&mut self) {
        self.lists.settle(&mut self.event.fields);
        self.event.order = self.scratch.layouts.order(self.layout);
        let expected = &mut self.scratch.fields_expected;
        // Sources of several kinds take turns: one small event does not make the next one small.
        *expected = (*expected * 31 / 32)
            .max(self.event.fields.len())
            .min(FIELDS_EXPECTED_MAX);
    }

    /// Reads a JSON object whose names are known already as the event's fields; false, and nothing is changed, if it is not
    /// such a text or if there are fields already.
    #[inline]
    pub(crate) fn read_foreseen(&mut self, text: &'a str) -> bool {
        if self.layout != layouts::EMPTY || !self.event.fields.is_empty() {
            return false;
        }
        let Scratch { json, layouts, .. } = &mut *self.scratch;
        match json.read_foreseen(text, self.arena, layouts, &mut self.event.fields) {
            Some(layout) => {
                self.layout = layout;
                true
            }
            None => false,
        }
    }

    /// Adds a field. A second value of the same name makes a list of both.
    #[inline]
    pub(crate) fn push(&mut self, name: &'a str, value: Value<'a>) {
        match self.scratch.layouts.follow(self.layout, name) {
            Some(layout) => {
                self.layout = layout;
                self.event.fields.push(Field { name, value });
            }
            None => self.push_unforeseen(name, value),
        }
    }

    /// As [`Self::text`], for what often follows other names than the last time: where the name leads is remembered by its
    /// address.
    #[inline]
    pub(crate) fn own_text(&mut self, name: &'static str, text: &'a str) {
        if text.is_empty() {
            return;
        }
        let before = self.begin_group();
        self.put_in_group(name, Value::Str(text));
        self.end_group(before, Group::of_name(name), |draft| draft.text(name, text));
    }

    /// Puts a field behind the others that is of a group; [`Self::end_group`] must follow before anything else is asked.
    #[inline]
    pub(crate) fn put_in_group(&mut self, name: &'static str, value: Value<'a>) {
        self.event.fields.push(Field { name, value });
    }

    /// Puts fields as [`Self::put_in_group`], at most so many.
    #[inline(always)]
    pub(crate) fn put_group<R>(&mut self, most: usize, put: impl FnOnce(&mut Room<'a>) -> R) -> R {
        let fields = &mut self.event.fields;
        let before = fields.len();
        if fields.capacity() - before < most {
            fields.reserve(most);
        }
        // SAFETY: there is room for as many behind the last one.
        let next = unsafe { fields.as_mut_ptr().add(before) };
        let mut room = Room { next, left: most };
        let done = put(&mut room);
        // SAFETY: those that are no longer left were written.
        unsafe { fields.set_len(before + (most - room.left)) };
        done
    }

    /// Number of fields, before those of a group are put.
    #[inline]
    pub(crate) fn begin_group(&self) -> usize {
        self.event.fields.len()
    }

    /// Ends a group of fields, all that were put since there were `before`; their names are those of `group`. Where such a
    /// group was new behind the names that the event had, that is remembered; else, and the first time, they are taken back,
    /// and `one_by_one` adds them.
    #[inline]
    pub(crate) fn end_group(
        &mut self,
        before: usize,
        group: Group,
        one_by_one: impl FnOnce(&mut Self),
    ) {
        match self.scratch.layouts.jump(self.layout, group) {
            Some(to) => self.layout = to,
            None => self.new_group(before, group, one_by_one),
        }
    }

    #[cold]
    #[inline(never)]
    fn new_group(&mut self, before: usize, group: Group, one_by_one: impl FnOnce(&mut Self)) {
        let from = self.layout;
        let put = self.event.fields.get(before..).unwrap_or(&[]);
        let names: SmallVec<[&str; 16]> = put.iter().map(|field| field.name).collect();
        self.event.fields.truncate(before);
        one_by_one(self);
        let added = self.event.fields.get(before..).unwrap_or(&[]);
        if added.iter().map(|field| field.name).eq(names) {
            self.scratch.layouts.keep_jump(from, group, self.layout);
        }
    }

    #[cold]
    fn push_unforeseen(&mut self, name: &'a str, value: Value<'a>) {
        if let Some(place) = self.names.find(&self.event.fields, name, self.arena) {
            self.lists
                .add(&mut self.event.fields[place], place, value, self.arena);
        } else if self.event.fields.len() >= self.context.fields_max {
            self.note_once(
                ProblemKind::TooLarge,
                "more fields than the bound; the rest is left out",
            );
        } else {
            self.event.fields.push(Field { name, value });
            self.layout = self.scratch.layouts.learn(self.layout, name);
        }
    }

    /// Adds a field of a name that is made from the record, unless there is one of that name already.
    pub(crate) fn push_made_if_absent(&mut self, name: &'a str, value: Value<'a>) {
        if self
            .names
            .find(&self.event.fields, name, self.arena)
            .is_none()
        {
            self.push(name, value);
        }
    }

    /// The text of a field of any name.
    pub(crate) fn get_str_of(&mut self, name: &str) -> Option<&'a str> {
        self.lists.settle(&mut self.event.fields);
        let place = self.names.find(&self.event.fields, name, self.arena)?;
        first_str(self.event.fields[place].value)
    }

    /// Sets a field of a name that the record gives.
    pub(crate) fn set_given(&mut self, name: &'a str, value: Value<'a>) {
        self.lists.settle(&mut self.event.fields);
        match self.names.find(&self.event.fields, name, self.arena) {
            Some(place) => self.event.fields[place].value = value,
            None => self.push(name, value),
        }
    }

    /// The values of all fields so far, lists complete.
    pub(crate) fn fields(&mut self) -> &[Field<'a>] {
        self.lists.settle(&mut self.event.fields);
        &self.event.fields
    }

    /// Where the field of that name is.
    fn place(&mut self, name: &'static str) -> Option<usize> {
        let (names, fields) = (&mut self.names, &self.event.fields);
        self.scratch
            .layouts
            .place(self.layout, name, || names.find(fields, name, self.arena))
    }

    /// Whether a field's name has a space in it.
    pub(crate) fn has_spaced_name(&self) -> bool {
        let known = self.scratch.layouts.is_spaced(self.layout);
        known.unwrap_or_else(|| {
            self.event
                .fields
                .iter()
                .any(|field| field.name.contains(' '))
        })
    }

    /// Adds a text field unless it is empty.
    pub(crate) fn text(&mut self, name: &'a str, text: &'a str) {
        if !text.is_empty() {
            self.push(name, Value::Str(text));
        }
    }

    /// Adds a text field unless it is empty or `-`, the mark of many formats for "not there".
    pub(crate) fn text_or_dash(&mut self, name: &'a str, text: &'a str) {
        if text != "-" {
            self.text(name, text);
        }
    }

    /// Adds a field that is a number where its text reads as one, else text.
    pub(crate) fn number(&mut self, name: &'a str, text: &'a str) {
        match plain_number(text) {
            Some(number) => self.push(name, Value::Int(number)),
            None => self.text(name, text),
        }
    }

    /// Adds pairs. Keys that come as they came before are compared with the text, and `value_of` says what is added for them,
    /// if anything; `add` adds others. Gives whether there were any.
    #[inline]
    pub(crate) fn add_pairs(
        &mut self,
        mut pairs: Pairs<'a, Spaces>,
        value_of: impl Fn(&Self, &Pair<'a>, Told) -> Option<Value<'a>>,
        mut add: impl FnMut(&mut Self, Pair<'a>),
    ) -> bool {
        let mut any = false;
        loop {
            let text = pairs.skip_separators().as_bytes();
            if let Some((length, to)) = self.scratch.layouts.foresee_key(self.layout, text) {
                any = true;
                let (pair, told) = pairs.pair_with_key(length);
                if let Some(value) = value_of(self, &pair, told) {
                    let name = pair.key;
                    self.event.fields.push(Field { name, value });
                    self.layout = to;
                }
                continue;
            }
            match pairs.piece() {
                Piece::Pair(pair) => {
                    any = true;
                    add(self, pair);
                }
                Piece::Word => {}
                Piece::End => return any,
            }
        }
    }

    /// Adds a field unless there is one of that name already.
    pub(crate) fn push_if_absent(&mut self, name: &'static str, value: Value<'a>) {
        if self.place(name).is_none() {
            self.push(name, value);
        }
    }

    /// Sets a field, whatever it was.
    pub(crate) fn set(&mut self, name: &'static str, value: Value<'a>) {
        self.lists.settle(&mut self.event.fields);
        match self.place(name) {
            Some(place) => self.event.fields[place].value = value,
            None => self.push(name, value),
        }
    }

    /// The value of a field.
    pub(crate) fn get(&mut self, name: &'static str) -> Option<Value<'a>> {
        self.lists.settle(&mut self.event.fields);
        self.place(name).map(|place| self.event.fields[place].value)
    }

    /// The first answer that the values of these fields give, asked in this order.
    pub(crate) fn first_of<T>(
        &mut self,
        names: &'static [&'static str],
        mut read: impl FnMut(&Self, Value<'a>) -> Option<T>,
    ) -> Option<T> {
        self.lists.settle(&mut self.event.fields);
        match self.places(names) {
            Some(places) => places
                .iter()
                .find_map(|place| read(self, self.event.fields[place].value)),
            None => names.iter().find_map(|name| {
                let value = self.get(name)?;
                read(self, value)
            }),
        }
    }

    fn places(&mut self, names: &'static [&'static str]) -> Option<Places> {
        let (known, fields) = (&mut self.names, &self.event.fields);
        self.scratch.layouts.places(self.layout, names, |name| {
            known.find(fields, name, self.arena)
        })
    }

    /// What follows from the names that the event has, and from nothing else: found out once for each sequence of names.
    /// The key is one that nobody else uses.
    pub(crate) fn follows_from_names(
        &mut self,
        key: &'static str,
        find_out: impl FnOnce(&mut Self) -> Option<usize>,
    ) -> Option<usize> {
        let layout = self.layout;
        if let Some(known) = self.scratch.layouts.kept(layout, key) {
            return known;
        }
        let found = find_out(self);
        if layout != layouts::UNKNOWN {
            self.scratch.layouts.keep(layout, key, found);
        }
        found
    }

    /// Numbers that follow from the names that the event has, and from nothing else: found out once for each sequence of
    /// names. The key is a list that nobody else uses as one.
    #[inline]
    pub(crate) fn table_of_names(
        &mut self,
        key: &'static [&'static str],
        find_out: impl FnOnce(&mut Self) -> Table,
    ) -> Table {
        let layout = self.layout;
        if let Some(known) = self.scratch.layouts.table(layout, key) {
            return *known;
        }
        let found = find_out(self);
        self.scratch.layouts.keep_table(layout, key, found);
        found
    }

    /// The places of these names, up to as many as a table has, asked together. They stay what they are when fields are added;
    /// names that were not there are then asked for again.
    #[inline]
    pub(crate) fn places_of(&mut self, names: &'static [&'static str]) -> Table {
        self.lists.settle(&mut self.event.fields);
        self.table_of_names(names, |draft| {
            let mut table = layouts::NOWHERE;
            for (entry, name) in table.iter_mut().zip(names) {
                *entry = draft.index_of(name);
            }
            table
        })
    }

    /// The place of a name as it stands in a table.
    pub(crate) fn index_of(&mut self, name: &'static str) -> u32 {
        let place = self.place(name);
        place
            .and_then(|place| u32::try_from(place).ok())
            .unwrap_or(u32::MAX)
    }

    /// The value at an entry of a table of places.
    #[inline]
    pub(crate) fn value_at(&self, place: u32) -> Option<Value<'a>> {
        let field = self.event.fields.get(place as usize)?;
        Some(field.value)
    }

    /// The text at an entry of a table of places.
    #[inline]
    pub(crate) fn str_at(&self, place: u32) -> Option<&'a str> {
        self.value_at(place).and_then(first_str)
    }

    /// Sets the value at an entry of a table of places, if it is one.
    #[inline]
    pub(crate) fn set_at(&mut self, place: u32, value: Value<'a>) {
        if let Some(field) = self.event.fields.get_mut(place as usize) {
            field.value = value;
        }
    }

    /// The text of a field.
    pub(crate) fn get_str(&mut self, name: &'static str) -> Option<&'a str> {
        self.get(name).and_then(first_str)
    }

    /// The number of a field, whether it was given as a number or as its text.
    pub(crate) fn get_int(&mut self, name: &'static str) -> Option<i64> {
        self.get(name).and_then(int_of)
    }

    /// Gives a field a second name, if it is there and the second name is not.
    pub(crate) fn alias(&mut self, from: &'static str, to: &'static str) {
        if let Some(value) = self.get(from) {
            self.push_if_absent(to, value);
        }
    }

    /// What was tried and how it ended.
    pub(crate) fn action(&mut self, action: &'static str, outcome: &'static str) {
        /// Stands for both names, and for one of them.
        static NAMES: [&str; 2] = ["action", "outcome"];
        let before = self.begin_group();
        let mut which = 0;
        if !action.is_empty() {
            which |= 1;
            self.put_in_group("action", Value::Str(action));
        }
        if !outcome.is_empty() {
            which |= 2;
            self.put_in_group("outcome", Value::Str(outcome));
        }
        if which == 0 {
            return;
        }
        self.end_group(before, Group::of(&NAMES, which), |draft| {
            if !action.is_empty() {
                draft.set("action", Value::Str(action));
            }
            if !outcome.is_empty() {
                draft.set("outcome", Value::Str(outcome));
            }
        });
    }

    /// Sets the event's time. An inner message comes last and wins over its wrapper.
    pub(crate) fn time(&mut self, time: Timestamp) {
        self.event.event_time = time;
    }

    /// Names the host the event speaks of.
    pub(crate) fn host(&mut self, host: &'a str) {
        if !host.is_empty() && host != "-" {
            self.event.host = host;
        }
    }

    /// Adds a log source, once, if events are classified; one that says nothing is none.
    pub(crate) fn source(
        &mut self,
        product: &'static str,
        category: &'static str,
        service: &'static str,
    ) {
        let says_nothing = product.is_empty() && category.is_empty() && service.is_empty();
        if says_nothing || self.context.taxonomy == Taxonomy::AsRecorded {
            return;
        }
        let same = |known: &str, given: &str| same_bytes(known.as_bytes(), given.as_bytes());
        let is_known = self.event.log_sources.iter().any(|source| {
            same(&source.service, service)
                && same(&source.category, category)
                && same(&source.product, product)
        });
        if !is_known {
            self.add_source(product, category, service);
        }
    }

    fn add_source(&mut self, product: &'static str, category: &'static str, service: &'static str) {
        let sources = self.event.log_sources.borrowing();
        if sources.capacity() == 0 {
            *sources = ArenaVec::with_capacity_in(LOG_SOURCES_EXPECTED, self.arena);
        }
        Self::write_source(sources, product, category, service);
    }

    #[inline(always)]
    fn write_source(
        sources: &mut ArenaVec<'a, LogSource<'a>>,
        product: &'static str,
        category: &'static str,
        service: &'static str,
    ) {
        if sources.len() == sources.capacity() {
            sources.reserve(1);
        }
        let place = sources.len();
        // All fields by name, so that one that is added later cannot be forgotten below.
        let LogSource {
            product,
            category,
            service,
        } = LogSource {
            product: Cow::Borrowed(product),
            category: Cow::Borrowed(category),
            service: Cow::Borrowed(service),
        };
        // SAFETY: there is room behind the last one, and all of it is written before it counts. Made elsewhere it would be
        // copied in larger pieces than it was just written in, for which a processor waits.
        unsafe {
            let source = sources.as_mut_ptr().add(place);
            (&raw mut (*source).product).write(product);
            (&raw mut (*source).category).write(category);
            (&raw mut (*source).service).write(service);
            sources.set_len(place + 1);
        }
    }

    /// Adds the log sources of two services of Linux, as [`Self::source`]; the first may be empty, and they are not the same.
    #[inline]
    pub(crate) fn linux_services(&mut self, own: &'static str, common: &'static str) {
        let is_first = self.event.log_sources.is_empty();
        if !is_first || self.context.taxonomy == Taxonomy::AsRecorded {
            if !own.is_empty() {
                self.source("linux", "", own);
            }
            self.source("linux", "", common);
            return;
        }
        // Filled where it stays: moved there, it would be copied in larger pieces than it was just written in, too.
        let sources = self.event.log_sources.borrowing();
        if sources.capacity() == 0 {
            *sources = ArenaVec::with_capacity_in(LOG_SOURCES_EXPECTED, self.arena);
        }
        if !own.is_empty() {
            Self::write_source(sources, "linux", "", own);
        }
        Self::write_source(sources, "linux", "", common);
    }

    /// Notes a problem.
    pub(crate) fn note(&mut self, kind: ProblemKind, detail: impl Into<Cow<'static, str>>) {
        self.event.note(kind, detail);
    }

    /// Notes a problem of a kind that was not noted before.
    pub(crate) fn note_once(&mut self, kind: ProblemKind, detail: &'static str) {
        if !self
            .event
            .problems
            .iter()
            .any(|problem| problem.kind == kind)
        {
            self.event.note(kind, detail);
        }
    }

    /// Texts put together in the arena.
    pub(crate) fn concat(&self, parts: &[&str]) -> &'a str {
        let mut text =
            ArenaString::with_capacity_in(parts.iter().map(|part| part.len()).sum(), self.arena);
        for part in parts {
            text.push_str(part);
        }
        text.into_bump_str()
    }

    /// The name of a value within another: `sd.origin.ip` of `sd.`, `origin` and `ip`.
    #[inline]
    pub(crate) fn inner_name(&self, before: &str, outer: &str, inner: &str) -> &'a str {
        const SHORT: usize = 32;
        if before.len() + outer.len() + 1 + inner.len() > SHORT {
            return self.concat(&[before, outer, ".", inner]);
        }
        // Written where it stays: bytes that were just written one by one are slow to be copied together.
        let room = self.arena.alloc([0; SHORT]);
        let end = put_short(room, 0, before.as_bytes())
            .and_then(|at| put_short(room, at, outer.as_bytes()))
            .and_then(|at| put_short(room, at, b"."))
            .and_then(|at| put_short(room, at, inner.as_bytes()))
            .unwrap_or(0);
        // SAFETY: what was put there are whole texts, one behind the other, up to `end`.
        unsafe { std::str::from_utf8_unchecked(&room[..end]) }
    }

    /// Formatted text in the arena.
    pub(crate) fn format(&self, arguments: std::fmt::Arguments<'_>) -> &'a str {
        let mut text = ArenaString::new_in(self.arena);
        text.write_fmt(arguments)
            .expect("writing to memory does not fail");
        text.into_bump_str()
    }

    /// Whether an inner message is being read.
    pub(crate) fn is_nested(&self) -> bool {
        self.nesting > 0
    }

    /// Runs `read` on an inner message, unless too many wrappers are open.
    pub(crate) fn nested(&mut self, read: impl FnOnce(&mut Self)) {
        if self.nesting < NESTING_MAX {
            self.nesting += 1;
            read(self);
            self.nesting -= 1;
        }
    }
}

/// A number, whether it was given as a number or as its text.
pub(crate) fn int_of(value: Value<'_>) -> Option<i64> {
    match value {
        Value::Int(number) => Some(number),
        Value::Str(text) => text.parse().ok(),
        _ => None,
    }
}

/// The first text of a value.
pub(crate) fn first_str(value: Value<'_>) -> Option<&str> {
    match value {
        Value::Str(text) => Some(text),
        Value::List(values) => values.iter().find_map(|value| value.as_str()),
        _ => None,
    }
}

/// What [`Draft::number`] adds for a text of which so much is known.
#[inline(always)]
pub(crate) fn told_number_or_text(text: &str, told: Told) -> Option<Value<'_>> {
    match told {
        Told::Number(number) => Some(Value::Int(number)),
        Told::Text => Some(Value::Str(text)),
        Told::Nothing => number_or_text(text),
    }
}

/// What [`Draft::number`] adds for a text.
#[inline]
pub(crate) fn number_or_text(text: &str) -> Option<Value<'_>> {
    match plain_number(text) {
        Some(number) => Some(Value::Int(number)),
        None if text.is_empty() => None,
        None => Some(Value::Str(text)),
    }
}

/// The number that a text is, if it is how the number would be printed: no sign but minus, no leading zeros.
pub(crate) fn plain_number(text: &str) -> Option<i64> {
    /// Digits that surely fit 64 bits.
    const SHORT_DIGITS: usize = 18;
    let bytes = text.as_bytes();
    if matches!(bytes, [b'1'..=b'9', ..]) && bytes.len() <= 8 {
        return number_of_digits(bytes).map(i64::from);
    }
    let digits = match bytes {
        [b'-', digits @ ..] => digits,
        digits => digits,
    };
    // Most words are told by their first character.
    if digits.is_empty() || !digits[0].is_ascii_digit() || digits.len() > 1 && digits[0] == b'0' {
        return None;
    }
    if digits.len() > SHORT_DIGITS {
        return text.parse().ok();
    }
    let mut number = 0_i64;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        number = number * 10 + i64::from(digit - b'0');
    }
    Some(if digits.len() < bytes.len() {
        -number
    } else {
        number
    })
}
