//! The ledger in memory, ahead of the disk: what the engine reads and writes.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use rusqlite::Connection;

use super::balances::Sweep;
use super::changes::{Changes, Content, Flush, Written};
use super::entry::{Balances, Entry, Slot};
use super::error::ReadError;
use super::hasher::IdMap;
use super::ids::{Found, IdChanges, Ids, Runs, UndoId};
use super::lookup::Lookup;
use super::write::{Rows, write_rows};
use crate::{
    Account, AccountId, CommitSeq, Event, EventKind, Known, Last, Phase, Store, Timestamp, Transfer,
    TransferId,
};

/// An account in memory, with the time of its newest event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) account: Account,
    pub(super) head: Timestamp,
}

/// The events of a commit that memory still holds.
#[derive(Debug)]
struct Recent {
    seq: CommitSeq,
    entries: Arc<Vec<Entry>>,
    has_late: bool,
    first: Timestamp,
    last: Timestamp,
    /// The index of ids on disk is complete up to here.
    ids_from: Timestamp,
}

/// One write of the engine, with what is needed to take it back.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are the large one, and a box would cost an allocation each"
)]
enum Undo {
    Account {
        last: Last,
    },
    Apply {
        debit: (Balances, Timestamp),
        credit: (Balances, Timestamp),
        id: Option<UndoId>,
        last: Last,
        /// When the resolved pending transfer was to expire.
        expiry: Option<Timestamp>,
    },
    Burn(UndoId),
}

/// What of [`Options`](super::Options) the state needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tuning {
    pub(super) recent_events: usize,
    pub(super) lag_events: usize,
}

/// A place to roll back to.
#[derive(Clone, Copy, Debug)]
pub struct Savepoint {
    undo_length: usize,
    depth: u32,
}

/// The ledger's state, always at or ahead of what is on disk.
///
/// All accounts are in memory. Of transfers it holds the newest; the rest is read from the file when somebody asks.
/// It executes while [`Disk`](super::Disk) writes what was taken before:
///
/// 1. run the engine on it, any number of batches;
/// 2. [`State::take_changes`];
/// 3. [`Disk::commit`](super::Disk::commit) on any thread, in order;
/// 4. [`State::handle_durable`].
#[derive(Debug)]
pub struct State {
    pub(super) accounts: Vec<Held>,
    pub(super) by_id: IdMap<AccountId, Slot>,
    pub(super) ids: Ids,
    pub(super) runs: Runs,
    pub(super) sweep: Sweep,
    /// Open pending transfers with a timeout, by (expires_at, timestamp).
    pub(super) expiring: BTreeSet<(Timestamp, Timestamp)>,
    /// Pending transfers resolved by events that memory still holds, and the commit that did it.
    resolved: IdMap<u64, (Phase, CommitSeq)>,
    pub(super) last: Last,
    pub(super) lookup: Lookup,
    /// Burnt ids in all commits that were taken.
    pub(super) burnt_total: u64,
    recent: VecDeque<Recent>,
    recent_events: usize,
    /// Commits in `recent` with late events.
    recent_late: usize,
    pub(super) tuning: Tuning,
    next_seq: CommitSeq,
    durable: CommitSeq,
    // What the next commit will hold.
    new_accounts: Vec<Account>,
    entries: Vec<Entry>,
    /// Empty, to hold the events after those.
    spare: Vec<Entry>,
    late: Vec<usize>,
    burnt: Vec<TransferId>,
    undo: Vec<Undo>,
    savepoints: u32,
    pub(super) written: Written,
}

impl State {
    pub(super) fn new(lookup: Lookup, durable: CommitSeq, last: Last, tuning: Tuning) -> Self {
        Self {
            accounts: Vec::new(),
            by_id: IdMap::default(),
            ids: Ids::default(),
            runs: Runs::default(),
            sweep: Sweep::default(),
            expiring: BTreeSet::new(),
            resolved: IdMap::default(),
            last,
            lookup,
            burnt_total: 0,
            recent: VecDeque::new(),
            recent_events: 0,
            recent_late: 0,
            tuning,
            next_seq: CommitSeq(durable.0 + 1),
            durable,
            new_accounts: Vec::new(),
            entries: Vec::new(),
            spare: Vec::new(),
            late: Vec::new(),
            burnt: Vec::new(),
            undo: Vec::new(),
            savepoints: 0,
            written: Written::default(),
        }
    }

    /// Everything since the last call, to be committed. Commits must be written in this order, all of them.
    ///
    /// # Panics
    /// With a savepoint open.
    #[must_use]
    pub fn take_changes(&mut self) -> Changes {
        assert_eq!(self.savepoints, 0, "changes are taken between batches");
        let seq = self.next_seq;
        self.next_seq = CommitSeq(seq.0 + 1);
        let capacity = self.entries.len();
        let mut next = std::mem::take(&mut self.spare);
        next.reserve(capacity);
        let entries = Arc::new(std::mem::replace(&mut self.entries, next));
        let burnt = std::mem::take(&mut self.burnt);
        let accounts = std::mem::take(&mut self.new_accounts);
        let first_account = self.accounts.len() - accounts.len();
        let late = std::mem::take(&mut self.late);
        self.burnt_total += burnt.len() as u64;
        let last_event = self.last_event();
        let balances = if late.is_empty() {
            self.sweep.take(&self.accounts, entries.len(), last_event)
        } else {
            self.sweep.take_all(&self.accounts, last_event)
        };
        let changes = Changes {
            seq,
            first_account: Slot::at(first_account),
            content: Content::of(&accounts, &entries, &burnt),
            ids: IdChanges::collect((&mut self.ids, &mut self.runs), seq, &entries, &burnt, self.burnt_total),
            accounts,
            late,
            burnt,
            balances,
            balances_from: self.sweep.from,
            last: self.last,
            written: std::mem::take(&mut self.written),
            entries,
        };
        self.remember(&changes);
        changes
    }

    /// The balances that lag on disk, for [`Disk::flush`](super::Disk::flush).
    ///
    /// # Panics
    /// When there are changes that were not taken.
    #[must_use]
    pub fn take_flush(&mut self) -> Flush {
        assert!(!self.is_changed(), "changes are taken first");
        Flush {
            balances: self.sweep.take_all(&self.accounts, self.last_event()),
            balances_from: self.sweep.from,
        }
    }

    /// When the next pending transfer expires.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Timestamp> {
        self.expiring.first().map(|(expires_at, _)| *expires_at)
    }

    /// The time of the newest event.
    pub(super) fn last_event(&self) -> Timestamp {
        self.last.transfer.max(self.last.expiry)
    }

    /// Writes what has happened since the last call of this or of [`State::take_changes`] into an open transaction.
    pub(super) fn write_part(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let written = self.written;
        let first_account = self.accounts.len() - self.new_accounts.len() + written.accounts;
        let rows = Rows {
            first_account: Slot::at(first_account),
            accounts: &self.new_accounts[written.accounts..],
            entries: &self.entries[written.events..],
            burnt: &self.burnt[written.burnt..],
        };
        write_rows(connection, &rows)?;
        let (accounts, events, burnt) = (self.new_accounts.len(), self.entries.len(), self.burnt.len());
        self.written = Written { accounts, events, burnt };
        Ok(())
    }

    /// What is to be said after all commits that were taken so far: their last number.
    #[must_use]
    pub fn taken(&self) -> CommitSeq {
        CommitSeq(self.next_seq.0 - 1)
    }

    /// The last commit that is known to be on disk.
    #[must_use]
    pub fn durable(&self) -> CommitSeq {
        self.durable
    }

    /// Whether anything waits for [`State::take_changes`].
    #[must_use]
    pub fn is_changed(&self) -> bool {
        !self.new_accounts.is_empty() || !self.entries.is_empty() || !self.burnt.is_empty()
    }

    /// All commits up to `seq` are on disk: memory may forget what it held for them.
    ///
    /// # Panics
    /// When `seq` falls or was never taken.
    pub fn handle_durable(&mut self, seq: CommitSeq) {
        assert!(seq >= self.durable, "the log only grows");
        assert!(seq < self.next_seq, "commit {seq} was never taken");
        self.durable = seq;
        self.ids.handle_durable(seq);
        while self.recent_events > self.tuning.recent_events {
            match self.recent.pop_front_if(|recent| recent.seq <= seq) {
                Some(recent) => {
                    self.forget(&recent);
                    self.recycle(recent.entries);
                }
                None => break,
            }
        }
    }

    fn remember(&mut self, changes: &Changes) {
        if changes.entries.is_empty() {
            return;
        }
        let times = || changes.entries.iter().map(Entry::timestamp);
        let (Some(first), Some(last)) = (times().min(), times().max()) else { return };
        self.recent_events += changes.entries.len();
        self.recent_late += usize::from(!changes.late.is_empty());
        self.recent.push_back(Recent {
            seq: changes.seq,
            entries: Arc::clone(&changes.entries),
            has_late: !changes.late.is_empty(),
            first,
            last,
            ids_from: changes.ids.indexed.transfers.at,
        });
    }

    fn forget(&mut self, recent: &Recent) {
        self.recent_events -= recent.entries.len();
        self.recent_late -= usize::from(recent.has_late);
        self.ids.forget(recent.ids_from);
        for entry in recent.entries.iter().filter(|entry| entry.pending != Timestamp::ZERO) {
            if self.resolved.get(&entry.pending.0).is_some_and(|(_, seq)| *seq == recent.seq) {
                self.resolved.remove(&entry.pending.0);
            }
        }
    }

    /// Keeps the memory of a commit's events for a later one: megabytes of new memory cost as much as a tenth of the work.
    fn recycle(&mut self, entries: Arc<Vec<Entry>>) {
        if let Ok(mut entries) = Arc::try_unwrap(entries)
            && entries.capacity() > self.spare.capacity()
        {
            entries.clear();
            self.spare = entries;
        }
    }

    /// The event at that time, if memory holds it.
    fn held_entry(&self, at: Timestamp) -> Option<&Entry> {
        if let Some(entry) = find_entry(&self.entries, !self.late.is_empty(), at) {
            return Some(entry);
        }
        // Commits follow each other in time except where late events stand, which are rare: then look at all.
        let place = self.recent.partition_point(|recent| recent.last < at);
        let guess =
            self.recent.get(place).and_then(|recent| find_entry(&recent.entries, recent.has_late, at));
        if guess.is_some() || self.recent_late == 0 {
            return guess;
        }
        let mut holders = self.recent.iter().filter(|recent| recent.first <= at && at <= recent.last);
        holders.find_map(|recent| find_entry(&recent.entries, recent.has_late, at))
    }

    /// The event at that time; it must exist.
    pub(super) fn entry(&self, at: Timestamp) -> Result<Entry, ReadError> {
        match self.held_entry(at) {
            Some(entry) => Ok(*entry),
            None => {
                self.lookup.entry(at)?.ok_or_else(|| ReadError::Damaged(format!("event {at} is missing")))
            }
        }
    }

    pub(super) fn known(&self, id: TransferId) -> Result<Known, ReadError> {
        let at = match self.ids.find(id) {
            Found::Free => return Ok(Known::No),
            Found::At(at) => at,
            Found::AskDisk => match self.lookup.transfer_time(id, self.ids.may_be_in_run(id))? {
                None => return Ok(Known::No),
                Some(at) => at,
            },
        };
        if at == Timestamp::ZERO {
            return Ok(Known::Burnt);
        }
        let entry = self.entry(at)?;
        if entry.transfer.id != id {
            return Err(ReadError::Damaged(format!(
                "the index of ids leads from {id} to the event {at} of another"
            )));
        }
        Ok(Known::Yes(entry.transfer, self.phase(&entry)?))
    }

    fn phase(&self, entry: &Entry) -> Result<Phase, ReadError> {
        if entry.kind != EventKind::Pending {
            return Ok(Phase::Single);
        }
        let at = entry.timestamp();
        if let Some((phase, _)) = self.resolved.get(&at.0) {
            return Ok(*phase);
        }
        if self.held_entry(at).is_some() { Ok(Phase::Pending) } else { self.lookup.phase(at) }
    }

    fn hold(&mut self, slot: Slot, account: &Account, at: Timestamp) -> (Balances, Timestamp) {
        self.sweep.mark(slot);
        let held = &mut self.accounts[slot.index()];
        let before = (Balances::of(&held.account), held.head);
        held.account = *account;
        held.head = at;
        before
    }

    fn unhold(&mut self, slot: Slot, (balances, head): (Balances, Timestamp)) {
        let held = &mut self.accounts[slot.index()];
        balances.put(&mut held.account);
        held.head = head;
    }

    fn resolve(&mut self, event: &Event<'_>) -> Timestamp {
        let Some(phase) = event.kind.resolves_to() else { return Timestamp::ZERO };
        let pending = event.pending.expect("an event that resolves names what it resolves");
        if let Some(expires_at) = pending.expires_at() {
            self.expiring.remove(&(expires_at, pending.timestamp));
        }
        self.resolved.insert(pending.timestamp.0, (phase, self.next_seq));
        pending.timestamp
    }

    fn undo_one(&mut self, undo: Undo) {
        match undo {
            Undo::Account { last } => {
                let held = self.accounts.pop().expect("an account was inserted");
                self.by_id.remove(&held.account.id);
                self.new_accounts.pop();
                self.last = last;
            }
            Undo::Burn(undo) => {
                let id = self.burnt.pop().expect("an id was burnt");
                self.ids.undo(id, undo);
            }
            Undo::Apply { debit, credit, id, last, expiry } => {
                let entry = self.entries.pop().expect("an event was applied");
                self.unhold(entry.credit, credit);
                self.unhold(entry.debit, debit);
                if let Some(undo) = id {
                    self.ids.undo(entry.transfer.id, undo);
                }
                self.late.pop_if(|place| *place == self.entries.len());
                self.unresolve(&entry, expiry);
                self.last = last;
            }
        }
    }

    fn unresolve(&mut self, entry: &Entry, expiry: Option<Timestamp>) {
        if let Some(expires_at) = entry.transfer.expires_at() {
            self.expiring.remove(&(expires_at, entry.timestamp()));
        }
        if entry.pending != Timestamp::ZERO {
            self.resolved.remove(&entry.pending.0);
            self.expiring.extend(expiry.map(|expires_at| (expires_at, entry.pending)));
        }
    }
}

impl Store for State {
    type Error = ReadError;
    type Slot = Slot;
    type Savepoint = Savepoint;

    fn last(&self) -> Last {
        self.last
    }

    fn prefetch(&mut self, batch: &[Transfer]) -> Result<(), ReadError> {
        let ids = batch.iter().flat_map(|transfer| [transfer.id, transfer.pending_id]);
        let unknown = self.ids.unknown(ids);
        if unknown.len() < 2 {
            return Ok(()); // One can be asked when it is wanted.
        }
        let (lookup, ids) = (&self.lookup, &mut self.ids);
        lookup.scattered_times(&unknown, |id, at| {
            let in_run = at.is_none() && ids.may_be_in_run(id);
            ids.fetched(id, if in_run { lookup.rising_time(id)? } else { at });
            Ok(())
        })
    }

    fn find_account(&mut self, id: AccountId) -> Result<Option<Slot>, ReadError> {
        Ok(self.by_id.get(&id).copied())
    }

    fn account(&self, slot: Slot) -> &Account {
        &self.accounts[slot.index()].account
    }

    fn transfer(&mut self, id: TransferId) -> Result<Known, ReadError> {
        self.known(id)
    }

    fn is_taken(&mut self, timestamp: Timestamp) -> Result<bool, ReadError> {
        // Accounts are created in order of their timestamps, imported ones too.
        let account = self.accounts.binary_search_by_key(&timestamp, |held| held.account.timestamp);
        Ok(account.is_ok() || self.held_entry(timestamp).is_some() || self.lookup.has_event(timestamp)?)
    }

    fn due(&mut self, now: Timestamp, limit: usize, due: &mut Vec<Transfer>) -> Result<(), ReadError> {
        for (expires_at, at) in self.expiring.iter().take(limit) {
            if *expires_at > now {
                break;
            }
            due.push(self.entry(*at)?.transfer);
        }
        Ok(())
    }

    fn insert_account(&mut self, account: &Account) {
        let slot = Slot::at(self.accounts.len());
        self.accounts.push(Held { account: *account, head: Timestamp::ZERO });
        self.by_id.insert(account.id, slot);
        self.new_accounts.push(*account);
        if self.savepoints > 0 {
            self.undo.push(Undo::Account { last: self.last });
        }
        self.last.account = account.timestamp;
    }

    fn apply(&mut self, event: &Event<'_>, debit: Slot, credit: Slot) {
        let last = self.last;
        if event.timestamp <= self.last_event() {
            self.late.push(self.entries.len());
        }
        let debit_before = self.hold(debit, event.debit, event.timestamp);
        let credit_before = self.hold(credit, event.credit, event.timestamp);
        let id = event.transfer.map(|transfer| {
            self.last.transfer = self.last.transfer.max(event.timestamp);
            self.ids.insert(transfer.id, event.timestamp)
        });
        if let (EventKind::Pending, Some(transfer)) = (event.kind, event.transfer) {
            self.expiring.extend(transfer.expires_at().map(|expires_at| (expires_at, event.timestamp)));
        }
        if event.kind == EventKind::Expired {
            self.last.expiry = self.last.expiry.max(event.timestamp);
        }
        let pending = self.resolve(event);
        self.entries.push(Entry {
            transfer: written_transfer(event),
            kind: event.kind,
            debit,
            credit,
            debit_prev: debit_before.1,
            credit_prev: credit_before.1,
            pending,
            after_debit: Balances::of(event.debit),
            after_credit: Balances::of(event.credit),
        });
        if self.savepoints > 0 {
            let expiry = event.pending.and_then(Transfer::expires_at);
            self.undo.push(Undo::Apply { debit: debit_before, credit: credit_before, id, last, expiry });
        }
    }

    fn burn(&mut self, id: TransferId) {
        let undo = self.ids.burn(id);
        self.burnt.push(id);
        if self.savepoints > 0 {
            self.undo.push(Undo::Burn(undo));
        }
    }

    fn savepoint(&mut self) -> Savepoint {
        self.savepoints += 1;
        Savepoint { undo_length: self.undo.len(), depth: self.savepoints }
    }

    fn rollback(&mut self, savepoint: Savepoint) {
        while self.undo.len() > savepoint.undo_length {
            if let Some(undo) = self.undo.pop() {
                self.undo_one(undo);
            }
        }
        self.savepoints = savepoint.depth - 1;
    }

    fn release(&mut self, savepoint: Savepoint) {
        assert_eq!(self.savepoints, savepoint.depth, "the innermost savepoint is closed first");
        self.savepoints -= 1;
        if self.savepoints == 0 {
            self.undo.clear();
        }
    }
}

/// What the row of an event says: the new transfer, or what an expiry has of the pending one.
fn written_transfer(event: &Event<'_>) -> Transfer {
    match (event.transfer, event.pending) {
        (Some(transfer), _) => *transfer,
        (None, pending) => {
            let pending = pending.expect("an event without a transfer resolves one");
            Transfer {
                debit_account_id: pending.debit_account_id,
                credit_account_id: pending.credit_account_id,
                amount: pending.amount,
                pending_id: pending.id,
                ledger: pending.ledger,
                code: pending.code,
                timestamp: event.timestamp,
                ..Transfer::default()
            }
        }
    }
}

fn find_entry(entries: &[Entry], has_late: bool, at: Timestamp) -> Option<&Entry> {
    if has_late {
        return entries.iter().find(|entry| entry.timestamp() == at);
    }
    let first = entries.first()?.timestamp();
    // Within a batch timestamps follow each other closely: try the place where it would be without gaps.
    let guess = at.0.checked_sub(first.0).and_then(|guess| entries.get(usize::try_from(guess).ok()?));
    if let Some(entry) = guess
        && entry.timestamp() == at
    {
        return Some(entry);
    }
    entries.binary_search_by_key(&at, Entry::timestamp).ok().map(|place| &entries[place])
}
