//! Things that occur several times: one of them mostly, and without limit at worst.

use std::collections::BTreeMap;

/// Whether something begins or ceases to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counted {
    In,
    Out,
}

impl Counted {
    /// A count that is one higher or lower.
    pub(super) fn apply(self, count: u32) -> u32 {
        match self {
            Self::In => count.saturating_add(1),
            Self::Out => count.saturating_sub(1),
        }
    }
}

/// Things with how often each occurs.
#[derive(Debug)]
pub(super) enum Bag<T> {
    /// At most one thing; none if it occurs no times.
    One(Option<(T, u32)>),
    /// Two and more, as long as there are any.
    Many(BTreeMap<T, u32>),
}

impl<T> Default for Bag<T> {
    fn default() -> Self {
        Self::One(None)
    }
}

impl<T: Ord + Copy> Bag<T> {
    /// Whether there is nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::One(None))
    }

    /// The largest of them.
    pub(super) fn largest(&self) -> Option<T> {
        match self {
            Self::One(one) => one.map(|(thing, _)| thing),
            Self::Many(many) => many.last_key_value().map(|(thing, _)| *thing),
        }
    }

    /// Adds a thing or takes it out once, and returns whether it is new, or gone.
    pub(super) fn change(&mut self, thing: T, counted: Counted) -> bool {
        match (&mut *self, counted) {
            (Self::One(Some((known, count))), _) if *known == thing => {
                *count = counted.apply(*count);
                if *count > 0 {
                    return false;
                }
                *self = Self::One(None);
                true
            }
            (Self::One(one), Counted::In) => {
                *self = match one.take() {
                    None => Self::One(Some((thing, 1))),
                    Some(known) => Self::Many(BTreeMap::from([known, (thing, 1)])),
                };
                true
            }
            (Self::One(_), Counted::Out) => false,
            (Self::Many(many), Counted::In) => {
                let count = many.entry(thing).or_insert(0);
                *count = counted.apply(*count);
                *count == 1
            }
            (Self::Many(many), Counted::Out) => {
                let Some(count) = many.get_mut(&thing) else {
                    return false;
                };
                *count = counted.apply(*count);
                if *count > 0 {
                    return false;
                }
                many.remove(&thing);
                if many.is_empty() {
                    *self = Self::One(None);
                }
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bag_is_what_a_list_would_be() {
        let (mut bag, mut list) = (Bag::default(), Vec::new());
        let mut state = 5u64;
        for _ in 0..20_000 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let thing = (state >> 33) % 6;
            let known = list.iter().filter(|known| **known == thing).count();
            if state >> 40 & 1 == 1 && list.len() < 9 {
                list.push(thing);
                assert_eq!(bag.change(thing, Counted::In), known == 0);
            } else {
                let place = list.iter().position(|known| *known == thing);
                place.into_iter().for_each(|place| _ = list.remove(place));
                assert_eq!(bag.change(thing, Counted::Out), known == 1);
            }
            assert_eq!(bag.largest(), list.iter().max().copied());
            assert_eq!(bag.is_empty(), list.is_empty());
        }
    }
}
