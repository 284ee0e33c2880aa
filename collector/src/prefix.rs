//! The longest answered prefix of things handed out in order and answered in any order.

use std::collections::VecDeque;

/// Things handed out, each with a mark that holds once it and all before it are answered.
#[derive(Debug)]
pub(crate) struct Prefix<Mark> {
    /// Sequence of the first thing in `waiting`.
    first: u64,
    waiting: VecDeque<(Mark, Answered)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answered {
    No,
    Yes,
}

impl<Mark> Prefix<Mark> {
    pub(crate) fn new() -> Self {
        Self {
            first: 0,
            waiting: VecDeque::new(),
        }
    }

    /// Hands out the next thing; returns its sequence.
    pub(crate) fn hand_out(&mut self, mark: Mark) -> u64 {
        self.waiting.push_back((mark, Answered::No));
        self.first + self.waiting.len() as u64 - 1
    }

    /// Notes the answer to `sequence`; returns the mark of the prefix if that grew.
    pub(crate) fn answer(&mut self, sequence: u64) -> Option<Mark> {
        let place = sequence
            .checked_sub(self.first)
            .and_then(|place| usize::try_from(place).ok())?;
        self.waiting.get_mut(place)?.1 = Answered::Yes;
        let mut reached = None;
        while self
            .waiting
            .front()
            .is_some_and(|(_, answered)| *answered == Answered::Yes)
        {
            reached = self.waiting.pop_front().map(|(mark, _)| mark);
            self.first += 1;
        }
        reached
    }

    /// Number of things not in the prefix yet.
    pub(crate) fn outstanding(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_moves_over_answered_things_only() {
        let mut prefix = Prefix::new();
        let sequences: Vec<u64> = ["a", "b", "c", "d"]
            .into_iter()
            .map(|mark| prefix.hand_out(mark))
            .collect();
        assert_eq!(sequences, [0, 1, 2, 3]);
        assert_eq!(prefix.answer(2), None);
        assert_eq!(prefix.answer(0), Some("a"));
        assert_eq!(prefix.answer(0), None, "answered twice");
        assert_eq!(prefix.answer(1), Some("c"));
        assert_eq!(prefix.answer(9), None, "never handed out");
        assert_eq!(prefix.outstanding(), 1);
        assert_eq!(prefix.answer(3), Some("d"));
    }
}
