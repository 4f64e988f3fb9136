//! The audit: from the banks' files and what customers were told, is every unit of money accounted for?
//!
//! Pure and exact, in near-linear time: legs are matched across banks by digest, every vote is verified with
//! the public keys alone, and nothing that a bank says about itself is taken on trust.
//!
//! | file | what it checks |
//! |---|---|
//! | `bank.rs` | one bank: books balance, votes are backed by entries, outcomes by proofs (R2, R4, R10) |
//! | `network.rs` | all banks: one outcome, legs match, clearing sums to zero, nobody voted both ways (R3, R10, R12) |
//! | `told.rs` | customers: what was acknowledged is there, once (R1, R9) |

mod bank;
mod findings;
mod network;
#[cfg(test)]
mod tests;
mod told;

use std::collections::BTreeMap;
use std::sync::Arc;

use hundi_bank_node::BankRecord;
use hundi_protocol::{BankName, Digest, Directory, Order, UncheckedCertificate, Verifier};

pub use findings::{BankFindings, Findings, Offence};

use bank::Position;

/// Everything known about one payment, over all banks.
#[derive(Debug)]
struct PaymentView {
    order: Arc<Order>,
    positions: BTreeMap<BankName, Position>,
}

/// All payments, by digest.
type Payments = BTreeMap<Digest, PaymentView>;

/// Audits the banks' records, and the certificates that customers got.
///
/// `banks` must be all banks of the network, read while nothing ran. The findings are
/// [ok](Findings::is_ok) when nothing speaks against anybody; payments in flight are counted, and are no offence.
#[must_use]
pub fn audit(directory: &Directory, banks: &[BankRecord], told: Vec<UncheckedCertificate>) -> Findings {
    let mut verifier = Verifier::new(directory.clone());
    let mut findings = Findings::default();
    let mut payments = Payments::new();
    for record in banks {
        bank::check(record, &mut verifier, &mut payments, &mut findings);
    }
    network::check(banks, &payments, &mut verifier, &mut findings);
    told::check(told, &payments, &mut verifier, &mut findings);
    findings
}
