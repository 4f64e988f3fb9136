//! The model checker: every crash, loss and reordering over the state machines that run in production.

pub mod app;
pub mod audit;
pub mod configs;
pub mod explorer;
pub mod mutants;
mod replay;
mod run;
mod search;
mod story;
pub mod two_phase;
pub mod world;

pub use replay::RealWalk;
pub use run::{PropertyReport, Report, explore, hunt};
pub use search::{Limits, Progress};
pub use story::{Story, Told, Walk};
