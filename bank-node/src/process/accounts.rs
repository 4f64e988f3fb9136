//! Operators' requests, and questions about payments.

use hundi_ledger::{Store, TransferId};
use hundi_protocol::ConnectionId;
use hundi_protocol::{
    AccountName, AccountView, AdminAction, AdminReply, AdminRequest, AdminResult, Certificate, Digest,
    Message, Minor, PaymentStatus, UnixMillis,
};

use super::core::{Core, CoreError};
use crate::books::{Books, Customer};
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
                AccountRequest::Open { name: account, currency, key }
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
                let result = self.in_flight(now);
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
        let page: Vec<(AccountName, Customer)> = customers
            .take(limit.min(PAGE_MAX) as usize)
            .map(|(name, customer)| (name.clone(), customer.clone()))
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

    fn in_flight(&self, now: UnixMillis) -> AdminResult {
        let ids = self.participant.books().in_doubt().map(|payment| payment.order.id());
        let (payments, oldest) = ids.fold((0, None), |(count, oldest), id| {
            let time_ms = u64::try_from(id.uuid().as_u128() >> 80).unwrap_or(u64::MAX);
            (count + 1, Some(oldest.map_or(time_ms, |oldest: u64| oldest.min(time_ms))))
        });
        let oldest_ms = oldest.map_or(0, |oldest| now.0.saturating_sub(oldest));
        AdminResult::InFlight { payments, oldest_ms }
    }

    /// What this bank can prove of a payment, if it is in doubt or settled lately.
    pub(super) fn handle_status(&mut self, to: ConnectionId, digest: Digest) {
        let status = match self.participant.books().recent_payment(&digest) {
            None => PaymentStatus::Unknown,
            Some(payment) => {
                let own = hundi_protocol::Vote {
                    payment: digest,
                    bank: self.participant.bank().clone(),
                    decision: payment.decision,
                };
                let mut votes = self.signer.sign_own(vec![own]);
                votes.extend(payment.evidence.iter().cloned());
                match Certificate::new(payment.order.clone(), &votes) {
                    Some(proof) => PaymentStatus::Settled { certificate: proof.to_unchecked() },
                    None => PaymentStatus::InFlight {
                        votes: votes.iter().map(|vote| vote.signed().clone()).collect(),
                    },
                }
            }
        };
        self.show(to, Message::StatusReply { payment: digest, status });
    }
}
