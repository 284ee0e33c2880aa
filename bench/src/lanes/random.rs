//! Numbers that look random and are the same for the same seed, on every machine.

/// SplitMix64 (Steele, Lea, Flood 2014): small, fast, and good enough to vary logs.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// Numbers of this seed. `purpose` keeps the lanes apart: one more draw in one changes no other.
    pub(crate) fn new(seed: u64, purpose: &str) -> Self {
        let mixed = purpose.bytes().fold(seed, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self(mixed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    /// A number below `end`, small ones far more often: as few hosts and users make most of the noise.
    pub(crate) fn skewed_below(&mut self, end: usize) -> usize {
        let widest = self.below(end) + 1;
        self.below(widest)
    }

    /// One of these; `items` is not empty.
    pub(crate) fn pick<'i, T>(&mut self, items: &'i [T]) -> &'i T {
        &items[self.below(items.len())]
    }

    /// True this often of a hundred.
    pub(crate) fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// So many letters and digits.
    pub(crate) fn letters(&mut self, count: usize) -> String {
        const ALL: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        (0..count).map(|_| char::from(*self.pick(ALL))).collect()
    }

    /// So many hexadecimal digits.
    pub(crate) fn hex(&mut self, digits: usize) -> String {
        (0..digits)
            .filter_map(|_| char::from_digit(self.below(16) as u32, 16))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_gives_the_same_numbers() {
        let mut random = Random::new(7, "test");
        let numbers: Vec<usize> = (0..5).map(|_| random.below(1_000)).collect();
        let mut again = Random::new(7, "test");
        assert_eq!(
            numbers,
            (0..5).map(|_| again.below(1_000)).collect::<Vec<_>>()
        );
        let mut other = Random::new(7, "another");
        assert_ne!(
            numbers,
            (0..5).map(|_| other.below(1_000)).collect::<Vec<_>>()
        );
    }
}
