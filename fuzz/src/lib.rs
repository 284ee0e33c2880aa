//! Fuzz targets. What they do is in [`targets`], which `make test` runs as well (`engine/tests/fuzz_targets.rs`),
//! on the seeds and on a few thousand mutations of them.

pub mod seeds;
pub mod targets;
