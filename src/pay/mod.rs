//! `hundi pay`: one order, or every order of a file.

mod batch;
mod earlier;
mod keep;
mod signed_orders;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use hundi_protocol::{
    AccountRef, Certificate, Credit, Currency, CustomerKey, Network, NodeName, Order, OrderFields, OrderId,
    Outcome, Peer, Role, UnixMillis, read_seed,
};
use serde::Serialize;

use crate::console;
use crate::driver::{self, Answer, Options, Whole};
use crate::failure::{Exit, Failure, While as _};
use crate::network_args::{NetworkArgs, require_bank};
use crate::operator::block_on;
use crate::orders::{minor_digits, parse_amount};
use crate::verify_command::{Proven, sentence};

/// Arguments of `hundi pay`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hundi pay --network net/network.toml --from alice@alpha --to bob@beta \\
      --amount 12.50 --currency INR --key alice.key
  hundi pay --network net/network.toml --orders payments.csv --keys keys

With --order FILE the signed order is kept in FILE before it is sent, and taken
from there if it exists: a command that is repeated because its answer was lost
pays once. --orders keeps the signed orders in payments.csv.signed for the same
reason; without that file, or from two places at once, each order is still paid
once, and what became of it is told.

Keys of payers are in the folder --keys as name@bank.key.
Exit code 0 if everything was paid, 1 if something was refused or has no known
outcome.")]
pub(crate) struct PayArgs {
    #[command(flatten)]
    network: NetworkArgs,
    /// Who pays: name@bank
    #[arg(long, required_unless_present = "orders")]
    from: Option<AccountRef>,
    /// Who gets it: name@bank
    #[arg(long, required_unless_present = "orders")]
    to: Option<AccountRef>,
    /// How much, such as 12.50
    #[arg(long, required_unless_present = "orders")]
    amount: Option<String>,
    /// Of what
    #[arg(long, required_unless_present = "orders")]
    currency: Option<Currency>,
    /// The payer's key file
    #[arg(long, value_name = "FILE", required_unless_present = "orders")]
    key: Option<PathBuf>,
    /// Free text for the payee
    #[arg(long)]
    note: Option<String>,
    /// The order's id, a UUID of version 7 [default: a new one]
    #[arg(long)]
    id: Option<OrderId>,
    /// Keep the signed order in this file, or take it from there
    #[arg(long, value_name = "FILE")]
    order: Option<PathBuf>,
    /// Write the certificate of the outcome to this file
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// Pay every order of this file
    #[arg(long, value_name = "FILE.csv", requires = "keys", conflicts_with_all = ["from", "to", "amount", "currency", "key", "note", "id", "order", "certificate"])]
    orders: Option<PathBuf>,
    /// The folder of the payers' keys
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
    /// From then on, in seconds from now, a bank that has not voted refuses
    #[arg(long, default_value_t = 300, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    expires_in: u32,
    /// Give up waiting for an answer after so many seconds
    #[arg(long, default_value_t = 60, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    wait: u32,
    /// Submit to this coordinator only
    #[arg(long, value_name = "NAME")]
    coordinator: Option<NodeName>,
    /// Submit as this payment app
    #[arg(long)]
    app: Option<NodeName>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn run(args: PayArgs) -> Result<(), Failure> {
    match &args.orders {
        Some(file) => batch::run(&args, file),
        None => pay_one(&args),
    }
}

/// What became of one order, as JSON.
#[derive(Serialize)]
struct Report {
    /// The digest of the order.
    payment: String,
    order_id: String,
    /// `commit`, `abort`, `not_accepted`, `unknown`.
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    proven: Option<Proven>,
}

fn pay_one(args: &PayArgs) -> Result<(), Failure> {
    let network = args.network.load()?;
    for account in [&args.from, &args.to].into_iter().flatten() {
        require_bank(&network, &account.bank)?;
    }
    let order = order(args)?;
    let mut results = submit(args, &network, std::slice::from_ref(&order))?;
    let answer = results.answers.pop().unwrap_or(Answer::Unknown);
    let (status, proven) = match &answer {
        Answer::Proven(certificate, _) => {
            keep_certificate(args.certificate.as_deref(), certificate)?;
            let status = if certificate.outcome() == Outcome::Commit { "commit" } else { "abort" };
            (status, Some(Proven::of(certificate)))
        }
        Answer::NotAccepted(_) => ("not_accepted", None),
        Answer::Unknown => ("unknown", None),
    };
    if args.json {
        let (payment, order_id) = (order.digest().to_string(), order.id().to_string());
        console::json(&Report { payment, order_id, status, proven })?;
    }
    let failed = |text: String| Err(Failure::new(Exit::No, text));
    match &answer {
        Answer::Proven(certificate, _) => {
            if !args.json {
                console::say(sentence(certificate));
                console::say(format_args!("payment {}", order.digest()));
            }
            match certificate.outcome() {
                Outcome::Commit => Ok(()),
                Outcome::Abort => failed(format!("the payment {} was refused", order.digest())),
            }
        }
        Answer::NotAccepted(why) => {
            failed(format!("no coordinator takes the order on: {why:?}; nothing was started"))
        }
        Answer::Unknown if results.unreached.is_some() => {
            let why = results.unreached.unwrap_or_default();
            failed(format!(
                "no coordinator could be reached within {} s, and nothing was sent: {why}",
                args.wait
            ))
        }
        Answer::Unknown => failed(format!(
            "no answer within {wait} s: payment {payment} may be paid or not; ask with `hundi status {payment}`, or \
             repeat the same order (--order FILE)",
            wait = args.wait,
            payment = order.digest()
        )),
    }
}

/// Submits orders to the network's coordinators and waits for their outcomes.
fn submit(args: &PayArgs, network: &Arc<Network>, orders: &[Arc<Order>]) -> Result<driver::Results, Failure> {
    let identity = args.network.app(network, args.app.as_ref())?;
    let all = || network.names(Role::Coordinator).cloned().collect();
    let names: Vec<NodeName> = args.coordinator.as_ref().map_or_else(all, |name| vec![name.clone()]);
    let coordinators: Vec<Peer> = names.into_iter().map(Peer::coordinator).collect();
    if let Some(stranger) = coordinators.iter().find(|peer| network.node(peer).is_none()) {
        return Err(Failure::input(format_args!("{stranger} is not in the network")));
    }
    if coordinators.is_empty() {
        return Err(Failure::input("the network has no coordinator; add one as [[coordinator]]"));
    }
    let options = Options { give_up_after: Duration::from_secs(args.wait.into()), ..Options::default() };
    let bar = console::progress("payments", orders.len() as u64);
    let on_progress = |answered: usize| {
        bar.set_position(answered as u64);
        Ok(())
    };
    let run = driver::run(&identity, network, &coordinators, orders, options, Whole, on_progress);
    let results = block_on(run);
    bar.finish_and_clear();
    if let Ok(driver::Results { unreached: Some(why), .. }) = &results
        && orders.len() > 1
    {
        console::note(format_args!("no coordinator could be reached, and nothing was sent: {why}"));
    }
    results
}

/// The order to give: a new one, or the one that was kept before an earlier try.
fn order(args: &PayArgs) -> Result<Arc<Order>, Failure> {
    if let Some(path) = args.order.as_deref().filter(|path| path.exists()) {
        let bytes = std::fs::read(path)
            .map_err(|error| Failure::input(format_args!("cannot read {}: {error}", path.display())))?;
        let order = Order::parse(bytes.trim_ascii())
            .map_err(|error| Failure::input(format_args!("{}: not an order: {error}", path.display())))?;
        let differing = differing(args, &order);
        return match differing.is_empty() {
            true => Ok(order),
            false => Err(Failure::input(format_args!(
                "{} holds an order with another {} ({order:?}, note {:?}); give --order another file",
                path.display(),
                differing.join(", "),
                order.note()
            ))),
        };
    }
    let (Some(payer), Some(payee), Some(amount), Some(currency), Some(key)) =
        (&args.from, &args.to, &args.amount, args.currency, &args.key)
    else {
        return Err(Failure::usage("--from, --to, --amount, --currency and --key make an order"));
    };
    if minor_digits(currency).is_none() {
        return Err(Failure::usage(format_args!("--currency {currency}: not a currency of ISO 4217")));
    }
    let amount = parse_amount(amount, currency)
        .map_err(|what| Failure::usage(format_args!("--amount {amount:?}: {what}")))?;
    let fields = OrderFields {
        id: args.id.unwrap_or_else(OrderId::generate),
        payer: payer.clone(),
        credits: vec![Credit { payee: payee.clone(), amount }],
        currency,
        expires_at: expires_at(args),
        note: args.note.clone().unwrap_or_default(),
    };
    let order = Order::sign(&fields, &read_key(key)?).map_err(Failure::input)?;
    if let Some(path) = &args.order {
        keep::create(path, order.bytes())?;
    }
    Ok(order)
}

/// In what a kept order is not the one that the command line asks for. What is not given may be anything.
fn differing(args: &PayArgs, order: &Order) -> Vec<&'static str> {
    let amount = args
        .amount
        .as_deref()
        .zip(args.currency)
        .and_then(|(text, currency)| parse_amount(text, currency).ok());
    let payee = order.legs().get(1).filter(|_| order.legs().len() == 2).map(|leg| &leg.account);
    let same = [
        ("payer", args.from.as_ref() == Some(order.payer())),
        ("payee", args.to.as_ref() == payee),
        ("amount", amount == Some(order.amount())),
        ("currency", args.currency == Some(order.currency())),
        ("id", args.id.is_none_or(|id| id == order.id())),
        ("note", args.note.as_deref().is_none_or(|note| note == order.note())),
    ];
    same.into_iter().filter(|(_, same)| !same).map(|(what, _)| what).collect()
}

fn expires_at(args: &PayArgs) -> UnixMillis {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let at = now + Duration::from_secs(args.expires_in.into());
    UnixMillis(u64::try_from(at.as_millis()).unwrap_or(u64::MAX))
}

fn read_key(path: &Path) -> Result<CustomerKey, Failure> {
    read_seed(path).map(|seed| CustomerKey::from_seed(&seed)).map_err(Failure::input)
}

fn keep_certificate(path: Option<&Path>, certificate: &Certificate) -> Result<(), Failure> {
    let Some(path) = path else { return Ok(()) };
    let text = serde_json::to_string(&certificate.to_unchecked())
        .or_fail(|| "cannot write the certificate".to_owned())?;
    std::fs::write(path, text + "\n").or_fail(|| format!("cannot write {}", path.display()))
}
