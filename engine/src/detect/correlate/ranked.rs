//! Sorted numbers of which the one at a place is found without going through all before it: a window may
//! hold hundreds of thousands of different ones, and each window asks.

/// Numbers in one block; a block that grows beyond twice as many is cut in two.
const BLOCK: usize = 256;

/// Numbers in their order, equal ones as often as they were added.
#[derive(Debug, Default)]
pub(super) struct Ranked {
    /// None is empty.
    blocks: Vec<Vec<i128>>,
    len: usize,
}

impl Ranked {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Adds a number.
    pub(super) fn insert(&mut self, number: i128) {
        self.len += 1;
        let place = self
            .block_of(number)
            .min(self.blocks.len().saturating_sub(1));
        let Some(block) = self.blocks.get_mut(place) else {
            self.blocks.push(vec![number]);
            return;
        };
        block.insert(block.partition_point(|&known| known < number), number);
        if block.len() > 2 * BLOCK {
            let upper = block.split_off(BLOCK);
            self.blocks.insert(place + 1, upper);
        }
    }

    /// Takes a number out that was added.
    pub(super) fn remove(&mut self, number: i128) {
        let place = self.block_of(number);
        let Some(block) = self.blocks.get_mut(place) else {
            return;
        };
        if let Ok(at) = block.binary_search(&number) {
            block.remove(at);
            self.len -= 1;
            if block.is_empty() {
                self.blocks.remove(place);
            }
        }
    }

    /// The number at a place, counted from 0; 0 beyond the last.
    pub(super) fn at(&self, mut rank: usize) -> i128 {
        for block in &self.blocks {
            if let Some(&number) = block.get(rank) {
                return number;
            }
            rank -= block.len();
        }
        0
    }

    /// The first block whose numbers are not all smaller.
    fn block_of(&self, number: i128) -> usize {
        self.blocks
            .partition_point(|block| block.last().is_none_or(|&last| last < number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_by_their_rank_as_in_a_sorted_list() {
        let mut ranked = Ranked::default();
        let mut sorted: Vec<i128> = Vec::new();
        let mut state = 7u64;
        for step in 0..20_000u64 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let number = i128::from(state >> 33) % 900;
            let grows = step < 8_000 || state >> 20 & 1 == 1;
            match sorted.binary_search(&number) {
                Ok(at) if !grows => {
                    sorted.remove(at);
                    ranked.remove(number);
                }
                Ok(at) | Err(at) if grows => {
                    sorted.insert(at, number);
                    ranked.insert(number);
                }
                _ => ranked.remove(number),
            }
            assert_eq!(ranked.len(), sorted.len());
            let place = (state >> 40) as usize % sorted.len().max(1);
            assert_eq!(ranked.at(place), sorted.get(place).copied().unwrap_or(0));
        }
        sorted.drain(..).for_each(|number| ranked.remove(number));
        assert_eq!((ranked.len(), ranked.blocks.len()), (0, 0));
    }
}
