//! A store in memory: ordered, so that equal histories give equal values; for models, tests and scripts.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::hash::{Hash, Hasher};
use std::ops::RangeInclusive;

use crate::{
    Account, AccountBalance, AccountFilter, AccountId, ChangeEvent, ChangeEventsFilter, Event, EventKind,
    Known, Last, Phase, QueryFilter, Reads, Store, Timestamp, Transfer, TransferId,
};

/// A ledger that lives and dies with the process.
///
/// Two stores are equal, and hash equally, if they hold the same objects and the same change events.
/// [`MemoryStore::compact`] gives one that keeps no change events and no index by time: its value is as small as the
/// state that decides results. There [`Reads::get_change_events`] and [`Reads::get_account_balances`] find nothing.
#[derive(Clone, Debug)]
pub struct MemoryStore {
    accounts: BTreeMap<AccountId, Account>,
    transfers: BTreeMap<TransferId, (Transfer, Phase)>,
    burnt: BTreeSet<TransferId>,
    /// When transfers expired.
    expiries: BTreeSet<Timestamp>,
    /// Pending transfers with a timeout, by the end of their time.
    expiring: BTreeSet<(Timestamp, Timestamp, TransferId)>,
    last: Last,
    history: Option<History>,
    /// What to undo, while savepoints are open.
    undo: Vec<Undo>,
    /// How many savepoints are open.
    open: usize,
}

/// What reads want and results do not depend on.
#[derive(Clone, Debug, Default)]
struct History {
    accounts: BTreeMap<Timestamp, AccountId>,
    transfers: BTreeMap<Timestamp, TransferId>,
    events: BTreeMap<Timestamp, ChangeEvent>,
}

/// One write, to be taken back.
#[derive(Clone, Debug)]
enum Undo {
    Account(AccountId, Timestamp),
    Burn(TransferId),
    Event(Box<UndoEvent>),
}

#[derive(Clone, Debug)]
struct UndoEvent {
    timestamp: Timestamp,
    debit: Account,
    credit: Account,
    created: Option<TransferId>,
    pending: Option<TransferId>,
}

/// A place to roll a [`MemoryStore`] back to.
#[derive(Clone, Copy, Debug)]
pub struct MemorySavepoint {
    undo: usize,
    open: usize,
    last: Last,
}

/// Everything that makes two stores different.
type Content<'a> = (
    &'a BTreeMap<AccountId, Account>,
    &'a BTreeMap<TransferId, (Transfer, Phase)>,
    &'a BTreeSet<TransferId>,
    &'a BTreeSet<Timestamp>,
    Last,
    Option<&'a BTreeMap<Timestamp, ChangeEvent>>,
);

impl Default for MemoryStore {
    fn default() -> Self {
        Self { history: Some(History::default()), ..Self::compact() }
    }
}

impl MemoryStore {
    /// An empty ledger.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty ledger that keeps no more than what decides results.
    #[must_use]
    pub fn compact() -> Self {
        Self {
            accounts: BTreeMap::new(),
            transfers: BTreeMap::new(),
            burnt: BTreeSet::new(),
            expiries: BTreeSet::new(),
            expiring: BTreeSet::new(),
            last: Last::default(),
            history: None,
            undo: Vec::new(),
            open: 0,
        }
    }

    /// All accounts, by id.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }

    /// All transfers, by id, each with what became of its reservation.
    pub fn transfers(&self) -> impl Iterator<Item = (&Transfer, Phase)> {
        self.transfers.values().map(|(transfer, phase)| (transfer, *phase))
    }

    /// The ids that are burnt, in order.
    pub fn burnt(&self) -> impl Iterator<Item = TransferId> {
        self.burnt.iter().copied()
    }

    /// The account with this id.
    #[must_use]
    pub fn account_by_id(&self, id: AccountId) -> Option<&Account> {
        self.accounts.get(&id)
    }

    /// The transfer with this id, and what became of its reservation.
    #[must_use]
    pub fn transfer_by_id(&self, id: TransferId) -> Option<(&Transfer, Phase)> {
        self.transfers.get(&id).map(|(transfer, phase)| (transfer, *phase))
    }

    /// Everything that makes two stores different; the rest follows from it.
    fn content(&self) -> Content<'_> {
        let events = self.history.as_ref().map(|history| &history.events);
        (&self.accounts, &self.transfers, &self.burnt, &self.expiries, self.last, events)
    }

    fn remember(&mut self, undo: impl FnOnce() -> Undo) {
        if self.open > 0 {
            self.undo.push(undo());
        }
    }

    fn write_account(&mut self, account: &Account) -> Account {
        let Some(place) = self.accounts.get_mut(&account.id) else {
            panic!("an event names accounts that exist: {account:?}");
        };
        std::mem::replace(place, *account)
    }

    fn write_phase(&mut self, id: TransferId, phase: Phase) {
        let Some((transfer, place)) = self.transfers.get_mut(&id) else {
            panic!("an event names transfers that exist: {id}");
        };
        *place = phase;
        if let Some(end) = transfer.expires_at() {
            let key = (end, transfer.timestamp, id);
            if phase == Phase::Pending {
                self.expiring.insert(key)
            } else {
                self.expiring.remove(&key)
            };
        }
    }

    fn take_back(&mut self, undo: Undo) {
        match undo {
            Undo::Account(id, timestamp) => {
                self.accounts.remove(&id);
                if let Some(history) = &mut self.history {
                    history.accounts.remove(&timestamp);
                }
            }
            Undo::Burn(id) => {
                self.burnt.remove(&id);
            }
            Undo::Event(event) => {
                let UndoEvent { timestamp, debit, credit, created, pending } = *event;
                self.write_account(&debit);
                self.write_account(&credit);
                if let Some(id) = pending {
                    self.write_phase(id, Phase::Pending);
                }
                if let Some(id) = created
                    && let Some((transfer, _)) = self.transfers.remove(&id)
                    && let Some(end) = transfer.expires_at()
                {
                    self.expiring.remove(&(end, transfer.timestamp, id));
                }
                self.expiries.remove(&timestamp);
                if let Some(history) = &mut self.history {
                    history.events.remove(&timestamp);
                    history.transfers.remove(&timestamp);
                }
            }
        }
    }
}

impl PartialEq for MemoryStore {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for MemoryStore {}

impl PartialOrd for MemoryStore {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for MemoryStore {
    fn cmp(&self, other: &Self) -> Ordering {
        self.content().cmp(&other.content())
    }
}

impl Hash for MemoryStore {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.content().hash(state);
    }
}

impl Store for MemoryStore {
    type Error = Infallible;
    type Slot = AccountId;
    type Savepoint = MemorySavepoint;

    fn last(&self) -> Last {
        self.last
    }

    fn find_account(&mut self, id: AccountId) -> Result<Option<AccountId>, Infallible> {
        Ok(self.accounts.contains_key(&id).then_some(id))
    }

    fn account(&self, slot: AccountId) -> &Account {
        &self.accounts[&slot]
    }

    fn transfer(&mut self, id: TransferId) -> Result<Known, Infallible> {
        Ok(match self.transfers.get(&id) {
            Some((transfer, phase)) => Known::Yes(*transfer, *phase),
            None if self.burnt.contains(&id) => Known::Burnt,
            None => Known::No,
        })
    }

    fn is_taken(&mut self, timestamp: Timestamp) -> Result<bool, Infallible> {
        let taken = match &self.history {
            Some(history) => {
                history.accounts.contains_key(&timestamp) || history.transfers.contains_key(&timestamp)
            }
            None => {
                self.accounts.values().any(|account| account.timestamp == timestamp)
                    || self.transfers.values().any(|(transfer, _)| transfer.timestamp == timestamp)
            }
        };
        Ok(taken || self.expiries.contains(&timestamp))
    }

    fn due(&mut self, now: Timestamp, limit: usize, due: &mut Vec<Transfer>) -> Result<(), Infallible> {
        let ends = ..=(now, Timestamp::MAX, TransferId::MAX);
        due.extend(self.expiring.range(ends).take(limit).map(|(_, _, id)| self.transfers[id].0));
        Ok(())
    }

    fn insert_account(&mut self, account: &Account) {
        let before = self.accounts.insert(account.id, *account);
        assert!(before.is_none(), "an account is created once: {account:?}");
        self.last.account = self.last.account.max(account.timestamp);
        if let Some(history) = &mut self.history {
            history.accounts.insert(account.timestamp, account.id);
        }
        self.remember(|| Undo::Account(account.id, account.timestamp));
    }

    fn apply(&mut self, event: &Event<'_>, _: AccountId, _: AccountId) {
        let debit = self.write_account(event.debit);
        let credit = self.write_account(event.credit);
        if let Some(transfer) = event.transfer {
            let phase = if event.kind == EventKind::Pending { Phase::Pending } else { Phase::Single };
            let before = self.transfers.insert(transfer.id, (*transfer, phase));
            assert!(before.is_none(), "a transfer is created once: {transfer:?}");
            if let Some(end) = transfer.expires_at() {
                self.expiring.insert((end, transfer.timestamp, transfer.id));
            }
            self.last.transfer = self.last.transfer.max(event.timestamp);
        } else {
            self.expiries.insert(event.timestamp);
            self.last.expiry = self.last.expiry.max(event.timestamp);
        }
        if let (Some(pending), Some(phase)) = (event.pending, event.kind.resolves_to()) {
            self.write_phase(pending.id, phase);
        }
        if let Some(history) = &mut self.history {
            if let Some(transfer) = event.transfer {
                history.transfers.insert(event.timestamp, transfer.id);
            }
            history.events.insert(event.timestamp, event.to_change_event());
        }
        self.remember(|| {
            let created = event.transfer.map(|transfer| transfer.id);
            let pending = event.pending.map(|pending| pending.id);
            Undo::Event(Box::new(UndoEvent { timestamp: event.timestamp, debit, credit, created, pending }))
        });
    }

    fn burn(&mut self, id: TransferId) {
        let new = self.burnt.insert(id);
        assert!(new && !self.transfers.contains_key(&id), "only a free id is burnt: {id}");
        self.remember(|| Undo::Burn(id));
    }

    fn savepoint(&mut self) -> MemorySavepoint {
        let savepoint = MemorySavepoint { undo: self.undo.len(), open: self.open, last: self.last };
        self.open += 1;
        savepoint
    }

    fn rollback(&mut self, savepoint: MemorySavepoint) {
        assert!(savepoint.open < self.open, "the savepoint is open");
        while self.undo.len() > savepoint.undo {
            if let Some(undo) = self.undo.pop() {
                self.take_back(undo);
            }
        }
        self.open = savepoint.open;
        self.last = savepoint.last;
    }

    fn release(&mut self, savepoint: MemorySavepoint) {
        assert_eq!(savepoint.open + 1, self.open, "savepoints close from the inside");
        self.open = savepoint.open;
        if self.open == 0 {
            self.undo.clear();
        }
    }
}

/// The first `limit` objects of a range of time that a filter asks for.
fn select<K: Copy, V>(
    index: &BTreeMap<Timestamp, K>,
    range: RangeInclusive<Timestamp>,
    reversed: bool,
    limit: u32,
    mut get: impl FnMut(&K) -> Option<V>,
) -> Vec<V> {
    let limit = limit as usize;
    let mut get = |(_, key): (&Timestamp, &K)| get(key);
    let objects = index.range(range);
    if reversed {
        objects.rev().filter_map(&mut get).take(limit).collect()
    } else {
        objects.filter_map(&mut get).take(limit).collect()
    }
}

impl MemoryStore {
    /// Transfers by time; of a compact store gathered for the occasion.
    fn transfers_by_time(&self) -> Cow<'_, BTreeMap<Timestamp, TransferId>> {
        match &self.history {
            Some(history) => Cow::Borrowed(&history.transfers),
            None => Cow::Owned(self.transfers.values().map(|(t, _)| (t.timestamp, t.id)).collect()),
        }
    }

    /// Accounts by time; of a compact store gathered for the occasion.
    fn accounts_by_time(&self) -> Cow<'_, BTreeMap<Timestamp, AccountId>> {
        match &self.history {
            Some(history) => Cow::Borrowed(&history.accounts),
            None => Cow::Owned(self.accounts.values().map(|a| (a.timestamp, a.id)).collect()),
        }
    }
}

impl Reads for MemoryStore {
    type Error = Infallible;

    fn lookup_accounts(&self, ids: &[AccountId]) -> Result<Vec<Account>, Infallible> {
        Ok(ids.iter().filter_map(|id| self.accounts.get(id)).copied().collect())
    }

    fn lookup_transfers(&self, ids: &[TransferId]) -> Result<Vec<Transfer>, Infallible> {
        Ok(ids.iter().filter_map(|id| self.transfers.get(id)).map(|(transfer, _)| *transfer).collect())
    }

    fn get_account_transfers(&self, filter: &AccountFilter) -> Result<Vec<Transfer>, Infallible> {
        let Some(range) = filter.range() else { return Ok(Vec::new()) };
        Ok(select(&self.transfers_by_time(), range, filter.is_reversed(), filter.limit, |id| {
            Some(self.transfers[id].0).filter(|transfer| filter.matches(transfer))
        }))
    }

    fn get_account_balances(&self, filter: &AccountFilter) -> Result<Vec<AccountBalance>, Infallible> {
        let (Some(range), Some(history)) = (filter.range(), &self.history) else { return Ok(Vec::new()) };
        Ok(select(&history.events, range, filter.is_reversed(), filter.limit, |event| {
            event.balance_for(filter)
        }))
    }

    fn query_accounts(&self, filter: &QueryFilter) -> Result<Vec<Account>, Infallible> {
        let Some(range) = filter.range() else { return Ok(Vec::new()) };
        Ok(select(&self.accounts_by_time(), range, filter.is_reversed(), filter.limit, |id| {
            Some(self.accounts[id]).filter(|account| filter.matches_account(account))
        }))
    }

    fn query_transfers(&self, filter: &QueryFilter) -> Result<Vec<Transfer>, Infallible> {
        let Some(range) = filter.range() else { return Ok(Vec::new()) };
        Ok(select(&self.transfers_by_time(), range, filter.is_reversed(), filter.limit, |id| {
            Some(self.transfers[id].0).filter(|transfer| filter.matches_transfer(transfer))
        }))
    }

    fn get_change_events(&self, filter: &ChangeEventsFilter) -> Result<Vec<ChangeEvent>, Infallible> {
        let (Some(range), Some(history)) = (filter.range(), &self.history) else { return Ok(Vec::new()) };
        Ok(select(&history.events, range, false, filter.limit, |event| Some(*event)))
    }
}
