//! From a city system to the engine's door: sources, spool, Kafka producer and consumer.
//!
//! Invariants:
//! - A source's position moves only when what came before it is durable in the next place
//!   (spool or Kafka).
//! - Batches of one stream keep their order, and positions grow strictly within a stream.
//! - Everything that is dropped, cut or tried again is counted.

mod clock;
pub mod delivery;
pub mod frame;
mod prefix;
pub mod spool;

pub use delivery::{Delivery, Receipt};
pub use spool::{Spool, SpoolLimits, SpoolReader, SpoolWriter};
