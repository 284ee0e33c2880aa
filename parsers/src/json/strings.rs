//! Strings with escapes: written out into the arena.

use std::alloc::Layout;
use std::mem::MaybeUninit;

use bumpalo::Bump;

use super::lanes::{self, BLOCK, Lanes, PLAIN_ESCAPES};

/// What an escape of one character means; 0 if it is none.
#[inline(always)]
fn plain_escape(character: u8) -> u8 {
    PLAIN_ESCAPES
        .get(usize::from(character))
        .copied()
        .unwrap_or(0)
}

/// Memory of the arena for the strings of one text: taken at the first escape, enough for all of them, since
/// a string is never longer than it is written.
pub(super) struct Room<'a> {
    arena: &'a Bump,
    free: &'a mut [MaybeUninit<u8>],
}

impl<'a> Room<'a> {
    pub(super) fn new(arena: &'a Bump) -> Self {
        Self {
            arena,
            free: &mut [],
        }
    }

    /// The string that begins at `begin` of `bytes`, which are UTF-8, and has its first escape at `escape`; and where the text goes
    /// on behind its closing quote.
    #[inline(always)]
    pub(super) fn unescaped<L: Lanes>(
        &mut self,
        bytes: &[u8],
        begin: usize,
        escape: usize,
    ) -> Option<(&'a str, usize)> {
        if self.free.len() < bytes.len() - begin + 2 * BLOCK {
            self.grow(bytes.len() - begin + 2 * BLOCK);
        }
        let mut writer = Writer {
            bytes,
            from: begin,
            free: self.free,
            to: 0,
        };
        while writer.from + BLOCK <= escape {
            writer.copy_block();
        }
        // Less than a block is left before the escape: the next step copies it.
        writer.all::<L>()?;
        let (end, to) = (writer.from, writer.to);
        let (text, free) = std::mem::take(&mut self.free).split_at_mut(to);
        self.free = free;
        // SAFETY: the writer has written every byte below `to`. They are UTF-8: copies of pieces of UTF-8 that were cut at
        // ASCII characters only, and encoded characters between them.
        let text = unsafe {
            std::str::from_utf8_unchecked(std::slice::from_raw_parts(
                text.as_ptr().cast::<u8>(),
                to,
            ))
        };
        Some((text, end))
    }

    #[cold]
    fn grow(&mut self, size: usize) {
        let layout =
            Layout::array::<u8>(size).expect("texts are bounded far below the address space");
        let memory = self.arena.alloc_layout(layout);
        // SAFETY: the arena gave `size` bytes to nobody else, for as long as it is borrowed; they may be uninitialised.
        self.free = unsafe { std::slice::from_raw_parts_mut(memory.as_ptr().cast(), size) };
    }
}

/// Copies from a text to the arena. `free` has room for two blocks more than the text has bytes from where the
/// string begins, so that a block may be written where a part of it counts.
struct Writer<'w> {
    bytes: &'w [u8],
    from: usize,
    free: &'w mut [MaybeUninit<u8>],
    to: usize,
}

impl Writer<'_> {
    /// Copies up to the closing quote and steps over it.
    #[inline(always)]
    fn all<L: Lanes>(&mut self) -> Option<()> {
        while let Some(stopped) = self.wide_step::<L>() {
            if !stopped {
                continue;
            }
            match *self.bytes.get(self.from)? {
                b'"' => {
                    self.from += 1;
                    return Some(());
                }
                b'\\' => self.unicode_escape()?,
                _ => return None,
            }
        }
        // Two blocks and the character behind an escape at the end of the first are in sight.
        while self.from + 2 * BLOCK + 2 <= self.bytes.len() {
            if self.block::<L>()? {
                return Some(());
            }
        }
        self.rest()
    }

    /// Takes a wide step, where the machine can and the text is long enough: whether it stopped before the step's end.
    #[inline(always)]
    fn wide_step<L: Lanes>(&mut self) -> Option<bool> {
        let rest = self.bytes.get(self.from..)?;
        let room = self.free[self.to..].first_chunk_mut()?;
        let step = L::unescape(rest, room)?;
        self.from += step.read;
        self.to += step.written;
        Some(step.stopped)
    }

    /// Takes a block, with the escapes that begin in it; tells whether the string ended.
    #[inline(always)]
    fn block<L: Lanes>(&mut self) -> Option<bool> {
        let begin = self.from;
        let mut stops = L::stops(&lanes::block(self.bytes, begin));
        self.put_block(begin);
        let mut taken = 0;
        while stops != 0 {
            let at = stops.trailing_zeros() as usize;
            self.to += at - taken;
            match self.bytes[begin + at] {
                b'"' => {
                    self.from = begin + at + 1;
                    return Some(true);
                }
                b'\\' => {}
                _ => return None,
            }
            let plain = plain_escape(self.bytes[begin + at + 1]);
            if plain == 0 {
                self.from = begin + at;
                self.unicode_escape()?;
                return Some(false);
            }
            self.put(plain);
            taken = at + 2;
            // What follows goes to where it belongs, as far as it is already known to be of the string.
            self.put_block(begin + taken);
            stops &= !(0b11 << at);
        }
        self.to += BLOCK.saturating_sub(taken);
        self.from = begin + taken.max(BLOCK);
        Some(false)
    }

    /// The last bytes of the text, one by one.
    #[cold]
    fn rest(&mut self) -> Option<()> {
        loop {
            let byte = *self.bytes.get(self.from)?;
            match byte {
                b'"' => {
                    self.from += 1;
                    return Some(());
                }
                b'\\' => match plain_escape(*self.bytes.get(self.from + 1)?) {
                    0 => self.unicode_escape()?,
                    plain => {
                        self.put(plain);
                        self.from += 2;
                    }
                },
                0..0x20 => return None,
                _ => {
                    self.put(byte);
                    self.from += 1;
                }
            }
        }
    }

    #[inline(always)]
    fn copy_block(&mut self) {
        self.put_block(self.from);
        self.from += BLOCK;
        self.to += BLOCK;
    }

    /// Writes the block at `from` of the text without stepping on.
    #[inline(always)]
    fn put_block(&mut self, from: usize) {
        let block = lanes::block(self.bytes, from);
        let free = &mut self.free[self.to..self.to + BLOCK];
        // SAFETY: `free` has the size of a block, and a block has no alignment.
        unsafe { free.as_mut_ptr().cast::<[u8; BLOCK]>().write(block) };
    }

    #[inline(always)]
    fn put(&mut self, byte: u8) {
        self.free[self.to].write(byte);
        self.to += 1;
    }

    /// `\u` and four digits, or two of them that make a pair of surrogates.
    #[cold]
    fn unicode_escape(&mut self) -> Option<()> {
        let first = self.code_unit()?;
        let character = match first {
            0xD800..0xDC00 => {
                let second = self.code_unit()?;
                (0xDC00..0xE000)
                    .contains(&second)
                    .then(|| 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00))?
            }
            _ => first,
        };
        let mut encoded = [0; 4];
        for byte in char::from_u32(character)?.encode_utf8(&mut encoded).bytes() {
            self.put(byte);
        }
        Some(())
    }

    fn code_unit(&mut self) -> Option<u32> {
        let written = self.bytes.get(self.from..self.from + 6)?;
        let digits = written.strip_prefix(b"\\u")?;
        self.from += 6;
        digits.iter().try_fold(0, |unit, digit| {
            Some(unit << 4 | char::from(*digit).to_digit(16)?)
        })
    }
}
