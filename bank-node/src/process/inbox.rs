//! From messages to inputs of the participant: nothing unverified gets past here.

use std::sync::Arc;

use hundi_protocol::Inbound;
use hundi_protocol::{
    Authorised, Message, Order, Peer, PublicKey, Signed, UnixMillis, VOTES_MAX, Verified, Vote,
    authorise_batch,
};

use super::core::{Core, CoreError};
use crate::books::Books;
use crate::participant::Fault;

impl Core {
    /// Handles frames of several peers, checking all customers' signatures in them together.
    pub(super) fn handle_inbound(&mut self, now: UnixMillis, frames: Vec<Inbound>) -> Result<(), CoreError> {
        let mut authorities = self.authorise(&frames)?.into_iter();
        for frame in frames {
            let Inbound { peer, connection, messages } = frame;
            for message in messages {
                self.urgent |= !matches!(message, Message::Outcome { .. });
                match message {
                    Message::Prepare { order, votes } => {
                        let authority = authorities.next().flatten();
                        self.handle_prepare(now, &peer, &order, authority, votes)?;
                    }
                    Message::Resolve { order } => {
                        let authority = authorities.next().flatten();
                        self.check_named(&peer, &order);
                        self.participant.handle_resolve(now, &peer, &order, authority.as_ref())?;
                    }
                    Message::Outcome { certificate } => match certificate.check(&mut self.verifier) {
                        Ok(proof) => {
                            self.check_named(&peer, proof.order());
                            self.participant.handle_outcome(now, &peer, proof.order(), proof.votes())?;
                        }
                        Err(error) => self.complain(&peer, &error),
                    },
                    Message::Vote { vote } => match self.verifier.verify(vote) {
                        Ok(vote) => self.handle_vote(now, vote)?,
                        Err(error) => self.complain(&peer, &error),
                    },
                    Message::Status { payment } => self.handle_status(connection, payment),
                    Message::StatusOf { order } => {
                        let authority = authorities.next().flatten();
                        self.handle_status_of(connection, &order, authority.as_ref())?;
                    }
                    Message::Admin(request) => self.handle_admin(now, connection, request)?,
                    other => self.complain(&peer, &format_args!("a bank takes no {:?}", other.kind())),
                }
            }
        }
        Ok(())
    }

    fn handle_prepare(
        &mut self,
        now: UnixMillis,
        peer: &Peer,
        order: &Arc<Order>,
        authority: Option<Authorised>,
        votes: Vec<Signed<Vote>>,
    ) -> Result<(), CoreError> {
        if votes.len() > VOTES_MAX {
            self.complain(peer, &format_args!("{} votes in one Prepare, at most {VOTES_MAX}", votes.len()));
            return Ok(());
        }
        self.check_named(peer, order);
        let mut verified: Vec<Verified<Vote>> = Vec::with_capacity(votes.len());
        for vote in votes {
            match self.verifier.verify(vote) {
                Ok(vote) => verified.push(vote),
                Err(error) => {
                    // Whoever asked may not have checked it yet, and asks again with one that holds: not to answer holds nobody's money.
                    self.complain(peer, &error);
                    return Ok(());
                }
            }
        }
        Ok(self.participant.handle_prepare(now, peer, order, authority.as_ref(), &verified)?)
    }

    fn check_named(&self, peer: &Peer, order: &Order) {
        if !self.participant.is_named_by(order) {
            self.complain(peer, &format_args!("payment {} does not name this bank", order.digest()));
        }
    }

    /// The proof of the customer's signature for each Prepare, Resolve and StatusOf, in order; `None` where this is not the
    /// payer's bank, the account has no key, or the signature is not that key's.
    fn authorise(&mut self, frames: &[Inbound]) -> Result<Vec<Option<Authorised>>, CoreError> {
        let mut authorities = Vec::new();
        let mut places = Vec::new();
        let mut signed: Vec<(&Order, PublicKey)> = Vec::new();
        for message in frames.iter().flat_map(|frame| &frame.messages) {
            let (Message::Prepare { order, .. } | Message::Resolve { order } | Message::StatusOf { order }) =
                message
            else {
                continue;
            };
            let key = match order.payer_bank() == self.participant.bank() {
                true => self.participant.books_mut().customer(&order.payer().name).map_err(Fault::Store)?,
                false => None,
            };
            if let Some(key) = key.and_then(|customer| customer.key) {
                places.push(authorities.len());
                signed.push((order, key));
            }
            authorities.push(None);
        }
        for (place, authority) in places.into_iter().zip(authorise_batch(&signed)) {
            authorities[place] = authority.ok();
        }
        Ok(authorities)
    }
}
