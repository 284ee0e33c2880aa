//! Writes the seeds of each target to `corpus/<target>/`, where the fuzzer looks for them.

use std::fs;
use std::path::Path;

use citywatch_fuzz::{seeds, targets::TARGETS};

fn main() -> std::io::Result<()> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for target in TARGETS {
        let folder = here.join("corpus").join(target.name);
        fs::create_dir_all(&folder)?;
        let mut missing = Vec::new();
        let found = seeds::of(target, &here.join(".."), &mut missing);
        for (number, seed) in found.iter().enumerate() {
            fs::write(folder.join(format!("seed-{number:05}")), seed)?;
        }
        println!(
            "{}: {} seeds, missing {missing:?}",
            target.name,
            found.len()
        );
    }
    Ok(())
}
