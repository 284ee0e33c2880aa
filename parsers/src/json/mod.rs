//! JSON, read in one pass into [`Node`]s that borrow from the text.
//!
//! Why not a crate's reader: one that keeps the text must not change it, so strings without escapes can be
//! borrowed as they stand and only those with escapes are copied, and one that is given a `str` need not
//! look for broken UTF-8 again. Half of the time of a general reader goes into these two.
//!
//! What is JSON is as RFC 8259 has it: a text that is not is refused as a whole. Two bounds and one liberty:
//! containers nest up to [`DEPTH_MAX`] levels; a number beyond the range of a double is refused; a whole number
//! beyond 64 bits is a double.

mod flat;
mod lanes;
mod mend;
mod number;
mod strings;

use bumpalo::Bump;

use crate::event::Value;
use flat::Foresight;
use lanes::Lanes;
pub(crate) use mend::mended;
use strings::Room;

/// Levels of maps and lists within each other; deeper texts are refused.
pub(crate) const DEPTH_MAX: usize = 1_024;

/// A piece of a JSON text. A value is one node, or, for a map or list, a node and all those of what is in it;
/// a member of a map is the node of its name and those of its value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Node<'a> {
    /// What is neither map nor list; also a member's name.
    Scalar(Value<'a>),
    /// A map.
    Object {
        /// Its members.
        len: usize,
        /// Nodes within it.
        count: usize,
    },
    /// A list.
    Array {
        /// Its items.
        len: usize,
        /// Nodes within it.
        count: usize,
    },
}

impl<'a> Node<'a> {
    /// The value, if it is neither map nor list.
    pub(crate) fn scalar(self) -> Option<Value<'a>> {
        match self {
            Self::Scalar(value) => Some(value),
            _ => None,
        }
    }
}

/// Memory that is used again for each text.
#[derive(Default)]
pub(crate) struct Buffers {
    nodes: Vec<Node<'static>>,
    open: Vec<Open>,
    width: Width,
    foresight: Foresight,
}

impl Buffers {
    /// The list of nodes to fill, taken out.
    pub(crate) fn take_nodes<'a>(&mut self) -> Vec<Node<'a>> {
        std::mem::take(&mut self.nodes)
    }

    /// Gives a list of nodes back.
    pub(crate) fn give_back(&mut self, mut nodes: Vec<Node<'_>>) {
        nodes.clear();
        // Nothing is left to convert: this keeps the memory and changes the lifetime.
        self.nodes = nodes
            .into_iter()
            .map(|_| Node::Scalar(Value::Null))
            .collect();
    }

    /// Reads a text whose outermost value is a map or a list into `nodes`; leaves them empty when it is not such
    /// a text.
    pub(crate) fn read<'a>(&mut self, text: &'a str, arena: &'a Bump, nodes: &mut Vec<Node<'a>>) {
        nodes.clear();
        self.open.clear();
        if read(self.width, text, arena, nodes, &mut self.open).is_none() {
            nodes.clear();
        }
    }
}

/// A map or list whose end is not read yet.
#[derive(Clone, Copy)]
struct Open {
    /// Place of its node.
    place: usize,
    /// Members or items so far.
    len: usize,
    is_object: bool,
}

/// The widest steps that this machine can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Width {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Portable,
}

impl Width {
    /// All that this machine can take, the widest first.
    fn possible() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        use std::arch::is_x86_feature_detected as has;
        [
            #[cfg(target_arch = "x86_64")]
            (has!("avx2")
                && has!("bmi1")
                && has!("popcnt")
                && has!("avx512f")
                && has!("avx512bw")
                && has!("avx512vbmi")
                && has!("avx512vbmi2"))
            .then_some(Self::Avx512),
            #[cfg(target_arch = "x86_64")]
            (has!("avx2") && has!("bmi1")).then_some(Self::Avx2),
            Some(Self::Portable),
        ]
        .into_iter()
        .flatten()
    }
}

impl Default for Width {
    fn default() -> Self {
        Self::possible().next().unwrap_or(Self::Portable)
    }
}

fn read<'a>(
    width: Width,
    text: &'a str,
    arena: &'a Bump,
    nodes: &mut Vec<Node<'a>>,
    open: &mut Vec<Open>,
) -> Option<()> {
    match width {
        // SAFETY: a width is made from what the machine has.
        #[cfg(target_arch = "x86_64")]
        Width::Avx512 => unsafe { read_avx512(text, arena, nodes, open) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Width::Avx2 => unsafe { read_avx2(text, arena, nodes, open) },
        Width::Portable => read_with::<lanes::Portable>(text, arena, nodes, open),
    }
}

/// # Safety
/// The machine must have these instructions.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,popcnt,avx512f,avx512bw,avx512vbmi,avx512vbmi2")]
unsafe fn read_avx512<'a>(
    text: &'a str,
    arena: &'a Bump,
    nodes: &mut Vec<Node<'a>>,
    open: &mut Vec<Open>,
) -> Option<()> {
    read_with::<lanes::Avx512>(text, arena, nodes, open)
}

/// # Safety
/// The machine must have these instructions.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1")]
unsafe fn read_avx2<'a>(
    text: &'a str,
    arena: &'a Bump,
    nodes: &mut Vec<Node<'a>>,
    open: &mut Vec<Open>,
) -> Option<()> {
    read_with::<lanes::Avx2>(text, arena, nodes, open)
}

#[inline(always)]
fn read_with<'a, L: Lanes>(
    text: &'a str,
    arena: &'a Bump,
    nodes: &mut Vec<Node<'a>>,
    open: &mut Vec<Open>,
) -> Option<()> {
    let mut reader = Reader::<L> {
        text,
        bytes: text.as_bytes(),
        at: 0,
        room: Room::new(arena),
        lanes: std::marker::PhantomData,
    };
    reader.document(nodes, open)
}

struct Reader<'a, L> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    room: Room<'a>,
    lanes: std::marker::PhantomData<L>,
}

impl<'a, L: Lanes> Reader<'a, L> {
    #[inline(always)]
    fn document(&mut self, nodes: &mut Vec<Node<'a>>, open: &mut Vec<Open>) -> Option<()> {
        let mut within = Self::begin(self.next()?, nodes)?;
        loop {
            // Here a container has been opened, or a value in it has been read.
            let byte = self.next()?;
            let is_first = within.len == 0;
            let byte = match byte {
                b'}' if within.is_object => None,
                b']' if !within.is_object => None,
                _ if is_first => Some(byte),
                b',' => Some(self.next()?),
                _ => return None,
            };
            let Some(byte) = byte else {
                end(within, nodes);
                match open.pop() {
                    Some(outer) => within = outer,
                    None => break,
                }
                continue;
            };
            within.len += 1;
            let byte = if within.is_object {
                self.name(byte, nodes)?
            } else {
                byte
            };
            match byte {
                b'"' => {
                    let text = self.string()?;
                    nodes.push(Node::Scalar(Value::Str(text)));
                }
                b'{' | b'[' => {
                    if open.len() + 1 >= DEPTH_MAX {
                        return None;
                    }
                    open.push(within);
                    within = Self::begin(byte, nodes)?;
                }
                _ => nodes.push(Node::Scalar(self.plain(byte)?)),
            }
        }
        self.skip_spaces();
        (self.at == self.bytes.len()).then_some(())
    }

    /// Opens the map or list that begins with `byte`.
    #[inline(always)]
    fn begin(byte: u8, nodes: &mut Vec<Node<'a>>) -> Option<Open> {
        let is_object = match byte {
            b'{' => true,
            b'[' => false,
            _ => return None,
        };
        nodes.push(Node::Scalar(Value::Null));
        Some(Open {
            place: nodes.len() - 1,
            len: 0,
            is_object,
        })
    }

    /// Adds the name of a member that begins with `byte` and gives the first byte of its value.
    #[inline(always)]
    fn name(&mut self, byte: u8, nodes: &mut Vec<Node<'a>>) -> Option<u8> {
        if byte != b'"' {
            return None;
        }
        let name = self.string()?;
        nodes.push(Node::Scalar(Value::Str(name)));
        if self.next()? != b':' {
            return None;
        }
        self.next()
    }

    /// The next byte that is no white space.
    #[inline(always)]
    fn next(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        if byte > b' ' {
            return Some(byte);
        }
        self.at -= 1;
        self.skip_spaces();
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn skip_spaces(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    /// A string whose opening quote has been read.
    #[inline(always)]
    fn string(&mut self) -> Option<&'a str> {
        let begin = self.at;
        self.at = L::first_stop(self.bytes, begin);
        match self.bytes.get(self.at) {
            Some(b'"') => {
                let text = self.text.get(begin..self.at)?;
                self.at += 1;
                Some(text)
            }
            Some(b'\\') => {
                let (text, end) = self.room.unescaped::<L>(self.bytes, begin, self.at)?;
                self.at = end;
                Some(text)
            }
            _ => None,
        }
    }

    /// A number, `true`, `false` or `null` whose first byte has been read.
    #[inline(always)]
    fn plain(&mut self, byte: u8) -> Option<Value<'a>> {
        let from = self.at - 1;
        let (word, value): (&[u8], _) = match byte {
            b'-' | b'0'..=b'9' => {
                let (value, end) = number::number(self.text, from)?;
                self.at = end;
                return Some(value);
            }
            b't' => (b"true", Value::Bool(true)),
            b'f' => (b"false", Value::Bool(false)),
            b'n' => (b"null", Value::Null),
            _ => return None,
        };
        self.at = from + word.len();
        (self.bytes.get(from..self.at)? == word).then_some(value)
    }
}

/// Writes what is known about a container once it has ended.
#[inline(always)]
fn end(within: Open, nodes: &mut [Node<'_>]) {
    let Open {
        place,
        len,
        is_object,
    } = within;
    let count = nodes.len() - place - 1;
    nodes[place] = if is_object {
        Node::Object { len, count }
    } else {
        Node::Array { len, count }
    };
}

#[cfg(test)]
mod tests;
