//! Creating an account.

use super::{Event, Outcome, is_int_max};
use crate::CreateAccountStatus::{self as Status, *};
use crate::{Account, AccountFlags, Amount, Code, CreateAccountResult, LedgerCode, Store, Timestamp};

impl Event for Account {
    type Status = Status;
    type Result = CreateAccountResult;

    const CREATED: Status = Created;
    const LINKED_EVENT_FAILED: Status = LinkedEventFailed;
    const LINKED_EVENT_CHAIN_OPEN: Status = LinkedEventChainOpen;
    const IMPORTED_EVENT_EXPECTED: Status = ImportedEventExpected;
    const IMPORTED_EVENT_NOT_EXPECTED: Status = ImportedEventNotExpected;
    const TIMESTAMP_MUST_BE_ZERO: Status = TimestampMustBeZero;
    const IMPORTED_EVENT_TIMESTAMP_OUT_OF_RANGE: Status = ImportedEventTimestampOutOfRange;
    const IMPORTED_EVENT_TIMESTAMP_MUST_NOT_ADVANCE: Status = ImportedEventTimestampMustNotAdvance;

    fn is_linked(&self) -> bool {
        self.flags.contains(AccountFlags::LINKED)
    }

    fn is_imported(&self) -> bool {
        self.flags.contains(AccountFlags::IMPORTED)
    }

    fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    fn with_timestamp(mut self, timestamp: Timestamp) -> Self {
        self.timestamp = timestamp;
        self
    }

    fn result(status: Status, timestamp: Timestamp) -> CreateAccountResult {
        CreateAccountResult { status, timestamp }
    }

    fn create<S: Store>(&self, store: &mut S) -> Result<Outcome<Status>, S::Error> {
        if let Err(status) = check_id(self) {
            return Ok((status, None));
        }
        if let Some(slot) = store.find_account(self.id)? {
            let original = store.account(slot);
            return Ok(match check_repeat(self, original) {
                Ok(()) => (Exists, Some(original.timestamp)),
                Err(status) => (status, None),
            });
        }
        if let Err(status) = check_fields(self) {
            return Ok((status, None));
        }
        if self.is_imported() && (self.timestamp <= store.last().account || store.is_taken(self.timestamp)?) {
            return Ok((ImportedEventTimestampMustNotRegress, None));
        }
        store.insert_account(self);
        Ok((Created, Some(self.timestamp)))
    }

    fn refused<S: Store>(&self, _store: &mut S, _status: Status) {
        // No refusal of an account passes with time, so no id of an account is burnt.
    }
}

/// What comes before the look-up of the id.
fn check_id(account: &Account) -> Result<(), Status> {
    require!(account.reserved == 0, ReservedField);
    require!(account.flags.reserved_bits() == 0, ReservedFlag);
    require!(account.id.0 != 0, IdMustNotBeZero);
    require!(!is_int_max(account.id.0), IdMustNotBeIntMax);
    Ok(())
}

/// Whether a repeat asks for what is there. Balances and timestamp are not compared: the ledger sets them.
fn check_repeat(repeat: &Account, original: &Account) -> Result<(), Status> {
    require!(repeat.flags == original.flags, ExistsWithDifferentFlags);
    require!(repeat.user_data_128 == original.user_data_128, ExistsWithDifferentUserData128);
    require!(repeat.user_data_64 == original.user_data_64, ExistsWithDifferentUserData64);
    require!(repeat.user_data_32 == original.user_data_32, ExistsWithDifferentUserData32);
    require!(repeat.ledger == original.ledger, ExistsWithDifferentLedger);
    require!(repeat.code == original.code, ExistsWithDifferentCode);
    Ok(())
}

fn check_fields(account: &Account) -> Result<(), Status> {
    let both_limits =
        AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS.with(AccountFlags::CREDITS_MUST_NOT_EXCEED_DEBITS);
    require!(!account.flags.contains(both_limits), FlagsAreMutuallyExclusive);
    require!(account.debits_pending == Amount::ZERO, DebitsPendingMustBeZero);
    require!(account.debits_posted == Amount::ZERO, DebitsPostedMustBeZero);
    require!(account.credits_pending == Amount::ZERO, CreditsPendingMustBeZero);
    require!(account.credits_posted == Amount::ZERO, CreditsPostedMustBeZero);
    require!(account.ledger != LedgerCode::ZERO, LedgerMustNotBeZero);
    require!(account.code != Code::ZERO, CodeMustNotBeZero);
    Ok(())
}
