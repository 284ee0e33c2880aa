//! The correlator against the reference: the same alerts with the same events, in any order of arrival
//! within the lateness bound.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod arrivals;
mod bounds;
#[path = "../detect/generate.rs"]
#[allow(dead_code)]
mod generate;
mod going_on;
mod lateness;
mod order;
mod sign_ins;
mod values;
mod vectors;
