//! Notifications: what happened to incidents, told to people and programs elsewhere.
//!
//! Invariants:
//! - What is to be told is written in the transaction in which it happens: after a crash nothing is missing.
//! - A message is sent at least once, never given up quietly: what cannot be delivered is tried again with
//!   growing pauses, then stands as failed with its reason until somebody looks.
//! - Log content is data: templates insert it as text, in JSON as part of a string.

mod config;
mod delivery;
mod email;
mod item;
mod outbox;
mod routes;
mod sender;
mod template;
mod webhook;

pub use config::{NotificationsConfig, SmtpConfig, SmtpEncryption};
pub(crate) use email::{NoAddress, addresses};
pub(crate) use item::Subject;
pub(crate) use outbox::{MessageView, Outbox, enqueue, enqueue_raised, enqueue_test};
pub(crate) use routes::{Route, RouteKind, RouteTrouble, RouteWish, Routes};
pub(crate) use sender::Sender;
pub(crate) use template::{Form, TemplateError, check as check_template};
pub(crate) use webhook::post as post_json;
