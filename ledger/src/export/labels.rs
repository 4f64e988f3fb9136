//! What people call accounts and currencies: a ledger itself only knows numbers.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::sqlite::{ReadError, Snapshot};
use crate::{AccountId, Amount, Currencies, Currency, LedgerCode, Reads as _};

use super::ExportError;
use super::decimal::{Decimal, Net};

/// Names of accounts and currencies of ledgers, for people and exports. What has no name shows its number.
///
/// What a file says with [`Tx::set_currency`](crate::sqlite::Tx::set_currency) counts. A ledger without a currency of its own has the one of ISO 4217 whose numeric code it is (ledger 356 is INR), and if
/// there is none, an asset without minor digits that is named after it: ledger 7 holds `L7`.
#[derive(Clone, Debug)]
pub struct Labels {
    names: BTreeMap<AccountId, String>,
    currencies: BTreeMap<LedgerCode, Currency>,
    iso: Currencies,
}

impl Default for Labels {
    fn default() -> Self {
        Self { names: BTreeMap::new(), currencies: BTreeMap::new(), iso: Currencies::iso() }
    }
}

impl Labels {
    /// No names.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The names and currencies that a file holds.
    ///
    /// # Errors
    /// When the file cannot be read, or gives accounts of one ledger different currencies.
    pub fn read(file: &Snapshot) -> Result<Self, ExportError<ReadError>> {
        let mut labels = Self::new();
        file.currencies()
            .map_err(ExportError::Read)?
            .into_iter()
            .for_each(|known| labels.set_currency(known));
        for named in file.names().map_err(ExportError::Read)? {
            labels.names.insert(named.account, named.name);
            let Some(code) = named.currency else { continue };
            let accounts = file.lookup_accounts(&[named.account]).map_err(ExportError::Read)?;
            for account in accounts {
                let is_code = Currency::new(&code, account.ledger, 0).is_ok();
                if is_code && !labels.set_currency_code(account.ledger, &code) {
                    let (ledger, other) = (account.ledger, labels.currency(account.ledger));
                    return Err(ExportError::Format(format!(
                        "account {}: its currency is {code}, but others of ledger {ledger} are in {other}",
                        account.id
                    )));
                }
            }
        }
        Ok(labels)
    }

    /// Gives an account a name.
    pub fn name_account(&mut self, account: impl Into<AccountId>, name: impl Into<String>) {
        self.names.insert(account.into(), name.into());
    }

    /// Says what the currency's ledger counts.
    pub fn set_currency(&mut self, currency: Currency) {
        self.currencies.insert(currency.ledger(), currency);
    }

    /// Says what a ledger counts by the currency's code alone: one of ISO 4217, or an asset without minor digits.
    /// A ledger has one currency: `false` if it already had another one, which stays, or if the code cannot be one.
    pub fn set_currency_code(&mut self, ledger: LedgerCode, code: &str) -> bool {
        let digits = Currency::iso(code).map_or(0, |currency| currency.minor_digits());
        let Ok(currency) = Currency::new(code, ledger, digits) else { return false };
        self.currencies.entry(ledger).or_insert(currency).code() == code
    }

    /// The account's name, or its id.
    #[must_use]
    pub fn name(&self, account: AccountId) -> Cow<'_, str> {
        match self.names.get(&account) {
            Some(name) => Cow::Borrowed(name),
            None => Cow::Owned(account.to_string()),
        }
    }

    /// The account of that name.
    #[must_use]
    pub fn account(&self, name: &str) -> Option<AccountId> {
        self.names.iter().find(|(_, known)| *known == name).map(|(account, _)| *account)
    }

    /// What a ledger counts.
    ///
    /// # Panics
    /// Never for a ledger that holds accounts: ledger 0 holds none.
    #[must_use]
    pub fn currency(&self, ledger: LedgerCode) -> Currency {
        let known = self.currencies.get(&ledger).copied();
        known.or_else(|| self.iso.by_ledger(ledger)).unwrap_or_else(|| {
            Currency::new(&format!("L{ledger}"), ledger, 0).expect("`L` and ten digits are a code")
        })
    }

    /// An amount of a ledger as a plain decimal.
    #[must_use]
    pub fn decimal(&self, ledger: LedgerCode, amount: Amount) -> Decimal {
        self.net(ledger, Net::debit(amount))
    }

    /// A signed amount of a ledger as a plain decimal.
    #[must_use]
    pub fn net(&self, ledger: LedgerCode, net: Net) -> Decimal {
        Decimal { net, minor_digits: self.currency(ledger).minor_digits() }
    }
}
