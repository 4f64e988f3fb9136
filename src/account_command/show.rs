//! Accounts as an operator sees them.

use hundi_protocol::{AccountView, Minor};
use serde::Serialize;

use crate::console;
use crate::orders::{format_amount, minor_digits};

/// A listing as JSON.
#[derive(Serialize)]
pub(super) struct Accounts {
    pub(super) accounts: Vec<Row>,
    pub(super) in_doubt: InDoubt,
}

/// Payments that the bank voted YES on and does not know the outcome of.
#[derive(Serialize)]
pub(super) struct InDoubt {
    pub(super) payments: u64,
    pub(super) oldest_ms: u64,
}

/// One account as JSON: amounts in minor units, as strings.
#[derive(Serialize)]
pub(super) struct Row {
    account: String,
    currency: String,
    minor_digits: Option<usize>,
    debits_pending: String,
    debits_posted: String,
    credits_pending: String,
    credits_posted: String,
    closed: bool,
}

impl Row {
    pub(super) fn of(view: &AccountView) -> Self {
        Self {
            account: view.account.to_string(),
            currency: view.currency.to_string(),
            minor_digits: minor_digits(view.currency),
            debits_pending: view.debits_pending.to_string(),
            debits_posted: view.debits_posted.to_string(),
            credits_pending: view.credits_pending.to_string(),
            credits_posted: view.credits_posted.to_string(),
            closed: view.closed,
        }
    }
}

/// Prints accounts, one a line.
pub(super) fn say(views: &[AccountView]) {
    let head = ["account", "balance", "held", "announced", ""];
    console::say(
        format_args!("{:<24} {:>22} {:>18} {:>18} {}", head[0], head[1], head[2], head[3], head[4])
            .to_string()
            .trim_end(),
    );
    for view in views {
        let money = |amount| format_amount(amount, view.currency);
        // The ledger never lets a customer's debits pass its credits.
        let balance = Minor(view.credits_posted.0.saturating_sub(view.debits_posted.0));
        let state = if view.closed { "closed" } else { "" };
        let line = format!(
            "{:<24} {:>22} {:>18} {:>18} {state}",
            view.account.as_str(),
            money(balance),
            money(view.debits_pending),
            money(view.credits_pending)
        );
        console::say(line.trim_end());
    }
}
