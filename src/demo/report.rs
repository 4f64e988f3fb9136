//! What a demo came to: one JSON object, or a page for a person.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hundi_checker::audit::Findings;
use hundi_protocol::{Currency, Minor, Order, Outcome};
use serde::Serialize;

use super::chaos::Kill;
use crate::audit_command::{self, AuditReport};
use crate::console;
use crate::driver::{Answer, Results};
use crate::failure::{Exit, Failure};
use crate::orders::{format_amount, thousands};
use crate::plan::{Fate, Plan};

/// The result of a demo.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    banks: usize,
    coordinators: u16,
    payments: usize,
    committed: usize,
    aborted: usize,
    unknown: usize,
    /// Of the one currency; of several, `null`, for they have no sum.
    committed_amount_minor: Option<String>,
    /// Of each currency.
    committed_amounts_minor: BTreeMap<String, String>,
    currency: String,
    kills: Vec<Kill>,
    seconds: f64,
    payments_per_second: u64,
    latency_ms: LatencyReport,
    refusals: BTreeMap<&'static str, u64>,
    audit: AuditReport,
    #[serde(skip)]
    committed_amounts: BTreeMap<Currency, Minor>,
    /// Payments that should have been paid and were refused, or the other way round.
    #[serde(skip)]
    surprises: Vec<String>,
    #[serde(skip)]
    repeats: u64,
    #[serde(skip)]
    findings: Findings,
}

#[derive(Debug, Serialize)]
struct LatencyReport {
    p50: f64,
    p99: f64,
    max: f64,
}

impl Report {
    /// Counts everything.
    pub(super) fn of(
        coordinators: u16,
        plan: &Plan,
        orders: &[Arc<Order>],
        results: &Results,
        kills: Vec<Kill>,
        findings: Findings,
    ) -> Self {
        let count = |outcome| results.answers.iter().filter(|answer| answer.outcome() == outcome).count();
        let mut refusals: BTreeMap<&'static str, u64> = BTreeMap::new();
        let mut amounts: BTreeMap<Currency, Minor> = BTreeMap::new();
        let mut surprises = Vec::new();
        for ((planned, order), answer) in plan.payments.iter().zip(orders).zip(&results.answers) {
            amounts.entry(order.currency()).or_default();
            match answer.outcome() {
                Some(Outcome::Commit) => {
                    let sum = amounts.entry(order.currency()).or_default();
                    // The payers were funded with these amounts, so their sum was counted before.
                    *sum = sum.checked_add(order.amount()).unwrap_or(*sum);
                }
                Some(Outcome::Abort) => *refusals.entry(reason(answer)).or_default() += 1,
                None => {}
            }
            surprises
                .extend(surprise(planned.fate, answer).map(|what| format!("{}: {what}", order.digest())));
        }
        let latencies = results.latencies();
        let (currency, committed_amount_minor) = match amounts.iter().next() {
            Some((currency, sum)) if amounts.len() == 1 => (currency.to_string(), Some(sum.to_string())),
            _ => (amounts.keys().map(Currency::to_string).collect::<Vec<_>>().join(","), None),
        };
        let answered = orders.len() - count(None);
        Self {
            banks: plan.banks.len(),
            coordinators,
            payments: orders.len(),
            committed: count(Some(Outcome::Commit)),
            aborted: count(Some(Outcome::Abort)),
            unknown: count(None),
            committed_amount_minor,
            committed_amounts_minor: amounts
                .iter()
                .map(|(currency, sum)| (currency.to_string(), sum.to_string()))
                .collect(),
            currency,
            kills,
            seconds: seconds(results.elapsed),
            payments_per_second: per_second(answered, results.elapsed),
            latency_ms: LatencyReport {
                p50: milliseconds(latencies.at(500)),
                p99: milliseconds(latencies.at(990)),
                max: milliseconds(latencies.max()),
            },
            refusals,
            audit: AuditReport::of(&findings),
            committed_amounts: amounts,
            surprises,
            repeats: results.repeats,
            findings,
        }
    }

    /// Whether the audit is ok and every outcome is known.
    pub(super) fn is_ok(&self) -> bool {
        self.findings.is_ok() && self.unknown == 0
    }

    /// Fails unless [`is_ok`](Self::is_ok).
    pub(super) fn verdict(&self) -> Result<(), Failure> {
        audit_command::verdict(&self.findings)?;
        match self.unknown {
            0 => Ok(()),
            unknown => {
                Err(Failure::new(Exit::No, format_args!("{unknown} payments have no known outcome in time")))
            }
        }
    }

    /// Prints a page for a person.
    pub(super) fn say(&self, files: &str) {
        let line = |head: &str, text: String| console::say(format_args!("  {head:<10}{text}"));
        let (banks, coordinators) = (self.banks, self.coordinators);
        let payments = thousands(self.payments);
        console::say(format_args!(
            "\n{payments} payments between {banks} banks over {coordinators} coordinators\n"
        ));
        let amounts: Vec<String> =
            self.committed_amounts.iter().map(|(currency, sum)| format_amount(*sum, *currency)).collect();
        line("paid", format!("{:>9}  {}", thousands(self.committed), amounts.join(", ")));
        line("refused", format!("{:>9}", thousands(self.aborted)));
        for (reason, count) in &self.refusals {
            line("", format!("{:>9}  {reason}: {}", thousands(count), explain(reason)));
        }
        line("unknown", format!("{:>9}", thousands(self.unknown)));
        console::say("");
        for kill in &self.kills {
            let Kill { node, role, back_after_ms, after_payments } = kill;
            let when = thousands(after_payments);
            line(
                "killed",
                format!("{role} {node} after {when} payments (SIGKILL); back after {back_after_ms} ms"),
            );
        }
        let LatencyReport { p50, p99, max } = self.latency_ms;
        let (rate, seconds) = (thousands(self.payments_per_second), self.seconds);
        line("speed", format!("{rate} payments/s for {seconds:.2} s, {} submissions again", self.repeats));
        line(
            "latency",
            format!("half within {p50:.1} ms, 99 of 100 within {p99:.1} ms, all within {max:.1} ms"),
        );
        for surprise in self.surprises.iter().take(5) {
            line("note", surprise.clone());
        }
        if self.surprises.len() > 5 {
            line("note", format!("and {} more", self.surprises.len() - 5));
        }
        console::say("\nAudit of the banks' files:");
        audit_command::say(&self.findings, "  ");
        console::say(format_args!("\n{files}"));
    }
}

/// Why a payment was refused.
fn reason(answer: &Answer) -> &'static str {
    answer.reason().map_or("not_accepted", |reason| reason.as_str())
}

/// What was not as planned. A bank that is down may be the reason of it: a refusal then is right, and worth a line.
fn surprise(fate: Fate, answer: &Answer) -> Option<String> {
    match (fate, answer.outcome()?) {
        (Fate::Paid, Outcome::Abort) => {
            Some(format!("should have been paid, and was refused: {}", reason(answer)))
        }
        (Fate::Refused(why), Outcome::Commit) => {
            Some(format!("should have been refused ({why}), and was paid"))
        }
        (Fate::Refused(why), Outcome::Abort) if answer.reason() != Some(why) => {
            Some(format!("should have been refused as {why}, and was as {}", reason(answer)))
        }
        _ => None,
    }
}

/// What a reason means, for a person.
fn explain(reason: &str) -> &'static str {
    match reason {
        "insufficient_funds" => "the payer has too little money",
        "unknown_account" => "no such account at the bank",
        "account_closed" => "the account is closed",
        "bad_signature" => "not signed by the payer's key",
        "expired" => "the order's time had passed",
        "resolved" => "given up: a bank was not asked in time",
        "other_bank_refused" => "another bank refused",
        _ => "see docs/protocol.md",
    }
}

/// A duration in seconds, to the millisecond.
fn seconds(duration: Duration) -> f64 {
    thousandths(duration.as_millis())
}

/// A duration in milliseconds, to the microsecond.
fn milliseconds(duration: Duration) -> f64 {
    thousandths(duration.as_micros())
}

/// The float nearest to so many thousandths: it prints with three decimals and no noise.
fn thousandths(count: u128) -> f64 {
    format!("{}.{:03}", count / 1000, count % 1000).parse().unwrap_or(f64::MAX)
}

fn per_second(count: usize, elapsed: Duration) -> u64 {
    let per_second = (count as u128 * 1_000_000_000).checked_div(elapsed.as_nanos()).unwrap_or(0);
    u64::try_from(per_second).unwrap_or(u64::MAX)
}
