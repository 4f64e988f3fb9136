//! `hundi verify-certificate`: is this payment's outcome proven? Offline, with public keys alone.

use std::path::PathBuf;

use clap::Args;
use hundi_protocol::{Certificate, Outcome, UncheckedCertificate, Verifier};
use serde::Serialize;

use crate::console;
use crate::failure::Failure;
use crate::network_args::NetworkArgs;
use crate::orders::format_amount;

/// Arguments of `hundi verify-certificate`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  hundi pay --network net/network.toml --from alice@alpha --to bob@beta \\
      --amount 12.50 --currency INR --key alice.key --certificate paid.json
  hundi verify-certificate --network net/network.toml paid.json

Exit code 0 if the certificate proves that the payment was paid or refused, 3 if
it proves nothing.")]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    network: NetworkArgs,
    /// The certificate
    file: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What a certificate proves, as JSON.
#[derive(Debug, Serialize)]
pub(crate) struct Proven {
    /// The digest of the order.
    payment: String,
    order_id: String,
    /// `commit` or `abort`.
    outcome: String,
    reason: Option<&'static str>,
    payer: String,
    payees: Vec<String>,
    amount_minor: String,
    currency: String,
    banks: Vec<String>,
}

impl Proven {
    /// What a certificate proves.
    pub(crate) fn of(certificate: &Certificate) -> Self {
        let order = certificate.order();
        Self {
            payment: certificate.payment().to_string(),
            order_id: order.id().to_string(),
            outcome: certificate.outcome().to_string(),
            reason: certificate.reason().map(|reason| reason.as_str()),
            payer: order.payer().to_string(),
            payees: order.legs()[1..].iter().map(|leg| leg.account.to_string()).collect(),
            amount_minor: order.amount().to_string(),
            currency: order.currency().to_string(),
            banks: order.banks().iter().map(ToString::to_string).collect(),
        }
    }
}

/// What a certificate proves, in a line for a person.
pub(crate) fn sentence(certificate: &Certificate) -> String {
    let proven = Proven::of(certificate);
    let order = certificate.order();
    let amount = format_amount(order.amount(), order.currency());
    let payees = proven.payees.join(", ");
    match certificate.outcome() {
        Outcome::Commit => format!("paid: {amount} from {} to {payees}", proven.payer),
        Outcome::Abort => {
            let reason = proven.reason.unwrap_or("no reason");
            format!("refused ({reason}): {amount} from {} to {payees}", proven.payer)
        }
    }
}

/// Runs the command.
pub(crate) fn run(args: &VerifyArgs) -> Result<(), Failure> {
    let network = args.network.load()?;
    let path = args.file.display();
    let text = std::fs::read_to_string(&args.file)
        .map_err(|error| Failure::input(format_args!("cannot read {path}: {error}")))?;
    let unchecked: UncheckedCertificate = serde_json::from_str(&text)
        .map_err(|error| Failure::input(format_args!("{path}: not a certificate: {error}")))?;
    let certificate = unchecked
        .check(&mut Verifier::new(network.directory()))
        .map_err(|error| Failure::input(format_args!("{path}: proves nothing: {error}")))?;
    if args.json {
        return console::json(&Proven::of(&certificate));
    }
    console::say(sentence(&certificate));
    console::say(format_args!(
        "proven by the votes of {} with the keys of {}",
        signers(&certificate),
        network.name()
    ));
    Ok(())
}

fn signers(certificate: &Certificate) -> String {
    let banks: Vec<&str> = certificate.votes().iter().map(|vote| vote.statement().bank.as_str()).collect();
    banks.join(", ")
}
