//! The accounts and orders of a run: the same for Hundi and for what it is compared with.

use std::sync::Arc;

use hundi_protocol::{
    AccountRef, BankName, Credit, Currency, Minor, Order, OrderFields, OrderId, UnixMillis,
};

use crate::failure::Failure;
use crate::plan::{Fate, Plan, PlannedAccount, PlannedPayment, demo_key, order_id};

/// Customers of each bank.
pub(crate) const CUSTOMERS: u64 = 1_000;
/// The largest amount of one payment, in minor units.
pub(crate) const AMOUNT_MAX: u64 = 1_000;
/// What each customer has at the beginning: more than any run can pay.
pub(crate) const DEPOSIT: u64 = 1_000_000_000_000;
/// For how long the orders are good.
const EXPIRES_AFTER_MS: u64 = 24 * 60 * 60 * 1000;
/// Everything follows from it.
const SEED: u64 = 5;

/// Who pays whom how much: customers by bank and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Payment {
    pub(crate) payer: (u64, u64),
    pub(crate) payee: (u64, u64),
    pub(crate) amount: u64,
}

/// Makes payments between different banks: between any two customers, or from anybody to one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) banks: u64,
    /// All credits go to one account.
    pub(crate) hot: bool,
}

impl Load {
    /// The `n`th payment.
    pub(crate) fn payment(&self, n: u64) -> Payment {
        let mut state = n;
        let mut below = |bound: u64| {
            // SplitMix64: any place of the sequence without those before it.
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            (z ^ (z >> 31)) % bound
        };
        let to = if self.hot { (0, 0) } else { (below(self.banks), below(CUSTOMERS)) };
        let from = ((to.0 + 1 + below(self.banks - 1)) % self.banks, below(CUSTOMERS));
        Payment { payer: from, payee: to, amount: 1 + below(AMOUNT_MAX) }
    }

    /// The accounts to open.
    pub(super) fn accounts(&self) -> Result<Plan, Failure> {
        let currency: Currency = "INR".parse().map_err(Failure::input)?;
        let banks = (0..self.banks).map(bank_name).collect::<Result<Vec<_>, _>>()?;
        let mut accounts = Vec::new();
        for bank in 0..self.banks {
            for customer in 0..CUSTOMERS {
                let account = account_ref(bank, customer)?;
                let key = demo_key(SEED, &account);
                let deposit = Minor(u128::from(DEPOSIT));
                accounts.push(PlannedAccount { account, currency, key, deposit, closed: false });
            }
        }
        Ok(Plan { banks, accounts, payments: Vec::new() })
    }

    /// Signs the payments `first..first + count`, with ids that rise from `now` on.
    pub(super) fn sign(
        &self,
        plan: &mut Plan,
        first: u64,
        count: u64,
        now: UnixMillis,
    ) -> Result<Vec<Arc<Order>>, Failure> {
        let payments = (0..count).map(|n| self.planned(plan, first + n, n, count, now));
        let payments = payments.collect::<Result<Vec<_>, Failure>>()?;
        plan.payments = payments;
        plan.sign()
    }

    fn planned(
        &self,
        plan: &Plan,
        place: u64,
        n: u64,
        count: u64,
        now: UnixMillis,
    ) -> Result<PlannedPayment, Failure> {
        let Payment { payer, payee, amount } = self.payment(place);
        let signer = usize::try_from(payer.0 * CUSTOMERS + payer.1).map_err(Failure::input)?;
        let credits =
            vec![Credit { payee: account_ref(payee.0, payee.1)?, amount: Minor(u128::from(amount)) }];
        let fields = OrderFields {
            id: id(now, n, count)?,
            payer: plan.accounts[signer].account.clone(),
            credits,
            currency: plan.accounts[signer].currency,
            expires_at: UnixMillis(now.0 + EXPIRES_AFTER_MS),
            note: String::new(),
        };
        Ok(PlannedPayment { fields, signer, fate: Fate::Paid })
    }
}

/// Plans count ids back from the time that they are given: these are to begin there.
fn id(now: UnixMillis, n: u64, count: u64) -> Result<OrderId, Failure> {
    let (n, count) =
        (usize::try_from(n).map_err(Failure::input)?, usize::try_from(count).map_err(Failure::input)?);
    Ok(order_id(UnixMillis(now.0 + count as u64 / 16), now.0, n, count))
}

fn bank_name(n: u64) -> Result<BankName, Failure> {
    BankName::new(&format!("bank-{n:02}")).map_err(Failure::input)
}

fn account_ref(bank: u64, customer: u64) -> Result<AccountRef, Failure> {
    let name = format!("customer-{customer:04}").parse().map_err(Failure::input)?;
    Ok(AccountRef { name, bank: bank_name(bank)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payments_are_between_different_banks_and_use_all_of_them() {
        for banks in [2, 3, 16] {
            let load = Load { banks, hot: false };
            let mut seen = vec![(0, 0); banks as usize];
            for n in 0..10_000 {
                let payment = load.payment(n);
                assert_ne!(payment.payer.0, payment.payee.0);
                assert_eq!(payment, load.payment(n), "a run can be repeated");
                seen[payment.payer.0 as usize].0 += 1;
                seen[payment.payee.0 as usize].1 += 1;
            }
            assert!(seen.iter().all(|(from, to)| *from > 0 && *to > 0), "{seen:?}");
        }
        let hot = Load { banks: 3, hot: true };
        assert!((0..1_000).all(|n| hot.payment(n).payee == (0, 0)));
    }
}
