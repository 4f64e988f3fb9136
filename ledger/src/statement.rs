//! Statements: what an account held, every posted line, and what it held then.

use crate::export::Net;
use crate::{Account, AccountFilter, AccountId, Amount, Reads, Timestamp, Transfer, TransferFlags};

/// One line of a statement: a transfer that moved money, and the balance after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatementLine {
    /// The transfer: in one phase, or the post of a pending one.
    pub transfer: Transfer,
    /// Whether the account gave; else it received.
    pub is_debit: bool,
    /// The account's posted debits after it.
    pub debits_posted: Amount,
    /// The account's posted credits after it.
    pub credits_posted: Amount,
}

/// An account's posted transfers in a span of time, with running balances. What is only reserved is not in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The account, with its present balances.
    pub account: Account,
    /// The first instant.
    pub from: Timestamp,
    /// The last instant.
    pub to: Timestamp,
    /// Posted debits and credits just before `from`.
    pub opening: (Amount, Amount),
    /// By time.
    pub lines: Vec<StatementLine>,
}

impl StatementLine {
    /// The other account.
    #[must_use]
    pub fn counterparty(&self) -> AccountId {
        if self.is_debit { self.transfer.credit_account_id } else { self.transfer.debit_account_id }
    }

    /// Posted debits less posted credits after the line.
    #[must_use]
    pub fn balance(&self) -> Net {
        Net::of(self.debits_posted, self.credits_posted)
    }
}

impl Statement {
    /// Reads the statement of an account, both ends of the span included. `None` if there is no such account.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    ///
    /// # Panics
    /// When the account's transfers sum up beyond 128 bits: then the store contradicts itself.
    pub fn read<R: Reads>(
        ledger: &R,
        account: AccountId,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Option<Self>, R::Error> {
        let Some(account) = ledger.lookup_accounts(&[account])?.pop() else { return Ok(None) };
        let mut statement = Self { account, from, to, opening: Default::default(), lines: Vec::new() };
        let filter = AccountFilter { timestamp_max: to, ..AccountFilter::of(account.id, u32::MAX) };
        let (mut debits, mut credits) = (Amount::ZERO, Amount::ZERO);
        for transfer in ledger.get_account_transfers(&filter)?.into_iter().filter(moves) {
            let is_debit = transfer.debit_account_id == account.id;
            let side = if is_debit { &mut debits } else { &mut credits };
            *side = side.checked_add(transfer.amount).expect("the ledger refuses what overflows");
            if transfer.timestamp < from {
                statement.opening = (debits, credits);
            } else {
                let line =
                    StatementLine { transfer, is_debit, debits_posted: debits, credits_posted: credits };
                statement.lines.push(line);
            }
        }
        Ok(Some(statement))
    }

    /// Posted debits and credits at the end.
    #[must_use]
    pub fn closing(&self) -> (Amount, Amount) {
        self.lines.last().map_or(self.opening, |line| (line.debits_posted, line.credits_posted))
    }
}

/// Whether a transfer changes posted balances.
fn moves(transfer: &Transfer) -> bool {
    !transfer.flags.intersects(TransferFlags::PENDING | TransferFlags::VOID_PENDING_TRANSFER)
}
