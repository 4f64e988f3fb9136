//! The certificates that a run's client got and checked, kept for the audit.
//!
//! Memory that the machine has not used before costs more than all else that the client does: some 3 µs for the kilobyte that a
//! certificate takes. So they are written one behind the other into memory that was used before the clock started.

use std::sync::Arc;

use hundi_protocol::{Certificate, Order, Outcome, Signed, UncheckedCertificate, Vote};

use crate::driver::Keep;

/// What the votes on a payment between two banks take in a busy run.
const SIZE: u64 = 768;
/// Memory is taken in pieces of so many bytes: more than the votes of any order.
const PIECE: usize = 1 << 20;

/// The votes of certificates, each beside the place of its order.
#[derive(Debug)]
pub(super) struct Shelf {
    /// All full but for the last, and what of that is used.
    filled: Vec<Vec<u8>>,
    used: usize,
    /// For later.
    empty: Vec<Vec<u8>>,
    kept: usize,
}

impl Shelf {
    /// Room for so many certificates. More take new memory while the clock runs.
    pub(super) fn with_room_for(certificates: u64) -> Self {
        let pieces = certificates * SIZE / PIECE as u64;
        Self { filled: Vec::new(), used: 0, empty: (0..pieces).map(|_| used_memory()).collect(), kept: 0 }
    }

    /// All of them, in the order in which they came; `orders` are those of the run.
    ///
    /// # Panics
    /// When not everything comes back that was kept: then it is no record of what the client was told.
    pub(super) fn certificates(&self, orders: &[Arc<Order>]) -> Vec<UncheckedCertificate> {
        let mut certificates = Vec::with_capacity(self.kept);
        for piece in &self.filled {
            let mut rest = piece.as_slice();
            while let Ok((Some((place, votes)), after)) =
                postcard::take_from_bytes::<Option<(usize, Vec<Signed<Vote>>)>>(rest)
            {
                certificates.push(UncheckedCertificate { order: Arc::clone(&orders[place]), votes });
                rest = after;
            }
        }
        assert_eq!(certificates.len(), self.kept, "every certificate is read again");
        certificates
    }
}

/// Zeros would come untouched from the machine.
fn used_memory() -> Vec<u8> {
    vec![0xff; PIECE]
}

impl Keep for &mut Shelf {
    type Kept = Outcome;

    fn keep(&mut self, place: usize, certificate: Certificate) -> Outcome {
        let votes: Vec<&Signed<Vote>> = certificate.votes().iter().map(|vote| vote.signed()).collect();
        let item = Some((place, votes));
        // The last byte of a piece says that nothing follows: `None` of the next item.
        let room = self.filled.last_mut().map(|piece| &mut piece[self.used..PIECE - 1]);
        let written = room.and_then(|room| Some(postcard::to_slice(&item, room).ok()?.len()));
        self.used = match written {
            Some(written) => self.used + written,
            None => {
                let mut piece = self.empty.pop().unwrap_or_else(used_memory);
                let written = postcard::to_slice(&item, &mut piece[..PIECE - 1])
                    .expect("the votes of an order fit into an empty piece");
                let written = written.len();
                self.filled.push(piece);
                written
            }
        };
        if let Some(piece) = self.filled.last_mut() {
            piece[self.used] = 0;
        }
        self.kept += 1;
        certificate.outcome()
    }
}
