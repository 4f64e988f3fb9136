//! What one node's state means, worked out once for each state: so that a property over the world is a few
//! operations on bits.

use std::collections::{BTreeMap, BTreeSet};

use hundi_bank_node::{
    AccountRequest, Books, MemoryBooks, OwnAccount, Payment, Step, transfer_id, transfer_user_data,
};
use hundi_ledger::{AccountFlags, AccountId, Amount, Code, Phase, TransferId};
use hundi_protocol::{BankName, Decision, Direction, DoubleVote, Order, Outcome, Verified, Vote};

use super::oracle;
use super::properties::{Prop, Witness};
use super::scenario::{Chore, Scenario};
use super::step::{BankUp, Body};

/// The code of the transfers of payments.
pub(crate) const PAYMENT: Code = Code(1);

/// What a node's state means. Sets of orders are bits by their place in the scenario.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Properties of the node alone that do not hold, as bits of [`Prop`].
    pub broken: u32,
    /// What can be seen here, as bits of [`Witness`].
    pub seen: u64,
    /// It has crashed.
    pub down: bool,
    /// On disk: voted YES.
    pub disk_yes: u8,
    /// On disk: refused, or refused by the floor.
    pub disk_refused: u8,
    /// On disk: the outcome, whatever it is, or a refusal.
    pub disk_settled: u8,
    /// On disk: the chores that are done, as bits by their place.
    pub disk_done: u32,
    /// Anywhere, on disk or not: a leg is posted.
    pub posted: u8,
    /// Anywhere, on disk or not: a hold was released.
    pub released: u8,
    /// In memory, or on the disk of a node that is down: settled as a commit.
    pub commit: u8,
    /// The same: settled as an abort, or refused.
    pub abort: u8,
    /// The same: a YES in doubt.
    pub open: u8,
    /// Anywhere: the payer's money is on hold.
    pub payer_held: u8,
    /// Nothing waits here: for a bank no doubt and no write, for a coordinator no payment under way.
    pub idle: bool,
    /// The same: what the clearing accounts of the first two currencies are owed, in minor units.
    pub clearing: [i64; 2],
    /// Time here, as a place in the scenario's clock.
    pub clock: u8,
}

impl Facts {
    /// Works out what a node's state means.
    pub(crate) fn of(scenario: &Scenario, node: usize, body: &Body) -> Facts {
        match body {
            Body::Bank(bank) => of_bank(scenario, node, bank),
            Body::BankDown { clock, disk } => {
                let mut facts = Facts { down: true, clock: *clock, ..Facts::default() };
                facts.add_disk(scenario, node, disk);
                facts.add_outcomes(scenario, disk);
                facts
            }
            Body::Courier(courier) => {
                let idle = courier.courier.under_way() == 0;
                Facts { idle, clock: courier.clock, ..Facts::default() }
            }
            Body::CourierDown { clock, .. } => Facts { down: true, clock: *clock, ..Facts::default() },
            Body::Liar | Body::Anybody { .. } => Facts { idle: true, ..Facts::default() },
            Body::Stopped { .. } => Facts { broken: Prop::NodesDoNotStop.bit(), ..Facts::default() },
        }
    }

    fn add_disk(&mut self, scenario: &Scenario, node: usize, disk: &MemoryBooks) {
        self.disk_yes = orders_in(scenario, disk, |payment| payment.decision.is_yes());
        let under_floor = scenario.orders_where(|order| order.expires_at() <= disk.floor());
        let refused = orders_in(scenario, disk, |payment| !payment.decision.is_yes());
        self.disk_refused = refused | (under_floor & !self.disk_yes & scenario.orders_at(node));
        self.disk_settled = self.disk_refused | orders_in(scenario, disk, |payment| !payment.is_open());
        let chores = scenario.chores.iter().enumerate();
        let done = chores.filter(|(_, (bank, chore))| *bank == node && is_done(disk, chore));
        self.disk_done = done.fold(0, |bits, (place, _)| bits | 1 << place);
        self.add_books(scenario, node, disk);
    }

    /// What the books that count here say: those in memory, or of a node that is down those on disk.
    fn add_outcomes(&mut self, scenario: &Scenario, books: &MemoryBooks) {
        self.commit = orders_in(scenario, books, |payment| payment.settled == Some(Outcome::Commit));
        self.abort = orders_in(scenario, books, |payment| payment.settled == Some(Outcome::Abort));
        self.open = orders_in(scenario, books, Payment::is_open);
        self.clearing = clearing(scenario, books);
    }

    /// Checks a version of the books, on disk or not.
    fn add_books(&mut self, scenario: &Scenario, node: usize, books: &MemoryBooks) {
        let entries = Entries { scenario, node, books };
        self.broken |= entries.broken();
        self.posted |= scenario.orders_where(|order| entries.any_leg(order, is_posted));
        self.released |= scenario.orders_where(|order| entries.any_leg(order, is_released));
        let held = |order: &Order| {
            let pays = order.payer_bank() == &scenario.banks[node].name;
            pays && entries.leg(order, 0).0 == Some(Phase::Pending)
        };
        self.payer_held |= scenario.orders_where(held);
    }
}

fn of_bank(scenario: &Scenario, node: usize, bank: &BankUp) -> Facts {
    let books = bank.participant.books();
    let mut facts = Facts { clock: bank.clock, ..Facts::default() };
    facts.add_disk(scenario, node, &bank.disk);
    if let Some((_, writing)) = &bank.writing {
        facts.add_books(scenario, node, writing);
        if bank.participant.has_uncut() {
            facts.seen |= Witness::Overlap.bit();
        }
    }
    facts.add_books(scenario, node, books);
    facts.add_outcomes(scenario, books);
    facts.idle = facts.open == 0
        && !bank.participant.has_uncut()
        && !bank.participant.has_held()
        && bank.writing.is_none();
    for payment in books.payments().values() {
        if let Decision::No(reason) = payment.decision {
            facts.seen |= Witness::Refusal(reason).bit();
        }
    }
    facts.broken |= two_faces(scenario, bank);
    let in_doubt = books.open_payments().into_iter().collect::<BTreeSet<_>>();
    let asks: BTreeSet<_> = bank.participant.doubts().map(|(_, digest)| *digest).collect();
    if asks != in_doubt || !bank.participant.gathered().keys().all(|digest| in_doubt.contains(digest)) {
        facts.broken |= Prop::AsksWhatIsOpen.bit();
    }
    if !books.double_votes().is_empty() {
        facts.seen |= Witness::TwoFacedCaught.bit();
    }
    let late = |order: &Order| Entries { scenario, node, books }.any_leg(order, |(_, late)| late.is_some());
    if scenario.orders_where(late) != 0 {
        facts.seen |= Witness::Late.bit();
    }
    if books.customers().values().any(|customer| customer.closed) {
        facts.seen |= Witness::Closed.bit();
    }
    facts
}

/// The orders whose record in the books has a quality.
fn orders_in(scenario: &Scenario, books: &MemoryBooks, holds: impl Fn(&Payment) -> bool) -> u8 {
    scenario.orders_where(|order| books.payments().get(&order.digest()).is_some_and(&holds))
}

/// Whether what an operator asked for is in these books.
fn is_done(books: &MemoryBooks, chore: &Chore) -> bool {
    match chore {
        Chore::Account(AccountRequest::Open { name, .. }) => books.customers().contains_key(name),
        Chore::Account(AccountRequest::Deposit { id, .. }) => {
            books.ledger_ref().transfer_by_id(*id).is_some()
        }
        Chore::Account(AccountRequest::Close { name }) => {
            books.customers().get(name).is_some_and(|customer| customer.closed)
        }
        Chore::Floor(floor) => books.floor() >= *floor,
    }
}

/// What the clearing accounts are owed: credits less debits.
fn clearing(scenario: &Scenario, books: &MemoryBooks) -> [i64; 2] {
    let mut sums = [0; 2];
    for (sum, currency) in sums.iter_mut().zip(scenario.currencies()) {
        let id = OwnAccount::Clearing.id(currency);
        if let Some(account) = books.ledger_ref().account_by_id(id) {
            *sum = small(account.credits_posted.0).wrapping_sub(small(account.debits_posted.0));
        }
    }
    sums
}

/// An amount of a scenario, modulo 2⁶⁴: the properties compare sums made the same way.
#[allow(clippy::cast_possible_truncation)]
pub(super) fn small(amount: u128) -> i64 {
    amount as i64
}

/// What a commit of `order` at a bank leaves on its clearing account: the payer's bank owes, the payees' are owed.
pub(crate) fn clearing_of(scenario: &Scenario, bank: usize, order: &Order) -> [i64; 2] {
    let mut sums = [0; 2];
    for (sum, currency) in sums.iter_mut().zip(scenario.currencies()) {
        let legs = order.legs().iter();
        for leg in
            legs.filter(|leg| leg.account.bank == scenario.banks[bank].name && leg.currency == currency)
        {
            *sum = match leg.direction {
                Direction::Debit => i64::wrapping_add(*sum, small(leg.amount.0)),
                Direction::Credit => i64::wrapping_sub(*sum, small(leg.amount.0)),
            };
        }
    }
    sums
}

/// A bank that knows both words of another has kept the proof, and has no proof against anybody honest (R12).
fn two_faces(scenario: &Scenario, bank: &BankUp) -> u32 {
    let books = bank.participant.books();
    let mut broken = 0;
    let honest = |name: &BankName| scenario.banks.iter().any(|bank| bank.name == *name && !bank.liar);
    if books.double_votes().iter().any(|proof| honest(&proof.yes().statement().bank)) {
        broken |= Prop::HonestIsNotAccused.bit();
    }
    for order in scenario.orders.iter().map(|planned| &planned.order) {
        let gathered = bank.participant.gathered().get(&order.digest()).into_iter().flatten();
        let evidence =
            books.payments().get(&order.digest()).into_iter().flat_map(|payment| &payment.evidence);
        let known: Vec<&Verified<Vote>> = gathered.chain(evidence).collect();
        let mut proofs = known.iter().flat_map(|a| known.iter().filter_map(|b| DoubleVote::of(a, b)));
        let kept = |proof: DoubleVote| {
            let (bank, payment) = (&proof.yes().statement().bank, proof.yes().statement().payment);
            books
                .double_votes()
                .iter()
                .any(|kept| kept.yes().statement().bank == *bank && kept.yes().statement().payment == payment)
        };
        if !proofs.all(kept) {
            broken |= Prop::TwoFacedIsCaught.bit();
        }
    }
    broken
}

/// How a leg stands in the ledger: its entry, and whether it was booked late (R12).
type LegStands = (Option<Phase>, Option<AccountId>);

fn is_posted((phase, late): LegStands) -> bool {
    matches!(phase, Some(Phase::Single | Phase::Posted)) || late.is_some()
}

fn is_released((phase, _): LegStands) -> bool {
    matches!(phase, Some(Phase::Voided | Phase::Expired))
}

/// The ledger of one bank held against its records.
struct Entries<'a> {
    scenario: &'a Scenario,
    node: usize,
    books: &'a MemoryBooks,
}

/// Every balance of a bank as deposits and its records make it: pending and posted debits, pending and posted credits.
pub(super) fn expected_balances(scenario: &Scenario, node: usize, books: &MemoryBooks) -> Balances {
    Entries { scenario, node, books }.expected()
}

/// Pending and posted debits, pending and posted credits.
pub(super) type Balances = BTreeMap<AccountId, [u128; 4]>;

impl Entries<'_> {
    fn bank(&self) -> &BankName {
        &self.scenario.banks[self.node].name
    }

    fn leg(&self, order: &Order, leg: usize) -> LegStands {
        let ledger = self.books.ledger_ref();
        let booked = ledger.transfer_by_id(transfer_id(order, leg, Step::Book)).map(|(_, phase)| phase);
        let late = ledger.transfer_by_id(transfer_id(order, leg, Step::Late));
        let late = late.map(|(transfer, _)| match order.legs()[leg].direction {
            Direction::Debit => transfer.debit_account_id,
            Direction::Credit => transfer.credit_account_id,
        });
        (booked, late)
    }

    fn own_legs<'o>(&'o self, order: &'o Order) -> impl Iterator<Item = (usize, &'o hundi_protocol::Leg)> {
        order.legs().iter().enumerate().filter(|(_, leg)| leg.account.bank == *self.bank())
    }

    fn any_leg(&self, order: &Order, holds: impl Fn(LegStands) -> bool) -> bool {
        self.own_legs(order).any(|(place, _)| holds(self.leg(order, place)))
    }

    fn broken(&self) -> u32 {
        let mut broken = self.accounts_broken() | self.records_broken();
        let ledger = self.books.ledger_ref();
        for (transfer, _) in ledger.transfers().filter(|(transfer, _)| transfer.code == PAYMENT) {
            if transfer.timeout != 0 {
                broken |= Prop::HoldsDoNotExpire.bit();
            }
            let owner = self.scenario.orders.iter().map(|planned| &planned.order).find(|order| {
                self.own_legs(order).any(|(leg, _)| {
                    [Step::Book, Step::Settle, Step::Late]
                        .map(|step| transfer_id(order, leg, step))
                        .contains(&transfer.id)
                })
            });
            match owner {
                None => broken |= Prop::LedgerFollowsVotes.bit(),
                Some(order) => {
                    if transfer_user_data(order) != (transfer.user_data_128, transfer.user_data_64) {
                        broken |= Prop::LedgerFollowsVotes.bit();
                    }
                    let record = self.books.payments().get(&order.digest());
                    if record.is_none_or(|payment| !payment.decision.is_yes()) {
                        broken |= Prop::RefusalLeavesNothing.bit();
                    }
                }
            }
        }
        broken
    }

    fn accounts_broken(&self) -> u32 {
        let mut broken = 0;
        let ledger = self.books.ledger_ref();
        let expected = self.expected();
        let mut sums = BTreeMap::<_, [u128; 4]>::new();
        for account in ledger.accounts() {
            let balances = [
                account.debits_pending.0,
                account.debits_posted.0,
                account.credits_pending.0,
                account.credits_posted.0,
            ];
            let sum = sums.entry(account.ledger).or_default();
            sum.iter_mut().zip(balances).for_each(|(sum, balance)| *sum = sum.wrapping_add(balance));
            if expected.get(&account.id).copied().unwrap_or_default() != balances {
                broken |= Prop::LedgerFollowsVotes.bit();
            }
        }
        if expected.keys().any(|id| ledger.account_by_id(*id).is_none()) {
            broken |= Prop::LedgerFollowsVotes.bit();
        }
        if sums.values().any(|[dp, d, cp, c]| dp != cp || d != c) {
            broken |= Prop::BooksBalance.bit();
        }
        for customer in self.books.customers().values() {
            let Some(account) = ledger.account_by_id(customer.account) else {
                broken |= Prop::LedgerFollowsVotes.bit();
                continue;
            };
            let spent = account.debits_posted.0.checked_add(account.debits_pending.0);
            if spent.is_none_or(|spent| spent > account.credits_posted.0) {
                broken |= Prop::WithinLimits.bit();
            }
            let empty = account.debits_posted == account.credits_posted
                && account.debits_pending == Amount(0)
                && account.credits_pending == Amount(0);
            if customer.closed != account.flags.contains(AccountFlags::CLOSED) || (customer.closed && !empty)
            {
                broken |= Prop::ClosedIsEmpty.bit();
            }
        }
        broken
    }

    fn records_broken(&self) -> u32 {
        let mut broken = 0;
        let payments = self.books.payments();
        for (digest, payment) in payments {
            let order = &payment.order;
            if order.digest() != *digest || !order.banks().contains(self.bank()) {
                broken |= Prop::RecordsStay.bit();
            }
            let proven = oracle::proven(order, Some(self.bank()), &payment.evidence);
            let refused = payment.evidence.iter().any(|vote| !vote.statement().decision.is_yes());
            match (payment.decision, payment.settled) {
                (Decision::No(_), Some(Outcome::Abort)) | (Decision::Yes, None) => {}
                (Decision::Yes, Some(Outcome::Commit)) if proven == Some(Outcome::Commit) => {}
                (Decision::Yes, Some(Outcome::Abort)) if proven == Some(Outcome::Abort) && refused => {}
                (_, Some(Outcome::Commit)) => broken |= Prop::ProofBeforePost.bit(),
                _ => broken |= Prop::ProofBeforeVoid.bit(),
            }
            if !payment.decision.is_yes() && order.expires_at() <= self.books.floor() {
                broken |= Prop::FloorRises.bit();
            }
            let twin = payments.values().any(|other| {
                other.order.digest() != *digest
                    && other.decision.is_yes()
                    && payment.decision.is_yes()
                    && other.order.id() == order.id()
                    && other.order.payer() == order.payer()
                    && order.payer_bank() == self.bank()
            });
            if twin {
                broken |= Prop::OneOrderPerId.bit();
            }
        }
        broken
    }

    /// Every balance as deposits and records make it.
    fn expected(&self) -> Balances {
        let mut balances = Balances::new();
        let mut book = |debit: AccountId, credit: AccountId, amount: u128, posted: bool| {
            let place = usize::from(posted);
            let debit = &mut balances.entry(debit).or_default()[place];
            *debit = debit.wrapping_add(amount);
            let credit = &mut balances.entry(credit).or_default()[2 + place];
            *credit = credit.wrapping_add(amount);
        };
        for (name, id, amount) in self.deposits() {
            let made = self.books.ledger_ref().transfer_by_id(id).is_some();
            if let Some(customer) = self.books.customers().get(name).filter(|_| made) {
                book(OwnAccount::Cash.id(customer.currency), customer.account, amount, true);
            }
        }
        for payment in self.books.payments().values().filter(|payment| payment.decision.is_yes()) {
            for (place, leg) in self.own_legs(&payment.order) {
                let Some(customer) = self.books.customers().get(&leg.account.name) else { continue };
                let (_, late) = self.leg(&payment.order, place);
                let account = match (late, leg.direction) {
                    (Some(_), Direction::Debit) => OwnAccount::Claims.id(leg.currency),
                    (Some(account), _) if self.may_be_late(&payment.order, leg, account) => account,
                    _ => customer.account,
                };
                let clearing = OwnAccount::Clearing.id(leg.currency);
                let (debit, credit) = match leg.direction {
                    Direction::Debit => (account, clearing),
                    Direction::Credit => (clearing, account),
                };
                match payment.settled {
                    Some(Outcome::Abort) => {}
                    Some(Outcome::Commit) => book(debit, credit, leg.amount.0, true),
                    None => book(debit, credit, leg.amount.0, false),
                }
            }
        }
        balances
    }

    /// R12: booked late, a credit for a closed account waits in suspense. (A debit is always a claim on the liar.)
    fn may_be_late(&self, order: &Order, leg: &hundi_protocol::Leg, account: AccountId) -> bool {
        let proven = self.books.double_votes().iter().any(|p| p.yes().statement().payment == order.digest());
        proven
            && account == OwnAccount::Suspense.id(leg.currency)
            && self.books.customers().get(&leg.account.name).is_some_and(|customer| customer.closed)
    }

    /// Every deposit that is ever made here.
    fn deposits(&self) -> impl Iterator<Item = (&hundi_protocol::AccountName, TransferId, u128)> {
        let first = self.scenario.banks[self.node].customers.iter().enumerate();
        let first =
            first.map(|(place, (name, _, amount))| (name, Scenario::deposit_id(self.node, place), amount.0));
        let later = self.scenario.chores.iter().filter_map(|(bank, chore)| match chore {
            Chore::Account(AccountRequest::Deposit { id, name, amount }) if *bank == self.node => {
                Some((name, *id, amount.0))
            }
            _ => None,
        });
        let mut made: Vec<_> = first.chain(later).collect();
        made.sort_by_key(|(_, id, _)| *id);
        made.dedup_by_key(|(_, id, _)| *id);
        made.into_iter()
    }
}
