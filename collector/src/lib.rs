//! From a city system to the engine's door: sources, spool, Kafka producer and consumer.
//!
//! Invariants:
//! - A source's position moves only when what came before it is durable in the next place
//!   (spool or Kafka).
//! - Batches of one stream keep their order, and positions grow strictly within a stream.
//! - Everything that is dropped, cut or tried again is counted.

pub mod agent;
pub mod authority;
mod clock;
pub mod config;
pub mod delivery;
mod durable;
mod forward;
pub mod frame;
pub mod heartbeat;
mod hex;
pub mod https;
pub mod identity;
pub mod intake;
pub mod kafka;
mod lock;
pub mod masking;
mod prefix;
mod private_file;
pub mod sink;
pub mod sources;
pub mod spool;
pub mod status;
pub mod uplink;

pub use agent::{Agent, AgentHandle, AgentMonitor};
pub use config::{AgentConfig, ConfigError};
pub use delivery::{Delivery, Plans, Receipt};
pub use identity::{Identity, Verifier};
pub use intake::IntakeConfig;
pub use masking::{Masker, Masking, MaskingConfig};
pub use sink::Sink;
pub use sources::command::CommandConfig;
pub use sources::evtx::EvtxConfig;
pub use sources::files::FilesConfig;
pub use sources::http::HttpConfig;
pub use sources::journald::JournaldConfig;
pub use sources::stdin::StdinConfig;
pub use sources::syslog::SyslogConfig;
pub use spool::{Spool, SpoolLimits, SpoolReader, SpoolWriter};
pub use status::AgentStatus;
