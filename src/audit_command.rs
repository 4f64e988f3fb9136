//! `hundi audit`: every bank's file against every other's, offline.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use hundi_bank_node::{BANK_FILE, BankRecord, read_bank_file};
use hundi_checker::audit::{BankFindings, Findings, audit};
use hundi_protocol::{Currency, Identity, NETWORK_FILE, Network, Peer, UncheckedCertificate};
use serde::Serialize;

use crate::console;
use crate::failure::{Exit, Failure};
use crate::history::{self, HISTORY_FILE};
use crate::network_args::load_network;
use crate::orders::{minor_digits, thousands};

/// How many offences are printed.
const SHOWN_MAX: usize = 20;

/// Arguments of `hundi audit`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  hundi audit --dir net

Reads net/network.toml and the file bank.db of each bank's folder, read-only,
with no node running (after a crash as well), and net/history.jsonl if there is
one. It checks that each bank's books balance and its chain is intact, that legs
match across banks by the digest of the order, that clearing sums to zero, that
every outcome is proven by votes that verify with the public keys alone, and
that nobody voted both ways. Exit code 1 if anything is wrong.")]
pub(crate) struct AuditArgs {
    /// The network's folder, with a folder for each bank
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// The network's file, if it is not in that folder
    #[arg(long, value_name = "FILE")]
    network: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// The result as JSON: what `demo --json` has under `audit`, and a list of banks.
#[derive(Debug, Serialize)]
pub(crate) struct AuditReport {
    ok: bool,
    books_balanced: bool,
    chain_ok: bool,
    clearing_sum_minor: String,
    in_flight: u64,
    legs_unmatched: u64,
    certificates_checked: u64,
    double_votes: u64,
    acknowledged_lost: u64,
    executed_twice: u64,
}

impl AuditReport {
    /// The report of what was found.
    pub(crate) fn of(findings: &Findings) -> Self {
        Self {
            ok: findings.is_ok(),
            books_balanced: findings.books_balanced(),
            chain_ok: findings.chain_ok(),
            clearing_sum_minor: findings.clearing_sum().to_string(),
            in_flight: findings.in_flight,
            legs_unmatched: findings.legs_unmatched,
            certificates_checked: findings.certificates_checked,
            double_votes: findings.double_votes,
            acknowledged_lost: findings.acknowledged_lost,
            executed_twice: findings.executed_twice,
        }
    }
}

#[derive(Serialize)]
struct WholeReport {
    #[serde(flatten)]
    audit: AuditReport,
    banks: Vec<BankReport>,
    offences: Vec<String>,
}

#[derive(Serialize)]
struct BankReport {
    name: String,
    accounts: u64,
    payments: u64,
    commits: u64,
    in_flight: u64,
    books_balanced: bool,
    chain_ok: bool,
    clearing_minor: BTreeMap<String, String>,
}

impl BankReport {
    fn of(bank: &BankFindings) -> Self {
        let clearing = bank.clearing.iter().map(|(currency, sum)| (currency.to_string(), sum.to_string()));
        Self {
            name: bank.bank.to_string(),
            accounts: bank.accounts,
            payments: bank.payments,
            commits: bank.commits,
            in_flight: bank.in_flight,
            books_balanced: bank.books_balanced,
            chain_ok: bank.chain_ok,
            clearing_minor: clearing.collect(),
        }
    }
}

/// Runs the command.
pub(crate) fn run(args: &AuditArgs) -> Result<(), Failure> {
    let file = args.network.clone().unwrap_or_else(|| args.dir.join(NETWORK_FILE));
    let network = load_network(&file)?;
    let findings = audit_folder(&args.dir, &network, history::read(&args.dir.join(HISTORY_FILE))?)?;
    if args.json {
        console::json(&WholeReport {
            audit: AuditReport::of(&findings),
            banks: findings.banks.iter().map(BankReport::of).collect(),
            offences: findings.offences.iter().take(SHOWN_MAX).map(ToString::to_string).collect(),
        })?;
    } else {
        say(&findings, "");
    }
    verdict(&findings)
}

/// Audits the banks' files in a network's folder.
pub(crate) fn audit_folder(
    dir: &Path,
    network: &Network,
    told: Vec<UncheckedCertificate>,
) -> Result<Findings, Failure> {
    let mut records: Vec<BankRecord> = Vec::new();
    for bank in network.banks() {
        let path = dir.join(Identity::folder(&Peer::bank(bank.clone()))).join(BANK_FILE);
        records.push(read_bank_file(&path, &bank).map_err(Failure::input)?);
    }
    Ok(audit(&network.directory(), &records, told))
}

/// Fails, with the first offence, when the audit found any.
pub(crate) fn verdict(findings: &Findings) -> Result<(), Failure> {
    let Some(first) = findings.offences.first() else { return Ok(()) };
    let more = match findings.offence_count {
        1 => String::new(),
        count => format!(" (and {} more)", count - 1),
    };
    Err(Failure::new(Exit::No, format_args!("the audit is not ok: {first}{more}")))
}

/// Prints what was found, for a person.
pub(crate) fn say(findings: &Findings, indent: &str) {
    for bank in &findings.banks {
        let books = if bank.books_balanced { "books balance" } else { "BOOKS DO NOT BALANCE" };
        let chain = if bank.chain_ok { "chain intact" } else { "CHAIN BROKEN" };
        console::say(format_args!(
            "{indent}bank {:<10} {:>9} accounts {:>11} payments {:>9} commits   {books}, {chain}",
            bank.bank.as_str(),
            thousands(bank.accounts),
            thousands(bank.payments),
            thousands(bank.commits),
        ));
    }
    let clearing: Vec<String> =
        findings.clearing.iter().map(|(currency, sum)| signed(*sum, *currency)).collect();
    let sums = if clearing.is_empty() { "0".to_owned() } else { clearing.join(", ") };
    console::say(format_args!("{indent}clearing over all banks sums to {sums}"));
    for (count, none, some) in [
        (
            findings.in_flight,
            "nothing is in flight",
            "payments are in flight: voted on, and not settled everywhere yet",
        ),
        (
            findings.legs_unmatched,
            "every leg has its other side",
            "payments have a leg without its other side",
        ),
        (findings.double_votes, "nobody voted both ways", "payments on which a bank voted both YES and NO"),
        (
            findings.acknowledged_lost,
            "nothing that a customer was told is missing",
            "outcomes that customers were told are missing",
        ),
        (findings.executed_twice, "nothing was executed twice", "orders were executed more than once"),
    ] {
        match count {
            0 => console::say(format_args!("{indent}{none}")),
            count => console::say(format_args!("{indent}{} {some}", thousands(count))),
        }
    }
    let checked = thousands(findings.certificates_checked);
    console::say(format_args!("{indent}{checked} outcomes proven with the banks' public keys alone"));
    for offence in findings.offences.iter().take(SHOWN_MAX) {
        console::say(format_args!("{indent}{} {offence}", console::emphasis("WRONG:", false)));
    }
    let more = findings.offence_count.saturating_sub(SHOWN_MAX as u64);
    if more > 0 {
        console::say(format_args!("{indent}and {more} more"));
    }
    let result =
        if findings.is_ok() { "every unit of money is accounted for" } else { "the audit is NOT OK" };
    console::say(format_args!("{indent}{}", console::emphasis(result, findings.is_ok())));
}

/// A sum that should be zero, with its sign.
fn signed(sum: i128, currency: Currency) -> String {
    let sign = if sum < 0 { "-" } else { "" };
    let digits = minor_digits(currency).unwrap_or(0);
    let text = format!("{:0>width$}", sum.unsigned_abs(), width = digits + 1);
    let (whole, fraction) = text.split_at(text.len() - digits);
    let point = if digits > 0 { "." } else { "" };
    format!("{sign}{}{point}{fraction} {currency}", thousands(whole))
}
