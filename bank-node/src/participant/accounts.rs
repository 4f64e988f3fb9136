//! Customers' accounts and the floor: what an operator asks of the bank (R7, R13).

use hundi_ledger::{
    Account, AccountFlags, AccountId, Amount, Code, CreateAccountStatus, CreateTransferStatus, Store,
    Transfer, TransferFlags, TransferId, engine,
};
use hundi_protocol::{AccountName, Currency, Minor, PublicKey, UnixMillis};

use super::{Effect, Fault, Participant, ledger_failed};
use crate::books::{Books, Customer, OwnAccount, customer_account_id, ledger_code};
use crate::flaw::{Flaw, Flaws};

/// The `code` of customers' accounts.
const CUSTOMER: Code = Code(1);
/// The `code` of the bank's own accounts.
const OWN: Code = Code(2);
/// The `code` of deposits.
const DEPOSIT: Code = Code(2);
/// The `code` of the transfer that closes an account.
const CLOSING: Code = Code(3);

/// What an operator may ask.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AccountRequest {
    /// Opens an account. A repeat with the same currency and key is harmless.
    Open {
        /// Its name at this bank.
        name: AccountName,
        /// Its currency.
        currency: Currency,
        /// The key that signs orders to pay from it; without one it can only receive.
        key: Option<PublicKey>,
    },
    /// Pays cash in. A repeat with the same id and content is harmless.
    Deposit {
        /// The transfer's id.
        id: TransferId,
        /// The account.
        name: AccountName,
        /// How much, in minor units.
        amount: Minor,
    },
    /// Closes an empty account for good.
    Close {
        /// The account.
        name: AccountName,
    },
}

/// Why an [`AccountRequest`] is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum AccountRefusal {
    /// No account of this name.
    #[error("there is no account of this name")]
    Unknown,
    /// The name is taken with another currency or key.
    #[error("an account of this name is open with another currency or key")]
    Taken,
    /// Payments in doubt hold money on it (R13).
    #[error("payments in doubt hold money on the account; close it when they are settled")]
    HasHolds,
    /// There is money on it.
    #[error("there is money on the account; pay it out first")]
    NotEmpty,
    /// The account is closed.
    #[error("the account is closed")]
    Closed,
    /// The ledger refused a transfer.
    #[error("the ledger refused: {}", .0.as_str())]
    Ledger(CreateTransferStatus),
}

/// The answer to an [`AccountRequest`].
pub type AccountAnswer = Result<(), AccountRefusal>;

impl<B: Books, F: Flaws> Participant<B, F> {
    /// An operator's request; the answer comes as [`Effect::Answer`] with the same `ticket` when it is on disk.
    ///
    /// # Errors
    /// A [`Fault`] of this node itself; it must stop.
    pub fn handle_account_request(
        &mut self,
        now: UnixMillis,
        ticket: u64,
        request: &AccountRequest,
    ) -> Result<(), Fault<B::Error>> {
        let answer = match request {
            AccountRequest::Open { name, currency, key } => self.open_account(now, name, *currency, key)?,
            AccountRequest::Deposit { id, name, amount } => self.deposit(now, *id, name, *amount)?,
            AccountRequest::Close { name } => self.close_account(now, name)?,
        };
        self.outbox.push(Effect::Answer { ticket, answer });
        Ok(())
    }

    /// Raises the floor below which orders are refused without a record, and drops the refusals there (R7).
    /// It never falls; a lower value is ignored.
    pub fn handle_floor(&mut self, floor: UnixMillis) {
        if floor <= self.books.floor() {
            return;
        }
        if self.flaws.has(Flaw::DropWithoutFloor) {
            self.books.drop_payments(floor, false);
        } else {
            self.books.raise_floor(floor);
            if self.flaws.has(Flaw::DropYes) {
                self.books.drop_payments(floor, true);
            }
        }
        self.outbox.record();
    }

    fn open_account(
        &mut self,
        now: UnixMillis,
        name: &AccountName,
        currency: Currency,
        key: &Option<PublicKey>,
    ) -> Result<AccountAnswer, Fault<B::Error>> {
        if let Some(customer) = self.books.customer(name)? {
            let same = customer.currency == currency && customer.key == *key;
            return Ok(match (customer.closed, same) {
                (true, _) => Err(AccountRefusal::Closed),
                (false, true) => Ok(()),
                (false, false) => Err(AccountRefusal::Taken),
            });
        }
        let id = customer_account_id(self.books.customer_count());
        let mut accounts = Vec::with_capacity(1 + OwnAccount::ALL.len());
        if self.ledger_account(OwnAccount::Clearing.id(currency))?.is_none() {
            accounts.extend(
                OwnAccount::ALL.map(|own| account(own.id(currency), currency, OWN, AccountFlags::NONE)),
            );
        }
        accounts.push(account(id, currency, CUSTOMER, AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS));
        let at = self.next_timestamp(now, accounts.len());
        let results =
            engine::create_accounts(self.books.ledger(), at, &accounts).map_err(ledger_failed::<B>)?;
        assert!(
            results.iter().all(|result| result.status == CreateAccountStatus::Created),
            "account ids are handed out once: {results:?}"
        );
        self.books.put_customer(name, Customer { account: id, currency, key: *key, closed: false });
        self.outbox.record();
        Ok(Ok(()))
    }

    fn deposit(
        &mut self,
        now: UnixMillis,
        id: TransferId,
        name: &AccountName,
        amount: Minor,
    ) -> Result<AccountAnswer, Fault<B::Error>> {
        let Some(customer) = self.books.customer(name)? else { return Ok(Err(AccountRefusal::Unknown)) };
        if customer.closed {
            return Ok(Err(AccountRefusal::Closed));
        }
        let transfer = Transfer {
            id,
            debit_account_id: OwnAccount::Cash.id(customer.currency),
            credit_account_id: customer.account,
            amount: Amount(amount.0),
            ledger: ledger_code(customer.currency),
            code: DEPOSIT,
            ..Transfer::default()
        };
        Ok(match self.book(now, &[transfer])?[0].status {
            CreateTransferStatus::Created | CreateTransferStatus::Exists => Ok(()),
            status => Err(AccountRefusal::Ledger(status)),
        })
    }

    /// R13: an account with payment holds stays open, so a post always finds it.
    fn close_account(
        &mut self,
        now: UnixMillis,
        name: &AccountName,
    ) -> Result<AccountAnswer, Fault<B::Error>> {
        let Some(customer) = self.books.customer(name)? else { return Ok(Err(AccountRefusal::Unknown)) };
        if customer.closed {
            return Ok(Ok(()));
        }
        let account = self
            .ledger_account(customer.account)?
            .expect("a customer's account is in the ledger from its opening on");
        let held = account.debits_pending.0 != 0 || account.credits_pending.0 != 0;
        if held && !self.flaws.has(Flaw::CloseOverHolds) {
            return Ok(Err(AccountRefusal::HasHolds));
        }
        if account.credits_posted != account.debits_posted {
            return Ok(Err(AccountRefusal::NotEmpty));
        }
        let transfer = Transfer {
            id: closing_id(customer.account),
            debit_account_id: customer.account,
            credit_account_id: OwnAccount::Cash.id(customer.currency),
            ledger: ledger_code(customer.currency),
            code: CLOSING,
            flags: TransferFlags::PENDING | TransferFlags::CLOSING_DEBIT,
            ..Transfer::default()
        };
        let status = self.book(now, &[transfer])?[0].status;
        if status != CreateTransferStatus::Created {
            return Ok(Err(AccountRefusal::Ledger(status)));
        }
        self.books.put_customer(name, Customer { closed: true, ..(*customer).clone() });
        Ok(Ok(()))
    }
}

impl<B: Books, F: Flaws> Participant<B, F> {
    /// An account as it stands in the ledger.
    pub(super) fn ledger_account(&mut self, id: AccountId) -> Result<Option<Account>, Fault<B::Error>> {
        let ledger = self.books.ledger();
        let slot = ledger.find_account(id).map_err(ledger_failed::<B>)?;
        Ok(slot.map(|slot| *ledger.account(slot)))
    }
}

fn account(id: AccountId, currency: Currency, code: Code, flags: AccountFlags) -> Account {
    Account { id, ledger: ledger_code(currency), code, flags, ..Account::default() }
}

/// The id of the transfer that closes an account: apart from payments' ids, which start with a time, and
/// from deposits', which are UUIDs.
fn closing_id(account: AccountId) -> TransferId {
    TransferId(account.0)
}
