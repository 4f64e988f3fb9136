//! One bank: its books balance, its word is backed by entries, its outcomes by proofs.

use std::collections::BTreeMap;
use std::sync::Arc;

use hundi_bank_node::{
    AccountRecord, BankRecord, EntryRecord, OwnAccount, PaymentRecord, Step, ledger_code, transfer_id,
};
use hundi_ledger::{AccountId, Amount, EventKind};
use hundi_protocol::{
    AccountName, BankName, Currency, Decision, Digest, Direction, Leg, Outcome, Verified, Verifier, Vote,
    outcome_if_yes,
};

use super::findings::{BankFindings, Findings};
use super::{PaymentView, Payments};

/// Where one bank stands on one payment, as far as the others need to know.
#[derive(Debug)]
pub(super) struct Position {
    pub(super) decision: Decision,
    pub(super) settled: Option<Outcome>,
    /// The other banks' votes in its file, verified.
    pub(super) evidence: Vec<Verified<Vote>>,
    /// Posted on its clearing account for this payment: credits less debits, in minor units.
    pub(super) cleared: i128,
    /// Whether each of its legs is posted, exactly once.
    pub(super) posted: bool,
}

/// What the entries of one payment add up to, leg by leg.
#[derive(Debug, Default, Clone, Copy)]
struct LegState {
    pending: u32,
    posted: u32,
    voided: u32,
}

/// Checks one bank's record and enters its positions into `payments`.
pub(super) fn check(
    record: &BankRecord,
    verifier: &mut Verifier,
    payments: &mut Payments,
    findings: &mut Findings,
) {
    let bank = &record.bank;
    if let Some(damage) = &record.damage {
        findings.offend(Some(bank), None, damage);
    }
    let currencies: Vec<Currency> = {
        let mut all: Vec<_> = record.customers.iter().map(|customer| customer.currency).collect();
        all.sort_unstable();
        all.dedup();
        all
    };
    let books_balanced = check_books(record, &currencies, findings);
    let clearing = currencies.iter().map(|currency| (*currency, clearing_of(record, *currency))).collect();
    let in_flight = record.payments.iter().filter(|payment| payment.settled.is_none()).count();
    findings.banks.push(BankFindings {
        bank: bank.clone(),
        commits: record.commits,
        accounts: record.customers.len() as u64,
        payments: record.payments.len() as u64,
        in_flight: in_flight as u64,
        books_balanced,
        chain_ok: record.damage.is_none(),
        clearing,
    });

    let accounts: BTreeMap<&AccountName, (AccountId, Currency)> = record
        .customers
        .iter()
        .map(|customer| (&customer.name, (customer.account, customer.currency)))
        .collect();
    let mut entries: BTreeMap<Digest, Vec<&EntryRecord>> = BTreeMap::new();
    for entry in &record.entries {
        entries.entry(entry.payment).or_default().push(entry);
    }
    for payment in &record.payments {
        let digest = payment.order.digest();
        let own_entries = entries.remove(&digest).unwrap_or_default();
        let position = position(bank, &accounts, payment, &own_entries, verifier, findings);
        let view = payments
            .entry(digest)
            .or_insert_with(|| PaymentView { order: Arc::clone(&payment.order), positions: BTreeMap::new() });
        if view.positions.insert(bank.clone(), position).is_some() {
            findings.offend(Some(bank), Some(digest), "is on record twice");
        }
    }
    for (digest, entries) in entries {
        let what = format!("{} ledger entries and no vote on record", entries.len()); // R2
        findings.offend(Some(bank), Some(digest), what);
    }
}

/// R10: in each currency debits equal credits, posted and pending.
fn check_books(record: &BankRecord, currencies: &[Currency], findings: &mut Findings) -> bool {
    let ledger = |currency: Currency| u128::from(ledger_code(currency).0);
    let customers: BTreeMap<AccountId, u128> =
        record.customers.iter().map(|customer| (customer.account, ledger(customer.currency))).collect();
    // The bank's own accounts carry the ledger in their id, the customers' in their currency.
    let ledger_of = |account: &AccountRecord| match account.id.0 {
        own if own < 1 << 64 => Some(own >> 8),
        _ => customers.get(&account.id).copied(),
    };
    let mut sums: BTreeMap<u128, [u128; 4]> = BTreeMap::new();
    let mut balanced = true;
    for account in &record.accounts {
        let Some(ledger) = ledger_of(account) else {
            findings.offend(
                Some(&record.bank),
                None,
                format!("account {:032x} belongs to nobody", account.id.0),
            );
            balanced = false;
            continue;
        };
        let sum = sums.entry(ledger).or_default();
        let four =
            [account.debits_posted, account.credits_posted, account.debits_pending, account.credits_pending];
        for (sum, amount) in sum.iter_mut().zip(four) {
            match sum.checked_add(amount.0).filter(|total| *total <= SUM_MAX) {
                Some(total) => *sum = total,
                None => {
                    balanced = false; // R11
                    findings.offend(Some(&record.bank), None, "the sum of all accounts passes 126 bits");
                }
            }
        }
    }
    for (ledger, [debits, credits, debits_pending, credits_pending]) in sums {
        let name = currencies.iter().find(|currency| u128::from(ledger_code(**currency).0) == ledger);
        let name = name.map_or_else(|| format!("ledger {ledger}"), Currency::to_string);
        for (state, debits, credits) in
            [("posted", debits, credits), ("pending", debits_pending, credits_pending)]
        {
            if debits != credits {
                balanced = false;
                let what =
                    format!("{name}: {state} debits are {debits} and credits {credits}, which must be equal");
                findings.offend(Some(&record.bank), None, what);
            }
        }
    }
    balanced
}

/// Posted credits less posted debits of the clearing account.
fn clearing_of(record: &BankRecord, currency: Currency) -> i128 {
    let id = OwnAccount::Clearing.id(currency);
    let account = record.accounts.iter().find(|account| account.id == id);
    account.map_or(0, |account| signed(account.credits_posted).saturating_sub(signed(account.debits_posted)))
}

/// What all accounts of one bank may sum to: every signed sum below then fits.
const SUM_MAX: u128 = 1 << 126;

/// An amount with a sign to come. Above [`SUM_MAX`] an offence has been noted already, and the value is of no use.
fn signed(amount: Amount) -> i128 {
    i128::try_from(amount.0).unwrap_or(0)
}

fn position(
    bank: &BankName,
    accounts: &BTreeMap<&AccountName, (AccountId, Currency)>,
    payment: &PaymentRecord,
    entries: &[&EntryRecord],
    verifier: &mut Verifier,
    findings: &mut Findings,
) -> Position {
    let digest = payment.order.digest();
    if !payment.order.banks().contains(bank) {
        findings.offend(Some(bank), Some(digest), "the order does not name this bank");
    }
    let evidence = verified(bank, payment, verifier, findings);
    check_proof(bank, payment, &evidence, findings);
    let mut position =
        Position { decision: payment.decision, settled: payment.settled, evidence, cleared: 0, posted: true };
    let mut known = 0;
    let legs = payment.order.legs().iter().enumerate().filter(|(_, leg)| &leg.account.bank == bank);
    for (index, leg) in legs {
        let mut state = LegState::default();
        let account = accounts.get(&leg.account.name);
        for entry in entries {
            let Some(step) = step_of(payment, index, entry) else { continue };
            known += 1;
            if let Err(what) = check_entry(leg, account, entry, step) {
                findings.offend(Some(bank), Some(digest), format!("leg {index}: {what}"));
            }
            count(&mut state, entry.kind);
            let posts = matches!(entry.kind, EventKind::SinglePhase | EventKind::Posted);
            let clearing = OwnAccount::Clearing.id(leg.currency);
            if posts && entry.credit == clearing {
                position.cleared = position.cleared.saturating_add(signed(entry.amount));
            } else if posts && entry.debit == clearing {
                position.cleared = position.cleared.saturating_sub(signed(entry.amount));
            }
        }
        position.posted &= state.posted == 1;
        check_leg(bank, payment, index, state, findings);
    }
    if known != entries.len() {
        let what = format!("{} ledger entries are of no leg of the order", entries.len() - known);
        findings.offend(Some(bank), Some(digest), what);
    }
    position
}

/// Which step of a leg an entry is: its id says so.
fn step_of(payment: &PaymentRecord, leg: usize, entry: &EntryRecord) -> Option<Step> {
    [Step::Book, Step::Settle, Step::Late]
        .into_iter()
        .find(|step| transfer_id(&payment.order, leg, *step) == entry.id)
}

fn count(state: &mut LegState, kind: EventKind) {
    match kind {
        EventKind::Pending => state.pending += 1,
        EventKind::SinglePhase | EventKind::Posted => state.posted += 1,
        EventKind::Voided | EventKind::Expired => state.voided += 1,
    }
}

/// An entry moves exactly the leg's amount between the customer's account and clearing (R10, R11).
fn check_entry(
    leg: &Leg,
    account: Option<&(AccountId, Currency)>,
    entry: &EntryRecord,
    step: Step,
) -> Result<(), String> {
    if entry.amount.0 != leg.amount.0 {
        return Err(format!("moves {} and the order says {}", entry.amount, leg.amount));
    }
    if matches!(step, Step::Late) {
        return Ok(()); // R12: between other accounts, because a bank voted both ways.
    }
    let Some((account, _)) = account else { return Err(format!("{} has no account here", leg.account)) };
    let clearing = OwnAccount::Clearing.id(leg.currency);
    let (debit, credit) = match leg.direction {
        Direction::Debit => (*account, clearing),
        Direction::Credit => (clearing, *account),
    };
    if (entry.debit, entry.credit) != (debit, credit) {
        return Err(format!("is not between {} and clearing", leg.account));
    }
    Ok(())
}

/// What the record says happened is what the ledger has (R2, R4, R6).
fn check_leg(
    bank: &BankName,
    payment: &PaymentRecord,
    index: usize,
    state: LegState,
    findings: &mut Findings,
) {
    let LegState { pending, posted, voided } = state;
    let digest = Some(payment.order.digest());
    if posted > 1 {
        findings.executed_twice += 1;
        findings.offend(Some(bank), digest, format!("leg {index} is posted {posted} times"));
        return;
    }
    let fits = match (payment.decision, payment.settled) {
        (Decision::Yes, None) => (pending, posted, voided) == (1, 0, 0),
        // Posted at once, after a hold, or late (R12: after a void).
        (Decision::Yes, Some(Outcome::Commit)) => posted == 1 && pending <= 1 && voided <= pending,
        (Decision::Yes, Some(Outcome::Abort)) => (pending, posted, voided) == (1, 0, 1),
        (Decision::No(_), _) => (pending, posted, voided) == (0, 0, 0),
    };
    if !fits {
        let outcome = payment.settled.map_or_else(|| "in doubt".to_owned(), |outcome| outcome.to_string());
        let what = format!(
            "leg {index}: voted {}, {outcome}, but the ledger has {pending} pending, {posted} posted, {voided} voided",
            payment.decision
        );
        findings.offend(Some(bank), digest, what);
    }
}

/// The votes of other banks in the record, verified with the public keys.
fn verified(
    bank: &BankName,
    payment: &PaymentRecord,
    verifier: &mut Verifier,
    findings: &mut Findings,
) -> Vec<Verified<Vote>> {
    let digest = payment.order.digest();
    let mut votes = Vec::with_capacity(payment.evidence.len());
    for vote in &payment.evidence {
        match verifier.verify(vote.clone()) {
            Ok(vote) if vote.statement().payment == digest => votes.push(vote),
            Ok(_) => {
                findings.offend(Some(bank), Some(digest), "a vote on another payment is kept as its proof")
            }
            Err(error) => {
                findings.offend(Some(bank), Some(digest), format!("a vote kept as proof is not: {error}"))
            }
        }
    }
    votes
}

/// R4: an outcome on record is the one that the votes on record prove.
fn check_proof(
    bank: &BankName,
    payment: &PaymentRecord,
    evidence: &[Verified<Vote>],
    findings: &mut Findings,
) {
    let Some(settled) = payment.settled else {
        if !payment.decision.is_yes() {
            findings.offend(Some(bank), Some(payment.order.digest()), "voted NO and keeps it in doubt");
        }
        return;
    };
    let proven = match payment.decision {
        Decision::Yes => outcome_if_yes(&payment.order, Some(bank), evidence),
        Decision::No(_) => Some(Outcome::Abort), // Its own NO is the proof.
    };
    if proven == Some(settled) {
        findings.certificates_checked += 1;
    } else {
        let proven = proven.map_or_else(|| "nothing".to_owned(), |outcome| outcome.to_string());
        let what = format!("has {settled} on record, and the votes beside it prove {proven}");
        findings.offend(Some(bank), Some(payment.order.digest()), what);
    }
}
