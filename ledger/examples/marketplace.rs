//! A marketplace: one sale pays the seller, the marketplace and the tax office, or nobody.
//!
//! `cargo run -p hundi-ledger --example marketplace`

use std::error::Error;

use hundi_ledger::{
    Account, AccountFlags, AccountId, CreateTransferStatus, Currency, Ledger, QueryFilter, Reads, Transfer,
    TransferId,
};

// What an account is, and why money moved: numbers of your own.
const CASH: u16 = 1;
const BUYER: u16 = 2;
const SELLER: u16 = 3;
const INCOME: u16 = 4;
const DEPOSIT: u16 = 10;
const SALE: u16 = 11;
const FEE: u16 = 12;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let ledger = Ledger::open(folder.path().join("marketplace.db"))?;
    let rupee = Currency::iso("INR").ok_or("ISO 4217 has no INR")?;
    let inr = rupee.ledger();

    let [cash, buyer, seller, fees, tax] = std::array::from_fn(|_| AccountId::now());
    let no_overdraft = AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS;
    ledger.create_accounts(vec![
        Account::new(cash, inr, CASH),
        Account::new(buyer, inr, BUYER).with_flags(no_overdraft),
        Account::new(seller, inr, SELLER).with_flags(no_overdraft),
        Account::new(fees, inr, INCOME),
        Account::new(tax, inr, INCOME),
    ])?;
    let deposit = Transfer::new(TransferId::now(), cash, buyer, rupee.parse("1,500.00")?, inr, DEPOSIT);
    ledger.create_transfer(deposit)?;

    // A linked transfer stands or falls with the next one; the last of the chain is not linked. The number of the
    // order goes along in `user_data_64`, so that everything about it can be found.
    let sell = |order: u64| -> Result<_, Box<dyn Error>> {
        let (price, fee, tax_on_fee) = (rupee.parse("1000.00")?, rupee.parse("50.00")?, rupee.parse("9.00")?);
        let chain = [
            Transfer::new(TransferId::now(), buyer, seller, price, inr, SALE).linked(),
            Transfer::new(TransferId::now(), seller, fees, fee, inr, FEE).linked(),
            Transfer::new(TransferId::now(), fees, tax, tax_on_fee, inr, FEE),
        ];
        let chain = chain.map(|transfer| Transfer { user_data_64: order, ..transfer });
        Ok(ledger.create_transfers(chain.to_vec())?.iter().map(|result| result.status).collect::<Vec<_>>())
    };

    // The first order is paid for. For the second one the buyer has too little left: neither the seller nor the
    // marketplace nor the tax office gets anything, and the result says which transfer was at fault.
    assert_eq!(sell(4711)?, [CreateTransferStatus::Created; 3]);
    assert_eq!(
        sell(4712)?,
        [
            CreateTransferStatus::ExceedsCredits,
            CreateTransferStatus::LinkedEventFailed,
            CreateTransferStatus::LinkedEventFailed,
        ]
    );

    let of_order = |order| QueryFilter { user_data_64: order, ..QueryFilter::all(10) };
    assert_eq!(ledger.query_transfers(&of_order(4711))?.len(), 3);
    assert_eq!(ledger.query_transfers(&of_order(4712))?.len(), 0);

    for (name, account) in
        ["buyer", "seller", "fees", "tax"].iter().zip(ledger.lookup_accounts(&[buyer, seller, fees, tax])?)
    {
        println!("{name:<8}{:>14}", rupee.money(account.credit_available()));
    }
    Ok(())
}

#[test]
fn runs() {
    main().expect("the example runs");
}
