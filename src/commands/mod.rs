//! One file per subcommand.

pub mod audit;
pub mod ca;
pub mod completion;
pub mod dead_letters;
pub mod engine;
pub mod openapi;
pub mod parse;
pub mod rules;
pub mod serve;
pub mod status;
pub mod store;
pub mod tap;
pub mod top;
pub mod up;
pub mod user;
