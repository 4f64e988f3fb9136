//! Opening and funding the accounts of a plan, at all banks at once.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use hundi_protocol::{AdminAction, AdminResult, BankName, Digest, Minor, Peer, Role};
use indicatif::ProgressBar;
use tokio::task::JoinSet;

use crate::cluster::Cluster;
use crate::console;
use crate::failure::Failure;
use crate::operator::Operator;
use crate::plan::{Plan, PlannedAccount};

/// Opens, funds and (some) closes every account of the plan.
pub(crate) async fn open(plan: &Plan, cluster: &RefCell<Cluster>) -> Result<(), Failure> {
    let mut by_bank: BTreeMap<&BankName, Vec<AdminAction>> = BTreeMap::new();
    for account in &plan.accounts {
        by_bank.entry(&account.account.bank).or_default().extend(actions(account));
    }
    let bar = console::progress("accounts", by_bank.values().map(|actions| actions.len() as u64).sum());
    let mut banks = JoinSet::new();
    for (bank, actions) in by_bank {
        let (identity, network) = {
            let cluster = cluster.borrow();
            (cluster.identity(&operator_of(bank))?, Arc::clone(cluster.network()))
        };
        let (bank, bar) = (bank.clone(), bar.clone());
        banks.spawn(async move {
            let mut operator = Operator::connect(&identity, network, &bank).await?;
            ask(&mut operator, &bank, actions, &bar).await
        });
    }
    while let Some(done) = banks.join_next().await {
        done.map_err(|error| Failure::outside(format_args!("opening accounts: {error}")))??;
    }
    bar.finish_and_clear();
    Ok(())
}

/// A bank takes one connection's requests in their order, so they can all be under way together.
async fn ask(
    operator: &mut Operator,
    bank: &BankName,
    actions: Vec<AdminAction>,
    bar: &ProgressBar,
) -> Result<(), Failure> {
    for result in operator.ask_all(actions, |answers| bar.inc(answers)).await? {
        match result {
            AdminResult::Done => {}
            AdminResult::Refused(why) => {
                return Err(Failure::outside(format_args!(
                    "bank {bank} refuses to open or fund an account: {why}"
                )));
            }
            other => return Err(Failure::outside(format_args!("bank {bank} gave an odd answer: {other:?}"))),
        }
    }
    Ok(())
}

fn actions(planned: &PlannedAccount) -> Vec<AdminAction> {
    let account = planned.account.name.clone();
    let open = AdminAction::OpenAccount {
        account: account.clone(),
        currency: planned.currency,
        key: Some(Box::new(planned.key.public())),
    };
    let deposit = AdminAction::Deposit {
        account: account.clone(),
        amount: planned.deposit,
        reference: reference(planned),
    };
    let close = AdminAction::CloseAccount { account };
    let mut actions = vec![open];
    if planned.deposit > Minor::ZERO {
        actions.push(deposit);
    }
    if planned.closed {
        actions.push(close);
    }
    actions
}

/// A deposit is known by its reference: it follows from the account, so that a repeat would be one.
fn reference(planned: &PlannedAccount) -> u128 {
    let digest = Digest::of(format!("hundi/demo-deposit/v1 {}", planned.account).as_bytes());
    let head = digest.as_bytes().first_chunk::<16>().copied().unwrap_or_default();
    u128::from_be_bytes(head).clamp(1, u128::MAX - 1)
}

fn operator_of(bank: &BankName) -> Peer {
    Peer { role: Role::Operator, name: bank.clone().into() }
}

/// How many payments the bank holds for without knowing their outcome.
pub(crate) async fn in_flight(bank: &BankName, cluster: &RefCell<Cluster>) -> Result<u64, Failure> {
    let (identity, network) = {
        let cluster = cluster.borrow();
        (cluster.identity(&operator_of(bank))?, Arc::clone(cluster.network()))
    };
    let mut operator = Operator::connect(&identity, network, bank).await?;
    match operator.ask(AdminAction::InFlight).await? {
        AdminResult::InFlight { payments, .. } => Ok(payments),
        other => Err(Failure::outside(format_args!("bank {bank} gave an odd answer: {other:?}"))),
    }
}
