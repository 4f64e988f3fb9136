//! Settling: a leg is posted on proof, voided on proof, once (R3, R4, R9, R12, R13).

use std::sync::Arc;

use hundi_ledger::{Amount, CreateTransferStatus, Transfer, TransferFlags};
use hundi_protocol::{
    Decision, Direction, DoubleVote, Leg, Order, Outcome, Peer, Reason, Role, UnixMillis, Verified, Vote,
    outcome_if_yes,
};

use super::{Effect, Fault, Participant, legs_at};
use crate::books::{Books, OwnAccount, Payment, Step, ledger_code, transfer_id, transfer_user_data};
use crate::flaw::{Flaw, Flaws};

impl<B: Books, F: Flaws> Participant<B, F> {
    /// A courier, or a bank that was asked, brings the outcome: the order and the votes that prove it.
    ///
    /// # Errors
    /// A [`Fault`] of this node itself; it must stop.
    pub fn handle_outcome(
        &mut self,
        now: UnixMillis,
        from: &Peer,
        order: &Arc<Order>,
        votes: &[Verified<Vote>],
    ) -> Result<(), Fault<B::Error>> {
        if !self.is_named_by(order) {
            return Ok(());
        }
        let known = self.books.payment(order)?;
        self.check_own_vote(order, known.as_ref(), votes)?;
        match known {
            Some(payment) => {
                if self.flaws.has(Flaw::PostAgain) && payment.settled == Some(Outcome::Commit) {
                    self.settle_late(now, &payment)?;
                }
                self.learn(now, &payment, votes)?;
            }
            None => {
                self.gather(order, votes);
                if self.others_outcome(order) != Some(Outcome::Abort) {
                    self.gathered.remove(&order.digest());
                    return Ok(()); // Proves nothing without this bank's vote.
                }
                self.refuse_after_abort(order);
            }
        }
        // A payment in doubt is always at hand.
        let settled = self.books.recent_payment(&order.digest()).is_none_or(|payment| !payment.is_open());
        if settled && from.role == Role::Coordinator {
            self.outbox.push(Effect::Ack { to: from.clone(), payment: order.digest() });
        }
        Ok(())
    }

    /// A courier brings the votes of the other banks on a payment on which this bank voted YES: the certificate without what stands
    /// here already, the order and that vote.
    ///
    /// Everything else is let pass, for the courier brings the certificate itself next. Above all where a NO stands here: only the
    /// certificate shows that the file has lost a YES of this bank.
    ///
    /// # Errors
    /// A [`Fault`] of this node itself; it must stop.
    pub fn handle_proof(
        &mut self,
        now: UnixMillis,
        from: &Peer,
        votes: &[Verified<Vote>],
    ) -> Result<(), Fault<B::Error>> {
        let payment = votes.first().map(|vote| vote.statement().payment);
        let known = payment.and_then(|payment| self.books.recent_payment(&payment));
        let Some(payment) = known.filter(|payment| payment.decision == Decision::Yes) else { return Ok(()) };
        let order = Arc::clone(&payment.order);
        match outcome_if_yes(&order, Some(&self.bank), votes) {
            Some(_) => self.handle_outcome(now, from, &order, votes),
            None => Ok(()),
        }
    }

    /// Another bank's vote, asked for by [`Effect::Resolve`].
    ///
    /// # Errors
    /// A [`Fault`] of this node itself; it must stop.
    pub fn handle_vote(&mut self, now: UnixMillis, vote: &Verified<Vote>) -> Result<(), Fault<B::Error>> {
        let Some(payment) = self.books.recent_payment(&vote.statement().payment).cloned() else {
            return Ok(()); // Settled and forgotten: a late repeat (R9).
        };
        self.learn(now, &payment, std::slice::from_ref(vote))
    }

    /// Another bank's vote on a payment that [`recent_payment`](Books::recent_payment) no longer has, and the shell found
    /// on disk: a late repeat (R9), or the other half of a proof against a two-faced bank (R12).
    ///
    /// # Errors
    /// A [`Fault`] of this node itself; it must stop.
    pub fn handle_late_vote(
        &mut self,
        now: UnixMillis,
        order: &Order,
        vote: &Verified<Vote>,
    ) -> Result<(), Fault<B::Error>> {
        match self.books.payment(order)? {
            Some(payment) => self.learn(now, &payment, std::slice::from_ref(vote)),
            None => Ok(()),
        }
    }

    /// Takes in votes on a payment on record here, and settles it if they prove its outcome.
    pub(super) fn learn(
        &mut self,
        now: UnixMillis,
        payment: &Payment,
        votes: &[Verified<Vote>],
    ) -> Result<(), Fault<B::Error>> {
        let order = &payment.order;
        self.gather(order, votes);
        self.compare(payment);
        match (payment.settled, self.others_outcome(order)) {
            (None, Some(outcome)) => self.settle(now, payment, outcome),
            (None, None) => Ok(()),
            (Some(Outcome::Abort), Some(Outcome::Commit)) if payment.decision == Decision::Yes => {
                self.settle_late(now, payment) // R12
            }
            (Some(_), _) => {
                self.gathered.remove(&order.digest());
                Ok(())
            }
        }
    }

    /// Adds verified votes of the other banks that `order` names: at most a YES and a NO of each.
    pub(super) fn gather(&mut self, order: &Order, votes: &[Verified<Vote>]) {
        for vote in votes {
            let says = vote.statement();
            let relevant = says.payment == order.digest()
                && says.bank != self.bank
                && order.banks().contains(&says.bank);
            if !relevant {
                continue;
            }
            let gathered = self.gathered.entry(order.digest()).or_default();
            if !gathered.iter().any(|other| same_word(other, vote)) {
                gathered.insert(vote.clone());
            }
        }
        if let Some(proof) = self.gathered.get(&order.digest()).and_then(both_ways) {
            self.keep_proof(proof);
        }
    }

    /// Holds new votes against those that settled the payment (R12).
    fn compare(&mut self, payment: &Payment) {
        if payment.evidence.is_empty() {
            return; // What was gathered has been held against itself.
        }
        let Some(gathered) = self.gathered.get(&payment.order.digest()) else { return };
        let all: Vec<_> = gathered.iter().chain(&payment.evidence).cloned().collect();
        if let Some(proof) = both_ways(&all) {
            self.keep_proof(proof);
        }
    }

    fn keep_proof(&mut self, proof: DoubleVote) {
        if self.flaws.has(Flaw::IgnoreTwoFaces) {
            return;
        }
        self.books.insert_double_vote(proof.clone());
        self.outbox.record();
        self.outbox.push(Effect::Report(proof));
    }

    /// What the votes here prove, this bank's own vote being YES (R3).
    pub(super) fn others_outcome(&self, order: &Order) -> Option<Outcome> {
        let votes = self.gathered.get(&order.digest()).into_iter().flatten();
        let says = |yes: bool| votes.clone().any(|vote| vote.statement().decision.is_yes() == yes);
        if self.flaws.has(Flaw::NoOutranksYes) && says(false) {
            return Some(Outcome::Abort);
        }
        if self.flaws.has(Flaw::CommitOnFirstYes) && says(true) {
            return Some(Outcome::Commit);
        }
        outcome_if_yes(order, Some(&self.bank), votes)
    }

    /// Posts or voids this bank's legs and records the proof, in one transaction.
    pub(super) fn settle(
        &mut self,
        now: UnixMillis,
        payment: &Payment,
        outcome: Outcome,
    ) -> Result<(), Fault<B::Error>> {
        let order = &payment.order;
        let transfers = self.settling_transfers(order, outcome)?;
        for result in self.book(now, &transfers)? {
            if !matches!(result.status, CreateTransferStatus::Created | CreateTransferStatus::Exists) {
                return Err(Fault::SettleRefused { payment: order.digest(), status: result.status }); // R13
            }
        }
        self.finish(order, outcome);
        Ok(())
    }

    /// Records the outcome with the votes gathered for it.
    fn finish(&mut self, order: &Order, outcome: Outcome) {
        let digest = order.digest();
        let evidence = self.gathered.remove(&digest).unwrap_or_default().into_iter().collect();
        self.doubts.remove(&digest);
        self.books.settle_payment(order, outcome, evidence);
        self.outbox.record();
    }

    fn settling_transfers(
        &mut self,
        order: &Order,
        outcome: Outcome,
    ) -> Result<Vec<Transfer>, Fault<B::Error>> {
        let mut transfers = Vec::with_capacity(1);
        for (index, leg) in legs_at(order, &self.bank.clone()) {
            if self.flaws.has(Flaw::RefusePost) && outcome == Outcome::Commit && self.is_short(leg)? {
                continue;
            }
            let (flags, amount) = match outcome {
                Outcome::Commit => (TransferFlags::POST_PENDING_TRANSFER, Amount::MAX),
                Outcome::Abort => (TransferFlags::VOID_PENDING_TRANSFER, Amount(0)),
            };
            transfers.push(Transfer {
                id: transfer_id(order, index, Step::Settle),
                pending_id: transfer_id(order, index, Step::Book),
                amount,
                flags,
                ..Transfer::default()
            });
        }
        if let Some((_, chained)) = transfers.split_last_mut() {
            for transfer in chained {
                transfer.flags |= TransferFlags::LINKED;
            }
        }
        Ok(transfers)
    }

    /// What a bank that breaks R13 asks: whether there is money for the leg beside its hold.
    fn is_short(&mut self, leg: &Leg) -> Result<bool, Fault<B::Error>> {
        let Some(customer) = self.books.customer(&leg.account.name)? else { return Ok(false) };
        let account = self.ledger_account(customer.account)?.unwrap_or_default();
        let spoken_for = account.debits_posted.0.saturating_add(account.debits_pending.0);
        let left = account.credits_posted.0.saturating_sub(spoken_for);
        Ok(leg.direction == Direction::Debit && left < leg.amount.0)
    }

    /// A complete YES set after a verified NO made this bank void: some bank is two-faced (R12).
    ///
    /// The payment stands. A payee gets the money after all. A payer's hold is gone and may be spent: this
    /// bank pays its part to clearing and books it as a claim on the liar, whose two votes it has kept.
    fn settle_late(&mut self, now: UnixMillis, payment: &Payment) -> Result<(), Fault<B::Error>> {
        let order = Arc::clone(&payment.order);
        for (index, leg) in legs_at(&order, &self.bank.clone()) {
            let clearing = OwnAccount::Clearing.id(leg.currency);
            let (debit_account_id, credit_account_id) = match leg.direction {
                Direction::Debit => (OwnAccount::Claims.id(leg.currency), clearing),
                Direction::Credit => match self.books.customer(&leg.account.name)? {
                    Some(customer) if !customer.closed => (clearing, customer.account),
                    _ => (clearing, OwnAccount::Suspense.id(leg.currency)),
                },
            };
            let (user_data_128, user_data_64) = transfer_user_data(&order);
            let transfer = Transfer {
                id: transfer_id(&order, index, Step::Late),
                debit_account_id,
                credit_account_id,
                amount: Amount(leg.amount.0),
                user_data_128,
                user_data_64,
                ledger: ledger_code(leg.currency),
                code: super::vote::PAYMENT,
                ..Transfer::default()
            };
            let status = self.book(now, &[transfer])?[0].status;
            if !matches!(status, CreateTransferStatus::Created | CreateTransferStatus::Exists) {
                return Err(Fault::SettleRefused { payment: order.digest(), status });
            }
        }
        self.finish(&order, Outcome::Commit);
        Ok(())
    }

    /// Another bank refused a payment that this one was never asked about: it refuses too, so that it can
    /// never vote YES on it.
    fn refuse_after_abort(&mut self, order: &Arc<Order>) {
        let evidence = self.gathered.remove(&order.digest()).unwrap_or_default().into_iter().collect();
        if order.expires_at() <= self.books.floor() {
            return; // The floor already stands for the refusal (R7).
        }
        self.books.insert_payment(Payment {
            order: Arc::clone(order),
            decision: Decision::No(Reason::OtherBankRefused),
            claims_order_id: false,
            settled: Some(Outcome::Abort),
            evidence,
        });
        self.outbox.record();
    }

    /// A vote that this bank signed must be the one that it has on record.
    pub(super) fn check_own_vote(
        &self,
        order: &Order,
        known: Option<&Payment>,
        votes: &[Verified<Vote>],
    ) -> Result<(), Fault<B::Error>> {
        let recorded_yes = known.is_some_and(|payment| payment.decision == Decision::Yes);
        let contradicted = votes.iter().map(Verified::statement).any(|vote| {
            vote.payment == order.digest() && vote.bank == self.bank && vote.decision.is_yes() != recorded_yes
        });
        match contradicted {
            true => Err(Fault::ForgottenVote { payment: order.digest() }),
            false => Ok(()),
        }
    }
}

/// The same bank's YES again, or its NO again (with whatever reason).
fn same_word(a: &Verified<Vote>, b: &Verified<Vote>) -> bool {
    a.statement().bank == b.statement().bank
        && a.statement().decision.is_yes() == b.statement().decision.is_yes()
}

/// The proof against the first bank that said both YES and NO.
fn both_ways<'a, V>(votes: V) -> Option<DoubleVote>
where
    V: IntoIterator<Item = &'a Verified<Vote>> + Clone,
{
    let mut firsts = votes.clone().into_iter();
    firsts.find_map(|vote| votes.clone().into_iter().find_map(|other| DoubleVote::of(vote, other)))
}
