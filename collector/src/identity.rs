//! Who an agent is: its certificate, the key that never leaves its machine, and what others make of them.
//!
//! Invariants:
//! - A key is made where it is used, and is never sent.
//! - The unit of a signed batch is what its certificate vouches for; a batch that says otherwise is refused.
//! - Whatever is refused is kept as a dead letter with its reason, and counted.

pub mod beside;
mod door;
pub mod enrol;
pub mod holder;
pub mod own;
mod verify;

pub use door::{Door, Refused, Unsigned};
pub use holder::{Holder, HolderError, Reach};
pub use own::{Identity, IdentityError};
pub use verify::{Refusal, Verifier, Vouched};
