//! What is watched beside the events themselves: sources that fall silent or change, and room in the
//! store. What is found is a [`Match`](crate::Match) of a rule of our own ([`notices`]) and takes the way
//! of all matches.
//!
//! Judging is pure: [`volume`] is told counts and the end of a window. The tasks here read the clock and ask
//! the store. They keep no state that must survive: the store is asked for what was, and ids are derived
//! from what is told, so that a restart, or a second engine, tells nothing twice.

mod agents;
pub mod notices;
mod sources;
mod space;
pub mod volume;

pub use agents::{AgentsConfig, AgentsWatch};
pub use sources::{CaughtUp, SourcesConfig, SourcesWatch};
pub use space::{IntakeGate, Space, SpaceConfig, SpaceWatch};
