//! Tables of events and what must become of them.
//!
//! One line is one batch, unless `{` and `}` on lines of their own put several into one.
//!
//! ```text
//! account A flags=history              # account NAME [field=value …] [=> status]
//! transfer T1 A->B 80 flags=pending    # transfer NAME FROM->TO AMOUNT [field=value …] [=> status]
//! pend  T1 A->B 80 [timeout=1]         # the same, pending
//! post  T2 T1 [50]                     # post NAME PENDING [AMOUNT]; without an amount all
//! void  T3 T1 [80]
//! expire => T1 T4                      # an expiry pass at the clock, and what it must release
//! wait 5                               # the clock goes on by seconds
//! time 100                             # the clock stands at nanoseconds
//! balance A => 0/0/0/100               # debits pending/posted, credits pending/posted
//! ```
//!
//! `=> created` may be left out. Names stand for ids: `A` is account 1, `B` 2 …; `T7` is transfer 7; numbers are ids
//! too, and `max` is the largest. Accounts have ledger 1 and code 1, transfers too, unless a field says otherwise.

use hundi_ledger::{
    Account, AccountFlags, AccountId, Amount, Code, LedgerCode, MemoryStore, Reads, Store, Timestamp,
    Transfer, TransferFlags, TransferId, engine,
};

/// Runs a table on an empty ledger and fails with the first line that goes otherwise. Gives the ledger.
#[track_caller]
pub(crate) fn check(table: &str) -> MemoryStore {
    let mut run = Run { store: MemoryStore::new(), now: Timestamp(0), batch: None };
    for (number, line) in table.lines().enumerate() {
        let line = line.split('#').next().unwrap_or("").trim();
        if !line.is_empty()
            && let Err(problem) = run.line(line)
        {
            panic!("line {}: {line}\n  {problem}\n{table}", number + 1);
        }
    }
    assert!(run.batch.is_none(), "a batch is open at the end");
    run.store
}

enum Event {
    Account(Account),
    Transfer(Transfer),
}

struct Run {
    store: MemoryStore,
    now: Timestamp,
    /// The open batch, each event with the status that it must get.
    batch: Option<Vec<(Event, String)>>,
}

impl Run {
    fn line(&mut self, line: &str) -> Result<(), String> {
        let (left, right) = line.split_once("=>").unwrap_or((line, "created"));
        let mut words = left.split_whitespace();
        let verb = words.next().unwrap_or("");
        let rest: Vec<&str> = words.collect();
        let event = match verb {
            "{" => {
                self.batch = Some(Vec::new());
                return Ok(());
            }
            "}" => {
                let batch = self.batch.take().ok_or("no batch is open")?;
                return self.run(batch);
            }
            "wait" => {
                self.now.0 += number(rest[0])? as u64 * 1_000_000_000;
                return Ok(());
            }
            "time" => {
                self.now.0 = number(rest[0])? as u64;
                return Ok(());
            }
            "balance" => return self.balance(rest[0], right.trim()),
            "expire" => return self.expire(right),
            "account" => Event::Account(account(&rest)?),
            _ => Event::Transfer(transfer(verb, &rest)?),
        };
        let expected = right.trim().to_owned();
        match &mut self.batch {
            Some(batch) => batch.push((event, expected)),
            None => self.run(vec![(event, expected)])?,
        }
        Ok(())
    }

    fn run(&mut self, batch: Vec<(Event, String)>) -> Result<(), String> {
        self.now = engine::next_time(self.store.last(), self.now, batch.len());
        let (mut accounts, mut transfers, mut expected) = (Vec::new(), Vec::new(), Vec::new());
        for (event, status) in batch {
            expected.push(status);
            match event {
                Event::Account(account) => accounts.push(account),
                Event::Transfer(transfer) => transfers.push(transfer),
            }
        }
        assert!(accounts.is_empty() || transfers.is_empty(), "a batch has one kind");
        let mut got: Vec<String> = Vec::new();
        if !accounts.is_empty() {
            let results = engine::create_accounts(&mut self.store, self.now, &accounts).unwrap();
            got.extend(results.iter().map(|result| result.status.to_string()));
        } else {
            let results = engine::create_transfers(&mut self.store, self.now, &transfers).unwrap();
            got.extend(results.iter().map(|result| result.status.to_string()));
        }
        if got == expected { Ok(()) } else { Err(format!("expected {expected:?}, got {got:?}")) }
    }

    fn balance(&self, name: &str, expected: &str) -> Result<(), String> {
        let found = self.store.lookup_accounts(&[AccountId(account_id(name)?)]).unwrap();
        let account = found.first().ok_or("no such account")?;
        let got = format!(
            "{}/{}/{}/{}",
            account.debits_pending, account.debits_posted, account.credits_pending, account.credits_posted
        );
        if got == expected { Ok(()) } else { Err(format!("got {got}")) }
    }

    fn expire(&mut self, expected: &str) -> Result<(), String> {
        self.now = engine::next_time(self.store.last(), self.now, 0);
        let mut ids = Vec::new();
        for name in expected.split_whitespace() {
            ids.push(TransferId(transfer_id(name)?));
        }
        let got = engine::expire(&mut self.store, self.now).unwrap();
        if got == ids { Ok(()) } else { Err(format!("got {got:?}")) }
    }
}

/// `80`, `max`, `max-1`, `0x10`.
fn number(text: &str) -> Result<u128, String> {
    if let Some(less) = text.strip_prefix("max") {
        let less = if less.is_empty() { 0 } else { number(less.strip_prefix('-').ok_or("max or max-N")?)? };
        return Ok(u128::MAX - less);
    }
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u128::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|e| format!("{text}: {e}"))
}

fn small<T: TryFrom<u128>>(text: &str) -> Result<T, String> {
    T::try_from(number(text)?).map_err(|_| format!("{text} is too large"))
}

fn account_id(name: &str) -> Result<u128, String> {
    match name.as_bytes() {
        [letter @ b'A'..=b'Z'] => Ok(u128::from(letter - b'A') + 1),
        _ => number(name),
    }
}

fn transfer_id(name: &str) -> Result<u128, String> {
    number(name.strip_prefix('T').unwrap_or(name))
}

fn account(words: &[&str]) -> Result<Account, String> {
    let mut account = Account::new(account_id(words[0])?, 1, 1);
    for field in &words[1..] {
        let (key, value) = field.split_once('=').ok_or_else(|| format!("{field}: field=value"))?;
        match key {
            "flags" => {
                for name in value.split('|') {
                    account.flags |= match AccountFlags::by_name(name) {
                        Some(flag) => flag,
                        None => AccountFlags(small(name)?),
                    };
                }
            }
            "debits_pending" => account.debits_pending = Amount(number(value)?),
            "debits_posted" => account.debits_posted = Amount(number(value)?),
            "credits_pending" => account.credits_pending = Amount(number(value)?),
            "credits_posted" => account.credits_posted = Amount(number(value)?),
            "user_data_128" => account.user_data_128 = number(value)?,
            "user_data_64" => account.user_data_64 = small(value)?,
            "user_data_32" => account.user_data_32 = small(value)?,
            "reserved" => account.reserved = small(value)?,
            "ledger" => account.ledger = LedgerCode(small(value)?),
            "code" => account.code = Code(small(value)?),
            "timestamp" => account.timestamp = Timestamp(small(value)?),
            _ => return Err(format!("an account has no {key}")),
        }
    }
    Ok(account)
}

fn transfer(verb: &str, words: &[&str]) -> Result<Transfer, String> {
    let id = transfer_id(words[0])?;
    let plain = words.iter().take_while(|word| !word.contains('=')).count();
    let mut transfer = match (verb, &words[1..plain]) {
        ("transfer" | "pend", [accounts, amount]) => {
            let (from, to) = accounts.split_once("->").ok_or("FROM->TO")?;
            let mut transfer = Transfer::new(id, account_id(from)?, account_id(to)?, number(amount)?, 1, 1);
            if verb == "pend" {
                transfer.flags |= TransferFlags::PENDING;
            }
            transfer
        }
        ("post", [pending]) => Transfer::post(id, transfer_id(pending)?),
        ("post", [pending, amount]) => Transfer::post(id, transfer_id(pending)?).with_amount(number(amount)?),
        ("void", [pending]) => Transfer::void(id, transfer_id(pending)?),
        ("void", [pending, amount]) => Transfer::void(id, transfer_id(pending)?).with_amount(number(amount)?),
        _ => return Err("no such line".to_owned()),
    };
    for field in &words[plain..] {
        let (key, value) = field.split_once('=').ok_or_else(|| format!("{field}: field=value"))?;
        match key {
            "flags" => {
                for name in value.split('|') {
                    transfer.flags |= match TransferFlags::by_name(name) {
                        Some(flag) => flag,
                        None => TransferFlags(small(name)?),
                    };
                }
            }
            "debit" => transfer.debit_account_id = AccountId(account_id(value)?),
            "credit" => transfer.credit_account_id = AccountId(account_id(value)?),
            "pending" => transfer.pending_id = TransferId(transfer_id(value)?),
            "user_data_128" => transfer.user_data_128 = number(value)?,
            "user_data_64" => transfer.user_data_64 = small(value)?,
            "user_data_32" => transfer.user_data_32 = small(value)?,
            "timeout" => transfer.timeout = small(value)?,
            "ledger" => transfer.ledger = LedgerCode(small(value)?),
            "code" => transfer.code = Code(small(value)?),
            "timestamp" => transfer.timestamp = Timestamp(small(value)?),
            _ => return Err(format!("a transfer has no {key}")),
        }
    }
    Ok(transfer)
}
