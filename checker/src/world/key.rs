//! When two states of a node are the same: equal in everything that what follows can depend on.
//!
//! Left out are the timestamps of ledger entries (nothing in a payment reads them: holds have no timeout, and
//! for one that has, by a bug, the end of its time is in), when a wait ends (in the model any wait may end at any
//! time), how many disk writes came before, and the order and number of equal messages that leave together (a
//! wire is a set). A test walks both forms side by side and compares.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use hundi_bank_node::{Books, Effect, MemoryBooks};

use super::step::{BankUp, Body};

/// Two 64-bit hashes of the same content, seeded apart: at a million states of a node two different ones share a
/// key with a probability of about 10⁻²⁷.
struct Both(DefaultHasher, DefaultHasher);

impl Hasher for Both {
    fn write(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
        self.1.write(bytes);
    }
    fn finish(&self) -> u64 {
        self.0.finish()
    }
}

/// The key of a node's state.
pub(crate) fn key(node: usize, body: &Body) -> u128 {
    let mut second = DefaultHasher::new();
    second.write_u64(0x6875_6e64_6921_2121);
    let mut both = Both(DefaultHasher::new(), second);
    node.hash(&mut both);
    std::mem::discriminant(body).hash(&mut both);
    match body {
        Body::Bank(bank) => hash_bank(bank, &mut both),
        Body::BankDown { clock, disk } => {
            clock.hash(&mut both);
            hash_books(disk, &mut both);
        }
        Body::Courier(courier) => {
            (courier.clock, &courier.courier, &courier.remembered, &courier.disk).hash(&mut both);
        }
        Body::CourierDown { clock, disk } => (clock, disk).hash(&mut both),
        Body::Anybody { orders, votes } => (orders, votes).hash(&mut both),
        Body::Liar => {}
        Body::Stopped { why } => why.hash(&mut both),
    }
    u128::from(both.0.finish()) << 64 | u128::from(both.1.finish())
}

fn hash_bank(bank: &BankUp, state: &mut impl Hasher) {
    let BankUp { clock, participant, disk, writing } = bank;
    clock.hash(state);
    hash_books(disk, state);
    writing.is_some().hash(state);
    if let Some((_, books)) = writing {
        hash_books(books, state);
    }
    hash_books(participant.books(), state);
    participant.has_uncut().hash(state);
    let held: BTreeSet<(u64, &Effect)> = participant.held().collect();
    held.hash(state);
    participant.gathered().hash(state);
    let doubts: BTreeSet<_> = participant.doubts().map(|(_, digest)| digest).collect();
    doubts.hash(state);
}

fn hash_books(books: &MemoryBooks, state: &mut impl Hasher) {
    let ledger = books.ledger_ref();
    for account in ledger.accounts() {
        let balances =
            (account.debits_pending, account.debits_posted, account.credits_pending, account.credits_posted);
        (account.id, balances, account.ledger, account.code, account.flags).hash(state);
    }
    for (transfer, phase) in ledger.transfers() {
        (transfer.expires_at(), phase).hash(state);
        hundi_ledger::Transfer { timestamp: hundi_ledger::Timestamp(0), ..*transfer }.hash(state);
    }
    ledger.burnt().for_each(|id| id.hash(state));
    (books.customers(), books.payments(), books.floor(), books.double_votes()).hash(state);
}
