//! Work on many things at once, with a result that does not depend on how many threads there are.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Calls `work` for `0..count` in ranges of `at_once`, on as many threads as there are processors, and gives what
/// it returns in the order of the ranges.
pub(crate) fn in_ranges<T: Send>(
    count: usize,
    at_once: usize,
    work: impl Fn(Range<usize>) -> T + Sync,
) -> Vec<T> {
    let ranges = count.div_ceil(at_once);
    let range = |index: usize| index * at_once..count.min((index + 1) * at_once);
    // The number of processors is looked up in files: not for a handful of rules.
    let threads = match ranges {
        0 | 1 => 1,
        _ => std::thread::available_parallelism().map_or(1, usize::from),
    };
    if threads == 1 {
        return (0..ranges).map(|index| work(range(index))).collect();
    }
    let next = AtomicUsize::new(0);
    let take = || -> Vec<(usize, T)> {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= ranges {
                return done;
            }
            done.push((index, work(range(index))));
        }
    };
    let mut done = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads.min(ranges))
            .map(|_| scope.spawn(take))
            .collect();
        let mut done = take();
        for other in others {
            done.extend(
                other
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            );
        }
        done
    });
    done.sort_unstable_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::in_ranges;

    #[test]
    fn every_range_comes_once_and_in_order() {
        for count in [0, 1, 7, 8, 9, 1_000] {
            let ranges = in_ranges(count, 8, |range| range);
            let all: Vec<usize> = ranges.into_iter().flatten().collect();
            assert_eq!(all, (0..count).collect::<Vec<_>>());
        }
    }
}
