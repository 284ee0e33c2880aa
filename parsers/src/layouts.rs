//! The order in which names come. The same source writes the same names in the same order again and again: what
//! was once found out about a sequence of names (that they differ, where a name is) need not be found out again.
//!
//! A tree holds the sequences seen so far: each node is a name behind its parent's names. An event being read
//! goes down the tree name by name, mostly where the event before it went. The place it has reached stands for
//! all names it has so far.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::bytes::{same_bytes, word_of};
use crate::event::Field;

/// Sequences are forgotten when there are this many nodes, or this many bytes of names: a source that never
/// writes the same names twice must not take memory without bound.
const NODES_MAX: usize = 32_768;
const NAME_BYTES_MAX: usize = 1 << 20;
/// Names that may follow one sequence; more are not learned.
const FOLLOWERS_MAX: usize = 64;
/// Names that were not learned for that reason, after which all is forgotten: what came first is not what comes now.
const REFUSALS_MAX: u32 = 16_384;
/// Answers that are remembered; a power of two.
const ANSWERS: usize = 4_096;
/// The same of answers about lists of names.
const LIST_ANSWERS: usize = 2_048;
/// The same of tables.
const TABLES: usize = 512;
/// Sets of what is remembered of groups of names; a power of two.
const JUMP_SETS: usize = 256;
/// How many one of them holds.
const JUMPS_OF_SET: usize = 4;

/// A place in the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout(u32);

/// The names of an event's fields in their order: events for which these are equal have the same. Events with the
/// same names may have different ones all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameOrder {
    tree: NonZeroU64,
    place: u32,
}

impl NameOrder {
    /// A small number, not unique among those of several parsers.
    #[inline]
    pub fn place(self) -> u32 {
        self.place
    }
}

/// Before the first name.
pub(crate) const EMPTY: Layout = Layout(0);
/// A sequence that is not in the tree.
pub(crate) const UNKNOWN: Layout = Layout(u32::MAX);

/// No node.
const NONE: u32 = 0;

struct Node {
    /// Where the name is in `names`.
    name_at: u32,
    name_len: u32,
    /// The follower that was met last.
    likely: u32,
    /// The newest follower; the others hang on it by `sibling`.
    follower: u32,
    sibling: u32,
    /// Whether one of the names up to here has a space in it.
    spaced: bool,
    /// Whether the name stands in a JSON text as it is.
    plain: bool,
    /// The name as it stands in a text of pairs.
    key: Key,
}

/// The first eight bytes of a name and `=`, or less; what the text of a pair begins with.
#[derive(Clone, Copy)]
struct Key {
    /// As one number, the first lowest.
    bytes: u64,
    /// The bits of that number that are of them.
    mask: u64,
}

impl Key {
    /// Of a name that cannot stand in a text of pairs.
    const NONE: Self = Self { bytes: 1, mask: 0 };

    fn of(name: &str) -> Self {
        let is_key = !name.is_empty()
            && !name
                .bytes()
                .any(|byte| byte <= b' ' || matches!(byte, b'=' | b',' | b';'));
        if !is_key {
            return Self::NONE;
        }
        let bytes = name.bytes().chain([b'=']).take(8).enumerate();
        let place = |place: usize, byte: u8| u64::from(byte) << (8 * place);
        bytes.fold(Self { bytes: 0, mask: 0 }, |key, (at, byte)| Self {
            bytes: key.bytes | place(at, byte),
            mask: key.mask | place(at, 0xFF),
        })
    }

    /// Whether a text begins so.
    #[inline(always)]
    fn begins(self, text: &[u8]) -> bool {
        let first = match text.first_chunk() {
            Some(first) => u64::from_le_bytes(*first),
            None => word_of(text),
        };
        first & self.mask == self.bytes
    }
}

/// What was answered once to the question where a name is. Names are those of our code: the address and the
/// length of a `&'static str` stand for its text.
#[derive(Clone, Copy)]
struct Answer {
    layout: Layout,
    address: usize,
    len: usize,
    place: Option<u32>,
}

/// What was answered once to the question which of several names are there and where: places in the order of the question.
#[derive(Clone, Copy)]
struct ListAnswer {
    layout: Layout,
    /// Of the list of names.
    address: usize,
    len: usize,
    places: Places,
}

/// Numbers that follow from names: places, of which `u32::MAX` is none.
pub(crate) type Table = [u32; 16];

/// A table of names none of which is there.
pub(crate) const NOWHERE: Table = [u32::MAX; 16];

/// A table that was found out once.
#[derive(Clone, Copy)]
struct KnownTable {
    layout: Layout,
    /// Of the list that is the key.
    address: usize,
    table: Table,
}

/// Names that are added together: which list of our code they are of, and which of that list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    address: usize,
    which: u32,
}

impl Group {
    /// Of a list, or of whatever of our code decides which names they are, some; the caller numbers the choices.
    pub(crate) fn of<T>(list: &'static T, which: u32) -> Self {
        Self {
            address: std::ptr::from_ref(list).addr(),
            which,
        }
    }
}

impl Group {
    /// Of one name.
    pub(crate) fn of_name(name: &'static str) -> Self {
        Self {
            address: name.as_ptr().addr(),
            which: name.len() as u32,
        }
    }
}

/// Where a group of names led once.
#[derive(Clone, Copy)]
struct Jump {
    from: Layout,
    group: Group,
    to: Layout,
}

/// Places of names that were asked for together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Places {
    places: [u32; PLACES_MAX],
    len: u8,
}

/// Places that are remembered of a list of names.
const PLACES_MAX: usize = 5;

impl Places {
    const NONE: Self = Self {
        places: [0; PLACES_MAX],
        len: 0,
    };

    /// As many as there is room for; `None` where there are more.
    fn of(found: impl Iterator<Item = usize>) -> Option<Self> {
        let mut places = Self::NONE;
        for place in found {
            *places.places.get_mut(usize::from(places.len))? = u32::try_from(place).ok()?;
            places.len += 1;
        }
        Some(places)
    }

    /// The places, in the order in which their names were given.
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> {
        self.places[..usize::from(self.len)]
            .iter()
            .map(|place| *place as usize)
    }
}

/// All sequences seen, and what is known of them. Its bounds are kept whatever comes.
pub struct Layouts {
    /// Tells this tree from those of other parsers, and from what it was before it forgot.
    tree: NonZeroU64,
    nodes: Vec<Node>,
    names: String,
    answers: Box<[Answer]>,
    list_answers: Box<[ListAnswer]>,
    tables: Box<[KnownTable]>,
    jumps: Box<[[Jump; JUMPS_OF_SET]]>,
    /// Names that were not learned because too many follow the same ones.
    refusals: u32,
}

impl Default for Layouts {
    fn default() -> Self {
        let mut layouts = Self {
            tree: NonZeroU64::MIN,
            nodes: Vec::new(),
            names: String::new(),
            answers: Box::new([]),
            list_answers: Box::new([]),
            tables: Box::new([]),
            jumps: Box::new([]),
            refusals: 0,
        };
        layouts.forget();
        layouts
    }
}

impl Layouts {
    /// Forgets everything if the bound is reached. Only between events: their places mean nothing afterwards.
    pub(crate) fn keep_bounds(&mut self) {
        let full = self.nodes.len() >= NODES_MAX || self.names.len() >= NAME_BYTES_MAX;
        if full || self.refusals >= REFUSALS_MAX {
            self.forget();
        }
    }

    fn forget(&mut self) {
        static TREES: AtomicU64 = AtomicU64::new(1);
        let number = TREES.fetch_add(1, Ordering::Relaxed);
        self.tree = NonZeroU64::new(number).expect("a counter from 1 on does not come round to 0");
        self.nodes.clear();
        self.names.clear();
        self.refusals = 0;
        self.nodes.push(Node {
            name_at: 0,
            name_len: 0,
            likely: NONE,
            follower: NONE,
            sibling: NONE,
            spaced: false,
            plain: false,
            key: Key::NONE,
        });
        let unasked = Answer {
            layout: UNKNOWN,
            address: 0,
            len: 0,
            place: None,
        };
        self.answers = vec![unasked; ANSWERS].into_boxed_slice();
        let unasked = ListAnswer {
            layout: UNKNOWN,
            address: 0,
            len: 0,
            places: Places::NONE,
        };
        self.list_answers = vec![unasked; LIST_ANSWERS].into_boxed_slice();
        let unasked = KnownTable {
            layout: UNKNOWN,
            address: 0,
            table: NOWHERE,
        };
        self.tables = vec![unasked; TABLES].into_boxed_slice();
        let unasked = Jump {
            from: UNKNOWN,
            group: Group {
                address: 0,
                which: 0,
            },
            to: UNKNOWN,
        };
        self.jumps = vec![[unasked; JUMPS_OF_SET]; JUMP_SETS].into_boxed_slice();
    }

    /// The order of these names. The parser fills it in; this is for who makes events himself.
    pub fn order_of(&mut self, fields: &[Field<'_>]) -> Option<NameOrder> {
        self.keep_bounds();
        let layout = fields.iter().fold(EMPTY, |layout, field| {
            self.follow(layout, field.name)
                .unwrap_or_else(|| self.learn(layout, field.name))
        });
        self.order(layout)
    }

    /// The order that a place stands for.
    #[inline]
    pub(crate) fn order(&self, layout: Layout) -> Option<NameOrder> {
        (layout != UNKNOWN).then_some(NameOrder {
            tree: self.tree,
            place: layout.0,
        })
    }

    /// Where `name` leads, if it was seen behind these names before. The names of a known sequence all differ.
    #[inline]
    pub(crate) fn follow(&mut self, layout: Layout, name: &str) -> Option<Layout> {
        let node = self.nodes.get(layout.0 as usize)?;
        let likely = node.likely;
        if likely != NONE && self.is_named(likely, name) {
            return Some(Layout(likely));
        }
        self.follow_unlikely(layout, name)
    }

    #[cold]
    fn follow_unlikely(&mut self, layout: Layout, name: &str) -> Option<Layout> {
        let mut at = self.nodes[layout.0 as usize].follower;
        while at != NONE {
            if self.is_named(at, name) {
                self.nodes[layout.0 as usize].likely = at;
                return Some(Layout(at));
            }
            at = self.nodes[at as usize].sibling;
        }
        None
    }

    /// One of the names that came behind these before, if it stands at the front of a JSON text, the quote before it taken off
    /// and the one behind it still there: its length and where it leads. The one that came the last time is asked first.
    #[inline(always)]
    pub(crate) fn foresee(&mut self, layout: Layout, text: &[u8]) -> Option<(usize, Layout)> {
        let likely = self.nodes.get(layout.0 as usize)?.likely;
        match self.stands(likely, text) {
            Some(length) => Some((length, Layout(likely))),
            None => self.foresee_other(layout, text),
        }
    }

    /// The followers that are asked before the text is read.
    const FORESEEN_MAX: usize = 4;

    #[inline(never)]
    fn foresee_other(&mut self, layout: Layout, text: &[u8]) -> Option<(usize, Layout)> {
        let mut at = self.nodes[layout.0 as usize].follower;
        for _ in 0..Self::FORESEEN_MAX {
            if at == NONE {
                break;
            }
            if let Some(length) = self.stands(at, text) {
                self.nodes[layout.0 as usize].likely = at;
                return Some((length, Layout(at)));
            }
            at = self.nodes[at as usize].sibling;
        }
        None
    }

    /// The length of a node's name, if it stands at the front of a text as described above.
    #[inline(always)]
    fn stands(&self, node: u32, text: &[u8]) -> Option<usize> {
        let node = self.nodes.get(node as usize)?;
        let (from, length) = (node.name_at as usize, node.name_len as usize);
        let is_it = node.plain
            && same_bytes(
                self.names.as_bytes().get(from..=from + length)?,
                text.get(..=length)?,
            );
        is_it.then_some(length)
    }

    /// The name that came behind these the last time, if a text begins with it and `=`, with no separator of pairs in it: its
    /// length and where it leads.
    #[inline(always)]
    pub(crate) fn foresee_key(&self, layout: Layout, text: &[u8]) -> Option<(usize, Layout)> {
        let likely = self.nodes.get(layout.0 as usize)?.likely;
        let node = self.nodes.get(likely as usize)?;
        if !node.key.begins(text) {
            return None;
        }
        let (from, length) = (node.name_at as usize, node.name_len as usize);
        // The key holds all of a short name and the `=` behind it.
        let is_it = length < 8
            || text.get(length) == Some(&b'=')
                && same_bytes(
                    self.names.as_bytes().get(from..from + length)?,
                    text.get(..length)?,
                );
        is_it.then_some((length, Layout(likely)))
    }

    /// Learns that `name`, which is none of theirs, may come behind these names.
    #[cold]
    pub(crate) fn learn(&mut self, layout: Layout, name: &str) -> Layout {
        if layout == UNKNOWN
            || self.nodes.len() >= NODES_MAX
            || self.names.len() + name.len() >= NAME_BYTES_MAX
        {
            return UNKNOWN;
        }
        if self.followers(layout) >= FOLLOWERS_MAX {
            self.refusals = self.refusals.saturating_add(1);
            return UNKNOWN;
        }
        let bounded = |number: usize| u32::try_from(number).expect("bounded far below 2^32");
        let new = bounded(self.nodes.len());
        let parent = &mut self.nodes[layout.0 as usize];
        let sibling = std::mem::replace(&mut parent.follower, new);
        parent.likely = new;
        let spaced = parent.spaced || name.contains(' ');
        self.nodes.push(Node {
            name_at: bounded(self.names.len()),
            name_len: bounded(name.len()),
            likely: NONE,
            follower: NONE,
            sibling,
            spaced,
            plain: !name
                .bytes()
                .any(|byte| byte < 0x20 || matches!(byte, b'"' | b'\\')),
            key: Key::of(name),
        });
        self.names.push_str(name);
        // What ends the name in a JSON text is compared with it.
        self.names.push('"');
        Layout(new)
    }

    fn followers(&self, layout: Layout) -> usize {
        let first = self.nodes[layout.0 as usize].follower;
        std::iter::successors(Some(first), |at| Some(self.nodes[*at as usize].sibling))
            .take_while(|at| *at != NONE)
            .count()
    }

    #[inline]
    fn is_named(&self, node: u32, name: &str) -> bool {
        let node = &self.nodes[node as usize];
        let from = node.name_at as usize;
        node.name_len as usize == name.len()
            && same_bytes(
                &self.names.as_bytes()[from..from + name.len()],
                name.as_bytes(),
            )
    }

    /// Whether one of these names has a space in it; `None` where that is not known.
    pub(crate) fn is_spaced(&self, layout: Layout) -> Option<bool> {
        self.nodes.get(layout.0 as usize).map(|node| node.spaced)
    }

    /// The place of a name among these names; what is not known is asked of `find` and remembered.
    #[inline]
    pub(crate) fn place(
        &mut self,
        layout: Layout,
        name: &'static str,
        find: impl FnOnce() -> Option<usize>,
    ) -> Option<usize> {
        if layout == UNKNOWN {
            return find();
        }
        let answer = &mut self.answers[slot(layout, name.as_ptr().addr(), name.len()) % ANSWERS];
        if !answer.is_of(layout, name) {
            let place = find().and_then(|place| u32::try_from(place).ok());
            *answer = Answer::new(layout, name, place);
        }
        answer.place.map(|place| place as usize)
    }

    /// What [`Self::keep`] kept for these names under this key, a text at an address of its own.
    #[inline]
    pub(crate) fn kept(&self, layout: Layout, key: &'static str) -> Option<Option<usize>> {
        if layout == UNKNOWN {
            return None;
        }
        let answer = &self.answers[slot(layout, key.as_ptr().addr(), key.len()) % ANSWERS];
        answer
            .is_of(layout, key)
            .then(|| answer.place.map(|place| place as usize))
    }

    /// Keeps what follows from these names.
    pub(crate) fn keep(&mut self, layout: Layout, key: &'static str, answer: Option<usize>) {
        let answer = answer.and_then(|answer| u32::try_from(answer).ok());
        self.answers[slot(layout, key.as_ptr().addr(), key.len()) % ANSWERS] =
            Answer::new(layout, key, answer);
    }

    /// What [`Self::keep_table`] kept for these names under this key, a list at an address of its own.
    #[inline]
    pub(crate) fn table(&self, layout: Layout, key: &'static [&'static str]) -> Option<&Table> {
        let address = key.as_ptr().addr();
        let known = &self.tables[slot(layout, address, 0) % TABLES];
        (known.layout == layout && known.address == address && layout != UNKNOWN)
            .then_some(&known.table)
    }

    /// Keeps what follows from these names.
    #[cold]
    pub(crate) fn keep_table(
        &mut self,
        layout: Layout,
        key: &'static [&'static str],
        table: Table,
    ) {
        let address = key.as_ptr().addr();
        self.tables[slot(layout, address, 0) % TABLES] = KnownTable {
            layout,
            address,
            table,
        };
    }

    /// Where a group of names leads, if [`Self::keep_jump`] kept it: none of them is among those before.
    #[inline]
    pub(crate) fn jump(&self, from: Layout, group: Group) -> Option<Layout> {
        if from == UNKNOWN {
            return None;
        }
        let set = &self.jumps[jump_set(from, group)];
        let known = set
            .iter()
            .find(|known| known.from == from && known.group == group)?;
        Some(known.to)
    }

    /// Keeps where a group of names, all of them new, led.
    #[cold]
    pub(crate) fn keep_jump(&mut self, from: Layout, group: Group, to: Layout) {
        if to != UNKNOWN {
            // The oldest goes: as many as the set holds do not drive each other out.
            let set = &mut self.jumps[jump_set(from, group)];
            set.rotate_right(1);
            set[0] = Jump { from, group, to };
        }
    }

    /// The places of those of a list of names that are there; what is not known is asked of `find` and remembered.
    /// `None` where there are too many of them, or where these names are not known.
    #[inline]
    pub(crate) fn places(
        &mut self,
        layout: Layout,
        names: &'static [&'static str],
        find: impl FnMut(&'static str) -> Option<usize>,
    ) -> Option<Places> {
        if layout == UNKNOWN {
            return None;
        }
        let address = names.as_ptr().addr();
        let answer = &mut self.list_answers[slot(layout, address, names.len()) % LIST_ANSWERS];
        if answer.layout != layout || answer.address != address || answer.len != names.len() {
            *answer = ListAnswer {
                layout,
                address,
                len: names.len(),
                places: Places::of(names.iter().copied().filter_map(find))?,
            };
        }
        Some(answer.places)
    }
}

impl Answer {
    fn new(layout: Layout, name: &'static str, place: Option<u32>) -> Self {
        Self {
            layout,
            address: name.as_ptr().addr(),
            len: name.len(),
            place,
        }
    }

    fn is_of(&self, layout: Layout, name: &'static str) -> bool {
        self.layout == layout && self.address == name.as_ptr().addr() && self.len == name.len()
    }
}

/// The set that a jump may be kept in.
fn jump_set(from: Layout, group: Group) -> usize {
    slot(from, group.address, group.which as usize) % JUMP_SETS
}

/// Where an answer is kept.
fn slot(layout: Layout, address: usize, len: usize) -> usize {
    let mix = (u64::from(layout.0) << 32 ^ address as u64 ^ (len as u64) << 24)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mix >> 40) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learned(layouts: &mut Layouts, names: &[&str]) -> Layout {
        names.iter().fold(EMPTY, |at, name| {
            layouts
                .follow(at, name)
                .unwrap_or_else(|| layouts.learn(at, name))
        })
    }

    #[test]
    fn groups_that_share_a_set_do_not_drive_each_other_out() {
        let mut layouts = Layouts::default();
        layouts.keep_bounds();
        let group = |address: usize| Group { address, which: 1 };
        let sharing = (1..).filter(|address| jump_set(EMPTY, group(*address)) == 5);
        let groups: Vec<Group> = sharing.take(JUMPS_OF_SET).map(group).collect();
        let to = |number: usize| Layout(u32::try_from(number).unwrap() + 7);
        for (number, group) in groups.iter().enumerate() {
            layouts.keep_jump(EMPTY, *group, to(number));
        }
        for (number, group) in groups.iter().enumerate() {
            assert_eq!(layouts.jump(EMPTY, *group), Some(to(number)));
        }
    }

    #[test]
    fn a_sequence_is_known_the_second_time() {
        let mut layouts = Layouts::default();
        let first = learned(&mut layouts, &["a", "b"]);
        let second = learned(&mut layouts, &["a", "c d"]);
        assert_ne!(first, second);
        assert_eq!(learned(&mut layouts, &["a", "b"]), first);
        assert_eq!(
            (layouts.is_spaced(first), layouts.is_spaced(second)),
            (Some(false), Some(true))
        );
        assert_eq!(layouts.follow(first, "a"), None);
        assert_eq!(layouts.place(first, "b", || Some(1)), Some(1));
        assert_eq!(layouts.place(first, "b", || panic!("known")), Some(1));
        assert_eq!(layouts.place(second, "b", || None), None);
        assert_eq!(layouts.place(second, "b", || panic!("known")), None);
    }

    #[test]
    fn what_is_asked_about_a_list_is_remembered() {
        static ASKED: [&str; 3] = ["c", "a", "d"];
        static MANY: [&str; 6] = ["a"; 6];
        let mut layouts = Layouts::default();
        let at = learned(&mut layouts, &["a", "b", "c"]);
        let find = |name: &str| ["a", "b", "c"].iter().position(|known| *known == name);
        let places = layouts.places(at, &ASKED, find).unwrap();
        assert_eq!(places.iter().collect::<Vec<_>>(), [2, 0]);
        let again = layouts.places(at, &ASKED, |_| panic!("known"));
        assert_eq!(again, Some(places));
        assert_eq!(layouts.places(at, &MANY, find), None);
        assert_eq!(layouts.places(UNKNOWN, &ASKED, find), None);
    }

    #[test]
    fn memory_is_bounded() {
        let mut layouts = Layouts::default();
        for number in 0..200_000 {
            layouts.keep_bounds();
            learned(
                &mut layouts,
                &[&format!("a{}", number % 60), &format!("b{number}")],
            );
            assert!(layouts.nodes.len() <= NODES_MAX && layouts.names.len() <= NAME_BYTES_MAX);
        }
        let many: Vec<String> = (0..1_000).map(|number| number.to_string()).collect();
        assert!(
            many.iter()
                .any(|name| learned(&mut layouts, &[name]) == UNKNOWN)
        );
    }

    #[test]
    fn what_came_first_does_not_stay_for_good() {
        let mut layouts = Layouts::default();
        for number in 0..FOLLOWERS_MAX {
            learned(&mut layouts, &[&format!("old{number}")]);
        }
        let mut steps = 0;
        while learned(&mut layouts, &["new"]) == UNKNOWN {
            layouts.keep_bounds();
            steps += 1;
            assert!(steps <= REFUSALS_MAX, "never learned");
        }
    }
}
