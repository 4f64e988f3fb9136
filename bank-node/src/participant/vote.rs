//! Voting: once for each payment, with the ledger entry that backs it (R1, R2, R5, R6, R11).

use std::sync::Arc;

use hundi_ledger::{Amount, Code, CreateTransferStatus, Transfer, TransferFlags};
use hundi_protocol::{
    Authorised, Decision, Digest, Direction, Leg, Minor, Order, Outcome, Peer, Reason, UnixMillis, Verified,
    Vote,
};

use super::{Effect, Fault, Participant, legs_at, reason_of};
use crate::books::{
    Books, Customer, OwnAccount, Payment, Step, ledger_code, transfer_id, transfer_user_data,
};
use crate::flaw::{Flaw, Flaws};

/// The most that one leg may move, in minor units: what a 63-bit integer holds. Far above any payment, and so far
/// below what an account can count that no number of orders can fill the clearing account up (R11).
const LEG_MAX: Minor = Minor(i64::MAX as u128);

/// The `code` of every transfer of a payment.
pub(super) const PAYMENT: Code = Code(1);

/// Why a bank votes NO, and whether the payment keeps its order id (R1).
struct Refusal {
    reason: Reason,
    claims_order_id: bool,
}

impl Refusal {
    /// A refusal of an order that its payer has not been shown to have signed: it cannot use up an order id.
    fn unproven(reason: Reason) -> Self {
        Refusal { reason, claims_order_id: false }
    }
}

impl<B: Books, F: Flaws> Participant<B, F> {
    /// A courier asks for this bank's vote on `order`, and brings the votes that it has.
    ///
    /// `authority` is the proof that the payer's registered key signed the order, if it did; only the payer's
    /// bank needs it.
    ///
    /// # Errors
    /// A [`Fault`] of this node itself; it must stop.
    pub fn handle_prepare(
        &mut self,
        now: UnixMillis,
        from: &Peer,
        order: &Arc<Order>,
        authority: Option<&Authorised>,
        votes: &[Verified<Vote>],
    ) -> Result<(), Fault<B::Error>> {
        if !self.is_named_by(order) {
            return Ok(());
        }
        let known = self.books.payment(order)?;
        self.check_own_vote(order, known.as_ref(), votes)?;
        if let Some(payment) = known
            && !self.flaws.has(Flaw::VoteAfresh)
        {
            self.repeat_vote(from, &payment); // R2
            return self.learn(now, &payment, votes);
        }
        self.gather(order, votes);
        let decision = self.vote(now, order, authority)?;
        self.send_vote(from, order, decision);
        Ok(())
    }

    /// Somebody needs this bank's word on `order` now: it answers what it voted, or refuses for good (R5).
    ///
    /// # Errors
    /// A [`Fault`] of this node itself; it must stop.
    pub fn handle_resolve(
        &mut self,
        now: UnixMillis,
        from: &Peer,
        order: &Arc<Order>,
        authority: Option<&Authorised>,
    ) -> Result<(), Fault<B::Error>> {
        let stranger = from.as_bank().is_some_and(|bank| !order.banks().contains(&bank));
        if stranger || !self.is_named_by(order) || self.flaws.has(Flaw::IgnoreResolve) {
            return Ok(());
        }
        if let Some(payment) = self.books.payment(order)? {
            self.repeat_vote(from, &payment);
            return Ok(());
        }
        if self.flaws.has(Flaw::ForgetResolvedNo) {
            self.send_vote(from, order, Decision::No(Reason::Resolved));
            return Ok(());
        }
        let claims_order_id =
            self.is_payers_bank(order) && self.authorised(order, authority)? && self.free_order_id(order)?;
        let refusal = Refusal { reason: Reason::Resolved, claims_order_id };
        let decision = self.refuse(now, order, refusal);
        self.send_vote(from, order, decision);
        Ok(())
    }

    /// Decides and records the vote.
    fn vote(
        &mut self,
        now: UnixMillis,
        order: &Arc<Order>,
        authority: Option<&Authorised>,
    ) -> Result<Decision, Fault<B::Error>> {
        let complete = self.others_outcome(order) == Some(Outcome::Commit);
        let claims_order_id = match self.refusal(now, order, authority)? {
            Some(refusal) => return Ok(self.refuse(now, order, refusal)),
            None => self.is_payers_bank(order),
        };
        let transfers = match self.entries(now, order, complete)? {
            Ok(transfers) => transfers,
            Err(reason) => return Ok(self.refuse(now, order, Refusal { reason, claims_order_id })),
        };
        if !self.flaws.has(Flaw::YesWithoutEntry) {
            let results = self.book(now, &transfers)?;
            let failed = results.iter().map(|result| result.status).find(|status| {
                !matches!(
                    status,
                    CreateTransferStatus::Created
                        | CreateTransferStatus::Exists
                        | CreateTransferStatus::LinkedEventFailed
                )
            });
            if let Some(status) = failed {
                let reason = reason_of(status);
                return Ok(self.refuse(now, order, Refusal { reason, claims_order_id }));
            }
        }
        self.accept(now, order, complete, claims_order_id)?;
        Ok(Decision::Yes)
    }

    /// Everything short of the ledger that speaks against `order`.
    fn refusal(
        &mut self,
        now: UnixMillis,
        order: &Order,
        authority: Option<&Authorised>,
    ) -> Result<Option<Refusal>, Fault<B::Error>> {
        if order.expires_at() <= self.books.floor() {
            return Ok(Some(Refusal::unproven(Reason::BelowFloor))); // R7
        }
        let mut claims_order_id = false;
        if self.is_payers_bank(order) {
            let Some(payer) = self.books.customer(&order.payer().name)? else {
                return Ok(Some(Refusal::unproven(Reason::UnknownAccount)));
            };
            if !is_signed_by(&payer, order, authority) {
                return Ok(Some(Refusal::unproven(Reason::BadSignature)));
            }
            if !self.free_order_id(order)? && !self.flaws.has(Flaw::ForgetOrderIds) {
                return Ok(Some(Refusal::unproven(Reason::DuplicateOrderId))); // R1
            }
            claims_order_id = true;
        }
        let reason = if now >= order.expires_at() {
            Some(Reason::Expired) // R6
        } else if self.others_outcome(order) == Some(Outcome::Abort) {
            Some(Reason::OtherBankRefused)
        } else {
            None
        };
        Ok(reason.map(|reason| Refusal { reason, claims_order_id }))
    }

    /// The transfers that back a YES: pending, or posted at once where every other bank's YES is here.
    fn entries(
        &mut self,
        now: UnixMillis,
        order: &Order,
        complete: bool,
    ) -> Result<Result<Vec<Transfer>, Reason>, Fault<B::Error>> {
        let mut transfers = Vec::with_capacity(1);
        for (index, leg) in legs_at(order, &self.bank.clone()) {
            if leg.amount > LEG_MAX {
                return Ok(Err(Reason::LimitExceeded)); // R11
            }
            let Some(customer) = self.books.customer(&leg.account.name)? else {
                return Ok(Err(Reason::UnknownAccount));
            };
            if customer.currency != leg.currency {
                return Ok(Err(Reason::WrongCurrency));
            }
            if customer.closed {
                return Ok(Err(Reason::AccountClosed));
            }
            let mut transfer = self.leg_transfer(order, index, leg, &customer, Step::Book);
            if !complete {
                transfer.flags = TransferFlags::PENDING; // No timeout, ever (R6).
                if self.flaws.has(Flaw::TimeoutOnHold) {
                    let left_ms = order.expires_at().0.saturating_sub(now.0);
                    transfer.timeout = u32::try_from(left_ms.div_ceil(1000)).unwrap_or(u32::MAX).max(1);
                }
            }
            self.clamp_if_flawed(&mut transfer)?;
            transfers.push(transfer);
        }
        let (_, chained) = transfers.split_last_mut().expect("the order names this bank");
        for transfer in chained {
            transfer.flags |= TransferFlags::LINKED;
        }
        Ok(Ok(transfers))
    }

    /// One leg as a transfer between the customer's account and clearing (R10).
    pub(super) fn leg_transfer(
        &self,
        order: &Order,
        index: usize,
        leg: &Leg,
        customer: &Customer,
        step: Step,
    ) -> Transfer {
        let mirror = match leg.direction {
            Direction::Credit if self.flaws.has(Flaw::MirrorOnCash) => OwnAccount::Cash,
            _ => OwnAccount::Clearing,
        };
        let clearing = mirror.id(leg.currency);
        let (debit_account_id, credit_account_id) = match leg.direction {
            Direction::Debit => (customer.account, clearing),
            Direction::Credit => (clearing, customer.account),
        };
        let (user_data_128, user_data_64) = transfer_user_data(order);
        Transfer {
            id: transfer_id(order, index, step),
            debit_account_id,
            credit_account_id,
            amount: Amount(leg.amount.0),
            user_data_128,
            user_data_64,
            ledger: ledger_code(leg.currency),
            code: PAYMENT,
            ..Transfer::default()
        }
    }

    fn clamp_if_flawed(&mut self, transfer: &mut Transfer) -> Result<(), Fault<B::Error>> {
        if self.flaws.has(Flaw::ClampAmount)
            && let Some(account) = self.ledger_account(transfer.debit_account_id)?
            && account.flags.contains(hundi_ledger::AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS)
        {
            let spoken_for = account.debits_posted.0 + account.debits_pending.0;
            transfer.amount = transfer.amount.min(Amount(account.credits_posted.0 - spoken_for));
        }
        Ok(())
    }

    /// Records a YES; its ledger entry is already in the same transaction (R2).
    fn accept(
        &mut self,
        now: UnixMillis,
        order: &Arc<Order>,
        complete: bool,
        claims_order_id: bool,
    ) -> Result<(), Fault<B::Error>> {
        let evidence = match complete {
            true => self.gathered.remove(&order.digest()).unwrap_or_default().into_iter().collect(),
            false => Vec::new(),
        };
        let payment = Payment {
            order: Arc::clone(order),
            decision: Decision::Yes,
            claims_order_id,
            settled: complete.then_some(Outcome::Commit),
            evidence,
        };
        let unproven = self.flaws.has(Flaw::PostWithoutProof).then(|| payment.clone());
        self.books.insert_payment(payment);
        self.outbox.record();
        if !complete {
            self.doubts.insert(order.digest(), now, self.policy);
            if let Some(payment) = unproven {
                self.settle(now, &payment, Outcome::Commit)?;
            }
        }
        Ok(())
    }

    /// Records a NO, unless the floor stands for it (R7).
    fn refuse(&mut self, _now: UnixMillis, order: &Arc<Order>, refusal: Refusal) -> Decision {
        let decision = Decision::No(refusal.reason);
        let evidence: Vec<_> =
            self.gathered.remove(&order.digest()).unwrap_or_default().into_iter().collect();
        if order.expires_at() > self.books.floor() {
            self.books.insert_payment(Payment {
                order: Arc::clone(order),
                decision,
                claims_order_id: refusal.claims_order_id,
                settled: Some(Outcome::Abort),
                evidence,
            });
        }
        // Without a record of its own the refusal rests on the floor, which may itself still be on its way to disk:
        // the outbox holds it back for everything recorded so far.
        if order.expires_at() > self.books.floor() {
            self.outbox.record();
        }
        decision
    }

    fn is_payers_bank(&self, order: &Order) -> bool {
        order.payer().bank == self.bank
    }

    /// Whether the payer's registered key signed the order.
    fn authorised(&mut self, order: &Order, authority: Option<&Authorised>) -> Result<bool, Fault<B::Error>> {
        let payer = self.books.customer(&order.payer().name)?;
        Ok(payer.is_some_and(|payer| is_signed_by(&payer, order, authority)))
    }

    /// Whether the payer has not used the order's id for another payment (R1).
    fn free_order_id(&mut self, order: &Order) -> Result<bool, Fault<B::Error>> {
        let claimant: Option<Digest> = self.books.claimant(&order.payer().name, order.id())?;
        Ok(claimant.is_none_or(|digest| digest == order.digest()))
    }

    fn own_vote(&self, order: &Order, decision: Decision) -> Vote {
        Vote { payment: order.digest(), bank: self.bank.clone(), decision }
    }

    fn send_vote(&mut self, to: &Peer, order: &Order, decision: Decision) {
        let vote = self.own_vote(order, decision);
        self.outbox.push(Effect::Vote { to: to.clone(), vote });
    }

    /// Says the same again; of a payment that is settled after a YES, with the proof (R5: if another bank is gone for
    /// good, whoever asks is not left in doubt of what is known here).
    fn repeat_vote(&mut self, to: &Peer, payment: &Payment) {
        if payment.decision == Decision::Yes && payment.settled.is_some() {
            let vote = self.own_vote(&payment.order, payment.decision);
            let (order, votes) = (Arc::clone(&payment.order), payment.evidence.clone());
            self.outbox.push(Effect::Proof { to: to.clone(), order, votes, vote });
        } else {
            self.send_vote(to, &payment.order, payment.decision);
        }
    }
}

/// Whether the payer's registered key signed the order.
fn is_signed_by(payer: &Customer, order: &Order, authority: Option<&Authorised>) -> bool {
    match (&payer.key, authority) {
        (Some(key), Some(authority)) => authority.key() == *key && authority.digest() == order.digest(),
        _ => false,
    }
}
