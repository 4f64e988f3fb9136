//! The model checker: every crash, loss and reordering over the state machines that run in production.

pub mod audit;
pub mod configs;
pub mod run;
pub mod world;
