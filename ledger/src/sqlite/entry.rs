//! One event as it stands in memory, in the table `events` and in the commit chain.

use rusqlite::Row;
use rusqlite::types::ValueRef;

use super::error::ReadError;
use super::number;
use super::schema::{FLAG_CREDIT_CLOSED, FLAG_DEBIT_CLOSED, FLAG_EXPIRED};
use crate::{
    Account, AccountFlags, AccountId, Amount, Code, EventKind, LedgerCode, Timestamp, Transfer,
    TransferFlags, TransferId,
};

/// The place of an account in order of creation, from 0; `accounts.n` is one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot(pub(super) u32);

impl Slot {
    /// The number in the file.
    pub(super) fn number(self) -> i64 {
        i64::from(self.0) + 1
    }

    /// The slot of a number in the file.
    pub(super) fn from_number(number: i64) -> Result<Self, ReadError> {
        let slot = number.checked_sub(1).and_then(|slot| u32::try_from(slot).ok());
        slot.map(Self).ok_or_else(|| ReadError::Damaged(format!("account number {number} cannot be")))
    }

    /// The slot so many places further.
    pub(super) fn plus(self, places: usize) -> Self {
        Self::at(self.index() + places)
    }

    /// The slot of a place.
    ///
    /// # Panics
    /// At 2^32 accounts, which no memory holds.
    pub(super) fn at(place: usize) -> Self {
        Self(u32::try_from(place).expect("memory holds fewer than 2^32 accounts"))
    }

    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

/// What changes of an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Balances {
    pub(super) debits_pending: Amount,
    pub(super) debits_posted: Amount,
    pub(super) credits_pending: Amount,
    pub(super) credits_posted: Amount,
    pub(super) closed: bool,
}

impl Balances {
    pub(super) fn of(account: &Account) -> Self {
        Self {
            debits_pending: account.debits_pending,
            debits_posted: account.debits_posted,
            credits_pending: account.credits_pending,
            credits_posted: account.credits_posted,
            closed: account.flags.contains(AccountFlags::CLOSED),
        }
    }

    pub(super) fn put(&self, account: &mut Account) {
        account.debits_pending = self.debits_pending;
        account.debits_posted = self.debits_posted;
        account.credits_pending = self.credits_pending;
        account.credits_posted = self.credits_posted;
        account.flags = account.flags.without(AccountFlags::CLOSED);
        if self.closed {
            account.flags |= AccountFlags::CLOSED;
        }
    }
}

/// One event with all that its row holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// The new transfer. For an expiry: no id, the pending transfer's accounts, amount, ledger and code, its id as
    /// `pending_id`, and the time of the expiry.
    pub(super) transfer: Transfer,
    pub(super) kind: EventKind,
    pub(super) debit: Slot,
    pub(super) credit: Slot,
    /// The timestamps of the accounts' previous events; 0 for none.
    pub(super) debit_prev: Timestamp,
    pub(super) credit_prev: Timestamp,
    /// The timestamp of the pending transfer that this event resolves; 0 for none.
    pub(super) pending: Timestamp,
    pub(super) after_debit: Balances,
    pub(super) after_credit: Balances,
}

impl Entry {
    pub(super) fn timestamp(&self) -> Timestamp {
        self.transfer.timestamp
    }

    /// `events.flags`.
    pub(super) fn row_flags(&self) -> i64 {
        let mut flags = u32::from(self.transfer.flags.0);
        for (set, bit) in [
            (self.kind == EventKind::Expired, FLAG_EXPIRED),
            (self.after_debit.closed, FLAG_DEBIT_CLOSED),
            (self.after_credit.closed, FLAG_CREDIT_CLOSED),
        ] {
            if set {
                flags |= bit;
            }
        }
        i64::from(flags)
    }

    /// The account's previous event, and its balances after this one.
    pub(super) fn side(&self, slot: Slot) -> (Timestamp, &Balances) {
        if self.debit == slot {
            (self.debit_prev, &self.after_debit)
        } else {
            (self.credit_prev, &self.after_credit)
        }
    }

    /// A link to an earlier event as the row holds it: how far back, 0 for none.
    pub(super) fn link(&self, to: Timestamp) -> i64 {
        if to == Timestamp::ZERO { 0 } else { self.timestamp().0.cast_signed() - to.0.cast_signed() }
    }

    /// The bytes that enter the commit chain: 128, little-endian, in the order of the fields of [`Transfer`].
    pub(super) fn content(&self) -> [u8; 128] {
        let t = &self.transfer;
        let mut bytes = [0; 128];
        for (at, number) in
            [t.id.0, t.debit_account_id.0, t.credit_account_id.0, t.amount.0, t.pending_id.0, t.user_data_128]
                .iter()
                .enumerate()
        {
            bytes[at * 16..at * 16 + 16].copy_from_slice(&number.to_le_bytes());
        }
        bytes[96..104].copy_from_slice(&t.user_data_64.to_le_bytes());
        bytes[104..108].copy_from_slice(&t.user_data_32.to_le_bytes());
        bytes[108..112].copy_from_slice(&t.timeout.to_le_bytes());
        bytes[112..116].copy_from_slice(&t.ledger.0.to_le_bytes());
        bytes[116..118].copy_from_slice(&t.code.0.to_le_bytes());
        bytes[118..120].copy_from_slice(&t.flags.0.to_le_bytes());
        bytes[120..128].copy_from_slice(&t.timestamp.0.to_le_bytes());
        bytes
    }
}

/// The bytes of a new account that enter the commit chain: 128, little-endian, balances zero.
pub(super) fn account_content(account: &Account) -> [u8; 128] {
    let mut bytes = [0; 128];
    bytes[0..16].copy_from_slice(&account.id.0.to_le_bytes());
    bytes[80..96].copy_from_slice(&account.user_data_128.to_le_bytes());
    bytes[96..104].copy_from_slice(&account.user_data_64.to_le_bytes());
    bytes[104..108].copy_from_slice(&account.user_data_32.to_le_bytes());
    bytes[112..116].copy_from_slice(&account.ledger.0.to_le_bytes());
    bytes[116..118].copy_from_slice(&account.code.0.to_le_bytes());
    bytes[118..120].copy_from_slice(&account.flags.0.to_le_bytes());
    bytes[120..128].copy_from_slice(&account.timestamp.0.to_le_bytes());
    bytes
}

/// The columns that [`read_entry`] wants, to be followed by conditions on `e`.
pub(super) const SELECT_ENTRY: &str = "SELECT e.timestamp, e.id, e.debit, e.credit, e.amount, e.flags, e.code, \
    e.debit_prev, e.credit_prev, e.after_debit_debits_pending, e.after_debit_debits_posted, \
    e.after_debit_credits_pending, e.after_debit_credits_posted, e.after_credit_debits_pending, \
    e.after_credit_debits_posted, e.after_credit_credits_pending, e.after_credit_credits_posted, e.pending, \
    e.timeout, e.user_data_128, e.user_data_64, e.user_data_32, d.id, c.id, d.ledger, \
    CASE WHEN e.pending <> 0 THEN (SELECT p.id FROM events p WHERE p.timestamp = e.timestamp - e.pending) END \
    FROM events e JOIN accounts d ON d.n = e.debit JOIN accounts c ON c.n = e.credit ";

/// The event of a row of [`SELECT_ENTRY`].
pub(super) fn read_entry(row: &Row<'_>) -> Result<Entry, ReadError> {
    let timestamp = read_timestamp(row, 0)?;
    entry_of(row, timestamp).map_err(|error| match error {
        ReadError::Damaged(what) => ReadError::Damaged(format!("event {timestamp}: {what}")),
        other => other,
    })
}

fn entry_of(row: &Row<'_>, timestamp: Timestamp) -> Result<Entry, ReadError> {
    let row_flags: u32 = row.get(5)?;
    let known = u32::from(TransferFlags::ALL.0) | FLAG_EXPIRED | FLAG_DEBIT_CLOSED | FLAG_CREDIT_CLOSED;
    if row_flags & !known != 0 {
        return Err(ReadError::Damaged(format!("flags {row_flags:#x} cannot be")));
    }
    let flags = TransferFlags(row_flags as u16); // The high bits are the row's own.
    let kind = kind_of(row_flags, flags);
    let id = TransferId(read_id_or_zero(row, 1)?);
    if (id == TransferId::ZERO) != (kind == EventKind::Expired) {
        return Err(ReadError::Damaged("only an expiry has no id".into()));
    }
    let transfer = Transfer {
        id,
        debit_account_id: AccountId(read_id_or_zero(row, 22)?),
        credit_account_id: AccountId(read_id_or_zero(row, 23)?),
        amount: Amount(read_number(row, 4)?),
        pending_id: TransferId(read_id_or_zero(row, 25)?),
        user_data_128: read_id_or_zero(row, 19)?,
        user_data_64: narrow(read_number(row, 20)?)?,
        user_data_32: row.get(21)?,
        timeout: row.get(18)?,
        ledger: LedgerCode(row.get(24)?),
        code: Code(row.get(6)?),
        flags,
        timestamp,
    };
    Ok(Entry {
        transfer,
        kind,
        debit: Slot::from_number(row.get(2)?)?,
        credit: Slot::from_number(row.get(3)?)?,
        debit_prev: follow(timestamp, row.get(7)?)?,
        credit_prev: follow(timestamp, row.get(8)?)?,
        pending: follow(timestamp, row.get(17)?)?,
        after_debit: read_balances(row, 9, row_flags & FLAG_DEBIT_CLOSED != 0)?,
        after_credit: read_balances(row, 13, row_flags & FLAG_CREDIT_CLOSED != 0)?,
    })
}

fn kind_of(row_flags: u32, flags: TransferFlags) -> EventKind {
    if row_flags & FLAG_EXPIRED != 0 {
        EventKind::Expired
    } else if flags.contains(TransferFlags::POST_PENDING_TRANSFER) {
        EventKind::Posted
    } else if flags.contains(TransferFlags::VOID_PENDING_TRANSFER) {
        EventKind::Voided
    } else if flags.contains(TransferFlags::PENDING) {
        EventKind::Pending
    } else {
        EventKind::SinglePhase
    }
}

/// Where a link leads.
fn follow(from: Timestamp, back: i64) -> Result<Timestamp, ReadError> {
    if back == 0 {
        return Ok(Timestamp::ZERO);
    }
    let to = from.0.cast_signed().checked_sub(back).and_then(|to| u64::try_from(to).ok()).map(Timestamp);
    match to {
        Some(to) if to.is_valid() => Ok(to),
        _ => Err(ReadError::Damaged(format!("a link of {back} leads nowhere"))),
    }
}

/// A timestamp column.
pub(super) fn read_timestamp(row: &Row<'_>, column: usize) -> Result<Timestamp, ReadError> {
    let nanoseconds: i64 = row.get(column)?;
    match u64::try_from(nanoseconds) {
        Ok(nanoseconds) => Ok(Timestamp(nanoseconds)),
        Err(_) => Err(ReadError::Damaged(format!("timestamp {nanoseconds} is negative"))),
    }
}

/// A column with a number of any size.
pub(super) fn read_number(row: &Row<'_>, column: usize) -> Result<u128, ReadError> {
    number::parse(row.get_ref(column)?).map_err(|error| {
        ReadError::Damaged(format!("column {column}: not a number that the ledger writes: {error}"))
    })
}

/// A column of 16 bytes, big-endian so that ids sort; NULL is 0.
pub(super) fn read_id_or_zero(row: &Row<'_>, column: usize) -> Result<u128, ReadError> {
    match row.get_ref(column)? {
        ValueRef::Null => Ok(0),
        ValueRef::Blob(bytes) => match <[u8; 16]>::try_from(bytes) {
            Ok(bytes) => Ok(u128::from_be_bytes(bytes)),
            Err(_) => {
                Err(ReadError::Damaged(format!("column {column}: {} bytes instead of 16", bytes.len())))
            }
        },
        other => {
            Err(ReadError::Damaged(format!("column {column}: {} instead of 16 bytes", other.data_type())))
        }
    }
}

/// Four numbers from `column` on.
pub(super) fn read_balances(row: &Row<'_>, column: usize, closed: bool) -> Result<Balances, ReadError> {
    Ok(Balances {
        debits_pending: Amount(read_number(row, column)?),
        debits_posted: Amount(read_number(row, column + 1)?),
        credits_pending: Amount(read_number(row, column + 2)?),
        credits_posted: Amount(read_number(row, column + 3)?),
        closed,
    })
}

/// A number of at most 64 bits.
pub(super) fn narrow(number: u128) -> Result<u64, ReadError> {
    u64::try_from(number).map_err(|_| ReadError::Damaged(format!("{number} is more than 64 bits")))
}
