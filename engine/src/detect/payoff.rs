//! Whether remembering the values of a field pays.

/// Look-ups after which is judged.
const TRIES: u16 = 256;
/// Share of look-ups, of [`TRIES`], that must find something.
const HITS_MIN: u16 = TRIES / 4;
/// Values that are not looked up after it did not pay: what is tried in vain stays a small part.
const PAUSE: u16 = 16 * TRIES;

/// Counts what was found, and says for how long not to try.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Payoff {
    tries: u16,
    hits: u16,
    pause: u16,
}

/// What a look-up came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LookUp {
    /// The value was known.
    Hit,
    /// It was not.
    Miss,
}

impl Payoff {
    /// Whether to look the next value up.
    #[inline]
    pub(super) fn worthwhile(&mut self) -> bool {
        if self.pause == 0 {
            return true;
        }
        self.pause -= 1;
        false
    }

    /// Whether it was found not to pay a while ago.
    #[inline]
    pub(super) fn pauses(&self) -> bool {
        self.pause != 0
    }

    /// Counts a look-up.
    #[inline]
    pub(super) fn count(&mut self, look_up: LookUp) {
        self.tries += 1;
        self.hits += u16::from(look_up == LookUp::Hit);
        if self.tries == TRIES {
            if self.hits < HITS_MIN {
                self.pause = PAUSE;
            }
            (self.tries, self.hits) = (0, 0);
        }
    }
}

/// Longest document that is searched as a whole: one may hold many events, and each would search it.
const WHOLE_BYTES_MAX: usize = 4 << 10;
/// Events after which is looked again at what the search of values comes to.
const WHOLE_ROUND: u8 = 128;

/// Whether searching a whole document for keywords pays, so that its values need not be: where most of it is values
/// that never repeat.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Whole {
    pays: bool,
    searched: bool,
    events: u8,
}

impl Whole {
    /// Whether to search the document first.
    #[inline]
    pub(super) fn worthwhile(&mut self, document_bytes: usize) -> bool {
        self.events = (self.events + 1) % WHOLE_ROUND;
        self.searched = self.pays && self.events != 0 && document_bytes <= WHOLE_BYTES_MAX;
        self.searched
    }

    /// Learns how many bytes of values remained to be searched.
    #[inline]
    pub(super) fn learn(&mut self, bytes: usize, document_bytes: usize) {
        let much = bytes * 3 > document_bytes;
        self.pays = if self.searched {
            // What the document could not rule out was searched all the same.
            !much
        } else {
            much
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_never_repeat_are_seldom_looked_up() {
        let mut payoff = Payoff::default();
        let mut tried = 0;
        for _ in 0..100_000 {
            if payoff.worthwhile() {
                tried += 1;
                payoff.count(LookUp::Miss);
            }
        }
        assert!(tried < 7_000, "{tried}");
        for _ in 0..100_000 {
            if payoff.worthwhile() {
                payoff.count(LookUp::Hit);
            }
        }
        assert!(payoff.worthwhile());
    }
}
