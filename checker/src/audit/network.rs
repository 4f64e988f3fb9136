//! All banks: one outcome per payment, legs that match, clearing that sums to zero, nobody two-faced.

use std::collections::{BTreeMap, BTreeSet};

use hundi_bank_node::BankRecord;
use hundi_protocol::{
    AccountRef, BankName, Currency, Decision, Digest, DoubleVote, OrderId, Outcome, Signed, UnixMillis,
    Verified, Verifier, Vote,
};

use super::findings::Findings;
use super::{PaymentView, Payments};

/// Checks what no bank can show alone.
pub(super) fn check(
    banks: &[BankRecord],
    payments: &Payments,
    verifier: &mut Verifier,
    findings: &mut Findings,
) {
    let floors: BTreeMap<&BankName, UnixMillis> = banks.iter().map(|bank| (&bank.bank, bank.floor)).collect();
    let mut uncleared: BTreeMap<Currency, i128> = BTreeMap::new();
    let mut executed: BTreeMap<(&AccountRef, OrderId), Digest> = BTreeMap::new();
    let mut two_faced: BTreeSet<(Digest, BankName)> = BTreeSet::new();
    for (digest, view) in payments {
        check_match(*digest, view, findings);
        check_words(*digest, view, &floors, &mut two_faced, findings);
        let sum = uncleared.entry(view.order.currency()).or_default();
        *sum = view.positions.values().fold(*sum, |sum, position| sum.saturating_add(position.cleared));
        let payer = view.order.payer();
        let paid =
            view.positions.get(&payer.bank).is_some_and(|position| position.settled == Some(Outcome::Commit));
        if paid && let Some(other) = executed.insert((payer, view.order.id()), *digest) {
            findings.executed_twice += 1; // R1
            findings.offend(
                None,
                Some(*digest),
                format!("order {} of {payer} was also paid as {other}", view.order.id()),
            );
        }
    }
    for record in banks {
        for (yes, no) in &record.double_votes {
            match proven(yes, no, verifier) {
                Some((payment, bank)) => {
                    two_faced.insert((payment, bank));
                }
                None => findings.offend(
                    Some(&record.bank),
                    None,
                    "keeps a proof against a bank that proves nothing",
                ),
            }
        }
    }
    for (digest, bank) in &two_faced {
        findings.double_votes += 1;
        findings.offend(None, Some(*digest), format!("bank {bank} voted both YES and NO")); // R12
    }
    check_clearing(&uncleared, findings);
}

/// Whom the two votes prove to have voted both ways, and on which payment.
fn proven(yes: &Signed<Vote>, no: &Signed<Vote>, verifier: &mut Verifier) -> Option<(Digest, BankName)> {
    let yes = verifier.verify(yes.clone()).ok()?;
    let no = verifier.verify(no.clone()).ok()?;
    let proof = DoubleVote::of(&yes, &no)?;
    let vote = proof.yes().statement();
    Some((vote.payment, vote.bank.clone()))
}

/// R3: no bank has committed what another aborted; what is posted here is posted there, or under way.
fn check_match(digest: Digest, view: &PaymentView, findings: &mut Findings) {
    let outcomes: BTreeSet<Option<Outcome>> =
        view.positions.values().map(|position| position.settled).collect();
    let committed = outcomes.contains(&Some(Outcome::Commit));
    let open = outcomes.contains(&None);
    if committed && outcomes.contains(&Some(Outcome::Abort)) {
        findings.legs_unmatched += 1;
        let sides: Vec<String> =
            view.positions.iter().map(|(bank, position)| side(bank, position.settled)).collect();
        findings.offend(None, Some(digest), format!("split outcome: {}", sides.join(", ")));
        return;
    }
    if open {
        findings.in_flight += 1;
        return;
    }
    if committed {
        let missing: Vec<&str> = view
            .order
            .banks()
            .iter()
            .filter(|bank| !view.positions.get(*bank).is_some_and(|position| position.posted))
            .map(BankName::as_str)
            .collect();
        if !missing.is_empty() {
            findings.legs_unmatched += 1;
            findings.offend(
                None,
                Some(digest),
                format!("committed, and not posted at {}", missing.join(", ")),
            );
        }
    }
}

fn side(bank: &BankName, settled: Option<Outcome>) -> String {
    settled.map_or_else(|| format!("{bank} in doubt"), |outcome| format!("{bank} {outcome}"))
}

/// Holds each vote that another bank keeps against what the voter itself has on record (R2, R7, R12).
fn check_words(
    digest: Digest,
    view: &PaymentView,
    floors: &BTreeMap<&BankName, UnixMillis>,
    two_faced: &mut BTreeSet<(Digest, BankName)>,
    findings: &mut Findings,
) {
    let votes: Vec<&Verified<Vote>> =
        view.positions.values().flat_map(|position| &position.evidence).collect();
    for vote in &votes {
        let vote = vote.statement();
        if votes.iter().any(|other| contradicts(vote, other.statement())) {
            two_faced.insert((digest, vote.bank.clone()));
        }
        let own = view.positions.get(&vote.bank).map(|position| position.decision);
        match (vote.decision, own) {
            (Decision::Yes, Some(Decision::Yes)) | (Decision::No(_), Some(Decision::No(_))) => {}
            (Decision::No(_), None)
                if floors.get(&vote.bank).is_some_and(|floor| view.order.expires_at() <= *floor) => {} // R7
            (said, None) => {
                let what = format!("its signed vote {said} is with others and not in its own file");
                findings.offend(Some(&vote.bank), Some(digest), what);
            }
            (_, Some(_)) => {
                two_faced.insert((digest, vote.bank.clone()));
            }
        }
    }
}

fn contradicts(a: &Vote, b: &Vote) -> bool {
    a.bank == b.bank && a.decision.is_yes() != b.decision.is_yes()
}

/// R10: clearing over all banks is zero, but for payments that one bank has posted and another not yet.
fn check_clearing(uncleared: &BTreeMap<Currency, i128>, findings: &mut Findings) {
    let mut sums: BTreeMap<Currency, i128> = BTreeMap::new();
    for bank in &findings.banks {
        for (currency, sum) in &bank.clearing {
            let total = sums.entry(*currency).or_default();
            *total = total.saturating_add(*sum);
        }
    }
    for (currency, sum) in &sums {
        let expected = uncleared.get(currency).copied().unwrap_or_default();
        if *sum != expected {
            let what = format!(
                "clearing in {currency} sums to {sum} minor units over all banks; the payments half-way account for {expected}"
            );
            findings.offend(None, None, what);
        }
    }
    findings.clearing = sums;
}
