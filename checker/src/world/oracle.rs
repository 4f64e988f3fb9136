//! The rules of voting once more, written from DESIGN and not from the code: what a single step of a bank may do.

use hundi_bank_node::{
    AccountAnswer, AccountRefusal, AccountRequest, Effect, MemoryBooks, OwnAccount, Payment,
};
use hundi_ledger::{Account, AccountId, CreateTransferStatus};
use hundi_protocol::{
    Authorised, BankName, Decision, Direction, DoubleVote, Order, Outcome, Reason, UnixMillis, Verified, Vote,
};

use super::packet::Packet;
use super::properties::Prop;
use super::scenario::{Chore, Planned, Scenario};
use super::step::{BankUp, Event};

/// What votes prove, a bank's own YES taken for granted (R3, R12): every bank's YES a commit, else any bank's NO an abort.
pub(crate) fn proven<'a>(
    order: &Order,
    own: Option<&BankName>,
    votes: impl IntoIterator<Item = &'a Verified<Vote>>,
) -> Option<Outcome> {
    let on_this = |vote: &&Vote| vote.payment == order.digest() && order.banks().contains(&vote.bank);
    let votes: Vec<&Vote> = votes.into_iter().map(Verified::statement).filter(on_this).collect();
    let said = |bank: &BankName, yes: bool| {
        votes.iter().any(|vote| vote.bank == *bank && vote.decision.is_yes() == yes)
    };
    if order.banks().iter().all(|bank| own == Some(bank) || said(bank, true)) {
        Some(Outcome::Commit)
    } else {
        order.banks().iter().any(|bank| said(bank, false)).then_some(Outcome::Abort)
    }
}

/// Judges what a bank made of a message: whether the vote that it recorded is deserved.
pub(crate) fn judge(
    scenario: &Scenario,
    node: usize,
    now: UnixMillis,
    before: &BankUp,
    after: &BankUp,
    packet: &Packet,
    authority: Option<&Authorised>,
) -> u32 {
    let bank = &scenario.banks[node].name;
    let books = before.participant.books();
    let (order, brought, resolve) = match packet {
        Packet::Prepare { order, votes, .. } => (order, votes.as_slice(), false),
        Packet::Resolve { order, .. } => (order, [].as_slice(), true),
        Packet::Outcome { certificate, .. } => {
            return judge_outcome(before, after, certificate.order(), certificate.votes(), node, scenario);
        }
        // Others' votes alone make a bank record none of its own.
        Packet::Proof { .. } => {
            let recorded = after.participant.books().payments().keys();
            return if recorded.eq(books.payments().keys()) { 0 } else { Prop::VotesAreDeserved.bit() };
        }
        _ => return 0,
    };
    if !order.banks().contains(bank) || books.payments().contains_key(&order.digest()) {
        return 0;
    }
    let record = after.participant.books().payments().get(&order.digest());
    if let Packet::Resolve { from, .. } = packet
        && from.as_bank().is_some_and(|bank| !order.banks().contains(&bank))
    {
        // R5: only coordinators and the banks of the order may demand an answer.
        return if record.is_none() { 0 } else { Prop::VotesAreDeserved.bit() };
    }
    let known = before.participant.gathered().get(&order.digest());
    let votes: Vec<&Verified<Vote>> = known.into_iter().flatten().chain(brought).collect();
    let case = Case { books, bank, now, order, authority, votes: &votes, resolve };
    match record {
        None if case.below_floor() => 0,
        Some(record) if !case.below_floor() && case.deserves(record) => 0,
        _ => Prop::VotesAreDeserved.bit(),
    }
}

/// A certificate may make a bank that was never asked refuse, and nothing else.
fn judge_outcome(
    before: &BankUp,
    after: &BankUp,
    order: &Order,
    votes: &[Verified<Vote>],
    node: usize,
    scenario: &Scenario,
) -> u32 {
    if before.participant.books().payments().contains_key(&order.digest()) {
        return 0;
    }
    let Some(record) = after.participant.books().payments().get(&order.digest()) else { return 0 };
    let bank = &scenario.banks[node].name;
    let refused = votes
        .iter()
        .map(Verified::statement)
        .any(|vote| vote.payment == order.digest() && vote.bank != *bank && !vote.decision.is_yes());
    let fine = refused && record.decision == Decision::No(Reason::OtherBankRefused);
    if fine { 0 } else { Prop::VotesAreDeserved.bit() }
}

/// A question to a bank that has not answered it yet.
struct Case<'a> {
    books: &'a MemoryBooks,
    bank: &'a hundi_protocol::BankName,
    now: UnixMillis,
    order: &'a Order,
    authority: Option<&'a Authorised>,
    votes: &'a [&'a Verified<Vote>],
    resolve: bool,
}

impl Case<'_> {
    fn below_floor(&self) -> bool {
        self.order.expires_at() <= hundi_bank_node::Books::floor(self.books)
    }

    fn is_payers_bank(&self) -> bool {
        self.order.payer_bank() == self.bank
    }

    fn deserves(&self, record: &Payment) -> bool {
        let against = Reason::ALL.iter().copied().filter(|reason| self.speaks_against(*reason));
        let against: Vec<Reason> = against.collect();
        let complete = self.others() == Some(Outcome::Commit);
        let decided = match record.decision {
            Decision::Yes => against.is_empty() && record.settled.is_some() == complete,
            Decision::No(reason) => against.contains(&reason) && record.settled == Some(Outcome::Abort),
        };
        decided && record.claims_order_id == self.claims()
    }

    /// R1: an order that its payer signed uses up its id, whatever becomes of it.
    fn claims(&self) -> bool {
        let against = [Reason::UnknownAccount, Reason::BadSignature, Reason::DuplicateOrderId];
        let payer = self.is_payers_bank() && self.customer(0).is_some();
        payer && !against[1..].iter().any(|reason| self.speaks_against(*reason))
    }

    fn others(&self) -> Option<Outcome> {
        proven(self.order, Some(self.bank), self.votes.iter().copied())
    }

    fn customer(&self, leg: usize) -> Option<&hundi_bank_node::Customer> {
        self.books.customers().get(&self.order.legs()[leg].account.name).map(|customer| &**customer)
    }

    fn own_legs(&self) -> impl Iterator<Item = (usize, &hundi_protocol::Leg)> {
        let legs = self.order.legs().iter().enumerate();
        legs.filter(|(_, leg)| leg.account.bank == *self.bank)
    }

    fn any_leg(&self, holds: impl Fn(&hundi_bank_node::Customer, &hundi_protocol::Leg) -> bool) -> bool {
        self.own_legs().any(|(place, leg)| self.customer(place).is_some_and(|customer| holds(customer, leg)))
    }

    fn account(&self, id: AccountId) -> Account {
        self.books.ledger_ref().account_by_id(id).copied().unwrap_or_default()
    }

    /// Whether the reason is a true one here and now.
    fn speaks_against(&self, reason: Reason) -> bool {
        let payers = self.is_payers_bank();
        match reason {
            Reason::InsufficientFunds => self.any_leg(|customer, leg| {
                let account = self.account(customer.account);
                let spoken_for = account.debits_posted.0 + account.debits_pending.0;
                leg.direction == Direction::Debit && account.credits_posted.0 - spoken_for < leg.amount.0
            }),
            Reason::UnknownAccount => self.own_legs().any(|(place, _)| self.customer(place).is_none()),
            Reason::AccountClosed => self.any_leg(|customer, _| customer.closed),
            Reason::WrongCurrency => self.any_leg(|customer, leg| customer.currency != leg.currency),
            Reason::BadSignature => {
                payers
                    && self.customer(0).is_some_and(|customer| {
                        let signed = self.authority.map(Authorised::key);
                        customer.key.is_none() || customer.key != signed
                    })
            }
            Reason::Expired => self.now >= self.order.expires_at(),
            Reason::DuplicateOrderId => {
                payers
                    && self.books.payments().values().any(|other| {
                        other.claims_order_id
                            && other.order.digest() != self.order.digest()
                            && other.order.id() == self.order.id()
                            && other.order.payer() == self.order.payer()
                    })
            }
            Reason::Resolved => self.resolve,
            Reason::OtherBankRefused => self.others() == Some(Outcome::Abort),
            Reason::Overflow => self.any_leg(|customer, leg| {
                let clearing = self.account(OwnAccount::Clearing.id(leg.currency));
                let customers = self.account(customer.account);
                let (debit, credit) = match leg.direction {
                    Direction::Debit => (customers, clearing),
                    Direction::Credit => (clearing, customers),
                };
                let fits = |pending: u128, posted: u128| {
                    pending.checked_add(posted).and_then(|sum| sum.checked_add(leg.amount.0)).is_some()
                };
                !fits(debit.debits_pending.0, debit.debits_posted.0)
                    || !fits(credit.credits_pending.0, credit.credits_posted.0)
            }),
            Reason::BelowFloor => self.below_floor(),
            Reason::LimitExceeded => self.own_legs().any(|(_, leg)| leg.amount.0 > i64::MAX as u128),
            Reason::Malformed | Reason::Unavailable => false,
        }
    }
}

/// A vote that leaves a bank is the one on record, or a refusal for which the floor stands (R7).
pub(crate) fn spoken(books: &MemoryBooks, orders: &[Planned], vote: &Vote) -> u32 {
    let fine = match books.payments().get(&vote.payment) {
        Some(payment) => payment.decision == vote.decision,
        None => orders.iter().any(|planned| {
            planned.order.digest() == vote.payment
                && !vote.decision.is_yes()
                && planned.order.expires_at() <= hundi_bank_node::Books::floor(books)
        }),
    };
    if fine { 0 } else { Prop::OneVote.bit() }
}

/// Compares a bank before and after a step: what may change, and by what.
pub(crate) fn compare(before: &BankUp, after: &BankUp, event: Event<'_>) -> u32 {
    let (old, new) = (before.participant.books(), after.participant.books());
    let mut stain = 0;
    let (old_floor, new_floor) = (hundi_bank_node::Books::floor(old), hundi_bank_node::Books::floor(new));
    let asked_floor = match event {
        Event::Chore(_, Chore::Floor(floor)) => *floor,
        _ => old_floor,
    };
    if new_floor != old_floor.max(asked_floor) {
        stain |= Prop::FloorRises.bit();
    }
    let kept = old.payments().iter().all(|(digest, payment)| match new.payments().get(digest) {
        Some(now) => same_word(new, payment, now),
        None => !payment.decision.is_yes() && payment.order.expires_at() <= new_floor,
    });
    let customers_kept = old.customers().iter().all(|(name, customer)| {
        let closing =
            matches!(event, Event::Chore(_, Chore::Account(AccountRequest::Close { name: n })) if n == name);
        new.customers().get(name).is_some_and(|now| {
            (now.account, now.currency, now.key) == (customer.account, customer.currency, customer.key)
                && (now.closed == customer.closed || (now.closed && closing))
        })
    });
    if !kept || !customers_kept {
        stain |= Prop::RecordsStay.bit();
    }
    if !new.double_votes().is_superset(old.double_votes()) {
        stain |= Prop::TwoFacedIsCaught.bit();
    }
    let mut found = new.double_votes().difference(old.double_votes());
    let reports = |proof: &DoubleVote| {
        after.participant.held().any(|(_, effect)| matches!(effect, Effect::Report(kept) if kept == proof))
    };
    if !found.all(reports) {
        stain |= Prop::TwoFacedIsCaught.bit(); // Kept, and nobody hears of it.
    }
    if let Event::Chore(place, Chore::Account(request)) = event {
        let expected = expected_answer(old, request);
        let fits = |answer: &AccountAnswer| match (answer, expected) {
            (Err(AccountRefusal::Ledger(a)), Err(AccountRefusal::Ledger(b))) => {
                a == &b || (is_overflow(*a) && is_overflow(b))
            }
            (answer, expected) => *answer == expected,
        };
        let answered = after.participant.held().any(|(_, effect)| {
            matches!(effect, Effect::Answer { ticket, answer } if *ticket == place as u64 && fits(answer))
        });
        if !answered {
            stain |= Prop::OperatorsAreToldTrue.bit();
        }
    }
    stain
}

/// Whether a record is still the same word: only what is open gets settled, and only two faces undo an abort.
fn same_word(books: &MemoryBooks, old: &Payment, new: &Payment) -> bool {
    let word = |payment: &Payment| (payment.decision, payment.claims_order_id);
    let settled = match (old.settled, new.settled) {
        (None, _) => true,
        (Some(Outcome::Abort), Some(Outcome::Commit)) => {
            let proofs = books.double_votes();
            old.decision.is_yes() && proofs.iter().any(|p| p.yes().statement().payment == old.order.digest())
        }
        (old_outcome, new_outcome) => old_outcome == new_outcome && old.evidence == new.evidence,
    };
    word(old) == word(new) && settled
}

/// R11: more than the ledger can count, on whichever side it is noticed first.
fn is_overflow(status: CreateTransferStatus) -> bool {
    status.as_str().starts_with("overflows_")
}

/// What the operator of a bank with these books should be told.
fn expected_answer(books: &MemoryBooks, request: &AccountRequest) -> AccountAnswer {
    let (AccountRequest::Open { name, .. }
    | AccountRequest::Deposit { name, .. }
    | AccountRequest::Close { name }) = request;
    let customer = books.customers().get(name);
    match (request, customer) {
        (AccountRequest::Open { .. }, None) => Ok(()),
        (_, None) => Err(AccountRefusal::Unknown),
        (AccountRequest::Open { currency, key, .. }, Some(customer)) => {
            match (customer.closed, customer.currency == *currency && customer.key == *key) {
                (true, _) => Err(AccountRefusal::Closed),
                (false, true) => Ok(()),
                (false, false) => Err(AccountRefusal::Taken),
            }
        }
        (AccountRequest::Deposit { id, amount, .. }, Some(customer)) => {
            let account = books.ledger_ref().account_by_id(customer.account).copied().unwrap_or_default();
            let known = books.ledger_ref().transfer_by_id(*id).map(|(transfer, _)| transfer.amount.0);
            let fits = account.credits_posted.0.checked_add(amount.0).is_some();
            match (customer.closed, known) {
                (true, _) => Err(AccountRefusal::Closed),
                (false, Some(same)) if same == amount.0 => Ok(()),
                (false, Some(_)) => {
                    Err(AccountRefusal::Ledger(CreateTransferStatus::ExistsWithDifferentAmount))
                }
                (false, None) if fits => Ok(()),
                (false, None) => Err(AccountRefusal::Ledger(CreateTransferStatus::OverflowsCreditsPosted)),
            }
        }
        (AccountRequest::Close { .. }, Some(customer)) => {
            let account = books.ledger_ref().account_by_id(customer.account).copied().unwrap_or_default();
            let held = account.debits_pending.0 > 0 || account.credits_pending.0 > 0;
            match (customer.closed, held, account.credits_posted == account.debits_posted) {
                (true, _, _) => Ok(()),
                (false, true, _) => Err(AccountRefusal::HasHolds),
                (false, false, false) => Err(AccountRefusal::NotEmpty),
                (false, false, true) => Ok(()),
            }
        }
    }
}
