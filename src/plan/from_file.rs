//! The plan of an orders file: every account it names, every payer funded with exactly what it pays.

use std::collections::BTreeMap;

use hundi_protocol::{AccountRef, Credit, Currency, Minor, OrderFields, UnixMillis};

use super::{Fate, Plan, PlannedAccount, PlannedPayment, demo_key, expires_at, order_id};
use crate::failure::Failure;
use crate::orders::OrdersFile;

/// Plans all orders of a file, in which every account has one currency.
///
/// # Errors
/// When the sum of a payer's orders is too large to count.
pub(crate) fn from_file(file: &OrdersFile, seed: u64, now: UnixMillis) -> Result<Plan, Failure> {
    let mut places: BTreeMap<&AccountRef, usize> = BTreeMap::new();
    let mut accounts: Vec<PlannedAccount> = Vec::new();
    let mut place = |account, currency: Currency, accounts: &mut Vec<PlannedAccount>| -> usize {
        let place = *places.entry(account).or_insert(accounts.len());
        if place == accounts.len() {
            let key = demo_key(seed, account);
            let deposit = Minor::ZERO;
            accounts.push(PlannedAccount { account: account.clone(), currency, key, deposit, closed: false });
        }
        place
    };
    let mut payments = Vec::with_capacity(file.orders.len());
    for (n, order) in file.orders.iter().enumerate() {
        let signer = place(&order.payer, order.currency, &mut accounts);
        place(&order.payee, order.currency, &mut accounts);
        let deposit = accounts[signer].deposit.checked_add(order.amount); // R11
        accounts[signer].deposit = deposit
            .ok_or_else(|| Failure::input(format_args!("the orders of {} sum to too much", order.payer)))?;
        let fields = OrderFields {
            id: order_id(now, seed, n, file.orders.len()),
            payer: order.payer.clone(),
            credits: vec![Credit { payee: order.payee.clone(), amount: order.amount }],
            currency: order.currency,
            expires_at: expires_at(now),
            note: order.purpose.clone(),
        };
        payments.push(PlannedPayment { fields, signer, fate: Fate::Paid });
    }
    Ok(Plan { banks: file.banks.keys().cloned().collect(), accounts, payments })
}
