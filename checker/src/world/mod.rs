//! A world of banks and coordinators: the production cores, wires, disks, crashes, clocks.
//!
//! | file | what is in it |
//! |---|---|
//! | `scenario.rs` | who is there, what is paid, what may go wrong |
//! | `step.rs` | one node, and what an event does to it |
//! | `packet.rs` | what is on the wires |
//! | `oracle.rs` | the rules of voting once more, to judge each step by |
//! | `facts.rs` | the books held against the votes on record; what a node's state means |
//! | `properties.rs` | what must hold always, and what must happen sometimes |
//! | `key.rs`, `pool.rs`, `arena.rs` | every node state kept once, every step taken once |
//! | `model.rs` | the world as stateright's model |
//! | `settle.rs` | from every state a fault-free run settles every payment |
//! | `describe.rs` | states and steps in words |
//! | `ending/` | what a story ends in: what should have been, what is, and what it costs whom |

mod arena;
mod describe;
mod ending;
mod facts;
mod key;
mod model;
mod oracle;
mod packet;
mod pool;
mod properties;
pub(crate) mod quiet;
mod scenario;
mod settle;
mod step;

pub use arena::{Arena, Input};
pub use ending::Ending;
pub use facts::Facts;
pub(crate) use facts::PAYMENT;
pub(crate) use model::by_bit;
pub use model::{Action, HundiModel, World};
pub use packet::Packet;
pub use properties::{Prop, Witness};
pub use scenario::{Bank, Chore, Coordinator, Crashes, Disk, LATER, NEVER, Planned, START, Scenario};
pub(crate) use step::{BANK_POLICY, courier_policy};
pub use step::{BankUp, Body, Bug, CourierUp, Event, ModelCourier, ModelParticipant, Nodes, Stepped, To};
