//! The fuzz targets on their seeds, and on mutations of them that are the same in every run: the targets
//! cannot rot, and what was once found stays mended. Real fuzzing is in CONTRIBUTING.md.

#![allow(clippy::unwrap_used, reason = "tests may")]
#![allow(
    unreachable_pub,
    reason = "the programs of the fuzzer use the same files"
)]

#[path = "../../tests/support/cost.rs"]
mod cost;
#[path = "../../fuzz/src/seeds.rs"]
mod seeds;
#[path = "../../fuzz/src/targets.rs"]
mod targets;

use std::path::Path;
use std::time::Duration;

/// Mutations of all seeds of a target together.
const MUTATIONS: usize = 400;
/// What one input may cost, in a debug build on a slow machine.
const SLOW: Duration = Duration::from_secs(20);

#[test]
fn targets_hold_on_seeds_and_mutations() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut missing = Vec::new();
    for target in targets::TARGETS {
        let seeds = seeds::of(target, &project, &mut missing);
        assert!(!seeds.is_empty(), "{} has no seeds", target.name);
        let mut random = Random(0x5EED_C17E);
        for seed in &seeds {
            run(target.name, seed);
        }
        for number in 0..MUTATIONS {
            run(target.name, &mutated(&seeds, number, &mut random));
        }
        println!(
            "{}: {} seeds, {MUTATIONS} mutations",
            target.name,
            seeds.len()
        );
    }
    if !missing.is_empty() {
        println!("skipped, as they are not here: {}", missing.join(", "));
    }
}

fn run(name: &str, bytes: &[u8]) {
    let ((), taken) = cost::of(|| targets::run(name, bytes));
    assert!(
        taken < SLOW,
        "{name} is slow on {:?}",
        String::from_utf8_lossy(bytes)
    );
}

/// Numbers that only look random (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ mixed >> 31) % bound.max(1) as u64).unwrap()
    }
}

/// A seed with a few bytes changed, cut, doubled, or taken from another seed.
fn mutated(seeds: &[Vec<u8>], number: usize, random: &mut Random) -> Vec<u8> {
    let mut bytes = seeds[number % seeds.len()].clone();
    // Long seeds would take all the time.
    bytes.truncate(8_192);
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() + 1);
        match random.below(6) {
            0 => bytes.truncate(at),
            1 => bytes.insert(
                at,
                [0, 0xFF, b'"', b'\\', b'\n', b'*', b'%', b'{'][random.below(8)],
            ),
            2 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            3 if at < bytes.len() => drop(bytes.remove(at)),
            4 => {
                let piece = bytes[at..bytes.len().min(at + 64)].to_vec();
                bytes.splice(at..at, piece);
            }
            _ => {
                let other = &seeds[random.below(seeds.len())];
                let from = random.below(other.len() + 1);
                let piece = other[from..other.len().min(from + 64)].to_vec();
                bytes.splice(at..at, piece);
            }
        }
    }
    bytes
}
