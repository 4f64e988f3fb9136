//! From messages to inputs of the participant: nothing unverified gets past here.

use std::collections::HashSet;
use std::sync::Arc;

use hundi_protocol::Inbound;
use hundi_protocol::{
    Authorised, Message, Order, Peer, PublicKey, Signed, UnixMillis, VOTES_MAX, Verified, Vote,
    authorise_batch,
};

use super::core::{Core, CoreError};
use crate::books::Books;
use crate::participant::{Fault, Participant};
use crate::sqlite_books::SqliteBooks;

/// So many signatures are worth checking together: with more the gain is small.
const CHECKED_TOGETHER_MAX: usize = 256;
/// So far behind a turn it looks for more of them: what stands there need not be anything with a signature to check.
const LOOK_AHEAD_MAX: usize = 1024;

impl Core {
    /// Handles frames of several peers, checking all customers' signatures in them together.
    pub(super) fn handle_inbound(&mut self, now: UnixMillis, frames: Vec<Inbound>) -> Result<(), CoreError> {
        let mut authorities = self.authorise(&frames)?.into_iter();
        debug_assert!(!self.backlog.is_empty() || self.checked.is_empty(), "results wait with their orders");
        for frame in frames {
            let Inbound { peer, connection, messages } = frame;
            for message in messages {
                self.urgent |= !matches!(message, Message::Outcome { .. } | Message::Proof { .. });
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
                    Message::Proof { votes } => {
                        let verified: Result<Vec<_>, _> =
                            votes.into_iter().map(|vote| self.verifier.verify(vote)).collect();
                        match verified {
                            Ok(votes) => self.participant.handle_proof(now, &peer, &votes)?,
                            Err(error) => self.complain(&peer, &error),
                        }
                    }
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
    ///
    /// If any is to be checked, those of what waits for a later turn are checked with it: many together cost less each.
    fn authorise(&mut self, frames: &[Inbound]) -> Result<Vec<Option<Authorised>>, CoreError> {
        let mut authorities = Vec::new();
        let mut places = Vec::new();
        let mut signed: Vec<(&Order, PublicKey)> = Vec::new();
        let mut seen = HashSet::new();
        let at_hand = frames.iter().flat_map(|frame| &frame.messages).filter_map(order_to_authorise);
        for order in at_hand {
            let checked = self.checked.remove(&order.digest());
            if checked.is_none()
                && let Some(key) = key_of(&mut self.participant, order)?
            {
                places.push(authorities.len());
                signed.push((order, key));
            }
            authorities.push(checked.flatten());
        }
        if !signed.is_empty() {
            let waiting = self.backlog.messages().take(LOOK_AHEAD_MAX).filter_map(order_to_authorise);
            for order in waiting {
                if signed.len() >= CHECKED_TOGETHER_MAX {
                    break;
                }
                if !self.checked.contains_key(&order.digest())
                    && seen.insert(order.digest())
                    && let Some(key) = key_of(&mut self.participant, order)?
                {
                    signed.push((order, key));
                }
            }
        }
        let mut results = authorise_batch(&signed).into_iter().map(Result::ok);
        for (place, authority) in places.into_iter().zip(results.by_ref()) {
            authorities[place] = authority;
        }
        let ahead = &signed[signed.len() - results.len()..];
        self.checked.extend(ahead.iter().map(|(order, _)| order.digest()).zip(results));
        Ok(authorities)
    }
}

/// The order of a message that is answered by whether its customer signed it.
fn order_to_authorise(message: &Message) -> Option<&Order> {
    match message {
        Message::Prepare { order, .. } | Message::Resolve { order } | Message::StatusOf { order } => {
            Some(order)
        }
        _ => None,
    }
}

/// The key that authorises an order, if this is the payer's bank and the account has one.
fn key_of(participant: &mut Participant<SqliteBooks>, order: &Order) -> Result<Option<PublicKey>, CoreError> {
    if order.payer_bank() != participant.bank() {
        return Ok(None);
    }
    let customer = participant.books_mut().customer(&order.payer().name).map_err(Fault::Store)?;
    Ok(customer.and_then(|customer| customer.key))
}
