//! Payments made up from a seed: most are paid, some must be refused, each for a reason of its own.

use hundi_protocol::{AccountRef, BankName, Credit, Currency, Minor, OrderFields, Reason, UnixMillis};

use super::random::Random;
use super::{Fate, Plan, PlannedAccount, PlannedPayment, demo_key, expires_at, order_id};
use crate::failure::Failure;

/// One payment in so many must be refused.
const REFUSED_EVERY: usize = 33;
/// One payment in so many is split between two payees, at two banks if there are.
const SPLIT_EVERY: usize = 50;
/// Up to this amount each, in minor units.
const AMOUNT_MAX: usize = 500_000;
/// The first banks' names; later ones are numbered.
const NAMES: [&str; 8] = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"];
/// Why payments are refused, in turn.
const REFUSALS: [Reason; 5] = [
    Reason::InsufficientFunds,
    Reason::UnknownAccount,
    Reason::AccountClosed,
    Reason::BadSignature,
    Reason::Expired,
];

/// What to make up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Generate {
    /// How many banks.
    pub(crate) banks: usize,
    /// How many payments.
    pub(crate) payments: usize,
    /// Everything follows from it.
    pub(crate) seed: u64,
    /// Whether some payments must be refused.
    pub(crate) refusals: bool,
}

/// Makes up a plan.
///
/// # Errors
/// When names or sums do not fit, which they always do for the sizes that the command line allows.
pub(crate) fn generate(what: Generate, now: UnixMillis) -> Result<Plan, Failure> {
    let currency: Currency = "INR".parse().map_err(Failure::input)?;
    let mut random = Random::of_seed(what.seed);
    let banks = (0..what.banks).map(bank_name).collect::<Result<Vec<_>, _>>()?;
    let customers = (what.payments / 100).clamp(10, 1000);
    let mut accounts = Vec::with_capacity(banks.len() * (customers + 1));
    for bank in &banks {
        for n in 0..=customers {
            // The last account of each bank is closed before the payments start.
            let closed = n == customers;
            let name = if closed { "closed".to_owned() } else { format!("customer-{n:04}") };
            let account = AccountRef { name: name.parse().map_err(Failure::input)?, bank: bank.clone() };
            let key = demo_key(what.seed, &account);
            accounts.push(PlannedAccount { account, currency, key, deposit: Minor::ZERO, closed });
        }
    }
    let mut maker = Maker { what, currency, customers, random: &mut random, accounts: &accounts, now };
    let mut payments = (0..what.payments).map(|n| maker.payment(n)).collect::<Result<Vec<_>, _>>()?;
    fund(&mut accounts, &payments)?;
    ask_too_much(&accounts, &mut payments)?;
    Ok(Plan { banks, accounts, payments })
}

fn bank_name(n: usize) -> Result<BankName, Failure> {
    let name = NAMES.get(n).map_or_else(|| format!("bank-{}", n + 1), |name| (*name).to_owned());
    BankName::new(&name).map_err(Failure::input)
}

struct Maker<'a> {
    what: Generate,
    currency: Currency,
    customers: usize,
    random: &'a mut Random,
    accounts: &'a [PlannedAccount],
    now: UnixMillis,
}

impl Maker<'_> {
    fn payment(&mut self, n: usize) -> Result<PlannedPayment, Failure> {
        let fate = self.fate(n);
        let payer = self.customer(None);
        let mut signer = payer;
        let mut payees = vec![self.customer(Some(payer))];
        if fate == Fate::Paid && n % SPLIT_EVERY == SPLIT_EVERY - 1 {
            let second = self.customer(Some(payer));
            if !payees.contains(&second) {
                payees.push(second);
            }
        }
        let mut expires_at = expires_at(self.now);
        let mut accounts: Vec<AccountRef> =
            payees.iter().map(|payee| self.accounts[*payee].account.clone()).collect();
        match fate {
            Fate::Refused(Reason::UnknownAccount) => {
                accounts[0].name = "nobody".parse().map_err(Failure::input)?;
            }
            Fate::Refused(Reason::AccountClosed) => {
                let closed = (payees[0] / (self.customers + 1)) * (self.customers + 1) + self.customers;
                accounts[0] = self.accounts[closed].account.clone();
            }
            Fate::Refused(Reason::BadSignature) => signer = self.customer(Some(payer)),
            Fate::Refused(Reason::Expired) => expires_at = UnixMillis(self.now.0.saturating_sub(60_000)),
            _ => {}
        }
        let credit = |payee| Credit { payee, amount: Minor(1 + self.random.below(AMOUNT_MAX) as u128) };
        let fields = OrderFields {
            id: order_id(self.now, self.what.seed, n, self.what.payments),
            payer: self.accounts[payer].account.clone(),
            credits: accounts.into_iter().map(credit).collect(),
            currency: self.currency,
            expires_at,
            note: format!("demo payment {n}"),
        };
        Ok(PlannedPayment { fields, signer, fate })
    }

    /// Refusals are spread evenly, each reason in turn.
    fn fate(&self, n: usize) -> Fate {
        let every = REFUSED_EVERY.min(self.what.payments / REFUSALS.len()).max(2);
        if !self.what.refusals || n % every != every - 1 {
            return Fate::Paid;
        }
        Fate::Refused(REFUSALS[(n / every) % REFUSALS.len()])
    }

    /// An open account of any bank, other than this one.
    fn customer(&mut self, other_than: Option<usize>) -> usize {
        loop {
            let place = self.random.below(self.accounts.len());
            if !self.accounts[place].closed && Some(place) != other_than {
                return place;
            }
        }
    }
}

fn total(fields: &OrderFields) -> Option<Minor> {
    fields.credits.iter().try_fold(Minor::ZERO, |sum, credit| sum.checked_add(credit.amount))
}

fn too_much() -> Failure {
    Failure::input("the payments sum to more than can be counted")
}

/// Every payer gets exactly the sum of its orders that are to be paid.
fn fund(accounts: &mut [PlannedAccount], payments: &[PlannedPayment]) -> Result<(), Failure> {
    for payment in payments.iter().filter(|payment| payment.fate == Fate::Paid) {
        let deposit = &mut accounts[payment.signer].deposit;
        *deposit = total(&payment.fields).and_then(|sum| deposit.checked_add(sum)).ok_or_else(too_much)?;
    }
    Ok(())
}

/// An order for more than its payer can ever have: all deposits of all accounts, and one more.
fn ask_too_much(accounts: &[PlannedAccount], payments: &mut [PlannedPayment]) -> Result<(), Failure> {
    let all = accounts.iter().try_fold(Minor(1), |sum, account| sum.checked_add(account.deposit));
    let all = all.ok_or_else(too_much)?;
    for payment in
        payments.iter_mut().filter(|payment| payment.fate == Fate::Refused(Reason::InsufficientFunds))
    {
        payment.fields.credits[0].amount = all;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_follows_from_its_seed_and_refuses_for_every_reason() {
        let what = Generate { banks: 3, payments: 1000, seed: 5, refusals: true };
        let now = UnixMillis(1_800_000_000_000);
        let plan = generate(what, now).unwrap();
        let again = generate(what, now).unwrap();
        assert!(plan.payments.iter().zip(&again.payments).all(|(a, b)| a.fields == b.fields));
        for reason in REFUSALS {
            let count = plan.payments.iter().filter(|payment| payment.fate == Fate::Refused(reason)).count();
            assert_eq!(count, 6, "{reason}");
        }
        assert!(plan.payments.iter().any(|payment| payment.fields.credits.len() == 2));
        let deposits: u128 = plan.accounts.iter().map(|account| account.deposit.0).sum();
        let paid = plan.payments.iter().filter(|payment| payment.fate == Fate::Paid);
        assert_eq!(deposits, paid.map(|payment| total(&payment.fields).unwrap().0).sum::<u128>());
        plan.sign().unwrap();
    }

    #[test]
    fn the_smallest_plan_is_a_plan() {
        let plan =
            generate(Generate { banks: 1, payments: 1, seed: 0, refusals: true }, UnixMillis(9_999_999));
        assert_eq!(plan.unwrap().sign().unwrap().len(), 1);
    }
}
