//! `hundi account`: what a bank's operator does with customers' accounts.

mod show;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use hundi_protocol::{
    AccountRef, AccountView, AdminAction, AdminResult, BankName, Currency, CustomerKey, OrderId, Peer,
    PublicKey, Role, read_seed, write_seed,
};
use serde::Serialize;
use uuid::Uuid;

use crate::console;
use crate::failure::{Exit, Failure};
use crate::network_args::{NetworkArgs, require_bank};
use crate::operator::{Operator, block_on};
use crate::orders::{format_amount, minor_digits, parse_amount};
use show::{Accounts, InDoubt, Row, say};

/// How many accounts are asked for at a time.
const PAGE: u32 = 500;

/// The commands of `hundi account`.
#[derive(Debug, Subcommand)]
pub(crate) enum AccountCommand {
    /// Open an account; without a key it can only receive
    #[command(after_help = "\
Example:
  hundi account open alice@alpha --currency INR --key alice.key \\
      --network net/network.toml

Makes alice.key (mode 0600) if it is not there. A repeat with the same currency
and key is harmless.")]
    Open(OpenArgs),
    /// List a bank's accounts
    #[command(after_help = "Example:\n  hundi account list alpha --network net/network.toml")]
    List(ListArgs),
    /// Show one account's balances
    #[command(after_help = "Example:\n  hundi account balance alice@alpha --network net/network.toml")]
    Balance(OneArgs),
    /// Put money into an account, from the bank's cash
    #[command(after_help = "\
Example:
  hundi account deposit alice@alpha 100.00 --network net/network.toml

Prints the deposit's reference. When the answer is lost, repeat with
--reference: it is then one deposit.")]
    Deposit(DepositArgs),
    /// Close an account, which must be empty and have no payment in flight
    #[command(after_help = "Example:\n  hundi account close alice@alpha --network net/network.toml")]
    Close(OneArgs),
}

/// Arguments of `hundi account open`.
#[derive(Debug, Args)]
pub(crate) struct OpenArgs {
    /// The account: name@bank
    account: AccountRef,
    /// Its currency
    #[arg(long)]
    currency: Currency,
    /// The owner's key file, made if it is not there
    #[arg(long, value_name = "FILE", conflicts_with = "public_key")]
    key: Option<PathBuf>,
    /// The owner's public key, if its secret is elsewhere
    #[arg(long, value_name = "HEX")]
    public_key: Option<PublicKey>,
    #[command(flatten)]
    common: Common,
}

/// Arguments of `hundi account list`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// The bank
    bank: BankName,
    #[command(flatten)]
    common: Common,
}

/// Arguments that name one account.
#[derive(Debug, Args)]
pub(crate) struct OneArgs {
    /// The account: name@bank
    account: AccountRef,
    #[command(flatten)]
    common: Common,
}

/// Arguments of `hundi account deposit`.
#[derive(Debug, Args)]
pub(crate) struct DepositArgs {
    /// The account: name@bank
    account: AccountRef,
    /// How much, such as 100.00
    amount: String,
    /// The reference of an earlier try
    #[arg(long, value_name = "UUID")]
    reference: Option<Uuid>,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Common {
    #[command(flatten)]
    network: NetworkArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Common {
    async fn operator(&self, bank: &BankName) -> Result<Operator, Failure> {
        let network = self.network.load()?;
        require_bank(&network, bank)?;
        let peer = Peer { role: Role::Operator, name: bank.clone().into() };
        let identity = self.network.identity(&network, &peer)?;
        Operator::connect(&identity, network, bank).await
    }
}

/// Runs the command.
pub(crate) fn run(command: AccountCommand) -> Result<(), Failure> {
    match command {
        AccountCommand::Open(args) => block_on(open(args)),
        AccountCommand::List(args) => block_on(list(args)),
        AccountCommand::Balance(args) => block_on(balance(args)),
        AccountCommand::Deposit(args) => block_on(deposit(args)),
        AccountCommand::Close(args) => block_on(close(args)),
    }
}

#[derive(Serialize)]
struct Done {
    account: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    public_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
}

fn report(common: &Common, done: &Done, text: String) -> Result<(), Failure> {
    if common.json {
        return console::json(done);
    }
    console::say(text);
    Ok(())
}

async fn open(args: OpenArgs) -> Result<(), Failure> {
    require_currency(args.currency)?;
    require_bank(&*args.common.network.load()?, &args.account.bank)?;
    let key = match (&args.key, args.public_key) {
        (Some(path), _) => Some(own_key(path)?.public()),
        (None, public) => public,
    };
    let mut operator = args.common.operator(&args.account.bank).await?;
    let action = AdminAction::OpenAccount {
        account: args.account.name.clone(),
        currency: args.currency,
        key: key.map(Box::new),
    };
    done(operator.ask(action).await?, &args.account)?;
    let account = args.account.to_string();
    let text = format!("{account} is open in {}", args.currency);
    let public_key = key.map(|key| key.to_string());
    report(&args.common, &Done { account, public_key, reference: None }, text)
}

/// The key in a file, which is made if it is not there.
fn own_key(path: &std::path::Path) -> Result<CustomerKey, Failure> {
    if path.exists() {
        return read_seed(path).map(|seed| CustomerKey::from_seed(&seed)).map_err(Failure::input);
    }
    let key = CustomerKey::generate()
        .map_err(|error| Failure::outside(format_args!("no random numbers: {error}")))?;
    write_seed(path, &key.seed()).map_err(Failure::outside)?;
    Ok(key)
}

fn done(result: AdminResult, account: &AccountRef) -> Result<(), Failure> {
    match result {
        AdminResult::Done => Ok(()),
        AdminResult::Refused(why) => Err(Failure::new(Exit::No, format_args!("{account}: {why}"))),
        other => Err(odd_answer(&account.bank, &other)),
    }
}

async fn deposit(args: DepositArgs) -> Result<(), Failure> {
    let mut operator = args.common.operator(&args.account.bank).await?;
    let view = view(&mut operator, &args.account).await?;
    let amount = parse_amount(&args.amount, view.currency)
        .map_err(|what| Failure::usage(format_args!("amount {:?}: {what}", args.amount)))?;
    let reference = args.reference.unwrap_or_else(|| OrderId::generate().uuid());
    let action =
        AdminAction::Deposit { account: args.account.name.clone(), amount, reference: reference.as_u128() };
    done(operator.ask(action).await?, &args.account)?;
    let account = args.account.to_string();
    let text = format!("{} put into {account}; reference {reference}", format_amount(amount, view.currency));
    report(&args.common, &Done { account, public_key: None, reference: Some(reference.to_string()) }, text)
}

async fn close(args: OneArgs) -> Result<(), Failure> {
    let mut operator = args.common.operator(&args.account.bank).await?;
    done(
        operator.ask(AdminAction::CloseAccount { account: args.account.name.clone() }).await?,
        &args.account,
    )?;
    let account = args.account.to_string();
    let text = format!("{account} is closed");
    report(&args.common, &Done { account, public_key: None, reference: None }, text)
}

async fn view(operator: &mut Operator, account: &AccountRef) -> Result<AccountView, Failure> {
    match operator.ask(AdminAction::Balance { account: account.name.clone() }).await? {
        AdminResult::Accounts(views) => {
            let view = views.into_iter().next();
            view.ok_or_else(|| Failure::outside(format_args!("bank {} sent no balances", account.bank)))
        }
        AdminResult::Refused(why) => Err(Failure::new(Exit::No, format_args!("{account}: {why}"))),
        other => Err(odd_answer(&account.bank, &other)),
    }
}

async fn balance(args: OneArgs) -> Result<(), Failure> {
    let mut operator = args.common.operator(&args.account.bank).await?;
    let view = view(&mut operator, &args.account).await?;
    if args.common.json {
        return console::json(&Row::of(&view));
    }
    say(std::slice::from_ref(&view));
    Ok(())
}

async fn list(args: ListArgs) -> Result<(), Failure> {
    let mut operator = args.common.operator(&args.bank).await?;
    let mut views: Vec<AccountView> = Vec::new();
    loop {
        let after = views.last().map(|view| view.account.clone());
        match operator.ask(AdminAction::ListAccounts { after, limit: PAGE }).await? {
            AdminResult::Accounts(page) if page.is_empty() => break,
            AdminResult::Accounts(page) => views.extend(page),
            other => {
                return Err(odd_answer(&args.bank, &other));
            }
        }
    }
    let in_doubt = match operator.ask(AdminAction::InFlight).await? {
        AdminResult::InFlight { payments, oldest_ms } => InDoubt { payments, oldest_ms },
        other => return Err(odd_answer(&args.bank, &other)),
    };
    if args.common.json {
        return console::json(&Accounts { accounts: views.iter().map(Row::of).collect(), in_doubt });
    }
    say(&views);
    if in_doubt.payments > 0 {
        let InDoubt { payments, oldest_ms } = in_doubt;
        let age = Duration::from_millis(oldest_ms).as_secs();
        let who = if payments == 1 { "1 payment waits" } else { &format!("{payments} payments wait") };
        console::say(format_args!("{who} for another bank's word, the oldest for {age} s"));
    }
    Ok(())
}

/// Money of a currency that is not known cannot be written down.
fn require_currency(currency: Currency) -> Result<(), Failure> {
    match minor_digits(currency) {
        Some(_) => Ok(()),
        None => Err(Failure::usage(format_args!("{currency} is not a currency of ISO 4217"))),
    }
}

fn odd_answer(bank: &BankName, answer: &AdminResult) -> Failure {
    Failure::outside(format_args!("bank {bank} gave an odd answer: {answer:?}"))
}
