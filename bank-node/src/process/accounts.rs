//! Operators' requests, and questions about payments.

use std::sync::Arc;

use hundi_ledger::{Known, Store, TransferId};
use hundi_protocol::ConnectionId;
use hundi_protocol::{
    AccountName, AccountView, AdminAction, AdminReply, AdminRequest, AdminResult, Authorised, Certificate,
    Digest, Message, Minor, Order, PaymentStatus, UnixMillis, Verified, Vote,
};

use super::core::{Core, CoreError};
use super::history::{Question, VOTE_QUESTIONS_MAX, Why};
use crate::books::{Books, Customer, Payment, Step, transfer_id};
use crate::participant::{AccountAnswer, AccountRequest, Fault};

/// How many accounts a page of a listing holds.
const PAGE_MAX: u32 = 1_000;

impl Core {
    pub(super) fn handle_admin(
        &mut self,
        now: UnixMillis,
        from: ConnectionId,
        request: AdminRequest,
    ) -> Result<(), CoreError> {
        let AdminRequest { request, action } = request;
        let change = match action {
            AdminAction::OpenAccount { account, currency, key } => {
                AccountRequest::Open { name: account, currency, key: key.map(|key| *key) }
            }
            AdminAction::Deposit { account, amount, reference } => {
                AccountRequest::Deposit { id: TransferId(reference), name: account, amount }
            }
            AdminAction::CloseAccount { account } => AccountRequest::Close { name: account },
            AdminAction::Balance { account } => {
                let result = self.balance(&account)?;
                self.show(from, Message::AdminReply(AdminReply { request, result }));
                return Ok(());
            }
            AdminAction::ListAccounts { after, limit } => {
                let result = self.list(after, limit)?;
                self.show(from, Message::AdminReply(AdminReply { request, result }));
                return Ok(());
            }
            AdminAction::InFlight => {
                let result = self.in_flight(now)?;
                self.show(from, Message::AdminReply(AdminReply { request, result }));
                return Ok(());
            }
        };
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.tickets.insert(ticket, (from, request));
        Ok(self.participant.handle_account_request(now, ticket, &change)?)
    }

    /// The participant's answer, which is on disk: it may go at once.
    pub(super) fn answer_ticket(&mut self, ticket: u64, answer: AccountAnswer) {
        let Some((to, request)) = self.tickets.remove(&ticket) else { return };
        let result = match answer {
            Ok(()) => AdminResult::Done,
            Err(refusal) => AdminResult::Refused(refusal.to_string()),
        };
        self.show(to, Message::AdminReply(AdminReply { request, result }));
    }

    fn balance(&mut self, name: &AccountName) -> Result<AdminResult, CoreError> {
        let customer = self.participant.books_mut().customer(name).map_err(Fault::Store)?;
        match customer {
            Some(customer) => Ok(AdminResult::Accounts(vec![self.view(name.clone(), &customer)?])),
            None => Ok(AdminResult::Refused(format!("there is no account {name}"))),
        }
    }

    fn list(&mut self, after: Option<AccountName>, limit: u32) -> Result<AdminResult, CoreError> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = after.map_or(Unbounded, Excluded);
        let customers = self.participant.books().customers().range((from, Unbounded));
        let page: Vec<(AccountName, Arc<Customer>)> = customers
            .take(limit.min(PAGE_MAX) as usize)
            .map(|(name, customer)| (name.clone(), Arc::clone(customer)))
            .collect();
        let views = page.into_iter().map(|(name, customer)| self.view(name, &customer));
        Ok(AdminResult::Accounts(views.collect::<Result<_, _>>()?))
    }

    fn view(&mut self, account: AccountName, customer: &Customer) -> Result<AccountView, CoreError> {
        let ledger = self.participant.books_mut().ledger();
        let slot = ledger.find_account(customer.account).map_err(|error| Fault::Store(error.into()))?;
        let balances = slot.map(|slot| *ledger.account(slot)).unwrap_or_default();
        Ok(AccountView {
            account,
            currency: customer.currency,
            debits_pending: Minor(balances.debits_pending.0),
            debits_posted: Minor(balances.debits_posted.0),
            credits_pending: Minor(balances.credits_pending.0),
            credits_posted: Minor(balances.credits_posted.0),
            closed: customer.closed,
        })
    }

    /// Payments in doubt and the age of the oldest, by the time at which this bank booked its hold.
    fn in_flight(&mut self, now: UnixMillis) -> Result<AdminResult, CoreError> {
        let bank = self.participant.bank().clone();
        let first_leg = |payment: &Payment| {
            let leg = payment.order.legs().iter().position(|leg| leg.account.bank == bank);
            transfer_id(&payment.order, leg.unwrap_or_default(), Step::Book)
        };
        let holds: Vec<TransferId> = self.participant.books().in_doubt().map(first_leg).collect();
        let payments = holds.len() as u64;
        let mut oldest_ms = 0;
        for hold in holds {
            let known = self.participant.books_mut().ledger().transfer(hold);
            if let Known::Yes(transfer, _) = known.map_err(|error| Fault::Store(error.into()))? {
                oldest_ms = oldest_ms.max(now.0.saturating_sub(transfer.timestamp.0 / 1_000_000));
            }
        }
        Ok(AdminResult::InFlight { payments, oldest_ms })
    }

    /// What this bank knows of a payment: at once if it is at hand, else after a look into the file.
    pub(super) fn handle_status(&mut self, to: ConnectionId, payment: Digest) {
        if let Some(known) = self.participant.books().recent_payment(&payment).cloned() {
            return self.answer_status(to, payment, Some(&known));
        }
        if self.questions.try_send(Question { payment, why: Why::Asked(to) }).is_err() {
            self.answer_status(to, payment, None); // Too many questions at once.
        }
    }

    /// A vote of another bank: on a payment at hand, or else on one that the file may have.
    pub(super) fn handle_vote(&mut self, now: UnixMillis, vote: Verified<Vote>) -> Result<(), CoreError> {
        let payment = vote.statement().payment;
        if self.participant.books().recent_payment(&payment).is_some() {
            return Ok(self.participant.handle_vote(now, &vote)?);
        }
        if self.questions.len() < VOTE_QUESTIONS_MAX {
            // A vote that finds no room is lost, as on the way (R9); an audit still finds the lie.
            let _ = self.questions.try_send(Question { payment, why: Why::Voted(vote) });
        }
        Ok(())
    }

    /// What became of the payment that holds the id of `order` (R1): told only to who can show the payer's signature.
    pub(super) fn handle_status_of(
        &mut self,
        to: ConnectionId,
        order: &Order,
        authority: Option<&Authorised>,
    ) -> Result<(), CoreError> {
        let books = self.participant.books_mut();
        let holder = match authority {
            Some(_) => books.holder_of_id(&order.payer().name, order.id()).map_err(Fault::Store)?,
            None => None,
        };
        self.answer_status(to, order.digest(), holder.as_ref());
        Ok(())
    }

    /// Answers the question about `asked` with what this bank can prove of a payment.
    pub(super) fn answer_status(&mut self, to: ConnectionId, asked: Digest, known: Option<&Payment>) {
        let status = match known {
            None => PaymentStatus::Unknown,
            Some(payment) => {
                let own = Vote {
                    payment: payment.order.digest(),
                    bank: self.participant.bank().clone(),
                    decision: payment.decision,
                };
                let mut votes = self.signer.sign_own(vec![own]);
                votes.extend(payment.evidence.iter().cloned());
                match Certificate::new(payment.order.clone(), &votes) {
                    Some(proof) => PaymentStatus::Settled { certificate: proof.to_unchecked() },
                    None => {
                        let votes = votes.iter().map(|vote| vote.signed().clone()).collect();
                        PaymentStatus::InFlight { votes }
                    }
                }
            }
        };
        self.show(to, Message::StatusReply { payment: asked, status });
    }
}
