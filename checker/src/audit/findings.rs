//! What an audit found.

use std::collections::BTreeMap;
use std::fmt;

use hundi_protocol::{BankName, Currency, Digest};

/// How many offences are kept in words; the rest are only counted.
const OFFENCES_MAX: usize = 1_000;

/// One thing that must not be, in a line for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offence {
    /// In whose books, if in one bank's alone.
    pub bank: Option<BankName>,
    /// On which payment, if on one.
    pub payment: Option<Digest>,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(bank) = &self.bank {
            write!(f, "bank {bank}: ")?;
        }
        if let Some(payment) = &self.payment {
            write!(f, "payment {payment}: ")?;
        }
        f.write_str(&self.what)
    }
}

/// What was found in one bank's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BankFindings {
    /// Which bank.
    pub bank: BankName,
    /// Commits in its chain.
    pub commits: u64,
    /// Customers' accounts.
    pub accounts: u64,
    /// Payments that it has given its word on.
    pub payments: u64,
    /// Payments that it voted YES on and does not know the outcome of.
    pub in_flight: u64,
    /// Debits equal credits, posted and pending, in every currency (R10).
    pub books_balanced: bool,
    /// Balances and chain recompute from the first row.
    pub chain_ok: bool,
    /// Posted credits less posted debits of its clearing account, by currency, in minor units (R10).
    pub clearing: BTreeMap<Currency, i128>,
}

/// What an audit found over all banks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Bank by bank.
    pub banks: Vec<BankFindings>,
    /// The sum over all banks' clearing accounts, by currency, in minor units: zero when nothing is in flight (R10).
    pub clearing: BTreeMap<Currency, i128>,
    /// Payments that some bank holds for, or has settled while another has not yet.
    pub in_flight: u64,
    /// Payments that are done in one bank's books and not in another's, with nothing under way to mend it.
    pub legs_unmatched: u64,
    /// Outcomes whose proof was verified with the banks' public keys.
    pub certificates_checked: u64,
    /// Payments on which a bank is proven to have voted both ways (R12).
    pub double_votes: u64,
    /// Payments whose outcome a customer was told and that the books do not have.
    pub acknowledged_lost: u64,
    /// Orders that took place more than once.
    pub executed_twice: u64,
    /// What is wrong, in words: the first thousand.
    pub offences: Vec<Offence>,
    /// How many offences there are.
    pub offence_count: u64,
}

impl Findings {
    /// Whether nothing speaks against anybody.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.offence_count == 0
    }

    /// Whether every bank's debits equal its credits.
    #[must_use]
    pub fn books_balanced(&self) -> bool {
        self.banks.iter().all(|bank| bank.books_balanced)
    }

    /// Whether every bank's balances and chain recompute.
    #[must_use]
    pub fn chain_ok(&self) -> bool {
        self.banks.iter().all(|bank| bank.chain_ok)
    }

    /// The clearing sum for a report: of all currencies together, each of which should be zero.
    ///
    /// Sums of absolute values, so that two currencies cannot hide each other.
    #[must_use]
    pub fn clearing_sum(&self) -> i128 {
        match self.clearing.len() {
            0 => 0,
            1 => self.clearing.values().copied().sum(),
            _ => self.clearing.values().fold(0, |sum, one| sum.saturating_add(one.saturating_abs())),
        }
    }

    pub(super) fn offend(
        &mut self,
        bank: Option<&BankName>,
        payment: Option<Digest>,
        what: impl fmt::Display,
    ) {
        self.offence_count += 1;
        if self.offences.len() < OFFENCES_MAX {
            self.offences.push(Offence { bank: bank.cloned(), payment, what: what.to_string() });
        }
    }
}
