//! The certificates that a run's client got and checked, kept for the audit.
//!
//! Memory that the machine has not used before is dear: some 2 of the client's 9 µs for a payment, for the kilobyte that a certificate
//! takes. So they are written one behind the other into memory that was used before the clock started.

use std::sync::Arc;

use hundi_protocol::{Certificate, Order, Outcome, Signed, UncheckedCertificate, Vote};

use crate::driver::Keep;

/// What the votes on a payment between two banks take in a busy run.
const SIZE: u64 = 768;
/// Memory is taken in pieces of so many bytes: more than the votes on any order.
const PIECE: usize = 1 << 20;

/// The votes of certificates, each list behind the place of its order.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    filled: Vec<Piece>,
    spare: Vec<Piece>,
}

#[derive(Debug)]
struct Piece {
    bytes: Vec<u8>,
    used: usize,
}

impl Piece {
    fn new() -> Self {
        Self { bytes: vec![0xff; PIECE], used: 0 } // Zeros would come untouched from the machine.
    }

    /// Whether there was room.
    fn write(&mut self, item: &(usize, Vec<&Signed<Vote>>)) -> bool {
        let written = postcard::to_slice(item, &mut self.bytes[self.used..]).map(|written| written.len());
        self.used += written.as_ref().copied().unwrap_or_default();
        written.is_ok()
    }
}

impl Shelf {
    /// Room for so many certificates. More take new memory while the clock runs.
    pub(super) fn with_room_for(certificates: u64) -> Self {
        let pieces = (certificates * SIZE).div_ceil(PIECE as u64);
        Self { filled: Vec::new(), spare: (0..pieces).map(|_| Piece::new()).collect() }
    }

    /// All of them, in the order in which they came; `orders` are those of the run.
    ///
    /// # Panics
    /// When what was written cannot be read: a fault of the program.
    pub(super) fn into_certificates(self, orders: &[Arc<Order>]) -> Vec<UncheckedCertificate> {
        let mut certificates = Vec::new();
        for piece in self.filled {
            let mut rest = &piece.bytes[..piece.used];
            while !rest.is_empty() {
                let item = postcard::take_from_bytes::<(usize, Vec<Signed<Vote>>)>(rest);
                let ((place, votes), after) = item.expect("what was written is read");
                certificates.push(UncheckedCertificate { order: Arc::clone(&orders[place]), votes });
                rest = after;
            }
        }
        certificates
    }
}

impl Keep for &mut Shelf {
    type Kept = Outcome;

    fn keep(&mut self, place: usize, certificate: Certificate) -> Outcome {
        let item = (place, certificate.votes().iter().map(|vote| vote.signed()).collect());
        if !self.filled.last_mut().is_some_and(|piece| piece.write(&item)) {
            let mut piece = self.spare.pop().unwrap_or_else(Piece::new);
            assert!(piece.write(&item), "the votes on an order fit into a piece");
            self.filled.push(piece);
        }
        certificate.outcome()
    }
}

#[cfg(test)]
mod tests {
    use hundi_protocol::{BankKey, BankName, Decision, Signer, UnixMillis, Verified};

    use super::*;
    use crate::bench::payments::load::Load;

    #[test]
    fn every_certificate_comes_back_also_from_more_than_there_was_room_for() {
        let load = Load { banks: 2, hot: false };
        let mut plan = load.accounts().unwrap();
        let orders = load.sign(&mut plan, 0, 100, UnixMillis(1_800_000_000_000)).unwrap();
        let of_bank = |bank: &BankName| {
            let vote = |order: &Arc<Order>| Vote {
                payment: order.digest(),
                bank: bank.clone(),
                decision: Decision::Yes,
            };
            Signer::new(bank.clone(), BankKey::from_seed(&[1; 32]))
                .sign_own(orders.iter().map(vote).collect())
        };
        let votes: Vec<Vec<Verified<Vote>>> = plan.banks.iter().map(of_bank).collect();
        let mut shelf = Shelf::with_room_for(1);
        let mut kept = Vec::new();
        for place in (0..orders.len()).cycle().take(10_000) {
            let votes = votes.iter().map(|votes| &votes[place]);
            let certificate = Certificate::new(Arc::clone(&orders[place]), votes).unwrap();
            kept.push(certificate.to_unchecked());
            assert_eq!((&mut shelf).keep(place, certificate), Outcome::Commit);
        }
        assert!(shelf.filled.len() > 5 && shelf.spare.is_empty(), "{} pieces", shelf.filled.len());
        assert_eq!(shelf.into_certificates(&orders), kept);
    }
}
