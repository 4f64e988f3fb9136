//! The model checker: every crash, loss and reordering over the state machines that run in production.

pub mod audit;
pub mod configs;
pub mod explorer;
pub mod mutants;
mod run;
mod story;
pub mod world;

pub use run::{Limits, Progress, PropertyReport, Report, explore, hunt};
pub use story::{Story, Told, Walk};
