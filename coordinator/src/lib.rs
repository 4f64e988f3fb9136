//! The courier of orders and votes, and the process around it.
//!
//! [`Courier`] is the pure core, the same code in production and in the model checker.

#[deny(clippy::disallowed_methods, clippy::disallowed_types, clippy::iter_over_hash_type)] // Pure.
mod courier;
mod flaw;
pub mod process;

pub use courier::{Caller, CommitOrder, Courier, Declined, Effect, Foreseen, Policy, Progress};
pub use flaw::{Flaw, Flaws, Sound};
